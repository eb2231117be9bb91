//! `file fetch`: the server gets files from elsewhere.

use std::collections::HashMap;

use cacheroach_api::upload::{FetchRequest, FetchResponse};
use cacheroach_model::Path;
use clap::Args;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tonic::Code;

use super::put::directory;
use super::{Site, Tally};
use crate::commands::Context;
use crate::error::Error;
use crate::output::{Cell, Table};
use crate::progress::Progress;

/// Let the server fetch files from other servers.
///
/// What is stored already is fetched again only if it is newer there.
#[derive(Args)]
pub(super) struct Fetch {
    /// Where to: a directory on the server, with a last slash.
    dir: String,
    /// What: http and https URLs. Each file is named by the last element of its URL.
    #[arg(required = true)]
    urls: Vec<String>,
    /// Headers to send to the other servers: name=value,...; a value with a comma in double quotes. @FILE keeps secrets
    /// off the command line.
    #[arg(long, value_name = "NAME=VALUE,...")]
    headers: Vec<String>,
    /// How to ask the other servers.
    #[arg(long, default_value = "GET")]
    method: String,
}

/// One whose arguments make sense.
pub(super) struct Checked {
    dir: Path,
    headers: HashMap<String, String>,
    fetch: Fetch,
}

impl Fetch {
    pub(super) fn check(self) -> Result<Checked, Error> {
        let headers: Result<Vec<_>, _> = self.headers.iter().map(|text| parse_headers(text)).collect();
        let headers = headers.map_err(|problem| Error::new(format!("--headers: {problem}")))?;
        let headers = headers.into_iter().flatten().collect();
        Ok(Checked { dir: directory(&self.dir)?, headers, fetch: self })
    }
}

impl Checked {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let progress = Progress::new(context.bars);
        let mut table = Table::new(context.format, &["Path", "URL", "Code", "Message"]);
        let mut tally = Tally::default();
        for url in self.fetch.urls {
            let path = self.dir.prefix() + &name(&url);
            let request = FetchRequest {
                tenant: Some(site.tenant.into()),
                path: path.clone(),
                remote_url: url.clone(),
                remote_headers: self.headers.clone(),
                remote_method: self.fetch.method.clone(),
            };
            let (code, message) = match site.fetch(request, &progress).await {
                Ok(answer) => (answer.remote_http_code, answer.remote_http_message),
                Err(error) => (0, error.text()),
            };
            // What has not changed since it was stored is as good as stored.
            let is_there = matches!(code, 200 | 304);
            tally.count(&path, if is_there { Ok(()) } else { Err(Error::new(message.clone())) });
            let row = [path.into(), url.into(), Cell::from(i64::from(code)), message.into()];
            progress.aside(|| table.row(row))?;
        }
        table.finish()?;
        tally.outcome()
    }
}

impl Site {
    /// Asks for one file, and shows how far it has come if the server tells.
    pub(super) async fn fetch(
        &self,
        request: FetchRequest,
        progress: &Progress,
    ) -> Result<FetchResponse, Error> {
        let mut uploads = self.client.uploads();
        let mut parts = match uploads.fetch_progress(request.clone()).await {
            Ok(parts) => parts.into_inner(),
            // An original server.
            Err(status) if status.code() == Code::Unimplemented => {
                return Ok(uploads.fetch(request).await?.into_inner());
            }
            Err(status) => return Err(status.into()),
        };
        let (mut transfer, name) = (None, request.path);
        while let Some(part) = parts.message().await? {
            let bytes = |count: i64| u64::try_from(count).unwrap_or(0);
            if part.received > 0 {
                transfer
                    .get_or_insert_with(|| progress.start(&name, bytes(part.total)))
                    .reach(bytes(part.received));
            }
            let Some(answer) = part.response else { continue };
            if let Some(transfer) = transfer {
                transfer.finish();
            }
            return Ok(answer);
        }
        Err(Error::new("the server did not tell what became of it"))
    }
}

/// The last element of a URL's path, decoded if that is a name; without any, the host, as the original has it.
fn name(url: &str) -> String {
    let last = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let encoded = match Url::parse(url) {
        Ok(url) => match last(url.path()) {
            name if name.is_empty() => last(&url.origin().ascii_serialization()),
            name => name,
        },
        Err(_) => last(url),
    };
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..") && !name.contains('/') && !name.chars().any(char::is_control)
    };
    match percent_decode_str(&encoded).decode_utf8() {
        Ok(name) if is_name(&name) => name.into_owned(),
        _ => encoded,
    }
}

/// `name=value` and commas between; around a part with a comma in it double quotes, doubled where they stand for
/// themselves.
fn parse_headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(character) = characters.next() {
        let part = parts.last_mut().expect("there is always one");
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => part.push('"'),
            '"' if quoted || part.is_empty() => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            other => part.push(other),
        }
    }
    if quoted {
        return Err("a double quote is not closed".into());
    }
    // The values may be secrets: nothing of them is repeated.
    let pair = |part: &String| match part.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.to_owned())),
        None => Err("headers are written as name=value".to_owned()),
    };
    parts.iter().filter(|part| !part.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_the_last_element_of_its_url() {
        for (url, expected) in [
            ("http://h/a/b.txt", "b.txt"),
            ("http://h/a/b.txt?x=/y#/z", "b.txt"),
            ("http://h/a/", "a"),
            ("http://h/a%20b", "a b"),
            ("http://h/%C3%A4", "\u{e4}"),
            ("http://h/a%2Fb", "a%2Fb"),
            ("http://h/x/%2e%2e%2fy", "%2e%2e%2fy"),
            ("http://h/a%0Ab", "a%0Ab"),
            ("http://h/%ff", "%ff"),
            ("http://h/a/..", "h"),
            ("http://h:81/", "h:81"),
            ("http://h", "h"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }

    #[test]
    fn headers_are_a_list_of_pairs() {
        let parsed = parse_headers;
        let pairs = |pairs: &[(&str, &str)]| {
            Ok(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(parsed("a=b"), pairs(&[("a", "b")]));
        assert_eq!(parsed("a=b,c=d=e,f="), pairs(&[("a", "b"), ("c", "d=e"), ("f", "")]));
        assert_eq!(parsed("\"a=b,c\",d=\"e\""), pairs(&[("a", "b,c"), ("d", "\"e\"")]));
        assert_eq!(parsed("\"a=\"\"b\"\"\""), pairs(&[("a", "\"b\"")]));
        assert_eq!(parsed(""), pairs(&[]));
        for wrong in ["secret", "a=b,secret", "\"a=secret"] {
            assert!(parse_headers(wrong).is_err_and(|told| !told.contains("secret")), "{wrong}");
        }
    }
}
