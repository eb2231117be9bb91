//! `file ls`: names, and what is known of the files.

use std::time::Duration;

use cacheroach_api::convert::timestamp;
use cacheroach_api::file::ListRequest;
use cacheroach_model::Clock as _;
use clap::Args;
use futures::TryStreamExt as _;
use prost_types::Timestamp;

use super::{Entry, Site, absolute};
use crate::clock::SystemClock;
use crate::commands::Context;
use crate::duration;
use crate::error::Error;
use crate::output::{Cell, Format, Table, line, printable};

const TIME: &str = "%b %e %H:%M:%S";

/// List files: all at and below each path.
#[derive(Args)]
pub(super) struct Ls {
    /// Where.
    #[arg(default_value = "/")]
    paths: Vec<String>,
    /// Show more than names.
    #[arg(short, long)]
    wide: bool,
    /// Only what is right in each directory; directories in it end with a slash.
    #[arg(short, long)]
    dirs: bool,
    /// As it was then: a time such as 2026-11-22T13:17:31Z, or how long ago, such as 1h30m.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    as_of: Option<Timestamp>,
}

impl Ls {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        if self.dirs || self.as_of.is_some() {
            site.must_be_new().await?;
        }
        if context.format == Format::Table && !self.wide {
            return self.names(site).await;
        }
        let mut table = Table::new(context.format, &["Path", "Size", "Version", "CTime", "MTime"]);
        for path in &self.paths {
            let mut found = std::pin::pin!(site.entries(self.request(path)));
            while let Some(entry) = found.try_next().await? {
                table.row(row(entry))?;
            }
        }
        table.finish()
    }

    async fn names(self, site: &Site) -> Result<(), Error> {
        for path in &self.paths {
            let mut found = std::pin::pin!(site.entries(self.request(path)));
            while let Some(entry) = found.try_next().await? {
                line(&printable(entry.path()))?;
            }
        }
        Ok(())
    }

    fn request(&self, path: &str) -> ListRequest {
        let delimiter = if self.dirs { "/" } else { "" };
        ListRequest {
            path: absolute(path),
            delimiter: delimiter.into(),
            as_of: self.as_of,
            ..Default::default()
        }
    }
}

fn row(entry: Entry) -> [Cell; 5] {
    match entry {
        Entry::File(file) => {
            let [created, modified] =
                [file.created_at, file.modified_at].map(|time| Cell::time(time.as_ref(), TIME));
            [file.path.into(), file.size.into(), file.version.into(), created, modified]
        }
        Entry::Directory(path) => [path.into(), Cell::none(), Cell::none(), Cell::none(), Cell::none()],
    }
}

/// A point in time, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() });
    }
    let ago = duration::parse(text).map_err(|_| {
        format!("neither a time such as 2026-11-22T13:17:31Z nor a duration such as 1h30m: {text:?}")
    })?;
    Ok(before(SystemClock.now(), ago))
}

fn before(now: cacheroach_model::Timestamp, ago: Duration) -> Timestamp {
    let micros = now.micros().saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX));
    timestamp(cacheroach_model::Timestamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_was() {
        let time = moment("2026-11-22T13:17:31.5Z").unwrap();
        assert_eq!(time, Timestamp { seconds: 1_795_353_451, nanos: 500_000_000 });
        assert_eq!(moment("2026-11-22T14:17:31.5+01:00").unwrap(), time);
        let now = cacheroach_model::Timestamp::from_seconds(10_000);
        assert_eq!(before(now, Duration::from_secs(90 * 60)), Timestamp { seconds: 4_600, nanos: 0 });
        assert!(moment("1h30m").unwrap().seconds < moment("1h").unwrap().seconds);
        for wrong in ["", "yesterday", "1d", "2026-11-22"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
