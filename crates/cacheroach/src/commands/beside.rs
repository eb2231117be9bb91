//! What commands find beside a server with an embedded store: its address and its key.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::start::{ADDRESS_FILE, KEY_FILE};
use super::store::place::DATA_DIR;
use crate::error::Error;

/// How long a server may take to start, and how often to look whether it has.
const START_UP: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// Where to look.
#[derive(Args)]
#[command(rename_all = "camelCase")]
pub(super) struct Beside {
    /// The data folder of the server, where what is not given is looked for.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub(super) data_dir: PathBuf,
}

impl Beside {
    /// Where the server listens. It may just be starting.
    pub(super) async fn address(&self) -> Result<String, Error> {
        let path = self.data_dir.join(ADDRESS_FILE);
        let mut tries = START_UP.as_millis() / LOOK.as_millis();
        loop {
            match read(&path) {
                Ok(url) => return Ok(url),
                Err(_) if tries > 0 => tries -= 1,
                Err(e) => {
                    let missing =
                        format!("no URL given, and no server running on {}", self.data_dir.display());
                    return Err(Error::because(missing, e));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The key that the server made, as text.
    pub(super) fn key(&self) -> Result<String, Error> {
        read(&self.data_dir.join(KEY_FILE))
    }
}

/// A file of one word.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let text =
        fs::read_to_string(path).map_err(|e| Error::because(format!("cannot read {}", path.display()), e))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn key_and_address_are_found_beside_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let beside = Beside { data_dir: dir.path().to_owned() };
        assert!(beside.address().await.unwrap_err().text().starts_with("no URL given"));
        assert!(beside.key().is_err());
        fs::write(dir.path().join(ADDRESS_FILE), "http://127.0.0.1:13013\n").unwrap();
        fs::write(dir.path().join(KEY_FILE), "a2V5\n").unwrap();
        assert_eq!(beside.address().await.unwrap(), "http://127.0.0.1:13013");
        assert_eq!(beside.key().unwrap(), "a2V5");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_just_starting_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (beside, path) = (Beside { data_dir: dir.path().to_owned() }, dir.path().join(ADDRESS_FILE));
        let starting = tokio::spawn(async move {
            tokio::time::sleep(START_UP / 2).await;
            fs::write(path, "http://127.0.0.1:1\n").unwrap();
        });
        assert_eq!(beside.address().await.unwrap(), "http://127.0.0.1:1");
        starting.await.unwrap();
    }
}
