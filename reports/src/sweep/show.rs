//! How a sweep reads, the same in the terminal, on the page and in Markdown.

use super::{PointValue, SweepPoint, SweepResult, TippingPoint};
use crate::{
    GaugeUnit,
    format::{self, Dimension},
    terminal::seeds,
    text,
};

/// The measures that a table has room for, the most telling first.
const TOLD: [&str; 7] = [
    "goodput",
    "success_rate",
    "latency.p99",
    "blast_radius",
    "direct_damage",
    "recovery_time",
    "rejected.rate-limited",
];

/// The places of the measures that tables show, in the order above.
pub(super) fn told(result: &SweepResult) -> Vec<usize> {
    TOLD.iter().filter_map(|name| result.measure(name)).collect()
}

/// A value at a point; `–` where there was nothing to measure.
pub(super) fn value(result: &SweepResult, point: &SweepPoint, measure: usize) -> String {
    point.measured[measure].map_or_else(|| "–".to_owned(), |value| one(result.measures[measure].unit, value))
}

fn one(unit: GaugeUnit, value: PointValue) -> String {
    if value.never {
        return "never".to_owned();
    }
    format::at_least(value.lower_bound_share.is_some(), unit.show(value.median))
}

/// Its least and most over the seeds, where they read differently.
pub(super) fn range(result: &SweepResult, point: &SweepPoint, measure: usize) -> Option<String> {
    let (unit, value) = (result.measures[measure].unit, point.measured[measure]?);
    let (least, most) = (unit.show(value.least), unit.show(value.most));
    (least != most).then(|| format!("{least} – {most}"))
}

/// The settings of a point: `gateway.timeout = 5s, gateway.workers = 64`.
pub(super) fn settings(
    result: &SweepResult,
    point: &SweepPoint,
    axes: impl Iterator<Item = usize>,
) -> String {
    let told = axes.map(|axis| {
        format!("{} = {}", text::line(&result.axes[axis].key), text::line(&result.value(point, axis).text))
    });
    text::list(&told.collect::<Vec<_>>())
}

/// What was run: `recommended, 8 points, seed 902`.
pub(super) fn what(result: &SweepResult) -> String {
    format!(
        "variant {}, {} points, {}",
        text::name(&result.variant),
        format::count(result.points.len() as u64),
        seeds(&result.scenario.seeds)
    )
}

/// `✓`, or how many of the expectations failed; nothing where none speaks of the variant.
pub(super) fn held(point: &SweepPoint) -> String {
    let failed = point.expectations.iter().filter(|expectation| !expectation.held).count();
    match (point.expectations.len(), failed) {
        (0, _) => String::new(),
        (_, 0) => "✓ all".to_owned(),
        (all, failed) => format!("✗ {failed} of {all}"),
    }
}

/// What a small step does where it does much: one sentence each.
pub(super) fn tipping(result: &SweepResult) -> Vec<String> {
    result.tipping.iter().map(|tipping| tipping_sentence(result, tipping)).collect()
}

fn tipping_sentence(result: &SweepResult, tipping: &TippingPoint) -> String {
    let [before, after] = [tipping.before, tipping.after].map(|point| &result.points[point]);
    let text_of = |point| text::line(&result.value(point, tipping.axis).text);
    let others: Vec<usize> = (0..result.axes.len()).filter(|axis| *axis != tipping.axis).collect();
    let with = if others.is_empty() {
        String::new()
    } else {
        format!(" with {}", settings(result, before, others.into_iter()))
    };
    format!(
        "Between {} = {} and {}{with}: {} goes from {} to {}.",
        text::line(&result.axes[tipping.axis].key),
        text_of(before),
        text_of(after),
        result.measures[tipping.measure].name,
        value(result, before, tipping.measure),
        value(result, after, tipping.measure),
    )
}

/// The least that has to be changed, or what stands in the way.
pub(super) fn smallest(result: &SweepResult) -> Vec<String> {
    if !result.is_judged() {
        return vec![
            "The scenario states no expectations of this variant, so none of the points is called right."
                .to_owned(),
        ];
    }
    if let Some(smallest) = &result.smallest {
        let point = &result.points[smallest.point];
        if smallest.changed.is_empty() {
            return vec!["All expectations hold with the settings that the file has.".to_owned()];
        }
        let holding = result.points.iter().filter(|point| point.holds()).count();
        return vec![format!(
            "The smallest change for all expectations to hold: {}. They hold at {} of {} points.",
            settings(result, point, smallest.changed.iter().copied()),
            format::count(holding as u64),
            format::count(result.points.len() as u64),
        )];
    }
    let mut told = vec!["At no point do all expectations hold.".to_owned()];
    let most = result.points.iter().max_by_key(|point| {
        // The first of several.
        let held = point.expectations.iter().filter(|expectation| expectation.held).count();
        (held, std::cmp::Reverse(&point.places))
    });
    if let Some(point) = most {
        let failed: Vec<String> = point
            .expectations
            .iter()
            .filter(|expectation| !expectation.held)
            .map(|expectation| {
                format!("`{}` (measured {})", text::line(&expectation.text), expectation.measured)
            })
            .collect();
        told.push(format!(
            "Nearest to it is {}, where these fail: {}.",
            settings(result, point, 0..result.axes.len()),
            text::list(&failed)
        ));
    }
    let mut lines: Vec<(&str, usize)> = Vec::new();
    for expectation in result.points.iter().flat_map(|point| &point.expectations) {
        if !lines.iter().any(|(line, _)| *line == expectation.text) {
            lines.push((&expectation.text, 0));
        }
        if !expectation.held
            && let Some((_, failed)) = lines.iter_mut().find(|(line, _)| *line == expectation.text)
        {
            *failed += 1;
        }
    }
    let points = result.points.len();
    told.extend(lines.into_iter().filter(|(_, failed)| *failed > 0).map(|(line, failed)| {
        let at = if failed == points {
            "at every point".to_owned()
        } else {
            format!("at {failed} of {points} points")
        };
        format!("`{}` fails {at}.", text::line(line))
    }));
    told
}

/// What a reader has to know to read the numbers.
pub(super) fn notes(result: &SweepResult) -> Vec<String> {
    let mut notes = Vec::new();
    if result.scenario.seeds.len() > 1 {
        notes.push(format!("Numbers are medians over {} seeds.", result.scenario.seeds.len()));
    }
    notes.push("• marks what the file has.".to_owned());
    let values = result.points.iter().flat_map(|point| &point.measured).flatten();
    if let Some(most) = values.filter_map(|value| value.lower_bound_share).max_by(f64::total_cmp) {
        notes.push(format!(
            "{}a lower bound: requests that gave up or had not ended when the run did count with the time that they waited (at \
             most {} of those that a latency is told of).",
            format::AT_LEAST,
            Dimension::Share.show(most)
        ));
    }
    if !result.tipping.is_empty() {
        notes.push(
            "A tipping point is a step by which blast radius changes by ten points or recovery by ten seconds, from hardly any or by \
             three times the median step of its line, or beyond which goodput never recovers."
                .to_owned(),
        );
    }
    notes
}

/// The value of an axis, marked where the file has it.
pub(super) fn axis_value(result: &SweepResult, axis: usize, place: usize) -> String {
    let value = &result.axes[axis].values[place];
    let text = text::line(&value.text);
    if value.is_of_file { format!("{text} •") } else { text }
}
