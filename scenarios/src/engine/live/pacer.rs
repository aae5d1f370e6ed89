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
    while let Some(Reverse((offset, place))) = next.pop() {
        let intended = clock.starts().plus_nanos(offset);
        loop {
            if stop.is_asked() {
                return;
            }
            let ahead = clock.real(intended.saturating_since(clock.now()));
            if ahead.is_zero() {
                break;
            }
            thread::sleep(ahead.min(NAP));
        }
        let (population, index, times) = &mut schedules[place];
        if due.send(Arrival { population: *population, index: *index, intended }).is_err() {
            return;
        }
        *index += 1;
        next.extend(times.next().map(|offset| Reverse((offset, place))));
    }
}
