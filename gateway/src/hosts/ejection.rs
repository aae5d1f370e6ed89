//! What failures do to one host.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::{EjectedUntil, Ejection};
use crate::timestamp::Timestamp;

/// The failures and ejections of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlier {
    /// Failures that count: in a row, or with [`EjectedUntil::Probe`] since an attempt was last answered well that was sent long enough after a
    /// failure.
    failures: u32,
    /// By how many times the next ejection is longer than the first, so to speak: raised by each ejection, lowered by each sweep that
    /// finds the host in its place.
    times: u32,
    /// Since when the host is ejected.
    ejected: Option<Timestamp>,
    /// With [`EjectedUntil::Quiet`]: when the last `consecutive` failures were, the earliest first.
    recent: VecDeque<Timestamp>,
    /// With [`EjectedUntil::Probe`].
    trial: Trial,
}

/// The times by which nginx judges a host.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    /// The last failure, or the last attempt that was sent long enough after one: nginx's `checked`.
    checked: Timestamp,
    /// The last failure: nginx's `accessed`.
    failed: Timestamp,
    /// Whether the time since `checked` is over, so that the next attempt is a probe.
    is_due: bool,
}

/// What the end of an attempt says of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing new.
    Nothing,
    /// The host has failed often enough to be ejected.
    Failing,
    /// A probe was answered well: the host is no longer ejected.
    Recovered,
    /// The ejected host failed again, so that the probe that was due waits.
    PutOff,
}

impl Outlier {
    pub(super) const fn is_ejected(&self) -> bool {
        self.ejected.is_some()
    }

    /// Whether the host is ejected and the next attempt may go there nevertheless.
    pub(super) const fn may_be_probed(&self) -> bool {
        self.is_ejected() && self.trial.is_due
    }

    /// An attempt ended. After [`Finding::Failing`] the count starts again, whatever comes of it.
    pub(super) fn on_ended(&mut self, config: &Ejection, now: Timestamp, failed: bool) -> Finding {
        match config.until {
            // What was on its way when the host was ejected says nothing new.
            EjectedUntil::Time if self.is_ejected() => Finding::Nothing,
            EjectedUntil::Time | EjectedUntil::Check => self.in_a_row(config, failed),
            EjectedUntil::Quiet if failed => self.among_recent(config, now),
            EjectedUntil::Quiet => Finding::Nothing,
            EjectedUntil::Probe => self.on_trial(config, now, failed),
        }
    }

    fn in_a_row(&mut self, config: &Ejection, failed: bool) -> Finding {
        if !failed {
            self.failures = 0;
            return Finding::Nothing;
        }
        self.failures += 1;
        if self.failures < config.consecutive.get() {
            return Finding::Nothing;
        }
        self.failures = 0;
        Finding::Failing
    }

    fn among_recent(&mut self, config: &Ejection, now: Timestamp) -> Finding {
        self.recent.push_back(now);
        let most = config.consecutive.get() as usize;
        // Those that no longer count are let go of, so that a large number takes memory for those alone that count.
        while self.recent.len() > most || self.recent.front().is_some_and(|first| *first + config.time <= now)
        {
            self.recent.pop_front();
        }
        if self.is_ejected() || self.recent.len() < most { Finding::Nothing } else { Finding::Failing }
    }

    fn on_trial(&mut self, config: &Ejection, now: Timestamp, failed: bool) -> Finding {
        if failed {
            let was_due = self.may_be_probed();
            self.failures = self.failures.saturating_add(1);
            self.trial = Trial { checked: now, failed: now, is_due: false };
            let is_enough = !self.is_ejected() && self.failures >= config.consecutive.get();
            return match (is_enough, was_due) {
                (true, _) => Finding::Failing,
                (false, true) => Finding::PutOff,
                (false, false) => Finding::Nothing,
            };
        }
        if self.trial.failed >= self.trial.checked {
            return Finding::Nothing;
        }
        self.failures = 0;
        if self.ejected.take().is_some() { Finding::Recovered } else { Finding::Nothing }
    }

    /// An attempt goes to the host. Whether that changes whether the next one may.
    pub(super) fn on_chosen(&mut self, config: &Ejection, now: Timestamp) -> bool {
        if config.until != EjectedUntil::Probe || now < self.trial_at(config) {
            return false;
        }
        let was_due = self.may_be_probed();
        (self.trial.checked, self.trial.is_due) = (now, false);
        was_due
    }

    pub(super) fn eject(&mut self, now: Timestamp) {
        self.ejected = Some(now);
        self.times = self.times.saturating_add(1);
    }

    /// The host may not be ejected: the count starts again.
    pub(super) fn spare(&mut self) {
        self.failures = 0;
        self.recent.clear();
    }

    /// Time went by. When the host came back meanwhile, if it did.
    pub(super) fn on_time(&mut self, config: &Ejection, now: Timestamp) -> Option<Timestamp> {
        self.ejected?;
        match config.until {
            EjectedUntil::Quiet => {
                let back = *self.recent.front()? + config.time;
                (back <= now).then(|| {
                    self.ejected = None;
                    back
                })
            }
            EjectedUntil::Probe => {
                self.trial.is_due = now >= self.trial_at(config);
                None
            }
            EjectedUntil::Time | EjectedUntil::Check => None,
        }
    }

    /// Makes up for the sweeps after number `from` up to number `to`. The number of the sweep that brought the host back, if one did.
    pub(super) fn on_sweeps(&mut self, config: &Ejection, from: u64, to: u64) -> Option<u64> {
        let Some(at) = self.ejected else {
            self.rest(to - from);
            return None;
        };
        let due = (at + self.time(config)).as_nanos().div_ceil(nanos(config.sweep));
        let back = due.max(from + 1);
        if back > to {
            return None;
        }
        self.ejected = None;
        self.rest(to - back);
        Some(back)
    }

    /// So many sweeps found the host in its place.
    fn rest(&mut self, sweeps: u64) {
        self.times = u32::try_from(u64::from(self.times).saturating_sub(sweeps)).unwrap_or(self.times);
    }

    /// How long the present ejection lasts.
    fn time(&self, config: &Ejection) -> Duration {
        let factor = config.growth.map_or(1, |growth| growth.factor(self.times.saturating_sub(1)));
        config.time.checked_mul(factor).map_or(config.max_time, |time| time.min(config.max_time))
    }

    /// When the next attempt is a probe: at the first sweep after the time, and not at its end, as nginx compares whole seconds by `>`.
    fn trial_at(&self, config: &Ejection) -> Timestamp {
        sweep_at(config, sweeps_until(config, self.trial.checked + config.time).saturating_add(1))
    }
}

/// The number of the last sweep until `now`.
pub(super) fn sweeps_until(config: &Ejection, now: Timestamp) -> u64 {
    now.as_nanos() / nanos(config.sweep)
}

/// When a sweep was.
pub(super) fn sweep_at(config: &Ejection, number: u64) -> Timestamp {
    Timestamp::from_nanos(number.saturating_mul(nanos(config.sweep)))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}
