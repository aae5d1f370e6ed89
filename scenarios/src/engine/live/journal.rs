//! What happens in a live run, from many threads into one record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use gateway::telemetry::JsonLines;
use gateway::{Rejection, Timestamp};
use reports::{Broken, Cause, CauseId, Finished, Outcome, Recorder, RunEvent, Witness};

use super::client_log::{ClientLog, Tried};
use crate::engine::causes::{Place, behind};
use crate::engine::layout::RecordedLimit;
use crate::watch::RequestCounts;

/// Something that happened, so long after the scenario's start.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    at: Duration,
    note: Note,
}

/// A logical request: its population and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestId {
    pub(super) population: u32,
    pub(super) index: u64,
}

/// What is written down.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// What the recorder hears as it is.
    Told(RunEvent),
    /// What one party to a request knows of it. The recorder hears of the request when all of that is put together.
    Of(RequestId, Part),
    /// A request took a worker of the gateway.
    Worker { route: u32 },
    /// It gave it back.
    WorkerFree { route: u32 },
    /// A client's attempt ended; told only where its client's side is logged.
    Tried(Box<Tried>),
}

/// What a party to a request knows of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// An upstream: an attempt came there.
    Reached,
    /// The gateway: it answered an attempt by itself.
    Rejected { route: u32, rejection: Rejection },
    /// The gateway: its timeout ended an attempt.
    CutOff,
    /// The client: that was the end.
    Ended(Ended),
}

/// How a logical request ended, as its client saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) route: u32,
    /// When it was meant to be sent, from the scenario's start.
    pub(super) intended: Duration,
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

    pub(super) fn note(&self, at: Duration, note: Note) {
        // Nobody reads any more only once the run is over.
        let _ = self.0.send(Entry { at, note });
    }
}

/// Keeps what it hears, for the recorder to hear later.
impl Witness for &Journal {
    fn hear(&mut self, at: Duration, event: RunEvent) {
        self.note(at, Note::Told(event));
    }
}

/// Entries come a little out of order, from many threads; they are put in order over this much of scenario time at speed
/// 1, and as much more as the clock is faster.
const DISORDER: Duration = Duration::from_millis(200);

/// Reads entries until nobody writes any more, and returns the record.
pub(super) fn keep(entries: &Receiver<Entry>, mut scribe: Scribe, speed: f64) -> Recorder {
    let disorder = DISORDER.mul_f64(speed.max(1.0));
    // By time, and where that is the same, in the order in which they came.
    let mut waiting: BTreeMap<(Duration, u64), Note> = BTreeMap::new();
    let mut newest = Duration::ZERO;
    for (number, Entry { at, note }) in (0..).zip(rested(entries)) {
        newest = newest.max(at);
        waiting.insert((at, number), note);
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 + disorder <= newest) {
            let ((at, _), note) = first.remove_entry();
            scribe.write(at, note);
        }
    }
    for ((at, _), note) in waiting {
        scribe.write(at, note);
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

/// Has a recorder hear what happened, in order of time, and puts the ends of requests together from what each party knows.
pub(super) struct Scribe {
    recorder: Recorder,
    starts: Timestamp,
    /// Each at its place in the record.
    limits: Vec<RecordedLimit>,
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
    watched: Option<Watched>,
    last: Duration,
}

/// What a page shows of the requests while the run goes on.
pub(super) struct Watched {
    pub(super) counts: Arc<RequestCounts>,
    /// By population: requests of hostile ones do not count.
    pub(super) is_hostile: Vec<bool>,
    /// Served within this is good, as the record has it.
    pub(super) slo_latency: Duration,
}

impl Watched {
    fn hear(&self, at: Duration, event: &RunEvent) {
        match event {
            RunEvent::Offered { population, .. } => {
                self.counts(*population).inspect(|counts| counts.on_offered());
            }
            RunEvent::Finished(finished)
                if finished.outcome == Outcome::Served
                    && at.saturating_sub(finished.intended) <= self.slo_latency =>
            {
                self.counts(finished.population).inspect(|counts| counts.on_good());
            }
            _ => {}
        }
    }

    fn counts(&self, population: usize) -> Option<&RequestCounts> {
        (self.is_hostile.get(population) == Some(&false)).then_some(&*self.counts)
    }
}

impl Scribe {
    pub(super) fn new(
        recorder: Recorder,
        starts: Timestamp,
        limits: Vec<RecordedLimit>,
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
            watched: None,
            last: Duration::ZERO,
        }
    }

    /// The same, and counts for whoever watches.
    pub(super) fn watched(self, watched: Option<Watched>) -> Self {
        Self { watched, ..self }
    }

    /// Where what is logged goes, if anything is.
    pub(super) fn lines(&self) -> Option<&JsonLines> {
        self.log.as_ref().map(ClientLog::lines)
    }

    fn write(&mut self, at: Duration, note: Note) {
        let came = at;
        // What comes later than the disorder allows for is written down as of now.
        self.last = self.last.max(at);
        let at = self.last;
        match note {
            Note::Told(event) => self.tell(at, event),
            Note::Of(request, Part::Reached) => _ = self.reached.insert(request),
            Note::Of(request, Part::Rejected { route, rejection }) => self.reject(request, route, rejection),
            Note::Of(request, Part::CutOff) => _ = self.cut_off.insert(request),
            Note::Of(request, Part::Ended(ended)) => self.end(at, request, &ended),
            Note::Worker { route } => self.held[route as usize] += 1,
            Note::WorkerFree { route } => {
                let held = &mut self.held[route as usize];
                match held.checked_sub(1) {
                    Some(left) => *held = left,
                    None => self.recorder.on_broken(Broken::WorkerNotHeld),
                }
            }
            Note::Tried(tried) => {
                if let Some(log) = &self.log {
                    log.write(self.starts + came, &tried);
                }
            }
        }
    }

    fn tell(&mut self, at: Duration, event: RunEvent) {
        if let Some(watched) = &self.watched {
            watched.hear(at, &event);
        }
        self.recorder.hear(at, event);
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

    fn end(&mut self, at: Duration, request: RequestId, ended: &Ended) {
        let Ended { route, intended, outcome, cut, paired } = *ended;
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
        let finished = Finished {
            population: request.population as usize,
            route: route as usize,
            intended,
            outcome,
            reached_upstream: self.reached.remove(&request),
            index: paired.then_some(request.index),
            cause,
        };
        self.tell(at, RunEvent::Finished(finished));
    }
}
