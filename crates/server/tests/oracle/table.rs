//! The oracle's table of RPCs: each method, what it may be about, and what comes of it. A new method is a new row here
//! and an arm in `rpcs.rs`, which says how it is called.

use crate::oracle::{
    ALL, Caller, DELEGATE, FETCH, PII, READ, Scope, Set, Tenant, Tenant::*, Version, Version::*, WRITE, Whose,
};

/// The files that are there in each of the tenants, whenever a request is made.
/// One of them has the name of a directory too.
pub(crate) const FILES: [&str; 5] = ["/di", "/dir/file", "/dir/file/x", "/dir/sub/deep", "/other/file"];

/// A file or directory, and which version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) Tenant, pub(crate) &'static str, pub(crate) Version);

/// A session that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// Of the caller's principal.
    Own,
    /// Of the other principal, on itself.
    Anothers,
    /// Of the other principal, on the own tenant.
    AnothersOnTenant,
    /// There is none.
    None,
    /// That of the call.
    Current,
}

/// A session to be issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    pub(crate) capabilities: Set,
    pub(crate) scope: Scope,
    /// None: not said.
    pub(crate) principal: Option<Whose>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Nothing,
    At(At),
    /// From there to a path of the same tenant.
    To(At, &'static str),
    Principal(Whose),
    /// The other principal, by its address.
    Address,
    Tenant(Tenant),
    Session(Kept),
    Template(Template),
}

/// A method of the contract.
pub(crate) struct Rpc {
    pub(crate) method: &'static str,
    pub(crate) about: &'static [Target],
    /// `ok`, perhaps with what is in the answer, or the code.
    pub(crate) answer: fn(&Caller, Target) -> String,
}

const fn at(tenant: Tenant, path: &'static str) -> Target {
    Target::At(At(tenant, path, Any))
}

const fn version(tenant: Tenant, path: &'static str, version: Version) -> Target {
    Target::At(At(tenant, path, version))
}

const fn to(path: &'static str, version: Version, to: &'static str) -> Target {
    Target::To(At(Own, path, version), to)
}

const fn template(capabilities: Set, scope: Scope, principal: Option<Whose>) -> Target {
    Target::Template(Template { capabilities, scope, principal })
}

const FEW: &[Target] = &[
    at(Own, "/dir/file"),
    at(Own, "/other/file"),
    at(Own, "/di"),
    at(Own, "/dir/none"),
    at(Other, "/dir/file"),
];
const VERSIONS: &[Target] = &[
    at(Own, "/dir/file"),
    version(Own, "/dir/file", Current),
    version(Own, "/dir/file", Missing),
    version(Own, "/dir/sub/deep", Current),
    at(Own, "/other/file"),
    at(Own, "/dir/none"),
    at(Other, "/dir/file"),
    at(Public, "/index.html"),
];
const WRITES: &[Target] = &[
    at(Own, "/dir/file"),
    at(Own, "/dir/file/x"),
    at(Own, "/other/new"),
    at(Own, "/di"),
    at(Own, "/dir"),
    at(Other, "/dir/file"),
];
const UPLOADS: &[Target] = &[at(Own, "/dir/file"), at(Own, "/other/up"), at(Other, "/dir/file")];
const COPIES: &[Target] = &[
    to("/dir/file", Any, "/dir/copy"),
    to("/dir/file", Any, "/other/copy"),
    to("/other/file", Any, "/dir/copy"),
    to("/dir/file", Current, "/dir/copy"),
    to("/dir/none", Any, "/dir/copy"),
    to("/dir/", Any, "/other/dir/"),
    Target::To(At(Other, "/dir/file", Any), "/dir/copy"),
];
const MOVES: &[Target] = &[
    to("/dir/file", Any, "/dir/moved"),
    to("/dir/file", Any, "/other/moved"),
    to("/other/file", Any, "/dir/moved"),
    to("/dir/none", Any, "/dir/moved"),
    Target::To(At(Other, "/dir/file", Any), "/dir/moved"),
];
const PRINCIPALS: &[Target] = &[Target::Principal(Whose::Own), Target::Principal(Whose::Another)];
const TEMPLATES: &[Target] = &[
    template(READ, Scope::Path(Own, "/dir/file", Any), None),
    template(READ, Scope::Path(Own, "/dir/file", Current), Some(Whose::Own)),
    template(ALL, Scope::Path(Own, "/dir/*", Any), None),
    template(WRITE, Scope::Path(Own, "/*", Any), None),
    template(READ, Scope::Path(Own, "/dir/file", Any), Some(Whose::Another)),
    template(READ, Scope::Path(Other, "/*", Any), None),
    template(READ, Scope::Path(Public, "/index.html", Any), None),
    template(0, Scope::Everything, None),
    template(READ, Scope::Principal(Whose::Own), None),
    template(DELEGATE, Scope::Principal(Whose::Another), None),
];
const SESSIONS: &[Target] = &[
    Target::Session(Kept::Own),
    Target::Session(Kept::Anothers),
    Target::Session(Kept::AnothersOnTenant),
    Target::Session(Kept::None),
];

const NOTHING: &[Target] = &[Target::Nothing];

const fn rpc(method: &'static str, about: &'static [Target], answer: fn(&Caller, Target) -> String) -> Rpc {
    Rpc { method, about, answer }
}

/// All methods that are served.
pub(crate) const RPCS: &[Rpc] = &[
    rpc("diag.Diags/Echo", NOTHING, for_superusers),
    rpc("file.Files/Delete", DELETES, writing),
    rpc("file.Files/List", LISTINGS, listing),
    rpc("file.Files/Retrieve", VERSIONS, reading),
    rpc("file.Files/Stat", VERSIONS, reading),
    rpc("file.Files/ListVersions", FEW, reading),
    rpc("file.Files/Restore", RESTORES, restoring),
    rpc("file.Files/Copy", COPIES, |by, on| by.rpc(&[on.needs(READ), on.needs_there(WRITE)], on.if_there())),
    rpc("file.Files/Move", MOVES, |by, on| {
        by.rpc(&[on.needs(READ), on.needs(WRITE), on.needs_there(WRITE)], on.if_there())
    }),
    rpc("file.Files/Edit", FEW, |by, on| by.rpc(&[on.needs(WRITE)], on.if_there())),
    rpc("file.Files/ListLinks", LISTINGS, links),
    rpc("file.Files/RevokeLink", LINKS, link),
    rpc("file.Files/CreateDropLink", DROPS, writing),
    rpc("principal.Principals/Ensure", NOTHING, for_superusers),
    rpc("principal.Principals/List", NOTHING, for_superusers),
    rpc("principal.Principals/Load", LOADS, principal),
    // The one that is offered is too short: that is told to whoever may set one.
    rpc("principal.Principals/SetPassword", PRINCIPALS, |by, on| {
        let own = matches!(on, Target::Principal(Whose::Own));
        by.rpc_if(by.is_super() || own, "InvalidArgument")
    }),
    rpc("principal.Principals/Watch", PRINCIPALS, for_superusers),
    rpc("store.Stores/Purge", NOTHING, for_superusers),
    rpc("tenant.Tenants/Ensure", NOTHING, for_superusers),
    rpc("tenant.Tenants/Get", TENANTS, |by, on| by.rpc(&[on.needs(READ)], "ok")),
    rpc("tenant.Tenants/List", NOTHING, tenants),
    rpc("tenant.Tenants/Where", TENANTS, |by, on| by.rpc(&[on.needs(READ)], "ok")),
    rpc("token.Tokens/Current", NOTHING, for_known),
    rpc("token.Tokens/Issue", TEMPLATES, issue),
    rpc("token.Tokens/Find", NOTHING, |by, _| by.rpc(&[(DELEGATE, Scope::Principal(Whose::Own))], "ok")),
    rpc("token.Tokens/Load", SESSIONS, session),
    rpc("token.Tokens/Invalidate", ENDS, end),
    // With too long a password: that is told to everybody.
    rpc("token.Tokens/Login", NOTHING, |_, _| "InvalidArgument".into()),
    rpc("token.Tokens/Refresh", NOTHING, for_known),
    rpc("token.Tokens/Validate", SESSIONS_OF_BOTH, |_, _| "ok".into()),
    rpc("upload.Uploads/Begin", WRITES, writing),
    // S9: whose state it is does not matter, but who sends it.
    rpc("upload.Uploads/Commit", UPLOADS, writing),
    rpc("upload.Uploads/Fetch", UPLOADS, fetching),
    rpc("upload.Uploads/FetchProgress", UPLOADS, fetching),
    rpc("upload.Uploads/Offer", UPLOADS, writing),
    rpc("upload.Uploads/Stream", UPLOADS, writing),
    rpc("upload.Uploads/Transfer", UPLOADS, writing),
    rpc("vhost.VHosts/Ensure", NOTHING, for_superusers),
    rpc("vhost.VHosts/List", NOTHING, for_superusers),
];

const DELETES: &[Target] = &[
    at(Own, "/dir/file"),
    at(Own, "/other/file"),
    at(Own, "/di"),
    at(Own, "/dir/none"),
    // All below it.
    at(Own, "/dir/"),
    at(Other, "/dir/file"),
];
const LISTINGS: &[Target] = &[
    at(Own, "/"),
    at(Own, "/dir"),
    at(Own, "/dir/"),
    at(Own, "/dir/file"),
    at(Own, "/di"),
    at(Own, "/other/"),
    at(Other, "/"),
    at(Other, "/dir/file"),
];
/// Each of them was signed by a superuser.
const LINKS: &[Target] = &[at(Own, "/dir/file"), at(Other, "/dir/file")];
const DROPS: &[Target] = &[at(Own, "/dir/"), at(Own, "/"), at(Own, "/other/"), at(Other, "/dir/")];
const RESTORES: &[Target] = &[
    at(Own, "/dir/file"),
    version(Own, "/dir/file", Current),
    version(Own, "/other/file", Current),
    version(Other, "/dir/file", Current),
];
const LOADS: &[Target] = &[Target::Principal(Whose::Own), Target::Principal(Whose::Another), Target::Address];
const TENANTS: &[Target] = &[Target::Tenant(Own), Target::Tenant(Other), Target::Tenant(Public)];
const ENDS: &[Target] = &[
    Target::Session(Kept::Own),
    Target::Session(Kept::Anothers),
    Target::Session(Kept::AnothersOnTenant),
    Target::Session(Kept::None),
    Target::Session(Kept::Current),
];
const SESSIONS_OF_BOTH: &[Target] = &[Target::Session(Kept::Own), Target::Session(Kept::Anothers)];

impl Target {
    /// These capabilities, where the request is made.
    fn needs(self, capabilities: Set) -> (Set, Scope) {
        match self {
            Target::At(At(tenant, path, version)) | Target::To(At(tenant, path, version), _) => {
                (capabilities, Scope::Path(tenant, path, version))
            }
            Target::Tenant(tenant) => (capabilities, Scope::Path(tenant, "/*", Any)),
            _ => panic!("{self:?} is nowhere"),
        }
    }

    /// The same for a change: it makes a version that is none of those before (D3).
    fn needs_anew(self, capabilities: Set) -> (Set, Scope) {
        match self.needs(capabilities) {
            (capabilities, Scope::Path(tenant, path, _)) => (capabilities, Scope::Path(tenant, path, Any)),
            other => other,
        }
    }

    /// The same where the request leads to.
    fn needs_there(self, capabilities: Set) -> (Set, Scope) {
        match self {
            Target::To(At(tenant, ..), path) => (capabilities, Scope::Path(tenant, path, Any)),
            _ => panic!("{self:?} leads nowhere"),
        }
    }

    /// What comes of a request that is allowed.
    fn if_there(self) -> &'static str {
        match self {
            Target::At(At(.., Missing)) => "NotFound",
            Target::At(At(Public, "/index.html", _)) => "ok",
            Target::At(At(_, path, _)) | Target::To(At(_, path, _), _) => {
                if path.ends_with('/') || FILES.contains(&path) { "ok" } else { "NotFound" }
            }
            _ => "ok",
        }
    }
}

fn for_superusers(by: &Caller, _: Target) -> String {
    by.rpc_if(by.is_super(), "ok")
}

fn for_known(by: &Caller, _: Target) -> String {
    by.rpc(&[], "ok")
}

fn writing(by: &Caller, on: Target) -> String {
    by.rpc(&[on.needs(WRITE)], "ok")
}

fn fetching(by: &Caller, on: Target) -> String {
    by.rpc(&[on.needs(WRITE | FETCH)], "ok")
}

fn reading(by: &Caller, on: Target) -> String {
    by.rpc(&[on.needs(READ)], on.if_there())
}

/// Who may read the version, and write. The last one of a deleted file: these are not deleted.
fn restoring(by: &Caller, on: Target) -> String {
    let then = if matches!(on, Target::At(At(.., Any))) { "FailedPrecondition" } else { "ok" };
    by.rpc(&[on.needs(READ), on.needs_anew(WRITE)], then)
}

/// A31: of the file and what is below it, what the caller may read.
fn listing(by: &Caller, on: Target) -> String {
    let Target::At(At(tenant, path, _)) = on else { panic!("{on:?} is no path") };
    let directory = format!("{}/", path.trim_end_matches('/'));
    let mut shown = String::from("ok");
    for file in FILES {
        let listed = file == path || file.starts_with(&directory);
        if listed && by.may(READ, Scope::Path(tenant, file, Any)) {
            shown = format!("{shown} {file}");
        }
    }
    by.rpc(&[on.needs(READ)], &shown)
}

/// With read or with write.
fn links(by: &Caller, on: Target) -> String {
    let may = |capabilities| {
        let (capabilities, scope) = on.needs(capabilities);
        by.may(capabilities, scope)
    };
    by.rpc_if(may(READ) || may(WRITE), "ok")
}

/// Of somebody else: for those who may delegate all of the tenant. To others there is none.
fn link(by: &Caller, on: Target) -> String {
    let Target::At(At(tenant, ..)) = on else { panic!("{on:?} is no path") };
    let over = by.may(DELEGATE, Scope::Path(tenant, "/*", Any));
    by.rpc(&[], if over { "ok" } else { "NotFound" })
}

/// Known to all who are logged in, without what is personal (A28); by an address only to those who may know that.
fn principal(by: &Caller, on: Target) -> String {
    match on {
        Target::Principal(whose) if by.may(PII, Scope::Principal(whose)) => by.rpc(&[], "ok with claims"),
        Target::Principal(_) => by.rpc(&[], "ok"),
        _ if by.may(PII, Scope::Principal(Whose::Another)) => by.rpc(&[], "ok with claims"),
        _ => by.rpc(&[], "NotFound"),
    }
}

/// Those that the caller may read all of.
fn tenants(by: &Caller, _: Target) -> String {
    let mut shown = String::from("ok");
    for tenant in [Own, Other, Public] {
        if by.may(READ, Scope::Path(tenant, "/*", Any)) {
            shown = format!("{shown} {tenant:?}");
        }
    }
    by.rpc(&[], &shown)
}

/// A18-A20: with delegate, what it holds itself or by a grant, for itself or for whom it may delegate.
fn issue(by: &Caller, on: Target) -> String {
    let Target::Template(template) = on else { panic!("{on:?} is no session") };
    let delegates = by.is_super() || by.session.is_some_and(|session| session.capabilities & DELEGATE != 0);
    let within = match template.scope {
        Scope::Everything => by.is_super(),
        scope => by.may_pass_on(template.capabilities, scope),
    };
    let for_whom = match template.principal {
        Some(Whose::Another) => by.may(DELEGATE, Scope::Principal(Whose::Another)),
        _ => true,
    };
    by.rpc_if(delegates && within && for_whom, "ok")
}

/// A30.
fn session(by: &Caller, on: Target) -> String {
    match on {
        Target::Session(Kept::Own) => by.rpc(&[], "ok"),
        Target::Session(Kept::Anothers | Kept::AnothersOnTenant)
            if by.may(DELEGATE, Scope::Principal(Whose::Another)) =>
        {
            by.rpc(&[], "ok")
        }
        _ => by.rpc(&[], "NotFound"),
    }
}

/// A30, D19, and `compat/grpc.md` 3.5: no look-up of grants here.
fn end(by: &Caller, on: Target) -> String {
    let over = |whose| by.holds(DELEGATE, Scope::Principal(whose));
    let allowed = match on {
        Target::Session(Kept::Own) => over(Whose::Own) || by.holds(DELEGATE, Scope::Path(Own, "/*", Any)),
        Target::Session(Kept::Anothers) => over(Whose::Another),
        Target::Session(Kept::AnothersOnTenant) => {
            over(Whose::Another) || by.holds(DELEGATE, Scope::Path(Own, "/*", Any))
        }
        _ => true,
    };
    by.rpc_if(allowed, "ok")
}
