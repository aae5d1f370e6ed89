//! What a running server holds.

use crate::dispatcher::UpstreamLoad;
use crate::limits::LimitId;
use crate::timestamp::Timestamp;

/// What a server holds at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// The instant.
    pub at: Timestamp,
    /// Workers in use.
    pub in_flight: u32,
    /// Requests that wait, for a place under a cap or for a worker.
    pub queued: u32,
    /// By upstream.
    pub upstreams: Vec<UpstreamLoad>,
    /// Buckets of each limit that are not fresh.
    pub buckets: Vec<(LimitId, usize)>,
    /// How often a counter of the server was found wrong since the start: 0, unless the gateway has a defect.
    pub broken_invariants: u64,
}
