use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long one body may keep us waiting without a byte. The alarm is made when it first does, and set anew from then on.
pub(super) struct Patience {
    limit: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
    waits: bool,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, alarm: None, waits: false }
    }

    /// Something came.
    pub(super) fn renew(&mut self) {
        self.waits = false;
    }

    /// Nothing came, once again: ready when that was so for too long.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waits {
            self.waits = true;
            alarm.as_mut().reset(Instant::now() + limit);
        }
        alarm.as_mut().poll(cx)
    }
}
