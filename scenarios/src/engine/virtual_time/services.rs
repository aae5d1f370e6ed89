//! The simulated services in virtual time: who asks whom, and at what time each service goes on.

use std::time::Duration;

use gateway::auth::{AuthVerdict, Fetch, FetchFailure, KeyQueue, KeySet, Presented, SimulatedKey};
use gateway::{AttemptEnd, HostId, Timestamp, Transition};
use reports::{BreakerId, Cause, CauseId, StationId};
use simulator::{
    Activity, Answered, Arrival, Asking, CallsOutcome, Content, Due, FaultTimeline, Job, JobId, Service,
    ServiceAnswer, ServiceEvent, Spent, Step, Stream, TurnedAway, UnderWay, Witness,
};

use super::context::Context;
use super::event::{AnswerAtOnce, CallOrigin, Event, KeyHolder, ServiceCall, ServiceJob, Ticket};
use super::event_queue::LaneId;
use crate::World;
use crate::engine::bearers::{Bearer, Shown};
use crate::engine::causes::Place;
use crate::engine::run_events::{Asked, of_service, stations};

/// The simulated services: every host of every upstream, those of one upstream after those of the one before.
pub(super) struct Services {
    all: Vec<Running>,
    /// By upstream: the place of its first host, and in the end how many there are.
    first_hosts: Vec<usize>,
}

/// A service, and what the engine adds to it.
struct Running {
    service: Service<Note>,
    /// Its upstream, by number.
    upstream: usize,
    /// Its place in the record.
    station: StationId,
    /// By number of the call.
    links: Vec<Link>,
    /// Whether a cache stands before it.
    has_cache: bool,
    /// Whether it makes all of its calls at once.
    is_parallel: bool,
    /// Ends of waits at the cache.
    cache_waits: LaneId,
    /// By number in its own timeline: the fault's number in the scenario.
    faults: Vec<usize>,
    /// Where it judges tokens, if it does.
    keys: Option<KeyQueue<SimulatedKey, JobId>>,
    /// Whose keys it judges them by, if it does.
    provider: Option<usize>,
}

/// A service's use of another.
struct Link {
    upstream: usize,
    timeouts: LaneId,
    /// Why its last attempt failed.
    last_failure: CauseId,
}

/// What the engine keeps beside a job.
pub(super) struct Note {
    caller: CallOrigin,
    /// What its request bears.
    bears: Bears,
    /// The jobs of other services that it waits for.
    awaits: Awaited,
    /// The call that took longest so far, and why it did.
    longest: Duration,
    why_longest: CauseId,
    /// Why an answer that trickles is a failure; of no consequence to any other.
    why: CauseId,
}

/// The jobs of other services that a job waits for, each with the number of the call.
#[derive(Debug, Default)]
struct Awaited {
    one: Option<(u32, ServiceJob)>,
    /// Where the service makes several calls at once.
    more: Vec<(u32, ServiceJob)>,
}

impl Awaited {
    fn add(&mut self, call: usize, job: ServiceJob) {
        if self.one.is_none() {
            self.one = Some((call as u32, job));
        } else {
            self.more.push((call as u32, job));
        }
    }

    fn of(&self, call: usize) -> Option<ServiceJob> {
        self.one.iter().chain(&self.more).find(|(of, _)| *of == call as u32).map(|(_, job)| *job)
    }

    fn take(&mut self, call: usize) -> Option<ServiceJob> {
        if let Some((_, job)) = self.one.take_if(|(of, _)| *of == call as u32) {
            return Some(job);
        }
        let place = self.more.iter().position(|(of, _)| *of == call as u32)?;
        Some(self.more.remove(place).1)
    }

    fn into_jobs(self) -> impl Iterator<Item = ServiceJob> {
        self.one.into_iter().chain(self.more).map(|(_, job)| job)
    }
}

/// What a request to a service bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bears {
    /// Whose request it is; `None` for nobody's in particular.
    pub(super) bearer: Option<Bearer>,
    /// Whether the service is shown the token.
    pub(super) shows_token: bool,
    /// On whose behalf it asks.
    pub(super) asks: Asks,
    /// What the request asks for.
    pub(super) content: Content,
}

/// On whose behalf a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// A client's.
    Client,
    /// That of somebody who judges tokens, for the keys to do so by.
    Keys,
    /// The gateway's, to learn how the host is.
    Health,
}

/// An answer that leaves the services, and why it is a failure or took long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    /// The gateway's, for a client's request.
    Answer { ticket: Ticket, end: AttemptEnd, why: CauseId },
    /// Of a fetch of keys.
    Keys { holder: KeyHolder, fetch: u64, end: AttemptEnd, why: CauseId },
    /// Of a check of a host.
    Check { id: u32, end: AttemptEnd },
}

/// Tells the record what happens at a service.
struct Scribe<'c> {
    context: &'c mut Context,
    upstream: usize,
    station: StationId,
}

impl Running {
    /// The service, and who tells the record of it.
    #[inline]
    fn told<'r>(&'r mut self, context: &'r mut Context) -> (&'r mut Service<Note>, Scribe<'r>) {
        let Self { service, upstream, station, .. } = self;
        (service, Scribe { context, upstream: *upstream, station: *station })
    }
}

impl Witness<Note> for Scribe<'_> {
    #[expect(
        clippy::inline_always,
        reason = "the machine names the event where it happens, so that nothing is told apart"
    )]
    #[inline(always)]
    fn hear(&mut self, event: ServiceEvent<'_, Note>) {
        let context = &mut *self.context;
        match &event {
            ServiceEvent::Attempt(note) => {
                context.jobs_of_clients += usize::from(note.bears.asks == Asks::Client);
            }
            ServiceEvent::Gone(note) => {
                context.jobs_of_clients -= usize::from(note.bears.asks == Asks::Client);
            }
            _ => {}
        }
        let (bearers, now) = (&mut context.bearers, context.now);
        let may_reach = |note: &Note| {
            note.bears.asks == Asks::Health || bearers.may_reach(self.upstream, note.bears.bearer, now)
        };
        let asks = |note: &Note| match note.bears.asks {
            Asks::Client => Asked::Client,
            Asks::Keys => Asked::Keys,
            Asks::Health => Asked::Health,
        };
        if let Some(event) = of_service(self.station, &event, asks, may_reach) {
            context.tell(event);
        }
    }
}

impl Services {
    pub(super) fn new(world: &World, context: &mut Context, seed: u64) -> Self {
        let mut first_hosts = vec![0];
        first_hosts.extend(world.upstreams.iter().scan(0, |sum, named| {
            *sum += named.hosts.len();
            Some(*sum)
        }));
        let places = world.hosts().zip(stations(world));
        let services = places.map(|((upstream, host), station)| {
            let named = &world.upstreams[upstream];
            let faults = world.faults.iter().enumerate();
            let faults: Vec<_> = faults.filter(|(_, fault)| fault.strikes(upstream, host)).collect();
            let links = named.config.calls.iter().map(|call| Link {
                upstream: call.upstream,
                timeouts: context.events.lane(),
                last_failure: CauseId::UNKNOWN,
            });
            let timeline = FaultTimeline::new(seed, faults.iter().map(|(_, fault)| &fault.fault));
            Running {
                links: links.collect(),
                has_cache: named.config.cache.is_some(),
                is_parallel: named.config.parallel,
                cache_waits: context.events.lane(),
                service: Service::new(&named.name, named.config_of(host), context.starts, timeline, seed),
                upstream,
                station,
                faults: faults.iter().map(|(number, _)| *number).collect(),
                keys: named.config.auth.clone().map(KeyQueue::new),
                provider: named.config.auth.as_ref().map(|auth| auth.jwks.0 as usize),
            }
        });
        let all = services.collect();
        Self { all, first_hosts }
    }

    /// Sends an attempt to a host of an upstream, which draws its service time below `key`. An answer that comes at once is an event of its
    /// own.
    pub(super) fn dispatch(
        &mut self,
        context: &mut Context,
        (upstream, host): (usize, HostId),
        caller: CallOrigin,
        key: Stream,
        bears: Bears,
    ) -> ServiceJob {
        let (longest, unknown) = (Duration::ZERO, CauseId::UNKNOWN);
        let note =
            Note { caller, bears, awaits: Awaited::default(), longest, why_longest: unknown, why: unknown };
        let number = self.first_hosts[upstream] + host.0 as usize;
        let now = context.now;
        let (service, mut scribe) = self.all[number].told(context);
        let (job, arrival) = service.on_request(now, key, bears.content, note, &mut scribe);
        let job = ServiceJob { service: number as u32, job };
        self.obey(context, job, arrival, false);
        job
    }

    /// Does with a request what its service says. `has_waited` for keys, at the door.
    fn obey(&mut self, context: &mut Context, job: ServiceJob, arrival: Arrival<Note>, has_waited: bool) {
        match arrival {
            Arrival::AtDoor => self.judge(context, job, has_waited),
            Arrival::Started(due) => job.schedule(context, due),
            Arrival::Cached(due) => job.schedule(context, Some(due)),
            Arrival::Waits { until } => {
                if let Some(until) = until {
                    let lane = self.all[job.number()].cache_waits;
                    context.events.schedule_in(lane, until, Event::CacheWait(job));
                }
            }
            Arrival::Queued => {}
            Arrival::TurnedAway { note, by } => {
                let answer = Box::new(AnswerAtOnce { caller: note.caller, service: job.number(), by });
                context.events.schedule(context.now, Event::AnsweredAtOnce(answer));
            }
        }
    }

    /// Lets those go on that waited at the cache of a service and need not any longer.
    fn release(&mut self, context: &mut Context, number: usize) {
        if !self.all[number].has_cache {
            return;
        }
        let now = context.now;
        loop {
            let (service, mut scribe) = self.all[number].told(context);
            let Some((job, arrival)) = service.poll_released(now, &mut scribe) else { return };
            self.obey(context, ServiceJob { service: number as u32, job }, arrival, false);
        }
    }

    /// A request has waited at a cache for as long as any does, if it still waits.
    pub(super) fn on_cache_wait(&mut self, context: &mut Context, job: ServiceJob) {
        let now = context.now;
        let (service, mut scribe) = self.all[job.number()].told(context);
        let arrival = service.on_wait_over(now, job.job, &mut scribe);
        if let Some(arrival) = arrival {
            self.obey(context, job, arrival, false);
        }
    }

    /// Judges the token of a request at the door.
    fn judge(&mut self, context: &mut Context, job: ServiceJob, has_waited: bool) {
        let Running { service, keys: Some(keys), .. } = &mut self.all[job.number()] else { return };
        let Some(Note { bears, .. }) = service.job(job.job).map(Job::note) else { return };
        // Whoever asks how a service is needs no token.
        if bears.asks == Asks::Health {
            let now = context.now;
            let (service, mut scribe) = self.all[job.number()].told(context);
            let arrival = service.on_judged(now, job.job, Ok(()), &mut scribe);
            if let Some(arrival) = arrival {
                self.obey(context, job, arrival, has_waited);
            }
            return;
        }
        let bearer = bears.bearer.filter(|_| bears.shows_token);
        let shown = bearer.and_then(|bearer| context.bearers.token(bearer));
        let presented = shown.as_ref().map_or(Presented::Nothing, Shown::presented);
        let verdict = match keys.judge(context.now, job.job, &presented, has_waited) {
            AuthVerdict::Verified(_) => Ok(()),
            AuthVerdict::Rejected(rejection) => Err(rejection),
            AuthVerdict::AwaitKeys(_) => return,
        };
        let now = context.now;
        let (service, mut scribe) = self.all[job.number()].told(context);
        let arrival = service.on_judged(now, job.job, verdict, &mut scribe);
        if let Some(arrival) = arrival {
            self.obey(context, job, arrival, has_waited);
        }
    }

    /// The services that judge tokens by themselves.
    pub(super) fn key_holders(&self) -> impl Iterator<Item = usize> {
        self.all.iter().enumerate().filter_map(|(number, running)| running.keys.is_some().then_some(number))
    }

    /// The fetch of keys that a service is to begin now, if one is, and whom it asks.
    pub(super) fn poll_fetch(&mut self, now: Timestamp, service: usize) -> Option<(Fetch, usize)> {
        let Running { keys, provider, .. } = &mut self.all[service];
        Some((keys.as_mut()?.poll_fetch(now)?, (*provider)?))
    }

    /// A service's fetch of keys is over.
    pub(super) fn on_fetched(
        &mut self,
        now: Timestamp,
        service: usize,
        fetch: u64,
        result: Result<KeySet<SimulatedKey>, FetchFailure>,
    ) {
        if let Some(keys) = &mut self.all[service].keys {
            keys.on_fetched(now, fetch, result);
        }
    }

    /// When a service has to be woken for its keys.
    pub(super) fn next_key_wakeup(&self, service: usize) -> Option<Timestamp> {
        Some(self.all[service].keys.as_ref()?.next_wakeup())
    }

    /// That time has come.
    pub(super) fn on_key_wakeup(&mut self, now: Timestamp, service: usize) {
        if let Some(keys) = &mut self.all[service].keys {
            keys.on_wakeup(now);
        }
    }

    /// Judges the jobs of a service again that waited for keys and need not any longer.
    pub(super) fn resume(&mut self, context: &mut Context, number: usize) {
        while let Some(job) = self.all[number].keys.as_mut().and_then(KeyQueue::poll_resumed) {
            let now = context.now;
            let (service, mut scribe) = self.all[number].told(context);
            let arrival = service.on_keys(now, job, &mut scribe);
            if let Some(arrival) = arrival {
                self.obey(context, ServiceJob { service: number as u32, job }, arrival, true);
            }
        }
    }

    /// The work on a job is done, or the whole of its answer is on its way.
    pub(super) fn on_due(&mut self, context: &mut Context, due: ServiceJob) -> Option<Heard> {
        let step = self.all[due.number()].service.on_due(context.now, due.job)?;
        let mut heard = self.follow(context, due.number(), step, CauseId::UNKNOWN);
        while self.all[due.number()].is_parallel
            && let Some(step) = self.all[due.number()].service.poll_call(context.now, due.job)
        {
            heard = heard.or(self.follow(context, due.number(), step, CauseId::UNKNOWN));
        }
        heard
    }

    /// The timeout of an attempt at a call ran out.
    pub(super) fn on_call_timeout(&mut self, context: &mut Context, call: ServiceCall) -> Option<Heard> {
        self.settle(context, call, AttemptEnd::TimedOut, CauseId::UNKNOWN)
    }

    /// The wait before a further attempt at a call is over.
    pub(super) fn on_call_retry(&mut self, context: &mut Context, call: ServiceCall) -> Option<Heard> {
        let step = self.all[call.number()].service.on_waited(context.now, call.call)?;
        self.follow(context, call.number(), step, CauseId::UNKNOWN)
    }

    /// An answer that came without any work is heard of.
    pub(super) fn on_answered_at_once(
        &mut self,
        context: &mut Context,
        answer: &AnswerAtOnce,
    ) -> Option<Heard> {
        let AnswerAtOnce { caller, service, by } = *answer;
        let why = self.turned_away(context, service, by);
        self.tell(context, caller, by.end(), why)
    }

    /// Nobody waits for a job any more; most services do not notice.
    pub(super) fn on_caller_left(&mut self, context: &mut Context, left: ServiceJob) {
        // As many as there are calls below it.
        let (mut next, mut more) = (Some(left), Vec::new());
        while let Some(left) = next.take().or_else(|| more.pop()) {
            let running = &mut self.all[left.number()];
            let Running { service, keys, .. } = running;
            if let Some(keys) = keys
                && service.job(left.job).is_some_and(Job::is_at_door)
            {
                keys.on_left(left.job);
            }
            let now = context.now;
            let (service, mut scribe) = running.told(context);
            let gone = service.on_caller_left(now, left.job, &mut scribe);
            if let Some((note, due)) = gone {
                left.schedule(context, due);
                next = note.awaits.one.map(|(_, job)| job);
                more.extend(note.awaits.more.into_iter().map(|(_, job)| job));
            }
            self.release(context, left.number());
        }
    }

    /// The run is over: what still waits in a queue has waited until now.
    pub(super) fn on_run_ended(&self, context: &mut Context) {
        for Running { service, upstream, station, .. } in &self.all {
            let now = context.now;
            service.on_run_ended(now, &mut Scribe { context, upstream: *upstream, station: *station });
        }
    }

    /// Whether the answer to a job has begun, whose body trickles.
    pub(super) fn trickles(&self, job: ServiceJob) -> bool {
        self.all[job.number()].service.trickles(job.job)
    }

    /// Whether a request waits at a cache for the answer to another.
    pub(super) fn waits_at_cache(&self, job: ServiceJob) -> bool {
        self.all[job.number()].service.waits_at_cache(job.job)
    }

    /// Whether an attempt at a call has neither been answered nor given up.
    pub(super) fn is_under_way(&self, call: ServiceCall) -> bool {
        self.all[call.number()].service.under_way(call.call).is_some()
    }

    /// The next change of the condition of a service's own breaker: service, whom it asks, and the change.
    pub(super) fn poll_transition(&mut self) -> Option<(usize, usize, Transition)> {
        self.all.iter_mut().find_map(|Running { service, upstream: number, .. }| {
            let (upstream, transition) = service.poll_transition()?;
            Some((*number, upstream, transition))
        })
    }

    /// Does what a job does next; `failure` is why the attempt before failed, if it did.
    fn follow(
        &mut self,
        context: &mut Context,
        number: usize,
        step: Step,
        failure: CauseId,
    ) -> Option<Heard> {
        let Running { service, links, .. } = &mut self.all[number];
        match step {
            Step::Ask(asking @ Asking { job, call, ask, deadline, .. }) => {
                let call = ServiceCall { service: number as u32, call };
                if let Some(at) = deadline {
                    context.events.schedule_in(links[ask.call].timeouts, at, Event::CallTimeout(call));
                }
                let bears = service.note_mut(job)?.bears;
                // A service reads what it asks others for.
                let content = Content { is_cacheable: bears.asks == Asks::Client, ..bears.content };
                let bears = Bears { content, ..bears };
                let caller = CallOrigin::Service(call);
                let awaits = self.dispatch(context, (ask.upstream, ask.host), caller, asking.stream(), bears);
                self.all[number].service.note_mut(job)?.awaits.add(ask.call, awaits);
                None
            }
            Step::Wait { until, call } => {
                let call = ServiceCall { service: number as u32, call };
                context.events.schedule(until, Event::CallRetry(call));
                None
            }
            Step::Answer(answer) => {
                let why = self.why(context, number, answer, failure);
                if self.all[number].is_parallel {
                    // What else the job has asked for, it does not wait for.
                    let note = self.all[number].service.note_mut(answer.job);
                    let rest = note.map(|note| std::mem::take(&mut note.awaits)).unwrap_or_default();
                    for job in rest.into_jobs() {
                        self.on_caller_left(context, job);
                    }
                }
                self.answer(context, number, answer, why)
            }
        }
    }

    /// A service has an answer for a job. `why` it is a failure or took long.
    fn answer(
        &mut self,
        context: &mut Context,
        number: usize,
        answer: ServiceAnswer,
        why: CauseId,
    ) -> Option<Heard> {
        let job = ServiceJob { service: number as u32, job: answer.job };
        let now = context.now;
        let (service, mut scribe) = self.all[number].told(context);
        let answered = service.on_answered(now, answer, &mut scribe)?;
        self.release(context, number);
        match answered {
            Answered::Trickles(due) => {
                self.all[number].service.note_mut(due.job)?.why = why;
                job.schedule(context, Some(due));
                None
            }
            Answered::Whole { note, next } => {
                job.schedule(context, next);
                self.tell(context, note?.caller, answer.end(), why)
            }
        }
    }

    /// Whoever asked hears how that ended.
    fn tell(
        &mut self,
        context: &mut Context,
        caller: CallOrigin,
        end: AttemptEnd,
        why: CauseId,
    ) -> Option<Heard> {
        match caller {
            CallOrigin::Gateway(ticket) => Some(Heard::Answer { ticket, end, why }),
            CallOrigin::Service(call) => self.settle(context, call, end, why),
            CallOrigin::Keys { holder, fetch } => Some(Heard::Keys { holder, fetch, end, why }),
            CallOrigin::Check(id) => Some(Heard::Check { id, end }),
        }
    }

    /// An attempt at a call ended, for the reason `why` if it was answered: on to the next call, to another attempt, or to
    /// the service's answer.
    fn settle(
        &mut self,
        context: &mut Context,
        call: ServiceCall,
        end: AttemptEnd,
        why: CauseId,
    ) -> Option<Heard> {
        let number = call.number();
        let UnderWay { job, call: place, sent } = self.all[number].service.under_way(call.call)?;
        let awaits = self.all[number].service.note_mut(job)?.awaits.take(place);
        let timed_out = end == AttemptEnd::TimedOut;
        let why = match awaits {
            _ if !timed_out => why,
            Some(awaits) => self.holds(context, awaits),
            None => CauseId::UNKNOWN,
        };
        let Running { service, links, upstream: asks, .. } = &mut self.all[number];
        let link = &mut links[place];
        let (asks, upstream) = (*asks, link.upstream);
        let called = Cause::Call { service: asks, upstream };
        let (took, note) = (context.now - sent, service.note_mut(job)?);
        if took >= context.noticeable && took > note.longest {
            (note.longest, note.why_longest) = (took, context.way(called, why));
        }
        let step = service.on_call_ended(context.now, call.call, end)?;
        let has_failed = match step {
            Step::Wait { .. } => true,
            Step::Answer(answer) => answer.calls == Some(CallsOutcome::Failed),
            Step::Ask(_) => false,
        };
        let mut failure = CauseId::UNKNOWN;
        if has_failed {
            let cause = if timed_out { Cause::CallTimeout { service: asks, upstream } } else { called };
            failure = context.way(cause, why);
            link.last_failure = failure;
        }
        if let Some(awaits) = awaits.filter(|_| timed_out) {
            self.on_caller_left(context, awaits);
        }
        self.follow(context, number, step, failure)
    }
}

impl ServiceJob {
    /// Comes back to its service when that is due.
    fn schedule(self, context: &mut Context, due: Option<Due>) {
        if let Some(Due { at, job }) = due {
            context.events.schedule(at, Event::Due(Self { job, ..self }));
        }
    }
}

/// Why a job is not answered, or not in time.
impl Services {
    /// What holds up a job.
    pub(super) fn holds(&self, context: &mut Context, held: ServiceJob) -> CauseId {
        let (number, Running { service, provider, .. }) = (held.number(), &self.all[held.number()]);
        let Some(job) = service.job(held.job) else { return CauseId::UNKNOWN };
        match job.activity() {
            None if job.is_at_door() => match *provider {
                Some(provider) => context.way(Cause::Keys(provider), CauseId::UNKNOWN),
                None => CauseId::UNKNOWN,
            },
            None => self.holds_up_at(context, number),
            Some(Activity::Calling(call)) => {
                let rest = match job.note().awaits.of(call) {
                    Some(awaits) => self.holds(context, awaits),
                    None => context.way(Cause::Backoff, CauseId::UNKNOWN),
                };
                self.calls(context, number, call, rest)
            }
            Some(activity) => self.works(context, number, activity),
        }
    }

    /// What holds up those that ask an upstream: what holds up those at its busiest host, of equals the first.
    pub(super) fn holds_up(&self, context: &mut Context, upstream: usize) -> CauseId {
        let hosts = self.first_hosts[upstream]..self.first_hosts[upstream + 1];
        let busy = |host: &usize| self.all[*host].service.in_flight() + self.all[*host].service.queued();
        let busiest = hosts.clone().rev().max_by_key(busy).unwrap_or(hosts.start);
        self.holds_up_at(context, busiest)
    }

    /// What holds up those that ask a host: its queue, if there is one, and what most of its workers are busy with.
    fn holds_up_at(&self, context: &mut Context, number: usize) -> CauseId {
        // As deep as calls are nested.
        let Running { service, links, upstream, .. } = &self.all[number];
        let rest = match service.main_activity() {
            Activity::Calling(call) => {
                let rest = self.holds_up(context, links[call].upstream);
                self.calls(context, number, call, rest)
            }
            activity => self.works(context, number, activity),
        };
        if service.queued() == 0 { rest } else { context.way(Cause::UpstreamQueue(*upstream), rest) }
    }

    /// The same, where it is known that there was a queue: it may have been freed at this very moment, or have no places.
    fn holds_up_queued(&self, context: &mut Context, number: usize) -> CauseId {
        let rest = self.holds_up_at(context, number);
        let Running { service, upstream, .. } = &self.all[number];
        if service.queued() > 0 { rest } else { context.way(Cause::UpstreamQueue(*upstream), rest) }
    }

    /// Why a service answered without any work.
    fn turned_away(&self, context: &mut Context, number: usize, by: TurnedAway) -> CauseId {
        match by {
            TurnedAway::Error { fault, .. } | TurnedAway::Refused { fault } => {
                self.works(context, number, Activity::Struck(fault))
            }
            TurnedAway::QueueFull => self.holds_up_queued(context, number),
            TurnedAway::Token(rejection) => {
                let Running { provider, upstream, .. } = self.all[number];
                let service = Some(upstream);
                let place = Place { service, limits: &[], provider, upstream };
                let cause = place.cause(rejection, || 0);
                cause.map_or(CauseId::UNKNOWN, |cause| context.way(cause, CauseId::UNKNOWN))
            }
        }
    }

    /// Why an answer is a failure or took long; `failure` is why the last attempt at a call failed, if it did.
    fn why(&self, context: &mut Context, number: usize, answer: ServiceAnswer, failure: CauseId) -> CauseId {
        let Running { service, links, upstream: asks, .. } = &self.all[number];
        let Some(job) = service.job(answer.job) else { return CauseId::UNKNOWN };
        let why = match (answer.calls, job.call()) {
            (Some(CallsOutcome::Failed), _) => failure,
            (Some(CallsOutcome::ShortCircuited), Some(call)) => {
                let Link { upstream, last_failure, .. } = links[call];
                context.way(Cause::Breaker(BreakerId { service: Some(*asks), upstream }), last_failure)
            }
            (None, _) if answer.status >= 400 => job.note().why,
            _ => self.took_longest(context, number, job),
        };
        match answer.end() {
            AttemptEnd::Cut => self.struck(context, number, job),
            _ => why,
        }
    }

    /// Where a job that ends well spent most of its time: in the queue, at work, with its calls or with its answer.
    fn took_longest(&self, context: &mut Context, number: usize, job: &Job<Note>) -> CauseId {
        if context.now - job.since() < context.noticeable {
            return CauseId::UNKNOWN;
        }
        match job.spent(context.now) {
            Some(Spent { waited, worked, called }) if waited >= worked && waited >= called => {
                self.holds_up_queued(context, number)
            }
            Some(Spent { worked, called, .. }) if called > worked => job.note().why_longest,
            _ => self.struck(context, number, job),
        }
    }

    /// The work on a job, and what strikes it.
    fn struck(&self, context: &mut Context, number: usize, job: &Job<Note>) -> CauseId {
        let fault = job.work().and_then(|work| work.fault);
        self.works(context, number, fault.map_or(Activity::Work, Activity::Struck))
    }

    fn works(&self, context: &mut Context, number: usize, activity: Activity) -> CauseId {
        let Running { faults, upstream, .. } = &self.all[number];
        let upstream = *upstream;
        let cause = match activity {
            Activity::Struck(fault) => Cause::Fault { fault: faults[fault.0 as usize], upstream },
            Activity::Abandoned => Cause::AbandonedWork(upstream),
            Activity::Work | Activity::Calling(_) => Cause::Work(upstream),
        };
        context.way(cause, CauseId::UNKNOWN)
    }

    fn calls(&self, context: &mut Context, number: usize, call: usize, rest: CauseId) -> CauseId {
        let Running { links, upstream: service, .. } = &self.all[number];
        context.way(Cause::Call { service: *service, upstream: links[call].upstream }, rest)
    }
}
