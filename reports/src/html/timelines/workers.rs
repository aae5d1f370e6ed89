//! Workers in use and those who wait for one, of the gateway and of every upstream.

use super::{Group, Reading, Row, Scene, ends, key, reading::stepped};
use crate::{
    RunResult, StationResult,
    chart::{Axis, ChartError, Ink, Mark, downsample},
    format, text,
};

/// A group for each station, those of the upstreams folded away.
pub(super) fn groups(scene: &Scene) -> Result<Vec<Group>, ChartError> {
    let mut names: Vec<(&str, bool)> = Vec::new();
    for station in scene.runs.iter().flat_map(|(_, run)| &run.stations) {
        let name = (station.name.as_str(), station.is_gateway);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().enumerate().map(|(place, name)| group(scene, place, name)).collect()
}

fn group(scene: &Scene, place: usize, (name, is_gateway): (&str, bool)) -> Result<Group, ChartError> {
    let of = |run: &'_ RunResult| {
        run.stations.iter().find(|station| station.name == name && station.is_gateway == is_gateway).cloned()
    };
    let stations: Vec<(&str, &RunResult, StationResult)> =
        scene.runs.iter().filter_map(|(variant, run)| Some((variant.as_str(), *run, of(run)?))).collect();
    let most = |(.., station): &(&str, &RunResult, StationResult)| {
        let in_use = station.in_flight_per_s.iter().max().copied().unwrap_or(0);
        // Workers that are never needed would press what is in use into the ground.
        let workers = station.workers.filter(|workers| u64::from(*workers) <= 3 * u64::from(in_use.max(1)));
        in_use.max(workers.unwrap_or(0))
    };
    let axis = Axis::from_zero(f64::from(stations.iter().map(most).max().unwrap_or(0)));
    let rows = stations.iter().map(|(variant, run, station)| row(scene, variant, run, station, &axis));
    let whose = if is_gateway { "the gateway".to_owned() } else { text::name(name) };
    Ok(Group {
        id: format!("workers-{place}"),
        title: format!("Workers of {whose}"),
        lead: if is_gateway {
            "The most in use within each second, and the most requests that waited for one. Where all are in use, every route \
             waits for the slowest."
                .to_owned()
        } else {
            String::new()
        },
        keys: vec![
            key(Ink::InFlight, "in use"),
            key(Ink::Workers, "all there are"),
            key(Ink::Queued, "waiting, cut off at the top of the scale"),
        ],
        rows: rows.collect::<Result<_, _>>()?,
        folded: !is_gateway,
    })
}

fn row(
    scene: &Scene,
    variant: &str,
    run: &RunResult,
    station: &StationResult,
    axis: &Axis,
) -> Result<Row, ChartError> {
    let wide = |series: &[u32]| -> Vec<u64> { series.iter().copied().map(u64::from).collect() };
    let (in_flight, queued) = (wide(&station.in_flight_per_s), wide(&station.queued_per_s));
    let steps = downsample(&in_flight, scene.step);
    let mut marks = vec![
        Mark::Area(Ink::InFlight, steps.clone()),
        Mark::Line(Ink::InFlight, steps),
        Mark::Line(Ink::Queued, downsample(&queued, scene.step)),
    ];
    let workers = station.workers.map(f64::from).filter(|workers| *workers <= axis.high);
    marks.extend(workers.map(|workers| Mark::Level(Ink::Workers, workers)));
    let peak_at = |series: &[u64]| {
        let most = series.iter().copied().max().unwrap_or(0);
        let at = series.iter().position(|value| *value == most).unwrap_or(0);
        (format::count(most), scene.clock.at_s(at as f64))
    };
    let ((in_use, at), (waiting, _)) = (peak_at(&in_flight), peak_at(&queued));
    let of =
        station.workers.map_or_else(|| "any number of".to_owned(), |workers| format::count(workers.into()));
    let description = format!(
        "{variant}: at most {in_use} of {of} workers in use, first at {at}; at most {waiting} waiting."
    );
    let reading =
        |label, series: &[u64]| Reading::of_counts(label, "", &stepped(series, scene.step), scene.step);
    Ok(Row {
        name: variant.to_owned(),
        note: None,
        size: "medium",
        scale: ends(axis, ""),
        svg: scene.lane(run, axis, 90, &description, marks)?,
        points: Vec::new(),
        readings: vec![reading("in use", &in_flight), reading("waiting", &queued)],
    })
}
