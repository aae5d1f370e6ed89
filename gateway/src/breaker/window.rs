//! The sliding window of outcomes that a closed breaker decides by.

use std::collections::VecDeque;
use std::time::Duration;

use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// Settled requests and failures among them over the last `window`, in slots of time.
///
/// A slot is a thousandth of the window and at most 100 ms, and falls out whole: what is counted reaches back for the
/// window less at most a slot. Memory is bounded by the number of slots, whatever the rate. Kept by count of requests
/// instead, the window would shrink to moments under load and stretch over an hour at night, when three failures since
/// midnight open the circuit.
#[derive(Debug)]
pub(super) struct OutcomeWindow {
    slot_nanos: u64,
    slots_in_window: u64,
    /// Slots in which something settled, oldest first.
    slots: VecDeque<Slot>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    counts: Counts,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered, timed out, or whose connection failed.
    pub settled: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// How those failed.
    pub kinds: FailureKinds,
}

/// Failures by what made them one; their sum is [`Counts::failures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureKinds {
    /// The timeout ran out.
    pub timed_out: u64,
    /// Answered with a status of 500 or more.
    pub server_errors: u64,
    /// Answered well but after the time from which an answer counts as a failure.
    pub slow: u64,
    /// The connection was refused or broke.
    pub connection_failed: u64,
}

/// What makes a failure one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    TimedOut,
    ServerError,
    Slow,
    ConnectionFailed,
}

impl Counts {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        settled: 0,
        failures: 0,
        kinds: FailureKinds { timed_out: 0, server_errors: 0, slow: 0, connection_failed: 0 },
    };

    /// One more settled.
    pub(super) const fn add(&mut self, failure: Option<Failure>) {
        self.settled += 1;
        let Some(failure) = failure else { return };
        self.failures += 1;
        let kind = match failure {
            Failure::TimedOut => &mut self.kinds.timed_out,
            Failure::ServerError => &mut self.kinds.server_errors,
            Failure::Slow => &mut self.kinds.slow,
            Failure::ConnectionFailed => &mut self.kinds.connection_failed,
        };
        *kind += 1;
    }

    /// Without what was counted in a part of it.
    fn take(&mut self, part: &Self, invariants: &Invariants) {
        let (kinds, of) = (&mut self.kinds, &part.kinds);
        for (sum, part) in [
            (&mut self.settled, part.settled),
            (&mut self.failures, part.failures),
            (&mut kinds.timed_out, of.timed_out),
            (&mut kinds.server_errors, of.server_errors),
            (&mut kinds.slow, of.slow),
            (&mut kinds.connection_failed, of.connection_failed),
        ] {
            invariants.subtract(sum, part, "a slot of a breaker's window has more than the window");
        }
    }
}

impl OutcomeWindow {
    pub(super) fn new(window: Duration) -> Self {
        const LONGEST_SLOT: u64 = 100_000_000;
        const SLOTS: u64 = 1_000;
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let slot_nanos = (window_nanos / SLOTS).clamp(1, LONGEST_SLOT);
        let slots_in_window = (window_nanos / slot_nanos).max(1);
        Self { slot_nanos, slots_in_window, slots: VecDeque::new(), counts: Counts::NONE }
    }

    pub(super) fn record(&mut self, now: Timestamp, failure: Option<Failure>, invariants: &Invariants) {
        // A clock that went back counts into the latest slot.
        let latest = self.slots.back().map_or(0, |slot| slot.number);
        let number = (now.as_nanos() / self.slot_nanos).max(latest);
        self.forget(number, invariants);
        self.counts.add(failure);
        match self.slots.back_mut() {
            Some(slot) if slot.number == number => slot.counts.add(failure),
            _ => {
                let mut counts = Counts::NONE;
                counts.add(failure);
                self.slots.push_back(Slot { number, counts });
            }
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.counts = Counts::NONE;
    }

    fn forget(&mut self, number: u64, invariants: &Invariants) {
        while let Some(slot) = self.slots.front().filter(|slot| slot.number + self.slots_in_window <= number)
        {
            self.counts.take(&slot.counts, invariants);
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure() -> impl Strategy<Value = Failure> {
        prop_oneof![
            Just(Failure::TimedOut),
            Just(Failure::ServerError),
            Just(Failure::Slow),
            Just(Failure::ConnectionFailed)
        ]
    }

    proptest! {
        /// Beside the obvious model: all that ever settled, of which the window's counts.
        #[test]
        fn agrees_with_counting_all(steps in prop::collection::vec((0u64..800, prop::option::of(failure())), 1..200)) {
            let window = Duration::from_secs(1);
            let mut counted = OutcomeWindow::new(window);
            let (mut now, mut all) = (1_780_390_800_000, Vec::new());
            for (gap, failure) in steps {
                now += gap;
                all.push((now, failure));
                counted.record(Timestamp::from_nanos(now * 1_000_000), failure, &Invariants::Panic);
                // Slots of a millisecond: whole milliseconds are counted exactly.
                let recent: Vec<_> = all.iter().filter(|(at, _)| at + 1_000 > now).collect();
                let of = |kind| recent.iter().filter(|(_, failure)| *failure == Some(kind)).count() as u64;
                let kinds = FailureKinds {
                    timed_out: of(Failure::TimedOut),
                    server_errors: of(Failure::ServerError),
                    slow: of(Failure::Slow),
                    connection_failed: of(Failure::ConnectionFailed),
                };
                let failures = recent.iter().filter(|(_, failure)| failure.is_some()).count() as u64;
                prop_assert_eq!(counted.counts(), Counts { settled: recent.len() as u64, failures, kinds });
                prop_assert!(counted.slots.len() <= 1_000);
            }
        }
    }
}
