//! Offered load, goodput and what the limits admitted.

use crate::draw::canvas::{Axis, ChartError, Ink, downsample};
use crate::draw::lane::Mark;
use crate::result::run::{PopulationResult, RunResult};
use crate::words::format;
use crate::write::html::timelines::reading::stepped;
use crate::write::html::timelines::{Group, Reading, Row, Scene, ends, key};

/// Requests first; attempts apart from them, for with retries there may be many times as many.
pub(super) fn groups(scene: &Scene) -> Result<[Group; 2], ChartError> {
    let series: Vec<Series> = scene.runs.iter().map(|(_, run)| Series::of(run)).collect();
    let axis = |of: fn(&Series) -> [&Vec<u64>; 2]| {
        let top = series.iter().flat_map(of).flatten().max();
        Axis::from_zero(top.copied().unwrap_or(0) as f64)
    };
    let (requests, attempts) =
        (axis(|series| [&series.offered, &series.good]), axis(|series| [&series.offered, &series.admitted]));
    let runs = || scene.runs.iter().zip(&series);
    let load = runs().map(|((name, run), series)| load(scene, name, run, series, &requests));
    let admitted = runs().filter(|(_, series)| !series.admitted.is_empty());
    let admitted = admitted.map(|((name, run), series)| admission(scene, name, run, series, &attempts));
    Ok([
        Group {
            id: "load".to_owned(),
            title: "Offered load and goodput".to_owned(),
            lead: "Requests per second by their intended time: all that were offered, and goodput, those of them that were \
                   served within the SLO, hostile populations left out. What is grey and not green was not served well."
                .to_owned(),
            keys: vec![key(Ink::Offered, "offered"), key(Ink::Goodput, "goodput")],
            rows: load.collect::<Result<_, _>>()?,
            folded: false,
        },
        Group {
            id: "admitted".to_owned(),
            title: "Admitted attempts".to_owned(),
            lead: "Attempts per second that passed every rate limit, beside the requests that were offered: fewer where limits \
                   reject, more where clients try again."
                .to_owned(),
            keys: vec![key(Ink::Admitted, "admitted"), key(Ink::Offered, "offered")],
            rows: admitted.collect::<Result<_, _>>()?,
            folded: false,
        },
    ])
}

/// By second, over all populations; goodput over those that are not hostile.
struct Series {
    offered: Vec<u64>,
    admitted: Vec<u64>,
    good: Vec<u64>,
}

impl Series {
    fn of(run: &RunResult) -> Self {
        let all = || run.populations.iter();
        let friendly = all().filter(|population| !population.hostile);
        let good = |population: &'_ PopulationResult| population.good_per_s.clone();
        Self {
            offered: sum(all().map(|population| population.offered_per_s.clone())),
            admitted: sum(all().map(|population| population.admitted_per_s.clone())),
            good: sum(friendly.map(good)),
        }
    }
}

fn load(scene: &Scene, name: &str, run: &RunResult, series: &Series, axis: &Axis) -> Result<Row, ChartError> {
    let Series { offered, good, .. } = series;
    let steps = |series: &[u64]| downsample(series, scene.step);
    let marks = vec![
        Mark::Area(Ink::Offered, steps(offered)),
        Mark::Line(Ink::Offered, steps(offered)),
        Mark::Area(Ink::Goodput, steps(good)),
        Mark::Line(Ink::Goodput, steps(good)),
    ];
    let least = good.iter().copied().min().map_or_else(String::new, |least| {
        let at = good.iter().position(|value| *value == least).unwrap_or(0);
        format!(" and at least {}, at {}", format::count(least), scene.clock.at_s(at as f64))
    });
    let description =
        format!("{name}: {}; {}{least}.", peak(scene, "offered", offered), peak(scene, "goodput", good));
    Ok(Row {
        name: name.to_owned(),
        note: None,
        variants: scene.variant_of(run),
        size: "tall",
        scale: ends(axis, "/s"),
        svg: scene.lane(run, axis, 120, &description, marks)?,
        points: Vec::new(),
        readings: vec![reading(scene, "offered", offered), reading(scene, "goodput", good)],
    })
}

fn admission(
    scene: &Scene,
    name: &str,
    run: &RunResult,
    series: &Series,
    axis: &Axis,
) -> Result<Row, ChartError> {
    let Series { offered, admitted, .. } = series;
    let steps = |series: &[u64]| downsample(series, scene.step);
    let marks = vec![Mark::Area(Ink::Offered, steps(offered)), Mark::Line(Ink::Admitted, steps(admitted))];
    let description =
        format!("{name}: {}; {}.", peak(scene, "admitted", admitted), peak(scene, "offered", offered));
    Ok(Row {
        name: name.to_owned(),
        note: None,
        variants: scene.variant_of(run),
        size: "medium",
        scale: ends(axis, "/s"),
        svg: scene.lane(run, axis, 90, &description, marks)?,
        points: Vec::new(),
        readings: vec![reading(scene, "admitted", admitted)],
    })
}

fn reading(scene: &Scene, label: &'static str, series: &[u64]) -> Reading {
    Reading::of_counts(label, "/s", &stepped(series, scene.step), scene.step)
}

/// How much of it there is at most, and when that is first.
fn peak(scene: &Scene, what: &str, series: &[u64]) -> String {
    match series.iter().copied().max() {
        None => format!("{what} was not observed"),
        Some(most) => {
            let at = series.iter().position(|value| *value == most).unwrap_or(0);
            format!(
                "{what} is at most {} per second, at {}",
                format::count(most),
                scene.clock.at_s(at as f64)
            )
        }
    }
}

/// The series added up second by second.
pub(super) fn sum(series: impl Iterator<Item = Vec<u32>>) -> Vec<u64> {
    let mut sums: Vec<u64> = Vec::new();
    for one in series {
        sums.resize(sums.len().max(one.len()), 0);
        for (sum, value) in sums.iter_mut().zip(one) {
            *sum += u64::from(value);
        }
    }
    sums
}
