//! A store and the servers on it: real processes, which die with their test.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Random;

/// How long a server may take to begin, and to end when it is told to.
pub const MOMENT: Duration = Duration::from_secs(30);

/// Looks again and again until there is something.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where a store is.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// `--connect`; none: SQLite in the site's folder.
    pub connect: Option<String>,
    /// `--chunks`; none: packs in the site's folder.
    pub chunks: Option<String>,
    /// `--connect` of each server, where they reach the database each in its own way.
    pub ways: Vec<String>,
}

impl Place {
    /// The embedded store, in a folder of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        Place::default()
    }

    /// A database, with chunks in packs that all servers share.
    #[must_use]
    pub fn database(url: &str) -> Self {
        Place { connect: Some(url.into()), ..Place::default() }
    }
}

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// `FAILPOINTS`.
    pub failpoints: String,
    /// A shell's words that come before: `ulimit -n 64;`.
    pub before: String,
    /// More flags of `start`.
    pub flags: Vec<String>,
    /// Not the site's, but another release of it.
    pub program: Option<PathBuf>,
}

impl Launch {
    /// With these failpoints.
    #[must_use]
    pub fn with(failpoints: &str) -> Self {
        Launch { failpoints: failpoints.into(), ..Launch::default() }
    }

    /// That kills the process the `nth` time a step is taken.
    #[must_use]
    pub fn killed_at(step: cacheroach_store::failpoint::Step, nth: u64) -> Self {
        let name = step.name();
        Launch::with(&match nth {
            0 | 1 => format!("{name}=return(kill)"),
            nth => format!("{name}={}*off->return(kill)", nth - 1),
        })
    }
}

/// A store, its servers, and its superuser.
pub struct Site {
    program: PathBuf,
    dir: TempDir,
    flags: Vec<String>,
    servers: Vec<Server>,
    token: Option<String>,
}

struct Server {
    port: u16,
    /// How it reaches the store, if not like everybody.
    way: Option<String>,
    running: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Site {
    /// A test that fails shows what its servers said last.
    fn drop(&mut self) {
        for at in (0..self.servers()).filter(|_| thread::panicking()) {
            let said = fs::read_to_string(self.said(at, "stderr")).unwrap_or_default();
            let lines: Vec<_> = said.lines().collect();
            eprintln!("server {at} said: {}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

impl Site {
    /// Starts nothing yet.
    #[must_use]
    pub fn new(program: impl AsRef<Path>, place: &Place, servers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fs::create_dir(&store).unwrap();
        let private = |name: &str, text: &str| {
            let path = dir.path().join(name);
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            format!("@{}", path.display())
        };
        // Other users of the machine see the arguments of a process, so what may hold a password is in a file.
        let connect = place.connect.clone().unwrap_or_else(|| format!("sqlite:{}", store.display()));
        let chunks = place.chunks.clone().unwrap_or_else(|| format!("disk:{}/chunks", store.display()));
        let key = private("key", &STANDARD.encode(Random::new(Random::seed()).bytes(32)));
        let flags = ["--connect", &private("connect", &connect), "--chunks", &private("chunks", &chunks)];
        let flags = flags.into_iter().chain(["--signingKey", &key]).map(str::to_owned).collect();
        let server = |at: usize| {
            let way = place.ways.get(at).map(|way| private(&format!("way-{at}"), way));
            Server { port: free_port(), way, running: None }
        };
        let servers = (0..servers).map(server).collect();
        Site { program: program.as_ref().to_owned(), dir, flags, servers, token: None }
    }

    /// All servers of it serve.
    #[must_use]
    pub fn started(program: impl AsRef<Path>, place: &Place, servers: usize) -> Self {
        let mut site = Site::new(program, place, servers);
        (0..servers).for_each(|at| site.start(at, &Launch::default()));
        site
    }

    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Where the embedded store is, if it is one.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// A place for what a test keeps.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `http://127.0.0.1:port`, the same after each start.
    #[must_use]
    pub fn url(&self, at: usize) -> String {
        format!("http://127.0.0.1:{}", self.servers[at].port)
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.servers[at].port)
    }

    /// Starts a server, and waits until it serves.
    pub fn start(&mut self, at: usize, launch: &Launch) {
        if let Err(status) = self.try_start(at, launch) {
            panic!("server {at} ended with {status}: {}", self.stderr(at));
        }
    }

    /// Starts all servers at once, and waits until they serve.
    pub fn start_all(&mut self, launch: &Launch) {
        (0..self.servers()).for_each(|at| self.spawn(at, launch));
        for at in 0..self.servers() {
            if let Err(status) = self.serves(at) {
                panic!("server {at} ended with {status}: {}", self.stderr(at));
            }
        }
    }

    /// Starts a server; it may end by itself before it serves.
    ///
    /// # Errors
    /// How it ended.
    pub fn try_start(&mut self, at: usize, launch: &Launch) -> Result<(), ExitStatus> {
        self.spawn(at, launch);
        self.serves(at)
    }

    fn spawn(&mut self, at: usize, launch: &Launch) {
        let data = self.dir.path().join(format!("server-{at}"));
        let port = self.servers[at].port;
        let said = |name: &str| File::create(self.said(at, name)).unwrap();
        let mut command = Command::new("sh");
        // The shell becomes the server, so that its process is the one that we know.
        command.args(["-c", &format!("{} exec \"$0\" \"$@\"", launch.before)]);
        command.arg(launch.program.as_ref().unwrap_or(&self.program));
        let mut flags = self.flags.clone();
        if let Some(way) = &self.servers[at].way {
            flags[1].clone_from(way);
        }
        command.args(["start", "--dataDir"]).arg(&data).args(&flags);
        command.args(["--bindAddr", &format!("127.0.0.1:{port}")]).args(&launch.flags);
        command.env("HOME", self.dir.path()).env("FAILPOINTS", &launch.failpoints);
        command.stdin(Stdio::null()).stdout(said("stdout")).stderr(said("stderr"));
        self.servers[at].running = Some(command.spawn().unwrap());
    }

    /// Waits until it does, or has ended.
    fn serves(&mut self, at: usize) -> Result<(), ExitStatus> {
        until("a server that serves", MOMENT, || {
            let child = self.servers[at].running.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                self.servers[at].running = None;
                return Some(Err(status));
            }
            let said = fs::read_to_string(self.said(at, "stdout")).unwrap();
            said.contains(" serves ").then_some(Ok(()))
        })
    }

    fn said(&self, at: usize, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}-{at}"))
    }

    /// What a server has said on standard error.
    #[must_use]
    pub fn stderr(&self, at: usize) -> String {
        fs::read_to_string(self.said(at, "stderr")).unwrap()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self, at: usize) -> Option<u32> {
        self.servers[at].running.as_ref().map(Child::id)
    }

    /// A line of `/proc/PID/status`, in KiB.
    #[must_use]
    pub fn memory(&self, at: usize, line: &str) -> u64 {
        let pid = self.pid(at).expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many file descriptors it has open.
    #[must_use]
    pub fn descriptors(&self, at: usize) -> usize {
        let pid = self.pid(at).expect("it runs");
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }

    /// SIGKILL, and nothing is left to wait for.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.servers[at].running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, SIGSTOP, SIGCONT.
    pub fn signal(&self, at: usize, signal: Signal) {
        let pid = self.pid(at).expect("it runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self, at: usize) -> Option<ExitStatus> {
        self.servers[at].running.as_mut()?.try_wait().unwrap()
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self, at: usize) -> ExitStatus {
        let status = until("the end of a server", MOMENT, || self.has_ended(at));
        self.servers[at].running = None;
        status
    }

    /// SIGTERM, to which it answers with 0.
    pub fn stop(&mut self, at: usize) {
        self.signal(at, Signal::TERM);
        let status = self.ended(at);
        assert_eq!(status.code(), Some(0), "{}", self.stderr(at));
    }

    /// Another command of the program on the same store: `store verify` with these flags. Its standard output.
    ///
    /// # Errors
    /// All it said, if it failed.
    pub fn command(&self, words: &[&str], with_store: bool) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(words).env("HOME", self.dir.path()).stdin(Stdio::null());
        if with_store {
            command.arg("--dataDir").arg(self.dir.path().join("server-0")).args(&self.flags[..4]);
        }
        let ran = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stdout) + &text(&ran.stderr)) }
    }

    /// The token of its superuser, who is made by the first server when first asked for.
    pub fn token(&mut self) -> String {
        if self.token.is_none() {
            let key = self.dir.path().join("key").display().to_string();
            let url = self.url(0);
            self.command(&["bootstrap", &url, "--hmacKeyFile", &key], false).unwrap();
            let config = fs::read_to_string(self.dir.path().join(".cacheroach/config")).unwrap();
            let config: serde_json::Value = serde_json::from_str(&config).unwrap();
            self.token = Some(config["Token"].as_str().unwrap().to_owned());
        }
        self.token.clone().unwrap()
    }
}

/// A port that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
