//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`. One thread writes and commits what is waiting
//! together; readers run beside it and see what was committed before they began.

mod chunk_data;
mod chunks;
mod copies;
mod cost;
mod files;
mod healing;
mod health;
mod inspect;
mod links;
mod listings;
mod migrations;
mod moves;
mod passwords;
mod principals;
mod purge;
mod readers;
mod regions;
mod row;
mod sessions;
mod stamps;
mod tenants;
mod uploads;
mod versions;
mod vhosts;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cacheroach_model::{Clock, Region, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::changes::{Changes, News};
use crate::{Error, Result};
pub use cost::{Cost, take_costs};
use readers::Readers;
use stamps::Stamps;
use writer::Writer;

/// A store of metadata in one file, for one process.
pub struct Sqlite {
    writer: Writer,
    readers: Readers,
    /// None: another process makes the changes.
    stamps: Option<Arc<Stamps>>,
    /// Told by the writer: this process is the only one there is.
    news: Arc<News>,
    clock: Arc<dyn Clock>,
    /// Where new tenants are at home.
    region: Region,
    file: PathBuf,
    /// Held as long as this may write, so that a second process is refused instead of surprised.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the store in a folder, which must exist; creates or migrates the database.
    ///
    /// # Errors
    /// Another process has it open; its schema is newer than this program; the disk's.
    pub fn open(dir: &Path, region: Region, clock: Arc<dyn Clock>) -> Result<Self> {
        let lock = lock(dir)?;
        let path = dir.join("metadata.sqlite");
        let mut connection =
            connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        migrations::run(&mut connection, clock.now())?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        let readers = Readers::open(&path)?;
        let news = Arc::new(News::default());
        let stamps = Arc::new(Stamps::default());
        let (time, told) = (Arc::clone(&clock), Arc::clone(&news));
        let writer = Writer::start(connection, time, told, Arc::clone(&stamps))?;
        Ok(Sqlite {
            writer,
            readers,
            stamps: Some(stamps),
            news,
            clock,
            region,
            file: path,
            _lock: Some(lock),
        })
    }

    /// Opens the store in a folder for reading alone, also beside a process that has it open. Every change is refused.
    ///
    /// # Errors
    /// There is none; its schema is not the one of this program; the disk's.
    pub fn open_to_read(dir: &Path, region: Region, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = dir.join("metadata.sqlite");
        if !path.try_exists()? {
            return Err(Error::Failed(format!("there is no store in {}", dir.display()).into()));
        }
        migrations::check(&readers::connect_to_read(&path)?)?;
        let readers = Readers::open(&path)?;
        let news = Arc::new(News::default());
        Ok(Sqlite {
            writer: Writer::none(),
            readers,
            stamps: None,
            news,
            clock,
            region,
            file: path,
            _lock: None,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Changes for Sqlite {
    fn changes(&self) -> &News {
        &self.news
    }
}

fn lock(dir: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Error::Busy(format!("{} is open in another process", dir.display()).into()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// How long the log may grow; reading it takes a start after a crash a tenth of a second.
const LOG_BYTES: i64 = 64 << 20;
const PAGE_BYTES: i64 = 4096;
/// Pages that the writer remembers: what is named by a hash is written all over the place.
const WRITER_CACHE_KIB: i64 = 32 << 10;

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(128);
    // Without this, each call of a statement with other values is planned anew: 2.6 times the cost of a small read.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    // Pages that change again and again are written to the database itself once for all that is in the log.
    connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / PAGE_BYTES)?;
    Ok(connection)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full(error.into()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(error.into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Damaged(error.to_string()),
            _ => Error::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_700_000_000)
        }
    }

    fn open(dir: &Path) -> Sqlite {
        Sqlite::open(dir, Region::parse("local").unwrap(), Arc::new(Fixed)).unwrap()
    }

    /// So many bytes in a table of its own.
    async fn fill(sqlite: &Sqlite, bytes: i64) -> Result<()> {
        let fill = move |connection: &Connection, _| {
            connection.execute_batch("CREATE TABLE IF NOT EXISTS filled (bytes BLOB)")?;
            connection.execute("INSERT INTO filled VALUES (randomblob(?))", [bytes])?;
            Ok(())
        };
        sqlite.writer.write(fill).await
    }

    async fn filled(sqlite: &Sqlite) -> i64 {
        let count = "SELECT COUNT(*) FROM filled";
        sqlite
            .readers
            .read(move |connection| Ok(connection.query_row(count, [], |row| row.get(0))?))
            .await
            .unwrap()
    }

    /// SQLite says the same when the disk is full.
    #[tokio::test]
    async fn f07_a_database_without_room_says_so_and_goes_on_once_there_is_some() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = open(dir.path());
        let bound = |pages: i64| {
            sqlite.writer.write(move |connection, _| {
                Ok(connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
            })
        };
        fill(&sqlite, 1000).await.unwrap();
        bound(200).await.unwrap();
        let full = fill(&sqlite, 2 << 20).await.unwrap_err();
        assert!(matches!(full, Error::Full(_)), "{full:?}");
        assert_eq!(filled(&sqlite).await, 1, "what did not fit is not there, and what is can be read");
        bound(100_000).await.unwrap();
        fill(&sqlite, 2 << 20).await.unwrap();
        assert_eq!(filled(&sqlite).await, 2);
    }

    /// The first holds the writer up until all others wait, so that they are committed together.
    #[tokio::test]
    async fn p2_a_change_that_fails_in_the_middle_is_undone_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = open(dir.path());
        fill(&sqlite, 1).await.unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let first = sqlite.writer.write(move |_, _| {
            // Made again, it finds nobody to wait for.
            let _ = wait.lock().unwrap().recv();
            Ok(())
        });
        let add = |bytes: i64, how: &'static str| {
            sqlite.writer.write(move |connection, _| {
                connection.execute("INSERT INTO filled VALUES (zeroblob(?))", [bytes])?;
                match how {
                    "fails" => Err(Error::Skew),
                    "panics" => panic!("in the middle"),
                    _ => Ok(()),
                }
            })
        };
        let refused = sqlite.writer.write(|_, _| Err::<(), _>(Error::Missing("tenant")));
        let release = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            drop(go);
        };
        let (one, two, three, four, five, six, ()) = tokio::join!(
            first,
            add(2, "works"),
            add(3, "fails"),
            refused,
            add(4, "panics"),
            add(5, "works"),
            release
        );
        assert!(one.is_ok() && two.is_ok() && six.is_ok());
        assert!(matches!(three, Err(Error::Skew)) && matches!(four, Err(Error::Missing("tenant"))));
        assert!(matches!(five, Err(Error::Failed(_))));
        let lengths = sqlite.readers.read(|connection| {
            let sql = "SELECT group_concat(length(bytes)) FROM filled";
            Ok(connection.query_row(sql, [], |row| row.get::<_, String>(0))?)
        });
        assert_eq!(lengths.await.unwrap(), "1,2,5");
    }

    #[tokio::test]
    async fn f17_whoever_locks_the_database_is_waited_for_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = open(dir.path());
        fill(&sqlite, 10).await.unwrap();
        let other = Connection::open(dir.path().join("metadata.sqlite")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waits = fill(&sqlite, 10);
        let lets_go = async {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            other.execute_batch("ROLLBACK").unwrap();
        };
        tokio::join!(waits, lets_go).0.unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let busy = fill(&sqlite, 10).await.unwrap_err();
        assert!(matches!(busy, Error::Busy(_)), "{busy:?}");
        other.execute_batch("ROLLBACK").unwrap();
        fill(&sqlite, 10).await.unwrap();
    }

    #[tokio::test]
    async fn f17_a_long_reader_sees_its_own_time_and_the_log_shrinks_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = open(dir.path());
        fill(&sqlite, 10).await.unwrap();
        let log = || std::fs::metadata(dir.path().join("metadata.sqlite-wal")).unwrap().len();
        let reader = Connection::open(dir.path().join("metadata.sqlite")).unwrap();
        let count = |reader: &Connection| -> i64 {
            reader.query_row("SELECT COUNT(*) FROM filled", [], |row| row.get(0)).unwrap()
        };
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(count(&reader), 1);
        for _ in 0..10 {
            fill(&sqlite, 10 << 20).await.unwrap();
        }
        assert_eq!(count(&reader), 1);
        assert!(log() > 90 << 20, "nothing of it can be let go");
        reader.execute_batch("COMMIT").unwrap();
        // The next checkpoint takes all of it, and the write after that begins the log anew.
        for _ in 0..3 {
            fill(&sqlite, 10 << 20).await.unwrap();
        }
        assert!(log() <= 65 << 20, "{} bytes", log());
        assert_eq!(count(&reader), 14);
    }

    #[test]
    fn f17_a_second_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Sqlite::open(dir.path(), Region::parse("local").unwrap(), Arc::new(Fixed)).unwrap();
        assert!(matches!(
            Sqlite::open(dir.path(), Region::parse("local").unwrap(), Arc::new(Fixed)),
            Err(Error::Busy(_))
        ));
        drop(first);
        Sqlite::open(dir.path(), Region::parse("local").unwrap(), Arc::new(Fixed)).unwrap();
    }
}
