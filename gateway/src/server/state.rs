//! What a running server holds.

use crate::breaker::Condition;
use crate::limits::LimitId;
use crate::timestamp::Timestamp;

/// What a server holds at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// The instant.
    pub at: Timestamp,
    /// Workers in use.
    pub in_flight: u32,
    /// Requests that wait for one.
    pub queued: u32,
    /// By upstream.
    pub upstreams: Vec<UpstreamState>,
    /// Buckets of each limit that are not fresh.
    pub buckets: Vec<(LimitId, usize)>,
    /// How often a counter of the server was found wrong since the start: 0, unless the gateway has a defect.
    pub broken_invariants: u64,
}

/// What a server holds against one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// Requests that hold or wait for a worker.
    pub in_flight: u32,
    /// Its breaker; `None` where it has none.
    pub breaker: Option<Condition>,
}
