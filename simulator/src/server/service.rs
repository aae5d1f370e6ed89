//! A service on sockets: the shell that carries the decisions of the [`Service`] machine to connections and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use gateway::server::{ScenarioClock, is_exhaustion};
use gateway::{AttemptEnd, HostId, Timestamp};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::Observer;
use super::client::Client;
use super::timers::Timer;
use super::token_check::{KeyDocument, TokenCheck};
use crate::chance::{Purpose, Stream};
use crate::service::{
    Answered, Arrival, Asking, CallId, Content, Due, Job, JobId, Service, ServiceAnswer, ServiceEvent, Step,
};
use crate::tag::RequestTag;
use crate::upstream::Work;

/// A service at work: its machine, and what drives it.
///
/// A job lives in the machine and not in the connection that brought it, since a connection ends when its client leaves and the
/// work does not.
///
/// Alarms go off late, but nothing happens late: whoever comes first, an alarm or a request, brings everything up that
/// was due before, each at the time for which it was due. So a queued job starts when its predecessor ends and not when
/// the machine's scheduler gets round to it, and a request finds the worker free that should be free. Late is only what
/// leaves: an answer, or a call of another service. (A service that asks others lives in real time, and its jobs begin their
/// calls when the alarm goes off.)
pub(super) struct ServedService {
    pub(super) name: String,
    pub(super) timer: Timer,
    clock: ScenarioClock,
    tasks: Handle,
    client: Arc<Client>,
    /// Judges tokens, if the service does.
    token_check: Option<TokenCheck>,
    keys: Option<Arc<dyn KeyDocument>>,
    state: Mutex<LiveService>,
    /// Something is due before the alarm that is set.
    earlier: Notify,
}

struct LiveService {
    number: usize,
    observer: Arc<dyn Observer>,
    service: Service<Request>,
    /// Whether it asks others at all.
    asks: bool,
    /// Where the service times of requests without a tag are drawn, and what they ask for.
    untagged: Stream,
    untagged_content: Stream,
    /// By population: where it is drawn what its requests ask for.
    contents: Arc<[Stream]>,
    /// Requests so far.
    issued: u64,
    /// Ends of work, of answers that trickle and of waits, by job. Those of jobs that are gone count for nothing.
    due: BinaryHeap<Reverse<(Timestamp, Ends, JobId)>>,
    /// Until when the alarm is set.
    alarm: Option<Timestamp>,
    /// Jobs whose calls begin, with what they do first.
    begun: Vec<(Next, oneshot::Receiver<()>)>,
    stopped: bool,
}

/// What ends for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ends {
    /// Its work, or its answer that trickles.
    Work,
    /// The time for which it may wait at the cache.
    Wait,
}

/// A request, as long as the service has not answered it.
pub(super) struct Request {
    tag: Option<RequestTag>,
    /// Whose request it is to whoever is asked for it in turn.
    population: u32,
    number: u64,
    /// The token that it bears, for those whom the service asks in turn.
    bearer: Option<HeaderValue>,
    /// To its caller, who may have left.
    tell: Option<oneshot::Sender<Word>>,
    /// Ends the calls under way when the request is answered or dropped.
    calls: Vec<oneshot::Sender<()>>,
}

/// What a caller is told of its job.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// An answer.
    Answered { status: u16, work: Work },
    /// The connection is reset after part of the answer.
    Reset { status: u16, work: Work },
    /// The service answers without any work a request that has waited at the cache, or its connection is reset.
    TurnedAway(AttemptEnd),
    /// An answer whose body trickles from then to then.
    Drips { status: u16, from: Timestamp, to: Timestamp, work: Work },
}

/// What becomes of a request on arrival.
pub(super) enum Reception {
    /// The service has a job of it.
    Accepted(WaitingCaller, oneshot::Receiver<Word>),
    /// It is answered at once.
    Answered {
        /// With this HTTP status.
        status: u16,
        /// How long the answer asks its caller to wait.
        retry_after: Option<Duration>,
    },
    /// Its connection is reset.
    Refused,
}

/// Stands for who waits for a job: dropped before it has heard of it, it has left.
pub(super) struct WaitingCaller {
    service: Arc<ServedService>,
    /// `None` once it has heard.
    job: Option<JobId>,
}

/// What a job's calls do next.
#[derive(Clone)]
enum Next {
    Ask {
        call: CallId,
        upstream: usize,
        host: HostId,
        tag: RequestTag,
        bearer: Option<HeaderValue>,
        deadline: Option<Timestamp>,
    },
    Wait {
        call: CallId,
        until: Timestamp,
    },
}

/// What all services have in common.
pub(super) struct Common {
    pub(super) seed: u64,
    pub(super) contents: Arc<[Stream]>,
    pub(super) clock: ScenarioClock,
    pub(super) timer: Timer,
    pub(super) observer: Arc<dyn Observer>,
}

/// What a service has of its own.
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) service: Service<Request>,
    pub(super) asks: bool,
    pub(super) client: Arc<Client>,
    pub(super) token_check: Option<TokenCheck>,
    pub(super) keys: Option<Arc<dyn KeyDocument>>,
}

impl ServedService {
    pub(super) fn new(parts: Parts, common: &Common, tasks: Handle) -> Self {
        let Common { seed, contents, clock, timer, observer } = common;
        let Parts { number, name, service, asks, client, token_check, keys } = parts;
        let state = LiveService {
            number,
            observer: Arc::clone(observer),
            service,
            asks,
            untagged: Stream::new(*seed, Purpose::Service, "untagged"),
            untagged_content: Stream::new(*seed, Purpose::Content, "untagged"),
            contents: Arc::clone(contents),
            issued: 0,
            due: BinaryHeap::new(),
            alarm: None,
            begun: Vec::new(),
            stopped: false,
        };
        Self {
            name,
            timer: timer.clone(),
            clock: *clock,
            tasks,
            client,
            token_check,
            keys,
            state: Mutex::new(state),
            earlier: Notify::new(),
        }
    }

    /// A request comes, with its tag, the number of the gateway's attempt, whether it `reads`, which a cache may answer, and what else
    /// its head says. Dropped before it has heard, its caller has left.
    pub(super) async fn receive(
        self: &Arc<Self>,
        tag: Option<RequestTag>,
        gateway_attempt: u32,
        reads: bool,
        head: &HeaderMap,
    ) -> Reception {
        let (tell, told) = oneshot::channel();
        let bearer = head.get(AUTHORIZATION).cloned();
        let (job, mut arrival) =
            self.enter(|state, now| state.on_request(now, (tag, gateway_attempt, reads), bearer, tell));
        let caller = WaitingCaller { service: Arc::clone(self), job: Some(job) };
        if let (Some(Arrival::AtDoor), Some(token_check)) = (&arrival, &self.token_check) {
            // Whoever asks how a service is needs no token.
            let is_check = tag.is_some_and(|tag| tag.is_check());
            let verdict = if is_check { Ok(()) } else { token_check.judge(head).await };
            arrival = self.enter(|state, now| {
                let LiveService { service, observer, number, .. } = state;
                let arrival = service.on_judged(now, job, verdict, &mut witness(&**observer, *number, now));
                state.arrived(job, arrival)
            });
        }
        match arrival {
            Some(Arrival::Started(_) | Arrival::Queued | Arrival::Cached(_) | Arrival::Waits { .. }) => {
                Reception::Accepted(caller, told)
            }
            Some(Arrival::TurnedAway { by, .. }) => {
                caller.heard();
                match by.end() {
                    end @ (AttemptEnd::Answered(status) | AttemptEnd::Deferred { status, .. }) => {
                        Reception::Answered { status, retry_after: end.retry_after() }
                    }
                    _ => Reception::Refused,
                }
            }
            Some(Arrival::AtDoor) | None => Reception::Refused,
        }
    }

    /// Has the keys fetched that tokens are judged by, if they are; does not end then.
    pub(super) async fn keep_keys(self: Arc<Self>) {
        if let Some(token_check) = &self.token_check {
            token_check.keep().await;
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
        let (now, number) = (self.clock.now(), state.number);
        state.service.on_run_ended(now, &mut witness(&*state.observer, number, now));
    }

    /// Tells of it, if the machine is what failed.
    pub(super) fn note_exhaustion(&self, error: &io::Error) {
        if is_exhaustion(error) {
            let state = self.state();
            state.observer.on_exhausted(self.clock.now(), state.number);
        }
    }

    fn state(&self) -> MutexGuard<'_, LiveService> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machines, now, after all that was due before.
    fn enter<R>(self: &Arc<Self>, act: impl FnOnce(&mut LiveService, Timestamp) -> R) -> R {
        let mut state = self.state();
        // Read under the lock, so that the machines' time does not go back.
        let now = self.clock.now();
        state.advance(now);
        let result = act(&mut state, now);
        state.release(now);
        state.tell_transitions();
        state.tell_violations(now);
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
        for (next, gone) in begun {
            let service = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = service.call(next) => {}
                    _ = gone => {}
                }
            });
        }
        result
    }

    /// Makes the calls of a job.
    async fn call(self: &Arc<Self>, first: Next) {
        let mut next = Some(first);
        while let Some(step) = next {
            next = match step {
                Next::Wait { call, until } => {
                    self.timer.until(until).await;
                    self.enter(|state, now| {
                        let step = state.service.on_waited(now, call)?;
                        state.follow(now, step)
                    })
                }
                Next::Ask { call, upstream, host, tag, bearer, deadline } => {
                    let end = tokio::select! {
                        // An answer that is there when the time is over is in time.
                        biased;
                        (end, error) = self.client.ask(upstream, host, tag, bearer) => {
                            if let Some(error) = error {
                                self.note_exhaustion(&error);
                            }
                            end
                        }
                        () = self.timer.until_some(deadline) => AttemptEnd::TimedOut,
                    };
                    self.enter(|state, now| {
                        let step = state.service.on_call_ended(now, call, end)?;
                        state.follow(now, step)
                    })
                }
            };
        }
    }
}

/// Hands on to an observer what happens at a service now.
fn witness(observer: &dyn Observer, number: usize, now: Timestamp) -> impl FnMut(ServiceEvent<'_, Request>) {
    move |event| observer.on_event(now, number, event.map(|request: &Request| &request.tag))
}

impl LiveService {
    fn on_request(
        &mut self,
        now: Timestamp,
        (tag, gateway_attempt, reads): (Option<RequestTag>, u32, bool),
        bearer: Option<HeaderValue>,
        tell: oneshot::Sender<Word>,
    ) -> (JobId, Option<Arrival<Request>>) {
        self.issued += 1;
        let (population, number, key) = match tag {
            Some(RequestTag::CHECK) => (RequestTag::CHECKS, self.issued, self.untagged.at(self.issued)),
            Some(tag) => (tag.population, tag.request, tag.service(gateway_attempt)),
            None => (RequestTag::NO_POPULATION, self.issued, self.untagged.at(self.issued)),
        };
        let of_client = self.contents.get(population as usize).map(|content| content.at(number));
        let draw = of_client.unwrap_or_else(|| self.untagged_content.at(self.issued));
        let is_cacheable = reads && population != RequestTag::CHECKS;
        let content = Content { draw, is_cacheable };
        let request = Request { tag, population, number, bearer, tell: Some(tell), calls: Vec::new() };
        let Self { service, observer, number, .. } = self;
        let (job, arrival) =
            service.on_request(now, key, content, request, &mut witness(&**observer, *number, now));
        (job, self.arrived(job, Some(arrival)))
    }

    /// Lets those go on that waited at the cache and need not any longer.
    fn release(&mut self, now: Timestamp) {
        loop {
            let Self { service, observer, number, .. } = self;
            let released = service.poll_released(now, &mut witness(&**observer, *number, now));
            let Some((job, arrival)) = released else { return };
            self.went_on(job, Some(arrival));
        }
    }

    /// A job that has waited at the cache goes on.
    fn went_on(&mut self, job: JobId, arrival: Option<Arrival<Request>>) {
        if let Some(Arrival::TurnedAway { note, by }) = self.arrived(job, arrival)
            && let Some(tell) = note.tell
        {
            // The caller may have left.
            let _ = tell.send(Word::TurnedAway(by.end()));
        }
    }

    /// Takes note of when the work on a request that has a worker is done, or its time at the cache.
    fn arrived(&mut self, job: JobId, arrival: Option<Arrival<Request>>) -> Option<Arrival<Request>> {
        match arrival {
            Some(Arrival::Started(due)) => self.schedule(due),
            Some(Arrival::Cached(due)) => self.schedule(Some(due)),
            Some(Arrival::Waits { until }) => {
                self.due.extend(until.map(|until| Reverse((until, Ends::Wait, job))));
            }
            _ => {}
        }
        arrival
    }

    fn schedule(&mut self, due: Option<Due>) {
        self.due.extend(due.map(|Due { at, job }| Reverse((at, Ends::Work, job))));
    }

    /// Brings up everything that was due until now.
    fn advance(&mut self, now: Timestamp) {
        while let Some(&Reverse((due, ends, job))) = self.due.peek().filter(|next| next.0.0 <= now) {
            self.due.pop();
            // Others are asked now: they live in real time.
            let at = if self.asks { now } else { due };
            match ends {
                Ends::Wait => {
                    let Self { service, observer, number, .. } = self;
                    let arrival = service.on_wait_over(at, job, &mut witness(&**observer, *number, at));
                    self.went_on(job, arrival);
                }
                Ends::Work => {
                    let mut step = self.service.on_due(at, job);
                    while let Some(next) = step {
                        self.begin(at, job, next);
                        step = self.service.poll_call(at, job);
                    }
                }
            }
            // What was filled in the past was waited for in the past.
            self.release(at);
        }
    }

    /// Has a call of a job made, if that is what the job does next.
    fn begin(&mut self, at: Timestamp, job: JobId, step: Step) {
        if let Some(next) = self.follow(at, step)
            && let Some(request) = self.service.note_mut(job)
        {
            let (alive, gone) = oneshot::channel();
            request.calls.push(alive);
            self.begun.push((next, gone));
        }
    }

    fn on_caller_left(&mut self, now: Timestamp, job: JobId) {
        if self.stopped {
            return;
        }
        let Self { service, observer, number, .. } = self;
        let gone = service.on_caller_left(now, job, &mut witness(&**observer, *number, now));
        if let Some((_, due)) = gone {
            self.schedule(due);
        }
    }

    /// What the shell does for a step, if the job is not done by it.
    fn follow(&mut self, now: Timestamp, step: Step) -> Option<Next> {
        match step {
            Step::Ask(Asking { job, call, ask, key, deadline }) => {
                let Request { population, number, bearer, .. } = self.service.job(job)?.note();
                let (population, request, attempt) = (*population, *number, u64::from(ask.attempt));
                let (tag, bearer) = (RequestTag { population, request, key, attempt }, bearer.clone());
                let (upstream, host) = (ask.upstream, ask.host);
                Some(Next::Ask { call, upstream, host, tag, bearer, deadline })
            }
            Step::Wait { until, call } => Some(Next::Wait { call, until }),
            Step::Answer(answer) => {
                self.answer(now, answer);
                None
            }
        }
    }

    /// The service has an answer for a job, and the caller, if there still is one, hears of it.
    fn answer(&mut self, now: Timestamp, answer: ServiceAnswer) {
        let ServiceAnswer { job, status, breaks_off, .. } = answer;
        let Some(work) = self.service.job(job).and_then(Job::work) else { return };
        let request = self.service.note_mut(job);
        let tell = request.and_then(|request| {
            // What else the job has asked for, it does not wait for.
            request.calls.clear();
            request.tell.take()
        });
        let Self { service, observer, number, .. } = self;
        let answered = service.on_answered(now, answer, &mut witness(&**observer, *number, now));
        // Without a worker, which is told as a broken invariant, the caller hears that the connection is gone.
        let Some(answered) = answered else { return };
        let (due, word) = match answered {
            Answered::Trickles(due) => (Some(due), Word::Drips { status, from: now, to: due.at, work }),
            Answered::Whole { next, .. } if breaks_off => (next, Word::Reset { status, work }),
            Answered::Whole { next, .. } => (next, Word::Answered { status, work }),
        };
        self.schedule(due);
        // The caller may have left; the end of a body that trickled, it has been told before.
        if let Some(tell) = tell {
            let _ = tell.send(word);
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.due.peek().map(|next| next.0.0)
    }

    fn tell_transitions(&mut self) {
        while let Some((upstream, transition)) = self.service.poll_transition() {
            self.observer.on_transition(self.number, upstream, transition);
        }
    }

    fn tell_violations(&self, now: Timestamp) {
        while let Some(violation) = self.service.poll_violation() {
            self.observer.on_broken(now, self.number, violation);
        }
    }
}

impl WaitingCaller {
    /// It knows how its job ended.
    pub(super) fn heard(mut self) {
        self.job = None;
    }
}

impl Drop for WaitingCaller {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.service.enter(|state, now| state.on_caller_left(now, job));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::{Invariants, PoolConfig, Transition, Violation};
    use tokio::runtime::Builder;

    use super::super::timers::Timers;
    use super::*;
    use crate::fault::FaultTimeline;
    use crate::latency::Latency;
    use crate::upstream::UpstreamConfig;

    /// The violations that were told.
    #[derive(Default)]
    struct Told(Mutex<Vec<Violation>>);

    impl Observer for Told {
        fn on_event(&self, _: Timestamp, _: usize, _: ServiceEvent<'_, Option<RequestTag>>) {}

        fn on_exhausted(&self, _: Timestamp, _: usize) {}

        fn on_broken(&self, _: Timestamp, upstream: usize, violation: Violation) {
            assert_eq!(upstream, 3);
            self.0.lock().unwrap().push(violation);
        }

        fn on_transition(&self, _: usize, _: usize, _: Transition) {}
    }

    #[test]
    fn a_service_whose_counter_is_wrong_tells_and_goes_on_serving() {
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let timers = Timers::start(clock).unwrap();
        let told = Arc::new(Told::default());
        let config = UpstreamConfig {
            pool: PoolConfig::default(),
            latency: Latency::constant(Duration::from_millis(1)).unwrap(),
            latency_factor: 1.0,
            load_latency: Duration::ZERO,
            cancel_on_disconnect: false,
            calls: Vec::new(),
            parallel: false,
            cache: None,
            auth: None,
        };
        let (faults, invariants) = (FaultTimeline::default(), Invariants::counting());
        let parts = Parts {
            number: 3,
            name: "orders".to_owned(),
            service: Service::with_invariants("orders", config, Timestamp::EPOCH, faults, 1, invariants),
            asks: false,
            client: Arc::new(Client::new(&[], Vec::new())),
            token_check: None,
            keys: None,
        };
        let observer = Arc::clone(&told) as Arc<dyn Observer>;
        let common = Common { seed: 1, contents: Arc::default(), clock, timer: timers.timer(), observer };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let service = Arc::new(ServedService::new(parts, &common, Handle::current()));
            service.enter(|state, now| {
                let (job, _) = state.on_request(now, (None, 0, true), None, oneshot::channel().0);
                let answer = ServiceAnswer { job, status: 200, breaks_off: false, calls: None };
                let mut quiet = |_: ServiceEvent<'_, Request>| {};
                assert!(state.service.on_answered(now, answer, &mut quiet).is_some());
                assert!(state.service.on_answered(now, answer, &mut quiet).is_none());
            });
            let violation = Violation { what: "a job is answered that holds no worker", times: 1 };
            assert_eq!(*told.0.lock().unwrap(), [violation]);

            tokio::spawn(Arc::clone(&service).drive());
            let Reception::Accepted(caller, answered) =
                service.receive(None, 0, true, &HeaderMap::new()).await
            else {
                panic!("there are workers")
            };
            assert!(matches!(answered.await.unwrap(), Word::Answered { status: 200, .. }));
            caller.heard();
            assert_eq!(told.0.lock().unwrap().len(), 1);
        });
    }
}
