//! What a connection is doing, as far as the housekeeping of its thread has to know.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::sync::Notify;

use super::config::HttpLimits;

/// Coarse real time of a thread, in milliseconds since its start: a request need not read a clock for its housekeeping.
#[derive(Debug, Default)]
pub(super) struct CoarseClock(AtomicU64);

impl CoarseClock {
    pub(super) fn set(&self, since_start: Duration) {
        self.0.store(since_start.as_millis() as u64, Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Connections so far, of all servers of the process.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// A request that waits for its client makes room for others once it has waited for so long.
const STALLED: Duration = Duration::from_secs(1);

/// Shared by a connection, its requests and the housekeeping, all on one thread; other threads may have it make room.
#[derive(Debug)]
pub(super) struct ConnectionState {
    clock: Arc<CoarseClock>,
    /// Its number among all.
    number: u64,
    /// Whether it was told to make room.
    leaves: AtomicBool,
    /// Requests between header and the end of their answers.
    active: AtomicU32,
    /// Whether there was one.
    used: AtomicBool,
    /// Whether a part of the next request's header has come, be it that we are still at the one before.
    in_header: AtomicBool,
    /// Requests of HTTP/1 so far.
    begun: AtomicU64,
    /// The first request of HTTP/1 in which something came that others may have read otherwise, counted from 1; 0 for none.
    ambiguous: AtomicU64,
    /// When it last came to rest, or the header began.
    since: AtomicU64,
    /// Since when a request's body keeps us waiting, 0 for not at all.
    awaiting_body: AtomicU64,
    /// Since when the client has no room for more of an answer, 0 for not at all, and for how long it may have none.
    awaiting_reader: AtomicU64,
    unread: Duration,
    order: AtomicU8,
    http2: AtomicBool,
    /// An answer broke off: the connection must not end as if it had been whole.
    failed: AtomicBool,
    /// When bytes last passed through the tunnel that the connection is; 0 for one that is none.
    tunnelled: AtomicU64,
    /// Whether the answer to the present request, of HTTP/1.1, is yet to begin: others can come before it.
    takes_interim: AtomicBool,
    /// Whether the present request is of HTTP/1.1.
    http11: AtomicBool,
    /// When the client sent its last byte, though it waits for an answer, or was last sent some of that; 0 for not yet.
    half_closed: AtomicU64,
    /// Interim answers that are yet to be written.
    interim: Mutex<Vec<u8>>,
    interim_written: Notify,
    /// What the connection becomes after an answer of 101.
    tunnel: Mutex<Option<OnUpgrade>>,
    pub(super) wake: Notify,
}

/// Interim answers that may wait to be written, in bytes: hints that nobody takes are no loss.
const MOST_INTERIM: usize = 64 * 1024;

/// What the connection's task is to do when woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    None,
    /// Answer what is under way, and close.
    Finish,
    /// Close now: it has rested long enough.
    Close,
    /// Answer 408 and close.
    HeaderTimeout,
    /// Close although an answer is under way, so that it is seen to be cut.
    Cut,
    /// Close now, for others wait for a place: unless a request got ahead of it.
    MakeRoom,
}

/// How idle a connection is: the greatest is the first to make room for another.
///
/// A connection without a request goes before one whose request waits for the client, and among those of a kind the one that
/// has used up most of the time that it may wait; then the one that was opened first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Idleness {
    rests: bool,
    /// In millionths.
    used_up: u64,
    number: Reverse<u64>,
    since: u64,
    unused: bool,
}

impl Idleness {
    /// Whether no request has come on the connection.
    pub(super) const fn is_unused(&self) -> bool {
        self.unused
    }

    /// Whether nothing has happened on the connection between the two.
    pub(super) fn is_of_one_rest(&self, other: &Self) -> bool {
        (self.rests, self.since) == (other.rests, other.since)
    }
}

impl ConnectionState {
    pub(super) fn new(clock: Arc<CoarseClock>, unread: Duration) -> Self {
        let since = clock.now().into();
        Self {
            clock,
            number: OPENED.fetch_add(1, Relaxed),
            leaves: false.into(),
            active: 0.into(),
            used: false.into(),
            in_header: false.into(),
            begun: 0.into(),
            ambiguous: 0.into(),
            since,
            awaiting_body: 0.into(),
            awaiting_reader: 0.into(),
            unread,
            order: (Order::None as u8).into(),
            http2: false.into(),
            failed: false.into(),
            tunnelled: 0.into(),
            takes_interim: false.into(),
            http11: false.into(),
            half_closed: 0.into(),
            interim: Mutex::default(),
            interim_written: Notify::new(),
            tunnel: Mutex::new(None),
            wake: Notify::new(),
        }
    }

    /// Bytes of the client have come, with which a header has begun, or goes on, or not.
    pub(super) fn on_bytes(&self, in_header: bool) {
        let begins = !self.in_header.swap(in_header, Relaxed) && in_header;
        if begins && !self.is_active() && self.used.load(Relaxed) {
            self.since.store(self.clock.now(), Relaxed);
        }
    }

    pub(super) fn set_ambiguous(&self, request: u64) {
        self.ambiguous.store(request, Relaxed);
    }

    /// Whether something of the present request came that others may have read otherwise.
    pub(super) fn is_ambiguous(&self) -> bool {
        let first = self.ambiguous.load(Relaxed);
        first != 0 && first <= self.begun.load(Relaxed)
    }

    /// A request's body has, or has not, kept us waiting.
    pub(super) fn on_body(&self, pending: bool) {
        note(&self.awaiting_body, pending, &self.clock);
    }

    /// The client has, or has not, room for more of the answer.
    pub(super) fn on_write(&self, pending: bool) {
        note(&self.awaiting_reader, pending, &self.clock);
        if !pending {
            self.renew_half_closed();
        }
    }

    fn renew_half_closed(&self) {
        if self.is_half_closed() {
            self.half_closed.store(self.clock.now().max(1), Relaxed);
        }
    }

    /// A request begins, and with it the time in which there can be interim answers to it, if there can.
    pub(super) fn begin(&self, http11: bool) {
        self.begun.fetch_add(1, Relaxed);
        self.takes_interim.store(http11, Relaxed);
        self.http11.store(http11, Relaxed);
    }

    /// Whether a client that sends no more may wait for its answer. One of HTTP/1.0 may have left, and nothing can be sent to it
    /// to find out.
    pub(super) fn may_be_half_closed(&self) -> bool {
        self.is_active() && self.http11.load(Relaxed) && !self.is_tunnel() && !self.is_ambiguous()
    }

    /// The client sends no more. It has left, or waits for its answer: its side of the connection is asked by something that it
    /// can be sent, and resets the connection if there is nobody.
    pub(super) fn on_half_closed(&self) {
        self.half_closed.store(self.clock.now().max(1), Relaxed);
        if self.takes_interim() {
            self.interim().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed.load(Relaxed) != 0
    }

    pub(super) fn takes_interim(&self) -> bool {
        self.takes_interim.load(Relaxed)
    }

    /// Has an interim answer written, unless it is too late or nobody takes those before it.
    pub(super) fn give_interim(&self, answer: &[u8]) {
        let mut waiting = self.interim();
        if self.takes_interim() && waiting.len() + answer.len() <= MOST_INTERIM {
            waiting.extend_from_slice(answer);
            self.wake.notify_one();
        }
    }

    /// Waits until the interim answers are written: then the answer may begin.
    pub(super) async fn end_interim(&self) {
        self.takes_interim.store(false, Relaxed);
        self.renew_half_closed();
        while !self.interim().is_empty() {
            self.interim_written.notified().await;
        }
    }

    /// Interim answers that are yet to be written.
    pub(super) fn interim(&self) -> MutexGuard<'_, Vec<u8>> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much of them is written.
    pub(super) fn on_interim_written(&self, bytes: usize) {
        let mut waiting = self.interim();
        waiting.drain(..bytes);
        if waiting.is_empty() {
            self.interim_written.notify_one();
        }
    }

    pub(super) fn set_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Relaxed);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    pub(super) fn set_tunnel(&self, upstream: OnUpgrade) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(upstream);
    }

    pub(super) fn take_tunnel(&self) -> Option<OnUpgrade> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Bytes are passed on untouched from now on.
    pub(super) fn open_tunnel(&self) {
        self.tunnelled.store(self.clock.now().max(1), Relaxed);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnelled.load(Relaxed) != 0
    }

    /// Whether the connection is a tunnel in which no byte has passed for so long.
    pub(super) fn is_tunnel_at_rest(&self, rest: Duration) -> bool {
        let since = self.tunnelled.load(Relaxed);
        since != 0 && self.is_older(since, rest)
    }

    fn is_older(&self, since: u64, limit: Duration) -> bool {
        self.waited(since) > limit.as_millis()
    }

    /// Notes bytes of a tunnel; says whether it is one.
    pub(super) fn note_tunnel_bytes(&self) -> bool {
        let is_tunnel = self.is_tunnel();
        if is_tunnel {
            self.open_tunnel();
        }
        is_tunnel
    }

    pub(super) fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Relaxed) > 0
    }

    pub(super) fn give(&self, order: Order) {
        self.order.store(order as u8, Relaxed);
        self.wake.notify_one();
    }

    /// Waits until one of these orders is given.
    pub(super) async fn told(&self, orders: &[Order]) {
        loop {
            self.wake.notified().await;
            if orders.contains(&self.order()) {
                return;
            }
        }
    }

    /// Waits until the time to close has come, for a connection that has not sent anything yet.
    pub(super) async fn closing(&self) {
        self.told(&[Order::Close, Order::HeaderTimeout, Order::Cut, Order::MakeRoom]).await;
    }

    pub(super) fn order(&self) -> Order {
        let order = self.order.swap(Order::None as u8, Relaxed);
        [Order::Finish, Order::Close, Order::HeaderTimeout, Order::Cut, Order::MakeRoom]
            .into_iter()
            .find(|one| *one as u8 == order)
            .unwrap_or(Order::None)
    }

    /// Gives the order that is due.
    pub(super) fn keep_house(&self, limits: &HttpLimits) {
        match self.due(limits) {
            Order::None => {}
            order => self.give(order),
        }
    }

    /// The order that is due. Between its being given and its being carried out, the connection may have gone on.
    pub(super) fn due(&self, limits: &HttpLimits) -> Order {
        let idle_timeout = limits.idle_timeout;
        let stalled = |since: &AtomicU64, limit| match since.load(Relaxed) {
            0 => false,
            since => self.is_older(since, limit),
        };
        // A tunnel on which nobody says a word, or a client that leaves an answer where it is.
        if stalled(&self.tunnelled, idle_timeout) || stalled(&self.awaiting_reader, self.unread) {
            return Order::Cut;
        }
        if self.is_active() {
            // What is sent to a client that has left is reset. Where there is nothing to be sent, nobody knows.
            let is_silent = !self.takes_interim() && stalled(&self.half_closed, limits.half_closed_timeout);
            return if is_silent { Order::Cut } else { Order::None };
        }
        let (limit, order) = self.rest(limits);
        if self.is_older(self.since.load(Relaxed), limit) { order } else { Order::None }
    }

    /// How long it may be without a request, and what becomes of it then.
    fn rest(&self, limits: &HttpLimits) -> (Duration, Order) {
        if self.in_header.load(Relaxed) && !self.is_http2() {
            (limits.header_timeout, Order::HeaderTimeout)
        } else if self.used.load(Relaxed) {
            (limits.idle_timeout, Order::Close)
        } else {
            (limits.header_timeout, Order::Close)
        }
    }

    /// How idle it is; `None` for one that is at a request which does not wait for its client.
    pub(super) fn idleness(&self, limits: &HttpLimits) -> Option<Idleness> {
        let (rests, since, limit) = if self.is_active() {
            let body = if self.is_http2() { 0 } else { self.awaiting_body.load(Relaxed) };
            let waits = [body, self.awaiting_reader.load(Relaxed), self.tunnelled.load(Relaxed)];
            let since = waits.into_iter().filter(|since| *since != 0).min()?;
            (false, since, limits.idle_timeout)
        } else {
            (true, self.since.load(Relaxed), self.rest(limits).0)
        };
        let waited = self.waited(since);
        if !rests && waited < STALLED.as_millis() {
            return None;
        }
        let used_up = u64::try_from(waited * 1_000_000 / limit.as_millis().max(1)).unwrap_or(u64::MAX);
        let unused = !self.used.load(Relaxed);
        Some(Idleness { rests, used_up, number: Reverse(self.number), since, unused })
    }

    /// Tells it to make room, unless it was told before.
    pub(super) fn tell_to_leave(&self) -> bool {
        let first = !self.leaves.swap(true, Relaxed);
        if first {
            self.give(Order::MakeRoom);
        }
        first
    }

    /// Whether it is to make room, now that its order to do so has come: not where a request got ahead of that.
    pub(super) fn leaves(&self, limits: &HttpLimits) -> bool {
        let leaves = self.idleness(limits).is_some();
        self.leaves.store(leaves, Relaxed);
        leaves
    }

    /// Milliseconds since then.
    fn waited(&self, since: u64) -> u128 {
        self.clock.now().saturating_sub(since).into()
    }
}

fn note(since: &AtomicU64, pending: bool, clock: &CoarseClock) {
    if !pending {
        since.store(0, Relaxed);
    } else if since.load(Relaxed) == 0 {
        since.store(clock.now().max(1), Relaxed);
    }
}

/// A request on a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Active(pub(super) Arc<ConnectionState>);

impl Active {
    pub(super) fn new(state: &Arc<ConnectionState>) -> Self {
        state.active.fetch_add(1, Relaxed);
        state.used.store(true, Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let state = &self.0;
        // A header that has begun meanwhile has its time from now on.
        state.since.store(state.clock.now(), Relaxed);
        state.active.fetch_sub(1, Relaxed);
        state.awaiting_body.store(0, Relaxed);
        if state.is_half_closed() {
            // There is nothing to wait for any more, which nobody reads from the connection.
            state.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> HttpLimits = HttpLimits::default;

    /// A connection and the seconds of its thread.
    fn connection() -> (Arc<ConnectionState>, impl Fn(u64)) {
        let clock = Arc::new(CoarseClock::default());
        let state = Arc::new(ConnectionState::new(Arc::clone(&clock), LIMITS().idle_timeout));
        (state, move |seconds| clock.set(Duration::from_secs(seconds)))
    }

    #[test]
    fn an_order_that_a_request_got_ahead_of_is_no_longer_due() {
        let (state, at) = connection();
        state.on_bytes(true);
        at(11);
        state.keep_house(&LIMITS());
        assert_eq!(state.order(), Order::HeaderTimeout);
        // The rest of the header came in the same moment.
        state.on_bytes(false);
        let request = Active::new(&state);
        assert_eq!(state.due(&LIMITS()), Order::None);
        state.on_write(true);
        at(72);
        assert_eq!(state.due(&LIMITS()), Order::Cut);
        state.on_write(false);
        assert_eq!(state.due(&LIMITS()), Order::None);
        drop(request);
        assert_eq!(state.due(&LIMITS()), Order::None);
    }

    #[test]
    fn a_header_that_began_within_another_request_has_its_time_after_it() {
        let (state, at) = connection();
        state.on_bytes(false);
        let request = Active::new(&state);
        state.on_bytes(true);
        at(30);
        assert_eq!(state.due(&LIMITS()), Order::None);
        drop(request);
        at(40);
        assert_eq!(state.due(&LIMITS()), Order::None);
        at(41);
        assert_eq!(state.due(&LIMITS()), Order::HeaderTimeout);
        // Without it, the connection may rest for longer.
        state.on_bytes(false);
        assert_eq!(state.due(&LIMITS()), Order::None);
        at(91);
        assert_eq!(state.due(&LIMITS()), Order::Close);
    }

    #[test]
    fn a_tunnel_is_cut_when_nobody_says_a_word() {
        let (state, at) = connection();
        let _request = Active::new(&state);
        assert!(!state.note_tunnel_bytes());
        state.open_tunnel();
        at(60);
        assert!(state.note_tunnel_bytes());
        at(120);
        assert_eq!(state.due(&LIMITS()), Order::None);
        at(121);
        assert_eq!(state.due(&LIMITS()), Order::Cut);
    }
}
