//! Tenants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cacheroach_api::method::tenants;
use cacheroach_api::tenant::{
    self, EnsureRequest, EnsureResponse, GetRequest, GetResponse, WhereRequest, WhereResponse,
};
use cacheroach_model::{Region, Retention, Tenant, TenantId};
use cacheroach_store::chunks::Whereabouts;

use crate::door::{Ask, AskStream, Stream, pages};
use crate::{Caller, Error, Result, Service};

/// In seconds: a thousand years.
const LONGEST_AGE: u64 = 1000 * 365 * 24 * 3600;

/// The tier that rows of the database are.
const DB: &str = "db";

/// How many chunks are counted at a time.
const COUNTED: usize = 4096;

/// The tenant that a request names.
pub(crate) fn named(id: Option<&tenant::Id>, field: &str) -> Result<TenantId> {
    tenant::Id::parse(id).ok_or_else(|| Error::invalid(field, "which tenant"))
}

/// Texts that people give to things, in bytes.
pub(crate) fn check_label(field: &str, text: &str) -> Result<()> {
    match text {
        text if text.len() > 1024 => Err(Error::invalid(field, "at most 1024 bytes")),
        // Not every database can keep it.
        text if text.contains('\0') => Err(Error::invalid(field, "no zero characters")),
        _ => Ok(()),
    }
}

fn retention(message: tenant::Retention) -> Result<Retention> {
    let age = message.age.map(|age| {
        let age = Duration::try_from(age).ok().filter(|age| age.as_secs() <= LONGEST_AGE);
        age.ok_or_else(|| Error::invalid("tenant.retention.age", "0 to 1000 years"))
    });
    Ok(Retention { versions: message.versions, age: age.transpose()? })
}

impl Ask for tenants::Ensure {
    type Answer = EnsureResponse;

    async fn answer(service: &Service, _: &Caller, request: EnsureRequest) -> Result<EnsureResponse> {
        let message = request.tenant.ok_or_else(|| Error::invalid("tenant", "which one"))?;
        let id = named(message.id.as_ref(), "tenant.ID")?;
        if request.delete {
            // Its hosts go with it.
            let change = service.sites.change();
            service.store.metadata.delete_tenant(id, message.version).await?;
            service.renew_sites(change).await?;
            return Ok(EnsureResponse { tenant: Some(message) });
        }
        if message.version < 0 {
            return Err(Error::invalid("tenant.version", "versions count from 1; 0 creates"));
        }
        if message.version == 0 && message.label.is_empty() {
            return Err(Error::invalid("tenant.label", "a new tenant needs one"));
        }
        check_label("tenant.label", &message.label)?;
        let region = match message.region.as_str() {
            "" => None,
            name => Some(Region::parse(name).map_err(|e| Error::invalid("tenant.region", e.to_string()))?),
        };
        let retention = message.retention.map(retention).transpose()?;
        let tenant = Tenant { id, label: message.label, version: message.version, region, retention };
        let stored = service.store.metadata.ensure_tenant(&tenant).await?;
        Ok(EnsureResponse { tenant: Some((&stored).into()) })
    }
}

impl Ask for tenants::Get {
    type Answer = GetResponse;

    async fn answer(service: &Service, _: &Caller, request: GetRequest) -> Result<GetResponse> {
        let id = named(request.id.as_ref(), "ID")?;
        let tenant = service.store.metadata.find_tenant(id).await?.ok_or(Error::NotFound("tenant"))?;
        Ok(GetResponse { tenant: Some((&tenant).into()) })
    }
}

impl Ask for tenants::Where {
    type Answer = WhereResponse;

    async fn answer(service: &Service, _: &Caller, request: WhereRequest) -> Result<WhereResponse> {
        let id = named(request.id.as_ref(), "ID")?;
        let tenant = service.store.metadata.find_tenant(id).await?.ok_or(Error::NotFound("tenant"))?;
        let mut counted: BTreeMap<Whereabouts, (i64, i64)> = BTreeMap::new();
        let (mut after, mut moving) = (None, 0);
        let is_home = match service.store.chunks.by_region() {
            Some(regions) => Some(regions.at_home(id).await?),
            None => None,
        };
        loop {
            let page = service.store.metadata.list_places(id, after, COUNTED).await?;
            for placed in &page {
                if let (Some(is_home), Some(place)) = (&is_home, &placed.place)
                    && !is_home(place)
                {
                    moving += i64::from(placed.length);
                }
                let mut whereabouts = match &placed.place {
                    Some(place) => service.store.chunks.whereabouts(place),
                    None => Whereabouts { region: None, tier: DB.to_owned() },
                };
                // What is in rows is where the tenant's rows belong.
                if whereabouts.tier == DB && whereabouts.region.is_none() {
                    whereabouts.region.clone_from(&tenant.region);
                }
                let (chunks, bytes) = counted.entry(whereabouts).or_default();
                *chunks += 1;
                *bytes += i64::from(placed.length);
            }
            match page.last() {
                Some(last) if page.len() == COUNTED => after = Some(last.chunk),
                _ => break,
            }
        }
        let shown = |region: Option<Region>| region.map(|region| region.to_string()).unwrap_or_default();
        let places = counted.into_iter().map(|(Whereabouts { region, tier }, (chunks, bytes))| {
            tenant::Whereabouts { region: shown(region), tier, chunks, bytes }
        });
        Ok(WhereResponse { places: places.collect(), home: shown(tenant.region), moving })
    }
}

impl AskStream for tenants::List {
    async fn answer(service: &Arc<Service>, _: &Caller, (): ()) -> Result<Stream<tenant::Tenant>> {
        let service = Arc::clone(service);
        Ok(pages(move |after: Option<Tenant>, limit| {
            let service = Arc::clone(&service);
            async move {
                let after = after.map(|tenant| tenant.id);
                Ok(service.store.metadata.list_tenants(after, limit).await?)
            }
        }))
    }
}
