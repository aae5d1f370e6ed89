use std::collections::VecDeque;
use std::time::Duration;

/// The most events of any one bucket within any `[t, t + window)`, exactly, in one pass.
///
/// Keeps the events of the last window and, for each bucket, a thread through its own: memory grows with the
/// rate and the number of buckets, not with the length of the run.
#[derive(Debug)]
pub(crate) struct PeakCounter {
    window_nanos: u64,
    /// Events of all buckets younger than the window, oldest first.
    recent: VecDeque<Event>,
    /// Number of the event at the front of `recent`; wraps, as all event numbers do.
    front: u32,
    buckets: Vec<Recent>,
    peak: Option<BucketPeak>,
}

/// The fullest window seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BucketPeak {
    /// Events within the window.
    pub(crate) count: u32,
    /// The first of them.
    pub(crate) from: Duration,
    /// Whose they are.
    pub(crate) bucket: u32,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at_nanos: u64,
    bucket: u32,
    /// Number of the bucket's next event; of no meaning in its last.
    next: u32,
}

/// A bucket's events within `recent`.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    count: u32,
    first: u32,
    last: u32,
}

impl PeakCounter {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window_nanos: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            recent: VecDeque::new(),
            front: 0,
            buckets: Vec::new(),
            peak: None,
        }
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    pub(crate) fn peak(&self) -> Option<BucketPeak> {
        self.peak
    }

    /// Counts an event; times do not decrease from call to call.
    pub(crate) fn on_event(&mut self, at: Duration, bucket: u32) {
        let at_nanos = at.as_nanos() as u64;
        self.forget(at_nanos);
        if self.buckets.len() <= bucket as usize {
            self.buckets.resize(bucket as usize + 1, Recent::default());
        }
        let number = self.front.wrapping_add(self.recent.len() as u32);
        let recent = &mut self.buckets[bucket as usize];
        if recent.count == 0 {
            recent.first = number;
        } else {
            self.recent[recent.last.wrapping_sub(self.front) as usize].next = number;
        }
        recent.last = number;
        recent.count += 1;
        self.recent.push_back(Event { at_nanos, bucket, next: number });
        if self.peak.is_none_or(|peak| recent.count > peak.count) {
            let first = self.recent[recent.first.wrapping_sub(self.front) as usize];
            let from = Duration::from_nanos(first.at_nanos);
            self.peak = Some(BucketPeak { count: recent.count, from, bucket });
        }
    }

    fn forget(&mut self, now_nanos: u64) {
        while let Some(oldest) = self.recent.front() {
            if now_nanos - oldest.at_nanos < self.window_nanos {
                break;
            }
            let bucket = &mut self.buckets[oldest.bucket as usize];
            bucket.count -= 1;
            bucket.first = oldest.next;
            self.recent.pop_front();
            self.front = self.front.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_a_window_is_outside_it() {
        let mut peak = PeakCounter::new(Duration::from_secs(4));
        for second in [0, 1, 3, 4] {
            peak.on_event(Duration::from_secs(second), 0);
        }
        assert_eq!(peak.peak(), Some(BucketPeak { count: 3, from: Duration::ZERO, bucket: 0 }));
        peak.on_event(Duration::from_millis(4_500), 0);
        let later = BucketPeak { count: 4, from: Duration::from_secs(1), bucket: 0 };
        assert_eq!(peak.peak(), Some(later));
    }

    proptest! {
        /// Beside the obvious model: for each event, count those of its bucket within a window from it.
        #[test]
        fn agrees_with_counting_from_every_event(
            window in 1u64..50,
            steps in prop::collection::vec((0u64..20, 0u32..3), 1..100),
        ) {
            let mut peak = PeakCounter::new(Duration::from_nanos(window));
            let mut events = Vec::new();
            let mut now = 0;
            for (gap, bucket) in steps {
                now += gap;
                peak.on_event(Duration::from_nanos(now), bucket);
                events.push((now, bucket));
            }
            let within = |&(from, bucket): &(u64, u32)| {
                events.iter().filter(|(at, of)| *of == bucket && (from..from + window).contains(at)).count()
            };
            let most = events.iter().map(within).max().unwrap_or(0);
            let found = peak.peak().unwrap();
            prop_assert_eq!(found.count as usize, most);
            prop_assert_eq!(within(&(found.from.as_nanos() as u64, found.bucket)), most);
        }
    }
}
