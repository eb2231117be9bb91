//! A tier for each region: the bytes of a tenant are written where the tenant is at home.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cacheroach_model::{Region, TenantId};
use futures::future::try_join_all;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::{Chunks, Cursor, KeptChunk, NewChunk, Page, Place, Whereabouts, packed};
use crate::{Error, Result};

/// How long a tenant's home is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(3);
/// Of how many tenants.
const REMEMBERED: usize = 10_000;

/// The first byte of places that name a region. The tiers' own places begin with 0 to 4; but for those of rows as
/// they were at first, which begin with anything.
const NAMED: u8 = b'R';

/// The length of such a place. With a region before it, any place is longer.
const BARE_ROW: usize = 16;

/// Knows where tenants are at home.
#[async_trait]
pub trait Homes: Send + Sync {
    /// The region of a tenant, if there is such a tenant.
    ///
    /// # Errors
    /// The store's.
    async fn home_of(&self, tenant: TenantId) -> Result<Option<Region>>;
}

/// Tiers by region. A place begins with the region that it is in, so what was written stays readable and erasable
/// wherever its tenant moves.
///
/// The default tier has the tenants of all other regions, and its places are its own, without a region: so a store that
/// had one tier becomes one with several by calling that one the default.
pub struct ByRegion {
    tiers: BTreeMap<Region, Arc<dyn Chunks>>,
    fallback: Fallback,
    homes: Arc<dyn Homes>,
    remembered: Cache<TenantId, (Instant, Home)>,
    remembered_for: Duration,
}

/// Where tenants go whose region has no tier.
pub enum Fallback {
    /// To a tier of no region.
    Tier(Arc<dyn Chunks>),
    /// To the tier of this region.
    Region(Region),
}

/// Where bytes are: in a region, or in the default tier.
type Home = Option<Region>;

impl ByRegion {
    /// Over tiers.
    ///
    /// # Errors
    /// The fallback is a region without a tier.
    pub fn new(
        tiers: BTreeMap<Region, Arc<dyn Chunks>>,
        fallback: Fallback,
        homes: Arc<dyn Homes>,
    ) -> Result<Self> {
        match &fallback {
            Fallback::Region(region) if !tiers.contains_key(region) => Err(unknown(region)),
            _ => Ok(ByRegion {
                tiers,
                fallback,
                homes,
                remembered: Cache::new(REMEMBERED),
                remembered_for: REMEMBERED_FOR,
            }),
        }
    }

    /// Asks each time.
    #[cfg(test)]
    pub(super) fn forgetful(self) -> Self {
        ByRegion { remembered_for: Duration::ZERO, ..self }
    }

    /// Which places are home to a tenant, by its row as it is now: what is written here from now on goes to such a one.
    ///
    /// # Errors
    /// The store's.
    pub async fn at_home(&self, tenant: TenantId) -> Result<impl Fn(&Place) -> bool + use<>> {
        let home = self.renew(tenant).await?;
        Ok(move |place: &Place| region_of(place) == home)
    }

    /// Where new bytes of a tenant go.
    async fn home(&self, tenant: TenantId) -> Result<Home> {
        if let Some((since, home)) = self.remembered.get(&tenant)
            && since.elapsed() < self.remembered_for
        {
            return Ok(home);
        }
        self.renew(tenant).await
    }

    async fn renew(&self, tenant: TenantId) -> Result<Home> {
        let home = self.homes.home_of(tenant).await?.filter(|home| self.tiers.contains_key(home));
        let home = match &self.fallback {
            Fallback::Region(region) => home.or_else(|| Some(region.clone())),
            Fallback::Tier(_) => home,
        };
        self.remembered.insert(tenant, (Instant::now(), home.clone()));
        Ok(home)
    }

    fn tier(&self, home: Option<&Region>) -> Result<&dyn Chunks> {
        match (home, &self.fallback) {
            (None, Fallback::Tier(tier)) => Ok(&**tier),
            (None, Fallback::Region(_)) => {
                let what = "a chunk was written before there were regions, and no tier is the default";
                Err(Error::Failed(what.into()))
            }
            (Some(region), _) => self.tiers.get(region).map(|tier| &**tier).ok_or_else(|| unknown(region)),
        }
    }

    /// The tier of a chunk, and the chunk as that tier knows it.
    fn inner(&self, chunk: &KeptChunk) -> Result<(&dyn Chunks, KeptChunk)> {
        let Some((region, rest)) = split(&chunk.place.0) else {
            return Ok((self.tier(None)?, chunk.clone()));
        };
        Ok((self.tier(Some(&region))?, KeptChunk { place: Place(rest.to_vec()), ..chunk.clone() }))
    }

    /// Whether there is a tier for a place.
    #[must_use]
    pub fn reaches(&self, place: &Place) -> bool {
        let region = split(&place.0).map(|(region, _)| region);
        self.tier(region.as_ref()).is_ok()
    }

    /// The one a walk goes on with, the default first.
    fn after(&self, home: &Home) -> Option<Region> {
        self.tiers.keys().find(|other| home.as_ref().is_none_or(|home| *other > home)).cloned()
    }
}

fn unknown(region: &Region) -> Error {
    Error::Failed(format!("no chunk tier for the region {region}").into())
}

/// The region that a place is in; none: it is the default tier's, or the only one's.
#[must_use]
pub fn region_of(place: &Place) -> Option<Region> {
    split(&place.0).map(|(region, _)| region)
}

/// How many bytes are kept for a chunk of this length.
pub(crate) fn kept_length(length: u32, place: &Place) -> u32 {
    match split(&place.0) {
        Some((_, rest)) => packed::kept_length(length, &Place(rest.to_vec())),
        None => packed::kept_length(length, place),
    }
}

/// What tells places of one kind from those of another: the region, and the first byte of what its tier made.
pub(crate) fn form_of(place: &Place) -> (Option<Region>, Option<u8>) {
    match split(&place.0) {
        Some((region, rest)) => (Some(region), rest.first().copied()),
        None => (None, place.0.first().copied()),
    }
}

/// A place: [`NAMED`], the length of the region's name, the name, and what the region's tier made.
fn split(bytes: &[u8]) -> Option<(Region, &[u8])> {
    if bytes.len() == BARE_ROW {
        return None;
    }
    let rest = bytes.strip_prefix(&[NAMED])?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((Region::parse(std::str::from_utf8(name).ok()?).ok()?, rest))
}

fn joined(home: Option<&Region>, rest: Vec<u8>) -> Vec<u8> {
    let Some(region) = home else { return rest };
    let name = region.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("a region's name has at most 63 letters");
    [&[NAMED, length], name, &rest].concat()
}

#[async_trait]
impl Chunks for ByRegion {
    async fn write(&self, chunks: Vec<NewChunk>) -> Result<Vec<Place>> {
        let mut by_home: BTreeMap<Home, Vec<(usize, NewChunk)>> = BTreeMap::new();
        let mut places = vec![Place(Vec::new()); chunks.len()];
        for (at, chunk) in chunks.into_iter().enumerate() {
            by_home.entry(self.home(chunk.tenant).await?).or_default().push((at, chunk));
        }
        let write = |(home, chunks): (Home, Vec<(usize, NewChunk)>)| async move {
            let (at, chunks): (Vec<usize>, Vec<NewChunk>) = chunks.into_iter().unzip();
            let written = self.tier(home.as_ref())?.write(chunks).await?;
            let named = written.into_iter().map(|place| Place(joined(home.as_ref(), place.0)));
            Ok::<_, Error>(at.into_iter().zip(named).collect::<Vec<_>>())
        };
        for (at, place) in try_join_all(by_home.into_iter().map(write)).await?.into_iter().flatten() {
            places[at] = place;
        }
        Ok(places)
    }

    async fn read(&self, chunk: &KeptChunk) -> Result<Bytes> {
        let (tier, chunk) = self.inner(chunk)?;
        tier.read(&chunk).await
    }

    async fn erase(&self, chunk: &KeptChunk) -> Result<()> {
        let (tier, chunk) = self.inner(chunk)?;
        tier.erase(&chunk).await
    }

    /// One tier after the other, the default first.
    async fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Page> {
        let (home, inner) = match after {
            Some(after) => parse(after)?,
            None if matches!(self.fallback, Fallback::Tier(_)) => (None, None),
            None => (self.after(&None), None),
        };
        let mut page = self.tier(home.as_ref())?.list(inner.as_ref(), limit).await?;
        for found in &mut page.chunks {
            found.chunk.place.0 = joined(home.as_ref(), std::mem::take(&mut found.chunk.place.0));
        }
        page.next = match page.next.take() {
            Some(next) => Some(cursor(home.as_ref(), next.0)),
            None => self.after(&home).map(|next| cursor(Some(&next), Vec::new())),
        };
        Ok(page)
    }

    /// The region that the place says, and what the tier there says of itself. A region that has no tier any more is told
    /// all the same.
    fn whereabouts(&self, place: &Place) -> Whereabouts {
        let (region, inner) = match split(&place.0) {
            Some((region, rest)) => (Some(region), Place(rest.to_vec())),
            None => (None, place.clone()),
        };
        match self.tier(region.as_ref()) {
            Ok(tier) => Whereabouts { region, ..tier.whereabouts(&inner) },
            Err(_) => Whereabouts { region, tier: "unknown".to_owned() },
        }
    }

    fn by_region(&self) -> Option<&ByRegion> {
        Some(self)
    }
}

/// As a place, with [`NAMED`] and no name for the default tier. Nothing behind it: from the beginning.
fn cursor(home: Option<&Region>, rest: Vec<u8>) -> Cursor {
    Cursor(if home.is_some() { joined(home, rest) } else { [&[NAMED, 0], &rest[..]].concat() })
}

fn parse(cursor: &Cursor) -> Result<(Home, Option<Cursor>)> {
    let wrong = || Error::Failed("a cursor of another tier".into());
    let (home, rest) = match cursor.0.strip_prefix(&[NAMED, 0]) {
        Some(rest) => (None, rest),
        None => split(&cursor.0).map(|(region, rest)| (Some(region), rest)).ok_or_else(wrong)?,
    };
    Ok((home, (!rest.is_empty()).then(|| Cursor(rest.to_vec()))))
}
