//! `file drop`: URLs by which others put files into a directory.

use std::time::Duration;

use cacheroach_api::file::CreateDropLinkRequest;
use clap::Args;

use super::sign::valid_for;
use super::{Site, absolute};
use crate::commands::Context;
use crate::duration;
use crate::error::Error;
use crate::output::Table;

/// Make a URL with which anybody can put files into a directory, and see nothing of what is there.
///
/// Browsers show a page for it. A program puts the name before the question mark: curl -T FILE 'URL/NAME?...'.
#[derive(Args)]
pub(super) struct Drop {
    /// The directory; it need not be there.
    dir: String,
    /// How long the URL is good for; 0s: as long as one may write there oneself.
    #[arg(long, value_parser = duration::parse, default_value = "24h")]
    validity: Duration,
    /// The largest file: bytes, or with K, M or G.
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "100M")]
    max_size: i64,
    /// How many files in all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), default_value_t = 100)]
    max_files: i64,
    /// Which types: image/png, image/*.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// From where the URL can be used: addresses, or blocks such as 10.0.0.0/8.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    network: Vec<String>,
    /// What the page is called.
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

impl Drop {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let dir = absolute(&self.dir);
        let request = CreateDropLinkRequest {
            tenant: Some(site.tenant.into()),
            path: if dir.ends_with('/') { dir.clone() } else { format!("{dir}/") },
            valid_for: valid_for(self.validity),
            max_size: self.max_size,
            content_types: self.types,
            max_files: self.max_files,
            label: self.label,
            client_networks: self.network,
        };
        let answer = site.client.files().create_drop_link(request).await?.into_inner();
        let url = site.client.url(&answer.put_uri)?;
        let mut table = Table::new(context.format, &["Path", "URL"]);
        table.row([self.dir.into(), url.as_str().into()])?;
        table.finish()
    }
}

/// Bytes: a number, maybe of KiB, MiB or GiB.
fn size(text: &str) -> Result<i64, String> {
    let wrong = || format!("no size such as 5000000, 500K or 100M: {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: i64 =
        match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
            "" => 1,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            _ => return Err(wrong()),
        };
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, bytes) in
            [("1", 1), ("500K", 500 << 10), ("100m", 100 << 20), ("2GiB", 2 << 30), ("7B", 7)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "0", "-1", "1T", "1.5M", "99999999999G", "1 M"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
