//! The result of an experiment: everything the report, the terminal and a later comparison draw on.
//!
//! This is what `result.json` holds. It depends on the version, the scenario and the seeds alone: no date, no
//! duration of the run, no path, so that the same experiment gives the same bytes anywhere. Within one
//! [`VERSION`] changes are additive.
//!
//! Times in `…_us` are microseconds, in `…_s` seconds. An instant is counted from the scenario's start.
//! A time series has one point per second of scenario time, from the start to the scenario's duration.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::compare::agreement::AgreementResult;
use crate::record::cause::CauseResult;
use crate::record::harm::{GoodCount, HarmCount, HarmTally, UnpairedCount};
use crate::record::harness::HarnessResult;
use crate::record::heatmap::HeatmapResult;
use crate::record::outcome::Outcome;
use crate::record::saturation::SaturationResult;
use crate::result::strictness::StrictnessResult;

/// The version of the format that this crate writes.
pub const VERSION: u32 = 1;

/// One experiment: a scenario, run for every variant and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExperimentResult {
    /// The version of this format.
    pub version: u32,
    /// The version of Tuesday that ran it.
    pub tuesday: String,
    /// The engine that ran it.
    pub engine: Engine,
    /// What was run.
    pub scenario: ScenarioSummary,
    /// The variants in the order of the file; at least one.
    pub variants: Vec<VariantResult>,
    /// The lines of `expect.hold` in the order of the file.
    pub expectations: Vec<ExpectationResult>,
    /// How far the engines agree, where both ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementResult>,
}

/// Which clock drove the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// An event loop over simulated time.
    Virtual,
    /// Real sockets in real time.
    Live,
}

/// The scenario as far as a reader of the result needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioSummary {
    /// The scenario's title.
    pub name: String,
    /// Its story, as written; may be empty.
    pub story: String,
    /// When scenario time starts, seconds since the Unix epoch, UTC.
    pub starts_unix_s: i64,
    /// Nanoseconds past `starts_unix_s`.
    pub starts_nanos: u32,
    /// For how long requests arrive, seconds.
    pub duration_s: f64,
    /// The seeds, one run of each variant for each; at least one.
    pub seeds: Vec<u64>,
    /// Served within this is good, microseconds.
    pub slo_latency_us: u64,
    /// The whole scenario file.
    pub source: String,
}

/// One configuration and what it did under every seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantResult {
    /// The variant's name; `base` where the file names none.
    pub name: String,
    /// The gateway's settings, each a line, what is off or unbounded too; then whatever else of the file a
    /// variant changes.
    pub settings: Vec<Setting>,
    /// One run per seed, in the order of [`ScenarioSummary::seeds`].
    pub runs: Vec<RunResult>,
}

/// One setting of a variant's gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Path in the scenario file, for example `gateway.workers` or `gateway.rate_limit.per_key`.
    pub key: String,
    /// The value as a reader says it: `256`, `1m`, `unbounded`, `off`, `token-bucket, 1000 per 1m, burst 100`.
    pub value: String,
}

/// What one variant did under one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// The seed.
    pub seed: u64,
    /// All non-hostile populations together.
    pub overall: Summary,
    /// Each population, hostile ones too, in the order of the file.
    pub populations: Vec<PopulationResult>,
    /// Each route over the non-hostile populations, in the order of the file.
    pub routes: Vec<NamedSummary>,
    /// Each upstream over the routes that name it and the non-hostile populations, in the order of the file.
    pub upstreams: Vec<NamedSummary>,
    /// The gateway's rate limits that are on, in the order a request meets them.
    pub limits: Vec<LimitResult>,
    /// The gateway (first, unless it is external) and every upstream, as places with workers and a queue.
    pub stations: Vec<StationResult>,
    /// Attempts that reached an upstream, over all populations.
    pub attempts: u64,
    /// `attempts` ÷ logical requests of all populations; 0 where there were none.
    pub amplification: f64,
    /// Attempts by upstream, in the order of the file; empty in results of a version that did not tell them apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream_attempts: Vec<AttemptsResult>,
    /// What the incident did to whom, against the control; `None` where nothing fails, or that version did not measure
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<HarmResult>,
    /// What the variant does to good requests without any fault, beside the best of those with the same load; `None` where
    /// there is no other, and in results of a version that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strictness: Option<StrictnessResult>,
    /// The circuit breakers that changed their condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<BreakerResult>,
    /// Why requests of non-hostile populations were not served well, the most frequent reasons first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<CauseResult>,
    /// Of a live run, how the harness itself fared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<HarnessResult>,
    /// Where the gateway was, if it was an external one: of its workers, queue, limits and breakers nothing is observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// What went wrong, in the order of the file; empty too in results of a version that did not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultResult>,
    /// Latency over time; `None` where nothing reached an upstream, and in results of a version that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_over_time: Option<HeatmapResult>,
}

impl RunResult {
    /// Why nothing can be judged by it; `None` for a run that is whole and valid.
    pub fn not_judged(&self) -> Option<NotJudged> {
        let harness = self.harness.as_ref()?;
        if harness.invalid.is_empty() {
            harness.interrupted.then_some(NotJudged::Interrupted)
        } else {
            Some(NotJudged::Invalid)
        }
    }
}

/// Something that went wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultResult {
    /// The word for it in the scenario file: `hang`, `slow`.
    pub kind: String,
    /// The upstreams that it struck.
    pub upstreams: Vec<String>,
    /// When it began.
    pub from_us: u64,
    /// When it was over.
    pub to_us: u64,
    /// The share of their attempts that it struck, 0 to 1.
    pub fraction: f64,
}

/// Attempts that reached an upstream, over all populations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptsResult {
    /// The upstream's name.
    pub upstream: String,
    /// Attempts of gateway and services, for requests of clients.
    pub attempts: u64,
    /// `attempts` ÷ logical requests on the routes that reach it, directly or through calls; 0 where there were none.
    pub amplification: f64,
    /// What gateway and services asked it for keys to judge tokens by, which no client asked for; `None` where there was
    /// nothing of the kind, and in results of a version that counted it among the attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fetches: Option<u64>,
    /// Those without a valid identity that came to the application, of an upstream that asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unauthorized: Option<u64>,
    /// Attempts by second.
    pub per_s: Vec<u32>,
}

/// What an incident did to whom, over the time from the first fault to a minute after the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HarmResult {
    /// When the first fault began.
    pub first_fault_us: u64,
    /// When the last fault ended.
    pub last_fault_end_us: u64,
    /// On routes that do not depend on a faulted upstream, of requests that were compared one by one.
    pub collateral: HarmCount,
    /// On routes that do.
    pub direct: HarmCount,
    /// Of closed-loop users, whose requests cannot be; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedHarm>,
    /// The control: all its requests of populations that are not hostile, and those that it served well. Harm says little
    /// where it served few. Missing in results of a version that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<GoodCount>,
    /// From the first fault until collateral hurt stays at or below 1% of every later ten seconds; `None` for never, or not
    /// observed.
    pub containment_us: Option<u64>,
    /// False where nobody sent who could have been hurt, so that there was nothing to contain. Not written where true.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub containment_observed: bool,
    /// From the last fault's end until ten seconds of goodput come to 99% of the control's; `None` for never, or not
    /// observed.
    pub recovery_us: Option<u64>,
    /// False where no ten seconds were left after the last fault, or nothing was good in them without it, so that nobody can
    /// tell. Not written where true.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub recovery_observed: bool,
    /// Each route on which somebody sent.
    pub routes: Vec<RouteHarm>,
    /// Each population that sent and is not hostile.
    pub populations: Vec<PopulationHarm>,
    /// Collateral hurt by intended second.
    pub collateral_hurt_per_s: Vec<u32>,
    /// Direct hurt by intended second.
    pub direct_hurt_per_s: Vec<u32>,
}

/// What was done to the requests of closed-loop users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnpairedHarm {
    /// On routes that do not depend on a faulted upstream.
    pub collateral: UnpairedCount,
    /// On routes that do.
    pub direct: UnpairedCount,
}

impl HarmResult {
    /// On routes that do not depend on a faulted upstream.
    pub fn collateral_tally(&self) -> HarmTally {
        HarmTally { paired: self.collateral, unpaired: self.unpaired.unwrap_or_default().collateral }
    }

    /// On routes that do.
    pub fn direct_tally(&self) -> HarmTally {
        HarmTally { paired: self.direct, unpaired: self.unpaired.unwrap_or_default().direct }
    }

    /// From the first fault until collateral harm ended, microseconds; infinite for never, `None` where it was not observed.
    pub fn contained_after_us(&self) -> Option<f64> {
        self.containment_observed.then(|| self.containment_us.map_or(f64::INFINITY, |us| us as f64))
    }

    /// From the last fault's end until goodput was back, microseconds; infinite for never, `None` where it was not observed.
    pub fn recovered_after_us(&self) -> Option<f64> {
        self.recovery_observed.then(|| self.recovery_us.map_or(f64::INFINITY, |us| us as f64))
    }
}

/// For a field that results of a version without it would have held true.
const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_so(flag: &bool) -> bool {
    *flag
}

/// What was done to a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteHarm {
    /// Its path.
    pub name: String,
    /// Whether it depends on a faulted upstream.
    pub direct: bool,
    /// Its requests that were compared one by one.
    pub requests: HarmCount,
    /// Those of closed-loop users; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedCount>,
}

impl RouteHarm {
    /// All its requests.
    pub fn tally(&self) -> HarmTally {
        HarmTally { paired: self.requests, unpaired: self.unpaired.unwrap_or_default() }
    }
}

/// What was done to a population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationHarm {
    /// Its name.
    pub name: String,
    /// Its requests on routes that do not depend on a faulted upstream.
    pub collateral: HarmCount,
    /// Its requests on routes that do.
    pub direct: HarmCount,
    /// Of a closed-loop population, what became of its requests; the counts above are then none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedHarm>,
    /// Its identities that sent anything, and those of them to whom anything was done; none of a closed-loop population.
    pub identities: HarmCount,
}

impl PopulationHarm {
    /// Its requests on routes that do not depend on a faulted upstream.
    pub fn collateral_tally(&self) -> HarmTally {
        HarmTally { paired: self.collateral, unpaired: self.unpaired.unwrap_or_default().collateral }
    }

    /// Its requests on routes that do.
    pub fn direct_tally(&self) -> HarmTally {
        HarmTally { paired: self.direct, unpaired: self.unpaired.unwrap_or_default().direct }
    }
}

/// The changes of a circuit breaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerResult {
    /// The upstream that it stands before; `checkout→payments` for a service's own.
    pub name: String,
    /// In order of time; it is closed at the start.
    pub changes: Vec<BreakerChangeResult>,
}

/// A change of a circuit breaker's condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerChangeResult {
    /// When.
    pub at_us: u64,
    /// `closed`, `open` or `half-open`, from then on.
    pub to: String,
    /// What had settled by then, of its window or of its probes.
    pub settled: u64,
    /// Failures among them.
    pub failures: u64,
    /// How those failed; `None` in results of a version that did not tell them apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailureCounts>,
}

/// Failures that a circuit breaker counted, by what made them one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureCounts {
    /// The timeout ran out.
    pub timed_out: u64,
    /// Answered with a status of 500 or more.
    pub server_errors: u64,
    /// Answered, but so late that it counts as a failure.
    pub slow: u64,
    /// The connection was refused or broke.
    pub connection_failed: u64,
}

/// Counts and latency of a group of logical requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Logical requests.
    pub offered: u64,
    /// Served within the SLO latency.
    pub good: u64,
    /// `good` per second of the scenario's duration; of a run that was interrupted, of the time that it ran.
    pub goodput_per_s: f64,
    /// How they ended; an outcome that did not occur is left out. The values sum to `offered`.
    #[schemars(schema_with = "outcome_counts")]
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Of those that reached an upstream or were never answered: from the intended time to the final answer, the give-up or
    /// the run's end.
    pub latency: Distribution,
}

/// A count for each outcome: derived, the schema would allow any name.
fn outcome_counts(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": generator.subschema_for::<Outcome>(),
        "additionalProperties": generator.subschema_for::<u64>(),
    })
}

impl Summary {
    /// How many ended that way.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Share of the offered that was served, 0 to 1; `None` where nothing was offered.
    pub fn success_rate(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.count(Outcome::Served) as f64 / self.offered as f64)
    }
}

/// A [`Summary`] of what carries a name in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedSummary {
    /// The route's path or the upstream's name.
    pub name: String,
    /// Its numbers.
    #[serde(flatten)]
    pub summary: Summary,
}

/// A population's numbers, in all and over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationResult {
    /// The population's name.
    pub name: String,
    /// Whether it is kept out of goodput and of [`RunResult::overall`].
    pub hostile: bool,
    /// Its numbers.
    #[serde(flatten)]
    pub summary: Summary,
    /// Logical requests by their intended second.
    pub offered_per_s: Vec<u32>,
    /// Attempts that passed every rate limit, by the second in which they reached the gateway; empty where the gateway
    /// was an external one.
    pub admitted_per_s: Vec<u32>,
    /// Served logical requests by their intended second.
    pub served_per_s: Vec<u32>,
    /// Good logical requests by their intended second.
    pub good_per_s: Vec<u32>,
}

/// A distribution of times; all zero and no percentiles where nothing was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their mean, microseconds.
    pub mean_us: f64,
    /// The least, microseconds. Not written where 0, nor by a version that did not keep it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_us: u64,
    /// The greatest, microseconds.
    pub max_us: u64,
    /// The curve at [`Distribution::PERCENTILES`], in that order.
    pub percentiles: Vec<Percentile>,
    /// The values that are lower bounds, if any are; results of a version that left them out have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bounds: Option<LowerBounds>,
}

/// The values of a distribution that are lower bounds: of requests that were never answered, or never got what they waited
/// for, the time that they waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LowerBounds {
    /// How many.
    pub count: u64,
    /// The least of them, microseconds: what is below it is known exactly.
    pub from_us: u64,
}

/// One point of a distribution's curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// 0 to 100.
    pub p: f64,
    /// The smallest value that `p` percent of the values do not exceed, to three significant digits and never more than the
    /// greatest, microseconds.
    pub us: u64,
}

impl Distribution {
    /// The percentiles of the curve: evenly spaced as a reader of tails sees them, each step a tenth of what is
    /// left, to p99.99.
    pub const PERCENTILES: [f64; 25] = [
        0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0, 99.0,
        99.25, 99.5, 99.7, 99.8, 99.9, 99.95, 99.97, 99.99,
    ];

    /// The share of the values that are lower bounds, 0 to 1; `None` where none is.
    pub fn lower_bound_share(&self) -> Option<f64> {
        let LowerBounds { count, .. } = self.lower_bounds?;
        (self.count > 0).then(|| count as f64 / self.count as f64)
    }

    /// Whether a percentile of this value is a lower bound: some of the values up to it are.
    pub fn is_lower_bound(&self, us: u64) -> bool {
        self.lower_bounds.is_some_and(|bounds| bounds.from_us <= us)
    }

    /// Whether the value at one of [`Distribution::PERCENTILES`] is a lower bound.
    pub fn is_lower_bound_at(&self, p: f64) -> bool {
        self.at(p).is_some_and(|us| self.is_lower_bound(us))
    }

    /// The value at one of [`Distribution::PERCENTILES`], microseconds; `None` where nothing was counted.
    pub fn at(&self, p: f64) -> Option<u64> {
        self.percentiles.iter().find(|point| point.p.total_cmp(&p).is_eq()).map(|point| point.us)
    }
}

/// What one rate limit of the gateway did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitResult {
    /// `per_ip`, `per_key`, `per_route` or `global`.
    pub scope: String,
    /// `fixed-window`, `token-bucket`, `gcra`, `sliding-window-log` or `sliding-window-counter`.
    pub algorithm: String,
    /// Requests per window.
    pub limit: u32,
    /// The window, microseconds.
    pub window_us: u64,
    /// The bucket's capacity, of the algorithms that have one.
    pub burst: Option<u32>,
    /// Attempts that it let through.
    pub admitted: u64,
    /// Attempts that it rejected.
    pub rejected: u64,
    /// How many buckets (keys, addresses, routes) it saw.
    pub buckets: u64,
    /// Attempts that the fullest bucket was let through over the whole run, and which it was.
    pub fullest: Option<Bucket>,
    /// For each window asked for, shortest first: the most that any one bucket was let through within it.
    pub peaks: Vec<Peak>,
    /// Attempts that it let through, by second.
    pub admitted_per_s: Vec<u32>,
    /// Attempts that it rejected, by second.
    pub rejected_per_s: Vec<u32>,
    /// How full its buckets were when; `None` where it rejected nothing, and in results of a version that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationResult>,
}

/// A bucket of a rate limit and a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The key, address or route.
    pub name: String,
    /// Attempts.
    pub count: u64,
}

/// The most admissions of one bucket in any `[t, t + window)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// The length of the window, microseconds.
    pub window_us: u64,
    /// Admissions within it.
    pub count: u64,
    /// When the first such window began, microseconds from the scenario's start.
    pub from_us: u64,
    /// The bucket.
    pub bucket: String,
    /// Of a live run, how the lateness of its requests bears on the count; `None` in virtual time, and in results of a version
    /// that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_lateness: Option<PeakLateness>,
}

/// How the lateness of requests bears on the most admissions within a window: those within one that is shorter, or longer, by
/// about as much as the latest request was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeakLateness {
    /// By how much, microseconds.
    pub by_us: u64,
    /// Admissions within the shorter window.
    pub least: u64,
    /// Admissions within the longer one.
    pub most: u64,
}

/// A place with workers and a queue: the gateway or an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StationResult {
    /// `gateway`, or the upstream's name.
    pub name: String,
    /// Whether this is the gateway.
    pub is_gateway: bool,
    /// Workers; `None` for as many as it takes.
    pub workers: Option<u32>,
    /// Places in the queue; `None` for as many as it takes.
    pub queue: Option<u32>,
    /// Time spent in the queue, 0 where there was no wait; of those that left it without a worker, a lower bound.
    pub wait: Distribution,
    /// Share of worker time in use over the scenario's duration, of a run that was interrupted over the time that it ran, 0 to
    /// 1; `None` for unbounded workers.
    pub utilization: Option<f64>,
    /// Most workers in use at once.
    pub peak_in_flight: u32,
    /// Most waiting at once.
    pub peak_queued: u32,
    /// Turned away because every worker was busy and every place in the queue taken; `None` in results of a version
    /// that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// Of the gateway, those that waited in its queue for as long as it lets anybody wait, and were turned away then;
    /// `None` for upstreams, which let everybody wait, and in results of a version that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out_in_queue: Option<u64>,
    /// Most workers in use at once, by second.
    pub in_flight_per_s: Vec<u32>,
    /// Most waiting at once, by second.
    pub queued_per_s: Vec<u32>,
}

/// One line of `expect.hold` and whether it held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationResult {
    /// The line as written.
    pub text: String,
    /// Whether it held for every variant it names and every seed; false too where it was not judged for some of them and
    /// failed for none.
    pub held: bool,
    /// Whether it claims that something is bad, as a story does of the configuration that it warns of: no requirement that
    /// another configuration ought to meet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asserts_harm: bool,
    /// Each variant and seed it was held against, or was to be.
    pub checks: Vec<ExpectationCheck>,
}

/// An expectation held against one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationCheck {
    /// The variant.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// What was measured: of a percentile the edge of its bucket that the line is judged by, of a count over a window what
    /// remains of it when the harness was late.
    pub measured: Value,
    /// What it was compared with, where the line compares two measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard: Option<Value>,
    /// Of a duration that is a lower bound, because some requests were never answered: the share of those, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_share: Option<f64>,
    /// Whether the line holds for it; false where it was not judged.
    pub held: bool,
    /// Why there was nothing to measure, where one of the two was not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_observed: Option<String>,
    /// Why it was not judged; left out where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<NotJudged>,
}

/// Why a line was not judged: what was measured, if anything was, says nothing of the gateway, or not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotJudged {
    /// The harness spoilt the run, or the one it is compared with.
    Invalid,
    /// The run, or the one it is compared with, was ended before the scenario was over.
    Interrupted,
    /// The run, or the one it is compared with, was not made: one before it was interrupted.
    NotRun,
}

impl NotJudged {
    /// The word for it in files: `invalid`, `interrupted`, `not-run`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Interrupted => "interrupted",
            Self::NotRun => "not-run",
        }
    }
}

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A plain ratio, such as an amplification.
    Number(f64),
    /// A share, 0 to 1.
    Share(f64),
    /// A time in microseconds.
    DurationUs(u64),
    /// Events per second.
    RatePerS(f64),
    /// It did not happen.
    Never,
    /// There was nothing to measure it on (no request was offered, the limit is off).
    NotObserved,
}
