//! The observer of servers that run alone: it tells of defects, and of nothing else.

use std::sync::Arc;
use std::time::Duration;

use gateway::server::{Ended, ObserverTag, Seen};
use gateway::telemetry::Facts;
use gateway::{Checks, Decision, HostChange, Timestamp, Transition, UpstreamId, Violation};
use simulator::{RequestTag, ServiceEvent};

use crate::defect::say_defect;

/// Says on standard error where a counter of the gateway, or of one of the services of these names, is wrong.
#[derive(Debug, Default)]
pub(super) struct Defects {
    /// By upstream; of no use to a gateway.
    pub(super) services: Vec<String>,
}

impl gateway::server::Observer for Defects {
    fn on_decided(&self, _: Timestamp, _: &Seen<'_>, _: &Checks, _: &Decision) -> ObserverTag {
        ObserverTag::default()
    }

    fn on_turn(&self, _: Timestamp, _: ObserverTag, _: &Decision) {}

    fn on_worker(&self, _: Timestamp, _: ObserverTag, _: Duration) {}

    fn on_load(&self, _: Timestamp, _: u32, _: u32) {}

    fn on_queue_timeout(&self, _: Timestamp, _: ObserverTag) {}

    fn on_left_queue(&self, _: Timestamp, _: ObserverTag, _: Duration) {}

    fn on_transition(&self, _: UpstreamId, _: Transition) {}

    fn on_host_change(&self, _: UpstreamId, _: HostChange) {}

    fn on_exhausted(&self, _: Timestamp) {}

    fn on_broken(&self, _: Timestamp, violation: Violation) {
        say_defect("gateway", violation);
    }

    fn on_finished(&self, _: Timestamp, _: ObserverTag, _: &Arc<Facts>, _: &Ended) {}
}

impl simulator::server::Observer for Defects {
    fn on_event(&self, _: Timestamp, _: usize, _: ServiceEvent<'_, Option<RequestTag>>) {}

    fn on_exhausted(&self, _: Timestamp, _: usize) {}

    fn on_broken(&self, _: Timestamp, upstream: usize, violation: Violation) {
        let name = self.services.get(upstream).map_or("a service", String::as_str);
        say_defect(name, violation);
    }

    fn on_transition(&self, _: usize, _: usize, _: Transition) {}
}
