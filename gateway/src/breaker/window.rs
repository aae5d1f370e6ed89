use std::collections::VecDeque;
use std::time::Duration;

use crate::Timestamp;

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
    settled: u64,
    failures: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u64,
    settled: u32,
    failures: u32,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered, timed out, or whose connection failed.
    pub settled: u64,
    /// Those of them that failed.
    pub failures: u64,
}

impl OutcomeWindow {
    pub(super) fn new(window: Duration) -> Self {
        const LONGEST_SLOT: u64 = 100_000_000;
        const SLOTS: u64 = 1_000;
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let slot_nanos = (window_nanos / SLOTS).clamp(1, LONGEST_SLOT);
        let slots_in_window = (window_nanos / slot_nanos).max(1);
        Self { slot_nanos, slots_in_window, slots: VecDeque::new(), settled: 0, failures: 0 }
    }

    pub(super) fn record(&mut self, now: Timestamp, failed: bool) {
        // A clock that went back counts into the latest slot.
        let latest = self.slots.back().map_or(0, |slot| slot.number);
        let number = (now.as_nanos() / self.slot_nanos).max(latest);
        self.forget(number);
        self.settled += 1;
        self.failures += u64::from(failed);
        match self.slots.back_mut() {
            Some(slot) if slot.number == number => {
                slot.settled += 1;
                slot.failures += u32::from(failed);
            }
            _ => self.slots.push_back(Slot { number, settled: 1, failures: u32::from(failed) }),
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        Counts { settled: self.settled, failures: self.failures }
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        (self.settled, self.failures) = (0, 0);
    }

    fn forget(&mut self, number: u64) {
        while let Some(slot) = self.slots.front().filter(|slot| slot.number + self.slots_in_window <= number)
        {
            self.settled -= u64::from(slot.settled);
            self.failures -= u64::from(slot.failures);
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside the obvious model: all that ever settled, of which the window's counts.
        #[test]
        fn agrees_with_counting_all(steps in prop::collection::vec((0u64..800, any::<bool>()), 1..200)) {
            let window = Duration::from_secs(1);
            let mut counted = OutcomeWindow::new(window);
            let (mut now, mut all) = (1_780_390_800_000, Vec::new());
            for (gap, failed) in steps {
                now += gap;
                all.push((now, failed));
                counted.record(Timestamp::from_nanos(now * 1_000_000), failed);
                // Slots of a millisecond: whole milliseconds are counted exactly.
                let recent: Vec<_> = all.iter().filter(|(at, _)| at + 1_000 > now).collect();
                let failures = recent.iter().filter(|(_, failed)| *failed).count() as u64;
                prop_assert_eq!(counted.counts(), Counts { settled: recent.len() as u64, failures });
                prop_assert!(counted.slots.len() <= 1_000);
            }
        }
    }
}
