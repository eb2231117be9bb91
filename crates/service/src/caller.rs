//! Who is asking: from credentials to a [`Caller`].

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use cacheroach_auth::{Authority, Presented, claims};
use cacheroach_model::{Capabilities, PrincipalId, Session, TenantId};
use cacheroach_store::sessions::Standing;

use crate::bootstrap::PUBLIC_SESSION;
use crate::error::{Unproven, Why};
use crate::{Error, Result, Service};

/// Who is asking, with all that decides what it may do. Made anew for each request.
#[derive(Clone)]
pub struct Caller {
    session: Session,
    grants: Arc<[Session]>,
    public: Arc<[Session]>,
    vhost_tenant: Option<TenantId>,
    token: Option<Arc<str>>,
    peer: Option<IpAddr>,
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

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority {
            session: &self.session,
            grants: &self.grants,
            public: &self.public,
            vhost_tenant: self.vhost_tenant,
        }
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
        let nobody = PrincipalId::UNAUTHENTICATED;
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
        self.caller(session, None).await
    }

    /// Whoever holds this token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a token that is not one, is over, or is a signed URL's, which is good at its own
    /// address only. [`Error::NotFound`] when the tenant it is on is no more.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        match claims::verify(&self.keys, token, self.now())? {
            Presented::Session(session) => {
                let session = self.live(session).await?;
                self.caller(session, Some(token.into())).await
            }
            Presented::Link(_) => {
                Err(Error::Unauthenticated("a signed URL is good at its own address only".into()))
            }
        }
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
        let session = self.live(caller.session.clone()).await?;
        // Of an ephemeral session only its token knows the end.
        if session.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Error::over());
        }
        let renewed = self.caller(session, caller.token.clone()).await?;
        Ok(Caller { vhost_tenant: caller.vhost_tenant, peer: caller.peer, ..renewed })
    }

    pub(crate) async fn caller(&self, session: Session, token: Option<Arc<str>>) -> Result<Caller> {
        let (grants, public) = match session.lookup() {
            Some(principal) => (self.grants(principal).await?, self.public_grants(principal).await?),
            None => (Vec::new(), Vec::new()),
        };
        Ok(Caller {
            session,
            grants: grants.into(),
            public: public.into(),
            vhost_tenant: None,
            token,
            peer: None,
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
