//! What happens in a live run, from many threads into one record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use gateway::telemetry::JsonLines;
use gateway::{Rejection, Scope, Timestamp};
use reports::{BreakerChange, Cause, CauseId, Finished, Outcome, Recorder, StationId};

use super::client_log::{ClientLog, Tried};
use crate::engine::causes::{Place, behind};

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

/// A logical request: its population and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestId {
    pub(super) population: u32,
    pub(super) index: u64,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A client meant to send a request.
    Offered { population: u32, route: u32 },
    /// A rate limit of the gateway judged an attempt; what it left the bucket, of an attempt that it let through.
    Judged { limit: usize, bucket: u32, remaining: Option<u32> },
    /// An attempt passed every limit.
    Admitted { population: u32 },
    /// The gateway answered an attempt by itself.
    Rejected { request: RequestId, route: u32, rejection: Rejection },
    /// A request took a worker of the gateway.
    Worker { route: u32 },
    /// It gave it back.
    WorkerFree { route: u32 },
    /// The gateway's timeout ended an attempt.
    CutOff { request: RequestId },
    /// An attempt came to an upstream.
    Attempt { upstream: usize, request: Option<RequestId> },
    /// An upstream was asked for keys, or by one that was.
    KeyFetch { upstream: usize },
    /// An attempt without a valid identity came to an application that asks for one.
    Unauthorized { upstream: usize },
    /// A station's worker took up what had waited this long.
    Waited { station: StationId, waited: Duration },
    /// What had waited this long left a station's queue without a worker.
    WaitedInVain { station: StationId, waited: Duration },
    /// A station's workers in use, and its queue.
    Load { station: StationId, in_flight: u32, queued: u32 },
    /// A station had neither worker nor place.
    Full { station: StationId },
    /// A wait in the gateway's queue was too long.
    QueueTimeout,
    /// A breaker changed.
    Breaker(BreakerChange),
    /// A client's attempt ended; told only where its client's side is logged.
    Tried(Box<Tried>),
    /// A logical request ended for its client.
    Ended(Ended),
}

/// How a logical request ended, as its client saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) request: RequestId,
    pub(super) route: u32,
    pub(super) intended: Timestamp,
    pub(super) outcome: Outcome,
    /// The answer's connection broke in the midst of it: the gateway knows whether that was its own timeout.
    pub(super) cut: bool,
    /// Whether it is one of a schedule, which has it in the control too.
    pub(super) paired: bool,
}

/// Writes entries down; one for each thread, or shared.
#[derive(Clone, Debug)]
pub(super) struct Journal(Sender<Entry>);

impl Journal {
    pub(super) const fn new(sender: Sender<Entry>) -> Self {
        Self(sender)
    }

    pub(super) fn note(&self, at: Timestamp, what: What) {
        // Nobody reads any more only once the run is over.
        let _ = self.0.send(Entry { at, what });
    }
}

/// Entries come a little out of order, from many threads; they are put in order over this much of scenario time at speed
/// 1, and as much more as the clock is faster.
const DISORDER: Duration = Duration::from_millis(200);

/// Reads entries until nobody writes any more, and returns the record.
pub(super) fn keep(entries: &Receiver<Entry>, mut scribe: Scribe, speed: f64) -> Recorder {
    let disorder = DISORDER.mul_f64(speed.max(1.0));
    // By time, and where that is the same, in the order in which they came.
    let mut waiting: BTreeMap<(Timestamp, u64), What> = BTreeMap::new();
    let mut newest = Timestamp::EPOCH;
    for (number, Entry { at, what }) in (0..).zip(rested(entries)) {
        newest = newest.max(at);
        waiting.insert((at, number), what);
        while let Some(first) = waiting.first_entry().filter(|first| newest - first.key().0 >= disorder) {
            let ((at, _), what) = first.remove_entry();
            scribe.write(at, what);
        }
    }
    for ((at, _), what) in waiting {
        scribe.write(at, what);
    }
    scribe.recorder
}

/// How long the reader rests when it has read everything. Waiting for the next entry, it would have to be woken by whoever
/// writes that, twice for each request, which with the switch to this thread is most of a fifth of what a client costs.
const REST: Duration = Duration::from_millis(5);

/// Entries as they are found, until nobody writes any more.
fn rested(entries: &Receiver<Entry>) -> impl Iterator<Item = Entry> {
    std::iter::from_fn(|| {
        loop {
            match entries.try_recv() {
                Ok(entry) => return Some(entry),
                Err(TryRecvError::Empty) => thread::sleep(REST),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    })
}

/// Tells a recorder what happened, in order of time.
pub(super) struct Scribe {
    recorder: Recorder,
    starts: Timestamp,
    /// By scope, the place of the limit in the record.
    limits: Vec<(Scope, usize)>,
    /// By route.
    upstream_of: Vec<usize>,
    /// The identity provider that the gateway asks.
    provider: Option<usize>,
    /// By route, requests that hold a worker of the gateway.
    held: Vec<u32>,
    /// Requests under way of which an attempt reached an upstream.
    reached: HashSet<RequestId>,
    /// Requests under way whose last attempt the gateway's timeout ended.
    cut_off: HashSet<RequestId>,
    /// Requests under way whose last attempt the gateway answered by itself, and why.
    rejected: HashMap<RequestId, CauseId>,
    /// Of a gateway that is not ours.
    log: Option<ClientLog>,
    last: Timestamp,
}

impl Scribe {
    pub(super) fn new(
        recorder: Recorder,
        starts: Timestamp,
        limits: Vec<(Scope, usize)>,
        upstream_of: Vec<usize>,
        provider: Option<usize>,
        log: Option<ClientLog>,
    ) -> Self {
        Self {
            recorder,
            starts,
            limits,
            provider,
            held: vec![0; upstream_of.len()],
            upstream_of,
            reached: HashSet::new(),
            cut_off: HashSet::new(),
            rejected: HashMap::new(),
            log,
            last: starts,
        }
    }

    /// Where what is logged goes, if anything is.
    pub(super) fn lines(&self) -> Option<&JsonLines> {
        self.log.as_ref().map(ClientLog::lines)
    }

    fn write(&mut self, at: Timestamp, what: What) {
        let (intended, ended) = (at - self.starts, at);
        // What comes later than the disorder allows for is written down as of now.
        self.last = self.last.max(at);
        let at = self.last - self.starts;
        let recorder = &mut self.recorder;
        match what {
            What::Offered { population, route } => {
                // However late it was sent.
                recorder.on_offered(population as usize, route as usize, intended);
            }
            What::Judged { limit, bucket, remaining: Some(remaining) } => {
                recorder.on_limit_admitted(limit, bucket, at, remaining);
            }
            What::Judged { limit, bucket, remaining: None } => recorder.on_limit_rejected(limit, bucket, at),
            What::Admitted { population } => recorder.on_admitted(population as usize, at),
            What::Rejected { request, route, rejection } => self.reject(request, route, rejection),
            What::Worker { route } => self.held[route as usize] += 1,
            What::WorkerFree { route } => {
                let held = &mut self.held[route as usize];
                *held = held.saturating_sub(1);
            }
            What::CutOff { request } => _ = self.cut_off.insert(request),
            What::Attempt { upstream, request } => {
                recorder.on_attempt(upstream, at);
                self.reached.extend(request);
            }
            What::KeyFetch { upstream } => recorder.on_key_fetch(upstream),
            What::Unauthorized { upstream } => recorder.on_unauthorized(upstream),
            What::Waited { station, waited } => recorder.on_wait(station, waited),
            What::WaitedInVain { station, waited } => recorder.on_wait_without_end(station, waited),
            What::Load { station, in_flight, queued } => recorder.on_load(station, at, in_flight, queued),
            What::Full { station } => recorder.on_rejected(station),
            What::QueueTimeout => recorder.on_queue_timeout(),
            What::Breaker(change) => recorder.on_breaker(change),
            What::Tried(tried) => {
                if let Some(log) = &self.log {
                    log.write(ended, &tried);
                }
            }
            What::Ended(ended) => self.end(at, ended),
        }
    }

    /// How far it is seen from outside: what holds the workers is known, what holds up those is not.
    fn reject(&mut self, request: RequestId, route: u32, rejection: Rejection) {
        let upstream = self.upstream_of[route as usize];
        let place = Place { service: None, limits: &self.limits, provider: self.provider, upstream };
        let causes = &mut self.recorder.causes;
        let rest = match rejection {
            Rejection::QueueTimeout => {
                causes.way(Cause::GatewayPool { behind: behind(&self.held) }, CauseId::UNKNOWN)
            }
            _ => CauseId::UNKNOWN,
        };
        let cause = place.cause(rejection, || behind(&self.held));
        self.rejected.insert(request, cause.map_or(CauseId::UNKNOWN, |cause| causes.way(cause, rest)));
    }

    fn end(&mut self, at: Duration, ended: Ended) {
        let Ended { request, route, intended, outcome, cut, paired } = ended;
        let cut_off = self.cut_off.remove(&request);
        let outcome = if cut && cut_off { Outcome::TimedOut } else { outcome };
        let rejected = self.rejected.remove(&request);
        let causes = &mut self.recorder.causes;
        let cause = match outcome {
            Outcome::GaveUp => causes.way(Cause::ClientTimeout, CauseId::UNKNOWN),
            Outcome::TimedOut => causes.way(Cause::RouteTimeout, CauseId::UNKNOWN),
            // Why another gateway than ours rejected a request is not known.
            Outcome::RateLimited
            | Outcome::Unauthenticated
            | Outcome::Forbidden
            | Outcome::NoRoute
            | Outcome::ShortCircuited
            | Outcome::Shed => rejected.unwrap_or(CauseId::UNKNOWN),
            Outcome::Served
            | Outcome::Redirected
            | Outcome::UpstreamError
            | Outcome::Unreachable
            | Outcome::Unfinished => CauseId::UNKNOWN,
        };
        self.recorder.on_finished(Finished {
            population: request.population as usize,
            route: route as usize,
            intended: intended - self.starts,
            at,
            outcome,
            reached_upstream: self.reached.remove(&request),
            index: paired.then_some(request.index),
            cause,
        });
    }
}
