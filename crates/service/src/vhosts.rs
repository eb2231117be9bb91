//! Virtual hosts.

use std::sync::Arc;

use cacheroach_api::method::vhosts;
use cacheroach_api::vhost::{EnsureRequest, VHost};
use cacheroach_model::{Host, IndexName, Origin, Path, Vhost, VhostSettings};
use cacheroach_store::Error as StoreError;

use crate::door::{Ask, AskStream, Stream, pages};
use crate::tenants::named;
use crate::{Caller, Error, Result, Service};

impl Ask for vhosts::Ensure {
    type Answer = ();

    async fn answer(service: &Service, _: &Caller, request: EnsureRequest) -> Result<()> {
        let message = request.vhost.ok_or_else(|| Error::invalid("vhost", "which one"))?;
        let host = Host::parse(&message.vhost).map_err(|problem| Error::invalid("vhost.vhost", problem))?;
        let tenant = named(message.tenant_id.as_ref(), "vhost.tenant_id")?;
        let change = service.sites.change();
        if request.delete {
            service.store.metadata.delete_vhost(&Vhost::new(host, tenant)).await?;
        } else {
            let vhost = Vhost { host, tenant, settings: settings(&message)? };
            match service.store.metadata.ensure_vhost(&vhost).await {
                Err(StoreError::Missing(_)) => return Err(Error::NotFound("tenant")),
                other => other?,
            }
        }
        service.renew_sites(change).await
    }
}

/// How many origins a vhost may name.
const MAX_ORIGINS: usize = 64;

fn settings(message: &VHost) -> Result<VhostSettings> {
    if message.cors.len() > MAX_ORIGINS {
        return Err(Error::TooLarge(format!("vhost.cors: at most {MAX_ORIGINS} origins")));
    }
    let cors = message.cors.iter().map(|origin| {
        Origin::parse(origin)
            .map_err(|problem| Error::invalid("vhost.cors", format!("{}: {problem}", origin.escape_debug())))
    });
    let index = IndexName::parse(&message.index);
    let error_page = (!message.error_page.is_empty()).then(|| Path::parse_file(&message.error_page));
    Ok(VhostSettings {
        login: message.login,
        cors: cors.collect::<Result<_>>()?,
        spa: message.spa,
        index: index.map_err(|problem| Error::invalid("vhost.index", problem))?,
        error_page: error_page.transpose().map_err(|problem| Error::invalid("vhost.error_page", problem))?,
    })
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
