//! Header fields between two connections.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// Numbers an attempt of the gateway's own from its second on: 1 for the first retry.
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static(ATTEMPT_NAME);
const ATTEMPT_NAME: &str = "x-gateway-attempt";

/// In a check of a host: it is no client's.
pub(super) const CHECK: HeaderName = HeaderName::from_static(CHECK_NAME);
const CHECK_NAME: &str = "x-gateway-check";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Whether an upstream may read a field by a name of ours. Many hand fields on as variables in which `_` stands for whatever is
/// no letter or digit, so that there is one name for `x-api-key`, `x_api_key` and `x.api.key`.
pub(super) fn reads_as(name: &HeaderName, ours: &str) -> bool {
    name.as_str().len() == ours.len() && begins_as(name, ours)
}

/// Whether an upstream may read a field by a name that begins so (see [`reads_as`]).
pub(super) fn begins_as(name: &HeaderName, ours: &str) -> bool {
    let (name, ours) = (name.as_str().as_bytes(), ours.as_bytes());
    let same = |(byte, ours): (&u8, &u8)| byte == ours || (*ours == b'-' && !byte.is_ascii_alphanumeric());
    name.len() >= ours.len() && name.iter().zip(ours).all(same)
}

/// Takes out each field whose name is one of those.
pub(super) fn remove(headers: &mut HeaderMap, is_one: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&is_one) {
        return;
    }
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_one(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// There are several fields where one is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// The one field of a name, however the client spells it.
///
/// # Errors
///
/// If there are several: an upstream may read another one than we do.
pub(super) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Repeated> {
    let mut fields = headers.iter().filter(|(field, _)| reads_as(field, name.as_str()));
    match (fields.next(), fields.next()) {
        (Some(_), Some(_)) => Err(Repeated),
        (field, _) => Ok(field.map(|(_, value)| value)),
    }
}

/// Whether this is a host with or without a port (RFC 3986, 3.2.2; RFC 9110, 7.2): a name without a comma, which would make a list
/// of it, or an IPv6 address in brackets. Who is asked by no name at all has nobody to serve it.
pub(super) fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (is_valid, port) = if let Some(address) = text.strip_prefix('[') {
        let Some((address, port)) = address.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (!name.is_empty() && is_host_name(name.as_bytes()), port)
    };
    let is_number = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    let is_port = match port.strip_prefix(':') {
        None | Some("") => true,
        Some(port) => is_number(port) && port.parse::<u16>().is_ok(),
    };
    is_valid && is_port && (port.is_empty() || port.starts_with(':'))
}

fn is_host_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte) => rest,
            _ => return false,
        };
    }
}

/// Makes the cookies that HTTP/2 may send as fields of their own the one field that HTTP/1.1 knows (RFC 9113, 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        let all: Vec<&[u8]> = [first, second].into_iter().chain(crumbs).map(HeaderValue::as_bytes).collect();
        // Pieces of valid values and a separator that is valid in one.
        if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.insert(COOKIE, joined);
        }
    }
}

/// What a client may say of the way before the gateway, or of the target that it meant: it would be believed behind us.
/// Beside what begins with `x-forwarded`: what nginx, Apache, Cloudflare, Akamai, Rackspace and IIS have in use.
const OF_THE_WAY: [&str; 11] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-url",
    "x-rewrite-url",
    ATTEMPT_NAME,
    CHECK_NAME,
];

/// Whether a field would tell an upstream something that only a gateway may say: of the way, or how the message is framed in a
/// spelling that is not the framing's own.
fn is_for_gateways(name: &HeaderName) -> bool {
    let in_disguise = |ours: &HeaderName| name != ours && reads_as(name, ours.as_str());
    begins_as(name, "x-forwarded")
        || OF_THE_WAY.iter().any(|ours| reads_as(name, ours))
        || in_disguise(&CONTENT_LENGTH)
        || in_disguise(&TRANSFER_ENCODING)
}

/// The members of `X-Forwarded-For`, over all fields of that name, last first. What is no text is a member that is no address.
pub(super) fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    fields.flat_map(|field| field.to_str().unwrap_or_default().rsplit(','))
}

/// Tells an upstream of the way of a request that came by trusted proxies, from its client on.
pub(super) fn set_forwarded_for(headers: &mut HeaderMap, way: &[IpAddr]) {
    let way: Vec<String> = way.iter().map(IpAddr::to_string).collect();
    if let Ok(way) = HeaderValue::try_from(way.join(", ")) {
        headers.insert(FORWARDED_FOR, way);
    }
}

/// Takes out what only a gateway may say, of heads and of trailers, which some servers take for fields.
pub(super) fn strip_provenance(headers: &mut HeaderMap) {
    remove(headers, is_for_gateways);
}

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
    remove(headers, is_hop_by_hop);
    trailers
}

/// Whether a value begins or ends with white space, which none does that was read from HTTP/1.1.
pub(super) fn is_padded(headers: &HeaderMap) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    headers.values().map(HeaderValue::as_bytes).any(|value| is_space(value.first()) || is_space(value.last()))
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

/// Leaves one length where an answer states the same one several times, as a list or in several fields (RFC 9110, 8.6). Says
/// whether that is so: a length that is no number, or two that differ, frame nothing.
pub(super) fn settle_length(headers: &mut HeaderMap) -> bool {
    if !headers.contains_key(CONTENT_LENGTH) {
        return true;
    }
    let length = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    // A value that is no text is none of `values`.
    let is_text = headers.get_all(CONTENT_LENGTH).iter().all(|value| value.to_str().is_ok());
    let lengths: Vec<Option<u64>> = values(headers, &CONTENT_LENGTH).map(length).collect();
    let [Some(first), more @ ..] = &*lengths else { return false };
    if !is_text || more.iter().any(|length| length != &Some(*first)) {
        return false;
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(*first));
    true
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
        strip_provenance(headers);
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
