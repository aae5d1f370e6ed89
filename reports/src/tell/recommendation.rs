//! Which variant to take, by a rule that is written down. `advice` puts the choice into sentences.
//!
//! A table of measures leaves the choice to its reader, and two readers choose differently. So the choice is made by a rule:
//! the measures of the objective are asked one after the other, and those variants stay that are within a margin of the best.
//! A margin keeps a tenth of a point in the first measure from outweighing ten points in the second. The order says what
//! matters most: nobody who has nothing to do with the failure is to be hurt, before anything else.
//!
//! Ranked together are only variants that live in the same world (the same upstreams, faults, routes and offered load): who
//! has twice the load and half the goodput is not the worse configuration. Set aside are variants whose runs the harness
//! spoilt, and those that turn good requests away without any fault: nothing is left in these that a fault could hurt.

use std::cmp::Ordering;

use crate::measure::catalogue::{
    BLAST_RADIUS, DIRECT_DAMAGE, GOODPUT, LATENCY, MeasureKind, P99, RECOVERY_TIME,
};
use crate::measure::gauge::{Gauge, everybody, measure_name};
use crate::measure::reading::Reading;
use crate::measure::unit::{Good, Unit};
use crate::result::expectation::NotJudged;
use crate::result::experiment::{ExperimentResult, Setting, VariantResult};
use crate::result::harm::HarmResult;
use crate::result::praise::STRICT;
use crate::result::run::{NamedSummary, RunResult};
use crate::result::spread::Spread;
use crate::statistics::binomial::success_rate_at_least;

/// The measures that variants can be ranked by, as `[report] objective` names them.
pub fn objectives() -> Vec<String> {
    let judged = everybody(0.0).into_iter().filter(|gauge| gauge.is_judged);
    judged.map(|gauge| gauge.measure).collect()
}

/// What is asked of an incident unless the scenario says otherwise, most important first.
static OF_AN_INCIDENT: [(&MeasureKind, &str); 4] =
    [(&BLAST_RADIUS, ""), (&DIRECT_DAMAGE, ""), (&RECOVERY_TIME, ""), (&GOODPUT, "")];

/// What is asked where nothing fails.
static WITHOUT_FAULTS: [(&MeasureKind, &str); 2] = [(&GOODPUT, ""), (&LATENCY, P99)];

/// Whether two values are within the margin of each other.
pub(crate) fn is_level(objective: &Gauge, one: f64, other: f64) -> bool {
    is_within_margin(objective, one, other) && is_within_margin(objective, other, one)
}

/// Whether a value is as good as the best, for all that the difference is worth: a point of a share, five seconds of a time
/// until something is over, ten percent of a latency, one percent of anything else. A time that never came is as good only as
/// one that never came either.
fn is_within_margin(objective: &Gauge, value: f64, best: f64) -> bool {
    let margin = match objective.kind.unit {
        Unit::Share | Unit::Requests => SHARE_MARGIN,
        Unit::DurationOrNever => TIME_MARGIN_US,
        Unit::Duration => best * LATENCY_MARGIN,
        Unit::Rate | Unit::Count | Unit::Number => best * RATE_MARGIN,
    };
    match objective.good {
        Good::High => value >= best - margin,
        Good::Low => value <= best + margin,
    }
}

/// The better first.
fn compare(objective: &Gauge, one: f64, other: f64) -> Ordering {
    match objective.good {
        Good::High => other.total_cmp(&one),
        Good::Low => one.total_cmp(&other),
    }
}

/// One point of a share.
const SHARE_MARGIN: f64 = 0.01;
/// Five seconds.
const TIME_MARGIN_US: f64 = 5e6;
/// A share of the least latency.
const LATENCY_MARGIN: f64 = 0.1;
/// A share of the best goodput.
const RATE_MARGIN: f64 = 0.01;

/// How much a request on each route counts in the objective.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights(Vec<(String, f64)>);

impl Weights {
    fn of(result: &ExperimentResult) -> Self {
        Self(result.scenario.weights.iter().map(|weight| (weight.route.clone(), weight.weight)).collect())
    }

    /// Whether a measure is another one by these weights.
    fn weigh(&self, objective: &Gauge) -> bool {
        !self.0.is_empty() && [&BLAST_RADIUS, &DIRECT_DAMAGE, &GOODPUT].iter().any(|kind| objective.is(kind))
    }

    /// What a run came to; infinite for a time that never came, `None` where there is nothing to measure.
    fn value(&self, objective: &Gauge, run: &RunResult) -> Option<f64> {
        if !self.weigh(objective) {
            return objective.read(run).map(Reading::or_never);
        }
        if objective.is(&GOODPUT) {
            return Some(self.goodput(run));
        }
        self.harm(run.harm.as_ref()?, objective.is(&DIRECT_DAMAGE))
    }

    fn get(&self, route: &str) -> f64 {
        self.0.iter().find(|(name, _)| name == route).map_or(1.0, |(_, weight)| *weight)
    }

    /// The weighted share of hurt requests on routes that depend on what failed, or on the others; `None` where there are none.
    fn harm(&self, harm: &HarmResult, direct: bool) -> Option<f64> {
        let (mut hurt, mut total) = (0.0, 0.0);
        for route in harm.routes.iter().filter(|route| route.direct == direct) {
            let (weight, tally) = (self.get(&route.name), route.tally());
            hurt += weight * tally.hurt();
            total += weight * tally.total() as f64;
        }
        (total > 0.0).then(|| hurt / total)
    }

    /// The weighted sum of the routes' goodput.
    fn goodput(&self, run: &RunResult) -> f64 {
        let of_route = |route: &NamedSummary| self.get(&route.name) * route.summary.goodput_per_s;
        run.routes.iter().map(of_route).sum()
    }
}

/// What to take of an experiment, and how the others compare.
pub(crate) struct Recommendation {
    /// What was asked, most important first.
    pub(crate) objective: Vec<Gauge>,
    /// The worlds of the experiment, each with the variants that live in it, the first variant's first.
    pub(crate) groups: Vec<Ranking>,
    /// How much requests count.
    weights: Weights,
}

/// The variants of one world, ranked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranking {
    /// By their places in the result, the best first.
    pub(crate) ranked: Vec<usize>,
    /// Variants that are not ranked, in the order of the result.
    pub(crate) set_aside: Vec<(usize, SetAside)>,
    /// Variants that are within every margin of the pick, itself first.
    pub(crate) tied: Vec<usize>,
    /// Where another variant on the Pareto front is better than the pick beyond a margin.
    pub(crate) trade_offs: Vec<TradeOff>,
    /// The best that leaves the clients as they are, where the pick does not.
    pub(crate) without_clients: Option<usize>,
    /// How often the same variant is picked by one seed alone.
    pub(crate) sureness: Option<Sureness>,
}

impl Ranking {
    /// What to take; `None` where every variant was set aside.
    pub(crate) fn pick(&self) -> Option<usize> {
        self.ranked.first().copied()
    }
}

/// Why a variant is not ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SetAside {
    /// Its runs do not count, for this reason.
    NotJudged(NotJudged),
    /// It turns this share of the good requests away without any fault.
    Strict(f64),
}

/// A variant that is better than the pick in one measure, and worse in one that is asked before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TradeOff {
    /// The variant's place.
    pub(crate) variant: usize,
    /// The measure's place in the objective.
    pub(crate) measure: usize,
    /// What the variant came to, and what the pick did.
    pub(crate) value: f64,
    pub(crate) of_pick: f64,
}

/// How often a seed alone leads to the same pick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sureness {
    /// Seeds that do.
    pub(crate) agree: u64,
    /// All seeds.
    pub(crate) seeds: u64,
    /// The share of mornings on which it is the pick is at least this, with 95% confidence (Clopper and Pearson, *Biometrika*
    /// 26, 1934).
    pub(crate) at_least: f64,
}

impl Recommendation {
    /// What this result says.
    pub(crate) fn of(result: &ExperimentResult) -> Self {
        let faulted = result.variants.iter().flat_map(|variant| &variant.runs).any(|run| run.harm.is_some());
        let named = |usual: &[(&MeasureKind, &str)]| {
            usual.iter().map(|(kind, form)| measure_name(kind, form)).collect::<Vec<String>>()
        };
        let names = match (result.scenario.objective.as_slice(), faulted) {
            ([], true) => named(&OF_AN_INCIDENT),
            ([], false) => named(&WITHOUT_FAULTS),
            (asked, _) => asked.to_vec(),
        };
        let mut known = everybody(result.scenario.duration_s);
        let objective: Vec<Gauge> = names
            .iter()
            .filter_map(|name| {
                let place = known.iter().position(|gauge| gauge.measure == *name)?;
                Some(known.swap_remove(place))
            })
            .collect();
        let weights = Weights::of(result);
        let rule = Rule { result, objective: &objective, weights: &weights, faulted };
        let groups = worlds(&result.variants).iter().map(|members| rule.rank(members)).collect();
        Self { objective, groups, weights }
    }

    /// What a variant came to in a measure of the objective: the median over its runs; infinite for a time that never came,
    /// `None` where there is nothing to measure.
    pub(crate) fn value(&self, objective: &Gauge, variant: &VariantResult) -> Option<f64> {
        Spread::over(variant, |run| self.weights.value(objective, run)).map(|spread| spread.median)
    }

    /// A measure of the objective in words: `latency p99`, and `weighted goodput` where requests do not count alike.
    pub(crate) fn words(&self, objective: &Gauge) -> String {
        let words = objective.measure.replace('_', " ").replacen('.', " ", 1);
        if self.weights.weigh(objective) { format!("weighted {words}") } else { words }
    }

    /// Whether a measure of the objective counts some requests more than others.
    pub(crate) fn weighs(&self, objective: &Gauge) -> bool {
        self.weights.weigh(objective)
    }
}

/// The rule, and what it is applied to.
struct Rule<'a> {
    result: &'a ExperimentResult,
    objective: &'a [Gauge],
    weights: &'a Weights,
    /// Whether anything fails. Without faults, goodput itself tells who turns good requests away.
    faulted: bool,
}

/// The values of the objective's measures, by place of the variant.
type Values = Vec<Vec<Option<f64>>>;

impl Rule<'_> {
    fn rank(&self, members: &[usize]) -> Ranking {
        let (mut candidates, mut set_aside) = (Vec::new(), Vec::new());
        for &member in members {
            match self.set_aside(member) {
                Some(why) => set_aside.push((member, why)),
                None => candidates.push(member),
            }
        }
        let values = self.values(|variant, objective| {
            Spread::over(variant, |run| self.weights.value(objective, run)).map(|spread| spread.median)
        });
        let tied = self.best(&candidates, &values);
        let mut ranked = Vec::with_capacity(candidates.len());
        let mut left = candidates.clone();
        while let Some(&next) = self.best(&left, &values).first() {
            left.retain(|place| *place != next);
            ranked.push(next);
        }
        let pick = ranked.first().copied();
        let keeps_clients = |place: &usize| !self.changes_clients(*place);
        let without_clients = pick.filter(|pick| self.changes_clients(*pick)).and_then(|_| {
            let others: Vec<usize> = candidates.iter().copied().filter(keeps_clients).collect();
            self.best(&others, &values).first().copied()
        });
        Ranking {
            trade_offs: pick.map_or_else(Vec::new, |pick| self.trade_offs(pick, &candidates, &values)),
            sureness: pick.and_then(|pick| self.sureness(pick, &candidates)),
            ranked,
            set_aside,
            tied,
            without_clients,
        }
    }

    fn values(&self, value: impl Fn(&VariantResult, &Gauge) -> Option<f64>) -> Values {
        let of_variant = |variant| self.objective.iter().map(|objective| value(variant, objective)).collect();
        self.result.variants.iter().map(of_variant).collect()
    }

    fn set_aside(&self, place: usize) -> Option<SetAside> {
        let variant = &self.result.variants[place];
        let not_judged = variant.runs.iter().find_map(RunResult::not_judged);
        let strict = || variant.strict().map(|strict| SetAside::Strict(strict.lost));
        not_judged.map(SetAside::NotJudged).or_else(|| if self.faulted { strict() } else { None })
    }

    /// The candidates within every margin of the best, the one to be named first: of those left after a measure, the next
    /// measure is asked. One without a value is judged by the others.
    fn best(&self, candidates: &[usize], values: &Values) -> Vec<usize> {
        let mut left = candidates.to_vec();
        for (number, objective) in self.objective.iter().enumerate() {
            let of = |place: &usize| values[*place][number];
            let Some(best) = left.iter().filter_map(of).min_by(|one, other| compare(objective, *one, *other))
            else {
                continue;
            };
            left.retain(|place| of(place).is_none_or(|value| is_within_margin(objective, value, best)));
        }
        // The sort is stable: of those with as many changes the first in the file.
        left.sort_by_key(|place| self.changed_settings(*place));
        left
    }

    /// Settings in which a variant differs from the first.
    fn changed_settings(&self, place: usize) -> usize {
        changes(self.result, place).count()
    }

    fn changes_clients(&self, place: usize) -> bool {
        changes(self.result, place).any(|change| change.key.starts_with("clients."))
    }

    /// Of each candidate that nobody beats in everything, the first measure in which it is better than the pick by more than
    /// the margin.
    fn trade_offs(&self, pick: usize, candidates: &[usize], values: &Values) -> Vec<TradeOff> {
        let is_beaten = |place: usize| {
            candidates.iter().any(|other| *other != place && self.dominates(*other, place, values))
        };
        let on_the_front = candidates.iter().filter(|place| **place != pick && !is_beaten(**place));
        let better = |&variant: &usize| {
            self.objective.iter().enumerate().find_map(|(measure, objective)| {
                let (value, of_pick) = (values[variant][measure]?, values[pick][measure]?);
                let is_better = compare(objective, value, of_pick).is_lt();
                (is_better && !is_within_margin(objective, of_pick, value)).then_some(TradeOff {
                    variant,
                    measure,
                    value,
                    of_pick,
                })
            })
        };
        on_the_front.filter_map(better).collect()
    }

    /// Whether one is at least as good in everything and better in something, by the raw values.
    fn dominates(&self, one: usize, other: usize, values: &Values) -> bool {
        let mut is_better = false;
        for (number, objective) in self.objective.iter().enumerate() {
            let (Some(one), Some(other)) = (values[one][number], values[other][number]) else { continue };
            match compare(objective, one, other) {
                Ordering::Less => is_better = true,
                Ordering::Equal => {}
                Ordering::Greater => return false,
            }
        }
        is_better
    }

    /// How many seeds alone lead to the same pick; `None` of a single seed.
    fn sureness(&self, pick: usize, candidates: &[usize]) -> Option<Sureness> {
        let seeds = &self.result.scenario.seeds;
        if seeds.len() < 2 {
            return None;
        }
        let picked = |seed: &&u64| {
            let run = |place: usize| self.result.variants[place].runs.iter().find(|run| run.seed == **seed);
            let is_strict = |place: &usize| {
                let share = run(*place).and_then(|run| run.strictness.as_ref()?.share());
                self.faulted && share.is_some_and(|share| share > STRICT)
            };
            let here: Vec<usize> = candidates.iter().copied().filter(|place| !is_strict(place)).collect();
            let values = self.values(|variant, objective| {
                let run = variant.runs.iter().find(|run| run.seed == **seed)?;
                self.weights.value(objective, run)
            });
            self.best(&here, &values).first() == Some(&pick)
        };
        let agree = seeds.iter().filter(picked).count() as u64;
        let seeds = seeds.len() as u64;
        Some(Sureness { agree, seeds, at_least: success_rate_at_least(agree, seeds, CONFIDENCE) })
    }
}

/// The settings that a variant has otherwise than the first variant.
pub(crate) fn changes(result: &ExperimentResult, place: usize) -> impl Iterator<Item = &Setting> {
    let first = result.variants.first().map_or(&[][..], |first| &first.settings);
    let is_new = move |to: &&Setting| {
        first.iter().find(|before| before.key == to.key).is_none_or(|before| before.value != to.value)
    };
    result.variants[place].settings.iter().filter(is_new)
}

/// Of what is said of mornings that were not played.
const CONFIDENCE: f64 = 0.95;

/// The variants by the world that they live in, each world in the order of its first variant.
fn worlds(variants: &[VariantResult]) -> Vec<Vec<usize>> {
    /// Settings with their values.
    type WorldSettings = Vec<(String, String)>;
    let world = |variant: &VariantResult| -> WorldSettings {
        let settings = variant.settings.iter().filter(|setting| is_of_the_world(&setting.key));
        settings.map(|setting| (setting.key.clone(), setting.value.clone())).collect()
    };
    let mut worlds: Vec<(WorldSettings, Vec<usize>)> = Vec::new();
    for (place, variant) in variants.iter().enumerate() {
        let world = world(variant);
        match worlds.iter_mut().find(|(known, _)| *known == world) {
            Some((_, members)) => members.push(place),
            None => worlds.push((world, vec![place])),
        }
    }
    worlds.into_iter().map(|(_, members)| members).collect()
}

/// Whether a setting is of the world, and not of a configuration that somebody could choose: capacity, latency and workers of
/// services, who calls whom, faults, where routes lead, and what clients send. What clients make of the answers (their retries
/// and their timeout) is a choice, and so are a service's own policies, as the gateway's are: whose tokens it lets in, and the
/// breaker, the retries and the timeout of its calls.
fn is_of_the_world(key: &str) -> bool {
    if let Some(setting) = setting_of_clients(key) {
        return !matches!(first_of(setting), "retry" | "timeout");
    }
    if let Some(setting) = setting_of_named("upstreams.", key) {
        return match first_of(setting) {
            "auth" => false,
            "calls" => {
                let of_call = setting.split_once("].").map_or("", |(_, of_call)| first_of(of_call));
                !matches!(of_call, "breaker" | "retry" | "timeout")
            }
            _ => true,
        };
    }
    key.starts_with("upstreams")
        || key.starts_with("faults")
        || (key.starts_with("routes.") && key.ends_with(".upstream"))
        || key.starts_with("and ")
}

/// What stands behind the population's name in `clients.NAME.SETTING`; a name with other characters than letters, digits, `-`
/// and `_` is quoted.
pub(crate) fn setting_of_clients(key: &str) -> Option<&str> {
    setting_of_named("clients.", key)
}

/// The first key of a path, without its place in an array.
fn first_of(setting: &str) -> &str {
    setting.split(['.', '[']).next().unwrap_or_default()
}

/// What stands behind the name in `TABLE.NAME.SETTING`.
fn setting_of_named<'k>(table: &str, key: &'k str) -> Option<&'k str> {
    let rest = key.strip_prefix(table)?;
    let Some(quoted) = rest.strip_prefix('"') else {
        return rest.split_once('.').map(|(_, setting)| setting);
    };
    let mut is_escaped = false;
    let end = quoted.find(|character| match character {
        '"' if !is_escaped => true,
        character => {
            is_escaped = character == '\\' && !is_escaped;
            false
        }
    })?;
    quoted[end + 1..].strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::harm::HarmCount;
    use crate::record::harness::HarnessRecord;
    use crate::result::experiment::RouteWeight;
    use crate::result::strictness::StrictnessResult;
    use crate::tell::advice::Advice;
    use crate::testing;

    /// A variant, in numbers: collateral and direct harm in thousandths, recovery in seconds, goodput and p99.
    struct Case {
        name: &'static str,
        settings: &'static [(&'static str, &'static str)],
        harm: Option<[u64; 2]>,
        recovery_s: Option<u64>,
        goodput: f64,
        p99_us: u64,
    }

    const fn case(
        name: &'static str,
        settings: &'static [(&'static str, &'static str)],
        harm: [u64; 2],
    ) -> Case {
        Case { name, settings, harm: Some(harm), recovery_s: Some(1), goodput: 100.0, p99_us: 100_000 }
    }

    const NONE: &[(&str, &str)] = &[("gateway.timeout", "1m"), ("clients.shoppers.retry.backoff", "none")];
    const TIMEOUT: &[(&str, &str)] = &[("gateway.timeout", "5s"), ("clients.shoppers.retry.backoff", "none")];
    const RETRY: &[(&str, &str)] =
        &[("gateway.timeout", "1m"), ("clients.shoppers.retry.backoff", "exponential")];
    const BOTH: &[(&str, &str)] =
        &[("gateway.timeout", "5s"), ("clients.shoppers.retry.backoff", "exponential")];

    fn result(cases: &[Case]) -> ExperimentResult {
        let mut result = testing::incident();
        let pattern = result.variants[1].clone();
        result.expectations.clear();
        result.variants = cases.iter().map(|case| variant(&pattern, case)).collect();
        result
    }

    fn variant(pattern: &VariantResult, case: &Case) -> VariantResult {
        let mut variant = pattern.clone();
        case.name.clone_into(&mut variant.name);
        let setting =
            |(key, value): &(&str, &str)| Setting { key: (*key).to_owned(), value: (*value).to_owned() };
        variant.settings = case.settings.iter().map(setting).collect();
        let run = &mut variant.runs[0];
        run.overall.goodput_per_s = case.goodput;
        let p99 = run.overall.latency.percentiles.iter_mut().find(|point| point.p.total_cmp(&99.0).is_eq());
        p99.unwrap().us = case.p99_us;
        match case.harm {
            None => run.harm = None,
            Some([collateral, direct]) => {
                let harm = run.harm.as_mut().unwrap();
                harm.collateral = HarmCount { hurt: collateral, total: 1_000 };
                harm.direct = HarmCount { hurt: direct, total: 1_000 };
                harm.recovery_us = case.recovery_s.map(|seconds| seconds * 1_000_000);
                for route in &mut harm.routes {
                    route.requests = if route.direct { harm.direct } else { harm.collateral };
                }
            }
        }
        variant
    }

    fn names<'a>(result: &'a ExperimentResult, places: &[usize]) -> Vec<&'a str> {
        places.iter().map(|place| result.variants[*place].name.as_str()).collect()
    }

    /// The first world's ranking, its names in order, and all that is said.
    fn judged(result: &ExperimentResult) -> (Ranking, Vec<&str>, Advice) {
        let recommendation = Recommendation::of(result);
        let ranking = recommendation.groups[0].clone();
        let ranked = names(result, &ranking.ranked);
        let mut advice = Advice::of(result, &recommendation);
        advice.headline = advice.headline.replace('\u{a0}', " ");
        (ranking, ranked, advice)
    }

    #[test]
    fn one_that_is_better_in_everything_is_picked() {
        let result = result(&[case("a", NONE, [500, 600]), case("b", TIMEOUT, [0, 200])]);
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["b", "a"]);
        assert_eq!((ranking.tied.as_slice(), ranking.trade_offs.as_slice()), (&[1][..], &[][..]));
        assert_eq!(
            advice.headline,
            "Take b: nobody else was hurt, and 20% of the requests that needed the failed services were; it needs \
             gateway.timeout = 5s."
        );
        assert_eq!(
            advice.sureness.as_deref(),
            Some("One morning (seed 902): --seeds 20 tells how sure this is.")
        );
    }

    #[test]
    fn the_first_measure_decides_before_the_second_is_asked() {
        // Ten points less of direct damage do not make up for two points more of others who were hurt.
        let result = result(&[case("a", NONE, [20, 200]), case("b", TIMEOUT, [0, 300])]);
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["b", "a"]);
        let trade_off = TradeOff { variant: 0, measure: 1, value: 0.2, of_pick: 0.3 };
        assert_eq!(ranking.trade_offs, [trade_off]);
        assert_eq!(advice.notes, ["a is better in direct damage: 20% in the place of 30%."]);
    }

    #[test]
    fn within_the_margins_is_a_tie_and_the_fewest_changes_are_named() {
        // A point, five seconds and one percent exactly are within.
        let last = Case { recovery_s: Some(6), goodput: 99.0, ..case("c", NONE, [10, 210]) };
        let result = result(&[last, case("b", BOTH, [0, 200]), case("a", TIMEOUT, [0, 200])]);
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(names(&result, &ranking.tied), ["c", "a", "b"]);
        assert_eq!(ranked[0], "c");
        assert_eq!(
            advice.notes[0],
            "c, a and b do the same within the margins; c changes the fewest settings."
        );
        assert!(advice.headline.starts_with("Keep c: "), "{}", advice.headline);
        // The front uses raw values, but what is better within the margin is no trade-off.
        assert_eq!(ranking.trade_offs, []);
    }

    #[test]
    fn whoever_turns_everybody_away_is_set_aside() {
        let mut result = result(&[case("a", NONE, [500, 600]), case("deny", TIMEOUT, [0, 0])]);
        for (variant, hurt) in result.variants.iter_mut().zip([0, 9_800]) {
            variant.runs[0].strictness = Some(StrictnessResult {
                best: "a".to_owned(),
                control: HarmCount { hurt, total: 10_000 },
                unpaired: None,
                harm: None,
            });
        }
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["a"]);
        assert_eq!(ranking.set_aside, [(1, SetAside::Strict(0.98))]);
        assert!(
            advice.headline.starts_with("Every configuration but a was set aside: "),
            "{}",
            advice.headline
        );
        assert_eq!(
            advice.notes,
            ["deny (it turns 98% of the good requests away without any fault) was set aside."]
        );
    }

    #[test]
    fn without_faults_goodput_tells_who_turns_requests_away_and_nobody_is_set_aside_for_it() {
        let mut result = result(&[
            Case { harm: None, goodput: 92.0, ..case("a", NONE, [0, 0]) },
            Case { harm: None, ..case("b", TIMEOUT, [0, 0]) },
        ]);
        result.variants[0].runs[0].strictness = Some(StrictnessResult {
            best: "b".to_owned(),
            control: HarmCount { hurt: 875, total: 10_000 },
            unpaired: None,
            harm: None,
        });
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!((ranked.as_slice(), ranking.set_aside.as_slice()), (&["b", "a"][..], &[][..]));
        assert!(advice.headline.starts_with("Take b: 100/s "), "{}", advice.headline);
    }

    #[test]
    fn of_spoilt_runs_nothing_is_named() {
        let mut result = result(&[case("a", NONE, [500, 600]), case("b", TIMEOUT, [0, 200])]);
        let mut record = HarnessRecord::new(20.0, 100, 20_000);
        record.exhausted = 7;
        let harness = record.result(std::time::Duration::from_millis(500));
        assert!(!harness.invalid.is_empty());
        result.variants[1].runs[0].harness = Some(harness.clone());
        let (_, ranked, _) = judged(&result);
        assert_eq!(ranked, ["a"]);
        result.variants[0].runs[0].harness = Some(harness);
        let (ranking, ranked, advice) = judged(&result);
        assert!(ranked.is_empty() && ranking.pick().is_none());
        assert_eq!(
            advice.headline,
            "No configuration can be named: a (the harness could not keep up) and b (the harness could not keep up) were set \
             aside."
        );
        assert_eq!(advice.sureness, None);
    }

    #[test]
    fn one_variant_is_no_choice() {
        let result = result(&[case("a", NONE, [500, 600])]);
        let (_, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["a"]);
        assert_eq!(
            advice.headline,
            "There is only one configuration, a: 50% of the requests that needed nothing failed were hurt, and 60% of the \
             requests that needed the failed services were."
        );
        assert_eq!((advice.sureness, advice.notes), (None, Vec::new()));
    }

    #[test]
    fn without_faults_goodput_and_then_the_p99_decide() {
        let slow = Case { harm: None, goodput: 92.0, ..case("a", NONE, [0, 0]) };
        let level = Case { harm: None, goodput: 99.5, p99_us: 300_000, ..case("b", TIMEOUT, [0, 0]) };
        let quick = Case { harm: None, goodput: 99.9, p99_us: 97_000, ..case("c", BOTH, [0, 0]) };
        let result = result(&[slow, level, quick]);
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["c", "b", "a"]);
        assert_eq!(ranking.without_clients, Some(1));
        assert_eq!(
            advice.headline,
            "Take c: 100/s were served within the SLO of 500 ms, and the latency p99 was 97 ms; it needs gateway.timeout = 5s \
             and the clients' retries changed. With the gateway alone: b, latency p99 300 ms."
        );
    }

    #[test]
    fn another_load_is_another_world() {
        const RUSH: &[(&str, &str)] = &[("gateway.timeout", "1m"), ("clients.shoppers.rate", "60/s")];
        const RUSH_TIMEOUT: &[(&str, &str)] = &[("gateway.timeout", "5s"), ("clients.shoppers.rate", "60/s")];
        const CALM: &[(&str, &str)] = &[("gateway.timeout", "1m"), ("clients.shoppers.rate", "40/s")];
        let result = result(&[
            case("calm", CALM, [300, 300]),
            case("rush", RUSH, [400, 500]),
            case("rush-timeout", RUSH_TIMEOUT, [0, 400]),
        ]);
        let recommendation = Recommendation::of(&result);
        let groups: Vec<_> =
            recommendation.groups.iter().map(|ranking| names(&result, &ranking.ranked)).collect();
        assert_eq!(groups, [vec!["calm"], vec!["rush-timeout", "rush"]]);
        let advice = Advice::of(&result, &recommendation);
        assert!(advice.headline.starts_with("No other variant has the upstreams, faults and load of calm: "));
        assert_eq!(
            advice.notes,
            [
                "With other upstreams, faults or load, rush-timeout before rush: nobody else was hurt, and 40% of the requests \
              that needed the failed services were."
            ]
        );
    }

    #[test]
    fn a_pick_that_needs_other_clients_has_the_best_without_beside() {
        let result = result(&[
            case("a", NONE, [500, 600]),
            case("retries", RETRY, [400, 600]),
            case("bulkhead", TIMEOUT, [0, 228]),
            case("both", BOTH, [0, 206]),
        ]);
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["both", "bulkhead", "retries", "a"]);
        assert_eq!(ranking.without_clients, Some(2));
        assert_eq!(
            advice.headline,
            "Take both: nobody else was hurt, and 20.6% of the requests that needed the failed services were; it needs \
             gateway.timeout = 5s and the clients' retries changed. With the gateway alone: bulkhead, direct damage 22.8%."
        );
    }

    #[test]
    fn seeds_that_disagree_say_how_sure_the_pick_is() {
        let mut result = result(&[case("a", NONE, [100, 600]), case("b", TIMEOUT, [0, 200])]);
        result.scenario.seeds = (1..=20).collect();
        for (number, variant) in result.variants.iter_mut().enumerate() {
            let run = variant.runs[0].clone();
            variant.runs = (1..=20).map(|seed| RunResult { seed, ..run.clone() }).collect();
            if number == 1 {
                for run in &mut variant.runs[..2] {
                    run.harm.as_mut().unwrap().collateral.hurt = 300;
                }
            }
        }
        let (ranking, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["b", "a"]);
        let sureness = ranking.sureness.unwrap();
        assert_eq!((sureness.agree, sureness.seeds), (18, 20));
        // The p of which 18 or more of 20 have a probability of 5%.
        assert!((sureness.at_least - 0.717_381_5).abs() < 1e-6);
        assert_eq!(advice.sureness.as_deref(), Some("Picked on 18 of 20 mornings (at least 71%)."));
    }

    #[test]
    fn what_never_recovers_is_last_and_told() {
        let never = Case { recovery_s: None, ..case("a", NONE, [0, 200]) };
        let late = Case { recovery_s: Some(60), ..case("b", TIMEOUT, [0, 200]) };
        let both = result(&[never, late]);
        assert_eq!(judged(&both).1, ["b", "a"]);
        let alone = result(&[
            Case { recovery_s: None, ..case("a", NONE, [0, 200]) },
            Case { recovery_s: None, ..case("b", TIMEOUT, [100, 200]) },
        ]);
        let (_, ranked, advice) = judged(&alone);
        assert_eq!(ranked, ["a", "b"]);
        assert_eq!(
            advice.headline,
            "Keep a: nobody else was hurt, 20% of the requests that needed the failed services were, and goodput never came \
             back."
        );
    }

    #[test]
    fn where_everything_needs_what_failed_the_others_are_not_spoken_of() {
        let mut result = result(&[case("a", NONE, [0, 600]), case("b", TIMEOUT, [0, 200])]);
        for variant in &mut result.variants {
            variant.runs[0].harm.as_mut().unwrap().collateral = HarmCount::default();
        }
        let (_, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["b", "a"]);
        assert_eq!(
            advice.headline,
            "Take b: 20% of the requests that needed the failed services were hurt; it needs gateway.timeout = 5s."
        );
    }

    #[test]
    fn an_objective_and_weights_of_the_file_change_the_pick() {
        let fast = Case { goodput: 200.0, ..case("a", NONE, [500, 600]) };
        let mut result = result(&[fast, case("b", TIMEOUT, [0, 200])]);
        assert_eq!(judged(&result).1, ["b", "a"]);
        result.scenario.objective = vec!["goodput".to_owned()];
        assert_eq!(judged(&result).1, ["a", "b"]);

        // Two collateral routes: on the one that counts ten times, nobody was hurt under a.
        result.scenario.objective = vec!["blast_radius".to_owned()];
        for (variant, [light, heavy]) in result.variants.iter_mut().zip([[600, 0], [0, 100]]) {
            let harm = variant.runs[0].harm.as_mut().unwrap();
            harm.collateral = HarmCount { hurt: light + heavy, total: 2_000 };
            let mut route = harm.routes[1].clone();
            route.requests = HarmCount { hurt: heavy, total: 1_000 };
            harm.routes[1].requests = HarmCount { hurt: light, total: 1_000 };
            "/heavy".clone_into(&mut route.name);
            harm.routes.push(route);
        }
        assert_eq!(judged(&result).1, ["b", "a"]);
        result.scenario.weights = vec![RouteWeight { route: "/heavy".to_owned(), weight: 10.0 }];
        assert_eq!(judged(&result).1, ["a", "b"]);
    }

    #[test]
    fn the_settings_of_a_population_are_found_behind_its_name() {
        assert_eq!(setting_of_clients("clients.shoppers.retry.max"), Some("retry.max"));
        assert_eq!(setting_of_clients(r#"clients."a.retry \" b".rate"#), Some("rate"));
        assert_eq!(setting_of_clients("gateway.timeout"), None);
        assert!(is_of_the_world(r#"clients."a.retry".rate"#) && !is_of_the_world("clients.a.timeout"));
    }

    #[test]
    fn policies_of_services_are_a_choice_and_what_they_are_made_of_is_the_world() {
        for choice in [
            "upstreams.orders.auth",
            "upstreams.orders.auth.required_claims[0].name",
            r#"upstreams."a.workers".auth.audience"#,
            "upstreams.orders.calls[0].breaker.window",
            "upstreams.orders.calls[12].retry",
            "upstreams.orders.calls[0].timeout",
            "gateway.auth",
        ] {
            assert!(!is_of_the_world(choice), "{choice}");
        }
        for world in [
            "upstreams.orders",
            "upstreams.orders.workers",
            "upstreams.orders.latency.log-normal.p99",
            r#"upstreams."x.auth".queue"#,
            "upstreams.orders.calls",
            "upstreams.orders.calls[0].upstream",
            "upstreams.orders.calls[1]",
            "upstreams.orders.requires.audience",
            "faults[0].for",
            "routes.\"/a\".upstream",
            "and 2 more",
        ] {
            assert!(is_of_the_world(world), "{world}");
        }
    }

    #[test]
    fn variants_that_differ_in_a_services_own_breaker_are_ranked_together() {
        const OWN: &[(&str, &str)] = &[
            ("gateway.timeout", "1m"),
            ("clients.shoppers.retry.backoff", "none"),
            ("upstreams.orders.calls[0].breaker.window", "10s"),
        ];
        let result = result(&[case("a", NONE, [500, 600]), case("in-the-service", OWN, [0, 200])]);
        let (_, ranked, advice) = judged(&result);
        assert_eq!(ranked, ["in-the-service", "a"]);
        assert!(advice.headline.starts_with("Take in-the-service: "), "{}", advice.headline);
    }

    #[test]
    fn a_breaker_before_every_upstream_is_one_change() {
        const BREAKERS: &[(&str, &str)] = &[
            ("gateway.timeout", "1m"),
            ("gateway.upstreams.orders.breaker", "50% of at least 20"),
            ("gateway.upstreams.stock.breaker", "50% of at least 20"),
            ("clients.shoppers.retry.backoff", "exponential"),
        ];
        let result = result(&[case("a", NONE, [500, 600]), case("breakers", BREAKERS, [0, 200])]);
        let (_, _, advice) = judged(&result);
        let needed = "; it needs gateway.upstreams.{orders, stock}.breaker = 50% of at least 20 and the clients' retries changed.";
        assert!(advice.headline.contains(needed), "{}", advice.headline);
    }

    #[test]
    fn weighted_figures_are_called_so() {
        let mut result = result(&[
            Case { harm: None, goodput: 92.0, ..case("a", NONE, [0, 0]) },
            Case { harm: None, ..case("b", TIMEOUT, [0, 0]) },
        ]);
        result.scenario.objective = vec!["goodput".to_owned(), "latency.p99.9".to_owned()];
        result.scenario.weights = vec![RouteWeight { route: "/orders".to_owned(), weight: 2.5 }];
        let (_, _, advice) = judged(&result);
        assert!(advice.headline.contains("the weighted goodput was "), "{}", advice.headline);
        assert!(advice.headline.contains("the latency p99.9 was "), "{}", advice.headline);
        let told = "These figures weigh requests by their route: /orders by 2.5, any other by 1.";
        assert!(advice.notes.iter().any(|note| note == told), "{:?}", advice.notes);
    }
}
