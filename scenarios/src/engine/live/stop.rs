//! The request to end a live run early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{MaybeDone, maybe_done};
use tokio::sync::watch;

/// Asks a live run to end, from a signal handler or another thread. All copies are one.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    sender: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { asked: Arc::default(), sender: Arc::new(watch::Sender::new(false)) }
    }
}

impl Stop {
    /// Asks the run to end: no more requests are sent, and those under way are given up as unfinished.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.sender.send_replace(true);
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until it is asked for. What is returned may be polled again once it is ready, and is ready then too: users of
    /// a run wait for it again and again, each time together with something else.
    pub(super) fn asked(&self) -> MaybeDone<impl Future<Output = ()>> {
        // The sender lives as long as `self`.
        maybe_done(async { _ = self.sender.subscribe().wait_for(|asked| *asked).await })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_has_heard_of_the_stop_may_ask_again() {
        let stop = Stop::default();
        let mut asked = pin!(stop.asked());
        assert!(asked.as_mut().now_or_never().is_none());
        stop.ask();
        for _ in 0..3 {
            assert!(asked.as_mut().now_or_never().is_some());
        }
    }
}
