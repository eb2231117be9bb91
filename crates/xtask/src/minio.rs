//! A real S3 server for tests: MinIO, built by Go once and kept in `target/tools`. It is started on a free loopback port
//! with a folder and keys of its own, and stopped when the tests are over.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::{Failure, Result, Tests, find, step};

/// The last there is; it has no versions in the Go sense.
const MODULE: &str = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c";
/// Where the tests look for a server; one that is there already is used as it is.
const URL: &str = "CACHEROACH_TEST_S3";
/// Not shown with the command that gets it.
pub(super) const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const BUCKET: &str = "cacheroach-test";

/// Stopped, and its folder removed, when this is dropped.
pub(super) struct Minio {
    process: Child,
    folder: PathBuf,
    port: u16,
    user: String,
    secret: String,
}

/// One for these tests. Without it those that need it show as ignored; among all tests it must not be missing.
pub(super) fn ensure(tests: Tests) -> Result<Option<Minio>> {
    if tests == Tests::Quick || std::env::var_os(URL).is_some() {
        return Ok(None);
    }
    match start() {
        Err(failure) if tests == Tests::Usual => {
            eprintln!("xtask: no S3 server: {failure}");
            Ok(None)
        }
        started => started.map(Some),
    }
}

/// Builds it if it was not built yet, and starts it.
fn start() -> Result<Minio> {
    let program = build()?;
    let broken = |what: &str, error: std::io::Error| Failure::Broken(format!("minio: {what}: {error}"));
    let (user, secret) = (random()?, random()?);
    let folder = std::env::temp_dir().join(format!("cacheroach-minio-{user}"));
    // A folder within its folder is a bucket.
    fs::create_dir_all(folder.join(BUCKET)).map_err(|error| broken("its folder", error))?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| broken("a port", error))?
        .port();
    let process = Command::new(program)
        .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
        .arg(&folder)
        .env("MINIO_ROOT_USER", &user)
        .env("MINIO_ROOT_PASSWORD", &secret)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let process = process.map_err(|error| broken("start", error))?;
    let mut minio = Minio { process, folder, port, user, secret };
    for _ in 0..300 {
        if minio.is_ready() {
            return Ok(minio);
        }
        if let Ok(Some(status)) = minio.process.try_wait() {
            return Err(Failure::Broken(format!("minio ended at once: {status}")));
        }
        sleep(Duration::from_millis(100));
    }
    Err(Failure::Broken("minio does not answer".into()))
}

/// Where the program is, once it is built.
pub(super) fn build() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let tools = std::path::absolute(target.join("tools"))
        .map_err(|error| Failure::Broken(format!("target/tools: {error}")))?;
    let program = tools.join("minio");
    if program.is_file() {
        return Ok(program);
    }
    if find("go").is_none() {
        return Err(Failure::Broken(format!("go is missing: it builds {MODULE} (Debian: golang)")));
    }
    step(Command::new("go").args(["install", MODULE]).env("GOBIN", &tools))?;
    Ok(program)
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Failure::Broken(format!("/dev/urandom: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Minio {
    /// What tests need to find it.
    pub(super) fn environment(&self) -> [(&str, String); 3] {
        let url =
            format!("s3://{BUCKET}?endpoint=http://127.0.0.1:{}&allow_http=true&region=us-east-1", self.port);
        [(URL, url), ("AWS_ACCESS_KEY_ID", self.user.clone()), (SECRET, self.secret.clone())]
    }

    fn is_ready(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /minio/health/ready HTTP/1.0\r\n\r\n")?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().is_ok_and(|answer| answer.ends_with(b"200"))
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
