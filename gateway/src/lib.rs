//! The gateway under test: what it decides about a request, as state machines.
//!
//! Two limits of 1,000 requests a minute, and a client that sends 1,000 at the end of a minute and 1,000 at the start of the next:
//!
//! ```
//! use std::time::Duration;
//! use gateway::{Algorithm, KeyedLimiter, RateLimit, RateLimitError, Timestamp};
//!
//! let minute = Duration::from_secs(60);
//! let fixed_window = RateLimit::new(Algorithm::FixedWindow, 1000, minute)?;
//! let token_bucket = RateLimit::new(Algorithm::TokenBucket, 1000, minute)?.with_burst(100)?;
//!
//! let nine = Timestamp::from_nanos(1_780_390_800_000_000_000);
//! let burst = |from: u64| (0..1000).map(move |k| nine + Duration::from_millis(from + 2 * k));
//! let admitted = |limit: RateLimit| {
//!     let mut limiter = KeyedLimiter::new(limit);
//!     let (client, sends) = (7, burst(58_000).chain(burst(60_000)));
//!     sends.filter(|now| limiter.check(*now, client).is_admitted()).count()
//! };
//! assert_eq!(admitted(fixed_window), 2000);
//! assert_eq!(admitted(token_bucket), 166);
//! # Ok::<(), RateLimitError>(())
//! ```
//!
//! [`Pipeline`] is the whole path of a request; the rules along it ([`KeyedLimiter`], [`Pool`], [`Routes`]) stand
//! on their own. Each is told the time, answers with a decision and owns no socket, timer, clock or thread:
//! the same rules are driven over simulated time and by a real server. `gateway` knows neither who calls it
//! nor who observes it.
//!
//! Who asks is judged in [`auth`]. With the feature `jwt` come real tokens, and with `server` the real gateway: module
//! `server`, the rules between sockets.

mod admission;
mod attempt;
pub mod auth;
mod breaker;
mod concurrency;
mod config;
mod dispatcher;
mod ended;
mod entrance;
mod failure_set;
mod hosts;
mod identity;
mod invariant;
mod limits;
mod method;
mod outcome;
mod path;
mod pipeline;
mod pool;
mod rate_limit;
mod rejection;
mod retry;
mod route;
mod scope;
#[cfg(feature = "server")]
pub mod server;
mod split_mix;
pub mod telemetry;
mod timestamp;
mod trace;
mod trusted_proxies;
mod waits;

pub use admission::{Admission, Ask, Checks, Limits, Owed, Request, SharedAdmission};
pub use attempt::{AttemptEnd, AttemptFailure, RequestEnd};
pub use breaker::{
    Breaker, BreakerConfig, BreakerConfigError, BreakerWindow, Condition, Counts, FailureKinds, GrowthRule,
    HalfOpen, OpenGrowth, Permit, Settlement, ShortCircuit, Transition,
};
pub use concurrency::{CallerCap, CallerCaps, CapScope, ConcurrencyCap};
pub use config::{GatewayConfig, UpstreamPolicy};
pub use dispatcher::{Dispatch, Dispatcher, Forward, Pass, Upload, UpstreamLoad};
pub use entrance::{Admitted, Entrance, NO_KEYS, Stop};
pub use failure_set::{FailureSet, StatusSet};
pub use hosts::{
    Balance, EjectedUntil, Ejection, HashBy, HealthCheck, HostChange, HostCheck, HostCondition, HostId,
    HostPass, Hosts, HostsConfig, HostsError,
};
pub use identity::{Client, KeyPart, KeySecret, KeyedBy, Peer, PrefixError, Prefixes};
pub use invariant::{Invariants, Violation, Violations};
pub use limits::{
    Charge, Costs, LimitFact, LimitFacts, LimitId, LimitList, LimitListError, LimitName, LimitRule,
    RateLimits, Tier, TierKeys, TierMembers,
};
pub use method::{Method, MethodSet};
pub use outcome::Outcome;
pub use path::{PathFault, Paths};
pub use pipeline::{Decision, Pipeline};
pub use pool::{Place, Pool, PoolConfig};
pub use rate_limit::{Algorithm, KeyedLimiter, RateLimit, RateLimitError, Verdict, WindowFrom};
pub use rejection::Rejection;
pub use retry::{
    Backoff, BackoffError, InFlightBudget, InFlightBudgetError, Jitter, Retrier, RetryBudgetConfig,
    RetryPolicy, RetryState, ShareBudget, ShareBudgetError, TokenAccounts, TokenBudget, TokenBudgetError,
    TokenCharge,
};
pub use route::{GatewayRetry, Route, RouteError, RouteId, Routed, Routes, UpstreamId};
pub use scope::Scope;
pub use split_mix::split_mix_64;
pub use timestamp::Timestamp;
pub use trusted_proxies::{Network, NetworkError, TrustedProxies};
pub use waits::{ClientTimeouts, Due, Waits};
