use std::time::Duration;

use crate::Scope;

/// Why the gateway answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A rate limit is exhausted.
    RateLimited {
        /// Which one.
        scope: Scope,
        /// The least wait after which it would let one more through.
        retry_after: Duration,
    },
    /// No route serves the path.
    NoRoute,
    /// Every worker is taken and the queue is full.
    QueueFull,
    /// It waited longer than the queue's timeout.
    QueueTimeout,
}

impl Rejection {
    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::RateLimited { .. } => 429,
            Self::NoRoute => 404,
            Self::QueueFull | Self::QueueTimeout => 503,
        }
    }
}
