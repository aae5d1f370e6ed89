//! What became of the expectations, shared by the terminal and the page.

use crate::{
    Engine, ExpectationCheck, ExpectationResult, ExperimentResult, Value,
    format::{self, Dimension},
    text,
};

/// All expectations and the sentence that sums them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lines: Vec<Line>,
    /// Whether every one held; of none, none failed. Where both engines ran, in both.
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
    /// What was measured, one entry per variant, and another where the other engine measured something else.
    pub(crate) measured: Vec<Measured>,
}

/// What was measured of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Its name, and the engine if it is the other one.
    pub(crate) variant: String,
    pub(crate) held: bool,
    /// The value, or the least and the most over the seeds; where two measures are compared, of both.
    pub(crate) value: String,
    /// The seeds for which it did not hold, where there is more than one seed.
    pub(crate) failed_seeds: Vec<u64>,
}

impl Verdict {
    /// How many held.
    pub(crate) fn held_lines(&self) -> usize {
        self.lines.iter().filter(|line| line.held).count()
    }

    pub(crate) fn of(result: &ExperimentResult) -> Self {
        let mut lines: Vec<Line> = result.expectations.iter().map(Line::of).collect();
        let beside = result.agreement.as_ref().map_or(&[][..], |agreement| &agreement.expectations);
        let other = engine_beside(result.engine);
        for (line, expectation) in lines.iter_mut().zip(&result.expectations) {
            if let Some(twin) = beside.iter().find(|twin| twin.text == expectation.text) {
                line.add(Line::of(twin), other);
            }
        }
        let failed = lines.iter().filter(|line| !line.held).count();
        let by_engine = if beside.is_empty() {
            String::new()
        } else if failed == 0 {
            " in both engines".to_owned()
        } else {
            let here = result.expectations.iter().filter(|expectation| !expectation.held).count();
            let there = beside.iter().filter(|expectation| !expectation.held).count();
            match result.engine {
                Engine::Virtual => format!(": {here} in the virtual engine, {there} in the live one"),
                Engine::Live => format!(": {there} in the virtual engine, {here} in the live one"),
            }
        };
        let sentence = match (lines.len(), failed) {
            (0, _) => "The scenario states no expectations.".to_owned(),
            (1, 0) => format!("The expectation held{by_engine}."),
            (1, _) => format!("The expectation FAILED{by_engine}."),
            (all, 0) => format!("{all} of {all} expectations held{by_engine}."),
            (all, failed) => format!("{failed} of {all} expectations FAILED{by_engine}."),
        };
        Self { lines, held: failed == 0, sentence }
    }
}

impl ExperimentResult {
    /// Whether every expectation held; where both engines ran, in both.
    pub fn all_held(&self) -> bool {
        let beside = self.agreement.iter().flat_map(|agreement| &agreement.expectations);
        self.expectations.iter().chain(beside).all(|expectation| expectation.held)
    }
}

/// The name of the engine that is not this one.
pub(crate) const fn engine_beside(engine: Engine) -> &'static str {
    match engine {
        Engine::Virtual => "live",
        Engine::Live => "virtual",
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

    /// Adds what the other engine made of it, where that is not just the same.
    fn add(&mut self, twin: Self, engine: &str) {
        self.held &= twin.held;
        for measured in twin.measured {
            let place = self.measured.iter().rposition(|known| known.variant == measured.variant);
            if place.is_some_and(|place| self.measured[place] == measured) {
                continue;
            }
            let variant = format!("{} ({engine})", measured.variant);
            self.measured.insert(
                place.map_or(self.measured.len(), |place| place + 1),
                Measured { variant, ..measured },
            );
        }
    }
}

impl Measured {
    fn of(variant: String, checks: &[&ExpectationCheck]) -> Self {
        let measured = range(checks.iter().map(|check| (check.measured, check.held)).collect());
        let standards: Vec<(Value, bool)> =
            checks.iter().filter_map(|check| Some((check.standard?, check.held))).collect();
        let value =
            if standards.is_empty() { measured } else { format!("{measured} against {}", range(standards)) };
        let unanswered = checks.iter().filter_map(|check| check.lower_bound_share).max_by(f64::total_cmp);
        let value = match unanswered {
            Some(share) => {
                format!("{}{value} ({} never answered)", format::AT_LEAST, Dimension::Share.show(share))
            }
            None => value,
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

/// The least and the most of values, each with whether the line held for it.
fn range(mut values: Vec<(Value, bool)>) -> String {
    values.sort_by(|(a, _), (b, _)| size(*a).total_cmp(&size(*b)));
    let mut shown: Vec<String> = values.iter().map(|(value, held)| format::measured(*value, *held)).collect();
    shown.dedup();
    match shown.as_slice() {
        [] => "–".to_owned(),
        [only] => only.clone(),
        [least, .., most] => format!("{least} – {most}"),
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
    fn a_line_holds_only_where_it_holds_in_both_engines() {
        let mut simulated = testing::window_boundary();
        let mut live = simulated.clone();
        let compared = crate::agreement(&simulated, &live);
        simulated.agreement = Some(compared.beside(&live));
        assert!(simulated.all_held());
        let verdict = Verdict::of(&simulated);
        assert_eq!(verdict.sentence, "5 of 5 expectations held in both engines.");
        assert_eq!(verdict.lines[0].measured.len(), 1, "what is the same is said once");
        live.engine = Engine::Live;
        live.expectations[0].held = false;
        live.expectations[0].checks[0].held = false;
        live.expectations[0].checks[0].measured = Value::Count(1_990);
        simulated.agreement = Some(compared.beside(&live));
        live.agreement = Some(compared.beside(&simulated));
        for (result, other) in [(&simulated, "fixed-window (live)"), (&live, "fixed-window (virtual)")] {
            assert!(!result.all_held());
            let verdict = Verdict::of(result);
            let sentence = "1 of 5 expectations FAILED: 0 in the virtual engine, 1 in the live one.";
            assert_eq!(verdict.sentence, sentence);
            assert!(!verdict.lines[0].held);
            assert_eq!(verdict.lines[0].measured[1].variant, other);
        }
        assert!(crate::junit_xml(&simulated).contains("fixed-window (live engine)"));
        assert!(crate::junit_xml(&simulated).contains("failures=\"1\""));
    }

    #[test]
    fn what_was_compared_with_stands_beside() {
        let mut result = testing::three_seeds();
        for (check, standard) in result.expectations[0].checks.iter_mut().zip([7, 5, 7]) {
            check.standard = Some(Value::Count(standard));
        }
        let verdict = Verdict::of(&result);
        let phrase = verdict.lines[0].measured[0].phrase();
        assert_eq!(phrase, "1,990 – 2,000 against 5 – 7, failed for seed 903");
        let junit = crate::junit_xml(&result);
        assert!(junit.contains("1,990 was measured, to compare with 5 under"), "{junit}");
        let csv = crate::expectations_csv(&result);
        assert!(csv.lines().any(|line| line.ends_with(",2000,count,7,count")), "{csv}");
        assert!(csv.lines().any(|line| line.ends_with(",count,,")), "{csv}");
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
