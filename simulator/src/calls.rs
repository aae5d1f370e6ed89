//! The calls that a service makes of others for a job: when it tries again, and when it gives up.

use std::time::Duration;

use gateway::{
    AttemptEnd, Breaker, HostId, HostPass, Hosts, Invariants, Permit, Retrier, RetryState, Timestamp,
    Transition,
};

use crate::chance::{Purpose, Stream};
use crate::upstream::Call;

/// What a service asks of others for each job, one after the other or all at once: when it tries again, and when it gives up.
///
/// The calling contract: after its own work a job begins by [`Calls::on_begun`], or where its service makes all calls at once, by one
/// [`Calls::on_branch`] for each call, and what follows holds for each branch. Each [`CallStep::Ask`] is followed by one
/// [`Calls::on_ended`], each [`CallStep::Wait`] by one [`Calls::on_waited`], until there is a [`CallStep::Answer`]; a job
/// that is dropped before is told by [`Calls::on_given_up`]. Of the attempts of a job or branch, one is under way at a time.
#[derive(Debug)]
pub struct Calls {
    links: Vec<Link>,
    jitter: Stream,
    /// For the choice of hosts.
    hosts: Stream,
}

/// A service's use of another.
#[derive(Debug)]
struct Link {
    upstream: usize,
    share: f64,
    timeout: Option<Duration>,
    retrier: Retrier,
    breaker: Option<Breaker>,
    /// `None` where the other has one host.
    hosts: Option<Hosts>,
}

/// How far a job has come with the calls of its service.
#[derive(Clone, Copy, Debug)]
pub struct CallState {
    call: usize,
    /// Where it is drawn which calls the request takes.
    content: Stream,
    /// Whether its call is one of several at once.
    is_branch: bool,
    attempt: u32,
    retries: RetryState,
    permit: Option<Permit>,
    host: HostPass,
    sent: Timestamp,
}

/// What a job does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStep {
    /// It asks another service, now.
    Ask(Ask),
    /// It waits so long before it asks again.
    Wait(Duration),
    /// Its service answers.
    Answer {
        /// With this HTTP status.
        status: u16,
        /// Because its calls have come to this.
        outcome: CallsOutcome,
    },
}

/// What has become of all calls of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallsOutcome {
    /// Each was answered well, or there are none.
    Done,
    /// One failed, and is not tried again.
    Failed,
    /// The service's own breaker did not let one through.
    ShortCircuited,
}

/// An attempt at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Number of the call among those of the service.
    pub call: usize,
    /// Whom it asks, by number.
    pub upstream: usize,
    /// Which of the other's hosts.
    pub host: HostId,
    /// After what time it gives up; `None` for never.
    pub timeout: Option<Duration>,
    /// Number of the attempt over all calls of the job, from 0; of calls that are made at once, each has 1,024 numbers of its own. The
    /// service time of the one asked is drawn at it below the job's key.
    pub attempt: u32,
}

impl Calls {
    /// Closed breakers and untouched budgets under `seed`; `invariants` is what they do where their counters are wrong.
    pub fn new(calls: &[Call], seed: u64, invariants: &Invariants) -> Self {
        let link = |call: &Call| Link {
            upstream: call.upstream,
            share: call.share,
            timeout: call.timeout,
            retrier: Retrier::new(call.retry).with_invariants(invariants.clone()),
            breaker: call.breaker.map(|config| Breaker::new(config).with_invariants(invariants.clone())),
            hosts: Hosts::new(&call.hosts, invariants),
        };
        let jitter = Stream::new(seed, Purpose::Jitter, "services");
        let hosts = Stream::new(seed, Purpose::Host, "services");
        Self { links: calls.iter().map(link).collect(), jitter, hosts }
    }

    /// A job is done with its service's own work; `key` is the stream of its service time, and `content` the one below which it is drawn
    /// which calls the request takes.
    #[inline]
    pub fn on_begun(&mut self, now: Timestamp, key: Stream, content: Stream) -> (CallState, CallStep) {
        let mut state = CallState::new(now, 0, content);
        let step = self.call(now, &mut state, key);
        (state, step)
    }

    /// As [`Calls::on_begun`] for the call of that number alone, which is made beside the others: an answer of
    /// [`CallsOutcome::Done`] is the end of this branch. `None` where the request does not take the call, or there is none.
    pub fn on_branch(
        &mut self,
        now: Timestamp,
        key: Stream,
        content: Stream,
        call: usize,
    ) -> Option<(CallState, CallStep)> {
        let is_taken = self.links.get(call)?.is_taken(content, call);
        is_taken.then(|| {
            let mut state = CallState { is_branch: true, ..CallState::new(now, call, content) };
            // Room for the attempts of the calls before.
            state.attempt = (call as u32) << ATTEMPT_BITS;
            let step = self.call(now, &mut state, key);
            (state, step)
        })
    }

    /// How many calls the service makes at most.
    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// The attempt under way ended; `key` is the stream of the job's service time. It failed if the job now waits, or answers
    /// for [`CallsOutcome::Failed`].
    pub fn on_ended(
        &mut self,
        now: Timestamp,
        state: &mut CallState,
        key: Stream,
        end: AttemptEnd,
    ) -> CallStep {
        let Some(link) = self.links.get_mut(state.call) else { return CallStep::DONE };
        let settlement = end.settlement(now - state.sent);
        if let Some(hosts) = &mut link.hosts {
            if let Some(settlement) = settlement {
                hosts.on_settled(now, &mut state.host, settlement);
            }
            hosts.on_left(&mut state.host);
        }
        if let (Some(breaker), Some(permit)) = (&mut link.breaker, state.permit.take()) {
            match settlement {
                Some(settlement) => breaker.on_settled(now, permit, settlement),
                None => breaker.on_released(permit),
            }
        }
        let unit = self.jitter.at(key.bits()).at(u64::from(state.attempt)).unit();
        state.attempt += 1;
        if let AttemptEnd::Answered(200..=299) = end {
            link.retrier.on_finished(&mut state.retries, true);
            if state.is_branch {
                return CallStep::DONE;
            }
            state.call += 1;
            state.retries = RetryState::default();
            return self.call(now, state, key);
        }
        let failure = end.failure();
        let wait = failure.and_then(|failure| {
            link.retrier.on_failure(&mut state.retries, now, failure, end.retry_after(), unit)
        });
        // Whatever status the other service failed with, its own caller is told of a bad gateway.
        let status = if end == AttemptEnd::TimedOut { 504 } else { 502 };
        let failed = CallStep::Answer { status, outcome: CallsOutcome::Failed };
        if wait.is_none() {
            link.retrier.on_finished(&mut state.retries, false);
        }
        wait.map_or(failed, CallStep::Wait)
    }

    /// The wait before a further attempt is over.
    pub fn on_waited(&mut self, now: Timestamp, state: &mut CallState) -> CallStep {
        let step = self.attempt(now, state);
        if let (CallStep::Ask(_), Some(link)) = (step, self.links.get_mut(state.call)) {
            link.retrier.on_retry(&mut state.retries);
        }
        step
    }

    /// The job is dropped: of an attempt under way nothing will be learned.
    pub fn on_given_up(&mut self, mut state: CallState) {
        let Some(link) = self.links.get_mut(state.call) else { return };
        link.retrier.on_finished(&mut state.retries, false);
        if let Some(hosts) = &mut link.hosts {
            hosts.on_left(&mut state.host);
        }
        if let (Some(breaker), Some(permit)) = (&mut link.breaker, state.permit) {
            breaker.on_released(permit);
        }
    }

    /// The next change of the condition of a breaker: the upstream that is asked, and the change.
    #[inline]
    pub fn poll_transition(&mut self) -> Option<(usize, Transition)> {
        let mut links = self.links.iter_mut();
        links.find_map(|link| Some((link.upstream, link.breaker.as_mut()?.poll_transition()?)))
    }

    /// Makes the next call that a job takes. After the last one, the service answers.
    fn call(&mut self, now: Timestamp, state: &mut CallState, key: Stream) -> CallStep {
        while self.links.get(state.call).is_some_and(|link| !link.is_taken(state.content, state.call)) {
            state.call += 1;
        }
        if let Some(link) = self.links.get_mut(state.call) {
            link.retrier.on_request(now, &mut state.retries);
            if link.hosts.is_some() {
                let draw = self.hosts.at(key.bits()).at(u64::from(state.attempt));
                state.host = HostPass::drawn(draw.bits());
            }
        }
        self.attempt(now, state)
    }

    /// Makes the attempt that a job stands before.
    fn attempt(&mut self, now: Timestamp, state: &mut CallState) -> CallStep {
        let Some(link) = self.links.get_mut(state.call) else { return CallStep::DONE };
        let Link { upstream, timeout, breaker, hosts, retrier, .. } = link;
        if let Some(breaker) = breaker {
            // What its own breaker refuses is not tried again, and is a failed call like any other.
            let Ok(permit) = breaker.on_request(now) else {
                retrier.on_finished(&mut state.retries, false);
                return CallStep::SHORT_CIRCUITED;
            };
            breaker.on_sent(now, permit);
            state.permit = Some(permit);
        }
        state.sent = now;
        // A service passes no host over, so that there always is one.
        let host = hosts.as_mut().and_then(|hosts| hosts.choose(now, &mut state.host));
        CallStep::Ask(Ask {
            call: state.call,
            upstream: *upstream,
            host: host.unwrap_or_default(),
            timeout: *timeout,
            attempt: state.attempt,
        })
    }
}

impl Link {
    /// Whether a request takes the call, which is of that number.
    fn is_taken(&self, content: Stream, call: usize) -> bool {
        self.share >= 1.0 || content.at(call as u64).unit() < self.share
    }
}

/// In the numbers of attempts of calls that are made at once: room for more than the 1,000 retries that a policy may have.
const ATTEMPT_BITS: u32 = 10;

impl CallStep {
    const DONE: Self = Self::Answer { status: 200, outcome: CallsOutcome::Done };
    const SHORT_CIRCUITED: Self = Self::Answer { status: 502, outcome: CallsOutcome::ShortCircuited };
}

impl CallState {
    fn new(now: Timestamp, call: usize, content: Stream) -> Self {
        Self {
            call,
            content,
            is_branch: false,
            attempt: 0,
            retries: RetryState::default(),
            permit: None,
            host: HostPass::default(),
            sent: now,
        }
    }

    /// Number of the call that the job is at, among those of its service.
    pub const fn call(&self) -> usize {
        self.call
    }

    /// When the last attempt was sent.
    pub const fn sent(&self) -> Timestamp {
        self.sent
    }

    /// Number of the attempt that is under way or waited for, over all calls of the job.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use gateway::{Backoff, BreakerConfig, Condition, FailureSet, HostsConfig, Jitter, RetryPolicy};

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const TIMEOUT: Duration = Duration::from_secs(1);
    const WAIT: Duration = Duration::from_millis(10);

    fn key() -> Stream {
        Stream::new(902, Purpose::Service, "buyers")
    }

    fn call(upstream: usize, retries: u32, breaker: Option<BreakerConfig>) -> Call {
        let retry = RetryPolicy {
            retries,
            on: FailureSet::USUAL,
            backoff: Backoff::fixed(WAIT, Jitter::None).unwrap(),
            ..RetryPolicy::default()
        };
        Call { upstream, share: 1.0, timeout: Some(TIMEOUT), retry, breaker, hosts: HostsConfig::default() }
    }

    fn ask(call: usize, upstream: usize, attempt: u32) -> CallStep {
        CallStep::Ask(Ask { call, upstream, host: HostId(0), timeout: Some(TIMEOUT), attempt })
    }

    fn failed(status: u16) -> CallStep {
        CallStep::Answer { status, outcome: CallsOutcome::Failed }
    }

    #[test]
    fn a_service_without_calls_answers() {
        assert_eq!(Calls::new(&[], 902, &Invariants::Panic).on_begun(NOW, key(), key()).1, CallStep::DONE);
    }

    #[test]
    fn calls_are_made_in_order_each_with_its_retries() {
        let mut calls = Calls::new(&[call(4, 1, None), call(2, 1, None)], 902, &Invariants::Panic);
        let (mut state, step) = calls.on_begun(NOW, key(), key());
        assert_eq!(step, ask(0, 4, 0));
        assert_eq!(calls.on_ended(NOW, &mut state, key(), AttemptEnd::Answered(503)), CallStep::Wait(WAIT));
        assert_eq!(calls.on_waited(NOW, &mut state), ask(0, 4, 1));
        assert_eq!(calls.on_ended(NOW, &mut state, key(), AttemptEnd::Answered(200)), ask(1, 2, 2));
        assert_eq!(calls.on_ended(NOW, &mut state, key(), AttemptEnd::TimedOut), CallStep::Wait(WAIT));
        assert_eq!(calls.on_waited(NOW, &mut state), ask(1, 2, 3));
        assert_eq!(calls.on_ended(NOW, &mut state, key(), AttemptEnd::TimedOut), failed(504));
    }

    /// As in Envoy's cluster: one retry may be under way, and each of the ways out of a call frees its place.
    #[test]
    fn whatever_ends_a_call_frees_its_place_in_the_budget() {
        let mut call = call(0, 9, Some(BreakerConfig::new(TIMEOUT, 1.0, 100).unwrap()));
        let budget = gateway::InFlightBudget::new(0.0, 1).ok();
        call.retry.budget = budget.map(gateway::RetryBudgetConfig::InFlight);
        let mut calls = Calls::new(&[call], 902, &Invariants::Panic);
        let failed = AttemptEnd::Answered(503);
        for way in 0..4 {
            let (mut state, _) = calls.on_begun(NOW, key(), key());
            assert_eq!(calls.on_ended(NOW, &mut state, key(), failed), CallStep::Wait(WAIT), "{way}");
            let (mut other, _) = calls.on_begun(NOW, key(), key());
            assert!(matches!(calls.on_ended(NOW, &mut other, key(), failed), CallStep::Answer { .. }));
            match way {
                0 => calls.on_given_up(state),
                1 => {
                    calls.on_waited(NOW, &mut state);
                    calls.on_given_up(state);
                }
                2 => {
                    calls.on_waited(NOW, &mut state);
                    assert_eq!(
                        calls.on_ended(NOW, &mut state, key(), AttemptEnd::Answered(200)),
                        CallStep::DONE
                    );
                }
                _ => {
                    calls.on_waited(NOW, &mut state);
                    let end = AttemptEnd::Answered(404);
                    assert!(matches!(calls.on_ended(NOW, &mut state, key(), end), CallStep::Answer { .. }));
                }
            }
        }
    }

    #[test]
    fn a_service_waits_as_long_as_the_other_asks_for() {
        let mut patient = call(0, 1, None);
        patient.retry.honor_retry_after = true;
        let asks = AttemptEnd::answered(503, Some(Duration::from_secs(3)));
        for (call, wait) in [(patient, Duration::from_secs(3)), (call(0, 1, None), WAIT)] {
            let mut calls = Calls::new(&[call], 902, &Invariants::Panic);
            let (mut state, _) = calls.on_begun(NOW, key(), key());
            assert_eq!(calls.on_ended(NOW, &mut state, key(), asks), CallStep::Wait(wait));
        }
    }

    #[test]
    fn what_is_not_tried_again_is_a_bad_gateway() {
        for end in [AttemptEnd::Answered(404), AttemptEnd::Answered(503), AttemptEnd::Broken, AttemptEnd::Cut]
        {
            let mut calls = Calls::new(&[call(0, 0, None)], 902, &Invariants::Panic);
            let (mut state, _) = calls.on_begun(NOW, key(), key());
            assert_eq!(calls.on_ended(NOW, &mut state, key(), end), failed(502));
        }
    }

    #[test]
    fn a_refusal_is_tried_again_as_such_and_an_answer_that_breaks_off_as_a_502() {
        let none = FailureSet::default();
        let connect = FailureSet { connect: true, ..none };
        let server_errors = FailureSet { server_errors: true, ..none };
        for (on, end, again) in [
            (connect, AttemptEnd::Broken, true),
            (connect, AttemptEnd::Cut, false),
            (server_errors, AttemptEnd::Broken, false),
            (server_errors, AttemptEnd::Cut, true),
        ] {
            let mut call = call(0, 1, None);
            call.retry.on = on;
            let mut calls = Calls::new(&[call], 902, &Invariants::Panic);
            let (mut state, _) = calls.on_begun(NOW, key(), key());
            let step = calls.on_ended(NOW, &mut state, key(), end);
            assert_eq!(step, if again { CallStep::Wait(WAIT) } else { failed(502) }, "{end:?} on {on:?}");
        }
    }

    #[test]
    fn an_open_breaker_answers_and_a_dropped_probe_gives_its_place_back() {
        let interval = Duration::from_secs(10);
        let breaker = BreakerConfig::new(interval, 0.5, 1).unwrap();
        let mut calls = Calls::new(&[call(7, 0, Some(breaker))], 902, &Invariants::Panic);
        // What the service's own machine lacked says nothing of the other.
        let (mut state, _) = calls.on_begun(NOW, key(), key());
        assert_eq!(calls.on_ended(NOW, &mut state, key(), AttemptEnd::NeverSent), failed(502));
        assert_eq!(calls.poll_transition(), None);
        let (mut state, _) = calls.on_begun(NOW, key(), key());
        calls.on_ended(NOW, &mut state, key(), AttemptEnd::Broken);
        let (upstream, change) = calls.poll_transition().unwrap();
        assert_eq!((upstream, change.to), (7, Condition::Open));
        assert_eq!(calls.on_begun(NOW, key(), key()).1, CallStep::SHORT_CIRCUITED);
        let later = NOW + interval;
        let (probe, step) = calls.on_begun(later, key(), key());
        assert_eq!(step, ask(0, 7, 0));
        assert_eq!(calls.on_begun(later, key(), key()).1, CallStep::SHORT_CIRCUITED);
        calls.on_given_up(probe);
        assert_eq!(calls.on_begun(later + interval, key(), key()).1, ask(0, 7, 0));
    }

    #[test]
    fn a_call_is_made_for_its_share_of_the_requests_and_for_the_same_ones_each_time() {
        let half = Call { share: 0.5, ..call(4, 0, None) };
        let mut calls = Calls::new(&[half, call(2, 0, None)], 902, &Invariants::Panic);
        let root = Stream::new(902, Purpose::Content, "buyers");
        let mut first = |request: u64, key: Stream| match calls.on_begun(NOW, key, root.at(request)).1 {
            CallStep::Ask(ask) => ask.call,
            step => panic!("{step:?} is no call"),
        };
        // Binomial: mean 5,000, standard deviation 50; five of them.
        let taken = (0..10_000).filter(|request| first(*request, key()) == 0).count();
        assert!(taken.abs_diff(5_000) < 250, "{taken}");
        // Another attempt at the request has another key.
        assert!((0..100).all(|request| first(request, key()) == first(request, key().at(7))));
    }

    #[test]
    fn a_service_answers_where_no_call_is_taken() {
        let never = Call { share: 1e-12, ..call(4, 0, None) };
        let mut calls = Calls::new(&[never.clone(), never], 902, &Invariants::Panic);
        assert_eq!(calls.on_begun(NOW, key(), key()).1, CallStep::DONE);
        assert!(calls.on_branch(NOW, key(), key(), 0).is_none());
    }

    #[test]
    fn each_branch_has_attempts_of_its_own_and_ends_by_itself() {
        let mut calls = Calls::new(&[call(4, 1, None), call(2, 1, None)], 902, &Invariants::Panic);
        let (mut first, step) = calls.on_branch(NOW, key(), key(), 0).unwrap();
        assert_eq!(step, ask(0, 4, 0));
        let (mut second, step) = calls.on_branch(NOW, key(), key(), 1).unwrap();
        assert_eq!(step, ask(1, 2, 1_024));
        assert_eq!(calls.on_ended(NOW, &mut second, key(), AttemptEnd::TimedOut), CallStep::Wait(WAIT));
        assert_eq!(calls.on_waited(NOW, &mut second), ask(1, 2, 1_025));
        assert_eq!(calls.on_ended(NOW, &mut first, key(), AttemptEnd::Answered(200)), CallStep::DONE);
        assert_eq!(calls.on_ended(NOW, &mut second, key(), AttemptEnd::TimedOut), failed(504));
        assert!(calls.on_branch(NOW, key(), key(), 2).is_none(), "there is no third");
    }
}
