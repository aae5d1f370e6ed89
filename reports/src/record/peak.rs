//! The most events of one bucket in any window of a length.

use std::collections::VecDeque;
use std::time::Duration;

use crate::record::broken::Broken;

/// The most events of any one bucket within any `[t, t + window)`, exactly, in one pass.
///
/// Keeps a count for each bucket and the events of the last window: memory grows with the rate and the number of buckets,
/// not with the length of the run. Where the window is as long as the run, no event ever leaves it, and none is kept.
#[derive(Debug)]
pub(crate) struct PeakCounter {
    window_nanos: u64,
    /// By bucket: its events within the window.
    counts: Vec<u32>,
    past: Past,
    peak: Option<Peak>,
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

/// What is kept of the events.
#[derive(Debug)]
enum Past {
    /// Those of all buckets that are younger than the window, oldest first.
    Recent(VecDeque<Event>),
    /// By bucket: when the first was, nanoseconds. For a window that holds all there will be.
    Firsts(Vec<u64>),
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at_nanos: u64,
    bucket: u32,
}

#[derive(Clone, Copy, Debug)]
struct Peak {
    count: u32,
    bucket: u32,
    /// The first event of the window; `None` as long as it is among the recent ones, where it is the bucket's oldest.
    from_nanos: Option<u64>,
}

/// The fullest windows of one length, and of lengths a little shorter and longer.
///
/// Over real sockets a request is sent a little later than it was meant to be. A burst that is exactly as long as the window
/// then holds one request too few in it, and two bursts that touch it may hold one too many. So the same is counted over
/// windows that are shorter and longer by several margins, of which the one that the lateness comes to is told in the end.
#[derive(Debug)]
pub(crate) struct PeakRecord {
    pub(crate) counter: PeakCounter,
    /// In ascending order of the margin.
    margins: Vec<Margin>,
}

#[derive(Debug)]
struct Margin {
    by: Duration,
    shorter: PeakCounter,
    longer: PeakCounter,
}

impl PeakRecord {
    /// Nothing counted yet; arguments as for [`PeakCounter::new`].
    pub(crate) fn new(window: Duration, margins: &[Duration], buckets: u32, last: Option<Duration>) -> Self {
        let margin = |by: &Duration| Margin {
            by: *by,
            shorter: PeakCounter::new(window.saturating_sub(*by), buckets, last),
            longer: PeakCounter::new(window.saturating_add(*by), buckets, last),
        };
        let mut margins: Vec<Margin> = margins.iter().map(margin).collect();
        margins.sort_by_key(|margin| margin.by);
        Self { counter: PeakCounter::new(window, buckets, last), margins }
    }

    /// Counts an event.
    ///
    /// # Errors
    ///
    /// As [`PeakCounter::on_event`].
    #[inline]
    pub(crate) fn on_event(&mut self, at: Duration, bucket: u32) -> Result<(), Broken> {
        let mut counted = self.counter.on_event(at, bucket);
        for margin in &mut self.margins {
            counted = counted.and(margin.shorter.on_event(at, bucket));
            counted = counted.and(margin.longer.on_event(at, bucket));
        }
        counted
    }

    /// The most events of a bucket in a window that is shorter, and in one that is longer, by the least margin that is no less
    /// than the lateness, or the greatest there is; `None` where there is no lateness, no event or no margin was counted.
    pub(crate) fn within(&self, lateness: Option<Duration>) -> Option<(Duration, [u32; 2])> {
        let lateness = lateness.filter(|lateness| !lateness.is_zero())?;
        let margin = self.margins.iter().find(|margin| margin.by >= lateness).or(self.margins.last())?;
        Some((margin.by, [margin.shorter.peak?.count, margin.longer.peak?.count]))
    }
}

impl PeakCounter {
    /// Nothing counted yet. `buckets` is how many there will be about, and `last` when the last event can be.
    pub(crate) fn new(window: Duration, buckets: u32, last: Option<Duration>) -> Self {
        let room = buckets as usize;
        let past = if last.is_some_and(|last| last < window) {
            Past::Firsts(Vec::with_capacity(room))
        } else {
            Past::Recent(VecDeque::new())
        };
        Self {
            window_nanos: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            counts: Vec::with_capacity(room),
            past,
            peak: None,
        }
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    pub(crate) fn peak(&self) -> Option<BucketPeak> {
        let Peak { count, bucket, from_nanos } = self.peak?;
        let from_nanos = match &self.past {
            Past::Recent(recent) => {
                from_nanos.or_else(|| Some(recent.iter().find(|event| event.bucket == bucket)?.at_nanos))
            }
            Past::Firsts(firsts) => firsts.get(bucket as usize).copied(),
        };
        let from_nanos = from_nanos.expect("the fullest window has a first event, which is recent or kept");
        Some(BucketPeak { count, from: Duration::from_nanos(from_nanos), bucket })
    }

    /// Counts an event.
    ///
    /// # Errors
    ///
    /// If the event is earlier than one before it, and the window not as long as the run. Then the event counts as of that one.
    pub(crate) fn on_event(&mut self, at: Duration, bucket: u32) -> Result<(), Broken> {
        let (mut at_nanos, mut counted) = (at.as_nanos() as u64, Ok(()));
        let place = bucket as usize;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        match &mut self.past {
            Past::Recent(recent) => {
                if let Some(newest) = recent.back().filter(|newest| at_nanos < newest.at_nanos) {
                    (at_nanos, counted) = (newest.at_nanos, Err(Broken::TimeWentBack));
                }
                while let Some(&oldest) = recent.front() {
                    if at_nanos - oldest.at_nanos < self.window_nanos {
                        break;
                    }
                    recent.pop_front();
                    let count = &mut self.counts[oldest.bucket as usize];
                    *count = count.checked_sub(1).expect("an event within the window is counted");
                    // The bucket's first to leave since its peak was the first of that.
                    if let Some(peak) = &mut self.peak
                        && peak.bucket == oldest.bucket
                    {
                        peak.from_nanos.get_or_insert(oldest.at_nanos);
                    }
                }
                recent.push_back(Event { at_nanos, bucket });
            }
            Past::Firsts(firsts) => {
                if firsts.len() <= place {
                    firsts.resize(place + 1, 0);
                }
                if self.counts[place] == 0 {
                    firsts[place] = at_nanos;
                }
            }
        }
        let count = &mut self.counts[place];
        *count += 1;
        if self.peak.is_none_or(|peak| *count > peak.count) {
            self.peak = Some(Peak { count: *count, bucket, from_nanos: None });
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_a_window_is_outside_it() {
        let mut peak = PeakCounter::new(Duration::from_secs(4), 0, None);
        for second in [0, 1, 3, 4] {
            peak.on_event(Duration::from_secs(second), 0).unwrap();
        }
        assert_eq!(peak.peak(), Some(BucketPeak { count: 3, from: Duration::ZERO, bucket: 0 }));
        peak.on_event(Duration::from_millis(4_500), 0).unwrap();
        let later = BucketPeak { count: 4, from: Duration::from_secs(1), bucket: 0 };
        assert_eq!(peak.peak(), Some(later));
    }

    #[test]
    fn an_event_that_comes_before_its_forerunner_says_so_and_counts_as_of_that_one() {
        let mut peak = PeakCounter::new(Duration::from_secs(4), 0, None);
        for second in [0, 3] {
            peak.on_event(Duration::from_secs(second), 0).unwrap();
        }
        assert_eq!(peak.on_event(Duration::from_secs(2), 0), Err(Broken::TimeWentBack));
        assert_eq!(peak.peak().map(|peak| peak.count), Some(3));
        // Of the three, two are of the third second.
        peak.on_event(Duration::from_millis(6_500), 0).unwrap();
        assert_eq!(peak.peak().map(|peak| peak.count), Some(3));
    }

    /// Two bursts of 1,000 requests each, 2 ms apart, fill four seconds to the last: with the last request 3 ms late, a window
    /// of 4 s holds 1,999 of them, and one of 4.005 s all.
    #[test]
    fn a_request_that_is_late_falls_out_of_a_window_and_not_out_of_a_longer_one() {
        let ms = Duration::from_millis;
        let mut peaks = PeakRecord::new(ms(4_000), &[ms(50), ms(5), ms(1)], 1, None);
        for number in 0..1_999 {
            peaks.on_event(ms(2 * number), 0).unwrap();
        }
        peaks.on_event(ms(2 * 1_999 + 3), 0).unwrap();
        assert_eq!(peaks.counter.peak().map(|peak| peak.count), Some(1_999));
        // Without the first or the last three.
        assert_eq!(peaks.within(Some(ms(3))), Some((ms(5), [1_998, 2_000])));
        assert_eq!(peaks.within(Some(Duration::from_micros(700))), Some((ms(1), [1_999, 1_999])));
        // A lateness beyond all margins is that of a harness that spoilt the run.
        assert_eq!(peaks.within(Some(ms(400))).map(|(by, _)| by), Some(ms(50)));
        assert_eq!((peaks.within(Some(Duration::ZERO)), peaks.within(None)), (None, None));
    }

    proptest! {
        /// Beside the obvious model: for each event, count those of its bucket within a window from it.
        #[test]
        fn agrees_with_counting_from_every_event(
            window in prop_oneof![1u64..50, 500u64..2_000],
            knows_the_last: bool,
            steps in prop::collection::vec((0u64..20, 0u32..3), 1..100),
        ) {
            let last = steps.iter().map(|(gap, _)| *gap).sum();
            let last = knows_the_last.then(|| Duration::from_nanos(last));
            let mut peak = PeakCounter::new(Duration::from_nanos(window), 2, last);
            let mut events = Vec::new();
            let mut now = 0;
            for (gap, bucket) in steps {
                now += gap;
                peak.on_event(Duration::from_nanos(now), bucket).unwrap();
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
