//! A client's connection as hyper sees it, with the bytes that come and go noted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::connection_state::ConnectionState;
use super::framing::Framing;
use super::vectored_write::poll_write_pieces;

/// What opens a connection of HTTP/2 with prior knowledge (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's connection, which notes when bytes come and go.
///
/// A client may send its last byte and wait for the answer; one that has left sends no more either. hyper takes both for the
/// second, up to when the last byte of an answer is written: it breaks off what it has yet to write. So the end of the one who
/// waits is kept from it until then.
pub(super) struct ClientIo {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    /// `None` for HTTP/2, which frames by itself.
    framing: Option<Framing>,
    /// What was read to see which protocol it is, and has yet to be read again.
    opening: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
    /// Of a client that sends no more, though it waits for an answer: ready when it has left.
    left: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether something may be left to write, and who is to be woken once nothing is.
    writes: bool,
    reader: Option<Waker>,
}

/// Waits until nobody is at the other end of a connection. Through a descriptor of its own: what it waits for, nobody else does.
fn departure(stream: &TcpStream) -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let stream = TcpStream::from_std(SockRef::from(stream).try_clone()?.into())?;
    Ok(Box::pin(async move { _ = stream.ready(Interest::ERROR).await }))
}

impl ClientIo {
    /// Reads as much as it takes to see whether the client speaks HTTP/2.
    pub(super) async fn open(mut stream: TcpStream, state: Arc<ConnectionState>) -> io::Result<(Self, bool)> {
        let mut opening = [0; PREFACE.len()];
        let mut read = 0;
        while read < PREFACE.len() && opening[..read] == PREFACE[..read] {
            match stream.read(&mut opening[read..]).await? {
                0 => break,
                more => {
                    read += more;
                    state.on_bytes(true);
                }
            }
        }
        let http2 = opening == *PREFACE;
        let framing = (!http2).then(Framing::default);
        let mut this = Self {
            stream,
            state,
            framing,
            opening,
            unread: 0..read,
            left: None,
            writes: false,
            reader: None,
        };
        this.follow(&opening[..read]);
        Ok((this, http2))
    }

    /// Bytes of the client have come.
    fn follow(&mut self, bytes: &[u8]) {
        if self.state.note_tunnel_bytes() {
            return;
        }
        let Some(framing) = &mut self.framing else { return };
        framing.follow(bytes);
        if let Some(message) = framing.ambiguous() {
            self.state.set_ambiguous(message);
        }
        self.state.on_bytes(framing.is_in_header());
    }

    /// The client sends no more. Whether it may still be there.
    fn on_end(&mut self) -> bool {
        let is_whole = self.framing.as_ref().is_some_and(Framing::is_between_messages);
        let waits = is_whole && self.state.may_be_half_closed();
        if !waits && !self.is_at_the_last_bytes() {
            return false;
        }
        self.left = departure(&self.stream).ok();
        if self.left.is_some() {
            self.state.on_half_closed();
        }
        self.left.is_some()
    }

    /// What there is to read from a client that sends no more: nothing, and the end when its answer is through.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waits = self.state.may_be_half_closed() || self.is_at_the_last_bytes();
        match &mut self.left {
            Some(left) if waits => {
                self.reader = Some(cx.waker().clone());
                left.as_mut().poll(cx).map(|()| Err(io::ErrorKind::ConnectionReset.into()))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Whether an answer has ended but for what of it is yet to be written.
    fn is_at_the_last_bytes(&self) -> bool {
        self.framing.is_some() && self.writes && !self.state.is_active()
    }

    /// Whether whoever is there takes nothing of HTTP for what it is: what hyper says to them goes nowhere, and the connection ends
    /// (RFC 9113, 3.4).
    fn is_foreign(&self) -> bool {
        self.framing.as_ref().is_some_and(Framing::is_foreign)
    }

    /// Writes interim answers. Only when all before them is written: so never in the midst of another answer.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let interim = self.state.interim();
            if interim.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let polled = Pin::new(&mut self.stream).poll_write(cx, &interim);
            drop(interim);
            self.state.on_write(polled.is_pending());
            let written = ready!(polled)?;
            self.state.on_interim_written(written);
        }
    }

    /// The connection itself, once nobody reads it any more.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let start = self.unread.start;
            let end = self.unread.end.min(start + buf.remaining());
            buf.put_slice(&self.opening[start..end]);
            self.unread.start = end;
            // With what came along with it, so that a line is judged whole where it came whole. An end or an error is read again.
            let before = buf.filled().len();
            if buf.remaining() > 0 && Pin::new(&mut self.stream).poll_read(cx, buf).is_ready() {
                self.follow(&buf.filled()[before..]);
            }
            return Poll::Ready(Ok(()));
        }
        if self.left.is_some() {
            return self.poll_end(cx);
        }
        let before = buf.filled().len();
        let room = buf.remaining();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.follow(&buf.filled()[before..]);
        } else if room > 0 && matches!(polled, Poll::Ready(Ok(()))) && self.on_end() {
            return self.poll_end(cx);
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_foreign() {
            return Poll::Ready(Ok(buf.len()));
        }
        self.writes = true;
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.state.on_write(polled.is_pending());
        if polled.is_ready() {
            self.state.note_tunnel_bytes();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_foreign() {
            return Poll::Ready(Ok(bufs.iter().map(|piece| piece.len()).sum()));
        }
        self.writes = true;
        let polled = poll_write_pieces(&mut self.stream, cx, bufs);
        self.state.on_write(polled.is_pending());
        if polled.is_ready() {
            self.state.note_tunnel_bytes();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever flushes has nothing left to write, and no answer begins before interim ones are out.
        ready!(self.poll_interim(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.writes = false;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
