//! The bodies of requests on their way to an upstream: passed on as they come, never gathered, except for what a retry may have
//! to send again.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep_until, timeout};

use super::body_error::BodyError;
use super::client_body::ClientBody;
use super::connection_state::ConnectionState;
use super::exchange::Exchange;
use super::fields;
use super::identity_fields::IdentityFields;
use crate::dispatcher::Upload;

/// Of a body that may have to be sent again, or has to be there before its request is decided over, at most this much is kept.
const KEPT: usize = 64 * 1024;

/// Of a body that nobody needs, at most this much is read, for so long, to keep its connection: to open another costs a client
/// no more than that.
const DRAINED: u64 = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

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
