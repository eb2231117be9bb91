//! What every store begins with.

use std::time::Duration;

use bytes::Bytes;
use cacheroach_model::{
    Capabilities, Expected, Host, Location, Metadata, Path, Pattern, Principal, PrincipalId, Scope, Session,
    SessionId, Tenant, TenantId, Vhost,
};
use cacheroach_store::Error as StoreError;
use cacheroach_store::failpoint::{Step, hit};
use cacheroach_store::files::NewFile;
use cacheroach_store::sessions::Origin;

use crate::{Result, Service};
use cacheroach_hash::hash;

/// The session of whoever comes without one.
pub(crate) const PUBLIC_SESSION: &str = "public-access-v0";

/// What lets it read the scratchpad.
const SCRATCHPAD_GRANT: &str = "<bootstrap>";

/// The version of the anonymous principal while the beginning is being made.
const UNFINISHED: i64 = 1;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const HELLO: &str = "<!doctype html><meta charset=utf-8><title>Hello World!</title>";

impl Service {
    /// Makes the beginning of a new store. A start that was cut off is taken up again; once it is all there nothing is
    /// made anew, so that what an operator took away stays away.
    ///
    /// # Errors
    /// The store's.
    pub async fn bootstrap(&self) -> Result<()> {
        let nobody = self.nobody().await?;
        if nobody.version > UNFINISHED {
            return Ok(());
        }
        hit(Step::StartAfterPrincipal);
        self.scratchpad().await?;
        hit(Step::StartAfterTenant);
        let scratchpad = Scope::Location(Location {
            tenant: TenantId::SCRATCHPAD,
            pattern: Pattern::everything(),
            version: None,
        });
        self.ensure_session(SCRATCHPAD_GRANT, "", Capabilities::READ, scratchpad, 10 * YEAR).await?;
        let caps = Capabilities::READ | Capabilities::DELEGATE;
        let public = Scope::Principal(PrincipalId::UNAUTHENTICATED);
        self.ensure_session(PUBLIC_SESSION, "Default public access", caps, public, 100 * YEAR).await?;
        hit(Step::StartAfterSessions);
        is_there(self.store.metadata.ensure_principal(&nobody).await)
    }

    /// Who holds it all. Its second version says that the rest is there too.
    async fn nobody(&self) -> Result<Principal> {
        let label = "Unauthenticated Principal";
        let principal = Principal {
            id: PrincipalId::UNAUTHENTICATED,
            label: label.into(),
            version: 0,
            claims: Some(serde_json::json!({ "name": label, "source": "bootstrap" }).to_string()),
            email: None,
            email_domain: None,
        };
        let metadata = &self.store.metadata;
        if let Some(found) = metadata.find_principal(principal.id).await? {
            return Ok(found);
        }
        match metadata.ensure_principal(&principal).await {
            // Another server was faster.
            Err(StoreError::Skew) => {
                Ok(metadata.find_principal(principal.id).await?.ok_or(StoreError::Skew)?)
            }
            made => Ok(made?),
        }
    }

    /// The tenant, its host and a page.
    async fn scratchpad(&self) -> Result<()> {
        let metadata = &self.store.metadata;
        let tenant = Tenant {
            id: TenantId::SCRATCHPAD,
            label: "Default Scratchpad".into(),
            version: 0,
            ..Default::default()
        };
        is_there(metadata.ensure_tenant(&tenant).await)?;
        metadata.ensure_vhost(&Vhost::new(Host::any(), tenant.id)).await?;
        let path = Path::parse_file("/index.html").expect("a clean path");
        if metadata.find_file(tenant.id, &path, None).await?.is_none() {
            let content = Bytes::from_static(HELLO.as_bytes());
            let (hash, content_type, metadata_pairs) = (hash(&content), String::new(), Metadata::default());
            let page = NewFile {
                tenant: tenant.id,
                path,
                hash,
                content_type,
                metadata: metadata_pairs,
                expected: Expected::Nothing,
            };
            is_there(metadata.put_file(&page, content).await)?;
        }
        Ok(())
    }

    async fn ensure_session(
        &self,
        name: &str,
        note: &str,
        capabilities: Capabilities,
        scope: Scope,
        life: Duration,
    ) -> Result<()> {
        let nobody = PrincipalId::UNAUTHENTICATED;
        if self.store.metadata.find_session_by_name(nobody, name).await?.is_some() {
            return Ok(());
        }
        let session = Session {
            id: Some(SessionId::random(self.random.id())),
            principal: Some(nobody),
            capabilities,
            scope: Some(scope),
            expires_at: Some(self.now().after(life)),
            name: name.into(),
            note: note.into(),
        };
        is_there(self.store.metadata.add_session(&session, Origin::default()).await)
    }
}

/// Several servers may begin at once: what another one made first is as good.
fn is_there<T>(made: Result<T, StoreError>) -> Result<()> {
    match made {
        Ok(_) | Err(StoreError::Skew | StoreError::Taken(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_file_is_the_originals_size() {
        assert_eq!(super::HELLO.len(), 62);
    }
}
