//! Diags over gRPC.

use std::collections::HashMap;

use cacheroach_api::diag::diag_response::Meta;
use cacheroach_api::diag::{DiagResponse, diags_server::Diags};
use cacheroach_api::method::diags;
use tonic::{Request, async_trait};

use super::{Answer, Handlers};

#[async_trait]
impl Diags for Handlers {
    async fn echo(&self, request: Request<()>) -> Answer<DiagResponse> {
        let mut seen: HashMap<String, Meta> = HashMap::new();
        for (name, value) in request.metadata().as_ref() {
            // What proves who the caller is goes nowhere, not even back.
            let secret = matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization");
            let value =
                if secret { "***".into() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
            seen.entry(name.to_string()).or_default().value.push(value);
        }
        let mut answer = self.unary::<diags::Echo>(request).await?;
        answer.get_mut().rpc_meta.clone_from(&seen);
        answer.get_mut().http_headers = seen;
        Ok(answer)
    }
}
