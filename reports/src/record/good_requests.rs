//! Which requests of a run were served well: what is left of it to be compared with the runs of other variants.

use fixedbitset::FixedBitSet;

use crate::record::harm::GoodCount;

/// Which requests of a run were good, that is, served within the SLO latency.
#[derive(Clone, Debug, Default)]
pub struct GoodRequests {
    pub(crate) routes: usize,
    /// By population: whether each request of a schedule was good; empty for closed-loop users, and where pairs are not kept.
    pub(crate) paired: Vec<FixedBitSet>,
    /// By population, then route: of the whole run.
    pub(crate) cells: Vec<GoodCount>,
    /// By population, then route: of the time over which harm is counted.
    pub(crate) harm_cells: Vec<GoodCount>,
}

impl GoodRequests {
    /// Whether request number `index` of an open-loop population was good.
    pub fn was_good(&self, population: usize, index: u64) -> bool {
        self.paired[population].contains(index as usize)
    }

    /// How many requests of an open-loop population were good.
    pub fn good(&self, population: usize) -> u64 {
        self.paired[population].count_ones(..) as u64
    }

    /// How many of them were not good in `other`, whose population number `others` sends the same requests.
    pub fn lost_in(&self, population: usize, other: &Self, others: usize) -> u64 {
        self.paired[population].difference_count(&other.paired[others]) as u64
    }

    /// The requests of a population on a route.
    pub fn cell(&self, population: usize, route: usize) -> GoodCount {
        self.cells[population * self.routes + route]
    }

    /// Those that were meant to be sent while harm is counted.
    pub fn harm_cell(&self, population: usize, route: usize) -> GoodCount {
        self.harm_cells[population * self.routes + route]
    }
}
