//! What a gateway is told to do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::auth::AuthConfig;
use crate::breaker::BreakerConfig;
use crate::concurrency::{CallerCaps, ConcurrencyCap};
use crate::hosts::HostsConfig;
use crate::limits::RateLimits;
use crate::pool::PoolConfig;
use crate::route::{GatewayRetry, Route, Routes, UpstreamId};
use crate::trusted_proxies::TrustedProxies;
use crate::waits::ClientTimeouts;

/// What a gateway is told to do.
///
/// The default limits nothing, waits for ever and serves no route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayConfig {
    /// The shared workers, their queue and how long a request may wait there.
    pub pool: PoolConfig,
    /// From the moment a worker is taken until the answer is whole, over all attempts, less the time that the gateway waits
    /// for its client; an upstream's own goes before it, and a route's before that.
    pub timeout: Option<Duration>,
    /// How long each attempt may go without the head of an answer, so that the gateway can try again before the whole timeout is
    /// over; an upstream's own goes before it, and a route's before that. `None` for no bound of its own.
    pub try_timeout: Option<Duration>,
    /// How long a client may keep the gateway waiting.
    pub client: ClientTimeouts,
    /// Whose tokens are accepted; `None` asks for none.
    pub auth: Option<AuthConfig>,
    /// The rate limits.
    pub limits: RateLimits,
    /// How many requests each caller may have under way at once.
    pub concurrency: CallerCaps,
    /// Whose word on a client's address counts, in a server. Without them that is the address of the connection.
    pub trusted_proxies: TrustedProxies,
    /// Who answers for which path.
    pub routes: Routes,
    /// When the gateway tries again by itself; a route's own goes before it.
    pub retry: Option<GatewayRetry>,
    /// What holds for one upstream, by its number; upstreams beyond the end have no policy.
    pub upstreams: Vec<UpstreamPolicy>,
    /// Where the hosts of an upstream are asked how they are, if they are ([`HealthCheck`](crate::HealthCheck)): a path.
    pub health_paths: BTreeMap<UpstreamId, String>,
}

impl GatewayConfig {
    /// Where the first host of an upstream stands in a list of all hosts, those of one upstream after those of the one before.
    pub fn first_host(&self, upstream: UpstreamId) -> usize {
        let before = 0..upstream.0 as usize;
        before.map(|upstream| self.policy(upstream).hosts.count.get() as usize).sum()
    }

    /// Whether requests may wait for a place under a cap on concurrency.
    pub fn has_pending(&self) -> bool {
        let callers = [self.concurrency.per_ip, self.concurrency.per_key].into_iter().flatten();
        let routes = self.routes.iter().filter_map(|route| route.concurrency);
        let upstreams = self.upstreams.iter().map(|policy| policy.concurrency);
        callers.map(|caller| caller.cap).chain(routes).chain(upstreams).any(|cap| cap.max_pending > 0)
    }

    /// When the gateway tries a request of this route again: as the route says, or else as the gateway does. `None` for never.
    pub fn retry_of(&self, route: &Route) -> Option<GatewayRetry> {
        route.retry.or(self.retry).filter(|retry| retry.policy.retries > 0)
    }

    /// Whether the choice of a host is drawn at random anywhere.
    pub fn draws_hosts(&self) -> bool {
        self.upstreams.iter().any(|policy| policy.hosts.draws())
    }

    /// What holds for an upstream.
    pub(crate) fn policy(&self, upstream: usize) -> UpstreamPolicy {
        self.upstreams.get(upstream).copied().unwrap_or_default()
    }
}

/// What a gateway holds against one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpstreamPolicy {
    /// The bulkhead: how many requests for this upstream may be under way, wait and be tried again at once.
    pub concurrency: ConcurrencyCap,
    /// Goes before the gateway's timeout.
    pub timeout: Option<Duration>,
    /// Goes before the gateway's timeout of an attempt.
    pub try_timeout: Option<Duration>,
    /// The circuit breaker.
    pub breaker: Option<BreakerConfig>,
    /// Its hosts, and what the gateway does with them.
    pub hosts: HostsConfig,
}
