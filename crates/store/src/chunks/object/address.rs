//! Where objects are: a URL, which never holds a secret, and the environment or the machine for the rest.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use super::ObjectSettings;
use crate::{Error, Result};

/// What kind of store it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    S3,
    Google,
    Azure,
    Folder,
}

/// A bucket or folder, and how to reach it.
#[derive(Clone, Eq, PartialEq)]
pub struct Address {
    kind: Kind,
    /// Of a folder, its path.
    bucket: String,
    prefix: String,
    parameters: Vec<(String, String)>,
}

/// What is wrong with the URL of an object store. It never shows a value: that might be a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme than those of object stores.
    #[error("no chunk tier has the scheme {0:?}")]
    Scheme(String),
    /// A parameter that is not known: which.
    #[error("unknown parameter {0:?}")]
    Parameter(String),
    /// A parameter whose value everybody on the machine could see.
    #[error("{0:?} is a secret or belongs to one: it goes into the environment")]
    Secret(String),
    /// No bucket, or a prefix that is no path.
    #[error("expected {0}")]
    Form(&'static str),
}

/// As the environment has them, without the prefix of the provider.
const S3: &[&str] = &["endpoint", "region", "allow_http", "virtual_hosted_style_request"];
const GOOGLE: &[&str] = &["base_url", "allow_http"];
const AZURE: &[&str] = &["account_name", "endpoint", "allow_http"];

impl Address {
    /// From `s3://BUCKET/PREFIX?endpoint=…`, `gs://…`, `az://…` or `file:///DIR`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Form("SCHEME://BUCKET/PREFIX"))?;
        let (kind, known) = match scheme {
            "s3" => (Kind::S3, S3),
            "gs" => (Kind::Google, GOOGLE),
            "az" => (Kind::Azure, AZURE),
            "file" => (Kind::Folder, &[][..]),
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (parameter(name, known)?, decoded(value)?);
            // User information, within an endpoint.
            if value.contains('@') {
                return Err(AddressError::Secret(name));
            }
            parameters.push((name, value));
        }
        if kind == Kind::Folder {
            let is_absolute = place.starts_with('/') && place.len() > 1;
            let form = AddressError::Form("file:///DIR");
            return if is_absolute {
                Ok(Address { kind, bucket: decoded(place)?, prefix: String::new(), parameters })
            } else {
                Err(form)
            };
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.contains('@') {
            return Err(AddressError::Secret("user information".into()));
        }
        let prefix = prefix.trim_matches('/');
        if bucket.is_empty() || Path::parse(prefix).is_err() {
            return Err(AddressError::Form("SCHEME://BUCKET/PREFIX"));
        }
        Ok(Address { kind, bucket: bucket.to_owned(), prefix: prefix.to_owned(), parameters })
    }

    pub(super) fn prefix(&self) -> Path {
        Path::from(self.prefix.as_str())
    }

    pub(super) fn lists_in_order(&self) -> bool {
        self.kind != Kind::Folder
    }

    /// The folder, if it is one.
    fn folder(&self) -> Option<PathBuf> {
        (self.kind == Kind::Folder).then(|| PathBuf::from(&self.bucket))
    }

    /// What the environment says, and over it what the URL says.
    pub(super) fn connect(&self, settings: &ObjectSettings) -> Result<Arc<dyn ObjectStore>> {
        if let Some(folder) = self.folder() {
            std::fs::create_dir_all(&folder)?;
            let folder = LocalFileSystem::new_with_prefix(folder).map_err(failed)?.with_fsync(true);
            return Ok(Arc::new(folder));
        }
        // The retries are ours: they know a deadline, and what a failure means.
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let bucket = &self.bucket;
        Ok(match self.kind {
            Kind::S3 => {
                let with = |builder: AmazonS3Builder, (name, value)| {
                    let key = AmazonS3ConfigKey::from_str(name).map_err(failed)?;
                    Ok::<_, Error>(builder.with_config(key, value))
                };
                let builder = self.parameters(settings).try_fold(AmazonS3Builder::from_env(), with)?;
                // Objects go one at a time, and not all stores of this kind know the request that takes many.
                let builder = builder.with_disable_bulk_delete(true);
                Arc::new(builder.with_bucket_name(bucket).with_retry(retry).build().map_err(failed)?)
            }
            Kind::Google => {
                let with = |builder: GoogleCloudStorageBuilder, (name, value)| {
                    let key = GoogleConfigKey::from_str(name).map_err(failed)?;
                    Ok::<_, Error>(builder.with_config(key, value))
                };
                let builder =
                    self.parameters(settings).try_fold(GoogleCloudStorageBuilder::from_env(), with)?;
                Arc::new(builder.with_bucket_name(bucket).with_retry(retry).build().map_err(failed)?)
            }
            Kind::Azure | Kind::Folder => {
                let with = |builder: MicrosoftAzureBuilder, (name, value)| {
                    let key = AzureConfigKey::from_str(name).map_err(failed)?;
                    Ok::<_, Error>(builder.with_config(key, value))
                };
                let builder = self.parameters(settings).try_fold(MicrosoftAzureBuilder::from_env(), with)?;
                Arc::new(builder.with_container_name(bucket).with_retry(retry).build().map_err(failed)?)
            }
        })
    }

    /// Those of the URL, and how long a request may take.
    fn parameters(&self, settings: &ObjectSettings) -> impl Iterator<Item = (&str, String)> {
        let millis = |length: Duration| format!("{}ms", length.as_millis());
        let times = [
            ("timeout", millis(settings.request_timeout)),
            ("connect_timeout", millis(settings.request_timeout / 2)),
        ];
        let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
        given.chain(times)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it takes over what map_err has")]
fn failed(error: object_store::Error) -> Error {
    // Its text may quote a value of the environment: it says which kind of thing is wrong, not what was there.
    let what = match error {
        object_store::Error::UnknownConfigurationKey { .. } => "a setting of the object store is unknown",
        _ => "the settings of the object store do not fit together, or lack a part",
    };
    Error::Failed(what.into())
}

/// One that is known; those that hold secrets are told so.
fn parameter(name: &str, known: &[&str]) -> Result<String, AddressError> {
    let plain = name.to_ascii_lowercase();
    if known.contains(&plain.as_str()) {
        return Ok(plain);
    }
    let secret = ["key", "secret", "token", "password", "credential", "sas", "sig", "account"];
    match secret.iter().any(|part| plain.contains(part)) {
        true => Err(AddressError::Secret(name.to_owned())),
        false => Err(AddressError::Parameter(name.to_owned())),
    }
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'%' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                rest = rest.get(2..).unwrap_or_default();
                byte.ok_or(AddressError::Form("two hexadecimal digits after a per cent sign"))?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Form("UTF-8"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Google => "gs",
            Kind::Azure => "az",
            Kind::Folder => "file",
        };
        write!(f, "{scheme}://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// Without the values of parameters.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_bucket_and_what_is_no_secret() {
        let address = Address::parse("s3://b/a/b/?endpoint=http%3A%2F%2F127.0.0.1:9&region=eu-1").unwrap();
        assert_eq!(address.to_string(), "s3://b/a/b");
        assert_eq!(address.parameters[0], ("endpoint".into(), "http://127.0.0.1:9".into()));
        assert_eq!(format!("{address:?}"), "Address(s3://b/a/b)");
        for good in ["gs://b", "az://container/x?account_name=a", "file:///a/b"] {
            Address::parse(good).unwrap();
        }
    }

    #[test]
    fn p13_a_secret_in_a_url_is_refused_and_not_repeated() {
        let secrets =
            ["s3://k:hunter2@b", "s3://b?aws_secret_access_key=hunter2", "az://b?sas_token=hunter2"];
        for url in secrets.into_iter().chain([
            "gs://b?service_account=hunter2",
            "s3://b?wrong=hunter2",
            "s3://b?endpoint=http://k:hunter2@h",
        ]) {
            let refused = Address::parse(url).unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused}");
        }
        let secret = Address::parse("s3://b?secret_access_key=x");
        assert_eq!(secret, Err(AddressError::Secret("secret_access_key".into())));
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(Address::parse("s4://b"), Err(AddressError::Scheme("s4".into())));
        assert_eq!(Address::parse("s3://b?tier=cold"), Err(AddressError::Parameter("tier".into())));
        for bad in ["s3://", "s3:///p", "file://relative", "file:///", "s3://b/a//b", "s3://b?region=%zz"] {
            assert!(matches!(Address::parse(bad), Err(AddressError::Form(_))), "{bad}");
        }
    }
}
