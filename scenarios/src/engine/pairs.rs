//! Two variants compared request by request, as far as both have the same requests.

use rayon::join;
use reports::{PairCount, Recording};
use simulator::{Load, OpenLoad, Population, PopulationStreams};

use super::control::run_with_control_paired;
use crate::{Timeline, Variant};

/// The populations whose requests are the same in two variants.
pub(crate) struct SharedLoad<'v> {
    populations: Vec<Shared<'v>>,
    routes: Vec<&'v str>,
    unpaired: Vec<String>,
}

/// A population that sends the same in both.
struct Shared<'v> {
    population: &'v Population,
    load: &'v OpenLoad,
    /// Its number in each.
    numbers: [usize; 2],
}

impl<'v> SharedLoad<'v> {
    /// Those that are not hostile; of them, those that cannot be paired by name.
    pub(crate) fn of(a: &'v Variant, b: &'v Variant) -> Self {
        let routes = |variant: &'v Variant| -> Vec<&'v str> {
            variant.world.gateway.routes.iter().map(|route| &*route.path).collect()
        };
        let same_routes = routes(a) == routes(b);
        let (mut populations, mut unpaired) = (Vec::new(), Vec::new());
        for (number, population) in a.world.populations.iter().enumerate().filter(|(_, one)| !one.hostile) {
            let mut others = b.world.populations.iter().enumerate();
            let twin = others.find(|(_, twin)| twin.name == population.name && !twin.hostile);
            match (&population.load, twin) {
                (Load::Open(load), Some((twin_number, twin)))
                    if same_routes
                        && population.is_paired()
                        && twin.is_paired()
                        && twin.targets == population.targets
                        && matches!(&twin.load, Load::Open(other) if other == load) =>
                {
                    populations.push(Shared { population, load, numbers: [number, twin_number] });
                }
                _ => unpaired.push(population.name.clone()),
            }
        }
        Self { populations, routes: routes(a), unpaired }
    }

    /// Their names.
    pub(crate) fn populations(&self) -> Vec<&'v str> {
        self.populations.iter().map(|shared| &*shared.population.name).collect()
    }

    /// The paths of all routes.
    pub(crate) fn routes(&self) -> &[&'v str] {
        &self.routes
    }

    /// The names of those that cannot be paired.
    pub(crate) fn unpaired(&self) -> &[String] {
        &self.unpaired
    }

    /// Goes through the requests once more, as they were drawn in both runs: by population, then route.
    fn count(&self, timeline: &Timeline, seed: u64, [a, b]: [&Recording; 2]) -> Vec<Vec<PairCount>> {
        let of_population = |shared: &Shared<'_>| {
            let mut cells = vec![PairCount::default(); self.routes.len()];
            let [in_a, in_b] = shared.numbers;
            let streams = PopulationStreams::new(seed, &shared.population.name);
            let arrivals = shared.load.arrivals(timeline.starts, timeline.duration, streams.arrival);
            for (index, _) in (0..).zip(arrivals) {
                let route = shared.population.target_of(&streams, index).route as usize;
                cells[route].add(a.was_good(in_a, index), b.was_good(in_b, index));
            }
            cells
        };
        self.populations.iter().map(of_population).collect()
    }
}

/// Runs two variants under one seed, each with its control, and counts what became of the requests that both share.
pub(crate) fn run_both(
    timeline: &Timeline,
    [a, b]: [&Variant; 2],
    shared: &SharedLoad<'_>,
    seed: u64,
) -> ([Recording; 2], Vec<Vec<PairCount>>) {
    let (a, b) =
        join(|| run_with_control_paired(timeline, a, seed), || run_with_control_paired(timeline, b, seed));
    let cells = shared.count(timeline, seed, [&a, &b]);
    ([a, b], cells)
}
