//! Where the bytes of chunks are kept: one tier, or one for each region.

use std::path::PathBuf;

use cacheroach_model::Region;

use crate::chunks::object::{Address, AddressError};

/// Where the bytes of chunks are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tier {
    /// Rows of the metadata database: `db`.
    Db,
    /// Pack files in a folder: `disk:DIR`.
    Disk(PathBuf),
    /// The memory of this process, for tests: `memory:`.
    Memory,
    /// An object store: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `file:///DIR`.
    Object(Address),
    /// One for each region: `eu=s3://a,us=gs://b`.
    Regions {
        /// By region, at least one, no two the same.
        tiers: Vec<(Region, Tier)>,
        /// Of tenants in all other regions, and of what was written before there were regions: `default=…`. Without one,
        /// tenants in other regions have the first one's.
        default: Option<Box<Tier>>,
    },
}

/// What is no tier. It never shows more of a URL than its scheme or the name of a parameter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TierError {
    /// Of an object store.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A kind of tier that there is not.
    #[error("no chunk tier has the scheme {0:?}")]
    Scheme(String),
    /// What stands there is no tier at all.
    #[error(
        "expected db, disk:DIR, s3://BUCKET/PREFIX, gs://…, az://…, file:///DIR, or REGION=… for several"
    )]
    Form,
    /// A part of a list without a region.
    #[error("expected REGION=TIER,REGION=TIER; a comma within one is %2C")]
    Regions,
    /// A region that is named twice, or whose tier is another's too: what belongs to whom could not be told.
    #[error("{0} is there twice")]
    Twice(String),
}

impl Tier {
    /// From the text of a flag.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TierError> {
        // Neither a scheme nor a path before an equals sign looks like a region.
        match text.split_once('=') {
            Some((region, _)) if Region::parse(region).is_ok() => Tier::parse_regions(text),
            _ => Tier::parse_one(text),
        }
    }

    /// Whether chunks of some tenants are rows of the metadata database.
    pub(crate) fn has_rows(&self) -> bool {
        match self {
            Tier::Db => true,
            Tier::Disk(_) | Tier::Memory | Tier::Object(_) => false,
            Tier::Regions { tiers, default } => {
                tiers.iter().any(|(_, tier)| tier.has_rows())
                    || default.as_ref().is_some_and(|tier| tier.has_rows())
            }
        }
    }

    fn parse_one(text: &str) -> Result<Self, TierError> {
        if text.contains("://") {
            return Ok(Tier::Object(Address::parse(text)?));
        }
        match text.split_once(':') {
            None if text == "db" => Ok(Tier::Db),
            None => Err(TierError::Form),
            Some(("disk", dir)) if !dir.is_empty() => Ok(Tier::Disk(dir.into())),
            Some(("memory", "")) => Ok(Tier::Memory),
            Some(("disk" | "memory", _)) => Err(TierError::Form),
            Some((scheme, _)) => Err(TierError::Scheme(scheme.to_owned())),
        }
    }

    fn parse_regions(text: &str) -> Result<Self, TierError> {
        let (mut tiers, mut default): (Vec<(Region, Tier)>, Option<Box<Tier>>) = (Vec::new(), None);
        for part in text.split(',') {
            let (region, tier) = part.split_once('=').ok_or(TierError::Regions)?;
            let (region, tier) =
                (Region::parse(region).map_err(|_| TierError::Regions)?, Tier::parse_one(tier)?);
            let is_default = region.as_str() == "default";
            let known = tiers.iter().any(|(other, _)| *other == region) || (is_default && default.is_some());
            let taken = tiers.iter().any(|(_, other)| *other == tier) || default.as_deref() == Some(&tier);
            if known || taken {
                let what = if known { region.to_string() } else { format!("the tier of {region}") };
                return Err(TierError::Twice(what));
            }
            if is_default {
                default = Some(Box::new(tier));
            } else {
                tiers.push((region, tier));
            }
        }
        Ok(Tier::Regions { tiers, default })
    }

    /// Whether what is written is there again when the process is.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Tier::Memory => false,
            Tier::Db | Tier::Disk(_) | Tier::Object(_) => true,
            Tier::Regions { tiers, default } => {
                tiers.iter().all(|(_, tier)| tier.is_lasting())
                    && default.as_ref().is_none_or(|tier| tier.is_lasting())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    #[test]
    fn a_tier_is_what_its_flag_says() {
        assert_eq!(Tier::parse("db"), Ok(Tier::Db));
        assert_eq!(Tier::parse("memory:"), Ok(Tier::Memory));
        assert_eq!(Tier::parse("disk:/a=b,c"), Ok(Tier::Disk("/a=b,c".into())));
        let address = Address::parse("s3://b/p?region=x").unwrap();
        assert_eq!(Tier::parse("s3://b/p?region=x"), Ok(Tier::Object(address)));
        for bad in ["", "disk", "disk:", "memory:x", "dbx", "eu"] {
            assert_eq!(Tier::parse(bad), Err(TierError::Form), "{bad}");
        }
        assert_eq!(Tier::parse("tape:x"), Err(TierError::Scheme("tape".into())));
        assert_eq!(Tier::parse("tape://x"), Err(AddressError::Scheme("tape".into()).into()));
    }

    #[test]
    fn regions_have_tiers_of_their_own() {
        let tier = Tier::parse("eu=s3://a?region=x,us=db,default=disk:d").unwrap();
        let a = Tier::Object(Address::parse("s3://a?region=x").unwrap());
        let default = Some(Box::new(Tier::Disk("d".into())));
        assert_eq!(tier, Tier::Regions { tiers: vec![(region("eu"), a), (region("us"), Tier::Db)], default });
        for bad in ["eu=db,us", "eu=db,", "eu=db,US=disk:d"] {
            assert_eq!(Tier::parse(bad), Err(TierError::Regions), "{bad}");
        }
        assert_eq!(Tier::parse("eu=db,eu=disk:d"), Err(TierError::Twice("eu".into())));
        assert_eq!(Tier::parse("eu=db,us=db"), Err(TierError::Twice("the tier of us".into())));
        assert_eq!(Tier::parse("eu=us=db"), Err(TierError::Form));
    }
}
