//! Why requests were not served well, ranked, with each step of the way back.

use crate::record::cause::{CauseKind, CauseStep};
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::words::format::Dimension;
use crate::words::text;

/// The reasons shown of each variant; the rest are in the result.
const SHOWN: usize = 6;

/// The reasons of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CauseGroup {
    pub(crate) variant: String,
    pub(crate) rows: Vec<CauseRow>,
}

/// Requests of a route that were not served well for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CauseRow {
    /// Of all requests of the variant that were not served well.
    pub(crate) share: String,
    pub(crate) requests: String,
    pub(crate) route: String,
    pub(crate) ending: &'static str,
    /// From what the client saw back to what made it so.
    pub(crate) steps: Vec<String>,
}

/// Of the variants under which anything was not served well, in the run of the first seed.
pub(crate) fn cause_ranking(result: &ExperimentResult) -> Vec<CauseGroup> {
    result.variants.iter().filter_map(group).collect()
}

fn group(variant: &VariantResult) -> Option<CauseGroup> {
    let causes = &variant.runs.first()?.causes;
    let total: u64 = causes.iter().map(|cause| cause.requests).sum();
    let mut rows: Vec<CauseRow> = Vec::new();
    for cause in causes.iter().take(SHOWN) {
        rows.push(CauseRow {
            share: Dimension::Share.show(cause.requests as f64 / total.max(1) as f64),
            requests: Dimension::Count.show(cause.requests as f64),
            route: text::name(&cause.route),
            ending: cause.ending.name(),
            steps: match cause.steps.as_slice() {
                [] => vec!["not known".to_owned()],
                steps => steps.iter().map(step).collect(),
            },
        });
    }
    (!rows.is_empty()).then(|| CauseGroup { variant: text::name(&variant.name), rows })
}

/// A step in a few words.
pub(crate) fn step(step: &CauseStep) -> String {
    let of = text::name(step.of.as_deref().unwrap_or_default());
    match step.kind {
        CauseKind::ClientTimeout => "client's timeout".to_owned(),
        CauseKind::RouteTimeout => "route's timeout".to_owned(),
        CauseKind::TryTimeout => "gateway's timeout of an attempt".to_owned(),
        CauseKind::QueueTimeout => "gateway's queue timeout".to_owned(),
        CauseKind::RateLimit => format!("{of} limit"),
        CauseKind::RateLimitDelay => format!("turn at the {of} limit"),
        CauseKind::NoRoute => "no route".to_owned(),
        CauseKind::Token => format!("token not accepted: {of}"),
        CauseKind::Keys => format!("keys of {of}"),
        CauseKind::Breaker => format!("open breaker of {of}"),
        CauseKind::Bulkhead => format!("full bulkhead of {of}"),
        CauseKind::ConcurrencyCap => format!("{of} cap on concurrency"),
        CauseKind::NoHost => format!("no host of {of} left"),
        CauseKind::GatewayPool => format!("gateway's pool, taken by {of}"),
        CauseKind::UpstreamQueue => format!("queue of {of}"),
        CauseKind::CallTimeout => format!("timeout of the call {of}"),
        CauseKind::Call => format!("call {of}"),
        CauseKind::Work => format!("work of {of}"),
        CauseKind::AbandonedWork => format!("work of {of} for callers that had left"),
        CauseKind::Fault => format!("fault: {of}"),
        CauseKind::EarlierAttempts => "earlier attempts".to_owned(),
        CauseKind::Backoff => "wait before the next attempt".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_most_frequent_first_with_its_share_of_all_of_its_variant() {
        let result = testing::incident();
        let ranking = cause_ranking(&result);
        let variants: Vec<_> = ranking.iter().map(|group| group.variant.as_str()).collect();
        assert_eq!(variants, ["quickstart", "timeout", "breaker", "recommended"]);
        let rows = &ranking[1].rows;
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].share.as_str(), rows[0].requests.as_str(), rows[0].ending),
            ("100%", "2,000", "failed")
        );
        assert_eq!(rows[0].steps, ["client's timeout", "fault: slow on payments"]);
    }
}
