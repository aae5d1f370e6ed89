//! The open-loop schedule, walked by a thread of its own.
//!
//! tokio's timer is a wheel of milliseconds: users who waited on it would send 1 to 4 ms late, and across the edge of a
//! rate-limit window. A thread that sleeps to the moment, the pacer, hands each arrival over within a fraction of that; where
//! it cannot have a core in time, users who come by do.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gateway::server::ScenarioClock;
use gateway::{Timestamp, Violation};
use simulator::Arrivals;
use tokio::sync::oneshot;

use super::stop::Stop;
use crate::defect::say_defect;

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) population: usize,
    /// Its number in its population.
    pub(super) index: u64,
    pub(super) intended: Timestamp,
}

/// The longest sleep, so that an interrupt is heard of.
const NAP: Duration = Duration::from_millis(50);

/// The shortest sleep, in scenario time, so that a fast clock is no less punctual. Arrivals that are closer to one another are
/// handed over together, the first of them so much late at most: to wake this thread and a user for each takes longer than to
/// send it.
const BREATH: Duration = Duration::from_micros(250);

/// The longest sleep while somebody is on a journey, whose next step may be due sooner than anything that is known.
const NAP_ON_JOURNEYS: Duration = Duration::from_millis(1);

/// How many times as long the pacer sleeps at the most while users do its work. They do it after a [`BREATH`] whenever they
/// come by, which takes no core from anybody; the pacer's waking does.
const LONGEST_BREATH: u32 = 4;

/// Arrivals of all open-loop populations, from the schedule to the users, and the further steps of those who are on a journey.
///
/// The schedule does not wait for the users: what they do not keep up with waits for them, and is their lateness.
#[derive(Debug)]
pub(super) struct Schedule {
    clock: ScenarioClock,
    state: Mutex<ScheduleState>,
}

#[derive(Debug)]
struct ScheduleState {
    /// Until it is at its end, or the run was stopped.
    ahead: Option<Ahead>,
    /// Due, and nobody has it yet. At most what is offered while all users are busy.
    due: VecDeque<Arrival>,
    /// Users who have nothing to do. The last who came is the first to be asked, since what it works with is still in the
    /// caches; in turn, all users' would pass through them over and over.
    idle: Vec<oneshot::Sender<Arrival>>,
    /// Whether users did the pacer's work since it was last awake.
    helped: bool,
}

/// What is yet to be due.
#[derive(Debug)]
struct Ahead {
    populations: Vec<Arriving>,
    /// When the next of each is due, in nanoseconds from the start, and its place above.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Steps of journeys: when each is due, likewise, its population and its number there.
    steps: BinaryHeap<Reverse<(u64, usize, u64)>>,
    /// Requests that were handed over and may be followed by another step.
    on_journeys: usize,
}

/// A population whose arrivals are ahead.
#[derive(Debug)]
struct Arriving {
    population: usize,
    /// Number of the request that the next arrival begins with.
    index: u64,
    /// How far apart these numbers are: more than one for journeys.
    requests: u64,
    times: Arrivals,
}

impl Ahead {
    fn is_empty(&self) -> bool {
        self.next.is_empty() && self.steps.is_empty() && self.on_journeys == 0
    }

    /// When the next request is due, in nanoseconds from the start.
    fn first(&self) -> Option<u64> {
        let arrival = self.next.peek().map(|Reverse((offset, _))| *offset);
        let step = self.steps.peek().map(|Reverse((offset, ..))| *offset);
        arrival.into_iter().chain(step).min()
    }

    /// Takes the next request out.
    fn pop(&mut self) -> Option<(u64, usize, u64)> {
        let arrival = self.next.peek().map(|Reverse((offset, _))| *offset);
        let is_step =
            self.steps.peek().is_some_and(|Reverse((offset, ..))| arrival.is_none_or(|at| *offset < at));
        if is_step {
            self.on_journeys += 1;
            return self.steps.pop().map(|Reverse(step)| step);
        }
        let mut first = self.next.peek_mut()?;
        let Reverse((offset, place)) = *first;
        let Arriving { population, index, requests, times } = &mut self.populations[place];
        let due = (offset, *population, *index);
        *index += *requests;
        self.on_journeys += usize::from(*requests > 1);
        match times.next() {
            Some(offset) => *first = Reverse((offset, place)),
            None => _ = PeekMut::pop(first),
        }
        Some(due)
    }
}

impl Schedule {
    /// Of these populations, by their numbers, each with how many numbers of requests an arrival takes up.
    pub(super) fn new(
        clock: ScenarioClock,
        populations: impl IntoIterator<Item = (usize, u64, Arrivals)>,
    ) -> Self {
        let arriving = |(population, requests, times)| Arriving { population, index: 0, requests, times };
        let mut populations: Vec<_> = populations.into_iter().map(arriving).collect();
        let mut next = BinaryHeap::new();
        for (place, Arriving { times, .. }) in populations.iter_mut().enumerate() {
            next.extend(times.next().map(|offset| Reverse((offset, place))));
        }
        let ahead = Some(Ahead { populations, next, steps: BinaryHeap::new(), on_journeys: 0 });
        Self {
            clock,
            state: Mutex::new(ScheduleState { ahead, due: VecDeque::new(), idle: Vec::new(), helped: false }),
        }
    }

    /// Whether nothing is ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.state().ahead.as_ref().is_none_or(Ahead::is_empty)
    }

    /// The next arrival, once it is due; `None` once there are no more.
    ///
    /// Whoever asks does the pacer's work where that is late: where all cores are busy, it waits its turn for milliseconds,
    /// and users come by all the time.
    pub(super) async fn next(&self) -> Option<Arrival> {
        let handed = {
            let mut state = self.state();
            if let Some(arrival) = state.due.pop_front() {
                return Some(arrival);
            }
            state.ahead.as_ref()?;
            let (hand, handed) = oneshot::channel();
            state.idle.push(hand);
            if self.is_overdue(&state) {
                state.helped = true;
                self.hand_over(&mut state);
            }
            handed
        };
        handed.await.ok()
    }

    /// A request of a population on journeys is over, and that is what comes next: when, and its number.
    pub(super) fn on_step_over(&self, population: usize, next: Option<(Timestamp, u64)>) {
        let mut state = self.state();
        let Some(ahead) = &mut state.ahead else { return };
        if let Some(left) = ahead.on_journeys.checked_sub(1) {
            ahead.on_journeys = left;
        } else {
            let what = "a step of a journey ends that was not handed over";
            say_defect("live clients", Violation { what, times: 1 });
        }
        if let Some((at, index)) = next {
            let offset = at.saturating_since(self.clock.starts()).as_nanos();
            ahead.steps.push(Reverse((u64::try_from(offset).unwrap_or(u64::MAX), population, index)));
        }
    }

    /// Hands over each arrival when it is due, until the schedule is at its end or the run is stopped.
    pub(super) fn pace(&self, stop: &Stop) {
        let shortest = self.clock.real(BREATH).min(NAP);
        let mut breath = shortest;
        loop {
            let mut state = self.state();
            if stop.is_asked() {
                state.end();
            }
            let on_journeys = state.ahead.as_ref().is_some_and(|ahead| ahead.on_journeys > 0);
            let longest = if on_journeys { self.clock.real(NAP_ON_JOURNEYS).min(NAP) } else { NAP };
            let helped = std::mem::take(&mut state.helped);
            // What is due is left to the users as long as they come by in time.
            let pause = if helped && !self.is_overdue(&state) {
                Duration::ZERO
            } else {
                let Some(pause) = self.hand_over(&mut state) else { return };
                pause
            };
            drop(state);
            breath = if helped { (2 * breath).min(LONGEST_BREATH * shortest).min(NAP) } else { shortest };
            thread::sleep(pause.max(breath).min(longest.max(shortest)));
        }
    }

    /// Hands over what is due, and returns how long it is until there is more.
    fn hand_over(&self, state: &mut ScheduleState) -> Option<Duration> {
        let ScheduleState { ahead, due, idle, .. } = state;
        let ahead = ahead.as_mut()?;
        while let Some(offset) = ahead.first() {
            let pause = self.until(offset, Duration::ZERO);
            if !pause.is_zero() {
                return Some(pause);
            }
            let (offset, population, index) = ahead.pop()?;
            let intended = self.clock.starts().plus_nanos(offset);
            let arrival = Arrival { population, index, intended };
            let mut left = Some(arrival);
            while let Some(arrival) = left.take() {
                match idle.pop() {
                    // A user that is gone gives it back.
                    Some(user) => left = user.send(arrival).err(),
                    None => due.push_back(arrival),
                }
            }
        }
        if ahead.on_journeys > 0 {
            return Some(NAP);
        }
        state.end();
        None
    }

    /// Whether something should have been handed over a [`BREATH`] ago.
    fn is_overdue(&self, state: &ScheduleState) -> bool {
        let first = state.ahead.as_ref().and_then(Ahead::first);
        first.is_some_and(|offset| self.until(offset, BREATH).is_zero())
    }

    /// How long it is until so much after a moment of the schedule.
    fn until(&self, offset: u64, after: Duration) -> Duration {
        self.clock.until(self.clock.starts().plus_nanos(offset) + after)
    }

    fn state(&self) -> MutexGuard<'_, ScheduleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScheduleState {
    /// Nothing more becomes due, and who waits for it is told.
    fn end(&mut self) {
        self.ahead = None;
        self.idle.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Instant;

    use futures_util::FutureExt as _;
    use simulator::{OpenLoad, Purpose, Rate, Spacing, Stream};

    use super::*;

    const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    /// So many arrivals in the second from the start on, which is at this moment.
    fn schedule(arrivals: u64, started: Instant) -> Schedule {
        let clock = ScenarioClock::new(STARTS, started, 1.0);
        let load = OpenLoad::rate(Rate::new(arrivals, 1_000_000_000).unwrap(), Spacing::Uniform);
        let times =
            load.arrivals(STARTS, Duration::from_secs(1), Stream::new(1, Purpose::Arrival, "clients"));
        Schedule::new(clock, [(0, 1, times)])
    }

    #[expect(clippy::disallowed_methods, reason = "what is tested waits for the machine's clock")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn nothing_is_handed_over_before_the_clock_starts() {
        let started = now() + Duration::from_millis(100);
        let schedule = schedule(1, started);
        schedule.pace(&Stop::default());
        assert!(now() >= started);
        let arrivals: Vec<_> = schedule.state().due.iter().map(|arrival| arrival.intended).collect();
        assert_eq!(arrivals, [STARTS]);
    }

    #[test]
    fn users_take_what_is_overdue_without_the_pacer() {
        let schedule = schedule(10, now().checked_sub(Duration::from_secs(2)).expect("the machine is up"));
        assert!(!schedule.is_empty());
        for index in 0..10 {
            let arrival = schedule.next().now_or_never().expect("it is overdue").expect("there are ten");
            assert_eq!((arrival.population, arrival.index), (0, index));
        }
        assert!(schedule.next().now_or_never().expect("it is at its end").is_none());
    }

    #[test]
    fn the_user_who_came_last_is_asked_first() {
        let schedule = schedule(1, now() + Duration::from_millis(50));
        let (mut first, mut last) = (pin!(schedule.next()), pin!(schedule.next()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(last.as_mut().now_or_never().is_none());
        schedule.pace(&Stop::default());
        assert_eq!(last.now_or_never().unwrap().map(|arrival| arrival.intended), Some(STARTS));
        assert!(first.now_or_never().unwrap().is_none(), "it is told that there are no more");
    }

    #[test]
    fn a_user_that_is_gone_loses_nothing() {
        let schedule = schedule(1, now() + Duration::from_millis(50));
        assert!(schedule.next().now_or_never().is_none());
        schedule.pace(&Stop::default());
        assert_eq!(schedule.state().due.len(), 1);
    }

    #[test]
    fn the_steps_of_a_journey_come_between_the_arrivals_and_the_end_waits_for_them() {
        let started = now().checked_sub(Duration::from_secs(5)).expect("the machine is up");
        let clock = ScenarioClock::new(STARTS, started, 1.0);
        let load = OpenLoad::rate(Rate::new(2, 1_000_000_000).unwrap(), Spacing::Uniform);
        let times =
            load.arrivals(STARTS, Duration::from_secs(1), Stream::new(1, Purpose::Arrival, "clients"));
        // Arrivals at 0 and 500 ms, with three steps each.
        let schedule = Schedule::new(clock, [(0, 3, times)]);
        let next = || schedule.next().now_or_never().map(|arrival| arrival.map(|arrival| arrival.index));
        assert_eq!(next(), Some(Some(0)));
        assert_eq!(next(), Some(Some(3)));
        assert_eq!(next(), None, "a journey is under way");
        schedule.on_step_over(0, Some((STARTS + Duration::from_millis(100), 1)));
        schedule.on_step_over(0, None);
        assert_eq!(next(), Some(Some(1)));
        assert!(!schedule.is_empty(), "its journey may go on");
        schedule.on_step_over(0, None);
        schedule.pace(&Stop::default());
        assert_eq!(next(), Some(None));
    }

    #[test]
    fn who_waits_when_the_run_is_stopped_is_told() {
        let schedule = schedule(1, now() + Duration::from_secs(3_600));
        let mut waiting = pin!(schedule.next());
        assert!(waiting.as_mut().now_or_never().is_none());
        let stop = Stop::default();
        stop.ask();
        schedule.pace(&stop);
        assert!(waiting.now_or_never().unwrap().is_none());
    }
}
