//! A lane: one measure of one variant over the scenario's time, as wide as the page has room.
//!
//! Lanes stand below one another on the same time axis, so that one instant is one vertical line through all of them. Nine
//! lines in one chart are a ball of wool; nine lanes on the same scale can be compared by running an eye down. A lane holds
//! no words: it is stretched to its box, and words would be stretched with it. Names, scales and times stand beside it in the
//! page.

use std::fmt::Write as _;

use plotters::prelude::*;

use crate::draw::canvas::{Axis, ChartError, Ink, Step, attribute as attribute_of, escaped, inked};

/// Drawn width of every lane; the page stretches it.
const WIDTH: u32 = 1200;

/// What is drawn.
pub(crate) struct Lane<'a> {
    /// In words, for those who do not see it.
    pub(crate) description: &'a str,
    /// The end of the time axis, seconds.
    pub(crate) seconds: f64,
    /// The bottom and top of the value axis.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Drawn height.
    pub(crate) height: u32,
    /// When something failed, seconds from the start.
    pub(crate) bands: &'a [(f64, f64)],
    /// From back to front.
    pub(crate) marks: Vec<Mark>,
}

/// Something in a lane.
pub(crate) enum Mark {
    /// Filled from the bottom up to the steps.
    Area(Ink, Vec<Step>),
    /// The outline of the steps.
    Line(Ink, Vec<Step>),
    /// A value for all of the time.
    Level(Ink, f64),
    /// Filled from one corner to the other, in seconds and values.
    Block(Ink, [(f64, f64); 2]),
}

/// The lane as SVG markup.
pub(crate) fn lane(lane: &Lane) -> Result<String, ChartError> {
    let x = Axis { low: 0.0, high: lane.seconds.max(1.0), ticks: Vec::new() };
    let y = Axis { low: lane.low, high: lane.high, ticks: Vec::new() };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, lane.height)).into_drawing_area();
        let mut context = ChartBuilder::on(&root).build_cartesian_2d(x.coordinate(), y.coordinate())?;
        for (from, to) in lane.bands {
            let band = Rectangle::new([(*from, y.high), (*to, y.low)], Ink::Faults.colour().filled());
            context.draw_series(std::iter::once(band))?;
        }
        for mark in &lane.marks {
            match mark {
                Mark::Area(ink, steps) => {
                    let mut corners = outline(steps);
                    let ends = corners.first().copied().zip(corners.last().copied());
                    let Some((first, last)) = ends else { continue };
                    corners.extend([(last.0, y.low), (first.0, y.low)]);
                    context.draw_series(std::iter::once(Polygon::new(corners, ink.colour())))?;
                }
                Mark::Line(ink, steps) => {
                    let corners = outline(steps);
                    context.draw_series(std::iter::once(PathElement::new(corners, ink.line(1))))?;
                }
                Mark::Level(ink, level) => {
                    let ends = vec![(x.low, *level), (x.high, *level)];
                    context.draw_series(std::iter::once(PathElement::new(ends, ink.line(1))))?;
                }
                Mark::Block(ink, corners) => {
                    let block = Rectangle::new(*corners, ink.colour().filled());
                    context.draw_series(std::iter::once(block))?;
                }
            }
        }
        root.present()?;
    }
    let body = inked(&joined(&svg));
    Ok(format!(
        "<svg class=\"lane\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">{body}",
        // From the first to the last place that is drawn on, lest a lane fall short of its axis.
        WIDTH - 1,
        lane.height - 1,
        escaped(lane.description)
    ))
}

/// The corners of the steps; where neighbours are level there is none.
fn outline(steps: &[Step]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::with_capacity(steps.len() * 2);
    let mut level: Option<f64> = None;
    for step in steps {
        if level.is_none_or(|level| level.total_cmp(&step.most).is_ne()) {
            if let Some(level) = level {
                corners.push((step.from_s, level));
            }
            corners.push((step.from_s, step.most));
            level = Some(step.most);
        }
    }
    if let (Some(last), Some(level)) = (steps.last(), level) {
        corners.push((last.to_s, level));
    }
    corners
}

/// The body of a drawing, neighbouring rectangles of one colour as one path: a heatmap is a thousand of them, and each by
/// itself is a hundred bytes.
fn joined(svg: &str) -> String {
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let mut out = String::with_capacity(body.len() / 2);
    let mut open: Option<&str> = None;
    for line in body.lines() {
        let line = line.trim();
        let attribute = |name: &str| attribute_of(line, name);
        let rectangle = line.starts_with("<rect ").then(|| {
            Some((
                attribute("x")?,
                attribute("y")?,
                attribute("width")?,
                attribute("height")?,
                attribute("fill")?,
            ))
        });
        // Writing to a string does not fail.
        if let Some((x, y, width, height, fill)) = rectangle.flatten() {
            if open != Some(fill) {
                out += if open.is_some() { "\"/>" } else { "" };
                let _ = write!(out, "<path fill=\"{fill}\" d=\"");
                open = Some(fill);
            }
            let _ = write!(out, "M{x} {y}h{width}v{height}h-{width}z");
        } else {
            out += if open.take().is_some() { "\"/>" } else { "" };
            let path = as_path(line);
            let line = path.as_deref().unwrap_or(line);
            out +=
                &line.replace(" opacity=\"1\"", "").replace(" stroke-width=\"1\"", "").replace(" \"", "\"");
        }
    }
    out
}

/// A polygon or a line of corners as a path, which tells each corner from the one before it: steps are level or upright, and a
/// third as long that way.
fn as_path(line: &str) -> Option<String> {
    let (tag, end) = match () {
        () if line.starts_with("<polygon ") => ("<polygon ", "z"),
        () if line.starts_with("<polyline ") => ("<polyline ", ""),
        () => return None,
    };
    let points = attribute_of(line, "points")?;
    let mut path = String::with_capacity(points.len() / 2);
    let mut before: Option<(i64, i64)> = None;
    for corner in points.split_whitespace() {
        let (x, y) = corner.split_once(',')?;
        let (x, y): (i64, i64) = (x.parse().ok()?, y.parse().ok()?);
        // Writing to a string does not fail.
        let _ = match before.map(|(from_x, from_y)| (x - from_x, y - from_y)) {
            None => write!(path, "M{x} {y}"),
            Some((0, 0)) => Ok(()),
            Some((right, 0)) => write!(path, "h{right}"),
            Some((0, down)) => write!(path, "v{down}"),
            Some((right, down)) => write!(path, "l{right} {down}"),
        };
        before = Some((x, y));
    }
    let drawn = format!("points=\"{points}\"");
    Some(line.replacen(tag, "<path ", 1).replace(&drawn, &format!("d=\"{path}{end}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::canvas::downsample;

    fn drawn(marks: Vec<Mark>) -> String {
        let bands = [(1.0, 2.0)];
        lane(&Lane {
            description: "a \"b\"",
            seconds: 4.0,
            low: 0.0,
            high: 10.0,
            height: 50,
            bands: &bands,
            marks,
        })
        .unwrap()
    }

    #[test]
    fn a_level_stretch_has_two_corners() {
        let steps = downsample(&[5, 5, 5, 9, 9], 1);
        assert_eq!(outline(&steps), [(0.0, 5.0), (3.0, 5.0), (3.0, 9.0), (5.0, 9.0)]);
        assert!(outline(&[]).is_empty());
    }

    #[test]
    fn a_lane_is_stretched_named_and_coloured_by_classes() {
        let steps = downsample(&[0, 10, 5, 5], 1);
        let svg = drawn(vec![Mark::Area(Ink::Offered, steps.clone()), Mark::Line(Ink::Goodput, steps)]);
        assert!(
            svg.starts_with("<svg class=\"lane\" viewBox=\"0 0 1199 49\" preserveAspectRatio=\"none\""),
            "{svg}"
        );
        assert!(svg.contains("aria-label=\"a &quot;b&quot;\""), "{svg}");
        assert!(svg.contains("<path class=\"fill faults\" d=\"M300 0h300v49h-300z\"/>"), "{svg}");
        assert!(
            svg.contains("<path class=\"fill offered\" d=\"M0 49h300v-49h300v24h599v25h-1199z\"/>"),
            "{svg}"
        );
        assert!(svg.contains("class=\"line goodput\" d=\"M0 49h300v-49h300v24h599\"/>"), "{svg}");
        assert!(svg.ends_with("</svg>") && !svg.contains("<text"), "{svg}");
    }

    #[test]
    fn blocks_of_one_colour_are_one_path() {
        let block = |from: f64, ink| Mark::Block(ink, [(from, 5.0), (from + 1.0, 0.0)]);
        let svg = drawn(vec![block(0.0, Ink::Heat(2)), block(2.0, Ink::Heat(2)), block(3.0, Ink::Heat(3))]);
        assert!(
            svg.contains("class=\"fill heat-2\" d=\"M0 24h300v25h-300zM600 24h299v25h-299z\"/>"),
            "{svg}"
        );
        assert!(svg.contains("class=\"fill heat-3\" d=\"M899 24h300v25h-300z\"/></svg>"), "{svg}");
    }
}
