//! A distribution of times, as a result has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A distribution of times; all zero and no percentiles where nothing was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their mean, microseconds.
    pub mean_us: f64,
    /// The least, microseconds. Not written where 0, nor by a version that did not keep it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_us: u64,
    /// The greatest, microseconds.
    pub max_us: u64,
    /// The curve at [`Distribution::PERCENTILES`], in that order.
    pub percentiles: Vec<Percentile>,
    /// The values that are lower bounds, if any are; results of a version that left them out have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bounds: Option<LowerBounds>,
}

/// The values of a distribution that are lower bounds: of requests that were never answered, or never got what they waited
/// for, the time that they waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LowerBounds {
    /// How many.
    pub count: u64,
    /// The least of them, microseconds: what is below it is known exactly.
    pub from_us: u64,
}

/// One point of a distribution's curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// 0 to 100.
    pub p: f64,
    /// The smallest value that `p` percent of the values do not exceed, to three significant digits and never more than the
    /// greatest, microseconds.
    pub us: u64,
}

impl Distribution {
    /// The percentiles of the curve: evenly spaced as a reader of tails sees them, each step a tenth of what is
    /// left, to p99.99.
    pub const PERCENTILES: [f64; 25] = [
        0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0, 99.0,
        99.25, 99.5, 99.7, 99.8, 99.9, 99.95, 99.97, 99.99,
    ];

    /// The share of the values that are lower bounds, 0 to 1; `None` where none is.
    pub fn lower_bound_share(&self) -> Option<f64> {
        let LowerBounds { count, .. } = self.lower_bounds?;
        (self.count > 0).then(|| count as f64 / self.count as f64)
    }

    /// Whether a percentile of this value is a lower bound: some of the values up to it are.
    pub fn is_lower_bound(&self, us: u64) -> bool {
        self.lower_bounds.is_some_and(|bounds| bounds.from_us <= us)
    }

    /// Whether the value at one of [`Distribution::PERCENTILES`] is a lower bound.
    pub fn is_lower_bound_at(&self, p: f64) -> bool {
        self.at(p).is_some_and(|us| self.is_lower_bound(us))
    }

    /// The value at one of [`Distribution::PERCENTILES`], microseconds; `None` where nothing was counted.
    pub fn at(&self, p: f64) -> Option<u64> {
        self.percentiles.iter().find(|point| point.p.total_cmp(&p).is_eq()).map(|point| point.us)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
