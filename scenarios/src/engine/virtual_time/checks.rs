//! The gateway's checks of hosts: whom it asks, and when.

use gateway::{AttemptEnd, HostCheck, UpstreamId};
use simulator::Content;

use super::Run;
use super::event::{CallOrigin, Event, ServiceJob};
use super::services::{Asks, Bears};

/// A check of a host that is under way.
pub(super) struct CheckUnderWay {
    /// The engine's own number of it.
    id: u32,
    upstream: UpstreamId,
    check: HostCheck,
    job: ServiceJob,
}

impl Run<'_> {
    /// Begins the checks that are due.
    pub(super) fn keep_checks(&mut self) {
        let now = self.context.now;
        while let Some((upstream, check)) = self.gateway.poll_check(now) {
            self.checked += 1;
            let id = self.checked;
            let key = self.check_stream.at(u64::from(id));
            let bears =
                Bears { bearer: None, shows_token: false, asks: Asks::Health, content: Content::NONE };
            let host = (upstream.0 as usize, check.host);
            let job = self.services.dispatch(&mut self.context, host, CallOrigin::Check(id), key, bears);
            self.checks.push(CheckUnderWay { id, upstream, check, job });
            self.context.events.schedule_timeout(check.deadline, Event::CheckTimeout(id));
        }
        if let Some(next) = self.gateway.next_check()
            && self.checks_wake.is_none_or(|wakes| next < wakes)
        {
            self.checks_wake = Some(next);
            self.context.events.schedule(next, Event::Checks);
        }
    }

    /// The time has come for the next check.
    pub(super) fn wake_checks(&mut self) {
        if self.checks_wake.is_some_and(|wakes| wakes <= self.context.now) {
            self.checks_wake = None;
        }
        self.keep_checks();
    }

    /// A check was answered, or could not be.
    pub(super) fn hear_check(&mut self, id: u32, end: AttemptEnd) {
        if self.take_check(id, matches!(end, AttemptEnd::Answered(200..=299))).is_some() {
            self.keep_checks();
        }
    }

    /// A check has not been answered in time, if it has not.
    pub(super) fn check_timed_out(&mut self, id: u32) {
        if let Some(job) = self.take_check(id, false) {
            self.services.on_caller_left(&mut self.context, job);
            self.keep_checks();
        }
    }

    fn take_check(&mut self, id: u32, well: bool) -> Option<ServiceJob> {
        let place = self.checks.iter().position(|check| check.id == id)?;
        let CheckUnderWay { upstream, check, job, .. } = self.checks.swap_remove(place);
        self.gateway.on_checked(self.context.now, upstream, check, well);
        Some(job)
    }
}
