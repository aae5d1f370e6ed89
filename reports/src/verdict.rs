//! What became of the expectations, shared by the terminal and the page.

use crate::{ExpectationCheck, ExpectationResult, ExperimentResult, Value, format, text};

/// All expectations and the sentence that sums them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lines: Vec<Line>,
    /// Whether every one held; of none, none failed.
    pub(crate) held: bool,
    /// `5 of 5 expectations held`.
    pub(crate) sentence: String,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) held: bool,
    /// The line as written.
    pub(crate) text: String,
    /// What was measured, one entry per variant.
    pub(crate) measured: Vec<Measured>,
}

/// What was measured of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) variant: String,
    pub(crate) held: bool,
    /// The value, or the least and the most over the seeds.
    pub(crate) value: String,
    /// The seeds for which it did not hold, where there is more than one seed.
    pub(crate) failed_seeds: Vec<u64>,
}

impl Verdict {
    pub(crate) fn of(result: &ExperimentResult) -> Self {
        let lines: Vec<Line> = result.expectations.iter().map(Line::of).collect();
        let failed = lines.iter().filter(|line| !line.held).count();
        let sentence = match (lines.len(), failed) {
            (0, _) => "The scenario states no expectations.".to_owned(),
            (1, 0) => "The expectation held.".to_owned(),
            (1, _) => "The expectation FAILED.".to_owned(),
            (all, 0) => format!("{all} of {all} expectations held."),
            (all, failed) => format!("{failed} of {all} expectations FAILED."),
        };
        Self { lines, held: failed == 0, sentence }
    }
}

impl Line {
    fn of(expectation: &ExpectationResult) -> Self {
        let mut measured: Vec<Measured> = Vec::new();
        for check in &expectation.checks {
            let variant = text::name(&check.variant);
            if !measured.iter().any(|known| known.variant == variant) {
                let of_variant = expectation.checks.iter().filter(|other| other.variant == check.variant);
                measured.push(Measured::of(variant, &of_variant.collect::<Vec<_>>()));
            }
        }
        Self { held: expectation.held, text: text::line(&expectation.text), measured }
    }
}

impl Measured {
    fn of(variant: String, checks: &[&ExpectationCheck]) -> Self {
        let mut values: Vec<(Value, bool)> =
            checks.iter().map(|check| (check.measured, check.held)).collect();
        values.sort_by(|(a, _), (b, _)| size(*a).total_cmp(&size(*b)));
        let mut shown: Vec<String> =
            values.iter().map(|(value, held)| format::measured(*value, *held)).collect();
        shown.dedup();
        let value = match shown.as_slice() {
            [] => "–".to_owned(),
            [only] => only.clone(),
            [least, .., most] => format!("{least} – {most}"),
        };
        let failed = checks.iter().filter(|check| !check.held);
        let failed_seeds =
            if checks.len() > 1 { failed.map(|check| check.seed).collect() } else { Vec::new() };
        Self { variant, held: checks.iter().all(|check| check.held), value, failed_seeds }
    }

    /// `1,990 – 2,000, failed for seed 903`.
    pub(crate) fn phrase(&self) -> String {
        match self.failed_seeds.as_slice() {
            [] => self.value.clone(),
            [seed] => format!("{}, failed for seed {seed}", self.value),
            seeds => {
                let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
                format!("{}, failed for seeds {}", self.value, text::list_some(&seeds, 4))
            }
        }
    }
}

/// Where a value stands among the values of the same measure; what never happened comes last.
fn size(value: Value) -> f64 {
    match value {
        Value::Count(n) => n as f64,
        Value::Number(x) | Value::Share(x) | Value::RatePerS(x) => x,
        Value::DurationUs(us) => us as f64,
        Value::Never => f64::INFINITY,
        Value::NotObserved => f64::NEG_INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn seeds_read_as_a_range_and_those_that_failed_are_named() {
        let verdict = Verdict::of(&testing::three_seeds());
        let line = &verdict.lines[0];
        assert!(!line.held);
        assert_eq!(line.measured[0].phrase(), "1,990 – 2,000, failed for seed 903");
        assert_eq!(verdict.sentence, "1 of 5 expectations FAILED.");
    }

    #[test]
    fn one_entry_per_variant_in_the_order_of_the_checks() {
        let mut result = testing::window_boundary();
        let check = result.expectations[1].checks[0].clone();
        result.expectations[0].checks.push(check);
        let verdict = Verdict::of(&result);
        let variants: Vec<&str> =
            verdict.lines[0].measured.iter().map(|measured| measured.variant.as_str()).collect();
        assert_eq!(variants, ["fixed-window", "token-bucket"]);
        assert_eq!(verdict.sentence, "5 of 5 expectations held.");
    }

    #[test]
    fn no_expectations_and_no_checks_are_said() {
        let mut result = testing::window_boundary();
        result.expectations.truncate(1);
        result.expectations[0].checks.clear();
        assert_eq!(Verdict::of(&result).sentence, "The expectation held.");
        result.expectations.clear();
        assert_eq!(Verdict::of(&result).sentence, "The scenario states no expectations.");
    }
}
