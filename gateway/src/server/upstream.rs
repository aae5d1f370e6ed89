//! Connections to upstreams: those of one thread, which are never another's.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::HttpLimits;
use super::connection_state::CoarseClock;
use super::interim::{Interim, InterimSink};
use super::request_body::RequestBody;
use super::vectored_write::poll_write_pieces;

/// The connections of one thread to all upstreams.
pub(super) struct Upstreams {
    addresses: Vec<SocketAddr>,
    limits: HttpLimits,
    clock: Arc<CoarseClock>,
    /// For connections, of all threads.
    places: Arc<Semaphore>,
    /// By place among the addresses; the one that rests longest in front.
    idle: Mutex<Vec<VecDeque<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: u64,
}

struct Connection {
    sender: SendRequest<RequestBody>,
    /// Whether a byte has come since the last request was sent.
    answered: Arc<AtomicBool>,
    interim: Arc<Interim>,
}

/// A connection that a request has for itself. Dropped before the answer is whole, it is closed.
pub(super) struct Lease {
    upstreams: Arc<Upstreams>,
    upstream: usize,
    connection: Connection,
}

/// Why a request got no answer on a connection.
pub(super) struct SendError {
    /// The request, where not a byte of it was sent.
    pub(super) unsent: Option<Request<RequestBody>>,
    /// Whether a byte of the answer had come.
    pub(super) answered: bool,
}

impl Upstreams {
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        limits: HttpLimits,
        clock: Arc<CoarseClock>,
        places: Arc<Semaphore>,
    ) -> Self {
        let idle = Mutex::new(addresses.iter().map(|_| VecDeque::new()).collect());
        Self { addresses, limits, clock, places, idle }
    }

    /// Where an upstream listens.
    pub(super) fn address(&self, upstream: usize) -> Option<SocketAddr> {
        self.addresses.get(upstream).copied()
    }

    /// A connection that waits for a request, the latest used first.
    pub(super) fn take_idle(self: &Arc<Self>, upstream: usize) -> Option<Lease> {
        let mut idle = self.idle();
        let idle = idle.get_mut(upstream)?;
        while let Some(Idle { connection, since }) = idle.pop_back() {
            if connection.sender.is_ready() && !self.is_stale(since) {
                return Some(Lease { upstreams: Arc::clone(self), upstream, connection });
            }
        }
        None
    }

    /// A new connection.
    pub(super) async fn connect(self: &Arc<Self>, upstream: usize) -> io::Result<Lease> {
        let address = *self.addresses.get(upstream).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let place = self.place().await?;
        let stream = tokio::time::timeout(self.limits.connect_timeout, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let answered = Arc::new(AtomicBool::new(false));
        let io = UpstreamIo { stream, answered: Arc::clone(&answered), broken: false, _place: place };
        let io = TokioIo::new(io);
        let (sender, connection) = Builder::new().handshake(io).await.map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        let connection = Connection { sender, answered, interim: Arc::default() };
        Ok(Lease { upstreams: Arc::clone(self), upstream, connection })
    }

    /// A place for a connection; where none is free, that of the connection that has rested for longest on this thread.
    ///
    /// # Errors
    ///
    /// If all are at requests: as where the system has no descriptor left (`EMFILE`), which is how many places there are.
    async fn place(&self) -> io::Result<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let exhausted = || io::Error::from(Errno::EMFILE);
        let oldest = {
            let mut idle = self.idle();
            let resting = idle.iter_mut().filter(|resting| !resting.is_empty());
            resting.min_by_key(|resting| resting.front().map(|one| one.since)).and_then(VecDeque::pop_front)
        };
        drop(oldest.ok_or_else(exhausted)?);
        // It is free as soon as the connection is closed.
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| exhausted())
    }

    /// Closes what has rested for too long.
    pub(super) fn keep_house(&self) {
        for idle in &mut *self.idle() {
            while idle
                .front()
                .is_some_and(|one| self.is_stale(one.since) || one.connection.sender.is_closed())
            {
                idle.pop_front();
            }
        }
    }

    fn is_stale(&self, since: u64) -> bool {
        u128::from(self.clock.now().saturating_sub(since)) > self.limits.upstream_idle_timeout.as_millis()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<VecDeque<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, upstream: usize, connection: Connection) {
        if let Some(idle) = self.idle().get_mut(upstream) {
            if idle.len() >= self.limits.idle_upstream_connections {
                idle.pop_front();
            }
            idle.push_back(Idle { connection, since: self.clock.now() });
        }
    }
}

impl Lease {
    /// Sends a request; interim answers go to `client`, where one takes them.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        client: Option<&InterimSink>,
    ) -> Result<Response<Incoming>, SendError> {
        let Connection { sender, answered, interim } = &mut self.connection;
        answered.store(false, Relaxed);
        interim.watch(&mut request, client);
        tokio::select! {
            biased;
            sent = sender.try_send_request(request) => sent.map_err(|mut error| {
                let unsent = error.take_message();
                SendError { unsent, answered: answered.load(Relaxed) }
            }),
            () = interim.is_too_much() => Err(SendError { unsent: None, answered: true }),
        }
    }

    /// The answer is whole: the connection may serve again, once it is ready to.
    pub(super) fn give_back(self) {
        let Self { upstreams, upstream, mut connection, .. } = self;
        if connection.sender.is_ready() {
            upstreams.put(upstream, connection);
        } else if !connection.sender.is_closed() {
            tokio::spawn(async move {
                if connection.sender.ready().await.is_ok() {
                    upstreams.put(upstream, connection);
                }
            });
        }
    }
}

/// Notes when bytes of an answer come, and reads what an upstream said before it broke the connection.
///
/// An upstream that has answered may close before the request is whole, and what is still sent to it earns a reset. Taken for
/// the end of everything, the failure to write would hide the answer, which is there to be read.
struct UpstreamIo {
    stream: TcpStream,
    answered: Arc<AtomicBool>,
    /// Nothing more can be written; what would be goes nowhere.
    broken: bool,
    _place: OwnedSemaphorePermit,
}

impl UpstreamIo {
    /// What is made of a write, of so many bytes.
    fn written(&mut self, polled: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Err(error)) if is_broken(&error) => {
                self.broken = true;
                Poll::Ready(Ok(all))
            }
            polled => polled,
        }
    }
}

fn is_broken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.answered.store(true, Relaxed);
        }
        polled
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(polled, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|piece| piece.len()).sum();
        if self.broken {
            return Poll::Ready(Ok(all));
        }
        let polled = poll_write_pieces(&mut self.stream, cx, bufs);
        self.written(polled, all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
