//! The oracle: who may do what, worked out a second time from the documents alone (`design.md` D1-D4, D14, D18-D20,
//! `threats.md` 1 and 3.2, `compat/grpc.md` 1.4-1.6, `compat/http.md` 6.1-6.4). It knows nothing of the rules in the
//! protos, of the enforcer, of the model's types or of any other code of ours, and must stay so: what it says is
//! compared with what the server does. So where the two differ, it is the documents that are asked who is right.

/// A set of capabilities: as in the contract, a bit for each.
pub(crate) type Set = u8;

pub(crate) const READ: Set = 1;
pub(crate) const WRITE: Set = 2;
pub(crate) const DELEGATE: Set = 4;
pub(crate) const PII: Set = 8;
pub(crate) const FETCH: Set = 16;
pub(crate) const ALL: Set = 31;

/// There are two tenants, and the one that is everybody's to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenant {
    Own,
    Other,
    Public,
}

/// There are two principals: the one that holds the session, and another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Another,
}

/// Of a file with two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Not said which.
    Any,
    Current,
    Older,
    Missing,
}

/// Where something is to be done, or may be done. A path with a last slash is what is below it; one with a last
/// segment `*` is that, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    Principal(Whose),
    Path(Tenant, &'static str, Version),
}

/// What somebody holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) capabilities: Set,
    pub(crate) scope: Scope,
}

/// Whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// None: without credentials.
    pub(crate) session: Option<Held>,
    /// What the principals hold besides; by inheritance from an e-mail domain too.
    pub(crate) grants: Vec<(Whose, Held)>,
}

const PUBLIC: Held = Held { capabilities: READ, scope: Scope::Path(Tenant::Public, "/*", Version::Any) };

impl Held {
    /// 1.5, narrowed by D2 and D3.
    fn covers(self, capabilities: Set, scope: Scope) -> bool {
        if self.scope == Scope::Everything {
            return true;
        }
        let within = match (self.scope, scope) {
            (Scope::Principal(held), Scope::Principal(wanted)) => held == wanted,
            (Scope::Path(tenant, pattern, version), Scope::Path(in_tenant, wanted, in_version)) => {
                tenant == in_tenant
                    && lies_within(pattern, wanted)
                    && (version == Version::Any || version == in_version)
            }
            _ => false,
        };
        within && capabilities & !self.capabilities == 0
    }
}

/// D2, A21: exactly that path, or with a last segment `*` all below it, the listing of it included.
fn lies_within(held: &str, wanted: &str) -> bool {
    match held.strip_suffix('*') {
        Some(directory) => wanted.starts_with(directory),
        None => wanted == held,
    }
}

impl Caller {
    pub(crate) fn is_anonymous(&self) -> bool {
        self.session.is_none()
    }

    /// 1.4: its own session, without looking at grants.
    pub(crate) fn is_super(&self) -> bool {
        self.session.is_some_and(|session| session.scope == Scope::Everything)
    }

    /// The session, without looking at grants.
    pub(crate) fn holds(&self, capabilities: Set, scope: Scope) -> bool {
        self.session.is_some_and(|session| session.covers(capabilities, scope))
    }

    /// The session or, if that is on a principal and may delegate, what that principal holds and what is public (C20).
    pub(crate) fn may(&self, capabilities: Set, scope: Scope) -> bool {
        // Public is what can be read, path by path: not a tenant as a whole, and nothing to pass on.
        let whole = matches!(scope, Scope::Path(_, path, _) if path.ends_with('*'));
        self.may_pass_on(capabilities, scope)
            || (!whole && self.knows_what_is_public() && PUBLIC.covers(capabilities, scope))
    }

    /// The same without what is public.
    pub(crate) fn may_pass_on(&self, capabilities: Set, scope: Scope) -> bool {
        self.usable().any(|held| held.covers(capabilities, scope))
    }

    /// C20: what strangers may read, and those who may use what their principal holds.
    fn knows_what_is_public(&self) -> bool {
        self.is_anonymous() || self.looks_up().is_some()
    }

    /// On which principal's behalf it acts.
    fn looks_up(&self) -> Option<Whose> {
        match self.session {
            Some(Held { capabilities, scope: Scope::Principal(on) }) if capabilities & DELEGATE != 0 => {
                Some(on)
            }
            _ => None,
        }
    }

    fn usable(&self) -> impl Iterator<Item = Held> {
        let on = self.looks_up();
        let granted = self.grants.iter().filter(move |(by, _)| on == Some(*by)).map(|(_, held)| *held);
        self.session.into_iter().chain(granted)
    }

    /// D14: whether it may know what is there, because it can do anything at all there. D3: with one version nothing is
    /// written.
    fn reaches(&self, tenant: Tenant, path: &'static str, version: Version) -> bool {
        let public = self.knows_what_is_public().then_some(PUBLIC);
        self.usable().chain(public).any(|held| match held.scope {
            Scope::Everything => true,
            Scope::Path(.., pinned) => {
                let useless = if pinned == Version::Any { 0 } else { WRITE | FETCH };
                let wanted = Scope::Path(tenant, path, version);
                held.capabilities & !useless != 0 && held.covers(0, wanted)
            }
            Scope::Principal(_) => false,
        })
    }

    /// D18: which tenant a host shows that no name maps.
    pub(crate) fn tenant_by_default(&self) -> Tenant {
        match self.session {
            Some(Held { scope: Scope::Path(tenant, ..), .. }) => tenant,
            _ => Tenant::Public,
        }
    }

    /// Whether its session is on another tenant.
    pub(crate) fn is_elsewhere(&self, tenant: Tenant) -> bool {
        matches!(self.session, Some(Held { scope: Scope::Path(on, ..), .. }) if on != tenant)
    }

    /// The answer to an RPC: as given if all that it takes is allowed.
    pub(crate) fn rpc(&self, needs: &[(Set, Scope)], then: &str) -> String {
        self.rpc_if(needs.iter().all(|(capabilities, scope)| self.may(*capabilities, *scope)), then)
    }

    /// The same for what takes something else. Without credentials nothing is decided (A13).
    pub(crate) fn rpc_if(&self, allowed: bool, then: &str) -> String {
        match (self.is_anonymous(), allowed) {
            (true, _) => "Unauthenticated".into(),
            (false, false) => "PermissionDenied".into(),
            (false, true) => then.into(),
        }
    }

    /// The status of an HTTP request: what it takes where, and what it answers then. Of several places it is the first
    /// that it is about: who reaches that is told that the rest is refused.
    pub(crate) fn http(&self, tenant: Tenant, needs: &[(Set, &'static str, Version)], then: &str) -> String {
        let allowed = |(capabilities, path, version): &(Set, &'static str, Version)| {
            self.may(*capabilities, Scope::Path(tenant, path, *version))
        };
        let (_, path, version) = needs[0];
        if needs.iter().all(allowed) { then.into() } else { self.refused(tenant, path, version) }
    }

    /// D14.
    pub(crate) fn refused(&self, tenant: Tenant, path: &'static str, version: Version) -> String {
        if self.is_anonymous() {
            "401".into()
        } else if self.reaches(tenant, path, version) {
            "403".into()
        } else {
            "404".into()
        }
    }
}
