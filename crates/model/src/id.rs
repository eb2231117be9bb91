//! Ids: 16 bytes each, and never one kind for another.

use std::fmt;
use std::str::FromStr;

/// Not an id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id has 16 bytes, shown as a UUID")]
pub struct IdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From its bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 16]) -> Self {
                $name(bytes)
            }

            /// From 16 random bytes, marked as a random UUID (RFC 9562, version 4).
            #[must_use]
            pub fn random(mut bytes: [u8; 16]) -> Self {
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                $name(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map($name).map_err(|_| IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map($name)
            }
        }
    )* };
}

ids! {
    /// Names a tenant.
    TenantId,
    /// Names a principal.
    PrincipalId,
    /// Names a session.
    SessionId,
    /// Names an upload.
    UploadId,
    /// Names a rope inside its tenant.
    RopeId,
    /// Names a link.
    LinkId,
}

impl TenantId {
    /// The tenant that every new store begins with.
    pub const SCRATCHPAD: TenantId = TenantId([0x0a; 16]);
}

impl PrincipalId {
    /// Holds what anonymous callers may do.
    pub const UNAUTHENTICATED: PrincipalId = PrincipalId([0x0f; 16]);
}

fn show(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse(text: &str) -> Result<[u8; 16], IdError> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return Err(IdError);
    }
    let mut bytes = [0; 16];
    let mut digits = text.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
    if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return Err(IdError);
    }
    for byte in &mut bytes {
        for _ in 0..2 {
            let (_, digit) = digits.next().ok_or(IdError)?;
            let digit = char::from(*digit).to_digit(16).ok_or(IdError)?;
            *byte = *byte << 4 | u8::try_from(digit).map_err(|_| IdError)?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_it_is_read() {
        let text = "0a0b0c0d-0e0f-4011-8213-141516171819";
        assert_eq!(text.parse::<TenantId>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<TenantId>().unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "0a0b0c0d-0e0f-4011-8213-14151617181", "0a0b0c0d00e0f-4011-8213-141516171819", "g"] {
            assert_eq!(text.parse::<TenantId>(), Err(IdError), "{text}");
        }
        assert_eq!("0a0b0c0d-0e0f-4011-8213-1415161718-9".parse::<TenantId>(), Err(IdError));
    }
}
