//! The same bytes in two parsers: hyper with the follower beside it, as the gateway reads a connection, and one that takes
//! nothing but the letter of RFC 9112. They see the same messages, up to the first that is in doubt: ours refuses it and closes.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

#[path = "../../gateway/src/server/framing.rs"]
mod follower;

use self::follower::Framing;

/// A request as a parser has it.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    method: String,
    body: Vec<u8>,
}

pub(crate) fn check(bytes: &[u8]) {
    let (strict, _) = strict(bytes);
    // In one piece, and in pieces that part what belongs together.
    for piece in [usize::MAX, 7, 1] {
        for (place, message) in ours(bytes, piece).iter().enumerate() {
            assert_eq!(Some(message), strict.get(place), "message {place} of {}", bytes.escape_ascii());
        }
    }
}

/// Bytes of a client that come in pieces and then end. What is written is dropped.
struct Client {
    bytes: Vec<u8>,
    read: usize,
    piece: usize,
    framing: Rc<RefCell<Framing>>,
}

impl Read for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (start, room) = (self.read, buf.remaining());
        let end = self.bytes.len().min(start.saturating_add(self.piece.min(room)));
        let piece = &self.bytes[start..end];
        self.framing.borrow_mut().follow(piece);
        buf.put_slice(piece);
        self.read = end;
        Poll::Ready(Ok(()))
    }
}

impl Write for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The messages that the gateway passes on whole.
fn ours(bytes: &[u8], piece: usize) -> Vec<Message> {
    let framing = Rc::new(RefCell::new(Framing::default()));
    let client = Client { bytes: bytes.to_vec(), read: 0, piece, framing: Rc::clone(&framing) };
    let seen = Rc::new(RefCell::new((Vec::new(), 0_u64)));
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, framing) = (Rc::clone(&seen), Rc::clone(&framing));
        async move {
            let (head, body) = request.into_parts();
            let mut response = Response::new(Empty::<Bytes>::new());
            // The gateway answers 501 and closes: it takes off no other coding.
            let codings: Vec<_> = head.headers.get_all(TRANSFER_ENCODING).iter().collect();
            if codings.len() > 1
                || codings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return Ok(response);
            }
            let body = body.collect().await?.to_bytes().to_vec();
            let mut seen = seen.borrow_mut();
            let (messages, begun) = &mut *seen;
            *begun += 1;
            if framing.borrow().ambiguous().is_some_and(|first| first <= *begun) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            } else {
                messages.push(Message { method: head.method.to_string(), body });
            }
            Ok::<_, hyper::Error>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.half_close(true).auto_date_header(false);
    let mut connection = std::pin::pin!(builder.serve_connection(client, service));
    let mut cx = Context::from_waker(Waker::noop());
    // Nothing is ever waited for, so that a connection that is not done has only given way to others.
    for _ in 0..8 * bytes.len() + 64 {
        if connection.as_mut().poll(&mut cx).is_ready() {
            break;
        }
    }
    seen.take().0
}

/// The messages up to the first that is not whole or not by the letter, and whether that was all.
fn strict(bytes: &[u8]) -> (Vec<Message>, bool) {
    let (mut messages, mut rest) = (Vec::new(), bytes);
    loop {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        if rest.is_empty() {
            return (messages, true);
        }
        let Some((message, after)) = message(rest) else { return (messages, false) };
        messages.push(message);
        rest = after;
    }
}

fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let (request, mut rest) = line(bytes)?;
    let mut parts = request.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_target = !target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    if parts.next().is_some() || !is_token(method) || !is_target {
        return None;
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return None,
    };
    let (mut length, mut chunked) = (None, false);
    loop {
        let (text, after) = line(rest)?;
        rest = after;
        if text.is_empty() {
            break;
        }
        let (name, value) = field(text)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(digits(value, 10)?).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || old || !value.eq_ignore_ascii_case(b"chunked") {
                return None;
            }
            chunked = true;
        }
    }
    if chunked && length.is_some() {
        return None;
    }
    let method = String::from_utf8(method.to_vec()).ok()?;
    if !chunked {
        let (body, rest) = rest.split_at_checked(usize::try_from(length.unwrap_or(0)).ok()?)?;
        return Some((Message { method, body: body.to_vec() }, rest));
    }
    let mut body = Vec::new();
    loop {
        let (text, after) = line(rest)?;
        let size = text.split(|byte| *byte == b';').next()?;
        // White space before an extension is bad, and taken by who recovers (RFC 9112, 7.1.1).
        let size = usize::try_from(digits(size.trim_ascii_end(), 16)?).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        let (chunk, after) = rest.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
    loop {
        let (text, after) = line(rest)?;
        rest = after;
        if text.is_empty() {
            return Some((Message { method, body }, rest));
        }
        field(text)?;
    }
}

/// A line without its end, which is CRLF; no other CR or LF is in it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = bytes.split_at(end);
    (!line.iter().any(|byte| matches!(byte, b'\r' | b'\n'))).then_some((line, &rest[2..]))
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_value = value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    (is_token(name) && is_value).then_some((name, value))
}

fn is_token(text: &[u8]) -> bool {
    let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_in)
}

fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(|byte| char::from(*byte).is_digit(radix));
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    u64::from_str_radix(text, radix).ok()
}
