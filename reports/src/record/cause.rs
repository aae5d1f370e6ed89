//! Why a request was not served well: the way back from what its client saw to what made it so.
//!
//! "504 on `/account`" says nothing about the payment processor that held every worker of the gateway. So whoever runs
//! a simulation follows each such request back, step by step, and the steps are kept here: a request that waited for a
//! worker behind another route, whose workers wait for an upstream, which a fault has slowed. There are few different
//! ways back in any run, so each is kept once, as a list that shares its tails with the others.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::layout::{BreakerId, Layout};

/// One step of a way back. Routes, upstreams, limits and faults are told by their place in the [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The client had waited for as long as it waits for an attempt.
    ClientTimeout,
    /// The route's timeout ran out.
    RouteTimeout,
    /// The gateway had waited for an attempt as long as it waits for one.
    TryTimeout,
    /// The wait in the gateway's queue was as long as it lets anybody wait.
    QueueTimeout,
    /// A rate limit rejected it.
    RateLimit(usize),
    /// It waited for its turn at a rate limit.
    RateLimitDelay(usize),
    /// No route serves the path.
    NoRoute,
    /// Its token was not accepted.
    Token {
        /// The service that judged it, by number; `None` for the gateway.
        service: Option<usize>,
        /// Why not, such as `signature-invalid`.
        reason: &'static str,
    },
    /// The keys of the identity provider, an upstream, were not to be had, or not in time.
    Keys(usize),
    /// A circuit breaker was not closed.
    Breaker(BreakerId),
    /// As many requests for the upstream were on their way as may be.
    Bulkhead(usize),
    /// As many requests of its address, its client or its route were on their way as may be: of which, such as `per_key`.
    ConcurrencyCap(&'static str),
    /// Every host of the upstream was passed over.
    NoHost(usize),
    /// Every worker of the gateway was taken, most of them by this route.
    GatewayPool {
        /// The route.
        behind: usize,
    },
    /// Every worker of the upstream was taken.
    UpstreamQueue(usize),
    /// A service gave up on another.
    CallTimeout {
        /// The service that asked.
        service: usize,
        /// The one that it asked.
        upstream: usize,
    },
    /// A service waited for another, or had a failure from it.
    Call {
        /// The service that asked.
        service: usize,
        /// The one that it asked.
        upstream: usize,
    },
    /// The upstream was at work, with nothing wrong with it.
    Work(usize),
    /// The upstream was at work for callers that had left.
    AbandonedWork(usize),
    /// A fault struck the upstream.
    Fault {
        /// Which one.
        fault: usize,
        /// Whom it struck.
        upstream: usize,
    },
    /// Attempts that had failed before took most of its time.
    EarlierAttempts,
    /// Somebody waited before trying again.
    Backoff,
}

/// A way back that a [`CauseTable`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CauseId(u32);

impl CauseId {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self(0);
}

/// Every way back that occurred, each once.
#[derive(Debug, Default)]
pub struct CauseTable {
    /// First step and the rest, of number 1 and up.
    ways: Vec<(Cause, CauseId)>,
    /// Nobody outside chooses what is hashed, and every request that was long on its way asks.
    numbers: HashMap<(Cause, CauseId), CauseId, FixedState>,
    last: Option<((Cause, CauseId), CauseId)>,
}

impl CauseTable {
    /// The way back that begins with `first` and goes on with `rest`.
    #[inline]
    pub fn way(&mut self, first: Cause, rest: CauseId) -> CauseId {
        let key = (first, rest);
        // What keeps many requests from being served is mostly the same for each and the one before it.
        if let Some((known, number)) = self.last
            && known == key
        {
            return number;
        }
        let next = CauseId(self.ways.len() as u32 + 1);
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.ways.push(key);
            next
        });
        self.last = Some((key, number));
        number
    }

    /// The steps, the one that the client saw first.
    pub fn steps(&self, mut way: CauseId) -> impl Iterator<Item = Cause> {
        std::iter::from_fn(move || {
            let (first, rest) = *self.ways.get((way.0 as usize).checked_sub(1)?)?;
            way = rest;
            Some(first)
        })
    }
}

/// Counts by way back, for each a short list of who it happened to.
#[derive(Debug, Default)]
pub(crate) struct CauseCounts(Vec<Vec<((usize, Ending), u64)>>);

/// How a request that was not served well ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Not served.
    Failed,
    /// Served, and later than the SLO allows.
    Late,
}

impl CauseCounts {
    pub(crate) fn add(&mut self, way: CauseId, route: usize, ending: Ending) {
        let way = way.0 as usize;
        if self.0.len() <= way {
            self.0.resize_with(way + 1, Vec::new);
        }
        let counts = &mut self.0[way];
        match counts.iter_mut().find(|(whose, _)| *whose == (route, ending)) {
            Some((_, count)) => *count += 1,
            None => counts.push(((route, ending), 1)),
        }
    }

    /// As a result has them: most frequent first, and of equals in the order of their first occurrence.
    pub(crate) fn into_results(self, table: &CauseTable, layout: &Layout) -> Vec<CauseResult> {
        let ways = (0..).map(CauseId).zip(self.0);
        let counted = ways.flat_map(|(way, counts)| {
            counts.into_iter().map(move |((route, ending), requests)| (way, route, ending, requests))
        });
        let mut results: Vec<_> = counted
            .map(|(way, route, ending, requests)| CauseResult {
                route: layout.routes[route].path.clone(),
                ending,
                requests,
                steps: table.steps(way).map(|step| CauseStep::of(step, layout)).collect(),
            })
            .collect();
        results.sort_by_key(|result| std::cmp::Reverse(result.requests));
        results
    }
}

/// Requests of a route that were not served well for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseResult {
    /// The route's path.
    pub route: String,
    /// Not served, or served late.
    pub ending: Ending,
    /// How many.
    pub requests: u64,
    /// From what the client saw back to what made it so; empty where that is not known.
    pub steps: Vec<CauseStep>,
}

/// One step of the way back from what a client saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CauseStep {
    /// What held the request up or ended it.
    pub kind: CauseKind,
    /// Whose: a rate limit, route, upstream, `service→upstream`, of a fault its kind and upstream (`hang on payments`), of a
    /// token why it was not accepted, and by which service if not the gateway (`claim-missing at orders`);
    /// `None` where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What held a request up or ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// The client gave up on the attempt.
    ClientTimeout,
    /// The route's timeout ran out.
    RouteTimeout,
    /// The gateway had waited for an attempt as long as it waits for one.
    TryTimeout,
    /// It waited in the gateway's queue for as long as that lets anybody wait.
    QueueTimeout,
    /// A rate limit rejected it.
    RateLimit,
    /// It waited for its turn at a rate limit.
    RateLimitDelay,
    /// No route serves the path.
    NoRoute,
    /// Its token was not accepted, for the reason named.
    Token,
    /// The keys to judge its token by were not to be had, or not in time.
    Keys,
    /// A circuit breaker was not closed.
    Breaker,
    /// The bulkhead of an upstream was full.
    Bulkhead,
    /// A cap on the concurrency of an address, a client or a route was reached.
    ConcurrencyCap,
    /// Every host of an upstream was passed over.
    NoHost,
    /// The gateway's workers were taken, most of them by the route named.
    GatewayPool,
    /// The upstream's workers were taken.
    UpstreamQueue,
    /// A service gave up on another.
    CallTimeout,
    /// A service waited for another, or had a failure from it.
    Call,
    /// An upstream was at work, with nothing wrong with it.
    Work,
    /// An upstream was at work for callers that had left.
    AbandonedWork,
    /// A fault struck an upstream.
    Fault,
    /// Attempts that had failed before took most of its time.
    EarlierAttempts,
    /// Somebody waited before trying again.
    Backoff,
}

impl Ending {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }
}

impl CauseKind {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientTimeout => "client-timeout",
            Self::RouteTimeout => "route-timeout",
            Self::TryTimeout => "try-timeout",
            Self::QueueTimeout => "queue-timeout",
            Self::RateLimit => "rate-limit",
            Self::RateLimitDelay => "rate-limit-delay",
            Self::NoRoute => "no-route",
            Self::Token => "token",
            Self::Keys => "keys",
            Self::Breaker => "breaker",
            Self::Bulkhead => "bulkhead",
            Self::ConcurrencyCap => "concurrency-cap",
            Self::NoHost => "no-host",
            Self::GatewayPool => "gateway-pool",
            Self::UpstreamQueue => "upstream-queue",
            Self::CallTimeout => "call-timeout",
            Self::Call => "call",
            Self::Work => "work",
            Self::AbandonedWork => "abandoned-work",
            Self::Fault => "fault",
            Self::EarlierAttempts => "earlier-attempts",
            Self::Backoff => "backoff",
        }
    }
}

impl CauseStep {
    fn of(cause: Cause, layout: &Layout) -> Self {
        let upstream = |number: usize| layout.upstreams[number].name.clone();
        let call = |service, asked| Some(format!("{}→{}", upstream(service), upstream(asked)));
        let (kind, of) = match cause {
            Cause::ClientTimeout => (CauseKind::ClientTimeout, None),
            Cause::RouteTimeout => (CauseKind::RouteTimeout, None),
            Cause::TryTimeout => (CauseKind::TryTimeout, None),
            Cause::QueueTimeout => (CauseKind::QueueTimeout, None),
            Cause::RateLimit(limit) => (CauseKind::RateLimit, Some(layout.limits[limit].scope.clone())),
            Cause::RateLimitDelay(limit) => {
                (CauseKind::RateLimitDelay, Some(layout.limits[limit].scope.clone()))
            }
            Cause::NoRoute => (CauseKind::NoRoute, None),
            Cause::Token { service: None, reason } => (CauseKind::Token, Some(reason.to_owned())),
            Cause::Token { service: Some(service), reason } => {
                (CauseKind::Token, Some(format!("{reason} at {}", upstream(service))))
            }
            Cause::Keys(provider) => (CauseKind::Keys, Some(upstream(provider))),
            Cause::Breaker(BreakerId { service: None, upstream: asked }) => {
                (CauseKind::Breaker, Some(upstream(asked)))
            }
            Cause::Breaker(BreakerId { service: Some(service), upstream: asked }) => {
                (CauseKind::Breaker, call(service, asked))
            }
            Cause::Bulkhead(asked) => (CauseKind::Bulkhead, Some(upstream(asked))),
            Cause::ConcurrencyCap(scope) => (CauseKind::ConcurrencyCap, Some(scope.to_owned())),
            Cause::NoHost(asked) => (CauseKind::NoHost, Some(upstream(asked))),
            Cause::GatewayPool { behind } => {
                (CauseKind::GatewayPool, Some(layout.routes[behind].path.clone()))
            }
            Cause::UpstreamQueue(asked) => (CauseKind::UpstreamQueue, Some(upstream(asked))),
            Cause::CallTimeout { service, upstream: asked } => (CauseKind::CallTimeout, call(service, asked)),
            Cause::Call { service, upstream: asked } => (CauseKind::Call, call(service, asked)),
            Cause::Work(asked) => (CauseKind::Work, Some(upstream(asked))),
            Cause::AbandonedWork(asked) => (CauseKind::AbandonedWork, Some(upstream(asked))),
            Cause::Fault { fault, upstream: struck } => {
                (CauseKind::Fault, Some(format!("{} on {}", layout.faults[fault].kind, upstream(struck))))
            }
            Cause::EarlierAttempts => (CauseKind::EarlierAttempts, None),
            Cause::Backoff => (CauseKind::Backoff, None),
        };
        Self { kind, of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::layout::{RouteLayout, StationLayout};

    #[test]
    fn ways_share_their_tails_and_are_kept_once() {
        let mut table = CauseTable::default();
        let fault = table.way(Cause::Fault { fault: 0, upstream: 1 }, CauseId::UNKNOWN);
        let pool = table.way(Cause::GatewayPool { behind: 1 }, fault);
        let timeout = table.way(Cause::ClientTimeout, pool);
        let again = table.way(Cause::Fault { fault: 0, upstream: 1 }, CauseId::UNKNOWN);
        let again = table.way(Cause::GatewayPool { behind: 1 }, again);
        assert_eq!(again, pool);
        assert_ne!(table.way(Cause::GatewayPool { behind: 0 }, fault), pool);
        let steps: Vec<_> = table.steps(timeout).collect();
        let expected =
            [Cause::ClientTimeout, Cause::GatewayPool { behind: 1 }, Cause::Fault { fault: 0, upstream: 1 }];
        assert_eq!(steps, expected);
        assert_eq!(table.steps(CauseId::UNKNOWN).count(), 0);
    }

    #[test]
    fn counts_are_told_by_name_and_the_most_frequent_first() {
        let route = |path: &str| RouteLayout { path: path.to_owned(), ..RouteLayout::default() };
        let station = |name: &str| StationLayout { name: name.to_owned(), ..StationLayout::default() };
        let layout = Layout {
            routes: vec![route("/account"), route("/checkout")],
            upstreams: vec![station("accounts"), station("payments")],
            faults: vec![crate::record::layout::FaultLayout {
                kind: "hang".to_owned(),
                ..crate::record::layout::FaultLayout::default()
            }],
            ..Layout::default()
        };
        let mut table = CauseTable::default();
        let fault = table.way(Cause::Fault { fault: 0, upstream: 1 }, CauseId::UNKNOWN);
        let pool = table.way(Cause::GatewayPool { behind: 1 }, fault);
        let mut counts = CauseCounts::default();
        counts.add(fault, 1, Ending::Failed);
        counts.add(pool, 0, Ending::Late);
        counts.add(pool, 0, Ending::Failed);
        counts.add(pool, 0, Ending::Failed);
        let results = counts.into_results(&table, &layout);
        let told: Vec<_> = results
            .iter()
            .map(|result| {
                let of = result.steps.iter().map(|step| step.of.as_deref().unwrap_or("–"));
                (result.route.as_str(), result.ending, result.requests, of.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("/account", Ending::Failed, 2, vec!["/checkout", "hang on payments"]),
                ("/checkout", Ending::Failed, 1, vec!["hang on payments"]),
                ("/account", Ending::Late, 1, vec!["/checkout", "hang on payments"]),
            ]
        );
    }
}
