//! Header fields between two connections.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// Numbers an attempt of the gateway's own from its second on: 1 for the first retry.
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static("x-gateway-attempt");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Takes out what is meant for one connection only (RFC 9110, 7.6.1). Says whether `TE: trailers` was among it.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) -> bool {
    if !headers.keys().any(is_hop_by_hop) {
        return false;
    }
    let trailers = listed(headers, &TE, "trailers");
    let nominated: Vec<HeaderName> = values(headers, &CONNECTION)
        // What most of them say names no field.
        .filter(|option| !["keep-alive", "close"].iter().any(|none| option.eq_ignore_ascii_case(none)))
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        // Nobody talks us into dropping what frames a message or says whom it is for.
        .filter(|name| *name != CONTENT_LENGTH && *name != HOST)
        .collect();
    for name in nominated {
        headers.remove(name);
    }
    let hop_by_hop: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for name in hop_by_hop {
        headers.remove(name);
    }
    trailers
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == TE
        || *name == UPGRADE
        || *name == PROXY_AUTHENTICATE
        || *name == PROXY_AUTHORIZATION
        || *name == KEEP_ALIVE
        || name.as_str().starts_with("proxy-")
}

/// The members of a comma-separated list, over all fields of a name.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Whether a comma-separated list has a member.
pub(super) fn listed(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    values(headers, name).any(|value| value.eq_ignore_ascii_case(member))
}

/// The protocol that the sender wants to change to, if it may: never h2c, which would be a connection past our rules.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = listed(headers, &CONNECTION, "upgrade") && !listed(headers, &UPGRADE, "h2c");
    let mut protocols = headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| asked)?;
    protocols.next().is_none().then(|| protocol.clone())
}

/// How a message's body is framed, as far as its transfer codings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There are none.
    None,
    Chunked,
    /// Some that we do not take off, so that the body would reach its reader as something else.
    Other,
}

pub(super) fn transfer_coding(headers: &HeaderMap) -> Coding {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Coding::None,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
        _ => Coding::Other,
    }
}

/// What an upstream is told of a request's way, ready-made for a connection.
#[derive(Debug)]
pub(super) struct Provenance {
    peer: HeaderValue,
}

impl Provenance {
    pub(super) fn new(peer: IpAddr) -> Self {
        let peer = HeaderValue::try_from(peer.to_canonical().to_string());
        Self { peer: peer.unwrap_or_else(|_| HeaderValue::from_static("unknown")) }
    }

    /// Makes the fields of a request those that its upstream is sent, after [`strip_hop_by_hop`].
    ///
    /// This gateway stands at the edge: what a client says of the way before it is not passed on, for an upstream could not
    /// tell it from what we say.
    pub(super) fn apply(&self, headers: &mut HeaderMap, host: HeaderValue, version: Version) {
        // These and those of a trace, at once: a map that grows sorts its fields anew each time.
        headers.reserve(6);
        // We answer it ourselves, when the body is first read.
        headers.remove(EXPECT);
        headers.remove(FORWARDED);
        headers.remove(ATTEMPT);
        headers.insert(FORWARDED_FOR, self.peer.clone());
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(HOST, host);
        let via = match version {
            Version::HTTP_2 => "2 tuesday",
            Version::HTTP_10 => "1.0 tuesday",
            _ => "1.1 tuesday",
        };
        headers.append(VIA, HeaderValue::from_static(via));
    }
}
