//! `Content-Disposition`: the name a file is to be saved by (RFC 6266, RFC 8187).

use std::fmt::Write as _;

/// Saved, not shown, under a name that may hold anything. Whatever it is, it stays within the value of the header: what is
/// not plain goes percent-encoded, and as `_` to readers who don't understand that.
pub(super) fn attachment(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~!#$&+^`() ,=@[]{}';".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        // A slash would lead somewhere, encoded or not.
        for byte in name.replace(['/', '\\'], "_").bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                write!(value, "%{byte:02X}").expect("a string takes all");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a72_a_name_stays_within_its_header() {
        for (name, value) in [
            ("report.pdf", "attachment; filename=\"report.pdf\""),
            ("a b; c=d.txt", "attachment; filename=\"a b; c=d.txt\""),
            ("a\"b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
            (
                "a\r\nSet-Cookie: x",
                "attachment; filename=\"a__Set-Cookie_ x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x",
            ),
            ("../../etc", "attachment; filename=\".._.._etc\"; filename*=UTF-8''.._.._etc"),
            ("..\\x", "attachment; filename=\".._x\"; filename*=UTF-8''.._x"),
            (
                "\u{e9}\u{1f600}.txt",
                "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%A9%F0%9F%98%80.txt",
            ),
            ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ] {
            assert_eq!(attachment(name), value, "{name:?}");
            assert!(::http::HeaderValue::from_str(&attachment(name)).is_ok());
        }
    }
}
