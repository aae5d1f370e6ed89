use crate::Rejection;

/// How a request ended, as far as logs, metrics and dashboards tell ends apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The upstream answered 2xx.
    Served,
    /// The upstream answered 3xx, or 1xx.
    Redirected,
    /// The upstream answered 400 or above, or its connection was refused or broke.
    UpstreamError,
    /// A rate limit was used up.
    RateLimited,
    /// Nobody knows who asked.
    Unauthenticated,
    /// It was known who asked, and they might not.
    Forbidden,
    /// No route serves the path.
    NoRoute,
    /// The upstream's breaker was open.
    ShortCircuited,
    /// Pool, queue or bulkhead were full, the wait in the queue was too long, or there were no keys to judge a token by.
    Shed,
    /// The route's timeout ran out.
    TimedOut,
    /// Its body was not as it must be.
    Malformed,
    /// The client left first.
    ClientLeft,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::Served,
        Self::Redirected,
        Self::UpstreamError,
        Self::RateLimited,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NoRoute,
        Self::ShortCircuited,
        Self::Shed,
        Self::TimedOut,
        Self::Malformed,
        Self::ClientLeft,
    ];

    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Redirected => "redirected",
            Self::UpstreamError => "upstream-error",
            Self::RateLimited => "rate-limited",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NoRoute => "no-route",
            Self::ShortCircuited => "short-circuited",
            Self::Shed => "shed",
            Self::TimedOut => "timed-out",
            Self::Malformed => "malformed",
            Self::ClientLeft => "client-left",
        }
    }

    pub(super) const fn of_rejection(rejection: Rejection) -> Self {
        match rejection {
            Rejection::RateLimited { .. } => Self::RateLimited,
            Rejection::Unauthenticated { .. } => Self::Unauthenticated,
            Rejection::Forbidden { .. } => Self::Forbidden,
            Rejection::NoRoute => Self::NoRoute,
            Rejection::ShortCircuited { .. } => Self::ShortCircuited,
            Rejection::KeysUnavailable { .. }
            | Rejection::BulkheadFull
            | Rejection::QueueFull { .. }
            | Rejection::QueueTimeout => Self::Shed,
        }
    }
}
