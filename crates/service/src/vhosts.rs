//! Virtual hosts.

use std::sync::Arc;

use cacheroach_api::method::vhosts;
use cacheroach_api::vhost::{EnsureRequest, VHost};
use cacheroach_model::{Host, Scope, TenantId, Vhost};
use cacheroach_store::Error as StoreError;

use crate::door::{Ask, AskStream, Stream, pages};
use crate::tenants::named;
use crate::{Caller, Error, Result, Service};

impl Ask for vhosts::Ensure {
    type Answer = ();

    async fn answer(service: &Service, _: &Caller, request: EnsureRequest) -> Result<()> {
        let message = request.vhost.ok_or_else(|| Error::invalid("vhost", "which one"))?;
        let host = Host::parse(&message.vhost).map_err(|problem| Error::invalid("vhost.vhost", problem))?;
        let vhost = Vhost { host, tenant: named(message.tenant_id.as_ref(), "vhost.tenant_id")? };
        if request.delete {
            return Ok(service.store.metadata.delete_vhost(&vhost).await?);
        }
        match service.store.metadata.ensure_vhost(&vhost).await {
            Err(StoreError::Missing(_)) => Err(Error::NotFound("tenant")),
            other => Ok(other?),
        }
    }
}

impl AskStream for vhosts::List {
    async fn answer(service: &Arc<Service>, _: &Caller, (): ()) -> Result<Stream<VHost>> {
        let service = Arc::clone(service);
        Ok(pages(move |after: Option<Vhost>, limit| {
            let service = Arc::clone(&service);
            async move {
                let after = after.as_ref().map(|vhost| &vhost.host);
                Ok(service.store.metadata.list_vhosts(after, limit).await?)
            }
        }))
    }
}

impl Service {
    /// The tenant that a caller sees at a host. A host that is mapped by name decides; a session on another tenant sees
    /// nothing there. Any other host shows a session its own tenant, and whoever has none that of `*`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a host that shows nothing.
    pub async fn site(&self, caller: &Caller, host: &Host) -> Result<TenantId> {
        let own = match &caller.session().scope {
            Some(Scope::Location(location)) => Some(location.tenant),
            _ => None,
        };
        let nothing = Error::NotFound("host");
        match (self.store.metadata.find_vhost(host).await?, own) {
            (Some(named), Some(own)) if named.tenant != own => Err(nothing),
            (Some(named), _) => Ok(named.tenant),
            (None, Some(own)) => Ok(own),
            (None, None) => {
                let any = self.store.metadata.find_vhost(&Host::any()).await?;
                any.map(|any| any.tenant).ok_or(nothing)
            }
        }
    }
}
