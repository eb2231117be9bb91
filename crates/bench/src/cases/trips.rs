//! How often a server on PostgreSQL waits for it: counted by a relay between the two, while requests come one after the
//! other.

use std::time::Instant;

use super::traffic::Files;
use super::{Bench, cost};
use crate::Result;
use crate::load::{Ask, Connection, Outcome, Target};
use crate::report::{Peer, Round, Spread, Unit};
use crate::servers::{Relay, Server};

/// So many spans of so many requests. What the server asks by itself, and what is prepared once on each connection, falls
/// into few of them, so it is not in the one in the middle.
const SPANS: u64 = 25;
const SPAN: u64 = 10;

const SMALL: Files = Files { name: "4k", length: 4 << 10, count: SPANS * SPAN };
/// Of one chunk, in a row of its own.
const LARGER: Files = Files { name: "300k", length: 300 << 10, count: SPANS * SPAN };

/// A server whose way to the database is counted on.
struct Counted<'a> {
    server: &'a Server,
    relay: &'a Relay,
    superuser: &'a Target,
}

pub(super) async fn measure(bench: &mut Bench, round: u64) -> Result<()> {
    let store = bench.cacheroach.relayed_store().await?;
    let server = store.start().await?;
    let superuser = store.superuser(&server)?;
    let relay = store.relay().ok_or("a store without a relay")?;
    let counted = Counted { server: &server, relay, superuser: &superuser };
    let put = |files: Files| move |index| Ask::put(files.path(index), files.content(round, index));
    let get = |files: Files| move |index| Ask::get(files.path(index));
    let mut add = |case, round| bench.report.add(case, Peer::Cacheroach, Unit::Requests, round);
    add("round-trips-put-4k", counted.cost(SMALL, put(SMALL)).await?);
    add("round-trips-get-4k", counted.cost(SMALL, get(SMALL)).await?);
    // Each is read once: after that its chunk is remembered.
    counted.cost(LARGER, put(LARGER)).await?;
    add("round-trips-get-300k", counted.cost(LARGER, get(LARGER)).await?);
    Ok(())
}

impl Counted<'_> {
    /// Of a request for each file.
    async fn cost(&self, files: Files, ask: impl Fn(u64) -> Ask) -> Result<Round> {
        let mut spans = Vec::new();
        let work =
            async { self.requests(&ask, &mut spans).await?.of_bytes(files.count * files.length as u64) };
        let mut round = cost(self.server, work).await?;
        round.round_trips = Some(Spread::of(spans.into_iter()).median);
        Ok(round)
    }

    async fn requests(&self, ask: &impl Fn(u64) -> Ask, spans: &mut Vec<f64>) -> Result<Outcome> {
        let mut connection = Connection::open(self.superuser).await?;
        let (begun, mut outcome) = (Instant::now(), Outcome::default());
        for span in 0..SPANS {
            let before = self.relay.trips();
            for index in span * SPAN..(span + 1) * SPAN {
                let begun = Instant::now();
                outcome.body_bytes += connection.perform(ask(index)).await?;
                outcome.latencies.push(begun.elapsed());
            }
            spans.push((self.relay.trips() - before) as f64 / SPAN as f64);
        }
        outcome.wall = begun.elapsed();
        outcome.latencies.sort_unstable();
        Ok(outcome)
    }
}
