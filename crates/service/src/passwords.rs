//! Passwords: one more way to get a session.

use std::time::Duration;

use cacheroach_api::method::{principals, tokens};
use cacheroach_api::principal::{self, SetPasswordRequest};
use cacheroach_api::token::{IssueResponse, LoginRequest, Token};
use cacheroach_auth::claims;
use cacheroach_model::{Capabilities, PrincipalId, Scope, Session, SessionId};
use cacheroach_store::Error as StoreError;
use cacheroach_store::passwords::Password;
use cacheroach_store::sessions::Origin;

use crate::throttle::{TooSoon, Try};
use crate::{Ask, Caller, Error, Result, Service};

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;
const LONGEST_USER: usize = 255;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a session lives that nothing else is said of, and at the most.
const LIFE: Duration = DAY.saturating_mul(30);
const LONGEST_LIFE: Duration = DAY.saturating_mul(365);

/// The same for a user that is none and for a password that is wrong.
const WRONG: &str = "wrong user name or password";

fn check_user(user: &str) -> Result<()> {
    if user.is_empty() || user.len() > LONGEST_USER || user.chars().any(char::is_control) {
        return Err(Error::invalid("user", "1 to 255 bytes, without control characters"));
    }
    Ok(())
}

fn check_password(password: &str) -> Result<()> {
    if (SHORTEST..=LONGEST).contains(&password.len()) {
        Ok(())
    } else {
        Err(Error::invalid("password", "8 to 1024 bytes"))
    }
}

impl Ask for principals::SetPassword {
    type Answer = ();

    async fn answer(service: &Service, caller: &Caller, request: SetPasswordRequest) -> Result<()> {
        let id = principal::Id::parse(request.principal.as_ref())
            .ok_or_else(|| Error::invalid("principal", "which one"))?;
        if caller.session().is_super() {
            service.set_any_password(id, request).await
        } else if caller.principal() == Some(id) {
            service.change_own_password(caller, id, request).await
        } else {
            Err(Error::denied(cacheroach_api::text::INSUFFICIENT_SCOPE))
        }
    }
}

impl Ask for tokens::Login {
    type Answer = IssueResponse;

    async fn answer(service: &Service, caller: &Caller, request: LoginRequest) -> Result<IssueResponse> {
        if request.user.is_empty() {
            return Err(Error::wrong_login(WRONG));
        }
        check_user(&request.user)?;
        if request.password.len() > LONGEST {
            return Err(Error::invalid("password", "8 to 1024 bytes"));
        }
        let life = match request.valid_for {
            None => LIFE,
            Some(length) => Duration::try_from(length)
                .ok()
                .filter(|length| !length.is_zero())
                .ok_or_else(|| Error::invalid("valid_for", "more than nothing"))?,
        };
        let tried = service.may_try(caller, &request.user)?;
        let kept = service.store.metadata.find_password_by_user(&request.user).await?;
        let (principal, hash) = kept.map(|kept| (kept.principal, kept.hash)).unzip();
        let right = service.hashing.matches(request.password, hash).await?;
        let Some(principal) = principal.filter(|_| right) else {
            return Err(Error::wrong_login(WRONG));
        };
        service.throttle.give_back(&tried);
        service.log_in(principal, life.min(LONGEST_LIFE)).await
    }
}

impl Service {
    async fn set_any_password(&self, id: PrincipalId, request: SetPasswordRequest) -> Result<()> {
        let metadata = &self.store.metadata;
        if id == PrincipalId::UNAUTHENTICATED {
            return Err(Error::State("anonymous callers have no password".into()));
        }
        if request.password.is_empty() {
            return match metadata.find_principal(id).await? {
                Some(_) => Ok(metadata.delete_password(id).await?),
                None => Err(Error::NotFound("principal")),
            };
        }
        check_password(&request.password)?;
        let kept = metadata.find_password(id).await?.map(|kept| kept.user);
        let user = if request.user.is_empty() { kept.unwrap_or_default() } else { request.user };
        check_user(&user)?;
        self.keep(id, user, request.password, None).await
    }

    async fn change_own_password(
        &self,
        caller: &Caller,
        id: PrincipalId,
        request: SetPasswordRequest,
    ) -> Result<()> {
        check_password(&request.password)?;
        if request.old_password.len() > LONGEST {
            return Err(Error::invalid("old_password", "8 to 1024 bytes"));
        }
        // Sessions are handed on: whoever holds one could guess here, too.
        let tried = self.may_try(caller, &id.to_string())?;
        let kept = self.store.metadata.find_password(id).await?;
        let hash = kept.as_ref().map(|kept| kept.hash.clone());
        let right = self.hashing.matches(request.old_password, hash).await?;
        let Some(kept) = kept.filter(|_| right) else {
            return Err(Error::denied("the old password is wrong"));
        };
        self.throttle.give_back(&tried);
        if !request.user.is_empty() && request.user != kept.user {
            return Err(Error::denied("user names are for superusers to choose"));
        }
        self.keep(id, kept.user, request.password, Some(&kept.hash)).await
    }

    async fn keep(
        &self,
        principal: PrincipalId,
        user: String,
        password: String,
        instead_of: Option<&str>,
    ) -> Result<()> {
        let hash = self.hashing.hash(password, self.random.id()).await?;
        let new = Password { principal, user, hash };
        match self.store.metadata.set_password(&new, instead_of).await {
            Err(StoreError::Skew) => Err(Error::Conflict("the password was changed meanwhile")),
            other => Ok(other?),
        }
    }

    fn may_try(&self, caller: &Caller, user: &str) -> Result<Try> {
        self.throttle.take(user, caller.peer(), self.now()).map_err(|TooSoon(wait)| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Error::TooMany(format!("too many tries; try again in {seconds} seconds"))
        })
    }

    /// A session like any other, made for nobody else.
    async fn log_in(&self, principal: PrincipalId, life: Duration) -> Result<IssueResponse> {
        let session = Session {
            id: Some(SessionId::random(self.random.id())),
            principal: Some(principal),
            capabilities: Capabilities::ALL,
            scope: Some(Scope::Principal(principal)),
            expires_at: Some(self.now().after(life)),
            name: String::new(),
            note: "created via password login".into(),
        };
        match self.store.metadata.add_session(&session, Origin::default()).await {
            // It was deleted just now.
            Err(StoreError::Missing(_)) => Err(Error::wrong_login(WRONG)),
            added => {
                added?;
                let jwt = claims::sign(&self.keys, &session, self.now());
                Ok(IssueResponse { issued: Some((&session).into()), token: Some(Token { jwt }) })
            }
        }
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
