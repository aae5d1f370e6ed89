//! What was read off a saved run.

use crate::record::distribution::Distribution;
use crate::record::durations::Statistic;
use crate::record::harm::HarmTally;
use crate::words::value::Value;

/// What a gauge read off a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// The value. Of a time that was waited for and never came, how long there was to wait.
    pub(crate) value: f64,
    /// The step in which it is told.
    pub(crate) step: f64,
    /// Whether it stands for something that never came.
    pub(crate) is_never: bool,
    /// Of a latency that is a lower bound: the share of the requests that were never answered.
    pub(crate) lower_bound_share: Option<f64>,
}

/// Longer than any scenario, microseconds: what never came is worse than whatever did.
const NEVER_US: f64 = 1e15;

impl Reading {
    pub(crate) const fn new(value: f64, step: f64) -> Self {
        Self { value, step, is_never: false, lower_bound_share: None }
    }

    pub(crate) fn share(count: u64, of: u64) -> Option<Self> {
        (of > 0).then(|| Self::new(count as f64 / of as f64, 1.0 / of as f64))
    }

    /// What a line of a scenario measured; `None` of what was not observed.
    pub(crate) fn of(value: Value) -> Option<Self> {
        Some(match value {
            Value::Count(count) => Self::new(count as f64, 1.0),
            Value::Number(value) | Value::Share(value) | Value::RatePerS(value) => Self::new(value, 0.0),
            Value::DurationUs(us) => Self::new(us as f64, 1.0),
            Value::Never => Self { is_never: true, ..Self::new(NEVER_US, 0.0) },
            Value::NotObserved => return None,
        })
    }

    pub(crate) fn harm(tally: HarmTally) -> Option<Self> {
        Some(Self::new(tally.share()?, 1.0 / tally.total() as f64))
    }

    /// A statistic of times; `None` where nothing was counted. The histogram tells a percentile to three significant digits and to
    /// the microsecond.
    pub(crate) fn statistic(times: &Distribution, statistic: Statistic) -> Option<Self> {
        let (us, digits) = match statistic {
            Statistic::Percentile(p) => (times.at(p)? as f64, 1_000.0),
            _ if times.count == 0 => return None,
            Statistic::Mean => (times.mean_us, f64::INFINITY),
            Statistic::Max => (times.max_us as f64, f64::INFINITY),
        };
        let lower_bound_share = times.lower_bound_share().filter(|_| times.is_lower_bound(us as u64));
        Some(Self { lower_bound_share, ..Self::new(us, (us / digits).max(1.0)) })
    }

    /// The value as a table shows it: infinite where it never came.
    pub(crate) const fn or_never(self) -> f64 {
        if self.is_never { f64::INFINITY } else { self.value }
    }
}
