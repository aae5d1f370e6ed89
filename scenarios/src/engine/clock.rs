use std::time::Duration;

use gateway::Timestamp;
use reports::Recorder;

use super::event_queue::EventQueue;
use super::virtual_time::Event;

/// What every part of a run shares: the time, what is to happen, and where it is written down.
pub(super) struct Clock {
    pub(super) now: Timestamp,
    pub(super) starts: Timestamp,
    pub(super) events: EventQueue<Event>,
    pub(super) recorder: Recorder,
}

impl Clock {
    /// Time since the scenario's start.
    pub(super) fn since_start(&self) -> Duration {
        self.now - self.starts
    }
}
