//! Connections of HTTP/2: the streams that come in, and the answers that go out on them.
//!
//! hyper's server has no way to send an answer before the answer (RFC 9110, 15.2), such as the `100 Continue` that a client
//! waits for. h2, the library under it, has one.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use tokio::time::timeout;

use super::answer_body::AnswerBody;
use super::body_error::BodyError;
use super::client_body::{ClientBody, StreamBody};
use super::client_io::ClientIo;
use super::connection_state::Order;
use super::fields;
use super::interim::InterimSink;
use super::proxy::{ClientConnection, serve};
use super::stream_state::StreamState;

/// What a client may have on its way to us, of one stream and of all, in bytes: as hyper's server has it, as all that follows.
const WINDOW: u32 = 1024 * 1024;
const FRAME: u32 = 16 * 1024;
const STREAMS: u32 = 200;
const SEND_BUFFER: usize = 400 * 1024;
/// Streams that a client may have us reset by its own faults before its connection is ended (CVE-2023-44487 and its like).
const LOCAL_RESETS: usize = 1024;

/// How long a client whose connection makes room for another has to hear of it.
const FAREWELL: Duration = Duration::from_millis(50);

/// Serves a connection.
pub(super) async fn run(caller: Arc<ClientConnection>, io: ClientIo) {
    let state = Arc::clone(&caller.state);
    let limits = caller.thread.settings().http;
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(LOCAL_RESETS))
        .handshake::<_, Bytes>(io);
    let opened = tokio::select! {
        biased;
        opened = handshake => opened,
        () = state.closing() => return,
    };
    let Ok(mut connection) = opened else { return };
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(Arc::clone(&caller), request, respond));
                }
                Some(Err(_)) | None => return,
            },
            () = state.wake.notified() => match state.order() {
                Order::None | Order::HeaderTimeout => {}
                Order::Close if closing => return,
                Order::Close | Order::Finish => {
                    closing |= !state.is_active();
                    connection.graceful_shutdown();
                }
                order @ Order::Cut if state.due(&limits) != order => {}
                Order::Cut => return,
                Order::MakeRoom if !state.leaves(&limits) => {}
                Order::MakeRoom => {
                    // It is told that nothing more is taken, if it listens.
                    connection.graceful_shutdown();
                    let ended = async { while connection.accept().await.is_some_and(|accepted| accepted.is_ok()) {} };
                    _ = timeout(FAREWELL, ended).await;
                    return;
                }
            },
        }
    }
}

/// Answers the request of a stream. Dropped by a reset, it has the client leave.
async fn answer(
    caller: Arc<ClientConnection>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    // Values of HTTP/1.1 have no white space at their ends, so that another server would read others (RFC 9113, 8.2.1).
    if fields::is_padded(request.headers()) {
        return respond.send_reset(Reason::PROTOCOL_ERROR);
    }
    let stream = Arc::<StreamState>::default();
    let to_head = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let body = ClientBody::Http2(StreamBody::new(body, &parts.headers, Arc::clone(&stream)));
    let response = {
        let interim = InterimSink::Stream(Arc::clone(&stream));
        let mut served = pin!(serve(caller, Request::from_parts(parts, body), interim));
        loop {
            tokio::select! {
                biased;
                response = &mut served => break response,
                () = stream.given() => stream.send_interim(&mut respond),
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
            }
        }
    };
    if stream.is_malformed() {
        return respond.send_reset(Reason::PROTOCOL_ERROR);
    }
    stream.send_interim(&mut respond);
    let (mut parts, body) = response.into_parts();
    if !parts.headers.contains_key(DATE)
        && let Ok(now) = HeaderValue::try_from(httpdate::fmt_http_date(now()))
    {
        parts.headers.insert(DATE, now);
    }
    if let Some(length) = body.size_hint().exact().filter(|_| !body.is_end_stream()) {
        parts.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    let is_whole = to_head || body.is_end_stream();
    match respond.send_response(Response::from_parts(parts, ()), is_whole) {
        Ok(_) if is_whole => {}
        Ok(sender) => _ = send(sender, body).await,
        Err(_) => respond.send_reset(Reason::INTERNAL_ERROR),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`Date` tells a client the time of its world, not of a scenario"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Sends a body as its client takes it; broken off where the client or the upstream does so.
async fn send(mut stream: SendStream<Bytes>, body: AnswerBody) -> Result<(), h2::Error> {
    let mut body = pin!(body);
    loop {
        let frame = tokio::select! {
            biased;
            _ = poll_fn(|cx| stream.poll_reset(cx)) => return Ok(()),
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
        };
        let frame = match frame {
            None => return stream.send_data(Bytes::new(), true),
            Some(Err(BodyError::TimedOut)) => {
                return {
                    stream.send_reset(Reason::CANCEL);
                    Ok(())
                };
            }
            Some(Err(_)) => {
                return {
                    stream.send_reset(Reason::INTERNAL_ERROR);
                    Ok(())
                };
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                if !data.is_empty() && !has_room(&mut stream).await {
                    return Ok(());
                }
                stream.send_data(data, is_last)?;
                if is_last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    stream.reserve_capacity(0);
                    return stream.send_trailers(trailers);
                }
            }
        }
    }
}

/// Waits until the client takes more; `false` where it takes no more.
async fn has_room(stream: &mut SendStream<Bytes>) -> bool {
    // No more than a claim: the whole of what waits is claimed where it is sent, and streams that claim much wait for one another.
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        // Also ends where the stream is reset.
        if !matches!(poll_fn(|cx| stream.poll_capacity(cx)).await, Some(Ok(_))) {
            return false;
        }
    }
    true
}
