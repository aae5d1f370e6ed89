//! What must hold of a run.

use crate::measure::bound::{Bound, Comparison};
use crate::measure::catalogue::Measure;
use crate::measure::measurement::Measurement;
use crate::measure::unit::Good;
use crate::record::recording::Recording;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::catalogue::{Arguments, MeasureKind};
    use crate::record::outcome::Outcome;
    use crate::words::value::Value;

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
        for (name, outcome, comparison, bound, asserts_harm) in [
            ("blast_radius", Outcome::Served, Greater, Bound::Share(0.1), true),
            ("blast_radius", Outcome::Served, AtMost, Bound::Share(0.1), false),
            ("blast_radius", Outcome::Served, Equal, Bound::Share(0.0), false),
            ("goodput", Outcome::Served, Less, Bound::RatePerS(50.0), true),
            ("goodput", Outcome::Served, AtLeast, Bound::RatePerS(50.0), false),
            ("recovery_time", Outcome::Served, Equal, Bound::Never, true),
            ("rejected", Outcome::RateLimited, Greater, Bound::Share(0.9), false),
            ("rejected", Outcome::Shed, Greater, Bound::Share(0.1), true),
        ] {
            let measure = MeasureKind::named(name).unwrap().of(Arguments { outcome, ..Arguments::default() });
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
