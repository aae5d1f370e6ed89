//! The result of one run: everything that was counted in it.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::record::breaker::FailureCounts;
use crate::record::cause::CauseResult;
use crate::record::distribution::Distribution;
use crate::record::harness::HarnessResult;
use crate::record::heatmap::HeatmapResult;
use crate::record::outcome::Outcome;
use crate::record::saturation::SaturationResult;
use crate::result::expectation::NotJudged;
use crate::result::harm::HarmResult;
use crate::result::strictness::StrictnessResult;

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
    /// Attempts without a valid identity at the upstreams that ask for one; `None` where none does.
    pub(crate) fn unauthorized(&self) -> Option<u64> {
        let counts = self.upstream_attempts.iter().filter_map(|upstream| upstream.unauthorized);
        counts.reduce(|sum, more| sum + more)
    }

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
    /// Which of their hosts, by number; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<u32>>,
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
    /// How often the gateway asked its hosts how they are; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checks: Option<u64>,
    /// Those without a valid identity that came to the application, of an upstream that asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unauthorized: Option<u64>,
    /// What the cache before it did; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheResult>,
    /// Attempts by second.
    pub per_s: Vec<u32>,
}

/// What the cache before an upstream did with the requests that came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheResult {
    /// The cache answered.
    pub hits: u64,
    /// The cache answered with a copy that had expired, while another request fetched the next one.
    pub stale: u64,
    /// The request waited for the answer to another, which became its own too.
    pub collapsed: u64,
    /// The service was asked.
    pub misses: u64,
}

impl CacheResult {
    /// The share of the requests with which the service had nothing to do, 0 to 1; `None` where none came.
    pub fn hit_ratio(&self) -> Option<f64> {
        let Self { hits, stale, collapsed, misses } = *self;
        let kept_off = hits + stale + collapsed;
        (kept_off + misses > 0).then(|| kept_off as f64 / (kept_off + misses) as f64)
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

/// What one rate limit of the gateway did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitResult {
    /// What it is called: `per_ip`, `per_key`, `per_route` or `global`, and one of several of its scope `per_key.NAME` or
    /// `per_key[0]`.
    pub scope: String,
    /// `fixed-window`, `token-bucket`, `gcra`, `sliding-window-log` or `sliding-window-counter`; `list` for all limits of a scope
    /// as one.
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
    /// How long attempts wait for their turn, of those that do; what waits longer at another limit is told there. `None` for a
    /// limit that lets nobody wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Distribution>,
    /// The status of its rejections; `None` for 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The limits that it stands for, if it is all limits of a scope as one: then `limit` and `window_us` are those of the one
    /// with the longest window, and what was let through is what all of them let through. Empty for a limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<String>,
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
    /// Each host of an upstream that has several; empty of any other station.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostResult>,
}

/// One host of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostResult {
    /// Attempts that came there.
    pub attempts: u64,
    /// Turned away because every worker was busy and every place in the queue taken.
    pub rejected: u64,
    /// Workers; `None` for as many as it takes.
    pub workers: Option<u32>,
    /// Share of worker time in use, 0 to 1; `None` for unbounded workers.
    pub utilization: Option<f64>,
    /// Most workers in use at once.
    pub peak_in_flight: u32,
    /// Most waiting at once.
    pub peak_queued: u32,
    /// When the gateway began to pass it over and took it in again, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<HostChangeResult>,
}

/// The gateway passes a host over from now on, or no longer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostChangeResult {
    /// When, microseconds from the scenario's start.
    pub at_us: u64,
    /// `ejected` or `unhealthy`, or `in` for one that takes part.
    pub to: String,
}
