//! The virtual engine: the whole path of every request over simulated time, on one thread.
//!
//! It decides nothing. Whether a request is admitted, waits, or is answered is for the gateway to say; how long a
//! service works on it, for the upstream; when clients send, for their load. The engine carries decisions from
//! one machine to the next, wakes each at its time, and tells the recorder.

use std::time::Duration;

use gateway::{
    Checks, Decision, End, Forward, Pass, Pipeline, Rejection, Request, RouteId, Scope, Settlement,
    Timestamp, UpstreamId, Verdict,
};
use reports::{Finished, Outcome, Recorder, Recording, StationId};
use simulator::{
    Arrivals, FaultTimeline, Load, PopulationStreams, Purpose, Reaction, Stream, Upstream, Work,
};
use slab::Slab;

use super::directory::{Caller, Directory};
use super::event_queue::{EventQueue, LaneId};
use super::layout::layout;
use crate::{Timeline, Variant, World};

/// For how long a run goes on after the last arrival, at most.
pub const DRAIN: Duration = Duration::from_secs(300);

/// Runs a variant under a seed, from the first arrival until the last request has ended or [`DRAIN`] is over.
///
/// The same version, scenario and seed give the same recording on any machine.
pub fn run(timeline: &Timeline, variant: &Variant, seed: u64) -> Recording {
    let mut run = Run::new(timeline, variant, seed);
    run.play();
    run.recorder.finish()
}

struct Run<'w> {
    now: Timestamp,
    starts: Timestamp,
    ends: Timestamp,
    events: EventQueue<Event>,
    directory: Directory,
    clients: Vec<Clients<'w>>,
    gateway: Pipeline<Ticket>,
    /// The enabled limits, each with its place in the record.
    limits: Vec<(Scope, usize)>,
    queue_timeouts: LaneId,
    /// By route.
    route_timeouts: Vec<LaneId>,
    upstreams: Vec<Service>,
    requests: Slab<InFlight>,
    jobs: Slab<Job>,
    issued: u32,
    recorder: Recorder,
}

/// A population at work.
struct Clients<'w> {
    population: &'w simulator::Population,
    streams: PopulationStreams,
    arrivals: Option<Arrivals>,
    /// Arrivals so far.
    arrived: u64,
    timeouts: LaneId,
}

struct Service {
    upstream: Upstream<usize>,
    /// Its part in the key of a service time.
    path: u64,
}

/// A logical request that has not ended.
struct InFlight {
    ticket: Ticket,
    population: usize,
    route: RouteId,
    /// Of the population's requests.
    index: u64,
    user: Option<User>,
    intended: Timestamp,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the gateway's queue.
    Waiting,
    /// Holds a worker of the gateway.
    Forwarded {
        pass: Pass,
        /// When it was sent to the upstream.
        since: Timestamp,
    },
}

/// A user of a closed-loop population, and how many requests it has sent.
#[derive(Clone, Copy)]
struct User {
    number: u32,
    sent: u32,
}

/// Names a request for as long as it lasts. Slots are used again, numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ticket {
    slot: u32,
    number: u32,
}

/// Work of an upstream. It outlives the request that caused it if the caller leaves.
struct Job {
    caller: Ticket,
    upstream: usize,
    since: Timestamp,
}

#[derive(Clone, Copy)]
enum Event {
    /// The next open-loop request of a population.
    Arrival { population: u32 },
    /// A user is done thinking.
    Sends { population: u32, user: User },
    /// The client gives up.
    ClientTimeout(Ticket),
    /// The wait in the gateway's queue has been too long.
    QueueTimeout(Ticket),
    /// The route's timeout has run out.
    RouteTimeout(Ticket),
    /// An upstream's work is done.
    Completed { job: u32 },
}

impl<'w> Run<'w> {
    fn new(timeline: &Timeline, variant: &'w Variant, seed: u64) -> Self {
        let World { gateway, upstreams, populations } = &variant.world;
        let mut events = EventQueue::new();
        let clients = populations.iter().map(|population| {
            let streams = PopulationStreams::new(seed, &population.name);
            let arrivals = match &population.load {
                Load::Open(load) => Some(load.arrivals(timeline.starts, timeline.duration, streams.arrival)),
                Load::Closed { .. } => None,
            };
            Clients { population, streams, arrivals, arrived: 0, timeouts: events.lane() }
        });
        let clients = clients.collect();
        let service = |named: &crate::NamedUpstream| Service {
            upstream: Upstream::new(named.config.clone(), timeline.starts, FaultTimeline::default()),
            path: Stream::new(0, Purpose::Service, &named.name).bits(),
        };
        let enabled = Scope::ALL.into_iter().filter(|scope| gateway.limits.get(*scope).is_some());
        Self {
            now: timeline.starts,
            starts: timeline.starts,
            ends: timeline.starts + timeline.duration,
            directory: Directory::new(populations),
            clients,
            gateway: Pipeline::new(gateway.clone()),
            limits: enabled.zip(0..).collect(),
            queue_timeouts: events.lane(),
            route_timeouts: gateway.routes.iter().map(|_| events.lane()).collect(),
            upstreams: upstreams.iter().map(service).collect(),
            requests: Slab::new(),
            jobs: Slab::new(),
            issued: 0,
            events,
            recorder: Recorder::new(layout(timeline, variant)),
        }
    }

    fn play(&mut self) {
        for population in 0..self.clients.len() {
            match &self.clients[population].population.load {
                Load::Open(_) => self.schedule_arrival(population),
                Load::Closed { users, .. } => {
                    for number in 0..*users {
                        self.think(population, User { number, sent: 0 });
                    }
                }
            }
        }
        let last = self.ends + DRAIN;
        while let Some((at, event)) = self.events.pop(|event| is_open(&self.requests, event)) {
            if at > last {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        self.now = last;
        for (_, request) in std::mem::take(&mut self.requests) {
            self.record_end(&request, Outcome::Unfinished);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival { population } => {
                let population = population as usize;
                let index = self.clients[population].arrived;
                self.clients[population].arrived += 1;
                self.schedule_arrival(population);
                self.send(population, index, None);
            }
            Event::Sends { population, user } => {
                let index = u64::from(user.number) << 32 | u64::from(user.sent);
                self.send(population as usize, index, Some(User { sent: user.sent + 1, ..user }));
            }
            Event::ClientTimeout(ticket) => match self.requests[ticket.slot as usize].stage {
                Stage::Waiting => self.leave_queue(ticket, Outcome::GaveUp),
                Stage::Forwarded { .. } => self.end(ticket, Outcome::GaveUp, End::ClientLeft),
            },
            Event::QueueTimeout(ticket) => self.leave_queue(ticket, outcome_of(Rejection::QueueTimeout)),
            Event::RouteTimeout(ticket) => {
                self.end(ticket, Outcome::TimedOut, End::Settled(Settlement::TimedOut));
            }
            Event::Completed { job } => self.complete(job as usize),
        }
    }

    fn schedule_arrival(&mut self, population: usize) {
        if let Some(offset) = self.clients[population].arrivals.as_mut().and_then(Iterator::next) {
            let at = self.starts.plus_nanos(offset);
            self.events.schedule(at, Event::Arrival { population: population as u32 });
        }
    }

    /// Lets a user think about its next request; nobody sends after the end.
    fn think(&mut self, population: usize, user: User) {
        let Clients { population: settings, streams, .. } = &self.clients[population];
        let Load::Closed { think, .. } = &settings.load else { return };
        let stream = streams.arrival.at(u64::from(user.number)).at(u64::from(user.sent));
        let at = self.now + think.sample(stream);
        if at < self.ends {
            self.events.schedule(at, Event::Sends { population: population as u32, user });
        }
    }

    /// A client sends a request, now.
    fn send(&mut self, population: usize, index: u64, user: Option<User>) {
        let &Clients { population: settings, streams, timeouts, .. } = &self.clients[population];
        let route = RouteId(settings.targets.draw(streams.route.at(index)));
        let identity = settings.identities.draw(streams.identity.at(index));
        let caller = self.directory.caller(population, identity);
        self.issued = self.issued.wrapping_add(1);
        let ticket = Ticket { slot: self.requests.vacant_key() as u32, number: self.issued };
        let request = Request { peer: caller.peer, client: caller.client, route: Some(route) };
        let at = self.now - self.starts;
        self.recorder.on_offered(population, route.0 as usize, at);
        let (checks, decision) = self.gateway.on_request(self.now, ticket, &request);
        self.record_checks(population, &caller, route, &checks, &decision);

        let in_flight =
            InFlight { ticket, population, route, index, user, intended: self.now, stage: Stage::Waiting };
        if let Decision::Reject(rejection) = decision {
            self.finish(&in_flight, outcome_of(rejection), false);
            return;
        }
        self.requests.insert(in_flight);
        if let Some(timeout) = settings.timeout {
            self.events.schedule_in(timeouts, self.now + timeout, Event::ClientTimeout(ticket));
        }
        match decision {
            Decision::Forward(forward) => {
                if let Some((outcome, end)) = self.forward(ticket, forward) {
                    self.end(ticket, outcome, end);
                }
            }
            Decision::Queue { deadline: Some(deadline) } => {
                self.events.schedule_in(self.queue_timeouts, deadline, Event::QueueTimeout(ticket));
            }
            Decision::Queue { deadline: None } | Decision::Reject(_) => {}
        }
        self.record_gateway();
    }

    /// Sends a request on to its upstream; an answer that comes at once is returned.
    fn forward(&mut self, ticket: Ticket, forward: Forward) -> Option<(Outcome, End)> {
        let Forward { route, upstream: UpstreamId(upstream), deadline, pass } = forward;
        let upstream = upstream as usize;
        let request = &mut self.requests[ticket.slot as usize];
        request.stage = Stage::Forwarded { pass, since: self.now };
        let streams = &self.clients[request.population].streams;
        let waited = self.now - request.intended;
        self.recorder.on_wait(StationId::Gateway, waited);
        self.recorder.on_attempt(upstream);
        if let Some(deadline) = deadline {
            let lane = self.route_timeouts[route.0 as usize];
            self.events.schedule_in(lane, deadline, Event::RouteTimeout(ticket));
        }
        let Service { upstream: service, path } = &mut self.upstreams[upstream];
        let stream = streams.service_time(request.index, 0, 0, *path);
        let job = self.jobs.insert(Job { caller: ticket, upstream, since: self.now });
        let answer = match service.on_request(self.now, job, stream) {
            Reaction::Started(work) => {
                self.start(upstream, job, work);
                None
            }
            Reaction::Queued => None,
            Reaction::Answered { status, .. } => {
                self.jobs.remove(job);
                Some((Outcome::UpstreamError, answered(status, Duration::ZERO)))
            }
            Reaction::Refused => {
                self.jobs.remove(job);
                Some((Outcome::UpstreamError, End::Settled(Settlement::ConnectionFailed)))
            }
        };
        self.record_upstream(upstream);
        answer
    }

    /// A worker of an upstream takes a job.
    fn start(&mut self, upstream: usize, job: usize, work: Work) {
        let waited = self.now - self.jobs[job].since;
        self.recorder.on_wait(StationId::Upstream(upstream), waited);
        if let Some(time) = work.time {
            self.events.schedule(self.now + time, Event::Completed { job: job as u32 });
        }
    }

    /// An upstream is done with a job: the next in its queue starts, and the caller, if it is still there, has its
    /// answer.
    fn complete(&mut self, job: usize) {
        let Job { caller, upstream, .. } = self.jobs.remove(job);
        if let Some((next, work)) = self.upstreams[upstream].upstream.on_completed(self.now) {
            self.start(upstream, next, work);
        }
        self.record_upstream(upstream);
        if let Some(Stage::Forwarded { since, .. }) =
            find(&self.requests, caller).map(|request| request.stage)
        {
            self.end(caller, Outcome::Served, answered(200, self.now - since));
        }
    }

    /// A request leaves the gateway's queue without having been sent on.
    fn leave_queue(&mut self, ticket: Ticket, outcome: Outcome) {
        self.gateway.on_left_queue(ticket);
        let request = self.requests.remove(ticket.slot as usize);
        self.finish(&request, outcome, false);
        self.record_gateway();
    }

    /// A request that holds a worker ends. The worker goes to the next in the queue, whose answer may come at
    /// once, and so on.
    fn end(&mut self, ticket: Ticket, outcome: Outcome, end: End) {
        let mut ended = (ticket, outcome, end);
        loop {
            let (ticket, outcome, end) = ended;
            let request = self.requests.remove(ticket.slot as usize);
            self.finish(&request, outcome, true);
            let Stage::Forwarded { pass, .. } = request.stage else { break };
            let Some((next, forward)) = self.gateway.on_finished(self.now, pass, end) else { break };
            let Some((outcome, end)) = self.forward(next, forward) else { break };
            ended = (next, outcome, end);
        }
        self.record_gateway();
    }

    /// The client has its answer, or none: a user goes back to thinking.
    fn finish(&mut self, request: &InFlight, outcome: Outcome, reached_upstream: bool) {
        self.record_finished(request, outcome, reached_upstream);
        if let Some(user) = request.user {
            self.think(request.population, user);
        }
    }

    fn record_end(&mut self, request: &InFlight, outcome: Outcome) {
        self.record_finished(request, outcome, matches!(request.stage, Stage::Forwarded { .. }));
    }

    fn record_finished(&mut self, request: &InFlight, outcome: Outcome, reached_upstream: bool) {
        self.recorder.on_finished(Finished {
            population: request.population,
            route: request.route.0 as usize,
            intended: request.intended - self.starts,
            at: self.now - self.starts,
            outcome,
            reached_upstream,
        });
    }

    fn record_checks(
        &mut self,
        population: usize,
        caller: &Caller,
        route: RouteId,
        checks: &Checks,
        decision: &Decision,
    ) {
        let at = self.now - self.starts;
        for (scope, place) in &self.limits {
            match checks.get(*scope) {
                Some(Verdict::Admitted { .. }) => {
                    self.recorder.on_limit_admitted(*place, caller.bucket(*scope, route.0), at);
                }
                Some(Verdict::Rejected { .. }) => self.recorder.on_limit_rejected(*place, at),
                None => {}
            }
        }
        if !matches!(decision, Decision::Reject(Rejection::RateLimited { .. })) {
            self.recorder.on_admitted(population, at);
        }
    }

    fn record_gateway(&mut self) {
        let at = self.now - self.starts;
        self.recorder.on_load(StationId::Gateway, at, self.gateway.in_flight(), self.gateway.queued());
    }

    fn record_upstream(&mut self, upstream: usize) {
        let at = self.now - self.starts;
        let service = &self.upstreams[upstream].upstream;
        self.recorder.on_load(StationId::Upstream(upstream), at, service.in_flight(), service.queued());
    }
}

/// An upstream's answer, as a breaker sees it.
const fn answered(status: u16, took: Duration) -> End {
    End::Settled(Settlement::Answered { status, took })
}

/// The gateway's reasons in the words of the record.
const fn outcome_of(rejection: Rejection) -> Outcome {
    match rejection {
        Rejection::RateLimited { .. } => Outcome::RateLimited,
        Rejection::NoRoute => Outcome::NoRoute,
        Rejection::ShortCircuited { .. } => Outcome::ShortCircuited,
        Rejection::BulkheadFull | Rejection::QueueFull | Rejection::QueueTimeout => Outcome::Shed,
    }
}

fn find(requests: &Slab<InFlight>, ticket: Ticket) -> Option<&InFlight> {
    requests.get(ticket.slot as usize).filter(|request| request.ticket == ticket)
}

/// Whether a timeout can still come to pass.
fn is_open(requests: &Slab<InFlight>, event: &Event) -> bool {
    match event {
        Event::ClientTimeout(ticket) | Event::RouteTimeout(ticket) => find(requests, *ticket).is_some(),
        Event::QueueTimeout(ticket) => {
            find(requests, *ticket).is_some_and(|request| request.stage == Stage::Waiting)
        }
        Event::Arrival { .. } | Event::Sends { .. } | Event::Completed { .. } => true,
    }
}
