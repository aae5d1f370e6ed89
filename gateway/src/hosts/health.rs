//! What active checks say of one host.

use super::config::HealthCheck;
use crate::timestamp::Timestamp;

/// The checks of one host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    is_failing: bool,
    /// Whether requests took the host out, and not checks.
    is_marked: bool,
    /// Checks in a row that say otherwise.
    streak: u32,
    /// When the next one is due.
    due: Timestamp,
    /// The number of the one under way.
    under_way: Option<u64>,
}

impl Health {
    /// The first check is to begin then. A host that requests took out before stays out.
    pub(super) const fn first_due(&mut self, due: Timestamp) {
        self.due = due;
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Whether the host is out because requests failed there.
    pub(super) const fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Requests failed: the host is out until as many checks in a row are answered well as after checks that failed. Whether the host
    /// was in before.
    pub(super) fn mark_down(&mut self) -> bool {
        self.streak = 0;
        if self.is_failing {
            return false;
        }
        (self.is_failing, self.is_marked) = (true, true);
        true
    }

    /// The host is in again, if requests took it out. Whether they did.
    pub(super) fn unmark(&mut self) -> bool {
        let was_marked = std::mem::take(&mut self.is_marked);
        if was_marked {
            (self.is_failing, self.streak) = (false, 0);
        }
        was_marked
    }

    /// When the next check is to begin; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.under_way.is_none().then_some(self.due)
    }

    /// A check begins. The next is due an interval after this one was.
    pub(super) fn begin(&mut self, config: &HealthCheck, now: Timestamp, number: u64) {
        self.under_way = Some(number);
        self.due += config.interval();
        if self.due <= now {
            self.due = now + config.interval();
        }
    }

    /// A check ended. Whether the host is no longer what it was.
    pub(super) fn on_checked(&mut self, config: &HealthCheck, number: u64, well: bool) -> bool {
        if self.under_way != Some(number) {
            return false;
        }
        self.under_way = None;
        if well != self.is_failing {
            self.streak = 0;
            return false;
        }
        self.streak += 1;
        let enough = if self.is_failing { config.healthy() } else { config.unhealthy() };
        if self.streak < enough.get() {
            return false;
        }
        self.streak = 0;
        self.is_failing = !self.is_failing;
        true
    }
}
