use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Duration;

use gateway::auth::AuthConfig;
use gateway::{BreakerConfig, Place, Pool, PoolConfig, RetryPolicy, Timestamp};

use crate::fault::{FaultId, FaultKind, FaultTimeline};
use crate::{Latency, Stream};

/// What a simulated service is made of.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Requests served at once, and how many may wait. A service has no queue timeout: what waits is served.
    pub pool: PoolConfig,
    /// How long the work on one request takes.
    pub latency: Latency,
    /// How much longer for each other request that is being served when it starts; zero for no influence.
    pub load_latency: Duration,
    /// Drops work whose caller left. Few services do.
    pub cancel_on_disconnect: bool,
    /// Other services that it asks in this order after its own work, while its worker is held.
    pub calls: Vec<Call>,
    /// What it asks of the tokens of requests before it takes them on; `None` for nothing.
    pub auth: Option<AuthConfig>,
}

/// A service's use of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Whom it asks, by number.
    pub upstream: usize,
    /// How long it waits for the answer to an attempt; `None` for as long as it takes.
    pub timeout: Option<Duration>,
    /// When it tries again.
    pub retry: RetryPolicy,
    /// The service's own breaker in front of the other.
    pub breaker: Option<BreakerConfig>,
}

/// A simulated service: workers that each take a random time for a request, in front of a bounded queue.
///
/// **It does not notice that a caller left.** What it has accepted it works on to the end, holding a worker; a
/// caller's timeout frees the caller and not the service. That is how a slow service stays overloaded with work
/// that nobody waits for. Only what hangs is given up with its caller.
///
/// The calling contract: a job, unique among those present, for which [`Upstream::on_request`],
/// [`Upstream::on_completed`] or [`Upstream::on_caller_left`] said that it started is followed by one `on_completed`,
/// not before its [`Work::time`] has passed, unless `on_caller_left` said that it is [`Left::Freed`].
#[derive(Debug)]
pub struct Upstream<J> {
    pool: Pool<J, Stream>,
    config: UpstreamConfig,
    starts: Timestamp,
    faults: FaultTimeline,
    /// Held by a fault until their caller leaves.
    hanging: BTreeSet<J>,
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
    },
    /// The connection is refused.
    Refused {
        /// Whose doing that is.
        fault: FaultId,
    },
}

/// What a worker does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// How long it takes; `None` for ever.
    pub time: Option<Duration>,
    /// How much of that, at its end, the body of the answer trickles for; zero for an answer as a whole.
    pub body: Duration,
    /// Whether the connection is reset at its end, instead of an answer.
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
    /// An idle service in a scenario that starts at `starts`.
    pub fn new(config: UpstreamConfig, starts: Timestamp, faults: FaultTimeline) -> Self {
        Self { pool: Pool::new(config.pool), config, starts, faults, hanging: BTreeSet::new() }
    }

    /// Whether a fault answers a request for it before any of its own code runs; `service` as for
    /// [`on_request`](Self::on_request).
    pub fn is_struck_at_the_door(&self, now: Timestamp, service: Stream) -> bool {
        self.faults.on_arrival(now - self.starts, service).is_some()
    }

    /// Takes a request on; `service` is the random stream of its service time.
    pub fn on_request(&mut self, now: Timestamp, job: J, service: Stream) -> Reaction {
        match self.faults.on_arrival(now - self.starts, service) {
            Some((fault, FaultKind::Error { status })) => {
                return Reaction::Answered { status: *status, fault: Some(fault) };
            }
            Some((fault, _)) => return Reaction::Refused { fault },
            None => {}
        }
        match self.pool.on_arrival(now, job, service) {
            Place::Worker => Reaction::Started(self.start(now, job, service)),
            Place::Queue { .. } => Reaction::Queued,
            Place::Full => Reaction::Answered { status: 503, fault: None },
        }
    }

    /// The work on a request is done; the next in the queue starts, if there is one.
    ///
    /// # Panics
    ///
    /// If no job was started.
    pub fn on_completed(&mut self, now: Timestamp) -> Option<(J, Work)> {
        let (job, service) = self.pool.on_release()?;
        Some((job, self.start(now, job, service)))
    }

    /// The caller of a job left.
    pub fn on_caller_left(&mut self, now: Timestamp, job: J) -> Left<J> {
        if self.hanging.remove(&job) {
            return Left::Freed(self.on_completed(now));
        }
        if !self.config.cancel_on_disconnect {
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
        let others = self.pool.in_flight().saturating_sub(1);
        let work =
            |latency: &Latency| latency.sample(service) + self.config.load_latency.saturating_mul(others);
        let own = &self.config.latency;
        let body = match kind {
            Some(FaultKind::Drip { body }) => body.sample(service.at(0)),
            _ => Duration::ZERO,
        };
        let time = match kind {
            None | Some(FaultKind::Reset | FaultKind::Drip { .. } | FaultKind::RotateKeys) => {
                Some(work(own) + body)
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{Fault, Purpose};

    const SERVICE: Duration = Duration::from_millis(5);
    const DONE: Work = Work { time: Some(SERVICE), body: Duration::ZERO, reset: false, fault: None };
    const STRUCK: Option<FaultId> = Some(FaultId(0));

    fn upstream(fault: Option<FaultKind>, cancel_on_disconnect: bool) -> Upstream<u32> {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(1), queue_timeout: None };
        let latency = Latency::constant(SERVICE).unwrap();
        let config = UpstreamConfig {
            pool,
            latency,
            load_latency: Duration::ZERO,
            cancel_on_disconnect,
            calls: Vec::new(),
            auth: None,
        };
        let second = Duration::from_secs(1);
        let faults: Vec<_> = fault
            .map(|kind| Fault::new(Duration::ZERO, second, 1.0, kind, String::new()).unwrap())
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
        assert_eq!(send(&mut upstream, 0, 3), Reaction::Answered { status: 503, fault: None });
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
            (FaultKind::Error { status: 500 }, Reaction::Answered { status: 500, fault: STRUCK }),
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
            (
                FaultKind::Drip { body: slow },
                Work {
                    time: Some(Duration::from_secs(28) + SERVICE),
                    body: Duration::from_secs(28),
                    ..struck
                },
            ),
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
    fn company_slows_the_work_down() {
        let pool = PoolConfig::default();
        let latency = Latency::constant(SERVICE).unwrap();
        let load_latency = Duration::from_millis(1);
        let config = UpstreamConfig {
            pool,
            latency,
            load_latency,
            cancel_on_disconnect: false,
            calls: Vec::new(),
            auth: None,
        };
        let mut upstream = Upstream::new(config, Timestamp::EPOCH, FaultTimeline::default());
        for others in 0..4 {
            let time = Some(SERVICE + load_latency * others);
            assert_eq!(send(&mut upstream, 0, others), Reaction::Started(Work { time, ..DONE }));
        }
    }
}
