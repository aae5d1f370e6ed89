//! Workers and their queue, of a gateway or of a service.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashlink::LinkedHashMap;

use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// How many are served at once, how many may wait, and for how long.
///
/// The default is unbounded in all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolConfig {
    /// Served at once; `None` for as many as come.
    pub workers: Option<NonZeroU32>,
    /// Waiting at most; `None` for as many as come. Of no effect with unbounded workers.
    pub queue: Option<u32>,
    /// Longest wait; `None` for as long as it takes.
    pub queue_timeout: Option<Duration>,
}

/// Workers in front of a bounded first-in-first-out queue: the thread pool of a gateway or of a service.
///
/// It is the shared resource through which one slow upstream reaches everybody else: whoever holds a worker
/// keeps it until the caller of this machine says otherwise.
///
/// Who comes is known by a ticket, unique among those present. The calling contract: each [`Pool::on_arrival`]
/// that took a [`Place::Worker`] or was started by [`Pool::on_release`] is followed by one `on_release`; one
/// that took a [`Place::Queue`] is either started by `on_release` or taken out by [`Pool::on_left_queue`].
/// The caller watches the deadline of a queued ticket and takes it out when it passes.
#[derive(Debug)]
pub struct Pool<T, P> {
    config: PoolConfig,
    busy: u32,
    /// In order of arrival, with what the caller wants back when it starts.
    ///
    /// Tickets are numbers of ours, so nobody outside can make them collide; hashed the same way each time, the map
    /// grows at the same moment each time, and a run in virtual time needs the same memory each time.
    waiting: LinkedHashMap<T, P, FixedState>,
    invariants: Invariants,
}

/// Where an arrival is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With a worker, at once.
    Worker,
    /// At the end of the queue.
    Queue {
        /// When it must be taken out if it has not started.
        deadline: Option<Timestamp>,
    },
    /// Nowhere: every worker is taken and the queue is full.
    Full,
}

impl<T: Copy + Eq + Hash, P> Pool<T, P> {
    /// An idle pool, which panics where its counters are wrong.
    pub fn new(config: PoolConfig) -> Self {
        Self { config, busy: 0, waiting: LinkedHashMap::default(), invariants: Invariants::Panic }
    }

    /// Does this instead where the counters are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        Self { invariants, ..self }
    }

    /// Takes a worker, if one is free and nobody waits for it.
    #[inline]
    pub(crate) fn try_take(&mut self) -> bool {
        let is_free = self.has_free_worker() && self.waiting.is_empty();
        self.busy += u32::from(is_free);
        is_free
    }

    /// Waits for a worker, however many wait already: for somebody who has waited elsewhere before, and was not turned away there.
    pub(crate) fn wait(&mut self, ticket: T, payload: P) {
        let earlier = self.waiting.insert(ticket, payload);
        self.invariants.hold(earlier.is_none(), "a ticket enters the queue that waits there already");
    }

    /// Gives the arrival a worker, a place in the queue, or neither.
    pub fn on_arrival(&mut self, now: Timestamp, ticket: T, payload: P) -> Place {
        if self.try_take() {
            return Place::Worker;
        }
        if self.is_full() {
            return Place::Full;
        }
        self.wait(ticket, payload);
        Place::Queue { deadline: self.deadline(now) }
    }

    /// Whether nobody more may wait.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.config.queue.is_some_and(|places| self.waiting.len() >= places as usize)
    }

    /// When somebody who waits from now on has waited for too long; `None` for never.
    pub(crate) fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.config.queue_timeout.map(|timeout| now + timeout)
    }

    /// Frees a worker, which the head of the queue takes over at once if there is one. That a worker was taken is an invariant.
    pub fn on_release(&mut self) -> Option<(T, P)> {
        self.release();
        self.start_next()
    }

    /// Frees a worker, which the head of the queue takes over at the next [`Pool::start_next`].
    #[inline]
    pub(crate) fn release(&mut self) {
        self.invariants.decrement(&mut self.busy, "a worker is released that was never taken");
    }

    /// Is of this size from now on. Whoever has a worker keeps it, and whoever waits goes on waiting, for as long as was said:
    /// until there are fewer at work than there are workers. What is to be done then is [`Pool::start_next`], until nobody
    /// starts.
    pub fn reconfigure(&mut self, config: PoolConfig) {
        self.config = config;
    }

    /// Gives a free worker to the head of the queue; `None` where there is no free worker or nobody waits.
    pub fn start_next(&mut self) -> Option<(T, P)> {
        let next = self.has_free_worker().then(|| self.waiting.pop_front()).flatten();
        self.busy += u32::from(next.is_some());
        next
    }

    fn has_free_worker(&self) -> bool {
        self.config.workers.is_none_or(|workers| self.busy < workers.get())
    }

    /// Takes a ticket out of the queue; `None` if it does not wait there.
    pub fn on_left_queue(&mut self, ticket: T) -> Option<P> {
        self.waiting.remove(&ticket)
    }

    /// What the head of the queue wants back when it starts; `None` where nobody waits.
    pub fn first_queued(&self) -> Option<&P> {
        self.waiting.front().map(|(_, payload)| payload)
    }

    /// Whether a ticket waits.
    pub fn is_queued(&self, ticket: T) -> bool {
        self.waiting.contains_key(&ticket)
    }

    /// Workers in use.
    pub fn in_flight(&self) -> u32 {
        self.busy
    }

    /// How many wait.
    pub fn queued(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_000);

    fn pool(workers: u32, queue: u32) -> Pool<u32, ()> {
        Pool::new(PoolConfig {
            workers: NonZeroU32::new(workers),
            queue: Some(queue),
            queue_timeout: Some(Duration::from_nanos(500)),
        })
    }

    #[test]
    fn workers_first_then_the_queue_then_nothing() {
        let mut pool = pool(1, 1);
        assert_eq!(pool.on_arrival(NOW, 1, ()), Place::Worker);
        let deadline = Some(Timestamp::from_nanos(1_500));
        assert_eq!(pool.on_arrival(NOW, 2, ()), Place::Queue { deadline });
        assert_eq!(pool.on_arrival(NOW, 3, ()), Place::Full);
        assert_eq!((pool.in_flight(), pool.queued()), (1, 1));
    }

    #[test]
    fn a_freed_worker_goes_to_the_longest_waiting() {
        let mut pool = pool(1, 9);
        for ticket in 1..=4 {
            pool.on_arrival(NOW, ticket, ());
        }
        assert!(pool.is_queued(2) && !pool.is_queued(1));
        assert_eq!(pool.on_left_queue(2), Some(()));
        assert_eq!(pool.on_left_queue(2), None);
        assert_eq!(pool.on_release(), Some((3, ())));
        assert_eq!(pool.on_release(), Some((4, ())));
        assert_eq!(pool.on_release(), None);
        assert_eq!((pool.in_flight(), pool.queued()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "a worker is released that was never taken")]
    fn a_release_too_many_panics() {
        pool(1, 1).on_release();
    }

    #[test]
    #[should_panic(expected = "a ticket enters the queue that waits there already")]
    fn a_ticket_that_waits_twice_panics() {
        let mut pool = pool(1, 9);
        for ticket in [1, 2, 2] {
            pool.on_arrival(NOW, ticket, ());
        }
    }

    #[test]
    fn a_pool_that_counts_goes_on_after_a_release_too_many() {
        let invariants = Invariants::counting();
        let mut pool = pool(1, 9).with_invariants(invariants.clone());
        assert_eq!(pool.on_release(), None);
        assert_eq!((invariants.broken(), pool.in_flight()), (1, 0));
        assert_eq!(pool.on_arrival(NOW, 1, ()), Place::Worker);
        pool.on_arrival(NOW, 2, ());
        assert_eq!((pool.on_release(), pool.in_flight()), (Some((2, ())), 1));
        assert_eq!(invariants.broken(), 1);
    }

    #[test]
    fn a_pool_of_another_size_lets_nobody_go() {
        let mut pool = pool(2, 9);
        for ticket in 1..=5 {
            pool.on_arrival(NOW, ticket, ());
        }
        let sized = |workers| PoolConfig { workers: NonZeroU32::new(workers), ..PoolConfig::default() };
        pool.reconfigure(sized(1));
        assert_eq!(pool.start_next(), None);
        // The first of two that end leaves one at work, as many as there may be.
        assert_eq!((pool.on_release(), pool.in_flight()), (None, 1));
        assert_eq!((pool.on_release(), pool.in_flight()), (Some((3, ())), 1));
        pool.reconfigure(sized(3));
        let started: Vec<_> = std::iter::from_fn(|| pool.start_next()).collect();
        assert_eq!((started, pool.in_flight(), pool.queued()), (vec![(4, ()), (5, ())], 3, 0));
    }

    #[test]
    fn unbounded_workers_never_queue() {
        let mut pool = Pool::new(PoolConfig::default());
        for ticket in 0..10_000 {
            assert_eq!(pool.on_arrival(NOW, ticket, ()), Place::Worker);
        }
        assert_eq!((pool.in_flight(), pool.queued()), (10_000, 0));
    }

    proptest! {
        /// Beside the obvious model: a list of those served and a list of those who wait.
        #[test]
        fn agrees_with_two_lists(
            workers in 1u32..4,
            places in 0u32..4,
            steps in prop::collection::vec((0u8..3, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut pool = pool(workers, places);
            let (mut served, mut waiting) = (Vec::new(), Vec::<u32>::new());
            for (ticket, (step, pick)) in (0..).zip(steps) {
                match step {
                    0 => {
                        let place = pool.on_arrival(NOW, ticket, ());
                        if (served.len() as u32) < workers {
                            served.push(ticket);
                            prop_assert_eq!(place, Place::Worker);
                        } else if (waiting.len() as u32) < places {
                            waiting.push(ticket);
                            prop_assert!(matches!(place, Place::Queue { .. }), "{:?}", place);
                        } else {
                            prop_assert_eq!(place, Place::Full);
                        }
                    }
                    1 if !served.is_empty() => {
                        served.remove(pick.index(served.len()));
                        let next = (!waiting.is_empty()).then(|| waiting.remove(0));
                        served.extend(next);
                        prop_assert_eq!(pool.on_release().map(|(ticket, ())| ticket), next);
                    }
                    2 if !waiting.is_empty() => {
                        let ticket = waiting.remove(pick.index(waiting.len()));
                        prop_assert_eq!(pool.on_left_queue(ticket), Some(()));
                    }
                    _ => {}
                }
                prop_assert_eq!(pool.in_flight() as usize, served.len());
                prop_assert_eq!(pool.queued() as usize, waiting.len());
            }
        }
    }
}
