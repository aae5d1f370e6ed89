//! The choice of one host among those that take part.

use super::{Balance, Host, HostId};
use crate::split_mix::{below, split_mix_64};
use crate::timestamp::Timestamp;

/// The hosts that a choice is among, in order of their numbers, without two at most.
#[derive(Clone, Copy)]
pub(super) struct Candidates<'h> {
    taking_part: &'h [HostId],
    /// Places in that list, the lower one first.
    without: [Option<usize>; 2],
}

impl<'h> Candidates<'h> {
    pub(super) const fn new(taking_part: &'h [HostId]) -> Self {
        Self { taking_part, without: [None; 2] }
    }

    /// Without a host, unless that is the only one.
    pub(super) fn besides(self, host: HostId) -> Self {
        if self.len() <= 1 {
            return self;
        }
        let Ok(place) = self.taking_part.binary_search(&host) else { return self };
        let without = match self.without {
            [None, None] => [Some(place), None],
            [Some(one), None] if one != place => [Some(one.min(place)), Some(one.max(place))],
            both => both,
        };
        Self { without, ..self }
    }

    pub(super) fn len(self) -> usize {
        self.taking_part.len() - self.without.iter().flatten().count()
    }

    /// The candidate at a place; places wrap around.
    fn at(self, place: usize) -> Option<HostId> {
        let mut place = place.checked_rem(self.len())?;
        for without in self.without.into_iter().flatten() {
            place += usize::from(place >= without);
        }
        self.taking_part.get(place).copied()
    }

    fn all(self) -> impl Iterator<Item = HostId> {
        (0..self.len()).filter_map(move |place| self.at(place))
    }

    /// The candidates, beginning with the next after that one.
    fn after(self, last: Option<HostId>) -> impl Iterator<Item = HostId> {
        let is_behind = |host: &HostId| last.is_some_and(|last| *host <= last);
        let begin = self.all().take_while(is_behind).count();
        (begin..begin + self.len()).filter_map(move |place| self.at(place))
    }

    /// The next after that one, found without a look at all of them.
    fn next(self, last: Option<HostId>) -> Option<HostId> {
        let is_behind = |host: &HostId| last.is_some_and(|last| *host <= last);
        let mut begin = self.taking_part.partition_point(is_behind);
        for _ in 0..=self.without.len() {
            let place = if begin < self.taking_part.len() { begin } else { 0 };
            if !self.without.contains(&Some(place)) {
                return self.taking_part.get(place).copied();
            }
            begin = place + 1;
        }
        None
    }

    /// Two different ones at random, or the only one twice.
    fn two(self, spread: u64) -> Option<(HostId, HostId)> {
        let all = self.len();
        let first = below(split_mix_64(spread, 0), all as u64) as usize;
        if all < 2 {
            return self.at(0).map(|only| (only, only));
        }
        // Any of the others: what is drawn says how far behind the first the second is.
        let second = first + 1 + below(split_mix_64(spread, 1), all as u64 - 1) as usize;
        Some((self.at(first)?, self.at(second)?))
    }
}

/// The host of an attempt; `None` where there is no candidate. `last` was chosen before this one, for whichever attempt, and
/// `spread` is the attempt's draw or its client's digest.
pub(super) fn choose(
    balance: Balance,
    candidates: Candidates<'_>,
    hosts: &[Host],
    last: Option<HostId>,
    spread: u64,
    now: Timestamp,
) -> Option<HostId> {
    let in_flight = |host: HostId| hosts.get(host.0 as usize).map_or(0, |host| host.in_flight);
    match balance {
        Balance::RoundRobin => candidates.next(last),
        Balance::Random => candidates.at(below(split_mix_64(spread, 0), candidates.len() as u64) as usize),
        // The first of equals.
        Balance::LeastInFlight => candidates.after(last).min_by_key(|host| in_flight(*host)),
        Balance::P2c => {
            let (first, second) = candidates.two(spread)?;
            Some(if in_flight(second) < in_flight(first) { second } else { first })
        }
        Balance::PeakEwma => {
            let (first, second) = candidates.two(spread)?;
            let cost = |host: HostId| {
                let latency = hosts.get(host.0 as usize).map_or(0.0, |host| host.latency.nanos(now));
                latency * (f64::from(in_flight(host)) + 1.0)
            };
            Some(if cost(second) < cost(first) { second } else { first })
        }
        Balance::Hash(_) => candidates.all().max_by_key(|host| split_mix_64(spread, host.0.into())),
    }
}
