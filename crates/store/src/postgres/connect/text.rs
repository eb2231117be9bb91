//! Connect strings: a URL, or `key=value` pairs as libpq reads them. Errors name a parameter, never a value, for any value
//! may be a password.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// What is wrong with a connect string.
#[derive(Debug, thiserror::Error)]
#[error("the connect string: {0}")]
pub struct ConnectError(pub(super) String);

pub(super) type Parameters = BTreeMap<String, String>;

pub(super) fn wrong<T>(problem: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError(problem.into()))
}

/// The parameters of a connect string in either form.
pub(super) fn parse(text: &str) -> Result<Parameters, ConnectError> {
    let schemes = ["postgres://", "postgresql://"];
    match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => parse_url(rest),
        None => parse_pairs(text),
    }
}

/// `user:password@host:port,host:port/database?key=value&…`, each part of it optional.
fn parse_url(rest: &str) -> Result<Parameters, ConnectError> {
    let mut found = Parameters::new();
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // A password may hold an @ that nobody encoded.
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) =
        user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
    add(&mut found, "user", user)?;
    if let Some(password) = password {
        add(&mut found, "password", password)?;
    }
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
        // The colons of a literal IPv6 address are inside of brackets.
        let end = host.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match host[end..].find(':') {
            Some(colon) => (&host[..end + colon], &host[end + colon + 1..]),
            None => (host, ""),
        };
        names.push(name.trim_start_matches('[').trim_end_matches(']'));
        ports.push(port);
    }
    add(&mut found, "host", &names.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        add(&mut found, "port", &ports.join(","))?;
    }
    add(&mut found, "dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = match decoded(key, "a parameter's name")?.as_str() {
            "ssl" if value == "true" => return wrong("ssl is not a parameter: say sslmode=require"),
            key => key.to_owned(),
        };
        let value = value.replace('+', "%20");
        let value = decoded(&value, &key)?;
        found.insert(key, value);
    }
    Ok(found)
}

fn add(found: &mut Parameters, key: &str, value: &str) -> Result<(), ConnectError> {
    let value = decoded(value, key)?;
    if !value.is_empty() {
        found.insert(key.to_owned(), value);
    }
    Ok(())
}

fn decoded(text: &str, what: &str) -> Result<String, ConnectError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => wrong(format!("{what} is no text")),
    }
}

/// `key = 'a value' other=value`; a backslash takes the next character as it is.
fn parse_pairs(text: &str) -> Result<Parameters, ConnectError> {
    let mut found = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, tail)) = rest.split_once('=') else {
            return wrong("neither a URL such as postgres://HOST/DATABASE nor pairs such as host=HOST");
        };
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return wrong("a parameter without a value");
        }
        let (value, tail) = value(tail.trim_start(), key)?;
        let key = if key == "database" { "dbname" } else { key };
        found.insert(key.to_owned(), value);
        rest = tail.trim_start();
    }
    Ok(found)
}

/// One value, and what comes behind it.
fn value<'a>(text: &'a str, key: &str) -> Result<(String, &'a str), ConnectError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, next)) => value.push(next),
                None => return wrong(format!("{key} ends in a backslash")),
            },
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if c.is_whitespace() && !quoted => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted { wrong(format!("{key} has no closing quote")) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> String {
        let found = parse(text).unwrap();
        found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn urls_are_read() {
        assert_eq!(
            pairs("postgres://root@localhost:26257/cacheroach"),
            "dbname=cacheroach host=localhost port=26257 user=root"
        );
        assert_eq!(
            pairs("postgresql://u:p%40%2F@a,[::1]:2/d?sslmode=verify-full&application_name=a+b"),
            "application_name=a b dbname=d host=a,::1 password=p@/ port=,2 sslmode=verify-full user=u"
        );
        assert_eq!(pairs("postgres:///d?host=%2Frun%2Fpostgresql"), "dbname=d host=/run/postgresql");
        assert_eq!(pairs("postgres://"), "");
        assert_eq!(pairs("postgres://u:a@b@h"), "host=h password=a@b user=u");
    }

    #[test]
    fn pairs_are_read() {
        assert_eq!(
            pairs(r"host = h  password='a \'b\\ ' dbname=d\ e user=''"),
            r"dbname=d e host=h password=a 'b\  user="
        );
    }

    #[test]
    fn p13_what_is_wrong_is_said_without_any_value() {
        for text in [
            "password='secret",
            "secret",
            "a b=secret",
            "user=x password=secret\\",
            "postgres://u:%ffsecret@h",
        ] {
            let problem = parse(text).unwrap_err().to_string();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
