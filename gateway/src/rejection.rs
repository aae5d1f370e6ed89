//! Why the gateway answers a request by itself.

use std::time::Duration;

use crate::auth::{ClaimFault, TokenFault};
use crate::concurrency::CapScope;
use crate::limits::LimitId;
use crate::outcome::Outcome;

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A rate limit is exhausted.
    RateLimited {
        /// Which one.
        limit: LimitId,
        /// The least wait after which it would let one more through.
        retry_after: Duration,
        /// The HTTP status that it answers.
        status: u16,
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
    /// As many requests of the address, of the client or of the route as may be are on their way.
    TooManyInFlight {
        /// Of which of them.
        scope: CapScope,
        /// The HTTP status that it answers.
        status: u16,
    },
    /// The upstream has no host that is not passed over.
    NoHost,
    /// Every worker is taken and the queue is full.
    QueueFull {
        /// How long the request at the head of the queue has waited: a full queue drains in about that time. Zero where
        /// nobody waits.
        retry_after: Duration,
    },
    /// It waited longer than the queue's timeout.
    QueueTimeout,
}

impl Rejection {
    /// The reason of [`Rejection::RateLimited`], which may have any status.
    pub(crate) const RATE_LIMITED: &'static str = "rate-limited";

    /// The reason of [`Rejection::ShortCircuited`], which shares its status with others.
    pub(crate) const SHORT_CIRCUITED: &'static str = "short-circuited";

    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::RateLimited { status, .. } | Self::TooManyInFlight { status, .. } => status,
            Self::Unauthenticated { .. } => 401,
            Self::Forbidden { .. } => 403,
            Self::NoRoute => 404,
            Self::KeysUnavailable { .. }
            | Self::ShortCircuited { .. }
            | Self::BulkheadFull
            | Self::NoHost
            | Self::QueueFull { .. }
            | Self::QueueTimeout => 503,
        }
    }

    /// The kebab-case name that tells one from another, in answers and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RateLimited { .. } => Self::RATE_LIMITED,
            Self::Unauthenticated { reason } => reason.name(),
            Self::Forbidden { reason } => reason.name(),
            Self::KeysUnavailable { .. } => "keys-unavailable",
            Self::NoRoute => "no-route",
            Self::ShortCircuited { .. } => Self::SHORT_CIRCUITED,
            Self::BulkheadFull => "bulkhead-full",
            Self::TooManyInFlight { .. } => "too-many-in-flight",
            Self::NoHost => "no-host",
            Self::QueueFull { .. } => "queue-full",
            Self::QueueTimeout => "queue-timeout",
        }
    }

    /// The kind of end that a rejected request comes to.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::RateLimited { .. } => Outcome::RateLimited,
            Self::Unauthenticated { .. } => Outcome::Unauthenticated,
            Self::Forbidden { .. } => Outcome::Forbidden,
            Self::NoRoute => Outcome::NoRoute,
            Self::ShortCircuited { .. } => Outcome::ShortCircuited,
            Self::KeysUnavailable { .. }
            | Self::BulkheadFull
            | Self::TooManyInFlight { .. }
            | Self::NoHost
            | Self::QueueFull { .. }
            | Self::QueueTimeout => Outcome::Shed,
        }
    }

    /// What a `Retry-After` field of the answer says, and so all that a client can honour: whole seconds, rounded up, whatever
    /// the variant knows more exactly. Every 429 and 503 has one; `None` for what does not pass by waiting.
    pub const fn retry_after(self) -> Option<Duration> {
        let wait = match self {
            Self::RateLimited { retry_after, .. }
            | Self::KeysUnavailable { retry_after }
            | Self::ShortCircuited { retry_after }
            | Self::QueueFull { retry_after } => retry_after,
            // When a place will be free depends on requests whose ends nobody knows, and when a host is back on its sweeps.
            Self::BulkheadFull | Self::TooManyInFlight { .. } | Self::NoHost | Self::QueueTimeout => {
                Duration::ZERO
            }
            Self::Unauthenticated { .. } | Self::Forbidden { .. } | Self::NoRoute => return None,
        };
        Some(Duration::from_secs(whole_seconds(wait)))
    }
}

/// A wait as the fields of an answer say it: rounded up, so that whoever comes back then is not too early, and at least one
/// second, for a field of 0 invites everybody back at once.
pub(crate) const fn whole_seconds(wait: Duration) -> u64 {
    if wait.subsec_nanos() > 0 || wait.is_zero() { wait.as_secs().saturating_add(1) } else { wait.as_secs() }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::scope::Scope;

    /// One of each kind, with no wait.
    pub(crate) const fn every_rejection() -> [Rejection; 11] {
        let retry_after = Duration::ZERO;
        [
            Rejection::RateLimited { limit: LimitId::first(Scope::Global), retry_after, status: 429 },
            Rejection::Unauthenticated { reason: TokenFault::Missing },
            Rejection::Forbidden { reason: ClaimFault::Missing },
            Rejection::KeysUnavailable { retry_after },
            Rejection::NoRoute,
            Rejection::ShortCircuited { retry_after },
            Rejection::BulkheadFull,
            Rejection::TooManyInFlight { scope: CapScope::PerKey, status: 503 },
            Rejection::NoHost,
            Rejection::QueueFull { retry_after },
            Rejection::QueueTimeout,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::testing::every_rejection;
    use super::*;
    use crate::scope::Scope;

    #[test]
    fn a_client_is_told_whole_seconds_and_never_to_come_too_early() {
        for (wait, told) in [(0, 1), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            let retry_after = Duration::from_nanos(wait);
            for rejection in [
                Rejection::RateLimited { limit: LimitId::first(Scope::Global), retry_after, status: 429 },
                Rejection::KeysUnavailable { retry_after },
                Rejection::ShortCircuited { retry_after },
                Rejection::QueueFull { retry_after },
            ] {
                assert_eq!(rejection.retry_after(), Some(Duration::from_secs(told)), "{rejection:?}");
            }
        }
        let forever = Rejection::ShortCircuited { retry_after: Duration::MAX };
        assert_eq!(forever.retry_after(), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn each_429_and_503_says_when_to_come_again_and_nothing_else_does() {
        for rejection in every_rejection() {
            let second = matches!(rejection.status(), 429 | 503).then_some(Duration::from_secs(1));
            assert_eq!(rejection.retry_after(), second, "{rejection:?}");
        }
    }
}
