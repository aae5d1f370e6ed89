//! Whose time passes while a request is under way: its upstream's, or its own client's.
//!
//! A gateway that runs one clock for both blames an upstream for what a client does. Twenty clients that send one byte of
//! ten, or never read their answers, then look like twenty timeouts of a healthy upstream, and open its circuit breaker for
//! everybody. So the time is kept apart: a route's timeout and what a breaker learns are measured on the time that the gateway
//! waits for the upstream, and a client that keeps the gateway waiting has timeouts of its own. Envoy starts a route's timeout
//! when the request is whole, for the same reason.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// How long a client may keep the gateway waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For the next bytes of a request's body (60 s).
    pub upload: Duration,
    /// Until it takes the next bytes of an answer (60 s).
    pub download: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { upload: minute, download: minute }
    }
}

/// Bytes that buy a client back one second of its timeout. A pause alone would be no bound: a client that sends one byte
/// before each timeout would hold a worker for days. (Apache's `mod_reqtimeout` asks for the same rate.)
const BYTES_A_SECOND: u64 = 500;

/// After so long a wait for its reader, an answer teaches a breaker what it was until then. A probe whose reader never reads
/// would otherwise hold the place of the next one.
const SLOW_READER: Duration = Duration::from_secs(1);

/// Keeps the time that a request waits for its upstream apart from the time that it waits for its client.
///
/// The calling contract: [`Waits::on_worker`] when the request has a worker. Whenever the client begins or ceases to keep the
/// gateway waiting, [`Waits::on_upload`] or [`Waits::on_download`]. Be back at [`Waits::next_wakeup`], which any of these may
/// bring forward, and ask [`Waits::poll_due`]; and, while an upload waits, at [`Waits::upload_deadline`].
///
/// While both sides could go on, the time is the upstream's. While the client could, it is the client's, whatever the upstream
/// does: it may be waiting for the client too.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Of the time that is the upstream's.
    timeout: Option<Duration>,
    /// The upstream's time at which the attempt under way is over, unless its answer has begun.
    attempt: Option<Duration>,
    /// Up to when it is known whose time it was.
    since: Timestamp,
    upstream: Duration,
    client: Duration,
    upload: ClientTimer,
    download: ClientTimer,
    /// Waited for the reader in all.
    reader: Duration,
    slow_reader: bool,
    /// When the caller will be back.
    alarm: Option<Timestamp>,
}

/// How much longer one side of a client may keep the gateway waiting.
#[derive(Clone, Copy, Debug)]
struct ClientTimer {
    limit: Duration,
    left: Duration,
    waits: bool,
}

/// What is due in the course of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The upstream has used up the route's timeout.
    Upstream,
    /// The upstream has used up the timeout of an attempt, and no answer has begun.
    Attempt,
    /// The client has not taken its answer in time.
    Download,
    /// The client takes its answer so slowly that what the upstream did until now is all that there is to learn. Told once.
    SlowReader,
}

impl Waits {
    /// Of a request that has no worker yet.
    pub const fn new(now: Timestamp, client: ClientTimeouts) -> Self {
        Self {
            timeout: None,
            attempt: None,
            since: now,
            upstream: Duration::ZERO,
            client: Duration::ZERO,
            upload: ClientTimer::new(client.upload),
            download: ClientTimer::new(client.download),
            reader: Duration::ZERO,
            slow_reader: false,
            alarm: None,
        }
    }

    /// The request has a worker: from now on the time is somebody's. `deadline` is the end of the upstream's, unless some of it
    /// is the client's.
    pub fn on_worker(&mut self, now: Timestamp, deadline: Option<Timestamp>) {
        self.advance(now);
        let timeout = deadline.map(|deadline| deadline.saturating_since(now));
        (self.timeout, self.upstream, self.client) = (timeout, Duration::ZERO, Duration::ZERO);
        self.attempt = None;
    }

    /// An attempt is sent, whose answer is to begin within `timeout` of the upstream's time. [`Waits::on_attempt_ended`] follows
    /// when the answer begins or the attempt ends otherwise.
    pub fn on_attempt(&mut self, now: Timestamp, timeout: Duration) {
        self.advance(now);
        self.attempt = Some(self.upstream + timeout);
    }

    /// The answer to an attempt has begun, or the attempt ended otherwise.
    pub fn on_attempt_ended(&mut self) {
        self.attempt = None;
    }

    /// So many bytes of the request's body have come, and the gateway waits for more of them, or does not. Whether
    /// [`Waits::next_wakeup`] is earlier than the caller knows.
    pub fn on_upload(&mut self, now: Timestamp, bytes: usize, waits: bool) -> bool {
        self.advance(now);
        self.upload.renew(bytes);
        self.upload.waits = waits;
        self.is_earlier()
    }

    /// So many bytes of the answer were handed over, and the gateway waits until the client takes more, or does not. Whether
    /// [`Waits::next_wakeup`] is earlier than the caller knows.
    pub fn on_download(&mut self, now: Timestamp, bytes: usize, waits: bool) -> bool {
        self.advance(now);
        self.download.renew(bytes);
        self.download.waits = waits;
        self.is_earlier()
    }

    /// Time that was the upstream's since the request has a worker.
    pub fn upstream_time(&self, now: Timestamp) -> Duration {
        let more = if self.waits_for_client() { Duration::ZERO } else { now.saturating_since(self.since) };
        self.upstream + more
    }

    /// Time that was the client's since the request has a worker.
    pub fn client_time(&self, now: Timestamp) -> Duration {
        let more = if self.waits_for_client() { now.saturating_since(self.since) } else { Duration::ZERO };
        self.client + more
    }

    /// What is due now.
    pub fn poll_due(&mut self, now: Timestamp) -> Option<Due> {
        self.advance(now);
        if self.timeout.is_some_and(|timeout| self.upstream >= timeout) {
            return Some(Due::Upstream);
        }
        if self.attempt.is_some_and(|attempt| self.upstream >= attempt) {
            return Some(Due::Attempt);
        }
        if self.download.waits && self.download.left.is_zero() {
            return Some(Due::Download);
        }
        if !self.slow_reader && self.reader >= SLOW_READER {
            self.slow_reader = true;
            return Some(Due::SlowReader);
        }
        None
    }

    /// When something may be due, unless the client begins or ceases to keep the gateway waiting.
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        let left = if self.download.waits {
            let until_slow = SLOW_READER.saturating_sub(self.reader);
            Some(if self.slow_reader { self.download.left } else { self.download.left.min(until_slow) })
        } else if self.upload.waits {
            None
        } else {
            let timeouts = [self.timeout, self.attempt].into_iter().flatten();
            timeouts.min().map(|timeout| timeout.saturating_sub(self.upstream))
        };
        left.map(|left| self.since + left)
    }

    /// As [`Waits::next_wakeup`], for a caller that will be back then.
    pub fn schedule(&mut self) -> Option<Timestamp> {
        self.alarm = self.next_wakeup();
        self.alarm
    }

    /// When an upload that waits has waited for too long.
    pub fn upload_deadline(&self) -> Timestamp {
        self.since + self.upload.left
    }

    /// Whether the next bytes of the request's body are overdue.
    pub fn is_upload_overdue(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        self.upload.waits && self.upload.left.is_zero()
    }

    const fn waits_for_client(&self) -> bool {
        self.upload.waits || self.download.waits
    }

    fn is_earlier(&self) -> bool {
        match (self.next_wakeup(), self.alarm) {
            (Some(next), Some(alarm)) => next < alarm,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        }
    }

    fn advance(&mut self, now: Timestamp) {
        let passed = now.saturating_since(self.since);
        if self.waits_for_client() {
            self.client += passed;
        } else {
            self.upstream += passed;
        }
        if self.download.waits {
            self.reader += passed;
        }
        self.upload.pass(passed);
        self.download.pass(passed);
        self.since = self.since.max(now);
    }
}

impl ClientTimer {
    const fn new(limit: Duration) -> Self {
        Self { limit, left: limit, waits: false }
    }

    fn pass(&mut self, time: Duration) {
        if self.waits {
            self.left = self.left.saturating_sub(time);
        }
    }

    fn renew(&mut self, bytes: usize) {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000 / BYTES_A_SECOND);
        self.left = self.left.saturating_add(Duration::from_nanos(nanos)).min(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    fn at(millis: u64) -> Timestamp {
        START + Duration::from_millis(millis)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn waits() -> Waits {
        let ten = Duration::from_secs(10);
        let mut waits = Waits::new(START, ClientTimeouts { upload: ten, download: ten });
        waits.on_worker(START, Some(at(5_000)));
        waits
    }

    #[test]
    fn a_route_s_timeout_runs_while_the_gateway_waits_for_the_upstream_only() {
        let mut waits = waits();
        assert_eq!(waits.schedule(), Some(at(5_000)));
        waits.on_upload(at(1_000), 0, true);
        assert_eq!(waits.next_wakeup(), None);
        assert_eq!(waits.poll_due(at(9_000)), None);
        // The caller knows of the time before, and looks then.
        assert!(!waits.on_upload(at(9_000), 1, false));
        assert_eq!(waits.schedule(), Some(at(13_000)));
        assert_eq!((waits.upstream_time(at(9_500)), waits.client_time(at(9_500))), (ms(1_500), ms(8_000)));
        waits.on_download(at(10_000), 0, true);
        assert!(!waits.on_download(at(10_500), 0, false));
        assert_eq!(waits.poll_due(at(13_499)), None);
        assert_eq!(waits.poll_due(at(13_500)), Some(Due::Upstream));
    }

    #[test]
    fn an_attempt_has_a_timeout_of_its_own_until_its_answer_begins() {
        let mut waits = waits();
        waits.on_attempt(at(1_000), ms(500));
        assert_eq!(waits.schedule(), Some(at(1_500)));
        // The client's time is none of the attempt's either.
        waits.on_upload(at(1_200), 0, true);
        waits.on_upload(at(2_200), 9, false);
        assert_eq!(waits.poll_due(at(2_499)), None);
        assert_eq!(waits.poll_due(at(2_500)), Some(Due::Attempt));
        waits.on_attempt_ended();
        assert_eq!(waits.poll_due(at(2_500)), None);
        // The upstream has had 2.3 s of five; a second attempt begins, whose answer begins in time.
        waits.on_attempt(at(3_300), ms(500));
        waits.on_attempt_ended();
        assert_eq!(waits.poll_due(at(5_999)), None);
        assert_eq!(waits.poll_due(at(6_000)), Some(Due::Upstream));
        // Where both end at once, the whole is over.
        waits.on_attempt(at(6_000), ms(0));
        assert_eq!(waits.poll_due(at(6_000)), Some(Due::Upstream));
    }

    #[test]
    fn a_client_that_keeps_the_gateway_waiting_has_a_timeout_of_its_own() {
        let mut waits = waits();
        waits.on_upload(at(0), 0, true);
        assert_eq!(waits.upload_deadline(), at(10_000));
        assert!(!waits.is_upload_overdue(at(9_999)));
        assert!(waits.is_upload_overdue(at(10_000)));
        assert_eq!(waits.poll_due(at(10_000)), None);
    }

    #[test]
    fn bytes_buy_time_and_single_ones_next_to_none() {
        let mut waits = waits();
        waits.on_upload(at(0), 0, true);
        waits.on_upload(at(9_000), 1, true);
        assert_eq!(waits.upload_deadline(), at(10_002));
        waits.on_upload(at(10_000), 2_000, true);
        assert_eq!(waits.upload_deadline(), at(14_002));
        waits.on_upload(at(11_000), 1_000_000, true);
        assert_eq!(waits.upload_deadline(), at(21_000), "and never more than all of it");
    }

    #[test]
    fn a_reader_that_does_not_read_is_told_of_and_then_given_up() {
        let mut waits = waits();
        waits.schedule();
        assert!(waits.on_download(at(100), 0, true), "a second comes before five");
        assert_eq!(waits.schedule(), Some(at(1_100)));
        assert_eq!(waits.poll_due(at(1_099)), None);
        assert_eq!(waits.poll_due(at(1_100)), Some(Due::SlowReader));
        assert_eq!(waits.poll_due(at(1_100)), None, "once");
        assert_eq!(waits.schedule(), Some(at(10_100)));
        assert_eq!(waits.poll_due(at(10_100)), Some(Due::Download));
    }

    #[test]
    fn time_before_the_worker_is_nobodys() {
        let mut waits = Waits::new(START, ClientTimeouts::default());
        waits.on_upload(at(0), 0, true);
        waits.on_upload(at(30_000), 9, false);
        waits.on_worker(at(40_000), Some(at(45_000)));
        assert_eq!((waits.upstream_time(at(40_000)), waits.client_time(at(40_000))), (ms(0), ms(0)));
        assert_eq!(waits.next_wakeup(), Some(at(45_000)));
    }
}
