//! What the server sees of a call.

use std::collections::HashMap;

use cacheroach_api::diag::DiagResponse;
use cacheroach_api::method::diags;

use crate::door::Ask;
use crate::{Caller, Result, Service};

impl Ask for diags::Echo {
    type Answer = DiagResponse;

    /// What came with the call is for the front end to add, which alone has seen it.
    async fn answer(_: &Service, _: &Caller, (): ()) -> Result<DiagResponse> {
        // Names only: there are secrets among the values.
        let environment: HashMap<_, _> = std::env::vars_os()
            .map(|(name, _)| (name.to_string_lossy().into_owned(), Default::default()))
            .collect();
        let hostname =
            std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Ok(DiagResponse { hostname, environment, ..Default::default() })
    }
}
