//! nginx over a folder of files, configured as one would for speed.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{START_LIMIT, Server, process};
use crate::load::Content;
use crate::report::Peer;
use crate::{Error, Result};

const WORKERS: usize = 2;
/// Since then a directive of its own switches HTTP/2 on, and HTTP/1.1 stays on the same port.
const WITH_DIRECTIVE: [u32; 3] = [1, 25, 1];

/// Where nginx is, if it is: Debian keeps it out of an ordinary user's PATH.
pub(crate) fn find_nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join("nginx")).find(|file| file.is_file())
}

/// A folder of files, for one server.
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

    pub(crate) fn add_file(&self, path: &str, content: &Content) -> Result<()> {
        let file = self.directory.path().join("root").join(path.trim_start_matches('/'));
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        content.write_to(fs::File::create(file)?)
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        // nginx cannot choose ports itself; somebody else taking one in between makes the start fail.
        let (first, second) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let (address, http2) = (first.local_addr()?, second.local_addr()?);
        drop((first, second));
        let built = Command::new(&self.program).arg("-V").output()?;
        let built = String::from_utf8_lossy(&built.stderr).into_owned();
        let http2 = Some(http2).filter(|_| built.contains("--with-http_v2_module"));
        let config = self.directory.path().join("nginx.conf");
        fs::write(&config, self.configuration(&built, address, http2)?)?;
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(self.directory.path()).arg("-c").arg(&config);
        let log = self.directory.path().join("nginx.log");
        let mut server = Server::spawn(Peer::Nginx, &mut command, &log, || Some(address)).await?;
        server.http2 = http2;
        let mut workers = Vec::new();
        let begun = Instant::now();
        while workers.len() < WORKERS {
            if begun.elapsed() > START_LIMIT {
                return Err(Error::from("nginx has too few workers"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            workers = process::children(server.child.id())?;
        }
        server.processes.extend(workers);
        Ok(server)
    }

    fn configuration(&self, built: &str, address: SocketAddr, http2: Option<SocketAddr>) -> Result<String> {
        let folder = self.directory.path().display();
        // As root, workers would change to a user who may not enter a temporary folder; as anybody else, the
        // line is a warning.
        let user = if fs::metadata("/proc/self")?.uid() == 0 { "user root;\n" } else { "" };
        let mut scratch = String::new();
        // nginx makes these folders at start, used or not, and where it was built to is for root alone.
        for module in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            if !built.contains(&format!("--without-http_{module}_module")) {
                scratch.push_str(&format!("  {module}_temp_path {folder}/{module};\n"));
            }
        }
        // With sendfile it gives up TCP_NODELAY, and small answers, whose heads go before them, wait for delayed
        // acknowledgements.
        let small = "location /4k/ { sendfile off; }";
        let http2 = http2.map_or(String::new(), |http2| {
            format!("  server {{ {} root {folder}/root; {small} }}\n", listen_http2(http2, built))
        });
        Ok(format!(
            "daemon off;\n{user}worker_processes {WORKERS};\npid {folder}/nginx.pid;\n\
             error_log {folder}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
             \x20 access_log off;\n  sendfile on;\n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n\
             {scratch}  server {{ listen {address}; root {folder}/root; }}\n{http2}}}\n"
        ))
    }
}

/// As this version wants to be told.
fn listen_http2(address: SocketAddr, built: &str) -> String {
    let version = built.split_once("nginx/").map_or("", |(_, rest)| rest);
    let version =
        version.split(|sign: char| sign != '.' && !sign.is_ascii_digit()).next().unwrap_or_default();
    let version: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if version.as_slice() >= WITH_DIRECTIVE.as_slice() {
        format!("listen {address}; http2 on;")
    } else {
        format!("listen {address} http2;")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http2_is_switched_on_as_the_version_knows_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        for (built, line) in [
            ("nginx version: nginx/1.22.1\nbuilt with", "listen 127.0.0.1:8080 http2;"),
            ("nginx version: nginx/1.25.1 (Ubuntu)", "listen 127.0.0.1:8080; http2 on;"),
            ("nginx version: nginx/1.26.0", "listen 127.0.0.1:8080; http2 on;"),
        ] {
            assert_eq!(listen_http2(address, built), line);
        }
    }
}
