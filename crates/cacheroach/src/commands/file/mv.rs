//! `file mv`: other names for what is there.

use cacheroach_api::file::MoveRequest;
use clap::Args;

use super::cp::{Ends, Route, told};
use super::{Site, too_old};
use crate::commands::Context;
use crate::error::Error;

/// Move a file, or all below a directory, to another place of the tenant.
///
/// What ends with a slash is a directory: `mv /a/ /b/` makes everything below /a/ be below /b/ instead, `mv /a/x /b/`
/// makes /b/x. What was at the old place can be restored there, like what is deleted.
#[derive(Args)]
pub(super) struct Mv {
    #[command(flatten)]
    ends: Ends,
}

/// One whose arguments make sense.
pub(super) struct Checked(Route);

impl Mv {
    pub(super) fn check(self) -> Result<Checked, Error> {
        self.ends.route().map(Checked)
    }
}

impl Checked {
    pub(super) async fn run(self, context: &Context, site: &Site) -> Result<(), Error> {
        let Checked(route) = self;
        let request = MoveRequest {
            tenant: Some(site.tenant.into()),
            path: route.from.clone(),
            to: route.to.clone(),
            expected_version: route.expected,
        };
        // Asked once: after a move whose answer was lost there is nothing any more to be moved.
        let made = site.client.files().r#move(request).await.map_err(|status| too_old(status.into()))?;
        told(context, route, &made.into_inner())
    }
}
