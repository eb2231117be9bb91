//! What the server sees of a call.

use std::collections::HashMap;

use cacheroach_api::diag::DiagResponse;
use cacheroach_api::diag::diag_response::Meta;
use cacheroach_api::method::diags;

use crate::door::Ask;
use crate::{Caller, Machine, Result, Service};

impl Ask for diags::Echo {
    type Answer = DiagResponse;

    /// What came with the call is for the front end to add, which alone has seen it.
    async fn answer(service: &Service, _: &Caller, (): ()) -> Result<DiagResponse> {
        let Machine { name, environment } = &service.settings.machine;
        let environment: HashMap<_, _> =
            environment.iter().map(|name| (name.clone(), Meta::default())).collect();
        Ok(DiagResponse { hostname: name.clone(), environment, ..Default::default() })
    }
}
