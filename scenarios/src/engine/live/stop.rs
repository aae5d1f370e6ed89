use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// Waits until it is asked for.
    pub(super) async fn asked(&self) {
        // The sender lives as long as `self`.
        let _ = self.sender.subscribe().wait_for(|asked| *asked).await;
    }
}
