//! Latency over time, as a heatmap.

use std::collections::BTreeMap;

use crate::draw::canvas::{ChartError, HEATS, Ink};
use crate::draw::lane::Mark;
use crate::record::heatmap::HeatmapResult;
use crate::result::run::RunResult;
use crate::words::format;
use crate::write::html::timelines::{Group, Key, Reading, Row, ScaleTick, Scene};

pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let heatmaps = || scene.runs.iter().filter_map(|(_, run)| run.latency_over_time.as_ref());
    let rows = || heatmaps().flat_map(|heatmap| &heatmap.rows).copied();
    let (Some(low), Some(high)) = (rows().min(), rows().max()) else { return Ok(None) };
    // An answer at once is as quick as another: what differs is above.
    let low = low.max(LOWEST).min(high);
    // A second of a column: columns of two results may differ in width.
    let most = heatmaps()
        .flat_map(|heatmap| heatmap.counts.iter().map(|count| f64::from(*count) / width(heatmap)))
        .fold(0.0, f64::max);
    let scale = Scale { low: f64::from(low), high: f64::from(high) + 1.0, most };
    let seconds = heatmaps().map(width).fold(0.0, f64::max);
    let drawn =
        scene.runs.iter().filter_map(|(name, run)| Some((name, run, run.latency_over_time.as_ref()?)));
    let rows = drawn.map(|(name, run, heatmap)| row(scene, name, run, heatmap, &scale));
    let heat = |level: usize, meaning| Key { class: Ink::Heat(level).class(), meaning };
    Ok(Some(Group {
        id: "latency-over-time".to_owned(),
        title: "Latency over time".to_owned(),
        lead: format!(
            "Of requests that reached an upstream, by the time they were meant to be sent, hostile populations left out; the \
             latency axis is logarithmic. A column is {} wide; the deeper the colour, the more requests. The dashed line is \
             the SLO of {}.",
            format::span(seconds * 1e6),
            format::latency_us(scene.result.scenario.slo_latency_us)
        ),
        keys: vec![heat(0, "few"), heat(HEATS / 2, "more"), heat(HEATS - 1, "most")],
        rows: rows.collect::<Result<_, _>>()?,
        folded: false,
    }))
}

/// The row of 91 µs, the lowest that is drawn; what was quicker stands in it.
const LOWEST: u8 = 13;

/// The axes of all heatmaps, rows upwards.
struct Scale {
    low: f64,
    high: f64,
    /// In a second of any cell.
    most: f64,
}

impl Scale {
    /// How deep a cell's colour is: by orders of magnitude, for a tail is a thousandth of what is below it.
    fn heat(&self, per_s: f64) -> Ink {
        let share = (libm::log(1.0 + per_s * 20.0) / libm::log(1.0 + self.most * 20.0)).clamp(0.0, 1.0);
        Ink::Heat(((share * HEATS as f64) as usize).min(HEATS - 1))
    }

    /// Where a latency stands, in rows.
    fn row_of(us: f64) -> f64 {
        2.0 * libm::log2(us.max(1.0))
    }

    fn ticks(&self) -> Vec<ScaleTick> {
        let decades = (0..=9).map(|decade| libm::exp10(f64::from(decade)));
        let seen = decades.filter_map(|us| {
            let share = (Self::row_of(us) - self.low) / (self.high - self.low);
            (0.0..=1.0)
                .contains(&share)
                .then(|| ScaleTick { bottom: format!("{:.1}", share * 100.0), label: format::latency(us) })
        });
        seen.collect()
    }
}

fn width(heatmap: &HeatmapResult) -> f64 {
    f64::from(heatmap.column_s.max(1))
}

fn row(
    scene: &Scene,
    name: &str,
    run: &RunResult,
    heatmap: &HeatmapResult,
    scale: &Scale,
) -> Result<Row, ChartError> {
    let width = width(heatmap);
    // By level, so that each level is one path; within it neighbours of a row are one block.
    let mut blocks: BTreeMap<(usize, u8), Vec<(f64, f64)>> = BTreeMap::new();
    for (column, row, count) in heatmap.cells() {
        let Ink::Heat(level) = scale.heat(f64::from(count) / width) else { continue };
        let (from, to) = (f64::from(column) * width, f64::from(column) * width + width);
        let row = blocks.entry((level, row.max(scale.low as u8))).or_default();
        match row.last_mut() {
            Some(last) if last.1.total_cmp(&from).is_eq() => last.1 = to,
            _ => row.push((from, to)),
        }
    }
    let mut marks: Vec<Mark> = Vec::new();
    for ((level, row), spans) in blocks {
        let (bottom, top) = (f64::from(row), f64::from(row) + 1.0);
        marks.extend(
            spans.into_iter().map(|(from, to)| Mark::Block(Ink::Heat(level), [(from, top), (to, bottom)])),
        );
    }
    marks.push(Mark::Level(Ink::Slo, Scale::row_of(scene.result.scenario.slo_latency_us as f64)));
    let columns = columns(heatmap);
    let shown = |of: fn(&Column) -> f64| {
        let last = columns.keys().next_back().copied().unwrap_or(0).min(MOST_COLUMNS);
        let columns = &columns;
        (0..=last).map(move |place| {
            columns
                .get(&place)
                .map_or_else(|| "–".to_owned(), |column| format!("≤ {}", format::latency(of(column))))
        })
    };
    let worst = columns.iter().max_by(|one, other| one.1.p99_us.total_cmp(&other.1.p99_us));
    let description = worst.map_or_else(String::new, |(place, column)| {
        format!(
            "{name}: the slowest column begins at {}, with half of its requests within {} and 99% within {}.",
            scene.clock.at_s(f64::from(*place) * width),
            format::latency(column.p50_us),
            format::latency(column.p99_us)
        )
    });
    let rest = |of: fn(&Column) -> f64| {
        let most = columns.values().map(of).fold(0.0, f64::max);
        format!("≤ {}", format::latency(most))
    };
    let step_s = u64::from(heatmap.column_s.max(1));
    Ok(Row {
        name: name.to_owned(),
        note: None,
        variants: scene.variant_of(run),
        size: "heat",
        scale: scale.ticks(),
        svg: scene.bare_lane(run, (scale.low, scale.high), 160, &description, marks)?,
        points: Vec::new(),
        readings: vec![
            Reading::of("p50", rest(|column| column.p50_us), step_s, shown(|column| column.p50_us)),
            Reading::of("p99", rest(|column| column.p99_us), step_s, shown(|column| column.p99_us)),
        ],
    })
}

/// Columns that are read out; a file may name any.
const MOST_COLUMNS: u32 = 1_000;

/// Upper bounds of percentiles, to half an octave.
struct Column {
    p50_us: f64,
    p99_us: f64,
}

fn columns(heatmap: &HeatmapResult) -> BTreeMap<u32, Column> {
    let mut counts: BTreeMap<u32, BTreeMap<u8, u64>> = BTreeMap::new();
    for (column, row, count) in heatmap.cells() {
        *counts.entry(column).or_default().entry(row).or_default() += u64::from(count);
    }
    let column = |(place, rows): (u32, BTreeMap<u8, u64>)| {
        let all: u64 = rows.values().sum();
        let at = |share: f64| {
            let wanted = (share * all as f64).ceil();
            let mut seen = 0;
            let row = rows.iter().find(|(_, count)| {
                seen += **count;
                seen as f64 >= wanted
            });
            let row = row.map_or(0, |(row, _)| *row);
            HeatmapResult::row_from_us(row.saturating_add(1))
        };
        (place, Column { p50_us: at(0.5), p99_us: at(0.99) })
    };
    counts.into_iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_knows_its_percentiles_to_half_an_octave() {
        let heatmap = HeatmapResult {
            column_s: 5,
            columns: vec![0, 0, 0, 3],
            rows: vec![20, 26, 40, 2],
            counts: vec![50, 49, 1, 1],
        };
        let columns = columns(&heatmap);
        let of = |place: u32| columns.get(&place).map(|column| (column.p50_us as u64, column.p99_us as u64));
        assert_eq!(of(0), Some((1_448, 11_585)));
        assert_eq!(of(3), Some((2, 2)));
        assert_eq!(of(1), None);
    }

    #[test]
    fn a_thousandth_of_the_most_is_still_seen() {
        let scale = Scale { low: 0.0, high: 10.0, most: 200.0 };
        let heats = [0.0, 0.2, 2.0, 20.0, 200.0].map(|per_s| scale.heat(per_s));
        assert_eq!(heats, [Ink::Heat(0), Ink::Heat(1), Ink::Heat(2), Ink::Heat(4), Ink::Heat(5)]);
    }
}
