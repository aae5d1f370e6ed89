//! What was observed in a run, and how it is shown.
//!
//! A saved result, read and told in sentences, on a page and in a table:
//!
//! ```
//! use reports::{Legend, TERMINAL_WIDTH, facts, from_json, html_report, terminal_summary};
//!
//! let result = from_json(&std::fs::read_to_string("tests/results/v1.json")?)?;
//! for variant in &result.variants {
//!     println!("{}: {} served well", variant.name, variant.runs[0].overall.good);
//! }
//! assert!(!facts(&result).is_empty());
//! assert!(html_report(&result, "tuesday run")?.starts_with("<!DOCTYPE html>"));
//! println!("{}", terminal_summary(&result, TERMINAL_WIDTH, Legend::None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Recorder`] hears the events of one run as they happen ([`Witness`]) and closes into a [`RunResult`]; the runs of an
//! experiment stand together in an [`ExperimentResult`], from which everything else is drawn: for people the
//! [terminal's summary](terminal_summary), the [HTML report](html_report) and the [summary of a CI
//! job](markdown_summary); for programs [`result.json`](to_json) with its [schema](result_schema), [`JUnit`
//! XML](junit_xml) and CSV ([summary](summary_csv), [series](series_csv), [breakers](breakers_csv), [saturation](saturation_csv),
//! [causes](causes_csv), [expectations](expectations_csv)).
//!
//! `reports` knows neither gateway nor simulator and never runs a simulation: whoever runs one maps its events
//! onto the words of this crate.
//!
//! The rooms, each of which knows only those before it:
//!
//! | room | holds |
//! |---|---|
//! | `words` | how numbers and names read, and how much of a large world is told |
//! | `statistics` | intervals and tests |
//! | `record` | what happens in a run, as it is counted: the recorder that takes the events, and what it keeps |
//! | `result` | the types of `result.json`, how a record becomes them, how the file is written and read, its schema |
//! | `measure` | what a run can be asked for, by name |
//! | `tell` | what a result says, as tables and sentences that every kind of output shares |
//! | `compare` | results set against one another: two sides, the points of a sweep, two engines, a history |
//! | `draw` | charts; it needs no measures, tables or comparisons |
//! | `write` | a result as a file or a page |

mod compare;
mod draw;
mod measure;
mod record;
mod result;
mod statistics;
mod tell;
#[cfg(test)]
mod testing;
mod words;
mod write;

pub use compare::agreement::agreement;
pub use compare::history::gather::{Stored, history, history_measures};
pub use compare::history::json::{history_json, history_schema};
pub use compare::history::result::{
    HISTORY_MOST, HISTORY_VERSION, HistoryChange, HistoryEntry, HistoryResult, LeftOut, VariantHistory,
};
pub use compare::sides::compare::{Compared, Side, compare, compare_with_first};
pub use compare::sides::json::{comparison_json, comparison_schema};
pub use compare::sides::regression::{Allowed, Margin, Regression, RegressionError, Threshold};
pub use compare::sides::requests::{NamedPairs, PairCount, PairedRequests, SeedPairs};
pub use compare::sides::result::{
    COMPARISON_VERSION, ComparedSide, ComparisonResult, DifferenceVerdict, MeasureComparison, MeasuredSide,
    Method, SettingDifference, VariantComparison, side_letter,
};
pub use compare::sweep::gather::{Observation, sweep};
pub use compare::sweep::goal::Goal;
pub use compare::sweep::json::{sweep_json, sweep_schema};
pub use compare::sweep::result::{
    AxisScale, AxisValue, InForce, PointExpectation, PointValue, SWEEP_VERSION, SmallestChange, SweepAxis,
    SweepGoal, SweepMeasure, SweepPoint, SweepResult, TippingPoint,
};
pub use draw::canvas::ChartError;
pub use measure::bound::{Bound, Comparison};
pub use measure::catalogue::{Arguments, MEASURES, Measure, MeasureKind, Needs, Parameter};
pub use measure::expectation::Expectation;
pub use measure::gauge::compared_measures;
pub use measure::measurement::Measurement;
pub use measure::unit::{GaugeUnit, Good, Unit};
pub use record::breaker::{BreakerChange, FailureCounts};
pub use record::broken::Broken;
pub use record::cache::CacheUse;
pub use record::cause::{Cause, CauseId, CauseKind, CauseResult, CauseStep, CauseTable, Ending};
pub use record::distribution::{Distribution, LowerBounds, Percentile};
pub use record::durations::Statistic;
pub use record::good_requests::GoodRequests;
pub use record::harm::{
    AFTERMATH, Awaited, GoodCount, Harm, HarmCount, HarmLayout, HarmRecorder, HarmTally, Pair, UnpairedCount,
    harm_span,
};
pub use record::harness::{HarnessRecord, HarnessResult, LATENESS_OF_SLO};
pub use record::heatmap::HeatmapResult;
pub use record::hosts::HostChange;
pub use record::layout::{
    BreakerId, FaultLayout, HostPlace, Layout, LimitLayout, PopulationLayout, RouteLayout, Selector,
    StationId, StationLayout,
};
pub use record::outcome::Outcome;
pub use record::recorder::Recorder;
pub use record::recording::Recording;
pub use record::saturation::{BucketName, BucketOwner, BucketSaturation, OtherBuckets, SaturationResult};
pub use record::witness::{Finished, RunEvent, Witness};
pub use result::agreement::{AgreementKind, AgreementLine, AgreementResult, AgreementUnit, VariantAgreement};
pub use result::expectation::{ExpectationCheck, ExpectationResult, NotJudged};
pub use result::experiment::{
    Engine, ExperimentResult, RouteWeight, ScenarioSummary, Setting, VERSION, VariantResult,
};
pub use result::harm::{HarmResult, PopulationHarm, RouteHarm, UnpairedHarm};
pub use result::json::{JsonError, from_json, to_json};
pub use result::run::{
    AttemptsResult, BreakerChangeResult, BreakerResult, Bucket, CacheResult, FaultResult, LimitResult,
    NamedSummary, Peak, PeakLateness, PopulationResult, RunResult, StationResult, Summary,
};
pub use result::schema::result_schema;
pub use result::strictness::{CommonHarm, StrictnessResult};
pub use tell::facts::facts;
pub use tell::recommendation::objectives;
pub use tell::verdict::{Standing, Unheld};
pub use words::detail::Detail;
pub use words::digest::sha256;
pub use words::text::acts_when_shown;
pub use words::value::Value;
pub use write::csv::report::{
    breakers_csv, causes_csv, expectations_csv, saturation_csv, series_csv, series_csv_fitted, summary_csv,
};
pub use write::csv::sweep::sweep_csv;
pub use write::html::comparison::comparison_html;
pub use write::html::history::history_html;
pub use write::html::report::{HtmlError, html_report, html_report_of};
pub use write::html::sweep::sweep_html;
pub use write::junit::junit_xml;
pub use write::markdown::comparison::comparison_markdown;
pub use write::markdown::report::markdown_summary;
pub use write::markdown::sweep::sweep_markdown;
pub use write::terminal::agreement::agreement_table;
pub use write::terminal::comparison::comparison_summary;
pub use write::terminal::history::history_summary;
pub use write::terminal::report::{Legend, TERMINAL_WIDTH, terminal_summary};
pub use write::terminal::screen::terminal_screen;
pub use write::terminal::sweep::sweep_summary;
