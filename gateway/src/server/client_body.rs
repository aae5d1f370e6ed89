//! A request's body as its client sends it, over either protocol.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::body_error::BodyError;
use super::fields;
use super::stream_state::StreamState;

pub(super) enum ClientBody {
    Http1(Incoming),
    Http2(StreamBody),
}

/// The body of a stream of HTTP/2.
pub(super) struct StreamBody {
    body: RecvStream,
    stream: Arc<StreamState>,
    /// Whether the client sends nothing before it is asked to (RFC 9110, 10.1.1). hyper asks by itself, over HTTP/1.1.
    to_be_asked: bool,
    /// Whether there are only trailers to come, if that.
    read: bool,
    /// Bytes that are yet to come, where the client says how many there are.
    left: Option<u64>,
}

impl StreamBody {
    /// The body of a request with these fields.
    pub(super) fn new(body: RecvStream, headers: &HeaderMap, stream: Arc<StreamState>) -> Self {
        let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let to_be_asked = value(EXPECT).is_some_and(|asks| asks.eq_ignore_ascii_case("100-continue"));
        let left = value(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        Self { body, stream, to_be_asked, read: false, left }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.read {
            let polled = self.body.poll_data(cx);
            if polled.is_pending() && std::mem::take(&mut self.to_be_asked) {
                self.stream.give_interim(StatusCode::CONTINUE, HeaderMap::new());
            }
            match ready!(polled) {
                Some(Ok(data)) => {
                    // It is taken in; who passes it on has it to hold.
                    _ = self.body.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Broken))),
                None => self.read = true,
            }
        }
        match ready!(self.body.poll_trailers(cx)) {
            Ok(Some(trailers)) if fields::is_padded(&trailers) => {
                self.stream.set_malformed();
                Poll::Ready(Some(Err(BodyError::Broken)))
            }
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(_) => Poll::Ready(Some(Err(BodyError::Broken))),
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|polled| polled.map(|read| read.map_err(|_| BodyError::Broken))),
            Self::Http2(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.left.map(SizeHint::with_exact).unwrap_or_default(),
        }
    }
}
