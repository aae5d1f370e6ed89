//! The log off the path of requests: a bounded queue, and a thread that makes lines of what is in it.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::lines::{emit_broken, emit_dropped};
use super::{Ended, Facts, JsonLines, Names, RequestRecord, RunName, emit_host_change, emit_transition};
use crate::breaker::Transition;
use crate::hosts::HostChange;
use crate::invariant::Violation;
use crate::route::UpstreamId;
use crate::timestamp::Timestamp;

/// Entries that may wait to be written: a second of a busy gateway.
const CAPACITY: usize = 1 << 16;

/// How long the writer rests between two looks at its queue. Waking it for each entry would cost the sender a system call.
const REST: Duration = Duration::from_millis(10);

/// A log under way. Dropped, it writes what is left and ends, however long that takes; [`RequestLog::finish`] has a limit.
#[derive(Debug)]
pub struct RequestLog {
    sender: LogSender,
    stop: Arc<AtomicBool>,
    reopening: Reopening,
    /// Nothing comes: it is closed when the writer has ended.
    ended: Mutex<Receiver<()>>,
    writer: Option<JoinHandle<()>>,
}

/// Where lines go from now on, as [`RequestLog::reopen`] has it.
type Reopen = Box<dyn FnOnce() -> Option<Box<dyn Write + Send>> + Send>;

#[derive(Clone, Default)]
struct Reopening(Arc<Mutex<Option<Reopen>>>);

impl Reopening {
    fn set(&self, reopen: Option<Reopen>) -> Option<Reopen> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), reopen)
    }
}

impl fmt::Debug for Reopening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reopening")
    }
}

/// How a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Lines that are missing.
    pub missing: u64,
    /// Whether the place where lines go took nothing more within the time there was.
    pub blocked: bool,
}

/// The end of a log that requests are handed to. It never waits: where the queue is full, the entry is dropped and counted.
#[derive(Clone, Debug)]
pub struct LogSender {
    queue: SyncSender<Entry>,
    /// Entries that came into the queue.
    queued: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    lines: JsonLines,
}

#[derive(Debug)]
enum Entry {
    Request { at: Timestamp, facts: Arc<Facts>, ended: Ended },
    Transition { upstream: UpstreamId, transition: Transition },
    Host { upstream: UpstreamId, change: HostChange },
    Broken { at: Timestamp, violation: Violation },
}

/// What the writer calls things, and when it last heard of any.
struct Writer {
    names: Names,
    run: Option<RunName>,
    lines: JsonLines,
    queue: Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    /// Of those, as many as were told.
    told: u64,
    last: Timestamp,
    reopening: Reopening,
    _ended: Sender<()>,
}

impl RequestLog {
    /// Starts a thread that writes to `lines`. Requests of a comparison bear the name of their `run`.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(lines: JsonLines, names: Names, run: Option<RunName>) -> io::Result<Self> {
        Self::with_capacity(CAPACITY, lines, names, run)
    }

    fn with_capacity(
        capacity: usize,
        lines: JsonLines,
        names: Names,
        run: Option<RunName>,
    ) -> io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        let (dropped, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let queued = Arc::default();
        let sender = LogSender { queue, queued, dropped: Arc::clone(&dropped), lines: lines.clone() };
        let (last, reopening) = (Timestamp::EPOCH, Reopening::default());
        let (ends, ended) = channel();
        let writer = Writer {
            names,
            run,
            lines,
            queue: entries,
            dropped,
            told: 0,
            last,
            reopening: reopening.clone(),
            _ended: ends,
        };
        let stopped = Arc::clone(&stop);
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(&stopped))?;
        Ok(Self { sender, stop, reopening, ended: Mutex::new(ended), writer: Some(writer) })
    }

    /// To be handed requests by.
    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }

    /// Has lines go where `open` says, from the next one that is written on; where it says nothing, all stays as it is. It
    /// is asked on the log's own thread, for it may block.
    pub fn reopen(&self, open: impl FnOnce() -> Option<Box<dyn Write + Send>> + Send + 'static) {
        self.reopening.set(Some(Box::new(open)));
    }

    /// Writes what is left, for so long at most. The thread of a log that is blocked after that is left to itself, and lasts
    /// as long as the process.
    pub fn finish(mut self, patience: Duration) -> LogEnd {
        self.end();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience);
        let blocked = ended == Err(RecvTimeoutError::Timeout);
        if blocked {
            self.writer = None;
        }
        let LogSender { queued, dropped, lines, .. } = &self.sender;
        let missing = dropped.load(Relaxed) + queued.load(Relaxed).saturating_sub(lines.written());
        LogEnd { missing, blocked }
    }

    fn end(&self) {
        self.stop.store(true, Release);
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.end();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl LogSender {
    pub(super) fn request(&self, at: Timestamp, facts: &Arc<Facts>, ended: &Ended) {
        self.send(Entry::Request { at, facts: Arc::clone(facts), ended: *ended });
    }

    pub(super) fn transition(&self, upstream: UpstreamId, transition: Transition) {
        self.send(Entry::Transition { upstream, transition });
    }

    pub(super) fn host_change(&self, upstream: UpstreamId, change: HostChange) {
        self.send(Entry::Host { upstream, change });
    }

    pub(super) fn broken(&self, at: Timestamp, violation: Violation) {
        self.send(Entry::Broken { at, violation });
    }

    fn send(&self, entry: Entry) {
        match self.queue.try_send(entry) {
            Ok(()) => self.queued.fetch_add(1, Relaxed),
            Err(_) => self.dropped.fetch_add(1, Relaxed),
        };
    }

    /// Lines that are missing: dropped because the writer could not keep up, or refused by where they were to go.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed) + self.lines.unwritten()
    }
}

impl Writer {
    fn write(mut self, stop: &AtomicBool) {
        tracing::dispatcher::with_default(&self.lines.dispatch(), || {
            loop {
                // Looked at first, so that what was sent before the stop is written after it.
                let stopped = stop.load(Acquire);
                while let Ok(entry) = self.queue.try_recv() {
                    self.tell(&entry);
                }
                // What cannot be written is counted.
                let _ = self.lines.flush();
                self.tell_dropped();
                if let Some(open) = self.reopening.set(None)
                    && let Some(to) = open()
                {
                    self.lines.reopen(to);
                }
                if stopped {
                    return;
                }
                thread::park_timeout(REST);
            }
        });
    }

    fn tell(&mut self, entry: &Entry) {
        match entry {
            Entry::Request { at, facts, ended } => {
                self.last = *at;
                RequestRecord::new(&self.names, self.run.as_ref(), *at, facts, ended).emit();
            }
            Entry::Transition { upstream, transition } => {
                emit_transition(self.run.as_ref(), self.names.upstream(*upstream), transition);
            }
            Entry::Host { upstream, change } => {
                emit_host_change(self.run.as_ref(), self.names.upstream(*upstream), change);
            }
            Entry::Broken { at, violation } => {
                self.last = *at;
                emit_broken(*at, *violation);
            }
        }
    }

    /// A gap is told where it is, and not for each line that is missing; and again until that has been written.
    fn tell_dropped(&mut self) {
        let dropped = self.dropped.load(Relaxed) + self.lines.unwritten();
        if dropped > self.told {
            emit_dropped(self.last, dropped - self.told, dropped);
            if self.lines.has_told() {
                self.told = dropped;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Condvar, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::breaker::{Condition, Counts};
    use crate::telemetry::testing::{START, config, facts, rejected};

    /// A place to write to that is closed at first.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inner>);

    #[derive(Default)]
    struct Inner {
        open: Mutex<bool>,
        opened: Condvar,
        written: Mutex<Vec<u8>>,
    }

    impl Gate {
        fn open(&self) {
            *self.0.open.lock().unwrap() = true;
            self.0.opened.notify_all();
        }

        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.written.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(self.0.opened.wait_while(self.0.open.lock().unwrap(), |open| !*open).unwrap());
            self.0.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_sent_before_the_end_is_written() {
        let (config, gate) = (config(), Gate::default());
        gate.open();
        let names = Names::new(&config, ["orders"]);
        let log = RequestLog::start(JsonLines::new(gate.clone()), names, None).unwrap();
        let sender = log.sender();
        let facts = Arc::new(facts(&config, "partner-0", 1));
        for _ in 0..1_000 {
            sender.request(START, &facts, &rejected());
        }
        let (from, to) = (Condition::Closed, Condition::Open);
        sender.transition(UpstreamId(0), Transition { at: START, from, to, counts: Counts::default() });
        drop(log);
        let lines = gate.lines();
        assert_eq!((lines.len(), sender.dropped()), (1_001, 0));
        assert_eq!(lines[1_000]["upstream"], "orders");
    }

    #[test]
    fn who_sends_to_a_full_log_does_not_wait_and_what_is_missing_is_counted() {
        let (config, gate) = (config(), Gate::default());
        let names = Names::new(&config, ["orders"]);
        let log = RequestLog::with_capacity(8, JsonLines::new(gate.clone()), names, None).unwrap();
        let sender = log.sender();
        let facts = Arc::new(facts(&config, "partner-0", 1));
        // Of these the writer takes up to nine: what the queue holds, and one that it is stuck with.
        for _ in 0..100 {
            sender.request(START, &facts, &rejected());
        }
        let dropped = sender.dropped();
        assert!((91..=92).contains(&dropped), "{dropped}");
        gate.open();
        drop(log);
        let lines = gate.lines();
        let (warnings, requests): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["level"] == "WARN");
        assert_eq!(requests.len() as u64, 100 - dropped);
        assert_eq!(warnings.last().unwrap()["dropped_total"], dropped);
    }

    #[test]
    fn a_log_that_is_blocked_is_left_with_what_it_has_not_written() {
        let (config, gate) = (config(), Gate::default());
        let names = Names::new(&config, ["orders"]);
        let log = RequestLog::start(JsonLines::buffered(1 << 16, gate.clone()), names, None).unwrap();
        let sender = log.sender();
        let facts = Arc::new(facts(&config, "partner-0", 1));
        for _ in 0..150 {
            sender.request(START, &facts, &rejected());
        }
        assert_eq!(log.finish(Duration::from_millis(100)), LogEnd { missing: 150, blocked: true });
        gate.open();
    }

    #[test]
    fn a_log_goes_on_in_another_place_without_losing_a_line() {
        let (config, first, second) = (config(), Gate::default(), Gate::default());
        first.open();
        second.open();
        let names = Names::new(&config, ["orders"]);
        let log = RequestLog::start(JsonLines::buffered(1 << 16, first.clone()), names, None).unwrap();
        let (sender, facts) = (log.sender(), Arc::new(facts(&config, "partner-0", 1)));
        let (opened, opening) = channel();
        let to = second.clone();
        for number in 0..2_000 {
            sender.request(START, &facts, &rejected());
            if number == 1_000 {
                let (to, opened) = (to.clone(), opened.clone());
                log.reopen(move || {
                    opened.send(()).unwrap();
                    Some(Box::new(to))
                });
                opening.recv().unwrap();
            }
        }
        assert_eq!(log.finish(Duration::from_secs(60)), LogEnd { missing: 0, blocked: false });
        let (first, second) = (first.lines().len(), second.lines().len());
        assert!(first >= 1_001 && second > 0 && first + second == 2_000, "{first} and {second}");
    }
}
