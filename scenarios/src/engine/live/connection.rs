//! A client's connection that knows its past, so that a kept one which the gateway was closing is told from a gateway that
//! does not answer.
//!
//! A gateway closes connections that rest, and it may do so in the instant in which a client sends: what is written then
//! meets a closed socket, and nobody has seen it. Browsers and client libraries send it again on a fresh connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::BoxFuture;
use http::{Extensions, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// Makes connections that know their past.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) HttpConnector);

impl Service<Uri> for Connector {
    type Response = TokioIo<Remembering>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let remembering =
            |stream: TokioIo<_>| TokioIo::new(Remembering { stream: stream.into_inner(), past: Past::new() });
        Box::pin(self.0.call(to).map_ok(remembering))
    }
}

/// Whether an attempt failed because its connection was a kept one that had carried an answer before, and not a byte came
/// of the answer to it.
pub(super) fn was_stale(error: &legacy::Error) -> bool {
    let mut extras = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    extras.get::<Past>().is_some_and(Past::is_stale)
}

/// What a connection was used for last.
#[derive(Clone, Debug)]
struct Past(Arc<AtomicU8>);

/// Nothing has come yet.
const FRESH: u8 = 0;
/// Bytes have come since the last request began.
const ANSWERED: u8 = 1;
/// An answer has come, another request has begun, and nothing has come since.
const ASKED_AGAIN: u8 = 2;

impl Past {
    fn new() -> Self {
        Self(Arc::new(AtomicU8::new(FRESH)))
    }

    fn on_read(&self) {
        self.0.store(ANSWERED, Ordering::Relaxed);
    }

    fn on_write(&self) {
        // One task reads and writes.
        if self.0.load(Ordering::Relaxed) == ANSWERED {
            self.0.store(ASKED_AGAIN, Ordering::Relaxed);
        }
    }

    fn is_stale(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ASKED_AGAIN
    }
}

/// A stream that notes what it is used for.
#[derive(Debug)]
pub(super) struct Remembering {
    stream: TcpStream,
    past: Past,
}

impl Connection for Remembering {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.past.clone())
    }
}

impl AsyncRead for Remembering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.past.on_read();
        }
        polled
    }
}

impl AsyncWrite for Remembering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.past.on_write();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.past.on_write();
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
