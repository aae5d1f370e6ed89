//! Durations of one kind in a run: latencies, waits, lateness.
//!
//! A histogram is compact and adds up, but it knows its values to three significant digits only: a timeout of 575 ms comes
//! out of it as 575.487 ms. So the least, the greatest, the sum and the number are kept exactly beside it, and a percentile
//! comes with the edges of its bucket.
//!
//! Whoever gave up, or was still waiting when the run ended, would have waited longer: left out, the slowest requests would
//! be missing, and the figures would be best where nobody is answered. Such a duration counts as a *lower bound*, with the
//! time that was waited. A percentile of values some of which are lower bounds never exceeds the true one, and equals the
//! true one where every lower bound lies above it.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::record::distribution::{Distribution, LowerBounds, Percentile};

/// The longest duration that the histogram tells from longer ones, microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// Durations, recorded to the microsecond.
#[derive(Clone, Debug)]
pub(crate) struct Durations {
    /// Microseconds from 1 µs to an hour, to three significant digits.
    histogram: Histogram<u64>,
    /// `u64::MAX` as long as nothing is recorded.
    least_us: u64,
    greatest_us: u64,
    sum_us: u128,
    /// How many are lower bounds, and the least of those; `u64::MAX` where there is none.
    lower_bounds: u64,
    least_bound_us: u64,
}

/// A statistic of durations, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    /// As tables show it. Of a percentile the upper edge of its bucket, as is the custom, but never more than the greatest
    /// value.
    pub(crate) us: u64,
    /// The exact statistic of what was recorded lies between these two.
    pub(crate) least_us: u64,
    pub(crate) most_us: u64,
    /// Whether the true statistic may be greater: some values at or below this one are lower bounds.
    pub(crate) is_lower_bound: bool,
}

impl Durations {
    /// Nothing recorded yet.
    pub(crate) fn new() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST_US, 3)
                .expect("the bounds are constants in range"),
            least_us: u64::MAX,
            greatest_us: 0,
            sum_us: 0,
            lower_bounds: 0,
            least_bound_us: u64::MAX,
        }
    }

    /// Something took so long.
    #[inline]
    pub(crate) fn record(&mut self, time: Duration) {
        let us = micros(time);
        self.histogram.saturating_record(us);
        self.least_us = self.least_us.min(us);
        self.greatest_us = self.greatest_us.max(us);
        self.sum_us += u128::from(us);
    }

    /// Something would have taken longer than this, and was not waited for any longer.
    pub(crate) fn record_lower_bound(&mut self, time: Duration) {
        self.record(time);
        self.lower_bounds += 1;
        self.least_bound_us = self.least_bound_us.min(micros(time));
    }

    /// So many things took no time at all.
    pub(crate) fn record_zeros(&mut self, count: u64) {
        if count > 0 {
            self.histogram.saturating_record_n(0, count);
            self.least_us = 0;
        }
    }

    /// Adds what another one recorded.
    pub(crate) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
        self.least_us = self.least_us.min(other.least_us);
        self.greatest_us = self.greatest_us.max(other.greatest_us);
        self.sum_us += other.sum_us;
        self.lower_bounds += other.lower_bounds;
        self.least_bound_us = self.least_bound_us.min(other.least_bound_us);
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The share of them that are lower bounds, 0 to 1; `None` where none is.
    pub(crate) fn lower_bound_share(&self) -> Option<f64> {
        (self.lower_bounds > 0).then(|| self.lower_bounds as f64 / self.count() as f64)
    }

    /// A statistic; `None` where nothing was recorded.
    pub(crate) fn statistic(&self, statistic: Statistic) -> Option<Figure> {
        if self.count() == 0 {
            return None;
        }
        let exactly = |us| Figure { us, least_us: us, most_us: us, is_lower_bound: self.lower_bounds > 0 };
        Some(match statistic {
            Statistic::Mean => exactly(self.mean_us().round() as u64),
            Statistic::Max => exactly(self.greatest_us),
            Statistic::Percentile(percentile) => self.percentile(percentile),
        })
    }

    /// As a result has them.
    pub(crate) fn distribution(&self) -> Distribution {
        if self.count() == 0 {
            return Distribution::default();
        }
        let point = |p| Percentile { p, us: self.percentile(p).us };
        Distribution {
            count: self.count(),
            mean_us: self.mean_us(),
            min_us: self.least_us,
            max_us: self.greatest_us,
            percentiles: Distribution::PERCENTILES.into_iter().map(point).collect(),
            lower_bounds: (self.lower_bounds > 0)
                .then_some(LowerBounds { count: self.lower_bounds, from_us: self.least_bound_us }),
        }
    }

    fn mean_us(&self) -> f64 {
        self.sum_us as f64 / self.count() as f64
    }

    /// Of at least one value.
    fn percentile(&self, percentile: f64) -> Figure {
        let bucket = self.histogram.value_at_quantile(percentile / 100.0);
        let within = |us: u64| us.clamp(self.least_us, self.greatest_us);
        // The histogram counts what is longer than it knows as its longest.
        let most_us =
            if bucket >= LONGEST_US { self.greatest_us } else { self.histogram.highest_equivalent(bucket) };
        let most_us = within(most_us);
        let is_least = percentile <= 0.0;
        let us = if is_least { self.least_us } else { most_us };
        Figure {
            us,
            least_us: if is_least { us } else { within(self.histogram.lowest_equivalent(bucket)) },
            most_us: if is_least { us } else { most_us },
            is_lower_bound: self.least_bound_us <= us,
        }
    }
}

fn micros(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(time.subsec_micros()))
}

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The largest value.
    Max,
    /// The value that this percentage of the values, above 0 and at most 100, does not exceed.
    Percentile(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Durations {
        let mut durations = Durations::new();
        millis.into_iter().for_each(|millis| durations.record(Duration::from_millis(millis)));
        durations
    }

    /// 575 ms lies in the histogram's bucket from 574.976 to 575.487 ms.
    #[test]
    fn extremes_and_mean_are_exact_and_no_percentile_exceeds_the_greatest() {
        let durations = of([575, 575, 3, 7]);
        let exactly = |us| Some(Figure { us, least_us: us, most_us: us, is_lower_bound: false });
        assert_eq!(durations.statistic(Statistic::Max), exactly(575_000));
        // (575 + 575 + 3 + 7) / 4 = 290.
        assert_eq!(durations.statistic(Statistic::Mean), exactly(290_000));
        let p99 = durations.statistic(Statistic::Percentile(99.0)).unwrap();
        assert_eq!((p99.us, p99.least_us, p99.most_us), (575_000, 574_976, 575_000));
        let distribution = durations.distribution();
        assert_eq!((distribution.min_us, distribution.max_us), (3_000, 575_000));
        assert_eq!(distribution.at(0.0), Some(3_000));
        assert!(distribution.percentiles.iter().all(|point| point.us <= 575_000), "{distribution:?}");
        assert_eq!(Durations::new().statistic(Statistic::Max), None);
    }

    #[test]
    fn a_percentile_below_the_greatest_comes_with_the_edges_of_its_bucket() {
        let p50 = of([575, 575, 575, 9_000]).statistic(Statistic::Percentile(50.0)).unwrap();
        assert_eq!((p50.us, p50.least_us, p50.most_us), (575_487, 575_000, 575_487));
    }

    /// Ten requests: six answered after 5 ms, one after 30 ms, three that nobody waited for longer than 20 ms.
    #[test]
    fn lower_bounds_count_and_mark_the_figures_that_they_may_raise() {
        let mut durations = of([5, 5, 5, 5, 5, 5, 30]);
        (0..3).for_each(|_| durations.record_lower_bound(Duration::from_millis(20)));
        let p = |p| {
            let figure = durations.statistic(Statistic::Percentile(p)).unwrap();
            (figure.us / 1_000, figure.is_lower_bound)
        };
        // Whatever the three come to is above 5 ms, so that the sixth of ten is known.
        assert_eq!(p(50.0), (5, false));
        assert_eq!(p(90.0), (20, true));
        assert_eq!(p(99.0), (30, true));
        assert!(durations.statistic(Statistic::Mean).unwrap().is_lower_bound);
        let distribution = durations.distribution();
        assert_eq!(distribution.count, 10);
        assert_eq!(distribution.lower_bounds, Some(LowerBounds { count: 3, from_us: 20_000 }));
        let mut sum = of([1]);
        sum.add(&durations);
        assert_eq!(sum.distribution().lower_bounds, distribution.lower_bounds);
        assert_eq!((sum.count(), sum.distribution().min_us), (11, 1_000));
    }

    #[test]
    fn no_time_at_all_is_the_least_and_more_than_an_hour_is_not_cut_short() {
        let mut durations = of([7_200_000]);
        assert_eq!(durations.statistic(Statistic::Percentile(50.0)).unwrap().us, 7_200_000_000);
        durations.record_zeros(3);
        let distribution = durations.distribution();
        assert_eq!((distribution.min_us, distribution.at(50.0)), (0, Some(0)));
        assert!((distribution.mean_us - 1_800_000_000.0).abs() < 1.0);
    }
}
