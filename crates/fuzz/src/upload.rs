//! The state of an upload as it travels: only what was sealed here is taken back, and only from those who may write there.

use cacheroach_api::method::uploads;
use cacheroach_api::upload::{BeginRequest, CommitRequest, TransferRequest, TransferState};
use cacheroach_model::TenantId;
use prost::Message as _;

use crate::change;
use crate::world::{Renewed, World, is_fault};

/// States of two uploads of the writer's, then of one that is none of its business.
struct States {
    world: World,
    own: Vec<TransferState>,
    others: Vec<TransferState>,
}

thread_local! {
    static STATES: Renewed<States> = const { Renewed::new() };
}

impl States {
    fn new() -> Self {
        let world = World::new();
        let begin = |tenant: TenantId, path: &str| {
            let request =
                BeginRequest { tenant: Some(tenant.into()), path: path.into(), ..Default::default() };
            let begun = world.call::<uploads::Begin>(&world.superuser, request).expect("an upload");
            let first = begun.state.expect("a state");
            let request = TransferRequest { state: Some(first.clone()), data: b"begun".to_vec() };
            let moved = world.call::<uploads::Transfer>(&world.superuser, request).expect("a transfer");
            vec![first, moved.state.expect("a state")]
        };
        let (open, done) = (begin(world.own, "/docs/open"), begin(world.own, "/docs/done"));
        let request = CommitRequest { state: done.last().cloned(), ..Default::default() };
        world.call::<uploads::Commit>(&world.superuser, request).expect("a commit");
        let others = [begin(world.own, "/private/upload"), begin(world.other, "/docs/upload")].concat();
        States { own: [open, done].concat(), others, world }
    }
}

/// Who, and what is asked; then a state as a message, or which genuine one and how it is changed.
pub(crate) fn upload(data: &[u8]) {
    let Some((&[who, kind], data)) = data.split_first_chunk::<2>() else { return };
    STATES.with(|states| {
        states.with(States::new, |states| {
            let World { superuser, writer, .. } = &states.world;
            let caller = if who & 1 == 0 { writer } else { superuser };
            let genuine = states.own.iter().chain(&states.others).nth(usize::from(kind));
            let state = match genuine {
                Some(state) => TransferState::decode(&*change::changed(state.encode_to_vec(), data)),
                None => TransferState::decode(data),
            };
            let Ok(state) = state else { return };
            let mine = states.own.contains(&state);
            let known = mine || (who & 1 == 1 && states.others.contains(&state));
            let state = Some(state);
            let taken = if who & 2 == 0 {
                let request = TransferRequest { state: state.clone(), data: data.to_vec() };
                states.world.call::<uploads::Transfer>(caller, request).map(drop)
            } else {
                let request = CommitRequest { state: state.clone(), ..Default::default() };
                states.world.call::<uploads::Commit>(caller, request).map(drop)
            };
            match taken {
                Ok(()) => assert!(known, "{state:?}"),
                Err(error) => assert!(!is_fault(&error), "{error:?}"),
            }
        });
    });
}
