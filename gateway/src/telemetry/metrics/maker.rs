//! The making and registration of metrics.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    Result,
};

/// Upper bounds of the latency histograms, in seconds.
const LATENCIES: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Makes metrics and makes them known. Names and labels are ours: one that is wrong, or there twice, is found by every test.
pub(super) struct Maker<'r>(pub(super) &'r Registry);

impl Maker<'_> {
    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn latency(&self, name: &str, help: &str) -> Histogram {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCIES.to_vec())))
    }

    pub(super) fn latencies(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(LATENCIES.to_vec());
        self.register(HistogramVec::new(options, labels))
    }

    fn register<C: Collector + Clone + 'static>(&self, made: Result<C>) -> C {
        let made = made.expect("a metric of ours is well-formed");
        self.0.register(Box::new(made.clone())).expect("each is there once");
        made
    }
}
