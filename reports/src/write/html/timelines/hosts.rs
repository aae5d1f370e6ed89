//! How many hosts of an upstream the gateway passed over when, and which.

use crate::draw::canvas::{ChartError, Ink};
use crate::draw::lane::Mark;
use crate::result::run::{RunResult, StationResult};
use crate::words::detail::IN_FULL;
use crate::words::{format, text};
use crate::write::html::timelines::{Group, MOST_LANES, Point, Reading, Row, Scene, key};

/// So many changes of an upstream's hosts can be asked for.
const POINTS: usize = 40;

/// A change of one of the hosts: microseconds from the start, the host, and what it is from then on.
type Change<'r> = (u64, usize, &'r str);

/// A row for each upstream of which a host was passed over.
pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let stations = scene
        .runs
        .iter()
        .flat_map(|(name, run)| run.stations.iter().map(move |station| (name, run, station)));
    let changed: Vec<_> = stations.filter(|(.., station)| !changes(station).is_empty()).collect();
    let weights: Vec<f64> = changed.iter().map(|(.., station)| changes(station).len() as f64).collect();
    let kept = scene.detail.keep(MOST_LANES, &weights);
    let rows = kept.iter().map(|place| {
        let (name, run, station) = changed[*place];
        row(scene, name, run, station)
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let left_out = if rows.len() < changed.len() {
        let (drawn, all) = (rows.len(), changed.len());
        format!(" Of {all}, the {drawn} that changed most often are drawn; {IN_FULL}.")
    } else {
        String::new()
    };
    Ok((!rows.is_empty()).then(|| Group {
        id: "hosts-passed-over".to_owned(),
        title: "Hosts passed over".to_owned(),
        lead: format!(
            "The share of an upstream's hosts that the gateway passed over. A dot is a change; point at it or move to it with the \
             tab key to read which host.{left_out}"
        ),
        keys: vec![key(Ink::Open, "passed over")],
        rows,
        folded: false,
    }))
}

/// The changes of all hosts of an upstream, in order of time.
fn changes(station: &StationResult) -> Vec<Change<'_>> {
    let hosts = station.hosts.iter().enumerate();
    let of_host = hosts.flat_map(|(number, host)| {
        host.changes.iter().map(move |change| (change.at_us, number, change.to.as_str()))
    });
    let mut all: Vec<_> = of_host.collect();
    all.sort_by_key(|change| change.0);
    all
}

fn row(scene: &Scene, variant: &str, run: &RunResult, station: &StationResult) -> Result<Row, ChartError> {
    let name = text::name(&station.name);
    let at = |us: u64| us as f64 / 1e6;
    let changes = changes(station);
    let mut out = vec![false; station.hosts.len()];
    // From when on how many are passed over.
    let mut levels = vec![(0.0, 0_usize)];
    for (at_us, host, to) in &changes {
        out[*host] = *to != "in";
        levels.push((at(*at_us), out.iter().filter(|out| **out).count()));
    }
    let all = station.hosts.len();
    let ends = levels.iter().skip(1).map(|(at, _)| *at).chain([scene.seconds]);
    let block = |((from, count), to): (&(f64, usize), f64)| {
        let height = *count as f64 / all as f64;
        (*count > 0 && *from < to && *from < scene.seconds)
            .then_some(Mark::Block(Ink::Open, [(*from, height), (to, 0.0)]))
    };
    let marks = levels.iter().zip(ends).filter_map(block).collect();
    let ejections = changes.iter().filter(|(.., to)| *to != "in").count();
    let most = levels.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let description = format!(
        "Of the {all} hosts of {name} under {variant}, at most {most} were passed over at once, after {ejections} ejections."
    );
    let points = changes.iter().take(POINTS).map(|(at_us, host, to)| Point {
        left: scene.left(at(*at_us)),
        leftwards: at(*at_us) > scene.seconds / 2.0,
        told: format!("{} host {host} {}", scene.clock.at_us(*at_us), told(to)),
        class: if *to == "in" { Ink::Closed } else { Ink::Open }.class(),
    });
    let count_in = (0..scene.seconds as u64).map(|second| {
        let end = second as f64 + 1.0;
        let count = levels.iter().rfind(|(from, _)| *from < end).map_or(0, |(_, count)| *count);
        format!("{count} of {all}")
    });
    Ok(Row {
        name: variant.to_owned(),
        note: Some(name),
        variants: scene.variant_of(run),
        size: "strip",
        scale: Vec::new(),
        svg: scene.bare_lane(run, (0.0, 1.0), 40, &description, marks)?,
        points: points.collect(),
        readings: vec![Reading::of(
            "",
            format!("{} ejections", format::count(ejections as u64)),
            1,
            count_in,
        )],
    })
}

fn told(to: &str) -> String {
    match to {
        "in" => "takes part again".to_owned(),
        other => format!("is {}", text::name(other)),
    }
}
