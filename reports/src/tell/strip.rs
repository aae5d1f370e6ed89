//! The strip at the top of the page: a small picture of each variant's goodput with its harm beside it, the best first.

use std::fmt::Write as _;

use crate::measure::gauge::Gauge;
use crate::measure::unit::{GaugeUnit, Good};
use crate::result::experiment::ExperimentResult;
use crate::result::run::RunResult;
use crate::tell::advice::show;
use crate::tell::recommendation::{Ranking, Recommendation};
use crate::tell::side_by_side;
use crate::tell::side_by_side::{SideBySide, runs};
use crate::words::text;

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strip {
    /// What the bars measure.
    pub(crate) headings: Vec<String>,
    /// The best variant first; those that did just the same are one row.
    pub(crate) rows: Vec<StripRow>,
}

/// A variant, or several that did the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StripRow {
    /// The places of the variants in the file, and their names.
    pub(crate) variants: Vec<usize>,
    pub(crate) names: Vec<String>,
    pub(crate) standing: RowStanding,
    /// Goodput over the scenario's time, as an SVG element.
    pub(crate) picture: String,
    pub(crate) bars: Vec<Option<Bar>>,
}

/// What the recommendation makes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowStanding {
    /// It is to be taken.
    Picked,
    /// It is ranked behind, or in another world.
    Ranked,
    /// It is not ranked.
    SetAside,
}

/// A measure as a figure and a length.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) text: String,
    /// 0 to 100.
    pub(crate) length: f64,
    /// Whether a longer one is better, as of goodput.
    pub(crate) is_gain: bool,
}

/// So many measures of the objective are drawn as bars: the most important ones.
const BARS: usize = 2;

/// A picture is so many units wide and high.
const WIDTH: usize = 240;
const HEIGHT: f64 = 32.0;

impl Strip {
    /// Of a result, as the recommendation ranks it.
    pub(crate) fn of(result: &ExperimentResult, recommendation: &Recommendation) -> Self {
        let rows = ranked_rows(result, &SideBySide::of(result), recommendation);
        let objective = || recommendation.objective.iter().take(BARS);
        let columns: Vec<Vec<Option<Bar>>> =
            objective().map(|objective| bars(result, &rows, objective, recommendation)).collect();
        let most = runs(result).flat_map(|run| binned(&goodput_per_s(run))).fold(0.0, f64::max);
        let ranking = recommendation.groups.first();
        let row = |(place, alike): (usize, &Vec<usize>)| {
            let names: Vec<String> =
                alike.iter().map(|variant| text::name(&result.variants[*variant].name)).collect();
            let is_pick = ranking.and_then(Ranking::pick).is_some_and(|pick| alike.contains(&pick));
            let is_ranked = recommendation
                .groups
                .iter()
                .any(|ranking| alike.iter().any(|variant| ranking.ranked.contains(variant)));
            StripRow {
                variants: alike.clone(),
                names,
                standing: match (is_pick, is_ranked) {
                    (true, _) => RowStanding::Picked,
                    (false, true) => RowStanding::Ranked,
                    (false, false) => RowStanding::SetAside,
                },
                picture: result.variants[alike[0]]
                    .runs
                    .first()
                    .map_or_else(String::new, |run| picture(run, most, result.scenario.duration_s)),
                bars: columns.iter().map(|column| column[place].clone()).collect(),
            }
        };
        Self {
            headings: objective().map(|objective| recommendation.words(objective)).collect(),
            rows: rows.iter().enumerate().map(row).collect(),
        }
    }
}

/// The variants in the order of the recommendation, those that did just the same together.
pub(crate) fn ranked_rows(
    result: &ExperimentResult,
    comparison: &SideBySide,
    recommendation: &Recommendation,
) -> Vec<Vec<usize>> {
    let order: Vec<usize> = recommendation
        .groups
        .iter()
        .flat_map(|ranking| {
            ranking.ranked.iter().copied().chain(ranking.set_aside.iter().map(|(place, _)| *place))
        })
        .collect();
    let place = |row: &usize| order.iter().position(|known| known == row);
    let mut alike = side_by_side::alike(result, comparison);
    for group in &mut alike {
        group.sort_by_key(place);
    }
    alike.sort_by_key(|group| place(&group[0]));
    alike
}

/// A measure of each row. A share has the length that it is; of anything else the largest has the whole length.
fn bars(
    result: &ExperimentResult,
    rows: &[Vec<usize>],
    objective: &Gauge,
    recommendation: &Recommendation,
) -> Vec<Option<Bar>> {
    let value = |alike: &Vec<usize>| recommendation.value(objective, &result.variants[alike[0]]);
    let values: Vec<Option<f64>> = rows.iter().map(value).collect();
    let finite = values.iter().flatten().copied().filter(|value| value.is_finite());
    let whole = if objective.unit == GaugeUnit::Share { 1.0 } else { finite.fold(0.0, f64::max) };
    let bar = |value: f64| {
        let length = if value.is_infinite() { 100.0 } else { 100.0 * value / whole };
        Bar {
            text: show(objective, value),
            length: if length.is_finite() { length.clamp(0.0, 100.0) } else { 0.0 },
            is_gain: objective.good == Good::High,
        }
    };
    values.into_iter().map(|value| value.map(bar)).collect()
}

/// Good requests of those who mean well, second by second.
fn goodput_per_s(run: &RunResult) -> Vec<f64> {
    let mut sum: Vec<f64> = Vec::new();
    for population in run.populations.iter().filter(|population| !population.hostile) {
        sum.resize(sum.len().max(population.good_per_s.len()), 0.0);
        sum.iter_mut().zip(&population.good_per_s).for_each(|(sum, good)| *sum += f64::from(*good));
    }
    sum
}

/// The means of so many seconds each that there are at most as many as the picture is wide.
fn binned(per_s: &[f64]) -> Vec<f64> {
    let seconds = per_s.len().div_ceil(WIDTH / 2).max(1);
    per_s.chunks(seconds).map(|bin| bin.iter().sum::<f64>() / bin.len() as f64).collect()
}

fn picture(run: &RunResult, most: f64, duration_s: f64) -> String {
    let bins = binned(&goodput_per_s(run));
    let mut svg = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    // Writing to a string does not fail.
    for fault in &run.faults {
        let at = |us: u64| (us as f64 / 1e6 / duration_s * WIDTH as f64).clamp(0.0, WIDTH as f64);
        let (from, to) = (at(fault.from_us), at(fault.to_us));
        let _ = write!(
            svg,
            "<rect class=\"fault\" x=\"{from:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" />",
            to - from
        );
    }
    if !bins.is_empty() && most > 0.0 {
        let step = WIDTH as f64 / bins.len() as f64;
        let _ = write!(svg, "<path class=\"good\" d=\"M0 {HEIGHT}");
        for (number, value) in bins.iter().enumerate() {
            let y = HEIGHT - HEIGHT * value / most;
            let _ = write!(svg, "V{y:.1}H{:.1}", step * (number + 1) as f64);
        }
        let _ = write!(svg, "V{HEIGHT}Z\" />");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn strip(result: &ExperimentResult) -> Strip {
        Strip::of(result, &Recommendation::of(result))
    }

    #[test]
    fn the_best_stands_first_with_its_harm_as_figure_and_length() {
        let mut result = testing::incident();
        let strip = strip(&result);
        let names: Vec<_> = strip.rows.iter().map(|row| row.names.join(" = ")).collect();
        assert_eq!(names, ["timeout", "recommended", "quickstart", "breaker"]);
        assert_eq!(strip.headings, ["blast radius", "direct damage"]);
        assert_eq!(strip.rows[0].standing, RowStanding::Picked);
        let bar = strip.rows[2].bars[0].as_ref().unwrap();
        assert_eq!(bar.text, "18.8%");
        assert!((bar.length - 100.0 * 1_676.0 / 8_905.0).abs() < 1e-9);
        // Faults are drawn where they are.
        assert!(strip.rows[0].picture.contains("class=\"fault\""));
        // Those that did the same are one row.
        result.variants[2].runs = result.variants[0].runs.clone();
        let rows = super::Strip::of(&result, &Recommendation::of(&result)).rows;
        assert_eq!(rows.last().unwrap().names, ["quickstart", "breaker"]);
    }

    #[test]
    fn nothing_to_draw_is_no_trouble() {
        for result in testing::odd().iter().chain([&testing::nothing_happened()]) {
            for row in strip(result).rows {
                assert!(!row.picture.contains("NaN") && !row.picture.contains("inf"), "{}", row.picture);
            }
        }
    }
}
