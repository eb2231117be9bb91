//! What is fed with anything: each target takes some bytes, makes of them what an attacker could send, and panics if a
//! promise does not hold. The test `corpus` runs all of them over the kept corpus; `cargo xtask fuzz` searches on, guided
//! by coverage.

mod change;
mod cursor;
mod hash;
mod http;
mod names;
mod request;
mod session;
mod token;
mod upload;
pub mod world;

/// One of them.
#[derive(Debug)]
pub struct Target {
    /// Also of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes one input. Panics are findings.
    pub run: fn(&[u8]),
    /// How many inputs are tried in a test beyond the kept ones.
    pub tries: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "path", run: names::path, tries: 50_000 },
    Target { name: "scope", run: names::scope, tries: 50_000 },
    Target { name: "host", run: names::host, tries: 50_000 },
    Target { name: "session", run: session::session, tries: 20_000 },
    Target { name: "token", run: token::token, tries: 3_000 },
    Target { name: "target", run: http::target, tries: 50_000 },
    Target { name: "framing", run: http::framing, tries: 50_000 },
    Target { name: "range", run: http::range, tries: 50_000 },
    Target { name: "conditions", run: http::conditions, tries: 20_000 },
    Target { name: "date", run: http::date, tries: 50_000 },
    Target { name: "metadata", run: http::metadata, tries: 10_000 },
    Target { name: "hash", run: hash::hash, tries: 2_000 },
    Target { name: "cursor", run: cursor::cursor, tries: 2_000 },
    Target { name: "upload", run: upload::upload, tries: 2_000 },
    Target { name: "request", run: request::request, tries: 2_000 },
];

impl Target {
    /// By its name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// The number by which inputs of the target `request` name a method.
#[must_use]
pub fn number_of(method: &str) -> Option<u8> {
    let at = request::KNOWN.iter().position(|known| known.name == method)?;
    u8::try_from(at).ok()
}
