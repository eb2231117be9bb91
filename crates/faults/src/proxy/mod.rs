//! Between a server and PostgreSQL. It knows which statement runs, and can cut the connection before or after it, delay
//! it, let it fail, or let everything vanish. Only connections without encryption (`sslmode=disable`).

mod frames;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use url::Url;

use crate::Random;
use frames::{Batch, Batches, Frame, Frames};

/// What happens to a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// The connection is cut, and the database never hears of it.
    CutBefore,
    /// The database hears of it, and the connection is cut at once.
    CutIn,
    /// The database has done it, and the connection is cut in place of the answer.
    CutAfter,
    /// It waits.
    Delay(Duration),
    /// The database fails it with this SQLSTATE; a transaction is as far gone as after a real failure. A COMMIT is not made.
    Fail(&'static str),
    /// As [`Act::Fail`], and the connection is cut after the answer, as 57P01 does.
    FailAndCut(&'static str),
    /// It is done, and its answer is this SQLSTATE: for COMMIT, where 40003 leaves the outcome open.
    DoAndFail(&'static str),
}

/// Which statements something happens to.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Part of the statement; empty: any.
    pub part: String,
    /// How many are let through before.
    pub skip: usize,
    /// How many it happens to, then it is over.
    pub times: usize,
    /// Of a hundred about so many; the others come through. Which ones is the same in each run.
    pub percent: usize,
    /// What happens.
    pub act: Act,
}

impl Rule {
    /// Happens once, to the first statement that has this part.
    #[must_use]
    pub fn once(part: &str, act: Act) -> Self {
        Rule { part: part.into(), skip: 0, times: 1, percent: 100, act }
    }

    /// Happens to each statement that has this part.
    #[must_use]
    pub fn always(part: &str, act: Act) -> Self {
        Rule { times: usize::MAX, ..Rule::once(part, act) }
    }
}

#[derive(Default)]
struct Shared {
    rules: Vec<(Rule, usize)>,
    statements: Vec<String>,
    hits: usize,
    swallow_notifications: bool,
}

impl Shared {
    /// What happens to a batch.
    fn act(&mut self, batch: &Batch) -> Option<Act> {
        self.statements.extend(batch.statements.iter().cloned());
        for (rule, met) in &mut self.rules {
            if rule.times == 0 || !batch.statements.iter().any(|sql| sql.contains(&rule.part)) {
                continue;
            }
            *met += 1;
            // Not every tenth: work that takes ten statements would never be done.
            let is_due = Random::new(*met as u64).below(100) < rule.percent as u64;
            if *met > rule.skip && is_due {
                rule.times -= 1;
                self.hits += 1;
                return Some(rule.act);
            }
        }
        None
    }
}

/// How traffic as a whole fares.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Weather {
    #[default]
    Fine,
    /// Nothing comes through, and nobody is told.
    BlackHole,
    /// As if nobody listened.
    Down,
}

/// A proxy on a port of its own; gone when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    weather: watch::Sender<Weather>,
    cut: watch::Sender<u64>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Leads to a database.
    #[must_use]
    pub fn to(database: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let (weather, cut) = (watch::Sender::default(), watch::Sender::default());
        let entrance = Entrance { database, shared: Arc::clone(&shared), weather: weather.subscribe() };
        let cuts = cut.subscribe();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let (entrance, mut cuts) = (entrance.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = entrance.serve(client) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Proxy { address, shared, weather, cut, runtime: Some(runtime) }
    }

    /// Before the database of a URL; and the URL that leads through it.
    ///
    /// # Panics
    /// The URL names no host that can be found.
    #[must_use]
    pub fn before(url: &str) -> (Self, String) {
        let mut url = Url::parse(url).unwrap();
        let proxy = Proxy::to(url.socket_addrs(|| Some(5432)).unwrap()[0]);
        url.set_ip_host(proxy.address.ip()).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.into())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on something happens to some statements.
    pub fn add(&self, rule: Rule) {
        self.shared.lock().unwrap().rules.push((rule, 0));
    }

    /// All comes through again, and what was noted is forgotten.
    pub fn clear(&self) {
        *self.shared.lock().unwrap() = Shared::default();
        self.weather.send_replace(Weather::Fine);
    }

    /// How often something has happened.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.shared.lock().unwrap().hits
    }

    /// The statements that were run, in order.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.shared.lock().unwrap().statements.clone()
    }

    /// Nothing comes through any more, in either direction; connections stay as they are, also new ones. What was held
    /// back goes on afterwards, as packets do that are sent again.
    pub fn black_hole(&self, is_one: bool) {
        self.weather.send_replace(if is_one { Weather::BlackHole } else { Weather::Fine });
    }

    /// All connections are cut, and new ones too.
    pub fn down(&self, is_down: bool) {
        self.weather.send_replace(if is_down { Weather::Down } else { Weather::Fine });
        if is_down {
            self.cut_all();
        }
    }

    /// All connections are cut; new ones are fine.
    pub fn cut_all(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Notifications don't arrive.
    pub fn swallow_notifications(&self, swallow: bool) {
        self.shared.lock().unwrap().swallow_notifications = swallow;
    }
}

impl Drop for Proxy {
    /// Also in the middle of other asynchronous work, where nothing may be waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Entrance {
    database: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    weather: watch::Receiver<Weather>,
}

/// What is done when the database has answered a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// The answer is passed on.
    Pass,
    /// The connection is cut instead.
    Cut,
    /// The answer is passed on, then the connection is cut.
    PassAndCut,
}

/// Why a connection is over: always on purpose, or because one end is gone.
struct Over;

type Flow<T = ()> = Result<T, Over>;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Over
    }
}

/// For the batches whose answers are still to come, in order.
type Waiting = Mutex<VecDeque<Then>>;

impl Entrance {
    async fn serve(self, client: TcpStream) -> Flow {
        if *self.weather.borrow() == Weather::Down {
            return Err(Over);
        }
        self.fine().await;
        let database = TcpStream::connect(self.database).await?;
        client.set_nodelay(true)?;
        database.set_nodelay(true)?;
        let (from_client, mut to_client) = client.into_split();
        let (from_database, to_database) = database.into_split();
        let waiting = Waiting::default();
        let (refuse, mut refusals) = mpsc::channel(1);
        let there = self.there(from_client, to_database, &waiting, refuse);
        let back = async {
            while refusals.recv().await.is_some() {
                to_client.write_all(b"N").await?;
            }
            self.back(from_database, to_client, &waiting).await
        };
        // Whichever ends first takes the other with it: both halves are closed.
        tokio::select! {
            ended = there => ended,
            ended = back => ended,
        }
    }

    /// Waits until traffic comes through.
    async fn fine(&self) {
        let _ = self.weather.clone().wait_for(|weather| *weather != Weather::BlackHole).await;
    }

    /// From the client to the database. Encryption is refused over `refuse`, which is closed once that is settled.
    async fn there(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        waiting: &Waiting,
        refuse: mpsc::Sender<()>,
    ) -> Flow {
        let (mut frames, mut batches, mut refuse) = (Frames::of_client(), Batches::default(), Some(refuse));
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Err(Over);
            }
            frames.push(&buffer[..read]);
            while let Some(frame) = frames.next() {
                if frame.asks_for_encryption() {
                    if let Some(refuse) = &refuse {
                        refuse.send(()).await.map_err(|_| Over)?;
                    }
                    continue;
                }
                refuse = None;
                if let Some(batch) = batches.push(frame) {
                    self.fine().await;
                    self.forward(batch, &mut to, waiting).await?;
                }
            }
        }
    }

    async fn forward(&self, mut batch: Batch, to: &mut OwnedWriteHalf, waiting: &Waiting) -> Flow {
        let act = self.shared.lock().unwrap().act(&batch);
        let mut then = Then::Pass;
        match act {
            None => {}
            Some(Act::CutBefore) => return Err(Over),
            Some(Act::CutIn) => {
                to.write_all(&batch.bytes()).await?;
                return Err(Over);
            }
            Some(Act::CutAfter) => then = Then::Cut,
            Some(Act::Delay(length)) => tokio::time::sleep(length).await,
            Some(Act::Fail(code)) => batch.frames = vec![failing(&batch, code)],
            Some(Act::FailAndCut(code)) => {
                batch.frames = vec![failing(&batch, code)];
                then = Then::PassAndCut;
            }
            Some(Act::DoAndFail(code)) => {
                let done = batch.statements.join("; ");
                batch.frames = vec![Frame::query(&format!("{done}; {}", raise(code)))];
            }
        }
        if batch.is_answered {
            waiting.lock().unwrap().push_back(then);
        }
        to.write_all(&batch.bytes()).await?;
        // Nothing may follow what is to be the last.
        if then != Then::Pass {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    /// From the database to the client.
    async fn back(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, waiting: &Waiting) -> Flow {
        let mut frames = Frames::of_server();
        let mut buffer = vec![0; 64 * 1024];
        let mut is_open = false;
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Err(Over);
            }
            frames.push(&buffer[..read]);
            let mut out = Vec::new();
            while let Some(frame) = frames.next() {
                self.fine().await;
                if frame.kind == b'A' && self.shared.lock().unwrap().swallow_notifications {
                    continue;
                }
                let then = waiting.lock().unwrap().front().copied().filter(|_| is_open);
                if then == Some(Then::Cut) {
                    if frame.kind == b'Z' {
                        to.write_all(&out).await?;
                        return Err(Over);
                    }
                    continue;
                }
                out.extend_from_slice(&frame.bytes);
                if frame.kind == b'Z' {
                    if then == Some(Then::PassAndCut) {
                        to.write_all(&out).await?;
                        return Err(Over);
                    }
                    // The first one ends the opening, for which nobody waits.
                    if is_open {
                        waiting.lock().unwrap().pop_front();
                    }
                    is_open = true;
                }
            }
            to.write_all(&out).await?;
        }
    }
}

/// A statement that fails as wished. The database itself must fail: else it would go on with a transaction of which the
/// client believes that it is over.
fn failing(batch: &Batch, code: &str) -> Frame {
    // A COMMIT or ROLLBACK that fails has ended its transaction.
    let before = if batch.ends_transaction() { "ROLLBACK; " } else { "" };
    Frame::query(&format!("{before}{}", raise(code)))
}

fn raise(code: &str) -> String {
    format!("DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{code}'; END $$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sql: &str) -> Batch {
        Batch { statements: vec![sql.into()], frames: vec![Frame::query(sql)], is_answered: true }
    }

    #[test]
    fn rules_count_what_they_meet() {
        let mut shared = Shared::default();
        let rule = Rule { skip: 1, times: 2, ..Rule::once("files", Act::CutBefore) };
        shared.rules.push((rule, 0));
        let acts: Vec<_> = (0..5).map(|_| shared.act(&batch("SELECT 1 FROM files")).is_some()).collect();
        assert_eq!(acts, [false, true, true, false, false]);
        assert!(shared.act(&batch("SELECT 1")).is_none());
        assert_eq!((shared.hits, shared.statements.len()), (2, 6));
    }

    #[test]
    fn a_share_is_about_that() {
        let mut shared = Shared::default();
        shared.rules.push((Rule { percent: 25, ..Rule::always("", Act::Fail("40001")) }, 0));
        let hits = (0..1000).filter(|_| shared.act(&batch("SELECT 1")).is_some()).count();
        assert!((200..300).contains(&hits), "{hits}");
    }

    #[test]
    fn a_commit_that_fails_ends_its_transaction() {
        let sql = |frame: Frame| String::from_utf8(frame.bytes[5..].to_vec()).unwrap();
        assert!(sql(failing(&batch("COMMIT"), "40001")).starts_with("ROLLBACK; DO $$"));
        assert!(sql(failing(&batch("ROLLBACK"), "40001")).starts_with("ROLLBACK; DO $$"));
        assert!(sql(failing(&batch("SELECT 1"), "40001")).starts_with("DO $$"));
    }
}
