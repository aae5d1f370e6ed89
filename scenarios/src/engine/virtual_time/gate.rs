//! The door of a service that judges tokens, and those who wait there for keys.

use std::collections::VecDeque;

use gateway::auth::{AuthConfig, AuthVerdict, Authenticator, KeyWait, SimulatedKey};
use gateway::{Rejection, Timestamp};

use crate::engine::bearers::Shown;

/// Where a service judges tokens by itself, and those who wait there for keys.
pub(super) struct Gate<J> {
    pub(super) authenticator: Authenticator<SimulatedKey>,
    waiting: VecDeque<(J, KeyWait)>,
}

/// What a service does with a request on account of its token.
pub(super) enum Admittance {
    /// It takes it on.
    Through,
    /// It turns it away.
    Turned(Rejection),
    /// It has to wait for keys.
    Waits,
}

impl<J: Copy + PartialEq> Gate<J> {
    pub(super) fn new(config: AuthConfig) -> Self {
        Self { authenticator: Authenticator::new(config), waiting: VecDeque::new() }
    }

    /// Judges the token of a job. `has_waited` for one that was told [`Admittance::Waits`] before.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        job: J,
        shown: Option<&Shown>,
        has_waited: bool,
    ) -> Admittance {
        let presented = shown.map_or(gateway::auth::Presented::Nothing, Shown::presented);
        match self.authenticator.on_token(now, &presented, has_waited) {
            AuthVerdict::Verified(_) => Admittance::Through,
            AuthVerdict::Rejected(rejection) => Admittance::Turned(rejection),
            AuthVerdict::AwaitKeys(wait) => {
                self.waiting.push_back((job, wait));
                Admittance::Waits
            }
        }
    }

    /// The next job that waited for keys and need not any longer, in order of arrival.
    pub(super) fn poll_resumed(&mut self) -> Option<J> {
        let (_, wait) = self.waiting.front()?;
        if wait.round >= self.authenticator.rounds() {
            return None;
        }
        self.waiting.pop_front().map(|(job, _)| job)
    }

    /// A job that waited for keys is gone.
    pub(super) fn on_left(&mut self, job: J) {
        if let Some(place) = self.waiting.iter().position(|(waiting, _)| *waiting == job)
            && let Some((_, wait)) = self.waiting.remove(place)
        {
            self.authenticator.on_left(wait);
        }
    }
}
