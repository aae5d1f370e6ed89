//! An upstream that does what a test says, byte for byte.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Stops with all its connections when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// What was received, request by request, as raw bytes.
    pub(crate) received: mpsc::Receiver<Request>,
    /// Connections taken in so far.
    pub(crate) connections: Arc<AtomicUsize>,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Request line and fields.
    pub(crate) head: String,
    /// As framed on the wire.
    pub(crate) raw_body: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// What is done after a request was read.
pub(crate) enum Reply {
    Send(Vec<u8>),
    /// And closes.
    Close(Vec<u8>),
    /// And resets.
    Reset(Vec<u8>),
    /// Nothing, until the other side closes.
    Hang(Vec<u8>),
    /// Sends after the other has been notified.
    When(Arc<Notify>, Vec<u8>),
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer
}

impl Upstream {
    /// Reads request after request and answers each as told.
    pub(crate) fn answering(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let reply = Arc::new(reply);
        let (sender, received) = mpsc::channel();
        Self::start(received, move |mut connection| {
            let (reply, sender) = (Arc::clone(&reply), sender.clone());
            async move {
                while let Ok(Some(request)) = connection.request().await {
                    let reply = reply(&request);
                    // A test that does not look has dropped the other end.
                    let _ = sender.send(request);
                    match reply {
                        Reply::Send(answer) => connection.send(&answer).await?,
                        Reply::Close(answer) => {
                            connection.send(&answer).await?;
                            return Ok(());
                        }
                        Reply::Reset(answer) => {
                            connection.send(&answer).await?;
                            return connection.reset();
                        }
                        Reply::Hang(answer) => {
                            connection.send(&answer).await?;
                            connection.closed().await;
                            return Ok(());
                        }
                        Reply::When(notify, answer) => {
                            notify.notified().await;
                            connection.send(&answer).await?;
                        }
                    }
                }
                Ok(())
            }
        })
    }

    /// Runs a script on each connection.
    pub(crate) fn scripted<F>(script: impl Fn(Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::start(mpsc::channel().1, script)
    }

    /// Hints at each request, waits to be told, and hints once more with the answer. Its hints bear what is not to be passed on.
    pub(crate) fn hinting(go: &Arc<Notify>) -> Self {
        let go = Arc::clone(go);
        Self::scripted(move |mut connection| {
            let go = Arc::clone(&go);
            async move {
                while connection.head().await?.is_some() {
                    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\
                                 content-length: 7\r\n\r\n";
                    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    connection.send(hints.as_bytes()).await?;
                    go.notified().await;
                    connection.send(&[hints.as_bytes(), &ok("fine")].concat()).await?;
                }
                Ok(())
            }
        })
    }

    fn start<F>(received: mpsc::Receiver<Request>, script: impl Fn(Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, connections) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (notified, counted) = (Arc::clone(&stop), Arc::clone(&connections));
        // Here and not there, so that it has its descriptors when this returns.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            let Ok((stream, _)) = accepted else { continue };
                            stream.set_nodelay(true).unwrap();
                            counted.fetch_add(1, SeqCst);
                            tokio::spawn(script(Connection { stream, buffer: Vec::new() }));
                        }
                        () = notified.notified() => return,
                    }
                }
            });
        });
        Self { address, received, connections, stop, thread: Some(thread) }
    }

    /// The next request that came in.
    pub(crate) fn next(&self) -> Request {
        self.received.recv_timeout(Duration::from_secs(20)).expect("a request reaches the upstream")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// An address at which nobody listens, and which nobody else is given as long as this is there.
pub(crate) struct Vacant {
    pub(crate) address: SocketAddr,
    _bound: Socket,
}

impl Vacant {
    pub(crate) fn new() -> Self {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = bound.local_addr().unwrap().as_socket().unwrap();
        Self { address, _bound: bound }
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Returns when the other side has closed.
    pub(crate) async fn closed(&mut self) {
        while self.more().await.is_ok_and(|read| read > 0) {
            self.buffer.clear();
        }
    }

    /// What came with what was read.
    pub(crate) fn buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }

    pub(crate) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line).map_err(io::Error::other);
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads so many bytes and forgets them.
    pub(crate) async fn skip(&mut self, length: usize) -> io::Result<()> {
        let mut left = length - self.buffer.len().min(length);
        self.buffer.drain(..length - left);
        let mut some = [0; 8 * 1024];
        while left > 0 {
            let most = left.min(some.len());
            match self.stream.read(&mut some[..most]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read,
            }
        }
        Ok(())
    }

    /// Reads request line and fields; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Request>> {
        if self.buffer.is_empty() && self.more().await? == 0 {
            return Ok(None);
        }
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.line().await?;
        }
        Ok(Some(Request { head, ..Request::default() }))
    }

    /// Reads a request by the strict letter of its framing.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(mut request) = self.head().await? else { return Ok(None) };
        let chunked = request.values("transfer-encoding") == ["chunked"];
        let lengths: Vec<usize> =
            request.values("content-length").iter().map(|length| length.parse().unwrap()).collect();
        match (chunked, lengths[..].first()) {
            (true, None) => loop {
                let line = self.line().await?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                request.raw_body.extend(line.as_bytes());
                if size == 0 {
                    let mut trailer = self.line().await?;
                    while trailer != "\r\n" {
                        request.raw_body.extend(trailer.as_bytes());
                        trailer = self.line().await?;
                    }
                    request.raw_body.extend(b"\r\n");
                    break;
                }
                let data = self.take(size).await?;
                request.body.extend(&data);
                request.raw_body.extend(&data);
                request.raw_body.extend(self.take(2).await?);
            },
            (false, Some(length)) if lengths.len() == 1 => {
                request.body = self.take(*length).await?;
                request.raw_body.clone_from(&request.body);
            }
            (false, None) => {}
            _ => panic!("two framings reached the upstream: {request:?}"),
        }
        Ok(Some(request))
    }
}
