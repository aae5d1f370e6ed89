//! A measure over the results that were stored of a scenario.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, WIDTH, finish};
use crate::draw::row::{HEIGHT, Row};

/// Room below for the dates.
const BELOW: i32 = 90;

/// At most so many results carry a date.
const LABELLED: usize = 5;

/// Numbers beyond this are not drawn: no measure is so large, and an axis is to have ticks that differ.
const LARGEST: f64 = 1e18;

/// What is drawn.
pub(crate) struct HistoryChart<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    /// The date of each result, evenly spaced: what was not run between them is of no interest.
    pub(crate) dates: Vec<String>,
    /// By result: median, least and most.
    pub(crate) points: Vec<Option<[f64; 3]>>,
    /// By result: whether it is a time that never came.
    pub(crate) never: Vec<bool>,
    /// Parts of one level: the first and the last result, and the mean.
    pub(crate) levels: Vec<(usize, usize, f64)>,
    /// First results on a new level.
    pub(crate) changes: Vec<usize>,
    /// How a number of it is written.
    pub(crate) show: &'a dyn Fn(f64) -> String,
    /// The chart in words.
    pub(crate) told: String,
}

/// The chart as SVG markup; `None` where nothing was measured.
pub(crate) fn history_chart(chart: &HistoryChart) -> Result<Option<String>, ChartError> {
    let is_drawn = |value: &f64| value.is_finite() && value.abs() < LARGEST;
    let all = || chart.points.iter().flatten().flatten().copied().filter(is_drawn);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return Ok(None);
    }
    // The axis need not begin at zero: a step of a few percent is to be seen.
    let room = ((high - low) * 0.2).max(high.abs().max(low.abs()) * 0.02).max(0.001);
    let axis = Axis::spanning(if low >= 0.0 { (low - room).max(0.0) } else { low - room }, high + room);
    let row = Row::new(chart.points.len(), axis, BELOW);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT.unsigned_abs())).into_drawing_area();
        for change in &chart.changes {
            row.draw_tipping(&root, row.x(*change) - 2 * row.half(), row.x(*change))?;
        }
        row.draw_ticks(&root, chart.show)?;
        let every = chart.dates.len().div_ceil(LABELLED).max(1);
        for (place, date) in chart.dates.iter().enumerate().step_by(every) {
            root.draw(&Text::new(
                date.clone(),
                (row.x(place), row.bottom + 24),
                Ink::words(HPos::Center, VPos::Top),
            ))?;
        }
        for (from, to, level) in chart.levels.iter().filter(|(_, _, level)| is_drawn(level)) {
            let (from, to) = (row.x(*from) - row.half(), row.x(*to) + row.half());
            let ends = vec![(from, row.y(*level)), (to, row.y(*level))];
            root.draw(&PathElement::new(ends, Ink::Sweep.line(5)))?;
        }
        let radius = row.half().clamp(4, 11);
        for (place, point) in chart.points.iter().enumerate() {
            if let Some(values) = point.filter(|values| values.iter().all(is_drawn)) {
                let is_never = chart.never.get(place) == Some(&true);
                row.draw_point(&root, place, values, is_never, radius)?;
            }
        }
        root.present()?;
    }
    Ok(Some(finish(&svg, &chart.id, &chart.title, &chart.told)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_draws_levels_and_marks_where_they_change() {
        let show = |value: f64| value.to_string();
        let mut chart = HistoryChart {
            id: "h".to_owned(),
            title: "goodput".to_owned(),
            dates: ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"].map(str::to_owned).to_vec(),
            points: vec![Some([10.0, 9.0, 11.0]), None, Some([14.0, 14.0, 14.0]), Some([14.0; 3])],
            never: vec![false, false, false, true],
            levels: vec![(0, 1, 10.0), (2, 3, 14.0)],
            changes: vec![2],
            show: &show,
            told: "10, then 14".to_owned(),
        };
        let svg = history_chart(&chart).unwrap().unwrap();
        for (drawn, times) in [
            ("fill tipping", 1),
            ("line sweep", 2),
            ("fill point", 2),
            ("line never", 1),
            ("line whisker", 1),
            ("2026-11-02", 1),
        ] {
            assert_eq!(svg.matches(drawn).count(), times, "{drawn}: {svg}");
        }
        assert!(!svg.contains("#FE"));
        chart.levels = vec![(0, 3, f64::INFINITY)];
        chart.points = vec![Some([f64::INFINITY; 3]), Some([1e300; 3]), Some([-1e300; 3]), Some([0.0; 3])];
        assert_eq!(history_chart(&chart).unwrap().unwrap().matches("never").count(), 1);
        chart.points = vec![Some([f64::NAN; 3]); 4];
        assert!(history_chart(&chart).unwrap().is_none());
        (chart.points, chart.dates) = (Vec::new(), Vec::new());
        assert!(history_chart(&chart).unwrap().is_none());
    }
}
