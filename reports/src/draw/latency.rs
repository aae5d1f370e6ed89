//! Latency by percentile, the variants as lines.
//!
//! The tail is what differs between gateways, and a linear axis hides it in its last pixel. Here each step to the right
//! is a tenth of what is left (p90, p99, p99.9), and latency is logarithmic: twice as slow is the same distance
//! everywhere.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, LABEL_SIZE, WIDTH, finish};
use crate::record::distribution::Distribution;
use crate::words::{format, text};

const HEIGHT: i32 = 620;

/// A tenth of a millisecond, the lowest that the axis begins at unless all is quicker.
const LOWEST: f64 = 2.0;

/// Room at the right for the variants' names.
const LABELS: i32 = 400;

/// Columns of a name that fit there.
const LABEL_COLUMNS: usize = 22;

/// The percentiles that carry a label.
const LABELLED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, LAST];

/// The end of the axis.
const LAST: f64 = 99.99;

/// What is drawn.
pub(crate) struct LatencyChart<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    /// Whose latency it is.
    pub(crate) whose: &'a str,
    /// Each variant's name and distribution, in the order of the file; their places are their colours.
    pub(crate) variants: Vec<(&'a str, Option<&'a Distribution>)>,
    /// The line between served and served well.
    pub(crate) slo_us: u64,
}

/// One variant's line, in the axes' units.
struct Curve<'a> {
    place: usize,
    name: &'a str,
    points: Vec<(f64, f64)>,
}

/// The chart as SVG markup; `None` where nothing was counted under any variant.
pub(crate) fn latency_chart(chart: &LatencyChart) -> Result<Option<String>, ChartError> {
    let curves: Vec<Curve> = chart
        .variants
        .iter()
        .enumerate()
        .filter_map(|(place, (name, distribution))| {
            let points = points((*distribution)?);
            (!points.is_empty()).then_some(Curve { place, name, points })
        })
        .collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let x = Axis { low: 0.0, high: nines(LAST), ticks: LABELLED.map(nines).to_vec() };
    let slo = decades(chart.slo_us);
    let y = latency_axis(&curves, slo);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT.unsigned_abs())).into_drawing_area();
        let mut context = ChartBuilder::on(&root)
            .margin_top(24)
            .margin_right(LABELS.unsigned_abs())
            .set_label_area_size(LabelAreaPosition::Bottom, 60)
            .y_label_area_size(130)
            .build_cartesian_2d(x.coordinate(), y.coordinate())?;
        context
            .configure_mesh()
            .max_light_lines(0)
            .set_tick_mark_size(LabelAreaPosition::Bottom, 12)
            .bold_line_style(Ink::Grid.line(2))
            .axis_style(Ink::Axis.line(2))
            .x_label_style(Ink::words(HPos::Center, VPos::Top))
            .y_label_style(Ink::words(HPos::Right, VPos::Center))
            .x_label_formatter(&|nines| percentile_label(*nines))
            .y_label_formatter(&|decade| latency_label(*decade))
            .draw()?;
        if slo > y.low && slo < y.high {
            let ends = vec![(x.low, slo), (x.high, slo)];
            context.draw_series(std::iter::once(PathElement::new(ends, Ink::Slo.line(3))))?;
            let (left, height) = context.plotting_area().map_coordinate(&(x.low, slo));
            let label = format!("SLO {}", format::latency_us(chart.slo_us));
            root.draw(&Text::new(label, (left + 14, height - 22), Ink::words(HPos::Left, VPos::Center)))?;
        }
        for curve in &curves {
            let line = PathElement::new(curve.points.clone(), Ink::Series(curve.place).line(5));
            context.draw_series(std::iter::once(line))?;
        }
        let ends: Vec<(i32, i32)> = curves
            .iter()
            .filter_map(|curve| curve.points.last())
            .map(|end| context.plotting_area().map_coordinate(end))
            .collect();
        let heights = spread_out(&ends.iter().map(|(_, height)| *height).collect::<Vec<_>>());
        let edge = WIDTH.cast_signed() - LABELS;
        for ((curve, end), height) in curves.iter().zip(ends).zip(heights) {
            let lead = vec![end, (edge + 24, height)];
            root.draw(&PathElement::new(lead, Ink::Axis.line(1)))?;
            let key = vec![(edge + 24, height), (edge + 72, height)];
            root.draw(&PathElement::new(key, Ink::Series(curve.place).line(5)))?;
            let name = text::cut(curve.name, LABEL_COLUMNS).into_owned();
            root.draw(&Text::new(name, (edge + 80, height), Ink::words(HPos::Left, VPos::Center)))?;
        }
        root.present()?;
    }
    let title = format!("Latency of {} by percentile", chart.whose);
    Ok(Some(finish(&svg, &chart.id, &title, &description(chart))))
}

/// The chart in words: three percentiles of each variant.
fn description(chart: &LatencyChart) -> String {
    let told = chart.variants.iter().map(|(name, distribution)| {
        let at = |p: f64| distribution.and_then(|distribution| distribution.at(p));
        match (at(50.0), at(99.0), at(99.9)) {
            (Some(p50), Some(p99), Some(p999)) => {
                let [p50, p99, p999] = [p50, p99, p999].map(format::latency_us);
                format!("{name}: p50 {p50}, p99 {p99}, p99.9 {p999}")
            }
            _ => format!("{name}: nothing reached an upstream"),
        }
    });
    told.collect::<Vec<_>>().join("; ") + "."
}

fn points(distribution: &Distribution) -> Vec<(f64, f64)> {
    let shown = distribution.percentiles.iter().filter(|point| point.p >= 0.0 && point.p <= LAST);
    shown.map(|point| (nines(point.p), decades(point.us))).collect()
}

/// How many nines a percentile has: 0 at p0, 1 at p90, 2 at p99.
fn nines(p: f64) -> f64 {
    2.0 - libm::log10(100.0 - p)
}

/// Powers of ten of microseconds; what took no time at all lies at one.
fn decades(us: u64) -> f64 {
    libm::log10(us.max(1) as f64)
}

/// From just below the quickest to just above the slowest, the SLO included where it is within a decade of them.
fn latency_axis(curves: &[Curve], slo: f64) -> Axis {
    let heights = || curves.iter().flat_map(|curve| &curve.points).map(|(_, height)| *height);
    // An answer at once is as quick as another: what differs is above.
    let quickest = heights().fold(f64::INFINITY, f64::min);
    let slowest = heights().fold(f64::NEG_INFINITY, f64::max);
    let mut low = quickest.max(LOWEST).min(slowest);
    let mut high = slowest;
    if slo > high && slo < high + 1.0 {
        high = slo;
    } else if slo < low && slo > low - 1.0 {
        low = slo;
    }
    (low, high) = (low - 0.1, high + 0.1);
    let per_decade: &[f64] = if high - low > 3.0 {
        &[1.0]
    } else if high - low > 1.5 {
        &[1.0, 3.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let decades = low.floor() as i32..=high.ceil() as i32;
    let ticks =
        decades.flat_map(|decade| per_decade.iter().map(move |n| f64::from(decade) + libm::log10(*n)));
    Axis { low, high, ticks: ticks.filter(|tick| *tick >= low && *tick <= high).collect() }
}

fn percentile_label(nines: f64) -> String {
    let off = |p: &f64| (self::nines(*p) - nines).abs();
    let nearest = LABELLED.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)));
    nearest.map_or_else(String::new, |p| format!("p{p}"))
}

/// A tick's latency; in seconds even where it is minutes, so that powers of ten look like it.
fn latency_label(decade: f64) -> String {
    let us = libm::exp10(decade);
    if us < 6e7 { format::latency(us) } else { format!("{} s", format::count((us / 1e6).round() as u64)) }
}

/// Heights at which labels can stand beside these without overlapping, in the same order.
fn spread_out(wanted: &[i32]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| wanted[*place]);
    let room = HEIGHT - 40;
    let apart = (room / i32::try_from(wanted.len().max(1)).unwrap_or(i32::MAX)).min(LABEL_SIZE as i32 + 3);
    let mut heights = wanted.to_vec();
    // Downwards each label makes room for the one above it; upwards they come back into the chart.
    let mut above = 24 - apart;
    for place in &order {
        heights[*place] = heights[*place].max(above + apart);
        above = heights[*place];
    }
    let mut below = HEIGHT - 16 + apart;
    for place in order.iter().rev() {
        heights[*place] = heights[*place].min(below - apart);
        below = heights[*place];
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn chart<'a>(variants: Vec<(&'a str, Option<&'a Distribution>)>) -> LatencyChart<'a> {
        LatencyChart { id: "c".to_owned(), whose: "everyone", variants, slo_us: 500_000 }
    }

    #[test]
    fn each_nine_is_as_far_as_the_last() {
        assert!((nines(90.0) - nines(0.0) - 1.0).abs() < 1e-12);
        assert!((nines(99.0) - nines(90.0) - 1.0).abs() < 1e-12);
        assert_eq!([50.0, 99.9, 99.99].map(|p| percentile_label(nines(p))), ["p50", "p99.9", "p99.99"]);
    }

    #[test]
    fn each_percentile_is_labelled_once() {
        let distribution = testing::distribution(1000, 10_000, 60_000);
        let drawn = latency_chart(&chart(vec![("a", Some(&distribution))])).unwrap().unwrap();
        let document = roxmltree::Document::parse(&drawn).unwrap();
        let words =
            document.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text());
        let labels: Vec<&str> = words.map(str::trim).filter(|label| label.starts_with('p')).collect();
        assert_eq!(labels, ["p50", "p90", "p99", "p99.9", "p99.99"]);
    }

    #[test]
    fn ticks_are_powers_of_ten_of_one_unit_each() {
        assert_eq!(
            [2.0, 3.0, 5.0, 6.0, 8.0].map(latency_label),
            ["100 µs", "1 ms", "100 ms", "1 s", "100 s"]
        );
    }

    #[test]
    fn labels_stand_apart_and_inside() {
        let heights = spread_out(&[100, 101, 99, 610, 612]);
        let mut sorted = heights.clone();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LABEL_SIZE as i32), "{heights:?}");
        assert!(sorted.iter().all(|height| (0..HEIGHT).contains(height)), "{heights:?}");
        assert!(heights[2] < heights[0] && heights[0] < heights[1], "the order of the lines: {heights:?}");
        assert_eq!(spread_out(&[5; 40]).len(), 40);
    }

    #[test]
    fn the_slo_is_on_the_axis_where_it_is_near() {
        let distribution = testing::distribution(1000, 10_000, 60_000);
        let curves = [Curve { place: 0, name: "a", points: points(&distribution) }];
        let near = latency_axis(&curves, decades(500_000));
        assert!(near.high > decades(500_000));
        let far = latency_axis(&curves, decades(60_000_000));
        assert!(far.high < decades(60_000_000));
    }

    #[test]
    fn without_latencies_there_is_no_chart_and_without_spread_there_is() {
        let nothing = Distribution::default();
        assert!(latency_chart(&chart(vec![("a", Some(&nothing)), ("b", None)])).unwrap().is_none());
        let mut level = testing::distribution(1, 1, 1);
        level.percentiles.iter_mut().for_each(|point| point.us = 0);
        let drawn = latency_chart(&chart(vec![("a", Some(&level)), ("b", None)])).unwrap().unwrap();
        assert!(drawn.contains("b: nothing reached an upstream."));
        roxmltree::Document::parse(&drawn).unwrap();
    }
}
