use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::{CallEnd, RequestTag, headers};

/// Idle connections that a service keeps to another, at most.
const IDLE: usize = 1_024;

/// A service's connections to the others, which it opens as it needs them and uses again.
pub(super) struct Client {
    /// By number of the upstream.
    peers: Vec<Peer>,
}

struct Peer {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

/// Closed when dropped, whatever is under way on it.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    task: JoinHandle<()>,
}

impl Client {
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let peer = |address: &SocketAddr| Peer { address: *address, idle: Mutex::default() };
        Self { peers: addresses.iter().map(peer).collect() }
    }

    /// Asks an upstream and reads its answer to the end. Dropped before, it closes the connection.
    pub(super) async fn ask(&self, upstream: usize, tag: RequestTag) -> CallEnd {
        match self.peers.get(upstream) {
            Some(peer) => peer.ask(tag).await.unwrap_or(CallEnd::Broken),
            None => CallEnd::Broken,
        }
    }
}

impl Peer {
    /// An error is one before the headers of the answer.
    async fn ask(&self, tag: RequestTag) -> Result<CallEnd, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::get("/")
            .header(http::header::HOST, self.address.to_string())
            .header(headers::REQUEST, tag.to_string())
            .body(Empty::new())?;
        let (connection, mut response) = loop {
            // Bound by the number of idle connections: one that is new does not return what it was given.
            let (mut connection, is_new) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (Connection::open(self.address).await?, true),
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => break (connection, response),
                // Closed while it was idle: the other has seen nothing of it.
                Err(mut error) => match error.take_message().filter(|_| !is_new) {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        };
        let status = response.status().as_u16();
        if drain(&mut response).await.is_err() {
            return Ok(CallEnd::Cut);
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(CallEnd::Answered(status))
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
    }
}

async fn drain(response: &mut Response<Incoming>) -> hyper::Result<()> {
    while let Some(frame) = response.frame().await {
        frame?;
    }
    Ok(())
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let task = tokio::spawn(async move {
            // An error is seen by the request that it strikes.
            let _ = connection.await;
        });
        Ok(Self { sender, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
