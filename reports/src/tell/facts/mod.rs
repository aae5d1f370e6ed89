//! What happened, in sentences.
//!
//! A table of forty numbers is read by whoever made it. Everybody else reads sentences, and believes them; so each
//! sentence here is a function of measured numbers with a condition written beside it, and says nothing that the
//! numbers do not. No sentence guesses at causes: what the faults did is told where it was measured against a run
//! without them, and why a request failed, where it was followed back to the reason.
//!
//! Of several seeds, every number is the median.

pub(crate) mod causes;
pub(crate) mod harm;
pub(crate) mod identity;
pub(crate) mod strictness;
pub(crate) mod workers;

use crate::record::outcome::Outcome;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::{LimitResult, PopulationResult, RunResult, StationResult, Summary};
use crate::result::spread::Spread;
use crate::tell::side_by_side::{
    bucket_noun, faulted, limit, peak, peaks_asked_for, peaks_that_matter, runs, scope_of,
};
use crate::words::format::{self, Dimension};
use crate::words::text;

/// Fewer latencies than this have no p99 worth a sentence.
const ENOUGH_FOR_P99: u64 = 100;

/// Fewer requests than this have no share worth a sentence.
const ENOUGH_FOR_A_SHARE: u64 = 20;

/// A share, or a difference between two, that is worth a sentence.
const WORTH_TELLING: f64 = 0.05;

/// Longer names are cut: a sentence holds up to five of them.
const NAME_WIDTH: usize = 60;

/// How many populations a kind of sentence is told about, those with the widest gaps.
const POPULATIONS_TOLD: usize = 3;

/// How many different numbers a sentence lists before it names its ends only.
const NUMBERS_TOLD: usize = 4;

/// How many variants with the same number a sentence names one by one.
const NAMES_TOLD: usize = 4;

/// Every sentence that the numbers call for, the most important first.
///
/// Who came through that should not have comes first, what the faults did to whom next, then what the limits did, who paid for it, and what ran out. Of each kind of
/// sentence the one with the widest gap stands before the second of any kind, so that whoever reads six of them has read
/// of everything.
pub fn facts(result: &ExperimentResult) -> Vec<String> {
    if let Some(sentence) = no_requests(result) {
        return vec![sentence];
    }
    let peaks = peaks_that_matter(result);
    let (shortest, longer): (Vec<_>, Vec<_>) = peaks
        .iter()
        .enumerate()
        .partition(|(place, (scope, _))| peaks.iter().position(|(known, _)| known == scope) == Some(*place));
    let admitted = |windows: Vec<(usize, &(String, u64))>| -> Vec<String> {
        windows.iter().filter_map(|(_, (scope, us))| admitted_at_most(result, scope, *us)).collect()
    };
    let ranked = [
        strictness::who_is_strict(result),
        Vec::from_iter(identity::who_came_without_one(result)),
        Vec::from_iter(harm::who_else_was_hurt(result)),
        Vec::from_iter(workers::who_waited_for_a_worker(result)),
        Vec::from_iter(harm::direct_damage(result)),
        causes::why_others_were_hurt(result),
        Vec::from_iter(harm::recovery(result)),
        Vec::from_iter(causes::attempts_after_the_fault(result)),
        causes::what_keeps_it_up(result),
        Vec::from_iter(harm::containment(result)),
        harm::breakers(result),
        admitted(shortest),
        who_waited(result),
        who_was_served_well(result),
        who_was_limited(result),
        result.variants.iter().flat_map(queues_that_were_full).collect(),
        Vec::from_iter(shed(result)),
        Vec::from_iter(unfinished(result)),
        admitted(longer),
        result.variants.iter().filter_map(|variant| bounds_the_instant_only(result, variant)).collect(),
    ];
    let rounds = ranked.iter().map(Vec::len).max().unwrap_or(0);
    (0..rounds).flat_map(|round| ranked.iter().filter_map(move |kind| kind.get(round).cloned())).collect()
}

/// When no run was offered any request.
fn no_requests(result: &ExperimentResult) -> Option<String> {
    let offered = |run: &RunResult| run.populations.iter().any(|population| population.summary.offered > 0);
    (!runs(result).any(offered)).then(|| "No request was offered, so there is nothing to compare.".to_owned())
}

/// When the limit mattered (see [`peaks_that_matter`]) and a bucket of it was let through at all, and, of the longer windows, when their numbers are not those of
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
    let whom = match scope_of(scope) {
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
    // One of several of its scope.
    let limit = if scope_of(scope) == scope { String::new() } else { format!(" {}", text::line(scope)) };
    let mut parts = vec![format!(
        "{} let up to {} requests {whom}through{limit}{aside}",
        described(first),
        Dimension::Count.show(first.value),
    )];
    parts.extend(
        told(rest).iter().map(|group| format!("{} {}", described(group), Dimension::Count.show(group.value))),
    );
    Some(format!("Within {window}, {}.", listed(parts, &groups)))
}

/// When the p99 of a population that means well is under one variant at least twice that under another, and the gap is
/// at least a tenth of the SLO latency; the widest gaps first.
fn who_waited(result: &ExperimentResult) -> Vec<String> {
    let slo_us = result.scenario.slo_latency_us as f64;
    let told = widest(result, |name| {
        let p99 = |run: &RunResult| {
            let latency = &well_meaning(run, name)?.latency;
            latency.at(99.0).filter(|_| latency.count >= ENOUGH_FOR_P99).map(|us| us as f64)
        };
        // Without faults, nobody is told beside a control.
        let values =
            if faulted(result) { per_praised_variant(result, p99) } else { per_variant(result, p99) };
        let groups = descending(&values);
        let (slowest, quickest) = (groups.first()?.value, groups.last()?.value);
        let differs = slowest >= 2.0 * quickest && slowest - quickest >= slo_us / 10.0;
        differs.then(|| (slowest / quickest.max(1.0), groups))
    });
    let sentence = |(name, groups): (&str, Vec<Group>)| {
        let told = under_each(&groups, Dimension::DurationUs);
        format!("{}: latency p99 was {told} (the SLO is {}).", short(name), format::latency(slo_us))
    };
    told.into_iter().map(sentence).collect()
}

/// When the share of a population that means well that was served within the SLO differs by at least five points
/// between variants, and what became of the others where it is smallest; the widest gaps first.
///
/// It is the share of those that no limit rejected, which are told apart by [`who_was_limited`]: to serve few of a burst
/// well is a failure, to turn most of it away is what the limit was asked for.
fn who_was_served_well(result: &ExperimentResult) -> Vec<String> {
    let slo = format::latency_us(result.scenario.slo_latency_us);
    let told = widest(result, |name| {
        let groups = descending(&per_variant(result, |run| {
            share_of_the_unlimited(well_meaning(run, name)?, |summary| summary.good)
        }));
        let gap = groups.first()?.value - groups.last()?.value;
        (gap >= WORTH_TELLING).then_some((gap, groups))
    });
    let sentence = |(name, groups): (&str, Vec<Group>)| {
        let limited = runs(result)
            .filter_map(|run| well_meaning(run, name))
            .any(|summary| summary.count(Outcome::RateLimited) > 0);
        let told = under_each(&groups, Dimension::Share);
        let others = groups.last().and_then(|worst| what_became_of_the_others(worst.variants.first()?, name));
        let of_whom = if limited {
            "of the requests that no limit rejected, the share"
        } else {
            "the share of requests"
        };
        format!(
            "{}: {of_whom} served within the SLO of {slo} was {told}.{}",
            short(name),
            others.unwrap_or_default()
        )
    };
    told.into_iter().map(sentence).collect()
}

/// ` Under fixed-window, 8.3% were served too late and 0.1% were shed by the gateway (503).`: the two largest shares of
/// those that no limit rejected and that were not served well.
fn what_became_of_the_others(variant: &VariantResult, population: &str) -> Option<String> {
    let share = |count: &dyn Fn(&Summary) -> u64| {
        let spread =
            Spread::over(variant, |run| share_of_the_unlimited(well_meaning(run, population)?, count));
        spread.map_or(0.0, |spread| spread.median)
    };
    let late = share(&|summary| summary.count(Outcome::Served).saturating_sub(summary.good));
    let ended =
        Outcome::ALL.into_iter().filter(|outcome| !matches!(outcome, Outcome::Served | Outcome::RateLimited));
    let mut shares = vec![(late, "served too late")];
    shares.extend(ended.map(|outcome| (share(&|summary| summary.count(outcome)), ended_as(outcome))));
    shares.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let parts: Vec<String> = shares
        .into_iter()
        .filter(|(share, _)| *share > 0.0)
        .take(2)
        .map(|(share, how)| format!("{} were {how}", Dimension::Share.show(share)))
        .collect();
    (!parts.is_empty()).then(|| format!(" Under {}, {}.", short(&variant.name), text::list(&parts)))
}

/// How a request ended, after `were`.
const fn ended_as(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Served => "served",
        Outcome::Redirected => "redirected",
        Outcome::UpstreamError => "answered with an error by the upstream",
        Outcome::RateLimited => "rejected by a rate limit (429)",
        Outcome::Unauthenticated => "rejected as unauthenticated (401)",
        Outcome::Forbidden => "rejected as forbidden (403)",
        Outcome::NoRoute => "for no route (404)",
        Outcome::ShortCircuited => "rejected by an open circuit breaker (503)",
        Outcome::Shed => "shed by the gateway (503)",
        Outcome::TimedOut => "cut off by the gateway's timeout (504)",
        Outcome::GaveUp => "given up by their clients",
        Outcome::Unreachable => "refused or reset at the gateway",
        Outcome::Unfinished => "unfinished when the run ended",
    }
}

/// When rate limits rejected at least a twentieth of a population's requests under any variant; those first whose
/// shares differ most. A limit that rejects does what it is for, so this is told apart from what failed.
fn who_was_limited(result: &ExperimentResult) -> Vec<String> {
    let mut scopes: Vec<&str> = Vec::new();
    for limit in runs(result).flat_map(|run| &run.limits) {
        if !scopes.contains(&limit.scope.as_str()) {
            scopes.push(&limit.scope);
        }
    }
    let limits = match scopes.as_slice() {
        [only] => format!("The {} limit", text::line(only)),
        _ => "Rate limits".to_owned(),
    };
    let limits_of_runs = || runs(result).flat_map(|run| &run.limits).filter(|limit| limit.joins.is_empty());
    let mut statuses: Vec<u16> = limits_of_runs().map(|limit| limit.status.unwrap_or(429)).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let statuses = text::list(&statuses.iter().map(u16::to_string).collect::<Vec<_>>());
    let told = widest(result, |name| {
        let limited = |run: &RunResult| {
            share_of(&population(run, name)?.summary, |summary| summary.count(Outcome::RateLimited))
        };
        let groups = descending(&per_variant(result, limited));
        let (most, least) = (groups.first()?.value, groups.last()?.value);
        (most >= WORTH_TELLING).then_some((most - least, groups))
    });
    let sentence = |(name, groups): (&str, Vec<Group>)| {
        let hostile =
            runs(result).filter_map(|run| population(run, name)).any(|population| population.hostile);
        let told = under_each(&groups, Dimension::Share);
        format!(
            "{limits} rejected requests of {}{} with {statuses}: {told}.",
            short(name),
            if hostile { " (hostile)" } else { "" }
        )
    };
    told.into_iter().map(sentence).collect()
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
    let at_once =
        Spread::over(variant, |run| peak(run, scope, shortest_us).map(|count| count as f64))?.median;
    let total = of_limit(&|limit| limit.fullest.as_ref().map(|bucket| bucket.count as f64))?;
    let duration_us = result.scenario.duration_s * 1e6;
    let allowed = (f64::from(*allowed_per_window) * duration_us / *window_us as f64).floor();
    if shortest_us >= *window_us || at_once >= f64::from(*allowed_per_window) || total <= allowed {
        return None;
    }
    let burst = burst.map_or_else(String::new, |burst| {
        format!(", because its bucket of {} is spent on top of the refill", format::count(burst.into()))
    });
    Some(format!(
        "{} bounds the instant and not the long run: it let at most {} requests of {} through in any {}, but {} over \
         the whole {}, where {} per {} comes to {}{burst}.",
        short(&variant.name),
        Dimension::Count.show(at_once),
        bucket_noun(scope),
        format::span(shortest_us as f64),
        Dimension::Count.show(total),
        format::span(duration_us),
        format::count((*allowed_per_window).into()),
        format::per_window(*window_us),
        Dimension::Count.show(allowed),
    ))
}

/// When an upstream turned requests away because its queue was full. A result that does not count those is told by the
/// fullest moment of the queue and the upstream errors.
fn queues_that_were_full(variant: &VariantResult) -> Vec<String> {
    let Some(first) = variant.runs.first() else { return Vec::new() };
    let stations = first.stations.iter().filter(|station| !station.is_gateway);
    stations.filter_map(|station| queue_that_was_full(variant, &station.name)).collect()
}

fn queue_that_was_full(variant: &VariantResult, name: &str) -> Option<String> {
    fn station<'a>(run: &'a RunResult, name: &str) -> Option<&'a StationResult> {
        run.stations.iter().find(|station| !station.is_gateway && station.name == name)
    }
    let places = variant.runs.iter().find_map(|run| station(run, name)?.queue)?;
    let queue = match places {
        0 => "it has no queue and no worker was free".to_owned(),
        places => format!("its queue of {} was full", format::count(places.into())),
    };
    let (variant_name, upstream) = (short(&variant.name), short(name));
    if let Some(rejected) = Spread::over(variant, |run| Some(station(run, name)?.rejected? as f64)) {
        let times = format::count(rejected.median.round() as u64);
        let times = if times == "1" { "once".to_owned() } else { format!("{times} times") };
        return (rejected.median > 0.0).then(|| {
            format!(
                "Under {variant_name}, the upstream {upstream} turned a request away {times} because {queue}."
            )
        });
    }
    let errors = |run: &RunResult| {
        let full = station(run, name).is_some_and(|station| places > 0 && station.peak_queued >= places);
        let upstream = run.upstreams.iter().find(|upstream| upstream.name == name)?;
        let errors = upstream.summary.count(Outcome::UpstreamError);
        (full && errors > 0).then_some(errors as f64)
    };
    let errors = Spread::over(variant, errors)?.median;
    Some(format!(
        "Under {variant_name}, the queue of the upstream {upstream} was full ({} waiting), and {} requests to it ended \
         as upstream errors.",
        format::count(places.into()),
        Dimension::Count.show(errors),
    ))
}

/// When the gateway shed requests of any population, hostile ones too; with the reasons where the record accounts for
/// all of them.
fn shed(result: &ExperimentResult) -> Option<String> {
    let told = how_many(result, Outcome::Shed)?;
    let gateways: Vec<(u64, &StationResult)> = runs(result)
        .filter_map(|run| {
            let gateway = run.stations.iter().find(|station| station.is_gateway)?;
            let shed = run.populations.iter().map(|population| population.summary.count(Outcome::Shed));
            Some((shed.fold(0, u64::saturating_add), gateway))
        })
        .filter(|(shed, _)| *shed > 0)
        .collect();
    let full = |gateway: &StationResult| gateway.rejected.unwrap_or(0);
    let waited = |gateway: &StationResult| gateway.timed_out_in_queue.unwrap_or(0);
    let accounted =
        gateways.iter().all(|(shed, gateway)| full(gateway).saturating_add(waited(gateway)) >= *shed);
    let any = |count: &dyn Fn(&StationResult) -> u64| gateways.iter().any(|(_, gateway)| count(gateway) > 0);
    let reason = match (accounted, any(&full), any(&waited)) {
        (true, true, false) => ": its workers were busy and its queue was full",
        (true, false, true) => ": they had waited in its queue for as long as it allows",
        (true, true, true) => ": its queue was full, or they had waited in it for as long as it allows",
        _ => "",
    };
    Some(format!("The gateway shed {told} (503){reason}."))
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

/// The same without the variants that are praised for nothing, because they turn good requests away even without a fault.
fn per_praised_variant(
    result: &ExperimentResult,
    measure: impl Fn(&RunResult) -> Option<f64>,
) -> Vec<(&VariantResult, f64)> {
    let mut values = per_variant(result, measure);
    values.retain(|(variant, _)| variant.strict().is_none());
    values
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
    names(&group.variants, |variant| short(&variant.name))
}

/// All names, or of many the first two and how many more.
fn names(variants: &[&VariantResult], name: impl Fn(&VariantResult) -> String) -> String {
    text::list_some(&variants.iter().map(|variant| name(variant)).collect::<Vec<_>>(), NAMES_TOLD)
}

/// The variant, with the algorithm of its limit where the name does not say it.
fn described(variant: &VariantResult, scope: &str) -> String {
    let name = short(&variant.name);
    match variant.runs.first().and_then(|run| limit(run, scope)) {
        Some(limit) if limit.joins.is_empty() && !name.contains(&limit.algorithm) => {
            format!("{name} ({})", text::line(&limit.algorithm))
        }
        _ => name,
    }
}

/// The different `1,000 per minute` of that scope.
fn limits_of(result: &ExperimentResult, scope: &str) -> Vec<String> {
    let mut rules = Vec::new();
    for limit in runs(result).filter_map(|run| limit(run, scope)).filter(|limit| limit.joins.is_empty()) {
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
    Some(format!("from {} on", result.scenario.clock().at_us(peak.from_us)))
}

/// A name as a sentence can hold it.
fn short(name: &str) -> String {
    text::cut(&text::name(name), NAME_WIDTH).into_owned()
}

fn population<'a>(run: &'a RunResult, name: &str) -> Option<&'a PopulationResult> {
    run.populations.iter().find(|population| population.name == name)
}

/// The numbers of a population that is not hostile.
fn well_meaning<'a>(run: &'a RunResult, name: &str) -> Option<&'a Summary> {
    population(run, name).filter(|population| !population.hostile).map(|population| &population.summary)
}

/// The count as a share of the offered, of a group that is large enough.
fn share_of(summary: &Summary, count: impl Fn(&Summary) -> u64) -> Option<f64> {
    (summary.offered >= ENOUGH_FOR_A_SHARE).then(|| count(summary) as f64 / summary.offered as f64)
}

/// The count as a share of the offered that no limit rejected, where those are enough.
fn share_of_the_unlimited(summary: &Summary, count: impl Fn(&Summary) -> u64) -> Option<f64> {
    let unlimited = summary.offered.saturating_sub(summary.count(Outcome::RateLimited));
    (unlimited >= ENOUGH_FOR_A_SHARE).then(|| count(summary) as f64 / unlimited as f64)
}

/// The populations for which `gap` finds one, widest first.
fn widest<'a>(
    result: &'a ExperimentResult,
    gap: impl Fn(&str) -> Option<(f64, Vec<Group<'a>>)>,
) -> Vec<(&'a str, Vec<Group<'a>>)> {
    let mut names: Vec<&str> = Vec::new();
    for population in runs(result).flat_map(|run| &run.populations) {
        if !names.contains(&population.name.as_str()) {
            names.push(&population.name);
        }
    }
    let mut gaps: Vec<(f64, &str, Vec<Group>)> =
        names.into_iter().filter_map(|name| gap(name).map(|(gap, groups)| (gap, name, groups))).collect();
    gaps.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    gaps.into_iter().take(POPULATIONS_TOLD).map(|(_, name, groups)| (name, groups)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::run::Bucket;
    use crate::testing;

    #[test]
    fn the_window_boundary_is_told_by_its_limits_and_by_who_waited() {
        insta::assert_snapshot!(facts(&testing::window_boundary()).join("\n"));
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

    /// The first two variants with the partner alone, of whose thousand requests so many ended like that.
    fn partner(outcomes: [&[(Outcome, u64)]; 2], good: [u64; 2]) -> ExperimentResult {
        let mut result = testing::window_boundary();
        result.variants.truncate(2);
        for ((variant, outcomes), good) in result.variants.iter_mut().zip(outcomes).zip(good) {
            variant.runs[0].populations.truncate(1);
            let summary = &mut variant.runs[0].populations[0].summary;
            (summary.offered, summary.good) = (1000, good);
            summary.outcomes = outcomes.iter().copied().collect();
        }
        result
    }

    #[test]
    fn shares_served_well_are_told_from_five_points_on_with_what_became_of_the_others() {
        let told = |served: u64, good: u64, shed: u64| {
            let worse = [(Outcome::Served, served), (Outcome::Shed, shed)];
            who_was_served_well(&partner([&[(Outcome::Served, 1000)], &worse], [1000, good]))
        };
        assert_eq!(
            told(990, 900, 10),
            [
                "partner: the share of requests served within the SLO of 500 ms was 100% under fixed-window and 90% under \
              token-bucket. Under token-bucket, 9% were served too late and 1% were shed by the gateway (503)."
            ]
        );
        assert_eq!(
            told(950, 950, 50),
            [
                "partner: the share of requests served within the SLO of 500 ms was 100% under fixed-window and 95% under \
              token-bucket. Under token-bucket, 5% were shed by the gateway (503)."
            ]
        );
        assert!(told(951, 951, 49).is_empty());
        let limited = [(Outcome::Served, 500), (Outcome::RateLimited, 500)];
        let limited = partner([&[(Outcome::Served, 1000)], &limited], [300, 500]);
        assert_eq!(
            who_was_served_well(&limited),
            [
                "partner: of the requests that no limit rejected, the share served within the SLO of 500 ms was 100% \
              under token-bucket and 30% under fixed-window. Under fixed-window, 70% were served too late."
            ]
        );
        let mut hostile = partner([&[(Outcome::Served, 1000)], &[(Outcome::Shed, 1000)]], [1000, 0]);
        for variant in &mut hostile.variants {
            variant.runs[0].populations[0].hostile = true;
        }
        assert!(who_was_served_well(&hostile).is_empty(), "nobody pities an attacker");
    }

    #[test]
    fn what_limits_rejected_is_told_as_what_they_did() {
        let told = |limited: u64| {
            let outcomes = [(Outcome::Served, 1000 - limited), (Outcome::RateLimited, limited)];
            partner([&[(Outcome::Served, 1000)], &outcomes], [1000, 1000 - limited])
        };
        assert_eq!(
            who_was_limited(&told(50)),
            [
                "The per_key limit rejected requests of partner with 429: 5% under token-bucket and 0% under fixed-window."
            ]
        );
        assert!(who_was_limited(&told(49)).is_empty());
        let mut two_limits = told(50);
        two_limits.variants[0].runs[0].populations[0].hostile = true;
        let mut second = two_limits.variants[0].runs[0].limits[0].clone();
        second.scope = "global".to_owned();
        two_limits.variants[0].runs[0].limits.push(second);
        assert_eq!(
            who_was_limited(&two_limits),
            [
                "Rate limits rejected requests of partner (hostile) with 429: 5% under token-bucket and 0% under fixed-window."
            ]
        );
    }

    #[test]
    fn the_first_of_each_kind_stands_before_the_second_of_any() {
        let mut result = testing::window_boundary();
        result.variants[0].runs[0].populations[1].summary.outcomes.insert(Outcome::Shed, 9);
        let starts: Vec<String> =
            facts(&result).iter().map(|fact| fact.split_inclusive(' ').take(2).collect()).collect();
        assert_eq!(
            starts,
            [
                "Within 4 ",
                "partner: latency ",
                "partner: of ",
                "The per_key ",
                "Under fixed-window, ",
                "The gateway ",
                "everyone-else: latency ",
                "everyone-else: the ",
            ]
        );
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
             any 4 s, but 299 over the whole 2 min, where 100 per minute comes to 200, because its bucket of 100 is spent on top of \
             the refill."
        );
        let fixed = testing::window_boundary();
        assert_eq!(bounds_the_instant_only(&fixed, &fixed.variants[0]), None);
    }

    #[test]
    fn a_full_queue_is_told_by_those_it_turned_away() {
        let mut result = testing::window_boundary();
        assert_eq!(
            queues_that_were_full(&result.variants[0]),
            [
                "Under fixed-window, the upstream orders turned a request away 318 times because its queue of 1,024 was full."
            ]
        );
        assert!(queues_that_were_full(&result.variants[1]).is_empty());
        let orders = &mut result.variants[0].runs[0].stations[1];
        (orders.queue, orders.rejected) = (Some(0), Some(1));
        assert_eq!(
            queues_that_were_full(&result.variants[0]),
            [
                "Under fixed-window, the upstream orders turned a request away once because it has no queue and no worker was \
              free."
            ]
        );
    }

    #[test]
    fn where_they_were_not_counted_a_full_queue_is_told_only_with_errors_and_errors_only_with_a_full_queue() {
        let mut result = testing::window_boundary();
        for variant in &mut result.variants {
            variant.runs[0].stations[1].rejected = None;
        }
        assert_eq!(
            queues_that_were_full(&result.variants[0]),
            [
                "Under fixed-window, the queue of the upstream orders was full (1,024 waiting), and 318 requests to it ended \
              as upstream errors."
            ]
        );
        assert!(queues_that_were_full(&result.variants[1]).is_empty());
        let mut unbounded = result.variants[0].clone();
        unbounded.runs[0].stations[1].queue = None;
        assert!(queues_that_were_full(&unbounded).is_empty());
        let mut without_errors = result.variants[0].clone();
        without_errors.runs[0].upstreams[0].summary.outcomes.remove(&Outcome::UpstreamError);
        assert!(queues_that_were_full(&without_errors).is_empty());
    }

    #[test]
    fn why_requests_were_shed_is_told_where_the_record_accounts_for_all_of_them() {
        let told = |rejected: Option<u64>, timed_out_in_queue: Option<u64>| {
            let mut result = testing::window_boundary();
            let run = &mut result.variants[0].runs[0];
            run.populations[1].summary.outcomes.insert(Outcome::Shed, 59);
            let gateway = &mut run.stations[0];
            (gateway.rejected, gateway.timed_out_in_queue) = (rejected, timed_out_in_queue);
            shed(&result).unwrap()
        };
        let because = "The gateway shed 59 requests under fixed-window (503)";
        assert_eq!(told(None, None), format!("{because}."));
        assert_eq!(told(Some(58), Some(0)), format!("{because}."));
        assert_eq!(
            told(Some(59), Some(0)),
            format!("{because}: its workers were busy and its queue was full.")
        );
        assert_eq!(
            told(Some(0), Some(60)),
            format!("{because}: they had waited in its queue for as long as it allows.")
        );
        assert_eq!(
            told(Some(30), Some(29)),
            format!("{because}: its queue was full, or they had waited in it for as long as it allows.")
        );
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
        assert_eq!(shed(&result).unwrap(), "The gateway shed 1,200 requests under fixed-window (503).");
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
