//! One request: what is asked of the rules, what goes to the upstream, and what comes back.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer_body::{AnswerBody, Streaming};
use super::body_error::BodyError;
use super::client_body::ClientBody;
use super::config::HttpLimits;
use super::connection_state::{Active, ConnectionState};
use super::exchange::Exchange;
use super::fields::{self, Coding, Provenance};
use super::interim::InterimSink;
use super::observer::Seen;
use super::policies::Policies;
use super::problem::{Problem, close_after};
use super::request_body::{RequestBody, Source};
use super::retry_after::retry_after;
use super::rules::{Decided, Next, RequestGuard};
use super::thread::Thread;
use super::traces::Traces;
use super::upstream::Lease;
use crate::admission::{Checks, Request as Asked};
use crate::attempt::{AttemptEnd, RequestEnd};
use crate::auth::Claims;
use crate::auth::jwt::Bearer;
use crate::dispatcher::{Forward, Upload};
use crate::identity::{Client, Peer};
use crate::method::Method as KnownMethod;
use crate::rejection::Rejection;
use crate::route::{RouteId, Routed, Routes};
use crate::waits::Due;

/// A client's connection, as its requests see it.
pub(super) struct ClientConnection {
    pub(super) thread: Arc<Thread>,
    pub(super) state: Arc<ConnectionState>,
    pub(super) peer: IpAddr,
    pub(super) provenance: Provenance,
}

/// Answers a request, which is known to its connection from now on.
pub(super) fn serve(
    caller: Arc<ClientConnection>,
    request: Request<ClientBody>,
    interim: InterimSink,
) -> impl Future<Output = Response<AnswerBody>> {
    let active = Active::new(&caller.state);
    caller.state.begin(request.version() == Version::HTTP_11);
    answer(caller, request, interim, active)
}

async fn answer(
    caller: Arc<ClientConnection>,
    request: Request<ClientBody>,
    interim: InterimSink,
    active: Active,
) -> Response<AnswerBody> {
    let http1 = request.version() < Version::HTTP_2;
    let mut begun = Begun::default();
    let policies = caller.thread.rules().policies();
    let answered = caller.proxy(&policies, request, interim, &mut begun).await;
    let Begun { checks, source } = begun;
    let is_own = answered.is_err();
    let (mut response, mut closes) = match answered {
        Ok(UpstreamAnswer { response, streaming }) => {
            // Whoever is refused need not send the rest (RFC 9112, 9.6).
            let is_early = source.as_ref().is_some_and(|source| source.upload() == Upload::Coming);
            let closes = is_early && response.status().as_u16() >= 400;
            let body = match streaming {
                Some(streaming) => AnswerBody::upstream(streaming, active),
                None => AnswerBody::own(Bytes::new(), active),
            };
            (response.map(|()| body), closes)
        }
        Err(problem) => {
            let answer = problem.answer(&policies.shown);
            (answer.map(|body| AnswerBody::own(body, active)), problem.closes())
        }
    };
    policies.fields.apply(&checks, response.headers_mut());
    if http1 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        closes |= caller.thread.is_draining() || caller.state.is_half_closed();
        // Who passes the answer on reads the request's body as well.
        if let Some(source) = source.filter(|_| !closes && is_own) {
            closes = !source.drain().await;
        }
        if closes || caller.state.is_ambiguous() {
            close_after(response.headers_mut());
        }
    }
    caller.state.end_interim().await;
    response
}

/// What there is of a request when it is answered.
#[derive(Default)]
struct Begun {
    checks: Checks,
    /// Its body, if it has one that is not refused at once.
    source: Option<Source>,
}

/// An answer that is passed on.
struct UpstreamAnswer {
    response: Response<()>,
    streaming: Option<Streaming>,
}

/// What of a request stays the same over its attempts.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// Who is given interim answers.
    interim: InterimSink,
}

/// A request that has a worker.
struct Working {
    guard: RequestGuard,
    forward: Forward,
    /// What its token says, where it was verified.
    claims: Option<Claims>,
    exchange: Arc<Exchange>,
    source: Option<Source>,
    /// The protocol that it asks for instead of HTTP.
    upgrade: Option<HeaderValue>,
    /// From its client's address on, where proxies are trusted.
    way: Option<Vec<IpAddr>>,
}

/// What belongs to a request whose answer is passed on.
struct Passed {
    guard: RequestGuard,
    exchange: Arc<Exchange>,
    source: Option<Source>,
    lease: Lease,
}

impl ClientConnection {
    /// Has a request judged, and answered by the upstream if the rules let the request through.
    async fn proxy(
        &self,
        policies: &Arc<Policies>,
        request: Request<ClientBody>,
        interim: InterimSink,
        begun: &mut Begun,
    ) -> Result<UpstreamAnswer, Problem> {
        let settings = self.thread.settings();
        let (mut parts, incoming) = request.into_parts();
        if self.state.is_ambiguous() {
            return Err(Problem::AMBIGUOUS);
        }
        let host = check(&settings.http, &parts, &incoming)?;
        let (target, route) = target(policies.entrance.routes(), &parts.uri)?;
        // From here on there is only what was judged.
        if let Some(target) = target {
            parts.uri = target;
        }
        let key = fields::only(&parts.headers, &settings.key_header)
            .map_err(|fields::Repeated| Problem::BadRequest("there is more than one key"))?
            .map(HeaderValue::as_bytes);
        // The client's address, and behind trusted proxies the request's way from there.
        let way = (!policies.proxies.is_empty())
            .then(|| policies.proxies.way(self.peer, fields::forwarded_for(&parts.headers)));
        let address = way.as_ref().and_then(|way| way.first()).copied().unwrap_or(self.peer);
        let peer = Peer::from(address);
        let client = match key {
            Some(key) => Client::from_key(settings.key_secret, key),
            None => Client::anonymous(settings.key_secret, peer),
        };
        let idempotent = parts.method.is_idempotent();
        let traced = settings.traces.as_ref().map(|traces| traces.begin(&parts.headers));
        let seen = Seen {
            peer: address,
            key,
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            route,
            claims: None,
            client,
            traced: traced.as_ref(),
        };
        let rules = self.thread.rules();
        let draw = if policies.draws_hosts { rules.host_draw() } else { 0 };
        let method = KnownMethod::from_name(parts.method.as_str());
        let asked = Asked { peer, client, route, method, idempotent, draw };
        let bearer = Bearer::read(parts.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes));
        let upgrade = if incoming.is_end_stream() && parts.version == Version::HTTP_11 {
            fields::upgrade(&parts.headers)
        } else {
            None
        };
        let (source, exchange) = self.source(policies, &parts, incoming).unzip();
        begun.source.clone_from(&source);
        let Decided { checks: said, claims, next } =
            rules.on_request(policies, &asked, &seen, bearer, source.as_ref()).await;
        begun.checks = said;
        let (guard, forward) = match next {
            Next::Forward(guard, forward) => (guard, forward),
            Next::Reject(rejection) => return Err(Problem::Rejected(rejection)),
            Next::Wait(mut guard, deadline) => {
                let deadline = deadline.map(|at| Instant::from_std(self.thread.rules().clock.moment(at)));
                let forward = wait(&mut guard, deadline).await.map_err(Problem::Rejected)?;
                (guard, forward)
            }
        };

        let exchange = exchange.unwrap_or_else(|| Exchange::new(rules.clock, policies.client));
        let working = Working { guard, forward, claims, exchange, source, upgrade, way };
        self.forward(parts, host, interim, working).await
    }

    /// The body of a request, and whose time it takes; `None` for a request without a body.
    fn source(
        &self,
        policies: &Policies,
        parts: &Parts,
        incoming: ClientBody,
    ) -> Option<(Source, Arc<Exchange>)> {
        if incoming.is_end_stream() {
            return None;
        }
        let settings = self.thread.settings();
        let exchange = Exchange::new(self.thread.rules().clock, policies.client);
        let identity = settings.identity.clone();
        let to_be_asked = parts.headers.contains_key(EXPECT);
        let clock = Arc::clone(&exchange);
        let source =
            Source::new(incoming, to_be_asked, settings.http.body_bytes, identity, clock, &self.state);
        Some((source, exchange))
    }

    /// Has the upstream answer a request that has a worker.
    async fn forward(
        &self,
        mut parts: Parts,
        host: HeaderValue,
        interim: InterimSink,
        working: Working,
    ) -> Result<UpstreamAnswer, Problem> {
        let Working { mut guard, forward, claims, exchange, source, upgrade, way } = working;
        guard.on_worker(&exchange, &forward);
        self.set_fields(&mut parts, host, claims.as_ref(), &guard, upgrade.as_ref());
        if let Some(way) = way.filter(|way| way.len() > 1) {
            fields::set_forwarded_for(&mut parts.headers, &way);
        }
        if let Some(source) = &source {
            if forward.may_retry {
                source.keep();
            }
            if !parts.headers.contains_key(CONTENT_LENGTH) {
                parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        }
        let mut head = Head { method: parts.method, uri: parts.uri, headers: parts.headers, interim };

        let attempted = self.attempts(&mut guard, &forward, &exchange, &mut head, source.as_ref()).await;
        let (response, lease) = attempted.inspect_err(|problem| {
            if let Some(source) = &source {
                source.abandon();
            }
            guard.end(problem.end());
        })?;
        self.pass_on(Passed { guard, exchange, source, lease }, response, upgrade.is_some())
    }

    /// Sets what an upstream is told by the gateway and by nobody else: who asks, and for how long the connection lasts.
    fn set_fields(
        &self,
        parts: &mut Parts,
        host: HeaderValue,
        claims: Option<&Claims>,
        guard: &RequestGuard,
        upgrade: Option<&HeaderValue>,
    ) {
        let trailers = fields::strip_hop_by_hop(&mut parts.headers);
        fields::join_cookies(&mut parts.headers);
        self.provenance.apply(&mut parts.headers, host, parts.version);
        if let Some(identity) = &self.thread.settings().identity {
            identity.apply(&mut parts.headers, claims);
        }
        if let Some(span) = guard.span() {
            Traces::apply(span, &mut parts.headers);
        }
        if let Some(protocol) = upgrade {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol.clone());
        } else if trailers {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("te"));
            parts.headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }

    /// Sends the request until there is an answer to pass on.
    async fn attempts(
        &self,
        guard: &mut RequestGuard,
        forward: &Forward,
        exchange: &Exchange,
        head: &mut Head,
        source: Option<&Source>,
    ) -> Result<(Response<Incoming>, Lease), Problem> {
        let retries = forward.may_retry;
        let first = self.thread.settings().first_hosts.get(forward.upstream.0 as usize).copied();
        let (Some(mut host), Some(first)) = (forward.host, first) else {
            return Err(Problem::Rejected(Rejection::NoHost));
        };
        loop {
            guard.on_sent();
            let attempt = self.attempt(first + host.0 as usize, head, source, retries);
            let attempt = if forward.deadline.is_none() && forward.try_timeout.is_none() {
                attempt.await
            } else {
                if let Some(timeout) = forward.try_timeout {
                    exchange.on_attempt(timeout);
                }
                let attempt = tokio::select! {
                    biased;
                    attempt = attempt => attempt,
                    overdue = overdue(exchange) => match overdue {
                        Overdue::Request => return Err(Problem::Attempt(AttemptEnd::TimedOut)),
                        Overdue::Attempt => Err(Problem::Attempt(AttemptEnd::TimedOut)),
                    },
                };
                exchange.on_attempt_ended();
                attempt
            };
            let end = match &attempt {
                Ok((response, _)) => {
                    Some(AttemptEnd::answered(response.status().as_u16(), retry_after(response.headers())))
                }
                Err(Problem::Attempt(end)) => Some(*end),
                Err(_) => None,
            };
            if let Some(end) = end.filter(|end| end.failure().is_some())
                && retries
                && source.is_none_or(Source::is_replayable)
                && let Some(wait) = guard.on_attempt_ended(end)
            {
                // With its connection, if the answer is not whole.
                drop(attempt);
                if !wait.is_zero() {
                    sleep(self.thread.rules().clock.real(wait)).await;
                }
                let upload = source.map_or(Upload::Whole, Source::upload);
                host = guard.on_retry(upload).map_err(Problem::Rejected)?;
                head.headers.insert(fields::ATTEMPT, HeaderValue::from(guard.attempts()));
                if let Some(span) = guard.span() {
                    Traces::apply_attempt(span, guard.attempts() + 1, &mut head.headers);
                }
                continue;
            }
            return attempt;
        }
    }

    /// Sends the request once, as far as the host at this place among the addresses can tell.
    async fn attempt(
        &self,
        host: usize,
        head: &mut Head,
        source: Option<&Source>,
        retries: bool,
    ) -> Result<(Response<Incoming>, Lease), Problem> {
        let upstreams = self.thread.upstreams();
        let mut request = None;
        if let Some(mut lease) = upstreams.take_idle(host) {
            // The upstream may be closing it this very moment. What has not been sent can be sent on another connection;
            // what has been sent may have been carried out (RFC 9112, 9.3.1).
            let again = head.method.is_idempotent();
            match lease.send(head.request(source, retries || again), Some(&head.interim)).await {
                Ok(response) => return Ok((response, lease)),
                Err(error) => {
                    let fits = source.is_none_or(Source::is_replayable);
                    match error.unsent {
                        Some(unsent) => request = Some(unsent),
                        None if again && fits && !error.answered => {}
                        None => return Err(unanswered(source)),
                    }
                }
            }
        }
        let mut lease = upstreams.connect(host).await.map_err(|error| {
            let is_exhausted = self.thread.rules().note_exhaustion(&error);
            Problem::Attempt(if is_exhausted { AttemptEnd::NeverSent } else { AttemptEnd::Broken })
        })?;
        let request = request.unwrap_or_else(|| head.request(source, retries));
        match lease.send(request, Some(&head.interim)).await {
            Ok(response) => Ok((response, lease)),
            Err(_) => Err(unanswered(source)),
        }
    }

    /// Makes an upstream's answer the client's.
    fn pass_on(
        &self,
        passed: Passed,
        mut response: Response<Incoming>,
        upgrade: bool,
    ) -> Result<UpstreamAnswer, Problem> {
        let Passed { mut guard, exchange, source, lease } = passed;
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            if !upgrade {
                return Err(refuse(&mut guard));
            }
            self.state.set_tunnel(hyper::upgrade::on(&mut response));
            guard.end(RequestEnd::Attempt(AttemptEnd::Answered(status.as_u16())));
            let protocol = response.headers().get(UPGRADE).cloned();
            let (mut parts, _) = response.into_parts();
            fields::strip_hop_by_hop(&mut parts.headers);
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            if let Some(protocol) = protocol {
                parts.headers.insert(UPGRADE, protocol);
            }
            return Ok(UpstreamAnswer { response: Response::from_parts(parts, ()), streaming: None });
        }
        let (mut parts, incoming) = response.into_parts();
        let is_framed = match fields::transfer_coding(&parts.headers) {
            Coding::None => fields::settle_length(&mut parts.headers),
            // It is framed anew, and by one length only (RFC 9112, 6.3).
            Coding::Chunked => {
                parts.headers.remove(CONTENT_LENGTH);
                true
            }
            Coding::Other => false,
        };
        if !is_framed {
            return Err(refuse(&mut guard));
        }
        fields::strip_hop_by_hop(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let (lease, status) = (Some(lease), status.as_u16());
        let streaming = Streaming { incoming, guard, exchange, source, lease, status };
        Ok(UpstreamAnswer { response: Response::from_parts(parts, ()), streaming: Some(streaming) })
    }
}

/// Refuses what cannot be passed on. Whom the rest is for.
fn check(limits: &HttpLimits, parts: &Parts, incoming: &ClientBody) -> Result<HeaderValue, Problem> {
    if parts.method == Method::CONNECT {
        return Err(Problem::NotImplemented("this gateway opens no tunnels"));
    }
    // The upstream would send back what it is told beside what the client sent, the identity that was verified too.
    if parts.method == Method::TRACE {
        return Err(Problem::NotImplemented("this gateway traces no requests"));
    }
    if fields::transfer_coding(&parts.headers) == Coding::Other {
        return Err(Problem::NotImplemented("the only transfer coding served is chunked"));
    }
    if parts.headers.len() > limits.headers {
        return Err(Problem::TooManyFields);
    }
    check_length(&parts.headers, incoming.is_end_stream())?;
    let host = host_of(&parts.headers, &parts.uri, parts.version)?;
    if limits.body_bytes.is_some_and(|most| incoming.size_hint().lower() > most) {
        return Err(Problem::TooLarge);
    }
    Ok(host)
}

/// What of a request that has no answer yet has taken too long.
enum Overdue {
    /// All its attempts together.
    Request,
    /// The present attempt.
    Attempt,
}

/// Waits until the upstream has used up a timeout.
async fn overdue(exchange: &Exchange) -> Overdue {
    loop {
        match exchange.due().await {
            Due::Upstream => return Overdue::Request,
            Due::Attempt => return Overdue::Attempt,
            // Not before there is an answer.
            Due::Download | Due::SlowReader => {}
        }
    }
}

/// Waits in the queue.
async fn wait(guard: &mut RequestGuard, deadline: Option<Instant>) -> Result<Forward, Rejection> {
    let started = match deadline {
        Some(deadline) => timeout_at(deadline, guard.wait()).await.unwrap_or_default(),
        None => guard.wait().await,
    };
    match started {
        Some(forward) => Ok(forward),
        None => guard.on_queue_timeout(),
    }
}

/// Why a connection broke before the head of an answer: the client's body is malformed, or the upstream failed.
fn unanswered(source: Option<&Source>) -> Problem {
    match source.and_then(Source::error) {
        None => Problem::Attempt(AttemptEnd::Broken),
        Some(BodyError::TooLarge) => Problem::TooLarge,
        Some(BodyError::Stalled) => Problem::BodyTimeout,
        Some(BodyError::Ambiguous) => Problem::AMBIGUOUS,
        Some(_) => Problem::BadRequest("the body broke off"),
    }
}

/// Ends a request whose answer has a head that cannot be passed on.
fn refuse(guard: &mut RequestGuard) -> Problem {
    let problem = Problem::Attempt(AttemptEnd::Broken);
    guard.end(problem.end());
    problem
}

impl Head {
    /// The request as it is sent. Its fields are moved out unless they are needed again.
    fn request(&mut self, source: Option<&Source>, again: bool) -> Request<RequestBody> {
        let mut request = Request::new(source.map_or(RequestBody::EMPTY, Source::open));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = if again { self.headers.clone() } else { std::mem::take(&mut self.headers) };
        request
    }
}

/// Holds the length that a request states against its body. With HTTP/1 the two are one, since the body is read by it; with
/// HTTP/2 a body has an end of its own, and an upstream that went by what is stated would wait for more, or take the next
/// request for the rest of this one.
fn check_length(headers: &HeaderMap, is_empty: bool) -> Result<(), Problem> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(Problem::BadRequest("there is more than one Content-Length"));
    }
    let is_number = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    let is_zero = length.as_bytes().iter().all(|digit| *digit == b'0');
    if is_number && (is_zero || !is_empty) {
        Ok(())
    } else {
        Err(Problem::BadRequest("the Content-Length is not that of the body"))
    }
}

/// Whom a request is for: the authority of its target, which goes before the field (RFC 9112, 3.2.2), or its one `Host`.
fn host_of(headers: &HeaderMap, uri: &Uri, version: Version) -> Result<HeaderValue, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Problem::BadRequest("there is more than one Host"));
    }
    // Also where the target goes before it: another server on the way may go by the field.
    if host.is_some_and(|host| !fields::is_host(host.as_bytes())) {
        return Err(Problem::BadRequest("the Host is not valid"));
    }
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Problem::BadRequest("there is no Host"));
    }
    let Some(authority) = uri.authority() else {
        return Ok(host.cloned().unwrap_or(HeaderValue::from_static("")));
    };
    if uri.scheme().is_none() {
        return Err(Problem::BadRequest("the target is that of a tunnel"));
    }
    if authority.as_str().contains('@') {
        return Err(Problem::BadRequest("the target names a user"));
    }
    HeaderValue::try_from(authority.as_str())
        .ok()
        .filter(|authority| fields::is_host(authority.as_bytes()))
        .ok_or(Problem::BadRequest("the target has no valid authority"))
}

/// The target that an origin is asked for (RFC 9112, 3.2.1), unless it is as it came, and the route that serves it.
fn target(routes: &Routes, uri: &Uri) -> Result<(Option<Uri>, Option<RouteId>), Problem> {
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err(Problem::BadRequest("the target is of another scheme than HTTP"));
    }
    let Routed { path, route } =
        routes.judge(uri.path()).map_err(|fault| Problem::BadRequest(fault.detail()))?;
    if matches!(path, Cow::Borrowed(_)) && uri.authority().is_none() && uri.scheme().is_none() {
        return Ok((None, route));
    }
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(&*path),
    };
    let target = target.map_err(|_| Problem::BadRequest("the target is not valid"))?;
    Ok((Some(Uri::from(target)), route))
}
