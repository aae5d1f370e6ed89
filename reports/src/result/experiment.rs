//! The result of an experiment: everything the report, the terminal and a later comparison draw on.
//!
//! This is what `result.json` holds. It depends on the version, the scenario and the seeds alone: no date, no
//! duration of the run, no path, so that the same experiment gives the same bytes anywhere. Within one
//! [`VERSION`] changes are additive.
//!
//! Times in `…_us` are microseconds, in `…_s` seconds. An instant is counted from the scenario's start.
//! A time series has one point per second of scenario time, from the start to the scenario's duration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::agreement::AgreementResult;
use crate::result::expectation::ExpectationResult;
use crate::result::run::RunResult;
use crate::words::format::Clock;

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
    /// The names of the measures that variants are ranked by, most important first; empty for the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objective: Vec<String>,
    /// How much requests count in the objective, by route; routes that are missing count 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<RouteWeight>,
}

/// How much each request on a route counts in the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteWeight {
    /// The route's name.
    pub route: String,
    /// At least 0.
    pub weight: f64,
}

impl ScenarioSummary {
    /// Its clock.
    pub(crate) fn clock(&self) -> Clock {
        Clock::starting_at(self.starts_unix_s, self.starts_nanos)
    }
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
