//! What a gateway is told to do.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::auth::AuthConfig;
use crate::breaker::BreakerConfig;
use crate::limits::RateLimits;
use crate::pool::PoolConfig;
use crate::route::{GatewayRetry, Routes};
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
    /// How long a client may keep the gateway waiting.
    pub client: ClientTimeouts,
    /// Whose tokens are accepted; `None` asks for none.
    pub auth: Option<AuthConfig>,
    /// The rate limits.
    pub limits: RateLimits,
    /// Who answers for which path.
    pub routes: Routes,
    /// When the gateway tries again by itself; a route's own goes before it.
    pub retry: Option<GatewayRetry>,
    /// What holds for one upstream, by its number; upstreams beyond the end have no policy.
    pub upstreams: Vec<UpstreamPolicy>,
}

impl GatewayConfig {
    /// What holds for an upstream.
    pub(crate) fn policy(&self, upstream: usize) -> UpstreamPolicy {
        self.upstreams.get(upstream).copied().unwrap_or_default()
    }
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
