//! A fresh database for each case: a copy of one that was migrated once, which is fast.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::process::{Options, Process};
use crate::{COCKROACH, POSTGRES, url};

/// A server that tests of this process share.
#[derive(Debug)]
pub struct Server {
    url: Url,
    /// CockroachDB copies no databases.
    copies: bool,
    template: OnceCell<String>,
    process: Option<Process>,
}

/// A database of one case; dropped with it.
#[derive(Debug)]
pub struct Database {
    server: &'static Server,
    name: String,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Unique on a server that other processes use too.
fn fresh_name() -> String {
    format!("cacheroach_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst))
}

impl Server {
    /// PostgreSQL: the one of the environment, or else one that this process starts when it is first asked for.
    ///
    /// # Panics
    /// There is none: ask [`has_postgres`](crate::has_postgres) first.
    #[must_use]
    pub fn postgres() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| match url(POSTGRES) {
            Some(url) => Server::at(&url, true, None),
            None => Server::start(&Options::default()),
        })
    }

    /// CockroachDB: the one of the environment.
    ///
    /// # Panics
    /// There is none: ask [`has_cockroach`](crate::has_cockroach) first.
    #[must_use]
    pub fn cockroach() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Server::at(&url(COCKROACH).expect("somebody says where it is"), false, None))
    }

    /// One more PostgreSQL server, for a test that stops it or sets it up in its own way.
    ///
    /// # Panics
    /// It can't be started.
    #[must_use]
    pub fn start(options: &Options) -> Server {
        let process = Process::start(options).unwrap_or_else(|error| panic!("no PostgreSQL: {error}"));
        Server::at(&process.url("postgres"), true, Some(process))
    }

    fn at(url: &str, copies: bool, process: Option<Process>) -> Server {
        let url = Url::parse(url).expect("the URL of a test server");
        Server { url, copies, template: OnceCell::new(), process }
    }

    /// The process, if it was started here.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.into()
    }

    /// A database with nothing in it.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn empty(&'static self) -> Database {
        let name = fresh_name();
        self.admin(&format!("CREATE DATABASE {name}")).await;
        Database { server: self, name }
    }

    /// A database that `migrate` has been over: called with the URL of the first of them, of which later ones are copies
    /// where the server makes any. All calls of a process must mean the same.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn migrated(&'static self, migrate: impl AsyncFnOnce(String)) -> Database {
        if !self.copies {
            let database = self.empty().await;
            migrate(database.url()).await;
            return database;
        }
        let make = async || {
            let template = fresh_name();
            self.admin(&format!("CREATE DATABASE {template}")).await;
            migrate(self.url(&template)).await;
            template
        };
        let template = self.template.get_or_init(make).await;
        let name = fresh_name();
        self.admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Database { server: self, name }
    }

    /// A connection to one of its databases, outside every pool.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn connect(&self, database: &str) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), NoTls).await.expect("the test server answers");
        tokio::spawn(connection);
        client
    }

    async fn admin(&self, sql: &str) {
        let client = self.connect(self.url.path().trim_start_matches('/')).await;
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match client.batch_execute(sql).await {
                Ok(()) => return,
                // Who was on the template is still taking leave.
                Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{sql}: {error:?}"),
            }
        }
    }
}

impl Database {
    /// Where it is, as `--connect` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it, outside every pool.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn connect(&self) -> Client {
        self.server.connect(&self.name).await
    }
}

impl Drop for Database {
    /// On a thread of its own, for the case's runtime may be ending.
    fn drop(&mut self) {
        let (server, name) = (self.server, self.name.clone());
        let how = if server.copies { "WITH (FORCE)" } else { "CASCADE" };
        let remove = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(server.admin(&format!("DROP DATABASE IF EXISTS {name} {how}")));
            }
        };
        // What stays behind on a server of somebody else's is no reason to fail.
        let _ = std::thread::spawn(remove).join();
    }
}
