//! What an incident did to whom, request by request against the control.
//!
//! The control has the same arrivals and service times and no faults. A request is *hurt* if it was good there and is
//! not in the incident: that is damage measured, and not guessed from what went bad at the same time. What hurts on a
//! route that depends on a faulted upstream is *direct*; the rest is *collateral*, and its share is the blast radius.
//!
//! The requests of closed-loop users depend on the answers before them, so that control and incident do not have the same
//! ones. What is lost of those is the difference in the share of good ones between the two runs, by route and population:
//! *unpaired* harm. It is an estimate, and the luck of the draw is not taken out of it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::series::CountSeries;

/// The span over which harm is counted, and what depends on what.
#[derive(Clone, Debug)]
pub struct HarmLayout {
    /// When the first fault begins.
    pub first_fault: Duration,
    /// When the last fault ends.
    pub last_fault_end: Duration,
    /// For how long requests arrive.
    pub duration: Duration,
    /// By route: whether it depends on a faulted upstream.
    pub depends: Vec<bool>,
    /// How many populations there are.
    pub populations: usize,
}

/// Compares the requests of control and incident, pair by pair, in any order.
#[derive(Debug)]
pub struct HarmRecorder {
    layout: HarmLayout,
    /// By population, then route.
    cells: Vec<HarmTally>,
    /// By population: identities that sent, and those of them that were hurt.
    identities: Vec<(BTreeSet<u32>, BTreeSet<u32>)>,
    collateral_per_s: CountSeries,
    collateral_hurt_per_s: CountSeries,
    direct_hurt_per_s: CountSeries,
    good_in_control_per_s: CountSeries,
    good_in_incident_per_s: CountSeries,
}

/// One request of an open-loop population in both runs.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Who sent it.
    pub population: usize,
    /// Where to.
    pub route: usize,
    /// Which of the population's identities.
    pub identity: u32,
    /// When it was meant to be sent.
    pub intended: Duration,
    /// Served within the SLO latency without faults.
    pub good_in_control: bool,
    /// The same with faults.
    pub good_in_incident: bool,
}

/// Requests and how many of them were hurt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HarmCount {
    /// Good in the control and not in the incident.
    pub hurt: u64,
    /// All.
    pub total: u64,
}

/// Requests, and how many of them were served within the SLO latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GoodCount {
    /// All.
    pub offered: u64,
    /// Served within the SLO latency.
    pub good: u64,
}

impl GoodCount {
    /// Good ÷ all, 0 to 1; `None` where there was none.
    pub fn share(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.good as f64 / self.offered as f64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.good += other.good;
    }
}

/// Requests of closed-loop users, which cannot be compared one by one with those of the control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnpairedCount {
    /// All, in the incident.
    pub offered: u64,
    /// Served within the SLO latency.
    pub good: u64,
    /// As many would have been with the control's share of good ones, route by route and population by population.
    pub expected_good: f64,
}

impl UnpairedCount {
    /// The requests of one route and population in both runs; none of them where the control has nothing to compare with.
    pub fn of(control: GoodCount, incident: GoodCount) -> Self {
        control.share().map_or_else(Self::default, |share| Self {
            offered: incident.offered,
            good: incident.good,
            expected_good: share * incident.offered as f64,
        })
    }

    /// How many fewer were good than in the control; not below zero.
    pub fn lost(&self) -> f64 {
        (self.expected_good - self.good as f64).max(0.0)
    }

    /// Adds those of another route or population.
    pub fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.good += other.good;
        self.expected_good += other.expected_good;
    }
}

/// What was done to requests, those that were compared one by one and those that could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HarmTally {
    /// Compared one by one.
    pub paired: HarmCount,
    /// Of closed-loop users.
    pub unpaired: UnpairedCount,
}

impl HarmTally {
    /// Hurt or lost ÷ all, 0 to 1; `None` where there was nobody to hurt.
    pub fn share(&self) -> Option<f64> {
        (self.total() > 0).then(|| self.hurt() / self.total() as f64)
    }

    /// Hurt or lost; a whole number where all were compared one by one.
    pub fn hurt(&self) -> f64 {
        self.paired.hurt as f64 + self.unpaired.lost()
    }

    /// All.
    pub const fn total(&self) -> u64 {
        self.paired.total + self.unpaired.offered
    }

    /// Whether any of them could not be compared one by one.
    pub const fn has_unpaired(&self) -> bool {
        self.unpaired.offered > 0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.paired.add(other.paired);
        self.unpaired.add(other.unpaired);
    }
}

/// What the requests of some selection come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Harm {
    /// When the first fault began.
    pub first_fault: Duration,
    /// When the last fault ended.
    pub last_fault_end: Duration,
    /// By route: whether it depends on a faulted upstream.
    pub depends: Vec<bool>,
    /// On routes that do not depend on a faulted upstream, within the span.
    pub collateral: HarmTally,
    /// On routes that do.
    pub direct: HarmTally,
    /// By population, then route, within the span.
    pub cells: Vec<HarmTally>,
    /// By population: identities that sent within the span, as the total, and those of them that were hurt; none of
    /// closed-loop users.
    pub identities: Vec<HarmCount>,
    /// From the first fault until collateral hurt stays at or below 1% of every later ten seconds; not observed where
    /// nobody could be hurt whose requests can be compared one by one.
    pub containment: Awaited,
    /// From the last fault's end until ten seconds of goodput come to 99% of the control's; not observed where no ten
    /// seconds are left to judge by, or nothing was good in the control after it.
    pub recovery: Awaited,
    /// Collateral hurt by intended second.
    pub collateral_hurt_per_s: Vec<u32>,
    /// Direct hurt by intended second.
    pub direct_hurt_per_s: Vec<u32>,
}

/// Something that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// It came after this time.
    After(Duration),
    /// It could have come, and did not.
    Never,
    /// There was nothing to see it by: that it did not come says nothing.
    NotObserved,
}

impl HarmCount {
    /// Hurt ÷ total, 0 to 1; `None` where there was nobody to hurt.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.hurt as f64 / self.total as f64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.hurt += other.hurt;
        self.total += other.total;
    }
}

impl HarmLayout {
    /// The intended times over which harm is counted.
    fn span(&self) -> RangeInclusive<Duration> {
        harm_span(self.first_fault, self.last_fault_end)
    }
}

/// The intended times over which harm is counted, for faults from `first_fault` to `last_fault_end`.
pub const fn harm_span(first_fault: Duration, last_fault_end: Duration) -> RangeInclusive<Duration> {
    first_fault..=last_fault_end.saturating_add(AFTERMATH)
}

/// Harm is counted for so long after the last fault.
pub const AFTERMATH: Duration = Duration::from_secs(60);

/// Recovery and containment are judged over so many seconds.
pub(crate) const JUDGED_OVER: usize = 10;

impl HarmRecorder {
    /// Nothing compared yet.
    pub fn new(layout: HarmLayout) -> Self {
        let series = || CountSeries::new(layout.duration);
        Self {
            cells: vec![HarmTally::default(); layout.populations * layout.depends.len()],
            identities: vec![Default::default(); layout.populations],
            collateral_per_s: series(),
            collateral_hurt_per_s: series(),
            direct_hurt_per_s: series(),
            good_in_control_per_s: series(),
            good_in_incident_per_s: series(),
            layout,
        }
    }

    /// Compares a request with itself.
    pub fn on_pair(&mut self, pair: Pair) {
        let Pair { population, route, identity, intended, good_in_control, good_in_incident } = pair;
        let hurt = good_in_control && !good_in_incident;
        let depends = self.layout.depends[route];
        if good_in_control {
            self.good_in_control_per_s.add(intended);
        }
        if good_in_incident {
            self.good_in_incident_per_s.add(intended);
        }
        if !depends {
            self.collateral_per_s.add(intended);
        }
        if hurt {
            let series = if depends { &mut self.direct_hurt_per_s } else { &mut self.collateral_hurt_per_s };
            series.add(intended);
        }
        if self.layout.span().contains(&intended) {
            let cell = &mut self.cells[population * self.layout.depends.len() + route];
            cell.paired.add(HarmCount { hurt: u64::from(hurt), total: 1 });
            let (sent, harmed) = &mut self.identities[population];
            sent.insert(identity);
            if hurt {
                harmed.insert(identity);
            }
        }
    }

    /// Adds the requests of a closed-loop population on a route that were sent within the span, in both runs.
    pub fn on_unpaired(&mut self, population: usize, route: usize, control: GoodCount, incident: GoodCount) {
        let cell = &mut self.cells[population * self.layout.depends.len() + route];
        cell.unpaired.add(UnpairedCount::of(control, incident));
    }

    /// Adds the goodput of a closed-loop population, by intended second.
    pub fn on_unpaired_goodput(&mut self, good_in_control_per_s: &[u32], good_in_incident_per_s: &[u32]) {
        self.good_in_control_per_s.add_all(good_in_control_per_s);
        self.good_in_incident_per_s.add_all(good_in_incident_per_s);
    }

    /// What it comes to.
    pub fn finish(self) -> Harm {
        let Self { layout, cells, identities, .. } = self;
        let (mut collateral, mut direct) = (HarmTally::default(), HarmTally::default());
        for (place, cell) in cells.iter().enumerate() {
            let depends = layout.depends[place % layout.depends.len()];
            if depends { &mut direct } else { &mut collateral }.add(*cell);
        }
        let identities = identities
            .into_iter()
            .map(|(sent, harmed)| HarmCount { hurt: harmed.len() as u64, total: sent.len() as u64 });
        let collateral_per_s = self.collateral_per_s.into_points();
        let collateral_hurt_per_s = self.collateral_hurt_per_s.into_points();
        let (control, incident) =
            (self.good_in_control_per_s.into_points(), self.good_in_incident_per_s.into_points());
        Harm {
            first_fault: layout.first_fault,
            last_fault_end: layout.last_fault_end,
            collateral,
            direct,
            cells,
            identities: identities.collect(),
            containment: containment(layout.first_fault, &collateral_per_s, &collateral_hurt_per_s),
            recovery: recovery(layout.last_fault_end, layout.duration, &control, &incident),
            collateral_hurt_per_s,
            direct_hurt_per_s: self.direct_hurt_per_s.into_points(),
            depends: layout.depends,
        }
    }
}

/// Sums over ten seconds each, by their first second.
fn sums(points: &[u32]) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
    points.windows(JUDGED_OVER).map(|window| window.iter().copied().map(u64::from).sum())
}

fn containment(first_fault: Duration, total: &[u32], hurt: &[u32]) -> Awaited {
    if total.iter().all(|total| *total == 0) {
        return Awaited::NotObserved;
    }
    let windows = sums(total).zip(sums(hurt)).enumerate();
    // The last ten seconds that are not calm, and from the second after their first it is.
    let last_bad = windows.rev().find(|(second, (total, hurt))| {
        *second as u64 + JUDGED_OVER as u64 > first_fault.as_secs() && hurt * 100 > *total
    });
    let calm_from = last_bad.map_or(0, |(second, _)| second + 1);
    let calm_from = Duration::from_secs(calm_from as u64).max(first_fault);
    let seconds = total.len() as u64;
    if calm_from.as_secs() + JUDGED_OVER as u64 <= seconds {
        Awaited::After(
            calm_from.checked_sub(first_fault).expect("calm is looked for from the first fault on"),
        )
    } else {
        Awaited::Never
    }
}

fn recovery(last_fault_end: Duration, duration: Duration, control: &[u32], incident: &[u32]) -> Awaited {
    let first = last_fault_end.as_secs() + u64::from(last_fault_end.subsec_nanos() > 0);
    let has_time = Duration::from_secs(first + JUDGED_OVER as u64) <= duration;
    if !has_time || control.iter().skip(first as usize).all(|good| *good == 0) {
        return Awaited::NotObserved;
    }
    let mut windows = (0..).zip(sums(control).zip(sums(incident)));
    let recovered =
        windows.find(|(second, (control, incident))| *second >= first && incident * 100 >= control * 99);
    recovered
        .map(|(second, _)| Duration::from_secs(second).checked_sub(last_fault_end))
        .map_or(Awaited::Never, |after| {
            Awaited::After(after.expect("the windows begin after the last fault"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A request a second on each of two routes for two minutes; the second depends on what fails from 30 to 40 s.
    fn harm(hurt: impl Fn(usize, u64) -> bool) -> Harm {
        let mut recorder = HarmRecorder::new(HarmLayout {
            first_fault: s(30),
            last_fault_end: s(40),
            duration: s(240),
            depends: vec![false, true],
            populations: 1,
        });
        for second in 0..240 {
            for route in 0..2 {
                recorder.on_pair(Pair {
                    population: 0,
                    route,
                    identity: (second % 7) as u32,
                    intended: s(second),
                    good_in_control: true,
                    good_in_incident: !hurt(route, second),
                });
            }
        }
        recorder.finish()
    }

    #[test]
    fn collateral_and_direct_are_counted_from_the_first_fault_to_a_minute_after_the_last() {
        let harm =
            harm(|route, second| route == 1 && second >= 30 || second == 50 || second == 101 || second == 3);
        // 30 to 100 s, both ends counted.
        assert_eq!(harm.collateral.paired, HarmCount { hurt: 1, total: 71 });
        assert_eq!(harm.direct.paired, HarmCount { hurt: 71, total: 71 });
        assert_eq!(harm.identities, [HarmCount { hurt: 7, total: 7 }]);
        assert_eq!(harm.cells, [harm.collateral, harm.direct]);
    }

    /// 1,000 requests of users without faults, 900 good; with faults 800, of which 540 good: at 90% it would have been 720.
    #[test]
    fn what_users_lost_is_the_difference_in_the_share_of_good_ones() {
        let layout = HarmLayout {
            first_fault: s(30),
            last_fault_end: s(40),
            duration: s(240),
            depends: vec![false, true],
            populations: 1,
        };
        let mut recorder = HarmRecorder::new(layout);
        let count = |offered, good| GoodCount { offered, good };
        recorder.on_unpaired(0, 0, count(1000, 900), count(800, 540));
        // Better than without faults, by luck: nothing was lost. And nobody to compare with.
        recorder.on_unpaired(0, 1, count(100, 50), count(100, 55));
        recorder.on_unpaired(0, 1, count(0, 0), count(7, 0));
        let harm = recorder.finish();
        assert_eq!((harm.collateral.hurt(), harm.collateral.total()), (180.0, 800));
        assert_eq!(harm.collateral.share(), Some(0.225));
        assert!(harm.collateral.has_unpaired());
        assert_eq!((harm.direct.share(), harm.direct.total()), (Some(0.0), 100));
        // Beside 200 pairs of which 20 were hurt, it is a fifth of 1,000.
        let paired = HarmTally { paired: HarmCount { hurt: 20, total: 200 }, ..HarmTally::default() };
        let mut all = harm.collateral;
        all.add(paired);
        assert_eq!(all.share(), Some(0.2));
    }

    #[test]
    fn it_is_contained_from_the_last_ten_seconds_with_collateral_on() {
        assert_eq!(harm(|_, _| false).containment, Awaited::After(s(0)));
        assert_eq!(harm(|route, second| route == 0 && second == 50).containment, Awaited::After(s(21)));
        // What is hurt before the first fault is not its doing.
        assert_eq!(harm(|_, second| second == 5).containment, Awaited::After(s(0)));
        assert_eq!(harm(|_, second| second >= 30).containment, Awaited::Never);
    }

    #[test]
    fn it_has_recovered_when_ten_seconds_are_as_good_as_the_controls() {
        assert_eq!(harm(|_, _| false).recovery, Awaited::After(s(0)));
        assert_eq!(
            harm(|route, second| route == 1 && (30..55).contains(&second)).recovery,
            Awaited::After(s(15))
        );
        assert_eq!(harm(|route, second| route == 1 && second >= 30).recovery, Awaited::Never);
    }

    #[test]
    fn what_nobody_could_see_neither_came_nor_stayed_away() {
        let (good, bad) = ([1; 60], [0; 60]);
        let millis = Duration::from_millis;
        for (end, judged) in [(s(50), Awaited::Never), (millis(50_001), Awaited::NotObserved)] {
            assert_eq!(recovery(end, s(60), &good, &bad), judged, "{end:?}");
        }
        // The last second of the run is not a whole one.
        assert_eq!(recovery(s(50), millis(59_500), &good, &bad), Awaited::NotObserved);
        // Far beyond the run, and where there is no goodput to come back to.
        assert_eq!(recovery(s(3_600), s(60), &good, &bad), Awaited::NotObserved);
        assert_eq!(recovery(s(10), s(60), &bad, &bad), Awaited::NotObserved);
        assert_eq!(containment(s(10), &bad, &bad), Awaited::NotObserved);
    }
}
