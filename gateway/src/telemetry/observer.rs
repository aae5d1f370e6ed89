use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "otlp")]
use super::OtlpSender;
use super::{Ended, Facts, LogSender, Metrics};
use crate::server::{Mark, Observer, Seen};
use crate::{Checks, Decision, Timestamp, Transition, UpstreamId};

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
    fn on_decided(&self, at: Timestamp, request: &Seen<'_>, checks: &Checks, decision: &Decision) -> Mark {
        self.metrics.on_decided(at, checks);
        self.inner.on_decided(at, request, checks, decision)
    }

    fn on_worker(&self, at: Timestamp, mark: Mark, waited: Duration) {
        self.metrics.on_worker(waited);
        self.inner.on_worker(at, mark, waited);
    }

    fn on_load(&self, at: Timestamp, in_flight: u32, queued: u32) {
        self.inner.on_load(at, in_flight, queued);
    }

    fn on_queue_timeout(&self, at: Timestamp, mark: Mark) {
        self.inner.on_queue_timeout(at, mark);
    }

    fn on_transition(&self, upstream: UpstreamId, transition: Transition) {
        self.metrics.on_transition(upstream, &transition);
        if let Some(log) = &self.log {
            log.transition(upstream, transition);
        }
        self.inner.on_transition(upstream, transition);
    }

    fn on_finished(&self, at: Timestamp, mark: Mark, facts: &Arc<Facts>, ended: &Ended) {
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
