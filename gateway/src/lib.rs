//! The gateway under test: what it decides about a request, as state machines.
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
mod dispatcher;
mod identity;
mod path;
mod pipeline;
mod pool;
mod rate_limit;
mod rejection;
mod retry;
mod route;
#[cfg(feature = "server")]
pub mod server;
pub mod telemetry;
mod timestamp;
mod waits;

pub use admission::{Admission, Allowances, Checks, RateLimits, Request, Scope, SharedAdmission};
pub use attempt::{AttemptEnd, AttemptFailure, Outcome, RequestEnd};
pub use breaker::{
    Breaker, BreakerConfig, BreakerConfigError, Condition, Counts, FailureKinds, HalfOpen, Permit,
    Settlement, ShortCircuit, Transition,
};
pub use dispatcher::{Decision, Dispatcher, Forward, Pass, Upload};
pub use identity::{Client, KeySecret, KeyedBy, Peer};
pub use path::{PathFault, Paths};
pub use pipeline::{GatewayConfig, Pipeline, UpstreamPolicy};
pub use pool::{Place, Pool, PoolConfig};
pub use rate_limit::{Algorithm, KeyedLimiter, RateLimit, RateLimitError, Verdict};
pub use rejection::Rejection;
pub use retry::{
    Backoff, BackoffError, Jitter, Retrier, RetryBudget, RetryBudgetConfig, RetryBudgetError, RetryOn,
    RetryPolicy, RetryState,
};
pub use route::{GatewayRetry, Route, RouteError, RouteId, Routed, Routes, UpstreamId};
pub use timestamp::Timestamp;
pub use waits::{ClientTimeouts, Due, Waits};
