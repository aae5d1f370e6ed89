//! What happened when: lanes on one axis of the scenario's time, a group for each measure and a row for each variant.
//!
//! A row is a lane with its name, its scale and its readings. Without a script a reading shows the least and the most;
//! the page's script shows what it was at one instant, in all rows at once. The numbers come as text from here, so that they
//! read as everywhere else and the script knows none of their units.

pub(crate) mod amplification;
pub(crate) mod breakers;
pub(crate) mod faults;
mod hosts;
pub(crate) mod latency;
pub(crate) mod load;
pub(crate) mod reading;
pub(crate) mod saturation;
pub(crate) mod workers;

use crate::draw::canvas::{Axis, ChartError, Ink, seconds_per_step};
use crate::draw::lane::{Lane, Mark, lane};
use crate::draw::time::time_ticks;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::words::detail::Detail;
use crate::words::format::{self, Clock};
use crate::write::html::drawn::{drawn, drawn_note};
use crate::write::html::timelines::reading::Reading;
use crate::write::html::variants::numbers;

/// Steps of a lane: more than a screen shows, few enough for twelve variants in a file of a megabyte.
const COLUMNS: usize = 600;

/// So many lanes are drawn of what there may be hundreds of: of upstreams, and of circuit breakers. With them, sixteen variants of
/// thirty routes are less than three megabytes.
const MOST_LANES: usize = 160;

/// All lanes of the page.
pub(super) struct Timelines {
    /// The last second that can be pointed at.
    pub(super) last_second: u64,
    /// The end of the axis, seconds.
    pub(super) seconds: f64,
    /// The start's time of day, seconds; the script counts on from it.
    pub(super) starts: f64,
    pub(super) ticks: Vec<Tick>,
    pub(super) lead: String,
    pub(super) groups: Vec<Group>,
}

/// A label of the time axis.
pub(super) struct Tick {
    /// Percent of the axis.
    pub(super) left: String,
    pub(super) label: String,
}

/// One measure.
pub(super) struct Group {
    /// Unique on the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) lead: String,
    pub(super) keys: Vec<Key>,
    pub(super) rows: Vec<Row>,
    /// Whether it is shown only when asked for.
    pub(super) folded: bool,
}

/// What something in a lane means.
pub(super) struct Key {
    /// How the style sheet calls it.
    pub(super) class: String,
    pub(super) meaning: &'static str,
}

/// One lane.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) note: Option<String>,
    /// The variants that it is of, as the page has them; `None` where it is of all.
    pub(super) variants: Option<String>,
    /// Height on the page, as the style sheet calls it.
    pub(super) size: &'static str,
    pub(super) scale: Vec<ScaleTick>,
    /// Markup.
    pub(super) svg: String,
    pub(super) points: Vec<Point>,
    pub(super) readings: Vec<Reading>,
}

/// A label of the value axis.
pub(super) struct ScaleTick {
    /// Percent of the lane.
    pub(super) bottom: String,
    pub(super) label: String,
}

/// Something in a lane that says more when asked.
pub(super) struct Point {
    /// Percent of the axis.
    pub(super) left: String,
    /// Whether its words stand to the left of it.
    pub(super) leftwards: bool,
    pub(super) told: String,
    /// How the style sheet calls it.
    pub(super) class: String,
}

/// What all groups draw from.
struct Scene<'a> {
    result: &'a ExperimentResult,
    clock: Clock,
    /// The end of the axis.
    seconds: f64,
    /// How many seconds a step stands for.
    step: usize,
    runs: Vec<(String, &'a RunResult)>,
    detail: Detail,
}

/// The lanes; `None` where no run has anything over time.
pub(super) fn timelines(result: &ExperimentResult, detail: Detail) -> Result<Option<Timelines>, ChartError> {
    let runs: Vec<(String, &RunResult)> = drawn(result).collect();
    let populations = runs.iter().flat_map(|(_, run)| &run.populations);
    let seconds = populations.map(|population| population.offered_per_s.len()).max().unwrap_or(0);
    if seconds == 0 {
        return Ok(None);
    }
    let scene = Scene {
        result,
        clock: result.scenario.clock(),
        seconds: seconds as f64,
        step: seconds_per_step(seconds, COLUMNS),
        runs,
        detail,
    };
    let mut groups = Vec::new();
    groups.extend(faults::group(&scene)?);
    groups.extend(load::groups(&scene)?.into_iter().filter(|group| !group.rows.is_empty()));
    groups.extend(latency::group(&scene)?);
    groups.extend(breakers::group(&scene)?);
    groups.extend(hosts::group(&scene)?);
    groups.extend(saturation::group(&scene)?);
    groups.extend(workers::groups(&scene)?);
    groups.extend(amplification::group(&scene)?);
    let tick = |seconds: f64| Tick { left: scene.left(seconds), label: scene.clock.at_s(seconds) };
    Ok(Some(Timelines {
        last_second: seconds as u64 - 1,
        seconds: scene.seconds,
        starts: scene.clock.second_of_day(),
        ticks: time_ticks(scene.clock, scene.seconds).into_iter().map(tick).collect(),
        lead: scene.lead(),
        groups,
    }))
}

impl Scene<'_> {
    fn lead(&self) -> String {
        let each = match self.step {
            1 => String::new(),
            seconds => format!(
                " Each step stands for {} and shows its highest second.",
                format::span(seconds as f64 * 1e6)
            ),
        };
        let bands = if self.runs.iter().any(|(_, run)| !faults::spans(run).is_empty()) {
            " Something failed where the background is shaded."
        } else {
            ""
        };
        format!(
            "On the scenario's clock, UTC, all variants on the same scale.{bands}{each}{}{}",
            drawn_note(self.result),
            workers::left_out(self).map(|told| format!(" {told}")).unwrap_or_default()
        )
    }

    /// The variant that a run is of, as the page has it.
    fn variant_of(&self, run: &RunResult) -> Option<String> {
        let is_first =
            |variant: &VariantResult| variant.runs.first().is_some_and(|first| std::ptr::eq(first, run));
        self.result.variants.iter().position(is_first).map(|place| numbers(&[place]))
    }

    /// Where an instant stands on the axis, percent.
    fn left(&self, seconds: f64) -> String {
        let share = (seconds / self.seconds).clamp(0.0, 1.0);
        format!("{:.2}", if share.is_finite() { share * 100.0 } else { 0.0 })
    }

    /// The lane of a run, with its scale from zero.
    fn lane(
        &self,
        run: &RunResult,
        axis: &Axis,
        height: u32,
        description: &str,
        marks: Vec<Mark>,
    ) -> Result<String, ChartError> {
        let grid = axis.ticks.iter().skip(1).filter(|tick| **tick < axis.high);
        let marks = grid.map(|tick| Mark::Level(Ink::Grid, *tick)).chain(marks).collect();
        self.bare_lane(run, (0.0, axis.high), height, description, marks)
    }

    /// The lane of a run, with what is given and the bands of its faults.
    fn bare_lane(
        &self,
        run: &RunResult,
        (low, high): (f64, f64),
        height: u32,
        description: &str,
        marks: Vec<Mark>,
    ) -> Result<String, ChartError> {
        let bands = faults::spans(run);
        lane(&Lane { description, seconds: self.seconds, low, high, height, bands: &bands, marks })
    }
}

/// The least and the most of a scale from zero.
fn ends(axis: &Axis, unit: &str) -> Vec<ScaleTick> {
    let tick = |share: f64, value: f64| ScaleTick {
        bottom: format!("{:.0}", share * 100.0),
        label: format!("{}{unit}", format::quantity(value)),
    };
    vec![tick(0.0, 0.0), tick(1.0, axis.high)]
}

fn key(ink: Ink, meaning: &'static str) -> Key {
    Key { class: ink.class(), meaning }
}
