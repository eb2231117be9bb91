//! cacheroach itself, on the engine that the run is about.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::header::HeaderValue;
use tempfile::TempDir;

use super::{Postgres, Relay, Server};
use crate::Result;
use crate::load::Target;
use crate::report::Peer;

/// Any will do, as long as two starts on one database have the same: nobody else can reach it.
const KEY: &str = "YSBrZXkgZm9yIGEgZGF0YWJhc2Ugb2YgYSBiZW5jaG1hcms=";

/// Where rows are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Engine {
    #[default]
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) fn named(name: &str) -> Result<Self> {
        match name {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err(format!("unknown engine {name}: sqlite or postgres").into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The program, and what it is to work with.
#[derive(Debug, Clone)]
pub(crate) struct Cacheroach {
    pub(crate) program: PathBuf,
    pub(crate) engine: Engine,
}

/// A store, which outlives the servers started on it. Chunks are in packs, whatever the engine, but for a relayed one.
pub(crate) struct Store {
    program: PathBuf,
    /// On the way to the database, and the URL of that way.
    relay: Option<(Relay, String)>,
    /// Before the folder: fields drop in this order.
    database: Option<Postgres>,
    directory: TempDir,
}

impl Cacheroach {
    /// The one that was built beside this program, unless another is given.
    pub(crate) fn find(program: Option<&Path>, engine: Engine) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe()?.with_file_name("cacheroach"),
        };
        let found = program.is_file().then_some(Self { program: program.clone(), engine });
        found.ok_or_else(|| format!("{} is not built", program.display()).into())
    }

    pub(crate) async fn empty_store(&self) -> Result<Store> {
        let database = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::empty().await?),
        };
        let directory = tempfile::Builder::new().prefix("cacheroach-bench-").tempdir()?;
        let mut key = File::options().write(true).create_new(true).mode(0o600).open(key(&directory))?;
        key.write_all(KEY.as_bytes())?;
        Ok(Store { program: self.program.clone(), relay: None, database, directory })
    }

    /// With all in PostgreSQL, chunks too, by way of a relay.
    pub(crate) async fn relayed_store(&self) -> Result<Store> {
        let store = Self { engine: Engine::Postgres, ..self.clone() }.empty_store().await?;
        let database = store.database.as_ref().ok_or("a store without a database")?;
        let relay = Some(Relay::before(&database.url()).await?);
        Ok(Store { relay, ..store })
    }
}

fn key(directory: &TempDir) -> PathBuf {
    directory.path().join("key")
}

impl Store {
    /// The folder of the embedded engine.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What is between its servers and the database, if that is asked about.
    pub(crate) fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref().map(|(relay, _)| relay)
    }

    /// The flags that say where the store is, for all commands that open one.
    fn place(&self, command: &mut Command) {
        command.arg("--dataDir").arg(self.data());
        if let Some((_, way)) = &self.relay {
            command.args(["--connect", way, "--chunks", "db"]);
        } else if let Some(database) = &self.database {
            command.args(["--connect", &database.url()]);
            command.args(["--chunks", &format!("disk:{}", self.directory.path().join("chunks").display())]);
        }
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        self.start_with(&[]).await
    }

    /// With more flags of `start`.
    pub(crate) async fn start_with(&self, flags: &[&str]) -> Result<Server> {
        let address = self.data().join("address");
        // That of the server before says nothing about this one.
        drop(fs::remove_file(&address));
        let mut command = Command::new(&self.program);
        command.arg("start").args(["--bindAddr", "127.0.0.1:0"]).args(flags);
        self.place(&mut command);
        if self.database.is_some() {
            command.args(["--signingKey", &format!("@{}", key(&self.directory).display())]);
        }
        let listening = || {
            let text = fs::read_to_string(&address).ok()?;
            // Half a line could be half a port.
            text.strip_suffix('\n')?.strip_prefix("http://")?.parse().ok()
        };
        let log = self.directory.path().join("server.log");
        let mut server = Server::spawn(Peer::Cacheroach, &mut command, &log, listening).await?;
        server.http2 = Some(server.address);
        server.database = self.database.as_ref().map(Postgres::process);
        Ok(server)
    }

    /// Who may do everything on a running server.
    pub(crate) fn superuser(&self, server: &Server) -> Result<Target> {
        let config = self.directory.path().join("config.json");
        let mut command = Command::new(&self.program);
        command.arg("bootstrap").arg("-c").arg(&config).arg("--dataDir").arg(self.data());
        if self.database.is_some() {
            command.arg("--hmacKeyFile").arg(key(&self.directory));
        }
        run(&mut command)?;
        let config: serde_json::Value = serde_json::from_slice(&fs::read(&config)?)?;
        let token = config["Token"].as_str().filter(|token| !token.is_empty());
        Target::holding(server.address, token.ok_or("bootstrap wrote a configuration without Token")?)
    }

    /// What `store stat` tells of the whole store, by the names of its columns.
    pub(crate) fn stat(&self) -> Result<serde_json::Value> {
        let mut command = Command::new(&self.program);
        command.args(["store", "stat", "--output", "json"]);
        self.place(&mut command);
        let lines: Vec<serde_json::Value> = serde_json::from_str(&run(&mut command)?)?;
        lines.into_iter().last().ok_or_else(|| "store stat tells nothing".into())
    }
}

/// What a command prints.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

impl Target {
    /// With a token.
    pub(crate) fn holding(address: std::net::SocketAddr, token: &str) -> Result<Self> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        Ok(Self { authorization: Some(bearer), ..Self::anonymous(address) })
    }
}
