//! The circuit breaker: stops asking an upstream that does not answer, so that its callers fail at once instead of
//! holding the gateway's workers until a timeout.
//!
//! It counts over time and not over the last n requests, looks at a share and not at a number in a row, and asks for a
//! minimum of requests first: three failures among three requests at night say nothing. Half-open is where most
//! breakers do harm: whoever lets everybody through at once lets a recovering upstream meet the whole fleet. The
//! default lets one request through per interval.

mod config;
mod window;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use self::config::{BreakerConfig, BreakerConfigError, HalfOpen};
pub use self::window::{Counts, FailureKinds};
use self::window::{Failure, OutcomeWindow};
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// A circuit breaker in front of one upstream.
///
/// The calling contract: a request asks by [`Breaker::on_request`]. With the [`Permit`] it is given it calls
/// [`Breaker::on_sent`] when it goes to the upstream, and then exactly one of [`Breaker::on_settled`], when it was
/// answered, timed out or its connection failed, and [`Breaker::on_released`], when it never got there or its client
/// left: of that nothing can be learned. A permit that is dropped without either would hold the place of a probe for good:
/// the breaker has no time limit of its own, since one would end where the attempt's own timeout does, or contradict it. So
/// an attempt without any timeout, at an upstream that never answers, keeps a breaker half-open for as long as its client
/// waits.
///
/// What settles after a transition but was permitted before it is ignored.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Number of transitions so far; a permit of an earlier one is of no consequence.
    epoch: u64,
    window: OutcomeWindow,
    transitions: VecDeque<Transition>,
    invariants: Invariants,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open {
        since: Timestamp,
    },
    HalfOpen {
        /// Permitted and not settled.
        in_flight: u32,
        /// When the last probe was sent.
        last_sent: Option<Timestamp>,
        /// Settled in a row without a failure.
        successes: u32,
        /// Settled so far.
        probes: Counts,
    },
}

/// The right to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a permit is settled or released"]
pub struct Permit {
    epoch: u64,
}

/// The breaker does not let a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortCircuit {
    /// The least wait after which it could; zero where a probe has to settle first, which nobody can time.
    pub retry_after: Duration,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The upstream answered. A failure from status 500 on; below that, only if the answer took [`BreakerConfig::slow_call`] or
    /// longer.
    Answered {
        /// With this HTTP status.
        status: u16,
        /// After this time.
        took: Duration,
    },
    /// The timeout ran out first.
    TimedOut,
    /// The connection was refused or broke.
    ConnectionFailed,
}

/// A breaker's state as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Lets through and counts.
    Closed,
    /// Rejects.
    Open,
    /// Lets probes through.
    HalfOpen,
}

/// A change of a breaker's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub from: Condition,
    /// What it is from now on.
    pub to: Condition,
    /// What was counted up to then: in the window, or of the probes.
    pub counts: Counts,
}

impl Breaker {
    /// Closed, with an empty window. Panics where its counters are wrong.
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: State::Closed,
            epoch: 0,
            window: OutcomeWindow::new(config.window),
            transitions: VecDeque::new(),
            invariants: Invariants::Panic,
        }
    }

    /// Does this instead where the counters are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        Self { invariants, ..self }
    }

    /// Goes by this configuration from now on. An equal one changes nothing. Under another, permits given before are of no
    /// account and the window is empty; a closed breaker stays closed and an open one open, and a half-open one is open again,
    /// since probes that were judged in two ways prove nothing.
    pub fn reconfigure(&mut self, now: Timestamp, config: BreakerConfig) {
        if config == self.config {
            return;
        }
        self.config = config;
        self.window = OutcomeWindow::new(config.window);
        match self.state {
            State::HalfOpen { .. } => self.change(now, State::Open { since: now }),
            State::Closed | State::Open { .. } => self.epoch += 1,
        }
    }

    /// As [`Breaker::new`], where another stood before it whose permits are still out.
    pub(crate) fn after(earlier: Option<&Self>, config: BreakerConfig) -> Self {
        Self { epoch: earlier.map_or(0, |earlier| earlier.epoch + 1), ..Self::new(config) }
    }

    /// Asks for a permit.
    ///
    /// # Errors
    ///
    /// [`ShortCircuit`] while it is open, and half-open for all but the probes.
    pub fn on_request(&mut self, now: Timestamp) -> Result<Permit, ShortCircuit> {
        self.check(now)?;
        if let State::Open { .. } = self.state {
            self.change(now, HALF_OPEN);
        }
        if let State::HalfOpen { in_flight, .. } = &mut self.state {
            *in_flight += 1;
        }
        Ok(Permit { epoch: self.epoch })
    }

    /// Whether a permit given now would be a probe's.
    pub fn would_probe(&self, now: Timestamp) -> bool {
        !matches!(self.state, State::Closed) && self.check(now).is_ok()
    }

    /// Whether a permit would be given now.
    fn check(&self, now: Timestamp) -> Result<(), ShortCircuit> {
        let interval = self.config.probe_interval;
        match self.state {
            State::Closed => Ok(()),
            State::Open { since } => {
                let waited = now.saturating_since(since);
                if waited < interval {
                    return Err(ShortCircuit { retry_after: interval.saturating_sub(waited) });
                }
                Ok(())
            }
            State::HalfOpen { in_flight, last_sent, probes, .. } => match self.config.half_open {
                HalfOpen::SingleProbe { .. } => {
                    let since_last = last_sent.map_or(Duration::MAX, |last| now.saturating_since(last));
                    if in_flight > 0 || since_last < interval {
                        return Err(ShortCircuit { retry_after: interval.saturating_sub(since_last) });
                    }
                    Ok(())
                }
                HalfOpen::Trickle { calls } => {
                    if u64::from(in_flight) + probes.settled >= u64::from(calls.get()) {
                        return Err(ShortCircuit { retry_after: Duration::ZERO });
                    }
                    Ok(())
                }
                HalfOpen::ReopenToAll { .. } => Ok(()),
            },
        }
    }

    /// The permitted attempt goes to the upstream now.
    pub fn on_sent(&mut self, now: Timestamp, permit: Permit) {
        if let State::HalfOpen { last_sent, .. } = &mut self.state
            && permit.epoch == self.epoch
        {
            *last_sent = Some(now);
        }
    }

    /// The permitted attempt ended in a way from which something can be learned.
    pub fn on_settled(&mut self, now: Timestamp, permit: Permit, settlement: Settlement) {
        if permit.epoch != self.epoch {
            return;
        }
        let failure = self.failure(settlement);
        match &mut self.state {
            State::Closed => {
                self.window.record(now, failure, &self.invariants);
                let counts = self.window.counts();
                if counts.settled >= u64::from(self.config.min_requests) && self.is_broken(counts) {
                    self.change(now, State::Open { since: now });
                }
            }
            State::Open { .. } => {
                self.invariants.hold(false, "an attempt is settled that an open breaker let through");
            }
            State::HalfOpen { in_flight, successes, probes, .. } => {
                self.invariants.decrement(in_flight, PROBE_TOO_MANY);
                probes.add(failure);
                let failed = failure.is_some();
                *successes = if failed { 0 } else { *successes + 1 };
                let (successes, probes) = (*successes, *probes);
                self.judge(now, failed, successes, probes);
            }
        }
    }

    /// The permitted attempt never reached the upstream, or its client left: nothing can be learned of it.
    pub fn on_released(&mut self, permit: Permit) {
        if let State::HalfOpen { in_flight, .. } = &mut self.state
            && permit.epoch == self.epoch
        {
            self.invariants.decrement(in_flight, PROBE_TOO_MANY);
        }
    }

    /// What it is now. An open breaker becomes half-open with the first request after the interval, not by itself.
    pub const fn condition(&self) -> Condition {
        match self.state {
            State::Closed => Condition::Closed,
            State::Open { .. } => Condition::Open,
            State::HalfOpen { .. } => Condition::HalfOpen,
        }
    }

    /// The next change of condition that nobody has taken note of.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        self.transitions.pop_front()
    }

    /// What the settled probes of a half-open breaker mean.
    fn judge(&mut self, now: Timestamp, failed: bool, successes: u32, probes: Counts) {
        let next = match self.config.half_open {
            HalfOpen::ReopenToAll { .. } if failed => Some(State::Open { since: now }),
            HalfOpen::SingleProbe { successes_to_close } | HalfOpen::ReopenToAll { successes_to_close } => {
                (successes >= successes_to_close.get()).then_some(State::Closed)
            }
            HalfOpen::Trickle { calls } => (probes.settled >= u64::from(calls.get()))
                .then(|| if self.is_broken(probes) { State::Open { since: now } } else { State::Closed }),
        };
        if let Some(next) = next {
            self.change(now, next);
        }
    }

    fn is_broken(&self, counts: Counts) -> bool {
        counts.failures as f64 >= self.config.error_threshold * counts.settled as f64
    }

    /// What makes it a failure, if it is one. The one classification in all conditions: closed it decides what opens the
    /// breaker, half-open which probes failed. An answer below 500, a 404 among them, is a failure only if it is slow.
    fn failure(&self, settlement: Settlement) -> Option<Failure> {
        match settlement {
            Settlement::Answered { status: 500.., .. } => Some(Failure::ServerError),
            Settlement::Answered { took, .. } => {
                self.config.slow_call.is_some_and(|slow| took >= slow).then_some(Failure::Slow)
            }
            Settlement::TimedOut => Some(Failure::TimedOut),
            Settlement::ConnectionFailed => Some(Failure::ConnectionFailed),
        }
    }

    fn change(&mut self, at: Timestamp, next: State) {
        let from = self.condition();
        let counts = match self.state {
            State::Closed => self.window.counts(),
            State::Open { .. } => Counts::NONE,
            State::HalfOpen { probes, .. } => probes,
        };
        self.state = next;
        self.epoch += 1;
        self.window.clear();
        let to = self.condition();
        // Nobody has to listen; what is kept for somebody who might is bounded.
        if self.transitions.len() == MOST_UNHEARD {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { at, from, to, counts });
    }
}

/// Broken where a permit is settled or released twice.
const PROBE_TOO_MANY: &str = "a breaker's probe ends that was never let through";

/// Just become half-open.
const HALF_OPEN: State =
    State::HalfOpen { in_flight: 0, last_sent: None, successes: 0, probes: Counts::NONE };

/// Transitions kept until somebody polls.
const MOST_UNHEARD: usize = 64;

impl Condition {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
