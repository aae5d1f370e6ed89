//! Bodies on their way through: passed on as they come, never gathered, except for what a retry may have to send again.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep_until, timeout};

use super::client_body::ClientBody;
use super::connection_state::{Active, ConnectionState, Order};
use super::course::Course;
use super::exchange::Exchange;
use super::fields;
use super::identity_fields::IdentityFields;
use super::upstream::Lease;
use crate::{AttemptEnd, Due, RequestEnd, Upload};

/// Of a body that may have to be sent again, or has to be there before its request is decided over, at most this much is kept.
const KEPT: usize = 64 * 1024;

/// Of a body that nobody needs, at most this much is read, for so long, to keep its connection: to open another costs a client
/// no more than that.
const DRAINED: u64 = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Why a body ends before its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum BodyError {
    #[error("the client's body broke off")]
    Broken,
    #[error("the client's body is longer than it may be")]
    TooLarge,
    #[error("the client's body did not go on")]
    Stalled,
    #[error("the client's body may be read in more than one way")]
    Ambiguous,
    #[error("the attempt that sent this body is over")]
    Superseded,
    #[error("the request is answered without the rest of this body")]
    Abandoned,
    #[error("the answer's time is over")]
    TimedOut,
    #[error("the upstream's body broke off")]
    Upstream,
}

/// The body of a client's request, for as many attempts as there are.
#[derive(Clone)]
pub(super) struct Source(Arc<Mutex<Inner>>);

struct Inner {
    incoming: ClientBody,
    exchange: Arc<Exchange>,
    /// The client's connection.
    state: Arc<ConnectionState>,
    /// What trailers may not say.
    identity: Option<Arc<IdentityFields>>,
    wait: Wait,
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

/// The wait for a client that sends no more for now.
#[derive(Default)]
struct Wait {
    waits: bool,
    /// Whether the client sends nothing before it is asked to, which it is when the body is first read (RFC 9110, 10.1.1).
    to_be_asked: bool,
    /// When it has lasted for too long; made when a client first has us wait.
    alarm: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Source {
    /// Nothing is read yet, and nothing of what will be is kept.
    pub(super) fn new(
        incoming: ClientBody,
        to_be_asked: bool,
        limit: Option<u64>,
        identity: Option<Arc<IdentityFields>>,
        exchange: Arc<Exchange>,
        state: &Arc<ConnectionState>,
    ) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            incoming,
            exchange,
            state: Arc::clone(state),
            identity,
            wait: Wait { to_be_asked, ..Wait::default() },
            room: limit.unwrap_or(u64::MAX),
            kept: Vec::new(),
            kept_bytes: 0,
            keeps: false,
            lost: false,
            trailers: None,
            ended: false,
            error: None,
            attempt: 0,
        })))
    }

    /// Its request may be tried again: what is read is kept, as long as that is little.
    pub(super) fn keep(&self) {
        let mut inner = self.lock();
        inner.keeps = !inner.lost;
    }

    /// How much of it has come.
    pub(super) fn upload(&self) -> Upload {
        let inner = self.lock();
        if inner.ended && inner.error.is_none() { Upload::Whole } else { Upload::Coming }
    }

    /// Reads before anybody asks for it, until it is whole, is longer than what is kept, or goes wrong.
    pub(super) async fn gather(&self) -> Upload {
        poll_fn(|cx| {
            let mut inner = self.lock();
            inner.keeps = true;
            while !inner.ended && inner.kept_bytes <= KEPT {
                match inner.poll_keeping(cx, usize::MAX) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(None | Some(Err(_))) => break,
                }
            }
            inner.keeps = inner.ended;
            Poll::Ready(())
        })
        .await;
        self.upload()
    }

    /// Nobody needs the rest.
    pub(super) fn abandon(&self) {
        let mut inner = self.lock();
        if !inner.ended && inner.error.is_none() {
            inner.error = Some(BodyError::Abandoned);
        }
        if let Some(waker) = inner.wait.waker.take() {
            waker.wake();
        }
    }

    /// Reads the rest and throws it away, whoever read so far. Whether that was all of it: it is left where it is if it is much,
    /// takes long, or is yet to be asked for.
    pub(super) async fn drain(&self) -> bool {
        {
            let mut inner = self.lock();
            inner.attempt += 1;
            inner.set_waits(false, 0);
            if inner.wait.to_be_asked || inner.incoming.size_hint().lower() > DRAINED {
                return inner.ended;
            }
        }
        let mut left = DRAINED;
        let drained = poll_fn(|cx| self.lock().poll_drain(cx, &mut left));
        timeout(DRAIN_TIME, drained).await.unwrap_or(false)
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
        self.poll_keeping(cx, KEPT)
    }

    /// Reads on; of what is kept, as much as `most` bytes are.
    fn poll_keeping(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.error {
            return Poll::Ready(Some(Err(error)));
        }
        self.wait.to_be_asked = false;
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.set_waits(false, frame.data_ref().map_or(0, Bytes::len));
        } else {
            self.set_waits(polled.is_pending(), 0);
        }
        // Its end reaches nobody, and so its request is whole for nobody.
        if self.state.is_ambiguous() {
            return self.fail(BodyError::Ambiguous);
        }
        if polled.is_pending() && self.poll_overdue(cx).is_ready() {
            return self.fail(BodyError::Stalled);
        }
        let mut frame = match ready!(polled) {
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return self.fail(error),
        };
        if let Some(trailers) = frame.trailers_mut() {
            fields::strip_provenance(trailers);
            if let Some(identity) = &self.identity {
                identity.strip(trailers);
            }
        }
        if let Some(data) = frame.data_ref() {
            match self.room.checked_sub(data.len() as u64) {
                Some(room) => self.room = room,
                None => return self.fail(BodyError::TooLarge),
            }
            self.kept_bytes += data.len();
            if self.keeps && self.kept_bytes <= most {
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

    /// Ready with whether all came, at most `left` bytes.
    fn poll_drain(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<bool> {
        while !self.ended {
            let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(false),
                None => break,
            };
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len) as u64) {
                Some(less) => *left = less,
                None => return Poll::Ready(false),
            }
        }
        self.ended = true;
        Poll::Ready(true)
    }

    /// So many bytes have come, and the client keeps us waiting for more, or not.
    fn set_waits(&mut self, waits: bool, bytes: usize) {
        if bytes == 0 && waits == self.wait.waits {
            return;
        }
        self.exchange.on_upload(bytes, waits);
        self.wait.waits = waits;
        self.state.on_body(waits);
        if waits {
            let deadline = self.exchange.upload_deadline();
            match &mut self.wait.alarm {
                Some(alarm) => alarm.as_mut().reset(deadline),
                None => self.wait.alarm = Some(Box::pin(sleep_until(deadline))),
            }
        }
    }

    /// Ready when the client has kept us waiting for too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wait.waker = Some(cx.waker().clone());
        let Some(alarm) = &mut self.wait.alarm else { return Poll::Pending };
        while alarm.as_mut().poll(cx).is_ready() {
            if self.exchange.is_upload_overdue() {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.exchange.upload_deadline());
        }
        Poll::Pending
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

impl Drop for Reading {
    fn drop(&mut self) {
        // Nobody reads any more: whatever keeps the request waiting now, it is not the rest of its body.
        let mut inner = self.source.lock();
        if inner.attempt == self.attempt {
            inner.set_waits(false, 0);
        }
    }
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
    pub(super) exchange: Arc<Exchange>,
    /// The request's body, which may still be on its way.
    pub(super) source: Option<Source>,
    pub(super) lease: Option<Lease>,
    pub(super) status: u16,
}

struct Watched {
    /// `None` when the time is over.
    streaming: Option<Streaming>,
    waker: Option<Waker>,
    active: Option<Active>,
}

impl AnswerBody {
    /// A body of ours. With HTTP/2 it keeps no connection busy: its client may leave it lying.
    pub(super) fn own(body: Bytes, active: Active) -> Self {
        let kind = Kind::Own(Some(body).filter(|body| !body.is_empty()));
        let state = Arc::clone(&active.0);
        Self { kind, active: Some(active).filter(|_| !state.is_http2()), state }
    }

    pub(super) fn upstream(mut streaming: Streaming, active: Active) -> Self {
        let state = Arc::clone(&active.0);
        if streaming.incoming.is_end_stream() {
            streaming.complete();
            return Self { kind: Kind::Over, state, active: Some(active) };
        }
        streaming.exchange.on_download(0, true);
        let is_http2 = state.is_http2();
        let mut body = Self { kind: Kind::Upstream(streaming), state, active: Some(active) };
        // There a body is not asked for before its client has room for it.
        if is_http2 {
            body.watch();
        }
        body
    }

    /// Has the time of the answer watched.
    fn watch(&mut self) {
        let Kind::Upstream(streaming) = std::mem::replace(&mut self.kind, Kind::Over) else { return };
        let exchange = Arc::clone(&streaming.exchange);
        let active = self.active.take();
        let watched = Arc::new(Mutex::new(Watched { streaming: Some(streaming), waker: None, active }));
        let (weak, state) = (Arc::downgrade(&watched), Arc::clone(&self.state));
        let watch = tokio::spawn(async move {
            let end = loop {
                match exchange.due().await {
                    Due::Upstream => break RequestEnd::Attempt(AttemptEnd::TimedOut),
                    Due::Download => break RequestEnd::ClientLeft,
                    Due::SlowReader => {
                        let Some(watched) = weak.upgrade() else { return };
                        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(streaming) = &mut watched.streaming else { return };
                        streaming.course.on_slow_reader(streaming.status);
                    }
                }
            };
            let Some(watched) = weak.upgrade() else { return };
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(mut streaming) = watched.streaming.take() else { return };
            let waker = watched.waker.take();
            let active = watched.active.take();
            drop(watched);
            streaming.course.end(end);
            if let Some(source) = &streaming.source {
                source.abandon();
            }
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

impl Streaming {
    /// The next frame; `None` with the last one and beyond it says that it is complete.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending() {
            self.exchange.on_download(0, false);
        }
        match ready!(polled) {
            Some(Ok(frame)) => {
                if self.incoming.is_end_stream() {
                    self.complete();
                } else {
                    self.exchange.on_download(frame.data_ref().map_or(0, Bytes::len), true);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.complete();
                Poll::Ready(None)
            }
            Some(Err(_)) => {
                // A body that goes wrong takes the connection to the upstream with it.
                let is_clients = self.source.as_ref().is_some_and(|source| source.error().is_some());
                self.course.end(if is_clients {
                    RequestEnd::ClientLeft
                } else {
                    RequestEnd::Attempt(AttemptEnd::Cut)
                });
                self.lease = None;
                Poll::Ready(Some(Err(BodyError::Upstream)))
            }
        }
    }

    /// The answer is whole.
    fn complete(&mut self) {
        self.course.end(RequestEnd::Attempt(AttemptEnd::Answered(self.status)));
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
                    self.watch();
                    if polled.is_pending() {
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
