//! What was read off a saved run.

use crate::record::distribution::Distribution;
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

    /// A percentile, which the histogram tells to three significant digits and to the microsecond.
    pub(crate) fn latency(latency: &Distribution, p: f64) -> Option<Self> {
        let us = latency.at(p)?;
        let lower_bound_share = latency.lower_bound_share().filter(|_| latency.is_lower_bound(us));
        Some(Self { lower_bound_share, ..Self::new(us as f64, (us as f64 / 1_000.0).max(1.0)) })
    }
}
