//! One client's connection, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client_body::ClientBody;
use super::client_io::ClientIo;
use super::config::HttpLimits;
use super::connection_state::{Active, ConnectionState, Order};
use super::fields::Provenance;
use super::http2;
use super::interim::InterimSink;
use super::proxy::{ClientConnection, serve};
use super::thread::Registered;

/// How long, and for how many bytes, a client that was told that this is the end may still send. Closed at once, the kernel
/// would answer what comes by a reset, which takes the answer away from a client that has not read it yet.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

const HEADER_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves a connection.
pub(super) async fn run(registered: &Registered, stream: TcpStream, peer: IpAddr) {
    let thread = Arc::clone(registered.thread());
    let state = Arc::clone(registered.state());
    let opened = tokio::select! {
        biased;
        opened = ClientIo::open(stream, Arc::clone(&state)) => opened,
        () = state.closing() => return,
    };
    let Ok((io, http2)) = opened else { return };
    let provenance = Provenance::new(peer);
    let caller = Arc::new(ClientConnection { thread, state: Arc::clone(&state), peer, provenance });
    if http2 {
        state.set_http2();
        // A shutdown has told those to finish that it knew for such.
        if caller.thread.is_draining() {
            state.give(Order::Finish);
        }
        http2::run(caller, io).await;
    } else {
        run_http1(caller, io).await;
    }
}

async fn run_http1(caller: Arc<ClientConnection>, io: ClientIo) {
    let state = Arc::clone(&caller.state);
    let limits = caller.thread.settings().http;
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(8 * 1024))
        .max_header_size(limits.header_bytes);
    if limits.headers != 100 {
        builder.max_headers(limits.headers);
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let interim = InterimSink::Connection(Arc::clone(&caller.state));
        let served = serve(Arc::clone(&caller), request.map(ClientBody::Http1), interim);
        async move { Ok::<_, Infallible>(served.await) }
    });
    let mut connection = builder.serve_connection(TokioIo::new(io), service);
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut connection => break,
            () = state.wake.notified() => match state.order() {
                Order::None => {}
                // It closes at once unless it is at a request. Told again, it would be at one that does not end.
                Order::Close if closing => return,
                Order::Close | Order::Finish => {
                    closing |= !state.is_active();
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
                // A request or a body got ahead of it.
                order @ Order::HeaderTimeout if state.due(&limits) != order => {}
                order @ Order::Cut if !state.has_failed() && state.due(&limits) != order => {}
                Order::MakeRoom if !state.leaves(&limits) => {}
                Order::MakeRoom if !state.is_active() => return,
                Order::HeaderTimeout => {
                    let mut stream = connection.into_parts().io.into_inner().into_stream();
                    // So short an answer finds room, or nobody reads.
                    let _ = stream.try_write(HEADER_TIMEOUT);
                    let _ = stream.shutdown().await;
                    return linger(stream, &state).await;
                }
                Order::Cut | Order::MakeRoom => {
                    let stream = connection.into_parts().io.into_inner().into_stream();
                    return reset(&stream);
                }
            },
        }
    }
    let parts = connection.into_parts();
    let io = parts.io.into_inner();
    if let Some(upstream) = state.take_tunnel() {
        tunnel(io, parts.read_buf, upstream, &state, &limits).await;
    } else if state.has_failed() {
        reset(&io.into_stream());
    } else {
        linger(io.into_stream(), &state).await;
    }
}

/// Passes bytes both ways until both sides are done, or silent for too long.
async fn tunnel(
    client: ClientIo,
    read: Bytes,
    upstream: OnUpgrade,
    state: &Arc<ConnectionState>,
    limits: &HttpLimits,
) {
    let _active = Active::new(state);
    state.open_tunnel();
    let mut client = client;
    let pass = async {
        let upgraded = upstream.await.map_err(io::Error::other)?;
        let mut upstream = TokioIo::new(upgraded);
        upstream.write_all(&read).await?;
        copy_bidirectional(&mut client, &mut upstream).await
    };
    let cut = async {
        loop {
            state.wake.notified().await;
            match state.order() {
                Order::Cut if state.due(limits) == Order::Cut => return,
                Order::MakeRoom if state.leaves(limits) => return,
                // The server stops, and the tunnel rests.
                Order::Close => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        _ = pass => {}
        () = cut => {}
    }
}

/// Reads what still comes, for a moment, after the last byte was sent.
async fn linger(mut stream: TcpStream, state: &ConnectionState) {
    let mut discarded = 0;
    let mut buffer = [0; 4096];
    let drain = async {
        while discarded < LINGER_BYTES {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => discarded += read,
            }
        }
    };
    tokio::select! {
        _ = timeout(LINGER, drain) => {}
        () = state.told(&[Order::MakeRoom]) => {}
    }
}

/// Closes in a way that no reader takes for the end of a body.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
