//! Bursts: so many requests between two instants.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;
use std::time::Duration;

use super::LoadError;
use super::progression::Progression;

/// `count` requests, spread evenly over the time from `from` until before `to`: request k at
/// `from + k · (to − from) / count`, rounded down to the nanosecond.
///
/// With `from` = `to` all are sent at one instant; a `count` of zero is no burst at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Time of the first request, since the scenario's start.
    pub from: Duration,
    /// Time at which the next one would be sent if there were one.
    pub to: Duration,
    /// How many requests.
    pub count: u64,
}

/// Bursts in order of their beginning, none of them empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bursts(Arc<[Span]>);

/// A burst in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    from: u64,
    length: u64,
    count: u64,
}

impl Bursts {
    pub(super) fn new(bursts: &[Burst]) -> Result<Self, LoadError> {
        if let Some(burst) = bursts.iter().position(|burst| burst.to < burst.from) {
            return Err(LoadError::BurstEndsBeforeItBegins { burst });
        }
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut spans: Vec<Span> = bursts
            .iter()
            .filter(|burst| burst.count > 0)
            .map(|&Burst { from, to, count }| Span {
                from: nanos(from),
                length: nanos(to) - nanos(from),
                count,
            })
            .collect();
        spans.sort_by_key(|span| span.from);
        Ok(Self(spans.into()))
    }

    /// The times of all their requests, in order.
    pub(super) fn times(&self) -> BurstTimes {
        BurstTimes { bursts: Arc::clone(&self.0), begun: 0, running: BinaryHeap::new() }
    }
}

/// Merges bursts that overlap. Only those that have begun and not ended are in the heap, so that thousands of
/// bursts cost what one does while they do not overlap.
#[derive(Clone, Debug)]
pub(super) struct BurstTimes {
    bursts: Arc<[Span]>,
    /// How many of the bursts have been put in the heap.
    begun: usize,
    running: BinaryHeap<Running>,
}

impl BurstTimes {
    /// The next time, in nanoseconds since the scenario's start.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u64> {
        while let Some(&Span { from, length, count }) = self.bursts.get(self.begun)
            && self.running.peek().is_none_or(|running| from <= running.times.at())
        {
            self.running.push(Running { times: Progression::new(from, length, count), left: count });
            self.begun += 1;
        }
        let mut burst = self.running.peek_mut()?;
        let at = burst.times.at();
        if burst.left == 1 {
            PeekMut::pop(burst);
        } else {
            burst.left -= 1;
            burst.times.advance();
        }
        Some(at)
    }
}

/// A burst and how far it is. The greatest is the one whose turn it is.
#[derive(Clone, Copy, Debug)]
struct Running {
    times: Progression,
    /// Requests still to come, at least one.
    left: u64,
}

impl Ord for Running {
    fn cmp(&self, other: &Self) -> Ordering {
        // Bursts with the same time are equal: an arrival does not tell which burst it is of.
        other.times.at().cmp(&self.times.at())
    }
}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Running {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Running {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(bursts: &[Burst]) -> Vec<u64> {
        let mut times = Bursts::new(bursts).unwrap().times();
        std::iter::from_fn(|| times.next()).collect()
    }

    #[test]
    fn a_burst_must_not_end_before_it_begins() {
        let burst =
            |from, to| Burst { from: Duration::from_secs(from), to: Duration::from_secs(to), count: 1 };
        let error = Err(LoadError::BurstEndsBeforeItBegins { burst: 1 });
        assert_eq!(Bursts::new(&[burst(1, 1), burst(3, 2)]), error);
    }

    #[test]
    fn bursts_that_do_not_overlap_do_not_pile_up() {
        let burst = |i| Burst { from: Duration::from_secs(i), to: Duration::from_secs(i + 1), count: 10 };
        let mut times = Bursts::new(&(0..1000).map(burst).collect::<Vec<_>>()).unwrap().times();
        let mut n = 0;
        while times.next().is_some() {
            n += 1;
            assert!(times.running.len() <= 1);
        }
        assert_eq!(n, 10_000);
    }

    proptest! {
        /// The obvious way: every time by its formula, sorted.
        #[test]
        fn overlapping_bursts_are_merged_in_order(
            bursts in prop::collection::vec((0_u64..1000, 0_u64..1000, 0_u64..50), 0..20),
        ) {
            let nanos = Duration::from_nanos;
            let list: Vec<Burst> = bursts
                .iter()
                .map(|&(from, span, count)| Burst { from: nanos(from), to: nanos(from + span), count })
                .collect();
            let mut expected: Vec<u64> = bursts
                .iter()
                .flat_map(|&(from, span, count)| (0..count).map(move |k| from + k * span / count))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(times(&list), expected);
        }
    }
}
