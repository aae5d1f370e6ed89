//! What was observed in a run, and how it is shown.
//!
//! A [`Recorder`] takes the events of one run as they happen and closes into a [`RunResult`]; the runs of an
//! experiment stand together in an [`ExperimentResult`], from which everything that people read is drawn: the
//! terminal's summary, the HTML report, `result.json`.
//!
//! `reports` knows neither gateway nor simulator and never runs a simulation: whoever runs one maps its events
//! onto the words of this crate.

mod outcome;
mod result;

pub use outcome::Outcome;
pub use result::{
    Bucket, Distribution, Engine, ExpectationCheck, ExpectationResult, ExperimentResult, LimitResult,
    NamedSummary, Peak, Percentile, PopulationResult, RunResult, ScenarioSummary, Setting, StationResult,
    Summary, VERSION, Value, VariantResult,
};
