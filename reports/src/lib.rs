//! What was observed in a run, and how it is shown.
//!
//! A [`Recorder`] takes the events of one run as they happen and closes into a [`RunResult`]; the runs of an
//! experiment stand together in an [`ExperimentResult`], from which everything that people read is drawn: the
//! terminal's summary, the HTML report, `result.json`.
//!
//! `reports` knows neither gateway nor simulator and never runs a simulation: whoever runs one maps its events
//! onto the words of this crate.

mod breakdown;
mod chart;
mod expectation;
mod facts;
mod format;
mod html;
mod json;
mod measure;
mod outcome;
mod peak;
mod recorder;
mod recording;
mod result;
mod series;
mod side_by_side;
mod spread;
mod terminal;
#[cfg(test)]
mod testing;
mod text;
mod verdict;

pub use chart::ChartError;
pub use expectation::{Bound, Comparison, Expectation};
pub use facts::facts;
pub use html::{HtmlError, html_report};
pub use json::{JsonError, from_json, to_json};
pub use measure::{Measure, Selector, StationId, Statistic, Unit};
pub use outcome::Outcome;
pub use recorder::{Finished, Layout, LimitLayout, PopulationLayout, Recorder, RouteLayout, StationLayout};
pub use recording::Recording;
pub use result::{
    Bucket, Distribution, Engine, ExpectationCheck, ExpectationResult, ExperimentResult, LimitResult,
    NamedSummary, Peak, Percentile, PopulationResult, RunResult, ScenarioSummary, Setting, StationResult,
    Summary, VERSION, Value, VariantResult,
};
pub use terminal::terminal_summary;
