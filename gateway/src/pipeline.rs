use std::hash::Hash;
use std::time::Duration;

use crate::admission::Admission;
use crate::{
    Checks, Place, Pool, PoolConfig, RateLimits, Rejection, Request, RouteId, Routes, Timestamp, UpstreamId,
};

/// What a gateway is told to do.
///
/// The default limits nothing, waits for ever and serves no route.
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// The shared workers, their queue and how long a request may wait there.
    pub pool: PoolConfig,
    /// From the moment a worker is taken until the answer is whole; a route's own goes before it.
    pub timeout: Option<Duration>,
    /// The rate limits.
    pub limits: RateLimits,
    /// Who answers for which path.
    pub routes: Routes,
}

/// The path of a request through the gateway: address limit, client limit, route, route limit, global limit,
/// worker, upstream.
///
/// A request rejected at one stage takes nothing at later ones, and one that had to queue is not judged again.
///
/// The calling contract, for a ticket unique among the requests present:
///
/// - [`Pipeline::on_request`] decides. A [`Decision::Forward`] holds a worker until
///   [`Pipeline::on_finished`]: when the answer is whole, when the deadline passes (the client is answered
///   504) or when the client leaves, whichever comes first.
/// - A [`Decision::Queue`] waits until an `on_finished` starts it, or until [`Pipeline::on_left_queue`]: when its
///   deadline passes (the client is answered by [`Rejection::QueueTimeout`]) or when the client leaves.
#[derive(Debug)]
pub struct Pipeline<T> {
    admission: Admission,
    pool: Pool<T, RouteId>,
    timeout: Option<Duration>,
    routes: Routes,
}

/// What becomes of a request on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has a worker: send it to the upstream.
    Forward(Forward),
    /// It waits for a worker.
    Queue {
        /// When it must be taken out if it has not started.
        deadline: Option<Timestamp>,
    },
    /// It is answered by the gateway.
    Reject(Rejection),
}

/// Where a request that holds a worker goes, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The route that serves it.
    pub route: RouteId,
    /// Who is to answer.
    pub upstream: UpstreamId,
    /// When the client is answered 504 instead; `None` for never.
    pub deadline: Option<Timestamp>,
}

impl<T: Copy + Eq + Hash> Pipeline<T> {
    /// A gateway that nobody has called yet.
    pub fn new(config: GatewayConfig) -> Self {
        Self {
            admission: Admission::new(&config.limits),
            pool: Pool::new(config.pool),
            timeout: config.timeout,
            routes: config.routes,
        }
    }

    /// Decides over a request, and says what each rate limit had to say of it.
    pub fn on_request(&mut self, now: Timestamp, ticket: T, request: &Request) -> (Checks, Decision) {
        let (checks, admitted) = self.admission.on_request(now, request);
        let decision = match admitted {
            Ok(route) => match self.pool.on_arrival(now, ticket, route) {
                Place::Worker => Decision::Forward(self.forward(now, route)),
                Place::Queue { deadline } => Decision::Queue { deadline },
                Place::Full => Decision::Reject(Rejection::QueueFull),
            },
            Err(rejection) => Decision::Reject(rejection),
        };
        (checks, decision)
    }

    /// Frees the worker of a request; the longest waiting takes it over, if any waits.
    ///
    /// # Panics
    ///
    /// If no request holds a worker.
    pub fn on_finished(&mut self, now: Timestamp) -> Option<(T, Forward)> {
        let (ticket, route) = self.pool.on_release()?;
        Some((ticket, self.forward(now, route)))
    }

    /// Takes a request out of the queue.
    pub fn on_left_queue(&mut self, ticket: T) {
        self.pool.on_left_queue(ticket);
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> u32 {
        self.pool.queued()
    }

    fn forward(&self, now: Timestamp, route: RouteId) -> Forward {
        let serving = self.routes.get(route);
        let timeout = serving.timeout.or(self.timeout);
        Forward { route, upstream: serving.upstream, deadline: timeout.map(|timeout| now + timeout) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    use super::*;
    use crate::{Algorithm, Client, KeySecret, Peer, RateLimit, Route, Scope};

    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Timestamp {
        START + Duration::from_millis(millis)
    }

    fn limit(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).unwrap()
    }

    fn routes() -> Routes {
        let route = |path: &str, timeout| Route { path: path.to_owned(), upstream: UpstreamId(0), timeout };
        Routes::new(vec![route("/orders", None), route("/export", Some(MINUTE))]).unwrap()
    }

    fn request(ip: u8, key: &str, route: Option<u32>) -> Request {
        Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, ip])),
            client: Client::from_key(KeySecret([0; 16]), key.as_bytes()),
            route: route.map(RouteId),
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
            let forward = Forward { route: RouteId(0), upstream: UpstreamId(0), deadline: None };
            assert_eq!(decision, Decision::Forward(forward));
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
        let forward = |route, deadline| Forward { route: RouteId(route), upstream: UpstreamId(0), deadline };
        assert_eq!(first, Decision::Forward(forward(0, Some(at(5_000)))));
        let (_, second) = gateway.on_request(at(100), 1, &request(1, "a", Some(1)));
        assert_eq!(second, Decision::Queue { deadline: Some(at(1_100)) });
        let (_, third) = gateway.on_request(at(200), 2, &request(1, "a", Some(0)));
        assert_eq!(third, Decision::Reject(Rejection::QueueFull));
        // The route's own timeout goes before the gateway's.
        assert_eq!(gateway.on_finished(at(300)), Some((1, forward(1, Some(at(60_300))))));
        assert_eq!(gateway.on_finished(at(400)), None);
        assert_eq!((gateway.in_flight(), gateway.queued()), (0, 0));
    }

    #[test]
    fn who_leaves_the_queue_is_not_started() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None };
        let mut gateway = Pipeline::new(GatewayConfig { pool, ..config(RateLimits::default()) });
        for ticket in 0..3 {
            gateway.on_request(START, ticket, &request(1, "a", Some(0)));
        }
        gateway.on_left_queue(1);
        assert_eq!(gateway.on_finished(START).map(|(ticket, _)| ticket), Some(2));
    }
}
