//! Whose time passes while a request is under way, told by the tasks that it is shared by.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::scenario_clock::ScenarioClock;
use crate::timestamp::Timestamp;
use crate::waits::{ClientTimeouts, Due, Waits};

/// The time of one request: shared by its body, its attempts and its answer.
pub(super) struct Exchange {
    clock: ScenarioClock,
    waits: Mutex<Waits>,
    /// Something may be due earlier than whoever waits for it knows.
    changed: Notify,
}

impl Exchange {
    pub(super) fn new(clock: ScenarioClock, client: ClientTimeouts) -> Arc<Self> {
        let waits = Mutex::new(Waits::new(clock.now(), client));
        Arc::new(Self { clock, waits, changed: Notify::new() })
    }

    /// The request has a worker.
    pub(super) fn on_worker(&self, deadline: Option<Timestamp>) {
        self.waits().on_worker(self.clock.now(), deadline);
    }

    /// As [`Waits::on_attempt`].
    pub(super) fn on_attempt(&self, timeout: Duration) {
        self.waits().on_attempt(self.clock.now(), timeout);
        self.changed.notify_one();
    }

    /// As [`Waits::on_attempt_ended`].
    pub(super) fn on_attempt_ended(&self) {
        self.waits().on_attempt_ended();
    }

    /// As [`Waits::on_upload`].
    pub(super) fn on_upload(&self, bytes: usize, waits: bool) {
        if self.waits().on_upload(self.clock.now(), bytes, waits) {
            self.changed.notify_one();
        }
    }

    /// As [`Waits::on_download`].
    pub(super) fn on_download(&self, bytes: usize, waits: bool) {
        if self.waits().on_download(self.clock.now(), bytes, waits) {
            self.changed.notify_one();
        }
    }

    /// When an upload that waits has waited for too long.
    pub(super) fn upload_deadline(&self) -> Instant {
        Instant::from_std(self.clock.moment(self.waits().upload_deadline()))
    }

    pub(super) fn is_upload_overdue(&self) -> bool {
        self.waits().is_upload_overdue(self.clock.now())
    }

    pub(super) fn upstream_time(&self, now: Timestamp) -> Duration {
        self.waits().upstream_time(now)
    }

    pub(super) fn client_time(&self, now: Timestamp) -> Duration {
        self.waits().client_time(now)
    }

    /// Waits until something is due.
    pub(super) async fn due(&self) -> Due {
        loop {
            let wakeup = {
                let mut waits = self.waits();
                if let Some(due) = waits.poll_due(self.clock.now()) {
                    return due;
                }
                waits.schedule()
            };
            match wakeup {
                Some(at) => tokio::select! {
                    () = sleep_until(Instant::from_std(self.clock.moment(at))) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
