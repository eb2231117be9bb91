//! Who is asking: from credentials to a [`Caller`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use cacheroach_auth::{Authority, Link, Presented, claims};
use cacheroach_model::{Capabilities, Clock, PrincipalId, Session, TenantId, Timestamp};
use cacheroach_store::Store;
use cacheroach_store::changes::FRESH;
use cacheroach_store::sessions::Standing;

use crate::bootstrap::PUBLIC_SESSION;
use crate::error::{Unproven, Why};
use crate::lately::{Identity, Lately};
use crate::links::must_be_there;
use crate::{Error, Result, Service};

/// Who is asking, with all that decides what it may do. Made for each request.
#[derive(Clone)]
pub struct Caller {
    session: Arc<Session>,
    grants: Arc<[Session]>,
    public: Arc<[Session]>,
    vhost_tenant: Option<TenantId>,
    token: Option<Arc<str>>,
    peer: Option<IpAddr>,
    /// What was followed to come here, if it was a link.
    link: Option<Arc<Link>>,
    seen: Seen,
    /// Whether that was before this request.
    remembered: bool,
}

/// When it was found out who somebody is.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    at: Timestamp,
    /// How many changes had been told of before.
    changes: u64,
}

/// Without the token, which must not get into a log.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("session", &self.session.id).finish_non_exhaustive()
    }
}

impl Caller {
    /// The session, as the caller may know it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The token that was presented.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether no credentials came, or those of nobody in particular.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.session.is_anonymous()
    }

    /// The same, asking a host that shows this tenant.
    #[must_use]
    pub fn at(mut self, tenant: TenantId) -> Self {
        self.vhost_tenant = Some(tenant);
        self
    }

    /// The same, calling from an address.
    #[must_use]
    pub fn from(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// The address it calls from: that of the connection, whatever a header says.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// How many sessions it holds besides its own.
    pub(crate) fn held(&self) -> usize {
        self.grants.len() + self.public.len()
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority {
            session: &self.session,
            grants: &self.grants,
            public: &self.public,
            vhost_tenant: self.vhost_tenant,
        }
    }

    /// The same, having followed a link.
    pub(crate) fn by(mut self, link: Link) -> Self {
        self.link = Some(Arc::new(link));
        self
    }

    /// For work on behalf of a principal that asks nothing of its own.
    pub(crate) fn principal(&self) -> Option<PrincipalId> {
        self.session.principal
    }
}

impl Service {
    /// Whoever comes without credentials.
    ///
    /// # Errors
    /// The store's.
    pub async fn anonymous(&self) -> Result<Caller> {
        match self.callers.recall(&Identity::Nobody) {
            Some(caller) => Ok(caller),
            None => self.look_for_nobody().await,
        }
    }

    async fn look_for_nobody(&self) -> Result<Caller> {
        let nobody = PrincipalId::UNAUTHENTICATED;
        let seen = self.callers.seen();
        let found = self.store.metadata.find_session_by_name(nobody, PUBLIC_SESSION).await?;
        let session = match found.filter(|found| found.standing == Standing::Live) {
            Some(found) => found.session,
            // An operator has closed the public door: anonymous callers are known to be that, and may do nothing.
            None => Session {
                id: None,
                principal: Some(nobody),
                capabilities: Capabilities::NONE,
                scope: None,
                expires_at: None,
                name: String::new(),
                note: String::new(),
            },
        };
        let caller = self.callers.caller(session, None, seen).await?;
        self.callers.remember(Identity::Nobody, &caller);
        Ok(caller)
    }

    /// Whoever holds this token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a token that is not one, is over, or is a signed URL's, which is good at its own
    /// address only. [`Error::NotFound`] when the tenant it is on is no more.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        let (lately, now) = (&self.callers.lately, self.now());
        if let Some(claimed) = lately.claimed(token, now) {
            return self.callers.identify(claimed, token.into()).await;
        }
        match claims::verify(&self.keys, token, now)? {
            Presented::Session(claimed) => {
                lately.verified(token.into(), claimed.clone(), now);
                self.callers.identify(claimed, token.into()).await
            }
            Presented::Link(_) => {
                Err(Error::Unauthenticated("a signed URL is good at its own address only".into()))
            }
        }
    }

    /// The same caller by a look at the store, if this one was only remembered: what it was granted a moment ago, by way of
    /// another server, may not be known here yet.
    ///
    /// # Errors
    /// As [`Service::authenticate`].
    pub(crate) async fn looked_at(&self, caller: &Caller) -> Result<Option<Caller>> {
        if !caller.remembered {
            return Ok(None);
        }
        let looked_at = match &caller.token {
            Some(_) => self.renewed(caller).await?,
            None => self.look_for_nobody().await?,
        };
        let (vhost_tenant, peer) = (caller.vhost_tenant, caller.peer);
        Ok(Some(Caller { vhost_tenant, peer, ..looked_at }))
    }

    /// What a token says and the store confirms.
    pub(crate) async fn live(&self, claimed: Session) -> Result<Session> {
        self.callers.live(claimed).await
    }

    /// The same caller, by what is known of it now.
    ///
    /// # Errors
    /// As [`Service::authenticate`].
    pub(crate) async fn renewed(&self, caller: &Caller) -> Result<Caller> {
        self.callers.renewed(caller).await
    }
}

/// Finds out who somebody is, by what is kept.
#[derive(Clone)]
pub(crate) struct Callers {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Who came lately; it counts as long as nobody told of a change, and four seconds at most.
    lately: Arc<Lately>,
}

impl Callers {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Callers { store, clock, lately: Arc::default() }
    }

    /// Whoever is remembered and has not changed since, as far as anybody knows.
    fn recall(&self, identity: &Identity) -> Option<Caller> {
        self.lately.caller(identity).filter(|caller| self.is_still_good(caller))
    }

    fn remember(&self, identity: Identity, caller: &Caller) {
        let Caller { session, grants, public, seen, .. } = caller.clone();
        let (token, peer, link, vhost_tenant) = (None, None, None, None);
        let remembered =
            Caller { session, grants, public, vhost_tenant, token, peer, link, seen, remembered: true };
        self.lately.remember(identity, remembered);
    }

    /// Whoever holds a token that says this.
    ///
    /// # Errors
    /// As [`Service::authenticate`].
    async fn identify(&self, claimed: Session, token: Arc<str>) -> Result<Caller> {
        let known = self.recall(&Identity::of(&claimed));
        if let Some(known) = known.filter(|known| known.session.principal == claimed.principal) {
            let session = if claimed.id.is_some() { known.session } else { Arc::new(claimed) };
            return Ok(Caller { session, token: Some(token), ..known });
        }
        let seen = self.seen();
        let session = self.live(claimed).await?;
        let caller = self.caller(session, Some(token), seen).await?;
        self.remember(Identity::of(&caller.session), &caller);
        Ok(caller)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// To be asked for before anything is read.
    pub(crate) fn seen(&self) -> Seen {
        Seen { at: self.now(), changes: self.store.metadata.changes().authority() }
    }

    /// Whether a look at the store would tell nothing new of a caller, as far as anybody knows.
    pub(crate) fn is_fresh(&self, caller: &Caller) -> bool {
        let (seen, now) = (caller.seen, self.seen());
        seen.changes == now.changes && seen.at <= now.at && now.at.since(seen.at) < FRESH
    }

    /// The same of a caller of whose sessions none has run out since, either.
    pub(crate) fn is_still_good(&self, caller: &Caller) -> bool {
        let now = self.now();
        let is_over = |session: &Session| session.expires_at.is_some_and(|end| end <= now);
        let mut held = caller.grants.iter().chain(&*caller.public).chain([&*caller.session]);
        self.is_fresh(caller) && caller.link.is_none() && !held.any(is_over)
    }

    /// What a token says and the store confirms. Its row decides, the token only proves who holds it.
    pub(crate) async fn live(&self, claimed: Session) -> Result<Session> {
        let Some(id) = claimed.id else {
            // Ephemeral: minted by a holder of the key. Its principal, if it has one, must exist.
            if let Some(principal) = claimed.principal
                && self.store.metadata.find_principal(principal).await?.is_none()
            {
                return Err(Error::over());
            }
            return Ok(claimed);
        };
        let found = self.store.metadata.find_session(id).await?.ok_or_else(Error::over)?;
        match found.standing {
            Standing::Live if found.session.principal == claimed.principal => Ok(found.session),
            // It ran out between the look at its token and the look at its row.
            Standing::Ended if claimed.expires_at.is_some_and(|end| end <= self.now()) => {
                Err(Error::Unauthenticated(Unproven::because(Why::Expired, "the session is over")))
            }
            Standing::Live | Standing::Ended => Err(Error::over()),
            Standing::TenantGone => Err(Error::NotFound("tenant")),
        }
    }

    /// The same caller, by what is known of it now.
    ///
    /// # Errors
    /// As [`Service::authenticate`].
    pub(crate) async fn renewed(&self, caller: &Caller) -> Result<Caller> {
        let seen = self.seen();
        let session = self.live((*caller.session).clone()).await?;
        // Of an ephemeral session only its token knows the end.
        if session.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Error::over());
        }
        let renewed = self.again(caller, session, seen).await?;
        if caller.remembered && caller.token.is_some() {
            self.remember(Identity::of(&renewed.session), &renewed);
        }
        Ok(renewed)
    }

    /// The same caller, in the middle of an answer. That its time ran out meanwhile does not matter: it did not when the
    /// answer began. Whatever else ends a session, a link or a grant does.
    ///
    /// # Errors
    /// As [`Service::authenticate`].
    pub(crate) async fn still(&self, caller: &Caller) -> Result<Caller> {
        let seen = self.seen();
        if let Some(link) = &caller.link {
            let row = self.store.metadata.find_link(link.id).await?;
            must_be_there(row.as_ref(), link.counted, &link.networks, caller.peer)?;
            self.signer_must(link).await?;
        }
        let session = match caller.session.id {
            Some(id) => {
                let found = self.store.metadata.find_session(id).await?.ok_or_else(Error::over)?;
                let ran_out = found.session.expires_at == caller.session.expires_at;
                match found.standing {
                    Standing::Live => found.session,
                    Standing::Ended if ran_out => found.session,
                    Standing::Ended => return Err(Error::over()),
                    Standing::TenantGone => return Err(Error::NotFound("tenant")),
                }
            }
            None => self.live((*caller.session).clone()).await?,
        };
        self.again(caller, session, seen).await
    }

    async fn again(&self, caller: &Caller, session: Session, seen: Seen) -> Result<Caller> {
        let again = self.caller(session, caller.token.clone(), seen).await?;
        let (vhost_tenant, peer, link) = (caller.vhost_tenant, caller.peer, caller.link.clone());
        Ok(Caller { vhost_tenant, peer, link, ..again })
    }

    pub(crate) async fn caller(
        &self,
        session: Session,
        token: Option<Arc<str>>,
        seen: Seen,
    ) -> Result<Caller> {
        let (grants, public) = match session.lookup() {
            Some(principal) => (self.grants(principal).await?, self.public_grants(principal).await?),
            None => (Vec::new(), Vec::new()),
        };
        Ok(Caller {
            session: Arc::new(session),
            grants: grants.into(),
            public: public.into(),
            vhost_tenant: None,
            token,
            peer: None,
            link: None,
            seen,
            remembered: false,
        })
    }

    pub(crate) async fn grants(&self, principal: PrincipalId) -> Result<Vec<Session>> {
        Ok(self.store.metadata.list_grants(principal).await?)
    }

    async fn public_grants(&self, of: PrincipalId) -> Result<Vec<Session>> {
        if of == PrincipalId::UNAUTHENTICATED {
            Ok(Vec::new())
        } else {
            self.grants(PrincipalId::UNAUTHENTICATED).await
        }
    }
}
