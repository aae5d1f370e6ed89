//! The recorder: what is counted of the events of one run.

use std::collections::BTreeMap;
use std::time::Duration;

use fixedbitset::FixedBitSet;

use crate::record::breaker::BreakerChange;
use crate::record::broken::{Broken, Checker};
use crate::record::cache::CacheCounts;
use crate::record::cause::{CauseCounts, CauseTable, Ending};
use crate::record::durations::Durations;
use crate::record::harm::GoodCount;
use crate::record::heatmap::Heatmap;
use crate::record::hosts::{HostChange, HostRecord};
use crate::record::layout::{HostPlace, Layout, LimitLayout, PopulationLayout, StationId};
use crate::record::outcome::Outcome;
use crate::record::peak::PeakRecord;
use crate::record::saturation::Saturation;
use crate::record::series::{CountSeries, Level};
use crate::record::witness::{Finished, RunEvent, Witness};

/// Hears the events of one run as they happen, as its [`Witness`].
///
/// Times are counted from the scenario's start and do not decrease from call to call. Memory is bounded by the
/// layout, the scenario's seconds, the number of rate-limit buckets and the requests of the longest peak window;
/// it does not grow with the number of requests.
#[derive(Debug)]
pub struct Recorder {
    pub(crate) layout: Layout,
    pub(crate) cells: Vec<Option<Box<Cell>>>,
    pub(crate) populations: Vec<PopulationSeries>,
    pub(crate) limits: Vec<LimitRecord>,
    /// The gateway first, then the upstreams.
    pub(crate) stations: Vec<StationRecord>,
    /// Turned away after having waited in the gateway's queue for too long.
    pub(crate) queue_timeouts: u64,
    /// Attempts that reached each upstream.
    pub(crate) attempts: Vec<AttemptSeries>,
    /// By population: whether each request was good; empty unless pairs are kept.
    pub(crate) good: Vec<FixedBitSet>,
    pub(crate) breakers: Vec<BreakerChange>,
    /// By upstream: its hosts, where it has several.
    pub(crate) hosts: Vec<Vec<HostRecord>>,
    pub(crate) host_changes: Vec<HostChange>,
    /// By upstream: ejections of its hosts.
    pub(crate) ejections: Vec<u64>,
    /// The ways back from requests that were not served well.
    pub causes: CauseTable,
    /// Of non-hostile populations.
    pub(crate) cause_counts: CauseCounts,
    /// Of non-hostile populations.
    pub(crate) heatmap: Heatmap,
    pub(crate) checker: Checker,
}

/// Population × route: the smallest group that anything is asked of.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) requests: GoodCount,
    /// Offered and not ended.
    pub(crate) under_way: u64,
    /// Those that were meant to be sent within [`Layout::harm_span`].
    pub(crate) within_harm_span: GoodCount,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) latency: Durations,
}

#[derive(Debug)]
pub(crate) struct PopulationSeries {
    pub(crate) offered: CountSeries,
    pub(crate) admitted: CountSeries,
    pub(crate) served: CountSeries,
    pub(crate) good: CountSeries,
}

/// Attempts that reached an upstream.
#[derive(Debug)]
pub(crate) struct AttemptSeries {
    pub(crate) total: u64,
    /// Made for keys, and in nothing else here.
    pub(crate) key_fetches: u64,
    /// Made to learn how hosts are, and in nothing else here.
    pub(crate) health_checks: u64,
    /// Without a valid identity, at an upstream that asks for one.
    pub(crate) unauthorized: u64,
    /// What the cache before it did.
    pub(crate) cache: CacheCounts,
    pub(crate) per_s: CountSeries,
}

#[derive(Debug)]
pub(crate) struct LimitRecord {
    /// Of a limit whose buckets' numbers are far apart: which buckets were seen.
    pub(crate) seen: Option<SeenBuckets>,
    pub(crate) rejected: u64,
    /// Admitted by bucket: there may be a million.
    pub(crate) admitted: Vec<u32>,
    pub(crate) peaks: Vec<PeakRecord>,
    pub(crate) admitted_per_s: CountSeries,
    pub(crate) rejected_per_s: CountSeries,
    /// Of those that wait for their turn, how long; `None` for a limit that lets nobody wait.
    pub(crate) waits: Option<Durations>,
    /// `None` for all limits of a scope as one.
    pub(crate) saturation: Option<Saturation>,
}

/// Buckets in the order in which they were first seen: a place for each.
#[derive(Debug, Default)]
pub(crate) struct SeenBuckets {
    places: BTreeMap<u64, u32>,
    numbers: Vec<u64>,
}

impl LimitRecord {
    /// The place of a bucket in what is kept by bucket.
    #[inline]
    fn place(&mut self, bucket: u64) -> u32 {
        match &mut self.seen {
            None => bucket as u32,
            Some(seen) => seen.place(bucket),
        }
    }
}

impl SeenBuckets {
    fn place(&mut self, bucket: u64) -> u32 {
        *self.places.entry(bucket).or_insert_with(|| {
            self.numbers.push(bucket);
            self.numbers.len() as u32 - 1
        })
    }

    /// The number of the bucket at a place.
    pub(crate) fn number(&self, place: u32) -> u64 {
        self.numbers.get(place as usize).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct StationRecord {
    pub(crate) wait: Durations,
    /// Waits of no time at all, which are most: they are added at the end.
    pub(crate) at_once: u64,
    pub(crate) in_flight: Level,
    pub(crate) queued: Level,
    pub(crate) rejected: u64,
}

impl Recorder {
    /// Nothing recorded yet. What breaks the record panics, as in a test or in virtual time, where only a bug can.
    pub fn new(layout: Layout) -> Self {
        Self::with(layout, Checker::strict())
    }

    /// As [`Recorder::new`] for a run on real sockets: what breaks the record is counted, and makes the run an invalid one.
    pub fn counting(layout: Layout) -> Self {
        Self::with(layout, Checker::counting())
    }

    fn with(layout: Layout, checker: Checker) -> Self {
        let duration = layout.duration;
        let series = || CountSeries::new(duration);
        let population = |_: &PopulationLayout| PopulationSeries {
            offered: series(),
            admitted: series(),
            served: series(),
            good: series(),
        };
        let limit = |limit: &LimitLayout| LimitRecord {
            seen: limit.is_sparse.then(SeenBuckets::default),
            rejected: 0,
            admitted: Vec::with_capacity(limit.buckets as usize),
            peaks: limit
                .peak_windows
                .iter()
                .map(|window| PeakRecord::new(*window, &layout.lateness_margins, limit.buckets, layout.last))
                .collect(),
            admitted_per_s: series(),
            rejected_per_s: series(),
            waits: limit.lets_wait.then(Durations::new),
            saturation: limit
                .joins
                .is_empty()
                .then(|| Saturation::new(limit.allowance, limit.buckets, duration)),
        };
        let station = |_: usize| StationRecord {
            wait: Durations::new(),
            at_once: 0,
            in_flight: Level::new(duration),
            queued: Level::new(duration),
            rejected: 0,
        };
        Self {
            cells: (0..layout.populations.len() * layout.routes.len()).map(|_| None).collect(),
            populations: layout.populations.iter().map(population).collect(),
            limits: layout.limits.iter().map(limit).collect(),
            stations: (0..=layout.upstreams.len()).map(station).collect(),
            queue_timeouts: 0,
            attempts: layout
                .upstreams
                .iter()
                .map(|_| AttemptSeries {
                    total: 0,
                    key_fetches: 0,
                    health_checks: 0,
                    unauthorized: 0,
                    cache: CacheCounts::default(),
                    per_s: series(),
                })
                .collect(),
            good: vec![FixedBitSet::new(); layout.populations.len()],
            breakers: Vec::new(),
            hosts: layout
                .upstreams
                .iter()
                .map(|upstream| upstream.hosts.iter().map(|_| HostRecord::new(duration)).collect())
                .collect(),
            host_changes: Vec::new(),
            ejections: vec![0; layout.upstreams.len()],
            causes: CauseTable::default(),
            cause_counts: CauseCounts::default(),
            heatmap: Heatmap::new(duration),
            checker,
            layout,
        }
    }

    /// The engine found its own account of the run broken.
    ///
    /// # Panics
    ///
    /// If the record is not a [`Recorder::counting`] one.
    pub fn on_broken(&mut self, broken: Broken) {
        self.checker.note(broken, 1);
    }

    /// What the run is made of.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Witness for Recorder {
    #[expect(
        clippy::inline_always,
        reason = "an engine names the event where it happens, so that nothing is told apart"
    )]
    #[inline(always)]
    fn hear(&mut self, at: Duration, event: RunEvent) {
        match event {
            RunEvent::Offered { population, route, intended } => self.on_offered(population, route, intended),
            RunEvent::LimitAdmitted { limit, bucket, remaining } => {
                self.on_limit_admitted(limit, bucket, at, remaining);
            }
            RunEvent::LimitRejected { limit, bucket } => self.on_limit_rejected(limit, bucket, at),
            RunEvent::LimitDelayed { limit, wait } => {
                if let Some(waits) = &mut self.limits[limit].waits {
                    waits.record(wait);
                }
            }
            RunEvent::Admitted { population } => self.populations[population].admitted.add(at),
            RunEvent::Attempt { station } => self.on_attempt(station, at),
            RunEvent::KeyFetch { upstream } => self.attempts[upstream].key_fetches += 1,
            RunEvent::HealthCheck { upstream } => self.attempts[upstream].health_checks += 1,
            RunEvent::Unauthorized { upstream } => self.attempts[upstream].unauthorized += 1,
            RunEvent::Cache { upstream, cache_use } => self.attempts[upstream].cache.on_use(cache_use),
            RunEvent::Waited { station, waited } => self.on_waited(station, waited),
            RunEvent::LeftQueue { station, waited } => {
                self.stations[station.index()].wait.record_lower_bound(waited);
            }
            RunEvent::Load { station, in_flight, queued } => self.on_load(station, at, in_flight, queued),
            RunEvent::Rejected { station } => {
                self.stations[station.index()].rejected += 1;
                if let Some(host) = self.host(station) {
                    host.rejected += 1;
                }
            }
            RunEvent::QueueTimeout => self.queue_timeouts += 1,
            RunEvent::Breaker(change) => self.on_breaker(change),
            RunEvent::Host(change) => self.on_host(change),
            RunEvent::Finished(finished) => self.on_finished(at, &finished),
        }
    }
}

/// What each event counts.
impl Recorder {
    #[inline]
    fn on_offered(&mut self, population: usize, route: usize, intended: Duration) {
        let in_harm_span = self.is_in_harm_span(intended);
        let cell = self.cell(population, route);
        cell.requests.offered += 1;
        cell.under_way += 1;
        cell.within_harm_span.offered += u64::from(in_harm_span);
        self.populations[population].offered.add(intended);
    }

    #[inline]
    fn on_limit_admitted(&mut self, limit: usize, bucket: u64, at: Duration, remaining: u32) {
        let record = &mut self.limits[limit];
        let bucket = record.place(bucket);
        if record.admitted.len() <= bucket as usize {
            record.admitted.resize(bucket as usize + 1, 0);
        }
        let admitted = &mut record.admitted[bucket as usize];
        match admitted.checked_add(1) {
            Some(more) => *admitted = more,
            None => self.checker.note(Broken::Overflow, 1),
        }
        record.admitted_per_s.add(at);
        if let Some(saturation) = &mut record.saturation {
            saturation.on_admitted(bucket, at, remaining);
        }
        for peak in &mut record.peaks {
            self.checker.check(peak.on_event(at, bucket));
        }
    }

    #[inline]
    fn on_limit_rejected(&mut self, limit: usize, bucket: u64, at: Duration) {
        let record = &mut self.limits[limit];
        let bucket = record.place(bucket);
        record.rejected += 1;
        record.rejected_per_s.add(at);
        if let Some(saturation) = &mut record.saturation {
            saturation.on_rejected(bucket, at);
        }
    }

    #[inline]
    fn on_attempt(&mut self, station: StationId, at: Duration) {
        if let Some(upstream) = station.upstream() {
            let attempts = &mut self.attempts[upstream];
            attempts.total += 1;
            attempts.per_s.add(at);
        }
        if let Some(host) = self.host(station) {
            host.attempts += 1;
        }
    }

    #[inline]
    fn on_waited(&mut self, station: StationId, waited: Duration) {
        let station = &mut self.stations[station.index()];
        if waited.is_zero() {
            station.at_once += 1;
        } else {
            station.wait.record(waited);
        }
    }

    #[inline]
    fn on_load(&mut self, station: StationId, at: Duration, in_flight: u32, queued: u32) {
        let (mut in_flight, mut queued) = (in_flight, queued);
        if matches!(station, StationId::Host(_)) {
            let of_upstream = &self.stations[station.index()];
            let before = [of_upstream.in_flight.current(), of_upstream.queued.current()];
            let summed = self.host(station).map(|host| host.set(at, [in_flight, queued], before));
            match summed.transpose() {
                Ok(summed) => [in_flight, queued] = summed.unwrap_or([in_flight, queued]),
                Err(broken) => return self.checker.note(broken, 1),
            }
        }
        let record = &mut self.stations[station.index()];
        self.checker.check(record.in_flight.set(at, in_flight));
        self.checker.check(record.queued.set(at, queued));
    }

    #[inline]
    fn on_finished(&mut self, at: Duration, finished: &Finished) {
        let Finished { population, route, intended, outcome, reached_upstream, index, cause } = *finished;
        let latency = at.checked_sub(intended);
        if latency.is_none() {
            self.checker.note(Broken::EndedTooEarly, 1);
        }
        let served = outcome == Outcome::Served;
        let good = served && latency.is_some_and(|latency| latency <= self.layout.slo_latency);
        let good_in_harm_span = good && self.is_in_harm_span(intended);
        let cell = self.cell(population, route);
        let Some(under_way) = cell.under_way.checked_sub(1) else {
            return self.checker.note(Broken::EndedUnoffered, 1);
        };
        cell.under_way = under_way;
        cell.outcomes[outcome.index()] += 1;
        cell.requests.good += u64::from(good);
        cell.within_harm_span.good += u64::from(good_in_harm_span);
        let is_lower_bound = outcome.is_unanswered();
        if let Some(latency) = latency.filter(|_| is_lower_bound || reached_upstream) {
            if is_lower_bound {
                cell.latency.record_lower_bound(latency);
            } else {
                cell.latency.record(latency);
            }
            if !self.layout.populations[population].hostile {
                self.heatmap.add(intended, latency);
            }
        }
        if !good && !self.layout.populations[population].hostile {
            let ending = if served { Ending::Late } else { Ending::Failed };
            self.cause_counts.add(cause, route, ending);
        }
        let series = &mut self.populations[population];
        if served {
            series.served.add(intended);
        }
        if good {
            series.good.add(intended);
        }
        if let Some(index) = index.filter(|_| good && self.layout.keeps_pairs) {
            self.good[population].grow_and_insert(index as usize);
        }
    }

    /// The first ten thousand changes are kept, and all ejections counted.
    fn on_host(&mut self, change: HostChange) {
        if change.to == HostChange::EJECTED
            && let Some(ejections) = self.ejections.get_mut(change.host.upstream as usize)
        {
            *ejections += 1;
        }
        if self.host_changes.len() < MOST_CHANGES {
            self.host_changes.push(change);
        }
    }

    #[inline]
    fn host(&mut self, station: StationId) -> Option<&mut HostRecord> {
        let StationId::Host(HostPlace { upstream, host }) = station else { return None };
        self.hosts.get_mut(upstream as usize)?.get_mut(host as usize)
    }

    /// The first ten thousand changes are kept.
    fn on_breaker(&mut self, change: BreakerChange) {
        if self.breakers.len() < MOST_CHANGES {
            self.breakers.push(change);
        }
    }

    #[inline]
    fn is_in_harm_span(&self, intended: Duration) -> bool {
        self.layout.harm_span.as_ref().is_some_and(|span| span.contains(&intended))
    }

    #[inline]
    fn cell(&mut self, population: usize, route: usize) -> &mut Cell {
        let place = population * self.layout.routes.len() + route;
        self.cells[place].get_or_insert_with(Cell::empty)
    }
}

impl Cell {
    #[cold]
    fn empty() -> Box<Self> {
        let latency = Durations::new();
        let (requests, within_harm_span) = Default::default();
        let outcomes = [0; Outcome::ALL.len()];
        Box::new(Self { requests, under_way: 0, within_harm_span, outcomes, latency })
    }
}

const MOST_CHANGES: usize = 10_000;

/// Outcomes that occurred, by name.
pub(crate) fn outcome_counts(outcomes: &[u64; Outcome::ALL.len()]) -> BTreeMap<Outcome, u64> {
    Outcome::ALL.into_iter().zip(outcomes.iter().copied()).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::cause::CauseId;
    use crate::record::harness::HarnessRecord;
    use crate::record::layout::{RouteLayout, StationLayout};
    use crate::record::saturation::BucketName;
    use crate::result::expectation::NotJudged;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn layout() -> Layout {
        Layout {
            duration: s(10),
            slo_latency: s(1),
            populations: vec![PopulationLayout::default()],
            routes: vec![RouteLayout { reaches: vec![0], ..RouteLayout::default() }],
            upstreams: vec![StationLayout::default()],
            ..Layout::default()
        }
    }

    fn offered(at: u64) -> RunEvent {
        RunEvent::Offered { population: 0, route: 0, intended: s(at) }
    }

    fn served(intended: u64) -> RunEvent {
        RunEvent::Finished(Finished {
            population: 0,
            route: 0,
            intended: s(intended),
            outcome: Outcome::Served,
            reached_upstream: true,
            index: None,
            cause: CauseId::UNKNOWN,
        })
    }

    #[test]
    #[should_panic(expected = "the record is broken: ends of requests that were not under way: 1")]
    fn an_end_without_a_beginning_panics() {
        let mut recorder = Recorder::new(layout());
        recorder.hear(s(1), offered(1));
        recorder.hear(s(1), served(1));
        recorder.hear(s(2), served(1));
    }

    #[test]
    #[should_panic(expected = "the record is broken: ends of requests before they were to be sent: 1")]
    fn an_end_before_the_beginning_panics() {
        let mut recorder = Recorder::new(layout());
        recorder.hear(s(1), offered(2));
        recorder.hear(s(1), served(2));
    }

    #[test]
    #[should_panic(expected = "the record is broken: requests without an end: 2")]
    fn a_request_that_is_forgotten_panics() {
        let mut recorder = Recorder::new(layout());
        recorder.hear(s(1), offered(1));
        recorder.hear(s(1), offered(1));
        recorder.finish();
    }

    #[test]
    #[should_panic(expected = "the record is broken: events earlier than one before them: 1")]
    fn a_load_of_the_past_panics() {
        let mut recorder = Recorder::new(layout());
        for (at, in_flight) in [(2, 3), (1, 4)] {
            recorder.hear(s(at), RunEvent::Load { station: StationId::Gateway, in_flight, queued: 0 });
        }
    }

    #[test]
    fn a_live_run_with_a_broken_record_is_invalid_and_says_why() {
        let result = |events: &[(u64, RunEvent)]| {
            let mut recorder = Recorder::counting(layout());
            for (at, event) in events {
                recorder.hear(s(*at), *event);
            }
            let mut recording = recorder.finish();
            recording.add_harness(HarnessRecord::new(1.0, 10, 1_000));
            recording.into_result(1, |_, _| BucketName::default())
        };
        let whole = result(&[(1, offered(1)), (1, served(1))]);
        assert_eq!(whole.not_judged(), None);
        let harness = serde_json::to_value(whole.harness.unwrap()).unwrap();
        assert_eq!(harness.get("broken"), None, "nothing is said of what is not");
        // An end twice, one too early, and a request without any.
        let load = |in_flight| RunEvent::Load { station: StationId::Gateway, in_flight, queued: 0 };
        let broken = [
            (1, offered(1)),
            (1, served(1)),
            (2, served(1)),
            (3, offered(9)),
            (3, served(9)),
            (4, offered(4)),
            (5, load(1)),
            (4, load(2)),
        ];
        let broken = result(&broken);
        assert_eq!(broken.not_judged(), Some(NotJudged::Invalid));
        // What cannot be is not counted.
        assert_eq!((broken.overall.offered, broken.overall.count(Outcome::Served)), (3, 2));
        assert_eq!(broken.overall.latency.count, 1);
        let harness = broken.harness.unwrap();
        assert_eq!(harness.broken, 4);
        assert_eq!(
            harness.invalid,
            [
                "the record is broken, by a bug of Tuesday: ends of requests that were not under way: 1, ends of requests \
              before they were to be sent: 1, requests without an end: 1, events earlier than one before them: 1"
            ]
        );
    }
}
