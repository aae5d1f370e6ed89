//! What happened, in sentences.
//!
//! A table of forty numbers is read by whoever made it. Everybody else reads sentences, and believes them; so each
//! sentence here is a function of measured numbers with a condition written beside it, and says nothing that the
//! numbers do not. No sentence guesses at causes.
//!
//! Of several seeds, every number is the median.

use crate::{
    ExperimentResult, LimitResult, Outcome, RunResult, VariantResult,
    format::{self, Clock, Dimension},
    side_by_side::{bucket_noun, limit, peak, peaks_asked_for, runs},
    spread::Spread,
    text,
};

/// Fewer latencies than this have no p99 worth a sentence.
const ENOUGH_FOR_P99: u64 = 100;

/// Fewer requests than this have no success rate worth a sentence.
const ENOUGH_FOR_A_SHARE: u64 = 20;

/// How many populations are told about, those with the widest gaps.
const POPULATIONS_TOLD: usize = 3;

/// How many different numbers a sentence lists before it names its ends only.
const NUMBERS_TOLD: usize = 4;

/// How many variants with the same number a sentence names one by one.
const NAMES_TOLD: usize = 4;

/// Every sentence that the numbers call for, what the limits did first, then who paid for it.
pub fn facts(result: &ExperimentResult) -> Vec<String> {
    if let Some(sentence) = no_requests(result) {
        return vec![sentence];
    }
    let mut sentences = Vec::new();
    for (scope, window_us) in peaks_asked_for(result) {
        sentences.extend(admitted_at_most(result, &scope, window_us));
    }
    sentences.extend(who_waited(result));
    sentences.extend(who_was_turned_away(result));
    sentences.extend(result.variants.iter().filter_map(|variant| bounds_the_instant_only(result, variant)));
    sentences.extend(result.variants.iter().flat_map(queues_that_were_full));
    sentences.extend(shed(result));
    sentences.extend(unfinished(result));
    sentences
}

/// When no run was offered any request.
fn no_requests(result: &ExperimentResult) -> Option<String> {
    let offered = |run: &RunResult| run.populations.iter().any(|population| population.summary.offered > 0);
    (!runs(result).any(offered)).then(|| "No request was offered, so there is nothing to compare.".to_owned())
}

/// When a bucket of the limit was let through at all, and, of the longer windows, when their numbers are not those of
/// the shortest again.
fn admitted_at_most(result: &ExperimentResult, scope: &str, window_us: u64) -> Option<String> {
    let counts = |window_us: u64| -> Vec<(&VariantResult, f64)> {
        per_variant(result, |run| peak(run, scope, window_us).map(|count| count as f64))
    };
    let values = counts(window_us);
    if values.iter().all(|(_, count)| *count == 0.0) {
        return None;
    }
    let windows = peaks_asked_for(result);
    let shortest =
        windows.iter().find(|(known, _)| known == scope).map_or(window_us, |(_, shortest)| *shortest);
    if shortest < window_us && counts(shortest) == values {
        return None;
    }
    let groups = descending(&values);
    let window = format::span(window_us as f64);
    let whom = match scope {
        "per_key" => "of one key ",
        "per_ip" => "of one address ",
        "per_route" => "to one route ",
        "global" => "",
        _ => "of one bucket ",
    };
    let rules = limits_of(result, scope);
    let (first, rest) = groups.split_first()?;
    let described = |group: &Group| names(&group.variants, |variant| described(variant, scope));
    let mut aside = Vec::from_iter(began(result, scope, window_us, first));
    if let [rule] = rules.as_slice() {
        aside.push(format!("the limit is {rule}"));
    }
    let aside = if aside.is_empty() { String::new() } else { format!(" ({})", aside.join("; ")) };
    let mut parts = vec![format!(
        "{} let up to {} requests {whom}through{aside}",
        described(first),
        Dimension::Count.show(first.value),
    )];
    parts.extend(
        told(rest).iter().map(|group| format!("{} {}", described(group), Dimension::Count.show(group.value))),
    );
    Some(format!("Within {window}, {}.", listed(parts, &groups)))
}

/// When a population's p99 under one variant is at least twice that under another, and the gap is at least a tenth of
/// the SLO latency; the widest gaps first.
fn who_waited(result: &ExperimentResult) -> Vec<String> {
    let slo_us = result.scenario.slo_latency_us as f64;
    widest(result, |name| {
        let p99 = |run: &RunResult| {
            let latency = &population(run, name)?.latency;
            latency.at(99.0).filter(|_| latency.count >= ENOUGH_FOR_P99).map(|us| us as f64)
        };
        let groups = descending(&per_variant(result, p99));
        let (slowest, quickest) = (groups.first()?.value, groups.last()?.value);
        let differs = slowest >= 2.0 * quickest && slowest - quickest >= slo_us / 10.0;
        differs.then(|| (slowest / quickest.max(1.0), groups))
    })
    .into_iter()
    .map(|(name, groups)| {
        let told = under_each(&groups, Dimension::DurationUs);
        format!("{name}: p99 {told} (the SLO is {}).", format::latency(slo_us))
    })
    .collect()
}

/// When the share of a population that was served differs by at least five points between variants; the widest gaps
/// first.
fn who_was_turned_away(result: &ExperimentResult) -> Vec<String> {
    widest(result, |name| {
        let success = |run: &RunResult| {
            let summary = population(run, name)?;
            summary.success_rate().filter(|_| summary.offered >= ENOUGH_FOR_A_SHARE)
        };
        let groups = descending(&per_variant(result, success));
        let gap = groups.first()?.value - groups.last()?.value;
        (gap >= 0.05).then_some((gap, groups))
    })
    .into_iter()
    .map(|(name, groups)| format!("{name}: success rate {}.", under_each(&groups, Dimension::Share)))
    .collect()
}

/// When a token bucket (or GCRA, which admits the same) kept the shortest peak below the limit, yet let a bucket through
/// more often over the run than the limit times the duration, or over one window than the limit.
fn bounds_the_instant_only(result: &ExperimentResult, variant: &VariantResult) -> Option<String> {
    let scope = variant.runs.iter().flat_map(|run| &run.limits).find(|limit| {
        matches!(limit.algorithm.as_str(), "token-bucket" | "gcra")
            && limit.window_us > 0
            && !limit.peaks.is_empty()
    })?;
    let LimitResult { scope, limit: allowed_per_window, window_us, burst, .. } = scope;
    let of_limit = |measure: &dyn Fn(&LimitResult) -> Option<f64>| {
        Spread::over(variant, |run| measure(limit(run, scope)?)).map(|spread| spread.median)
    };
    let shortest_us = peaks_asked_for(result).iter().find(|(known, _)| known == scope).map(|(_, us)| *us)?;
    let short = Spread::over(variant, |run| peak(run, scope, shortest_us).map(|count| count as f64))?.median;
    let total = of_limit(&|limit| limit.fullest.as_ref().map(|bucket| bucket.count as f64))?;
    let duration_us = result.scenario.duration_s * 1e6;
    let allowed = (f64::from(*allowed_per_window) * duration_us / *window_us as f64).floor();
    if shortest_us >= *window_us || short >= f64::from(*allowed_per_window) || total <= allowed {
        return None;
    }
    let burst = burst.map_or_else(String::new, |burst| {
        format!(", because its bucket of {} is spent on top of the refill", format::count(burst.into()))
    });
    Some(format!(
        "{} bounds the instant and not the long run: it let at most {} requests of {} through in any {}, but {} over \
         all {}, where {} per {} comes to {}{burst}.",
        text::name(&variant.name),
        Dimension::Count.show(short),
        bucket_noun(scope),
        format::span(shortest_us as f64),
        Dimension::Count.show(total),
        format::span(duration_us),
        format::count((*allowed_per_window).into()),
        format::per_window(*window_us),
        Dimension::Count.show(allowed),
    ))
}

/// When an upstream's bounded queue was full at some moment and requests to it ended as upstream errors.
fn queues_that_were_full(variant: &VariantResult) -> Vec<String> {
    let Some(first) = variant.runs.first() else { return Vec::new() };
    let names = first.stations.iter().filter(|station| !station.is_gateway).map(|station| &station.name);
    names
        .filter_map(|name| {
            let full = |run: &RunResult| {
                let station = run.stations.iter().find(|station| station.name == *name)?;
                let queue = station.queue.filter(|queue| *queue > 0 && station.peak_queued >= *queue)?;
                let errors = run.upstreams.iter().find(|upstream| upstream.name == *name)?;
                let errors = errors.summary.count(Outcome::UpstreamError);
                (errors > 0).then_some((queue, errors as f64))
            };
            let queue = variant.runs.iter().find_map(full)?.0;
            let errors = Spread::over(variant, |run| full(run).map(|(_, errors)| errors))?.median;
            Some(format!(
                "Under {}, the queue of the upstream {} was full ({} waiting), and {} requests to it ended as upstream errors.",
                text::name(&variant.name),
                text::name(name),
                format::count(queue.into()),
                Dimension::Count.show(errors),
            ))
        })
        .collect()
}

/// When the gateway shed requests of any population, hostile ones too.
fn shed(result: &ExperimentResult) -> Option<String> {
    let told = how_many(result, Outcome::Shed)?;
    Some(format!("The gateway had no worker and no place in its queue for {told} (503)."))
}

/// When the run ended before requests of any population did, hostile ones too.
fn unfinished(result: &ExperimentResult) -> Option<String> {
    let told = how_many(result, Outcome::Unfinished)?;
    Some(format!("The run ended first for {told}, not counted as served."))
}

/// `318 requests under fixed-window, 12 under base`, of the variants under which that outcome occurred.
fn how_many(result: &ExperimentResult, outcome: Outcome) -> Option<String> {
    let count = |run: &RunResult| {
        let counts = run.populations.iter().map(|population| population.summary.count(outcome));
        Some(counts.fold(0, u64::saturating_add) as f64)
    };
    let mut values = per_variant(result, count);
    values.retain(|(_, count)| *count > 0.0);
    let groups = descending(&values);
    let (first, rest) = groups.split_first()?;
    let most = Dimension::Count.show(first.value);
    let noun = if most == "1" { "request" } else { "requests" };
    let mut parts = vec![format!("{most} {noun} under {}", plain_names(first))];
    parts.extend(
        told(rest)
            .iter()
            .map(|group| format!("{} under {}", Dimension::Count.show(group.value), plain_names(group))),
    );
    Some(listed(parts, &groups))
}

/// Variants for which a measure came to the same.
struct Group<'a> {
    value: f64,
    variants: Vec<&'a VariantResult>,
}

/// The measure of each variant that has one.
fn per_variant(
    result: &ExperimentResult,
    measure: impl Fn(&RunResult) -> Option<f64>,
) -> Vec<(&VariantResult, f64)> {
    let value = |variant| Spread::over(variant, &measure).map(|spread| (variant, spread.median));
    result.variants.iter().filter_map(value).collect()
}

/// From the largest value down; variants with the same value stay in the order of the file.
fn descending<'a>(values: &[(&'a VariantResult, f64)]) -> Vec<Group<'a>> {
    let mut values = values.to_vec();
    values.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut groups: Vec<Group> = Vec::new();
    for (variant, value) in values {
        match groups.last_mut() {
            Some(group) if group.value.total_cmp(&value).is_eq() => group.variants.push(variant),
            _ => groups.push(Group { value, variants: vec![variant] }),
        }
    }
    groups
}

/// All but the first of the groups that a sentence names: every one, or the last where they are many.
fn told<'a, 'b>(rest: &'b [Group<'a>]) -> &'b [Group<'a>] {
    if rest.len() < NUMBERS_TOLD { rest } else { &rest[rest.len() - 1..] }
}

/// `4.21 s under fixed-window, 61.2 ms under token-bucket`.
fn under_each(groups: &[Group], unit: Dimension) -> String {
    let Some((first, rest)) = groups.split_first() else { return String::new() };
    let told = std::iter::once(first).chain(told(rest));
    listed(
        told.map(|group| format!("{} under {}", unit.show(group.value), plain_names(group))).collect(),
        groups,
    )
}

/// The parts that name all groups, or their ends with a word on those between.
fn listed(mut parts: Vec<String>, groups: &[Group]) -> String {
    if groups.len() > NUMBERS_TOLD {
        parts.push("the others between".to_owned());
    }
    text::list(&parts)
}

fn plain_names(group: &Group) -> String {
    names(&group.variants, |variant| text::name(&variant.name))
}

/// All names, or of many the first two and how many more.
fn names(variants: &[&VariantResult], name: impl Fn(&VariantResult) -> String) -> String {
    text::list_some(&variants.iter().map(|variant| name(variant)).collect::<Vec<_>>(), NAMES_TOLD)
}

/// The variant, with the algorithm of its limit where the name does not say it.
fn described(variant: &VariantResult, scope: &str) -> String {
    let name = text::name(&variant.name);
    match variant.runs.first().and_then(|run| limit(run, scope)) {
        Some(limit) if !name.contains(&limit.algorithm) => {
            format!("{name} ({})", text::line(&limit.algorithm))
        }
        _ => name,
    }
}

/// The different `1,000 per minute` of that scope.
fn limits_of(result: &ExperimentResult, scope: &str) -> Vec<String> {
    let mut rules = Vec::new();
    for limit in runs(result).filter_map(|run| limit(run, scope)) {
        let rule =
            format!("{} per {}", format::count(limit.limit.into()), format::per_window(limit.window_us));
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

/// When the peak began, of one variant and one seed.
fn began(result: &ExperimentResult, scope: &str, window_us: u64, group: &Group) -> Option<String> {
    let ([variant], [_]) = (group.variants.as_slice(), result.scenario.seeds.as_slice()) else {
        return None;
    };
    let peaks = &limit(variant.runs.first()?, scope)?.peaks;
    let peak = peaks.iter().find(|peak| peak.window_us == window_us)?;
    Some(format!("from {} on", Clock::of(&result.scenario).at_us(peak.from_us)))
}

fn population<'a>(run: &'a RunResult, name: &str) -> Option<&'a crate::Summary> {
    run.populations.iter().find(|population| population.name == name).map(|population| &population.summary)
}

/// The populations for which `gap` finds one, widest first.
fn widest<'a>(
    result: &'a ExperimentResult,
    gap: impl Fn(&str) -> Option<(f64, Vec<Group<'a>>)>,
) -> Vec<(String, Vec<Group<'a>>)> {
    let mut names: Vec<&str> = Vec::new();
    for population in runs(result).flat_map(|run| &run.populations) {
        if !names.contains(&population.name.as_str()) {
            names.push(&population.name);
        }
    }
    let mut gaps: Vec<(f64, String, Vec<Group>)> = names
        .into_iter()
        .filter_map(|name| gap(name).map(|(gap, groups)| (gap, text::name(name), groups)))
        .collect();
    gaps.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    gaps.into_iter().take(POPULATIONS_TOLD).map(|(_, name, groups)| (name, groups)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bucket, testing};

    #[test]
    fn the_window_boundary_is_told_by_its_limits_and_by_who_waited() {
        assert_eq!(
            facts(&testing::window_boundary()),
            [
                "Within 4 s, fixed-window let up to 2,000 requests of one key through (from 09:00:58 on; the limit is \
                 1,000 per minute), sliding-window-counter 1,034, sliding-window-log 1,000 and token-bucket 166.",
                "partner: p99 4.21 s under fixed-window, 1.24 s under sliding-window-counter, 1.16 s under \
                 sliding-window-log and 61.2 ms under token-bucket (the SLO is 500 ms).",
                "everyone-else: p99 4.21 s under fixed-window, 1.24 s under sliding-window-counter, 1.16 s under \
                 sliding-window-log and 61.2 ms under token-bucket (the SLO is 500 ms).",
                "partner: success rate 92% under fixed-window, 51.7% under sliding-window-counter, 50% under \
                 sliding-window-log and 8.3% under token-bucket.",
                "Under fixed-window, the queue of the upstream orders was full (1,024 waiting), and 318 requests to \
                 it ended as upstream errors.",
            ]
        );
    }

    #[test]
    fn a_longer_window_is_told_only_where_it_says_something_new() {
        let mut result = testing::window_boundary();
        assert_eq!(admitted_at_most(&result, "per_key", 60_000_000), None);
        result.variants[1].runs[0].limits[0].peaks[1].count = 199;
        let told = admitted_at_most(&result, "per_key", 60_000_000).unwrap();
        assert!(told.starts_with("Within 1 min, fixed-window let up to 2,000"), "{told}");
        assert!(told.ends_with("and token-bucket 199."), "{told}");
    }

    #[test]
    fn a_variant_whose_name_does_not_say_its_algorithm_is_described() {
        let mut result = testing::window_boundary();
        result.variants.truncate(1);
        result.variants[0].name = "base".to_owned();
        assert_eq!(
            admitted_at_most(&result, "per_key", 4_000_000).unwrap(),
            "Within 4 s, base (fixed-window) let up to 2,000 requests of one key through (from 09:00:58 on; the limit \
             is 1,000 per minute)."
        );
    }

    #[test]
    fn limits_that_let_nothing_through_are_not_told() {
        let mut result = testing::window_boundary();
        for variant in &mut result.variants {
            variant.runs[0].limits[0].peaks.iter_mut().for_each(|peak| peak.count = 0);
        }
        assert_eq!(admitted_at_most(&result, "per_key", 4_000_000), None);
    }

    #[test]
    fn a_gap_needs_a_factor_a_share_of_the_slo_and_enough_requests() {
        let told = |slow_us: u64, quick_us: u64, count: u64| {
            let mut result = testing::window_boundary();
            result.variants.truncate(2);
            for (variant, us) in result.variants.iter_mut().zip([slow_us, quick_us]) {
                variant.runs[0].populations.truncate(1);
                variant.runs[0].populations[0].summary.latency = testing::distribution(count, us / 2, us);
            }
            who_waited(&result).len()
        };
        assert_eq!(told(200_000, 100_000, 100), 1);
        assert_eq!(told(199_000, 100_000, 100), 0, "less than twice");
        assert_eq!(told(98_000, 49_000, 100), 0, "less than a tenth of the SLO");
        assert_eq!(told(200_000, 100_000, 99), 0, "too few for a p99");
    }

    #[test]
    fn success_rates_are_told_from_five_points_on() {
        let told = |served: u64| {
            let mut result = testing::window_boundary();
            result.variants.truncate(2);
            for (variant, served) in result.variants.iter_mut().zip([1000, served]) {
                variant.runs[0].populations.truncate(1);
                let summary = &mut variant.runs[0].populations[0].summary;
                (summary.offered, summary.outcomes) = (1000, [(Outcome::Served, served)].into());
            }
            who_was_turned_away(&result)
        };
        assert_eq!(told(950), ["partner: success rate 100% under fixed-window and 95% under token-bucket."]);
        assert!(told(951).is_empty());
    }

    #[test]
    fn a_bucket_bounds_the_instant_only_where_its_total_passes_the_limit() {
        // 10 requests per second for two minutes against 100 per minute with a burst of 100.
        let bucket = |total: u64| {
            let mut result = testing::window_boundary();
            let limit = &mut result.variants[1].runs[0].limits[0];
            (limit.limit, limit.peaks[0].count, limit.peaks[1].count) = (100, 40, 199);
            limit.fullest = Some(Bucket { name: "key-0".to_owned(), count: total });
            bounds_the_instant_only(&result, &result.variants[1])
        };
        assert_eq!(bucket(200), None);
        assert_eq!(
            bucket(299).unwrap(),
            "token-bucket bounds the instant and not the long run: it let at most 40 requests of one key through in \
             any 4 s, but 299 over all 2 min, where 100 per minute comes to 200, because its bucket of 100 is spent on top of \
             the refill."
        );
        let fixed = testing::window_boundary();
        assert_eq!(bounds_the_instant_only(&fixed, &fixed.variants[0]), None);
    }

    #[test]
    fn a_full_queue_is_told_only_with_errors_and_errors_only_with_a_full_queue() {
        let result = testing::window_boundary();
        assert_eq!(queues_that_were_full(&result.variants[0]).len(), 1);
        assert!(queues_that_were_full(&result.variants[1]).is_empty());
        let mut unbounded = result.variants[0].clone();
        unbounded.runs[0].stations[1].queue = None;
        assert!(queues_that_were_full(&unbounded).is_empty());
        let mut without_errors = result.variants[0].clone();
        without_errors.runs[0].upstreams[0].summary.outcomes.remove(&Outcome::UpstreamError);
        assert!(queues_that_were_full(&without_errors).is_empty());
    }

    #[test]
    fn what_was_shed_or_left_unfinished_is_counted_over_all_populations() {
        let mut result = testing::window_boundary();
        assert_eq!((shed(&result), unfinished(&result)), (None, None));
        for population in &mut result.variants[0].runs[0].populations {
            population.hostile = true;
            population.summary.outcomes.insert(Outcome::Shed, 600);
        }
        result.variants[1].runs[0].populations[0].summary.outcomes.insert(Outcome::Unfinished, 1);
        assert_eq!(
            shed(&result).unwrap(),
            "The gateway had no worker and no place in its queue for 1,200 requests under fixed-window (503)."
        );
        assert_eq!(
            unfinished(&result).unwrap(),
            "The run ended first for 1 request under token-bucket, not counted as served."
        );
    }

    #[test]
    fn many_variants_are_told_by_their_ends() {
        let mut result = testing::window_boundary();
        result.variants = (0..12)
            .map(|i| {
                let mut variant = result.variants[0].clone();
                variant.name = format!("fixed-window-{i}");
                variant.runs[0].limits[0].peaks[0].count = 100 + i;
                variant
            })
            .collect();
        let told = admitted_at_most(&result, "per_key", 4_000_000).unwrap();
        assert!(told.ends_with("fixed-window-0 100 and the others between."), "{told}");
    }

    #[test]
    fn many_variants_with_the_same_number_are_counted() {
        let mut result = testing::window_boundary();
        result.variants = vec![result.variants[0].clone(); 12];
        assert_eq!(
            admitted_at_most(&result, "per_key", 4_000_000).unwrap(),
            "Within 4 s, fixed-window, fixed-window and 10 others let up to 2,000 requests of one key through (the \
             limit is 1,000 per minute)."
        );
    }

    #[test]
    fn without_requests_there_is_one_sentence() {
        assert_eq!(
            facts(&testing::nothing_happened()),
            ["No request was offered, so there is nothing to compare."]
        );
    }

    #[test]
    fn odd_results_have_facts_or_none_and_do_not_panic() {
        for result in testing::odd() {
            let facts = facts(&result);
            assert!(facts.iter().all(|fact| fact.ends_with('.')), "{facts:?}");
        }
    }
}
