//! Requests as gRPC brings them, through the door: no caller learns or changes what it may not, and nothing that is asked
//! breaks the server.

use cacheroach_api::rule::{Method, Ruled as _};
use cacheroach_api::{method, token};
use cacheroach_service::{Ask, AskStream, Caller, Content, Directory, Exchange, Result, Writer};
use futures::StreamExt as _;
use prost::Message;

use crate::world::{Renewed, World, is_fault};

/// What came of a request: the bytes of the answer. None: it was no such message.
type Outcome = Option<Result<Vec<u8>>>;

/// A method by its name.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    ask: fn(&World, &Caller, &[u8]) -> Outcome,
}

macro_rules! known {
    ($($kind:ident $service:ident::$method:ident),* $(,)?) => {
        &[$(Known {
            name: <method::$service::$method as Method>::NAME,
            ask: $kind::<method::$service::$method>,
        }),*]
    };
}

/// New ones go to the end, so that kept inputs keep their meaning.
pub(crate) const KNOWN: &[Known] = known![
    message files::Delete,
    message files::List,
    message files::Retrieve,
    message files::Stat,
    message files::ListVersions,
    message files::Restore,
    message files::Copy,
    message files::Move,
    message files::Edit,
    message uploads::Begin,
    message uploads::Transfer,
    message uploads::Commit,
    // The network is no place for this.
    form uploads::Fetch,
    message tokens::Current,
    message tokens::Issue,
    message tokens::Load,
    message tokens::Invalidate,
    message tokens::Refresh,
    message tokens::Validate,
    stream tokens::Find,
    message principals::Ensure,
    message principals::Load,
    stream principals::List,
    stream principals::Watch,
    message tenants::Ensure,
    message tenants::Get,
    message tenants::Where,
    stream tenants::List,
    message vhosts::Ensure,
    stream vhosts::List,
    message diags::Echo,
    opened contents::Open,
    listed contents::Browse,
    written contents::Write,
    message contents::Remove,
    message contents::Versions,
    message contents::Restore,
    message contents::Copy,
    message contents::Move,
    message contents::Edit,
    form uploads::FetchProgress,
    // Passwords are hashed slowly on purpose: a million of them would take days.
    form tokens::Login,
    form principals::SetPassword,
    message files::ListLinks,
    message files::RevokeLink,
    message files::CreateDropLink,
    message stores::Purge,
    message uploads::Offer,
    exchange uploads::Stream,
];

/// The superuser has a world of its own, since it may well show everybody everything.
struct Everything(World);

thread_local! {
    static WORLD: Renewed<(World, Vec<u8>)> = const { Renewed::new() };
    static EVERYTHING: Renewed<Everything> = const { Renewed::new() };
}

/// Which method, who, and the message.
pub(crate) fn request(data: &[u8]) {
    let Some((&[method, who], message)) = data.split_first_chunk::<2>() else { return };
    let Some(method) = KNOWN.get(usize::from(method)) else { return };
    if who == 5 {
        EVERYTHING.with(|world| {
            world.with(
                || Everything(World::new()),
                |Everything(world)| {
                    if let Some(Err(error)) = (method.ask)(world, &world.superuser, message) {
                        assert!(!is_fault(&error), "{error:?}");
                    }
                },
            );
        });
        return;
    }
    let make = || {
        let world = World::new();
        let untouched = world.untouched();
        (world, untouched)
    };
    WORLD.with(|world| {
        world.with(make, |(world, untouched)| {
            let callers = [&world.anonymous, &world.reader, &world.writer, &world.delegate];
            let Some(caller) = callers.get(usize::from(who)) else { return };
            match (method.ask)(world, caller, message) {
                None => {}
                Some(Ok(answer)) => {
                    secret_from(world, &answer);
                    assert!(
                        world.untouched() == *untouched,
                        "what must not be touched was, by {}",
                        method.name
                    );
                    passed_on(world, method.name, &answer);
                }
                Some(Err(error)) => {
                    assert!(!is_fault(&error), "{error:?}");
                    secret_from(world, error.to_string().as_bytes());
                }
            }
        });
    });
}

fn secret_from(world: &World, answer: &[u8]) {
    let marker = world.marker.as_bytes();
    assert!(!answer.windows(marker.len()).any(|part| part == marker), "{}", answer.escape_ascii());
}

/// A session that was issued reaches no further than whoever issued it.
fn passed_on(world: &World, method: &str, answer: &[u8]) {
    if !method.ends_with("/Issue") {
        return;
    }
    let issued = token::IssueResponse::decode(answer).unwrap_or_default();
    let Ok(caller) = world.wait(world.service.authenticate(&issued.token.unwrap_or_default().jwt)) else {
        return;
    };
    for tenant in [world.own, world.other] {
        let request = cacheroach_api::file::ListRequest {
            tenant: Some(tenant.into()),
            path: "/".into(),
            ..Default::default()
        };
        if let Ok(found) = world.call::<method::files::List>(&caller, request) {
            secret_from(world, &found.encode_to_vec());
        }
    }
}

fn decode<M: Message + Default>(message: &[u8]) -> Option<M> {
    M::decode(message).ok()
}

fn form<M: Method<Request: Message + Default>>(_: &World, _: &Caller, message: &[u8]) -> Outcome {
    let request: M::Request = decode(message)?;
    Some(request.form().map(|()| Vec::new()).map_err(Into::into))
}

fn message<M: Ask<Request: Message + Default, Answer: Message>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    Some(world.call::<M>(caller, decode(message)?).map(|answer| answer.encode_to_vec()))
}

/// Only the beginning: to watch has no end.
fn stream<M: AskStream<Request: Message + Default, Response: Message>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    let request = decode(message)?;
    let count = if M::NAME.ends_with("/Watch") { 1 } else { 20 };
    Some(world.wait(async {
        let mut parts = world.service.stream::<M>(caller, request).await?.take(count);
        let mut answer = Vec::new();
        while let Some(part) = parts.next().await {
            answer.extend(part?.encode_to_vec());
        }
        Ok(answer)
    }))
}

/// A request of one part, twice.
fn exchange<M: Exchange<Request: Message + Default + 'static, Response: Message>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    let request: M::Request = decode(message)?;
    let parts = futures::stream::iter([Ok(request.clone()), Ok(request)]);
    Some(world.wait(async {
        let mut answers = world.service.exchange::<M>(caller, Box::pin(parts)).await?;
        let mut answer = Vec::new();
        while let Some(part) = answers.next().await {
            answer.extend(part?.encode_to_vec());
        }
        Ok(answer)
    }))
}

fn opened<M: Ask<Request: Message + Default, Answer = Content>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    let request = decode(message)?;
    Some(world.wait(async {
        let found = world.service.call::<M>(caller, request).await?;
        let mut answer = format!("{:?}", found.file()).into_bytes();
        let mut bytes = found.read(0..found.file().size);
        while let Some(part) = bytes.next().await {
            answer.extend_from_slice(&part?);
        }
        Ok(answer)
    }))
}

fn listed<M: Ask<Request: Message + Default, Answer = Directory>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    Some(world.call::<M>(caller, decode(message)?).map(|found| format!("{:?}", found.entries).into_bytes()))
}

fn written<M: Ask<Request: Message + Default, Answer = Writer>>(
    world: &World,
    caller: &Caller,
    message: &[u8],
) -> Outcome {
    let request = decode(message)?;
    Some(world.wait(async {
        let mut writer = world.service.call::<M>(caller, request).await?;
        writer.write(b"some bytes"[..].into()).await?;
        writer.finish().await.map(|_| Vec::new())
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_method_there_is_gets_its_share() {
        let descriptors = prost_types::FileDescriptorSet::decode(cacheroach_api::DESCRIPTORS).unwrap();
        let known: HashSet<_> = KNOWN.iter().map(|known| known.name).collect();
        for file in descriptors.file.iter().filter(|file| file.package().starts_with("cacheroach.")) {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    assert!(known.contains(name.as_str()), "{name} is not in KNOWN");
                }
            }
        }
    }
}
