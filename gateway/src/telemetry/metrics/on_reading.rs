//! Metrics that are brought up to date when somebody reads them.

use arc_swap::ArcSwapOption;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec};

use super::maker::Maker;
use super::{CONDITIONS, LimitCounters};
use crate::breaker::Condition;
use crate::config::GatewayConfig;
use crate::limits::LimitId;
use crate::server::{Monitor, ServerState};
use crate::telemetry::Names;

/// What is brought up to date when somebody reads: the server knows it anyway, so that no request has to count it.
pub(super) struct OnReading {
    pub(super) monitor: Option<Monitor>,
    /// Who can tell how much was dropped, each with its counter.
    drops: Vec<(Drops, IntCounter)>,
    dropped: IntCounterVec,
    broken_invariants: IntCounter,
    in_use: Gauge,
    queued: Gauge,
    /// By upstream: in flight, pending, retries.
    upstreams: Vec<[Gauge; 3]>,
    state: GaugeVec,
    /// By upstream; `None` where there is no breaker.
    breakers: Vec<Option<[Gauge; CONDITIONS.len()]>>,
    saturation: GaugeVec,
    buckets: GaugeVec,
    /// Of each limit: the highest share in use, and the buckets that are not fresh.
    limits: Vec<(LimitId, Gauge, Gauge)>,
    bounds: Bounds,
}

/// Tells how much was dropped so far.
type Drops = Box<dyn Fn() -> u64 + Send>;

impl OnReading {
    pub(super) fn new(make: &Maker<'_>, config: &GatewayConfig, names: &Names) -> Self {
        let saturation = make.gauges(
            "gateway_rate_limit_saturation_ratio",
            "Highest share in use of any bucket that was asked in the last 16 seconds, by scope.",
            &["scope"],
        );
        let buckets =
            make.gauges("gateway_rate_limit_buckets", "Buckets that are not fresh, by scope.", &["scope"]);
        let state = make.gauges(
            "gateway_breaker_state",
            "1 for the state that an upstream's circuit breaker is in, 0 for the others.",
            &["upstream", "state"],
        );
        let in_flight = make.gauges(
            "gateway_upstream_in_flight",
            "Requests for an upstream that hold or wait for a worker.",
            &["upstream"],
        );
        let pending = make.gauges(
            "gateway_upstream_pending",
            "Requests for an upstream that wait until fewer hold or wait for a worker.",
            &["upstream"],
        );
        let retries = make.gauges(
            "gateway_upstream_retries",
            "Requests for an upstream that wait for the gateway's next attempt, or make it.",
            &["upstream"],
        );
        let dropped = make.counters(
            "gateway_telemetry_dropped_total",
            "Log lines and spans that were dropped so that no request had to wait.",
            &["sink"],
        );
        let mut this = Self {
            monitor: None,
            drops: Vec::new(),
            dropped,
            broken_invariants: make.counter(
                "gateway_broken_invariants_total",
                "Counters of the gateway that were found wrong: 0, unless the gateway has a defect.",
            ),
            in_use: make.gauge("gateway_pool_workers_in_use", "Workers of the pool in use."),
            queued: make.gauge(
                "gateway_pool_queue_length",
                "Requests that wait, for a place under a cap or for a worker.",
            ),
            upstreams: names
                .upstreams
                .iter()
                .map(|name| [&in_flight, &pending, &retries].map(|gauge| gauge.with_label_values(&[&**name])))
                .collect(),
            state,
            breakers: Vec::new(),
            saturation,
            buckets,
            limits: Vec::new(),
            bounds: Bounds::new(make),
        };
        this.reconfigure(config, names);
        this
    }

    /// Has the series of this configuration from now on: what is not there any more would else stand still.
    pub(super) fn reconfigure(&mut self, config: &GatewayConfig, names: &Names) {
        let Self { state, saturation, buckets, .. } = self;
        [&*state, saturation, buckets].into_iter().for_each(GaugeVec::reset);
        let breakers = names.upstreams.iter().enumerate().map(|(number, name)| {
            let series = |condition: Condition| state.with_label_values(&[&**name, condition.name()]);
            config.policy(number).breaker.map(|_| CONDITIONS.map(series))
        });
        self.breakers = breakers.collect();
        let limits = config.limits.iter().map(|(limit, _)| {
            let label = &[&*config.limits.label(limit)];
            (limit, saturation.with_label_values(label), buckets.with_label_values(label))
        });
        self.limits = limits.collect();
        self.bounds.set(config, names);
    }

    pub(super) fn count_drops(&mut self, sink: &str, dropped: Drops) {
        self.drops.push((dropped, self.dropped.with_label_values(&[sink])));
    }

    /// Asks everybody who knows. `limits` are the counters of the limits, by slot.
    pub(super) fn update(&self, limits: &[ArcSwapOption<LimitCounters>], saturation_seconds: u64) {
        if let Some(state) = self.monitor.as_ref().and_then(Monitor::state) {
            self.set(&state);
            for (limit, highest, _) in &self.limits {
                if let Some(limit) = &*limits[limit.slot()].load() {
                    highest.set(limit.saturation.highest(state.at, saturation_seconds));
                }
            }
        }
        for (dropped, counter) in &self.drops {
            counter.inc_by(dropped().saturating_sub(counter.get()));
        }
    }

    fn set(&self, state: &ServerState) {
        let known = self.broken_invariants.get();
        // Another reader may have seen more.
        self.broken_invariants.inc_by(state.broken_invariants.saturating_sub(known));
        self.in_use.set(state.in_flight.into());
        self.queued.set(state.queued.into());
        for (number, upstream) in state.upstreams.iter().enumerate() {
            let loads = [upstream.in_flight, upstream.pending, upstream.retries];
            for (gauge, load) in self.upstreams.get(number).into_iter().flatten().zip(loads) {
                gauge.set(load.into());
            }
            if let (Some(Some(gauges)), Some(now)) = (self.breakers.get(number), upstream.breaker) {
                for (gauge, condition) in gauges.iter().zip(CONDITIONS) {
                    gauge.set(f64::from(u8::from(condition == now)));
                }
            }
        }
        for (limit, _, buckets) in &self.limits {
            if let Some((_, held)) = state.buckets.iter().find(|(known, _)| known == limit) {
                buckets.set(*held as f64);
            }
        }
    }
}

/// What is set and not measured. What is unbounded has no series, for no number says so.
struct Bounds {
    workers: GaugeVec,
    queue: GaugeVec,
    in_flight: GaugeVec,
}

impl Bounds {
    fn new(make: &Maker<'_>) -> Self {
        Self {
            workers: make.gauges("gateway_pool_workers_limit", "Workers of the pool.", &[]),
            queue: make.gauges("gateway_pool_queue_limit", "Places in the queue for a worker.", &[]),
            in_flight: make.gauges(
                "gateway_upstream_in_flight_limit",
                "Most requests for an upstream that may hold or wait for a worker.",
                &["upstream"],
            ),
        }
    }

    fn set(&self, config: &GatewayConfig, names: &Names) {
        let Self { workers, queue, in_flight } = self;
        [workers, queue, in_flight].into_iter().for_each(GaugeVec::reset);
        let set =
            |bound: &GaugeVec, labels: &[&str], most: u32| bound.with_label_values(labels).set(most.into());
        if let Some(most) = config.pool.workers {
            set(workers, &[], most.get());
        }
        if let Some(most) = config.pool.queue {
            set(queue, &[], most);
        }
        for (number, name) in names.upstreams.iter().enumerate() {
            if let Some(most) = config.policy(number).concurrency.max_in_flight {
                set(in_flight, &[name], most.get());
            }
        }
    }
}
