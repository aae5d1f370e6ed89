//! Why requests were not served well, as a picture: for each variant a bar, parted by root cause.
//!
//! The ranking of ways back tells every step and needs a minute of reading. What a reader asks first is which root cause a
//! variant suffers from, and how much beside the others.

use crate::result::experiment::ExperimentResult;
use crate::result::run::RunResult;
use crate::tell::cause_ranking::step;
use crate::words::format::Dimension;
use crate::words::text;

/// Root causes that have a part of their own; what is rarer is one part together.
const ROOTS: usize = 7;

/// All bars, with what their parts mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RootCauses {
    /// Over all variants the most frequent first; what is rarer comes last. Parts name them by place.
    pub(crate) roots: Vec<String>,
    pub(crate) bars: Vec<CauseBar>,
}

/// The requests of a variant that were not served well, or of several whose requests failed for the same reasons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CauseBar {
    /// The places of the variants in the file, and their names.
    pub(crate) variants: Vec<usize>,
    pub(crate) names: Vec<String>,
    pub(crate) requests: String,
    /// Of the requests offered, the share that was not served well.
    pub(crate) share: Option<String>,
    pub(crate) parts: Vec<CausePart>,
}

/// The requests of one root cause.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CausePart {
    /// The place of the root cause.
    pub(crate) root: usize,
    /// Percent of the longest bar.
    pub(crate) length: f64,
    /// `checkout failed: 1,676 requests, 18.8%`: of the variant's requests that were not served well.
    pub(crate) told: String,
}

impl RootCauses {
    /// Of the first seed's runs; `None` where all requests were served well, or nothing is known of why they were not.
    pub(crate) fn of(result: &ExperimentResult) -> Option<Self> {
        let mut bars: Vec<(Vec<usize>, &RunResult)> = Vec::new();
        for (place, variant) in result.variants.iter().enumerate() {
            let Some(run) = variant.runs.first() else { continue };
            let alike = bars.iter_mut().find(|(_, known)| {
                known.causes == run.causes && known.overall.offered == run.overall.offered
            });
            match alike {
                Some((variants, _)) => variants.push(place),
                None => bars.push((vec![place], run)),
            }
        }
        let mut roots: Vec<(String, u64)> = Vec::new();
        for (variants, run) in &bars {
            for (root, requests) in counted(run) {
                let requests = requests.saturating_mul(variants.len() as u64);
                match roots.iter_mut().find(|(known, _)| *known == root) {
                    Some((_, sum)) => *sum = sum.saturating_add(requests),
                    None => roots.push((root, requests)),
                }
            }
        }
        if roots.is_empty() {
            return None;
        }
        roots.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        let mut roots: Vec<String> = roots.into_iter().map(|(root, _)| root).collect();
        if roots.len() > ROOTS + 1 {
            roots.truncate(ROOTS);
            roots.push("other reasons".to_owned());
        }
        let longest = bars.iter().map(|(_, run)| total(run)).max().unwrap_or(0).max(1) as f64;
        let bar = |(variants, run): (Vec<usize>, &RunResult)| CauseBar {
            names: variants.iter().map(|place| text::name(&result.variants[*place].name)).collect(),
            variants,
            requests: Dimension::Count.show(total(run) as f64),
            share: (run.overall.offered > 0)
                .then(|| Dimension::Share.show(total(run) as f64 / run.overall.offered as f64)),
            parts: parts(run, &roots, longest),
        };
        Some(Self { bars: bars.into_iter().map(bar).collect(), roots })
    }
}

fn total(run: &RunResult) -> u64 {
    run.causes.iter().fold(0, |sum, cause| sum.saturating_add(cause.requests))
}

/// Each root cause of a run, the last step of the way back, with its requests.
fn counted(run: &RunResult) -> Vec<(String, u64)> {
    let mut counted: Vec<(String, u64)> = Vec::new();
    for cause in run.causes.iter().filter(|cause| cause.requests > 0) {
        let root = cause.steps.last().map_or_else(|| "not known".to_owned(), step);
        match counted.iter_mut().find(|(known, _)| *known == root) {
            Some((_, sum)) => *sum = sum.saturating_add(cause.requests),
            None => counted.push((root, cause.requests)),
        }
    }
    counted
}

fn parts(run: &RunResult, roots: &[String], longest: f64) -> Vec<CausePart> {
    let all = total(run).max(1) as f64;
    let mut sums = vec![0_u64; roots.len()];
    for (root, requests) in counted(run) {
        // What has no part of its own is among the others, the last.
        let place = roots.iter().position(|known| *known == root).unwrap_or(roots.len() - 1);
        sums[place] = sums[place].saturating_add(requests);
    }
    let drawn = sums.into_iter().enumerate().filter(|(_, requests)| *requests > 0);
    let part = |(root, requests): (usize, u64)| CausePart {
        root,
        length: 100.0 * requests as f64 / longest,
        told: format!(
            "{}: {} requests, {}",
            roots[root],
            Dimension::Count.show(requests as f64),
            Dimension::Share.show(requests as f64 / all)
        ),
    };
    drawn.map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::cause::{CauseKind, CauseResult, CauseStep, Ending};
    use crate::testing;

    #[test]
    fn a_bar_is_as_long_as_its_requests_are_many_and_parted_by_the_last_step() {
        let result = testing::incident();
        let causes = RootCauses::of(&result).unwrap();
        assert_eq!(causes.roots[0], "fault: slow on payments");
        let names: Vec<_> = causes.bars.iter().map(|bar| bar.names.join(" = ")).collect();
        assert_eq!(names, ["quickstart", "timeout = recommended", "breaker"]);
        assert_eq!(causes.bars[1].variants, [1, 3]);
        let longest = causes.bars.iter().map(|bar| bar.parts.iter().map(|part| part.length).sum::<f64>());
        let longest = longest.fold(0.0, f64::max);
        assert!((longest - 100.0).abs() < 1e-9, "{longest}");
        assert_eq!(causes.bars[1].parts[0].told, "fault: slow on payments: 2,000 requests, 100%");
    }

    #[test]
    fn of_many_root_causes_the_rare_ones_are_one_part() {
        let mut result = testing::incident();
        result.variants.truncate(1);
        let cause = |n: u64| CauseResult {
            route: "/a".to_owned(),
            ending: Ending::Failed,
            requests: 100 - n,
            steps: vec![CauseStep { kind: CauseKind::Work, of: Some(format!("s{n}")) }],
        };
        result.variants[0].runs[0].causes = (0..8).map(cause).collect();
        let causes = RootCauses::of(&result).unwrap();
        assert_eq!((causes.roots.len(), causes.roots[7].as_str()), (8, "work of s7"));
        result.variants[0].runs[0].causes = (0..20).map(cause).collect();
        let causes = RootCauses::of(&result).unwrap();
        assert_eq!((causes.roots.len(), causes.roots[7].as_str()), (8, "other reasons"));
        assert_eq!(causes.bars[0].parts.len(), 8);
        let others: u64 = (7..20).map(|n| 100 - n).sum();
        assert!(
            causes.bars[0].parts[7]
                .told
                .starts_with(&format!("other reasons: {} requests", Dimension::Count.show(others as f64)))
        );
    }

    #[test]
    fn where_all_were_served_well_there_is_no_picture() {
        assert_eq!(RootCauses::of(&testing::nothing_happened()), None);
        for result in testing::odd() {
            let _ = RootCauses::of(&result);
        }
    }
}
