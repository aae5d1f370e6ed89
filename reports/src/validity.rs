//! Whether a live run says anything of the gateway.

use crate::{ExperimentResult, HarnessResult, RunResult, format, text};

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
            told.push(format!(
                "INVALID under {}: {}. The harness was the bottleneck, so the numbers say more of it than of the gateway: \
                 run it at a lower speed, or with less load.",
                text::name(&variant.name),
                text::line(&reasons.join("; "))
            ));
        }
    }
    let interrupted = |run: &RunResult| run.harness.as_ref().is_some_and(|harness| harness.interrupted);
    if result.variants.iter().flat_map(|variant| &variant.runs).any(interrupted) {
        told.push("The run was interrupted; what is told is what was seen until then.".to_owned());
    }
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
    use crate::{HarnessRecord, testing};

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
        let summary = crate::terminal_summary(&result);
        assert!(summary.contains("resent: 1,500 under fixed-window."), "{summary}");
        assert!(crate::markdown_summary(&result).contains("resent: 1,500 under fixed"));
        assert!(crate::html_report(&result, "tuesday run").unwrap().contains(&told));
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
}
