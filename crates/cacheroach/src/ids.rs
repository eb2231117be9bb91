//! Ids as they are given on the command line, and as they are shown.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cacheroach_model::TenantId;

use crate::error::Error;

/// An id from a UUID of 36 characters or from 24 characters of base64. Fit to be a parser of clap's.
pub(crate) fn parse<T>(text: &str) -> Result<T, &'static str>
where
    T: FromStr + for<'a> TryFrom<&'a [u8]>,
{
    let id = match text.len() {
        36 => text.parse().ok(),
        24 => STANDARD.decode(text).ok().and_then(|bytes| T::try_from(&bytes).ok()),
        _ => None,
    };
    id.ok_or("unsupported format")
}

/// The id in a message as a UUID; an absent or malformed one is all zeros.
pub(crate) fn show(data: Option<&[u8]>) -> String {
    let id = data.and_then(|data| TenantId::try_from(data).ok());
    id.unwrap_or(TenantId::new([0; 16])).to_string()
}

/// 16 random bytes for a new id.
pub(crate) fn random() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Error::because("no random numbers", e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_or_base64() {
        let uuid = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
        assert_eq!(parse(uuid), Ok(TenantId::SCRATCHPAD));
        assert_eq!(parse("CgoKCgoKCgoKCgoKCgoKCg=="), Ok(TenantId::SCRATCHPAD));
        assert_eq!(show(Some(TenantId::SCRATCHPAD.as_bytes())), uuid);
    }

    #[test]
    fn anything_else_is_of_an_unsupported_format() {
        for text in [
            "",
            "x",
            "CgoKCgoKCgoKCgoKCgoKCgoK",
            "CgoKCgoKCgoKCgoKCgoKCg",
            "zz0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
        ] {
            assert_eq!(parse::<TenantId>(text), Err("unsupported format"), "{text}");
        }
        assert_eq!(show(Some(&[1, 2])), "00000000-0000-0000-0000-000000000000");
        assert_eq!(show(None), "00000000-0000-0000-0000-000000000000");
    }
}
