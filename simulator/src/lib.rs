//! Everything around the gateway that is simulated.
//!
//! Randomness comes first ([`Stream`]): every draw is a function of what it is for, so that two runs that differ
//! in one setting differ in nothing else. On it stand the times that things take ([`Latency`]), the schedules by
//! which clients send ([`OpenLoad`]), who they are ([`Identities`]), what tokens they bear ([`TokenConfig`],
//! [`KeySchedule`]), and the services that answer ([`Upstream`]) or fail to ([`Fault`]).
//!
//! Nothing here reads a clock, opens a socket or waits: both engines ask the same machines. Only [`server`], behind the
//! feature of that name, puts the services on real sockets.

mod calls;
mod chance;
mod client;
mod fault;
mod identity_provider;
mod latency;
mod network;
mod normal;
mod rate;
#[cfg(feature = "server")]
pub mod server;
mod tag;
mod upstream;

pub use calls::{Ask, CallState, CallStep, Calls, CallsOutcome};
pub use chance::{Purpose, Stream};
pub use client::{
    Arrivals, Burst, ClosedLoad, Identities, IdentitiesError, Identity, LOOPBACK_ADDRESSES, Load, LoadError,
    Method, OpenLoad, Population, PopulationStreams, RampPoint, Spacing, Start, Target, Targets, Token,
    TokenConfig, TokenDefect, TokenError, Users, UsersPoint, api_key, loopback_address, subject,
};
pub use fault::{Fault, FaultError, FaultId, FaultKind, FaultTimeline};
pub use identity_provider::{KeyNumber, KeySchedule};
pub use latency::{Latency, LatencyError};
pub use network::{client_is_back_after, service_is_back_after};
pub use rate::{Rate, RateError};
pub use tag::{RequestTag, RequestTagError, headers, upstream_number};
pub use upstream::{Call, Left, Reaction, Upstream, UpstreamConfig, Work};
