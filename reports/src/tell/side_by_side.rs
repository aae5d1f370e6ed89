//! The table that sets the variants side by side, shared by the terminal and the page.
//!
//! One row per variant, one column per measure. Columns without a direction (how much was rate limited, how much
//! was admitted) are not judged: to limit is what a limit is for.

use crate::measure::catalogue::{GOODPUT, Needs, RECOVERY_TIME, SUCCESS_RATE};
use crate::measure::gauge::{Gauge, everybody};
use crate::measure::reading::Reading;
use crate::measure::unit::{Good, Unit};
use crate::record::harm::{AFTERMATH, HarmTally};
use crate::record::outcome::Outcome;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::harm::HarmResult;
use crate::result::run::{LimitResult, PeakLateness, RunResult};
use crate::result::spread::Spread;
use crate::result::strictness::CommonHarm;
use crate::result::validity::resent;
use crate::statistics::interval::paired;
use crate::words::format::{self, Dimension};
use crate::words::text;

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SideBySide {
    /// The variants' names, one row each.
    pub(crate) variants: Vec<String>,
    /// The measures.
    pub(crate) columns: Vec<Column>,
}

/// One measure of every variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// What it measures, and its unit or condition, one line each.
    pub(crate) heading: [String; 2],
    /// What it is, in a phrase.
    pub(crate) meaning: String,
    /// Which end of it is the good one; `None` where neither is.
    pub(crate) good: Option<Good>,
    /// One cell per variant; `None` where there was nothing to measure.
    pub(crate) cells: Vec<Option<Cell>>,
}

impl Column {
    /// The same with those of its cells marked that are a lower bound under any seed.
    fn at_least(mut self, result: &ExperimentResult, is_lower_bound: impl Fn(&RunResult) -> bool) -> Self {
        for (cell, variant) in self.cells.iter_mut().zip(&result.variants) {
            if let Some(cell) = cell {
                let marked = variant.runs.iter().any(&is_lower_bound);
                cell.text = format::at_least(marked, std::mem::take(&mut cell.text));
            }
        }
        self
    }

    /// The same with those of its cells marked that tell of closed-loop users, whose requests cannot be compared one by one;
    /// with several seeds, these have the interval of their mean.
    fn with_estimates(mut self, result: &ExperimentResult, tally: impl Fn(&HarmResult) -> HarmTally) -> Self {
        for (cell, variant) in self.cells.iter_mut().zip(&result.variants) {
            let tallies: Vec<HarmTally> =
                variant.runs.iter().filter_map(|run| run.harm.as_ref()).map(&tally).collect();
            let is_estimate = tallies.iter().any(HarmTally::has_unpaired);
            if let Some(cell) = cell.as_mut().filter(|_| is_estimate) {
                cell.text = format::estimate(true, std::mem::take(&mut cell.text));
                let shares: Vec<f64> = tallies.iter().filter_map(HarmTally::share).collect();
                let interval = paired(&shares, 0.0, ESTIMATE_CONFIDENCE).map(|estimate| estimate.interval);
                cell.range = interval.map(|[low, high]| {
                    let [low, high] = [low.max(0.0), high.min(1.0)].map(|share| Dimension::Share.show(share));
                    format!("{low} – {high} ({})", Dimension::Share.show(ESTIMATE_CONFIDENCE))
                });
            }
        }
        self
    }

    /// The same with what windows hold that are shorter and longer by how late the requests of a live run were, beside those
    /// counts on which that bears.
    fn with_lateness(mut self, result: &ExperimentResult, scope: &str, window_us: u64) -> Self {
        for (cell, variant) in self.cells.iter_mut().zip(&result.variants) {
            let of_run = |run: &RunResult| {
                let peaks = &limit(run, scope)?.peaks;
                peaks.iter().find(|peak| peak.window_us == window_us)?.by_lateness
            };
            let bounds: Vec<PeakLateness> = variant.runs.iter().filter_map(of_run).collect();
            let least = bounds.iter().map(|bounds| bounds.least).min();
            let most = bounds.iter().map(|bounds| bounds.most).max();
            if let (Some(cell), Some((least, most))) =
                (cell, least.zip(most).filter(|(least, most)| least < most))
            {
                cell.range = Some(format!("{} – {} by lateness", format::count(least), format::count(most)));
            }
        }
        self
    }

    /// The heading on one line.
    pub(crate) fn title(&self) -> String {
        match &self.heading {
            [first, rest] if rest.is_empty() || first.ends_with('-') => format!("{first}{rest}"),
            heading => heading.join(" "),
        }
    }
}

/// Of the interval of an estimate over several seeds.
const ESTIMATE_CONFIDENCE: f64 = 0.95;

/// One measure of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The value, of several seeds the median.
    pub(crate) text: String,
    /// The least and the most over the seeds, where they read differently.
    pub(crate) range: Option<String>,
    /// How it compares.
    pub(crate) mark: Option<Extreme>,
}

/// How a variant compares with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extreme {
    Best,
    Worst,
}

impl SideBySide {
    pub(crate) fn of(result: &ExperimentResult) -> Self {
        let mut columns = measure_columns(result);
        columns.extend(outcome_columns(result));
        columns.extend(peak_columns(result));
        let variants = result.variants.iter().map(|variant| text::name(&variant.name)).collect();
        Self { variants, columns }
    }

    /// Each variant's name and its cells, in the order of the columns.
    pub(crate) fn rows(&self) -> Vec<(&str, Vec<Option<&Cell>>)> {
        let cells = |row: usize| self.columns.iter().map(move |column| column.cells.get(row)?.as_ref());
        self.variants.iter().enumerate().map(|(row, name)| (name.as_str(), cells(row).collect())).collect()
    }

    /// Whether any variant is called best or worst in anything.
    pub(crate) fn is_marked(&self) -> bool {
        let mut cells = self.columns.iter().flat_map(|column| &column.cells).flatten();
        cells.any(|cell| cell.mark.is_some())
    }
}

/// The measures of the catalogue that have a column of their own, in its order.
fn measure_columns(result: &ExperimentResult) -> Vec<Column> {
    let mut columns = Vec::new();
    for gauge in everybody(result.scenario.duration_s) {
        let Some(heading) = gauge.form().heading else { continue };
        if is_shown(result, &gauge) {
            columns.push(measure_column(result, &gauge, heading));
        }
        if *gauge.kind == RECOVERY_TIME && faulted(result) {
            columns.extend(columns_beside_best(result));
        }
    }
    columns
}

fn is_shown(result: &ExperimentResult, gauge: &Gauge) -> bool {
    match gauge.kind.needs {
        // What is neither good nor bad says something of an incident only.
        _ if !gauge.is_judged => faulted(result) && gauge.matters_in(runs(result)),
        needs if needs.faults() => faulted(result),
        Needs::Control | Needs::Requirement => runs(result).any(|run| gauge.read(run).is_some()),
        _ => true,
    }
}

fn measure_column(result: &ExperimentResult, gauge: &Gauge, heading: [&str; 2]) -> Column {
    // What a limit turned away it was meant to turn away; what that did to whom, goodput and latency say.
    let is_neither =
        *gauge.kind == SUCCESS_RATE && runs(result).any(|run| run.overall.count(Outcome::RateLimited) > 0);
    let good = (gauge.is_judged && !is_neither).then_some(gauge.good);
    let unit = match gauge.kind.unit {
        Unit::DurationOrNever => Dimension::UntilUs,
        _ => gauge.unit.dimension(),
    };
    let meaning = match gauge.kind.needs {
        _ if *gauge.kind == GOODPUT => format!(
            "requests served within the SLO latency of {}, per second",
            format::latency_us(result.scenario.slo_latency_us)
        ),
        Needs::Control => {
            "share of the requests that was served within the SLO latency in the run without faults, to which that with \
             them is compared"
                .to_owned()
        }
        _ => gauge.meaning.clone(),
    };
    let value = |run: &RunResult| gauge.read(run).map(Reading::or_never);
    let column = column(result, heading, meaning, (unit, good), value);
    match gauge.kind.needs {
        Needs::Collateral => column.with_estimates(result, HarmResult::collateral_tally),
        Needs::Direct => column.with_estimates(result, HarmResult::direct_tally),
        _ => column.at_least(result, |run| {
            gauge.read(run).is_some_and(|reading| reading.lower_bound_share.is_some())
        }),
    }
}

/// Harm against the best control, where a variant is strict beside it.
fn columns_beside_best(result: &ExperimentResult) -> Vec<Column> {
    let Some(best) = strict_beside(result) else { return Vec::new() };
    let best = text::name(&best);
    let beside = |what: &str, tally: fn(&CommonHarm) -> HarmTally| {
        column(
            result,
            [what, "vs best control"],
            format!(
                "the same against the run of {best} without faults, so that turning requests away has its price"
            ),
            (Dimension::Share, Some(Good::Low)),
            |run| tally(run.strictness.as_ref()?.harm.as_ref()?).share(),
        )
    };
    vec![
        beside("blast radius", CommonHarm::collateral_tally),
        beside("direct damage", CommonHarm::direct_tally),
    ]
}

/// The variant beside whose control any other is strict.
fn strict_beside(result: &ExperimentResult) -> Option<String> {
    result.variants.iter().find_map(|variant| Some(variant.strict()?.best))
}

/// Whether any upstream asks for an identity.
fn guarded(result: &ExperimentResult) -> bool {
    runs(result).any(|run| run.unauthorized().is_some())
}

/// Whether any run was compared with its control.
pub(crate) fn faulted(result: &ExperimentResult) -> bool {
    runs(result).any(|run| run.harm.is_some())
}

/// Whether under any variant more attempts than requests reached an upstream, as far as two decimals show it.
fn retried(result: &ExperimentResult) -> bool {
    runs(result).any(|run| run.amplification >= 1.005)
}

/// The outcomes but `served` that occurred under any variant, as shares of the offered.
fn outcome_columns(result: &ExperimentResult) -> impl Iterator<Item = Column> {
    occurred(result).map(|outcome| {
        let name = outcome.name();
        let heading = match name.split_once('-') {
            Some((first, rest)) => [format!("{first}-"), rest.to_owned()],
            None => [name.to_owned(), String::new()],
        };
        column(
            result,
            heading,
            format!("{name}: {}", outcome_meaning(outcome)),
            (Dimension::Share, None),
            move |run| {
                let offered = run.overall.offered;
                (offered > 0).then(|| run.overall.count(outcome) as f64 / offered as f64)
            },
        )
    })
}

/// The most that one bucket of a limit was let through, for each limit that mattered and window that was looked at.
fn peak_columns(result: &ExperimentResult) -> impl Iterator<Item = Column> {
    peaks_that_matter(result).into_iter().map(|(scope, window_us)| {
        let window = format::span(window_us as f64);
        column(
            result,
            [bucket_heading(&scope), format!("in {window}")],
            format!("the most that {} was let through in any {window}", bucket_noun(&scope)),
            (Dimension::Count, None),
            |run| peak(run, &scope, window_us).map(|count| count as f64),
        )
        .with_lateness(result, &scope, window_us)
    })
}

/// The rows of the table, those together that did just the same: not only as far as the table shows it, but in every count, in
/// latency and in harm.
pub(crate) fn alike(result: &ExperimentResult, table: &SideBySide) -> Vec<Vec<usize>> {
    let same_run = |one: &RunResult, other: &RunResult| {
        one.overall == other.overall
            && one.populations == other.populations
            && one.routes == other.routes
            && one.attempts == other.attempts
            && one.harm == other.harm
    };
    let same_runs = |one: usize, other: usize| {
        let [one, other] = [one, other].map(|row| &result.variants[row].runs);
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_run(one, other))
    };
    let same_cells = |one: usize, other: usize| {
        let text = |cell: Option<&Option<Cell>>| cell.and_then(Option::as_ref).map(|cell| cell.text.clone());
        table.columns.iter().all(|column| text(column.cells.get(one)) == text(column.cells.get(other)))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for row in 0..result.variants.len() {
        match groups.iter_mut().find(|group| same_cells(group[0], row) && same_runs(group[0], row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// What a reader has to know to read the table, as short as it goes.
pub(crate) fn notes(result: &ExperimentResult) -> Vec<String> {
    let told = meanings(result).into_iter().chain(marks(result));
    told.chain(external_gateways(result)).chain(resent(result)).collect()
}

/// What the marks beside numbers say of this result: against which control, estimates, lower bounds, lateness.
pub(crate) fn marks(result: &ExperimentResult) -> Vec<String> {
    let best = strict_beside(result).map(|best| {
        format!(
            "vs best control: against the run of {} without faults, in which most requests were good, and not against the \
             variant's own.",
            text::name(&best)
        )
    });
    let has_estimates = runs(result).filter_map(|run| run.harm.as_ref()).any(|harm| harm.unpaired.is_some());
    let estimates = has_estimates.then(|| {
        "~: an estimate. The requests of closed-loop users depend on the answers before them and cannot be compared one by \
         one: what is told of them is the share of good ones that is missing against the run without faults, by route and \
         population."
            .to_owned()
    });
    let peaks = runs(result).flat_map(|run| &run.limits).flat_map(|limit| &limit.peaks);
    let lateness = peaks.filter_map(|peak| Some(peak.by_lateness?.by_us)).max().map(|us| {
        format!(
            "by lateness: what windows hold that are up to {} shorter or longer, as late as the latest request was sent; a line \
             is judged by the end nearest to what it claims.",
            format::latency_us(us)
        )
    });
    best.into_iter().chain(estimates).chain(unanswered(result)).chain(lateness).collect()
}

/// Where requests were never answered: what share of those that latency is told of, by variant.
pub(crate) fn unanswered(result: &ExperimentResult) -> Option<String> {
    let share = |variant: &VariantResult| {
        let share =
            Spread::over(variant, |run| Some(run.overall.latency.lower_bound_share().unwrap_or(0.0)))?;
        (share.most > 0.0)
            .then(|| format!("{} under {}", Dimension::Share.show(share.median), text::name(&variant.name)))
    };
    let shares: Vec<String> = result.variants.iter().filter_map(share).collect();
    (!shares.is_empty()).then(|| {
        format!(
            "{}a lower bound: requests that gave up or had not ended when the run did count in latency with the time that \
             they waited ({}).",
            format::AT_LEAST,
            text::list(&shares)
        )
    })
}

/// What the columns measure.
pub(crate) fn meanings(result: &ExperimentResult) -> Vec<String> {
    let slo = format::latency_us(result.scenario.slo_latency_us);
    let mut notes = vec![
        format!("goodput: served within the SLO of {slo}, per second. success: served at all."),
        "latency: from the intended send, of requests that reached an upstream or were never answered; those that the \
         gateway turned away have none."
            .to_owned(),
    ];
    if faulted(result) {
        notes.push(format!(
            "blast radius, direct damage: of the requests that do not and that do depend on what failed, the share that \
             was good without the faults and not with them, from the first fault to {} after the last. recovery: from \
             the last fault's end until ten seconds of goodput come to 99% of those without faults.",
            format::span(AFTERMATH.as_micros() as f64)
        ));
        if retried(result) {
            notes.push("amplification: attempts that reached an upstream ÷ requests.".to_owned());
        }
    }
    if guarded(result) {
        notes.push(
            "unauthorized reached: attempts without a valid identity that came to an application that asks for one."
                .to_owned(),
        );
    }
    let outcomes =
        occurred(result).map(|outcome| format!("{}: {}.", outcome.name(), outcome_meaning(outcome)));
    let outcomes: Vec<String> = outcomes.collect();
    if !outcomes.is_empty() {
        notes.push(outcomes.join(" "));
    }
    let mut scopes: Vec<String> = peaks_that_matter(result).into_iter().map(|(scope, _)| scope).collect();
    scopes.dedup();
    notes.extend(scopes.iter().map(|scope| {
        let (heading, noun) = (bucket_heading(scope), bucket_noun(scope));
        format!("{heading} in a time: the most requests of {noun} let through in any such time.")
    }));
    notes
}

/// Where the gateway was an external one, and what therefore is not known.
pub(crate) fn external_gateways(result: &ExperimentResult) -> Vec<String> {
    let mut places: Vec<(&str, Vec<String>)> = Vec::new();
    for variant in &result.variants {
        let Some(place) = variant.runs.iter().find_map(|run| run.external.as_deref()) else { continue };
        let name = text::name(&variant.name);
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, names)) => names.push(name),
            None => places.push((place, vec![name])),
        }
    }
    let all = places.iter().map(|(_, names)| names.len()).sum::<usize>() == result.variants.len();
    let told = places.iter().map(|(place, names)| {
        let under = if all && places.len() == 1 {
            String::new()
        } else {
            format!(" under {}", text::list(names))
        };
        format!(
            "The gateway is external ({}){under}: its workers and queue, what its limits let through and its breakers are \
             not observed, and what it answered by itself is told by the status alone.",
            text::line(place)
        )
    });
    told.collect()
}

/// The outcomes but `served` that occurred under any variant.
fn occurred(result: &ExperimentResult) -> impl Iterator<Item = Outcome> {
    Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Served)
        .filter(move |outcome| runs(result).any(|run| run.overall.count(*outcome) > 0))
}

/// Each scope and window with a peak under any variant, in the order in which a request meets the limits.
pub(crate) fn peaks_asked_for(result: &ExperimentResult) -> Vec<(String, u64)> {
    let mut asked: Vec<(String, u64)> = Vec::new();
    for limit in runs(result).flat_map(|run| &run.limits) {
        for peak in &limit.peaks {
            if !asked.iter().any(|(scope, window_us)| *scope == limit.scope && *window_us == peak.window_us) {
                asked.push((limit.scope.clone(), peak.window_us));
            }
        }
    }
    // Limits stay in their order, the windows of one go from short to long even where variants differ in them.
    let order: Vec<String> = asked.iter().map(|(scope, _)| scope.clone()).collect();
    asked.sort_by_key(|(scope, window_us)| (order.iter().position(|known| known == scope), *window_us));
    asked
}

/// The [`peaks_asked_for`] of the limits that, under any variant, rejected anything or let more through than they allow
/// per window. The peak of a limit that nobody came near to says what the load was, and nothing of the limit.
pub(crate) fn peaks_that_matter(result: &ExperimentResult) -> Vec<(String, u64)> {
    let exceeded = |limit: &LimitResult| {
        let within = limit.peaks.iter().filter(|peak| peak.window_us <= limit.window_us);
        within.map(|peak| peak.count).max() > Some(limit.limit.into())
    };
    let matters = |scope: &str| {
        runs(result).filter_map(|run| limit(run, scope)).any(|limit| limit.rejected > 0 || exceeded(limit))
    };
    peaks_asked_for(result).into_iter().filter(|(scope, _)| matters(scope)).collect()
}

/// The limit of that scope.
pub(crate) fn limit<'a>(run: &'a RunResult, scope: &str) -> Option<&'a LimitResult> {
    run.limits.iter().find(|limit| limit.scope == scope)
}

/// The most that one bucket of that limit was let through within the window.
pub(crate) fn peak(run: &RunResult, scope: &str, window_us: u64) -> Option<u64> {
    let peaks = &limit(run, scope)?.peaks;
    peaks.iter().find(|peak| peak.window_us == window_us).map(|peak| peak.count)
}

/// The scope of a limit, of what the limit is called: `per_key` of `per_key.minute` and `per_key[0]`.
pub(crate) fn scope_of(limit: &str) -> &str {
    limit.split(['.', '[']).next().unwrap_or(limit)
}

/// Whom a limit counts.
pub(crate) fn bucket_noun(limit: &str) -> &'static str {
    match scope_of(limit) {
        "per_key" => "one key",
        "per_ip" => "one address",
        "per_route" => "one route",
        "global" => "the whole gateway",
        _ => "one bucket",
    }
}

/// The head of the column of a scope's peaks.
fn bucket_heading(scope: &str) -> String {
    match scope {
        "per_key" => "most per key".to_owned(),
        "per_ip" => "most per IP".to_owned(),
        "per_route" => "most per route".to_owned(),
        "global" => "most in all".to_owned(),
        other => format!("most {}", text::line(other)),
    }
}

/// What an outcome means to somebody who meets its name for the first time.
fn outcome_meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Served => "answered 2xx, or as the route is expected to, in time",
        Outcome::Redirected => "answered 3xx or 1xx, which the route is not expected to",
        Outcome::UpstreamError => "answered 400 or above by the upstream, or its connection broke",
        Outcome::RateLimited => "429, a rate limit was exhausted",
        Outcome::Unauthenticated => "401, nobody knows who asked",
        Outcome::Forbidden => "403, they may not",
        Outcome::NoRoute => "404, no route serves the path",
        Outcome::ShortCircuited => "503, the circuit breaker was open",
        Outcome::Shed => {
            "503, the gateway had no worker in time and no place to wait, or no keys to judge a token by"
        }
        Outcome::TimedOut => "504, the route's timeout ran out",
        Outcome::GaveUp => "the client's own timeout ran out",
        Outcome::Unreachable => "the gateway refused or reset the connection",
        Outcome::Unfinished => "the run ended first",
    }
}

/// Every run of every variant.
pub(crate) fn runs(result: &ExperimentResult) -> impl Iterator<Item = &RunResult> {
    result.variants.iter().flat_map(|variant| &variant.runs)
}

fn column(
    result: &ExperimentResult,
    heading: [impl Into<String>; 2],
    meaning: String,
    (unit, good): (Dimension, Option<Good>),
    measure: impl Fn(&RunResult) -> Option<f64>,
) -> Column {
    let spread = |variant: &VariantResult| Spread::over(variant, &measure);
    let spreads: Vec<Option<Spread>> = result.variants.iter().map(spread).collect();
    let medians: Vec<Option<f64>> = spreads.iter().map(|spread| spread.map(|spread| spread.median)).collect();
    // Who turns good requests away without any fault is best in nothing, but may well be worst.
    let praised: Vec<bool> = result.variants.iter().map(VariantResult::may_be_praised).collect();
    let of_praised: Vec<Option<f64>> =
        medians.iter().zip(&praised).map(|(median, praised)| median.filter(|_| *praised)).collect();
    let cells = spreads.iter().zip(&praised).map(|(spread, &may_be_praised)| {
        let spread = (*spread)?;
        let (least, most) = (unit.show(spread.least), unit.show(spread.most));
        Some(Cell {
            text: unit.show(spread.median),
            range: (least != most).then(|| format!("{least} – {most}")),
            mark: mark_of(spread.median, may_be_praised, &medians, &of_praised, unit, good),
        })
    });
    Column { heading: heading.map(Into::into), meaning, good, cells: cells.collect() }
}

/// The mark of a value: worst of all, or best of those that may be praised.
fn mark_of(
    value: f64,
    may_be_praised: bool,
    all: &[Option<f64>],
    praised: &[Option<f64>],
    unit: Dimension,
    good: Option<Good>,
) -> Option<Extreme> {
    let best = mark(value, praised, unit, good).filter(|mark| may_be_praised && *mark == Extreme::Best);
    best.or_else(|| mark(value, all, unit, good).filter(|mark| *mark == Extreme::Worst))
}

/// Best or worst, where that is plain to see:
///
/// - the best and the worst variant are apart by more than a tenth; else nobody is marked;
/// - whoever is within a twentieth of an end is marked with it: a difference that small is luck;
/// - and the next one after those stands off as far again from the last of them. Where values come in an even row, none of
///   them is the end of it, and the end is not marked.
///
/// Of shares it is a tenth, or a twentieth, of the share or of what it lacks to a whole, whichever is less: 99% and 95% are
/// one failure in a hundred and five. Less than a point never counts.
fn mark(value: f64, all: &[Option<f64>], unit: Dimension, good: Option<Good>) -> Option<Extreme> {
    let low = all.iter().flatten().copied().min_by(f64::total_cmp)?;
    let high = all.iter().flatten().copied().max_by(f64::total_cmp)?;
    let alike = |a: f64, b: f64, part: f64| match unit {
        Dimension::Share => {
            let size = |share: f64| share.min(1.0 - share);
            (a - b).abs() < (part * size(a).max(size(b))).max(0.01)
        }
        // What never came about is like itself alone.
        _ if a.is_infinite() || b.is_infinite() => a.total_cmp(&b).is_eq(),
        _ => (a - b).abs() <= part * a.abs().max(b.abs()),
    };
    let (best, worst) = match good? {
        Good::High => (high, low),
        Good::Low => (low, high),
    };
    if alike(best, worst, 0.1) {
        return None;
    }
    // Whether the value is at this end, and this end apart from the rest.
    let is_at = |end: f64| {
        let off = |other: &f64| (other - end).abs();
        let by_distance = |one: &f64, other: &f64| off(one).total_cmp(&off(other));
        let (at_end, beyond): (Vec<f64>, Vec<f64>) =
            all.iter().flatten().partition(|other| alike(**other, end, 0.05));
        let last = at_end.into_iter().max_by(by_distance);
        let next = beyond.into_iter().min_by(by_distance);
        alike(value, end, 0.05) && !last.zip(next).is_some_and(|(last, next)| alike(last, next, 0.05))
    };
    if is_at(best) {
        Some(Extreme::Best)
    } else if is_at(worst) {
        Some(Extreme::Worst)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn texts(column: &Column) -> Vec<&str> {
        column.cells.iter().map(|cell| cell.as_ref().map_or("–", |cell| cell.text.as_str())).collect()
    }

    #[test]
    fn a_gateway_that_is_not_ours_is_named() {
        let mut result = testing::window_boundary();
        let told = |result: &ExperimentResult| {
            notes(result).into_iter().filter(|note| note.contains("external")).collect::<Vec<_>>()
        };
        assert_eq!(told(&result), [""; 0]);
        result.variants[1].runs[0].external = Some("http://127.0.0.1:8080".to_owned());
        assert!(
            told(&result)[0].starts_with(
                "The gateway is external (http://127.0.0.1:8080) under token-bucket: its workers"
            ),
            "{:?}",
            told(&result)
        );
        for variant in &mut result.variants {
            variant.runs[0].external = Some("http://127.0.0.1:8080".to_owned());
        }
        assert!(told(&result)[0].starts_with("The gateway is external (http://127.0.0.1:8080): its workers"));
        assert_eq!(told(&result).len(), 1);
    }

    #[test]
    fn columns_are_the_measures_what_occurred_and_the_peaks() {
        let comparison = SideBySide::of(&testing::window_boundary());
        let headings: Vec<String> = comparison.columns.iter().map(Column::title).collect();
        assert_eq!(
            headings,
            [
                "goodput /s",
                "success",
                "latency p50",
                "latency p99",
                "upstream-error",
                "rate-limited",
                "most per key in 4 s",
                "most per key in 1 min"
            ]
        );
        assert_eq!(texts(&comparison.columns[6]), ["2,000", "166", "1,000", "1,034"]);
    }

    #[test]
    fn only_what_differs_is_called_best_or_worst() {
        let marks = |values: &[f64], unit, good| -> Vec<Option<Extreme>> {
            let all: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            values.iter().map(|value| mark(*value, &all, unit, good)).collect()
        };
        let (best, worst) = (Some(Extreme::Best), Some(Extreme::Worst));
        assert_eq!(
            marks(&[4600.0, 61.0, 60.0, 900.0], Dimension::DurationUs, Some(Good::Low)),
            [worst, best, best, None]
        );
        assert_eq!(marks(&[0.991, 0.999], Dimension::Share, Some(Good::High)), [None, None]);
        assert_eq!(marks(&[0.5, 0.9], Dimension::Share, Some(Good::High)), [worst, best]);
        assert_eq!(marks(&[0.5, 0.9], Dimension::Share, None), [None, None]);
        assert_eq!(
            marks(&[f64::INFINITY, 22e6, f64::INFINITY, 23e6], Dimension::UntilUs, Some(Good::Low)),
            [worst, best, worst, best]
        );
        assert_eq!(marks(&[5.0], Dimension::RatePerS, Some(Good::High)), [None]);
        // Goodput of nine-oh-two: 206 is not 226, and 143 is not 158.
        assert_eq!(
            marks(&[158.0, 143.0, 159.0, 223.0, 201.0, 226.0, 206.0], Dimension::RatePerS, Some(Good::High)),
            [None, worst, None, best, None, best, None]
        );
        // Where they come in an even row, none of them is the top of it.
        assert_eq!(
            marks(&[100.0, 97.0, 93.0, 89.0, 70.0], Dimension::RatePerS, Some(Good::High)),
            [None, None, None, None, worst]
        );
        assert_eq!(marks(&[0.0, 0.004, 0.3], Dimension::Share, Some(Good::Low)), [best, best, worst]);
        // Its blast radius: whether 52% or 54% is luck. Of its success, 90% and 86% are 10% and 14% that failed.
        assert_eq!(
            marks(&[0.539, 0.525, 0.542, 0.0, 0.05, 0.0], Dimension::Share, Some(Good::Low)),
            [worst, worst, worst, best, None, best]
        );
        assert_eq!(
            marks(&[0.7, 0.858, 0.598, 0.902, 0.896], Dimension::Share, Some(Good::High)),
            [None, None, worst, best, best]
        );
        assert_eq!(marks(&[0.0, 0.0], Dimension::RatePerS, Some(Good::High)), [None, None]);
    }

    #[test]
    fn seeds_are_folded_into_a_median_with_its_range() {
        let comparison = SideBySide::of(&testing::three_seeds());
        let cell = comparison.columns[6].cells[0].clone().unwrap();
        assert_eq!((cell.text.as_str(), cell.range.as_deref()), ("2,000", Some("1,990 – 2,000")));
    }

    #[test]
    fn where_something_failed_the_columns_say_whom_it_hurt() {
        let mut result = testing::incident();
        let titles = |result: &ExperimentResult| -> Vec<String> {
            SideBySide::of(result).columns.iter().map(Column::title).collect()
        };
        assert_eq!(
            titles(&result)[..9],
            [
                "goodput /s",
                "success",
                "latency p50",
                "latency p99",
                "good without faults",
                "blast radius",
                "direct damage",
                "recovery",
                "amplification"
            ]
        );
        let comparison = SideBySide::of(&result);
        assert_eq!(texts(&comparison.columns[4]), ["99%"; 4]);
        assert_eq!(texts(&comparison.columns[5]), ["18.8%", "0%", "19.1%", "0%"]);
        assert_eq!(texts(&comparison.columns[6]), ["34.4%", "26.1%", "47.3%", "42.5%"]);
        assert_eq!(texts(&comparison.columns[7]), ["never", "22 s", "33 s", "39 s"]);
        assert_eq!(texts(&comparison.columns[8]), ["1.18", "1.31", "1.03", "1.05"]);
        for variant in &mut result.variants {
            variant.runs[0].amplification = 1.004;
        }
        assert!(!titles(&result).contains(&"amplification".to_owned()));
        result.variants[0].runs[0].harm = None;
        assert_eq!(texts(&SideBySide::of(&result).columns[5]), ["–", "0%", "19.1%", "0%"]);
        assert!(!titles(&testing::window_boundary()).contains(&"recovery".to_owned()));
    }

    #[test]
    fn the_peaks_of_a_limit_that_nobody_came_near_to_are_not_shown() {
        let mut result = testing::incident();
        assert!(!peaks_asked_for(&result).is_empty());
        assert_eq!(peaks_that_matter(&result), []);
        result.variants[2].runs[0].limits[0].peaks[1].count = 1001;
        assert_eq!(peaks_that_matter(&result).len(), 2, "more than the limit within its window");
        result.variants[2].runs[0].limits[0].peaks[1].window_us = 600_000_000;
        assert_eq!(peaks_that_matter(&result), [], "more than the limit within ten of its windows");
        result.variants[3].runs[0].limits[0].rejected = 1;
        assert_eq!(peaks_that_matter(&result).len(), 3, "something was rejected");
    }

    #[test]
    fn windows_of_one_limit_go_from_short_to_long_over_all_variants() {
        let mut result = testing::window_boundary();
        result.variants[1].runs[0].limits[0].peaks[0].window_us = 1_000_000;
        let asked: Vec<u64> = peaks_asked_for(&result).into_iter().map(|(_, window_us)| window_us).collect();
        assert_eq!(asked, [1_000_000, 4_000_000, 60_000_000]);
    }
}
