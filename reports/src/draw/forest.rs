//! Differences with their intervals, one below the other around the line of no difference.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, WIDTH, finish};
use crate::words::text;

/// Height of a row.
const ROW: i32 = 68;

/// Room at the left for the measures' names, and at the right for the verdicts.
const NAMES: i32 = 400;
const WORDS: i32 = 240;

/// Below, for the labels of the axis.
const LABELS: i32 = 64;

/// Columns of a name that fit there.
const NAME_COLUMNS: usize = 24;

/// What is drawn.
pub(crate) struct ForestChart<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    /// What the differences are of.
    pub(crate) title: String,
    pub(crate) rows: Vec<ForestRow<'a>>,
    pub(crate) scale: ForestScale,
}

/// In what the differences are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForestScale {
    /// Points of a hundred.
    Points,
    /// B as a multiple of A.
    Times,
}

/// A measure.
pub(crate) struct ForestRow<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    /// Around the value; none of one seed.
    pub(crate) interval: Option<[f64; 2]>,
    pub(crate) leaning: Leaning,
    /// The verdict, as it is written.
    pub(crate) word: String,
    /// The row in words.
    pub(crate) told: String,
}

/// What a row's mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaning {
    /// A full circle.
    Better,
    /// A full square.
    Worse,
    /// An empty circle.
    Open,
}

/// How values are laid on the axis.
struct Layout {
    axis: Axis,
    place: fn(f64) -> f64,
    label: fn(f64) -> String,
    /// Where there is no difference.
    none: f64,
}

/// Beyond so many times as much, or as little, the axis ends: a factor of a thousand would leave no room for the rest.
const MOST_DOUBLINGS: f64 = 7.0;

impl Layout {
    fn of(chart: &ForestChart) -> Self {
        let ends = || {
            chart
                .rows
                .iter()
                .flat_map(|row| [row.value].into_iter().chain(row.interval.into_iter().flatten()))
        };
        match chart.scale {
            ForestScale::Points => Self::linear(ends(), |points| points, |points| signed(points, " pp")),
            ForestScale::Times if ends().all(|times| (0.7..1.5).contains(&times)) => {
                Self::linear(ends(), |times| (times - 1.0) * 100.0, |percent| signed(percent, "%"))
            }
            ForestScale::Times => {
                let place: fn(f64) -> f64 =
                    |times| libm::log2(times.max(1e-6)).clamp(-MOST_DOUBLINGS, MOST_DOUBLINGS);
                let places = || ends().map(place);
                let (low, high) =
                    (places().fold(-1.0, f64::min).floor(), places().fold(1.0, f64::max).ceil());
                let step = if high - low > 8.0 { 2.0 } else { 1.0 };
                let ticks = (-4..=4).map(|n| f64::from(n) * step).filter(|tick| (low..=high).contains(tick));
                let axis = Axis { low, high, ticks: ticks.collect() };
                Self { axis, place, label: times, none: 0.0 }
            }
        }
    }

    fn linear(ends: impl Iterator<Item = f64>, place: fn(f64) -> f64, label: fn(f64) -> String) -> Self {
        let (low, high) = ends.map(place).fold((-0.5, 0.5), |(low, high), end| (end.min(low), end.max(high)));
        Self { axis: Axis::spanning(low, high), place, label, none: 0.0 }
    }
}

/// `+10 pp`, `0 pp`.
fn signed(value: f64, unit: &str) -> String {
    // What is left of a tick at zero by adding up steps.
    let value = if value.abs() < 1e-9 { 0.0 } else { value };
    let digits = (value.abs() * 1e4).round() / 1e4;
    match value {
        _ if digits <= 0.0 => format!("0{unit}"),
        0.0.. => format!("+{digits}{unit}"),
        _ => format!("−{digits}{unit}"),
    }
}

/// `× 4`, `× 1/4`.
fn times(doublings: f64) -> String {
    let whole = 1u64 << (doublings.abs() as u32).min(60);
    if doublings < 0.0 { format!("× 1/{whole}") } else { format!("× {whole}") }
}

/// The chart as SVG markup; `None` where there is nothing to draw.
pub(crate) fn forest_chart(chart: &ForestChart) -> Result<Option<String>, ChartError> {
    if chart.rows.is_empty() {
        return Ok(None);
    }
    let layout = Layout::of(chart);
    let height = chart.rows.len() as i32 * ROW + LABELS;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height.unsigned_abs())).into_drawing_area();
        let (left, right, bottom) = (NAMES, WIDTH.cast_signed() - WORDS, height - LABELS);
        let at = |value: f64| {
            let share = (value - layout.axis.low) / (layout.axis.high - layout.axis.low);
            left + (f64::from(right - left) * share.clamp(0.0, 1.0)).round() as i32
        };
        for tick in &layout.axis.ticks {
            let x = at(*tick);
            let is_none = (tick - layout.none).abs() < 1e-9;
            let style = if is_none { Ink::Axis.line(4) } else { Ink::Grid.line(2) };
            root.draw(&PathElement::new(vec![(x, 0), (x, bottom)], style))?;
            let label = (layout.label)(*tick);
            root.draw(&Text::new(label, (x, bottom + 12), Ink::words(HPos::Center, VPos::Top)))?;
        }
        for (number, row) in chart.rows.iter().enumerate() {
            let y = number as i32 * ROW + ROW / 2;
            let ink = match row.leaning {
                Leaning::Better => Ink::Better,
                Leaning::Worse => Ink::Worse,
                Leaning::Open => Ink::Undecided,
            };
            if let Some([low, high]) = row.interval {
                let (low, high) = (at((layout.place)(low)), at((layout.place)(high)));
                root.draw(&PathElement::new(vec![(low, y), (high, y)], ink.line(6)))?;
                for end in [low, high] {
                    root.draw(&PathElement::new(vec![(end, y - 12), (end, y + 12)], ink.line(4)))?;
                }
            }
            let x = at((layout.place)(row.value));
            match row.leaning {
                Leaning::Better => root.draw(&Circle::new((x, y), 14, ink.colour().filled()))?,
                Leaning::Worse => {
                    root.draw(&Rectangle::new([(x - 13, y - 13), (x + 13, y + 13)], ink.colour().filled()))?;
                }
                Leaning::Open => root.draw(&Circle::new((x, y), 11, ink.line(5)))?,
            }
            let name = text::cut(row.name, NAME_COLUMNS).into_owned();
            root.draw(&Text::new(name, (left - 24, y), Ink::words(HPos::Right, VPos::Center)))?;
            root.draw(&Text::new(row.word.clone(), (right + 24, y), Ink::words(HPos::Left, VPos::Center)))?;
        }
        root.present()?;
    }
    let told: Vec<&str> = chart.rows.iter().map(|row| &*row.told).collect();
    Ok(Some(finish(&svg, &chart.id, &chart.title, &told.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: ForestScale, values: &[f64]) -> ForestChart<'static> {
        let row = |value: &f64| ForestRow {
            name: "goodput",
            value: *value,
            interval: Some([value * 0.9, value * 1.1]),
            leaning: if *value > 1.0 { Leaning::Better } else { Leaning::Worse },
            word: "better".to_owned(),
            told: "goodput: better".to_owned(),
        };
        ForestChart {
            id: "f".to_owned(),
            title: "Differences".to_owned(),
            rows: values.iter().map(row).collect(),
            scale,
        }
    }

    #[test]
    fn an_axis_of_multiples_is_one_of_doublings_where_they_are_large() {
        let labels = |values: &[f64]| -> Vec<String> {
            let layout = Layout::of(&chart(ForestScale::Times, values));
            layout.axis.ticks.iter().map(|tick| (layout.label)(*tick)).collect()
        };
        assert_eq!(labels(&[0.3, 1.7]), ["× 1/4", "× 1/2", "× 1", "× 2"]);
        assert_eq!(labels(&[1.01, 1.1]), ["−10%", "0%", "+10%", "+20%", "+30%"]);
        assert!(labels(&[1e-9, 1e9]).len() <= 9);
        let points = Layout::of(&chart(ForestScale::Points, &[-52.0]));
        assert_eq!((points.label)(points.axis.ticks[0]), "−60 pp");
    }

    #[test]
    fn it_draws_whatever_is_measured() {
        for values in [&[f64::NAN, 1.0][..], &[f64::INFINITY, -1e300], &[0.0, 2.0]] {
            for scale in [ForestScale::Points, ForestScale::Times] {
                let svg = forest_chart(&chart(scale, values)).unwrap().unwrap();
                assert!(svg.contains("class=\"fill worse\"") && !svg.contains("#FE"), "{svg}");
            }
        }
        assert_eq!(forest_chart(&chart(ForestScale::Points, &[])).unwrap(), None);
    }
}
