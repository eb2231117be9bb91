//! A PostgreSQL server that lives as long as the process that started it, however that ends.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian keeps the programs of each release.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The oldest release that the store supports.
const OLDEST: u32 = 15;

/// Runs the server until its own input ends, which it does when the process that has the other end is gone, then stops
/// it and removes its folder. Nobody has to be asked to clean up, and killing the test leaves nothing either. Told `down`
/// it stops the server as its administrator does, told `crash` as if it had died, and told `up` it starts it again.
const SUPERVISE: &str = r#"
dir=$1; shift
trap '' INT TERM HUP
"$@" </dev/null &
while read -r word; do
    case $word in
        down) kill -INT $!; wait $! ;;
        crash) kill -QUIT $!; wait $! ;;
        up) "$@" </dev/null & ;;
        *) break ;;
    esac
done
kill -QUIT $!
wait
rm -rf "$dir"
"#;

/// How one wants the server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// As in production: what was answered is on the disk. Much slower.
    pub durable: bool,
    /// More settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct Process {
    /// Its input is what keeps the server running.
    supervisor: Child,
    port: u16,
    dir: PathBuf,
}

/// The folder of the newest release's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let releases = fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let releases =
        releases.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry)));
    let (_, newest) =
        releases.filter(|(release, _)| *release >= OLDEST).max_by_key(|(release, _)| *release)?;
    let folder = newest.path().join("bin");
    (folder.join("initdb").is_file() && folder.join("postgres").is_file()).then_some(folder)
}

impl Process {
    /// Starts a server on a free port of this machine; anybody on it may log in as `postgres`.
    ///
    /// # Errors
    /// The programs are missing or fail: what they said.
    pub fn start(options: &Options) -> io::Result<Process> {
        let programs =
            programs().ok_or_else(|| io::Error::other("Debian's package postgresql is missing"))?;
        let dir = tempfile::Builder::new().prefix("cacheroach-postgres-").tempdir()?.keep();
        let user = unprivileged(&dir)?;
        let data = dir.join("data");
        // Its order of text is a language's, as it often is: what must be in the order of bytes has to say so.
        let made = user
            .command(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--locale-provider=icu", "--icu-locale=en-US", "--pgdata"])
            .arg(&data)
            .output()?;
        if !made.status.success() {
            let _ = fs::remove_dir_all(&dir);
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", dir.display()),
            "max_connections=400".to_owned(),
        ];
        if !options.durable {
            settings
                .extend(["fsync=off", "full_page_writes=off", "synchronous_commit=off"].map(str::to_owned));
        }
        settings.extend_from_slice(&options.settings);
        let log = fs::File::create(dir.join("log"))?;
        let server = user.words(&programs.join("postgres"));
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "sh"])
            .arg(&dir)
            .args(server)
            .arg("-D")
            .arg(&data)
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let process = Process { supervisor, port, dir };
        process.wait_until_ready()?;
        Ok(process)
    }

    /// Where it listens, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its data, its log and its socket are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Stops it as its administrator does: who is connected is told.
    ///
    /// # Errors
    /// It does not end.
    pub fn down(&mut self) -> io::Result<()> {
        self.tell("down")?;
        self.wait_until_gone()
    }

    /// Ends it without a word to anybody, and starts it again: it has to recover first.
    ///
    /// # Errors
    /// It does not end, or does not come back.
    pub fn crash(&mut self) -> io::Result<()> {
        self.tell("crash")?;
        self.wait_until_gone()?;
        self.up()
    }

    /// Starts it again, at the same port.
    ///
    /// # Errors
    /// It does not come back.
    pub fn up(&mut self) -> io::Result<()> {
        self.tell("up")?;
        self.wait_until_ready()
    }

    fn tell(&mut self, word: &str) -> io::Result<()> {
        let input = self.supervisor.stdin.as_mut().expect("it is taken only when this is dropped");
        writeln!(input, "{word}")
    }

    fn wait_until_gone(&self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if !self.dir.join("data/postmaster.pid").exists() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the server does not stop"))
    }

    /// It says so in a file.
    fn wait_until_ready(&self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let state = fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(fs::read_to_string(self.dir.join("log")).unwrap_or_default()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut input) = self.supervisor.stdin.take() {
            let _ = input.write_all(b"stop\n");
        }
        let _ = self.supervisor.wait();
    }
}

/// Whose the server is: it refuses to run as root.
struct User(Option<String>);

/// Makes the folder theirs.
fn unprivileged(dir: &Path) -> io::Result<User> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(User(None));
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse::<u32>().ok());
        Some((name, ids.next()?, ids.next()?))
    });
    let (name, user, group) = ids.ok_or_else(|| io::Error::other("no user to run PostgreSQL as"))?;
    chown(dir, Some(user), Some(group))?;
    Ok(User(Some(name.to_owned())))
}

impl User {
    /// A program of theirs, as words of a command line.
    fn words(&self, program: &Path) -> Vec<String> {
        let program = program.display().to_string();
        match &self.0 {
            None => vec![program],
            Some(name) => {
                let (user, group) = (format!("--reuid={name}"), "--init-groups".to_owned());
                vec!["setpriv".to_owned(), user, format!("--regid={}", group_of(name)), group, program]
            }
        }
    }

    fn command(&self, program: &Path) -> Command {
        let words = self.words(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/");
        command
    }
}

/// Debian's group of nobody has another name.
fn group_of(user: &str) -> &str {
    if user == "nobody" { "nogroup" } else { user }
}
