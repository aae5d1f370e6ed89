//! Workers in use and those who wait for one, of the gateway and of every upstream.

use std::collections::HashMap;

use crate::draw::canvas::{Axis, ChartError, Ink, downsample};
use crate::draw::lane::Mark;
use crate::result::run::{RunResult, StationResult};
use crate::tell::breakdown::station_weight;
use crate::words::detail::IN_FULL;
use crate::words::{format, text};
use crate::write::html::timelines::reading::stepped;
use crate::write::html::timelines::{Group, MOST_LANES, Reading, Row, Scene, ends, key};

/// A group for each station, those of the upstreams folded away.
pub(super) fn groups(scene: &Scene) -> Result<Vec<Group>, ChartError> {
    let (stations, kept) = stations(scene);
    let names = kept.into_iter().map(|place| stations[place].0);
    names.enumerate().map(|(place, name)| group(scene, place, name)).collect()
}

/// That not all stations are drawn, if so.
pub(super) fn left_out(scene: &Scene) -> Option<String> {
    let (stations, kept) = stations(scene);
    let upstreams = stations.iter().filter(|((_, is_gateway), _)| !is_gateway).count();
    (kept.len() < stations.len()).then(|| {
        let drawn = upstreams - (stations.len() - kept.len());
        format!(
            "Of {upstreams} upstreams the workers of {drawn} are drawn, those with the longest queues and the busiest workers; \
             {IN_FULL}."
        )
    })
}

/// Name of a station, and whether it is the gateway.
type Name<'s> = (&'s str, bool);

/// Each station with how much it has to tell, and the places of those that are drawn.
fn stations<'s>(scene: &'s Scene) -> (Vec<(Name<'s>, f64)>, Vec<usize>) {
    let mut stations: Vec<(Name, f64)> = Vec::new();
    let mut places: HashMap<Name, usize> = HashMap::new();
    for station in scene.runs.iter().flat_map(|(_, run)| &run.stations) {
        let (name, weight) = ((station.name.as_str(), station.is_gateway), station_weight(station));
        let place = *places.entry(name).or_insert_with(|| {
            stations.push((name, weight));
            stations.len() - 1
        });
        stations[place].1 = stations[place].1.max(weight);
    }
    let weights: Vec<f64> = stations.iter().map(|(_, weight)| *weight).collect();
    // A lane for the workers, and one for those who wait.
    let most = (MOST_LANES / (2 * scene.runs.len().max(1))).max(FEWEST_STATIONS);
    let kept = scene.detail.keep(most, &weights);
    (stations, kept)
}

/// So many stations are drawn however many variants there are.
const FEWEST_STATIONS: usize = 4;

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
    let used = stations.iter().map(|(variant, run, station)| in_use(scene, variant, run, station, &axis));
    let mut rows = used.collect::<Result<Vec<_>, _>>()?;
    // A line of a thousand above a pool of some hundred would be off the scale, or the pool a stripe at its bottom: they who
    // wait have lanes of their own.
    let longest = |station: &StationResult| station.queued_per_s.iter().max().copied().unwrap_or(0);
    let (waited, nobody): (Vec<_>, Vec<_>) = stations.iter().partition(|(.., station)| longest(station) > 0);
    let top = waited.iter().map(|(.., station)| longest(station)).max().unwrap_or(0);
    let axis = Axis::from_zero(f64::from(top));
    for (variant, run, station) in &waited {
        rows.push(waiting(scene, variant, run, station, &axis)?);
    }
    let whose = if is_gateway { "the gateway".to_owned() } else { text::name(name) };
    let mut lead = Vec::new();
    if is_gateway {
        lead.push(
            "The most in use within each second, and below them the most requests that waited for one. Where all are in use, \
             every route waits for the slowest."
                .to_owned(),
        );
    }
    if !nobody.is_empty() {
        let names: Vec<String> = nobody.iter().map(|(variant, ..)| (*variant).to_owned()).collect();
        let under = if waited.is_empty() { String::new() } else { format!(" under {}", text::list(&names)) };
        lead.push(format!("Nobody waited for one{under}."));
    }
    let mut keys = vec![key(Ink::InFlight, "in use"), key(Ink::Workers, "all there are")];
    if !waited.is_empty() {
        keys.push(key(Ink::Queued, "waiting"));
    }
    Ok(Group {
        id: format!("workers-{place}"),
        title: format!("Workers of {whose}"),
        lead: lead.join(" "),
        keys,
        rows,
        folded: !is_gateway,
    })
}

fn in_use(
    scene: &Scene,
    variant: &str,
    run: &RunResult,
    station: &StationResult,
    axis: &Axis,
) -> Result<Row, ChartError> {
    let in_flight = wide(&station.in_flight_per_s);
    let steps = downsample(&in_flight, scene.step);
    let mut marks = vec![Mark::Area(Ink::InFlight, steps.clone()), Mark::Line(Ink::InFlight, steps)];
    let workers = station.workers.map(f64::from).filter(|workers| *workers <= axis.high);
    marks.extend(workers.map(|workers| Mark::Level(Ink::Workers, workers)));
    let of =
        station.workers.map_or_else(|| "any number of".to_owned(), |workers| format::count(workers.into()));
    let (most, at) = peak(scene, &in_flight);
    let description = format!("{variant}: at most {most} of {of} workers in use, first at {at}.");
    Ok(Row {
        name: variant.to_owned(),
        note: None,
        variants: scene.variant_of(run),
        size: "medium",
        scale: ends(axis, ""),
        svg: scene.lane(run, axis, 90, &description, marks)?,
        points: Vec::new(),
        readings: vec![reading(scene, "in use", &in_flight)],
    })
}

fn waiting(
    scene: &Scene,
    variant: &str,
    run: &RunResult,
    station: &StationResult,
    axis: &Axis,
) -> Result<Row, ChartError> {
    let queued = wide(&station.queued_per_s);
    let steps = downsample(&queued, scene.step);
    let mut marks = vec![Mark::Area(Ink::Queued, steps.clone()), Mark::Line(Ink::Queued, steps)];
    let places = station.queue.map(f64::from).filter(|places| *places <= axis.high);
    marks.extend(places.map(|places| Mark::Level(Ink::Workers, places)));
    let of = station.queue.map_or_else(|| "any number of".to_owned(), |places| format::count(places.into()));
    let (most, at) = peak(scene, &queued);
    let description = format!("{variant}: at most {most} waiting in {of} places, first at {at}.");
    Ok(Row {
        name: variant.to_owned(),
        note: Some("waiting".to_owned()),
        variants: scene.variant_of(run),
        size: "medium",
        scale: ends(axis, ""),
        svg: scene.lane(run, axis, 90, &description, marks)?,
        points: Vec::new(),
        readings: vec![reading(scene, "waiting", &queued)],
    })
}

fn wide(series: &[u32]) -> Vec<u64> {
    series.iter().copied().map(u64::from).collect()
}

/// How many at most, and when that is first.
fn peak(scene: &Scene, series: &[u64]) -> (String, String) {
    let most = series.iter().copied().max().unwrap_or(0);
    let at = series.iter().position(|value| *value == most).unwrap_or(0);
    (format::count(most), scene.clock.at_s(at as f64))
}

fn reading(scene: &Scene, label: &'static str, series: &[u64]) -> Reading {
    Reading::of_counts(label, "", &stepped(series, scene.step), scene.step)
}

#[cfg(test)]
mod tests {
    use crate::testing;
    use crate::write::html::timelines;

    #[test]
    fn those_who_wait_have_a_scale_on_which_all_of_them_are_seen() {
        let groups = timelines::timelines(&testing::window_boundary(), crate::words::detail::Detail::Full)
            .unwrap()
            .unwrap()
            .groups;
        let [gateway, orders] =
            ["workers-0", "workers-1"].map(|id| groups.iter().find(|group| group.id == id).unwrap());
        assert_eq!(gateway.rows.len(), 4);
        assert!(gateway.lead.ends_with("Nobody waited for one."), "{}", gateway.lead);
        assert_eq!(orders.rows.len(), 8);
        let waiting = &orders.rows[4];
        assert_eq!(waiting.note.as_deref(), Some("waiting"));
        assert_eq!(waiting.scale.last().map(|tick| tick.label.as_str()), Some("1,500"));
        assert!(waiting.readings[0].rest.ends_with("1,024"), "{}", waiting.readings[0].rest);
    }

    #[test]
    fn of_hundreds_of_upstreams_the_busiest_are_drawn() {
        let mut result = testing::window_boundary();
        let variants = result.variants.clone();
        for run in result.variants.iter_mut().flat_map(|variant| &mut variant.runs) {
            let upstream = run.stations[1].clone();
            run.stations.extend((0..99).map(|n| crate::result::run::StationResult {
                name: format!("s{n}"),
                peak_queued: 10_000 + n,
                ..upstream.clone()
            }));
        }
        let drawn = |result: &crate::result::experiment::ExperimentResult, detail| {
            let timelines = timelines::timelines(result, detail).unwrap().unwrap();
            let titles = timelines.groups.into_iter().map(|group| group.title);
            (titles.filter(|title| title.starts_with("Workers of")).collect::<Vec<_>>(), timelines.lead)
        };
        // The gateway and 19 upstreams for four variants, 160 lanes, and all 101 of them in full.
        let (titles, lead) = drawn(&result, crate::words::detail::Detail::Fitted);
        assert_eq!(
            (titles.len(), &*titles[0], &*titles[1]),
            (20, "Workers of the gateway", "Workers of s80")
        );
        let told = "Of 100 upstreams the workers of 19 are drawn, those with the longest queues and the busiest workers; \
                    `--full` has all of them.";
        assert!(lead.contains(told), "{lead}");
        let (titles, lead) = drawn(&result, crate::words::detail::Detail::Full);
        assert!(titles.len() == 101 && !lead.contains("--full"), "{lead}");
        // Of a world of common size nothing is left out.
        result.variants = variants;
        assert_eq!(
            drawn(&result, crate::words::detail::Detail::Fitted),
            drawn(&result, crate::words::detail::Detail::Full)
        );
    }
}
