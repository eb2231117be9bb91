//! User metadata as headers: `x-cacheroach-meta-KEY: VALUE`. Names of headers are lower case and of few characters, values
//! are ASCII: whatever else there is in a key or a value is percent-encoded UTF-8, both ways.

use std::collections::HashMap;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use cacheroach_model::Metadata;
use cacheroach_service::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const PREFIX: &str = "x-cacheroach-meta-";

/// All that can't stand in the name of a header; capitals would come back as small letters.
const IN_KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// All that can't stand in a value, and the sign of the encoding itself. Spaces within are fine.
const IN_VALUE: &AsciiSet = &percent_encoding::CONTROLS.add(b'%');

/// The pairs that the headers of a request say.
pub(super) fn of(headers: &HeaderMap) -> Result<HashMap<String, String>> {
    let mut pairs = HashMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(PREFIX) else { continue };
        let wrong = |problem| Error::invalid(name.as_str(), problem);
        let text = value.to_str().map_err(|_| wrong("ASCII; other characters are percent-encoded UTF-8"))?;
        if pairs.insert(decode(name.as_str(), key)?, decode(name.as_str(), text)?).is_some() {
            return Err(wrong("said twice"));
        }
    }
    Ok(pairs)
}

fn decode(field: &str, text: &str) -> Result<String> {
    let wrong = |problem| Error::invalid(field, problem);
    let escapes = text.split('%').skip(1);
    let mut digits = escapes.map(|escape| escape.as_bytes().get(..2));
    if !digits.all(|digits| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))) {
        return Err(wrong("a percent sign stands before two hexadecimal digits: %25 is the sign itself"));
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong("percent-encoded UTF-8"))?;
    Ok(text.into_owned())
}

/// Shows a file's pairs in the headers of an answer.
pub(super) fn show(headers: &mut HeaderMap, metadata: &Metadata) {
    for (key, value) in metadata.pairs() {
        let name = HeaderName::from_bytes(format!("{PREFIX}{}", encode_key(key)).as_bytes());
        let value = HeaderValue::from_str(&encode_value(value));
        // Both are ASCII without control characters now, so neither can fail.
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
}

fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            encoded.push_str(&format!("%{:02x}", u32::from(c)));
        } else {
            encoded.extend(utf8_percent_encode(c.encode_utf8(&mut [0; 4]), IN_KEY));
        }
    }
    encoded.to_ascii_lowercase()
}

/// Spaces at the ends would be trimmed on the way.
fn encode_value(value: &str) -> String {
    let inner = value.trim_matches(' ');
    let (before, after) =
        (value.len() - value.trim_start_matches(' ').len(), value.len() - value.trim_end_matches(' ').len());
    if inner.is_empty() {
        return "%20".repeat(value.len());
    }
    format!("{}{}{}", "%20".repeat(before), utf8_percent_encode(inner, IN_VALUE), "%20".repeat(after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a72_whatever_pairs_there_are_come_back_and_add_no_header(
            pairs in prop::collection::btree_map(".{1,12}", ".{0,12}", 0..5),
        ) {
            let metadata = Metadata::parse(pairs.clone()).unwrap();
            let mut headers = HeaderMap::new();
            show(&mut headers, &metadata);
            prop_assert_eq!(headers.len(), pairs.len());
            prop_assert!(headers.iter().all(|(name, value)| name.as_str().starts_with(PREFIX)
                && value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte))));
            let back: std::collections::BTreeMap<_, _> = of(&headers).unwrap().into_iter().collect();
            prop_assert_eq!(back, pairs);
        }
    }

    #[test]
    fn what_is_badly_encoded_is_named() {
        for (name, value) in
            [("x-cacheroach-meta-a", "50%"), ("x-cacheroach-meta-a", "%ff"), ("x-cacheroach-meta-%zz", "")]
        {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
            assert!(of(&headers).unwrap_err().to_string().starts_with(name), "{name}: {value}");
        }
    }
}
