//! The configuration file of the client: which server, and as whom.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cacheroach_api::{json, session};
use cacheroach_model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::output::printable;

/// The file's content. Not `Debug`: it holds a token.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    /// Whose files `file` is about.
    pub(crate) default_tenant: Option<json::Id>,
    /// The server, as `host:port`.
    pub(crate) host: String,
    /// Clear text instead of TLS.
    pub(crate) insecure: bool,
    /// What the token stands for.
    pub(crate) session: Option<json::Session>,
    /// Who we are, maybe nobody.
    pub(crate) token: String,
}

const KEYS: [&str; 5] = ["DefaultTenant", "Host", "Insecure", "Session", "Token"];

impl Config {
    /// Where it is unless said otherwise: `$HOME/.cacheroach/config`.
    pub(crate) fn default_path() -> PathBuf {
        directory().unwrap_or_default().join("config")
    }

    /// The file's content; of no file, nothing.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!("there is no configuration file {}", path.display());
                return Ok(Config::default());
            }
            Err(error) => return Err(Error::because(format!("cannot read {}", path.display()), error)),
        };
        warn_if_readable_by_others(path);
        Config::parse(&text).map_err(|e| Error::because(format!("{} is broken", path.display()), e))
    }

    /// Writes it, readable for its owner only; half of it is never seen.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        // A link to the file stays a link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.write(&path).map_err(|e| Error::because(format!("cannot write {}", path.display()), e))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut file = tempfile::Builder::new().prefix(".config-").tempfile_in(dir)?;
        file.write_all(self.render()?.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    }

    /// From its text.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let given: Map<String, Value> = serde_json::from_str(text)?;
        let mut known = Map::new();
        for (key, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
            if let Some(name) = KEYS.iter().find(|name| name.eq_ignore_ascii_case(&key)) {
                known.insert((*name).to_owned(), value);
            }
        }
        serde_json::from_value(Value::Object(known))
    }

    /// As Go writes it: what could be mark-up is escaped.
    fn render(&self) -> serde_json::Result<String> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026") + "\n")
    }

    /// The session it holds; an empty one if none.
    pub(crate) fn session(&self) -> Result<session::Session, Error> {
        let session = self.session.clone().unwrap_or_default();
        session.try_into().map_err(|e| Error::because("the session in the configuration file is broken", e))
    }

    /// Whose files are meant: those of the tenant given, else the default one, else the session's.
    pub(crate) fn tenant(&self, given: Option<TenantId>) -> Result<TenantId, Error> {
        let configured = || TenantId::try_from(self.default_tenant.as_ref()?.data.as_slice()).ok();
        let granted = || {
            let location = self.session.clone()?.scope?.location_mut()?.tenant_id.take()?;
            TenantId::try_from(location.data.as_slice()).ok()
        };
        given.or_else(configured).or_else(granted).ok_or_else(|| Error::new("--tenant required"))
    }

    /// The same server, with another session.
    pub(crate) fn with(&self, issued: &session::Session, token: String) -> Self {
        Config { session: Some(json::Session::from(issued)), token, ..self.clone() }
    }
}

/// Where the client keeps what is its own.
pub(crate) fn directory() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".cacheroach"))
}

fn warn_if_readable_by_others(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let path = printable(&path.display().to_string());
        eprintln!("warning: {path} holds a token and others can read it; run `chmod 600 {path}`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Config {
        let session = r#"{"c":{"read":true},"s":{"l":{"t":{"data":"CgoKCgoKCgoKCgoKCgoKCg=="},"p":"/*"}},"name":"<self>"}"#;
        Config {
            default_tenant: None,
            host: "example.com:443".into(),
            insecure: false,
            session: Some(serde_json::from_str(session).unwrap()),
            token: "a.b.c".into(),
        }
    }

    #[test]
    fn it_is_written_as_the_original_does_and_read_back() {
        let text = example().render().unwrap();
        assert!(
            text.starts_with("{\n  \"DefaultTenant\": null,\n  \"Host\": \"example.com:443\",\n"),
            "{text}"
        );
        assert!(text.contains("\"name\": \"\\u003cself\\u003e\""), "{text}");
        assert!(text.ends_with("\"Token\": \"a.b.c\"\n}\n"), "{text}");
        assert!(Config::parse(&text).unwrap() == example());
    }

    #[test]
    fn keys_are_read_in_any_case_and_unknown_ones_ignored() {
        let config =
            Config::parse(r#"{"host":"h:1","INSECURE":true,"Other":[1],"token":null,"Session":null}"#)
                .unwrap();
        assert!(config == Config { host: "h:1".into(), insecure: true, ..Config::default() });
    }

    #[test]
    fn a_session_must_be_one() {
        assert!(Config::parse(r#"{"Session":{"unknown":1}}"#).is_err());
        assert!(Config::parse("[]").is_err());
        assert!(Config::parse("").is_err());
    }

    #[test]
    fn the_file_is_its_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/config");
        example().save(&path).unwrap();
        example().save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path().join("a")).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(Config::load(&path).unwrap() == example());
        assert!(Config::load(&dir.path().join("none")).unwrap() == Config::default());
    }

    #[test]
    fn the_tenant_is_the_one_given_else_the_default_else_the_sessions() {
        let given = TenantId::new([1; 16]);
        let mut config = example();
        assert_eq!(config.tenant(None).unwrap(), TenantId::SCRATCHPAD);
        config.default_tenant = Some(json::Id { data: vec![2; 16] });
        assert_eq!(config.tenant(None).unwrap(), TenantId::new([2; 16]));
        assert_eq!(config.tenant(Some(given)).unwrap(), given);
        assert_eq!(Config::default().tenant(None).unwrap_err().text(), "--tenant required");
    }
}
