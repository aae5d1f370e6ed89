//! How full the fullest bucket of each rate limit was over the last seconds.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::rate_limit::Verdict;
use crate::timestamp::Timestamp;

/// How full the fullest bucket of a rate limit was lately.
///
/// Which bucket that was is not kept: a series for each client would be as many series as clients, and the first botnet
/// would take the metrics down with the gateway. Who it was stands in the log.
///
/// A slot for each of the last seconds holds the highest share seen in it; most requests find a higher one there and write
/// nothing.
#[derive(Debug)]
pub(super) struct Saturation {
    allowance: AtomicU32,
    /// The second in the upper half, the share in millionths in the lower.
    slots: [AtomicU64; Self::SECONDS as usize],
}

impl Saturation {
    /// As long as Prometheus usually takes between two looks.
    pub(super) const SECONDS: u64 = 16;

    pub(super) const fn new(allowance: u32) -> Self {
        Self {
            allowance: AtomicU32::new(allowance),
            slots: [const { AtomicU64::new(0) }; Self::SECONDS as usize],
        }
    }

    /// Buckets are of this size from now on.
    pub(super) fn reconfigure(&self, allowance: u32) {
        self.allowance.store(allowance, Relaxed);
    }

    /// A bucket gave its verdict.
    pub(super) fn note(&self, at: Timestamp, verdict: Verdict) {
        self.note_of(at, verdict, self.allowance.load(Relaxed));
    }

    /// The same of a bucket of another size.
    pub(super) fn note_of(&self, at: Timestamp, verdict: Verdict, allowance: u32) {
        let remaining = verdict.remaining().min(allowance);
        let millionths = u64::from(allowance - remaining) * 1_000_000 / u64::from(allowance.max(1));
        let second = second(at);
        let seen = second << 32 | millionths;
        let slot = &self.slots[(second % Self::SECONDS) as usize];
        // A later second is higher than any share of an earlier one, so the highest is what is wanted. What comes more
        // than a round late counts for nothing.
        if slot.load(Relaxed) < seen {
            slot.fetch_max(seen, Relaxed);
        }
    }

    /// The highest share in use of any bucket that was asked in the last so many seconds, [`Self::SECONDS`] at most.
    pub(super) fn highest(&self, now: Timestamp, seconds: u64) -> f64 {
        let now = second(now);
        let recent = self.slots.iter().map(|slot| slot.load(Relaxed)).filter(|slot| {
            let then = slot >> 32;
            then <= now && now - then < seconds
        });
        recent.map(|slot| slot & u64::from(u32::MAX)).max().unwrap_or(0) as f64 / 1e6
    }
}

/// Seconds of the epoch; they fit into 32 bits until 2106, and start anew then.
const fn second(at: Timestamp) -> u64 {
    (at.as_nanos() / 1_000_000_000) & u32::MAX as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_fullest_bucket_of_the_last_seconds_counts() {
        let saturation = Saturation::new(8);
        let at = |seconds| Timestamp::from_nanos(1_780_390_800_000_000_000) + Duration::from_secs(seconds);
        let admitted = |remaining| Verdict::Admitted { remaining };
        let highest = |now, seconds| saturation.highest(at(now), seconds);
        assert!(highest(0, 16).abs() < 1e-9, "nobody was asked");
        saturation.note(at(0), admitted(6));
        saturation.note(at(0), admitted(2));
        saturation.note(at(0), admitted(7));
        saturation.note(at(1), admitted(4));
        assert!((highest(1, 16) - 0.75).abs() < 1e-9);
        assert!((highest(1, 1) - 0.5).abs() < 1e-9, "only the last second");
        assert!((highest(15, 16) - 0.75).abs() < 1e-9);
        assert!((highest(16, 16) - 0.5).abs() < 1e-9, "what is older is forgotten");
        assert!(highest(17, 16).abs() < 1e-9);
        saturation.note(at(16), Verdict::Rejected { retry_after: Duration::from_secs(1) });
        saturation.note(at(0), admitted(0));
        assert!((highest(16, 1) - 1.0).abs() < 1e-9, "a late one does not take its slot");
    }
}
