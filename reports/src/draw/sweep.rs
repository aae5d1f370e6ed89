//! A measure over the values of one setting.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, WIDTH, finish};
use crate::draw::row::{HEIGHT, Row};
use crate::words::text;

/// Room below for the values of the setting.
const BELOW: i32 = 110;

/// At most so many values carry a label.
const LABELLED: usize = 9;

/// Columns of a value's label.
const LABEL_COLUMNS: usize = 9;

/// What is drawn.
pub(crate) struct SweepChart<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    /// The values of the setting, evenly spaced: they are chosen to be.
    pub(crate) values: Vec<&'a str>,
    /// The one that the file has.
    pub(crate) of_file: Option<usize>,
    /// By value: median, least and most.
    pub(crate) points: Vec<Option<[f64; 3]>>,
    /// By value: whether it is a time that never came.
    pub(crate) never: Vec<bool>,
    /// Neighbours between which it tips over.
    pub(crate) tipping: Vec<(usize, usize)>,
    /// Whether it ends at one.
    pub(crate) is_share: bool,
    /// How a number of it is written.
    pub(crate) show: &'a dyn Fn(f64) -> String,
    /// The chart in words.
    pub(crate) told: String,
}

/// The chart as SVG markup; `None` where nothing was measured.
pub(crate) fn sweep_chart(chart: &SweepChart) -> Result<Option<String>, ChartError> {
    let all = || chart.points.iter().flatten().flatten().copied().filter(|value| value.is_finite());
    if chart.points.iter().all(Option::is_none) {
        return Ok(None);
    }
    let top = all().fold(0.0, f64::max);
    let axis = Axis::spanning(
        0.0,
        match top {
            // Of nothing at all, a percent: an axis has to have a length.
            _ if chart.is_share => top.clamp(0.01, 1.0),
            _ if top > 0.0 => top,
            _ => 1.0,
        },
    );
    let row = Row::new(chart.values.len(), axis, BELOW);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT.unsigned_abs())).into_drawing_area();
        for (before, after) in &chart.tipping {
            row.draw_tipping(&root, row.x(*before), row.x(*after))?;
        }
        row.draw_ticks(&root, chart.show)?;
        let every = chart.values.len().div_ceil(LABELLED).max(1);
        for (place, value) in chart.values.iter().enumerate() {
            if chart.of_file == Some(place) {
                let (x, y) = (row.x(place), row.bottom + 6);
                let triangle = vec![(x, y), (x - 10, y + 18), (x + 10, y + 18)];
                root.draw(&Polygon::new(triangle, Ink::OfFile.colour().filled()))?;
            }
            if place % every == 0 {
                let label = text::cut(value, LABEL_COLUMNS).into_owned();
                let place = (row.x(place), row.bottom + 32);
                root.draw(&Text::new(label, place, Ink::words(HPos::Center, VPos::Top)))?;
            }
        }
        let at = |place: usize| chart.points[place].map(|[median, ..]| (row.x(place), row.y(median)));
        for place in 1..chart.points.len() {
            if let (Some(from), Some(to)) = (at(place - 1), at(place)) {
                root.draw(&PathElement::new(vec![from, to], Ink::Sweep.line(5)))?;
            }
        }
        for (place, point) in chart.points.iter().enumerate() {
            if let Some(values) = *point {
                row.draw_point(&root, place, values, chart.never.get(place) == Some(&true), 11)?;
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
    fn it_draws_what_was_measured_and_marks_where_it_tips() {
        let show = |value: f64| value.to_string();
        let mut chart = SweepChart {
            id: "s".to_owned(),
            title: "blast radius by timeout".to_owned(),
            values: vec!["1s", "2s", "<4s>"],
            of_file: Some(2),
            points: vec![Some([0.0, 0.0, 0.1]), None, Some([0.5, 0.4, 0.6])],
            never: vec![false, false, true],
            tipping: vec![(0, 2)],
            is_share: true,
            show: &show,
            told: "1s: 0%".to_owned(),
        };
        let svg = sweep_chart(&chart).unwrap().unwrap();
        for drawn in
            ["fill tipping", "fill point", "line never", "fill of-file", "line whisker", "&lt;4s&gt;"]
        {
            assert!(svg.contains(drawn), "no {drawn}: {svg}");
        }
        assert!(!svg.contains("#FE"));
        chart.points = vec![Some([f64::INFINITY; 3]), Some([f64::NAN; 3]), Some([-1e300; 3])];
        assert!(sweep_chart(&chart).unwrap().is_some());
        chart.points = vec![None; 3];
        assert!(sweep_chart(&chart).unwrap().is_none());
    }
}
