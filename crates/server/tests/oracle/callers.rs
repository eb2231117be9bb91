//! The callers: every kind of scope, each to be had with every set of capabilities.

use crate::oracle::{ALL, DELEGATE, Held, PII, READ, Scope, Tenant, Version, WRITE, Whose};

/// A kind of scope, and what else the principals hold.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// None: without credentials, so there is but one of these.
    pub(crate) scope: Option<Scope>,
    pub(crate) grants: &'static [(Whose, Held)],
    /// The grants are those of the domain of the principal's address.
    pub(crate) inherited: bool,
}

const fn on(tenant: Tenant, path: &'static str) -> Scope {
    Scope::Path(tenant, path, Version::Any)
}

const fn kind(name: &'static str, scope: Scope, grants: &'static [(Whose, Held)]) -> Kind {
    Kind { name, scope: Some(scope), grants, inherited: false }
}

const fn at(name: &'static str, path: &'static str) -> Kind {
    kind(name, on(Tenant::Own, path), &[])
}

const fn held(capabilities: u8, scope: Scope) -> Held {
    Held { capabilities, scope }
}

const ITSELF: Scope = Scope::Principal(Whose::Own);
const ANOTHER: Scope = Scope::Principal(Whose::Another);

/// A new kind is a new line here.
pub(crate) const KINDS: &[Kind] = &[
    Kind { name: "nobody", scope: None, grants: &[], inherited: false },
    kind("superuser", Scope::Everything, &[]),
    kind("itself, without grants", ITSELF, &[]),
    kind("itself, may read", ITSELF, &[(Whose::Own, held(READ, on(Tenant::Own, "/*")))]),
    kind("itself, may do all", ITSELF, &[(Whose::Own, held(ALL, on(Tenant::Own, "/*")))]),
    kind(
        "itself, writes here and reads there",
        ITSELF,
        &[
            (Whose::Own, held(WRITE, on(Tenant::Own, "/dir/*"))),
            (Whose::Own, held(READ, on(Tenant::Own, "/other/*"))),
        ],
    ),
    kind(
        "itself, reads one version",
        ITSELF,
        &[(Whose::Own, held(ALL, Scope::Path(Tenant::Own, "/dir/file", Version::Current)))],
    ),
    kind("itself, and over another", ITSELF, &[(Whose::Own, held(DELEGATE | PII | READ, ANOTHER))]),
    kind("itself, has a superuser's session too", ITSELF, &[(Whose::Own, held(0, Scope::Everything))]),
    Kind {
        name: "itself, its domain may read and write",
        scope: Some(ITSELF),
        grants: &[(Whose::Own, held(READ | WRITE, on(Tenant::Own, "/dir/*")))],
        inherited: true,
    },
    kind("another, without grants", ANOTHER, &[(Whose::Own, held(ALL, on(Tenant::Own, "/*")))]),
    kind("another, who may do all", ANOTHER, &[(Whose::Another, held(ALL, on(Tenant::Own, "/*")))]),
    at("all of its tenant", "/*"),
    at("a file", "/dir/file"),
    at("a directory", "/dir/*"),
    at("the directory's name", "/dir"),
    at("a sibling", "/other/*"),
    at("a name that begins alike", "/di"),
    at("a directory whose name begins alike", "/di/*"),
    at("below the file", "/dir/file/*"),
    kind("this version", Scope::Path(Tenant::Own, "/dir/file", Version::Current), &[]),
    kind("another version", Scope::Path(Tenant::Own, "/dir/file", Version::Older), &[]),
    kind("this version of a directory", Scope::Path(Tenant::Own, "/dir/*", Version::Current), &[]),
    kind("this version of a tenant", Scope::Path(Tenant::Own, "/*", Version::Current), &[]),
    kind("all of the other tenant", on(Tenant::Other, "/*"), &[]),
    kind("a file of the other tenant", on(Tenant::Other, "/dir/file"), &[]),
];
