//! What was observed in a run, and how it is shown.
//!
//! A [`Recorder`] takes the events of one run as they happen and closes into a [`RunResult`]; the runs of an
//! experiment stand together in an [`ExperimentResult`], from which everything else is drawn: for people the
//! [terminal's summary](terminal_summary), the [HTML report](html_report) and the [summary of a CI
//! job](markdown_summary); for programs [`result.json`](to_json) with its [schema](result_schema), [`JUnit`
//! XML](junit_xml) and CSV ([summary](summary_csv), [series](series_csv), [breakers](breakers_csv), [saturation](saturation_csv),
//! [causes](causes_csv), [expectations](expectations_csv)).
//!
//! `reports` knows neither gateway nor simulator and never runs a simulation: whoever runs one maps its events
//! onto the words of this crate.

mod agreement;
mod agreement_table;
mod breakdown;
mod breaker_cause;
mod breaker_changes;
mod cause;
mod cause_ranking;
mod chart;
mod comparison;
mod csv;
mod detail;
mod differences;
mod durations;
mod expectation;
mod facts;
mod format;
mod gauge;
mod good_requests;
mod harm;
mod harness;
mod heatmap;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
mod measure;
mod measurement;
mod outcome;
mod peak;
mod recorder;
mod recording;
mod result;
mod saturation;
mod schema;
mod series;
mod side_by_side;
mod spread;
mod statistics;
mod strictness;
mod sweep;
mod terminal;
#[cfg(test)]
mod testing;
mod text;
mod validity;
mod verdict;

pub use self::csv::{
    breakers_csv, causes_csv, expectations_csv, saturation_csv, series_csv, series_csv_fitted, summary_csv,
};
pub use agreement::{
    AgreementKind, AgreementLine, AgreementResult, AgreementUnit, VariantAgreement, agreement,
};
pub use agreement_table::agreement_table;
pub use cause::{Cause, CauseId, CauseKind, CauseResult, CauseStep, CauseTable, Ending};
pub use chart::ChartError;
pub use comparison::{
    Allowed, COMPARISON_VERSION, Compared, ComparedSide, ComparisonResult, DifferenceVerdict, GaugeUnit,
    Good, Margin, MeasureComparison, MeasuredSide, Method, NamedPairs, PairCount, PairedRequests, Regression,
    RegressionError, SeedPairs, SettingDifference, Side, Threshold, VariantComparison, compare,
    comparison_html, comparison_json, comparison_markdown, comparison_schema, comparison_summary,
};
pub use detail::Detail;
pub use expectation::{Bound, Comparison, Expectation};
pub use facts::facts;
pub use good_requests::GoodRequests;
pub use harm::{
    AFTERMATH, Awaited, GoodCount, Harm, HarmCount, HarmLayout, HarmRecorder, HarmTally, Pair, UnpairedCount,
    harm_span,
};
pub use harness::{HarnessRecord, HarnessResult, LATENESS_OF_SLO};
pub use heatmap::HeatmapResult;
pub use html::{HtmlError, html_report, html_report_of};
pub use json::{JsonError, from_json, to_json};
pub use junit::junit_xml;
pub use markdown::markdown_summary;
pub use measure::{BreakerId, Measure, Selector, StationId, Statistic, Unit};
pub use measurement::Measurement;
pub use outcome::Outcome;
pub use recorder::{
    BreakerChange, FaultLayout, Finished, Layout, LimitLayout, PopulationLayout, Recorder, RouteLayout,
    StationLayout,
};
pub use recording::Recording;
pub use result::{
    AttemptsResult, BreakerChangeResult, BreakerResult, Bucket, Distribution, Engine, ExpectationCheck,
    ExpectationResult, ExperimentResult, FailureCounts, FaultResult, HarmResult, LimitResult, LowerBounds,
    NamedSummary, NotJudged, Peak, PeakLateness, Percentile, PopulationHarm, PopulationResult, RouteHarm,
    RunResult, ScenarioSummary, Setting, StationResult, Summary, UnpairedHarm, VERSION, Value, VariantResult,
};
pub use saturation::{BucketSaturation, OtherBuckets, SaturationResult};
pub use schema::result_schema;
pub use strictness::{CommonHarm, StrictnessResult};
pub use sweep::{
    AxisScale, AxisValue, Goal, InForce, Observation, PointExpectation, PointValue, SWEEP_VERSION,
    SmallestChange, SweepAxis, SweepGoal, SweepMeasure, SweepPoint, SweepResult, TippingPoint, sweep,
    sweep_csv, sweep_html, sweep_json, sweep_markdown, sweep_schema, sweep_summary,
};
pub use terminal::{Legend, TERMINAL_WIDTH, terminal_summary};
pub use text::acts_when_shown;
pub use verdict::Standing;
