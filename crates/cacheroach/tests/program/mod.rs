//! The real binary: servers that die with their test, and a home from which commands are run.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod desk;
pub(crate) mod seeded;
pub(crate) mod way;

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// What is run.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cacheroach");
/// Whose files every new store begins with.
pub(crate) const SCRATCHPAD: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
/// How long a server may take to begin, and to end when it is asked to.
const MOMENT: Duration = Duration::from_secs(20);
/// How long a command may take, unless the test knows it to be long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the long versions of the tests are wanted.
pub(crate) fn is_full() -> bool {
    std::env::var_os("CACHEROACH_TEST_FULL").is_some_and(|value| value == "1")
}

/// Looks again and again until there is something.
pub(crate) fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A process that does not outlive the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// SIGKILL, and nothing is left to wait for.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        until("the end of a process", patience, || self.0.try_wait().unwrap())
    }

    /// A line of `/proc/PID/status`, in KiB.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    /// What it says goes to `stdout` and `stderr` here.
    said: TempDir,
}

impl Server {
    /// On a port of its own.
    pub(crate) fn start(data: &Path) -> Self {
        Server::with(data, &["--bindAddr", "127.0.0.1:0"])
    }

    /// With flags of the test's own.
    pub(crate) fn with(data: &Path, flags: &[&str]) -> Self {
        let said = tempfile::tempdir().unwrap();
        let to = |name| File::create(said.path().join(name)).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("start").arg("--dataDir").arg(data).args(flags);
        command.env("HOME", said.path()).stdin(Stdio::null()).stdout(to("stdout")).stderr(to("stderr"));
        let mut server = Server { process: Process(command.spawn().unwrap()), url: String::new(), said };
        server.url = until("the address of a server", MOMENT, || {
            if let Some(status) = server.process.0.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", server.stderr());
            }
            let said = server.stdout();
            let (first, _) = said.split_once('\n')?;
            Some(first.split_once(" serves ")?.1.split_once(" from ")?.0.to_owned())
        });
        server
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.said.path().join("stdout")).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.said.path().join("stderr")).unwrap()
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// SIGTERM, to which it answers with 0.
    pub(crate) fn stop(&mut self) {
        self.process.terminate();
        let status = self.process.wait(MOMENT);
        assert_eq!(status.code(), Some(0), "{}", self.stderr());
    }
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command about to be run.
pub(crate) struct Call<'a> {
    home: &'a Home,
    command: Command,
    input: Option<String>,
    patience: Duration,
}

impl Call<'_> {
    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn run(mut self) -> Ran {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(self.command.spawn().unwrap());
        // A process shows its arguments from before `spawn` returns until it ends.
        // Empty for a moment while the kernel sets the process up, and for good once it has ended.
        let look = |_| {
            let shown = fs::read(format!("/proc/{}/cmdline", process.0.id())).unwrap_or_default();
            if shown.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            Some(shown).filter(|shown| !shown.is_empty())
        };
        let shown = (0..20).find_map(look).unwrap_or_default();
        self.home.shown.lock().unwrap().push(String::from_utf8_lossy(&shown).replace('\0', " "));
        if let (Some(mut stdin), Some(text)) = (process.0.stdin.take(), self.input) {
            stdin.write_all(text.as_bytes()).unwrap();
        }
        let stdout = drain(process.0.stdout.take().unwrap());
        let stderr = drain(process.0.stderr.take().unwrap());
        let code = process.wait(self.patience).code();
        Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// What it writes to standard output, if it succeeds.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        let shown = format!("{:?}", self.command);
        let ran = self.run();
        assert_eq!(ran.code, Some(0), "{shown}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// What it writes to standard error, if it fails with 1.
    #[track_caller]
    pub(crate) fn fails(self) -> String {
        let shown = format!("{:?}", self.command);
        let ran = self.run();
        assert_eq!(ran.code, Some(1), "{shown}: {}{}", ran.stdout, ran.stderr);
        ran.stderr
    }

    /// Lets it run, with its standard output for the test and the rest into a file.
    pub(crate) fn spawn(mut self, stderr: &Path) -> (Process, ChildStdout) {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(stderr).unwrap());
        let mut process = Process(self.command.spawn().unwrap());
        let stdout = process.0.stdout.take().unwrap();
        (process, stdout)
    }
}

/// All that comes, while it comes.
pub(crate) fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Closes a pipe with a text in it.
pub(crate) fn say(mut to: ChildStdin, text: &str) {
    to.write_all(text.as_bytes()).unwrap();
}

/// A user's home directory, in which commands are run.
pub(crate) struct Home {
    dir: TempDir,
    /// The arguments of all commands, as other users of the machine see them.
    shown: Mutex<Vec<String>>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Home { dir: tempfile::tempdir().unwrap(), shown: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// The command line after the program's name, in the home directory and with nothing else in the environment.
    pub(crate) fn call(&self, arguments: &[&str]) -> Call<'_> {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.path()).env_clear().env("HOME", self.path());
        Call { home: self, command, input: None, patience: PATIENCE }
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.call(arguments).ok()
    }

    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        self.call(arguments).fails()
    }

    /// What other users of the machine have seen of the commands.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }

    /// A configuration file, and `.cacheroach/config` unless another is named.
    pub(crate) fn config(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The token of a configuration file.
    pub(crate) fn token(&self, config: &str) -> String {
        self.config(config)["Token"].as_str().unwrap().to_owned()
    }
}

/// Where a client finds its configuration.
pub(crate) const CONFIG: &str = ".cacheroach/config";

/// A server, and a home that is its superuser's.
pub(crate) fn site() -> (Server, Home) {
    let home = Home::new();
    let data = home.at("data");
    let server = Server::start(&data);
    home.ok(&["bootstrap", "--dataDir", "data"]);
    (server, home)
}

/// The rows of a table, by their columns: the header's names begin where the cells do.
#[track_caller]
pub(crate) fn table(text: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let starts: Vec<usize> = columns
        .iter()
        .scan(0, |from, name| {
            let at =
                header[*from..].find(name).unwrap_or_else(|| panic!("no column {name}: {header}")) + *from;
            *from = at + name.len();
            Some(header[..at].chars().count())
        })
        .collect();
    assert_eq!(header.split("  ").filter(|name| !name.is_empty()).count(), columns.len(), "{header}");
    assert!(header.ends_with(columns[columns.len() - 1]), "the last column is not padded: {header:?}");
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] >= 4, "cells are at least 4 wide: {header}");
    }
    let row = |line: &str| {
        let cells: Vec<char> = line.chars().collect();
        let end = |at: usize| starts.get(at + 1).copied().unwrap_or(usize::MAX).min(cells.len());
        let cell = |at: usize| -> String {
            let from = starts[at].min(cells.len());
            let cell: String = cells[from..end(at)].iter().collect();
            let is_last = at + 1 == starts.len();
            assert!(is_last || cell.ends_with("  "), "at least two spaces between cells: {line:?}");
            if is_last { cell } else { cell.trim_end().to_owned() }
        };
        (0..starts.len()).map(cell).collect()
    };
    lines.map(row).collect()
}

/// Drives a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What an HTTP server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An HTTP client that follows nothing.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// One request, to its end.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

/// A GET with headers.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(http().get(url), |request, (name, value)| request.header(*name, *value));
    block_on(answer(request))
}
