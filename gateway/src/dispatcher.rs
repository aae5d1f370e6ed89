//! What stands behind the limits: breaker, caps on concurrency, worker, upstream, host.

use std::hash::Hash;
use std::time::Duration;

use crate::admission::Request;
use crate::attempt::AttemptEnd;
use crate::breaker::{Breaker, Condition, Permit, Settlement, ShortCircuit, Transition};
use crate::concurrency::{CapScope, Caps, Entered, GatePass, Gates, Way};
use crate::config::{GatewayConfig, UpstreamPolicy};
use crate::hosts::{HostChange, HostCheck, HostCondition, HostId, HostPass, Hosts};
use crate::invariant::Invariants;
use crate::pool::{Place, Pool};
use crate::rejection::Rejection;
use crate::retry::{Retrier, RetryState};
use crate::route::{GatewayRetry, Route, RouteId, Routes, UpstreamId};
use crate::timestamp::Timestamp;

/// The path of a request behind the limits: breaker, caps on concurrency, worker, upstream, host.
///
/// All of it is one per gateway, however many threads serve: a pool per thread would be as many pools.
///
/// The calling contract, for a ticket unique among the requests present:
///
/// - [`Dispatcher::on_admitted`] decides. A [`Dispatch::Forward`] holds a worker and makes an attempt, until
///   [`Dispatcher::on_finished`]: when the answer is whole or the attempt failed otherwise, when the deadline passes (the
///   client is answered 504) or when the client leaves, whichever comes first.
/// - Before that, a failed attempt may be made again: [`Dispatcher::on_attempt_ended`] says whether and when, and
///   [`Dispatcher::on_retry`] begins the next one. The worker and the places under caps stay held all the while.
/// - A [`Dispatch::Queue`] waits, for a place under a cap or for a worker, until it is started by `on_finished` or by
///   [`Dispatcher::poll_started`], or until [`Dispatcher::on_left_queue`]: when its deadline passes (the client is answered by
///   [`Rejection::QueueTimeout`]) or when the client leaves.
/// - After `on_finished` and `on_left_queue`, `poll_started` is asked until it gives nothing.
#[derive(Debug)]
pub struct Dispatcher<T> {
    gates: Gates<T, Waiting>,
    pool: Pool<T, Waiting>,
    timeout: Option<Duration>,
    routes: Routes,
    /// By route.
    retries: Vec<Option<RouteRetry>>,
    upstreams: Vec<UpstreamGuard>,
    try_timeout: Option<Duration>,
    /// How often the configuration was replaced.
    epoch: u32,
    invariants: Invariants,
}

/// The state of a [`GatewayRetry`].
#[derive(Debug)]
struct RouteRetry {
    retrier: Retrier,
    non_idempotent: bool,
}

/// The state of an [`UpstreamPolicy`].
#[derive(Debug)]
struct UpstreamGuard {
    policy: UpstreamPolicy,
    breaker: Option<Breaker>,
    /// The last one that was taken out: its permits may still be out.
    retired: Option<Breaker>,
    /// `None` where there is one host, of which nothing is learned.
    hosts: Option<Hosts>,
}

impl UpstreamGuard {
    fn new(policy: &UpstreamPolicy, invariants: &Invariants) -> Self {
        let breaker = policy.breaker.map(|config| Breaker::new(config).with_invariants(invariants.clone()));
        let hosts = Hosts::new(&policy.hosts, invariants);
        Self { policy: *policy, breaker, retired: None, hosts }
    }

    fn reconfigure(&mut self, now: Timestamp, policy: &UpstreamPolicy, invariants: &Invariants) {
        self.policy = *policy;
        match &mut self.hosts {
            // Requests may hold slots there, so that a machine with nothing left to do stays too.
            Some(hosts) => hosts.reconfigure(now, &policy.hosts),
            None => self.hosts = Hosts::new(&policy.hosts, invariants),
        }
        match (&mut self.breaker, policy.breaker) {
            (Some(breaker), Some(config)) => breaker.reconfigure(now, config),
            (None, Some(config)) => {
                let breaker = Breaker::after(self.retired.as_ref(), config);
                self.breaker = Some(breaker.with_invariants(invariants.clone()));
            }
            (breaker, None) => self.retired = breaker.take().or(self.retired.take()),
        }
    }

    /// Whether any host takes part.
    #[inline]
    fn has_host(&mut self, now: Timestamp) -> bool {
        self.hosts.as_mut().is_none_or(|hosts| hosts.has_any(now))
    }

    /// Gives an attempt its host.
    #[inline]
    fn choose(&mut self, now: Timestamp, pass: &mut HostPass) -> Option<HostId> {
        match &mut self.hosts {
            Some(hosts) => hosts.choose(now, pass),
            None => Some(HostId(0)),
        }
    }

    /// An attempt no longer holds its slot at its host.
    #[inline]
    fn leave_host(&mut self, pass: &mut HostPass) {
        if let Some(hosts) = &mut self.hosts {
            hosts.on_left(pass);
        }
    }
}

impl RouteRetry {
    fn of(config: &GatewayConfig, route: &Route, epoch: u32, invariants: &Invariants) -> Option<Self> {
        let GatewayRetry { policy, non_idempotent } = config.retry_of(route)?;
        let retrier = Retrier::started_in(epoch, policy, invariants.clone());
        Some(Self { retrier, non_idempotent })
    }

    /// Whether a failed attempt of this request may be made again at all.
    const fn may_retry(&self, pass: &Pass) -> bool {
        pass.idempotent || self.non_idempotent
    }
}

/// What a request was given on its way: handed back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    route: RouteId,
    upstream: UpstreamId,
    permit: Option<Permit>,
    idempotent: bool,
    retries: RetryState,
    host: HostPass,
    gates: GatePass,
    /// What of its time was its client's, as far as that is known here.
    client_time: Duration,
}

impl Pass {
    const fn way(&self) -> Way {
        Way { route: self.route, upstream: self.upstream }
    }

    /// So much of the time since the request has its worker was its client's: its deadline is so much later.
    pub fn on_client_time(&mut self, total: Duration) {
        self.retries.postpone(total.saturating_sub(self.client_time));
        self.client_time = total.max(self.client_time);
    }
}

/// How much of a request's body has come.
///
/// An upload takes as long as its client likes. A half-open breaker gives no probe to a request that may be one: the client
/// would hold the probe's place, and keep the breaker from closing for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// All of it, or there is none.
    Whole,
    /// Not all of it.
    Coming,
}

/// A request that waits for a place under a cap, or for a worker.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    pass: Pass,
    since: Timestamp,
}

/// Where the dispatcher puts a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// The request has a worker: it is to be sent to the upstream.
    Forward(Forward),
    /// The request waits, for a place under a cap or for a worker.
    Queue {
        /// When it must be taken out if it has not started.
        deadline: Option<Timestamp>,
    },
}

/// What is on its way to one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamLoad {
    /// Requests that hold or wait for a worker of the gateway.
    pub in_flight: u32,
    /// Requests that wait until those are fewer.
    pub pending: u32,
    /// Requests that wait for their next attempt, or make it.
    pub retries: u32,
    /// The breaker; `None` where there is none.
    pub breaker: Option<Condition>,
}

/// Where a request that holds a worker goes, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The route that serves it.
    pub route: RouteId,
    /// Who is to answer.
    pub upstream: UpstreamId,
    /// Which of its hosts. `None` where none has taken part since the request came: the client is answered by
    /// [`Rejection::NoHost`], and [`Dispatcher::on_finished`] is due.
    pub host: Option<HostId>,
    /// When the client is answered 504 instead, as long as it does not keep the gateway waiting; `None` for never.
    pub deadline: Option<Timestamp>,
    /// How long each attempt may go without the head of an answer; then the attempt is over, and may be made again. `None` for
    /// no other bound than the deadline.
    pub try_timeout: Option<Duration>,
    /// Whether a failed attempt may be made again, so that the request is to be kept.
    pub may_retry: bool,
    /// To be handed back to [`Dispatcher::on_finished`].
    pub pass: Pass,
}

impl<T: Copy + Eq + Hash> Dispatcher<T> {
    /// Idle, with closed breakers. Panics where its counters are wrong.
    pub fn new(config: GatewayConfig) -> Self {
        Self::with_invariants(config, Invariants::Panic)
    }

    /// As [`Dispatcher::new`], and does this where the counters are wrong: the dispatcher's, and those of its pool, breakers and
    /// retry budgets.
    pub fn with_invariants(config: GatewayConfig, invariants: Invariants) -> Self {
        let upstreams = config.routes.iter().map(|route| route.upstream.0 as usize + 1).max().unwrap_or(0);
        Self {
            gates: Gates::new(&caps(&config), &invariants),
            retries: config
                .routes
                .iter()
                .map(|route| RouteRetry::of(&config, route, 0, &invariants))
                .collect(),
            pool: Pool::new(config.pool).with_invariants(invariants.clone()),
            timeout: config.timeout,
            try_timeout: config.try_timeout,
            epoch: 0,
            upstreams: (0..upstreams)
                .map(|upstream| UpstreamGuard::new(&config.policy(upstream), &invariants))
                .collect(),
            routes: config.routes,
            invariants,
        }
    }

    /// Goes by this configuration from now on, whose routes have the same places and lead to the same upstreams. Requests on
    /// their way keep what they hold and the deadlines that they have; what is equal in both keeps its state: breakers, and the
    /// accounts of retries. Those who start because there are more workers now.
    pub fn reconfigure(&mut self, now: Timestamp, config: GatewayConfig) -> Vec<(T, Forward)> {
        self.epoch = self.epoch.wrapping_add(1);
        for (retry, route) in self.retries.iter_mut().zip(config.routes.iter()) {
            match (retry, RouteRetry::of(&config, route, self.epoch, &self.invariants)) {
                (Some(retry), Some(RouteRetry { retrier, non_idempotent })) => {
                    retry.retrier.reconfigure(self.epoch, *retrier.policy());
                    retry.non_idempotent = non_idempotent;
                }
                (retry, other) => *retry = other,
            }
        }
        for (upstream, guard) in self.upstreams.iter_mut().enumerate() {
            guard.reconfigure(now, &config.policy(upstream), &self.invariants);
        }
        self.gates.reconfigure(&caps(&config));
        self.pool.reconfigure(config.pool);
        self.timeout = config.timeout;
        self.try_timeout = config.try_timeout;
        self.routes = config.routes;
        let mut started = Vec::new();
        while let Some((ticket, waiting)) = self.pool.start_next() {
            started.push((ticket, self.start(now, waiting.pass)));
        }
        started.extend(std::iter::from_fn(|| self.poll_started(now)));
        started
    }

    /// Decides over a request that the limits let through to a route.
    ///
    /// # Errors
    ///
    /// The rejection, if the breaker, a cap or the pool turns the request away, or no host takes part.
    pub fn on_admitted(
        &mut self,
        now: Timestamp,
        ticket: T,
        route: RouteId,
        request: &Request,
        upload: Upload,
    ) -> Result<Dispatch, Rejection> {
        let upstream = self.routes.get(route).upstream;
        let permit = self.permit(now, upstream, upload)?;
        let (retries, idempotent) = (RetryState::default(), request.idempotent);
        let guard = &mut self.upstreams[upstream.0 as usize];
        let host = match &guard.hosts {
            Some(_) => HostPass::new(&guard.policy.hosts, request),
            None => HostPass::default(),
        };
        let gates = self.gates.pass(request);
        let mut pass =
            Pass { route, upstream, permit, idempotent, retries, host, gates, client_time: Duration::ZERO };
        let waiting = |gates| Waiting { pass: Pass { gates, ..pass }, since: now };
        let (way, mut gates) = (pass.way(), pass.gates);
        let entered = self.gates.enter(ticket, way, &mut gates, false, waiting);
        pass.gates = gates;
        match entered {
            Entered::All => {}
            Entered::Waits => {
                self.await_start(route);
                return Ok(Dispatch::Queue { deadline: self.pool.deadline(now) });
            }
            Entered::Full { scope, status } => {
                self.give_back(pass);
                return Err(match scope {
                    CapScope::PerUpstream => Rejection::BulkheadFull,
                    scope => Rejection::TooManyInFlight { scope, status },
                });
            }
        }
        if !self.upstreams[upstream.0 as usize].has_host(now) {
            self.give_back(pass);
            return Err(Rejection::NoHost);
        }
        match self.pool.on_arrival(now, ticket, Waiting { pass, since: now }) {
            Place::Worker => {
                self.check_places(upstream);
                Ok(Dispatch::Forward(self.forward(now, pass)))
            }
            Place::Queue { deadline } => {
                self.await_start(route);
                self.check_places(upstream);
                Ok(Dispatch::Queue { deadline })
            }
            Place::Full => {
                self.give_back(pass);
                // The head has come through the whole queue in the time that it has waited; a newcomer would need as long.
                let head = self.pool.first_queued().map(|head| now.saturating_since(head.since));
                Err(Rejection::QueueFull { retry_after: head.unwrap_or_default() })
            }
        }
    }

    /// Whether a request to this route would be a probe now, so that its body is to be whole before
    /// [`Dispatcher::on_admitted`].
    pub fn asks_for_whole_body(&self, now: Timestamp, route: RouteId) -> bool {
        let upstream = self.routes.get(route).upstream;
        let breaker = self.upstreams[upstream.0 as usize].breaker.as_ref();
        breaker.is_some_and(|breaker| breaker.would_probe(now))
    }

    /// The attempt is judged by what it was until now, although it goes on: its client takes the answer so slowly that the
    /// upstream has nothing more to show.
    pub fn on_judged(&mut self, now: Timestamp, pass: &mut Pass, settlement: Settlement) {
        self.settle(now, pass, Some(settlement));
    }

    /// A request that held a worker ended; the longest waiting takes the worker over, if any waits for one. Whoever can start besides,
    /// because the request held a place under a cap as well, is told by [`Dispatcher::poll_started`]. `settlement` is what the
    /// upstream's breaker learns of the last attempt, if anything. That the request holds a worker is an invariant.
    pub fn on_finished(
        &mut self,
        now: Timestamp,
        mut pass: Pass,
        settlement: Option<Settlement>,
    ) -> Option<(T, Forward)> {
        self.settle(now, &mut pass, settlement);
        if let Some(retry) = &mut self.retries[pass.route.0 as usize] {
            let is_answered_well = matches!(settlement, Some(Settlement::Answered { status: ..400, .. }));
            retry.retrier.on_finished(&mut pass.retries, is_answered_well);
        }
        self.upstreams[pass.upstream.0 as usize].leave_host(&mut pass.host);
        self.gates.leave(pass.way(), &mut pass.gates);
        let next = self.pool.on_release();
        self.check_places(pass.upstream);
        let (ticket, waiting) = next?;
        Some((ticket, self.start(now, waiting.pass)))
    }

    /// The next request that waited for a place under a cap and has a worker now. That it had waited is no reason to turn it away:
    /// if it has to wait for a worker as well, it does so, however many wait there.
    #[inline]
    pub fn poll_started(&mut self, now: Timestamp) -> Option<(T, Forward)> {
        while let Some((ticket, Waiting { mut pass, since })) =
            self.gates.poll_promoted(|waiting| &mut waiting.pass.gates)
        {
            let waiting = |gates| Waiting { pass: Pass { gates, ..pass }, since };
            let (way, mut gates) = (pass.way(), pass.gates);
            let entered = self.gates.enter(ticket, way, &mut gates, true, waiting);
            pass.gates = gates;
            if entered != Entered::All {
                continue;
            }
            if self.pool.try_take() {
                self.check_places(pass.upstream);
                return Some((ticket, self.start(now, pass)));
            }
            self.pool.wait(ticket, Waiting { pass, since });
        }
        None
    }

    /// An attempt ended. The wait before the next one, or `None` to answer the client with this end: then
    /// [`Dispatcher::on_finished`] is due. A wait that would outlast the deadline is not begun.
    ///
    /// `took` is the upstream's time since the attempt was sent. `unit` draws from [0, 1), for this attempt alone, and is asked
    /// only where there may be a wait.
    pub fn on_attempt_ended(
        &mut self,
        now: Timestamp,
        pass: &mut Pass,
        end: AttemptEnd,
        took: Duration,
        unit: impl FnOnce() -> f64,
    ) -> Option<Duration> {
        // The client has the beginning of an answer that breaks off: the attempt cannot be taken back.
        let failure = end.failure().filter(|_| end != AttemptEnd::Cut)?;
        let retry = self.retries[pass.route.0 as usize].as_mut()?;
        if !retry.may_retry(pass) {
            return None;
        }
        // Of a retry that failed, the next one takes the place, if no other request does.
        self.gates.end_retry(pass.way(), &mut pass.gates);
        if !self.gates.has_room_for_retry(pass.way(), &pass.gates) {
            retry.retrier.on_last_failure(&pass.retries, failure);
            return None;
        }
        let wait = retry.retrier.on_failure(&mut pass.retries, now, failure, end.retry_after(), unit())?;
        self.settle(now, pass, end.settlement(took));
        self.upstreams[pass.upstream.0 as usize].leave_host(&mut pass.host);
        self.gates.begin_retry(pass.way(), &mut pass.gates);
        Some(wait)
    }

    /// The wait is over: the next attempt is sent now, if the breaker lets it through. To this host: another than that of the
    /// attempt before, if another takes part.
    ///
    /// # Errors
    ///
    /// [`Rejection::ShortCircuited`] and [`Rejection::NoHost`]; then [`Dispatcher::on_finished`] is due.
    pub fn on_retry(&mut self, now: Timestamp, pass: &mut Pass, upload: Upload) -> Result<HostId, Rejection> {
        pass.permit = self.permit(now, pass.upstream, upload)?;
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        let Some(host) = guard.choose(now, &mut pass.host) else {
            self.settle(now, pass, None);
            return Err(Rejection::NoHost);
        };
        if let Some(retry) = &mut self.retries[pass.route.0 as usize] {
            retry.retrier.on_retry(&mut pass.retries);
        }
        if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit) {
            breaker.on_sent(now, permit);
        }
        Ok(host)
    }

    /// Takes a request out of the queue.
    pub fn on_left_queue(&mut self, ticket: T) {
        let waiting = self.pool.on_left_queue(ticket).or_else(|| self.gates.on_left(ticket));
        if let Some(waiting) = waiting {
            self.cease_waiting(waiting.pass.route);
            self.give_back(waiting.pass);
        }
    }

    /// The next change of a breaker's condition that nobody has taken note of.
    pub fn poll_transition(&mut self) -> Option<(UpstreamId, Transition)> {
        let mut guards = (0..).zip(&mut self.upstreams);
        guards.find_map(|(upstream, guard)| {
            Some((UpstreamId(upstream), guard.breaker.as_mut()?.poll_transition()?))
        })
    }

    /// The next change of whether a host takes part that nobody has taken note of.
    pub fn poll_host_change(&mut self) -> Option<(UpstreamId, HostChange)> {
        let mut guards = (0..).zip(&mut self.upstreams);
        guards
            .find_map(|(upstream, guard)| Some((UpstreamId(upstream), guard.hosts.as_mut()?.poll_change()?)))
    }

    /// The next check of a host that is to begin now, if one is. Each is followed by one [`Dispatcher::on_checked`], at its deadline at
    /// the latest; it takes no worker, and teaches nobody but the host.
    pub fn poll_check(&mut self, now: Timestamp) -> Option<(UpstreamId, HostCheck)> {
        let mut guards = (0..).zip(&mut self.upstreams);
        guards.find_map(|(upstream, guard)| {
            Some((UpstreamId(upstream), guard.hosts.as_mut()?.poll_check(now)?))
        })
    }

    /// When the next check of a host is to begin; `None` where none is before another one has ended.
    pub fn next_check(&self) -> Option<Timestamp> {
        self.upstreams.iter().filter_map(|guard| guard.hosts.as_ref()?.next_check()).min()
    }

    /// A check of a host ended: well, if the host answered with a 2xx in time.
    pub fn on_checked(&mut self, now: Timestamp, upstream: UpstreamId, check: HostCheck, well: bool) {
        let guard = self.upstreams.get_mut(upstream.0 as usize);
        if let Some(hosts) = guard.and_then(|guard| guard.hosts.as_mut()) {
            hosts.on_checked(now, check, well);
        }
    }

    /// By host of an upstream: attempts under way there, and whether the host takes part. Nothing where there is one host, of which
    /// nothing is learned.
    pub fn hosts(&self, upstream: UpstreamId) -> impl Iterator<Item = (u32, HostCondition)> {
        let hosts = self.upstreams.get(upstream.0 as usize).and_then(|guard| guard.hosts.as_ref());
        hosts.into_iter().flat_map(Hosts::states)
    }

    /// What an upstream's breaker is now; `None` where it has none.
    pub fn condition(&self, upstream: UpstreamId) -> Option<Condition> {
        self.upstreams.get(upstream.0 as usize)?.breaker.as_ref().map(Breaker::condition)
    }

    /// The upstream of a route.
    ///
    /// # Panics
    ///
    /// If the route is of another, longer table.
    pub fn upstream_of(&self, route: RouteId) -> UpstreamId {
        self.routes.get(route).upstream
    }

    /// Of every upstream that a route leads to, and of those numbered before them.
    pub fn upstreams(&self) -> impl Iterator<Item = UpstreamLoad> {
        self.upstreams.iter().zip(&self.gates.upstreams).map(|(guard, gate)| UpstreamLoad {
            in_flight: gate.in_flight(),
            pending: gate.pending(),
            retries: gate.retries(),
            breaker: guard.breaker.as_ref().map(Breaker::condition),
        })
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    /// Requests that wait, for a place under a cap or for a worker.
    pub fn queued(&self) -> u32 {
        self.pool.queued().saturating_add(self.gates.waiting())
    }

    /// Asks an upstream's breaker, if it has one.
    fn permit(
        &mut self,
        now: Timestamp,
        upstream: UpstreamId,
        upload: Upload,
    ) -> Result<Option<Permit>, Rejection> {
        let Some(breaker) = &mut self.upstreams[upstream.0 as usize].breaker else { return Ok(None) };
        let permit = if upload == Upload::Coming && breaker.would_probe(now) {
            // A request that is whole could be let through at once.
            Err(ShortCircuit { retry_after: Duration::ZERO })
        } else {
            breaker.on_request(now).map(Some)
        };
        permit.map_err(|ShortCircuit { retry_after }| Rejection::ShortCircuited { retry_after })
    }

    /// Tells an upstream's breaker and the host how an attempt ended, once: the pass holds no permit afterwards.
    #[inline]
    fn settle(&mut self, now: Timestamp, pass: &mut Pass, settlement: Option<Settlement>) {
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        if let (Some(hosts), Some(settlement)) = (&mut guard.hosts, settlement) {
            hosts.on_settled(now, &mut pass.host, settlement);
        }
        if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit.take()) {
            match settlement {
                Some(settlement) => breaker.on_settled(now, permit, settlement),
                None => breaker.on_released(permit),
            }
        }
    }

    /// No upstream has more requests than there are: a place that nobody gives back would close the bulkhead for ever.
    fn check_places(&self, upstream: UpstreamId) {
        let in_flight = self.gates.upstreams[upstream.0 as usize].in_flight();
        let present = u64::from(self.pool.in_flight()) + u64::from(self.pool.queued());
        self.invariants.hold(
            u64::from(in_flight) <= present,
            "an upstream has more requests than hold or wait for a worker",
        );
    }

    /// A request that never got a worker leaves its places, and its permit.
    fn give_back(&mut self, mut pass: Pass) {
        self.gates.leave(pass.way(), &mut pass.gates);
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit) {
            breaker.on_released(permit);
        }
    }

    /// A request waits.
    fn await_start(&mut self, route: RouteId) {
        if let Some(retry) = &mut self.retries[route.0 as usize] {
            retry.retrier.on_waiting();
        }
    }

    /// A request waits no longer, one way or the other.
    fn cease_waiting(&mut self, route: RouteId) {
        if let Some(retry) = &mut self.retries[route.0 as usize] {
            retry.retrier.on_waited();
        }
    }

    /// A request that waited has a worker.
    fn start(&mut self, now: Timestamp, pass: Pass) -> Forward {
        self.cease_waiting(pass.route);
        self.forward(now, pass)
    }

    fn forward(&mut self, now: Timestamp, mut pass: Pass) -> Forward {
        let route = self.routes.get(pass.route);
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        let timeout = route.timeout.or(guard.policy.timeout).or(self.timeout);
        let try_timeout = route.try_timeout.or(guard.policy.try_timeout).or(self.try_timeout);
        let deadline = timeout.map(|timeout| now + timeout);
        pass.retries = RetryState::until(deadline);
        let host = guard.choose(now, &mut pass.host);
        let mut may_retry = false;
        // Of a request that is not sent, nothing is learned.
        if host.is_some() {
            if let Some(retry) = &mut self.retries[pass.route.0 as usize] {
                retry.retrier.on_request(now, &mut pass.retries);
                may_retry = retry.may_retry(&pass);
            }
            if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit) {
                breaker.on_sent(now, permit);
            }
        }
        Forward { route: pass.route, upstream: pass.upstream, host, deadline, try_timeout, may_retry, pass }
    }
}

/// The caps of a configuration, by what they hold for.
fn caps(config: &GatewayConfig) -> Caps {
    let upstreams = config.routes.iter().map(|route| route.upstream.0 as usize + 1).max().unwrap_or(0);
    Caps {
        callers: config.concurrency,
        routes: config.routes.iter().map(|route| route.concurrency).collect(),
        upstreams: (0..upstreams).map(|upstream| config.policy(upstream).concurrency).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::breaker::{BreakerConfig, HalfOpen};
    use crate::concurrency::{CallerCap, CallerCaps, ConcurrencyCap};
    use crate::failure_set::FailureSet;
    use crate::hosts::{Balance, Ejection, HostsConfig};
    use crate::identity::{Client, KeySecret, Peer};
    use crate::method::Method;
    use crate::pool::PoolConfig;
    use crate::retry::RetryPolicy;

    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const FAILED: Option<Settlement> = AttemptEnd::Broken.settlement(Duration::ZERO);
    const OK: Option<Settlement> = AttemptEnd::Answered(200).settlement(Duration::ZERO);

    fn config(workers: u32, breaker: Option<BreakerConfig>) -> GatewayConfig {
        let route = Route {
            path: "/".to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        GatewayConfig {
            pool: PoolConfig { workers: NonZeroU32::new(workers), ..PoolConfig::default() },
            routes: Routes::new(vec![route]).unwrap(),
            upstreams: vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }],
            ..GatewayConfig::default()
        }
    }

    /// Opens at the second failure.
    fn breaker() -> BreakerConfig {
        BreakerConfig::new(Duration::from_secs(30), 0.5, 2).unwrap()
    }

    fn stricter() -> BreakerConfig {
        BreakerConfig::new(Duration::from_secs(30), 0.1, 2).unwrap()
    }

    fn request() -> Request {
        let peer = Peer::from(IpAddr::from([127, 0, 0, 1]));
        let client = Client::anonymous(KeySecret([0; 16]), peer);
        Request { peer, client, route: Some(RouteId(0)), method: Method::Get, idempotent: true, draw: 0 }
    }

    fn enter(dispatcher: &mut Dispatcher<u32>, now: Timestamp, ticket: u32) -> Option<Pass> {
        match dispatcher.on_admitted(now, ticket, RouteId(0), &request(), Upload::Whole) {
            Ok(Dispatch::Forward(forward)) => Some(forward.pass),
            _ => None,
        }
    }

    #[test]
    #[should_panic(expected = "a place under a cap is given back that nobody holds")]
    fn a_request_that_ends_twice_panics() {
        let mut dispatcher = Dispatcher::new(config(9, None));
        let pass = enter(&mut dispatcher, NOW, 1).unwrap();
        dispatcher.on_finished(NOW, pass, OK);
        dispatcher.on_finished(NOW, pass, OK);
    }

    #[test]
    #[should_panic(expected = "an upstream has more requests than hold or wait for a worker")]
    fn a_place_that_nobody_gives_back_panics() {
        let mut dispatcher = Dispatcher::new(config(9, None));
        let mut lost = GatePass::default();
        let way = Way { route: RouteId(0), upstream: UpstreamId(0) };
        let waits = |_| -> Waiting { unreachable!("there is room") };
        dispatcher.gates.enter(9, way, &mut lost, false, waits);
        enter(&mut dispatcher, NOW, 1);
    }

    #[test]
    fn a_dispatcher_that_counts_goes_on_after_a_request_that_ends_twice() {
        let invariants = Invariants::counting();
        let mut dispatcher = Dispatcher::with_invariants(config(1, Some(breaker())), invariants.clone());
        let pass = enter(&mut dispatcher, NOW, 1).unwrap();
        dispatcher.on_finished(NOW, pass, OK);
        assert_eq!(invariants.broken(), 0);
        dispatcher.on_finished(NOW, pass, OK);
        // The place at the upstream, and the worker.
        assert_eq!((invariants.broken(), dispatcher.in_flight()), (2, 0));
        let again = enter(&mut dispatcher, NOW, 2).unwrap();
        assert_eq!(enter(&mut dispatcher, NOW, 3), None);
        let load = UpstreamLoad { in_flight: 2, breaker: Some(Condition::Closed), ..UpstreamLoad::default() };
        assert!(dispatcher.upstreams().eq([load]));
        assert!(dispatcher.on_finished(NOW, again, OK).is_some_and(|(ticket, _)| ticket == 3));
        assert_eq!(invariants.broken(), 2);
    }

    #[test]
    fn what_a_reload_brings_counts_too() {
        let invariants = Invariants::counting();
        let mut dispatcher = Dispatcher::with_invariants(config(9, None), invariants.clone());
        let single = breaker().with_half_open(
            Duration::from_secs(10),
            HalfOpen::SingleProbe { successes_to_close: NonZeroU32::new(9).unwrap() },
        );
        dispatcher.reconfigure(NOW, config(9, single.ok()));
        let failing = [1, 2].map(|ticket| enter(&mut dispatcher, NOW, ticket).unwrap());
        for pass in failing {
            dispatcher.on_finished(NOW, pass, FAILED);
        }
        let probe = enter(&mut dispatcher, NOW + Duration::from_secs(10), 3).unwrap();
        assert_eq!(dispatcher.condition(UpstreamId(0)), Some(Condition::HalfOpen));
        let mut again = probe;
        dispatcher.on_judged(
            NOW + Duration::from_secs(11),
            &mut again,
            AttemptEnd::Answered(200).settlement(Duration::ZERO).unwrap(),
        );
        assert_eq!((again.permit, invariants.broken()), (None, 0));
        dispatcher.on_finished(NOW + Duration::from_secs(11), probe, OK);
        assert_eq!(
            invariants.poll().map(|told| told.what),
            Some("a breaker's probe ends that was never let through")
        );
    }

    #[test]
    fn more_workers_start_those_who_wait_with_deadlines_of_their_own() {
        let mut dispatcher = Dispatcher::new(config(1, None));
        let first = enter(&mut dispatcher, NOW, 1).unwrap();
        assert!((2..=4).all(|ticket| enter(&mut dispatcher, NOW, ticket).is_none()));
        let timeout = Some(Duration::from_secs(5));
        let started = dispatcher.reconfigure(NOW, GatewayConfig { timeout, ..config(3, None) });
        let started: Vec<_> = started.iter().map(|(ticket, forward)| (*ticket, forward.deadline)).collect();
        let deadline = Some(NOW + Duration::from_secs(5));
        assert_eq!(started, [(2, deadline), (3, deadline)]);
        assert_eq!((dispatcher.in_flight(), dispatcher.queued()), (3, 1));
        // Fewer: those at work go on, and the one who waits does so until there is room.
        assert_eq!(dispatcher.reconfigure(NOW, config(1, None)), []);
        assert_eq!(dispatcher.on_finished(NOW, first, OK), None);
        assert_eq!((dispatcher.in_flight(), dispatcher.queued()), (2, 1));
    }

    #[test]
    fn a_breaker_is_taught_by_no_permit_of_another() {
        let mut dispatcher = Dispatcher::new(config(9, Some(breaker())));
        let mut passes =
            (1..=6).map(|ticket| enter(&mut dispatcher, NOW, ticket).unwrap()).collect::<Vec<_>>();
        let upstream = UpstreamId(0);
        // An equal one goes on: two failures open it.
        dispatcher.on_finished(NOW, passes.pop().unwrap(), FAILED);
        dispatcher.reconfigure(NOW, config(9, Some(breaker())));
        // Another has an empty window, and what was permitted before counts for nothing in it.
        dispatcher.reconfigure(NOW, config(9, Some(stricter())));
        for _ in 0..2 {
            dispatcher.on_finished(NOW, passes.pop().unwrap(), FAILED);
        }
        assert_eq!(dispatcher.condition(upstream), Some(Condition::Closed));
        // Nor where there was none in between.
        dispatcher.reconfigure(NOW, config(9, None));
        dispatcher.on_finished(NOW, passes.pop().unwrap(), FAILED);
        dispatcher.reconfigure(NOW, config(9, Some(breaker())));
        for _ in 0..2 {
            dispatcher.on_finished(NOW, passes.pop().unwrap(), FAILED);
        }
        assert_eq!(dispatcher.condition(upstream), Some(Condition::Closed));
    }

    #[test]
    fn a_breaker_that_is_not_closed_is_open_under_another_configuration() {
        let mut dispatcher = Dispatcher::new(config(9, Some(breaker())));
        let upstream = UpstreamId(0);
        for ticket in 1..=2 {
            let pass = enter(&mut dispatcher, NOW, ticket).unwrap();
            dispatcher.on_finished(NOW, pass, FAILED);
        }
        assert_eq!(dispatcher.condition(upstream), Some(Condition::Open));
        dispatcher.reconfigure(NOW, config(9, Some(stricter())));
        assert_eq!(dispatcher.condition(upstream), Some(Condition::Open));
        // Half-open, with a probe on its way.
        let later = NOW + Duration::from_secs(10);
        let probe = enter(&mut dispatcher, later, 3).unwrap();
        assert_eq!(dispatcher.condition(upstream), Some(Condition::HalfOpen));
        dispatcher.reconfigure(later, config(9, Some(breaker())));
        dispatcher.on_finished(later, probe, OK);
        assert_eq!(dispatcher.condition(upstream), Some(Condition::Open));
        assert!(enter(&mut dispatcher, later + Duration::from_secs(9), 4).is_none());
        assert!(enter(&mut dispatcher, later + Duration::from_secs(10), 5).is_some());
        let told: Vec<_> =
            std::iter::from_fn(|| dispatcher.poll_transition()).map(|(_, told)| told.to).collect();
        assert_eq!(told, [Condition::Open, Condition::HalfOpen, Condition::Open, Condition::HalfOpen]);
    }

    fn with_hosts(hosts: u32, policy: &UpstreamPolicy) -> GatewayConfig {
        let ejection = Ejection::ENVOY.with_consecutive(NonZeroU32::MIN).with_max_share(1.0, false).unwrap();
        let hosts = HostsConfig::new(NonZeroU32::new(hosts).unwrap(), Balance::RoundRobin);
        let hosts = hosts.with_ejection(ejection);
        GatewayConfig { upstreams: vec![UpstreamPolicy { hosts, ..*policy }], ..config(1, None) }
    }

    #[test]
    fn without_a_host_a_request_takes_nothing_and_teaches_nothing() {
        let mut dispatcher = Dispatcher::new(with_hosts(1, &UpstreamPolicy::default()));
        let first = enter(&mut dispatcher, NOW, 1).unwrap();
        assert!(enter(&mut dispatcher, NOW, 2).is_none(), "it waits");
        // The only host is passed over from now on. Whoever waited gets the worker, and no host.
        let (ticket, waited) = dispatcher.on_finished(NOW, first, FAILED).unwrap();
        assert_eq!((ticket, waited.host), (2, None));
        assert_eq!(dispatcher.on_finished(NOW, waited.pass, None), None);
        let admitted = dispatcher.on_admitted(NOW, 3, RouteId(0), &request(), Upload::Whole);
        assert_eq!(admitted, Err(Rejection::NoHost));
        assert_eq!((dispatcher.in_flight(), dispatcher.queued()), (0, 0));
        assert_eq!(dispatcher.upstreams().map(|load| load.in_flight).collect::<Vec<_>>(), [0]);
        // 40 s later at the latest its time is over.
        assert!(enter(&mut dispatcher, NOW + Duration::from_secs(40), 4).is_some());
    }

    #[test]
    fn a_probe_without_a_host_gives_its_place_back() {
        let policy = UpstreamPolicy { breaker: Some(breaker()), ..UpstreamPolicy::default() };
        let mut dispatcher =
            Dispatcher::new(GatewayConfig { pool: PoolConfig::default(), ..with_hosts(2, &policy) });
        let passes: Vec<_> = (1..=2).map(|ticket| enter(&mut dispatcher, NOW, ticket).unwrap()).collect();
        for pass in passes {
            dispatcher.on_finished(NOW, pass, FAILED);
        }
        // Both hosts are passed over for 30 s, and the breaker is half-open after 10 s.
        let later = NOW + Duration::from_secs(10);
        for ticket in 3..6 {
            let admitted = dispatcher.on_admitted(later, ticket, RouteId(0), &request(), Upload::Whole);
            assert_eq!(admitted, Err(Rejection::NoHost), "no probe is out");
        }
    }

    proptest! {
        /// Whatever leaves, fails, waits or is turned away: in the end no worker, no place under a cap and no slot at a host is
        /// held, and meanwhile there are as many as requests have. Whoever waits is started as soon as there is room.
        #[test]
        fn nothing_is_lost(
            hosts in 1_u32..4,
            workers in prop::option::of(1_u32..4),
            has_breaker in any::<bool>(),
            caps in prop::array::uniform3(cap()),
            steps in prop::collection::vec((0_u8..7, any::<prop::sample::Index>(), any::<bool>()), 0..200),
        ) {
            let [upstream, route, client] = caps;
            let breaker = has_breaker.then(breaker);
            let retry = RetryPolicy { retries: 2, on: FailureSet::USUAL, ..RetryPolicy::default() };
            let retry = Some(GatewayRetry { policy: retry, non_idempotent: false });
            let policy = UpstreamPolicy { concurrency: upstream, breaker, ..UpstreamPolicy::default() };
            let queue = workers.is_some().then_some(2);
            let pool = PoolConfig { workers: workers.and_then(NonZeroU32::new), queue, queue_timeout: None };
            let concurrency =
                CallerCaps { per_ip: None, per_key: Some(CallerCap { cap: client, status: 429 }) };
            let mut config = GatewayConfig { pool, concurrency, retry, ..with_hosts(hosts, &policy) };
            let own = Route { concurrency: Some(route), ..config.routes.get(RouteId(0)).clone() };
            config.routes = Routes::new(vec![own]).unwrap();
            let mut dispatcher = Dispatcher::new(config);
            // Those that hold a worker and a host, those that hold a worker between two attempts, and those that wait.
            let (mut working, mut resting, mut waiting) = (Vec::<Pass>::new(), Vec::<Pass>::new(), Vec::<u32>::new());
            let mut now = NOW;
            for (ticket, (step, pick, well)) in (0..).zip(steps) {
                let mut ended = None;
                match step {
                    0 | 1 => match dispatcher.on_admitted(now, ticket, RouteId(0), &of_client(pick.index(2) as u8), Upload::Whole) {
                        Ok(Dispatch::Forward(forward)) => {
                            prop_assert!(forward.host.is_some());
                            working.push(forward.pass);
                        }
                        Ok(Dispatch::Queue { .. }) => waiting.push(ticket),
                        Err(_) => {}
                    },
                    2 if !working.is_empty() => {
                        let settlement = if well { OK } else { FAILED };
                        ended = Some((working.remove(pick.index(working.len())), settlement));
                    }
                    3 if !working.is_empty() => {
                        let mut pass = working.remove(pick.index(working.len()));
                        let wait = dispatcher.on_attempt_ended(
                            now, &mut pass, AttemptEnd::Answered(503), Duration::ZERO, || 0.0,
                        );
                        match wait {
                            Some(_) => resting.push(pass),
                            None => ended = Some((pass, FAILED)),
                        }
                    }
                    4 if !resting.is_empty() => {
                        let mut pass = resting.remove(pick.index(resting.len()));
                        // Its client may have left meanwhile.
                        if well && dispatcher.on_retry(now, &mut pass, Upload::Whole).is_ok() {
                            working.push(pass);
                        } else {
                            ended = Some((pass, None));
                        }
                    }
                    5 if !waiting.is_empty() => dispatcher.on_left_queue(waiting.remove(pick.index(waiting.len()))),
                    6 => now += Duration::from_secs(7),
                    _ => {}
                }
                loop {
                    let started = match ended.take() {
                        Some((pass, settlement)) => dispatcher.on_finished(now, pass, settlement),
                        None => None,
                    };
                    let Some((started, forward)) = started.or_else(|| dispatcher.poll_started(now)) else { break };
                    prop_assert!(waiting.contains(&started));
                    waiting.retain(|waits| *waits != started);
                    match forward.host {
                        Some(_) => working.push(forward.pass),
                        None => ended = Some((forward.pass, None)),
                    }
                }
                let held = working.len() + resting.len();
                prop_assert_eq!((dispatcher.in_flight() as usize, dispatcher.queued() as usize), (held, waiting.len()));
                let load = dispatcher.upstreams().next().unwrap();
                prop_assert!(load.in_flight as usize >= held);
                prop_assert!((load.in_flight + load.pending) as usize <= held + waiting.len());
                for cap in caps {
                    // There are two clients.
                    let as_many = if cap == client { 2 } else { 1 };
                    let is_kept = cap.max_retries.is_none_or(|most| load.retries <= most * as_many);
                    prop_assert!(is_kept, "{} retries", load.retries);
                }
                for most in [upstream, route].iter().filter_map(|cap| cap.max_in_flight) {
                    prop_assert!(load.in_flight <= most.get());
                }
                let slots: u32 = dispatcher.hosts(UpstreamId(0)).map(|(in_flight, _)| in_flight).sum();
                prop_assert_eq!(slots as usize, working.len());
                if held == 0 {
                    prop_assert_eq!((waiting.len(), dispatcher.gates.is_idle()), (0, true), "nobody is left behind");
                }
            }
        }
    }

    fn of_client(number: u8) -> Request {
        let client = Client::from_key(KeySecret([0; 16]), &[number]);
        Request { client, ..request() }
    }

    fn cap() -> impl Strategy<Value = ConcurrencyCap> {
        let max_in_flight = prop::option::of(1_u32..4).prop_map(|most| most.and_then(NonZeroU32::new));
        (max_in_flight, 0_u32..3, prop::option::of(0_u32..3)).prop_map(
            |(max_in_flight, max_pending, max_retries)| ConcurrencyCap {
                max_in_flight,
                max_pending,
                max_retries,
            },
        )
    }

    /// One may be under way, and one may wait: in turn, and the third is turned away. The worker is free all the while.
    #[test]
    fn who_waits_for_a_place_holds_no_worker() {
        let cap = ConcurrencyCap { max_in_flight: NonZeroU32::new(1), max_pending: 1, max_retries: None };
        let policy = UpstreamPolicy { concurrency: cap, ..UpstreamPolicy::default() };
        let mut dispatcher = Dispatcher::new(GatewayConfig { upstreams: vec![policy], ..config(9, None) });
        let first = enter(&mut dispatcher, NOW, 1).unwrap();
        let second = dispatcher.on_admitted(NOW, 2, RouteId(0), &request(), Upload::Whole);
        assert_eq!(second, Ok(Dispatch::Queue { deadline: None }));
        let third = dispatcher.on_admitted(NOW, 3, RouteId(0), &request(), Upload::Whole);
        assert_eq!(third, Err(Rejection::BulkheadFull));
        assert_eq!((dispatcher.in_flight(), dispatcher.queued()), (1, 1));
        assert_eq!(dispatcher.on_finished(NOW, first, OK), None);
        assert_eq!(dispatcher.poll_started(NOW).map(|(ticket, _)| ticket), Some(2));
        assert_eq!((dispatcher.poll_started(NOW), dispatcher.in_flight(), dispatcher.queued()), (None, 1, 0));
    }

    /// Envoy's `max_retries` of 1: while one request waits for its next attempt or makes it, no other is tried again; when that
    /// attempt has failed, the same request or another may be.
    #[test]
    fn only_so_many_are_tried_again_at_once() {
        let cap = ConcurrencyCap { max_retries: Some(1), ..ConcurrencyCap::default() };
        let policy = UpstreamPolicy { concurrency: cap, ..UpstreamPolicy::default() };
        let retry = RetryPolicy { retries: 2, on: FailureSet::USUAL, ..RetryPolicy::default() };
        let retry = Some(GatewayRetry { policy: retry, non_idempotent: false });
        let mut dispatcher =
            Dispatcher::new(GatewayConfig { upstreams: vec![policy], retry, ..config(9, None) });
        let fails = |dispatcher: &mut Dispatcher<u32>, pass: &mut Pass| {
            dispatcher
                .on_attempt_ended(NOW, pass, AttemptEnd::Answered(503), Duration::ZERO, || 0.0)
                .is_some()
        };
        let [mut one, mut other] = [1, 2].map(|ticket| enter(&mut dispatcher, NOW, ticket).unwrap());
        assert!(fails(&mut dispatcher, &mut one) && !fails(&mut dispatcher, &mut other));
        assert!(dispatcher.on_retry(NOW, &mut one, Upload::Whole).is_ok());
        assert!(!fails(&mut dispatcher, &mut other), "the retry is under way");
        assert!(fails(&mut dispatcher, &mut one), "its place is its own again");
        dispatcher.on_finished(NOW, one, FAILED);
        assert!(fails(&mut dispatcher, &mut other));
        dispatcher.on_finished(NOW, other, FAILED);
        assert!(dispatcher.gates.is_idle());
    }

    /// Those who wait under a cap that is lifted, or is larger now, start.
    #[test]
    fn another_cap_lets_those_in_who_wait() {
        let sized = |most| {
            let cap =
                ConcurrencyCap { max_in_flight: NonZeroU32::new(most), max_pending: 9, max_retries: None };
            let policy = UpstreamPolicy { concurrency: cap, ..UpstreamPolicy::default() };
            GatewayConfig { upstreams: vec![policy], ..config(9, None) }
        };
        let mut dispatcher = Dispatcher::new(sized(1));
        assert!(enter(&mut dispatcher, NOW, 1).is_some());
        assert!((2..=6).all(|ticket| enter(&mut dispatcher, NOW, ticket).is_none()));
        let started =
            |started: Vec<(u32, Forward)>| started.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>();
        assert_eq!(started(dispatcher.reconfigure(NOW, sized(3))), [2, 3]);
        assert_eq!(started(dispatcher.reconfigure(NOW, config(9, None))), [4, 5, 6]);
    }
}
