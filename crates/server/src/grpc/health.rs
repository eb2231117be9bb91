//! Health (grpc.health.v1): whether requests should be sent to this server, as balancers ask. The answer is always at hand,
//! also when the store is not.

use std::sync::Weak;
use std::time::Duration;

use cacheroach_service::Service;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// From one look at the store to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks again and again, as long as somebody has the service.
pub(super) async fn watch(service: Weak<Service>, reporter: HealthReporter) {
    let mut last = true;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(service) = service.upgrade() else { return };
        let is_ready = service.is_ready().await;
        if is_ready != last {
            match is_ready {
                true => tracing::info!("the store answers again"),
                false => tracing::warn!("the store does not answer"),
            }
            last = is_ready;
            reporter.set_service_status("", status(is_ready)).await;
        }
    }
}

fn status(is_ready: bool) -> ServingStatus {
    if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}
