use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use gateway::server::{ScenarioClock, is_exhaustion};
use gateway::{AttemptEnd, Timestamp};
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::Observer;
use super::client::Client;
use super::door_keeper::{DoorKeeper, KeyDocument};
use super::timers::Timer;
use crate::{
    Ask, CallState, CallStep, Calls, Left, Purpose, Reaction, RequestTag, Stream, Upstream, Work,
    upstream_number,
};

/// A service at work: its machines, the jobs it has accepted, and what drives them.
///
/// A job lives here and not in the connection that brought it, since a connection ends when its client leaves and the
/// work does not.
///
/// Alarms go off late, but nothing happens late: whoever comes first, an alarm or a request, brings everything up that
/// was due before, each at the time for which it was due. So a queued job starts when its predecessor ends and not when
/// the machine's scheduler gets round to it, and a request finds the worker free that should be free. Late is only what
/// leaves: an answer, or a call of another service.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) timer: Timer,
    clock: ScenarioClock,
    tasks: Handle,
    client: Arc<Client>,
    /// Judges tokens, if the service does.
    door_keeper: Option<DoorKeeper>,
    keys: Option<Arc<dyn KeyDocument>>,
    /// A number made of its name.
    path: u64,
    /// Where the service times of requests without a tag are drawn.
    untagged: Stream,
    /// Requests so far.
    issued: AtomicU64,
    state: Mutex<State>,
    /// Something is due before the alarm that is set.
    earlier: Notify,
}

struct State {
    number: usize,
    observer: Arc<dyn Observer>,
    upstream: Upstream<u64>,
    calls: Calls,
    /// Whether it asks others at all.
    asks: bool,
    jobs: HashMap<u64, Job>,
    /// Ends of work and of answers that trickle, by job. Those of jobs that are gone count for nothing.
    due: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// Until when the alarm is set.
    alarm: Option<Timestamp>,
    /// Jobs whose calls begin, with what they do first.
    begun: Vec<(u64, Next, oneshot::Receiver<()>)>,
    stopped: bool,
}

/// A request at the door: all that is drawn for it, is drawn at one place.
pub(super) struct Attempt {
    tag: Option<RequestTag>,
    /// Unique among those of the service.
    number: u64,
    /// Its service time and its faults are drawn here.
    key: Stream,
}

struct Job {
    population: u32,
    request: u64,
    /// Its service time is drawn here, and those of its calls below.
    key: Stream,
    since: Timestamp,
    work: Option<Work>,
    /// To its caller, who may have left.
    tell: Option<oneshot::Sender<Word>>,
    /// The token that its request bears, for those whom the service asks in turn.
    bearer: Option<HeaderValue>,
    calling: Option<Calling>,
    /// Its answer trickles: when that is over, so is the job.
    trickles: bool,
}

struct Calling {
    state: CallState,
    /// Ends the calls when the job is dropped.
    _alive: oneshot::Sender<()>,
}

/// What a caller is told of its job.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// An answer.
    Answered { status: u16, work: Work },
    /// The connection is reset after part of the answer.
    Reset { status: u16, work: Work },
    /// An answer whose body trickles from then to then.
    Drips { status: u16, from: Timestamp, to: Timestamp, work: Work },
}

/// What becomes of a request on arrival.
pub(super) enum Arrival {
    /// A job is made of it.
    Accepted(Caller, oneshot::Receiver<Word>),
    /// It is answered with this status at once.
    Answered(u16),
    /// Its connection is reset.
    Refused,
}

/// Stands for who waits for a job: dropped before it has heard of it, it has left.
pub(super) struct Caller {
    service: Arc<Service>,
    /// `None` once it has heard.
    job: Option<u64>,
}

/// What a job's calls do next.
#[derive(Clone)]
enum Next {
    Ask { ask: Ask, tag: RequestTag, bearer: Option<HeaderValue>, deadline: Option<Timestamp> },
    Wait(Timestamp),
}

/// What all services have in common.
pub(super) struct Common {
    pub(super) seed: u64,
    pub(super) clock: ScenarioClock,
    pub(super) timer: Timer,
    pub(super) observer: Arc<dyn Observer>,
}

/// What a service has of its own.
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) upstream: Upstream<u64>,
    pub(super) calls: Calls,
    pub(super) asks: bool,
    pub(super) client: Arc<Client>,
    pub(super) door_keeper: Option<DoorKeeper>,
    pub(super) keys: Option<Arc<dyn KeyDocument>>,
}

impl Service {
    pub(super) fn new(parts: Parts, common: &Common, tasks: Handle) -> Self {
        let Common { seed, clock, timer, observer } = common;
        let Parts { number, name, upstream, calls, asks, client, door_keeper, keys } = parts;
        let state = State {
            number,
            observer: Arc::clone(observer),
            upstream,
            calls,
            asks,
            jobs: HashMap::new(),
            due: BinaryHeap::new(),
            alarm: None,
            begun: Vec::new(),
            stopped: false,
        };
        Self {
            path: upstream_number(&name),
            untagged: Stream::new(*seed, Purpose::Service, "untagged").named(&name),
            issued: AtomicU64::new(0),
            name,
            timer: timer.clone(),
            clock: *clock,
            tasks,
            client,
            door_keeper,
            keys,
            state: Mutex::new(state),
            earlier: Notify::new(),
        }
    }

    /// What comes to the door, with its tag and the number of the gateway's attempt.
    pub(super) fn attempt(&self, tag: Option<RequestTag>, gateway_attempt: u32) -> Attempt {
        let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        let key = match tag {
            Some(tag) => tag.service(gateway_attempt).at(self.path),
            None => self.untagged.at(number),
        };
        Attempt { tag, number, key }
    }

    /// Judges the token of a request, where the service does so and no fault is quicker. The status that the request is
    /// turned away with, if it is.
    pub(super) async fn judge(
        self: &Arc<Self>,
        head: &HeaderMap,
        &Attempt { tag, key, .. }: &Attempt,
    ) -> Result<(), u16> {
        let Some(door_keeper) = &self.door_keeper else { return Ok(()) };
        if self.enter(|state, now| state.upstream.is_struck_at_the_door(now, key)) {
            return Ok(());
        }
        let judged = door_keeper.judge(head).await;
        if judged.is_err() {
            self.enter(|state, now| state.observer.on_attempt(now, state.number, tag));
        }
        judged
    }

    /// Has the keys fetched that tokens are judged by, if they are; does not end then.
    pub(super) async fn keep_keys(self: Arc<Self>) {
        if let Some(door_keeper) = &self.door_keeper {
            door_keeper.keep().await;
        }
    }

    /// What an identity provider answers now, and with which status: under `/token/` what the client named there bears, at
    /// any other path its keys. `None` of any other upstream.
    pub(super) fn document(&self, path: &str) -> Option<(u16, Bytes)> {
        let (keys, now) = (self.keys.as_ref()?, self.clock.now());
        let Some(client) = path.strip_prefix("/token/") else { return Some((200, keys.document(now))) };
        let nobody = || (404, Bytes::from_static(br#"{"error":"no such client bears a token"}"#));
        Some(keys.token(client, now).map_or_else(nobody, |token| (200, token)))
    }

    /// A request is past the door, with what it bears.
    pub(super) fn on_request(self: &Arc<Self>, attempt: &Attempt, bearer: Option<HeaderValue>) -> Arrival {
        let arrival = self.enter(|state, now| state.on_request(now, attempt, bearer));
        match arrival {
            Ok((job, told)) => Arrival::Accepted(Caller { service: Arc::clone(self), job: Some(job) }, told),
            Err(Some(status)) => Arrival::Answered(status),
            Err(None) => Arrival::Refused,
        }
    }

    /// Brings up what is due, when it is due; does not end.
    pub(super) async fn drive(self: Arc<Self>) {
        loop {
            let next = self.enter(|state, _| {
                state.alarm = state.next_due();
                state.alarm
            });
            tokio::select! {
                () = self.timer.until_some(next) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Forgets who leaves from now on: it is the end. What still waits has waited until now.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        if mem::replace(&mut state.stopped, true) {
            return;
        }
        let now = self.clock.now();
        // In no order: each counts by itself.
        let waiting = state.jobs.values().filter(|job| job.work.is_none());
        waiting
            .for_each(|job| state.observer.on_left_queue(now, state.number, now.saturating_since(job.since)));
    }

    /// Tells of it, if the machine is what failed.
    pub(super) fn note_exhaustion(&self, error: &io::Error) {
        if is_exhaustion(error) {
            let state = self.state();
            state.observer.on_exhausted(self.clock.now(), state.number);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machines, now, after all that was due before.
    fn enter<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let mut state = self.state();
        // Read under the lock, so that the machines' time does not go back.
        let now = self.clock.now();
        state.advance(now);
        let result = act(&mut state, now);
        state.tell_transitions();
        let earlier = match (state.next_due(), state.alarm) {
            (Some(due), Some(alarm)) => due < alarm,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        };
        let begun = mem::take(&mut state.begun);
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
        for (job, next, gone) in begun {
            let service = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = service.call(job, next) => {}
                    _ = gone => {}
                }
            });
        }
        result
    }

    /// Makes the calls of a job.
    async fn call(self: &Arc<Self>, job: u64, first: Next) {
        let mut next = Some(first);
        while let Some(step) = next {
            next = match step {
                Next::Wait(until) => {
                    self.timer.until(until).await;
                    self.enter(|state, now| state.on_waited(now, job))
                }
                Next::Ask { ask, tag, bearer, deadline } => {
                    let end = tokio::select! {
                        // An answer that is there when the time is over is in time.
                        biased;
                        (end, error) = self.client.ask(ask.upstream, tag, bearer) => {
                            if let Some(error) = error {
                                self.note_exhaustion(&error);
                            }
                            end
                        }
                        () = self.timer.until_some(deadline) => AttemptEnd::TimedOut,
                    };
                    self.enter(|state, now| state.on_ended(now, job, end))
                }
            };
        }
    }
}

impl State {
    fn on_request(
        &mut self,
        now: Timestamp,
        &Attempt { tag, number, key }: &Attempt,
        bearer: Option<HeaderValue>,
    ) -> Result<(u64, oneshot::Receiver<Word>), Option<u16>> {
        self.observer.on_attempt(now, self.number, tag);
        let (population, request) =
            tag.map_or((RequestTag::NO_POPULATION, number), |tag| (tag.population, tag.request));
        let (tell, told) = oneshot::channel();
        let tell = Some(tell);
        let job = Job {
            population,
            request,
            key,
            since: now,
            work: None,
            tell,
            bearer,
            calling: None,
            trickles: false,
        };
        let result = match self.upstream.on_request(now, number, key) {
            Reaction::Started(work) => {
                self.observer.on_accepted(now, self.number, tag);
                self.jobs.insert(number, job);
                self.start(now, number, work);
                Ok((number, told))
            }
            Reaction::Queued => {
                self.observer.on_accepted(now, self.number, tag);
                self.jobs.insert(number, job);
                Ok((number, told))
            }
            Reaction::Answered { status, fault } => {
                if fault.is_none() {
                    self.observer.on_rejected(now, self.number);
                }
                Err(Some(status))
            }
            Reaction::Refused { .. } => Err(None),
        };
        self.record_load(now);
        result
    }

    /// Brings up everything that was due until now.
    fn advance(&mut self, now: Timestamp) {
        while let Some(&Reverse((due, number))) = self.due.peek().filter(|next| next.0.0 <= now) {
            self.due.pop();
            let Some(job) = self.jobs.get(&number) else { continue };
            if job.trickles {
                self.finish(due, number);
                continue;
            }
            // Others are asked now: they live in real time.
            let (state, step) = self.calls.on_begun(if self.asks { now } else { due });
            if let CallStep::Answer { status, .. } = step {
                self.answer(due, number, status);
                continue;
            }
            let (alive, gone) = oneshot::channel();
            if let Some(job) = self.jobs.get_mut(&number) {
                job.calling = Some(Calling { state, _alive: alive });
            }
            if let Some(next) = self.follow(now, number, step) {
                self.begun.push((number, next, gone));
            }
        }
    }

    /// An attempt at a call ended.
    fn on_ended(&mut self, now: Timestamp, number: u64, end: AttemptEnd) -> Option<Next> {
        let job = self.jobs.get_mut(&number)?;
        let step = self.calls.on_ended(now, &mut job.calling.as_mut()?.state, job.key, end);
        self.follow(now, number, step)
    }

    /// The wait before an attempt at a call is over.
    fn on_waited(&mut self, now: Timestamp, number: u64) -> Option<Next> {
        let job = self.jobs.get_mut(&number)?;
        let step = self.calls.on_waited(now, &mut job.calling.as_mut()?.state);
        self.follow(now, number, step)
    }

    fn on_caller_left(&mut self, now: Timestamp, number: u64) {
        if self.stopped || !self.jobs.contains_key(&number) {
            return;
        }
        match self.upstream.on_caller_left(now, number) {
            Left::Unnoticed => {}
            Left::Unqueued => {
                if let Some(job) = self.jobs.remove(&number) {
                    self.observer.on_left_queue(now, self.number, now - job.since);
                }
            }
            Left::Freed(next) => {
                if let Some(Calling { state, .. }) = self.jobs.remove(&number).and_then(|job| job.calling) {
                    self.calls.on_given_up(state);
                }
                self.start_next(now, next);
            }
        }
        self.record_load(now);
    }

    /// A worker that was let go takes the job that the machine says, if any; what the machine passed over is gone.
    fn start_next(&mut self, now: Timestamp, next: Option<(u64, Work)>) {
        while let Some(number) = self.upstream.poll_given_up() {
            if let Some(job) = self.jobs.remove(&number) {
                self.observer.on_wait(now, self.number, now - job.since);
            }
        }
        if let Some((next, work)) = next {
            self.start(now, next, work);
        }
    }

    /// A worker takes a job.
    fn start(&mut self, now: Timestamp, number: u64, work: Work) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.work = Some(work);
        self.observer.on_wait(now, self.number, now - job.since);
        if let Some(time) = work.time {
            self.due.push(Reverse((now + time, number)));
        }
    }

    /// What the shell does for a step, if the job is not done by it.
    fn follow(&mut self, now: Timestamp, number: u64, step: CallStep) -> Option<Next> {
        let job = self.jobs.get(&number)?;
        let &Job { population, request, key, .. } = job;
        match step {
            CallStep::Ask(ask) => {
                let bearer = job.bearer.clone();
                let tag = RequestTag { population, request, key, attempt: u64::from(ask.attempt) };
                Some(Next::Ask { ask, tag, bearer, deadline: ask.timeout.map(|timeout| now + timeout) })
            }
            CallStep::Wait(wait) => Some(Next::Wait(now + wait)),
            CallStep::Answer { status, .. } => {
                self.answer(now, number, status);
                None
            }
        }
    }

    /// The service has an answer for a job, and the caller, if there still is one, hears of it. The job is done with it, unless
    /// the answer trickles.
    fn answer(&mut self, now: Timestamp, number: u64, status: u16) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let Some(work) = job.work else { return };
        let to = now + work.body;
        let word = match work {
            Work { body: Duration::ZERO, reset: false, .. } => Word::Answered { status, work },
            Work { body: Duration::ZERO, reset: true, .. } => Word::Reset { status, work },
            Work { .. } => Word::Drips { status, from: now, to, work },
        };
        if let Some(tell) = job.tell.take() {
            let _ = tell.send(word);
        }
        if work.body.is_zero() {
            self.finish(now, number);
        } else {
            (job.trickles, job.calling) = (true, None);
            self.due.push(Reverse((to, number)));
        }
    }

    /// The service is done with a job: the next in its queue starts.
    fn finish(&mut self, now: Timestamp, number: u64) {
        self.jobs.remove(&number);
        let next = self.upstream.on_completed(now);
        self.start_next(now, next);
        self.record_load(now);
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.due.peek().map(|next| next.0.0)
    }

    fn record_load(&self, now: Timestamp) {
        self.observer.on_load(now, self.number, self.upstream.in_flight(), self.upstream.queued());
    }

    fn tell_transitions(&mut self) {
        while let Some((upstream, transition)) = self.calls.poll_transition() {
            self.observer.on_transition(self.number, upstream, transition);
        }
    }
}

impl Caller {
    /// It knows how its job ended.
    pub(super) fn heard(mut self) {
        self.job = None;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.service.enter(|state, now| state.on_caller_left(now, job));
        }
    }
}
