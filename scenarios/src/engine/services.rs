use std::time::Duration;

use gateway::auth::{Fetch, FetchFailure, KeySet, SimulatedKey};
use gateway::{AttemptEnd, Rejection, Timestamp, Transition};
use reports::{BreakerId, Cause, CauseId, StationId};
use simulator::{
    CallState, CallStep, Calls, CallsOutcome, FaultId, FaultTimeline, Left, Reaction, Stream, Upstream, Work,
    service_is_back_after, upstream_number,
};
use slab::Slab;

use super::bearers::Bearer;
use super::causes::Place;
use super::clock::Clock;
use super::event_queue::LaneId;
use super::gate::{Admittance, Gate};
use super::virtual_time::{Event, Ticket};
use crate::World;

/// The simulated services and the work that they have accepted.
///
/// A piece of work outlives whoever asked for it. A service that calls others asks them after its own work and holds
/// its worker the while.
pub(super) struct Services {
    all: Vec<Service>,
    jobs: Slab<Job>,
    /// Those among them that are for the requests of clients.
    for_clients: usize,
    issued: u32,
}

struct Service {
    upstream: Upstream<u32>,
    /// Its part in the key of a service time.
    path: u64,
    calls: Calls,
    /// By number of the call.
    links: Vec<Link>,
    /// By number in its own timeline: the fault's number in the scenario.
    faults: Vec<usize>,
    /// What its workers are at, by [`Service::place`].
    busy: Vec<u32>,
    /// Where it judges tokens, if it does.
    gate: Option<Gate<JobId>>,
    /// Whose keys it judges them by.
    provider: usize,
}

/// What holds a worker of a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// Its own work.
    Work,
    /// Its own work, struck by a fault.
    Struck(FaultId),
    /// Its own work, for a caller that has left.
    Abandoned,
    /// The call of that number.
    Calling(usize),
}

/// A service's use of another.
struct Link {
    upstream: usize,
    timeouts: LaneId,
    /// Why its last attempt failed.
    last_failure: CauseId,
}

/// Work of a service.
struct Job {
    number: u32,
    upstream: usize,
    /// Who waits for the answer, if anybody still does.
    caller: Option<Caller>,
    since: Timestamp,
    /// What its worker is at, and when it took the job; `None` as long as it waits.
    activity: Option<Activity>,
    started: Timestamp,
    /// What it was asked with; its service time is drawn at the key, and those of its calls below.
    asked: Asked,
    /// What strikes it, if anything does.
    fault: Option<FaultId>,
    /// Its answer ends with a reset connection.
    reset: bool,
    /// How long the body of its answer trickles.
    body: Duration,
    /// Waits for the keys that its token is judged by, and has not been taken on.
    awaits_keys: bool,
    calling: Option<Calling>,
    trickling: Option<Trickling>,
}

/// An answer whose body is on its way.
#[derive(Clone, Copy)]
struct Trickling {
    status: u16,
    since: Timestamp,
    /// Why it is a failure; of no consequence to any other.
    why: CauseId,
}

/// How far a job has come with the calls of its service.
#[derive(Clone, Copy)]
struct Calling {
    /// Tells the attempt under way; an answer to an earlier one comes too late.
    state: CallState,
    asked: Option<JobId>,
    /// When the job's own work was done.
    since: Timestamp,
    /// The call that took longest so far, and why it did.
    longest: Duration,
    why: CauseId,
}

/// Names a job for as long as it lasts. Slots are used again, numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobId {
    slot: u32,
    number: u32,
}

/// Who asked a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// The gateway, for a client's request.
    Gateway(Ticket),
    /// Another service, by this attempt.
    Service { job: JobId, attempt: u32 },
    /// Whoever judges tokens, for the keys to do so by.
    Keys { holder: KeyHolder, fetch: u64 },
}

/// Who judges tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyHolder {
    /// The gateway.
    Gateway,
    /// A service, by number.
    Service(usize),
}

/// A request that a service is asked with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Service times are drawn below this.
    pub(super) key: Stream,
    /// Whose request it is; `None` for nobody's in particular.
    pub(super) bearer: Option<Bearer>,
    /// Whether the service is shown the token.
    pub(super) shows_token: bool,
    /// Whether it is for the keys of somebody who judges tokens, and no client's.
    pub(super) for_keys: bool,
}

/// An answer that leaves the services, and why it is a failure or took long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    /// The gateway's, for a client's request.
    Answer { ticket: Ticket, reply: AttemptEnd, why: CauseId },
    /// Of a fetch of keys.
    Keys { holder: KeyHolder, fetch: u64, reply: AttemptEnd, why: CauseId },
}

/// An answer without any work.
#[derive(Debug)]
pub(super) struct AnswerAtOnce {
    pub(super) caller: Caller,
    pub(super) upstream: usize,
    pub(super) reply: AttemptEnd,
    pub(super) by: AtOnce,
}

/// Why a service answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtOnce {
    /// Its queue is full.
    QueueFull,
    /// A fault makes it.
    Fault(FaultId),
    /// It does not accept the token, or has no keys to judge the token by.
    Rejected(Rejection),
}

impl Service {
    /// The place of an activity in the list of them all.
    fn place(&self, activity: Activity) -> usize {
        match activity {
            Activity::Work => 0,
            Activity::Abandoned => 1,
            Activity::Struck(fault) => 2 + fault.0 as usize,
            Activity::Calling(call) => 2 + self.faults.len() + call,
        }
    }

    /// The activity at a place.
    fn activity(&self, place: usize) -> Activity {
        match place.checked_sub(2 + self.faults.len()) {
            Some(call) => Activity::Calling(call),
            None => match place {
                0 => Activity::Work,
                1 => Activity::Abandoned,
                fault => Activity::Struck(FaultId(fault as u32 - 2)),
            },
        }
    }
}

impl Services {
    pub(super) fn new(world: &World, clock: &mut Clock, seed: u64) -> Self {
        let services = world.upstreams.iter().enumerate().map(|(number, named)| {
            let faults = world.faults.iter().enumerate();
            let faults: Vec<_> = faults.filter(|(_, fault)| fault.upstreams.contains(&number)).collect();
            let calls = &named.config.calls;
            let links = calls.iter().map(|call| Link {
                upstream: call.upstream,
                timeouts: clock.events.lane(),
                last_failure: CauseId::UNKNOWN,
            });
            let timeline = FaultTimeline::new(seed, faults.iter().map(|(_, fault)| &fault.fault));
            Service {
                upstream: Upstream::new(named.config.clone(), clock.starts, timeline),
                path: upstream_number(&named.name),
                busy: vec![0; 2 + faults.len() + calls.len()],
                faults: faults.iter().map(|(number, _)| *number).collect(),
                calls: Calls::new(calls, seed),
                gate: named.config.auth.clone().map(Gate::new),
                provider: named.config.auth.as_ref().map_or(0, |auth| auth.jwks.0 as usize),
                links: links.collect(),
            }
        });
        let services = services.collect();
        Self { all: services, jobs: Slab::new(), for_clients: 0, issued: 0 }
    }

    /// Sends an attempt to a service. An answer that comes at once is an event of its own.
    pub(super) fn dispatch(
        &mut self,
        clock: &mut Clock,
        upstream: usize,
        caller: Caller,
        asked: Asked,
    ) -> JobId {
        if asked.for_keys {
            clock.recorder.on_key_fetch(upstream);
        } else {
            clock.recorder.on_attempt(upstream, clock.since_start);
            self.for_clients += 1;
        }
        self.issued = self.issued.wrapping_add(1);
        let id = JobId { slot: self.jobs.vacant_key() as u32, number: self.issued };
        let asked = Asked { key: asked.key.at(self.all[upstream].path), ..asked };
        let since = clock.now;
        let job = Job {
            number: id.number,
            upstream,
            caller: Some(caller),
            since,
            activity: None,
            started: since,
            asked,
            fault: None,
            reset: false,
            body: Duration::ZERO,
            awaits_keys: false,
            calling: None,
            trickling: None,
        };
        self.jobs.insert(job);
        self.admit(clock, id, false);
        id
    }

    /// Judges the token of a job, where its service does so, and takes it on if that is accepted.
    fn admit(&mut self, clock: &mut Clock, id: JobId, has_waited: bool) {
        let &Job { upstream, asked: Asked { key, bearer, shows_token, .. }, .. } =
            &self.jobs[id.slot as usize];
        let service = &mut self.all[upstream];
        let Some(gate) =
            service.gate.as_mut().filter(|_| !service.upstream.is_struck_at_the_door(clock.now, key))
        else {
            return self.accept(clock, id);
        };
        let shown = bearer.filter(|_| shows_token).and_then(|bearer| clock.bearers.token(bearer));
        match gate.judge(clock.now, id, shown.as_ref(), has_waited) {
            Admittance::Through => self.accept(clock, id),
            Admittance::Waits => self.jobs[id.slot as usize].awaits_keys = true,
            Admittance::Turned(rejection) => {
                let (reply, by) = (AttemptEnd::Answered(rejection.status()), AtOnce::Rejected(rejection));
                self.answer_at_once(clock, id, reply, by);
            }
        }
    }

    /// A service takes a job on, or turns it away for want of room or by a fault.
    fn accept(&mut self, clock: &mut Clock, id: JobId) {
        let &Job { upstream, asked: Asked { key, bearer, .. }, .. } = &self.jobs[id.slot as usize];
        let station = StationId::Upstream(upstream);
        match self.all[upstream].upstream.on_request(clock.now, id.slot, key) {
            Reaction::Started(work) => {
                Self::count_unauthorized(clock, upstream, bearer);
                self.start(clock, id.slot, work);
            }
            Reaction::Queued => Self::count_unauthorized(clock, upstream, bearer),
            Reaction::Answered { status, fault } => {
                if fault.is_none() {
                    clock.recorder.on_rejected(station);
                }
                let (reply, by) =
                    (AttemptEnd::Answered(status), fault.map_or(AtOnce::QueueFull, AtOnce::Fault));
                self.answer_at_once(clock, id, reply, by);
            }
            Reaction::Refused { fault } => {
                self.answer_at_once(clock, id, AttemptEnd::Broken, AtOnce::Fault(fault));
            }
        }
        self.record_load(clock, upstream);
    }

    /// A service is done with a job before it has begun, and its caller hears of it.
    fn answer_at_once(&mut self, clock: &mut Clock, id: JobId, reply: AttemptEnd, by: AtOnce) {
        let Job { upstream, caller, .. } = self.remove(id.slot);
        if let Some(caller) = caller {
            let answer = Box::new(AnswerAtOnce { caller, upstream, reply, by });
            clock.events.schedule(clock.now, Event::Replied(answer));
        }
    }

    fn count_unauthorized(clock: &mut Clock, upstream: usize, bearer: Option<Bearer>) {
        if !clock.bearers.may_reach(upstream, bearer, clock.now) {
            clock.recorder.on_unauthorized(upstream);
        }
    }

    /// The services that judge tokens by themselves.
    pub(super) fn key_holders(&self) -> impl Iterator<Item = usize> {
        self.all.iter().enumerate().filter_map(|(number, service)| service.gate.is_some().then_some(number))
    }

    /// The fetch of keys that a service is to begin now, if one is, and whom it asks.
    pub(super) fn poll_fetch(&mut self, now: Timestamp, service: usize) -> Option<(Fetch, usize)> {
        let Service { gate, provider, .. } = &mut self.all[service];
        Some((gate.as_mut()?.authenticator.poll_fetch(now)?, *provider))
    }

    /// A service's fetch of keys is over.
    pub(super) fn on_fetched(
        &mut self,
        now: Timestamp,
        service: usize,
        fetch: u64,
        result: Result<KeySet<SimulatedKey>, FetchFailure>,
    ) {
        if let Some(gate) = &mut self.all[service].gate {
            gate.authenticator.on_fetched(now, fetch, result);
        }
    }

    /// When a service has to be woken for its keys.
    pub(super) fn next_key_wakeup(&self, service: usize) -> Option<Timestamp> {
        Some(self.all[service].gate.as_ref()?.authenticator.next_wakeup())
    }

    /// That time has come.
    pub(super) fn on_key_wakeup(&mut self, now: Timestamp, service: usize) {
        if let Some(gate) = &mut self.all[service].gate {
            gate.authenticator.on_wakeup(now);
        }
    }

    /// Judges the jobs of a service again that waited for keys and need not any longer.
    pub(super) fn resume(&mut self, clock: &mut Clock, service: usize) {
        while let Some(id) = self.all[service].gate.as_mut().and_then(Gate::poll_resumed) {
            let job = &mut self.jobs[id.slot as usize];
            (job.awaits_keys, job.since) = (false, clock.now);
            self.admit(clock, id, true);
        }
    }

    /// The work on a job is done, and its service turns to its calls; or the whole of its answer is on its way.
    pub(super) fn on_completed(&mut self, clock: &mut Clock, id: JobId) -> Option<Heard> {
        if !self.is_present(id) {
            return None;
        }
        let job = &self.jobs[id.slot as usize];
        if let Some(Trickling { status, why, .. }) = job.trickling {
            let why = if status < 400 { self.took_longest(clock, id.slot) } else { why };
            return self.finish(clock, id.slot, AttemptEnd::Answered(status), why);
        }
        let (state, step) = self.all[job.upstream].calls.on_begun(clock.now);
        if !matches!(step, CallStep::Answer { outcome: CallsOutcome::Done, .. }) {
            let (since, longest, why) = (clock.now, Duration::ZERO, CauseId::UNKNOWN);
            let calling = Calling { state, asked: None, since, longest, why };
            self.jobs[id.slot as usize].calling = Some(calling);
        }
        self.follow(clock, id, step, CauseId::UNKNOWN)
    }

    /// A service hears of an attempt at a call.
    pub(super) fn on_reply(
        &mut self,
        clock: &mut Clock,
        job: JobId,
        attempt: u32,
        reply: AttemptEnd,
        why: CauseId,
    ) -> Option<Heard> {
        self.settle(clock, job, attempt, reply, why)
    }

    /// The timeout of an attempt at a call ran out.
    pub(super) fn on_call_timeout(&mut self, clock: &mut Clock, job: JobId, attempt: u32) -> Option<Heard> {
        self.settle(clock, job, attempt, AttemptEnd::TimedOut, CauseId::UNKNOWN)
    }

    /// The wait before a further attempt at a call is over.
    pub(super) fn on_call_retry(&mut self, clock: &mut Clock, job: JobId, attempt: u32) -> Option<Heard> {
        if !self.is_open(job, attempt) {
            return None;
        }
        let Job { upstream, calling, .. } = &mut self.jobs[job.slot as usize];
        let step = self.all[*upstream].calls.on_waited(clock.now, &mut calling.as_mut()?.state);
        self.follow(clock, job, step, CauseId::UNKNOWN)
    }

    /// Nobody waits for a job any more; most services do not notice.
    pub(super) fn on_caller_left(&mut self, clock: &mut Clock, id: JobId) {
        // As deep as calls are nested.
        let mut left = Some(id);
        while let Some(id) = left.take().filter(|id| self.is_present(*id)) {
            let job = &mut self.jobs[id.slot as usize];
            job.caller = None;
            let upstream = job.upstream;
            if job.awaits_keys {
                self.remove(id.slot);
                if let Some(gate) = &mut self.all[upstream].gate {
                    gate.on_left(id);
                }
                continue;
            }
            match self.all[upstream].upstream.on_caller_left(clock.now, id.slot) {
                Left::Unnoticed => {
                    if job.activity == Some(Activity::Work) {
                        self.turn(id.slot, Some(Activity::Abandoned));
                    }
                }
                Left::Unqueued => {
                    let waited = clock.now - job.since;
                    clock.recorder.on_wait_without_end(StationId::Upstream(upstream), waited);
                    self.remove(id.slot);
                }
                Left::Freed(next) => {
                    self.turn(id.slot, None);
                    let job = self.remove(id.slot);
                    if let Some(calling) = job.calling {
                        self.all[upstream].calls.on_given_up(calling.state);
                        left = calling.asked;
                    }
                    self.start_next(clock, upstream, next);
                }
            }
            self.record_load(clock, upstream);
        }
    }

    /// The run is over: what still waits in a queue has waited until now.
    pub(super) fn on_run_ended(&self, clock: &mut Clock) {
        let waiting = self.jobs.iter().filter(|(_, job)| job.activity.is_none() && !job.awaits_keys);
        for (_, job) in waiting {
            let station = StationId::Upstream(job.upstream);
            clock.recorder.on_wait_without_end(station, clock.now - job.since);
        }
    }

    /// Whether an attempt at a call has neither been answered nor given up.
    pub(super) fn is_open(&self, job: JobId, attempt: u32) -> bool {
        self.is_present(job)
            && self.jobs[job.slot as usize].calling.is_some_and(|calling| calling.state.attempt() == attempt)
    }

    /// The next change of the condition of a service's own breaker: service, whom it asks, and the change.
    pub(super) fn poll_transition(&mut self) -> Option<(usize, usize, Transition)> {
        self.all.iter_mut().enumerate().find_map(|(service, Service { calls, .. })| {
            let (upstream, transition) = calls.poll_transition()?;
            Some((service, upstream, transition))
        })
    }

    /// What holds up a job.
    pub(super) fn holds(&self, clock: &mut Clock, id: JobId) -> CauseId {
        if !self.is_present(id) {
            return CauseId::UNKNOWN;
        }
        let job = &self.jobs[id.slot as usize];
        match job.activity {
            None if job.awaits_keys => {
                clock.way(Cause::Keys(self.all[job.upstream].provider), CauseId::UNKNOWN)
            }
            None => self.holds_up(clock, job.upstream),
            Some(Activity::Calling(call)) => {
                let asked = job.calling.and_then(|calling| calling.asked);
                let rest = match asked {
                    Some(asked) => self.holds(clock, asked),
                    None => clock.way(Cause::Backoff, CauseId::UNKNOWN),
                };
                self.calls(clock, job.upstream, call, rest)
            }
            Some(activity) => self.works(clock, job.upstream, activity),
        }
    }

    /// What holds up those that ask an upstream: its queue, if there is one, and what most of its workers are at.
    pub(super) fn holds_up(&self, clock: &mut Clock, upstream: usize) -> CauseId {
        // As deep as calls are nested.
        let service = &self.all[upstream];
        let most = (0..service.busy.len()).rev().max_by_key(|place| service.busy[*place]).unwrap_or(0);
        let rest = match service.activity(most) {
            Activity::Calling(call) => {
                let rest = self.holds_up(clock, service.links[call].upstream);
                self.calls(clock, upstream, call, rest)
            }
            activity => self.works(clock, upstream, activity),
        };
        if service.upstream.queued() == 0 { rest } else { clock.way(Cause::UpstreamQueue(upstream), rest) }
    }

    /// Why a service answered at once.
    pub(super) fn at_once(&self, clock: &mut Clock, upstream: usize, by: AtOnce) -> CauseId {
        match by {
            AtOnce::Fault(fault) => self.works(clock, upstream, Activity::Struck(fault)),
            AtOnce::QueueFull if self.all[upstream].upstream.queued() == 0 => {
                // Without places to wait, or freed at this very moment.
                let rest = self.holds_up(clock, upstream);
                clock.way(Cause::UpstreamQueue(upstream), rest)
            }
            AtOnce::QueueFull => self.holds_up(clock, upstream),
            AtOnce::Rejected(rejection) => {
                let provider = Some(self.all[upstream].provider);
                let place = Place { service: Some(upstream), limits: &[], provider, upstream };
                let cause = place.cause(rejection, || 0);
                cause.map_or(CauseId::UNKNOWN, |cause| clock.way(cause, CauseId::UNKNOWN))
            }
        }
    }

    fn works(&self, clock: &mut Clock, upstream: usize, activity: Activity) -> CauseId {
        let cause = match activity {
            Activity::Struck(fault) => {
                Cause::Fault { fault: self.all[upstream].faults[fault.0 as usize], upstream }
            }
            Activity::Abandoned => Cause::AbandonedWork(upstream),
            Activity::Work | Activity::Calling(_) => Cause::Work(upstream),
        };
        clock.way(cause, CauseId::UNKNOWN)
    }

    fn calls(&self, clock: &mut Clock, service: usize, call: usize, rest: CauseId) -> CauseId {
        clock.way(Cause::Call { service, upstream: self.all[service].links[call].upstream }, rest)
    }

    /// The worker of a job turns to something else, or away from it.
    fn turn(&mut self, slot: u32, activity: Option<Activity>) {
        let job = &mut self.jobs[slot as usize];
        let service = &mut self.all[job.upstream];
        if let Some(before) = job.activity {
            let place = service.place(before);
            service.busy[place] = service.busy[place].saturating_sub(1);
        }
        if let Some(now) = activity {
            let place = service.place(now);
            service.busy[place] += 1;
        }
        job.activity = activity;
    }

    /// A worker that was let go takes the job that its service says, if any; what the service passed over is gone.
    fn start_next(&mut self, clock: &mut Clock, upstream: usize, next: Option<(u32, Work)>) {
        while let Some(slot) = self.all[upstream].upstream.poll_given_up() {
            let job = self.remove(slot);
            clock.recorder.on_wait(StationId::Upstream(upstream), clock.now - job.since);
        }
        if let Some((next, work)) = next {
            self.start(clock, next, work);
        }
    }

    /// A worker takes a job.
    fn start(&mut self, clock: &mut Clock, slot: u32, work: Work) {
        let own =
            if self.jobs[slot as usize].caller.is_some() { Activity::Work } else { Activity::Abandoned };
        self.turn(slot, Some(work.fault.map_or(own, Activity::Struck)));
        let job = &mut self.jobs[slot as usize];
        (job.fault, job.reset, job.body) = (work.fault, work.reset, work.body);
        job.started = clock.now;
        clock.recorder.on_wait(StationId::Upstream(job.upstream), clock.now - job.since);
        if let Some(time) = work.time {
            let id = JobId { slot, number: job.number };
            clock.events.schedule(clock.now + time, Event::Completed(id));
        }
    }

    /// Does what a job does next; `failure` is why the attempt before failed, if it did.
    fn follow(&mut self, clock: &mut Clock, id: JobId, step: CallStep, failure: CauseId) -> Option<Heard> {
        let &Job { upstream, asked, calling, .. } = &self.jobs[id.slot as usize];
        match step {
            CallStep::Ask(ask) => {
                self.turn(id.slot, Some(Activity::Calling(ask.call)));
                let attempt = ask.attempt;
                if let Some(timeout) = ask.timeout {
                    let (lane, at) = (self.all[upstream].links[ask.call].timeouts, clock.now + timeout);
                    clock.events.schedule_in(lane, at, Event::CallTimeout { job: id, attempt });
                }
                let caller = Caller::Service { job: id, attempt };
                let asked = Asked { key: asked.key.at(u64::from(attempt)), ..asked };
                let asked = self.dispatch(clock, ask.upstream, caller, asked);
                if let Some(calling) = &mut self.jobs[id.slot as usize].calling {
                    calling.asked = Some(asked);
                }
                None
            }
            CallStep::Wait(wait) => {
                let attempt = calling.as_ref()?.state.attempt();
                let at = clock.now + service_is_back_after(wait);
                clock.events.schedule(at, Event::CallRetry { job: id, attempt });
                None
            }
            CallStep::Answer { status, outcome } => {
                let why = match outcome {
                    CallsOutcome::Done => self.took_longest(clock, id.slot),
                    CallsOutcome::Failed => failure,
                    CallsOutcome::ShortCircuited => {
                        let link = &self.all[upstream].links[calling.as_ref()?.state.call()];
                        let breaker = BreakerId { service: Some(upstream), upstream: link.upstream };
                        clock.way(Cause::Breaker(breaker), link.last_failure)
                    }
                };
                self.answer(clock, id, status, why)
            }
        }
    }

    /// A service has an answer for a job, after its own work and its calls. `why` it is a failure or took long.
    fn answer(&mut self, clock: &mut Clock, id: JobId, status: u16, why: CauseId) -> Option<Heard> {
        let &Job { upstream, fault, reset, body, .. } = &self.jobs[id.slot as usize];
        let struck = fault.map_or(Activity::Work, Activity::Struck);
        // A failure that breaks off is the failure that its head tells.
        if reset && status < 400 {
            let why = self.works(clock, upstream, struck);
            return self.finish(clock, id.slot, AttemptEnd::Cut, why);
        }
        if body.is_zero() {
            return self.finish(clock, id.slot, AttemptEnd::Answered(status), why);
        }
        self.turn(id.slot, Some(struck));
        self.jobs[id.slot as usize].trickling = Some(Trickling { status, since: clock.now, why });
        clock.events.schedule(clock.now + body, Event::Completed(id));
        None
    }

    /// An attempt at a call ended, for the reason `why` if it was answered: on to the next call, to another attempt, or to
    /// the service's answer.
    fn settle(
        &mut self,
        clock: &mut Clock,
        id: JobId,
        attempt: u32,
        end: AttemptEnd,
        why: CauseId,
    ) -> Option<Heard> {
        if !self.is_open(id, attempt) {
            return None;
        }
        let timed_out = end == AttemptEnd::TimedOut;
        let asked = self.jobs[id.slot as usize].calling.and_then(|calling| calling.asked);
        let why = match asked {
            _ if !timed_out => why,
            Some(asked) => self.holds(clock, asked),
            None => CauseId::UNKNOWN,
        };
        let Job { upstream: service, asked: Asked { key, .. }, calling, .. } =
            &mut self.jobs[id.slot as usize];
        let (service, calling) = (*service, calling.as_mut()?);
        calling.asked = None;
        let Service { calls, links, .. } = &mut self.all[service];
        let link = &mut links[calling.state.call()];
        let upstream = link.upstream;
        let took = clock.now - calling.state.sent();
        if took >= clock.noticeable && took > calling.longest {
            calling.longest = took;
            calling.why = clock.way(Cause::Call { service, upstream }, why);
        }
        let step = calls.on_ended(clock.now, &mut calling.state, *key, end);
        let why = match step {
            CallStep::Wait(_) | CallStep::Answer { outcome: CallsOutcome::Failed, .. } => {
                let cause = if timed_out {
                    Cause::CallTimeout { service, upstream }
                } else {
                    Cause::Call { service, upstream }
                };
                link.last_failure = clock.way(cause, why);
                link.last_failure
            }
            CallStep::Ask(_) | CallStep::Answer { .. } => CauseId::UNKNOWN,
        };
        if let Some(asked) = asked.filter(|_| timed_out) {
            self.on_caller_left(clock, asked);
        }
        self.follow(clock, id, step, why)
    }

    /// Where a job that ends well spent most of its time: in the queue, at work, with its calls or with its answer.
    fn took_longest(&self, clock: &mut Clock, slot: u32) -> CauseId {
        let job = &self.jobs[slot as usize];
        if clock.now - job.since < clock.noticeable {
            return CauseId::UNKNOWN;
        }
        let answered = job.trickling.map_or(clock.now, |trickling| trickling.since);
        let worked_until = job.calling.map_or(answered, |calling| calling.since);
        let waited = job.started - job.since;
        // What strikes the work strikes the answer.
        let worked = worked_until - job.started + (clock.now - answered);
        let called = answered - worked_until;
        match job.calling {
            _ if waited >= worked && waited >= called => {
                let rest = self.holds_up(clock, job.upstream);
                // It may have been the last in it.
                let has_queue = self.all[job.upstream].upstream.queued() > 0;
                if has_queue { rest } else { clock.way(Cause::UpstreamQueue(job.upstream), rest) }
            }
            Some(calling) if called > worked => calling.why,
            _ => self.works(clock, job.upstream, job.fault.map_or(Activity::Work, Activity::Struck)),
        }
    }

    /// A service is done with a job: the next in its queue starts, and the caller, if there still is one, hears of it.
    fn finish(&mut self, clock: &mut Clock, slot: u32, reply: AttemptEnd, why: CauseId) -> Option<Heard> {
        self.turn(slot, None);
        let Job { upstream, caller, .. } = self.remove(slot);
        let next = self.all[upstream].upstream.on_completed(clock.now);
        self.start_next(clock, upstream, next);
        self.record_load(clock, upstream);
        match caller? {
            Caller::Gateway(ticket) => Some(Heard::Answer { ticket, reply, why }),
            Caller::Service { job, attempt } => self.on_reply(clock, job, attempt, reply, why),
            Caller::Keys { holder, fetch } => Some(Heard::Keys { holder, fetch, reply, why }),
        }
    }

    /// Whether there is no work left that a client asked for.
    pub(super) fn are_done(&self) -> bool {
        self.for_clients == 0
    }

    fn remove(&mut self, slot: u32) -> Job {
        let job = self.jobs.remove(slot as usize);
        self.for_clients -= usize::from(!job.asked.for_keys);
        job
    }

    fn is_present(&self, id: JobId) -> bool {
        self.jobs.get(id.slot as usize).is_some_and(|job| job.number == id.number)
    }

    fn record_load(&self, clock: &mut Clock, upstream: usize) {
        let service = &self.all[upstream].upstream;
        let at = clock.since_start;
        clock.recorder.on_load(StationId::Upstream(upstream), at, service.in_flight(), service.queued());
    }
}
