//! The observer that feeds metrics, the log and the export.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "otlp")]
use super::OtlpSender;
use super::{Ended, Facts, LogSender, Metrics};
use crate::admission::Checks;
use crate::breaker::Transition;
use crate::hosts::HostChange;
use crate::invariant::Violation;
use crate::pipeline::Decision;
use crate::route::UpstreamId;
use crate::server::{Observer, ObserverTag, Seen};
use crate::timestamp::Timestamp;

/// Counts what a server does and hands its requests to the log, beside whoever else observes it.
#[derive(Debug)]
pub struct Telemetry<O = ()> {
    /// Who else observes.
    inner: O,
    metrics: Arc<Metrics>,
    log: Option<LogSender>,
    #[cfg(feature = "otlp")]
    otlp: Option<OtlpSender>,
}

impl<O> Telemetry<O> {
    /// Counts into `metrics`, logs to `log` if there is one, and tells `inner` everything.
    pub fn new(inner: O, metrics: Arc<Metrics>, log: Option<LogSender>) -> Self {
        if let Some(log) = log.clone() {
            metrics.count_drops("log", move || log.dropped());
        }
        Self {
            inner,
            metrics,
            log,
            #[cfg(feature = "otlp")]
            otlp: None,
        }
    }

    /// Hands each request to an export too.
    #[cfg(feature = "otlp")]
    pub fn with_otlp(mut self, otlp: OtlpSender) -> Self {
        let counted = otlp.clone();
        self.metrics.count_drops("otlp", move || counted.dropped());
        self.otlp = Some(otlp);
        self
    }
}

impl<O: Observer> Observer for Telemetry<O> {
    fn on_decided(
        &self,
        at: Timestamp,
        request: &Seen<'_>,
        checks: &Checks,
        decision: &Decision,
    ) -> ObserverTag {
        self.metrics.on_decided(at, checks, decision);
        self.inner.on_decided(at, request, checks, decision)
    }

    fn on_turn(&self, at: Timestamp, mark: ObserverTag, decision: &Decision) {
        self.inner.on_turn(at, mark, decision);
    }

    fn on_worker(&self, at: Timestamp, mark: ObserverTag, waited: Duration) {
        self.metrics.on_worker(waited);
        self.inner.on_worker(at, mark, waited);
    }

    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32) {
        self.inner.on_load(at, in_flight, queued);
    }

    fn on_queue_timeout(&self, at: Timestamp, mark: ObserverTag) {
        self.inner.on_queue_timeout(at, mark);
    }

    fn on_left_queue(&self, at: Timestamp, mark: ObserverTag, waited: Duration) {
        self.inner.on_left_queue(at, mark, waited);
    }

    fn on_transition(&self, upstream: UpstreamId, transition: Transition) {
        self.metrics.on_transition(upstream, &transition);
        if let Some(log) = &self.log {
            log.transition(upstream, transition);
        }
        self.inner.on_transition(upstream, transition);
    }

    fn on_host_change(&self, upstream: UpstreamId, change: HostChange) {
        self.metrics.on_host_change(upstream, change);
        if let Some(log) = &self.log {
            log.host_change(upstream, change);
        }
        self.inner.on_host_change(upstream, change);
    }

    fn on_exhausted(&self, at: Timestamp) {
        self.inner.on_exhausted(at);
    }

    fn on_broken(&self, at: Timestamp, violation: Violation) {
        if let Some(log) = &self.log {
            log.broken(at, violation);
        }
        self.inner.on_broken(at, violation);
    }

    fn on_finished(&self, at: Timestamp, mark: ObserverTag, facts: &Arc<Facts>, ended: &Ended) {
        self.metrics.on_finished(facts, ended);
        if let Some(log) = &self.log {
            log.request(at, facts, ended);
        }
        #[cfg(feature = "otlp")]
        if let Some(otlp) = &self.otlp {
            otlp.request(at, facts, ended);
        }
        self.inner.on_finished(at, mark, facts, ended);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use http::{HeaderMap, Method, Uri};

    use super::*;
    use crate::breaker::{Condition, Counts};
    use crate::hosts::{HostCondition, HostId};
    use crate::rejection::Rejection;
    use crate::telemetry::Names;
    use crate::telemetry::testing::{START, config, facts, rejected};

    /// Writes down what it is told.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<&'static str>>>);

    impl Told {
        fn of(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Observer for Told {
        fn on_decided(&self, _: Timestamp, _: &Seen<'_>, _: &Checks, _: &Decision) -> ObserverTag {
            self.of("decided");
            ObserverTag(7)
        }

        fn on_turn(&self, _: Timestamp, _: ObserverTag, _: &Decision) {
            self.of("turn");
        }

        fn on_worker(&self, _: Timestamp, _: ObserverTag, _: Duration) {
            self.of("worker");
        }

        fn on_load(&self, _: Timestamp, _: u32, _: u32) {
            self.of("load");
        }

        fn on_queue_timeout(&self, _: Timestamp, _: ObserverTag) {
            self.of("queue timeout");
        }

        fn on_left_queue(&self, _: Timestamp, _: ObserverTag, _: Duration) {
            self.of("left queue");
        }

        fn on_transition(&self, _: UpstreamId, _: Transition) {
            self.of("transition");
        }

        fn on_host_change(&self, _: UpstreamId, _: HostChange) {
            self.of("host");
        }

        fn on_exhausted(&self, _: Timestamp) {
            self.of("exhausted");
        }

        fn on_broken(&self, _: Timestamp, _: Violation) {
            self.of("broken");
        }

        fn on_finished(&self, _: Timestamp, _: ObserverTag, _: &Arc<Facts>, _: &Ended) {
            self.of("finished");
        }
    }

    #[test]
    fn whoever_else_observes_is_told_everything() {
        let config = config();
        let names = Names::new(&config, ["orders"]);
        let told = Told::default();
        let telemetry = Telemetry::new(told.clone(), Arc::new(Metrics::new(&config, &names, START)), None);
        let facts = Arc::new(facts(&config, "partner-0", 1));
        let (method, uri, headers) = (Method::GET, Uri::from_static("/orders"), HeaderMap::new());
        let seen = Seen {
            peer: Ipv4Addr::LOCALHOST.into(),
            key: None,
            method: &method,
            uri: &uri,
            headers: &headers,
            route: facts.route,
            claims: None,
            client: facts.client,
            traced: None,
        };
        let decision = Decision::Reject(Rejection::QueueFull { retry_after: Duration::ZERO });
        assert_eq!(telemetry.on_decided(START, &seen, &facts.checks, &decision), ObserverTag(7));
        telemetry.on_turn(START, ObserverTag(7), &decision);
        telemetry.on_worker(START, ObserverTag(7), Duration::ZERO);
        telemetry.on_load(START, 1, 0);
        telemetry.on_queue_timeout(START, ObserverTag(7));
        telemetry.on_left_queue(START, ObserverTag(7), Duration::ZERO);
        let (from, to) = (Condition::Closed, Condition::Open);
        telemetry.on_transition(UpstreamId(0), Transition { at: START, from, to, counts: Counts::default() });
        let (host, to) = (HostId(3), HostCondition::Ejected);
        telemetry.on_host_change(UpstreamId(0), HostChange { at: START, host, to });
        telemetry.on_exhausted(START);
        telemetry.on_broken(START, Violation { what: "one too many", times: 1 });
        telemetry.on_finished(START, ObserverTag(7), &facts, &rejected());
        let told = told.0.lock().unwrap();
        let all = [
            "decided",
            "turn",
            "worker",
            "load",
            "queue timeout",
            "left queue",
            "transition",
            "host",
            "exhausted",
            "broken",
            "finished",
        ];
        assert_eq!(*told, all);
    }
}
