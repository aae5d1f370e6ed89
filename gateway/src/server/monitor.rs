use std::fmt;
use std::sync::Weak;

use super::course::Rules;
use crate::{Condition, Scope, Timestamp};

/// A look at a running server, for whoever draws or scrapes it. It keeps nothing alive.
#[derive(Clone)]
pub struct Monitor(pub(super) Weak<Rules>);

/// What a server holds at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The instant.
    pub at: Timestamp,
    /// Workers in use.
    pub in_flight: u32,
    /// Requests that wait for one.
    pub queued: u32,
    /// By upstream.
    pub upstreams: Vec<UpstreamState>,
    /// Buckets that are not fresh, by scope; `None` where it is not limited.
    pub buckets: [Option<usize>; Scope::ALL.len()],
}

/// What a server holds against one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// Requests that hold or wait for a worker.
    pub in_flight: u32,
    /// Its breaker; `None` where it has none.
    pub breaker: Option<Condition>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}

impl Monitor {
    /// What the server holds now; `None` once it is gone. Takes each of its locks for a moment.
    pub fn state(&self) -> Option<State> {
        Some(self.0.upgrade()?.state())
    }
}
