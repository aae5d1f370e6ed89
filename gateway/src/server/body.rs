//! Bodies on their way through: passed on as they come, never gathered, except for what a retry may have to send again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::connection_state::{Active, ConnectionState, Order};
use super::course::Course;
use super::identity_fields::IdentityFields;
use super::patience::Patience;
use super::upstream::Lease;
use crate::telemetry::Fate;

/// Of a body that may have to be sent again, at most this much is kept.
const KEPT: usize = 64 * 1024;

/// Why a body ends before its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum BodyError {
    #[error("the client's body broke off")]
    Broken,
    #[error("the client's body is longer than it may be")]
    TooLarge,
    #[error("the client's body did not go on")]
    Stalled,
    #[error("the attempt that sent this body is over")]
    Superseded,
    #[error("the answer's time is over")]
    TimedOut,
    #[error("the upstream's body broke off")]
    Upstream,
}

/// The body of a client's request, for as many attempts as there are.
#[derive(Clone)]
pub(super) struct Source(Arc<Mutex<Inner>>);

struct Inner {
    incoming: Incoming,
    state: Arc<ConnectionState>,
    /// What trailers may not say.
    identity: Option<Arc<IdentityFields>>,
    /// Of a stream of HTTP/2, which no connection's timeout ends.
    patience: Option<Patience>,
    /// Bytes that may yet come.
    room: u64,
    /// What was read, as long as all of it is kept.
    kept: Vec<Bytes>,
    kept_bytes: usize,
    keeps: bool,
    /// Whether something was read that is not kept.
    lost: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    error: Option<BodyError>,
    /// The attempt that reads; an earlier one may linger in its connection.
    attempt: u32,
}

impl Source {
    /// `keeps` for a request that may be tried again; with HTTP/2, `idle` is how long its client may send nothing.
    pub(super) fn new(
        incoming: Incoming,
        limit: Option<u64>,
        keeps: bool,
        identity: Option<Arc<IdentityFields>>,
        state: &Arc<ConnectionState>,
        idle: Option<Duration>,
    ) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            incoming,
            state: Arc::clone(state),
            identity,
            patience: idle.map(Patience::new),
            room: limit.unwrap_or(u64::MAX),
            kept: Vec::new(),
            kept_bytes: 0,
            keeps,
            lost: false,
            trailers: None,
            ended: false,
            error: None,
            attempt: 0,
        })))
    }

    /// The body from its beginning, for the next attempt.
    pub(super) fn open(&self) -> RequestBody {
        let mut inner = self.lock();
        inner.attempt += 1;
        RequestBody(Some(Reading { attempt: inner.attempt, source: self.clone(), at: 0, trailed: false }))
    }

    /// Whether it can be read from its beginning.
    pub(super) fn is_replayable(&self) -> bool {
        let inner = self.lock();
        !inner.lost && inner.error.is_none()
    }

    /// What is wrong with it.
    pub(super) fn error(&self) -> Option<BodyError> {
        self.lock().error
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.error {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        self.state.on_body(polled.is_pending());
        if let Some(patience) = &mut self.patience {
            if polled.is_ready() {
                patience.renew();
            } else if patience.poll_over(cx).is_ready() {
                return self.fail(BodyError::Stalled);
            }
        }
        let mut frame = match ready!(polled) {
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return self.fail(BodyError::Broken),
        };
        if let (Some(identity), Some(trailers)) = (&self.identity, frame.trailers_mut()) {
            identity.strip(trailers);
        }
        if let Some(data) = frame.data_ref() {
            match self.room.checked_sub(data.len() as u64) {
                Some(room) => self.room = room,
                None => return self.fail(BodyError::TooLarge),
            }
            self.kept_bytes += data.len();
            if self.keeps && self.kept_bytes <= KEPT {
                self.kept.push(data.clone());
            } else {
                self.keeps = false;
                self.lost = true;
                self.kept = Vec::new();
            }
        } else if self.keeps {
            self.trailers = frame.trailers_ref().cloned();
        } else {
            self.lost = true;
        }
        self.ended = self.incoming.is_end_stream();
        Poll::Ready(Some(Ok(frame)))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.error = Some(error);
        Poll::Ready(Some(Err(error)))
    }
}

/// The body of one attempt; empty for a request without.
pub(super) struct RequestBody(Option<Reading>);

struct Reading {
    attempt: u32,
    source: Source,
    /// Frames read so far, of those that are kept.
    at: usize,
    /// Whether kept trailers were read.
    trailed: bool,
}

impl RequestBody {
    pub(super) const EMPTY: Self = Self(None);
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let mut inner = reading.source.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.attempt != reading.attempt {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(kept) = inner.kept.get(reading.at) {
            reading.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(kept.clone()))));
        }
        if let Some(trailers) = inner.trailers.clone().filter(|_| !reading.trailed) {
            reading.trailed = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        let polled = inner.poll(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            reading.at = inner.kept.len();
            reading.trailed |= frame.is_trailers();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let Some(reading) = &self.0 else { return true };
        let inner = reading.source.lock();
        inner.ended && reading.at >= inner.kept.len() && (reading.trailed || inner.trailers.is_none())
    }
}

/// The body of an answer.
pub(super) struct AnswerBody {
    kind: Kind,
    state: Arc<ConnectionState>,
    /// The request is present on its connection for as long as its answer is; a watched answer's is with its watch.
    active: Option<Active>,
}

#[expect(clippy::large_enum_variant, reason = "most bodies are an upstream's: a box would cost each of them")]
enum Kind {
    /// The gateway's own.
    Own(Option<Bytes>),
    /// An upstream's.
    Upstream(Streaming),
    /// An upstream's that takes a while: somebody watches its time, even while the client takes nothing.
    Watched(Arc<Mutex<Watched>>, AbortHandle),
    Over,
}

/// An upstream's body under way, with what its request holds.
pub(super) struct Streaming {
    pub(super) incoming: Incoming,
    pub(super) course: Course,
    pub(super) lease: Option<Lease>,
    pub(super) status: u16,
    pub(super) deadline: Option<Instant>,
}

struct Watched {
    /// `None` when the time is over.
    streaming: Option<Streaming>,
    waker: Option<Waker>,
    active: Option<Active>,
    /// When the client last had room for more.
    asked: Instant,
    /// Whether it is the upstream that has nothing more yet.
    awaits_upstream: bool,
}

impl AnswerBody {
    /// A body of ours. With HTTP/2, where there is `idle`, it keeps no connection busy: its client may leave it lying.
    pub(super) fn own(body: Bytes, active: Active, idle: Option<Duration>) -> Self {
        let kind = Kind::Own(Some(body).filter(|body| !body.is_empty()));
        Self { kind, state: Arc::clone(&active.0), active: Some(active).filter(|_| idle.is_none()) }
    }

    /// With HTTP/2, where a body is not asked for before its client has room for it, `idle` is how long it may have none.
    pub(super) fn upstream(mut streaming: Streaming, active: Active, idle: Option<Duration>) -> Self {
        let state = Arc::clone(&active.0);
        if streaming.incoming.is_end_stream() {
            streaming.complete();
            return Self { kind: Kind::Over, state, active: Some(active) };
        }
        let mut body = Self { kind: Kind::Upstream(streaming), state, active: Some(active) };
        if idle.is_some() {
            body.watch(idle);
        }
        body
    }

    /// Has the deadline watched, and with HTTP/2 the client, if there is either.
    fn watch(&mut self, idle: Option<Duration>) {
        let Kind::Upstream(Streaming { deadline, .. }) = self.kind else { return };
        if deadline.is_none() && idle.is_none() {
            return;
        }
        let Kind::Upstream(streaming) = std::mem::replace(&mut self.kind, Kind::Over) else { return };
        let watched = Arc::new(Mutex::new(Watched {
            streaming: Some(streaming),
            waker: None,
            active: self.active.take(),
            asked: Instant::now(),
            awaits_upstream: false,
        }));
        let (weak, state) = (Arc::downgrade(&watched), Arc::clone(&self.state));
        let watch = tokio::spawn(async move {
            let Some(fate) = time_is_over(&weak, deadline, idle).await else { return };
            let Some(watched) = weak.upgrade() else { return };
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(mut streaming) = watched.streaming.take() else { return };
            let waker = watched.waker.take();
            let active = watched.active.take();
            drop(watched);
            streaming.course.end(fate);
            drop(streaming);
            // A stream that is left lying does not keep its connection from being at rest.
            drop(active);
            state.fail();
            if !state.is_http2() {
                state.give(Order::Cut);
            }
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        self.kind = Kind::Watched(watched, watch.abort_handle());
    }
}

/// Waits until an answer's time is over, and says how it ended. `None` if the answer is gone.
async fn time_is_over(
    watched: &Weak<Mutex<Watched>>,
    deadline: Option<Instant>,
    idle: Option<Duration>,
) -> Option<Fate> {
    loop {
        let given_up = {
            let watched = watched.upgrade()?;
            let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            let since = if watched.awaits_upstream { Instant::now() } else { watched.asked };
            idle.map(|idle| since + idle)
        };
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Fate::TimedOut);
        }
        if given_up.is_some_and(|given_up| given_up <= now) {
            return Some(Fate::ClientLeft);
        }
        match (deadline, given_up) {
            (Some(one), Some(other)) => sleep_until(one.min(other)).await,
            (Some(one), None) | (None, Some(one)) => sleep_until(one).await,
            (None, None) => return None,
        }
    }
}

impl Streaming {
    /// The next frame; `None` with the last one and beyond it says that it is complete.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.complete();
                Poll::Ready(None)
            }
            Some(Err(_)) => {
                self.course.end(Fate::BadGateway);
                self.lease = None;
                Poll::Ready(Some(Err(BodyError::Upstream)))
            }
        }
    }

    /// The answer is whole.
    fn complete(&mut self) {
        self.course.end(Fate::Answered { status: self.status });
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.kind {
            Kind::Own(body) => return Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Kind::Over => return Poll::Ready(None),
            Kind::Upstream(streaming) => {
                let polled = streaming.poll(cx);
                // Most answers are whole by now.
                if !streaming.incoming.is_end_stream() && !matches!(polled, Poll::Ready(None | Some(Err(_))))
                {
                    self.watch(None);
                    if polled.is_pending() && matches!(self.kind, Kind::Watched(..)) {
                        // Leaves the waker with the watch.
                        return self.poll_frame(cx);
                    }
                }
                polled
            }
            Kind::Watched(watched, _) => {
                let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                match &mut watched.streaming {
                    Some(streaming) => {
                        let polled = streaming.poll(cx);
                        watched.asked = Instant::now();
                        watched.awaits_upstream = polled.is_pending();
                        if polled.is_pending() {
                            watched.waker = Some(cx.waker().clone());
                        }
                        polled
                    }
                    None => Poll::Ready(Some(Err(BodyError::TimedOut))),
                }
            }
        };
        if let Poll::Ready(Some(Err(_))) = polled {
            self.state.fail();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own(body) => body.is_none(),
            Kind::Over => true,
            Kind::Upstream(streaming) => streaming.incoming.is_end_stream(),
            Kind::Watched(watched, _) => {
                let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                watched.streaming.as_ref().is_some_and(|streaming| streaming.incoming.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Kind::Over => SizeHint::with_exact(0),
            Kind::Upstream(streaming) => streaming.incoming.size_hint(),
            Kind::Watched(watched, _) => {
                let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                watched.streaming.as_ref().map(|streaming| streaming.incoming.size_hint()).unwrap_or_default()
            }
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Kind::Watched(_, watch) = &self.kind {
            watch.abort();
        }
    }
}
