//! What consecutive failures do to one host.

use std::time::Duration;

use super::config::Ejection;
use crate::timestamp::Timestamp;

/// The failures and ejections of one host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outlier {
    /// Failures in a row.
    failures: u32,
    /// By how many times the next ejection is longer than the first, so to speak: raised by each ejection, lowered by each sweep that
    /// finds the host in its place.
    times: u32,
    /// Since when it is ejected.
    ejected: Option<Timestamp>,
}

impl Outlier {
    pub(super) const fn is_ejected(&self) -> bool {
        self.ejected.is_some()
    }

    /// An attempt ended. Whether the host is to be ejected; the count starts again then, whatever comes of it.
    pub(super) fn on_ended(&mut self, config: &Ejection, failed: bool) -> bool {
        // What was on its way when the host was ejected says nothing new.
        if self.is_ejected() {
            return false;
        }
        if !failed {
            self.failures = 0;
            return false;
        }
        self.failures += 1;
        let is_enough = self.failures >= config.consecutive.get();
        if is_enough {
            self.failures = 0;
        }
        is_enough
    }

    pub(super) fn eject(&mut self, now: Timestamp) {
        self.ejected = Some(now);
        self.times = self.times.saturating_add(1);
    }

    /// Makes up for the sweeps after number `from` up to number `to`. The number of the sweep that brought the host back, if one did.
    pub(super) fn on_sweeps(&mut self, config: &Ejection, from: u64, to: u64) -> Option<u64> {
        let Some(at) = self.ejected else {
            self.rest(to - from);
            return None;
        };
        let due = (at + self.time(config)).as_nanos().div_ceil(nanos(config.sweep));
        let back = due.max(from + 1);
        if back > to {
            return None;
        }
        self.ejected = None;
        self.rest(to - back);
        Some(back)
    }

    /// So many sweeps found the host in its place.
    fn rest(&mut self, sweeps: u64) {
        self.times = u32::try_from(u64::from(self.times).saturating_sub(sweeps)).unwrap_or(self.times);
    }

    /// How long the present ejection lasts.
    fn time(&self, config: &Ejection) -> Duration {
        let factor = config.growth.map_or(1, |growth| growth.factor(self.times.saturating_sub(1)));
        config.time.checked_mul(factor).map_or(config.max_time, |time| time.min(config.max_time))
    }
}

/// The number of the last sweep until `now`.
pub(super) fn sweeps_until(config: &Ejection, now: Timestamp) -> u64 {
    now.as_nanos() / nanos(config.sweep)
}

/// When a sweep was.
pub(super) fn sweep_at(config: &Ejection, number: u64) -> Timestamp {
    Timestamp::from_nanos(number.saturating_mul(nanos(config.sweep)))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}
