//! A CockroachDB that is played, since there is none to try on: as much of the protocol, and of its answers, as a start and
//! a changefeed need. It keeps what it was asked. What a real one would say to a statement is not known to it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::connect::Connect;

const VERSION: &str =
    "CockroachDB CCL v21.1.21 (x86_64-unknown-linux-gnu, built 2022/09/15 01:57:50, go1.15.16)";

const TEXT: u32 = 25;
const BYTES: u32 = 17;
const INT: u32 = 20;

/// What comes over a changefeed.
#[derive(Clone)]
pub(super) enum Part {
    /// All up to a time was told.
    Resolved,
    /// A table, a key and what became of the row; none: it is gone.
    Row(&'static str, String, Option<&'static str>),
    /// A code and words, in place of the end.
    Fails(&'static str, &'static str),
    /// The connection is gone once this is told: what was on its way would be lost with it.
    CutAfter(Arc<Notify>),
}

/// What it plays.
#[derive(Default)]
pub(super) struct Script {
    /// Where the node is that is asked.
    pub(super) region: Option<&'static str>,
    /// What statements begin with that fail, once each, as if others were in the way.
    pub(super) contended: Mutex<Vec<&'static str>>,
    /// One for each connection that asks for a changefeed, which is silent after its last part. Then there are no more.
    pub(super) feeds: Mutex<VecDeque<Vec<Part>>>,
    applied: Mutex<Vec<i64>>,
    said: Mutex<Vec<String>>,
}

/// It ends with the test.
pub(super) struct Played {
    pub(super) script: Arc<Script>,
    pub(super) connect: Connect,
}

type Io<T = ()> = std::io::Result<T>;

/// What is answered.
enum Answer {
    Rows(Vec<Vec<Option<Vec<u8>>>>),
    Done(&'static str),
    Fails(&'static str, String),
    Feed(Vec<Part>),
}

impl Played {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://root@127.0.0.1:{port}/defaultdb?sslmode=disable");
        let script = Arc::new(script);
        let served = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let mut line = Line::new(stream, Arc::clone(&served));
                // Whoever hangs up is right.
                tokio::spawn(async move { line.serve().await });
            }
        });
        Played { script, connect: Connect::parse(&url).unwrap() }
    }

    /// All statements, as they came.
    pub(super) fn said(&self) -> Vec<String> {
        self.script.said.lock().unwrap().clone()
    }
}

impl Script {
    fn answer(&self, statement: &str, values: &[Vec<u8>]) -> Answer {
        self.said.lock().unwrap().push(statement.to_owned());
        let code = code(statement);
        let mut contended = self.contended.lock().unwrap();
        if let Some(at) = contended.iter().position(|begin| code.starts_with(begin)) {
            contended.remove(at);
            return Answer::Fails(
                "40001",
                "restart transaction: TransactionRetryWithProtoRefreshError".into(),
            );
        }
        let text = |text: &str| Answer::Rows(vec![vec![Some(text.as_bytes().to_vec())]]);
        let number = |number: &i64| vec![Some(number.to_be_bytes().to_vec())];
        let mut applied = self.applied.lock().unwrap();
        match code.split_whitespace().take(3).collect::<Vec<_>>()[..] {
            ["SELECT", "version()"] => text(VERSION),
            ["SELECT", "number", "FROM"] => Answer::Rows(applied.iter().map(number).collect()),
            ["SELECT", "(extract(epoch", ..] => Answer::Rows(vec![number(&1_700_000_000_000_000)]),
            ["SELECT", "cluster_logical_timestamp()::STRING"] => text("1700000000000000000.0000000003"),
            ["SELECT", "COALESCE(crdb_internal.locality_value('region'),", "'global')"] => {
                text(self.region.unwrap_or("global"))
            }
            ["INSERT", "INTO", "migrations"] => {
                applied.push(i64::from_be_bytes(values[0][..].try_into().unwrap()));
                Answer::Done("INSERT 0 1")
            }
            ["INSERT", "INTO", "migration_lease"] => Answer::Done("INSERT 0 1"),
            ["DELETE", "FROM", "migration_lease"] => Answer::Done("DELETE 1"),
            ["CREATE", what @ ("TABLE" | "INDEX" | "UNIQUE"), "IF" | "INDEX"] => {
                Answer::Done(if what == "TABLE" { "CREATE TABLE" } else { "CREATE INDEX" })
            }
            ["SET", "statement_timeout", "="] => Answer::Done("SET"),
            ["EXPERIMENTAL", "CHANGEFEED", "FOR"] => match self.feeds.lock().unwrap().pop_front() {
                Some(parts) => Answer::Feed(parts),
                None => Answer::Fails("XXUUU", "there are no more changefeeds".into()),
            },
            _ => Answer::Fails("42601", format!("at or near \"{statement}\": syntax error")),
        }
    }
}

/// A statement without its comments.
pub(super) fn code(statement: &str) -> String {
    statement.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n")
}

/// The types of a statement's values and columns.
fn types(statement: &str) -> (&'static [u32], &'static [u32]) {
    match statement.split_whitespace().take(3).collect::<Vec<_>>()[..] {
        ["INSERT", "INTO", "migration_lease"] => (&[BYTES, INT], &[]),
        ["INSERT", "INTO", "migrations"] => (&[INT], &[]),
        ["DELETE", "FROM", "migration_lease"] => (&[BYTES], &[]),
        ["SELECT", "number" | "(extract(epoch", ..] => (&[], &[INT]),
        ["SELECT", ..] => (&[], &[TEXT]),
        ["EXPERIMENTAL", ..] => (&[], &[TEXT, BYTES, BYTES]),
        _ => (&[], &[]),
    }
}

/// One connection. What it says is kept until it is asked for, or a changefeed has a row.
struct Line {
    stream: TcpStream,
    script: Arc<Script>,
    out: Vec<u8>,
    statements: HashMap<Vec<u8>, String>,
    /// The statement that is bound, and its values.
    bound: (String, Vec<Vec<u8>>),
    failed: bool,
}

impl Line {
    fn new(stream: TcpStream, script: Arc<Script>) -> Self {
        let (out, statements, bound) = Default::default();
        Line { stream, script, out, statements, bound, failed: false }
    }

    fn say(&mut self, kind: u8, body: &[u8]) {
        self.out.push(kind);
        self.out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        self.out.extend(body);
    }

    async fn flush(&mut self) -> Io {
        self.stream.write_all(&std::mem::take(&mut self.out)).await
    }

    async fn read(&mut self) -> Io<Vec<u8>> {
        let length = self.stream.read_u32().await? as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn serve(&mut self) -> Io {
        self.read().await?;
        self.say(b'R', &[0; 4]);
        self.say(b'Z', b"I");
        self.flush().await?;
        loop {
            let kind = self.stream.read_u8().await?;
            let body = self.read().await?;
            match kind {
                b'X' => return Ok(()),
                b'S' => {
                    self.failed = false;
                    self.say(b'Z', b"I");
                    self.flush().await?;
                }
                _ if self.failed => {}
                b'Q' => {
                    let text = String::from_utf8(body[..body.len() - 1].to_vec()).unwrap();
                    self.execute(&text, &[], true).await?;
                    self.failed = false;
                    self.say(b'Z', b"I");
                    self.flush().await?;
                }
                b'P' => {
                    let mut parts = body.splitn(3, |byte| *byte == 0);
                    let name = parts.next().unwrap().to_vec();
                    let text = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
                    self.statements.insert(name, text);
                    self.say(b'1', &[]);
                }
                b'D' => self.describe(&self.statements[&body[1..body.len() - 1]].clone()),
                b'B' => {
                    let mut parts = body.splitn(3, |byte| *byte == 0);
                    let name = parts.nth(1).unwrap();
                    self.bound = (self.statements[name].clone(), values(parts.next().unwrap()));
                    self.say(b'2', &[]);
                }
                b'E' => {
                    let (text, values) = std::mem::take(&mut self.bound);
                    self.execute(&text, &values, false).await?;
                }
                b'C' => self.say(b'3', &[]),
                other => panic!("{:?} is not played", char::from(other)),
            }
        }
    }

    fn describe(&mut self, statement: &str) {
        let (values, columns) = types(statement);
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        body.extend(values.iter().flat_map(|kind| kind.to_be_bytes()));
        self.say(b't', &body);
        self.name_columns(columns);
    }

    fn name_columns(&mut self, columns: &[u32]) {
        if columns.is_empty() {
            return self.say(b'n', &[]);
        }
        let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for kind in columns {
            body.extend(b"c\0\0\0\0\0\0\0");
            body.extend(kind.to_be_bytes());
            body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
        self.say(b'T', &body);
    }

    fn row(&mut self, values: &[Option<Vec<u8>>]) {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(value.iter().flatten());
        }
        self.say(b'D', &body);
    }

    fn fail(&mut self, code: &str, words: &str) {
        self.say(b'E', format!("SERROR\0VERROR\0C{code}\0M{words}\0\0").as_bytes());
        self.failed = true;
    }

    async fn execute(&mut self, text: &str, values: &[Vec<u8>], names_columns: bool) -> Io {
        match self.script.answer(text, values) {
            Answer::Rows(rows) => {
                if names_columns {
                    self.name_columns(types(text).1);
                }
                rows.iter().for_each(|row| self.row(row));
                self.say(b'C', format!("SELECT {}\0", rows.len()).as_bytes());
            }
            Answer::Done(tag) => self.say(b'C', format!("{tag}\0").as_bytes()),
            Answer::Fails(code, words) => self.fail(code, &words),
            Answer::Feed(parts) => return self.feed(parts).await,
        }
        Ok(())
    }

    /// Each part is on its way before the next one comes.
    async fn feed(&mut self, parts: Vec<Part>) -> Io {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        for part in parts {
            match part {
                Part::Resolved => self.row(&[None, None, bytes(r#"{"resolved":"1700000001.0000000000"}"#)]),
                Part::Row(table, key, after) => {
                    let value = format!(r#"{{"after": {}}}"#, after.unwrap_or("null"));
                    self.row(&[bytes(table), bytes(&key), bytes(&value)]);
                }
                Part::Fails(code, words) => {
                    self.fail(code, words);
                    return Ok(());
                }
                Part::CutAfter(heard) => {
                    heard.notified().await;
                    return Err(std::io::ErrorKind::ConnectionAborted.into());
                }
            }
            self.flush().await?;
        }
        // It ends with its connection alone.
        while self.stream.read(&mut [0; 64]).await? > 0 {}
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }
}

/// Of a statement that is bound: behind their formats.
fn values(body: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| usize::from(u16::from_be_bytes(body[at..at + 2].try_into().unwrap()));
    let mut at = 2 + 2 * word(0);
    let count = word(at);
    at += 2;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        values.push(body[at + 4..at + 4 + length].to_vec());
        at += 4 + length;
    }
    values
}

#[path = "played_tests.rs"]
mod tests;
