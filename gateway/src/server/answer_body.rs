//! The bodies of answers on their way to a client: passed on as they come, and watched where they take a while.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::AbortHandle;

use super::body_error::BodyError;
use super::connection_state::{Active, ConnectionState, Order};
use super::exchange::Exchange;
use super::request_body::Source;
use super::rules::RequestGuard;
use super::upstream::Lease;
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::waits::Due;

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
    pub(super) guard: RequestGuard,
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
                    // The timeout of an attempt ends when the answer begins.
                    Due::Upstream | Due::Attempt => break RequestEnd::Attempt(AttemptEnd::TimedOut),
                    Due::Download => break RequestEnd::ClientLeft,
                    Due::SlowReader => {
                        let Some(watched) = weak.upgrade() else { return };
                        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(streaming) = &mut watched.streaming else { return };
                        streaming.guard.on_slow_reader(streaming.status);
                    }
                }
            };
            let Some(watched) = weak.upgrade() else { return };
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(mut streaming) = watched.streaming.take() else { return };
            let waker = watched.waker.take();
            let active = watched.active.take();
            drop(watched);
            streaming.guard.end(end);
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
                self.guard.end(if is_clients {
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
        self.guard.end(RequestEnd::Attempt(AttemptEnd::Answered(self.status)));
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
