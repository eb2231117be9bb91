//! Tokens: issuing, finding and ending sessions.

use std::sync::Arc;

use cacheroach_api::method::tokens;
use cacheroach_api::session;
use cacheroach_api::token::{
    InvalidateRequest, IssueRequest, IssueResponse, LoadRequest, Token, invalidate_request, load_request,
};
use cacheroach_auth::{Presented, Want, claims, enforcer};
use cacheroach_model::{Capabilities, Location, Pattern, PrincipalId, Scope, Session, SessionId, Timestamp};
use cacheroach_store::Error as StoreError;
use cacheroach_store::sessions::Origin;

use crate::door::{Ask, AskStream, Stream};
use crate::tenants::check_label;
use crate::{Caller, Error, Result, Service};

/// What a session of this scope would be used on.
fn want(scope: &Scope) -> Want {
    match scope {
        Scope::Super => Want::Super,
        Scope::Principal(id) => Want::Principal(*id),
        Scope::Location(location) => Want::Location(location.clone()),
    }
}

/// A session as its holder is shown it: the note was left out by the original, too.
fn shown(session: &Session) -> session::Session {
    let mut message = session::Session::from(session);
    message.note.clear();
    message
}

impl Ask for tokens::Current {
    type Answer = session::Session;

    async fn answer(_: &Service, caller: &Caller, (): ()) -> Result<session::Session> {
        Ok(shown(caller.session()))
    }
}

impl Ask for tokens::Issue {
    type Answer = IssueResponse;

    /// The scope must be well-formed before it is compared with what the caller holds.
    fn canonical(request: &mut IssueRequest) -> Result<Option<Want>> {
        let template =
            request.template.as_mut().ok_or_else(|| Error::invalid("template", "which session"))?;
        let goal = template.parse().map_err(|error| error.in_field("template"))?;
        let Some(scope) = &goal.scope else {
            return Err(Error::invalid("template.scope", "what it is to reach"));
        };
        check_label("template.note", &goal.note)?;
        check_label("template.name", &goal.name)?;
        template.scope = Some(scope.into());
        Ok(Some(want(scope)))
    }

    async fn answer(service: &Service, caller: &Caller, request: IssueRequest) -> Result<IssueResponse> {
        let template = request.template.unwrap_or_default();
        let mut new = template.parse().map_err(|error| error.in_field("template"))?;
        let own =
            caller.principal().ok_or_else(|| Error::invalid("template.principal_id", "who is to hold it"));
        new.principal = Some(new.principal.map_or(own, Ok)?);
        let asked =
            new.expires_at.ok_or_else(|| Error::invalid("template.expires_at", "when it is to end"))?;
        let not_after = granted_until(caller, &new);
        let expires_at = not_after.map_or(asked, |end| asked.min(end)).min(Timestamp::MAX);
        if expires_at <= service.now() {
            return Err(Error::invalid("template.expires_at", "a time to come"));
        }
        new.expires_at = Some(expires_at);
        new.id = Some(SessionId::random(service.random.id()));
        let origin = Origin { parent: caller.session().id, not_after };
        match service.store.metadata.add_session(&new, origin).await {
            Ok(()) => {}
            Err(StoreError::Missing("principal")) => {
                return Err(Error::invalid("template.principal_id", "no such principal"));
            }
            Err(StoreError::Missing(_)) => return Err(Error::invalid("template.scope", "no such tenant")),
            Err(error) => return Err(error.into()),
        }
        let jwt = claims::sign(&service.keys, &new, service.now());
        Ok(IssueResponse { issued: Some((&new).into()), token: Some(Token { jwt }) })
    }
}

/// The end of what a new session is issued from: the caller's session, and if that alone does not hold enough, the
/// grants that do. A super session sets no end.
fn granted_until(caller: &Caller, new: &Session) -> Option<Timestamp> {
    let own = caller.session();
    if own.is_super() {
        return None;
    }
    let want = new.scope.as_ref().map_or(Want::Anything, want);
    let authority = caller.authority();
    if authority.may_itself(new.capabilities, &want) {
        return own.expires_at;
    }
    let sources = authority.grants.iter().filter(|grant| enforcer::covers(grant, new.capabilities, &want));
    let latest = sources.filter_map(|grant| grant.expires_at).max();
    own.expires_at.into_iter().chain(latest).min()
}

impl AskStream for tokens::Find {
    async fn answer(
        service: &Arc<Service>,
        caller: &Caller,
        request: session::Scope,
    ) -> Result<Stream<session::Session>> {
        let scope = request.parse()?;
        let Some(principal) = caller.principal() else { return Ok(Box::pin(futures::stream::empty())) };
        let found = service.store.metadata.list_grants(principal).await?;
        let covers = |held: &Session| {
            scope.as_ref().is_none_or(|scope| enforcer::covers(held, Capabilities::NONE, &want(scope)))
        };
        let messages: Vec<_> = found
            .iter()
            .filter(|held| covers(held))
            .map(|held| {
                // What is held through the domain of an address counts as the caller's own.
                let mut message = session::Session::from(held);
                message.principal_id = Some(principal.into());
                Ok(message)
            })
            .collect();
        Ok(Box::pin(futures::stream::iter(messages)))
    }
}

impl Ask for tokens::Load {
    type Answer = session::Session;

    async fn answer(service: &Service, caller: &Caller, request: LoadRequest) -> Result<session::Session> {
        let missing = Error::NotFound("session");
        let metadata = &service.store.metadata;
        let found = match request.kind {
            None => return Err(Error::invalid("kind", "by ID or name")),
            Some(load_request::Kind::Id(id)) => match session::Id::parse(Some(&id)) {
                Some(id) => metadata.find_session(id).await?,
                None => return Err(Error::invalid("ID", "which session")),
            },
            Some(load_request::Kind::Name(name)) if name.contains('\0') => return Err(missing),
            Some(load_request::Kind::Name(name)) => match caller.principal() {
                Some(principal) => metadata.find_session_by_name(principal, &name).await?,
                None => None,
            },
        };
        let Some(found) = found else { return Err(missing) };
        let holder = found.session.principal.unwrap_or(PrincipalId::UNAUTHENTICATED);
        let own = caller.principal() == Some(holder);
        if own || caller.authority().may(Capabilities::DELEGATE, &Want::Principal(holder)) {
            Ok((&found.session).into())
        } else {
            Err(missing)
        }
    }
}

impl Ask for tokens::Invalidate {
    type Answer = ();

    async fn answer(service: &Service, caller: &Caller, request: InvalidateRequest) -> Result<()> {
        use invalidate_request::Kind;
        let metadata = &service.store.metadata;
        let own = caller.session().id;
        let id = match request.kind {
            Some(Kind::Current(true)) => own,
            Some(Kind::Id(id)) => session::Id::parse(Some(&id)),
            None | Some(Kind::Current(false)) => None,
        };
        let id = id.ok_or_else(|| Error::invalid("Kind", "the ID of a session, or current"))?;
        let Some(found) = metadata.find_session(id).await? else { return Ok(()) };
        if own != Some(id) && !may_end(caller, &found.session) {
            return Err(Error::denied(cacheroach_api::text::INSUFFICIENT_SCOPE));
        }
        Ok(metadata.end_session(id).await?)
    }
}

/// By the caller's own session, not by its grants: over the session's holder, or all of the tenant that it is on.
fn may_end(caller: &Caller, session: &Session) -> bool {
    let authority = caller.authority();
    let over_holder = session
        .principal
        .is_some_and(|holder| authority.may_itself(Capabilities::DELEGATE, &Want::Principal(holder)));
    let over_tenant = match &session.scope {
        Some(Scope::Location(location)) => {
            let everything =
                Location { tenant: location.tenant, pattern: Pattern::everything(), version: None };
            authority.may_itself(Capabilities::DELEGATE, &Want::Location(everything))
        }
        _ => false,
    };
    over_holder || over_tenant
}

impl Ask for tokens::Refresh {
    type Answer = IssueResponse;

    async fn answer(service: &Service, caller: &Caller, (): ()) -> Result<IssueResponse> {
        let old = caller.session().id.ok_or_else(Error::over)?;
        let id = SessionId::random(service.random.id());
        let new = service.store.metadata.renew_session(old, id).await?.ok_or_else(Error::over)?;
        let jwt = claims::sign(&service.keys, &new, service.now());
        Ok(IssueResponse { issued: Some((&new).into()), token: Some(Token { jwt }) })
    }
}

impl Ask for tokens::Validate {
    type Answer = session::Session;

    /// Whoever holds a token may know what it stands for. One that is over stands for nothing.
    async fn answer(service: &Service, _: &Caller, request: Token) -> Result<session::Session> {
        match claims::verify(&service.keys, &request.jwt, service.now())? {
            Presented::Link(_) => Ok(session::Session::default()),
            Presented::Session(claimed) => match service.live(claimed).await {
                Ok(session) => Ok(shown(&session)),
                Err(Error::Unauthenticated(_) | Error::NotFound(_)) => Ok(session::Session::default()),
                Err(error) => Err(error),
            },
        }
    }
}
