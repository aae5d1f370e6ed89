//! The closed record of one run.

use std::time::Duration;

use crate::record::breaker::BreakerChange;
use crate::record::broken::Broken;
use crate::record::cache::CacheCounts;
use crate::record::durations::Durations;
use crate::record::good_requests::GoodRequests;
use crate::record::harm::{GoodCount, Harm};
use crate::record::harness::HarnessRecord;
use crate::record::hosts::HostRecord;
use crate::record::layout::{BreakerId, HostPlace, Layout, LimitLayout, Selector, StationId};
use crate::record::outcome::Outcome;
use crate::record::recorder::{Cell, LimitRecord, Recorder, StationRecord};

/// The closed record of one run. Measures are read from it, and it becomes a [`RunResult`](crate::RunResult).
#[derive(Debug)]
pub struct Recording {
    pub(crate) recorder: Recorder,
    /// For each selection that was compared with the control.
    harm: Vec<(Selector, Harm)>,
    /// Of a live run.
    pub(crate) harness: Option<HarnessRecord>,
    /// Of a run that was compared with its control.
    control: Option<GoodRequests>,
    /// All of the control's requests of populations that are not hostile.
    pub(crate) control_requests: Option<GoodCount>,
}

/// The requests that a selector means, added up.
pub(crate) struct Selection {
    pub(crate) requests: GoodCount,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) latency: Durations,
}

impl Recorder {
    /// Closes the record.
    ///
    /// # Panics
    ///
    /// If a request is under way that was never told to have ended, in a record that is not [`Recorder::counting`].
    pub fn finish(mut self) -> Recording {
        for station in &mut self.stations {
            station.wait.record_zeros(std::mem::take(&mut station.at_once));
        }
        let under_way: u64 = self.cells.iter().flatten().map(|cell| cell.under_way).sum();
        if under_way > 0 {
            self.checker.note(Broken::NeverEnded, under_way);
        }
        Recording { recorder: self, harm: Vec::new(), harness: None, control: None, control_requests: None }
    }
}

impl Recording {
    /// Whether request number `index` of an open-loop population was good; false where pairs are not kept.
    pub fn was_good(&self, population: usize, index: u64) -> bool {
        self.recorder.good[population].contains(index as usize)
    }

    /// Good requests of a population by intended second.
    pub fn good_per_s(&self, population: usize) -> &[u32] {
        self.recorder.populations[population].good.points()
    }

    /// Attempts at all upstreams, by second.
    pub fn attempts_per_s(&self) -> Vec<u32> {
        let mut sum: Vec<u32> = Vec::new();
        for attempts in &self.recorder.attempts {
            let points = attempts.per_s.points();
            sum.resize(points.len(), 0);
            sum.iter_mut().zip(points).for_each(|(sum, more)| *sum += more);
        }
        sum
    }

    /// The most jobs that each upstream had at once, worked on and queued, together for all: as many connections lead to
    /// them if none is closed before all of them had their peaks.
    pub fn peak_jobs(&self) -> u64 {
        let peak =
            |station: &StationRecord| u64::from(station.in_flight.peak()) + u64::from(station.queued.peak());
        self.recorder.stations.iter().skip(1).map(peak).sum()
    }

    /// Adds what comparing a selection with the control came to.
    pub fn add_harm(&mut self, selector: Selector, harm: Harm) {
        self.harm.push((selector, harm));
    }

    /// The requests of a population on a route that were meant to be sent while harm is counted.
    pub fn harm_cell(&self, population: usize, route: usize) -> GoodCount {
        let place = population * self.layout().routes.len() + route;
        self.recorder.cells[place].as_ref().map_or_else(GoodCount::default, |cell| cell.within_harm_span)
    }

    /// Keeps of the control what this run is told beside.
    pub fn add_control(&mut self, mut control: Self) {
        let Selection { requests, .. } = control.select(Selector::Everybody);
        self.control_requests = Some(requests);
        self.control = Some(control.take_good_requests());
    }

    /// Takes out which requests were good, in this run and in its control; where nothing fails, a run is its own.
    pub fn take_good(&mut self) -> (GoodRequests, Option<GoodRequests>) {
        (self.take_good_requests(), self.control.take())
    }

    fn take_good_requests(&mut self) -> GoodRequests {
        let of = |count: fn(&Cell) -> GoodCount| {
            let cells = self.recorder.cells.iter();
            cells.map(|cell| cell.as_deref().map_or_else(GoodCount::default, count)).collect()
        };
        GoodRequests {
            routes: self.layout().routes.len(),
            cells: of(|cell| cell.requests),
            harm_cells: of(|cell| cell.within_harm_span),
            paired: std::mem::take(&mut self.recorder.good),
        }
    }

    /// Adds how the harness fared, of a live run.
    pub fn add_harness(&mut self, mut harness: HarnessRecord) {
        harness.on_broken(&self.recorder.checker.take());
        self.harness = Some(harness);
    }

    /// Adds how the harness fared in the control: what spoils the one spoils the comparison.
    pub fn add_control_harness(&mut self, control: &Self) {
        if let (Some(harness), Some(control)) = (&mut self.harness, &control.harness) {
            harness.add(control);
        }
    }

    pub(crate) fn harm_of(&self, selector: Selector) -> Option<&Harm> {
        self.harm.iter().find(|(compared, _)| *compared == selector).map(|(_, harm)| harm)
    }

    /// When a breaker changed to that condition, in order of time.
    pub(crate) fn breaker_changes(
        &self,
        breaker: BreakerId,
        to: &str,
    ) -> impl DoubleEndedIterator<Item = &BreakerChange> {
        self.recorder.breakers.iter().filter(move |change| {
            change.to == to && change.service == breaker.service && change.upstream == breaker.upstream
        })
    }

    /// How late requests were sent, of a live run; in virtual time everything is sent when it is meant to be.
    pub(crate) fn lateness(&self) -> Option<&Durations> {
        self.harness.as_ref().map(HarnessRecord::lateness)
    }

    /// Attempts without a valid identity at an upstream, or all, that ask for one; `None` where none does.
    pub(crate) fn unauthorized(&self, upstream: Option<usize>) -> Option<u64> {
        let upstreams = self.layout().upstreams.iter().zip(&self.recorder.attempts).enumerate();
        let asking = upstreams.filter(|(place, (layout, _))| {
            layout.asks_for_identity && upstream.is_none_or(|upstream| upstream == *place)
        });
        asking.map(|(_, (_, attempts))| attempts.unauthorized).reduce(|sum, more| sum + more)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.recorder.layout
    }

    /// Population, route and counts of every cell in which something happened.
    fn cells(&self) -> impl Iterator<Item = (usize, usize, &Cell)> {
        let routes = self.layout().routes.len();
        let cells = self.recorder.cells.iter().enumerate();
        cells.filter_map(move |(place, cell)| Some((place / routes, place % routes, cell.as_deref()?)))
    }

    pub(crate) fn select(&self, selector: Selector) -> Selection {
        let mut sum = Selection {
            requests: GoodCount::default(),
            outcomes: Default::default(),
            latency: Durations::new(),
        };
        for (population, route, cell) in self.cells() {
            let hostile = self.layout().populations[population].hostile;
            let selected = match selector {
                Selector::Everybody => !hostile,
                Selector::Population(selected) => selected == population,
                Selector::Route(selected) => !hostile && selected == route,
                Selector::Upstream(selected) => !hostile && selected == self.layout().routes[route].upstream,
            };
            if selected {
                sum.requests.add(cell.requests);
                for (total, count) in sum.outcomes.iter_mut().zip(cell.outcomes) {
                    *total += count;
                }
                sum.latency.add(&cell.latency);
            }
        }
        sum
    }

    pub(crate) fn goodput(&self, good: u64) -> f64 {
        let seconds = self.ran().as_secs_f64();
        if seconds > 0.0 { good as f64 / seconds } else { 0.0 }
    }

    /// For how long requests arrived: less than the scenario's duration where the run was interrupted.
    pub(crate) fn ran(&self) -> Duration {
        let ran = self.harness.as_ref().and_then(|harness| harness.ran);
        ran.map_or(self.layout().duration, |ran| ran.min(self.layout().duration))
    }

    /// Attempts that reached one upstream, or any.
    pub(crate) fn attempts(&self, upstream: Option<usize>) -> u64 {
        match upstream {
            Some(upstream) => self.recorder.attempts[upstream].total,
            None => self.recorder.attempts.iter().map(|attempts| attempts.total).sum(),
        }
    }

    /// What the cache before an upstream did, or those before all that have one; `None` where there is none.
    pub(crate) fn cache(&self, upstream: Option<usize>) -> Option<CacheCounts> {
        let upstreams = self.layout().upstreams.iter().zip(&self.recorder.attempts).enumerate();
        let cached = upstreams.filter(|(place, (layout, _))| {
            layout.has_cache && upstream.is_none_or(|upstream| upstream == *place)
        });
        cached.map(|(_, (_, attempts))| attempts.cache).reduce(CacheCounts::add)
    }

    pub(crate) fn key_fetches(&self, upstream: Option<usize>) -> u64 {
        match upstream {
            Some(upstream) => self.recorder.attempts[upstream].key_fetches,
            None => self.recorder.attempts.iter().map(|attempts| attempts.key_fetches).sum(),
        }
    }

    /// Logical requests, hostile ones too, for one upstream or any.
    pub(crate) fn requests(&self, upstream: Option<usize>) -> u64 {
        let routes = &self.layout().routes;
        let of_upstream =
            |route: usize| upstream.is_none_or(|upstream| routes[route].reaches.contains(&upstream));
        self.cells()
            .filter(|(_, route, _)| of_upstream(*route))
            .map(|(_, _, cell)| cell.requests.offered)
            .sum()
    }

    pub(crate) fn station(&self, station: StationId) -> &StationRecord {
        &self.recorder.stations[station.index()]
    }

    pub(crate) fn utilization(&self, station: StationId) -> Option<f64> {
        let layout = match station {
            StationId::Gateway => &self.layout().gateway,
            StationId::Upstream(upstream) => &self.layout().upstreams[upstream],
            StationId::Host(HostPlace { upstream, host }) => {
                let workers =
                    self.layout().upstreams[upstream as usize].hosts.get(host as usize).copied()??;
                let (mean, _) = self.host(station)?.in_flight.clone().finish(self.ran());
                return Some(mean / f64::from(workers));
            }
        };
        let (mean, _) = self.station(station).in_flight.clone().finish(self.ran());
        Some(mean / f64::from(layout.workers?))
    }

    /// Most of a station's workers in use at once.
    pub(crate) fn peak_in_flight(&self, station: StationId) -> u32 {
        match self.host(station) {
            Some(host) => host.in_flight.peak(),
            None => self.station(station).in_flight.peak(),
        }
    }

    /// Ejections of hosts of an upstream, or of any.
    pub(crate) fn ejections(&self, upstream: Option<usize>) -> u64 {
        match upstream {
            Some(upstream) => self.recorder.ejections.get(upstream).copied().unwrap_or(0),
            None => self.recorder.ejections.iter().sum(),
        }
    }

    /// Attempts that reached one host of an upstream.
    pub(crate) fn host_attempts(&self, place: HostPlace) -> u64 {
        match self.host(StationId::Host(place)) {
            Some(host) => host.attempts,
            None => self.attempts(Some(place.upstream as usize)),
        }
    }

    fn host(&self, station: StationId) -> Option<&HostRecord> {
        let StationId::Host(HostPlace { upstream, host }) = station else { return None };
        self.recorder.hosts.get(upstream as usize)?.get(host as usize)
    }

    pub(crate) fn limit(&self, scope: &str) -> Option<(&LimitLayout, &LimitRecord)> {
        let mut limits = self.layout().limits.iter().zip(&self.recorder.limits);
        limits.find(|(layout, _)| layout.scope == scope)
    }

    /// The most that a limit let through in any window of that length, between what a shorter window holds and what a longer one
    /// does, by how late requests were sent; `None` where there is no such limit, or the window was not looked at.
    pub(crate) fn peak_admitted(&self, scope: &str, window: Duration) -> Option<[u32; 3]> {
        let (_, limit) = self.limit(scope)?;
        let peaks = limit.peaks.iter().find(|peaks| peaks.counter.window() == window)?;
        let count = peaks.counter.peak().map_or(0, |peak| peak.count);
        let within = peaks.within(greatest_lateness(self.harness.as_ref()));
        let [least, most] = within.map_or([count; 2], |(_, within)| within);
        Some([least, count, most])
    }
}

/// How late the latest request was sent; `None` in virtual time, where nobody is, and where nothing was sent. Not a percentile: a count within a window moves by single
/// requests, and of two thousand twenty are later than the p99.
pub(crate) fn greatest_lateness(harness: Option<&HarnessRecord>) -> Option<Duration> {
    harness.and_then(HarnessRecord::greatest_lateness)
}

pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The bucket that most was let through, the first of equals, and how much.
pub(crate) fn fullest(limit: &LimitRecord) -> Option<(u32, u64)> {
    let buckets =
        (0..).zip(limit.admitted.iter().copied().map(u64::from)).filter(|(_, admitted)| *admitted > 0);
    buckets.max_by_key(|(bucket, admitted)| (*admitted, std::cmp::Reverse(*bucket)))
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::bound::{Bound, Comparison};
    use crate::measure::catalogue::{Arguments, Measure, MeasureKind};
    use crate::measure::expectation::Expectation;
    use crate::measure::measurement::Measurement;
    use crate::record::durations::Statistic;
    use crate::record::layout::{PopulationLayout, RouteLayout, StationLayout};
    use crate::record::saturation::BucketName;
    use crate::record::witness::{RunEvent, Witness as _};
    use crate::result::run::PeakLateness;
    use crate::words::value::Value;

    fn measure(name: &str, arguments: Arguments) -> Measure {
        MeasureKind::named(name).unwrap().of(arguments)
    }

    #[test]
    fn of_an_external_gateway_nothing_but_its_answers_is_observed() {
        let station = |name: &str| StationLayout {
            name: name.to_owned(),
            workers: Some(1),
            ..StationLayout::default()
        };
        let external = Some("http://127.0.0.1:8080".to_owned());
        let layout = |external| Layout {
            duration: Duration::from_secs(2),
            populations: vec![PopulationLayout::default()],
            routes: vec![RouteLayout { reaches: vec![0], ..RouteLayout::default() }],
            gateway: station("gateway"),
            upstreams: vec![station("orders")],
            external,
            ..Layout::default()
        };
        let of_ours = [
            measure("wait", Arguments { statistic: Statistic::Max, ..Arguments::default() }),
            measure("utilization", Arguments::default()),
            measure("peak_in_flight", Arguments::default()),
            measure("breaker_opened_at", Arguments::default()),
        ];
        for (external, is_ours) in [(None, true), (external, false)] {
            let mut recorder = Recorder::new(layout(external.clone()));
            for station in [StationId::Gateway, StationId::Upstream(0)] {
                let at = Duration::from_millis(1);
                recorder.hear(at, RunEvent::Waited { station, waited: at });
                recorder.hear(at, RunEvent::Load { station, in_flight: 1, queued: 0 });
            }
            let recording = recorder.finish();
            for measure in &of_ours {
                let observed = recording.measure(measure) != Measurement::NOT_OBSERVED;
                assert_eq!(observed, is_ours, "{measure:?}");
            }
            let station = StationId::Upstream(0);
            let of_upstream = measure("peak_in_flight", Arguments { station, ..Arguments::default() });
            let upstreams = recording.measure(&of_upstream);
            assert_eq!(upstreams.value, Value::Count(1), "the upstreams are ours in any case");
            let run = recording.into_result(1, |_, _| BucketName::default());
            let stations: Vec<&str> = run.stations.iter().map(|station| &*station.name).collect();
            assert_eq!(stations, if is_ours { vec!["gateway", "orders"] } else { vec!["orders"] });
            assert_eq!(run.populations[0].admitted_per_s.is_empty(), !is_ours);
            assert_eq!(run.external, external);
        }
    }

    /// Two bursts that fill four seconds to the last are 2,000 requests; with the last of them 3 ms late the window holds 1,999.
    /// A window that is longer by the lateness holds all, so that the true line holds, and so does the one from above.
    #[test]
    fn a_line_on_a_window_is_judged_with_the_lateness_of_the_run() {
        use Comparison::{AtLeast, AtMost, Equal};
        let ms = Duration::from_millis;
        let of_key = Arguments { limit: "per_key".to_owned(), window: ms(4_000), ..Arguments::default() };
        let peak = measure("peak_admitted", of_key);
        let limit = LimitLayout {
            scope: "per_key".to_owned(),
            window: ms(60_000),
            limit: 1000,
            peak_windows: vec![ms(4_000)],
            ..LimitLayout::default()
        };
        let layout = Layout {
            duration: ms(120_000),
            limits: vec![limit],
            lateness_margins: vec![ms(50), ms(5)],
            ..Layout::default()
        };
        let record = |late: u64| {
            let mut recorder = Recorder::new(layout.clone());
            for number in 0..2_000_u64 {
                let late = if number == 1_999 { late } else { 0 };
                let admitted = RunEvent::LimitAdmitted { limit: 0, bucket: 0, remaining: 1 };
                recorder.hear(ms(2 * number + late), admitted);
            }
            let mut recording = recorder.finish();
            let mut harness = HarnessRecord::new(1.0, 10, 1_000);
            // The one that falls out of the window is one of many, and beyond every percentile that is told.
            (1..2_000).for_each(|_| harness.on_sent(Duration::ZERO));
            harness.on_sent(ms(late));
            recording.add_harness(harness);
            recording
        };
        let holds = |recording: &Recording, comparison, bound| {
            let measure = peak.clone();
            Expectation { measure, comparison, bound: Bound::Number(bound) }.check(recording).1
        };
        let late = record(3);
        assert_eq!(late.measure(&peak).value, Value::Count(1_999));
        for (comparison, bound, held) in [
            (AtLeast, 2000.0, true),
            (AtLeast, 2001.0, false),
            (AtMost, 1998.0, true),
            (AtMost, 1997.0, false),
            (Equal, 2000.0, true),
            (Equal, 1996.0, false),
        ] {
            assert_eq!(holds(&late, comparison, bound), held, "{comparison:?} {bound}");
        }
        let bounds = PeakLateness { by_us: 5_000, least: 1_998, most: 2_000 };
        let result = late.into_result(1, |_, _| BucketName::default());
        assert_eq!(result.limits[0].peaks[0].by_lateness, Some(bounds));
        // Where nobody was late, a count is a count.
        let punctual = record(0);
        assert!(holds(&punctual, Equal, 2000.0) && !holds(&punctual, AtMost, 1999.0));
        assert_eq!(
            punctual.into_result(1, |_, _| BucketName::default()).limits[0].peaks[0].by_lateness,
            None
        );
    }
}
