//! What observers are told of a request when it ends: what is known of it, how it ended, and how long it took. The kinds of ends
//! themselves are in `attempt`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::Checks;
use crate::attempt::RequestEnd;
use crate::auth::{AuthConfig, Claims};
use crate::breaker::Condition;
use crate::identity::Client;
use crate::limits::LimitFacts;
use crate::route::RouteId;
use crate::trace::Traced;

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
    /// What is shown of the limits that it was judged by.
    pub limits: Arc<LimitFacts>,
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
    pub end: RequestEnd,
    /// Attempts at its upstream, the gateway's retries included; zero for a request that never got there.
    pub attempts: u32,
    /// From when the last attempt was sent until it ended.
    pub upstream_time: Option<Duration>,
    /// From its arrival until it ended.
    pub total_time: Duration,
}
