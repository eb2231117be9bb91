//! What happens to every argument before it is parsed: `$NAME` and `${NAME}` become the environment's values, a whole
//! argument `@file` becomes that file's contents, white space around it goes.

use std::env;
use std::ffi::OsString;
use std::fs;

use crate::error::Error;

/// All arguments but the first, which is the program. What is not UTF-8 stays as it is.
pub(crate) fn expand_all(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, Error> {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let expanded = arguments.enumerate().map(|(at, argument)| match argument.to_str() {
        Some(text) if at > 0 => expand(text, &variable).map(OsString::from),
        _ => Ok(argument),
    });
    expanded.collect()
}

fn expand(argument: &str, variable: &dyn Fn(&str) -> String) -> Result<String, Error> {
    let text = substitute(argument, variable);
    let text = match text.strip_prefix('@') {
        Some(path) => fs::read_to_string(path)
            .map_err(|e| Error::because(format!("cannot read the argument file {path}"), e))?,
        None => text,
    };
    Ok(text.trim().to_owned())
}

/// As Go's `os.Expand` has it: a `$` without a name stays, `${}` and an unclosed `${` go.
fn substitute(text: &str, variable: &dyn Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix('{') {
            match inner.split_once('}') {
                Some((name, tail)) => {
                    if !name.is_empty() {
                        out.push_str(&variable(name));
                    }
                    rest = tail;
                }
                None => rest = inner,
            }
            continue;
        }
        match name_length(rest) {
            0 => out.push('$'),
            length => {
                out.push_str(&variable(&rest[..length]));
                rest = &rest[length..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Letters, digits and underscores; or one of the shell's special names, none of which the environment has.
fn name_length(text: &str) -> usize {
    match text.bytes().next() {
        Some(b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9') => 1,
        _ => text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn variable(name: &str) -> String {
        match name {
            "HOME" => "/home/me".into(),
            "AT" => "@".into(),
            _ => String::new(),
        }
    }

    #[test]
    fn names_become_the_environments_values() {
        for (argument, expanded) in [
            ("$HOME/x", "/home/me/x"),
            ("a${HOME}b", "a/home/meb"),
            ("$UNSET", ""),
            ("x$UNSET.y", "x.y"),
            ("100$", "100$"),
            ("a$ b", "a$ b"),
            ("a${}b", "ab"),
            ("a${HOME", "aHOME"),
            ("$$", ""),
            ("\u{e4}$HOME\u{e4}", "\u{e4}/home/me\u{e4}"),
            ("  padded\n", "padded"),
        ] {
            assert_eq!(expand(argument, &variable).unwrap(), expanded, "{argument}");
        }
    }

    #[test]
    fn a_whole_argument_is_read_from_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, " $HOME c2VjcmV0\n\n").unwrap();
        let path = file.path().display();
        assert_eq!(expand(&format!("@{path}"), &variable).unwrap(), "$HOME c2VjcmV0");
        assert_eq!(expand(&format!("$AT{path}"), &variable).unwrap(), "$HOME c2VjcmV0");
        assert_eq!(expand(&format!("--key=@{path}"), &variable).unwrap(), format!("--key=@{path}"));
        assert!(expand("@/nonexistent/file", &variable).is_err());
    }
}
