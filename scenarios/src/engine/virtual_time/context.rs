//! What every part of a run in virtual time shares.

use std::time::Duration;

use gateway::Timestamp;
use reports::{Cause, CauseId, Recorder, RunEvent, Witness as _};

use super::event::Event;
use super::event_queue::EventQueue;
use crate::engine::bearers::Bearers;

/// What every part of a run shares: the time, what is to happen, and where it is written down.
pub(super) struct Context {
    pub(super) now: Timestamp,
    /// From the scenario's start until now: asked for several times for each event, and a division each time.
    pub(super) since_start: Duration,
    pub(super) starts: Timestamp,
    pub(super) events: EventQueue<Event>,
    pub(super) recorder: Recorder,
    /// Jobs of services that a client asked for and that are not done.
    pub(super) jobs_of_clients: usize,
    /// Who bears which token.
    pub(super) bearers: Bearers,
    /// What takes less than this is not looked at as a reason for being late: of the three places where a request can
    /// spend its time, one must have taken a third of what the SLO allows.
    pub(super) noticeable: Duration,
}

impl Context {
    /// It is `at` now.
    pub(super) fn advance(&mut self, at: Timestamp) {
        self.now = at;
        self.since_start = at - self.starts;
    }

    /// This happened, now.
    #[expect(clippy::inline_always, reason = "as the recorder's own: nothing is told apart at run time")]
    #[inline(always)]
    pub(super) fn tell(&mut self, event: RunEvent) {
        self.recorder.hear(self.since_start, event);
    }

    /// The way back that begins with `first` and goes on with `rest`.
    pub(super) fn way(&mut self, first: Cause, rest: CauseId) -> CauseId {
        self.recorder.causes.way(first, rest)
    }
}
