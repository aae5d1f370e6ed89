//! Latency by percentile, the variants as lines.
//!
//! The tail is what differs between gateways, and a linear axis hides it in its last pixel. Here each step to the right
//! is a tenth of what is left (p90, p99, p99.9), and latency is logarithmic: twice as slow is the same distance
//! everywhere.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::draw::canvas::{Axis, ChartError, Ink, LABEL_SIZE, WIDTH, finish, group, with_groups};
use crate::record::distribution::Distribution;
use crate::statistics::quantile::quantile_ranks;
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
    /// In the order of the file.
    pub(crate) lines: Vec<LatencyLine<'a>>,
    /// The line between served and served well.
    pub(crate) slo_us: u64,
}

/// A variant, or several that did the same.
pub(crate) struct LatencyLine<'a> {
    pub(crate) name: &'a str,
    /// The place of the first of them in the file, which is its colour.
    pub(crate) place: usize,
    /// The places of all, as the page has them.
    pub(crate) variants: &'a str,
    pub(crate) distribution: Option<&'a Distribution>,
}

/// One variant's line, in the axes' units.
struct Curve<'a> {
    place: usize,
    name: &'a str,
    variants: &'a str,
    points: Vec<(f64, f64)>,
    /// Of each point, the heights between which it lies with a confidence of 95%; `None` where there are too few values to say.
    band: Vec<Option<[f64; 2]>>,
}

impl<'a> Curve<'a> {
    fn of(line: &LatencyLine<'a>) -> Option<Self> {
        let distribution = line.distribution?;
        let points = points(distribution);
        if points.is_empty() {
            return None;
        }
        let shown = distribution.percentiles.iter().filter(|point| is_shown(point.p));
        let band = shown.zip(&points).map(|(point, (_, height))| {
            let [low, high] = quantile_ranks(distribution.count, point.p / 100.0);
            let [low, high] = [low?, high?].map(|rank| height_at(&points, distribution, rank));
            // The curve is rounded to three digits and its band lies around it.
            Some([low.min(*height), high.max(*height)])
        });
        let band = band.collect();
        Some(Self { place: line.place, name: line.name, variants: line.variants, points, band })
    }
}

fn curves<'a>(chart: &LatencyChart<'a>) -> Vec<Curve<'a>> {
    chart.lines.iter().filter_map(Curve::of).collect()
}

/// The height of the curve at the value of that rank, from 1. Between two points the curve is straight, as it is drawn.
fn height_at(points: &[(f64, f64)], distribution: &Distribution, rank: u64) -> f64 {
    let x = nines(100.0 * rank as f64 / distribution.count.max(1) as f64);
    let after = points.iter().position(|(nines, _)| *nines >= x);
    match after {
        Some(0) => points[0].1,
        Some(after) => {
            let [(from, low), (to, high)] = [points[after - 1], points[after]];
            let share = if to > from { (x - from) / (to - from) } else { 1.0 };
            low + (high - low) * share
        }
        // Beyond the last percentile the greatest value is all that is known.
        None => decades(distribution.max_us).max(points[points.len() - 1].1),
    }
}

/// The chart as SVG markup; `None` where nothing was counted under any variant.
pub(crate) fn latency_chart(chart: &LatencyChart) -> Result<Option<String>, ChartError> {
    let curves = curves(chart);
    if curves.is_empty() {
        return Ok(None);
    }
    let slo = decades(chart.slo_us);
    let level = (slo, format!("SLO {}", format::latency_us(chart.slo_us)));
    let y = latency_axis(&curves, slo);
    let svg = drawn(&curves, &y, Some(level), latency_label)?;
    let title = format!("Latency of {} by percentile", chart.whose);
    Ok(Some(finish(&svg, &chart.id, &title, &description(chart))))
}

/// How much slower each is than the first, as SVG markup; `None` where there are no two to compare.
pub(crate) fn difference_chart(chart: &LatencyChart) -> Result<Option<String>, ChartError> {
    let curves = curves(chart);
    let [first, others @ ..] = curves.as_slice() else { return Ok(None) };
    // Where the first variant reached nothing, there is nothing to compare with.
    if others.is_empty() || chart.lines.first().is_none_or(|line| line.place != first.place) {
        return Ok(None);
    }
    let others: Vec<Curve> = others.iter().filter_map(|other| difference(first, other)).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let y = factor_axis(&others);
    let svg = drawn(&others, &y, Some((0.0, first.name.to_owned())), factor_label)?;
    let title = format!("Latency of {} as a multiple of that under {}", chart.whose, first.name);
    let told = others.iter().map(|curve| {
        let at = |p: f64| {
            let point = curve.points.iter().find(|(at, _)| (at - nines(p)).abs() < 1e-9)?;
            Some(format!("{:.2} at p{p}", libm::exp10(point.1)))
        };
        let factors: Vec<String> = [50.0, 99.0, 99.9].into_iter().filter_map(at).collect();
        format!("{}: {}", curve.name, factors.join(", "))
    });
    let told = told.collect::<Vec<_>>().join("; ") + " times as long.";
    Ok(Some(finish(&svg, &format!("{}-difference", chart.id), &title, &told)))
}

/// One less the other, on the logarithmic axis: how many times as long. The band is that of a difference of two independent
/// estimates with intervals of their own (Zou & Donner, *Construction of confidence limits about effect measures: a general
/// approach*, Statistics in Medicine 27, 2008). Variants meet the same arrivals, which makes the band wider than it need be.
fn difference<'a>(first: &Curve, other: &Curve<'a>) -> Option<Curve<'a>> {
    let mut difference = Curve {
        place: other.place,
        name: other.name,
        variants: other.variants,
        points: Vec::new(),
        band: Vec::new(),
    };
    for ((x, height), band) in other.points.iter().zip(&other.band) {
        let Some(at) = first.points.iter().position(|(known, _)| known.total_cmp(x).is_eq()) else {
            continue;
        };
        let (base, apart) = (first.points[at].1, height - first.points[at].1);
        difference.points.push((*x, apart));
        difference.band.push(band.zip(first.band[at]).map(|([low, high], [base_low, base_high])| {
            [
                apart - libm::hypot(height - low, base_high - base),
                apart + libm::hypot(high - height, base - base_low),
            ]
        }));
    }
    (!difference.points.is_empty()).then_some(difference)
}

/// Curves with their bands and names, and a level to hold them against.
fn drawn(
    curves: &[Curve],
    y: &Axis,
    level: Option<(f64, String)>,
    label: fn(f64) -> String,
) -> Result<String, ChartError> {
    let x = Axis { low: 0.0, high: nines(LAST), ticks: LABELLED.map(nines).to_vec() };
    let mut svg = String::new();
    let mut groups = Vec::new();
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
            .y_label_formatter(&|height| label(*height))
            .draw()?;
        if let Some((height, label)) = level.filter(|(height, _)| *height > y.low && *height < y.high) {
            let ends = vec![(x.low, height), (x.high, height)];
            context.draw_series(std::iter::once(PathElement::new(ends, Ink::Slo.line(3))))?;
            let (left, height) = context.plotting_area().map_coordinate(&(x.low, height));
            let label = text::cut(&label, LABEL_COLUMNS).into_owned();
            root.draw(&Text::new(label, (left + 14, height - 22), Ink::words(HPos::Left, VPos::Center)))?;
        }
        let at = |point: &(f64, f64)| context.plotting_area().map_coordinate(point);
        let ends: Vec<(i32, i32)> = curves.iter().filter_map(|curve| curve.points.last()).map(at).collect();
        let heights = spread_out(&ends.iter().map(|(_, height)| *height).collect::<Vec<_>>());
        let edge = WIDTH.cast_signed() - LABELS;
        for ((curve, end), height) in curves.iter().zip(ends).zip(heights) {
            let ink = Ink::Series(curve.place);
            groups.push(group(curve.variants, HEIGHT.unsigned_abs(), |root| {
                let known =
                    || curve.points.iter().zip(&curve.band).filter_map(|((x, _), band)| Some((*x, (*band)?)));
                let below = known().map(|(x, [low, _])| at(&(x, low)));
                let above: Vec<(i32, i32)> = known().map(|(x, [_, high])| at(&(x, high))).collect();
                let outline: Vec<(i32, i32)> = below.chain(above.into_iter().rev()).collect();
                if !outline.is_empty() {
                    root.draw(&Polygon::new(outline, ink.colour().filled()))?;
                }
                let line = curve.points.iter().map(at).collect::<Vec<_>>();
                root.draw(&PathElement::new(line, ink.line(5)))?;
                root.draw(&PathElement::new(vec![end, (edge + 24, height)], Ink::Axis.line(1)))?;
                root.draw(&PathElement::new(vec![(edge + 24, height), (edge + 72, height)], ink.line(5)))?;
                let name = shortened(curve.name);
                root.draw(&Text::new(name, (edge + 80, height), Ink::words(HPos::Left, VPos::Center)))?;
                Ok(())
            })?);
        }
        root.present()?;
    }
    Ok(with_groups(&svg, &groups))
}

/// The chart in words: three percentiles of each variant.
fn description(chart: &LatencyChart) -> String {
    let told = chart.lines.iter().map(|LatencyLine { name, distribution, .. }| {
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
    let shown = distribution.percentiles.iter().filter(|point| is_shown(point.p));
    shown.map(|point| (nines(point.p), decades(point.us))).collect()
}

fn is_shown(p: f64) -> bool {
    (0.0..=LAST).contains(&p)
}

/// A name with its middle left out where it is too long: the names of a family of variants differ at their ends.
fn shortened(name: &str) -> String {
    let all = text::cut(name, LABEL_COLUMNS);
    if all == name {
        return all.into_owned();
    }
    let backwards: String = name.chars().rev().collect();
    let end = text::cut(&backwards, LABEL_COLUMNS / 2 + 1);
    let end = end.chars().rev().skip(1);
    text::cut(name, LABEL_COLUMNS / 2).chars().chain(end).collect()
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

/// From just below the least to just above the greatest factor. Bands may end at the edge: a wide one would press the curves
/// flat.
fn factor_axis(curves: &[Curve]) -> Axis {
    let heights = || curves.iter().flat_map(|curve| &curve.points).map(|(_, height)| *height);
    let (low, high) =
        heights().fold((0.0, 0.0), |(low, high): (f64, f64), height| (low.min(height), high.max(height)));
    let (low, high) = ((low - 0.1).max(-LARGEST_FACTOR), (high + 0.1).min(LARGEST_FACTOR));
    let within_decade: &[f64] = if high - low > 2.5 {
        &[1.0]
    } else if high - low > 0.7 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0]
    };
    let decades = 0..=high.max(-low).ceil() as i32;
    let above =
        decades.flat_map(|decade| within_decade.iter().map(move |n| f64::from(decade) + libm::log10(*n)));
    let mut ticks: Vec<f64> =
        above.flat_map(|tick| [-tick, tick]).filter(|tick| (low..=high).contains(tick)).collect();
    ticks.sort_unstable_by(f64::total_cmp);
    ticks.dedup_by(|one, other| (*one - *other).abs() < 1e-9);
    Axis { low, high, ticks }
}

/// Beyond a million times as long, in powers of ten, the axis ends.
const LARGEST_FACTOR: f64 = 6.0;

/// `× 2`, `× 1/5`.
fn factor_label(decades: f64) -> String {
    let factor = |decades: f64| {
        let factor = libm::exp10(decades);
        if factor < 10.0 {
            format!("{}", (factor * 10.0).round() / 10.0)
        } else {
            format::count(factor.round() as u64)
        }
    };
    if decades < -1e-9 {
        format!("× 1/{}", factor(-decades))
    } else {
        format!("× {}", factor(decades.max(0.0)))
    }
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
        let line = |(place, (name, distribution))| LatencyLine { name, place, variants: "0", distribution };
        let lines = variants.into_iter().enumerate().map(line).collect();
        LatencyChart { id: "c".to_owned(), whose: "everyone", lines, slo_us: 500_000 }
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
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("timeout+retry-budget"), "timeout+retry-budget");
        assert_eq!(shortened("quickstart-with-setting-12"), "quickstart…-setting-12");
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
        let chart = chart(vec![("a", Some(&distribution))]);
        let curves = curves(&chart);
        let near = latency_axis(&curves, decades(500_000));
        assert!(near.high > decades(500_000));
        let far = latency_axis(&curves, decades(60_000_000));
        assert!(far.high < decades(60_000_000));
    }

    #[test]
    fn the_band_is_wide_where_few_requests_are_and_ends_where_they_are_too_few() {
        let band = |count: u64| {
            let distribution = testing::distribution(count, 10_000, 60_000);
            let chart = chart(vec![("a", Some(&distribution))]);
            let curve = curves(&chart).remove(0);
            let median = curve.points.iter().position(|(x, _)| (x - nines(50.0)).abs() < 1e-9).unwrap();
            let around = |(band, (_, height)): (&Option<[f64; 2]>, &(f64, f64))| {
                band.is_none_or(|[low, high]| (low..=high).contains(height))
            };
            assert!(curve.band.iter().zip(&curve.points).all(around));
            let [low, high] = curve.band[median].unwrap();
            (high - low, *curve.band.last().unwrap())
        };
        let ((few, few_end), (many, many_end)) = (band(100), band(1_000_000));
        assert!(few > 20.0 * many, "{few} {many}");
        assert!(few_end.is_none() && many_end.is_some());
    }

    #[test]
    fn the_difference_to_the_first_is_a_factor_with_a_band_around_it() {
        let [slow, quick] = [20_000, 10_000].map(|p50| testing::distribution(5_000, p50, 6 * p50));
        let two = chart(vec![("quick", Some(&quick)), ("slow", Some(&slow))]);
        let svg = difference_chart(&two).unwrap().unwrap();
        assert!(svg.contains("slow: 2.00 at p50, 2.00 at p99"), "{svg}");
        assert!(svg.contains("× 2<") || svg.contains("× 2\n<"), "{svg}");
        roxmltree::Document::parse(&svg).unwrap();
        let both = curves(&two);
        let apart = difference(&both[0], &both[1]).unwrap();
        let wider = |place: usize| {
            let width = |curve: &Curve| curve.band[place].map(|[low, high]| high - low);
            width(&apart).is_none_or(|width_apart| Some(width_apart) > width(&both[1]))
        };
        assert!((0..apart.points.len()).all(wider));
        // There is nothing to compare with the only one, nor with a first that reached nothing.
        assert!(difference_chart(&chart(vec![("quick", Some(&quick))])).unwrap().is_none());
        assert!(
            difference_chart(&chart(vec![("none", None), ("a", Some(&slow)), ("b", Some(&quick))]))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn factors_read_as_multiples() {
        assert_eq!(
            [0.0, 1.0, -1.0, libm::log10(1.5), -0.0, 3.0].map(factor_label),
            ["× 1", "× 10", "× 1/10", "× 1.5", "× 1", "× 1,000"]
        );
    }

    #[test]
    fn what_belongs_to_a_variant_can_be_folded_away() {
        let distribution = testing::distribution(1000, 10_000, 60_000);
        let mut two = chart(vec![("a", Some(&distribution)), ("b", Some(&distribution))]);
        (two.lines[0].variants, two.lines[1].variants) = ("0 2", "1");
        let svg = latency_chart(&two).unwrap().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let groups: Vec<_> = document.descendants().filter(|node| node.has_tag_name("g")).collect();
        let variants: Vec<_> = groups.iter().filter_map(|group| group.attribute("data-variants")).collect();
        assert_eq!(variants, ["0 2", "1"]);
        assert!(groups[0].descendants().any(|node| node.text().map(str::trim) == Some("a")));
        assert!(!svg.contains("#FE"));
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
