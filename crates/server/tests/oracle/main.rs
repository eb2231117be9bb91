//! Each request by each caller, over the wire, against a program that works out from the documents what must come of it.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod oracle;
mod pages;
mod rpcs;
mod table;
mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cacheroach_api::method::METHODS;
use callers::{KINDS, Kind};
use oracle::{ALL, Caller, Held, Set, Tenant};
use pages::{Host, Page};
use support::{Server, loopback};
use table::{At, RPCS, Target};
use wire::Wire;
use world::{Known, World};

/// Which HTTP request makes a request of the inside: each must be among the pages.
const ASKED_OVER_HTTP: &[(&str, &str)] = &[
    ("cacheroach.content.Contents/Open", "GET /dir/file"),
    ("cacheroach.content.Contents/Browse", "GET /dir/"),
    ("cacheroach.content.Contents/Write", "PUT /dir/file"),
    ("cacheroach.content.Contents/Remove", "DELETE /dir/file"),
    ("cacheroach.content.Contents/Versions", "GET /dir/file?versions"),
    ("cacheroach.content.Contents/Copy", "COPY /dir/file"),
    ("cacheroach.content.Contents/Move", "MOVE /dir/file"),
    ("cacheroach.content.Contents/Edit", "PATCH /dir/file"),
    ("cacheroach.content.Contents/Restore", "PATCH /dir/file"),
];

#[test]
fn a17_every_request_of_the_contract_is_in_the_oracles_table() {
    let rows: BTreeSet<_> = RPCS.iter().map(|row| format!("cacheroach.{}", row.method)).collect();
    let pages: BTreeSet<_> =
        pages::pages().iter().map(|page| format!("{} {}", page.method, page.target)).collect();
    for method in METHODS {
        match ASKED_OVER_HTTP.iter().find(|(asked, _)| asked == method) {
            Some((_, by)) => assert!(pages.contains(*by), "{by} is not in the oracle's table"),
            None => assert!(rows.contains(*method), "{method} is not in the oracle's table"),
        }
    }
    for row in &rows {
        assert!(METHODS.contains(&row.as_str()), "{row} is no method");
    }
    for row in RPCS {
        assert!(!row.about.is_empty(), "{} is tried on nothing", row.method);
    }
}

/// The names of routes and methods as the front end has them; only the names.
#[test]
fn a17_every_route_and_method_of_http_is_in_the_oracles_table() {
    let front_end = include_str!("../../src/http/mod.rs");
    let pages = pages::pages();
    let mut routes: Vec<_> =
        front_end.split("\"v0/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    routes.dedup();
    assert!(routes.len() >= 6, "{routes:?}");
    for route in routes {
        let route = format!("/_/v0/{route}");
        let is_tried = pages.iter().any(|page| page.target.starts_with(&route));
        assert!(is_tried, "{route} is not in the oracle's table");
    }
    let named =
        front_end.split("Method::").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_uppercase()).next());
    let spelled = front_end.split("method.as_str() == \"").skip(1).map(|rest| rest.split('"').next());
    let methods: BTreeSet<_> = named.chain(spelled).flatten().filter(|name| !name.is_empty()).collect();
    assert!(methods.len() >= 9, "{methods:?}");
    for method in methods {
        assert!(pages.iter().any(|page| page.method == method), "{method} is not in the oracle's table");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a17_every_capability_scope_and_request_is_answered_as_the_oracle_says() {
    let server = Arc::new(Server::start_fetching(loopback()).await);
    World::fill_public(&server).await;
    let kinds: Vec<_> = KINDS
        .iter()
        .enumerate()
        .map(|(at, kind)| tokio::spawn(Run::all_of_kind(server.clone(), at, kind)))
        .collect();
    let (mut calls, mut wrong) = (0, Wrong::new());
    for kind in kinds {
        let (made, different) = kind.await.unwrap();
        calls += made;
        for (what, sets) in different {
            wrong.entry(what).or_default().extend(sets);
        }
    }
    println!("{calls} calls were compared with the oracle");
    assert!(calls >= 10_000, "only {calls} calls");
    assert!(wrong.is_empty(), "{}", summary(&wrong));
}

/// What was not as the oracle says, and for which sets of capabilities.
type Wrong = BTreeMap<String, Vec<Set>>;

/// The first of them.
fn summary(wrong: &Wrong) -> String {
    let differ: usize = wrong.values().map(Vec::len).sum();
    let mut text = format!("{differ} calls differ, {} kinds of them:\n", wrong.len());
    for (what, sets) in wrong.iter().take(50) {
        let sets: Vec<_> = sets.iter().map(|set| names(*set)).collect();
        text = format!("{text}{what}; by {} sets: {}\n", sets.len(), sets.join(" "));
    }
    text
}

/// The requests of one caller.
struct Run<'a> {
    world: &'a World,
    wire: &'a mut Wire,
    kind: &'a Kind,
    caller: Caller,
    known: Known,
    calls: usize,
    wrong: Wrong,
}

impl Run<'_> {
    /// How many calls were made, and which were not answered as they should have been.
    async fn all_of_kind(server: Arc<Server>, at: usize, kind: &'static Kind) -> (usize, Wrong) {
        let world = World::new(&server).await;
        let mut wire = Wire::to(server.addr());
        let (mut calls, mut wrong) = (0, Wrong::new());
        for capabilities in 0..=if kind.scope.is_some() { ALL } else { 0 } {
            let known = world.caller(kind, capabilities, &format!("k{at}-{capabilities}")).await;
            let session = kind.scope.map(|scope| Held { capabilities, scope });
            let caller = Caller { session, grants: kind.grants.to_vec() };
            let mut run = Run { world: &world, wire: &mut wire, kind, caller, known, calls: 0, wrong };
            run.rpcs().await;
            run.pages().await;
            calls += run.calls;
            wrong = run.wrong;
        }
        (calls, wrong)
    }

    async fn rpcs(&mut self) {
        for row in RPCS {
            for target in row.about {
                let expected = (row.answer)(&self.caller, *target);
                let got = rpcs::call(self.world, &self.known, row.method, *target).await;
                let done = got == "ok";
                self.compare(&format!("{} about {target:?}", row.method), &expected, &got);
                if !done {
                    continue;
                }
                match (row.method, target) {
                    (
                        "file.Files/Delete" | "file.Files/Move",
                        Target::At(At(tenant, ..)) | Target::To(At(tenant, ..), _),
                    ) => {
                        self.world.fill(*tenant).await;
                    }
                    ("upload.Uploads/Begin", Target::At(at)) if at.1 == "/dir" => {
                        self.world.delete(*at).await;
                    }
                    ("token.Tokens/Invalidate", Target::Session(kept)) => {
                        self.world.renew(&mut self.known, *kept).await;
                    }
                    _ => {}
                }
            }
        }
    }

    async fn pages(&mut self) {
        for page in pages::pages() {
            for host in page.hosts() {
                let tenant = Page::tenant(&self.caller, host);
                let expected = page.answer(&self.caller, host);
                // What is everybody's stays as it is: other callers read it meanwhile.
                if page.changes() && tenant == Tenant::Public && expected.starts_with('2') {
                    continue;
                }
                let got = self.send(&page, host, tenant).await;
                let gone = got == "200" && matches!(page.method, "DELETE" | "MOVE");
                self.compare(&format!("{page} at {host:?}"), &expected, &got);
                if gone {
                    self.world.fill(tenant).await;
                }
            }
        }
    }

    async fn send(&mut self, page: &Page, host: Host, tenant: Tenant) -> String {
        let name = match host {
            Host::Named(tenant) => self.world.host(tenant),
            Host::Any => "any.example".into(),
        };
        let current = match page.names_a_version() {
            true => self.world.number(At(tenant, "/dir/file", oracle::Version::Current)).await.to_string(),
            false => String::new(),
        };
        let token = if page.ends_its_session() { &self.known.to_log_out } else { &self.known.token };
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("host", name.as_str())];
        if !token.is_empty() {
            headers.push(("authorization", &authorization));
        }
        if page.target.starts_with("/_/v0/log") {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        headers.extend(page.destination.map(|to| ("destination", to)));
        let target = page.target.replace("{current}", &current);
        let body =
            page.body.unwrap_or_default().replace("current", &current).replace("{long}", &rpcs::too_long());
        self.wire.ask(page.method, &target, &headers, &body).await
    }

    fn compare(&mut self, what: &str, expected: &str, got: &str) {
        self.calls += 1;
        if expected != got {
            let what = format!("{}: {what}: {got}, not {expected}", self.kind.name);
            let set = self.caller.session.map_or(0, |session| session.capabilities);
            self.wrong.entry(what).or_default().push(set);
        }
    }
}

/// `read+write`, or `none`.
fn names(capabilities: Set) -> String {
    let named = [(1, "read"), (2, "write"), (4, "delegate"), (8, "pii"), (16, "fetch")];
    let held: Vec<_> =
        named.iter().filter(|(bit, _)| capabilities & bit != 0).map(|(_, name)| *name).collect();
    if held.is_empty() { "none".into() } else { held.join("+") }
}
