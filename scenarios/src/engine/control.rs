//! An incident and its control run, compared request by request.

use std::io;
use std::time::Duration;

use reports::{HarmLayout, HarmRecorder, Measure, Pair, Recording, Selector};
use simulator::{Load, PopulationStreams};

use super::live::Part;
use super::live::{self, Drive, LiveError};
use super::virtual_log::VirtualLog;
use super::virtual_time::{run_logged, run_paired};
use crate::{LogBook, Timeline, Variant, World};

/// Runs a variant over real sockets, and where anything fails in it, its control too, one after the other: side by side
/// they would take each other's cores. `on_part` is called before each, with whether it is the control.
pub(crate) fn run_live_with_control(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    drive: &Drive,
    on_part: impl Fn(bool),
) -> Result<Recording, LiveError> {
    on_part(false);
    if variant.world.faults.is_empty() {
        return live::run(timeline, variant, seed, drive, Part::Alone);
    }
    let mut incident = live::run(timeline, variant, seed, drive, Part::Incident)?;
    // Without a control, nobody was hurt by anything that is known.
    if !drive.stop.is_asked() {
        on_part(true);
        let control = live::run(timeline, &variant.without_faults(), seed, drive, Part::Control)?;
        if !drive.stop.is_asked() {
            add_harm(timeline, variant, seed, &control, &mut incident);
        }
        incident.add_control_harness(&control);
        if !drive.stop.is_asked() {
            incident.add_control(control);
        }
    }
    Ok(incident)
}

fn add_harm(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    control: &Recording,
    incident: &mut Recording,
) {
    for selector in selectors(variant) {
        let harm = compare(timeline, &variant.world, seed, selector, control, incident);
        incident.add_harm(selector, harm.finish());
    }
}

/// Runs a variant, and where anything fails in it, its control too; what the faults did is measured request by request
/// between the two. With `keeps_pairs`, a run in which nothing fails can be compared with those of other variants too.
///
/// # Errors
///
/// If there is a log that cannot be written.
pub(crate) fn run_with_control(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    log: Option<&LogBook>,
    keeps_pairs: bool,
) -> io::Result<Recording> {
    run_incident(timeline, variant, seed, log, if keeps_pairs { run_paired } else { run_logged })
}

/// As [`run_with_control`] without a log, and keeps what is needed to compare the requests with those of another variant.
pub(super) fn run_with_control_paired(timeline: &Timeline, variant: &Variant, seed: u64) -> Recording {
    run_incident(timeline, variant, seed, None, run_paired).expect("without a log nothing is written")
}

/// `calm` runs a variant in which nothing fails.
fn run_incident(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    log: Option<&LogBook>,
    calm: fn(&Timeline, &Variant, u64, Option<VirtualLog>) -> Recording,
) -> io::Result<Recording> {
    let page = |variant: &Variant, control| {
        let page = log.map(|log| log.page(false, &variant.name, seed, control)).transpose()?;
        io::Result::Ok(page.map(|(lines, run)| VirtualLog::new(variant, seed, lines, run)))
    };
    if variant.world.faults.is_empty() {
        return Ok(calm(timeline, variant, seed, page(variant, false)?));
    }
    let well = variant.without_faults();
    let (page, of_control) = (page(variant, false)?, page(&well, true)?);
    let (mut incident, control) = rayon::join(
        || run_paired(timeline, variant, seed, page),
        || run_paired(timeline, &well, seed, of_control),
    );
    add_harm(timeline, variant, seed, &control, &mut incident);
    incident.add_control(control);
    Ok(incident)
}

/// Everybody, and who else is asked for, each once.
fn selectors(variant: &Variant) -> Vec<Selector> {
    let mut selectors = vec![Selector::Everybody];
    for selector in variant.expected.measures().filter_map(Measure::harmed) {
        if !selectors.contains(&selector) {
            selectors.push(selector);
        }
    }
    selectors
}

/// By route: whether it depends on a faulted upstream, directly or through calls.
pub(super) fn depends(world: &World) -> Vec<bool> {
    let struck: Vec<usize> = world.faults.iter().flat_map(|fault| fault.upstreams.iter().copied()).collect();
    let depends = world.gateway.routes.iter().map(|route| {
        let reached = world.upstreams_of_route(route);
        struck.iter().any(|upstream| reached[*upstream])
    });
    depends.collect()
}

/// Goes through the requests of all selected open-loop populations once more, as they were drawn in both runs.
fn compare(
    timeline: &Timeline,
    world: &World,
    seed: u64,
    selector: Selector,
    control: &Recording,
    incident: &Recording,
) -> HarmRecorder {
    let mut harm = HarmRecorder::new(HarmLayout {
        first_fault: timeline.incident.map_or(Duration::ZERO, |incident| incident.from),
        last_fault_end: timeline.incident.map_or(Duration::ZERO, |incident| incident.to),
        duration: timeline.duration,
        depends: depends(world),
        populations: world.populations.len(),
    });
    let routes: Vec<_> = world.gateway.routes.iter().collect();
    let on_route = |route: usize| match selector {
        Selector::Everybody | Selector::Population(_) => true,
        Selector::Route(selected) => selected == route,
        Selector::Upstream(selected) => routes[route].upstream.0 as usize == selected,
    };
    for (number, population) in world.populations.iter().enumerate() {
        let selected = match selector {
            Selector::Population(selected) => selected == number,
            Selector::Everybody | Selector::Route(_) | Selector::Upstream(_) => !population.hostile,
        };
        if !selected {
            continue;
        }
        let streams = PopulationStreams::new(seed, &population.name);
        let (Load::Open(load), true) = (&population.load, population.is_paired()) else {
            // A user's requests, and the steps of a journey, depend on the answers before them: only their numbers can be compared.
            for route in (0..routes.len()).filter(|route| on_route(*route)) {
                let (control, incident) =
                    (control.harm_cell(number, route), incident.harm_cell(number, route));
                harm.on_unpaired(number, route, control, incident);
            }
            if matches!(selector, Selector::Everybody | Selector::Population(_)) {
                harm.on_unpaired_goodput(control.good_per_s(number), incident.good_per_s(number));
            }
            continue;
        };
        let arrivals = load.arrivals(timeline.starts, timeline.duration, streams.arrival);
        for (index, offset) in (0..).zip(arrivals) {
            let route = population.target_of(&streams, index).route as usize;
            if on_route(route) {
                harm.on_pair(Pair {
                    population: number,
                    route,
                    identity: population.identity_of(&streams, index).index,
                    intended: Duration::from_nanos(offset),
                    good_in_control: control.was_good(number, index),
                    good_in_incident: incident.was_good(number, index),
                });
            }
        }
    }
    harm
}
