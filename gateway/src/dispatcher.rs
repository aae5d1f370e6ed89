//! What stands behind the limits: breaker, bulkhead, worker, upstream.

use std::hash::Hash;
use std::time::Duration;

use crate::attempt::AttemptEnd;
use crate::breaker::{Breaker, Condition, Permit, Settlement, ShortCircuit, Transition};
use crate::config::{GatewayConfig, UpstreamPolicy};
use crate::pool::{Place, Pool};
use crate::rejection::Rejection;
use crate::retry::{Retrier, RetryState};
use crate::route::{GatewayRetry, Route, RouteId, Routes, UpstreamId};
use crate::timestamp::Timestamp;

/// The path of a request behind the limits: breaker, bulkhead, worker, upstream.
///
/// All of it is one per gateway, however many threads serve: a pool per thread would be as many pools.
///
/// The calling contract, for a ticket unique among the requests present:
///
/// - [`Dispatcher::on_admitted`] decides. A [`Dispatch::Forward`] holds a worker and makes an attempt, until
///   [`Dispatcher::on_finished`]: when the answer is whole or the attempt failed otherwise, when the deadline passes (the
///   client is answered 504) or when the client leaves, whichever comes first.
/// - Before that, a failed attempt may be made again: [`Dispatcher::on_attempt_ended`] says whether and when, and
///   [`Dispatcher::on_retry`] begins the next one. The worker and the place in the bulkhead stay held all the while.
/// - A [`Dispatch::Queue`] waits until an `on_finished` starts it, or until [`Dispatcher::on_left_queue`]: when its
///   deadline passes (the client is answered by [`Rejection::QueueTimeout`]) or when the client leaves.
#[derive(Debug)]
pub struct Dispatcher<T> {
    pool: Pool<T, Waiting>,
    timeout: Option<Duration>,
    routes: Routes,
    /// By route.
    retries: Vec<Option<RouteRetry>>,
    upstreams: Vec<UpstreamGuard>,
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
    /// Requests that hold or wait for a worker.
    in_flight: u32,
    breaker: Option<Breaker>,
    /// The last one that was taken out: its permits may still be out.
    retired: Option<Breaker>,
}

impl UpstreamGuard {
    fn new(policy: UpstreamPolicy) -> Self {
        Self { policy, in_flight: 0, breaker: policy.breaker.map(Breaker::new), retired: None }
    }

    fn reconfigure(&mut self, now: Timestamp, policy: UpstreamPolicy) {
        self.policy = policy;
        match (&mut self.breaker, policy.breaker) {
            (Some(breaker), Some(config)) => breaker.reconfigure(now, config),
            (None, Some(config)) => self.breaker = Some(Breaker::after(self.retired.as_ref(), config)),
            (breaker, None) => self.retired = breaker.take().or(self.retired.take()),
        }
    }
}

impl RouteRetry {
    fn of(config: &GatewayConfig, route: &Route) -> Option<Self> {
        let GatewayRetry { policy, non_idempotent } = route.retry.or(config.retry)?;
        Some(Self { retrier: Retrier::new(policy), non_idempotent })
    }

    /// Whether a failed attempt of this request may be made again at all.
    const fn may_retry(&self, pass: &Pass) -> bool {
        self.retrier.policy().retries > 0 && (pass.idempotent || self.non_idempotent)
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
    /// What of its time was its client's, as far as that is known here.
    client_time: Duration,
}

impl Pass {
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

/// A request in the queue.
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
    /// The request waits for a worker.
    Queue {
        /// When it must be taken out if it has not started.
        deadline: Option<Timestamp>,
    },
}

/// Where a request that holds a worker goes, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The route that serves it.
    pub route: RouteId,
    /// Who is to answer.
    pub upstream: UpstreamId,
    /// When the client is answered 504 instead, as long as it does not keep the gateway waiting; `None` for never.
    pub deadline: Option<Timestamp>,
    /// Whether a failed attempt may be made again, so that the request is to be kept.
    pub may_retry: bool,
    /// To be handed back to [`Dispatcher::on_finished`].
    pub pass: Pass,
}

impl<T: Copy + Eq + Hash> Dispatcher<T> {
    /// Idle, with closed breakers.
    pub fn new(config: GatewayConfig) -> Self {
        let upstreams = config.routes.iter().map(|route| route.upstream.0 as usize + 1).max().unwrap_or(0);
        Self {
            retries: config.routes.iter().map(|route| RouteRetry::of(&config, route)).collect(),
            pool: Pool::new(config.pool),
            timeout: config.timeout,
            upstreams: (0..upstreams).map(|upstream| UpstreamGuard::new(config.policy(upstream))).collect(),
            routes: config.routes,
        }
    }

    /// Goes by this configuration from now on, whose routes have the same places and lead to the same upstreams. Requests on
    /// their way keep what they hold and the deadlines that they have; what is equal in both keeps its state: breakers, and the
    /// accounts of retries. Those who start because there are more workers now.
    pub fn reconfigure(&mut self, now: Timestamp, config: GatewayConfig) -> Vec<(T, Forward)> {
        for (retry, route) in self.retries.iter_mut().zip(config.routes.iter()) {
            match (retry, RouteRetry::of(&config, route)) {
                (Some(retry), Some(RouteRetry { retrier, non_idempotent })) => {
                    retry.retrier.reconfigure(*retrier.policy());
                    retry.non_idempotent = non_idempotent;
                }
                (retry, other) => *retry = other,
            }
        }
        for (upstream, guard) in self.upstreams.iter_mut().enumerate() {
            guard.reconfigure(now, config.policy(upstream));
        }
        self.pool.reconfigure(config.pool);
        self.timeout = config.timeout;
        self.routes = config.routes;
        let mut started = Vec::new();
        while let Some((ticket, waiting)) = self.pool.start_next() {
            started.push((ticket, self.forward(now, waiting.pass)));
        }
        started
    }

    /// Decides over a request that the limits let through to a route.
    ///
    /// # Errors
    ///
    /// The rejection, if the breaker, the bulkhead or the pool turns the request away.
    pub fn on_admitted(
        &mut self,
        now: Timestamp,
        ticket: T,
        route: RouteId,
        idempotent: bool,
        upload: Upload,
    ) -> Result<Dispatch, Rejection> {
        let upstream = self.routes.get(route).upstream;
        let permit = self.permit(now, upstream, upload)?;
        let retries = RetryState::default();
        let pass = Pass { route, upstream, permit, idempotent, retries, client_time: Duration::ZERO };
        let guard = &mut self.upstreams[upstream.0 as usize];
        let full = guard.policy.max_in_flight.is_some_and(|most| guard.in_flight >= most.get());
        guard.in_flight += 1;
        if full {
            self.give_back(pass);
            return Err(Rejection::BulkheadFull);
        }
        match self.pool.on_arrival(now, ticket, Waiting { pass, since: now }) {
            Place::Worker => Ok(Dispatch::Forward(self.forward(now, pass))),
            Place::Queue { deadline } => Ok(Dispatch::Queue { deadline }),
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
        self.settle(now, *pass, Some(settlement));
        pass.permit = None;
    }

    /// A request that held a worker ended; the longest waiting takes the worker over, if any waits. `settlement` is what the
    /// upstream's breaker learns of the last attempt, if anything.
    ///
    /// # Panics
    ///
    /// If no request holds a worker.
    pub fn on_finished(
        &mut self,
        now: Timestamp,
        pass: Pass,
        settlement: Option<Settlement>,
    ) -> Option<(T, Forward)> {
        self.settle(now, pass, settlement);
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        guard.in_flight = guard.in_flight.saturating_sub(1);
        let (ticket, waiting) = self.pool.on_release()?;
        Some((ticket, self.forward(now, waiting.pass)))
    }

    /// An attempt ended. The wait before the next one, or `None` to answer the client with this end: then
    /// [`Dispatcher::on_finished`] is due. A wait that would outlast the deadline is not begun.
    ///
    /// `took` is the upstream's time since the attempt was sent, and `unit` a uniform draw from [0, 1) of this attempt's own.
    pub fn on_attempt_ended(
        &mut self,
        now: Timestamp,
        pass: &mut Pass,
        end: AttemptEnd,
        took: Duration,
        unit: f64,
    ) -> Option<Duration> {
        // The client has the beginning of an answer that breaks off: the attempt cannot be taken back.
        let failure = end.failure().filter(|_| end != AttemptEnd::Cut)?;
        let retry = self.retries[pass.route.0 as usize].as_mut()?;
        if !retry.may_retry(pass) {
            return None;
        }
        let wait = retry.retrier.on_failure(&mut pass.retries, now, failure, None, unit)?;
        self.settle(now, *pass, end.settlement(took));
        pass.permit = None;
        Some(wait)
    }

    /// The wait is over: the next attempt is sent now, if the breaker lets it through.
    ///
    /// # Errors
    ///
    /// [`Rejection::ShortCircuited`]; then [`Dispatcher::on_finished`] is due.
    pub fn on_retry(&mut self, now: Timestamp, pass: &mut Pass, upload: Upload) -> Result<(), Rejection> {
        pass.permit = self.permit(now, pass.upstream, upload)?;
        if let (Some(breaker), Some(permit)) =
            (&mut self.upstreams[pass.upstream.0 as usize].breaker, pass.permit)
        {
            breaker.on_sent(now, permit);
        }
        Ok(())
    }

    /// Takes a request out of the queue.
    pub fn on_left_queue(&mut self, ticket: T) {
        if let Some(waiting) = self.pool.on_left_queue(ticket) {
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

    /// Every upstream that a route leads to, and those numbered before them.
    pub fn upstreams(&self) -> impl Iterator<Item = UpstreamId> {
        (0..self.upstreams.len()).map(|upstream| UpstreamId(upstream as u32))
    }

    /// Requests for an upstream that hold or wait for a worker.
    pub fn in_flight_for(&self, upstream: UpstreamId) -> u32 {
        self.upstreams.get(upstream.0 as usize).map_or(0, |guard| guard.in_flight)
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> u32 {
        self.pool.queued()
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

    /// Tells an upstream's breaker how the attempt that holds a permit ended.
    fn settle(&mut self, now: Timestamp, pass: Pass, settlement: Option<Settlement>) {
        let breaker = self.upstreams[pass.upstream.0 as usize].breaker.as_mut();
        if let (Some(breaker), Some(permit)) = (breaker, pass.permit) {
            match settlement {
                Some(settlement) => breaker.on_settled(now, permit, settlement),
                None => breaker.on_released(permit),
            }
        }
    }

    /// A request that never got a worker leaves its place in the bulkhead, and its permit.
    fn give_back(&mut self, pass: Pass) {
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        guard.in_flight = guard.in_flight.saturating_sub(1);
        if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit) {
            breaker.on_released(permit);
        }
    }

    fn forward(&mut self, now: Timestamp, mut pass: Pass) -> Forward {
        let mut may_retry = false;
        if let Some(retry) = &mut self.retries[pass.route.0 as usize] {
            retry.retrier.on_request(now);
            may_retry = retry.may_retry(&pass);
        }
        let guard = &mut self.upstreams[pass.upstream.0 as usize];
        if let (Some(breaker), Some(permit)) = (&mut guard.breaker, pass.permit) {
            breaker.on_sent(now, permit);
        }
        let timeout = self.routes.get(pass.route).timeout.or(guard.policy.timeout).or(self.timeout);
        let deadline = timeout.map(|timeout| now + timeout);
        pass.retries = RetryState::until(deadline);
        Forward { route: pass.route, upstream: pass.upstream, deadline, may_retry, pass }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{BreakerConfig, PoolConfig};

    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const FAILED: Option<Settlement> = AttemptEnd::Broken.settlement(Duration::ZERO);
    const OK: Option<Settlement> = AttemptEnd::Answered(200).settlement(Duration::ZERO);

    fn config(workers: u32, breaker: Option<BreakerConfig>) -> GatewayConfig {
        let route =
            Route { path: "/".to_owned(), upstream: UpstreamId(0), timeout: None, retry: None, auth: true };
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

    fn enter(dispatcher: &mut Dispatcher<u32>, now: Timestamp, ticket: u32) -> Option<Pass> {
        match dispatcher.on_admitted(now, ticket, RouteId(0), true, Upload::Whole) {
            Ok(Dispatch::Forward(forward)) => Some(forward.pass),
            _ => None,
        }
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
}
