//! Workers and queue of a simulated service, and the faults that strike there.

use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use gateway::auth::AuthConfig;
use gateway::{BreakerConfig, HostsConfig, Invariants, Place, Pool, PoolConfig, RetryPolicy, Timestamp};

use crate::cache::CacheConfig;
use crate::chance::Stream;
use crate::fault::{FaultId, FaultKind, FaultTimeline};
use crate::latency::Latency;

/// What a simulated service is made of.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Requests served at once, and how many may wait. A service has no queue timeout: what waits is served.
    pub pool: PoolConfig,
    /// How long the work on one request takes.
    pub latency: Latency,
    /// How many times as long the work takes on this host, above 0.
    pub latency_factor: f64,
    /// How much longer for each other request that is being served when it starts; zero for no influence.
    pub load_latency: Duration,
    /// Drops work whose caller left. Few services do.
    pub cancel_on_disconnect: bool,
    /// Other services that it asks after its own work, while its worker is held.
    pub calls: Vec<Call>,
    /// Whether it makes all of its calls at once, and not one after the other in their order.
    pub parallel: bool,
    /// The cache before it; `None` for none.
    pub cache: Option<CacheConfig>,
    /// What it asks of the tokens of requests before it takes them on; `None` for nothing.
    pub auth: Option<AuthConfig>,
}

/// A service's use of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Whom it asks, by number.
    pub upstream: usize,
    /// For what share of the requests it is made, above 0 and at most 1.
    pub share: f64,
    /// How long it waits for the answer to an attempt; `None` for as long as it takes.
    pub timeout: Option<Duration>,
    /// When it tries again.
    pub retry: RetryPolicy,
    /// The service's own breaker in front of the other.
    pub breaker: Option<BreakerConfig>,
    /// The hosts of the other, and how they are chosen.
    pub hosts: HostsConfig,
}

/// A simulated service: workers that each take a random time for a request, in front of a bounded queue.
///
/// **It does not notice that a caller left.** What it has accepted it works on to the end, holding a worker; a
/// caller's timeout frees the caller and not the service. That is how a slow service stays overloaded with work
/// that nobody waits for. Only what hangs is given up with its caller.
///
/// The calling contract: a job, unique among those present, for which [`Upstream::on_request`],
/// [`Upstream::on_completed`] or [`Upstream::on_caller_left`] said that it started is followed by one `on_completed`,
/// unless `on_caller_left` said that it is [`Left::Freed`]. Before that come, in this order, its [`Work::time`], the calls of
/// its service, and its [`Work::body`]. A caller leaves once.
/// Whoever lets a worker go asks [`Upstream::poll_given_up`] afterwards for the jobs that will not be heard of again.
#[derive(Debug)]
pub struct Upstream<J> {
    pool: Pool<J, Stream>,
    config: UpstreamConfig,
    starts: Timestamp,
    faults: FaultTimeline,
    /// Held by a fault until their caller leaves.
    hanging: BTreeSet<J>,
    /// Queued jobs whose caller has left: what hangs among them has nobody left to free its worker.
    abandoned: BTreeSet<J>,
    /// Given up at their start, and not told yet.
    given_up: VecDeque<J>,
    invariants: Invariants,
}

/// What a service does with a request on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// A worker takes it.
    Started(Work),
    /// It waits for a worker.
    Queued,
    /// It is answered with this status at once: 503 where every worker is busy and the queue full, or what a fault says.
    Answered {
        /// HTTP status.
        status: u16,
        /// Whose doing that is; `None` where the service's own queue was full.
        fault: Option<FaultId>,
        /// How many seconds the answer asks its caller to wait.
        retry_after: Option<NonZeroU32>,
    },
    /// The connection is refused.
    Refused {
        /// Whose doing that is.
        fault: FaultId,
    },
}

/// What a worker does with a request: its own work first, then the calls of its service, and at last the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// How long its own work takes; `None` for ever.
    pub time: Option<Duration>,
    /// How long the body of the answer trickles for, whatever the calls came to; zero for an answer as a whole.
    pub body: Duration,
    /// Whether the connection is reset after part of the answer.
    pub reset: bool,
    /// What strikes it, if anything does.
    pub fault: Option<FaultId>,
}

/// What becomes of a job whose caller left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left<J> {
    /// It is worked on to the end, or waits for it.
    Unnoticed,
    /// It waits no more.
    Unqueued,
    /// Its worker is free, and starts on the next in the queue if there is one.
    Freed(Option<(J, Work)>),
}

impl<J: Copy + Ord + Hash> Upstream<J> {
    /// An idle service in a scenario that starts at `starts`. Panics where its counters are wrong.
    pub fn new(config: UpstreamConfig, starts: Timestamp, faults: FaultTimeline) -> Self {
        Self {
            pool: Pool::new(config.pool),
            config,
            starts,
            faults,
            hanging: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            given_up: VecDeque::new(),
            invariants: Invariants::Panic,
        }
    }

    /// Does this instead where the counters are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        Self { pool: self.pool.with_invariants(invariants.clone()), invariants, ..self }
    }

    /// Whether a fault answers a request for it before any of its own code runs; `service` as for
    /// [`on_request`](Self::on_request).
    pub fn is_struck_at_the_door(&self, now: Timestamp, service: Stream) -> bool {
        self.faults.on_arrival(now - self.starts, service).is_some()
    }

    /// Takes a request on; `service` is the random stream of its service time.
    pub fn on_request(&mut self, now: Timestamp, job: J, service: Stream) -> Reaction {
        match self.faults.on_arrival(now - self.starts, service) {
            Some((fault, FaultKind::Error { status, retry_after })) => {
                let (status, retry_after) = (*status, *retry_after);
                return Reaction::Answered { status, fault: Some(fault), retry_after };
            }
            Some((fault, _)) => return Reaction::Refused { fault },
            None => {}
        }
        match self.pool.on_arrival(now, job, service) {
            Place::Worker => Reaction::Started(self.start(now, job, service)),
            Place::Queue { .. } => Reaction::Queued,
            Place::Full => Reaction::Answered { status: 503, fault: None, retry_after: None },
        }
    }

    /// The work on a request is done; the next in the queue starts, if there is one.
    ///
    /// What would hang and whose caller has left already is passed over: it is given up at once. That a job was started is an
    /// invariant.
    pub fn on_completed(&mut self, now: Timestamp) -> Option<(J, Work)> {
        // As long as the queue is, at most: each turn takes one out of it.
        loop {
            let (job, service) = self.pool.on_release()?;
            let abandoned = self.abandoned.remove(&job);
            let work = self.start(now, job, service);
            if !abandoned || work.time.is_some() {
                return Some((job, work));
            }
            self.hanging.remove(&job);
            self.given_up.push_back(job);
        }
    }

    /// The next job that was given up at its start and that nobody has taken note of.
    pub fn poll_given_up(&mut self) -> Option<J> {
        self.given_up.pop_front()
    }

    /// The caller of a job left.
    pub fn on_caller_left(&mut self, now: Timestamp, job: J) -> Left<J> {
        if self.hanging.remove(&job) {
            return Left::Freed(self.on_completed(now));
        }
        if !self.config.cancel_on_disconnect {
            if self.pool.is_queued(job) {
                self.abandoned.insert(job);
            }
            return Left::Unnoticed;
        }
        match self.pool.on_left_queue(job) {
            Some(_) => Left::Unqueued,
            None => Left::Freed(self.on_completed(now)),
        }
    }

    /// Requests being worked on.
    pub fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    /// Requests that wait.
    pub fn queued(&self) -> u32 {
        self.pool.queued()
    }

    fn start(&mut self, now: Timestamp, job: J, service: Stream) -> Work {
        let (fault, kind) = self.faults.on_start(now - self.starts, service).unzip();
        // Beside the worker of the job itself.
        let mut others = self.pool.in_flight();
        self.invariants.decrement(&mut others, "a job starts without a worker");
        let work = |latency: &Latency| {
            let alone = latency.sample(service);
            let factor = self.config.latency_factor;
            let is_scaled = factor.to_bits() != 1.0_f64.to_bits();
            let alone = if is_scaled { times(alone, factor) } else { alone };
            alone + self.config.load_latency.saturating_mul(others)
        };
        let own = &self.config.latency;
        let body = match kind {
            Some(FaultKind::Drip { body }) => body.sample(service.at(0)),
            _ => Duration::ZERO,
        };
        let time = match kind {
            None
            | Some(FaultKind::Reset | FaultKind::Drip { .. } | FaultKind::RotateKeys | FaultKind::Flush) => {
                Some(work(own))
            }
            Some(FaultKind::Slow { latency }) => Some(latency.sample(service)),
            Some(FaultKind::Capacity { factor }) => {
                Some(Duration::from_nanos((work(own).as_nanos() as f64 / factor) as u64))
            }
            Some(FaultKind::Hang | FaultKind::Error { .. } | FaultKind::Refuse) => {
                self.hanging.insert(job);
                None
            }
        };
        Work { time, body, reset: matches!(kind, Some(FaultKind::Reset)), fault }
    }
}

fn times(time: Duration, factor: f64) -> Duration {
    Duration::from_nanos((time.as_nanos() as f64 * factor) as u64)
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::chance::Purpose;
    use crate::fault::Fault;

    const SERVICE: Duration = Duration::from_millis(5);
    const DONE: Work = Work { time: Some(SERVICE), body: Duration::ZERO, reset: false, fault: None };
    const STRUCK: Option<FaultId> = Some(FaultId(0));

    fn upstream(fault: Option<FaultKind>, cancel_on_disconnect: bool) -> Upstream<u32> {
        one_worker(fault, 1, cancel_on_disconnect)
    }

    fn one_worker(fault: Option<FaultKind>, queue: u32, cancel_on_disconnect: bool) -> Upstream<u32> {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(queue), queue_timeout: None };
        struck(pool, fault.map(|kind| (kind, 1.0)), cancel_on_disconnect)
    }

    /// Struck for its first second, to that share.
    fn struck(
        pool: PoolConfig,
        fault: Option<(FaultKind, f64)>,
        cancel_on_disconnect: bool,
    ) -> Upstream<u32> {
        let latency = Latency::constant(SERVICE).unwrap();
        let config = UpstreamConfig {
            pool,
            latency,
            latency_factor: 1.0,
            load_latency: Duration::ZERO,
            cancel_on_disconnect,
            calls: Vec::new(),
            parallel: false,
            cache: None,
            auth: None,
        };
        let second = Duration::from_secs(1);
        let faults: Vec<_> = fault
            .map(|(kind, fraction)| {
                Fault::new(Duration::ZERO, second, fraction, kind, String::new()).unwrap()
            })
            .into_iter()
            .collect();
        Upstream::new(config, Timestamp::EPOCH, FaultTimeline::new(1, &faults))
    }

    fn send(upstream: &mut Upstream<u32>, millis: u64, job: u32) -> Reaction {
        let service = Stream::new(1, Purpose::Service, "everyone").at(u64::from(job));
        upstream.on_request(at(millis), job, service)
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn work_starts_in_order_of_arrival_and_what_does_not_fit_is_turned_away() {
        let mut upstream = upstream(None, false);
        assert_eq!(send(&mut upstream, 0, 1), Reaction::Started(DONE));
        assert_eq!(send(&mut upstream, 0, 2), Reaction::Queued);
        assert_eq!(
            send(&mut upstream, 0, 3),
            Reaction::Answered { status: 503, fault: None, retry_after: None }
        );
        assert_eq!(upstream.on_completed(at(5)), Some((2, DONE)));
        assert_eq!(upstream.on_completed(at(10)), None);
        assert_eq!((upstream.in_flight(), upstream.queued()), (0, 0));
    }

    #[test]
    fn a_caller_that_leaves_goes_unnoticed_unless_it_is_told_to_be_noticed() {
        for (job, unnoticed) in [(1, Left::Unnoticed), (2, Left::Unnoticed)] {
            let mut upstream = upstream(None, false);
            send(&mut upstream, 0, 1);
            send(&mut upstream, 0, 2);
            assert_eq!(upstream.on_caller_left(at(1), job), unnoticed);
            assert_eq!((upstream.in_flight(), upstream.queued()), (1, 1));
        }
        let mut noticing = upstream(None, true);
        send(&mut noticing, 0, 1);
        send(&mut noticing, 0, 2);
        assert_eq!(noticing.on_caller_left(at(1), 1), Left::Freed(Some((2, DONE))));
        assert_eq!(send(&mut noticing, 1, 3), Reaction::Queued);
        assert_eq!(noticing.on_caller_left(at(2), 3), Left::Unqueued);
    }

    #[test]
    fn faults_at_the_door_take_no_worker() {
        for (kind, reaction) in [
            (
                FaultKind::Error { status: 500, retry_after: NonZeroU32::new(3) },
                Reaction::Answered { status: 500, fault: STRUCK, retry_after: NonZeroU32::new(3) },
            ),
            (FaultKind::Refuse, Reaction::Refused { fault: FaultId(0) }),
        ] {
            let mut upstream = upstream(Some(kind), false);
            assert_eq!(send(&mut upstream, 999, 1), reaction);
            assert_eq!(upstream.in_flight(), 0);
            assert_eq!(send(&mut upstream, 1_000, 2), Reaction::Started(DONE));
        }
    }

    #[test]
    fn faults_at_a_worker_change_what_it_does_and_keep_their_course() {
        let slow = Latency::constant(Duration::from_secs(28)).unwrap();
        let struck = Work { fault: STRUCK, ..DONE };
        for (kind, work) in [
            (
                FaultKind::Slow { latency: slow.clone() },
                Work { time: Some(Duration::from_secs(28)), ..struck },
            ),
            (FaultKind::Drip { body: slow }, Work { body: Duration::from_secs(28), ..struck }),
            (FaultKind::Reset, Work { reset: true, ..struck }),
            (FaultKind::Capacity { factor: 0.25 }, Work { time: Some(SERVICE * 4), ..struck }),
            (FaultKind::Hang, Work { time: None, ..struck }),
        ] {
            let mut upstream = upstream(Some(kind), false);
            assert_eq!(send(&mut upstream, 999, 1), Reaction::Started(work));
            // What waits until the fault is over is served as ever.
            assert_eq!(send(&mut upstream, 999, 2), Reaction::Queued);
            assert_eq!(upstream.on_completed(at(1_001)), Some((2, DONE)));
        }
    }

    #[test]
    fn what_hangs_is_given_up_with_its_caller() {
        let mut upstream = upstream(Some(FaultKind::Hang), false);
        send(&mut upstream, 999, 1);
        send(&mut upstream, 999, 2);
        assert_eq!(upstream.on_caller_left(at(5_000), 1), Left::Freed(Some((2, DONE))));
    }

    #[test]
    fn what_would_hang_for_nobody_is_passed_over() {
        let mut upstream = one_worker(Some(FaultKind::Hang), 4, false);
        for job in 1..=5 {
            send(&mut upstream, 0, job);
        }
        // Their callers leave the queue, which it does not notice; the fourth stays.
        for job in [2, 3, 5] {
            assert_eq!(upstream.on_caller_left(at(100), job), Left::Unnoticed);
        }
        let hangs = Work { time: None, fault: STRUCK, ..DONE };
        assert_eq!(upstream.on_caller_left(at(200), 1), Left::Freed(Some((4, hangs))));
        assert_eq!([(); 3].map(|()| upstream.poll_given_up()), [Some(2), Some(3), None]);
        assert_eq!((upstream.in_flight(), upstream.queued()), (1, 1));
        // With the fault over, what nobody waits for is worked on to the end as ever.
        assert_eq!(upstream.on_caller_left(at(1_000), 4), Left::Freed(Some((5, DONE))));
        assert_eq!(upstream.on_completed(at(1_005)), None);
        assert_eq!((upstream.in_flight(), upstream.poll_given_up()), (0, None));
    }

    #[test]
    fn company_slows_the_work_down() {
        let pool = PoolConfig::default();
        let latency = Latency::constant(SERVICE).unwrap();
        let load_latency = Duration::from_millis(1);
        let config = UpstreamConfig {
            pool,
            latency,
            latency_factor: 1.0,
            load_latency,
            cancel_on_disconnect: false,
            calls: Vec::new(),
            parallel: false,
            cache: None,
            auth: None,
        };
        let mut upstream = Upstream::new(config, Timestamp::EPOCH, FaultTimeline::default());
        for others in 0..4 {
            let time = Some(SERVICE + load_latency * others);
            assert_eq!(send(&mut upstream, 0, others), Reaction::Started(Work { time, ..DONE }));
        }
    }

    /// A service with everybody around it, by the calling contract.
    struct Neighbours {
        upstream: Upstream<u32>,
        /// Sent so far; the last one's number.
        sent: u32,
        /// Who waits for an answer.
        callers: Vec<u32>,
        /// Started, with an end to come.
        working: Vec<u32>,
    }

    impl Neighbours {
        fn send(&mut self, millis: u64) {
            self.sent += 1;
            let job = self.sent;
            match send(&mut self.upstream, millis, job) {
                Reaction::Started(work) => {
                    self.callers.push(job);
                    self.started(Some((job, work)));
                }
                Reaction::Queued => self.callers.push(job),
                Reaction::Answered { .. } | Reaction::Refused { .. } => {}
            }
        }

        fn leave(&mut self, millis: u64, which: usize) {
            if self.callers.is_empty() {
                return;
            }
            let job = self.callers.swap_remove(which % self.callers.len());
            if let Left::Freed(next) = self.upstream.on_caller_left(at(millis), job) {
                self.working.retain(|working| *working != job);
                self.started(next);
            }
        }

        fn complete(&mut self, millis: u64, which: usize) {
            if self.working.is_empty() {
                return;
            }
            let job = self.working.swap_remove(which % self.working.len());
            self.callers.retain(|caller| *caller != job);
            let next = self.upstream.on_completed(at(millis));
            self.started(next);
        }

        fn started(&mut self, next: Option<(u32, Work)>) {
            if let Some((job, work)) = next {
                if work.time.is_some() {
                    self.working.push(job);
                } else {
                    assert!(self.callers.contains(&job), "{job} hangs and nobody is left to end it");
                }
            }
            while let Some(job) = self.upstream.poll_given_up() {
                assert!(!self.callers.contains(&job), "{job} is given up and somebody waits for it");
            }
        }
    }

    proptest! {
        /// However long it hung and for whom, once everybody has left and the work is done every worker is free again.
        #[test]
        fn no_worker_is_lost(
            workers in 1u32..4,
            queue in 0u32..20,
            fraction in prop::sample::select(vec![0.3, 1.0]),
            cancel_on_disconnect in any::<bool>(),
            steps in prop::collection::vec((0u64..40, 0u8..6, any::<usize>()), 1..200),
        ) {
            let pool = PoolConfig { workers: NonZeroU32::new(workers), queue: Some(queue), queue_timeout: None };
            let upstream = struck(pool, Some((FaultKind::Hang, fraction)), cancel_on_disconnect);
            let mut world = Neighbours { upstream, sent: 0, callers: Vec::new(), working: Vec::new() };
            let mut now = 0;
            for (gap, step, which) in steps {
                now += gap;
                match step {
                    0..3 => world.send(now),
                    3..5 => world.leave(now, which),
                    _ => world.complete(now, which),
                }
                prop_assert!(world.upstream.in_flight() <= workers);
            }
            while !world.callers.is_empty() {
                world.leave(now, 0);
            }
            while !world.working.is_empty() {
                world.complete(now, 0);
            }
            prop_assert_eq!((world.upstream.in_flight(), world.upstream.queued()), (0, 0));
        }
    }
}
