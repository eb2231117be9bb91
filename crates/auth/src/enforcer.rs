//! Whether a caller may say a message, and what of an answer it may hear: a rule of the contract times a session.

use std::cell::Cell;

use cacheroach_api::rule::{Direction, Judge, Method, Reference, Rule, Ruled, Target, Value};
use cacheroach_model::{
    Capabilities, Goal, Location, Pattern, PrincipalId, Scope, Session, TenantId, Version,
};

/// All that decides what a caller may do.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// The caller's own session.
    pub session: &'a Session,
    /// The live sessions of the principal that the session is on, if it may use them.
    pub grants: &'a [Session],
    /// What anonymous callers may read, if the session may use grants: being known takes nothing away.
    pub public: &'a [Session],
    /// The tenant of the virtual host that was asked.
    pub vhost_tenant: Option<TenantId>,
}

/// What a caller wants something with.
#[derive(Clone, Debug)]
pub enum Want {
    /// Nothing in particular.
    Anything,
    /// Everything.
    Super,
    /// A principal.
    Principal(PrincipalId),
    /// A path of a tenant.
    Path(TenantId, Goal, Option<Version>),
    /// All that a scope reaches.
    Location(Location),
}

/// That something may not be said, and what it would have taken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What the caller did not have, if it is a thing that can be had.
    pub lack: Option<Lack>,
}

/// What a caller does not have.
#[derive(Clone, Debug)]
pub struct Lack {
    /// The capabilities.
    pub capabilities: Capabilities,
    /// On what.
    pub on: Want,
}

/// Why a message may not be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not by this caller, whatever it says.
    Method,
    /// Not with this content.
    Message,
}

impl Authority<'_> {
    /// Whether the caller may use `capabilities` on what it wants: by its own session or by one of its grants, but never
    /// by two of them together.
    #[must_use]
    pub fn may(&self, capabilities: Capabilities, want: &Want) -> bool {
        covers(self.session, capabilities, want)
            || (!matches!(want, Want::Anything)
                && self.grants.iter().any(|grant| covers(grant, capabilities, want)))
            || (Capabilities::READ.contains(capabilities)
                && matches!(want, Want::Path(..))
                && self.public.iter().any(|grant| covers(grant, capabilities, want)))
    }

    /// Whether the caller's own session, without any grant, may.
    #[must_use]
    pub fn may_itself(&self, capabilities: Capabilities, want: &Want) -> bool {
        covers(self.session, capabilities, want)
    }

    /// Whether the method may be called at all.
    ///
    /// # Errors
    /// It may not.
    pub fn may_call<M: Method>(&self) -> Result<(), Refused> {
        let judging = Judging::new(*self, None);
        if judging.holds(M::RULE, &()) { Ok(()) } else { Err(judging.refused(Refusal::Method)) }
    }

    /// Whether the request may be said. It stays as it is: it may be asked about once more, of somebody who may do more.
    ///
    /// # Errors
    /// It may not.
    pub fn may_say(&self, request: &mut dyn Ruled) -> Result<(), Refused> {
        let asking =
            Asking { judging: Judging::new(*self, Some(Direction::Request)), is_refused: Cell::new(false) };
        request.cut(&asking);
        if asking.is_refused.get() { Err(asking.judging.refused(Refusal::Message)) } else { Ok(()) }
    }

    /// Cuts an answer to what the caller may hear, and tells whether anything went.
    pub fn cut(&self, answer: &mut dyn Ruled) -> bool {
        answer.cut(&Judging::new(*self, Some(Direction::Response)))
    }
}

/// Whether a held session is good for capabilities on something.
#[must_use]
pub fn covers(held: &Session, capabilities: Capabilities, want: &Want) -> bool {
    if held.is_super() {
        return true;
    }
    if !held.capabilities.contains(capabilities) {
        return false;
    }
    match (&held.scope, want) {
        (_, Want::Anything) => true,
        (Some(Scope::Principal(held)), Want::Principal(wanted)) => held == wanted,
        (Some(Scope::Location(held)), Want::Path(tenant, goal, version)) => {
            held.tenant == *tenant && fits(held, capabilities, *version) && held.pattern.covers(goal)
        }
        (Some(Scope::Location(held)), Want::Location(wanted)) => {
            held.tenant == wanted.tenant
                && fits(held, capabilities, wanted.version)
                && held.pattern.contains(&wanted.pattern)
        }
        _ => false,
    }
}

/// A location in one version is good for that version only, and not for writing.
fn fits(held: &Location, capabilities: Capabilities, version: Option<Version>) -> bool {
    let changes = Capabilities::WRITE.bits() | Capabilities::FETCH.bits();
    held.version.is_none() || (held.version == version && capabilities.bits() & changes == 0)
}

struct Judging<'a> {
    authority: Authority<'a>,
    /// None while a method is judged: then neither direction holds.
    direction: Option<Direction>,
    /// What the rule being judged found lacking, and what the first rule that did not hold did.
    lacking: Cell<Option<Lack>>,
    lack: Cell<Option<Lack>>,
}

/// Notes what may not be said, and clears nothing.
struct Asking<'a> {
    judging: Judging<'a>,
    is_refused: Cell<bool>,
}

impl Judge for Asking<'_> {
    fn holds(&self, rule: &'static Rule, message: &dyn Ruled) -> bool {
        if !self.judging.holds(rule, message) {
            self.is_refused.set(true);
        }
        true
    }
}

#[derive(Eq, PartialEq)]
enum Resolved<'a> {
    Absent,
    Id(&'a [u8]),
    Text(&'a str),
}

impl<'a> Judging<'a> {
    fn new(authority: Authority<'a>, direction: Option<Direction>) -> Self {
        Judging { authority, direction, lacking: Cell::default(), lack: Cell::default() }
    }

    fn refused(&self, refusal: Refusal) -> Refused {
        Refused { refusal, lack: self.lack.take() }
    }

    /// Remembers what is not granted.
    fn granted(&self, granted: bool, capabilities: Capabilities, on: Want) -> bool {
        if !granted {
            self.lacking.set(Some(Lack { capabilities, on }));
        }
        granted
    }

    fn resolve<'m>(&'m self, reference: &Reference, message: &'m dyn Ruled) -> Resolved<'m> {
        let session = self.authority.session;
        match reference {
            Reference::Absent => Resolved::Absent,
            Reference::Text(text) => Resolved::Text(text),
            Reference::Field(number) => match message.field(*number) {
                Value::Id(id) => Resolved::Id(id),
                Value::Text(text) => Resolved::Text(text),
                Value::Absent | Value::Number(_) => Resolved::Absent,
            },
            Reference::SessionPrincipal => {
                session.principal.as_ref().map_or(Resolved::Absent, |id| Resolved::Id(id.as_bytes()))
            }
            Reference::ScopeTenant => match &session.scope {
                Some(Scope::Location(location)) => Resolved::Id(location.tenant.as_bytes()),
                _ => Resolved::Absent,
            },
            Reference::ScopePrincipal => match &session.scope {
                Some(Scope::Principal(id)) => Resolved::Id(id.as_bytes()),
                _ => Resolved::Absent,
            },
            Reference::UnauthenticatedPrincipal => Resolved::Id(PrincipalId::UNAUTHENTICATED.as_bytes()),
            Reference::VhostTenant => self
                .authority
                .vhost_tenant
                .as_ref()
                .map_or(Resolved::Absent, |id| Resolved::Id(id.as_bytes())),
        }
    }

    /// What a rule asks for; nothing if a reference does not resolve to the right kind.
    fn want(&self, target: &Target, message: &dyn Ruled) -> Option<Want> {
        match target {
            Target::Anything => Some(Want::Anything),
            Target::Super => Some(Want::Super),
            Target::Principal(reference) => match self.resolve(reference, message) {
                Resolved::Id(id) => PrincipalId::try_from(id).ok().map(Want::Principal),
                _ => None,
            },
            Target::Location { tenant, path, version } => {
                let Resolved::Id(tenant) = self.resolve(tenant, message) else { return None };
                let tenant = TenantId::try_from(tenant).ok()?;
                let version = version.and_then(|number| match message.field(number) {
                    Value::Number(version @ 1..) => Some(Version(version)),
                    _ => None,
                });
                match (path, self.resolve(path, message)) {
                    (Reference::Text(scope), _) => {
                        let pattern = Pattern::parse(scope).ok()?;
                        Some(Want::Location(Location { tenant, pattern, version }))
                    }
                    (_, Resolved::Text(path)) => Some(Want::Path(tenant, Goal::parse(path).ok()?, version)),
                    _ => None,
                }
            }
        }
    }

    fn is_subset(&self, message: &dyn Ruled) -> bool {
        let Some(goal) = message.as_session().and_then(|session| session.parse().ok()) else { return false };
        let want = match goal.scope {
            None => Want::Anything,
            Some(Scope::Super) => Want::Super,
            Some(Scope::Principal(id)) => Want::Principal(id),
            Some(Scope::Location(location)) => Want::Location(location),
        };
        // What is public is not the caller's to pass on.
        let may = Authority { public: &[], ..self.authority }.may(goal.capabilities, &want);
        self.granted(may, goal.capabilities, want)
    }
}

impl Judge for Judging<'_> {
    fn holds(&self, rule: &'static Rule, message: &dyn Ruled) -> bool {
        self.lacking.take();
        let holds = self.judge(rule, message);
        if !holds {
            // What was found first is what there is to tell: the rest of the message is only cut.
            let first = self.lack.take().or_else(|| self.lacking.take());
            self.lack.set(first);
        }
        holds
    }
}

impl Judging<'_> {
    fn judge(&self, rule: &'static Rule, message: &dyn Ruled) -> bool {
        let session = self.authority.session;
        match rule {
            Rule::Eq(a, b) => self.resolve(a, message) == self.resolve(b, message),
            Rule::Not(rule) => !self.judge(rule, message),
            Rule::Never => false,
            Rule::And(rules) => rules.iter().all(|rule| self.judge(rule, message)),
            Rule::Or(rules) => rules.iter().any(|rule| self.judge(rule, message)),
            Rule::LoggedIn => !session.is_anonymous(),
            Rule::Public => true,
            Rule::Super => self.granted(session.is_super(), Capabilities::NONE, Want::Super),
            Rule::May { capabilities, on } => {
                let capabilities = Capabilities::from_bits(*capabilities);
                // A super session need not say on what: the rule may name a field that was left empty.
                session.is_super()
                    || self.want(on, message).is_some_and(|want| {
                        self.granted(self.authority.may(capabilities, &want), capabilities, want)
                    })
            }
            Rule::Direction(direction) => self.direction == Some(*direction),
            Rule::IsSubset => self.is_subset(message),
        }
    }
}

#[cfg(test)]
#[path = "enforcer_tests.rs"]
mod tests;
