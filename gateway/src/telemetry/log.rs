//! The log off the path of requests: a bounded queue, and a thread that makes lines of what is in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::lines::emit_dropped;
use super::{Ended, Facts, JsonLines, Names, RequestRecord, RunName, emit_transition};
use crate::{Timestamp, Transition, UpstreamId};

/// Entries that may wait to be written: a second of a busy gateway.
const CAPACITY: usize = 1 << 16;

/// How long the writer rests between two looks at its queue. Waking it for each entry would cost the sender a system call.
const REST: Duration = Duration::from_millis(10);

/// A log under way. Dropped, it writes what is left and ends.
#[derive(Debug)]
pub struct RequestLog {
    sender: LogSender,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

/// The end of a log that requests are handed to. It never waits: where the queue is full, the entry is dropped and counted.
#[derive(Clone, Debug)]
pub struct LogSender {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    lines: JsonLines,
}

#[derive(Debug)]
enum Entry {
    Request { at: Timestamp, facts: Arc<Facts>, ended: Ended },
    Transition { upstream: UpstreamId, transition: Transition },
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
        let sender = LogSender { queue, dropped: Arc::clone(&dropped), lines: lines.clone() };
        let last = Timestamp::EPOCH;
        let writer = Writer { names, run, lines, queue: entries, dropped, told: 0, last };
        let stopped = Arc::clone(&stop);
        let writer = thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(&stopped))?;
        Ok(Self { sender, stop, writer: Some(writer) })
    }

    /// To be handed requests by.
    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.stop.store(true, Release);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
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

    fn send(&self, entry: Entry) {
        if self.queue.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
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
                self.tell_dropped();
                // What cannot be written now is counted by the line that it belongs to, later.
                let _ = self.lines.flush();
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
        }
    }

    /// A gap is told where it is, and not for each line that is missing.
    fn tell_dropped(&mut self) {
        let dropped = self.dropped.load(Relaxed);
        if dropped > self.told {
            emit_dropped(self.last, dropped - self.told, dropped);
            self.told = dropped;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Condvar, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::telemetry::testing::{START, config, facts, rejected};
    use crate::{Condition, Counts};

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
}
