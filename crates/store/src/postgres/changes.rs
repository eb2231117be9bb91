//! How servers that share a database hear of each other's changes, on a connection of its own: LISTEN and NOTIFY on
//! PostgreSQL, a changefeed on CockroachDB. Either is a hint. A message that is lost, or a connection that is away, costs
//! those who remember something a few seconds and no more (see [`crate::changes`]).

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Socket};

use super::Dialect;
use super::feed::follow;
use super::row::change;
use super::run::Outcome;
use super::statement::sql;
use crate::changes::{Change, News};
use crate::{Error, Result};

const CHANNEL: &str = "cacheroach";

/// How often a silent connection is asked whether it is still there, and after which silence it is not.
const HEARTBEAT: Duration = Duration::from_secs(4);
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// How long until the next connection after one that failed: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A connection outside of the pool, and what comes over it. Whoever has it must read the messages, or nothing goes.
pub(super) type Line = (Client, BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>);

/// Makes such a connection.
pub(super) type Connect = Arc<dyn Fn() -> BoxFuture<'static, Result<Line>> + Send + Sync>;

/// By the settings that the pool has, too.
pub(super) fn dial<T>(config: Config, tls: T) -> Connect
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    Arc::new(move || {
        let (config, tls) = (config.clone(), tls.clone());
        Box::pin(async move {
            let (client, mut connection) = config.connect(tls).await.map_err(failed)?;
            let messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
            Ok::<Line, Error>((client, messages.boxed()))
        })
    })
}

/// Says within a transaction what it changes: the other servers hear of it when it is committed, and not before. NOTIFY
/// holds a lock over all databases while it commits, so this is for what is rare. CockroachDB needs no word.
pub(super) async fn announce(
    client: &impl GenericClient,
    dialect: Dialect,
    changes: &[Change],
) -> Outcome<()> {
    if dialect == Dialect::Cockroach {
        return Ok(());
    }
    let sql = sql!("SELECT pg_notify($1, message) FROM unnest($2::TEXT[]) AS message");
    let messages: Vec<String> = changes.iter().map(|change| change.message()).collect();
    change(client, &sql, &[&CHANNEL, &messages]).await.map(drop)
}

/// Listens for as long as it lives.
pub(super) struct Listening(JoinHandle<()>);

impl Listening {
    pub(super) fn start(connect: Connect, dialect: Dialect, news: Arc<News>) -> Self {
        Listening(tokio::spawn(keep_listening(connect, dialect, news)))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep_listening(connect: Connect, dialect: Dialect, news: Arc<News>) {
    let (mut pause, mut warned) = (FIRST_PAUSE, false);
    loop {
        let mut heard = false;
        let outcome = match timeout(SILENCE, connect()).await {
            Err(_) => Err(silent()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(line)) => match dialect {
                Dialect::Postgres => listen(line, &news, &mut heard).await,
                Dialect::Cockroach => follow(line, &news, &mut heard).await,
            },
        };
        if heard {
            (pause, warned) = (FIRST_PAUSE, false);
        }
        if let Err(error) = outcome
            && !warned
        {
            warned = true;
            let error = explained(&error);
            tracing::warn!(%error, "changes of other servers are only seen by looking every few seconds");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// With its causes: the outermost says little. None of them holds a password.
fn explained(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    if text.contains("rangefeed") {
        text += "; an administrator can say: SET CLUSTER SETTING kv.rangefeed.enabled = true";
    }
    text
}

pub(super) fn silent() -> Error {
    Error::Busy("the database is silent".into())
}

pub(super) fn failed(error: tokio_postgres::Error) -> Error {
    Error::Busy(error.into())
}

/// Passes on what is notified, until the connection fails.
async fn listen((client, messages): Line, news: &News, heard: &mut bool) -> Result<()> {
    let pump = messages.try_for_each(|message| {
        if let AsyncMessage::Notification(notification) = message {
            news.tell(Change::parse(notification.payload()));
        }
        std::future::ready(Ok(()))
    });
    let keep = async {
        let asked = timeout(SILENCE, client.batch_execute(&sql!("LISTEN {CHANNEL}"))).await;
        asked.map_err(|_| silent())?.map_err(failed)?;
        *heard = true;
        // What was said before nobody heard.
        news.tell(Change::Everything);
        loop {
            sleep(HEARTBEAT).await;
            timeout(SILENCE, client.batch_execute("")).await.map_err(|_| silent())?.map_err(failed)?;
        }
    };
    tokio::select! {
        ended = pump => ended.map_err(failed),
        never = keep => never,
    }
}

#[cfg(test)]
mod tests {
    use cacheroach_model::SessionId;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    #[test]
    fn what_keeps_a_changefeed_off_is_said_with_what_to_do() {
        let error = Error::Busy("rangefeeds require the kv.rangefeed.enabled setting".into());
        assert!(explained(&error).ends_with("SET CLUSTER SETTING kv.rangefeed.enabled = true"));
    }

    #[tokio::test]
    async fn f26_a_database_that_is_away_is_tried_again() {
        let (tried, mut tries) = tokio::sync::mpsc::unbounded_channel();
        let connect: Connect = Arc::new(move || {
            let _ = tried.send(());
            Box::pin(std::future::ready(Err(Error::Busy("away".into()))))
        });
        let listening = Listening::start(connect, Dialect::Postgres, Arc::default());
        for _ in 0..3 {
            timeout(Duration::from_secs(30), tries.recv()).await.unwrap().unwrap();
        }
        drop(listening);
        timeout(Duration::from_secs(30), async { while tries.recv().await.is_some() {} }).await.unwrap();
    }

    /// As much of a server as a listener needs: it takes everything, notifies once, and is gone.
    async fn serve(mut stream: DuplexStream, payload: String) -> std::io::Result<()> {
        let length = stream.read_u32().await? as usize;
        stream.read_exact(&mut vec![0; length - 4]).await?;
        let ready = b"Z\0\0\0\x05I";
        stream.write_all(&[b"R\0\0\0\x08\0\0\0\0".as_slice(), ready].concat()).await?;
        assert_eq!(stream.read_u8().await?, b'Q');
        let length = stream.read_u32().await? as usize;
        let mut said = vec![0; length - 4];
        stream.read_exact(&mut said).await?;
        assert_eq!(said, b"LISTEN cacheroach\0");
        let notified = format!("cacheroach\0{payload}\0");
        let length = u32::try_from(notified.len() + 8).unwrap().to_be_bytes();
        let notification = [b"A".as_slice(), &length, &[0; 4], notified.as_bytes()].concat();
        stream.write_all(&[b"C\0\0\0\x0bLISTEN\0".as_slice(), ready, &notification].concat()).await?;
        // Long enough to be heard.
        let _ = timeout(Duration::from_secs(1), stream.read_u8()).await;
        Ok(())
    }

    #[tokio::test]
    async fn f26_after_each_connection_that_was_lost_everything_may_have_changed() {
        let session = Change::Session(SessionId::new([1; 16]));
        let connect: Connect = Arc::new(move || {
            Box::pin(async move {
                let (ours, theirs) = tokio::io::duplex(4096);
                tokio::spawn(serve(theirs, session.message()));
                let mut config = Config::new();
                let connecting = config.user("x").connect_raw(ours, tokio_postgres::NoTls).await;
                let (client, mut connection) = connecting.map_err(failed)?;
                let messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
                Ok::<Line, Error>((client, messages.boxed()))
            })
        });
        let news = Arc::new(News::default());
        let mut listener = news.listen();
        let _listening = Listening::start(connect, Dialect::Postgres, Arc::clone(&news));
        let mut heard = Vec::new();
        while heard.len() < 4 {
            heard.push(timeout(Duration::from_secs(30), listener.next()).await.unwrap());
        }
        // The first words of a connection may cross.
        assert!(heard.contains(&session), "{heard:?}");
        assert!(heard.iter().filter(|change| **change == Change::Everything).count() > 1, "{heard:?}");
    }
}
