//! Everything around the gateway that is simulated.
//!
//! How long a service works on request 17, under a seed: the same in every variant, however many were drawn before.
//!
//! ```
//! use std::time::Duration;
//! use simulator::{Latency, LatencyError, Purpose, Stream};
//!
//! let latency = Latency::log_normal(Duration::from_millis(12), Duration::from_millis(60))?;
//! let orders = Stream::new(902, Purpose::Service, "orders");
//! let time = latency.sample(orders.at(17));
//!
//! let times: Vec<Duration> = (0..1000).map(|request| latency.sample(orders.at(request))).collect();
//! assert_eq!(times[17], time);
//! let below_median = times.iter().filter(|time| **time < Duration::from_millis(12)).count();
//! assert!((450..550).contains(&below_median));
//! # Ok::<(), LatencyError>(())
//! ```
//!
//! Randomness comes first ([`Stream`]): every draw is a function of what it is for, so that two runs that differ
//! in one setting differ in nothing else. On it stand the times that things take ([`Latency`]), the schedules by
//! which clients send ([`OpenLoad`]), who they are ([`Identities`]), what tokens they bear ([`TokenConfig`],
//! [`KeySchedule`]), and the services that answer ([`Upstream`]) or fail to ([`Fault`]).
//!
//! Nothing here reads a clock, opens a socket or waits: both engines ask the same machines. Only [`server`], behind the
//! feature of that name, puts the services on real sockets.

mod cache;
mod calls;
mod chance;
mod client;
mod fault;
mod identity_provider;
mod latency;
mod network;
mod normal;
mod popularity;
mod rate;
#[cfg(feature = "server")]
pub mod server;
mod service;
mod tag;
mod upstream;

pub use cache::{Cache, CacheConfig, CacheContents, CachedObjects, Lookup, ObjectId, Released};
pub use calls::{Ask, CallState, CallStep, Calls, CallsOutcome};
pub use chance::{Purpose, Stream};
pub use client::{
    Arrivals, Burst, ClientRequest, Clients, ClosedLoad, Identities, IdentitiesError, Identity, Journey,
    JourneyStep, LOOPBACK_ADDRESSES, Load, LoadError, OpenLoad, Population, PopulationStreams, RampPoint,
    Spacing, Start, Target, Targets, Token, TokenConfig, TokenDefect, TokenError, Turn, Users, UsersPoint,
    api_key, loopback_address, subject,
};
pub use fault::{Fault, FaultError, FaultId, FaultKind, FaultTimeline, Flush};
pub use identity_provider::{KeyNumber, KeySchedule};
pub use latency::{Latency, LatencyError};
pub use network::{client_is_back_after, service_is_back_after};
pub use popularity::{Popularity, PopularityError};
pub use rate::{Rate, RateError};
pub use service::{
    Activity, Answered, Arrival, Asking, CacheUse, CallId, Content, Due, Job, JobId, Service, ServiceAnswer,
    ServiceEvent, Spent, Step, TurnedAway, UnderWay, Witness,
};
pub use tag::{RequestTag, RequestTagError, headers, upstream_number};
pub use upstream::{Call, Left, Reaction, Upstream, UpstreamConfig, Work};
