//! The order in which events of a run in virtual time happen.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use gateway::Timestamp;

/// What is to happen, in order of time. At the same time timeouts come after everything else, so that what happens exactly at
/// a timeout happens in time; beyond that, what was scheduled first comes first.
///
/// Most events of a run are timeouts that never come to pass: one or more for each request, each a fixed delay
/// ahead. Those wait in lanes, first in first out, of which only the head stands in the heap; by the time a head
/// is due, the many behind it that are settled are dropped without ever having been sorted.
#[derive(Debug)]
pub(super) struct EventQueue<E> {
    heap: BinaryHeap<Entry<E>>,
    lanes: Vec<VecDeque<(Key, E)>>,
    scheduled: u64,
}

/// A lane of an [`EventQueue`].
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneId(u32);

/// From the highest bit on: the time, whether it is a timeout, and the number of scheduling. No two are equal, and one
/// comparison tells which is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u128);

/// Above any number of scheduling.
const TIMEOUT: u64 = 1 << 63;

impl Key {
    fn new(at: Timestamp, number: u64) -> Self {
        Self(u128::from(at.as_nanos()) << u64::BITS | u128::from(number))
    }

    fn at(self) -> Timestamp {
        Timestamp::from_nanos((self.0 >> u64::BITS) as u64)
    }
}

#[derive(Debug)]
struct Entry<E> {
    key: Key,
    what: What<E>,
}

#[derive(Debug)]
enum What<E> {
    Event(E),
    HeadOf(LaneId),
}

impl<E> EventQueue<E> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), lanes: Vec::new(), scheduled: 0 }
    }

    /// Opens a lane.
    pub(super) fn lane(&mut self) -> LaneId {
        self.lanes.push(VecDeque::new());
        LaneId(self.lanes.len() as u32 - 1)
    }

    /// Schedules an event.
    pub(super) fn schedule(&mut self, at: Timestamp, event: E) {
        let key = Key::new(at, self.number());
        self.heap.push(Entry { key, what: What::Event(event) });
    }

    /// Schedules a timeout.
    pub(super) fn schedule_timeout(&mut self, at: Timestamp, event: E) {
        let key = Key::new(at, TIMEOUT | self.number());
        self.heap.push(Entry { key, what: What::Event(event) });
    }

    /// Schedules a timeout that may be settled before it is due. Within a lane, times do not decrease.
    pub(super) fn schedule_in(&mut self, lane: LaneId, at: Timestamp, event: E) {
        let key = Key::new(at, TIMEOUT | self.number());
        let waiting = &mut self.lanes[lane.0 as usize];
        debug_assert!(waiting.back().is_none_or(|(last, _)| *last <= key), "a lane goes back in time");
        if waiting.is_empty() {
            self.heap.push(Entry { key, what: What::HeadOf(lane) });
        }
        waiting.push_back((key, event));
    }

    /// The next event, with its time. Timeouts in lanes that are not `open` any more are dropped.
    pub(super) fn pop(&mut self, mut open: impl FnMut(&E) -> bool) -> Option<(Timestamp, E)> {
        loop {
            let Entry { key, what } = self.heap.pop()?;
            let at = key.at();
            let lane = match what {
                What::Event(event) => return Some((at, event)),
                What::HeadOf(lane) => lane,
            };
            let waiting = &mut self.lanes[lane.0 as usize];
            let due = waiting.pop_front().map(|(_, event)| event);
            while waiting.front().is_some_and(|(_, event)| !open(event)) {
                waiting.pop_front();
            }
            if let Some((key, _)) = waiting.front() {
                self.heap.push(Entry { key: *key, what: What::HeadOf(lane) });
            }
            if let Some(event) = due.filter(&mut open) {
                return Some((at, event));
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.scheduled += 1;
        self.scheduled
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Earliest is greatest: the heap gives its greatest first.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const DELAYS: [u64; 3] = [5, 5, 40];

    proptest! {
        /// Beside the obvious model: a sorted list, from which settled events are struck.
        #[test]
        fn agrees_with_a_sorted_list(
            steps in prop::collection::vec((0u8..7, 0u64..30), 1..200),
        ) {
            let mut queue = EventQueue::new();
            let lanes = DELAYS.map(|_| queue.lane());
            // Time, whether it is a timeout, number.
            let mut list: Vec<(u64, bool, usize)> = Vec::new();
            let mut settled = BTreeSet::new();
            let mut now = 0;
            for (number, (step, delay)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        queue.schedule(Timestamp::from_nanos(now + delay), number);
                        list.push((now + delay, false, number));
                    }
                    5 => {
                        queue.schedule_timeout(Timestamp::from_nanos(now + delay), number);
                        list.push((now + delay, true, number));
                    }
                    1..=3 => {
                        let lane = usize::from(step) - 1;
                        queue.schedule_in(lanes[lane], Timestamp::from_nanos(now + DELAYS[lane]), number);
                        // Only events in lanes can be settled.
                        list.push((now + DELAYS[lane], true, number));
                        if delay % 3 == 0 {
                            settled.insert(number);
                            list.pop();
                        }
                    }
                    4 if !list.is_empty() => {
                        list.sort_unstable();
                        let (at, _, number) = list.remove(0);
                        let popped = queue.pop(|event| !settled.contains(event));
                        prop_assert_eq!(popped, Some((Timestamp::from_nanos(at), number)));
                        now = at;
                    }
                    _ => {}
                }
            }
            list.sort_unstable();
            for (at, _, number) in list {
                let popped = queue.pop(|event| !settled.contains(event));
                prop_assert_eq!(popped, Some((Timestamp::from_nanos(at), number)));
            }
            prop_assert_eq!(queue.pop(|event| !settled.contains(event)), None);
        }
    }
}
