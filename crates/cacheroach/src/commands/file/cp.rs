//! `file cp`: copies within a tenant, without moving any bytes.

use cacheroach_api::file::{CopyRequest, CopyResponse};
use clap::Args;

use super::{NOTHING, Site, absolute, version};
use crate::commands::Context;
use crate::error::Error;
use crate::output::facts;

/// Copy a file, or all below a directory, to another place of the tenant.
///
/// Nothing is transferred: the server keeps contents once. What ends with a slash is a directory: `cp /a/ /b/` makes
/// everything below /a/ be below /b/ too, `cp /a/x /b/` makes /b/x.
#[derive(Args)]
pub(super) struct Cp {
    #[command(flatten)]
    ends: Ends,
    /// Not the current version of the file, but this one.
    #[arg(long, value_name = "N", value_parser = version())]
    version: Option<i64>,
}

/// From where to where.
#[derive(Args)]
pub(super) struct Ends {
    /// A file; with a last slash a directory.
    from: String,
    /// The name to be; with a last slash a directory.
    to: String,
    /// Only where there is no file yet.
    #[arg(long)]
    no_overwrite: bool,
}

/// Paths that fit each other.
pub(super) struct Route {
    pub(super) from: String,
    pub(super) to: String,
    /// What must be there: 0 for whatever there is.
    pub(super) expected: i64,
}

impl Ends {
    /// A file that goes into a directory keeps its name.
    pub(super) fn route(&self) -> Result<Route, Error> {
        let (from, mut to) = (absolute(&self.from), absolute(&self.to));
        let expected = if self.no_overwrite { NOTHING } else { 0 };
        if from.ends_with('/') {
            if !to.ends_with('/') {
                return Err(Error::new("a directory goes to a directory: both end with a slash"));
            }
            if self.no_overwrite {
                return Err(Error::new("--no-overwrite is for single files"));
            }
        } else if to.ends_with('/') {
            to.push_str(from.rsplit('/').next().unwrap_or_default());
        }
        Ok(Route { from, to, expected })
    }
}

/// One whose arguments make sense.
pub(super) struct Checked {
    route: Route,
    version: i64,
}

impl Cp {
    pub(super) fn check(self) -> Result<Checked, Error> {
        let route = self.ends.route()?;
        if route.from.ends_with('/') && self.version.is_some() {
            return Err(Error::new("--version is for single files"));
        }
        Ok(Checked { route, version: self.version.unwrap_or_default() })
    }
}

impl Checked {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let request = CopyRequest {
            tenant: Some(site.tenant.into()),
            path: self.route.from.clone(),
            version: self.version,
            to: self.route.to.clone(),
            expected_version: self.route.expected,
        };
        let made = site.ask(&request, |mut files, request| async move { files.copy(request).await }).await?;
        told(context, self.route, &made)
    }
}

/// Says what a copy or a move has come to.
pub(super) fn told(context: &Context, route: Route, made: &CopyResponse) -> Result<(), Error> {
    let what = match made.version {
        0 => ("Files", made.files.into()),
        version => ("Version", version.into()),
    };
    facts(context.format, vec![("From", route.from.into()), ("To", route.to.into()), what])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_in_a_directory() {
        let to = |from: &str, to: &str, no_overwrite| {
            let ends = Ends { from: from.into(), to: to.into(), no_overwrite };
            ends.route().ok().map(|route| (route.to, route.expected))
        };
        assert_eq!(to("/a/x", "/b/", false), Some(("/b/x".into(), 0)));
        assert_eq!(to("a/x", "b", true), Some(("/b".into(), -1)));
        assert_eq!(to("/a/", "b/", false), Some(("/b/".into(), 0)));
        assert_eq!(to("/a/", "/b", false), None);
        assert_eq!(to("/a/", "/b/", true), None);
    }
}
