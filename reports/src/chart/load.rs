//! Offered and admitted load over the scenario's clock, one chart per variant on the same axes.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Axis, ChartError, Ink, Step, WIDTH, downsample, finish};
use crate::format::{self, Clock};

const HEIGHT: u32 = 440;

/// How many labels fit beside each other on the time axis.
const TIME_LABELS: f64 = 6.0;

/// What is drawn.
pub(crate) struct LoadChart<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) variant: &'a str,
    pub(crate) clock: Clock,
    /// Logical requests per second.
    pub(crate) offered: &'a [u64],
    /// Attempts let through per second.
    pub(crate) admitted: &'a [u64],
    /// From the first fault to the end of the last, seconds from the start.
    pub(crate) faults: Option<(f64, f64)>,
    /// The end of the time axis, the same for all variants.
    pub(crate) seconds: usize,
    /// The top of the load axis, the same for all variants.
    pub(crate) top: u64,
    /// See [`super::seconds_per_step`].
    pub(crate) seconds_per_step: usize,
}

/// The chart as SVG markup.
pub(crate) fn load_chart(chart: &LoadChart) -> Result<String, ChartError> {
    let x = time_axis(chart.clock, chart.seconds);
    let y = Axis::from_zero(chart.top as f64);
    let offered = downsample(chart.offered, chart.seconds_per_step);
    let admitted = downsample(chart.admitted, chart.seconds_per_step);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut context = ChartBuilder::on(&root)
            .margin_top(24)
            .margin_right(60)
            .set_label_area_size(LabelAreaPosition::Bottom, 60)
            .y_label_area_size(110)
            .build_cartesian_2d(x.coordinate(), y.coordinate())?;
        // Below the lines of the grid; the words come last, above everything.
        let faults = shown_faults(chart);
        if let Some((from, to)) = faults {
            let band = Rectangle::new([(from, 0.0), (to, y.high)], Ink::Faults.colour().filled());
            context.draw_series(std::iter::once(band))?;
        }
        context
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .set_tick_mark_size(LabelAreaPosition::Bottom, 12)
            .bold_line_style(Ink::Grid.line(2))
            .axis_style(Ink::Axis.line(2))
            .x_label_style(Ink::words(HPos::Center, VPos::Top))
            .y_label_style(Ink::words(HPos::Right, VPos::Center))
            .x_label_formatter(&|seconds| chart.clock.at_s(*seconds))
            .y_label_formatter(&|per_s| format::count(*per_s as u64))
            .draw()?;
        let area = outline(&offered);
        if !area.is_empty() {
            let mut closed = area.clone();
            closed.push((area[area.len() - 1].0, 0.0));
            closed.push((area[0].0, 0.0));
            context.draw_series(std::iter::once(Polygon::new(closed, Ink::Offered.colour().mix(0.3))))?;
            context.draw_series(std::iter::once(PathElement::new(area, Ink::Offered.line(2))))?;
        }
        let line = outline(&admitted);
        if !line.is_empty() {
            context.draw_series(std::iter::once(PathElement::new(line, Ink::Admitted.line(4))))?;
        }
        if let Some((from, to)) = faults {
            let middle = f64::midpoint(from, to);
            let style = Ink::words(HPos::Center, VPos::Top);
            context.draw_series(std::iter::once(Text::new("faults", (middle, y.high), style)))?;
        }
        root.present()?;
    }
    let title = format!("{}: offered and admitted load over time", chart.variant);
    Ok(finish(&svg, &chart.id, &title, &description(chart)))
}

/// The chart in words: both peaks and when they were.
fn description(chart: &LoadChart) -> String {
    let peak = |name: &str, series: &[u64]| match series.iter().copied().max() {
        None => format!("{name} load was not observed"),
        Some(0) => format!("{name} load is zero throughout"),
        Some(most) => {
            let second = series.iter().position(|value| *value == most).unwrap_or(0);
            format!(
                "{name} load is highest with {} per second at {}",
                format::count(most),
                chart.clock.at_s(second as f64)
            )
        }
    };
    let faults = shown_faults(chart).map_or_else(String::new, |(from, to)| {
        format!("; something failed between {} and {}", chart.clock.at_s(from), chart.clock.at_s(to))
    });
    format!("{}; {}{faults}.", peak("offered", chart.offered), peak("admitted", chart.admitted))
}

/// The part of the faults' time that the axis shows.
fn shown_faults(chart: &LoadChart) -> Option<(f64, f64)> {
    let (from, to) = chart.faults?;
    let end = chart.seconds as f64;
    (from < end).then(|| (from, to.min(end)))
}

/// The corners of the steps; where neighbours are level there is none.
fn outline(steps: &[Step]) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::with_capacity(steps.len() * 2);
    let mut level = None;
    for step in steps {
        if level != Some(step.most) {
            if let Some(level) = level {
                corners.push((step.from_s as f64, level as f64));
            }
            corners.push((step.from_s as f64, step.most as f64));
            level = Some(step.most);
        }
    }
    if let (Some(last), Some(level)) = (steps.last(), level) {
        corners.push((last.to_s as f64, level as f64));
    }
    corners
}

/// From the start over so many seconds, with ticks at round times of day.
fn time_axis(clock: Clock, seconds: usize) -> Axis {
    const STEPS: [u32; 17] =
        [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];
    let seconds = seconds.max(1) as f64;
    let fits = |step: &f64| seconds / step <= TIME_LABELS;
    let half_days = || {
        (1..=u16::MAX)
            .map(|half_days| f64::from(half_days) * 43_200.0)
            .find(|step| seconds / step <= TIME_LABELS)
    };
    let step = STEPS.into_iter().map(f64::from).find(fits).or_else(half_days).unwrap_or(seconds);
    let start = clock.second_of_day();
    let first = (start / step).ceil() * step - start;
    let ticks = (0..=TIME_LABELS as u32).map(|n| first + f64::from(n) * step).filter(|tick| *tick <= seconds);
    Axis { low: 0.0, high: seconds, ticks: ticks.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn ticks_fall_on_round_times_of_day() {
        let mut scenario = testing::window_boundary().scenario;
        let labels =
            |starts_unix_s: i64, seconds: usize, scenario: &mut crate::ScenarioSummary| -> Vec<String> {
                scenario.starts_unix_s = starts_unix_s;
                let clock = Clock::of(scenario);
                time_axis(clock, seconds).ticks.iter().map(|tick| clock.at_s(*tick)).collect()
            };
        let nine = scenario.starts_unix_s;
        assert_eq!(
            labels(nine, 4, &mut scenario),
            ["09:00:00", "09:00:01", "09:00:02", "09:00:03", "09:00:04"]
        );
        assert_eq!(labels(nine + 7, 50, &mut scenario).first().map(String::as_str), Some("09:00:10"));
        let day = labels(nine, 75_000, &mut scenario);
        assert_eq!(day.first().map(String::as_str), Some("12:00:00"));
        assert!(day.len() <= 7);
        assert_eq!(labels(nine, 0, &mut scenario), ["09:00:00", "09:00:01"]);
    }

    #[test]
    fn faults_are_shown_as_far_as_the_axis_goes() {
        let scenario = testing::window_boundary().scenario;
        let chart = |faults: Option<(f64, f64)>| LoadChart {
            id: "c".to_owned(),
            variant: "base",
            clock: Clock::of(&scenario),
            offered: &[1, 2, 3],
            admitted: &[1, 1, 1],
            faults,
            seconds: 120,
            top: 3,
            seconds_per_step: 1,
        };
        assert_eq!(shown_faults(&chart(Some((30.0, 300.0)))), Some((30.0, 120.0)));
        assert_eq!(shown_faults(&chart(Some((120.0, 300.0)))), None);
        let svg = load_chart(&chart(Some((30.0, 60.0)))).unwrap();
        assert!(svg.contains("class=\"fill faults\""), "{svg}");
        assert!(svg.contains("something failed between 09:00:30 and 09:01:00."), "{svg}");
        assert!(!load_chart(&chart(None)).unwrap().contains("faults"));
    }

    #[test]
    fn a_level_stretch_has_two_corners() {
        let steps = downsample(&[5, 5, 5, 9, 9], 1);
        assert_eq!(outline(&steps), [(0.0, 5.0), (3.0, 5.0), (3.0, 9.0), (5.0, 9.0)]);
        assert!(outline(&[]).is_empty());
    }
}
