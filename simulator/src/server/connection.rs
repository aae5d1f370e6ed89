//! A connection that a fault may reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Whether a connection ends like any other.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

const RESET: u8 = 1;
const RESET_ONCE_WRITTEN: u8 = 2;

impl Fate {
    /// When the connection is dropped, its client sees a reset.
    pub(super) fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    /// The connection is reset as soon as what was given to it is written.
    pub(super) fn reset_once_written(&self) {
        self.0.store(RESET_ONCE_WRITTEN, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client's connection, which meets its [`Fate`].
pub(super) struct Connection {
    stream: TokioIo<TcpStream>,
    fate: Arc<Fate>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, fate: Arc<Fate>) -> Self {
        Self { stream: TokioIo::new(stream), fate }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.fate.get() != 0 {
            // Fails where the client was first, and then there is nothing left to reset.
            let _ = self.stream.inner().set_zero_linger();
        }
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The server flushes once all it had to write is with the kernel.
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        let ends = self.fate.get() == RESET_ONCE_WRITTEN;
        Poll::Ready(if ends { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
