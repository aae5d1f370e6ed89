//! The open-loop schedule, walked by a thread of its own.
//!
//! tokio's timer is a wheel of milliseconds: users who waited on it would send 1 to 4 ms late, and across the edge of a
//! rate-limit window. A thread that sleeps to the moment hands each arrival over within a fraction of that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread;
use std::time::Duration;

use flume::Sender;
use gateway::Timestamp;
use gateway::server::ScenarioClock;
use simulator::Arrivals;

use super::stop::Stop;

/// A request that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) population: usize,
    pub(super) index: u64,
    pub(super) intended: Timestamp,
}

/// The longest sleep, so that an interrupt is heard of.
const NAP: Duration = Duration::from_millis(50);

/// The shortest sleep, in scenario time, so that a fast clock is no less punctual. Arrivals that are closer to one another are
/// handed over together, the first of them so much late at most: to wake this thread and a user for each takes longer than to
/// send it.
const BREATH: Duration = Duration::from_micros(250);

/// Hands over each arrival when it is due, until the schedule is at its end or the run is stopped.
///
/// The channel is unbounded: the schedule does not wait for the users, and what they do not keep up with is their
/// lateness. It holds at most what is offered while they are behind.
pub(super) fn pace(
    clock: ScenarioClock,
    schedules: Vec<(usize, Arrivals)>,
    due: &Sender<Arrival>,
    stop: &Stop,
) {
    let mut schedules: Vec<_> =
        schedules.into_iter().map(|(population, times)| (population, 0, times)).collect();
    let mut next = BinaryHeap::new();
    for (place, (_, _, times)) in schedules.iter_mut().enumerate() {
        next.extend(times.next().map(|offset| Reverse((offset, place))));
    }
    let breath = clock.real(BREATH).min(NAP);
    while let Some(Reverse((offset, place))) = next.pop() {
        let intended = clock.starts().plus_nanos(offset);
        loop {
            if stop.is_asked() {
                return;
            }
            let ahead = clock.until(intended);
            if ahead.is_zero() {
                break;
            }
            thread::sleep(ahead.clamp(breath, NAP));
        }
        let (population, index, times) = &mut schedules[place];
        if due.send(Arrival { population: *population, index: *index, intended }).is_err() {
            return;
        }
        *index += 1;
        next.extend(times.next().map(|offset| Reverse((offset, place))));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use simulator::{OpenLoad, Purpose, Rate, Spacing, Stream};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what is tested waits for the machine's clock")]
    fn nothing_is_handed_over_before_the_clock_starts() {
        let starts = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let started = Instant::now() + Duration::from_millis(100);
        let clock = ScenarioClock::new(starts, started, 1.0);
        let load = OpenLoad::rate(Rate::new(1, 1_000_000_000).unwrap(), Spacing::Uniform);
        let schedule =
            load.arrivals(starts, Duration::from_secs(1), Stream::new(1, Purpose::Arrival, "clients"));
        let (due, handed) = flume::unbounded();
        pace(clock, vec![(0, schedule)], &due, &Stop::default());
        assert!(Instant::now() >= started);
        let arrivals: Vec<_> = handed.try_iter().map(|arrival| arrival.intended).collect();
        assert_eq!(arrivals, [starts]);
    }
}
