//! What is counted of a server, as Prometheus reads it.
//!
//! Every series is one of a route, an upstream, a limit or a word of ours, and none is a client's: a gateway sees as many
//! keys as attackers care to send. On the path of a request stand atomics that are found by number; what can be asked of
//! the server itself, such as the length of its queue, is asked when somebody looks.

mod maker;
mod on_reading;
mod sample;
mod saturation;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, Registry, TextEncoder};

use self::maker::Maker;
use self::on_reading::OnReading;
pub use self::sample::Sample;
use self::saturation::Saturation;
use super::{Ended, Facts, Names};
use crate::admission::Checks;
use crate::breaker::{Condition, Transition};
use crate::config::GatewayConfig;
use crate::hosts::HostChange;
use crate::limits::{LimitId, RateLimits};
use crate::outcome::Outcome;
use crate::pipeline::Decision;
use crate::rate_limit::RateLimit;
use crate::route::UpstreamId;
use crate::server::Monitor;
use crate::timestamp::Timestamp;

/// Classes of status by their first digit; the first is for a client that left without an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

const CONDITIONS: [Condition; 3] = [Condition::Closed, Condition::HalfOpen, Condition::Open];

/// The route of a request that no route serves.
const NO_ROUTE: &str = "none";

/// The counters, histograms and gauges of one server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    /// By route (one more for none), outcome and class of status: looked up by name once, then found by number.
    request_cells: Box<[OnceLock<IntCounter>]>,
    /// By route.
    latency: Vec<Histogram>,
    upstream_latency: Vec<Histogram>,
    queue_wait: Histogram,
    /// By upstream.
    attempts: Vec<IntCounter>,
    /// By upstream, and by the condition changed to.
    transitions: Vec<[IntCounter; CONDITIONS.len()]>,
    /// Of upstreams whose hosts changed, by what they changed to.
    host_changes: IntCounterVec,
    /// By upstream.
    upstreams: Vec<Box<str>>,
    decisions: IntCounterVec,
    waits: HistogramVec,
    /// By slot of the limit, where there is one or once was.
    limits: Box<[ArcSwapOption<LimitCounters>]>,
    /// By route.
    paths: Vec<Box<str>>,
    reloads: Reloads,
    upstream_of: Vec<usize>,
    read: Mutex<OnReading>,
}

struct LimitCounters {
    /// What the limit is called.
    label: String,
    admitted: IntCounter,
    rejected: IntCounter,
    saturation: Saturation,
    /// By tier: the size of its buckets.
    tiers: Vec<u32>,
    /// Of a limit that lets requests wait.
    waits: Option<Histogram>,
}

impl Metrics {
    /// Nothing counted yet, for a server with this configuration, in a process that started at `started`.
    pub fn new(config: &GatewayConfig, names: &Names, started: Timestamp) -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        make.gauge("process_start_time_seconds", "Start of the process since the Unix epoch in seconds.")
            .set(started.as_nanos() as f64 / 1e9);
        let requests = make.counters(
            "gateway_requests_total",
            "Requests that have ended, by route, outcome and class of status.",
            &["route", "outcome", "status"],
        );
        let attempts = make.counters(
            "gateway_upstream_attempts_total",
            "Attempts at upstreams, the gateway's own retries included.",
            &["upstream"],
        );
        let transitions = make.counters(
            "gateway_breaker_transitions_total",
            "Changes of circuit breakers, by what they changed to.",
            &["upstream", "to"],
        );
        let host_changes = make.counters(
            "gateway_host_changes_total",
            "Hosts of upstreams that were passed over (ejected) or took part again (in), by what they changed to.",
            &["upstream", "to"],
        );
        let by_route = |name: &str, help: &str| {
            let latencies = make.latencies(name, help, &["route"]);
            names.routes.iter().map(|route| latencies.with_label_values(&[&*route.path])).collect()
        };
        let upstreams = || names.upstreams.iter().map(|name| &**name);
        let changes = |name| CONDITIONS.map(|to| transitions.with_label_values(&[name, to.name()]));
        let reloads = Reloads::new(&make, started);
        let cells = (names.routes.len() + 1) * Outcome::ALL.len() * CLASSES.len();
        let this = Self {
            requests,
            request_cells: (0..cells).map(|_| OnceLock::new()).collect(),
            latency: by_route(
                "gateway_request_duration_seconds",
                "From a request's arrival at the gateway until it has ended, by route.",
            ),
            upstream_latency: by_route(
                "gateway_upstream_duration_seconds",
                "From when the last attempt at the upstream was sent until it ended, by route.",
            ),
            queue_wait: make.latency(
                "gateway_queue_wait_seconds",
                "Time that requests waited for the worker they were given.",
            ),
            attempts: upstreams().map(|name| attempts.with_label_values(&[name])).collect(),
            transitions: upstreams().map(changes).collect(),
            host_changes,
            upstreams: upstreams().map(Box::from).collect(),
            decisions: make.counters(
                "gateway_rate_limit_decisions_total",
                "Verdicts of rate limits, by scope.",
                &["scope", "verdict"],
            ),
            waits: make.latencies(
                "gateway_rate_limit_wait_seconds",
                "Time that requests are let wait for their turn at a rate limit, by scope.",
                &["scope"],
            ),
            limits: (0..LimitId::MOST).map(|_| ArcSwapOption::empty()).collect(),
            reloads,
            paths: names.routes.iter().map(|route| route.path.clone()).collect(),
            upstream_of: names.routes.iter().map(|route| route.upstream.0 as usize).collect(),
            read: Mutex::new(OnReading::new(&make, config, names)),
            registry,
        };
        this.count_limits(&config.limits);
        this
    }

    /// The server goes by another configuration since `at`, with the same names.
    pub fn reconfigure(&self, config: &GatewayConfig, names: &Names, at: Timestamp) {
        self.count_limits(&config.limits);
        self.read().reconfigure(config, names);
        self.reloads.succeeded(at);
    }

    /// The server was to go by another configuration, and keeps the one that it has.
    pub fn on_reload_failed(&self) {
        self.reloads.failed();
    }

    /// Counts of these limits from now on. A limit that is called as the one before in its place goes on where that one was.
    fn count_limits(&self, limits: &RateLimits) {
        for (id, rule) in limits.iter() {
            let (label, allowance) = (limits.label(id), rule.limit.allowance());
            let cell = &self.limits[id.slot()];
            let tiers: Vec<u32> = rule.tiers.iter().map(|tier| tier.limit.allowance()).collect();
            let lets_wait = std::iter::once(&rule.limit)
                .chain(rule.tiers.iter().map(|tier| &tier.limit))
                .any(RateLimit::lets_wait);
            let is_known = |known: &Arc<LimitCounters>| {
                known.label == label && known.waits.is_some() == lets_wait && known.tiers == tiers
            };
            if let Some(known) = cell.load_full().filter(is_known) {
                known.saturation.reconfigure(allowance);
                continue;
            }
            let verdict = |verdict| self.decisions.with_label_values(&[&*label, verdict]);
            cell.store(Some(Arc::new(LimitCounters {
                admitted: verdict("admitted"),
                rejected: verdict("rejected"),
                saturation: Saturation::new(allowance),
                tiers,
                waits: lets_wait.then(|| self.waits.with_label_values(&[&*label])),
                label,
            })));
        }
    }

    /// Has the server looked at whenever somebody reads.
    pub fn observe(&self, monitor: Monitor) {
        self.read().monitor = Some(monitor);
    }

    /// Counts what is dropped on the way to a sink; `dropped` says how much it was so far.
    pub fn count_drops(&self, sink: &str, dropped: impl Fn() -> u64 + Send + 'static) {
        self.read().count_drops(sink, Box::new(dropped));
    }

    /// All of it in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, and what is registered is well-formed.
        let _ = TextEncoder::new().encode_utf8(&self.gather(Saturation::SECONDS), &mut text);
        text
    }

    /// All of it as numbers, saturation being that of the last so many seconds, 16 at most.
    pub fn samples(&self, saturation_seconds: u64) -> Vec<Sample> {
        self.gather(saturation_seconds).iter().flat_map(Sample::of).collect()
    }

    fn gather(&self, saturation_seconds: u64) -> Vec<MetricFamily> {
        // Held until all is gathered, so that it is of one moment.
        let read = self.read();
        read.update(&self.limits, saturation_seconds);
        self.registry.gather()
    }

    fn read(&self) -> MutexGuard<'_, OnReading> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_decided(&self, at: Timestamp, checks: &Checks, decision: &Decision) {
        for (id, verdict) in checks.iter() {
            if let Some(limit) = &*self.limits[id.slot()].load() {
                if verdict.is_admitted() { &limit.admitted } else { &limit.rejected }.inc();
                match checks.tier(id).checked_sub(1).and_then(|tier| limit.tiers.get(tier)) {
                    Some(allowance) => limit.saturation.note_of(at, verdict, *allowance),
                    None => limit.saturation.note(at, verdict),
                }
            }
        }
        if let Decision::Delay { limit, wait, .. } = decision
            && let Some(limit) = &*self.limits[limit.slot()].load()
            && let Some(waits) = &limit.waits
        {
            waits.observe(wait.as_secs_f64());
        }
    }

    pub(super) fn on_worker(&self, waited: Duration) {
        self.queue_wait.observe(waited.as_secs_f64());
    }

    pub(super) fn on_transition(&self, upstream: UpstreamId, transition: &Transition) {
        let to = CONDITIONS.iter().position(|condition| *condition == transition.to);
        if let (Some(counters), Some(to)) = (self.transitions.get(upstream.0 as usize), to) {
            counters[to].inc();
        }
    }

    pub(super) fn on_host_change(&self, upstream: UpstreamId, change: HostChange) {
        if let Some(name) = self.upstreams.get(upstream.0 as usize) {
            self.host_changes.with_label_values(&[&**name, change.to.name()]).inc();
        }
    }

    pub(super) fn on_finished(&self, facts: &Facts, ended: &Ended) {
        let route = facts.route.map(|route| route.0 as usize).filter(|route| *route < self.paths.len());
        self.requests(route, ended).inc();
        let Some(route) = route else { return };
        self.latency[route].observe(ended.total_time.as_secs_f64());
        if let Some(time) = ended.upstream_time {
            self.upstream_latency[route].observe(time.as_secs_f64());
        }
        if let Some(attempts) = self.attempts.get(self.upstream_of[route]) {
            attempts.inc_by(ended.attempts.into());
        }
    }

    fn requests(&self, route: Option<usize>, ended: &Ended) -> &IntCounter {
        let place = route.unwrap_or(self.paths.len());
        let outcome = ended.end.outcome();
        let class = ended.end.status().map_or(0, |status| usize::from(status / 100).min(5));
        let cell = (place * Outcome::ALL.len() + outcome as usize) * CLASSES.len() + class;
        self.request_cells[cell].get_or_init(|| {
            let path = self.paths.get(place).map_or(NO_ROUTE, |path| path);
            self.requests.with_label_values(&[path, outcome.name(), CLASSES[class]])
        })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// How the configuration was last read, as Prometheus and its Alertmanager name it of theirs.
struct Reloads {
    is_successful: Gauge,
    succeeded: Gauge,
}

impl Reloads {
    fn new(make: &Maker<'_>, at: Timestamp) -> Self {
        let this = Self {
            is_successful: make.gauge(
                "gateway_config_last_reload_successful",
                "1 if the configuration was read when it was last to be read, 0 if not.",
            ),
            succeeded: make.gauge(
                "gateway_config_last_reload_success_timestamp_seconds",
                "When the configuration was last read, since the Unix epoch in seconds.",
            ),
        };
        this.succeeded(at);
        this
    }

    fn succeeded(&self, at: Timestamp) {
        self.is_successful.set(1.0);
        self.succeeded.set(at.as_nanos() as f64 / 1e9);
    }

    fn failed(&self) {
        self.is_successful.set(0.0);
    }
}
