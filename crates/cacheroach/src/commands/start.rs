//! `start`: the server.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_auth::Keys;
use cacheroach_model::{CHUNK_SIZE, Networks, Random as _};
use cacheroach_service::{FetchSettings, Network, NetworkError, PurgeSettings, Service};
use cacheroach_store::CacheSettings;
use cacheroach_store::chunks::disk_cache::CacheKey;
use cacheroach_store::failpoint::{Step, hit};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::store::place::{DATA_DIR, Place, make_private_dir};
use super::store::purge::PurgeFlags;
use crate::clock::SystemClock;
use crate::duration;
use crate::error::Error;
use crate::random::SystemRandom;

/// The files beside a store that its neighbours look for.
pub(crate) const KEY_FILE: &str = "signing.key";
pub(crate) const ADDRESS_FILE: &str = "address";

/// Run the server.
///
/// Without any flag it keeps everything in ./cacheroach-data and listens on 127.0.0.1:13013.
#[derive(Args)]
pub(crate) struct Start {
    #[command(flatten)]
    store: StoreFlags,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    listen: ListenFlags,
    #[command(flatten)]
    fetch: FetchFlags,
    #[command(flatten)]
    purge: PurgeJob,
    #[command(flatten)]
    later: LaterFlags,
    /// The original takes any, and looks at none of them.
    #[arg(hide = true)]
    ignored: Vec<String>,
}

/// Where things are kept.
#[derive(Args)]
#[command(rename_all = "camelCase")]
struct StoreFlags {
    #[command(flatten)]
    place: Place,
    /// Bytes of a chunk. All chunks have 524288.
    #[arg(long, value_name = "BYTES", default_value_t = CHUNK_SIZE)]
    chunk_size: usize,
    /// Signing key, base64 of 32 bytes or more, or @FILE; several: the first signs, all verify. Default: one is made in
    /// the data folder.
    #[arg(long, value_name = "KEY", value_delimiter = ',', hide_env_values = true)]
    signing_key: Vec<String>,
    /// How long an upload may take.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    upload_timeout: Duration,
    /// How long links made by `file sign` and `file drop` may live at most, older ones included; 0: as long as was asked.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::parse)]
    link_max_validity: Duration,
    /// Refuse every write, as long as something must stand still: the last pass of `store copy`.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    read_only: bool,
}

/// What it remembers of chunks that were read.
#[derive(Args)]
#[command(rename_all = "camelCase")]
struct CacheFlags {
    /// Folder for copies of chunks, which nothing else uses; for tiers that are far away. Default: none.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<OsString>,
    /// Of that folder at most.
    #[arg(long, value_name = "MIB", default_value_t = CacheSettings::default().disk_bytes >> 20)]
    cache_disk_space: u64,
    /// Encrypts that folder: base64 of 32 bytes or more, rather as @FILE; random: with a key that is gone with the process, so
    /// that each start begins anew. Default: the copies are plain.
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    cache_key: Option<String>,
    /// Chunks, and files that were opened lately, in memory at most; 0: none.
    #[arg(long, value_name = "MIB", default_value_t = CacheSettings::default().memory_bytes >> 20)]
    cache_memory: u64,
}

impl CacheFlags {
    fn memory_bytes(&self) -> u64 {
        self.cache_memory.saturating_mul(1 << 20)
    }

    /// The part of the memory for files that were opened, and the bytes of small ones.
    fn opened_bytes(&self) -> u64 {
        self.memory_bytes() / 4
    }

    fn settings(&self) -> Result<CacheSettings, Error> {
        // What is empty here is a secret that did not come, not a thing left off.
        let key = self.cache_key.as_deref().map(CacheKey::parse).transpose();
        Ok(CacheSettings {
            memory_bytes: self.memory_bytes() - self.opened_bytes(),
            // An empty value is the original's way to leave a thing off.
            dir: self.cache_dir.clone().filter(|dir| !dir.is_empty()).map(PathBuf::from),
            disk_bytes: self.cache_disk_space.saturating_mul(1 << 20),
            key: key.map_err(|problem| Error::new(format!("--cacheKey: {problem}")))?,
        })
    }
}

/// Where it listens.
#[derive(Args)]
#[command(rename_all = "camelCase")]
struct ListenFlags {
    /// Address to listen on; :PORT is all interfaces, port 0 any that is free.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:13013")]
    bind_addr: String,
    /// Clients reach this server by TLS that ends before it.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    assume_secure: bool,
    /// Networks of the proxies before this server: where they say a request comes from (X-Forwarded-For) is where it does.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    trust_proxy: Vec<String>,
    /// How long requests under way may take once the server is told to stop.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    grace_period: Duration,
}

/// What it gets from elsewhere for who may fetch.
#[derive(Args)]
#[command(rename_all = "camelCase")]
struct FetchFlags {
    /// Networks that fetches may reach besides the public internet: 10.0.0.0/8,fd00::/8.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    fetch_allow: Vec<Option<Network>>,
    /// Bytes of a fetched file at most [default: 5 GiB].
    #[arg(long, value_name = "BYTES", default_value_t = FetchSettings::default().max_size, hide_default_value = true)]
    fetch_max_size: u64,
    /// How long a fetch may take.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    fetch_max_time: Duration,
}

impl FetchFlags {
    fn settings(&self) -> FetchSettings {
        FetchSettings {
            allow: self.fetch_allow.iter().copied().flatten().collect(),
            max_size: self.fetch_max_size,
            max_time: self.fetch_max_time,
            ..FetchSettings::default()
        }
    }
}

/// An empty value is none.
fn network(text: &str) -> Result<Option<Network>, NetworkError> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some),
    }
}

/// What goes by itself.
#[derive(Args)]
#[command(rename_all = "camelCase")]
struct PurgeJob {
    #[command(flatten)]
    flags: PurgeFlags,
    /// About how long from one round of the purge to the next, and of bringing bytes home to where their tenant moved.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    purge_interval: Duration,
}

impl PurgeJob {
    fn settings(&self) -> PurgeSettings {
        // A round that never rests would leave nothing for others.
        let interval = self.purge_interval.max(Duration::from_millis(100));
        PurgeSettings { interval, ..self.flags.settings() }
    }
}

/// Flags of the original whose features come in later releases: they are known, and say so when used.
#[derive(Args)]
#[command(rename_all = "camelCase", next_help_heading = "Not yet in this release")]
struct LaterFlags {
    /// PEM certificate chain.
    #[arg(long, value_name = "FILE")]
    certs: Option<String>,
    /// PEM private key.
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// Self-signed certificate.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    self_sign: bool,
    /// Debug listener.
    #[arg(long, value_name = "HOST:PORT")]
    debug_addr: Option<String>,
    /// OpenID Connect client.
    #[arg(long = "oidcClientID", value_name = "ID")]
    oidc_client_id: Option<String>,
    /// Its secret.
    #[arg(long, value_name = "SECRET")]
    oidc_client_secret: Option<String>,
    /// E-mail domains allowed to log in.
    #[arg(long, value_name = "DOMAINS", value_delimiter = ',')]
    oidc_domains: Vec<String>,
    /// OpenID Connect issuer.
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// Slows chunk writes down when the database is behind.
    #[arg(long, value_name = "N")]
    read_amplification_backoff: Option<u64>,
}

impl Start {
    /// Serves until the process is told to stop.
    pub(crate) async fn run(self) -> Result<(), Error> {
        self.later.say_so()?;
        if self.store.chunk_size != CHUNK_SIZE {
            eprintln!("note: --chunkSize is ignored: chunks have {CHUNK_SIZE} bytes");
        }
        let trusted_proxies = Networks::parse(&self.listen.trust_proxy)
            .map_err(|problem| Error::because("--trustProxy", problem))?;
        if self.store.signing_key.is_empty() && self.store.place.is_shared()? {
            let problem = "servers that share a store need one key: give each the same --signingKey @FILE";
            return Err(Error::new(problem));
        }
        let cache = self.cache.settings()?;
        let dir = &self.store.place.data_dir;
        make_private_dir(dir)?;
        // The store first: whoever has it open is alone with the key, too.
        let store = self.store.place.open_cached(cache).await?;
        hit(Step::StartAfterStore);
        let keys = self.store.keys()?;
        hit(Step::StartAfterKey);
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let settings = cacheroach_service::Settings {
            upload_timeout: self.store.upload_timeout,
            link_max_validity: Some(self.store.link_max_validity).filter(|length| !length.is_zero()),
            machine: machine(),
            fetch: self.fetch.settings(),
            purge: self.purge.settings(),
            read_only: self.store.read_only,
            opened_bytes: self.cache.opened_bytes(),
            ..Default::default()
        };
        let service = Arc::new(Service::new(store, keys, clock, random, settings));
        if !self.store.read_only {
            service.bootstrap().await.map_err(|e| Error::because("cannot set up the store", e))?;
        }

        // Before the first word to anybody: who is told to stop right then must be heard.
        let stop = stopped()?;
        let (listener, address) = self.listen.bind().await?;
        let address_file = AddressFile::write(dir, address)?;
        greet(&address_file.url, dir, self.store.signing_key.is_empty());
        let settings = cacheroach_server::Settings {
            assume_secure: self.listen.assume_secure,
            grace_period: self.listen.grace_period,
            trusted_proxies,
            ..Default::default()
        };
        let working = Arc::clone(&service);
        let read_only = self.store.read_only;
        let jobs = tokio::spawn(async move {
            if !read_only {
                tokio::join!(working.purge_forever(), working.move_forever());
            }
        });
        cacheroach_server::serve(listener, service, settings, stop).await;
        // Whatever it is at, the next start goes on from there.
        jobs.abort();
        let _ = jobs.await;
        Ok(())
    }
}

impl StoreFlags {
    fn keys(&self) -> Result<Keys, Error> {
        let texts = if self.signing_key.is_empty() {
            vec![kept_key(&self.place.data_dir.join(KEY_FILE))?]
        } else {
            self.signing_key.clone()
        };
        Keys::parse(&texts).map_err(|e| Error::because("--signingKey", e))
    }
}

/// What a superuser is told of this machine.
fn machine() -> cacheroach_service::Machine {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let environment = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    cacheroach_service::Machine { name: name.trim().to_owned(), environment }
}

/// The key beside the store; made when there is none.
fn kept_key(path: &Path) -> Result<String, Error> {
    let cannot = |e| Error::because(format!("cannot keep a key in {}", path.display()), e);
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let mut secret = [0; 32];
    SystemRandom.fill(&mut secret);
    let text = STANDARD.encode(secret) + "\n";
    write_private(path, &text).map_err(cannot)?;
    Ok(text)
}

/// Whole or not at all, for the eyes of the owner.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

impl ListenFlags {
    async fn bind(&self) -> Result<(TcpListener, SocketAddr), Error> {
        // As in Go, no host means all interfaces.
        let address = match self.bind_addr.strip_prefix(':') {
            Some(port) => format!("[::]:{port}"),
            None => self.bind_addr.clone(),
        };
        let cannot = |e: std::io::Error| Error::because(format!("cannot listen on {}", self.bind_addr), e);
        let listener = TcpListener::bind(&address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok((listener, address))
    }
}

/// Where the server listens, for commands that run beside it; gone when it stops.
struct AddressFile {
    path: PathBuf,
    url: String,
}

impl AddressFile {
    fn write(dir: &Path, mut address: SocketAddr) -> Result<Self, Error> {
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let (path, url) = (dir.join(ADDRESS_FILE), format!("http://{address}"));
        write_private(&path, &format!("{url}\n"))
            .map_err(|e| Error::because(format!("cannot write {}", path.display()), e))?;
        Ok(AddressFile { path, url })
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn greet(url: &str, dir: &Path, own_key: bool) {
    let mut bootstrap = "cacheroach bootstrap".to_owned();
    if dir != Path::new(DATA_DIR) {
        bootstrap = format!("{bootstrap} --dataDir {}", quoted(&dir.display().to_string()));
    }
    if !own_key {
        bootstrap += " --hmacKeyFile FILE";
    }
    let steps = [
        (bootstrap, "become its superuser"),
        ("cacheroach file put -r /docs/ ./docs".into(), "put a folder of yours"),
        (format!("curl {url}/docs/"), "or open it in a browser"),
    ];
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let mut text =
        format!("cacheroach {} serves {url} from {}\n\n", env!("CARGO_PKG_VERSION"), dir.display());
    text += "Next, in another terminal:\n";
    for (command, what) in steps {
        text += &format!("  {command:width$}  # {what}\n");
    }
    // Whoever does not listen does not keep the server from serving.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Ready when the process is told to stop.
fn stopped() -> Result<impl Future<Output = ()>, Error> {
    let cannot = |e| Error::because("cannot listen for signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

impl LaterFlags {
    /// Refuses what somebody would rely on, and notes what only would have made things faster or smaller.
    fn say_so(&self) -> Result<(), Error> {
        // An empty value is the original's way to leave a thing off.
        let is_set = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        let refused = [
            ("--certs", is_set(&self.certs)),
            ("--key", is_set(&self.key)),
            ("--selfSign", self.self_sign),
            ("--debugAddr", is_set(&self.debug_addr)),
            ("--oidcClientID", is_set(&self.oidc_client_id)),
            ("--oidcClientSecret", is_set(&self.oidc_client_secret)),
            ("--oidcDomains", self.oidc_domains.iter().any(|domain| !domain.is_empty())),
            ("--oidcIssuer", is_set(&self.oidc_issuer)),
        ];
        if let Some((flag, _)) = refused.iter().find(|(_, used)| *used) {
            return Err(Error::new(format!("{flag} is not offered yet by this release")));
        }
        let noted = [("--readAmplificationBackoff", self.read_amplification_backoff.is_some())];
        for (flag, _) in noted.iter().filter(|(_, used)| *used) {
            eprintln!("note: {flag} has no effect yet in this release");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        start: Start,
    }

    fn parse(line: &[&str]) -> Start {
        Line::try_parse_from(["start"].iter().chain(line)).unwrap_or_else(|error| panic!("{error}")).start
    }

    /// What the original's container starts with when nothing is configured.
    #[test]
    fn every_flag_of_the_original_is_known_and_an_empty_value_is_off() {
        let start = parse(&[
            "--assumeSecure",
            "--bindAddr",
            ":0",
            "--cacheDir",
            "",
            "--cacheDiskSpace",
            "1",
            "--cacheMemory",
            "128",
            "--certs",
            "",
            "--key",
            "",
            "--chunkConcurrency",
            "2",
            "--chunkSize",
            "524288",
            "--connect",
            "sqlite:x",
            "--debugAddr",
            "",
            "--gracePeriod",
            "1s",
            "--oidcClientID",
            "",
            "--oidcClientSecret",
            "",
            "--oidcDomains",
            "",
            "--oidcIssuer",
            "",
            "--purgeDuration",
            "168h",
            "--purgeLimit",
            "1",
            "--readAmplificationBackoff",
            "1",
            "--selfSign=false",
            "--signingKey",
            "k",
            "--uploadTimeout",
            "1h",
            "x",
        ]);
        assert!(start.listen.assume_secure);
        assert!(start.later.say_so().is_ok());
    }

    #[test]
    fn what_somebody_would_rely_on_is_refused() {
        for flag in
            [&["--selfSign"][..], &["--certs", "x"], &["--oidcDomains", "a,b"], &["--debugAddr", ":1"]]
        {
            let refused = parse(flag).later.say_so().unwrap_err().text();
            assert!(refused.starts_with(flag[0]), "{refused}");
        }
    }

    #[test]
    fn caches_are_as_large_as_they_may_be_and_off_without_a_folder() {
        let cache = |line: &[&str]| parse(line).cache.settings().unwrap();
        // A quarter is for files that were opened.
        let usual = CacheSettings::default();
        assert_eq!(cache(&[]), CacheSettings { memory_bytes: usual.memory_bytes / 4 * 3, ..usual });
        assert_eq!(cache(&["--cacheDir", ""]).dir, None);
        let cache = cache(&["--cacheDir", "c", "--cacheDiskSpace", "3", "--cacheMemory", "0"]);
        let small = CacheSettings { memory_bytes: 0, dir: Some("c".into()), disk_bytes: 3 << 20, key: None };
        assert_eq!(cache, small);
    }

    #[test]
    fn a12_a91_a_cache_key_is_long_enough_and_never_shown() {
        let settings = |key: &str| parse(&["--cacheKey", key]).cache.settings();
        let key = STANDARD.encode([0xA5; 32]) + "\n";
        let shown = format!("{:?}", settings(&key).unwrap());
        assert!(!shown.contains("165") && shown.contains("CacheKey"), "{shown}");
        assert_ne!(settings("random").unwrap().key, settings("random").unwrap().key);
        for wrong in ["", "Random", "hunter2hunter2", &STANDARD.encode([0xA5; 31])] {
            let refused = settings(wrong).unwrap_err().text();
            let told = !wrong.is_empty() && refused.contains(wrong);
            assert!(refused.starts_with("--cacheKey: ") && !told, "{refused}");
        }
    }

    #[test]
    fn networks_that_may_be_fetched_from_are_named_one_by_one_or_together() {
        let allowed = |line: &[&str]| parse(line).fetch.settings().allow;
        assert!(allowed(&[]).is_empty() && allowed(&["--fetchAllow", ""]).is_empty());
        let both = ["10.0.0.0/8", "127.0.0.1/32"].map(|text| text.parse::<Network>().unwrap());
        assert_eq!(allowed(&["--fetchAllow", "10.0.0.0/8,127.0.0.1"]), both);
        assert_eq!(allowed(&["--fetchAllow", "10.1.2.3/8", "--fetchAllow", " 127.0.0.1/32"]), both);
        assert!(Line::try_parse_from(["start", "--fetchAllow", "localhost"]).is_err());
        let settings = parse(&["--fetchMaxSize", "1000", "--fetchMaxTime", "1m"]).fetch.settings();
        assert_eq!((settings.max_size, settings.max_time), (1000, Duration::from_secs(60)));
    }

    #[test]
    fn a_folder_is_shown_as_a_shell_takes_it() {
        assert_eq!(quoted("./data"), "./data");
        assert_eq!(quoted("a b's"), "'a b'\\''s'");
    }
}
