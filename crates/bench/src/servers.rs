//! The servers under test: started, stopped, and what the kernel says they cost.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use tempfile::TempDir;

use crate::load::{self, Ask, Target};
use crate::{Error, Result};

/// Longer than any start that is worth waiting for.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to leave by itself.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// The unit of /proc/PID/stat: `USER_HZ`, which Linux keeps at 100 on every architecture we build for.
const TICKS_PER_SECOND: u64 = 100;
const NGINX_WORKERS: usize = 2;

/// A running server; dropping it stops it.
pub(crate) struct Server {
    child: Child,
    /// Itself and its workers.
    processes: Vec<u32>,
    pub(crate) address: SocketAddr,
    /// From being spawned to the first answer.
    pub(crate) started_in: Duration,
}

/// What a server has cost since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes handed to block devices.
    pub(crate) written: u64,
}

impl Server {
    /// Spawns a command and asks `GET /` until somebody answers, whatever the status.
    pub(crate) async fn spawn(
        command: &mut Command,
        log: &Path,
        address: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let begun = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { processes: vec![child.id()], child, address: nobody, started_in: Duration::ZERO };
        loop {
            if let Some(address) = address()
                && load::once(&Target::anonymous(address), Ask::get("/")).await.is_ok()
            {
                server.address = address;
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} ended with {status}: {}", tail(log)).into());
            }
            if begun.elapsed() > START_LIMIT {
                return Err(format!("{command:?} does not answer: {}", tail(log)).into());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for process in &self.processes {
            sum.cpu += cpu(&read_proc(*process, "stat")?)?;
            sum.written += field(&read_proc(*process, "io")?, "write_bytes:")?;
        }
        Ok(sum)
    }

    /// Most memory held at any time since `forget_peak`, workers summed (what they share counts for each).
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for process in &self.processes {
            sum += field(&read_proc(*process, "status")?, "VmHWM:")? * 1024;
        }
        Ok(sum)
    }

    /// Kernels that refuse make the peak one since the start, which is not worth failing for.
    pub(crate) fn forget_peak(&self) {
        for process in &self.processes {
            drop(fs::write(format!("/proc/{process}/clear_refs"), "5"));
        }
    }
}

impl Drop for Server {
    /// Asks first: killed, nginx would leave its workers behind and cacheroach a log to recover.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let asked =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while asked.as_ref().is_ok_and(std::process::ExitStatus::success) && begun.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn read_proc(process: u32, name: &str) -> Result<String> {
    let file = format!("/proc/{process}/{name}");
    fs::read_to_string(&file).map_err(|error| format!("{file}: {error}").into())
}

/// The fields of /proc/PID/stat from the third on: the second, a name in parentheses, may hold anything.
fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace()
}

/// What a process has cost, in user and system time.
pub(crate) fn cpu_of(process: u32) -> Result<Duration> {
    cpu(&read_proc(process, "stat")?)
}

/// All processes of that name.
pub(crate) fn processes_called(name: &str) -> Result<Vec<u32>> {
    let numbers = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| read_proc(*process, "comm").is_ok_and(|comm| comm.trim() == name));
    Ok(numbers.collect())
}

fn cpu(stat: &str) -> Result<Duration> {
    let (user, system) = (stat_fields(stat).nth(11), stat_fields(stat).nth(12));
    let (Some(user), Some(system)) = (user, system) else { return Err("/proc/PID/stat is too short".into()) };
    let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The number behind a label of a /proc file with one label a line.
fn field(text: &str, label: &str) -> Result<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .ok_or_else(|| format!("no {label} in /proc"))?;
    Ok(value.parse()?)
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = read_proc(process, "stat") else { continue };
        if stat_fields(&stat).nth(1).and_then(|id| id.parse().ok()) == Some(parent) {
            found.push(process);
        }
    }
    Ok(found)
}

/// An embedded store, which outlives the servers started on it.
pub(crate) struct Store {
    program: PathBuf,
    directory: TempDir,
}

impl Store {
    pub(crate) fn empty(program: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("cacheroach-bench-").tempdir()?;
        Ok(Self { program: program.to_owned(), directory })
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        let address = self.data().join("address");
        // That of the server before says nothing about this one.
        drop(fs::remove_file(&address));
        let mut command = Command::new(&self.program);
        command.arg("start").arg("--dataDir").arg(self.data()).args(["--bindAddr", "127.0.0.1:0"]);
        let listening = || {
            let text = fs::read_to_string(&address).ok()?;
            // Half a line could be half a port.
            text.strip_suffix('\n')?.strip_prefix("http://")?.parse().ok()
        };
        Server::spawn(&mut command, &self.directory.path().join("server.log"), listening).await
    }

    /// Who may do everything on a running server.
    pub(crate) fn superuser(&self, server: &Server) -> Result<Target> {
        let config = self.directory.path().join("config.json");
        let mut command = Command::new(&self.program);
        command.arg("bootstrap").arg("--dataDir").arg(self.data()).arg("-c").arg(&config);
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let config: serde_json::Value = serde_json::from_slice(&fs::read(&config)?)?;
        let token = config["Token"].as_str().filter(|token| !token.is_empty());
        let token = token.ok_or("bootstrap wrote a configuration without Token")?;
        let authorization = HeaderValue::try_from(format!("Bearer {token}"))?;
        Ok(Target { address: server.address, authorization: Some(authorization) })
    }
}

/// Where nginx is, if it is: Debian keeps it out of an ordinary user's PATH.
pub(crate) fn find_nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join("nginx")).find(|file| file.is_file())
}

/// nginx over a folder of files, configured as one would for speed.
pub(crate) struct Nginx {
    program: PathBuf,
    directory: TempDir,
}

impl Nginx {
    pub(crate) fn new(program: PathBuf) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("cacheroach-bench-nginx-").tempdir()?;
        fs::create_dir(directory.path().join("root"))?;
        Ok(Self { program, directory })
    }

    pub(crate) fn version(&self) -> Result<String> {
        let output = Command::new(&self.program).arg("-v").output()?;
        Ok(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("nginx version: ").to_owned())
    }

    pub(crate) fn add_file(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.directory.path().join("root").join(path.trim_start_matches('/'));
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(file, content)?)
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        // nginx cannot choose a port itself; somebody else taking this one in between makes the start fail.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = self.directory.path().join("nginx.conf");
        fs::write(&config, self.configuration(address)?)?;
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(self.directory.path()).arg("-c").arg(&config);
        let log = self.directory.path().join("nginx.log");
        let mut server = Server::spawn(&mut command, &log, || Some(address)).await?;
        let mut workers = Vec::new();
        let begun = Instant::now();
        while workers.len() < NGINX_WORKERS {
            if begun.elapsed() > START_LIMIT {
                return Err(Error::from("nginx has too few workers"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            workers = children(server.child.id())?;
        }
        server.processes.extend(workers);
        Ok(server)
    }

    fn configuration(&self, address: SocketAddr) -> Result<String> {
        let folder = self.directory.path().display();
        // As root, workers would change to a user who may not enter a temporary folder; as anybody else, the
        // line is a warning.
        let user = if fs::metadata("/proc/self")?.uid() == 0 { "user root;\n" } else { "" };
        let mut scratch = String::new();
        // nginx makes these folders at start, used or not, and where it was built to is for root alone.
        let built = Command::new(&self.program).arg("-V").output()?;
        let built = String::from_utf8_lossy(&built.stderr).into_owned();
        for module in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            if !built.contains(&format!("--without-http_{module}_module")) {
                scratch.push_str(&format!("  {module}_temp_path {folder}/{module};\n"));
            }
        }
        Ok(format!(
            "daemon off;\n{user}worker_processes {NGINX_WORKERS};\npid {folder}/nginx.pid;\n\
             error_log {folder}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
             \x20 access_log off;\n  sendfile on;\n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n\
             {scratch}  server {{ listen {address}; root {folder}/root; }}\n}}\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let stat = "7 (a ) 9 (b) S 3 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
        assert_eq!(stat_fields(stat).nth(1), Some("3"));
    }

    #[test]
    fn fields_are_found_by_their_whole_label() {
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(field(io, "write_bytes:").unwrap(), 4096);
        assert_eq!(field("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n", "VmHWM:").unwrap(), 1234);
        assert!(field(io, "missing:").is_err());
    }

    #[test]
    fn our_own_process_can_be_read() {
        let own = std::process::id();
        cpu(&read_proc(own, "stat").unwrap()).unwrap();
        field(&read_proc(own, "io").unwrap(), "write_bytes:").unwrap();
    }
}
