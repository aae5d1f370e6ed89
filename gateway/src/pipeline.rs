//! The whole path of a request through the gateway, for one caller in virtual time: the stages of `entrance`, then those of
//! `dispatcher`. A server takes requests through the same two in `server/rules.rs`.

use std::cmp::Reverse;
use std::hash::Hash;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::admission::{Admission, Checks, Owed, Request};
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::auth::{Fetch, FetchFailure, KeyQueue, KeySet, Presented, SimulatedKey};
use crate::breaker::{Condition, Settlement, Transition};
use crate::config::GatewayConfig;
use crate::dispatcher::{Dispatch, Dispatcher, Forward, Pass, Upload};
use crate::entrance::{Admitted, Entrance, Stop};
use crate::hosts::{HostChange, HostCheck, HostId};
use crate::identity::KeySecret;
use crate::limits::LimitId;
use crate::rejection::Rejection;
use crate::route::{RouteId, UpstreamId};
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// What becomes of a request on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has a worker: send it to the upstream.
    Forward(Forward),
    /// It waits, for a place under a cap or for a worker.
    Queue {
        /// When it must be taken out if it has not started.
        deadline: Option<Timestamp>,
    },
    /// It waits for the keys that its token is judged by, and holds nothing meanwhile.
    AwaitKeys {
        /// When that is over at the latest, one way or the other.
        deadline: Timestamp,
    },
    /// It waits for its turn at a rate limit, and holds nothing meanwhile.
    Delay {
        /// Its turn.
        until: Timestamp,
        /// The limit.
        limit: LimitId,
        /// How long that is.
        wait: Duration,
    },
    /// It is answered by the gateway.
    Reject(Rejection),
}

impl From<Result<Dispatch, Rejection>> for Decision {
    fn from(dispatched: Result<Dispatch, Rejection>) -> Self {
        match dispatched {
            Ok(Dispatch::Forward(forward)) => Self::Forward(forward),
            Ok(Dispatch::Queue { deadline }) => Self::Queue { deadline },
            Err(rejection) => Self::Reject(rejection),
        }
    }
}

/// The stages of a request come in one order, and where it was stopped says what it has behind it.
impl Decision {
    /// Whether its token, if its route asks for one, was judged and accepted.
    pub const fn passed_auth(&self) -> bool {
        match self {
            Self::Reject(Rejection::RateLimited { limit, .. }) => !matches!(limit.scope(), Scope::PerIp),
            Self::AwaitKeys { .. }
            | Self::Reject(
                Rejection::Unauthenticated { .. }
                | Rejection::Forbidden { .. }
                | Rejection::KeysUnavailable { .. },
            ) => false,
            Self::Forward(_) | Self::Queue { .. } | Self::Delay { .. } | Self::Reject(_) => true,
        }
    }

    /// Whether no rate limit stopped it. One that no route serves counts as past them, though the limits of a route and of
    /// everything were not asked.
    pub const fn passed_limits(&self) -> bool {
        self.passed_auth() && !matches!(self, Self::Reject(Rejection::RateLimited { .. }))
    }
}

/// The path of a request through the gateway: address limit, token, client limit, route, route limit, global limit, the wait for
/// its turn at a limit, breaker, caps on concurrency, worker, upstream.
///
/// A request rejected at one stage takes nothing at later ones, and one that had to queue is not judged again. The stages are those
/// of [`Entrance`] and [`Dispatcher`], which a server drives with shared limits, real keys and a lock around the dispatcher. Here
/// one caller owns them all: keys are [`SimulatedKey`]s, claims are digested under a secret that everybody knows, and what is
/// sent comes whole.
///
/// The calling contract, for a ticket unique among the requests present:
///
/// - [`Pipeline::on_request`] decides. A [`Decision::Forward`] holds a worker and makes an attempt, until
///   [`Pipeline::on_finished`]: when the answer is whole or the attempt failed otherwise, when the deadline passes (the
///   client is answered 504) or when the client leaves, whichever comes first.
/// - Before that, a failed attempt may be made again: [`Pipeline::on_attempt_ended`] says whether and when, and
///   [`Pipeline::on_retry`] begins the next one. The worker and the places under caps stay held all the while.
/// - A [`Decision::Queue`] waits, for a place under a cap or for a worker, until it is started by `on_finished` or by
///   [`Pipeline::poll_started`], or until [`Pipeline::on_left_queue`]: when its deadline passes (the client is answered by
///   [`Rejection::QueueTimeout`]) or when the client leaves.
/// - After `on_finished` and `on_left_queue`, `poll_started` is asked until it gives nothing.
/// - A [`Decision::AwaitKeys`] waits until [`Pipeline::poll_resumed`] names it, and is then decided over by
///   [`Pipeline::on_resumed`], as the same request with the same token; or until [`Pipeline::on_left_keys`], when the client
///   leaves.
/// - A [`Decision::Delay`] waits until then, and goes on by [`Pipeline::on_turn`], as the same request. Nothing is to be called
///   if its client leaves before.
/// - However a request ends, and with what answer: [`Pipeline::on_ended`], where limits count requests by their ends
///   ([`Pipeline::counts_ends`]).
/// - Where tokens are judged, keys have to be fetched: at the start and after any call, [`Pipeline::poll_fetch`] until it
///   gives nothing; [`Pipeline::on_fetched`] with what comes of a fetch, and [`Pipeline::on_wakeup`] at
///   [`Pipeline::next_wakeup`]. After those two, `poll_resumed` until it gives nothing.
#[derive(Debug)]
pub struct Pipeline<T> {
    entrance: Entrance,
    limits: Admission,
    /// `None` for a gateway that judges no tokens.
    keys: Option<KeyQueue<SimulatedKey, T>>,
    dispatcher: Dispatcher<T>,
    /// The turns of requests that wait for keys, where a limit has given them one.
    turns: HashMap<T, (LimitId, Timestamp), FixedState>,
    /// What limits count of a request when its end is known, where any of them waits for that.
    owed: HashMap<T, Owed, FixedState>,
}

/// Nobody outside chooses the claims of a simulation.
const SECRET: KeySecret = KeySecret([0; 16]);

impl<T: Copy + Eq + Hash> Pipeline<T> {
    /// A gateway that nobody has called yet.
    pub fn new(config: GatewayConfig) -> Self {
        Self {
            entrance: Entrance::new(&config, SECRET),
            limits: Admission::new(&config.limits),
            keys: config.auth.clone().map(KeyQueue::new),
            dispatcher: Dispatcher::new(config),
            turns: HashMap::default(),
            owed: HashMap::default(),
        }
    }

    /// Decides over a request, and says what each rate limit had to say of it.
    pub fn on_request(
        &mut self,
        now: Timestamp,
        ticket: T,
        request: &Request,
        presented: &Presented<'_, SimulatedKey>,
    ) -> (Checks, Decision) {
        let mut checks = Checks::default();
        let Self { entrance, limits, keys, .. } = self;
        let judge = keys.as_mut().map(|keys| |has_waited| keys.judge(now, ticket, presented, has_waited));
        let entered = entrance.on_request(now, request, limits, judge, &mut checks);
        let entered = entered.map(|admitted| self.note_owed(ticket, admitted));
        if let (Err(Stop::AwaitKeys(_)), Some(turn)) = (entered, checks.turn()) {
            self.turns.insert(ticket, turn);
        }
        (checks, self.on_entered(now, ticket, request, entered, checks.turn()))
    }

    /// Decides over a request that waited for keys. It is counted for its address no second time, and does not wait again.
    pub fn on_resumed(
        &mut self,
        now: Timestamp,
        ticket: T,
        request: &Request,
        presented: &Presented<'_, SimulatedKey>,
    ) -> (Checks, Decision) {
        let mut checks = Checks::default();
        let Self { entrance, limits, keys, .. } = self;
        let judge = keys.as_mut().map(|keys| |has_waited| keys.judge(now, ticket, presented, has_waited));
        let entered = entrance.on_resumed(now, request, limits, judge, &mut checks);
        let entered = entered.map(|admitted| self.note_owed(ticket, admitted));
        // The latest counts, whichever limit gave it, before the keys or after.
        let before = if self.turns.is_empty() { None } else { self.turns.remove(&ticket) };
        let turn = [before, checks.turn()]
            .into_iter()
            .flatten()
            .max_by_key(|(limit, turn)| (*turn, Reverse(*limit)));
        (checks, self.on_entered(now, ticket, request, entered, turn))
    }

    fn note_owed(&mut self, ticket: T, admitted: Admitted) -> RouteId {
        if !admitted.owed.is_empty() {
            self.owed.insert(ticket, admitted.owed);
        }
        admitted.route
    }

    /// Whether any limit counts requests by their ends.
    pub const fn counts_ends(&self) -> bool {
        self.entrance.counts_ends()
    }

    /// A request has ended, and its client was answered so. Limits that count by the end count it now. Of no effect where none
    /// waits for it.
    pub fn on_ended(&mut self, now: Timestamp, ticket: T, end: RequestEnd) {
        if !self.owed.is_empty()
            && let Some(owed) = self.owed.remove(&ticket)
        {
            owed.settle(now, end, &mut self.limits);
        }
    }

    /// It is the turn of a request that a limit let wait. It is judged by no limit again.
    pub fn on_turn(&mut self, now: Timestamp, ticket: T, request: &Request) -> Decision {
        let route = request.route.ok_or(Stop::Rejected(Rejection::NoRoute));
        dispatch(&mut self.dispatcher, now, ticket, request, route)
    }

    /// What becomes of a request that has come as far as `entered`, and may go on from its `turn` on.
    fn on_entered(
        &mut self,
        now: Timestamp,
        ticket: T,
        request: &Request,
        entered: Result<RouteId, Stop>,
        turn: Option<(LimitId, Timestamp)>,
    ) -> Decision {
        match turn.filter(|(_, until)| entered.is_ok() && *until > now) {
            Some((limit, until)) => Decision::Delay { until, limit, wait: until - now },
            None => dispatch(&mut self.dispatcher, now, ticket, request, entered),
        }
    }

    /// The next request that waited for keys and need not any longer, in order of their arrival.
    pub fn poll_resumed(&mut self) -> Option<T> {
        self.keys.as_mut()?.poll_resumed()
    }

    /// Takes a request out that waits for keys.
    pub fn on_left_keys(&mut self, ticket: T) {
        if let Some(keys) = &mut self.keys {
            keys.on_left(ticket);
        }
        if !self.turns.is_empty() {
            self.turns.remove(&ticket);
        }
    }

    /// The fetch of keys that is to begin now, if one is: the upstream [`AuthConfig::jwks`](crate::auth::AuthConfig::jwks) is to be asked.
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        self.keys.as_mut()?.poll_fetch(now)
    }

    /// A fetch of keys is over. One that ended after its deadline, which is a wakeup, is ignored.
    pub fn on_fetched(
        &mut self,
        now: Timestamp,
        number: u64,
        result: Result<KeySet<SimulatedKey>, FetchFailure>,
    ) {
        if let Some(keys) = &mut self.keys {
            keys.on_fetched(now, number, result);
        }
    }

    /// When to be back; `None` for a gateway that judges no tokens.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        Some(self.keys.as_ref()?.next_wakeup())
    }

    /// The time to be back has come.
    pub fn on_wakeup(&mut self, now: Timestamp) {
        if let Some(keys) = &mut self.keys {
            keys.on_wakeup(now);
        }
    }

    /// As [`Dispatcher::on_finished`].
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
        self.dispatcher.on_finished(now, pass, settlement)
    }

    /// As [`Dispatcher::on_attempt_ended`].
    pub fn on_attempt_ended(
        &mut self,
        now: Timestamp,
        pass: &mut Pass,
        end: AttemptEnd,
        took: Duration,
        unit: impl FnOnce() -> f64,
    ) -> Option<Duration> {
        self.dispatcher.on_attempt_ended(now, pass, end, took, unit)
    }

    /// The wait is over: the next attempt is sent now to this host, if the breaker lets it through.
    ///
    /// # Errors
    ///
    /// [`Rejection::ShortCircuited`] and [`Rejection::NoHost`]; then [`Pipeline::on_finished`] is due.
    pub fn on_retry(&mut self, now: Timestamp, pass: &mut Pass) -> Result<HostId, Rejection> {
        self.dispatcher.on_retry(now, pass, Upload::Whole)
    }

    /// As [`Dispatcher::poll_started`].
    #[inline]
    pub fn poll_started(&mut self, now: Timestamp) -> Option<(T, Forward)> {
        self.dispatcher.poll_started(now)
    }

    /// Takes a request out of the queue.
    pub fn on_left_queue(&mut self, ticket: T) {
        self.dispatcher.on_left_queue(ticket);
    }

    /// The next change of a breaker's condition that nobody has taken note of.
    pub fn poll_transition(&mut self) -> Option<(UpstreamId, Transition)> {
        self.dispatcher.poll_transition()
    }

    /// As [`Dispatcher::poll_check`].
    pub fn poll_check(&mut self, now: Timestamp) -> Option<(UpstreamId, HostCheck)> {
        self.dispatcher.poll_check(now)
    }

    /// As [`Dispatcher::next_check`].
    pub fn next_check(&self) -> Option<Timestamp> {
        self.dispatcher.next_check()
    }

    /// As [`Dispatcher::on_checked`].
    pub fn on_checked(&mut self, now: Timestamp, upstream: UpstreamId, check: HostCheck, well: bool) {
        self.dispatcher.on_checked(now, upstream, check, well);
    }

    /// The next change of whether a host takes part that nobody has taken note of.
    pub fn poll_host_change(&mut self) -> Option<(UpstreamId, HostChange)> {
        self.dispatcher.poll_host_change()
    }

    /// Requests that wait for keys.
    pub fn awaiting_keys(&self) -> u32 {
        self.keys.as_ref().map_or(0, |keys| u32::try_from(keys.waiting()).unwrap_or(u32::MAX))
    }

    /// What an upstream's breaker is now; `None` where it has none.
    pub fn condition(&self, upstream: UpstreamId) -> Option<Condition> {
        self.dispatcher.condition(upstream)
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.dispatcher.in_flight()
    }

    /// Requests that wait, for a place under a cap or for a worker.
    pub fn queued(&self) -> u32 {
        self.dispatcher.queued()
    }
}

fn dispatch<T: Copy + Eq + Hash>(
    dispatcher: &mut Dispatcher<T>,
    now: Timestamp,
    ticket: T,
    request: &Request,
    entered: Result<RouteId, Stop>,
) -> Decision {
    match entered {
        Ok(route) => dispatcher.on_admitted(now, ticket, route, request, Upload::Whole).into(),
        Err(Stop::Rejected(rejection)) => Decision::Reject(rejection),
        Err(Stop::AwaitKeys(wait)) => Decision::AwaitKeys { deadline: wait.deadline },
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use super::*;
    use crate::auth::{AuthConfig, Claims, JwtAlgorithm, Payload, Token, TokenFault};
    use crate::breaker::BreakerConfig;
    use crate::concurrency::ConcurrencyCap;
    use crate::config::UpstreamPolicy;
    use crate::failure_set::{FailureSet, StatusSet};
    use crate::identity::KeyPart;
    use crate::identity::{Client, KeyedBy, Peer};
    use crate::limits::{
        Charge, Costs, LimitList, LimitName, LimitRule, RateLimits, Tier, TierKeys, TierMembers,
    };
    use crate::method::{Method, MethodSet};
    use crate::pool::PoolConfig;
    use crate::rate_limit::{Algorithm, RateLimit, Verdict};
    use crate::retry::{Backoff, Jitter, RetryPolicy};
    use crate::route::{GatewayRetry, Route, Routes};

    const OK: Option<Settlement> = AttemptEnd::Answered(200).settlement(Duration::ZERO);

    const NOTHING: Presented<'_, SimulatedKey> = Presented::Nothing;
    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Timestamp {
        START + Duration::from_millis(millis)
    }

    fn limit(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).unwrap()
    }

    /// What the only limit of a scope says when it is used up.
    fn limited(scope: Scope) -> Rejection {
        Rejection::RateLimited { limit: LimitId::first(scope), retry_after: MINUTE, status: 429 }
    }

    fn routes() -> Routes {
        let route = |path: &str, timeout| Route {
            path: path.to_owned(),
            upstream: UpstreamId(0),
            timeout,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        Routes::new(vec![route("/orders", None), route("/export", Some(MINUTE))]).unwrap()
    }

    fn request(ip: u8, key: &str, route: Option<u32>) -> Request {
        Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, ip])),
            client: Client::from_key(KeySecret([0; 16]), key.as_bytes()),
            route: route.map(RouteId),
            method: Method::Get,
            idempotent: true,
            draw: 0,
        }
    }

    fn config(limits: RateLimits) -> GatewayConfig {
        GatewayConfig {
            limits,
            routes: routes(),
            timeout: Some(Duration::from_secs(5)),
            ..Default::default()
        }
    }

    #[test]
    fn a_gateway_without_rules_is_a_plain_proxy() {
        let mut gateway = Pipeline::new(GatewayConfig { routes: routes(), ..Default::default() });
        for ticket in 0..1_000 {
            let (checks, decision) = gateway.on_request(START, ticket, &request(1, "a", Some(0)), &NOTHING);
            assert_eq!(checks.iter().count(), 0);
            let Decision::Forward(forward) = decision else { panic!("{decision:?}") };
            assert_eq!(
                (forward.route, forward.upstream, forward.deadline),
                (RouteId(0), UpstreamId(0), None)
            );
        }
        let (_, decision) = gateway.on_request(START, 1_000, &request(1, "a", None), &NOTHING);
        assert_eq!(decision, Decision::Reject(Rejection::NoRoute));
    }

    #[test]
    fn the_limits_are_asked_in_order_and_the_first_refusal_spares_the_rest() {
        let limits = RateLimits {
            per_ip: limit(4).into(),
            per_key: limit(3).into(),
            per_route: limit(2).into(),
            global: limit(1).into(),
            charge: Charge::Asked,
        };
        let mut gateway = Pipeline::new(config(limits));
        let mut send = |ticket, request| {
            let (checks, decision) = gateway.on_request(START, ticket, &request, &NOTHING);
            let asked: Vec<_> = checks.iter().map(|(limit, _)| limit.scope()).collect();
            (asked, decision)
        };
        let rejected = |scope| Decision::Reject(limited(scope));

        assert!(
            matches!(send(0, request(1, "a", Some(0))), (asked, Decision::Forward(_)) if asked == Scope::ALL)
        );
        // The second finds the global limit used up, yet has taken its place in the three before.
        assert_eq!(send(1, request(1, "a", Some(0))), (Scope::ALL.to_vec(), rejected(Scope::Global)));
        assert_eq!(send(2, request(1, "a", Some(0))), (Scope::ALL[..3].to_vec(), rejected(Scope::PerRoute)));
        assert_eq!(send(3, request(1, "a", Some(0))), (Scope::ALL[..2].to_vec(), rejected(Scope::PerKey)));
        // Four of address 1 were let through per address; the fifth reaches nothing else.
        assert_eq!(send(4, request(1, "b", Some(0))), (Scope::ALL[..1].to_vec(), rejected(Scope::PerIp)));
        // So client b still has its three.
        assert_eq!(send(5, request(2, "b", Some(0))), (Scope::ALL[..3].to_vec(), rejected(Scope::PerRoute)));
        // A path that nobody serves is told so only to a client within its limits.
        let no_route = Decision::Reject(Rejection::NoRoute);
        assert_eq!(send(6, request(2, "b", None)), (Scope::ALL[..2].to_vec(), no_route));
        assert_eq!(send(7, request(2, "a", None)), (Scope::ALL[..2].to_vec(), rejected(Scope::PerKey)));
    }

    #[test]
    fn the_timeout_runs_from_the_moment_a_worker_is_taken() {
        let pool = PoolConfig {
            workers: NonZeroU32::new(1),
            queue: Some(1),
            queue_timeout: Some(Duration::from_secs(1)),
        };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        let (_, first) = gateway.on_request(at(0), 0, &request(1, "a", Some(0)), &NOTHING);
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        assert_eq!((first.route, first.deadline), (RouteId(0), Some(at(5_000))));
        let (_, second) = gateway.on_request(at(100), 1, &request(1, "a", Some(1)), &NOTHING);
        assert_eq!(second, Decision::Queue { deadline: Some(at(1_100)) });
        let (_, third) = gateway.on_request(at(200), 2, &request(1, "a", Some(0)), &NOTHING);
        let waited = Duration::from_millis(100);
        assert_eq!(third, Decision::Reject(Rejection::QueueFull { retry_after: waited }));
        // The route's own timeout goes before the gateway's.
        let (ticket, second) = gateway.on_finished(at(300), first.pass, OK).unwrap();
        assert_eq!((ticket, second.route, second.deadline), (1, RouteId(1), Some(at(60_300))));
        assert_eq!(gateway.on_finished(at(400), second.pass, OK), None);
        assert_eq!((gateway.in_flight(), gateway.queued()), (0, 0));
    }

    /// One worker that takes 2 s for a request, behind a queue of three. A full queue drains in 6 s.
    #[test]
    fn a_full_queue_tells_how_long_its_head_has_waited() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(3), queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        let asks = |gateway: &mut Pipeline<u32>, second: u64, ticket| {
            gateway.on_request(at(second * 1_000), ticket, &request(1, "a", Some(0)), &NOTHING).1
        };
        let Decision::Forward(mut working) = asks(&mut gateway, 0, 0) else { panic!("a worker is free") };
        let full = |seconds| {
            let rejection = Rejection::QueueFull { retry_after: Duration::from_secs(seconds) };
            // Never at once, though nothing is known of the queue yet.
            assert_eq!(rejection.retry_after(), Some(Duration::from_secs(seconds.max(1))));
            Decision::Reject(rejection)
        };
        for second in 0..3 {
            assert_eq!(asks(&mut gateway, second, second as u32 + 1), Decision::Queue { deadline: None });
        }
        assert_eq!(asks(&mut gateway, 2, 9), full(2));
        for second in [2, 4] {
            working =
                gateway.on_finished(at(second * 1_000), working.pass, OK).map(|(_, next)| next).unwrap();
            let queued = asks(&mut gateway, second, second as u32 + 8);
            assert_eq!(queued, Decision::Queue { deadline: None });
        }
        // Those of 0 s and 1 s have been started; the head is of 2 s.
        assert_eq!(asks(&mut gateway, 7, 20), full(5));
        // Without a place to wait, nothing is known.
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(0), queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        asks(&mut gateway, 0, 0);
        assert_eq!(asks(&mut gateway, 7, 1), full(0));
    }

    #[test]
    fn who_leaves_the_queue_is_not_started() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        let (_, first) = gateway.on_request(START, 0, &request(1, "a", Some(0)), &NOTHING);
        for ticket in 1..3 {
            gateway.on_request(START, ticket, &request(1, "a", Some(0)), &NOTHING);
        }
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        gateway.on_left_queue(1);
        assert_eq!(gateway.on_finished(START, first.pass, OK).map(|(ticket, _)| ticket), Some(2));
    }

    /// Sends and answers at once, if it is let through.
    fn send(gateway: &mut Pipeline<u32>, now: Timestamp, end: Option<Settlement>) -> Result<(), Rejection> {
        match gateway.on_request(now, 0, &request(1, "a", Some(0)), &NOTHING).1 {
            Decision::Forward(forward) => {
                gateway.on_finished(now, forward.pass, end);
                Ok(())
            }
            Decision::Queue { .. } | Decision::AwaitKeys { .. } | Decision::Delay { .. } => {
                panic!("nobody holds a worker")
            }
            Decision::Reject(rejection) => Err(rejection),
        }
    }

    #[test]
    fn an_open_breaker_answers_for_its_upstream() {
        let breaker = Some(BreakerConfig::RECOMMENDED);
        let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { upstreams, ..config(RateLimits::default()) });
        let timed_out = Some(Settlement::TimedOut);
        for request in 0..20 {
            // Of a client that left nothing is learned.
            assert_eq!(send(&mut gateway, at(request), None), Ok(()));
            assert_eq!(send(&mut gateway, at(request), timed_out), Ok(()));
        }
        let retry_after = Duration::from_millis(9_981);
        let short_circuited = Rejection::ShortCircuited { retry_after };
        assert_eq!(send(&mut gateway, at(38), timed_out), Err(short_circuited));
        let (upstream, transition) = gateway.poll_transition().unwrap();
        assert_eq!((upstream, transition.at, transition.to), (UpstreamId(0), at(19), Condition::Open));
        assert_eq!(gateway.poll_transition(), None);
    }

    #[test]
    fn a_bulkhead_counts_who_waits_and_frees_what_is_turned_away() {
        let max_in_flight = NonZeroU32::new(2);
        let breaker = BreakerConfig::new(MINUTE, 1.0, 1).ok();
        let upstreams = vec![UpstreamPolicy {
            concurrency: ConcurrencyCap { max_in_flight, ..ConcurrencyCap::default() },
            breaker,
            ..UpstreamPolicy::default()
        }];
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(9), queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, upstreams, ..config(RateLimits::default()) });
        let mut send = |ticket| gateway.on_request(START, ticket, &request(1, "a", Some(0)), &NOTHING).1;
        let first = send(0);
        assert_eq!(send(1), Decision::Queue { deadline: None });
        assert_eq!(send(2), Decision::Reject(Rejection::BulkheadFull));
        gateway.on_left_queue(1);
        let mut send = |ticket| gateway.on_request(START, ticket, &request(1, "a", Some(0)), &NOTHING).1;
        assert_eq!(send(3), Decision::Queue { deadline: None });
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        assert_eq!(gateway.on_finished(START, first.pass, OK).map(|(ticket, _)| ticket), Some(3));
    }

    #[test]
    fn the_timeout_of_an_upstream_stands_between_the_routes_and_the_gateways() {
        let upstreams =
            vec![UpstreamPolicy { timeout: Some(Duration::from_secs(2)), ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { upstreams, ..config(RateLimits::default()) });
        let mut deadline = |ticket, route| match gateway
            .on_request(START, ticket, &request(1, "a", Some(route)), &NOTHING)
            .1
        {
            Decision::Forward(forward) => forward.deadline,
            other => panic!("{other:?}"),
        };
        assert_eq!(deadline(0, 0), Some(at(2_000)));
        assert_eq!(deadline(1, 1), Some(at(60_000)));
    }

    #[test]
    fn the_gateway_tries_again_and_keeps_its_worker_the_while() {
        let on = FailureSet { server_errors: true, ..FailureSet::default() };
        let second = Duration::from_secs(1);
        let backoff = Backoff::fixed(second, Jitter::None).unwrap();
        let policy = RetryPolicy { retries: 3, on, backoff, ..Default::default() };
        let retry = Some(GatewayRetry { policy, non_idempotent: false });
        let breaker = BreakerConfig::new(MINUTE, 1.0, 2).ok();
        let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { retry, upstreams, ..config(RateLimits::default()) });
        let (failed, took) = (AttemptEnd::Answered(503), Duration::ZERO);
        let start = |gateway: &mut Pipeline<u32>, ticket, idempotent| {
            let request = Request { idempotent, ..request(1, "a", Some(0)) };
            match gateway.on_request(at(0), ticket, &request, &NOTHING).1 {
                Decision::Forward(forward) => forward.pass,
                other => panic!("{other:?}"),
            }
        };
        let mut post = start(&mut gateway, 0, false);
        assert_eq!(gateway.on_attempt_ended(at(0), &mut post, failed, took, || 0.0), None);
        gateway.on_finished(at(0), post, None);

        let mut pass = start(&mut gateway, 1, true);
        assert_eq!(gateway.on_attempt_ended(at(0), &mut pass, failed, took, || 0.0), Some(second));
        assert_eq!(gateway.in_flight(), 1);
        assert_eq!(gateway.on_retry(at(1_000), &mut pass), Ok(HostId(0)));
        // The second failure opens the breaker, which is asked again for the third attempt.
        assert_eq!(gateway.on_attempt_ended(at(1_000), &mut pass, failed, took, || 0.0), Some(second));
        let retry_after = Duration::from_secs(9);
        assert_eq!(gateway.on_retry(at(2_000), &mut pass), Err(Rejection::ShortCircuited { retry_after }));
        gateway.on_finished(at(2_000), pass, None);
        assert_eq!(gateway.in_flight(), 0);
    }

    #[test]
    fn what_the_gateways_machine_lacked_is_not_held_against_an_upstream() {
        let on = FailureSet { connect: true, ..FailureSet::default() };
        let policy = RetryPolicy { retries: 1, on, ..Default::default() };
        let retry = Some(GatewayRetry { policy, non_idempotent: false });
        let breaker = BreakerConfig::new(MINUTE, 1.0, 1).ok();
        let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { retry, upstreams, ..config(RateLimits::default()) });
        // Neither by the attempt that is made again nor by the last one, though one failure is enough.
        let decision = gateway.on_request(at(0), 0, &request(1, "a", Some(0)), &NOTHING).1;
        let Decision::Forward(Forward { mut pass, .. }) = decision else { panic!("{decision:?}") };
        let (unsent, took) = (AttemptEnd::NeverSent, Duration::ZERO);
        assert_eq!(gateway.on_attempt_ended(at(0), &mut pass, unsent, took, || 0.0), Some(Duration::ZERO));
        assert_eq!(gateway.on_retry(at(0), &mut pass), Ok(HostId(0)));
        assert_eq!(gateway.on_attempt_ended(at(0), &mut pass, unsent, took, || 0.0), None);
        gateway.on_finished(at(0), pass, unsent.settlement(took));
        assert_eq!(gateway.poll_transition(), None);
        let refused = Some(Settlement::ConnectionFailed);
        assert_eq!(send(&mut gateway, at(1), refused), Ok(()));
        assert_eq!(gateway.poll_transition().map(|(_, change)| change.to), Some(Condition::Open));
        // Two probes go well, and between them is one that gives its place back: the third closes.
        for (seconds, end) in [(11, OK), (21, OK), (31, None), (41, OK)] {
            assert_eq!(send(&mut gateway, at(seconds * 1_000), end), Ok(()));
        }
        let changes = [(); 2].map(|()| gateway.poll_transition().map(|(_, change)| change.to));
        assert_eq!(changes, [Some(Condition::HalfOpen), Some(Condition::Closed)]);
    }

    #[test]
    fn no_retry_is_begun_that_would_outlast_the_deadline() {
        let on = FailureSet { server_errors: true, ..FailureSet::default() };
        let backoff = Backoff::fixed(Duration::from_secs(2), Jitter::None).unwrap();
        let policy = RetryPolicy { retries: 9, on, backoff, ..Default::default() };
        let retry = Some(GatewayRetry { policy, non_idempotent: false });
        let mut gateway: Pipeline<u32> =
            Pipeline::new(GatewayConfig { retry, ..config(RateLimits::default()) });
        let (_, decision) = gateway.on_request(at(0), 0, &request(1, "a", Some(0)), &NOTHING);
        let Decision::Forward(Forward { mut pass, .. }) = decision else { panic!("{decision:?}") };
        let mut fail = |millis| {
            gateway.on_attempt_ended(at(millis), &mut pass, AttemptEnd::Answered(500), Duration::ZERO, || 0.0)
        };
        // The timeout is 5 s.
        assert_eq!(fail(2_999), Some(Duration::from_secs(2)));
        assert_eq!(fail(3_000), None);
    }

    fn auth() -> AuthConfig {
        AuthConfig::new(UpstreamId(7))
    }

    fn claims_of(subject: &str) -> Claims {
        let expires = START.as_nanos() / 1_000_000_000 + 3_600;
        Claims::parse(format!(r#"{{"sub":"{subject}","exp":{expires}}}"#).as_bytes()).unwrap()
    }

    /// Signed by that key, which it names.
    fn token(claims: &Claims, signed: u64) -> Presented<'_, SimulatedKey> {
        let algorithm = Some(JwtAlgorithm::EdDsa);
        Presented::Token(Token { algorithm, kid: Some("current"), payload: Payload::Claims(claims), signed })
    }

    fn keys_of(number: u64) -> KeySet<SimulatedKey> {
        let key = SimulatedKey { number, algorithm: JwtAlgorithm::EdDsa };
        KeySet::new([("current".to_owned(), key)])
    }

    #[test]
    fn tokens_are_judged_between_the_limits_of_address_and_client() {
        let limits =
            RateLimits { per_ip: limit(3).into(), per_key: limit(1).into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), ..config(limits) });
        let fetch = gateway.poll_fetch(START).unwrap();
        gateway.on_fetched(START, fetch.number, Ok(keys_of(1)));
        let claims = claims_of("a");
        let mut send = |key, route, signed| {
            let (checks, decision) =
                gateway.on_request(START, 0, &request(1, key, route), &token(&claims, signed));
            (checks.iter().count(), decision)
        };
        let reason = TokenFault::SignatureInvalid;
        let forged = Decision::Reject(Rejection::Unauthenticated { reason });
        // It counts for its address, and not for the client whose key it bears. Paths are told to nobody.
        assert_eq!(send("a", Some(0), 2), (1, forged));
        assert_eq!(send("a", None, 2), (1, forged));
        assert!(matches!(send("a", Some(0), 1), (2, Decision::Forward(_))));
        assert_eq!(send("b", Some(0), 1), (1, Decision::Reject(limited(Scope::PerIp))));
    }

    #[test]
    fn a_route_without_auth_asks_for_no_token() {
        let open = |auth, path: &str| Route {
            path: path.into(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth,
        };
        let routes = Routes::new(vec![open(true, "/orders"), open(false, "/login")]).unwrap();
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), routes, ..Default::default() });
        let fetch = gateway.poll_fetch(START).unwrap();
        gateway.on_fetched(START, fetch.number, Ok(keys_of(1)));
        let mut send = |route| gateway.on_request(START, 0, &request(1, "a", Some(route)), &NOTHING).1;
        let reason = TokenFault::Missing;
        assert_eq!(send(0), Decision::Reject(Rejection::Unauthenticated { reason }));
        assert!(matches!(send(1), Decision::Forward(_)));
    }

    #[test]
    fn a_limit_keyed_by_a_claim_counts_whom_the_token_names() {
        let by = KeyedBy::claim("sub");
        let per_key = LimitRule { by, ..limit(1).into() };
        let limits = RateLimits { per_key: per_key.into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), ..config(limits) });
        let fetch = gateway.poll_fetch(START).unwrap();
        gateway.on_fetched(START, fetch.number, Ok(keys_of(1)));
        let mut forwarded = |key, subject| {
            let claims = claims_of(subject);
            let (_, decision) = gateway.on_request(START, 0, &request(1, key, Some(0)), &token(&claims, 1));
            matches!(decision, Decision::Forward(_))
        };
        assert!(forwarded("key", "a"));
        assert!(!forwarded("other key", "a"));
        assert!(forwarded("key", "b"));
    }

    #[test]
    fn who_waits_for_keys_holds_nothing_and_goes_on_where_it_stood() {
        let pool = PoolConfig { workers: NonZeroU32::new(9), queue: Some(0), queue_timeout: None };
        let limits = RateLimits { per_ip: limit(4).into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), pool, ..config(limits) });
        let claims = claims_of("a");
        let fetch = gateway.poll_fetch(START).unwrap();
        let wait = Decision::AwaitKeys { deadline: fetch.deadline };
        for ticket in 0..4 {
            let (checks, decision) =
                gateway.on_request(START, ticket, &request(1, "a", Some(0)), &token(&claims, 1));
            assert_eq!((checks.iter().count(), decision), (1, wait));
        }
        assert_eq!((gateway.awaiting_keys(), gateway.in_flight(), gateway.poll_resumed()), (4, 0, None));
        gateway.on_left_keys(1);
        gateway.on_fetched(at(20), fetch.number, Ok(keys_of(1)));
        gateway.on_left_keys(2);
        let resumed = |gateway: &mut Pipeline<u32>| {
            let ticket = gateway.poll_resumed()?;
            Some((ticket, gateway.on_resumed(at(20), ticket, &request(1, "a", Some(0)), &token(&claims, 1))))
        };
        for expected in [0, 3] {
            let (ticket, (checks, decision)) = resumed(&mut gateway).unwrap();
            assert_eq!((ticket, checks.iter().count()), (expected, 0), "its address was counted before");
            assert!(matches!(decision, Decision::Forward(_)));
        }
        assert!(resumed(&mut gateway).is_none());
        assert_eq!((gateway.awaiting_keys(), gateway.in_flight()), (0, 2));
    }

    /// Sends and ends at once with this answer, if it is let through; what it is told otherwise.
    fn answered(
        gateway: &mut Pipeline<u32>,
        millis: u64,
        request: &Request,
        presented: &Presented<'_, SimulatedKey>,
        status: u16,
    ) -> Result<(), Rejection> {
        let (decision, end) = match gateway.on_request(at(millis), 0, request, presented).1 {
            Decision::Forward(Forward { pass, .. }) => {
                gateway.on_finished(at(millis), pass, None);
                (Ok(()), RequestEnd::Attempt(AttemptEnd::Answered(status)))
            }
            Decision::Reject(rejection) => (Err(rejection), RequestEnd::Rejected(rejection)),
            other => panic!("{other:?}"),
        };
        gateway.on_ended(at(millis), 0, end);
        decision
    }

    #[test]
    fn a_limit_counts_by_what_it_is_told_together() {
        let by = KeyedBy::all(vec![KeyPart::ApiKey, KeyPart::Route]);
        let per_route = LimitRule { by, ..limit(1).into() };
        let limits = RateLimits { per_route: per_route.into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(config(limits));
        let mut passes =
            |key, route| answered(&mut gateway, 0, &request(1, key, Some(route)), &NOTHING, 200).is_ok();
        assert_eq!(
            [passes("a", 0), passes("a", 0), passes("a", 1), passes("b", 0)],
            [true, false, true, true]
        );
    }

    #[test]
    fn methods_that_are_not_counted_pass_and_costs_go_by_the_route() {
        let methods = Some(MethodSet::of([Method::Post]));
        let costs = Costs::new([(RouteId(1), 3)]);
        let limits = RateLimits {
            per_key: LimitRule { methods, costs, ..limit(4).into() }.into(),
            ..RateLimits::default()
        };
        let mut gateway = Pipeline::new(config(limits));
        let mut remaining = |method, route| {
            let request = Request { method, ..request(1, "a", route) };
            let (checks, _) = gateway.on_request(START, 0, &request, &NOTHING);
            checks.get(LimitId::first(Scope::PerKey)).map(Verdict::remaining)
        };
        assert_eq!(remaining(Method::Get, Some(1)), None);
        assert_eq!(remaining(Method::Post, Some(1)), Some(1));
        assert_eq!(remaining(Method::Other, Some(1)), None);
        // Of three none passes, of one the last does; a path that nobody serves costs one.
        assert_eq!(remaining(Method::Post, Some(1)), Some(0));
        assert_eq!(remaining(Method::Post, None), Some(0));
        assert!(matches!(
            gateway
                .on_request(START, 0, &Request { method: Method::Post, ..request(1, "a", Some(0)) }, &NOTHING)
                .1,
            Decision::Reject(Rejection::RateLimited { .. })
        ));
    }

    #[test]
    fn whoever_is_in_a_tier_has_its_numbers_and_buckets_of_their_own() {
        let tier = |name: &str, most, members| Tier {
            name: LimitName::new(name).unwrap(),
            members,
            limit: limit(most),
        };
        let keys = vec![TierKeys::One("vip".into()), TierKeys::Numbered("partner-".into(), 2)];
        let claims = vec![("plan".to_owned(), "gold".into())];
        let tiers = vec![
            tier("gold", 3, TierMembers { claims, ..TierMembers::default() }),
            tier("silver", 2, TierMembers { keys, ..TierMembers::default() }),
        ];
        let limits =
            RateLimits { per_key: LimitRule { tiers, ..limit(1).into() }.into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), ..config(limits) });
        let fetch = gateway.poll_fetch(START).unwrap();
        gateway.on_fetched(START, fetch.number, Ok(keys_of(1)));
        let plain = claims_of("a");
        let gold = Claims::parse(br#"{"sub":"a","exp":1780394400,"plan":"gold"}"#).unwrap();
        let mut passed = |key: &str, claims: &Claims| {
            let mut tiers = Vec::new();
            let passed = (0..5).filter(|_| {
                let (checks, decision) =
                    gateway.on_request(START, 0, &request(1, key, Some(0)), &token(claims, 1));
                tiers.push(checks.tier(LimitId::first(Scope::PerKey)));
                matches!(decision, Decision::Forward(_))
            });
            let passed = passed.count();
            tiers.dedup();
            (passed, tiers)
        };
        assert_eq!(passed("nobody", &plain), (1, vec![0]));
        assert_eq!(passed("vip", &plain), (2, vec![2]));
        assert_eq!(passed("partner-1", &plain), (2, vec![2]));
        assert_eq!(passed("partner-2", &plain), (1, vec![0]));
        // The first tier that names somebody holds, and its buckets count nothing of another one's.
        assert_eq!(passed("vip", &gold), (3, vec![1]));
    }

    #[test]
    fn a_limit_that_counts_failures_counts_them_when_they_are_known() {
        let count = Some(FailureSet { statuses: StatusSet::of(&[401]), ..FailureSet::default() });
        let limits = RateLimits {
            per_ip: LimitRule { count, ..limit(2).into() }.into(),
            per_key: limit(6).into(),
            ..RateLimits::default()
        };
        let mut gateway = Pipeline::new(config(limits));
        assert!(gateway.counts_ends());
        let one = request(1, "a", Some(0));
        // Any number of others pass, and what is under way has counted nothing yet.
        for status in [200, 404, 401, 503] {
            assert_eq!(answered(&mut gateway, 0, &one, &NOTHING, status), Ok(()));
        }
        let ahead: Vec<_> =
            [1, 2].map(|ticket| gateway.on_request(at(1), ticket, &one, &NOTHING).1).into_iter().collect();
        for (ticket, decision) in [1, 2].into_iter().zip(ahead) {
            let Decision::Forward(Forward { pass, .. }) = decision else { panic!("{decision:?}") };
            gateway.on_finished(at(2), pass, None);
            gateway.on_ended(at(2), ticket, RequestEnd::Attempt(AttemptEnd::Answered(401)));
        }
        // Three failures of two; the key's limit has been used up by six that it let through.
        let retry_after = Duration::from_millis(59_997);
        let (limit, status) = (LimitId::first(Scope::PerIp), 429);
        let limited = Err(Rejection::RateLimited { limit, retry_after, status });
        assert_eq!(answered(&mut gateway, 3, &one, &NOTHING, 401), limited);
        // Another address has none. Its key is used up, which is no failure.
        let other = request(2, "a", Some(0));
        for _ in 0..5 {
            let rejected = answered(&mut gateway, 3, &other, &NOTHING, 200);
            assert!(
                matches!(rejected, Err(Rejection::RateLimited { limit, .. }) if limit.scope() == Scope::PerKey)
            );
        }
        assert_eq!(answered(&mut gateway, 3, &request(2, "b", Some(0)), &NOTHING, 200), Ok(()));
        assert!(gateway.owed.is_empty());
    }

    #[test]
    fn what_the_gateway_answers_by_itself_counts_too_and_who_leaves_does_not() {
        let count = Some(FailureSet {
            server_errors: true,
            statuses: StatusSet::of(&[401, 404]),
            ..FailureSet::default()
        });
        let limits =
            RateLimits { per_ip: LimitRule { count, ..limit(3).into() }.into(), ..RateLimits::default() };
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(0), queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), pool, ..config(limits) });
        let claims = claims_of("a");
        // Before there are keys it waits, and is judged after: the address is asked once and charged all the same.
        let fetch = gateway.poll_fetch(START).unwrap();
        let one = request(1, "a", Some(0));
        for (ticket, signed) in [(1, 2), (2, 1)] {
            let (_, decision) = gateway.on_request(START, ticket, &one, &token(&claims, signed));
            assert_eq!(decision, Decision::AwaitKeys { deadline: fetch.deadline });
        }
        gateway.on_fetched(at(1), fetch.number, Ok(keys_of(1)));
        let mut remaining = Vec::new();
        let mut left = |gateway: &mut Pipeline<u32>| {
            let (checks, decision) = gateway.on_request(at(1), 9, &one, &token(&claims, 1));
            remaining.push(checks.get(LimitId::first(Scope::PerIp)).map(Verdict::remaining));
            decision
        };
        // Forged: 401.
        let (_, decision) = gateway.on_resumed(at(1), 1, &one, &token(&claims, 2));
        assert!(matches!(decision, Decision::Reject(Rejection::Unauthenticated { .. })));
        // The second takes the worker. The next finds none: 503. Who holds the worker leaves.
        let (_, decision) = gateway.on_resumed(at(1), 2, &one, &token(&claims, 1));
        let Decision::Forward(Forward { pass, .. }) = decision else { panic!("{decision:?}") };
        let Decision::Reject(full) = left(&mut gateway) else { panic!("the worker is taken") };
        gateway.on_ended(at(1), 9, RequestEnd::Rejected(full));
        gateway.on_finished(at(1), pass, None);
        gateway.on_ended(at(1), 2, RequestEnd::ClientLeft);
        // A path that nobody serves: 404.
        assert_eq!(
            gateway.on_request(at(1), 3, &request(1, "a", None), &token(&claims, 1)).1,
            Decision::Reject(Rejection::NoRoute)
        );
        assert!(matches!(left(&mut gateway), Decision::Reject(Rejection::RateLimited { .. })));
        assert_eq!(remaining, [Some(2), Some(0)]);
        assert!(gateway.owed.is_empty());
    }

    /// So many requests beyond the one that is due wait for a second each.
    fn leaky(burst: u32) -> RateLimit {
        RateLimit::new(Algorithm::LeakyBucket, 60, MINUTE).unwrap().with_burst(burst).unwrap()
    }

    #[test]
    fn who_waits_for_its_turn_holds_nothing_and_is_judged_by_no_limit_again() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(0), queue_timeout: None };
        let limits = RateLimits {
            per_ip: leaky(2).into(),
            per_key: LimitList::new(vec![limit(3).into(), leaky(5).into()]).unwrap(),
            ..RateLimits::default()
        };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(limits) });
        let one = request(1, "a", Some(0));
        let (_, first) = gateway.on_request(START, 0, &one, &NOTHING);
        let Decision::Forward(Forward { pass, .. }) = first else { panic!("{first:?}") };
        let delay = |scope, place, seconds| Decision::Delay {
            until: START + Duration::from_secs(seconds),
            limit: LimitId::new(scope, place).unwrap(),
            wait: Duration::from_secs(seconds),
        };
        // Both let it wait for as long: the first of them is told.
        assert_eq!(gateway.on_request(START, 1, &one, &NOTHING).1, delay(Scope::PerIp, 0, 1));
        // Of another address, whose own turn is at once: the key's limit is the longer wait.
        assert_eq!(
            gateway.on_request(START, 2, &request(2, "a", Some(0)), &NOTHING).1,
            delay(Scope::PerKey, 1, 2)
        );
        // A limit that rejects is no wait.
        let (_, rejected) = gateway.on_request(START, 3, &request(3, "a", Some(0)), &NOTHING);
        assert!(matches!(rejected, Decision::Reject(Rejection::RateLimited { .. })), "{rejected:?}");
        assert_eq!((gateway.in_flight(), gateway.queued()), (1, 0));

        // The worker is taken: it is asked for when the turn has come, and only then.
        let full = gateway.on_turn(at(1_000), 1, &one);
        assert!(matches!(full, Decision::Reject(Rejection::QueueFull { .. })), "{full:?}");
        gateway.on_finished(at(1_500), pass, OK);
        assert!(matches!(gateway.on_turn(at(2_000), 2, &request(2, "a", Some(0))), Decision::Forward(_)));
    }

    #[test]
    fn a_turn_that_was_given_before_the_keys_came_is_kept() {
        let limits =
            RateLimits { per_ip: leaky(3).into(), per_key: leaky(3).into(), ..RateLimits::default() };
        let mut gateway = Pipeline::new(GatewayConfig { auth: Some(auth()), ..config(limits) });
        let claims = claims_of("a");
        let fetch = gateway.poll_fetch(START).unwrap();
        for (ticket, key) in [(0, "a"), (1, "b"), (2, "c"), (3, "c")] {
            let (_, decision) =
                gateway.on_request(START, ticket, &request(1, key, Some(0)), &token(&claims, 1));
            assert_eq!(decision, Decision::AwaitKeys { deadline: fetch.deadline });
        }
        gateway.on_left_keys(1);
        gateway.on_fetched(at(1_500), fetch.number, Ok(keys_of(1)));
        let mut resumed = Vec::new();
        while let Some(ticket) = gateway.poll_resumed() {
            let key = if ticket == 0 { "a" } else { "c" };
            let one = request(1, key, Some(0));
            resumed.push((ticket, gateway.on_resumed(at(1_500), ticket, &one, &token(&claims, 1)).1));
        }
        assert!(matches!(resumed[0], (0, Decision::Forward(_))), "{resumed:?}");
        // The third of its address has its turn at 2 s. The fourth has it at 3 s there, and as the second of its key a second
        // after the keys, at 2.5 s.
        let delay = |until, millis| Decision::Delay {
            until: at(until),
            limit: LimitId::first(Scope::PerIp),
            wait: Duration::from_millis(millis),
        };
        assert_eq!(resumed[1..], [(2, delay(2_000, 500)), (3, delay(3_000, 1_500))]);
        assert!(gateway.turns.is_empty());
    }

    #[test]
    fn without_keys_it_is_the_gateway_that_cannot_judge() {
        let mut gateway =
            Pipeline::new(GatewayConfig { auth: Some(auth()), ..config(RateLimits::default()) });
        let claims = claims_of("a");
        let (request, token) = (request(1, "a", Some(0)), token(&claims, 1));
        assert_eq!(gateway.next_wakeup(), Some(Timestamp::EPOCH), "at once");
        let fetch = gateway.poll_fetch(START).unwrap();
        gateway.on_request(START, 0, &request, &token);
        assert_eq!(gateway.next_wakeup(), Some(fetch.deadline));
        gateway.on_wakeup(fetch.deadline);
        assert_eq!(gateway.poll_resumed(), Some(0));
        let (_, decision) = gateway.on_resumed(fetch.deadline, 0, &request, &token);
        let retry_after = Duration::from_millis(1_250);
        assert_eq!(decision, Decision::Reject(Rejection::KeysUnavailable { retry_after }));
        assert_eq!(gateway.next_wakeup(), Some(fetch.deadline + retry_after));
        assert_eq!(Pipeline::<u32>::new(GatewayConfig::default()).next_wakeup(), None);
    }
}
