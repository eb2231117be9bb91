//! Principals.

use std::sync::Arc;
use std::time::Duration;

use cacheroach_api::method::principals;
use cacheroach_api::principal::{
    self, EnsureRequest, EnsureResponse, LoadRequest, WatchRequest, load_request::Kind,
};
use cacheroach_auth::Want;
use cacheroach_model::{Capabilities, Principal, PrincipalId};
use cacheroach_store::changes::{Change, FRESH, Listener};

use crate::door::{Ask, AskStream, Stream, pages};
use crate::{Caller, Error, Result, Service};

/// Claims are small: an identity, not a document. In bytes.
const MOST_CLAIMS: usize = 64 * 1024;

/// How often a watched principal is looked at, at the most.
const FASTEST_WATCH: Duration = Duration::from_millis(100);

impl Ask for principals::Ensure {
    type Answer = EnsureResponse;

    async fn answer(service: &Service, _: &Caller, request: EnsureRequest) -> Result<EnsureResponse> {
        let message = request.principal.ok_or_else(|| Error::invalid("principal", "which one"))?;
        let id = principal::Id::parse(message.id.as_ref());
        if request.delete {
            let id = id.ok_or_else(|| Error::invalid("principal.ID", "which one"))?;
            if id == PrincipalId::UNAUTHENTICATED {
                return Err(Error::State(
                    "anonymous callers can't be deleted; end their sessions instead".into(),
                ));
            }
            service.store.metadata.delete_principal(id, message.version).await?;
            return Ok(EnsureResponse::default());
        }
        let id = id.unwrap_or_else(|| PrincipalId::random(service.random.id()));
        let stored = service.store.metadata.ensure_principal(&edited(id, message)?).await?;
        Ok(EnsureResponse { principal: Some((&stored).into()) })
    }
}

/// A principal as a request describes it: label and address come from the claims.
fn edited(id: PrincipalId, message: principal::Principal) -> Result<Principal> {
    if message.version < 0 {
        return Err(Error::invalid("principal.version", "versions count from 1; 0 creates"));
    }
    let domain = message.email_domain.to_lowercase();
    if domain.len() > 253 || domain.contains(['@', ' ']) || domain.chars().any(char::is_control) {
        return Err(Error::invalid("principal.email_domain", "a domain, without @"));
    }
    let mut principal = Principal {
        id,
        label: id.to_string(),
        version: message.version,
        claims: None,
        email: None,
        email_domain: (!domain.is_empty()).then_some(domain),
    };
    if message.claims.is_empty() {
        return Ok(principal);
    }
    let wrong = |problem| Error::invalid("principal.claims", problem);
    if message.claims.len() > MOST_CLAIMS {
        return Err(wrong("at most 65536 bytes"));
    }
    let text = String::from_utf8(message.claims).map_err(|_| wrong("JSON is UTF-8"))?;
    let claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|_| wrong("a JSON object"))?;
    let claim =
        |name: &str| claims.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    if let Some(name) = claim("name") {
        crate::tenants::check_label("principal.claims.name", name)?;
        principal.label = name.to_owned();
    }
    principal.email = claim("email").map(str::to_lowercase);
    principal.claims = Some(text);
    Ok(principal)
}

impl Ask for principals::Load {
    type Answer = principal::Principal;

    async fn answer(
        service: &Service,
        caller: &Caller,
        request: LoadRequest,
    ) -> Result<principal::Principal> {
        let metadata = &service.store.metadata;
        // Whether there is an address is personal already: it can be asked for by who may see it.
        let by_address = matches!(request.kind, Some(Kind::Email(_) | Kind::EmailDomain(_)));
        let found = match request.kind {
            None => return Err(Error::invalid("Kind", "by ID, email or email_domain")),
            Some(Kind::Id(id)) => match principal::Id::parse(Some(&id)) {
                Some(id) => metadata.find_principal(id).await?,
                None => None,
            },
            Some(Kind::Email(email)) => metadata.find_principal_by_email(&email.to_lowercase()).await?,
            Some(Kind::EmailDomain(domain)) => {
                metadata.find_principal_by_domain(&domain.to_lowercase()).await?
            }
        };
        let found = found.ok_or(Error::NotFound("principal"))?;
        let own = caller.principal() == Some(found.id);
        if by_address && !own && !caller.authority().may(Capabilities::PII, &Want::Principal(found.id)) {
            return Err(Error::NotFound("principal"));
        }
        Ok((&found).into())
    }
}

impl AskStream for principals::List {
    async fn answer(service: &Arc<Service>, _: &Caller, (): ()) -> Result<Stream<principal::Principal>> {
        let service = Arc::clone(service);
        Ok(pages(move |after: Option<Principal>, limit| {
            let service = Arc::clone(&service);
            async move {
                let after = after.map(|principal| principal.id);
                Ok(service.store.metadata.list_principals(after, limit).await?)
            }
        }))
    }
}

impl AskStream for principals::Watch {
    /// Ends when the principal is no more, and with an error when the caller may not watch any more.
    async fn answer(
        service: &Arc<Service>,
        caller: &Caller,
        request: WatchRequest,
    ) -> Result<Stream<principal::Principal>> {
        let id = principal::Id::parse(request.principal.as_ref())
            .ok_or_else(|| Error::invalid("principal", "which one"))?;
        let every = request.duration.and_then(|length| Duration::try_from(length).ok()).unwrap_or_default();
        if every.is_zero() {
            return Err(Error::invalid("duration", "how often to look"));
        }
        let (service, caller, every) =
            (Arc::clone(service), caller.clone(), every.clamp(FASTEST_WATCH, FRESH));
        let listener = service.store.metadata.changes().listen();
        if service.store.metadata.find_principal(id).await?.is_none() {
            return Err(Error::NotFound("principal"));
        }
        Ok(Box::pin(futures::stream::try_unfold((0, listener), move |(seen, mut listener)| {
            let (service, caller) = (Arc::clone(&service), caller.clone());
            async move {
                loop {
                    service.must_still::<Self>(&caller).await?;
                    let Some(found) = service.store.metadata.find_principal(id).await? else {
                        return Ok(None);
                    };
                    if found.version > seen {
                        return Ok(Some(((&found).into(), (found.version, listener))));
                    }
                    // However much happens, it is not looked at more often than that.
                    tokio::time::sleep(FASTEST_WATCH).await;
                    let _ = tokio::time::timeout(every - FASTEST_WATCH, concern(&mut listener, id, &caller))
                        .await;
                }
            }
        })))
    }
}

/// Waits for news that may concern a watched principal, or whoever watches it.
async fn concern(listener: &mut Listener, watched: PrincipalId, caller: &Caller) {
    loop {
        let concerns = match listener.next().await {
            Change::Principal(id) => id == watched || Some(id) == caller.principal(),
            // A grant may be anybody's.
            Change::Session(_) | Change::Everything => true,
            Change::Tenant(_) | Change::Link(_) | Change::Vhosts => false,
        };
        if concerns {
            return;
        }
    }
}
