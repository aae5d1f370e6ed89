//! The window of outcomes that a closed breaker decides by.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::config::BreakerWindow;
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// What a closed breaker remembers of what settled.
#[derive(Debug)]
pub(super) enum OutcomeWindow {
    /// For [`BreakerWindow::Time`] and [`BreakerWindow::Failures`].
    Time(TimeWindow),
    /// For [`BreakerWindow::Calls`].
    Calls(CallRing),
    /// For [`BreakerWindow::Consecutive`]: the failures since the last success.
    Run(Counts),
}

/// The last so many that settled.
#[derive(Debug)]
pub(super) struct CallRing {
    size: usize,
    /// Oldest first.
    last: VecDeque<Judged>,
    counts: Counts,
}

/// How a breaker takes what settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) failure: Option<Failure>,
    /// Whether it counts towards the share of slow answers. Not where a slow answer is a failure.
    pub(super) is_slow: bool,
}

/// Settled requests and failures among them over the last `window`, in slots of time.
///
/// A slot is a thousandth of the window and at most 100 ms, and falls out whole: what is counted reaches back for the
/// window less at most a slot. Memory is bounded by the number of slots, whatever the rate. A [`CallRing`] instead shrinks to moments
/// under load and stretches over an hour at night, when three failures since midnight open the circuit.
#[derive(Debug)]
pub(super) struct TimeWindow {
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

/// Failures by what made them one; their sum is [`Counts::failures`]. Where slow answers have a share of their own, they are no
/// failures, and `slow` stands beside the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureKinds {
    /// The timeout ran out.
    pub timed_out: u64,
    /// Answered with a status that counts as a failure: 500 or more, unless the breaker is told otherwise.
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
    pub(super) const fn add(&mut self, judged: Judged) {
        self.settled += 1;
        if judged.is_slow {
            self.kinds.slow += 1;
        }
        let Some(failure) = judged.failure else { return };
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
    pub(super) fn new(window: BreakerWindow) -> Self {
        match window {
            BreakerWindow::Time(time) | BreakerWindow::Failures { within: time, .. } => {
                Self::Time(TimeWindow::new(time))
            }
            BreakerWindow::Calls(calls) => Self::Calls(CallRing::new(calls)),
            BreakerWindow::Consecutive(_) => Self::Run(Counts::NONE),
        }
    }

    pub(super) fn record(&mut self, now: Timestamp, judged: Judged, invariants: &Invariants) {
        match self {
            Self::Time(window) => window.record(now, judged, invariants),
            Self::Calls(ring) => ring.record(judged, invariants),
            Self::Run(counts) if judged.failure.is_some() => counts.add(judged),
            Self::Run(counts) => *counts = Counts::NONE,
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        match self {
            Self::Time(window) => window.counts,
            Self::Calls(ring) => ring.counts,
            Self::Run(counts) => *counts,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Time(window) => window.clear(),
            Self::Calls(ring) => ring.clear(),
            Self::Run(counts) => *counts = Counts::NONE,
        }
    }
}

impl CallRing {
    const fn new(calls: NonZeroU32) -> Self {
        Self { size: calls.get() as usize, last: VecDeque::new(), counts: Counts::NONE }
    }

    fn record(&mut self, judged: Judged, invariants: &Invariants) {
        if self.last.len() == self.size
            && let Some(oldest) = self.last.pop_front()
        {
            let mut gone = Counts::NONE;
            gone.add(oldest);
            self.counts.take(&gone, invariants);
        }
        self.last.push_back(judged);
        self.counts.add(judged);
    }

    fn clear(&mut self) {
        self.last.clear();
        self.counts = Counts::NONE;
    }
}

impl TimeWindow {
    fn new(window: Duration) -> Self {
        const LONGEST_SLOT: u64 = 100_000_000;
        const SLOTS: u64 = 1_000;
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let slot_nanos = (window_nanos / SLOTS).clamp(1, LONGEST_SLOT);
        let slots_in_window = (window_nanos / slot_nanos).max(1);
        Self { slot_nanos, slots_in_window, slots: VecDeque::new(), counts: Counts::NONE }
    }

    fn record(&mut self, now: Timestamp, judged: Judged, invariants: &Invariants) {
        // A clock that went back counts into the latest slot.
        let latest = self.slots.back().map_or(0, |slot| slot.number);
        let number = (now.as_nanos() / self.slot_nanos).max(latest);
        self.forget(number, invariants);
        self.counts.add(judged);
        match self.slots.back_mut() {
            Some(slot) if slot.number == number => slot.counts.add(judged),
            _ => {
                let mut counts = Counts::NONE;
                counts.add(judged);
                self.slots.push_back(Slot { number, counts });
            }
        }
    }

    fn clear(&mut self) {
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

    fn judged() -> impl Strategy<Value = Judged> {
        (prop::option::of(failure()), any::<bool>())
            .prop_map(|(failure, is_slow)| Judged { failure, is_slow })
    }

    /// Counted one by one.
    fn counted<'j>(all: impl IntoIterator<Item = &'j Judged>) -> Counts {
        let all: Vec<_> = all.into_iter().collect();
        let of = |kind| all.iter().filter(|judged| judged.failure == Some(kind)).count() as u64;
        let kinds = FailureKinds {
            timed_out: of(Failure::TimedOut),
            server_errors: of(Failure::ServerError),
            slow: of(Failure::Slow) + all.iter().filter(|judged| judged.is_slow).count() as u64,
            connection_failed: of(Failure::ConnectionFailed),
        };
        let failures = all.iter().filter(|judged| judged.failure.is_some()).count() as u64;
        Counts { settled: all.len() as u64, failures, kinds }
    }

    proptest! {
        /// Beside the obvious model: all that ever settled, of which the window's counts.
        #[test]
        fn agrees_with_counting_all(steps in prop::collection::vec((0u64..800, judged()), 1..200)) {
            let window = Duration::from_secs(1);
            let mut window = TimeWindow::new(window);
            let (mut now, mut all) = (1_780_390_800_000, Vec::new());
            for (gap, judged) in steps {
                now += gap;
                all.push((now, judged));
                window.record(Timestamp::from_nanos(now * 1_000_000), judged, &Invariants::Panic);
                // Slots of a millisecond: whole milliseconds are counted exactly.
                let recent = all.iter().filter(|(at, _)| at + 1_000 > now);
                prop_assert_eq!(window.counts, counted(recent.map(|(_, judged)| judged)));
                prop_assert!(window.slots.len() <= 1_000);
            }
        }

        /// The ring beside the end of a list, and the run beside the failures at the end of that.
        #[test]
        fn a_ring_and_a_run_agree_with_the_end_of_a_list(
            calls in 1u32..20,
            settled in prop::collection::vec(judged(), 1..200),
        ) {
            let calls = NonZeroU32::new(calls).unwrap();
            let mut ring = OutcomeWindow::new(BreakerWindow::Calls(calls));
            let mut run = OutcomeWindow::new(BreakerWindow::Consecutive(calls));
            let now = Timestamp::from_nanos(1_780_390_800_000_000_000);
            for (place, judged) in settled.iter().enumerate() {
                ring.record(now, *judged, &Invariants::Panic);
                run.record(now, *judged, &Invariants::Panic);
                let before = &settled[..=place];
                let last = &before[before.len().saturating_sub(calls.get() as usize)..];
                prop_assert_eq!(ring.counts(), counted(last));
                let in_a_row = before.iter().rev().take_while(|judged| judged.failure.is_some());
                prop_assert_eq!(run.counts(), counted(in_a_row));
            }
            for window in [&mut ring, &mut run] {
                window.clear();
                prop_assert_eq!(window.counts(), Counts::NONE);
            }
        }
    }
}
