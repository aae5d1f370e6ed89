//! Kinds of ends of a request, as logs, metrics and dashboards tell them apart. Each is made of a `RequestEnd`, in `attempt`.

/// Kinds of ends of a request, as logs, metrics and dashboards tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The upstream answered 2xx.
    Served,
    /// The upstream answered 3xx, or 1xx.
    Redirected,
    /// The upstream answered 400 or above, or the connection to the upstream was refused or broke.
    UpstreamError,
    /// A rate limit was used up.
    RateLimited,
    /// The token did not say who asked.
    Unauthenticated,
    /// The claims of the token did not permit the request.
    Forbidden,
    /// No route serves the path.
    NoRoute,
    /// The upstream's breaker was open.
    ShortCircuited,
    /// Pool, queue or bulkhead were full, the wait in the queue was too long, or there were no keys to judge a token by.
    Shed,
    /// The route's timeout ran out.
    TimedOut,
    /// The request's body was malformed.
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

    /// The outcome of an upstream's answer.
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Served,
            0..=399 => Self::Redirected,
            _ => Self::UpstreamError,
        }
    }
}
