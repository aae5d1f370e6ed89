//! Whether a live run says anything of the gateway.

use std::fmt::Write as _;

use crate::record::harness::HarnessResult;
use crate::result::experiment::ExperimentResult;
use crate::words::{format, text};

/// For each variant whose run the harness spoilt, and for a run that was ended early, what is to be said before anything
/// else.
pub(crate) fn reservations(result: &ExperimentResult) -> Vec<String> {
    let mut told = Vec::new();
    for variant in &result.variants {
        let harnesses = || variant.runs.iter().filter_map(|run| run.harness.as_ref());
        let mut reasons: Vec<&str> = Vec::new();
        for reason in harnesses().flat_map(|harness| &harness.invalid) {
            if !reasons.contains(&reason.as_str()) {
                reasons.push(reason);
            }
        }
        if !reasons.is_empty() {
            let advice = if harnesses().any(|harness| harness.broken > 0) {
                "No figure of it can be trusted: please report this, with the scenario and the version."
            } else {
                "The harness was the bottleneck, so the numbers say more of it than of the gateway: run it at a lower \
                 speed, or with less load."
            };
            let (name, reasons) = (text::name(&variant.name), text::line(&reasons.join("; ")));
            told.push(format!("INVALID under {name}: {reasons}. {advice}"));
        }
    }
    told.extend(interruption(result));
    told
}

/// Where requests had to be sent again on a fresh connection: how many, under which variant.
pub(crate) fn resent(result: &ExperimentResult) -> Option<String> {
    let counts = result.variants.iter().filter_map(|variant| {
        let harnesses = variant.runs.iter().filter_map(|run| run.harness.as_ref());
        let resent: u64 = harnesses.map(|harness| harness.resent).sum();
        (resent > 0).then(|| format!("{} under {}", format::count(resent), text::name(&variant.name)))
    });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| {
        format!(
            "resent: {}. So many requests met a kept connection that the gateway was closing in the same instant, and were \
             sent again on a fresh one.",
            text::list(&counts)
        )
    })
}

/// That the last run was ended early, and what was not run because of it.
fn interruption(result: &ExperimentResult) -> Option<String> {
    let mut runs =
        result.variants.iter().flat_map(|variant| variant.runs.iter().map(move |run| (variant, run)));
    let (variant, harness) = runs.find_map(|(variant, run)| {
        Some((variant, run.harness.as_ref().filter(|harness| harness.interrupted)?))
    })?;
    let whole = format::span(result.scenario.duration_s * 1e6);
    let after = harness.ran_us.map_or_else(
        || format!("under {}", text::name(&variant.name)),
        |us| format!("under {}, {} into {whole}", text::name(&variant.name), format::latency_us(us)),
    );
    let rates = if harness.ran_us.is_some() { ", rates are over that time," } else { "" };
    let mut told = format!(
        "The run was interrupted {after}; what is told is what was seen until then{rates} and no expectation is judged by it."
    );
    let mut left: Vec<String> = Vec::new();
    for check in result.expectations.iter().flat_map(|line| &line.checks) {
        let name = text::name(&check.variant);
        if !result.variants.iter().any(|variant| variant.name == check.variant) && !left.contains(&name) {
            left.push(name);
        }
    }
    if !left.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(told, " Not run: {}.", text::list_some(&left, 8));
    }
    Some(told)
}

/// The harness of the first run that has one: `live engine, 20 times real time`.
pub(crate) fn speed(result: &ExperimentResult) -> Option<f64> {
    let mut runs = result.variants.iter().flat_map(|variant| &variant.runs);
    let harness: Option<&HarnessResult> = runs.find_map(|run| run.harness.as_ref());
    harness.map(|harness| harness.speed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::harness::HarnessRecord;
    use crate::testing;

    #[test]
    fn requests_that_were_sent_again_are_counted_over_all_runs_of_a_variant() {
        let mut result = testing::three_seeds();
        assert_eq!(resent(&result), None);
        for (place, variant) in result.variants.iter_mut().enumerate() {
            for run in &mut variant.runs {
                let mut record = HarnessRecord::new(1.0, 100, 20_000);
                // Three runs of 500 under the first variant, and none under the others.
                record.resent = if place == 0 { 500 } else { 0 };
                run.harness = Some(record.result(Duration::from_millis(500)));
            }
        }
        let told = resent(&result).unwrap();
        assert!(told.starts_with("resent: 1,500 under fixed-window. So many"), "{told}");
        assert!(reservations(&result).is_empty(), "nothing was spoilt");
        let summary = crate::write::terminal::report::terminal_summary(
            &result,
            80,
            crate::write::terminal::report::Legend::None,
        );
        assert!(summary.contains("resent: 1,500 under fixed-window."), "{summary}");
        assert!(
            crate::write::markdown::report::markdown_summary(&result).contains("resent: 1,500 under fixed")
        );
        assert!(crate::write::html::report::html_report(&result, "tuesday run").unwrap().contains(&told));
    }

    #[test]
    fn what_the_harness_spoilt_is_said_once_for_each_variant() {
        let mut result = testing::three_seeds();
        assert!(reservations(&result).is_empty());
        let mut record = HarnessRecord::new(20.0, 100, 20_000);
        record.exhausted = 7;
        for run in &mut result.variants[0].runs {
            run.harness = Some(record.result(Duration::from_millis(500)));
        }
        let told = reservations(&result);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("INVALID under fixed-window: 7 connections could not be had"),
            "{}",
            told[0]
        );
        result.variants[0].runs[1].harness.as_mut().unwrap().interrupted = true;
        assert_eq!(reservations(&result).len(), 2);
        assert_eq!(speed(&result), Some(20.0));
    }

    #[test]
    fn a_broken_record_is_no_doing_of_the_harness() {
        let mut result = testing::three_seeds();
        let record = HarnessRecord::new(1.0, 100, 20_000).result(Duration::from_millis(500));
        let invalid = vec!["the record is broken".to_owned()];
        result.variants[0].runs[0].harness = Some(HarnessResult { invalid, broken: 2, ..record });
        assert_eq!(
            reservations(&result),
            [
                "INVALID under fixed-window: the record is broken. No figure of it can be trusted: please report this, with the \
              scenario and the version."
            ]
        );
    }

    #[test]
    fn an_interruption_says_when_it_was_and_what_it_kept_from_running() {
        let mut result = testing::window_boundary();
        let mut record = HarnessRecord::new(1.0, 100, 20_000);
        (record.interrupted, record.ran) = (true, Some(Duration::from_secs(43)));
        result.variants.truncate(1);
        result.variants[0].runs[0].harness = Some(record.result(Duration::from_millis(500)));
        let told = "The run was interrupted under fixed-window, 43 s into 2 min; what is told is what was seen until then, rates \
                    are over that time, and no expectation is judged by it. Not run: token-bucket and sliding-window-log.";
        assert_eq!(reservations(&result), [told]);
    }
}
