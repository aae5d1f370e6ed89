//! The circuit breaker: stops asking an upstream that does not answer, so that its callers fail at once instead of
//! holding the gateway's workers until a timeout.
//!
//! By default it counts over time and not over the last n requests, looks at a share and not at a number in a row, and asks for a
//! minimum of requests first: three failures among three requests at night say nothing. The windows of real products are there
//! for comparison ([`BreakerWindow`]). Half-open is where most
//! breakers do harm: whoever lets everybody through at once lets a recovering upstream meet the whole fleet. The
//! default lets one request through per interval.

mod config;
mod window;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use self::config::{BreakerConfig, BreakerConfigError, BreakerWindow, GrowthRule, HalfOpen, OpenGrowth};
pub use self::window::{Counts, FailureKinds};
use self::window::{Failure, Judged, OutcomeWindow};
use crate::attempt::AttemptFailure;
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
    /// Recoveries that failed since it was last closed.
    failed_recoveries: u32,
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
        /// Of a ramp.
        ramp: Ramp,
    },
}

/// How far a ramp has come.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    since: Timestamp,
    /// Requests that asked.
    asked: u64,
    let_through: u64,
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
    /// The upstream answered. [`BreakerConfig::failures`] says which statuses are failures, and [`BreakerConfig::slow_call`] which
    /// answers are slow.
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
            failed_recoveries: 0,
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
        self.failed_recoveries = 0;
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
        self.end_ramp(now);
        let mut checked = self.check(now);
        if checked.is_ok()
            && let State::Open { .. } = self.state
        {
            self.change(now, half_open(now));
            // A ramp begins at nothing: its first request is not let through.
            checked = self.check(now);
        }
        if let State::HalfOpen { in_flight, ramp, .. } = &mut self.state {
            ramp.asked += 1;
            if checked.is_ok() {
                ramp.let_through += 1;
                *in_flight += 1;
            }
        }
        checked.map(|()| Permit { epoch: self.epoch })
    }

    /// Whether a permit given now would be a probe's.
    pub fn would_probe(&self, now: Timestamp) -> bool {
        !matches!(self.state, State::Closed) && !self.ramp_is_over(now) && self.check(now).is_ok()
    }

    /// Whether a permit would be given now.
    fn check(&self, now: Timestamp) -> Result<(), ShortCircuit> {
        let interval = self.config.interval_after(self.failed_recoveries);
        match self.state {
            State::Closed => Ok(()),
            State::Open { since } => {
                let waited = now.saturating_since(since);
                if waited < interval {
                    return Err(ShortCircuit { retry_after: interval.saturating_sub(waited) });
                }
                Ok(())
            }
            State::HalfOpen { in_flight, last_sent, probes, ramp, .. } => match self.config.half_open {
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
                HalfOpen::Ramp { over, to } => {
                    let passed = now.saturating_since(ramp.since).as_secs_f64() / over.as_secs_f64();
                    if (ramp.let_through + 1) as f64 >= to * passed * (ramp.asked + 1) as f64 {
                        return Err(ShortCircuit { retry_after: Duration::ZERO });
                    }
                    Ok(())
                }
            },
        }
    }

    /// Closes a half-open breaker whose ramp has been climbed.
    fn end_ramp(&mut self, now: Timestamp) {
        if self.ramp_is_over(now) {
            self.change(now, State::Closed);
        }
    }

    fn ramp_is_over(&self, now: Timestamp) -> bool {
        matches!((&self.state, self.config.half_open), (State::HalfOpen { ramp, .. }, HalfOpen::Ramp { over, .. })
            if now.saturating_since(ramp.since) >= over)
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
        let judged = self.judged(settlement);
        match &mut self.state {
            State::Closed => {
                self.window.record(now, judged, &self.invariants);
                self.trip(now);
            }
            State::Open { .. } => {
                self.invariants.hold(false, "an attempt is settled that an open breaker let through");
            }
            State::HalfOpen { in_flight, successes, probes, .. } => {
                self.invariants.decrement(in_flight, PROBE_TOO_MANY);
                probes.add(judged);
                // Where slow answers have a share of their own, a slow probe has reached that share by itself.
                let failed = judged.failure.is_some() || judged.is_slow;
                *successes = if failed { 0 } else { *successes + 1 };
                let (successes, probes) = (*successes, *probes);
                self.judge_recovery(now, judged, failed, successes, probes);
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

    /// Opens if the window says so.
    fn trip(&mut self, now: Timestamp) {
        let counts = self.window.counts();
        let opens = match self.config.window {
            BreakerWindow::Time(_) | BreakerWindow::Calls(_) => {
                counts.settled >= u64::from(self.config.min_requests()) && self.is_broken(counts)
            }
            BreakerWindow::Consecutive(failures) | BreakerWindow::Failures { failures, .. } => {
                counts.failures >= u64::from(failures.get())
            }
        };
        if opens {
            self.change(now, State::Open { since: now });
        }
    }

    /// What the settled probes of a half-open breaker mean.
    fn judge_recovery(
        &mut self,
        now: Timestamp,
        judged: Judged,
        failed: bool,
        successes: u32,
        probes: Counts,
    ) {
        let next = match self.config.half_open {
            HalfOpen::ReopenToAll { .. } if failed => Some(State::Open { since: now }),
            HalfOpen::SingleProbe { successes_to_close } | HalfOpen::ReopenToAll { successes_to_close } => {
                (successes >= successes_to_close.get()).then_some(State::Closed)
            }
            HalfOpen::Trickle { calls } => (probes.settled >= u64::from(calls.get()))
                .then(|| if self.is_broken(probes) { State::Open { since: now } } else { State::Closed }),
            HalfOpen::Ramp { .. } => {
                self.window.record(now, judged, &self.invariants);
                self.trip(now);
                self.end_ramp(now);
                return;
            }
        };
        match next {
            Some(next) => self.change(now, next),
            // A single probe that fails leaves the breaker half-open.
            None if failed && matches!(self.config.half_open, HalfOpen::SingleProbe { .. }) => {
                self.failed_recoveries = self.failed_recoveries.saturating_add(1);
            }
            None => {}
        }
    }

    /// Whether the share of failures, or that of slow answers, is too high. Where no share is asked for, one failure is.
    fn is_broken(&self, counts: Counts) -> bool {
        let reached = |number: u64, share: f64| number as f64 >= share * counts.settled as f64;
        if self.config.window.has_share() {
            reached(counts.failures, self.config.error_threshold)
                || self.config.slow_share.is_some_and(|share| reached(counts.kinds.slow, share))
        } else {
            counts.failures > 0
        }
    }

    /// How a settlement counts: the one classification in all conditions. Closed it decides what opens the breaker, half-open which
    /// probes failed.
    fn judged(&self, settlement: Settlement) -> Judged {
        let (end, kind) = match settlement {
            Settlement::Answered { status, .. } => (AttemptFailure::Status(status), Failure::ServerError),
            Settlement::TimedOut => (AttemptFailure::Timeout, Failure::TimedOut),
            Settlement::ConnectionFailed => (AttemptFailure::Connect, Failure::ConnectionFailed),
        };
        let failure = self.config.failures.includes(end).then_some(kind);
        let is_slow = match (settlement, self.config.slow_call) {
            (Settlement::Answered { took, .. }, Some(slow)) => took >= slow,
            _ => false,
        };
        if self.config.slow_share.is_some() {
            Judged { failure, is_slow }
        } else {
            Judged { failure: failure.or(is_slow.then_some(Failure::Slow)), is_slow: false }
        }
    }

    fn change(&mut self, at: Timestamp, next: State) {
        let from = self.condition();
        let counts = match self.state {
            State::Closed => self.window.counts(),
            State::Open { .. } => Counts::NONE,
            State::HalfOpen { probes, .. } => probes,
        };
        match (self.state, next) {
            (_, State::Closed) => self.failed_recoveries = 0,
            (State::HalfOpen { .. }, State::Open { .. }) => {
                self.failed_recoveries = self.failed_recoveries.saturating_add(1);
            }
            _ => {}
        }
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
const fn half_open(since: Timestamp) -> State {
    let ramp = Ramp { since, asked: 0, let_through: 0 };
    State::HalfOpen { in_flight: 0, last_sent: None, successes: 0, probes: Counts::NONE, ramp }
}

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
