//! Requests of two sides, compared one by one: how many were good on both, on one, or on neither.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The same requests in two configurations: how many were good in one and not in the other.
///
/// Request *i* of a population arrives at the same time, from the same client, on the same route and meets the same
/// service time in both, so what becomes of it is the configuration's doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairedRequests {
    /// All populations but hostile ones, over all seeds.
    pub all: PairCount,
    /// By seed.
    pub seeds: Vec<SeedPairs>,
    /// By population, over all seeds.
    pub populations: Vec<NamedPairs>,
    /// By route, over all seeds.
    pub routes: Vec<NamedPairs>,
    /// Populations whose requests are not the same in both: closed-loop users, whose requests depend on the answers
    /// before them, and loads that the variants set differently.
    pub unpaired: Vec<String>,
}

/// Pairs of requests by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairCount {
    /// All.
    pub total: u64,
    /// Served within the SLO latency in A and not in B.
    pub only_in_a: u64,
    /// In B and not in A.
    pub only_in_b: u64,
}

/// The pairs of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeedPairs {
    /// The seed.
    pub seed: u64,
    /// Its pairs.
    pub pairs: PairCount,
}

/// The pairs of a population or route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedPairs {
    /// Its name.
    pub name: String,
    /// Its pairs.
    pub pairs: PairCount,
}

impl PairCount {
    /// Counts a request that was good in these.
    pub const fn add(&mut self, good_in_a: bool, good_in_b: bool) {
        self.total += 1;
        if good_in_a && !good_in_b {
            self.only_in_a += 1;
        }
        if good_in_b && !good_in_a {
            self.only_in_b += 1;
        }
    }

    const fn add_all(&mut self, other: Self) {
        self.total += other.total;
        self.only_in_a += other.only_in_a;
        self.only_in_b += other.only_in_b;
    }
}

impl PairedRequests {
    /// Nothing compared yet of these populations, none of them hostile, and routes.
    pub fn new(populations: &[&str], routes: &[&str], unpaired: Vec<String>) -> Self {
        let named = |names: &[&str]| {
            let named =
                names.iter().map(|name| NamedPairs { name: (*name).to_owned(), pairs: PairCount::default() });
            named.collect()
        };
        Self { populations: named(populations), routes: named(routes), unpaired, ..Self::default() }
    }

    /// Adds the requests of a seed, by population and then route, both in the order in which they were named.
    ///
    /// # Panics
    ///
    /// If there are others.
    pub fn add_seed(&mut self, seed: u64, cells: &[Vec<PairCount>]) {
        let mut of_seed = PairCount::default();
        assert_eq!(cells.len(), self.populations.len());
        for (population, routes) in self.populations.iter_mut().zip(cells) {
            assert_eq!(routes.len(), self.routes.len());
            for (route, cell) in self.routes.iter_mut().zip(routes) {
                population.pairs.add_all(*cell);
                route.pairs.add_all(*cell);
                of_seed.add_all(*cell);
            }
        }
        self.all.add_all(of_seed);
        self.seeds.push(SeedPairs { seed, pairs: of_seed });
    }

    /// The pairs that a measure of goodput speaks of; `None` where some of them are not known.
    pub(super) fn behind(&self, of: Option<&str>) -> Option<PairCount> {
        let named = |all: &[NamedPairs], name: &str| {
            all.iter().find(|named| crate::measure::gauge::key(&named.name) == name).map(|named| named.pairs)
        };
        match of {
            Some(of) => match of.strip_prefix("clients.") {
                Some(name) => named(&self.populations, name),
                None => named(&self.routes, of.strip_prefix("routes.")?).filter(|_| self.unpaired.is_empty()),
            },
            None => self.unpaired.is_empty().then_some(self.all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_summed_by_seed_population_and_route() {
        let mut cell = PairCount::default();
        for (a, b) in [(true, true), (true, false), (false, true), (false, true), (false, false)] {
            cell.add(a, b);
        }
        assert_eq!(cell, PairCount { total: 5, only_in_a: 1, only_in_b: 2 });
        let mut requests = PairedRequests::new(&["one", "two"], &["/a"], Vec::new());
        requests.add_seed(7, &[vec![cell], vec![PairCount::default()]]);
        requests.add_seed(8, &[vec![cell], vec![cell]]);
        assert_eq!(requests.all, PairCount { total: 15, only_in_a: 3, only_in_b: 6 });
        assert_eq!(requests.seeds[1].pairs.total, 10);
        assert_eq!(requests.behind(Some("clients.two")).map(|pairs| pairs.total), Some(5));
        assert_eq!(requests.behind(Some("routes.\"/a\"")), requests.behind(None));
        requests.unpaired.push("users".to_owned());
        assert_eq!(requests.behind(None), None);
    }
}
