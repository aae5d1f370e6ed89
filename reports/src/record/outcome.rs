//! How a logical request ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a logical request ended; each ends in exactly one way.
///
/// The order is the order of the tables: good first, then what the upstream did, what the gateway refused,
/// and what nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The upstream answered 2xx within the client's timeout, or a status that the route is expected to answer.
    Served,
    /// The upstream or the gateway answered 3xx, or 1xx, and the route is not expected to.
    Redirected,
    /// The upstream answered 400 or above (its own full queue included), or its connection broke.
    UpstreamError,
    /// The gateway answered 429: a rate limit was exhausted.
    RateLimited,
    /// The gateway answered 401: it does not know who asks.
    Unauthenticated,
    /// The gateway answered 403: it knows who asks, and that they may not.
    Forbidden,
    /// The gateway answered 404: no route serves the path.
    NoRoute,
    /// The gateway answered 503: the circuit breaker is open.
    ShortCircuited,
    /// The gateway answered 503: no worker, no place in its queue, or too long a wait there.
    Shed,
    /// The gateway answered 504: the route's timeout ran out.
    TimedOut,
    /// The client's own timeout ran out; it saw no answer.
    GaveUp,
    /// The gateway refused or reset the connection; nobody answered.
    Unreachable,
    /// The run ended first.
    Unfinished,
}

impl Outcome {
    /// Every outcome, in the order of the tables.
    pub const ALL: [Self; 13] = [
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
        Self::GaveUp,
        Self::Unreachable,
        Self::Unfinished,
    ];

    /// The name used in results, tables and expectations, such as `rate-limited`.
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
            Self::GaveUp => "gave-up",
            Self::Unreachable => "unreachable",
            Self::Unfinished => "unfinished",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Whether the client saw no answer, and nobody can say when there would have been one.
    pub const fn is_unanswered(self) -> bool {
        matches!(self, Self::GaveUp | Self::Unfinished)
    }

    /// Whether something is wrong where requests end so. To turn requests away is what a limit, a check of identity and a circuit
    /// breaker are for.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Redirected
            | Self::UpstreamError
            | Self::Shed
            | Self::TimedOut
            | Self::GaveUp
            | Self::Unreachable
            | Self::Unfinished => true,
            Self::Served
            | Self::RateLimited
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NoRoute
            | Self::ShortCircuited => false,
        }
    }

    /// Its place in [`Outcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_result_file_and_lead_back() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index(), place);
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
        assert_eq!(Outcome::from_name("Served"), None);
    }
}
