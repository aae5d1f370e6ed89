use std::cmp::Ordering;
use std::time::Duration;

use crate::measure::catalogue::Measure;
use crate::measure::gauge::Good;
use crate::measure::measurement::Measurement;
use crate::record::recording::Recording;
use crate::result::experiment::Value;

/// What must hold of a run: a measure, compared with a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What is measured.
    pub measure: Measure,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub bound: Bound,
}

/// How a measured value is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

/// The right-hand side of an expectation, in the unit of its measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// For counts and ratios.
    Number(f64),
    /// For shares, 0.5 for 50%; and for requests, as a share of those offered.
    Share(f64),
    /// For times.
    Duration(Duration),
    /// For rates, per second.
    RatePerS(f64),
    /// For what may not come; later than any time.
    Never,
}

impl Expectation {
    /// Whether it claims that something is bad, as a story does of the configuration that it warns of, and is no requirement:
    /// `blast_radius > 10%`, `goodput < 50/s`, `recovery_time == never`.
    pub fn asserts_harm(&self) -> bool {
        let is_high = match self.comparison {
            Comparison::Greater | Comparison::AtLeast => true,
            Comparison::Less | Comparison::AtMost => false,
            Comparison::Equal if self.bound == Bound::Never => true,
            Comparison::Equal => return false,
        };
        self.measure.good().is_some_and(|good| (good == Good::Low) == is_high)
    }

    /// What was measured in a run, the figure of it that the line is judged by as its value, and whether that is as expected.
    ///
    /// Nothing is as expected of what was not observed: an expectation on the latency of a population that sent
    /// nothing fails.
    pub fn check(&self, recording: &Recording) -> (Measurement, bool) {
        let measured = match self.bound {
            Bound::Share(_) => Measurement::exactly(recording.measure_as_share(&self.measure)),
            _ => recording.measure(&self.measure),
        };
        let value = measured.judged(self.comparison, self.bound);
        (Measurement { value, ..measured }, self.comparison.holds(value, self.bound))
    }
}

impl Bound {
    /// A measured value as what another one is held against; `None` of what was not observed.
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Count(count) => Some(Self::Number(count as f64)),
            Value::Number(number) => Some(Self::Number(number)),
            Value::Share(share) => Some(Self::Share(share)),
            Value::DurationUs(us) => Some(Self::Duration(Duration::from_micros(us))),
            Value::RatePerS(rate) => Some(Self::RatePerS(rate)),
            Value::Never => Some(Self::Never),
            Value::NotObserved => None,
        }
    }

    /// The bound as a value of the same kind as `like`, which a count is and a plain number need not be.
    pub(crate) fn as_value(self, like: Value) -> Value {
        match (self, like) {
            (Self::Number(number), Value::Count(_)) => Value::Count(number as u64),
            (Self::Number(number), _) => Value::Number(number),
            (Self::Share(share), _) => Value::Share(share),
            (Self::Duration(duration), _) => {
                Value::DurationUs(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
            }
            (Self::RatePerS(rate), _) => Value::RatePerS(rate),
            (Self::Never, _) => Value::Never,
        }
    }
}

impl Comparison {
    /// Whether two measured values compare so. Nothing compares with what was not observed.
    pub fn holds_between(self, measured: Value, standard: Value) -> bool {
        Bound::of(standard).is_some_and(|bound| self.holds(measured, bound))
    }

    pub(crate) fn holds(self, measured: Value, bound: Bound) -> bool {
        let order = match (measured, bound) {
            (Value::Count(measured), Bound::Number(bound)) => (measured as f64).partial_cmp(&bound),
            (Value::Number(measured), Bound::Number(bound))
            | (Value::Share(measured), Bound::Share(bound))
            | (Value::RatePerS(measured), Bound::RatePerS(bound)) => measured.partial_cmp(&bound),
            (Value::DurationUs(measured), Bound::Duration(bound)) => {
                Some(Duration::from_micros(measured).cmp(&bound))
            }
            (Value::Never, Bound::Duration(_)) => Some(Ordering::Greater),
            (Value::Never, Bound::Never) => Some(Ordering::Equal),
            (Value::DurationUs(_), Bound::Never) => Some(Ordering::Less),
            _ => None,
        };
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_compared_in_its_own_unit() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
        let ms = |ms| Bound::Duration(Duration::from_millis(ms));
        for (measured, comparison, bound, holds) in [
            (Value::Count(166), AtMost, Bound::Number(167.0), true),
            (Value::Count(167), Less, Bound::Number(167.0), false),
            (Value::Count(2000), AtLeast, Bound::Number(2000.0), true),
            (Value::Count(2000), Equal, Bound::Number(2000.0), true),
            (Value::DurationUs(100_000), Less, ms(100), false),
            (Value::DurationUs(100_001), Greater, ms(100), true),
            (Value::Share(0.5), Equal, Bound::Share(0.5), true),
            (Value::RatePerS(99.9), AtLeast, Bound::RatePerS(100.0), false),
            (Value::Share(0.5), AtLeast, Bound::Number(0.1), false),
            (Value::NotObserved, Less, Bound::Number(1e9), false),
            (Value::Never, Less, ms(100), false),
            (Value::Never, Greater, ms(100), true),
            (Value::Never, Equal, Bound::Never, true),
            (Value::DurationUs(1), Less, Bound::Never, true),
            (Value::DurationUs(1), Equal, Bound::Never, false),
        ] {
            assert_eq!(comparison.holds(measured, bound), holds, "{measured:?} {comparison:?} {bound:?}");
        }
    }

    #[test]
    fn a_line_that_claims_something_bad_is_no_requirement() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
        let everybody = crate::measure::catalogue::Selector::Everybody;
        for (measure, comparison, bound, asserts_harm) in [
            (Measure::BlastRadius(everybody), Greater, Bound::Share(0.1), true),
            (Measure::BlastRadius(everybody), AtMost, Bound::Share(0.1), false),
            (Measure::BlastRadius(everybody), Equal, Bound::Share(0.0), false),
            (Measure::Goodput(everybody), Less, Bound::RatePerS(50.0), true),
            (Measure::Goodput(everybody), AtLeast, Bound::RatePerS(50.0), false),
            (Measure::RecoveryTime(everybody), Equal, Bound::Never, true),
            (
                Measure::Rejected(crate::record::outcome::Outcome::RateLimited, everybody),
                Greater,
                Bound::Share(0.9),
                false,
            ),
            (
                Measure::Rejected(crate::record::outcome::Outcome::Shed, everybody),
                Greater,
                Bound::Share(0.1),
                true,
            ),
        ] {
            let expectation = Expectation { measure, comparison, bound };
            assert_eq!(expectation.asserts_harm(), asserts_harm, "{expectation:?}");
        }
    }

    #[test]
    fn measured_values_are_compared_with_one_another() {
        use Comparison::{AtLeast, Equal, Greater, Less};
        for (measured, comparison, standard, holds) in [
            (Value::Share(0.59), Greater, Value::Share(0.53), true),
            (Value::Share(0.53), Greater, Value::Share(0.53), false),
            (Value::Count(3), Less, Value::Count(4), true),
            (Value::DurationUs(7), AtLeast, Value::DurationUs(7), true),
            (Value::Never, Greater, Value::DurationUs(7), true),
            (Value::DurationUs(7), Less, Value::Never, true),
            (Value::Never, Equal, Value::Never, true),
            (Value::Never, Greater, Value::Never, false),
            (Value::NotObserved, Equal, Value::NotObserved, false),
            (Value::Share(0.0), AtLeast, Value::NotObserved, false),
        ] {
            let told = format!("{measured:?} {comparison:?} {standard:?}");
            assert_eq!(comparison.holds_between(measured, standard), holds, "{told}");
        }
    }
}
