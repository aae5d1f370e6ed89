//! The log: JSON, one object a line, made of `tracing` events.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayString;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, event};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::record::{BucketRecord, BucketRecords, civil, digest};
use super::{RequestName, RequestRecord, RunName, SpanId, TraceId};
use crate::breaker::Transition;
use crate::hosts::HostChange;
use crate::invariant::Violation;
use crate::timestamp::Timestamp;

/// The target of the event of each request, at the level `INFO`: the fields of a [`RequestRecord`].
pub const REQUEST: &str = "gateway::request";

/// The target of the event of each change of a breaker, at the level `INFO`.
pub const BREAKER: &str = "gateway::breaker";
/// The target of the event of each host that is passed over or takes part again, at the level `INFO`.
pub const HOST: &str = "gateway::host";

/// The target of events about the log itself, at the level `WARN`: how many lines were dropped.
pub const LOG: &str = "gateway::log";

/// The target of events about a counter of the gateway that is wrong, at the level `ERROR`.
pub const INVARIANT: &str = "gateway::invariant";

/// Fields of a request whose text is JSON already.
const NESTED: [&str; 2] = ["rate_limits", "auth"];

/// A layer that writes the gateway's events as lines of JSON.
///
/// Each line begins with `level` and `target` and goes on with the fields of its event, in their order. Other crates'
/// events, and spans, are not looked at. A line that cannot be written is counted.
#[derive(Clone)]
pub struct JsonLines(Arc<Shared>);

struct Shared {
    out: Mutex<Out>,
    /// Of these, lines about the log itself are none.
    written: AtomicU64,
    unwritten: AtomicU64,
    /// Whether the last line about the log itself was written.
    told: AtomicBool,
}

struct Out {
    line: String,
    forms: Vec<Form>,
    batch: Batch,
}

/// Lines on their way to their place.
struct Batch {
    to: Box<dyn Write + Send>,
    /// Whole lines.
    waiting: Vec<u8>,
    /// How much may wait, in bytes.
    capacity: usize,
    /// Whether the last line there broke off.
    torn: bool,
}

impl Batch {
    /// Writes what waits: how many lines were written, and how many were not. The latter are gone.
    fn write(&mut self) -> (u64, u64) {
        let (mut written, mut failed) = (0, false);
        if self.torn && !self.waiting.is_empty() {
            failed = self.to.write_all(b"\n").is_err();
            self.torn = failed;
        }
        while !failed && written < self.waiting.len() {
            match self.to.write(&self.waiting[written..]) {
                Ok(0) => failed = true,
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => failed = true,
            }
        }
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        self.torn |= written > 0 && self.waiting[written - 1] != b'\n';
        let counts = (lines(&self.waiting[..written]), lines(&self.waiting[written..]));
        self.waiting.clear();
        counts
    }
}

/// What all lines of one kind of event have in common, written once.
struct Form {
    event: Identifier,
    /// `{"level":"INFO","target":"gateway::request"`
    head: String,
    keys: Vec<Key>,
}

/// What stands before the value of a field.
struct Key {
    /// `,"name":`
    text: String,
    nested: bool,
}

impl JsonLines {
    /// Writes to `to`, a line in one piece each.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self::buffered(0, to)
    }

    /// Writes to `to` as many lines at once as have that many bytes; those that wait are written by [`JsonLines::flush`]. A
    /// buffer of the writer's own would leave open which of them were written.
    pub fn buffered(capacity: usize, to: impl Write + Send + 'static) -> Self {
        let waiting = Vec::with_capacity(capacity);
        let batch = Batch { to: Box::new(to), waiting, capacity, torn: false };
        let out = Mutex::new(Out { line: String::with_capacity(1024), forms: Vec::new(), batch });
        let (written, unwritten, told) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Shared { out, written, unwritten, told }))
    }

    /// A dispatcher that writes these lines and nothing else.
    pub fn dispatch(&self) -> Dispatch {
        Dispatch::new(Registry::default().with(self.clone()))
    }

    /// Has everything written so far reach its place. What does not is counted, and gone.
    ///
    /// # Errors
    ///
    /// If some of it does not.
    pub fn flush(&self) -> io::Result<()> {
        self.write(&mut self.out())
    }

    /// Writes to another place from now on; what waits goes to the one before.
    pub fn reopen(&self, to: Box<dyn Write + Send>) {
        let mut out = self.out();
        // What is lost is counted.
        let _ = self.write(&mut out);
        out.batch.to = to;
        out.batch.torn = false;
    }

    fn write(&self, out: &mut Out) -> io::Result<()> {
        let (written, mut lost) = out.batch.write();
        let flushed = out.batch.to.flush();
        // A line at least, of those that the writer kept to itself.
        lost += u64::from(lost == 0 && flushed.is_err());
        self.0.written.fetch_add(written, Relaxed);
        self.0.unwritten.fetch_add(lost, Relaxed);
        if lost > 0 { flushed.and(Err(io::ErrorKind::WriteZero.into())) } else { Ok(()) }
    }

    /// Lines that were written; those about the log itself are not counted.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Relaxed)
    }

    /// Lines that could not be written; those about the log itself are not counted.
    pub fn unwritten(&self) -> u64 {
        self.0.unwritten.load(Relaxed)
    }

    /// Whether the last line about the log itself was written.
    pub(super) fn has_told(&self) -> bool {
        self.0.told.load(Relaxed)
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.0.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has what is told on this thread meanwhile written to these lines, and to their place.
pub fn with_lines<T>(lines: &JsonLines, what: impl FnOnce() -> T) -> T {
    let done = tracing::dispatcher::with_default(&lines.dispatch(), what);
    // What cannot be written is counted.
    let _ = lines.flush();
    done
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("unwritten", &self.unwritten()).finish_non_exhaustive()
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    [REQUEST, BREAKER, LOG, INVARIANT].contains(&metadata.target())
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Where somebody else writes under `trace`, as HTTP/2 does, it shall cost nothing.
        if is_ours(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut out = self.out();
        let Out { line, forms, batch } = &mut *out;
        let form = Form::of(event.metadata(), forms);
        line.clear();
        line.push_str(&form.head);
        event.record(&mut Fields { line, keys: &form.keys });
        line.push_str("}\n");
        if event.metadata().target() == LOG {
            // By itself, and counted by nobody: it is about those that are.
            let _ = self.write(&mut out);
            let Out { line, batch, .. } = &mut *out;
            batch.waiting.extend_from_slice(line.as_bytes());
            let lost = batch.write().1;
            let told = lost == 0 && batch.to.flush().is_ok();
            self.0.told.store(told, Relaxed);
            return;
        }
        if batch.waiting.len() + line.len() > batch.capacity && !batch.waiting.is_empty() {
            // What is lost is counted.
            let _ = self.write(&mut out);
        }
        let Out { line, batch, .. } = &mut *out;
        batch.waiting.extend_from_slice(line.as_bytes());
        if batch.waiting.len() >= batch.capacity {
            let _ = self.write(&mut out);
        }
    }
}

impl Form {
    /// That of an event: one of those that are there, or a new one. There are as many as targets.
    fn of<'a>(metadata: &Metadata<'static>, forms: &'a mut Vec<Self>) -> &'a Self {
        let event = metadata.callsite();
        let place = forms.iter().position(|form| form.event == event).unwrap_or_else(|| {
            forms.push(Self::new(metadata));
            forms.len() - 1
        });
        &forms[place]
    }

    fn new(metadata: &Metadata<'static>) -> Self {
        // Names are ours and need no escapes.
        let head = format!(r#"{{"level":"{}","target":"{}""#, metadata.level(), metadata.target());
        let keys = metadata.fields().iter().map(|field| Key {
            text: format!(r#","{}":"#, field.name()),
            nested: NESTED.contains(&field.name()),
        });
        Self { event: metadata.callsite(), head, keys: keys.collect() }
    }
}

/// Writes the fields of an event. Everything is pushed piece by piece, without the machinery of `write!`: a line has twenty
/// fields.
struct Fields<'a> {
    line: &'a mut String,
    /// By the field's place in its event.
    keys: &'a [Key],
}

impl Fields<'_> {
    fn raw(&mut self, field: &Field, value: &str) {
        self.line.push_str(&self.keys[field.index()].text);
        self.line.push_str(value);
    }

    fn text(&mut self, field: &Field, value: &str) {
        if self.keys[field.index()].nested {
            return self.raw(field, &ascii(value));
        }
        // Hardly any has to be escaped. It is looked at to its end, and as numbers, which the compiler does sixteen bytes at a
        // time.
        let escapes = |byte: u8| {
            u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte >= 0x7f)
        };
        if value.bytes().fold(0, |any, byte| any | escapes(byte)) == 0 {
            self.raw(field, "\"");
            self.line.push_str(value);
            self.line.push('"');
        } else {
            // A text is JSON always.
            self.raw(field, &ascii(&serde_json::to_string(value).unwrap_or_default()));
        }
    }

    fn number(&mut self, field: &Field, number: impl itoa::Integer) {
        self.raw(field, itoa::Buffer::new().format(number));
    }
}

/// JSON of printable ASCII alone. What a client sent and a token claims is in a log, and logs are shown on terminals, which take
/// some characters for commands (U+007F to U+009F) or turn a line around; an escape means the same to whoever reads JSON.
fn ascii(json: &str) -> Cow<'_, str> {
    let is_plain = |character: char| matches!(character, ' '..='~');
    // As above: nearly all is, and it is looked at to its end.
    if json.bytes().fold(0, |any, byte| any | u8::from(!is_plain(byte.into()))) == 0 {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field, if value { "true" } else { "false" });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.raw(field, &value.to_string());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

impl RequestRecord<'_> {
    /// Makes an event of it, for whoever subscribes to the target [`REQUEST`].
    pub fn emit(&self) {
        // Texts, and not what displays itself: a subscriber would pay for the machinery of `write!` with each of them.
        event!(
            target: REQUEST,
            Level::INFO,
            timestamp = civil(self.timestamp).as_str(),
            scenario = self.run.map(|run| run.scenario.as_str()),
            engine = self.run.map(|run| run.engine),
            variant = self.run.map(|run| run.variant.as_str()),
            seed = self.run.map(|run| run.seed),
            control = self.run.map(|run| run.control),
            request_id = self.request_id.map(RequestName::text).as_deref(),
            trace_id = self.trace_id.map(TraceId::digits).as_deref(),
            span_id = self.span_id.map(SpanId::digits).as_deref(),
            parent_span_id = self.parent_span_id.map(SpanId::digits).as_deref(),
            client = digest(self.client).as_str(),
            peer = self.peer.map(address).as_deref(),
            route = self.route,
            upstream = self.upstream,
            status = self.status,
            outcome = self.outcome,
            reason = self.reason,
            attempts = self.attempts,
            upstream_latency_us = self.upstream_latency_us,
            total_latency_us = self.total_latency_us,
            breaker = self.breaker,
            rate_limits = (!self.rate_limits.is_empty()).then(|| buckets(self.rate_limits)).as_deref(),
            auth = self.auth.and_then(|auth| serde_json::to_string(auth).ok()).as_deref(),
        );
    }
}

/// What the limits said as JSON: what serde makes of it, piece by piece, for it stands in every line.
fn buckets(records: BucketRecords<'_>) -> String {
    let mut json = String::with_capacity(256);
    json.push('{');
    let mut digits = itoa::Buffer::new();
    for (limit, BucketRecord { allowance, remaining, admitted, wait_us }) in records.iter() {
        json.push_str(if json.len() == 1 { "\"" } else { ",\"" });
        // No label has a character that JSON writes otherwise.
        json.push_str(limit);
        json.push_str("\":{\"allowance\":");
        json.push_str(digits.format(allowance));
        json.push_str(",\"remaining\":");
        json.push_str(digits.format(remaining));
        json.push_str(if admitted { ",\"admitted\":true" } else { ",\"admitted\":false" });
        if let Some(wait) = wait_us {
            json.push_str(",\"wait_us\":");
            json.push_str(digits.format(wait));
        }
        json.push('}');
    }
    json.push('}');
    json
}

/// An address, at most as long as one of version 6 that is displayed in full. Of version 4, which most are, it is not
/// written by the machinery of `write!`.
fn address(peer: IpAddr) -> ArrayString<46> {
    let mut text = ArrayString::new();
    if let IpAddr::V4(peer) = peer {
        let mut digits = itoa::Buffer::new();
        for (place, octet) in peer.octets().into_iter().enumerate() {
            if place > 0 {
                text.push('.');
            }
            text.push_str(digits.format(octet));
        }
    } else {
        // It fits.
        let _ = write!(text, "{peer}");
    }
    text
}

/// Makes an event of a breaker's change, for whoever subscribes to the target [`BREAKER`].
pub fn emit_transition(run: Option<&RunName>, upstream: &str, transition: &Transition) {
    event!(
        target: BREAKER,
        Level::INFO,
        timestamp = civil(transition.at).as_str(),
        scenario = run.map(|run| run.scenario.as_str()),
        engine = run.map(|run| run.engine),
        variant = run.map(|run| run.variant.as_str()),
        seed = run.map(|run| run.seed),
        control = run.map(|run| run.control),
        upstream,
        from = transition.from.name(),
        to = transition.to.name(),
        settled = transition.counts.settled,
        failures = transition.counts.failures,
    );
}

/// Makes an event of a host that is passed over or takes part again, for whoever subscribes to the target [`HOST`].
pub fn emit_host_change(run: Option<&RunName>, upstream: &str, change: &HostChange) {
    event!(
        target: HOST,
        Level::INFO,
        timestamp = civil(change.at).as_str(),
        scenario = run.map(|run| run.scenario.as_str()),
        engine = run.map(|run| run.engine),
        variant = run.map(|run| run.variant.as_str()),
        seed = run.map(|run| run.seed),
        control = run.map(|run| run.control),
        upstream,
        host = change.host.0,
        to = change.to.name(),
    );
}

/// Says that a counter of the gateway is wrong.
pub(super) fn emit_broken(at: Timestamp, violation: Violation) {
    event!(
        target: INVARIANT,
        Level::ERROR,
        timestamp = civil(at).as_str(),
        message = "a counter of the gateway is wrong, which is a defect of the gateway",
        invariant = violation.what,
        times = violation.times,
    );
}

/// Says that lines are missing.
pub(super) fn emit_dropped(at: Timestamp, dropped: u64, total: u64) {
    event!(
        target: LOG,
        Level::WARN,
        timestamp = civil(at).as_str(),
        message = "lines are missing: they came faster than they could be written, or could not be written",
        dropped,
        dropped_total = total,
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::admission::Checks;
    use crate::attempt::{AttemptEnd, RequestEnd};
    use crate::breaker::{Condition, Counts};
    use crate::limits::{LimitList, LimitName, LimitRule, RateLimits};
    use crate::rate_limit::{Algorithm, RateLimit, Verdict};
    use crate::telemetry::testing::{START, config, facts, rejected};
    use crate::telemetry::{Ended, Names, ShownClaims, TraceIds};

    /// What can be looked at while it is written.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_the_record_that_was_emitted() {
        let (config, paper) = (config(), Paper::default());
        let names = Names::new(&config, ["or\"ders\n"]);
        let run = RunName {
            scenario: "B\"urst \u{e4}\u{9b}31m\u{7f}".to_owned(),
            engine: "live",
            variant: "b\\ase".to_owned(),
            seed: u64::MAX,
            control: true,
        };
        let mut full = facts(&config, "partner-0", 3);
        full.traced = Some(TraceIds::new(1).next(None));
        full.auth = Some(Box::new(ShownClaims(vec![(
            "sub".to_owned(),
            "\u{1f600}\u{202e} \"quoted\"\u{9b}2J\u{7f}".to_owned(),
        )])));
        let served = Ended {
            end: RequestEnd::Attempt(AttemptEnd::Answered(200)),
            attempts: 1,
            upstream_time: Some(Duration::from_millis(12)),
            total_time: Duration::from_millis(13),
        };
        let bare = facts(&config, "partner-1", 11);
        let records = [
            RequestRecord::new(&names, Some(&run), START, &full, &served),
            RequestRecord::new(&names, None, START, &bare, &rejected()),
        ];
        tracing::dispatcher::with_default(&JsonLines::new(paper.clone()).dispatch(), || {
            records.iter().for_each(RequestRecord::emit);
            // Of others nothing is written.
            event!(target: "h2::proto", Level::ERROR, "noise");
        });
        let expected = records.iter().map(|record| {
            let mut line = serde_json::json!({ "level": "INFO", "target": "gateway::request" });
            let Value::Object(fields) = serde_json::to_value(record).unwrap() else { panic!("{record:?}") };
            line.as_object_mut().unwrap().extend(fields);
            line
        });
        assert_eq!(paper.lines(), expected.collect::<Vec<_>>());
        // Nothing of it acts on a terminal.
        let raw = paper.0.lock().unwrap();
        assert!(
            raw.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')),
            "{}",
            String::from_utf8_lossy(&raw)
        );
    }

    #[test]
    fn buckets_are_the_json_that_serde_makes_of_them() {
        let limit = RateLimit::new(Algorithm::FixedWindow, 10, Duration::from_secs(60)).unwrap();
        let named = LimitRule { name: LimitName::new("per-hour_2").ok(), ..limit.into() };
        let limits = RateLimits {
            per_ip: limit.into(),
            per_key: LimitList::new(vec![limit.into(), named]).unwrap(),
            global: limit.into(),
            ..RateLimits::default()
        };
        let facts = limits.facts();
        assert_eq!(buckets(BucketRecords::default()), "{}");
        let mut checks = Checks::default();
        for (limit, _) in limits.iter() {
            let rejected = Verdict::Rejected { retry_after: Duration::from_secs(1) };
            let delayed = Verdict::Delayed { remaining: 3, wait: Duration::from_millis(7) };
            for verdict in [Verdict::Admitted { remaining: 9 }, delayed, rejected] {
                let mut checks = checks;
                checks.note(START, limit, verdict);
                let records = BucketRecords::new(&facts, &checks);
                assert_eq!(buckets(records), serde_json::to_string(&records).unwrap());
            }
            checks.note(START, limit, Verdict::Admitted { remaining: 0 });
        }
        let labels: Vec<_> = BucketRecords::new(&facts, &checks).iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["per_ip", "per_key[0]", "per_key.per-hour_2", "global"]);
    }

    #[test]
    fn an_address_is_written_as_it_is_displayed() {
        for text in ["127.0.0.1", "203.0.113.255", "::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let peer: IpAddr = text.parse().unwrap();
            assert_eq!(address(peer).as_str(), peer.to_string());
        }
    }

    #[test]
    fn transitions_gaps_and_broken_invariants_are_told_too() {
        let paper = Paper::default();
        tracing::dispatcher::with_default(&JsonLines::new(paper.clone()).dispatch(), || {
            let counts = Counts { settled: 20, failures: 11, ..Counts::default() };
            let transition = Transition { at: START, from: Condition::Closed, to: Condition::Open, counts };
            emit_transition(None, "payments", &transition);
            emit_dropped(START, 3, 10);
            emit_broken(START, Violation { what: "one too many", times: 4 });
        });
        let lines = paper.lines();
        assert_eq!(
            (&lines[0]["to"], &lines[0]["failures"], &lines[0]["timestamp"]),
            (&"open".into(), &11.into(), &"2026-06-02T09:02:00.000000Z".into())
        );
        assert_eq!((&lines[1]["level"], &lines[1]["dropped"]), (&"WARN".into(), &3.into()));
        assert_eq!(
            (&lines[2]["level"], &lines[2]["invariant"], &lines[2]["times"]),
            (&"ERROR".into(), &"one too many".into(), &4.into())
        );
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let counts = Counts::default();
        let transition = Transition { at: START, from: Condition::Closed, to: Condition::Open, counts };
        for capacity in [0, 256, 1 << 16] {
            let lines = JsonLines::buffered(capacity, Full);
            with_lines(&lines, || (0..150).for_each(|_| emit_transition(None, "payments", &transition)));
            assert_eq!((lines.unwritten(), lines.written()), (150, 0), "{capacity}");
            // What is said of them is none of them.
            with_lines(&lines, || emit_dropped(START, 150, 150));
            assert_eq!((lines.unwritten(), lines.has_told()), (150, false), "{capacity}");
        }
    }

    #[test]
    fn lines_are_counted_where_their_place_is_full_in_the_midst_of_one() {
        /// Takes so many bytes, and more once there is room.
        #[derive(Clone)]
        struct Room(Arc<Mutex<(usize, Vec<u8>)>>);
        impl Write for Room {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let (room, taken) = &mut *self.0.lock().unwrap();
                let takes = bytes.len().min(*room);
                if takes == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                *room -= takes;
                taken.extend(&bytes[..takes]);
                Ok(takes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let room = Room(Arc::new(Mutex::new((1_000, Vec::new()))));
        let lines = JsonLines::buffered(1 << 16, room.clone());
        let counts = Counts::default();
        let transition = Transition { at: START, from: Condition::Closed, to: Condition::Open, counts };
        let tell = || (0..50).for_each(|_| emit_transition(None, "payments", &transition));
        with_lines(&lines, tell);
        room.0.lock().unwrap().0 = usize::MAX;
        with_lines(&lines, tell);
        let text = String::from_utf8(room.0.lock().unwrap().1.clone()).unwrap();
        // One broke off; each other one that is there is whole, and counted.
        let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count() as u64;
        assert_eq!(text.lines().count() as u64, whole + 1);
        assert_eq!((lines.written(), lines.unwritten()), (whole, 100 - whole));
    }
}
