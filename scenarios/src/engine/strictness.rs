//! The controls of all variants side by side: what each does to good requests without any fault.

use std::time::Duration;

use reports::{
    CommonHarm, GoodCount, GoodRequests, HarmCount, HarmTally, Recording, StrictnessResult, UnpairedCount,
    UnpairedHarm, harm_span,
};
use simulator::{Load, PopulationStreams};

use super::control::depends;
use crate::{Timeline, Variant, World};

/// Which requests of a variant's run were good.
pub(crate) struct GoodOfRun {
    incident: GoodRequests,
    /// `None` where nothing fails: then the run is its own control.
    control: Option<GoodRequests>,
}

impl GoodOfRun {
    /// Takes it out of a recording.
    pub(crate) fn of(recording: &mut Recording) -> Self {
        let (incident, control) = recording.take_good();
        Self { incident, control }
    }

    fn control(&self) -> &GoodRequests {
        self.control.as_ref().unwrap_or(&self.incident)
    }
}

/// How strict each of these variants is under a seed, beside the best of those that have the same load; `None` where it has
/// nobody to be told beside.
pub(crate) fn strictness(
    timeline: &Timeline,
    runs: &[(&Variant, &GoodOfRun)],
    seed: u64,
) -> Vec<Option<StrictnessResult>> {
    let mut results: Vec<Option<StrictnessResult>> = vec![None; runs.len()];
    let mut left: Vec<usize> = (0..runs.len()).collect();
    while let Some(&first) = left.first() {
        let (group, others): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|place| same_load(&runs[first].0.world, &runs[*place].0.world));
        left = others;
        if group.len() < 2 {
            continue;
        }
        let members: Vec<(&Variant, &GoodOfRun)> = group.iter().map(|place| runs[*place]).collect();
        for (place, result) in group.into_iter().zip(of_group(timeline, &members, seed)) {
            results[place] = Some(result);
        }
    }
    results
}

/// Whether the same requests are sent to the same routes in both worlds, but for what clients make of the answers.
fn same_load(a: &World, b: &World) -> bool {
    let paths = |world: &World| -> Vec<String> {
        world.gateway.routes.iter().map(|route| route.path.clone()).collect()
    };
    let alike = a.populations.iter().zip(&b.populations).all(|(one, other)| {
        one.name == other.name
            && one.hostile == other.hostile
            && one.targets == other.targets
            && one.load == other.load
            && one.journey == other.journey
    });
    a.populations.len() == b.populations.len() && alike && paths(a) == paths(b)
}

fn of_group(timeline: &Timeline, members: &[(&Variant, &GoodOfRun)], seed: u64) -> Vec<StrictnessResult> {
    let good_in_control = |(variant, good): &(&Variant, &GoodOfRun)| -> u64 {
        let routes = variant.world.gateway.routes.iter().count();
        let meant_well = well_meaning(&variant.world);
        meant_well
            .flat_map(|population| (0..routes).map(move |route| (population, route)))
            .map(|(population, route)| good.control().cell(population, route).good)
            .sum()
    };
    // Of equals the first.
    let most = members
        .iter()
        .map(good_in_control)
        .enumerate()
        .reduce(|most, other| if other.1 > most.1 { other } else { most });
    let (best, control) = most.map_or((members[0].0, members[0].1.control()), |(place, _)| {
        (members[place].0, members[place].1.control())
    });
    let mut results: Vec<StrictnessResult> =
        members.iter().map(|(variant, good)| beside(best, control, variant, good)).collect();
    if let Some(incident) = timeline.incident {
        let span = harm_span(incident.from, incident.to);
        let within = |intended: Duration| span.contains(&intended);
        let harms = common_harm(timeline, control, members, seed, within);
        results.iter_mut().zip(harms).for_each(|(result, harm)| result.harm = Some(harm));
    }
    results
}

/// The numbers of the populations that are not hostile.
fn well_meaning(world: &World) -> impl Iterator<Item = usize> {
    world
        .populations
        .iter()
        .enumerate()
        .filter(|(_, population)| !population.hostile)
        .map(|(number, _)| number)
}

/// The control of a variant beside the best one.
fn beside(best: &Variant, control: &GoodRequests, variant: &Variant, good: &GoodOfRun) -> StrictnessResult {
    let (mut count, mut unpaired, own) = (HarmCount::default(), UnpairedCount::default(), good.control());
    for number in well_meaning(&variant.world) {
        if variant.world.populations[number].is_paired() {
            count.total += control.good(number);
            count.hurt += control.lost_in(number, own, number);
        } else {
            for route in 0..variant.world.gateway.routes.iter().count() {
                unpaired.add(UnpairedCount::of(control.cell(number, route), own.cell(number, route)));
            }
        }
    }
    StrictnessResult {
        best: best.name.clone(),
        control: count,
        unpaired: (unpaired.offered > 0).then_some(unpaired),
        harm: None,
    }
}

/// What was good in the best control and is not in each variant's incident. Goes through the requests of all open-loop
/// populations once more, as they were drawn in all runs.
fn common_harm(
    timeline: &Timeline,
    control: &GoodRequests,
    members: &[(&Variant, &GoodOfRun)],
    seed: u64,
    within: impl Fn(Duration) -> bool,
) -> Vec<CommonHarm> {
    let depends: Vec<Vec<bool>> = members.iter().map(|(variant, _)| depends(&variant.world)).collect();
    let mut tallies = vec![[HarmTally::default(); 2]; members.len()];
    let world = &members[0].0.world;
    for number in well_meaning(world) {
        let population = &world.populations[number];
        let streams = PopulationStreams::new(seed, &population.name);
        let (Load::Open(load), true) = (&population.load, population.is_paired()) else {
            for (tallies, ((_, good), depends)) in tallies.iter_mut().zip(members.iter().zip(&depends)) {
                for (route, direct) in depends.iter().enumerate() {
                    let of = |good: &GoodRequests| -> GoodCount { good.harm_cell(number, route) };
                    let lost = UnpairedCount::of(of(control), of(&good.incident));
                    tallies[usize::from(*direct)].unpaired.add(lost);
                }
            }
            continue;
        };
        let arrivals = load.arrivals(timeline.starts, timeline.duration, streams.arrival);
        for (index, offset) in (0..).zip(arrivals) {
            if !within(Duration::from_nanos(offset)) {
                continue;
            }
            let route = population.target_of(&streams, index).route as usize;
            let was_good = control.was_good(number, index);
            for (tallies, ((_, good), depends)) in tallies.iter_mut().zip(members.iter().zip(&depends)) {
                let hurt = was_good && !good.incident.was_good(number, index);
                let count = &mut tallies[usize::from(depends[route])].paired;
                count.total += 1;
                count.hurt += u64::from(hurt);
            }
        }
    }
    let result = |[collateral, direct]: [HarmTally; 2]| CommonHarm {
        collateral: collateral.paired,
        direct: direct.paired,
        unpaired: (collateral.has_unpaired() || direct.has_unpaired())
            .then_some(UnpairedHarm { collateral: collateral.unpaired, direct: direct.unpaired }),
    };
    tallies.into_iter().map(result).collect()
}
