//! The JSON form of sessions, as protobuf defines it: it is inside tokens and configuration files. Unknown fields are
//! errors; JSON and proto names are both understood; 64-bit numbers are written as strings and read as either.

use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{capabilities, principal, session, tenant};

/// A [`session::Session`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// Its id.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<ShortId>,
    /// What it may do.
    #[serde(rename = "c", alias = "capabilities", skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Who holds it.
    #[serde(rename = "p", alias = "principal_id", skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<Id>,
    /// What it reaches.
    #[serde(rename = "s", alias = "scope", skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// When it ends.
    #[serde(rename = "x", alias = "expires_at", with = "time", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<prost_types::Timestamp>,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Unique per principal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The id of a session, whose JSON name is shorter than the others'.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShortId {
    /// 16 bytes, base64.
    #[serde(rename = "d", alias = "data", with = "bytes", default)]
    pub data: Vec<u8>,
}

/// The id of a tenant or a principal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Id {
    /// 16 bytes, base64.
    #[serde(with = "bytes", default)]
    pub data: Vec<u8>,
}

/// [`capabilities::Capabilities`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "the contract has it so")]
pub struct Capabilities {
    #[serde(skip_serializing_if = "is_false")]
    read: bool,
    #[serde(skip_serializing_if = "is_false")]
    write: bool,
    #[serde(skip_serializing_if = "is_false")]
    delegate: bool,
    #[serde(skip_serializing_if = "is_false")]
    pii: bool,
    #[serde(skip_serializing_if = "is_false")]
    fetch: bool,
}

/// [`session::Scope`]: at most one of the three.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    #[serde(rename = "s", alias = "super_token", skip_serializing_if = "Option::is_none")]
    super_token: Option<bool>,
    #[serde(rename = "p", alias = "on_principal", skip_serializing_if = "Option::is_none")]
    on_principal: Option<Id>,
    #[serde(rename = "l", alias = "on_location", skip_serializing_if = "Option::is_none")]
    on_location: Option<Location>,
}

/// [`session::Location`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Location {
    /// Absent in a token, whose issuer it is.
    #[serde(rename = "t", alias = "tenant_id", skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Id>,
    #[serde(rename = "p", alias = "path", skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(rename = "v", alias = "version", with = "number", skip_serializing_if = "is_zero")]
    version: i64,
}

impl Scope {
    /// Its location, if it is one.
    pub fn location_mut(&mut self) -> Option<&mut Location> {
        self.on_location.as_mut()
    }
}

impl From<&session::Session> for Session {
    fn from(from: &session::Session) -> Self {
        use session::scope::Kind;
        let id = |data: &[u8]| Id { data: data.to_vec() };
        let scope = |scope: &session::Scope| match &scope.kind {
            None => Scope::default(),
            Some(Kind::SuperToken(on)) => Scope { super_token: Some(*on), ..Scope::default() },
            Some(Kind::OnPrincipal(on)) => Scope { on_principal: Some(id(&on.data)), ..Scope::default() },
            Some(Kind::OnLocation(on)) => Scope {
                on_location: Some(Location {
                    tenant_id: on.tenant_id.as_ref().map(|on| id(&on.data)),
                    path: on.path.clone(),
                    version: on.version,
                }),
                ..Scope::default()
            },
        };
        Session {
            id: from.id.as_ref().map(|id| ShortId { data: id.data.clone() }),
            capabilities: from.capabilities.as_ref().map(|of| Capabilities {
                read: of.read,
                write: of.write,
                delegate: of.delegate,
                pii: of.pii,
                fetch: of.fetch,
            }),
            principal_id: from.principal_id.as_ref().map(|of| id(&of.data)),
            scope: from.scope.as_ref().map(scope),
            expires_at: from.expires_at,
            note: from.note.clone(),
            name: from.name.clone(),
        }
    }
}

/// Reads a session where protobuf would: from an object. By itself serde takes a list of its fields, too.
///
/// # Errors
/// What is no session.
pub fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Session, D::Error> {
    fn has_list(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Array(_) => true,
            serde_json::Value::Object(fields) => fields.values().any(has_list),
            _ => false,
        }
    }
    let value = serde_json::Value::deserialize(from)?;
    if has_list(&value) {
        return Err(de::Error::custom("a session has no lists"));
    }
    Session::deserialize(value).map_err(de::Error::custom)
}

/// A scope of two kinds at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TwoScopes;

impl std::fmt::Display for TwoScopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a scope is of one kind only")
    }
}

impl std::error::Error for TwoScopes {}

impl TryFrom<Session> for session::Session {
    type Error = TwoScopes;

    fn try_from(from: Session) -> Result<Self, TwoScopes> {
        use session::scope::Kind;
        let scope = |scope: Scope| {
            let kinds = [
                scope.super_token.map(Kind::SuperToken),
                scope.on_principal.map(|id| Kind::OnPrincipal(principal::Id { data: id.data })),
                scope.on_location.map(|on| {
                    Kind::OnLocation(session::Location {
                        tenant_id: on.tenant_id.map(|id| tenant::Id { data: id.data }),
                        path: on.path,
                        version: on.version,
                    })
                }),
            ];
            let mut kinds = kinds.into_iter().flatten();
            match (kinds.next(), kinds.next()) {
                (kind, None) => Ok(session::Scope { kind }),
                _ => Err(TwoScopes),
            }
        };
        Ok(session::Session {
            id: from.id.map(|id| session::Id { data: id.data }),
            capabilities: from.capabilities.map(|of| capabilities::Capabilities {
                read: of.read,
                write: of.write,
                delegate: of.delegate,
                pii: of.pii,
                fetch: of.fetch,
            }),
            principal_id: from.principal_id.map(|id| principal::Id { data: id.data }),
            scope: from.scope.map(scope).transpose()?,
            expires_at: from.expires_at,
            note: from.note,
            name: from.name,
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

mod bytes {
    use base64::Engine as _;

    use super::{Deserialize, Deserializer, STANDARD, Serializer, de};

    pub(super) fn serialize<S: Serializer>(data: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(data))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(|_| de::Error::custom("bytes are base64"))
    }
}

mod number {
    use super::{Deserialize, Deserializer, Serializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(value: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        match Either::deserialize(from)? {
            Either::Number(value) => Ok(value),
            Either::Text(text) => text.parse().map_err(|_| de::Error::custom("a number")),
        }
    }
}

mod time {
    use super::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<prost_types::Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(time) = time else { return to.serialize_none() };
        let time = jiff::Timestamp::new(time.seconds, time.nanos).map_err(serde::ser::Error::custom)?;
        // A fraction has 3, 6 or 9 digits, if any.
        let digits = match time.subsec_nanosecond() {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        to.collect_str(&format_args!("{time:.digits$}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<prost_types::Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let time: jiff::Timestamp =
            text.parse().map_err(|_| de::Error::custom("a time as RFC 3339 has it"))?;
        Ok(Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the original's tokens.
    #[test]
    fn sessions_are_read_and_written_as_the_original_does() {
        for text in [
            r#"{"s":{"s":true}}"#,
            r#"{"c":{"read":true,"write":true},"s":{"p":{"data":"Dw8PDw8PDw8PDw8PDw8PDw=="}},"name":"<self>"}"#,
            r#"{"c":{"read":true},"s":{"l":{"p":"/*"}}}"#,
            r#"{"c":{"read":true},"s":{"l":{"p":"/up/big.bin","v":"1"}}}"#,
            r#"{"ID":{"d":"CgoKCgoKCgoKCgoKCgoKCg=="},"x":"2026-11-22T13:17:31.500Z","note":"n"}"#,
        ] {
            let session: Session = serde_json::from_str(text).unwrap();
            let message = session::Session::try_from(session).unwrap();
            assert_eq!(serde_json::to_string(&Session::from(&message)).unwrap(), text);
        }
    }

    #[test]
    fn proto_names_and_plain_numbers_are_understood() {
        let text = r#"{"capabilities":{"read":true},"scope":{"on_location":{"path":"/a","version":3}}}"#;
        let session: Session = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::to_string(&session).unwrap(),
            r#"{"c":{"read":true},"s":{"l":{"p":"/a","v":"3"}}}"#
        );
    }

    #[test]
    fn what_is_no_session_is_refused() {
        for text in
            [r#"{"super":true}"#, r#"{"s":{"x":1}}"#, r#"{"s":{"l":{"v":"x"}}}"#, r#"{"x":"now"}"#, "[]x"]
        {
            assert!(serde_json::from_str::<Session>(text).is_err(), "{text}");
        }
        let two: Session = serde_json::from_str(r#"{"s":{"s":true,"l":{"p":"/a"}}}"#).unwrap();
        assert_eq!(session::Session::try_from(two), Err(TwoScopes));
    }
}
