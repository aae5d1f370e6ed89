//! What became of the expectations, shared by the terminal and the page.

use std::fmt::Write as _;

use crate::result::expectation::{ExpectationCheck, ExpectationResult, NotJudged};
use crate::result::experiment::{Engine, ExperimentResult};
use crate::words::format::{self, Dimension};
use crate::words::text;
use crate::words::value::Value;

/// All expectations and the sentence that sums them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lines: Vec<Line>,
    /// Of none, none failed. Where both engines ran, in both.
    pub(crate) standing: Standing,
    /// `5 of 5 expectations held`.
    pub(crate) sentence: String,
}

/// What became of an expectation, or of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It held wherever it was to hold.
    Held,
    /// It failed nowhere, and was not judged somewhere: the run was spoilt, cut short, or not made.
    NotJudged,
    /// It failed somewhere.
    Failed,
}

impl Standing {
    /// As a reader sees it: a sign and a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Held => "✓ held",
            Self::NotJudged => "! NOT JUDGED",
            Self::Failed => "✗ FAILED",
        }
    }

    /// The sign alone.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Held => "✓",
            Self::NotJudged => "!",
            Self::Failed => "✗",
        }
    }

    /// How the page colours it: what is not judged is no green.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotJudged | Self::Failed => "failed",
        }
    }

    /// Whether it held.
    pub(crate) const fn is_held(self) -> bool {
        matches!(self, Self::Held)
    }

    /// Whether it failed.
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::Failed)
    }
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) standing: Standing,
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
    pub(crate) standing: Standing,
    /// The value, or the least and the most over the seeds that were judged; where two measures are compared, of both. `None`
    /// where none was judged.
    pub(crate) value: Option<String>,
    /// The seeds for which it did not hold, where there is more than one seed.
    pub(crate) failed_seeds: Vec<u64>,
    /// The seeds for which it was not judged, and why. Where there is only one seed, it stands for the variant.
    pub(crate) not_judged: Vec<(u64, NotJudged)>,
    /// Whether several seeds were asked for.
    has_seeds: bool,
}

impl Verdict {
    /// How many held.
    pub(crate) fn held_lines(&self) -> usize {
        self.count(Standing::Held)
    }

    fn count(&self, standing: Standing) -> usize {
        self.lines.iter().filter(|line| line.standing == standing).count()
    }

    pub(crate) fn of(result: &ExperimentResult) -> Self {
        let line = |expectation| Line::of(expectation, &|check| result.why_not_judged(check));
        let mut lines: Vec<Line> = result.expectations.iter().map(line).collect();
        let other = engine_beside(result.engine);
        for (line, expectation) in lines.iter_mut().zip(&result.expectations) {
            if let Some(twin) = result.beside().iter().find(|twin| twin.text == expectation.text) {
                line.add(Line::of(twin, &|check| result.why_not_judged_beside(check)), other);
            }
        }
        let mut verdict = Self { lines, standing: Standing::Held, sentence: String::new() };
        verdict.standing = verdict.lines.iter().map(|line| line.standing).max().unwrap_or(Standing::Held);
        verdict.sentence = verdict.sentence(result);
        verdict
    }

    fn sentence(&self, result: &ExperimentResult) -> String {
        let (failed, not_judged) = (self.count(Standing::Failed), self.count(Standing::NotJudged));
        let by_engine = if result.beside().is_empty() {
            String::new()
        } else if failed == 0 {
            " in both engines".to_owned()
        } else {
            let here = result.expectations.iter();
            let here = here.filter(|line| result.standing(line) == Standing::Failed).count();
            let there = result.beside().iter();
            let there = there.filter(|line| result.standing_beside(line) == Standing::Failed).count();
            match result.engine {
                Engine::Virtual => format!(": {here} in the virtual engine, {there} in the live one"),
                Engine::Live => format!(": {there} in the virtual engine, {here} in the live one"),
            }
        };
        match (self.lines.len(), failed, not_judged) {
            (0, ..) => "The scenario states no expectations.".to_owned(),
            (1, 0, 0) => format!("The expectation held{by_engine}."),
            (1, 0, _) => "The expectation was NOT JUDGED.".to_owned(),
            (1, ..) => format!("The expectation FAILED{by_engine}."),
            (all, 0, 0) => format!("{all} of {all} expectations held{by_engine}."),
            (all, 0, not_judged) if all == not_judged => format!("{all} expectations were NOT JUDGED."),
            (all, 0, 1) => format!("{} of {all} expectations held{by_engine}, one was NOT JUDGED.", all - 1),
            (all, 0, not_judged) => {
                let held = all - not_judged;
                format!("{held} of {all} expectations held{by_engine}, {not_judged} were NOT JUDGED.")
            }
            (all, failed, 0) => format!("{failed} of {all} expectations FAILED{by_engine}."),
            (all, failed, 1) => {
                format!("{failed} of {all} expectations FAILED{by_engine}; one was NOT JUDGED.")
            }
            (all, failed, not_judged) => {
                format!("{failed} of {all} expectations FAILED{by_engine}; {not_judged} were NOT JUDGED.")
            }
        }
    }
}

/// An expectation that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// Its place in [`ExperimentResult::expectations`].
    pub place: usize,
    /// The line as written.
    pub text: String,
    /// Failed, or not judged.
    pub standing: Standing,
    /// What was measured of each variant for which it does not hold: `quickstart: 18.8%; breaker: 12%`.
    pub told: String,
}

impl ExperimentResult {
    /// The expectations that do not hold, in the order of the file; where both engines ran, in either.
    pub fn unheld(&self) -> Vec<Unheld> {
        let lines = Verdict::of(self).lines.into_iter().enumerate();
        let unheld = lines.filter(|(_, line)| !line.standing.is_held()).map(|(place, line)| {
            let measured = line.measured.iter().filter(|measured| !measured.standing.is_held());
            let told: Vec<String> =
                measured.map(|measured| format!("{}: {}", measured.variant, measured.phrase())).collect();
            Unheld { place, text: line.text, standing: line.standing, told: told.join("; ") }
        });
        unheld.collect()
    }

    /// Whether every expectation held; where both engines ran, in both.
    pub fn all_held(&self) -> bool {
        self.worst().is_held()
    }

    /// What became of the expectations together, where both engines ran in both: the worst that became of any.
    pub fn worst(&self) -> Standing {
        let here = self.expectations.iter().map(|line| self.standing(line));
        let there = self.beside().iter().map(|line| self.standing_beside(line));
        here.chain(there).max().unwrap_or(Standing::Held)
    }

    /// What the other engine made of the expectations.
    pub(crate) fn beside(&self) -> &[ExpectationResult] {
        self.agreement.as_ref().map_or(&[][..], |agreement| &agreement.expectations)
    }

    /// Why an expectation was not judged against a run of this engine. A result of a version that judged such runs does not
    /// say it of the check.
    pub(crate) fn why_not_judged(&self, check: &ExpectationCheck) -> Option<NotJudged> {
        check.not_judged.or_else(|| {
            let Some(variant) = self.variants.iter().find(|variant| variant.name == check.variant) else {
                return Some(NotJudged::NotRun);
            };
            variant.runs.iter().find(|run| run.seed == check.seed)?.not_judged()
        })
    }

    /// The same of the other engine.
    pub(crate) fn why_not_judged_beside(&self, check: &ExpectationCheck) -> Option<NotJudged> {
        check.not_judged.or_else(|| {
            let variants = &self.agreement.as_ref()?.variants;
            let variant = variants.iter().find(|variant| variant.variant == check.variant)?;
            (self.engine == Engine::Virtual && !variant.valid).then_some(NotJudged::Invalid)
        })
    }

    fn standing(&self, line: &ExpectationResult) -> Standing {
        standing(line, &|check| self.why_not_judged(check))
    }

    fn standing_beside(&self, line: &ExpectationResult) -> Standing {
        standing(line, &|check| self.why_not_judged_beside(check))
    }
}

/// What became of a line. One that was held against nothing was not judged.
fn standing(line: &ExpectationResult, why: &dyn Fn(&ExpectationCheck) -> Option<NotJudged>) -> Standing {
    let of_check = |check: &ExpectationCheck| match (why(check), check.held) {
        (Some(_), _) => Standing::NotJudged,
        (None, true) => Standing::Held,
        (None, false) => Standing::Failed,
    };
    let checks = line.checks.iter().map(of_check).max();
    checks.unwrap_or(if line.held { Standing::NotJudged } else { Standing::Failed })
}

/// The name of the engine that is not this one.
pub(crate) const fn engine_beside(engine: Engine) -> &'static str {
    match engine {
        Engine::Virtual => "live",
        Engine::Live => "virtual",
    }
}

impl Line {
    fn of(expectation: &ExpectationResult, why: &dyn Fn(&ExpectationCheck) -> Option<NotJudged>) -> Self {
        let mut measured: Vec<Measured> = Vec::new();
        for check in &expectation.checks {
            let variant = text::name(&check.variant);
            if !measured.iter().any(|known| known.variant == variant) {
                let of_variant = expectation.checks.iter().filter(|other| other.variant == check.variant);
                let of_variant: Vec<_> = of_variant.collect();
                measured.push(Measured::of(variant, &expectation.text, &of_variant, why));
            }
        }
        Self { standing: standing(expectation, why), text: text::line(&expectation.text), measured }
    }

    /// Adds what the other engine made of it, where that is not just the same.
    fn add(&mut self, twin: Self, engine: &str) {
        self.standing = self.standing.max(twin.standing);
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
    fn of(
        variant: String,
        line: &str,
        checks: &[&ExpectationCheck],
        why: &dyn Fn(&ExpectationCheck) -> Option<NotJudged>,
    ) -> Self {
        let (not_judged, judged): (Vec<&ExpectationCheck>, Vec<_>) =
            checks.iter().partition(|check| why(check).is_some());
        let told = |check: &&ExpectationCheck| {
            let against = check.standard.or_else(|| check.measured.bound_of(line));
            (check.measured, check.measured.told(check.held, against))
        };
        let measured = range(judged.iter().map(told).collect());
        let of_standard = |check: &&ExpectationCheck| {
            let standard = check.standard?;
            Some((standard, standard.told(check.held, Some(check.measured))))
        };
        let standards: Vec<(Value, String)> = judged.iter().filter_map(of_standard).collect();
        let value =
            if standards.is_empty() { measured } else { format!("{measured} against {}", range(standards)) };
        let unanswered = checks.iter().filter_map(|check| check.lower_bound_share).max_by(f64::total_cmp);
        let mut value = match unanswered {
            Some(share) => {
                format!("{}{value} ({} never answered)", format::AT_LEAST, Dimension::Share.show(share))
            }
            None => value,
        };
        if let Some(why) = judged.iter().find_map(|check| check.not_observed.as_deref()) {
            // Writing to a string does not fail.
            let _ = write!(value, ": {}", text::line(why));
        }
        let failed = judged.iter().filter(|check| !check.held);
        let failed: Vec<u64> = failed.map(|check| check.seed).collect();
        let has_seeds = checks.len() > 1;
        let standing = match () {
            () if !failed.is_empty() => Standing::Failed,
            () if !not_judged.is_empty() => Standing::NotJudged,
            () => Standing::Held,
        };
        Self {
            variant,
            standing,
            value: (!judged.is_empty()).then_some(value),
            failed_seeds: if has_seeds { failed } else { Vec::new() },
            not_judged: not_judged.iter().filter_map(|check| Some((check.seed, why(check)?))).collect(),
            has_seeds,
        }
    }

    /// `1,990 – 2,000, failed for seed 903`.
    pub(crate) fn phrase(&self) -> String {
        let failed =
            (!self.failed_seeds.is_empty()).then(|| format!("failed {}", for_seeds(&self.failed_seeds)));
        let reasons = [NotJudged::Invalid, NotJudged::Interrupted, NotJudged::NotRun].into_iter();
        let not_judged = reasons.filter_map(|reason| {
            let of_reason = self.not_judged.iter().filter(|(_, known)| *known == reason);
            let seeds: Vec<u64> = of_reason.map(|(seed, _)| *seed).collect();
            match seeds.len() {
                0 => None,
                // Of all seeds alike.
                all if !self.has_seeds || (self.value.is_none() && all == self.not_judged.len()) => {
                    Some(not_judged(reason))
                }
                _ => Some(format!("not judged {}: {}", for_seeds(&seeds), why(reason))),
            }
        });
        self.value.clone().into_iter().chain(failed).chain(not_judged).collect::<Vec<_>>().join(", ")
    }
}

/// That a line was not judged, and why.
pub(crate) fn not_judged(reason: NotJudged) -> String {
    format!("not judged: {}", why(reason))
}

const fn why(reason: NotJudged) -> &'static str {
    match reason {
        NotJudged::Invalid => "the run is invalid",
        NotJudged::Interrupted => "the run was interrupted",
        NotJudged::NotRun => "it was not run",
    }
}

/// `for seed 903`, `for seeds 903 and 904`.
fn for_seeds(seeds: &[u64]) -> String {
    match seeds {
        [seed] => format!("for seed {seed}"),
        seeds => {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            format!("for seeds {}", text::list_some(&seeds, 4))
        }
    }
}

/// The least and the most of values, each as it is shown.
fn range(mut values: Vec<(Value, String)>) -> String {
    values.sort_by(|(a, _), (b, _)| size(*a).total_cmp(&size(*b)));
    let mut shown: Vec<String> = values.into_iter().map(|(_, shown)| shown).collect();
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
        assert_eq!(line.standing, Standing::Failed);
        assert_eq!(line.measured[0].phrase(), "1,990 – 2,000, failed for seed 903");
        assert_eq!(verdict.sentence, "1 of 5 expectations FAILED.");
        let unheld = testing::three_seeds().unheld();
        let [Unheld { place: 0, standing: Standing::Failed, told, .. }] = unheld.as_slice() else {
            panic!("{unheld:?}")
        };
        assert!(told.ends_with(": 1,990 – 2,000, failed for seed 903"), "{told}");
    }

    #[test]
    fn a_line_holds_only_where_it_holds_in_both_engines() {
        let mut simulated = testing::window_boundary();
        let mut live = simulated.clone();
        let compared = crate::compare::agreement::agreement(&simulated, &live);
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
            assert_eq!(verdict.lines[0].standing, Standing::Failed);
            assert_eq!(verdict.lines[0].measured[1].variant, other);
        }
        assert!(crate::write::junit::junit_xml(&simulated).contains("fixed-window (live engine)"));
        assert!(crate::write::junit::junit_xml(&simulated).contains("failures=\"1\""));
    }

    #[test]
    fn what_was_not_observed_says_why() {
        let mut result = testing::window_boundary();
        let check = &mut result.expectations[0].checks[0];
        (check.measured, check.held) = (Value::NotObserved, false);
        check.not_observed = Some("its workers are unbounded".to_owned());
        result.expectations[0].held = false;
        let told = "not observed: its workers are unbounded";
        assert_eq!(Verdict::of(&result).lines[0].measured[0].phrase(), told);
        assert!(
            crate::write::terminal::report::terminal_summary(
                &result,
                80,
                crate::write::terminal::report::Legend::None
            )
            .contains(told)
        );
        assert!(crate::write::markdown::report::markdown_summary(&result).contains(told));
        assert!(crate::write::html::report::html_report(&result, "").unwrap().contains(told));
        assert!(
            crate::write::junit::junit_xml(&result)
                .contains("there was nothing to measure it on: its workers are unbounded")
        );
        assert!(
            crate::result::json::to_json(&result).contains("\"not_observed\": \"its workers are unbounded\"")
        );
    }

    #[test]
    fn what_was_not_judged_is_neither_right_nor_wrong() {
        let mut result = testing::three_seeds();
        // The first line failed under 903; of token-bucket's two, one seed was spoilt and one not run.
        for check in result.expectations.iter_mut().flat_map(|line| &mut line.checks) {
            if check.variant == "token-bucket" {
                check.not_judged = match check.seed {
                    903 => Some(NotJudged::Invalid),
                    904 => Some(NotJudged::NotRun),
                    _ => None,
                };
                check.held &= check.not_judged.is_none();
            }
        }
        let verdict = Verdict::of(&result);
        assert_eq!(verdict.sentence, "1 of 5 expectations FAILED; 2 were NOT JUDGED.");
        assert_eq!(verdict.standing, Standing::Failed);
        assert_eq!(
            verdict.lines[1].measured[0].phrase(),
            "166, not judged for seed 903: the run is invalid, not judged for seed 904: it was not run"
        );
        result.expectations.remove(0);
        let verdict = Verdict::of(&result);
        assert_eq!(verdict.sentence, "2 of 4 expectations held, 2 were NOT JUDGED.");
        assert!(!result.all_held());
        // Where a result does not say it, the run does.
        for check in result.expectations.iter_mut().flat_map(|line| &mut line.checks) {
            (check.held, check.not_judged) = (true, None);
        }
        assert!(result.all_held());
        let mut record = crate::record::harness::HarnessRecord::new(1.0, 100, 20_000);
        record.exhausted = 7;
        for run in &mut result.variants[1].runs {
            run.harness = Some(record.result(std::time::Duration::from_millis(500)));
        }
        assert_eq!(result.worst(), Standing::NotJudged);
        assert_eq!(Verdict::of(&result).lines[0].measured[0].phrase(), "not judged: the run is invalid");
        // In everything that is read by machines and by people, none of it is green.
        let csv = crate::expectations_csv(&result);
        assert_eq!(
            csv.lines().filter(|line| line.ends_with(",invalid") && line.contains(",false,")).count(),
            6
        );
        let markdown = crate::write::markdown::report::markdown_summary(&result);
        assert!(markdown.starts_with("## ⛔ "), "{markdown}");
        assert_eq!(markdown.matches("| ⛔ |").count(), 2, "{markdown}");
        let page = crate::write::html::report::html_report(&result, "").unwrap();
        assert_eq!(page.matches("! NOT JUDGED</span>").count(), 2);
        let terminal = crate::write::terminal::report::terminal_summary(
            &result,
            80,
            crate::write::terminal::report::Legend::None,
        );
        assert_eq!(terminal.matches("! NOT JUDGED").count(), 2, "{terminal}");
        // A run is spoilt although no line speaks of it.
        result.expectations.clear();
        assert!(crate::write::markdown::report::markdown_summary(&result).starts_with("## ⛔ "));
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
        let junit = crate::write::junit::junit_xml(&result);
        assert!(junit.contains("1,990 was measured, to compare with 5 under"), "{junit}");
        let csv = crate::expectations_csv(&result);
        assert!(csv.lines().any(|line| line.ends_with(",2000,count,7,count,")), "{csv}");
        assert!(csv.lines().any(|line| line.ends_with(",count,,,")), "{csv}");
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
        assert_eq!(Verdict::of(&result).sentence, "The expectation was NOT JUDGED.");
        result.expectations.clear();
        assert_eq!(Verdict::of(&result).sentence, "The scenario states no expectations.");
    }
}
