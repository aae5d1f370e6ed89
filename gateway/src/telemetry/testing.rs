//! What the tests here have in common: a small gateway, and requests of it.

use std::net::IpAddr;
use std::time::Duration;

use super::{Ended, Facts};
use crate::admission::{Admission, Checks, Request};
use crate::attempt::RequestEnd;
use crate::breaker::{BreakerConfig, Condition};
use crate::config::{GatewayConfig, UpstreamPolicy};
use crate::entrance::{Entrance, NO_KEYS};
use crate::identity::{Client, KeySecret, Peer};
use crate::limits::{LimitId, RateLimits};
use crate::method::Method;
use crate::rate_limit::{Algorithm, RateLimit};
use crate::rejection::Rejection;
use crate::route::{Route, RouteId, Routes, UpstreamId};
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// Two minutes past nine on a Tuesday.
pub(super) const START: Timestamp = Timestamp::from_nanos(1_780_390_920_000_000_000);

/// One route, to one upstream with a breaker; ten requests a key at once.
pub(crate) fn config() -> GatewayConfig {
    let route = Route {
        path: "/orders".to_owned(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    let per_key = RateLimit::new(Algorithm::TokenBucket, 60, Duration::from_secs(60))
        .and_then(|limit| limit.with_burst(10));
    let limits = RateLimits { per_key: per_key.ok().into(), ..RateLimits::default() };
    let breaker = Some(BreakerConfig::RECOMMENDED);
    GatewayConfig {
        limits,
        routes: Routes::new(vec![route]).unwrap(),
        upstreams: vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }],
        ..GatewayConfig::default()
    }
}

/// The last of so many requests with a key.
pub(super) fn facts(config: &GatewayConfig, key: &str, requests: u32) -> Facts {
    let peer = IpAddr::from([127, 1, 0, 1]);
    let client = Client::from_key(KeySecret([0; 16]), key.as_bytes());
    let route = Some(RouteId(0));
    let request =
        Request { peer: Peer::from(peer), client, route, method: Method::Get, idempotent: true, draw: 0 };
    let entrance = Entrance::new(config, KeySecret([0; 16]));
    let mut limits = Admission::new(&config.limits);
    let mut check = || {
        let mut checks = Checks::default();
        let _ = entrance.on_request(START, &request, &mut limits, NO_KEYS, &mut checks);
        checks
    };
    let checks = (0..requests).map(|_| check()).last().unwrap();
    let breaker = Some(Condition::Closed);
    let limits = config.limits.facts();
    Facts { peer, client, route, checks, limits, breaker, traced: None, auth: None }
}

/// The end of a request that a limit turned away.
pub(super) fn rejected() -> Ended {
    let limit = LimitId::first(Scope::PerKey);
    let rejection = Rejection::RateLimited { limit, retry_after: Duration::from_secs(1), status: 429 };
    Ended {
        end: RequestEnd::Rejected(rejection),
        attempts: 0,
        upstream_time: None,
        total_time: Duration::ZERO,
    }
}
