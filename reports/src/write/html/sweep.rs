//! The page of a sweep.

use askama::Template;

use crate::compare::sweep::result::{SweepMeasure, SweepPoint, SweepResult};
use crate::compare::sweep::show;
use crate::draw::canvas::ChartError;
use crate::draw::sweep::{SweepChart, sweep_chart};
use crate::measure::unit::GaugeUnit;
use crate::words::{format, text};
use crate::write::html::report::HtmlError;
use crate::write::html::script::Script;

/// The sweep as the text of an HTML file. `command` is what a reader types to run it again.
///
/// # Errors
///
/// Drawing and filling in write to memory and fail in their types alone.
pub fn sweep_html(result: &SweepResult, command: &str) -> Result<String, HtmlError> {
    let scenario = &result.scenario;
    let page = Page {
        title: text::line(&scenario.name),
        what: show::what(result),
        when: format!("{} from {}", format::span(scenario.duration_s * 1e6), scenario.clock().start()),
        holds: result.smallest.is_some(),
        is_judged: result.is_judged(),
        goal: show::goal(result),
        smallest: show::smallest(result),
        tipping: show::tipping(result),
        charts: charts(result)?,
        grids: grids(result),
        not_drawn: not_drawn(result),
        axes: result.axes.iter().map(|axis| text::line(&axis.key)).collect(),
        heads: heads(result),
        rows: rows(result),
        lines: lines(result),
        notes: show::notes(result),
        command: text::block(command),
        source: text::block(&scenario.source),
        tuesday: text::line(&result.tuesday),
        version: result.version,
        script: Some(Script::of_pages()),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "sweep.html")]
struct Page {
    title: String,
    what: String,
    when: String,
    holds: bool,
    is_judged: bool,
    goal: Vec<String>,
    smallest: Vec<String>,
    tipping: Vec<String>,
    charts: Vec<Figure>,
    grids: Vec<Grid>,
    not_drawn: Option<String>,
    axes: Vec<String>,
    heads: Vec<String>,
    rows: Vec<Row>,
    lines: Vec<Line>,
    notes: Vec<String>,
    command: String,
    source: String,
    tuesday: String,
    version: u32,
    script: Option<Script>,
}

struct Figure {
    caption: String,
    meaning: String,
    /// Markup.
    svg: String,
}

/// A measure over the first two settings.
struct Grid {
    id: String,
    title: String,
    meaning: String,
    down: String,
    across: String,
    heads: Vec<String>,
    slices: Vec<Slice>,
    /// Whether it is shown only when asked for.
    folded: bool,
}

/// A measure over two settings, all others held.
struct Slice {
    id: String,
    /// What the others are, where there are any.
    with: Option<String>,
    rows: Vec<(String, Vec<GridCell>)>,
}

struct GridCell {
    text: String,
    /// From 0, the best, to 5.
    level: usize,
    is_tipping: bool,
}

/// A point.
struct Row {
    values: Vec<String>,
    cells: Vec<(String, Option<String>)>,
    held: String,
    holds: bool,
    is_smallest: bool,
}

/// An expectation and where it fails.
struct Line {
    text: String,
    failed: String,
    holds: bool,
}

fn heads(result: &SweepResult) -> Vec<String> {
    show::told(result).into_iter().map(|measure| result.measures[measure].name.clone()).collect()
}

fn rows(result: &SweepResult) -> Vec<Row> {
    let measures = show::told(result);
    let row = |(place, point): (usize, &SweepPoint)| Row {
        values: (0..result.axes.len())
            .map(|axis| show::axis_value(result, axis, point.places[axis]))
            .collect(),
        cells: measures
            .iter()
            .map(|measure| (show::value(result, point, *measure), show::range(result, point, *measure)))
            .collect(),
        held: show::held(point),
        holds: point.holds(),
        is_smallest: result.smallest.as_ref().is_some_and(|smallest| smallest.point == place),
    };
    result.points.iter().enumerate().map(row).collect()
}

fn lines(result: &SweepResult) -> Vec<Line> {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for point in &result.points {
        for expectation in &point.expectations {
            // A claim that something is bad is no requirement, and a condition stands with the goal.
            if expectation.asserts_harm || expectation.is_condition {
                continue;
            }
            let place = lines.iter().position(|(text, _)| *text == expectation.text).unwrap_or_else(|| {
                lines.push((&expectation.text, Vec::new()));
                lines.len() - 1
            });
            if !expectation.held {
                let at = show::settings(result, point, 0..result.axes.len());
                lines[place].1.push(format!("{at} (measured {})", expectation.measured));
            }
        }
    }
    let line = |(text, failed): (&str, Vec<String>)| Line {
        text: text::line(text),
        holds: failed.is_empty(),
        failed: text::list_some(&failed, 6),
    };
    lines.into_iter().map(line).collect()
}

/// A line over the values of the only setting, one chart for each measure.
fn charts(result: &SweepResult) -> Result<Vec<Figure>, ChartError> {
    let [axis] = result.axes.as_slice() else { return Ok(Vec::new()) };
    let values: Vec<String> = axis.values.iter().map(|value| text::line(&value.text)).collect();
    let mut figures = Vec::new();
    for (place, measure) in result.measures.iter().enumerate() {
        let unit = measure.unit;
        let cliffs = result.tipping.iter().filter(|tipping| tipping.measure == place);
        let chart = SweepChart {
            id: format!("sweep-{place}"),
            title: format!("{} by {}", measure.name, text::line(&axis.key)),
            values: values.iter().map(String::as_str).collect(),
            of_file: axis.values.iter().position(|value| value.is_of_file),
            points: result
                .points
                .iter()
                .map(|point| point.measured[place].map(|value| [value.median, value.least, value.most]))
                .collect(),
            never: result
                .points
                .iter()
                .map(|point| point.measured[place].is_some_and(|value| value.never))
                .collect(),
            tipping: cliffs.map(|tipping| (tipping.before, tipping.after)).collect(),
            is_share: unit == GaugeUnit::Share,
            show: &|value| unit.show(value),
            told: values
                .iter()
                .zip(&result.points)
                .map(|(value, point)| format!("{value}: {}", show::value(result, point, place)))
                .collect::<Vec<_>>()
                .join("; "),
        };
        let (caption, meaning) = (measure.name.clone(), measure.meaning.clone());
        figures.extend(sweep_chart(&chart)?.map(|svg| Figure { caption, meaning, svg }));
    }
    Ok(figures)
}

/// So many tables of a measure are drawn: those of the values of all settings but the first two.
const SLICES: usize = 6;

/// Coloured tables of each measure over the first two settings, one for each combination of the others.
fn grids(result: &SweepResult) -> Vec<Grid> {
    let [down, across, others @ ..] = result.axes.as_slice() else { return Vec::new() };
    if result.points.is_empty() {
        return Vec::new();
    }
    let rows = down.values.len();
    let columns = across.values.len();
    // The last axis changes fastest, so that what belongs to one combination of the others is so far apart.
    let all: usize = others.iter().map(|axis| axis.values.len()).product();
    let slices = slices(result, all);
    let told = show::told(result);
    let grid = |(place, measure): (usize, &SweepMeasure)| {
        let values: Vec<Option<f64>> =
            result.points.iter().map(|point| point.measured[place].map(|value| value.median)).collect();
        let low = values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let level = |value: f64| {
            // What hardly differs is one colour.
            if high - low <= 0.01 * high.abs() {
                return 0;
            }
            let share = (value - low) / (high - low);
            let bad = if measure.good == crate::measure::unit::Good::High { 1.0 - share } else { share };
            (bad * 5.0).round().clamp(0.0, 5.0) as usize
        };
        let cell = |point: usize| GridCell {
            text: show::value(result, &result.points[point], place),
            level: values[point].map_or(0, level),
            is_tipping: result
                .tipping
                .iter()
                .any(|tipping| tipping.measure == place && tipping.after == point),
        };
        let slice = |slice: &usize| {
            let point = |row: usize, column: usize| (row * columns + column) * all + slice;
            let cells = |row: usize| (0..columns).map(|column| cell(point(row, column))).collect();
            Slice {
                id: format!("grid-{place}-{slice}"),
                with: (!others.is_empty())
                    .then(|| show::settings(result, &result.points[*slice], 2..result.axes.len())),
                rows: (0..rows).map(|row| (show::axis_value(result, 0, row), cells(row))).collect(),
            }
        };
        Grid {
            id: format!("grid-{place}"),
            title: measure.name.clone(),
            meaning: measure.meaning.clone(),
            down: text::line(&down.key),
            across: text::line(&across.key),
            heads: (0..columns).map(|column| show::axis_value(result, 1, column)).collect(),
            slices: slices.iter().map(slice).collect(),
            folded: !others.is_empty() && !told.contains(&place),
        }
    };
    result.measures.iter().enumerate().map(grid).collect()
}

/// The combinations of the settings but the first two that are drawn, of so many: those nearest to what the file has, in
/// their order.
fn slices(result: &SweepResult, all: usize) -> Vec<usize> {
    let changed = |slice: &usize| {
        let point = &result.points[*slice];
        (2..result.axes.len()).filter(|axis| !result.value(point, *axis).is_of_file).count()
    };
    let mut slices: Vec<usize> = (0..all).collect();
    slices.sort_by_key(|slice| (changed(slice), *slice));
    slices.truncate(SLICES);
    slices.sort_unstable();
    slices
}

/// Says how many combinations are not drawn, where there are too many of them.
fn not_drawn(result: &SweepResult) -> Option<String> {
    let all: usize = result.axes.iter().skip(2).map(|axis| axis.values.len()).product();
    let more = all.checked_sub(SLICES).filter(|more| *more > 0)?;
    Some(format!(
        "Drawn are {SLICES} of the {} combinations of the other settings, those nearest to what the file has; the other {} are in \
         the table of all points.",
        format::count(all as u64),
        format::count(more as u64)
    ))
}
