//! Alarms at scenario times, finer than those of the runtime.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway::Timestamp;
use gateway::server::ScenarioClock;

/// The longest that the thread sleeps at once, in scenario time.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Alarms at scenario times, finer than the runtime's.
///
/// The runtime's timers are a wheel of whole milliseconds: at a service time of 5 ms, and far more with a clock that runs
/// faster than real time, what they round up to is another service. A thread of its own sleeps until the next alarm
/// instead, as exactly as the kernel wakes it.
pub(super) struct Timers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    clock: ScenarioClock,
    alarms: Mutex<Alarms>,
    /// There is an earlier alarm than before, or the end.
    changed: Condvar,
}

#[derive(Default)]
struct Alarms {
    wakers: BTreeMap<(Timestamp, u64), Waker>,
    issued: u64,
    stopped: bool,
}

/// Sets alarms.
#[derive(Clone)]
pub(super) struct Timer(Arc<Shared>);

/// Is over at a scenario time, or never once the timers have stopped.
pub(super) struct Sleep {
    shared: Arc<Shared>,
    at: Timestamp,
    /// The number of the alarm, once it is set.
    alarm: Option<u64>,
}

impl Timers {
    /// Starts the thread.
    pub(super) fn start(clock: ScenarioClock) -> io::Result<Self> {
        let shared = Arc::new(Shared { clock, alarms: Mutex::default(), changed: Condvar::new() });
        let run = Arc::clone(&shared);
        let thread = thread::Builder::new().name("upstream-timers".to_owned()).spawn(move || run.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn timer(&self) -> Timer {
        Timer(Arc::clone(&self.shared))
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.shared.alarms().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nothing more to stop.
            let _ = thread.join();
        }
    }
}

impl Timer {
    /// Waits until it is `at`.
    pub(super) fn until(&self, at: Timestamp) -> Sleep {
        Sleep { shared: Arc::clone(&self.0), at, alarm: None }
    }

    /// As [`Timer::until`], and for ever where there is no time.
    pub(super) async fn until_some(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Shared {
    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut due = Vec::new();
        let mut alarms = self.alarms();
        while !alarms.stopped {
            let now = self.clock.now();
            while let Some(first) = alarms.wakers.first_entry().filter(|first| first.key().0 <= now) {
                due.push(first.remove());
            }
            if !due.is_empty() {
                drop(alarms);
                due.drain(..).for_each(Waker::wake);
                alarms = self.alarms();
                continue;
            }
            let next = alarms.wakers.first_key_value().map(|(&(at, _), _)| at);
            alarms = match next {
                None => self.changed.wait(alarms).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let wait = self.clock.real((at - now).min(LONGEST));
                    self.changed.wait_timeout(alarms, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        // Wakers hold tasks; they go where no lock is held.
        let wakers = mem::take(&mut alarms.wakers);
        drop(alarms);
        drop(wakers);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { shared, at, alarm } = &mut *self;
        if shared.clock.now() >= *at {
            return Poll::Ready(());
        }
        let mut alarms = shared.alarms();
        let number = *alarm.get_or_insert_with(|| {
            alarms.issued += 1;
            alarms.issued
        });
        let before = alarms.wakers.insert((*at, number), context.waker().clone());
        if alarms.wakers.first_key_value().is_some_and(|(first, _)| *first == (*at, number)) {
            shared.changed.notify_one();
        }
        drop(alarms);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.alarm {
            let waker = self.shared.alarms().wakers.remove(&(self.at, number));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::task::Poll;

    use tokio::runtime::Builder;

    use super::*;

    fn timers() -> (ScenarioClock, Timers) {
        let clock = ScenarioClock::starting_now(Timestamp::from_nanos(1_780_390_800_000_000_000), 1.0);
        (clock, Timers::start(clock).unwrap())
    }

    #[test]
    fn alarms_go_off_in_their_order_and_not_too_early() {
        let (clock, timers) = timers();
        let runtime = Builder::new_current_thread().build().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let now = clock.now();
            let wait = |millis| {
                let (at, timer, order) =
                    (now + Duration::from_millis(millis), timers.timer(), Arc::clone(&order));
                tokio::spawn(async move {
                    timer.until(at).await;
                    assert!(clock.now() >= at);
                    order.lock().unwrap().push(millis);
                })
            };
            // The second is the earlier one, and the thread is asleep until the first.
            for task in [wait(40), wait(20), wait(0)] {
                task.await.unwrap();
            }
        });
        assert_eq!(*order.lock().unwrap(), [0, 20, 40]);
        assert!(timers.shared.alarms().wakers.is_empty());
    }

    #[test]
    fn who_no_longer_waits_leaves_no_alarm() {
        let (clock, timers) = timers();
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut sleep = Box::pin(timers.timer().until(clock.now() + LONGEST));
        let pending = runtime.block_on(future::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context))));
        assert!(pending.is_pending());
        assert_eq!(timers.shared.alarms().wakers.len(), 1);
        drop(sleep);
        assert!(timers.shared.alarms().wakers.is_empty());
    }
}
