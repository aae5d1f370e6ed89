//! What a measure came to in a run, with what is known of how far the figure is from the truth.

use crate::measure::bound::{Bound, Comparison};
use crate::record::durations::Figure;
use crate::words::value::Value;

/// What a measure came to in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The figure that tables show.
    pub value: Value,
    /// The exact figure is no less than this: of a percentile the lower edge of its bucket, of a count over a window what a
    /// shorter window holds, by as much as the harness was late.
    pub least: Value,
    /// The exact figure is no more than this.
    pub most: Value,
    /// Of a duration that is a lower bound because some requests were never answered: the share of those, 0 to 1.
    pub lower_bound_share: Option<f64>,
}

impl Measurement {
    /// A figure that is exact.
    pub const fn exactly(value: Value) -> Self {
        Self { value, least: value, most: value, lower_bound_share: None }
    }

    /// There was nothing to measure.
    pub const NOT_OBSERVED: Self = Self::exactly(Value::NotObserved);

    pub(crate) fn duration(figure: Figure, lower_bound_share: Option<f64>) -> Self {
        Self {
            value: Value::DurationUs(figure.us),
            least: Value::DurationUs(figure.least_us),
            most: Value::DurationUs(figure.most_us),
            lower_bound_share: lower_bound_share.filter(|_| figure.is_lower_bound),
        }
    }

    /// The figure that a comparison with a bound is judged by: the end nearest to what is claimed, so that a line which is
    /// true never fails for the coarseness of a histogram.
    pub fn judged(&self, comparison: Comparison, bound: Bound) -> Value {
        match comparison {
            Comparison::Less | Comparison::AtMost => self.least,
            Comparison::Greater | Comparison::AtLeast => self.most,
            Comparison::Equal => {
                let is_within = Comparison::AtMost.holds(self.least, bound)
                    && Comparison::AtLeast.holds(self.most, bound);
                if is_within { bound.as_value(self.value) } else { self.value }
            }
        }
    }
}
