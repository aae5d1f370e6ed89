//! How long a host has taken of late.

use crate::timestamp::Timestamp;

/// A mean of latencies that follows a longer one at once and forgets it over time: Finagle's `PeakEwma`, as in tower
/// (`tower/src/load/peak_ewma.rs`).
#[derive(Clone, Copy, Debug)]
pub(super) struct PeakEwma {
    nanos: f64,
    at: Timestamp,
}

/// Linkerd's time constant: after 10 s without an observation, a latency counts for a share of 1/e.
const DECAY_NANOS: f64 = 10e9;

/// What Linkerd takes for the latency of a host that has answered nothing yet.
const UNKNOWN_NANOS: f64 = 30e6;

impl PeakEwma {
    pub(super) const fn new() -> Self {
        Self { nanos: UNKNOWN_NANOS, at: Timestamp::EPOCH }
    }

    /// An attempt took so long.
    pub(super) fn observe(&mut self, now: Timestamp, took_nanos: u64) {
        let took = took_nanos as f64;
        if self.nanos < took {
            self.nanos = took;
        } else if self.at != Timestamp::EPOCH {
            let kept = self.kept(now);
            self.nanos = self.nanos * kept + took * (1.0 - kept);
        } else {
            // The first observation says more than no knowledge.
            self.nanos = took;
        }
        self.at = now;
    }

    /// What it comes to now, in nanoseconds: it falls towards zero, so that a host that was slow is tried again.
    pub(super) fn nanos(&self, now: Timestamp) -> f64 {
        if self.at == Timestamp::EPOCH { self.nanos } else { self.nanos * self.kept(now) }
    }

    fn kept(&self, now: Timestamp) -> f64 {
        libm::exp(-(now.nanos_since(self.at) as f64) / DECAY_NANOS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    /// By hand: 80 ms are taken over whole; ten seconds later a latency of 20 ms counts for 1 - 1/e, so that
    /// 20 + 60/e = 42.07 ms are left; another ten seconds later that falls to 42.07/e = 15.48 ms.
    #[test]
    fn a_peak_is_followed_at_once_and_forgotten_over_time() {
        let mut latency = PeakEwma::new();
        assert!((latency.nanos(NOW) - 30e6).abs() < 1.0);
        latency.observe(NOW, 10_000_000);
        latency.observe(NOW, 80_000_000);
        assert!((latency.nanos(NOW) - 80e6).abs() < 1.0);
        let later = NOW + Duration::from_secs(10);
        latency.observe(later, 20_000_000);
        assert!((latency.nanos(later) - 42.072_766e6).abs() < 10.0, "{}", latency.nanos(later));
        let after = later + Duration::from_secs(10);
        assert!((latency.nanos(after) - 15.477_706e6).abs() < 10.0, "{}", latency.nanos(after));
    }
}
