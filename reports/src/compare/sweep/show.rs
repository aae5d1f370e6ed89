//! How a sweep reads, the same in the terminal, on the page and in Markdown.

use crate::compare::sweep::result::{InForce, PointValue, SweepPoint, SweepResult, TippingPoint};
use crate::measure::unit::{GaugeUnit, Good};
use crate::tell::setting::seeds;
use crate::words::format::{self, Dimension};
use crate::words::text;

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
pub(crate) fn told(result: &SweepResult) -> Vec<usize> {
    TOLD.iter().filter_map(|name| result.measure(name)).collect()
}

/// A value at a point; `–` where there was nothing to measure.
pub(crate) fn value(result: &SweepResult, point: &SweepPoint, measure: usize) -> String {
    point.measured[measure].map_or_else(|| "–".to_owned(), |value| one(result.measures[measure].unit, value))
}

/// A value with its unit.
pub(crate) fn one(unit: GaugeUnit, value: PointValue) -> String {
    if value.never {
        return "never".to_owned();
    }
    format::at_least(value.lower_bound_share.is_some(), unit.show(value.median))
}

/// Its least and most over the seeds, where they read differently.
pub(crate) fn range(result: &SweepResult, point: &SweepPoint, measure: usize) -> Option<String> {
    let (unit, value) = (result.measures[measure].unit, point.measured[measure]?);
    let (least, most) = (unit.show(value.least), unit.show(value.most));
    (least != most).then(|| format!("{least} – {most}"))
}

/// The settings of a point: `gateway.timeout = 5s, gateway.workers = 64`.
pub(crate) fn settings(
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
pub(crate) fn what(result: &SweepResult) -> String {
    format!(
        "variant {}, {} points, {}",
        text::name(&result.variant),
        format::count(result.points.len() as u64),
        seeds(&result.scenario.seeds)
    )
}

/// `✓`, or how many of the requirements are not met; nothing where the file has none of the variant. What meets them by
/// turning requests away is not praised for it.
pub(crate) fn held(point: &SweepPoint) -> String {
    let failed = point.requirements().filter(|expectation| !expectation.held).count();
    match (point.requirements().count(), failed) {
        (0, _) => String::new(),
        (_, 0) if point.strict.is_some() => "✗ strict".to_owned(),
        (_, 0) => "✓ all".to_owned(),
        (all, failed) => format!("✗ {failed} of {all}"),
    }
}

/// What a small step does where it does much: one sentence each.
pub(crate) fn tipping(result: &SweepResult) -> Vec<String> {
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
pub(crate) fn smallest(result: &SweepResult) -> Vec<String> {
    if !result.is_judged() {
        return vec![if result.points.iter().all(|point| point.expectations.is_empty()) {
            "The scenario states no expectations of this variant, so none of the points is called right."
                .to_owned()
        } else {
            "Every expectation of this variant claims that something is bad, so that none calls a point right. Name a goal with \
                 --maximize and --subject-to."
                    .to_owned()
        }];
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
        let held = point.requirements().filter(|expectation| expectation.held).count();
        (held, std::cmp::Reverse(&point.places))
    });
    if let Some(point) = most {
        let failed: Vec<String> = point
            .requirements()
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
    for expectation in result.points.iter().flat_map(SweepPoint::requirements) {
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

/// The point that the goal asks for, and those beside it.
pub(crate) fn goal(result: &SweepResult) -> Vec<String> {
    let Some(goal) = &result.goal else { return Vec::new() };
    let lines: Vec<String> = goal.subject_to.iter().map(|line| format!("`{}`", text::line(line))).collect();
    let conditions =
        if lines.is_empty() { "the expectations of the file".to_owned() } else { text::list(&lines) };
    let measure = text::line(&goal.measure);
    let value = |place: usize| {
        goal.measured[place].map_or_else(|| "nothing to measure".to_owned(), |value| one(goal.unit, value))
    };
    let all = || 0..result.axes.len();
    let Some(place) = goal.recommended else {
        return vec![format!("No point fulfils {conditions}, so that none is recommended for {measure}.")];
    };
    let end = match goal.wanted {
        Good::High => "most",
        Good::Low => "least",
    };
    let mut told = vec![format!(
        "Recommended: {}, with {measure} {}. That is the {end} at the {} of {} points that fulfil {conditions}, as far as the \
         seeds tell, and the nearest to what is in force.",
        settings(result, &result.points[place], all()),
        value(place),
        format::count(result.points.iter().filter(|point| point.is_eligible()).count() as u64),
        format::count(result.points.len() as u64),
    )];
    told.extend(goal.neighbours.iter().map(|neighbour| {
        let point = &result.points[*neighbour];
        let why = if point.is_eligible() { "" } else { ", which does not fulfil the conditions" };
        format!("Beside it: {}: {}{why}.", settings(result, point, all()), value(*neighbour))
    }));
    told
}

/// What a reader has to know to read the numbers.
pub(crate) fn notes(result: &SweepResult) -> Vec<String> {
    let mut notes = Vec::new();
    if result.scenario.seeds.len() > 1 {
        notes.push(format!("Numbers are medians over {} seeds.", result.scenario.seeds.len()));
    }
    notes.push("• marks what the file has.".to_owned());
    if result.points.iter().any(|point| point.strict.is_some()) {
        notes.push(
            "strict: without any fault, over 2% fewer requests are served well than at the best point; it is recommended for \
             nothing."
                .to_owned(),
        );
    }
    if result.scenario.seeds.len() < 2 {
        notes.push(
            "One seed does not tell a tipping point from luck: sweep under more of them, such as `--seeds 5`.".to_owned(),
        );
    }
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
             three times the median step of its line, by which p99 doubles and by three times that step, or beyond which goodput \
             never recovers; and it is more than the seeds scatter."
                .to_owned(),
        );
    }
    notes
}

/// The value of an axis, marked where the file has it, with what is in force where that does not set it.
pub(crate) fn axis_value(result: &SweepResult, axis: usize, place: usize) -> String {
    let value = &result.axes[axis].values[place];
    let text = text::line(&value.text);
    let text = match &value.in_force {
        Some(InForce::Value { text: in_force, .. }) => format!("{text} ({})", text::line(in_force)),
        Some(InForce::Unbounded) => format!("{text} (no bound)"),
        None => text,
    };
    if value.is_of_file { format!("{text} •") } else { text }
}
