//! When those who make load and trouble stop.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Sets it after so long, or earlier where it is set meanwhile.
    pub(crate) fn after(&self, time: Duration) {
        let step = Duration::from_millis(50);
        for _ in 0..time.as_millis() / step.as_millis() {
            if self.is_set() {
                return;
            }
            thread::sleep(step);
        }
        self.0.store(true, Relaxed);
    }

    /// Sets it where the thread panics, so that nobody goes on for minutes with what has failed.
    pub(crate) fn on_panic(&self) -> OnPanic<'_> {
        OnPanic(self)
    }
}

pub(crate) struct OnPanic<'a>(&'a Stop);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.0.store(true, Relaxed);
        }
    }
}
