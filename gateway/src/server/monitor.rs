//! A look at a running server.

use std::fmt;
use std::sync::Weak;

use super::rules::Rules;
use super::state::ServerState;

/// A look at a running server, for whoever draws or scrapes it. It keeps nothing alive.
#[derive(Clone)]
pub struct Monitor(pub(super) Weak<Rules>);

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}

impl Monitor {
    /// What the server holds now; `None` once it is gone. Takes each of its locks for a moment.
    pub fn state(&self) -> Option<ServerState> {
        Some(self.0.upgrade()?.state())
    }
}
