use std::net::IpAddr;
use std::time::Duration;

use super::{Outcome, Traced};
use crate::auth::{AuthConfig, Claims};
use crate::{Allowances, Checks, Client, Condition, Rejection, RouteId};

/// What is known of a request once it has been decided over. It stays with the request, so that nobody who is told of its
/// end has to have kept it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Who sent it.
    pub peer: IpAddr,
    /// For whom limits count it: the digest of its API key or, without one, of its address.
    pub client: Client,
    /// The route that serves it.
    pub route: Option<RouteId>,
    /// What each rate limit said.
    pub checks: Checks,
    /// The sizes of the buckets that it was judged by.
    pub allowances: Allowances,
    /// Its upstream's breaker, after it was asked; `None` for a request that did not get there, or no breaker.
    pub breaker: Option<Condition>,
    /// Its names; `None` where nobody asked for them.
    pub traced: Option<Traced>,
    /// What is shown of the identity that it proved; `None` for one that proved none.
    pub auth: Option<Box<ShownClaims>>,
}

/// Claims of a verified token that may be shown, each by its name. Never the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownClaims(pub Vec<(String, String)>);

impl ShownClaims {
    /// Of a token that was verified, what upstreams are told too ([`AuthConfig::inject`]); `None` where it claims nothing of
    /// that.
    pub fn of(auth: &AuthConfig, claims: &Claims) -> Option<Self> {
        let shown =
            auth.inject.iter().filter_map(|claim| Some((claim.claim().to_owned(), claim.value(claims)?)));
        let shown: Vec<_> = shown.collect();
        (!shown.is_empty()).then_some(Self(shown))
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What its client was told, if anything.
    pub fate: Fate,
    /// Attempts at its upstream, the gateway's retries included; zero for a request that never got there.
    pub attempts: u32,
    /// From when the last attempt was sent until it ended.
    pub upstream_time: Option<Duration>,
    /// From its arrival until it ended.
    pub total_time: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The upstream's answer was passed on, whole.
    Answered {
        /// With this HTTP status.
        status: u16,
    },
    /// The gateway's rules answered by themselves.
    Rejected(Rejection),
    /// The route's timeout ran out: 504, or a connection cut in the midst of the answer.
    TimedOut,
    /// The connection to the upstream was refused or broke: 502, or a connection cut in the midst of the answer.
    BadGateway,
    /// Its body was not as it must be, which showed only while it was passed on.
    Malformed {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The client left first.
    ClientLeft,
}

impl Fate {
    /// The HTTP status of the answer, or of what would have been it; `None` for a client that left.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Answered { status } | Self::Malformed { status } => Some(status),
            Self::Rejected(rejection) => Some(rejection.status()),
            Self::TimedOut => Some(504),
            Self::BadGateway => Some(502),
            Self::ClientLeft => None,
        }
    }

    /// Which kind of end it is.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Answered { status: 200..=299 } => Outcome::Served,
            Self::Answered { status: 0..=399 } => Outcome::Redirected,
            Self::Answered { .. } | Self::BadGateway => Outcome::UpstreamError,
            Self::Rejected(rejection) => Outcome::of_rejection(rejection),
            Self::TimedOut => Outcome::TimedOut,
            Self::Malformed { .. } => Outcome::Malformed,
            Self::ClientLeft => Outcome::ClientLeft,
        }
    }

    /// Why it was not the upstream that answered, as the gateway's own answers name it; `None` where it was.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Rejected(rejection) => Some(rejection.reason()),
            Self::TimedOut => Some("timed-out"),
            Self::BadGateway => Some("bad-gateway"),
            Self::Answered { .. } | Self::Malformed { .. } | Self::ClientLeft => None,
        }
    }
}
