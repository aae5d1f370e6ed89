use std::time::Duration;

use crate::Scope;
use crate::auth::{ClaimFault, TokenFault};

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A rate limit is exhausted.
    RateLimited {
        /// Which one.
        scope: Scope,
        /// The least wait after which it would let one more through.
        retry_after: Duration,
    },
    /// Nobody knows who asks.
    Unauthenticated {
        /// What is wrong with the token.
        reason: TokenFault,
    },
    /// It is known who asks, and they may not.
    Forbidden {
        /// What is wrong with the claims.
        reason: ClaimFault,
    },
    /// There is no key to judge a token by: the identity provider has not answered for too long.
    KeysUnavailable {
        /// The least wait after which there could be one.
        retry_after: Duration,
    },
    /// No route serves the path.
    NoRoute,
    /// The upstream's circuit breaker lets nobody through but its probes.
    ShortCircuited {
        /// The least wait after which it could.
        retry_after: Duration,
    },
    /// As many requests for the upstream as may be are on their way.
    BulkheadFull,
    /// Every worker is taken and the queue is full.
    QueueFull,
    /// It waited longer than the queue's timeout.
    QueueTimeout,
}

impl Rejection {
    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::RateLimited { .. } => 429,
            Self::Unauthenticated { .. } => 401,
            Self::Forbidden { .. } => 403,
            Self::NoRoute => 404,
            Self::KeysUnavailable { .. }
            | Self::ShortCircuited { .. }
            | Self::BulkheadFull
            | Self::QueueFull
            | Self::QueueTimeout => 503,
        }
    }

    /// The kebab-case name that tells one from another, in answers and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate-limited",
            Self::Unauthenticated { reason } => reason.name(),
            Self::Forbidden { reason } => reason.name(),
            Self::KeysUnavailable { .. } => "keys-unavailable",
            Self::NoRoute => "no-route",
            Self::ShortCircuited { .. } => "short-circuited",
            Self::BulkheadFull => "bulkhead-full",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
        }
    }

    /// What a `Retry-After` field of the answer says; `None` where the gateway cannot tell.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::KeysUnavailable { retry_after }
            | Self::ShortCircuited { retry_after } => Some(retry_after),
            Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NoRoute
            | Self::BulkheadFull
            | Self::QueueFull
            | Self::QueueTimeout => None,
        }
    }
}
