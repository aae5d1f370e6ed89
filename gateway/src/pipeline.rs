use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::{
    Admission, AttemptFailure, BreakerConfig, Checks, Condition, Decision, Dispatcher, End, Forward,
    GatewayRetry, Pass, PoolConfig, RateLimits, Rejection, Request, Routes, Settlement, Timestamp,
    Transition, UpstreamId,
};

/// What a gateway is told to do.
///
/// The default limits nothing, waits for ever and serves no route.
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// The shared workers, their queue and how long a request may wait there.
    pub pool: PoolConfig,
    /// From the moment a worker is taken until the answer is whole, over all attempts; an upstream's own goes before
    /// it, and a route's before that.
    pub timeout: Option<Duration>,
    /// The rate limits.
    pub limits: RateLimits,
    /// Who answers for which path.
    pub routes: Routes,
    /// When the gateway tries again by itself; a route's own goes before it.
    pub retry: Option<GatewayRetry>,
    /// What holds for one upstream, by its number; upstreams beyond the end have no policy.
    pub upstreams: Vec<UpstreamPolicy>,
}

/// What a gateway holds against one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpstreamPolicy {
    /// The bulkhead: requests for this upstream that may hold or wait for a worker at once; `None` for any number.
    pub max_in_flight: Option<NonZeroU32>,
    /// Goes before the gateway's timeout.
    pub timeout: Option<Duration>,
    /// The circuit breaker.
    pub breaker: Option<BreakerConfig>,
}

/// The path of a request through the gateway: address limit, client limit, route, route limit, global limit, breaker,
/// bulkhead, worker, upstream.
///
/// A request rejected at one stage takes nothing at later ones, and one that had to queue is not judged again.
///
/// The calling contract, for a ticket unique among the requests present:
///
/// - [`Pipeline::on_request`] decides. A [`Decision::Forward`] holds a worker and makes an attempt, until
///   [`Pipeline::on_finished`]: when the answer is whole or the attempt failed otherwise, when the deadline passes (the
///   client is answered 504) or when the client leaves, whichever comes first.
/// - Before that, a failed attempt may be made again: [`Pipeline::on_attempt_failed`] says whether and when, and
///   [`Pipeline::on_retry`] begins the next one. The worker and the place in the bulkhead stay held all the while.
/// - A [`Decision::Queue`] waits until an `on_finished` starts it, or until [`Pipeline::on_left_queue`]: when its
///   deadline passes (the client is answered by [`Rejection::QueueTimeout`]) or when the client leaves.
#[derive(Debug)]
pub struct Pipeline<T> {
    admission: Admission,
    dispatcher: Dispatcher<T>,
}

impl<T: Copy + Eq + Hash> Pipeline<T> {
    /// A gateway that nobody has called yet.
    pub fn new(config: GatewayConfig) -> Self {
        Self { admission: Admission::new(&config.limits), dispatcher: Dispatcher::new(config) }
    }

    /// Decides over a request, and says what each rate limit had to say of it.
    pub fn on_request(&mut self, now: Timestamp, ticket: T, request: &Request) -> (Checks, Decision) {
        let (checks, admitted) = self.admission.on_request(now, request);
        let decision = match admitted {
            Ok(route) => self.dispatcher.on_admitted(now, ticket, route, request.idempotent),
            Err(rejection) => Decision::Reject(rejection),
        };
        (checks, decision)
    }

    /// A request that held a worker ended; the longest waiting takes the worker over, if any waits.
    ///
    /// # Panics
    ///
    /// If no request holds a worker.
    pub fn on_finished(&mut self, now: Timestamp, pass: Pass, end: End) -> Option<(T, Forward)> {
        self.dispatcher.on_finished(now, pass, end)
    }

    /// An attempt failed. The wait before the next one, or `None` to answer the client with this failure: then
    /// [`Pipeline::on_finished`] is due. A wait that would outlast the deadline is not begun.
    ///
    /// `unit` is a uniform draw from [0, 1) of this attempt's own.
    pub fn on_attempt_failed(
        &mut self,
        now: Timestamp,
        pass: &mut Pass,
        failure: AttemptFailure,
        settlement: Settlement,
        unit: f64,
    ) -> Option<Duration> {
        self.dispatcher.on_attempt_failed(now, pass, failure, settlement, unit)
    }

    /// The wait is over: the next attempt is sent now, if the breaker lets it through.
    ///
    /// # Errors
    ///
    /// [`Rejection::ShortCircuited`]; then [`Pipeline::on_finished`] is due.
    pub fn on_retry(&mut self, now: Timestamp, pass: &mut Pass) -> Result<(), Rejection> {
        self.dispatcher.on_retry(now, pass)
    }

    /// Takes a request out of the queue.
    pub fn on_left_queue(&mut self, ticket: T) {
        self.dispatcher.on_left_queue(ticket);
    }

    /// The next change of a breaker's condition that nobody has taken note of.
    pub fn poll_transition(&mut self) -> Option<(UpstreamId, Transition)> {
        self.dispatcher.poll_transition()
    }

    /// What an upstream's breaker is now; `None` where it has none.
    pub fn condition(&self, upstream: UpstreamId) -> Option<Condition> {
        self.dispatcher.condition(upstream)
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.dispatcher.in_flight()
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> u32 {
        self.dispatcher.queued()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use super::*;
    use crate::{Algorithm, Client, KeySecret, Peer, RateLimit, Route, RouteId, Scope};

    const OK: End = End::Settled(Settlement::Answered { status: 200, took: Duration::ZERO });

    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Timestamp {
        START + Duration::from_millis(millis)
    }

    fn limit(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).unwrap()
    }

    fn routes() -> Routes {
        let route = |path: &str, timeout| Route {
            path: path.to_owned(),
            upstream: UpstreamId(0),
            timeout,
            retry: None,
        };
        Routes::new(vec![route("/orders", None), route("/export", Some(MINUTE))]).unwrap()
    }

    fn request(ip: u8, key: &str, route: Option<u32>) -> Request {
        Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, ip])),
            client: Client::from_key(KeySecret([0; 16]), key.as_bytes()),
            route: route.map(RouteId),
            idempotent: true,
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
            let (checks, decision) = gateway.on_request(START, ticket, &request(1, "a", Some(0)));
            assert_eq!(checks.iter().count(), 0);
            let Decision::Forward(forward) = decision else { panic!("{decision:?}") };
            assert_eq!(
                (forward.route, forward.upstream, forward.deadline),
                (RouteId(0), UpstreamId(0), None)
            );
        }
        let (_, decision) = gateway.on_request(START, 1_000, &request(1, "a", None));
        assert_eq!(decision, Decision::Reject(Rejection::NoRoute));
    }

    #[test]
    fn the_limits_are_asked_in_order_and_the_first_refusal_spares_the_rest() {
        let limits = RateLimits {
            per_ip: Some(limit(4)),
            per_key: Some(limit(3)),
            per_route: Some(limit(2)),
            global: Some(limit(1)),
        };
        let mut gateway = Pipeline::new(config(limits));
        let mut send = |ticket, request| {
            let (checks, decision) = gateway.on_request(START, ticket, &request);
            let asked: Vec<_> = checks.iter().map(|(scope, _)| scope).collect();
            (asked, decision)
        };
        let rejected = |scope| Decision::Reject(Rejection::RateLimited { scope, retry_after: MINUTE });

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
        let (_, first) = gateway.on_request(at(0), 0, &request(1, "a", Some(0)));
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        assert_eq!((first.route, first.deadline), (RouteId(0), Some(at(5_000))));
        let (_, second) = gateway.on_request(at(100), 1, &request(1, "a", Some(1)));
        assert_eq!(second, Decision::Queue { deadline: Some(at(1_100)) });
        let (_, third) = gateway.on_request(at(200), 2, &request(1, "a", Some(0)));
        assert_eq!(third, Decision::Reject(Rejection::QueueFull));
        // The route's own timeout goes before the gateway's.
        let (ticket, second) = gateway.on_finished(at(300), first.pass, OK).unwrap();
        assert_eq!((ticket, second.route, second.deadline), (1, RouteId(1), Some(at(60_300))));
        assert_eq!(gateway.on_finished(at(400), second.pass, OK), None);
        assert_eq!((gateway.in_flight(), gateway.queued()), (0, 0));
    }

    #[test]
    fn who_leaves_the_queue_is_not_started() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        let (_, first) = gateway.on_request(START, 0, &request(1, "a", Some(0)));
        for ticket in 1..3 {
            gateway.on_request(START, ticket, &request(1, "a", Some(0)));
        }
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        gateway.on_left_queue(1);
        assert_eq!(gateway.on_finished(START, first.pass, OK).map(|(ticket, _)| ticket), Some(2));
    }

    /// Sends and answers at once, if it is let through.
    fn send(gateway: &mut Pipeline<u32>, now: Timestamp, end: End) -> Result<(), Rejection> {
        match gateway.on_request(now, 0, &request(1, "a", Some(0))).1 {
            Decision::Forward(forward) => {
                gateway.on_finished(now, forward.pass, end);
                Ok(())
            }
            Decision::Queue { .. } => panic!("nobody holds a worker"),
            Decision::Reject(rejection) => Err(rejection),
        }
    }

    #[test]
    fn an_open_breaker_answers_for_its_upstream() {
        let breaker = Some(BreakerConfig::RECOMMENDED);
        let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { upstreams, ..config(RateLimits::default()) });
        let timed_out = End::Settled(Settlement::TimedOut);
        for request in 0..20 {
            // Of a client that left nothing is learned.
            assert_eq!(send(&mut gateway, at(request), End::ClientLeft), Ok(()));
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
        let upstreams = vec![UpstreamPolicy { max_in_flight, breaker, timeout: None }];
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(9), queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, upstreams, ..config(RateLimits::default()) });
        let mut send = |ticket| gateway.on_request(START, ticket, &request(1, "a", Some(0))).1;
        let first = send(0);
        assert_eq!(send(1), Decision::Queue { deadline: None });
        assert_eq!(send(2), Decision::Reject(Rejection::BulkheadFull));
        gateway.on_left_queue(1);
        let mut send = |ticket| gateway.on_request(START, ticket, &request(1, "a", Some(0))).1;
        assert_eq!(send(3), Decision::Queue { deadline: None });
        let Decision::Forward(first) = first else { panic!("{first:?}") };
        assert_eq!(gateway.on_finished(START, first.pass, OK).map(|(ticket, _)| ticket), Some(3));
    }

    #[test]
    fn the_timeout_of_an_upstream_stands_between_the_routes_and_the_gateways() {
        let upstreams =
            vec![UpstreamPolicy { timeout: Some(Duration::from_secs(2)), ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { upstreams, ..config(RateLimits::default()) });
        let mut deadline =
            |ticket, route| match gateway.on_request(START, ticket, &request(1, "a", Some(route))).1 {
                Decision::Forward(forward) => forward.deadline,
                other => panic!("{other:?}"),
            };
        assert_eq!(deadline(0, 0), Some(at(2_000)));
        assert_eq!(deadline(1, 1), Some(at(60_000)));
    }

    #[test]
    fn the_gateway_tries_again_and_keeps_its_worker_the_while() {
        let on = crate::RetryOn { server_errors: true, ..crate::RetryOn::default() };
        let second = Duration::from_secs(1);
        let backoff = crate::Backoff::fixed(second, crate::Jitter::None).unwrap();
        let policy = crate::RetryPolicy { retries: 3, on, backoff, ..Default::default() };
        let retry = Some(GatewayRetry { policy, non_idempotent: false });
        let breaker = BreakerConfig::new(MINUTE, 1.0, 2).ok();
        let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
        let mut gateway = Pipeline::new(GatewayConfig { retry, upstreams, ..config(RateLimits::default()) });
        let (failure, settlement) = (AttemptFailure::Status(503), Settlement::ConnectionFailed);
        let start = |gateway: &mut Pipeline<u32>, ticket, idempotent| {
            let request = Request { idempotent, ..request(1, "a", Some(0)) };
            match gateway.on_request(at(0), ticket, &request).1 {
                Decision::Forward(forward) => forward.pass,
                other => panic!("{other:?}"),
            }
        };
        let mut post = start(&mut gateway, 0, false);
        assert_eq!(gateway.on_attempt_failed(at(0), &mut post, failure, settlement, 0.0), None);
        gateway.on_finished(at(0), post, End::ClientLeft);

        let mut pass = start(&mut gateway, 1, true);
        assert_eq!(gateway.on_attempt_failed(at(0), &mut pass, failure, settlement, 0.0), Some(second));
        assert_eq!(gateway.in_flight(), 1);
        assert_eq!(gateway.on_retry(at(1_000), &mut pass), Ok(()));
        // The second failure opens the breaker, which is asked again for the third attempt.
        assert_eq!(gateway.on_attempt_failed(at(1_000), &mut pass, failure, settlement, 0.0), Some(second));
        let retry_after = Duration::from_secs(9);
        assert_eq!(gateway.on_retry(at(2_000), &mut pass), Err(Rejection::ShortCircuited { retry_after }));
        gateway.on_finished(at(2_000), pass, End::ClientLeft);
        assert_eq!(gateway.in_flight(), 0);
    }

    #[test]
    fn no_retry_is_begun_that_would_outlast_the_deadline() {
        let on = crate::RetryOn { server_errors: true, ..crate::RetryOn::default() };
        let backoff = crate::Backoff::fixed(Duration::from_secs(2), crate::Jitter::None).unwrap();
        let policy = crate::RetryPolicy { retries: 9, on, backoff, ..Default::default() };
        let retry = Some(GatewayRetry { policy, non_idempotent: false });
        let mut gateway: Pipeline<u32> =
            Pipeline::new(GatewayConfig { retry, ..config(RateLimits::default()) });
        let (_, decision) = gateway.on_request(at(0), 0, &request(1, "a", Some(0)));
        let Decision::Forward(Forward { mut pass, .. }) = decision else { panic!("{decision:?}") };
        let mut fail = |millis| {
            let failure = AttemptFailure::Status(500);
            gateway.on_attempt_failed(at(millis), &mut pass, failure, Settlement::ConnectionFailed, 0.0)
        };
        // The timeout is 5 s.
        assert_eq!(fail(2_999), Some(Duration::from_secs(2)));
        assert_eq!(fail(3_000), None);
    }
}
