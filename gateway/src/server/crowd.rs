//! How many clients may be connected at once, and which connection makes room for the next.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::config::HttpLimits;
use super::connection_state::{ConnectionState, Idleness};
use super::thread::Thread;

/// Between two looks at who makes room, while all are at their requests.
const A_WHILE: Duration = Duration::from_millis(50);

/// Connections that are noted in one look at all of them, so that a flood costs no look for each of its connections.
const NOTED: usize = 64;

/// The connections of all threads, and the places for them.
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    limits: HttpLimits,
    threads: Vec<Arc<Thread>>,
    /// Those that were found the idlest, the idlest last.
    idlest: Mutex<Vec<(Idleness, Weak<ConnectionState>)>>,
}

impl Crowd {
    pub(super) fn new(limits: HttpLimits, threads: Vec<Arc<Thread>>) -> Self {
        let places = limits.connections.clamp(threads.len(), Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), limits, threads, idlest: Mutex::default() }
    }

    pub(super) fn threads(&self) -> &[Arc<Thread>] {
        &self.threads
    }

    /// A place for a connection. Where none is free, the idlest connection is closed; while none is idle, it waits.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Some(place);
            }
            self.make_room();
            if let Ok(place) = timeout(A_WHILE, Arc::clone(&self.places).acquire_owned()).await {
                // The semaphore is never closed.
                return place.ok();
            }
        }
    }

    /// Has the idlest connection closed, if one is idle.
    pub(super) fn make_room(&self) {
        let mut idlest = self.idlest.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.close_one(&mut idlest) {
            *idlest = self.look();
            self.close_one(&mut idlest);
        }
    }

    fn close_one(&self, idlest: &mut Vec<(Idleness, Weak<ConnectionState>)>) -> bool {
        while let Some((noted, state)) = idlest.pop() {
            // It may be gone by now, or have come to a request and have rested again.
            if let Some(state) = state.upgrade()
                && state.idleness(&self.limits).is_some_and(|now| now.is_of_one_rest(&noted))
                && state.tell_to_leave()
            {
                return true;
            }
        }
        false
    }

    /// The idlest of all. Those that have not come to a request yet may have half of the places, so that a flood of them
    /// takes none from who is served between two of its requests.
    fn look(&self) -> Vec<(Idleness, Weak<ConnectionState>)> {
        let (mut idle, mut unused) = (Vec::new(), 0);
        for thread in &self.threads {
            thread.set_clock();
            thread.each_connection(|state| {
                if let Some(idleness) = state.idleness(&self.limits) {
                    unused += usize::from(idleness.is_unused());
                    idle.push((idleness, Arc::downgrade(state)));
                }
            });
        }
        if unused > self.limits.connections / 2 {
            idle.retain(|(idleness, _)| idleness.is_unused());
        }
        if idle.len() > NOTED {
            let more = idle.len() - NOTED;
            idle.select_nth_unstable_by_key(more, |(idleness, _)| *idleness);
            idle.drain(..more);
        }
        idle.sort_unstable_by_key(|(idleness, _)| *idleness);
        idle
    }
}
