//! The virtual engine: the whole path of every request over simulated time, on one thread.
//!
//! It decides nothing. Whether a request is admitted, waits, or is answered is for the gateway to say; how long a
//! service works on it, for the upstream; when clients send and whether they try again, for their load and their
//! policy. The engine carries decisions from one machine to the next, wakes each at its time, and tells the recorder.
//! The machines are [`Clients`], [`Pipeline`] and, in `services`, `simulator::Service`; the live engine drives the same rules.

mod causes;
mod checks;
mod context;
mod event;
mod event_queue;
mod keys;
mod record;
mod services;

use std::time::Duration;

use gateway::auth::Presented;
use gateway::{
    AttemptEnd, Decision, Forward, HostId, LimitId, Pass, Pipeline, Rejection, Request, RequestEnd, RouteId,
    Settlement, Timestamp, UpstreamId,
};
use reports::{Cause, CauseId, Layout, Outcome, Recorder, Recording, RunEvent, StationId};
use simulator::{
    Arrivals, ClientRequest, Clients, Content, Load, Population, PopulationStreams, Purpose, Stream,
    service_is_back_after,
};
use slab::Slab;

use self::checks::CheckUnderWay;
use self::context::Context;
use self::event::{CallOrigin, Event, KeyHolder, RequestNumber, ServiceJob, Ticket, TryTimeout};
use self::event_queue::{EventQueue, LaneId};
use self::keys::Keeper;
use self::services::{Asks, Bears, Heard, Services};
use super::bearers::{Bearer, Bearers, Shown};
use super::client_end::ClientEnd;
use super::directory::{self, Directory};
use super::layout::{RecordedLimit, layout, recorded_limits};
use super::run_events::tell_dispatched;
use super::virtual_log::VirtualLog;
use crate::{Timeline, Variant, World};

/// For how long a run goes on after the last arrival, at most.
pub const DRAIN: Duration = Duration::from_secs(300);

/// Runs a variant under a seed, from the first arrival until the scenario has ended and no client's work is left, or
/// [`DRAIN`] is over.
///
/// The same version, scenario and seed give the same recording on any machine.
pub fn run(timeline: &Timeline, variant: &Variant, seed: u64) -> Recording {
    play(timeline, variant, seed, false, None)
}

/// As [`run`], and keeps what is needed to compare the requests with those of another run one by one.
pub(super) fn run_paired(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    log: Option<VirtualLog>,
) -> Recording {
    play(timeline, variant, seed, true, log)
}

/// As [`run`], and logs every attempt.
pub(super) fn run_logged(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    log: Option<VirtualLog>,
) -> Recording {
    play(timeline, variant, seed, false, log)
}

fn play(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    keeps_pairs: bool,
    log: Option<VirtualLog>,
) -> Recording {
    let last = Some(timeline.duration + DRAIN);
    let layout = Layout { keeps_pairs, last, ..layout(timeline, variant) };
    let mut run = Run::new(timeline, variant, seed, layout);
    match log {
        Some(log) => {
            let lines = log.lines().clone();
            run.log = Some(Box::new(log));
            VirtualLog::around(&lines, || run.play(|_| true));
        }
        None => run.play(|_| true),
    }
    run.context.recorder.finish()
}

/// What another engine has to be ready for.
pub(super) struct Rehearsal {
    /// The most logical requests under way at once.
    pub(super) requests: u64,
    /// The most attempts of clients and at upstreams, together, within a second of the scenario.
    pub(super) halves_per_s: u32,
    /// The most jobs of each upstream at once, together.
    pub(super) jobs: u64,
}

/// Runs a variant for what it takes, not for what comes of it, as far as `go_on` says: asked before each event, with the time
/// since the scenario's start.
pub(super) fn rehearse(
    timeline: &Timeline,
    variant: &Variant,
    seed: u64,
    go_on: impl FnMut(Duration) -> bool,
) -> Rehearsal {
    let mut run = Run::new(timeline, variant, seed, layout(timeline, variant));
    run.play(go_on);
    let (requests, sends) = (run.peak_requests as u64, run.sends_per_s);
    let recording = run.context.recorder.finish();
    let (attempts, jobs) = (recording.attempts_per_s(), recording.peak_jobs());
    let halves = sends.iter().zip(attempts).map(|(sends, attempts)| sends + attempts);
    Rehearsal { requests, halves_per_s: halves.max().unwrap_or(0), jobs }
}

#[expect(clippy::struct_excessive_bools, reason = "each says what the run need not ask for")]
struct Run<'w> {
    context: Context,
    ends: Timestamp,
    directory: Directory,
    populations: Vec<ActivePopulation<'w>>,
    gateway: Pipeline<Ticket>,
    /// Whether limits of the gateway count requests by their ends.
    counts_ends: bool,
    /// Each at its place in the record.
    limits: Vec<RecordedLimit>,
    queue_timeouts: LaneId,
    /// By route.
    route_timeouts: Vec<LaneId>,
    /// By route.
    try_timeouts: Vec<LaneId>,
    /// By route.
    upstream_of: Vec<usize>,
    /// By route: statuses beyond 2xx that it is expected to answer.
    expect_status: &'w [Vec<u16>],
    /// The identity provider that the gateway asks, if it judges tokens.
    provider: Option<usize>,
    services: Services,
    /// By route: workers of the gateway that requests on it hold.
    held: Vec<u32>,
    /// By upstream: why the last attempt of the gateway failed.
    last_failure: Vec<CauseId>,
    /// Whether there are changes of breakers or hosts to ask for.
    has_breakers: bool,
    learns_hosts: bool,
    draws_hosts: bool,
    /// The gateway's checks of hosts that are under way.
    checks: Vec<CheckUnderWay>,
    /// Checks so far.
    checked: u32,
    check_stream: Stream,
    /// When the next check will be begun, if at all.
    checks_wake: Option<Timestamp>,
    /// Those who judge tokens.
    keepers: Vec<Keeper>,
    /// By route: whether the gateway judges the tokens of its requests.
    judges_tokens: Vec<bool>,
    /// Whether services are shown the tokens of requests.
    shows_tokens: bool,
    /// Whether any population bears tokens.
    has_tokens: bool,
    /// Whether any upstream asks what a request is for: one with a cache, or with calls for a share of them.
    draws_content: bool,
    /// Requests that are scheduled and not sent.
    ahead: u64,
    requests: Slab<Logical>,
    peak_requests: usize,
    /// Attempts of clients, by second.
    sends_per_s: Vec<u32>,
    issued: u32,
    log: Option<Box<VirtualLog>>,
}

/// A population at work.
struct ActivePopulation<'w> {
    population: &'w Population,
    streams: PopulationStreams,
    clients: Clients,
    /// Whether its requests are the same in other runs.
    is_paired: bool,
    /// Of an open load.
    arrivals: Option<Arrivals>,
    /// Arrivals so far.
    arrived: u64,
    timeouts: LaneId,
}

/// A logical request that has not ended.
#[derive(Clone, Copy)]
struct Logical {
    /// Of the present attempt.
    ticket: Ticket,
    population: usize,
    route: RouteId,
    client: directory::NumberedClient,
    /// As its client knows it.
    sent: ClientRequest,
    intended: Timestamp,
    reached_upstream: bool,
    stage: AttemptStage,
    /// When the present attempt was made.
    since: Timestamp,
    /// Why the attempt before it failed.
    failure: CauseId,
    /// Why the present attempt had to wait for a worker of the gateway, if it did for long.
    waited: CauseId,
}

/// Where the present attempt of a request is.
#[derive(Clone, Copy)]
enum AttemptStage {
    /// Not made yet: its client waits before it tries again.
    Resting,
    /// At the gateway, until that has the keys to judge its token by.
    AwaitsKeys,
    /// At the gateway, until it has its turn at this rate limit.
    Delayed { limit: LimitId },
    /// In the gateway's queue.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// Holds a worker of the gateway.
    Forwarded {
        pass: Pass,
        /// When it got the worker.
        from: Timestamp,
        /// When the gateway's present attempt was sent to the upstream.
        since: Timestamp,
        /// Number of that attempt, from 0.
        attempt: u32,
        /// How long an attempt may go without the beginning of an answer.
        try_timeout: Option<Duration>,
        /// The upstream's work on it; `None` while the gateway waits before it tries again.
        job: Option<ServiceJob>,
    },
}

impl<'w> ActivePopulation<'w> {
    fn new(population: &'w Population, timeline: &Timeline, seed: u64, timeouts: LaneId) -> Self {
        let streams = PopulationStreams::new(seed, &population.name);
        let (starts, duration) = (timeline.starts, timeline.duration);
        let arrivals = match &population.load {
            Load::Open(load) => Some(load.arrivals(starts, duration, streams.arrival)),
            Load::Closed(_) => None,
        };
        let clients = Clients::new(population, streams, starts, duration);
        Self {
            population,
            streams,
            clients,
            is_paired: population.is_paired(),
            arrivals,
            arrived: 0,
            timeouts,
        }
    }
}

impl<'w> Run<'w> {
    fn new(timeline: &Timeline, variant: &'w Variant, seed: u64, layout: Layout) -> Self {
        let World { gateway, populations, .. } = &variant.world;
        let mut context = Context {
            now: timeline.starts,
            since_start: Duration::ZERO,
            starts: timeline.starts,
            events: EventQueue::new(),
            recorder: Recorder::new(layout),
            jobs_of_clients: 0,
            bearers: Bearers::new(&variant.world, timeline.starts),
            noticeable: timeline.slo_latency / 3,
        };
        let senders = populations.iter().map(|population| {
            let lane = context.events.lane();
            ActivePopulation::new(population, timeline, seed, lane)
        });
        let senders = senders.collect();
        let services = Services::new(&variant.world, &mut context, seed);
        let keepers = keepers(&variant.world, &services, seed);
        Self {
            ends: timeline.starts + timeline.duration,
            directory: Directory::new(populations, gateway),
            populations: senders,
            gateway: Pipeline::new(gateway.clone()),
            counts_ends: gateway.limits.count_ends(),
            limits: recorded_limits(&gateway.limits),
            queue_timeouts: context.events.lane(),
            upstream_of: gateway.routes.iter().map(|route| route.upstream.0 as usize).collect(),
            expect_status: &variant.world.expect_status,
            provider: gateway.auth.as_ref().map(|auth| auth.jwks.0 as usize),
            route_timeouts: gateway.routes.iter().map(|_| context.events.lane()).collect(),
            try_timeouts: gateway.routes.iter().map(|_| context.events.lane()).collect(),
            services,
            keepers,
            judges_tokens: variant.world.judges_tokens(),
            shows_tokens: gateway.auth.as_ref().is_none_or(|auth| auth.forward_token),
            has_tokens: populations.iter().any(|population| population.token.is_some()),
            draws_content: variant.world.draws_content(),
            held: vec![0; gateway.routes.iter().count()],
            last_failure: vec![CauseId::UNKNOWN; variant.world.upstreams.len()],
            has_breakers: gateway.upstreams.iter().any(|policy| policy.breaker.is_some())
                || variant
                    .world
                    .upstreams
                    .iter()
                    .any(|named| named.config.calls.iter().any(|call| call.breaker.is_some())),
            learns_hosts: gateway
                .upstreams
                .iter()
                .any(|policy| policy.hosts.ejection().is_some() || policy.hosts.health().is_some()),
            draws_hosts: gateway.draws_hosts(),
            checks: Vec::new(),
            checked: 0,
            check_stream: Stream::new(seed, Purpose::Service, "checks of the gateway"),
            checks_wake: None,
            ahead: 0,
            requests: Slab::new(),
            peak_requests: 0,
            sends_per_s: vec![0; timeline.duration.as_secs() as usize + 1],
            issued: 0,
            log: None,
            context,
        }
    }

    /// Plays until the run is over, or `go_on`, asked before each event with the time since the start, says no.
    fn play(&mut self, mut go_on: impl FnMut(Duration) -> bool) {
        for population in 0..self.populations.len() {
            self.schedule_arrival(population);
            for user in 0..self.populations[population].clients.users() {
                let first = self.populations[population].clients.first_send(user);
                self.schedule_send(population, first);
            }
        }
        let last = self.ends + DRAIN;
        self.keep_keys();
        self.keep_checks();
        loop {
            let (requests, services) = (&self.requests, &self.services);
            let next = self.context.events.pop(|event| is_open(requests, services, event));
            let Some((at, event)) = next.filter(|(at, _)| *at <= last) else { break };
            // What is left then is the keeping of keys, which would go on for ever.
            if (at >= self.ends && self.is_over()) || !go_on(at.saturating_since(self.context.starts)) {
                break;
            }
            self.context.advance(at);
            self.handle(event);
            if !self.keepers.is_empty() {
                self.keep_keys();
            }
            if self.has_breakers {
                self.record_breakers();
            }
            if self.learns_hosts {
                self.record_hosts();
            }
        }
        self.context.advance(last);
        self.services.on_run_ended(&mut self.context);
        for (_, request) in std::mem::take(&mut self.requests) {
            if let AttemptStage::Waiting { since } = request.stage {
                let (station, waited) = (StationId::Gateway, last - since);
                self.context.tell(RunEvent::LeftQueue { station, waited });
            }
            self.log_ended(&request, RequestEnd::ClientLeft);
            let why = self.holds(&request);
            let is_paired = self.populations[request.population].is_paired;
            self.context.tell_finished(&request, Outcome::Unfinished, why, is_paired);
        }
    }

    /// Whether no client has anything left to send or to wait for, and no service works for any.
    fn is_over(&self) -> bool {
        self.ahead == 0 && self.requests.is_empty() && self.context.jobs_of_clients == 0
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival { population } => {
                self.ahead -= 1;
                let population = population as usize;
                let active = &mut self.populations[population];
                let index = active.clients.first_request(active.arrived);
                active.arrived += 1;
                self.schedule_arrival(population);
                self.send(population, index);
            }
            Event::Sends { population, request } => {
                self.ahead -= 1;
                self.send(population as usize, request.index());
            }
            Event::Retry(ticket) => {
                let request = &mut self.requests[ticket.slot as usize];
                request.since = self.context.now;
                self.populations[request.population].clients.on_retry(&mut request.sent);
                self.attempt(ticket.slot);
            }
            Event::GatewayRetry(ticket) => self.gateway_retry(ticket),
            Event::NoHost(ticket) => self.no_host(ticket),
            Event::Turn(ticket) => self.take_turn(ticket),
            Event::ClientTimeout(ticket) => {
                let why = self.timed_out(ticket, Cause::ClientTimeout);
                self.abandon(ticket, None);
                self.answer(ticket, RequestEnd::ClientLeft, why);
            }
            Event::Keys { keeper } => self.wake_keeper(keeper as usize),
            Event::Checks => self.wake_checks(),
            Event::CheckTimeout(id) => self.check_timed_out(id),
            Event::QueueTimeout(ticket) => {
                let why = self.timed_out(ticket, Cause::QueueTimeout);
                self.abandon(ticket, None);
                self.context.tell(RunEvent::QueueTimeout);
                self.reject(ticket, Rejection::QueueTimeout, why);
            }
            Event::RouteTimeout(ticket) => {
                let why = self.timed_out(ticket, Cause::RouteTimeout);
                let route = self.requests[ticket.slot as usize].route;
                self.last_failure[self.upstream_of[route.0 as usize]] = why;
                self.abandon(ticket, Some(Settlement::TimedOut));
                self.answer(ticket, RequestEnd::Attempt(AttemptEnd::TimedOut), why);
            }
            Event::TryTimeout(timeout) => self.try_timed_out(timeout),
            Event::Due(job) => {
                let answer = self.services.on_due(&mut self.context, job);
                self.hear(answer);
            }
            Event::CacheWait(job) => self.services.on_cache_wait(&mut self.context, job),
            Event::AnsweredAtOnce(answer) => {
                let answer = self.services.on_answered_at_once(&mut self.context, &answer);
                self.hear(answer);
            }
            Event::CallTimeout(call) => {
                let answer = self.services.on_call_timeout(&mut self.context, call);
                self.hear(answer);
            }
            Event::CallRetry(call) => {
                let answer = self.services.on_call_retry(&mut self.context, call);
                self.hear(answer);
            }
        }
    }

    fn schedule_arrival(&mut self, population: usize) {
        if let Some(offset) = self.populations[population].arrivals.as_mut().and_then(Iterator::next) {
            let at = self.context.starts.plus_nanos(offset);
            self.ahead += 1;
            self.context.events.schedule(at, Event::Arrival { population: population as u32 });
        }
    }

    /// Lets a client think about the request that it sends then, if it sends any more.
    fn schedule_send(&mut self, population: usize, next: Option<(Timestamp, u64)>) {
        if let Some((at, index)) = next {
            self.ahead += 1;
            let (population, request) = (population as u32, RequestNumber::of(index));
            self.context.events.schedule(at, Event::Sends { population, request });
        }
    }

    /// A client sends a request, now.
    fn send(&mut self, population: usize, index: u64) {
        let clients = &mut self.populations[population].clients;
        let mut sent = clients.draw(index);
        clients.on_send(self.context.now, &mut sent);
        let route = RouteId(sent.route);
        let client = self.directory.caller(population, sent.identity);
        let ticket = self.next_ticket(self.requests.vacant_key() as u32);
        let intended = self.context.since_start;
        self.context.tell(RunEvent::Offered { population, route: route.0 as usize, intended });
        self.requests.insert(Logical {
            ticket,
            population,
            route,
            client,
            sent,
            intended: self.context.now,
            reached_upstream: false,
            stage: AttemptStage::Resting,
            since: self.context.now,
            failure: CauseId::UNKNOWN,
            waited: CauseId::UNKNOWN,
        });
        self.peak_requests = self.peak_requests.max(self.requests.len());
        self.attempt(ticket.slot);
    }

    fn next_ticket(&mut self, slot: u32) -> Ticket {
        self.issued = self.issued.wrapping_add(1);
        Ticket { slot, number: self.issued }
    }

    /// Makes the attempt that a request stands before.
    fn attempt(&mut self, slot: u32) {
        let now = self.context.now;
        let &Logical { ticket, population, route, client, .. } = &self.requests[slot as usize];
        let request = self.asked(slot);
        if let Some(sends) = self.sends_per_s.get_mut(self.context.since_start.as_secs() as usize) {
            *sends += 1;
        }
        let shown = self.bearer(slot).and_then(|bearer| self.context.bearers.token(bearer));
        let presented = shown.as_ref().map_or(Presented::Nothing, Shown::presented);
        let (checks, decision) = self.gateway.on_request(now, ticket, &request, &presented);
        self.record_decision(population, &client, route, &checks, &decision);
        self.log_decided(slot, &checks, &decision);
        if !matches!(decision, Decision::Reject(_)) {
            let &ActivePopulation { population: settings, timeouts, .. } = &self.populations[population];
            if let Some(timeout) = settings.timeout {
                self.context.events.schedule_in(timeouts, now + timeout, Event::ClientTimeout(ticket));
            }
        }
        self.obey(ticket, decision);
    }

    /// Judges an attempt that waited for keys.
    fn resume(&mut self, ticket: Ticket) {
        let now = self.context.now;
        let Some(&Logical { population, route, client, .. }) = find(&self.requests, ticket) else { return };
        let request = self.asked(ticket.slot);
        let shown = self.bearer(ticket.slot).and_then(|bearer| self.context.bearers.token(bearer));
        let presented = shown.as_ref().map_or(Presented::Nothing, Shown::presented);
        let (checks, decision) = self.gateway.on_resumed(now, ticket, &request, &presented);
        self.record_decision(population, &client, route, &checks, &decision);
        self.log_decided(ticket.slot, &checks, &decision);
        self.obey(ticket, decision);
    }

    /// By what the hosts of an attempt are chosen, where that is drawn: the same in every variant.
    fn host_draw(&self, slot: u32) -> u64 {
        if !self.draws_hosts {
            return 0;
        }
        let Logical { population, sent, .. } = &self.requests[slot as usize];
        let hosts = self.populations[*population].streams.host;
        hosts.at(sent.index).at(u64::from(sent.attempt())).bits()
    }

    /// Does with an attempt what the gateway decided.
    fn obey(&mut self, ticket: Ticket, decision: Decision) {
        let request = &mut self.requests[ticket.slot as usize];
        match decision {
            Decision::Reject(rejection) => {
                let route = request.route;
                let why = self.rejected(rejection, route);
                return self.reject(ticket, rejection, why);
            }
            // The fetch that it waits for has a deadline of its own.
            Decision::AwaitKeys { .. } => {
                request.stage = AttemptStage::AwaitsKeys;
                return;
            }
            Decision::Delay { until, limit, wait } => {
                request.stage = AttemptStage::Delayed { limit };
                if wait >= self.context.noticeable {
                    self.requests[ticket.slot as usize].waited = self.turn_at(limit);
                }
                self.context.events.schedule(until, Event::Turn(ticket));
                return;
            }
            Decision::Queue { deadline } => {
                request.stage = AttemptStage::Waiting { since: self.context.now };
                if let Some(deadline) = deadline {
                    self.context.events.schedule_in(
                        self.queue_timeouts,
                        deadline,
                        Event::QueueTimeout(ticket),
                    );
                }
            }
            Decision::Forward(forward) => {
                request.stage = AttemptStage::Waiting { since: self.context.now };
                self.forward(ticket, forward);
            }
        }
        self.record_gateway();
    }

    /// An attempt has its turn at a rate limit, if its client has not left.
    fn take_turn(&mut self, ticket: Ticket) {
        if find(&self.requests, ticket).is_none() {
            return;
        }
        let asked = self.asked(ticket.slot);
        let decision = self.gateway.on_turn(self.context.now, ticket, &asked);
        tell_dispatched(&mut self.context.recorder, self.context.since_start, &decision);
        self.log_dispatched(ticket.slot, &decision);
        self.obey(ticket, decision);
    }

    /// What the gateway is asked of a request.
    fn asked(&self, slot: u32) -> Request {
        let Logical { population, route, client, sent, .. } = self.requests[slot as usize];
        let method = self.populations[population].population.method_of(sent.index);
        Request {
            peer: client.peer,
            client: client.client,
            route: Some(route),
            method,
            idempotent: method.is_idempotent(),
            draw: self.host_draw(slot),
        }
    }

    /// What a request asks for.
    fn content(&self, slot: u32) -> Content {
        let Logical { population, ref sent, .. } = self.requests[slot as usize];
        let ActivePopulation { population, streams, .. } = &self.populations[population];
        let is_cacheable = population.method_of(sent.index).is_cacheable();
        Content { draw: streams.content.at(sent.index), is_cacheable }
    }

    /// Whose token the present attempt of a request bears; `None` for a population without any.
    fn bearer(&self, slot: u32) -> Option<Bearer> {
        if !self.has_tokens {
            return None;
        }
        let request = &self.requests[slot as usize];
        self.populations[request.population].population.token.as_ref()?;
        let identity = request.sent.identity.index;
        Some(Bearer { population: request.population as u32, identity, at: request.since })
    }

    /// Sends an attempt that has a worker on to its upstream.
    fn forward(&mut self, ticket: Ticket, forward: Forward) {
        let Forward { route, upstream: UpstreamId(upstream), host, deadline, try_timeout, pass, .. } =
            forward;
        let now = self.context.now;
        if let AttemptStage::Waiting { since } = self.requests[ticket.slot as usize].stage {
            let waited = now - since;
            self.context.tell(RunEvent::Waited { station: StationId::Gateway, waited });
            if waited >= self.context.noticeable {
                self.requests[ticket.slot as usize].waited = self.pool_is_taken();
            }
        }
        self.held[route.0 as usize] += 1;
        let request = &mut self.requests[ticket.slot as usize];
        let Some(host) = host else {
            let from = now;
            request.stage =
                AttemptStage::Forwarded { pass, from, since: now, attempt: 0, try_timeout, job: None };
            // By an event of its own: the worker that this frees may go to a request that finds no host either, and so on.
            self.context.events.schedule(now, Event::NoHost(ticket));
            return;
        };
        if let Some(deadline) = deadline {
            let lane = self.route_timeouts[route.0 as usize];
            self.context.events.schedule_in(lane, deadline, Event::RouteTimeout(ticket));
        }
        request.reached_upstream = true;
        self.dispatch(ticket, (upstream as usize, host), pass, try_timeout, now, 0);
    }

    /// Makes an attempt of the gateway's.
    fn dispatch(
        &mut self,
        ticket: Ticket,
        host: (usize, HostId),
        pass: Pass,
        try_timeout: Option<Duration>,
        from: Timestamp,
        attempt: u32,
    ) {
        let request = &self.requests[ticket.slot as usize];
        let streams = &self.populations[request.population].streams;
        let key = streams.attempt(request.sent.index, request.sent.attempt(), attempt);
        let (bearer, shows_token) = (self.bearer(ticket.slot), self.shows_tokens);
        let content = if self.draws_content { self.content(ticket.slot) } else { Content::NONE };
        let bears = Bears { bearer, shows_token, asks: Asks::Client, content };
        let job = self.services.dispatch(&mut self.context, host, CallOrigin::Gateway(ticket), key, bears);
        let since = self.context.now;
        let request = &mut self.requests[ticket.slot as usize];
        request.stage = AttemptStage::Forwarded { pass, from, since, attempt, try_timeout, job: Some(job) };
        if let Some(timeout) = try_timeout {
            let lane = self.try_timeouts[request.route.0 as usize];
            let event = Event::TryTimeout(TryTimeout { ticket, attempt });
            self.context.events.schedule_in(lane, since + timeout, event);
        }
    }

    /// An attempt of the gateway's has gone for too long without an answer.
    fn try_timed_out(&mut self, TryTimeout { ticket, .. }: TryTimeout) {
        let request = &self.requests[ticket.slot as usize];
        let AttemptStage::Forwarded { job: Some(job), .. } = request.stage else { return };
        let why = self.timed_out(ticket, Cause::TryTimeout);
        self.services.on_caller_left(&mut self.context, job);
        self.attempt_ended(ticket, AttemptEnd::TimedOut, why);
    }

    /// The gateway's wait before its next attempt is over.
    fn gateway_retry(&mut self, ticket: Ticket) {
        let Some(&Logical { route, stage, .. }) = find(&self.requests, ticket) else { return };
        let AttemptStage::Forwarded { mut pass, from, attempt, try_timeout, .. } = stage else { return };
        match self.gateway.on_retry(self.context.now, &mut pass) {
            Ok(host) => {
                let upstream = self.upstream_of[route.0 as usize];
                self.dispatch(ticket, (upstream, host), pass, try_timeout, from, attempt + 1);
            }
            Err(rejection) => {
                let why = self.rejected(rejection, route);
                self.free_worker(route, pass, None);
                self.reject(ticket, rejection, why);
            }
        }
    }

    /// An attempt that was given a worker found that no host takes part.
    fn no_host(&mut self, ticket: Ticket) {
        let Some(&Logical { route, stage: AttemptStage::Forwarded { pass, .. }, .. }) =
            find(&self.requests, ticket)
        else {
            return;
        };
        let why = self.rejected(Rejection::NoHost, route);
        // Nothing was sent to any upstream.
        self.requests[ticket.slot as usize].stage = AttemptStage::Resting;
        self.free_worker(route, pass, None);
        self.reject(ticket, Rejection::NoHost, why);
    }

    /// The gateway hears of an upstream, if somebody still waits for it.
    fn hear(&mut self, answer: Option<Heard>) {
        match answer {
            Some(Heard::Answer { ticket, end, why }) => self.attempt_ended(ticket, end, why),
            Some(Heard::Keys { holder, fetch, end, why }) => self.hear_keys(holder, fetch, end, why),
            Some(Heard::Check { id, end }) => self.hear_check(id, end),
            None => {}
        }
    }

    /// An attempt of the gateway's ended, if somebody still waits for it: the gateway makes another, or the client gets this end.
    fn attempt_ended(&mut self, ticket: Ticket, reply: AttemptEnd, why: CauseId) {
        let Some(&Logical { population, route, ref sent, ref stage, .. }) = find(&self.requests, ticket)
        else {
            return;
        };
        let AttemptStage::Forwarded { mut pass, from, since, attempt, try_timeout, .. } = *stage else {
            return;
        };
        let now = self.context.now;
        let took = now - since;
        if reply.failure().is_some() {
            self.last_failure[self.upstream_of[route.0 as usize]] = why;
        }
        // The gateway's jitter is drawn below the client's attempt that it serves.
        let jitter = self.populations[population].streams.jitter;
        let unit = || jitter.at(sent.index).at(u64::from(sent.attempt())).at(u64::from(attempt)).unit();
        if let Some(wait) = self.gateway.on_attempt_ended(now, &mut pass, reply, took, unit) {
            let stage = AttemptStage::Forwarded { pass, from, since, attempt, try_timeout, job: None };
            self.requests[ticket.slot as usize].stage = stage;
            self.context.events.schedule(now + service_is_back_after(wait), Event::GatewayRetry(ticket));
            return;
        }
        let end = RequestEnd::Attempt(reply);
        let seen = ClientEnd::of_request(end, &self.expect_status[route.0 as usize]);
        let is_served = seen.outcome == Outcome::Served;
        let why = if is_served { self.took_longest(ticket, from, why) } else { why };
        self.free_worker(route, pass, end.settlement(took));
        self.end_at_gateway(ticket, end);
        self.conclude(ticket, seen, why);
    }

    /// The gateway has answered an attempt, or its client has left it.
    fn end_at_gateway(&mut self, ticket: Ticket, end: RequestEnd) {
        if self.counts_ends {
            self.gateway.on_ended(self.context.now, ticket, end);
        }
        self.log_ended_of(ticket, end);
    }

    /// An attempt leaves the gateway without an answer of an upstream, whose breaker learns of the `settlement`, if anything.
    fn abandon(&mut self, ticket: Ticket, settlement: Option<Settlement>) {
        let Logical { route, stage, .. } = self.requests[ticket.slot as usize];
        match stage {
            AttemptStage::Resting | AttemptStage::Delayed { .. } => {}
            AttemptStage::AwaitsKeys => self.gateway.on_left_keys(ticket),
            AttemptStage::Waiting { since } => {
                let waited = self.context.now - since;
                self.context.tell(RunEvent::LeftQueue { station: StationId::Gateway, waited });
                self.gateway.on_left_queue(ticket);
                self.start_waiting();
                self.record_gateway();
            }
            AttemptStage::Forwarded { pass, job, .. } => {
                if let Some(job) = job {
                    self.services.on_caller_left(&mut self.context, job);
                }
                self.free_worker(route, pass, settlement);
            }
        }
    }

    /// A worker of the gateway is free; the next in the queue takes it.
    fn free_worker(&mut self, route: RouteId, pass: Pass, settlement: Option<Settlement>) {
        let held = &mut self.held[route.0 as usize];
        *held = held.checked_sub(1).expect("a route that frees a worker holds one");
        if let Some((next, forward)) = self.gateway.on_finished(self.context.now, pass, settlement) {
            self.forward(next, forward);
        }
        self.start_waiting();
        self.record_gateway();
    }

    /// Those who waited for a place under a cap of the gateway, and have one now.
    fn start_waiting(&mut self) {
        while let Some((next, forward)) = self.gateway.poll_started(self.context.now) {
            self.forward(next, forward);
        }
    }

    /// The gateway answers an attempt by itself.
    fn reject(&mut self, ticket: Ticket, rejection: Rejection, why: CauseId) {
        self.answer(ticket, RequestEnd::Rejected(rejection), why);
    }

    /// An attempt ended at the gateway without an answer of its upstream, of which alone a status is expected.
    fn answer(&mut self, ticket: Ticket, end: RequestEnd, why: CauseId) {
        self.end_at_gateway(ticket, end);
        self.conclude(ticket, ClientEnd::of_request(end, &[]), why);
    }

    /// An attempt ended for its client, which tries again or leaves it at that; then a user, or a client on a journey, goes back to thinking.
    fn conclude(&mut self, ticket: Ticket, end: ClientEnd, why: CauseId) {
        let now = self.context.now;
        let request = &mut self.requests[ticket.slot as usize];
        let clients = &mut self.populations[request.population].clients;
        let again = if let Some(failure) = end.failure() {
            clients.on_failed(now, &mut request.sent, failure, end.retry_after)
        } else {
            clients.on_ended(&mut request.sent);
            None
        };
        if let Some(again) = again {
            request.stage = AttemptStage::Resting;
            (request.failure, request.waited) = (why, CauseId::UNKNOWN);
            let ticket = self.next_ticket(ticket.slot);
            self.requests[ticket.slot as usize].ticket = ticket;
            self.context.events.schedule(again, Event::Retry(ticket));
            return;
        }
        let (population, index) = (request.population, request.sent.index);
        let is_paired = self.populations[population].is_paired;
        self.context.tell_finished(request, end.outcome, why, is_paired);
        self.requests.remove(ticket.slot as usize);
        let next = self.populations[population].clients.next_send(now, index, end.went_well());
        self.schedule_send(population, next);
    }
}

/// Those who judge tokens: the gateway first, if it does.
fn keepers(world: &World, services: &Services, seed: u64) -> Vec<Keeper> {
    let keeper = |holder, name: &str| Keeper {
        holder,
        stream: Stream::new(seed, Purpose::Service, name),
        fetches: 0,
        fetching: None,
        wakes: None,
        failure: CauseId::UNKNOWN,
    };
    let of_gateway = world.gateway.auth.as_ref().map(|_| keeper(KeyHolder::Gateway, "keys of the gateway"));
    let of_services = services.key_holders().map(|service| {
        let (upstream, host) = world.hosts().nth(service).unwrap_or_default();
        let name = &world.upstreams[upstream].name;
        let name = if host == 0 { format!("keys of {name}") } else { format!("keys of {name}, host {host}") };
        keeper(KeyHolder::Service(service), &name)
    });
    of_gateway.into_iter().chain(of_services).collect()
}

fn find(requests: &Slab<Logical>, ticket: Ticket) -> Option<&Logical> {
    requests.get(ticket.slot as usize).filter(|request| request.ticket == ticket)
}

/// Whether a timeout can still come to pass.
fn is_open(requests: &Slab<Logical>, services: &Services, event: &Event) -> bool {
    match event {
        Event::ClientTimeout(ticket) | Event::RouteTimeout(ticket) => find(requests, *ticket).is_some(),
        Event::QueueTimeout(ticket) => find(requests, *ticket)
            .is_some_and(|request| matches!(request.stage, AttemptStage::Waiting { .. })),
        // The timeout of an attempt ends when the answer begins.
        Event::TryTimeout(TryTimeout { ticket, attempt: number }) => {
            find(requests, *ticket).is_some_and(|request| match request.stage {
                AttemptStage::Forwarded { attempt, job: Some(job), .. } => {
                    attempt == *number && !services.trickles(job)
                }
                _ => false,
            })
        }
        Event::CallTimeout(call) => services.is_under_way(*call),
        Event::CacheWait(job) => services.waits_at_cache(*job),
        Event::Arrival { .. }
        | Event::Sends { .. }
        | Event::Keys { .. }
        | Event::Checks
        | Event::CheckTimeout(_)
        | Event::Retry(_)
        | Event::GatewayRetry(_)
        | Event::NoHost(_)
        | Event::Turn(_)
        | Event::Due(_)
        | Event::AnsweredAtOnce(_)
        | Event::CallRetry(_) => true,
    }
}
