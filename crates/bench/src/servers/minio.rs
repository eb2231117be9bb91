//! MinIO as a peer: what people leave for cacheroach. It is asked by signed URLs, which are made before anything is measured.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use object_store::aws::AmazonS3Builder;
use object_store::signer::Signer as _;
use tempfile::TempDir;

use super::{START_LIMIT, Server};
use crate::Result;
use crate::load::{self, Ask, Target};
use crate::report::Peer;

const BUCKET: &str = "bench";
const REGION: &str = "us-east-1";
/// Longer than any run.
const VALID: Duration = Duration::from_secs(24 * 3600);

/// Whether it can write.
const READY: &str = "/minio/health/cluster";

/// Says where the program is; whoever runs us has built it.
pub(crate) const PROGRAM: &str = "CACHEROACH_BENCH_MINIO";

/// A store of its own, for one server.
pub(crate) struct Minio {
    program: PathBuf,
    directory: TempDir,
    user: String,
    secret: String,
}

impl Minio {
    pub(crate) fn new(program: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("cacheroach-bench-minio-").tempdir()?;
        // A folder within its folder is a bucket.
        fs::create_dir_all(directory.path().join("data").join(BUCKET))?;
        // It never leaves this machine, and is gone after the run.
        let random =
            || directory.path().display().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        let (user, secret): (String, String) = ("bench".to_owned(), random());
        let secret = secret.chars().rev().take(32).collect();
        Ok(Self { program: program.to_owned(), directory, user, secret })
    }

    pub(crate) fn version(program: &Path) -> Result<String> {
        let output = Command::new(program).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(&self.program);
        command.args(["server", "--quiet", "--address", &address.to_string()]);
        command.arg(self.directory.path().join("data"));
        command.env("MINIO_ROOT_USER", &self.user).env("MINIO_ROOT_PASSWORD", &self.secret);
        command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off");
        let log = self.directory.path().join("minio.log");
        let server = Server::spawn(Peer::Minio, &mut command, &log, || Some(address)).await?;
        let begun = Instant::now();
        // It answers long before it takes anything.
        let target = Target::anonymous(address);
        while !load::once(&target, Ask::get(READY)).await.is_ok_and(|(status, _)| status == StatusCode::OK) {
            if begun.elapsed() > START_LIMIT {
                return Err("MinIO does not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Paths with signatures, for one method and one server.
    pub(crate) async fn sign(
        &self,
        address: SocketAddr,
        method: &Method,
        paths: impl Iterator<Item = String>,
    ) -> Result<Arc<[String]>> {
        let bucket = AmazonS3Builder::new()
            .with_endpoint(format!("http://{address}"))
            .with_allow_http(true)
            .with_region(REGION)
            .with_bucket_name(BUCKET)
            .with_access_key_id(&self.user)
            .with_secret_access_key(&self.secret)
            .build()?;
        let mut signed = Vec::new();
        for path in paths {
            let path = object_store::path::Path::from(path.trim_start_matches('/'));
            let url = bucket.signed_url(method.clone(), &path, VALID).await?;
            signed.push(format!("{}?{}", url.path(), url.query().unwrap_or_default()));
        }
        Ok(signed.into())
    }
}
