//! Tokens: what was signed here means what was signed, and nothing else is accepted.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_auth::jwt::MAX_TOKEN;
use cacheroach_auth::{DropLink, Keys, Presented, claims};
use cacheroach_model::{
    Capabilities, Location, Pattern, PrincipalId, Scope, Session, SessionId, TenantId, Timestamp, Version,
};

use crate::change;
use crate::world::{KEY, NOW};

/// Times are exact to the microsecond up to here, in the year 2106: 2^32 seconds.
const EXACT: i64 = (1 << 32) * 1_000_000;

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::parse(&[STANDARD.encode(KEY)]).expect("32 bytes"))
}

/// A token as text; or a session, which is signed, and how its token is changed.
pub(crate) fn token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(presented) = claims::verify(keys(), text, NOW)
    {
        signed_again(presented);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(link) = DropLink::verify(keys(), text, NOW)
        && link.expires_at.is_none_or(|end| end.micros() < EXACT)
    {
        let token = link.sign(keys());
        assert_eq!(DropLink::verify(keys(), &token, NOW).as_ref(), Ok(&link));
        assert!(claims::verify(keys(), &token, NOW).is_err(), "{link:?} is good for something else");
    }
    let mut given = Unstructured::new(data);
    if let Ok(session) = session(&mut given) {
        let token = claims::sign(keys(), &session, NOW);
        signed(&session, &token);
        changed(token.as_bytes(), given.take_rest());
    }
}

fn signed_again(presented: Presented) {
    match presented {
        Presented::Session(session) => signed(&session, &claims::sign(keys(), &session, NOW)),
        Presented::Link(link) if link.expires_at.is_none_or(|end| end.micros() < EXACT) => {
            let token = link.sign(keys());
            match claims::verify(keys(), &token, NOW) {
                Ok(Presented::Link(again)) => assert_eq!(again, link),
                other => panic!("{other:?} instead of {link:?}"),
            }
        }
        Presented::Link(_) => {}
    }
}

/// The token of a session is that session.
fn signed(session: &Session, token: &str) {
    assert!(DropLink::verify(keys(), token, NOW).is_err(), "{session:?} is good for something else");
    match claims::verify(keys(), token, NOW) {
        Ok(Presented::Session(again)) => {
            // The note stays with the server.
            let mut shown = Session { note: String::new(), ..session.clone() };
            if shown.expires_at.is_some_and(|end| end.micros() >= EXACT) {
                shown.expires_at = again.expires_at;
            }
            assert_eq!(again, shown);
        }
        // As the original made signed URLs.
        Ok(Presented::Link(link)) => {
            assert!(session.id.is_none() && session.capabilities == Capabilities::READ);
            let link = link.as_session();
            assert_eq!((&link.principal, &link.scope), (&session.principal, &session.scope));
        }
        Err(error) => {
            assert!(token.len() > MAX_TOKEN || session.expires_at.is_none(), "{error} of {session:?}");
        }
    }
}

/// No other token has the signature of this one.
fn changed(token: &[u8], how: &[u8]) {
    let other = change::changed(token.to_vec(), how);
    if other != token
        && let Ok(text) = std::str::from_utf8(&other)
    {
        let found = claims::verify(keys(), text, NOW);
        assert!(found.is_err(), "{text} is taken for {found:?}");
    }
}

fn session(given: &mut Unstructured<'_>) -> Result<Session> {
    let id: Option<[u8; 16]> = given.arbitrary()?;
    let principal: Option<[u8; 16]> = given.arbitrary()?;
    let scope = match given.int_in_range(0..=4)? {
        0 => None,
        1 => Some(Scope::Super),
        2 => Some(Scope::Principal(PrincipalId::new(given.arbitrary()?))),
        _ => Some(Scope::Location(location(given)?)),
    };
    let end = given.int_in_range(NOW.micros() + 1..=EXACT - 1)?;
    Ok(Session {
        id: id.map(SessionId::new),
        principal: principal.map(PrincipalId::new),
        capabilities: Capabilities::from_bits(given.arbitrary()?),
        scope,
        expires_at: given.ratio(9, 10)?.then_some(Timestamp::from_micros(end)),
        name: given.arbitrary()?,
        note: given.arbitrary()?,
    })
}

fn location(given: &mut Unstructured<'_>) -> Result<Location> {
    let tenant = TenantId::new(given.arbitrary()?);
    let version: Option<u32> = given.arbitrary()?;
    let path = format!("/{}", given.arbitrary::<&str>()?);
    let pattern = Pattern::parse(&path).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(Location { tenant, pattern, version: version.map(|version| Version(i64::from(version) + 1)) })
}
