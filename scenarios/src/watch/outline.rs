//! What a run is held against while somebody watches it: the SLO, the faults, and its requests as their clients see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway::Timestamp;
use serde_json::{Value as Json, json};

/// What is known of a run before it begins, and what is counted while it goes on.
#[derive(Clone, Debug)]
pub struct RunOutline {
    /// The start of scenario time.
    pub starts: Timestamp,
    /// For how long requests arrive.
    pub duration: Duration,
    /// Served within this is good.
    pub slo_latency: Duration,
    /// When something fails, from the start.
    pub faults: Vec<[Duration; 2]>,
    /// The requests of all populations but hostile ones.
    pub counts: Arc<RequestCounts>,
}

/// Requests of a run that is under way.
#[derive(Debug, Default)]
pub struct RequestCounts {
    offered: AtomicU64,
    good: AtomicU64,
}

impl RequestCounts {
    /// A request is meant to be sent.
    pub fn on_offered(&self) {
        self.offered.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was served within the SLO latency.
    pub fn on_good(&self) {
        self.good.fetch_add(1, Ordering::Relaxed);
    }

    /// The offered and the good ones so far.
    pub(super) fn so_far(&self) -> [u64; 2] {
        [&self.offered, &self.good].map(|count| count.load(Ordering::Relaxed))
    }
}

impl RunOutline {
    /// As the page reads it: times in milliseconds, those of faults on the scenario's clock.
    pub(super) fn told(&self) -> Json {
        let starts = millis(self.starts);
        let at = |since: Duration| starts + since.as_millis() as u64;
        let faults: Vec<[u64; 2]> = self.faults.iter().map(|fault| fault.map(at)).collect();
        json!({
            "from": starts,
            "to": at(self.duration),
            "slo_ms": self.slo_latency.as_secs_f64() * 1e3,
            "faults": faults,
        })
    }

    /// The goodput of the whole run, per second.
    pub(super) fn goodput(&self) -> f64 {
        let [_, good] = self.counts.so_far();
        if self.duration.is_zero() { 0.0 } else { good as f64 / self.duration.as_secs_f64() }
    }
}

/// An instant on the scenario's clock as the page has it.
pub(super) fn millis(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000_000
}
