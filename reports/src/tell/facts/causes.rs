//! Why requests were not served well, as it was followed back request by request.

use crate::record::cause::{CauseKind, CauseResult, CauseStep};
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::harm::HarmResult;
use crate::result::run::RunResult;
use crate::result::spread::Spread;
use crate::tell::facts::{
    ENOUGH_FOR_A_SHARE, Group, WORTH_TELLING, descending, per_variant, plain_names, short,
};
use crate::tell::side_by_side::runs;
use crate::words::format::Dimension;
use crate::words::text;

/// A sentence's worth of a way back: where the requests got no further, and what lay at the bottom of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reason<'r> {
    /// The first step that is no timeout: a timeout says when somebody gave up, not where the time went.
    held: &'r CauseStep,
    root: &'r CauseStep,
}

/// When requests on a route that does not depend on what failed were hurt under a variant: what held up most of those
/// that were not served well, on the route hurt worst; variants of which the same is to be said together.
pub(super) fn why_others_were_hurt(result: &ExperimentResult) -> Vec<String> {
    let mut told: Vec<(String, Vec<(&VariantResult, f64)>)> = Vec::new();
    for variant in &result.variants {
        let Some((share, rest)) =
            worst_route(variant).and_then(|route| most_common(variant, Some(route), |_| true))
        else {
            continue;
        };
        match told.iter_mut().find(|(known, _)| *known == rest) {
            Some((_, variants)) => variants.push((variant, share)),
            None => told.push((rest, vec![(variant, share)])),
        }
    }
    told.into_iter()
        .map(|(rest, variants)| {
            let names =
                Group { value: 0.0, variants: variants.iter().map(|(variant, _)| *variant).collect() };
            let shares = range(&variants);
            format!("Under {}, {shares} of {rest}.", plain_names(&names))
        })
        .collect()
}

/// When goodput never came back under a variant: how many attempts were made for each request from the last fault's end
/// on, if more than one and not told by [`attempts_after_the_fault`], and what held up most of the requests that were not served well and that no fault stood behind.
pub(super) fn what_keeps_it_up(result: &ExperimentResult) -> Vec<String> {
    let never =
        |run: &RunResult| run.harm.as_ref().and_then(HarmResult::recovered_after_us) == Some(f64::INFINITY);
    let last_fault_end_us = runs(result).find_map(|run| run.harm.as_ref()).map(|harm| harm.last_fault_end_us);
    let Some(from) = last_fault_end_us.map(|us| us.div_ceil(1_000_000) as usize) else { return Vec::new() };
    let stuck = result.variants.iter().filter(|variant| variant.runs.iter().all(never));
    let compared = attempts_after_the_fault(result).is_some();
    let sentences = stuck.filter_map(|variant| {
        let attempts = Spread::over(variant, |run| attempts_per_request(run, from))?.median;
        let held = most_common(variant, None, |cause| !was_struck(cause)).map(|(share, rest)| {
            format!("without a fault in their way, {} of {rest}", Dimension::Share.show(share))
        });
        let retries = (attempts >= 1.0 + WORTH_TELLING && !compared).then(|| {
            format!(
                "from the last fault's end on, {} attempts came to the upstreams for each request",
                Dimension::Ratio.show(attempts)
            )
        });
        let parts: Vec<String> = retries.into_iter().chain(held).collect();
        (!parts.is_empty())
            .then(|| format!("What keeps it up under {}: {}.", short(&variant.name), parts.join("; ")))
    });
    sentences.collect()
}

/// When goodput never came back under a variant and did under another, and the attempts differ: how many were made for each
/// request from the last fault's end on, under each. What is tried again is load, and load is what keeps it up.
pub(super) fn attempts_after_the_fault(result: &ExperimentResult) -> Option<String> {
    let last_fault_end_us = runs(result).find_map(|run| run.harm.as_ref())?.last_fault_end_us;
    let from = last_fault_end_us.div_ceil(1_000_000) as usize;
    let recovered = |variant: &VariantResult| {
        Spread::over(variant, |run| run.harm.as_ref()?.recovered_after_us())
            .map(|after| after.median.is_finite())
    };
    // As they are shown, so that who is shown with the same number is named together.
    let attempts =
        per_variant(result, |run| Some((attempts_per_request(run, from)? * 100.0).round() / 100.0));
    let told = |wanted: bool| -> Vec<Group<'_>> {
        let of_these = attempts.iter().filter(|(variant, _)| recovered(variant) == Some(wanted));
        descending(&of_these.copied().collect::<Vec<_>>())
    };
    let (stuck, well) = (told(false), told(true));
    let most = stuck.first()?.value;
    let least = well.last()?.value;
    if most < 1.0 + WORTH_TELLING || most < least + WORTH_TELLING {
        return None;
    }
    let each = |groups: &[Group<'_>]| {
        let of_group = |group: &Group<'_>| {
            let names: Vec<String> = group.variants.iter().map(|variant| short(&variant.name)).collect();
            format!("{} under {}", Dimension::Ratio.show(group.value), text::list(&names))
        };
        text::list(&groups.iter().map(of_group).collect::<Vec<_>>())
    };
    Some(format!(
        "For each request from the last fault's end on, the upstreams had as many attempts: where the outage outlived its \
         cause, {}; where it did not, {}.",
        each(&stuck),
        each(&well)
    ))
}

/// Whether a fault stands at the bottom of it, or on the way there.
fn was_struck(cause: &CauseResult) -> bool {
    cause.steps.iter().any(|step| step.kind == CauseKind::Fault)
}

/// Attempts at upstreams ÷ requests, from a second on; `None` where none were told or offered.
fn attempts_per_request(run: &RunResult, from: usize) -> Option<f64> {
    let after = |points: &[u32]| points.iter().skip(from).map(|count| u64::from(*count)).sum::<u64>();
    let attempts: u64 = run.upstream_attempts.iter().map(|attempts| after(&attempts.per_s)).sum();
    let offered: u64 = run.populations.iter().map(|population| after(&population.offered_per_s)).sum();
    (offered > 0 && attempts > 0).then(|| attempts as f64 / offered as f64)
}

/// The route that does not depend on what failed and was hurt worst, of those with enough requests.
fn worst_route(variant: &VariantResult) -> Option<&str> {
    let harm = variant.runs.first()?.harm.as_ref()?;
    let hurt =
        harm.routes.iter().filter(|route| !route.direct && route.tally().hurt() >= ENOUGH_FOR_A_SHARE as f64);
    let share = |route: &crate::result::harm::RouteHarm| route.tally().share().unwrap_or(0.0);
    let worst = hurt.reduce(|worst, other| if share(other) > share(worst) { other } else { worst });
    worst.map(|route| route.name.as_str())
}

/// The most common of some reasons of the first seed's run, on one route or any: its share of those, and `the /account requests that were not served well were …`.
fn most_common(
    variant: &VariantResult,
    route: Option<&str>,
    counts: impl Fn(&CauseResult) -> bool,
) -> Option<(f64, String)> {
    let causes = variant.runs.first()?.causes.iter().filter(|cause| counts(cause));
    let of_route = causes.filter(|cause| route.is_none_or(|route| cause.route == route));
    let mut reasons: Vec<(Reason, u64)> = Vec::new();
    let mut total = 0;
    for cause in of_route {
        total += cause.requests;
        let Some(reason) = Reason::of(cause) else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, requests)) => *requests += cause.requests,
            None => reasons.push((reason, cause.requests)),
        }
    }
    // Of equals the first, which is the one with the more frequent way back.
    let (reason, requests) =
        reasons.into_iter().reduce(|most, other| if other.1 > most.1 { other } else { most })?;
    if total < ENOUGH_FOR_A_SHARE {
        return None;
    }
    let whose = route.map_or_else(String::new, |route| format!("{} ", short(route)));
    let told = format!("the {whose}requests that were not served well {}", reason.told(route));
    Some((requests as f64 / total as f64, told))
}

impl<'r> Reason<'r> {
    fn of(cause: &'r CauseResult) -> Option<Self> {
        let timeout = |kind| {
            matches!(
                kind,
                CauseKind::ClientTimeout
                    | CauseKind::RouteTimeout
                    | CauseKind::TryTimeout
                    | CauseKind::QueueTimeout
            )
        };
        let root = cause.steps.last()?;
        Some(Self { held: cause.steps.iter().find(|step| !timeout(step.kind)).unwrap_or(root), root })
    }

    fn told(&self, route: Option<&str>) -> String {
        let of = self.held.of.as_deref().unwrap_or_default();
        let held = match self.held.kind {
            CauseKind::GatewayPool if route == Some(of) => {
                "were held up or turned away in the gateway's pool behind others like them".to_owned()
            }
            CauseKind::GatewayPool => {
                format!("were held up or turned away in the gateway's pool behind {}", short(of))
            }
            CauseKind::UpstreamQueue => format!("were held up or turned away in the queue of {}", short(of)),
            CauseKind::RateLimit => format!("were rejected by the {} limit", short(of)),
            CauseKind::RateLimitDelay => format!("waited for their turn at the {} limit", short(of)),
            CauseKind::Breaker => format!("were refused by the breaker of {}", short(of)),
            CauseKind::Bulkhead => format!("found the bulkhead of {} full", short(of)),
            CauseKind::ConcurrencyCap => format!("found the {} cap on concurrency reached", short(of)),
            CauseKind::NoHost => format!("found no host of {} that was not passed over", short(of)),
            CauseKind::Call | CauseKind::CallTimeout => format!("came to grief in the call {}", short(of)),
            CauseKind::Work | CauseKind::AbandonedWork => {
                format!("took too long in the work of {}", short(of))
            }
            CauseKind::Fault => format!("were struck by {}", fault(of)),
            CauseKind::NoRoute => "had no route".to_owned(),
            CauseKind::Token => format!("had a token that was not accepted ({})", short(of)),
            CauseKind::Keys => format!("found no keys of {} to judge their token by", short(of)),
            CauseKind::EarlierAttempts => "had spent their time on attempts that failed".to_owned(),
            CauseKind::Backoff => "were waiting for their next attempt".to_owned(),
            CauseKind::ClientTimeout
            | CauseKind::RouteTimeout
            | CauseKind::TryTimeout
            | CauseKind::QueueTimeout => "ran into a timeout".to_owned(),
        };
        let of = self.root.of.as_deref().unwrap_or_default();
        let root = match self.root.kind {
            _ if self.root == self.held => None,
            CauseKind::Fault => Some(format!("because of {}", fault(of))),
            CauseKind::AbandonedWork => {
                Some(format!("because {} was at work for callers that had left", short(of)))
            }
            CauseKind::Work => Some(format!("because {} was busy", short(of))),
            _ => None,
        };
        match root {
            Some(root) => format!("{held}, {root}"),
            None => held,
        }
    }
}

/// `the fault "hang on payments"`.
fn fault(of: &str) -> String {
    format!("the fault \u{201c}{}\u{201d}", short(of))
}

/// `61%`, or `61% to 93%`.
fn range(shares: &[(&VariantResult, f64)]) -> String {
    let shares = || shares.iter().map(|(_, share)| *share);
    let least = Dimension::Share.show(shares().fold(f64::INFINITY, f64::min));
    let most = Dimension::Share.show(shares().fold(0.0, f64::max));
    if least == most { most } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_route_hurt_worst_is_told_with_where_it_was_held_up_and_why() {
        let mut result = testing::incident();
        assert_eq!(
            why_others_were_hurt(&result),
            [
                "Under quickstart and breaker, 72% to 90% of the /account requests that were not served well were held \
                 up or turned away in the gateway's pool behind /checkout, because of the fault \u{201c}slow on payments\u{201d}."
            ]
        );
        // Too few to speak of.
        for variant in &mut result.variants {
            for cause in &mut variant.runs[0].causes {
                cause.requests = 1;
            }
        }
        assert!(why_others_were_hurt(&result).is_empty());
    }

    #[test]
    fn an_outage_that_outlived_its_cause_is_told_with_the_retries_and_the_work_for_nobody() {
        let mut result = testing::incident();
        let run = &mut result.variants[0].runs[0];
        run.populations.iter_mut().for_each(|population| population.offered_per_s = vec![50; 180]);
        run.upstream_attempts[0].per_s = vec![350; 180];
        let step = |kind, of: Option<&str>| CauseStep { kind, of: of.map(str::to_owned) };
        run.causes = vec![CauseResult {
            route: "/orders".to_owned(),
            ending: crate::record::cause::Ending::Failed,
            requests: 500,
            steps: vec![
                step(CauseKind::ClientTimeout, None),
                step(CauseKind::UpstreamQueue, Some("orders")),
                step(CauseKind::AbandonedWork, Some("orders")),
            ],
        }];
        let told = attempts_after_the_fault(&result).unwrap();
        assert!(
            told.contains("where the outage outlived its cause, 3.50 under quickstart; where it did not, "),
            "{told}"
        );
        assert!(!what_keeps_it_up(&result)[0].contains("3.50"), "once is enough");
        // With nobody to compare it with, it is told there.
        result.variants.truncate(1);
        assert_eq!(attempts_after_the_fault(&result), None);
        assert_eq!(
            what_keeps_it_up(&result),
            [
                "What keeps it up under quickstart: from the last fault's end on, 3.50 attempts came to the upstreams for \
                 each request; without a fault in their way, 100% of the requests that were not served well were held up or turned away in the queue of \
                 orders, because orders was at work for callers that had left."
            ]
        );
        let harm = result.variants[0].runs[0].harm.as_mut().unwrap();
        harm.recovery_us = Some(1);
        assert!(what_keeps_it_up(&result).is_empty());
    }
}
