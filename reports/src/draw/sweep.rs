//! A measure over the values of one setting.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, WIDTH, finish};
use crate::words::text;

const HEIGHT: i32 = 560;

/// Room at the left for the labels of the axis, and below for the values of the setting.
const LEFT: i32 = 170;
const BELOW: i32 = 110;
const MARGIN: i32 = 40;

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
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT.unsigned_abs())).into_drawing_area();
        let (right, bottom) = (WIDTH.cast_signed() - MARGIN, HEIGHT - BELOW);
        let steps = chart.values.len().max(2) as i32;
        // Half a step is left free at both ends.
        let x = |place: usize| LEFT + (right - LEFT) * (2 * place as i32 + 1) / (2 * steps);
        let y = |value: f64| {
            let share = (value - axis.low) / (axis.high - axis.low);
            bottom - (f64::from(bottom - MARGIN) * share.clamp(0.0, 1.0)).round() as i32
        };
        for (before, after) in &chart.tipping {
            root.draw(&Rectangle::new(
                [(x(*before), MARGIN), (x(*after), bottom)],
                Ink::Tipping.colour().filled(),
            ))?;
        }
        for tick in &axis.ticks {
            let y = y(*tick);
            let ink = if *tick <= axis.low { Ink::Axis } else { Ink::Grid };
            root.draw(&PathElement::new(vec![(LEFT, y), (right, y)], ink.line(2)))?;
            root.draw(&Text::new(
                (chart.show)(*tick),
                (LEFT - 16, y),
                Ink::words(HPos::Right, VPos::Center),
            ))?;
        }
        let every = chart.values.len().div_ceil(LABELLED).max(1);
        for (place, value) in chart.values.iter().enumerate() {
            if chart.of_file == Some(place) {
                let (x, y) = (x(place), bottom + 6);
                let triangle = vec![(x, y), (x - 10, y + 18), (x + 10, y + 18)];
                root.draw(&Polygon::new(triangle, Ink::OfFile.colour().filled()))?;
            }
            if place % every == 0 {
                let label = text::cut(value, LABEL_COLUMNS).into_owned();
                root.draw(&Text::new(label, (x(place), bottom + 32), Ink::words(HPos::Center, VPos::Top)))?;
            }
        }
        let at = |place: usize| chart.points[place].map(|[median, ..]| (x(place), y(median)));
        for place in 1..chart.points.len() {
            if let (Some(from), Some(to)) = (at(place - 1), at(place)) {
                root.draw(&PathElement::new(vec![from, to], Ink::Sweep.line(5)))?;
            }
        }
        for (place, point) in chart.points.iter().enumerate() {
            let Some([median, least, most]) = *point else { continue };
            let (x, middle) = (x(place), y(median));
            if y(least) - y(most) > 4 {
                root.draw(&PathElement::new(vec![(x, y(least)), (x, y(most))], Ink::Whisker.line(3)))?;
            }
            if chart.never.get(place) == Some(&true) {
                let corners = [(x - 12, middle - 12), (x + 12, middle + 12)];
                root.draw(&Rectangle::new(corners, Ink::Never.line(5)))?;
            } else {
                root.draw(&Circle::new((x, middle), 11, Ink::Point.colour().filled()))?;
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
