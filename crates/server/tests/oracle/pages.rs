//! The oracle's table of HTTP: each method and route.

use crate::oracle::{Caller, READ, Scope, Set, Tenant, Version, WRITE};
use crate::table::FILES;

/// In each tenant, because of the files.
const DIRECTORIES: [&str; 5] = ["/", "/dir/", "/dir/file/", "/dir/sub/", "/other/"];

/// A new request is a new line: what is sent | what it takes, on which path (or in a word what else; plain reading may
/// lead from a file to a directory and back) | the status then | at which hosts.
///
/// What is sent is a method and a target, after `to` the destination, after `with` the body. `{current}` is the number of
/// the version that `/dir/file` has, `{long}` too long a password. In what it takes, `=current` and `=missing` mean a
/// version. The hosts: `named` are mapped to the own tenant and to the other one, `any` is mapped to none.
const PAGES: &str = r#"
GET /dir/file                             | reading the file /dir/file                         | 200 | named any
GET /other/file                           | read /other/file                                   | 200 | named
GET /di                                   | read /di                                           | 200 | named
GET /dir/none                             | read /dir/none                                     | 404 | named any
GET /dir/sub/deep                         | read /dir/sub/deep                                 | 200 | named
GET /dir/file/                            | reading the directory /dir/file/                   | 301 | named
GET /dir                                  | reading the file /dir                              | 404 | named
GET /dir/                                 | read /dir/                                         | 200 | named any
GET /dir/none/                            | read /dir/none/                                    | 404 | named
GET /                                     | read /                                             | 200 | named any
HEAD /dir/file                            | reading the file /dir/file                         | 200 | named any
HEAD /dir/                                | read /dir/                                         | 200 | named
OPTIONS /dir/file                         | reading the file /dir/file                         | 200 | named any
GET /dir/file?version={current}           | read /dir/file=current                             | 200 | named
GET /dir/file?version=1000000             | read /dir/file=missing                             | 404 | named
GET /dir/file?versions                    | read /dir/file                                     | 200 | named any
GET /dir/none?versions                    | read /dir/none                                     | 404 | named
PUT /dir/file with content                | write /dir/file                                    | 202 | named any
PUT /other/new with content               | write /other/new                                   | 202 | named
PUT /dir/file/x with content              | write /dir/file/x                                  | 202 | named
POST /dir/file with content               | write /dir/file                                    | 202 | named
PATCH /dir/file with {"metadata": {}}     | write /dir/file                                    | 200 | named any
PATCH /dir/none with {"metadata": {}}     | write /dir/none                                    | 404 | named
PATCH /dir/file with {"restore": current} | read /dir/file=current, write /dir/file            | 200 | named
COPY /dir/file to /dir/copy               | read /dir/file, write /dir/copy                    | 200 | named any
COPY /dir/file to /other/copy             | read /dir/file, write /other/copy                  | 200 | named
COPY /other/file to /dir/copy             | read /other/file, write /dir/copy                  | 200 | named
COPY /dir/file?version={current} to /dir/c | read /dir/file=current, write /dir/c              | 200 | named
MOVE /dir/file to /dir/moved              | read /dir/file, write /dir/file, write /dir/moved  | 200 | named any
MOVE /dir/file to /other/moved            | read /dir/file, write /dir/file, write /other/moved | 200 | named
DELETE /dir/file                          | write /dir/file                                    | 200 | named any
DELETE /other/file                        | write /other/file                                  | 200 | named
DELETE /dir/none                          | write /dir/none                                    | 200 | named
DELETE /dir/?recursive                    | write /dir/                                        | 200 | named
PROPFIND /dir/file                        | method                                             | 405 | named any
GET /_/v0/config                          | free                                               | 200 | named any
GET /_/v0/retrieve/file                   | retrieve                                           | 200 | named any
GET /_/v0/drop/                           | a link                                             | 401 | named
PUT /_/v0/drop/file with content          | a link                                             | 401 | named
POST /_/v0/drop/ with content             | a link                                             | 401 | named
GET /_/v0/provision                       | a session                                          | 200 | named any
GET /_/v0/login                           | free                                               | 405 | named
POST /_/v0/login with user=a&password={long} | free                                               | 400 | named
GET /_/v0/logout                          | free                                               | 405 | named
POST /_/v0/logout                         | free                                               | 303 | any
GET /_/v0/none                            | free                                               | 404 | named
"#;

/// A request, and what comes of it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) destination: Option<&'static str>,
    pub(crate) body: Option<&'static str>,
    needs: Vec<(Set, &'static str, Version)>,
    kind: Kind,
    then: &'static str,
    named: bool,
    any: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    File,
    Free,
    Session,
    Retrieve,
    Method,
    ReadFile,
    ReadDirectory,
}

/// Where it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host {
    Named(Tenant),
    Any,
}

impl Page {
    fn parse(line: &'static str) -> Self {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [request, needs, then, hosts] = columns[..] else { panic!("{line}") };
        let (request, body) = match request.split_once(" with ") {
            Some((request, body)) => (request, Some(body)),
            None => (request, None),
        };
        let (request, destination) = match request.split_once(" to ") {
            Some((request, destination)) => (request, Some(destination)),
            None => (request, None),
        };
        let (method, target) = request.split_once(' ').unwrap();
        let (kind, needs) = match needs {
            // A link is another kind of token: no session of whoever it is serves as one.
            "free" | "a link" => (Kind::Free, Vec::new()),
            "a session" => (Kind::Session, Vec::new()),
            "retrieve" => (Kind::Retrieve, Vec::new()),
            "method" => (Kind::Method, Vec::new()),
            _ => {
                match (needs.strip_prefix("reading the file "), needs.strip_prefix("reading the directory "))
                {
                    (Some(path), _) => (Kind::ReadFile, vec![(READ, path, Version::Any)]),
                    (_, Some(path)) => (Kind::ReadDirectory, vec![(READ, path, Version::Any)]),
                    _ => (Kind::File, needs.split(", ").map(need).collect()),
                }
            }
        };
        let (named, any) = (hosts.contains("named"), hosts.contains("any"));
        Page { method, target, destination, body, needs, kind, then, named, any }
    }

    /// At which hosts it is tried.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        let mut hosts = Vec::new();
        if self.named {
            hosts.extend([Host::Named(Tenant::Own), Host::Named(Tenant::Other)]);
        }
        if self.any {
            hosts.push(Host::Any);
        }
        hosts
    }

    /// Whether it changes something, if it is allowed.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }

    /// Whether the number of the current version is in it.
    pub(crate) fn names_a_version(&self) -> bool {
        self.target.contains("{current}") || self.body.is_some_and(|body| body.contains("current"))
    }

    /// Whether it ends the session that it is made with.
    pub(crate) fn ends_its_session(&self) -> bool {
        (self.method, self.target) == ("POST", "/_/v0/logout")
    }

    /// The tenant that it is about.
    pub(crate) fn tenant(by: &Caller, host: Host) -> Tenant {
        match host {
            Host::Named(tenant) => tenant,
            Host::Any => by.tenant_by_default(),
        }
    }

    /// The status.
    pub(crate) fn answer(&self, by: &Caller, host: Host) -> String {
        let tenant = Page::tenant(by, host);
        match self.kind {
            Kind::Session if by.is_anonymous() => "401".into(),
            Kind::Free | Kind::Session => self.then.into(),
            // D18: at the host of another tenant a session on a tenant sees nothing.
            Kind::Method if by.is_elsewhere(tenant) => "404".into(),
            Kind::Method => self.then.into(),
            Kind::ReadFile => read_file(by, tenant, self.needs[0].1, self.then),
            Kind::ReadDirectory => read_directory(by, tenant, self.needs[0].1, self.then),
            Kind::Retrieve => retrieve(by, self.then),
            Kind::File => by.http(tenant, &self.needs, self.then),
        }
    }
}

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        self.destination.map_or(Ok(()), |to| write!(f, " to {to}"))?;
        self.body.map_or(Ok(()), |body| write!(f, " with {body}"))
    }
}

fn need(text: &'static str) -> (Set, &'static str, Version) {
    let (what, path) = text.split_once(' ').unwrap();
    let capabilities = match what {
        "read" => READ,
        "write" => WRITE,
        _ => panic!("{what} is no capability of files"),
    };
    match path.split_once('=') {
        Some((path, "current")) => (capabilities, path, Version::Current),
        Some((path, _)) => (capabilities, path, Version::Missing),
        None => (capabilities, path, Version::Any),
    }
}

/// 6.4: a session on a single file serves as the token of a link to it; whatever the host.
fn retrieve(by: &Caller, then: &str) -> String {
    match by.session.map(|session| session.scope) {
        None => "401".into(),
        Some(Scope::Path(_, path, _)) if path.ends_with('*') => "404".into(),
        Some(scope @ Scope::Path(tenant, path, version)) => {
            match (by.may(READ, scope), FILES.contains(&path)) {
                (true, true) => then.into(),
                (true, false) => "404".into(),
                (false, _) => by.refused(tenant, path, version),
            }
        }
        Some(_) => "403".into(),
    }
}

/// 6.3: what has no slash and is no file for the caller is perhaps a directory, and leads there; but only who may read
/// that (A31).
fn read_file(by: &Caller, tenant: Tenant, path: &'static str, then: &str) -> String {
    let directory = DIRECTORIES.iter().find(|directory| directory.strip_suffix('/') == Some(path));
    let may_list = directory.is_some_and(|path| by.may(READ, Scope::Path(tenant, path, Version::Any)));
    let may_read = by.may(READ, Scope::Path(tenant, path, Version::Any));
    match (may_read && then == "200", may_list) {
        (false, true) => "301".into(),
        _ => by.http(tenant, &[(READ, path, Version::Any)], then),
    }
}

/// 6.3: what has a slash and is a file leads there, but not who may not read that (A21).
fn read_directory(by: &Caller, tenant: Tenant, path: &'static str, then: &str) -> String {
    let file = path.strip_suffix('/').unwrap();
    if by.may(READ, Scope::Path(tenant, file, Version::Any)) {
        then.into()
    } else {
        by.http(tenant, &[(READ, path, Version::Any)], "200")
    }
}

/// All pages.
pub(crate) fn pages() -> Vec<Page> {
    PAGES.lines().filter(|line| !line.is_empty()).map(Page::parse).collect()
}
