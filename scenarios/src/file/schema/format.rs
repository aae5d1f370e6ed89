//! The tables of the file. A doc comment is what an editor shows beside the key; where a field has none, its type's
//! stands there, because the editors do not show both.

#![expect(dead_code, reason = "the fields are read by the derive, which makes the schema of them")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// A scenario of Tuesday: clients, a gateway and upstreams, the configurations to compare, and what must hold of them.
///
/// What is left out is off (limits, breakers, retries, timeouts) or unbounded (workers, queues).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "Scenario")]
pub(super) struct Scenario {
    /// What the scenario is called: the title of its reports.
    name: String,
    /// What happens, to whom, and why that matters, in a few sentences. Reports open with it.
    story: Option<String>,
    /// The instant at which the scenario starts, with its offset, such as `2026-06-02T09:00:00Z`, which is the
    /// default: a Tuesday morning. Windows, logs and chart axes follow this clock. From 1970 to 2499.
    starts: Option<Instant>,
    /// How long clients go on sending, such as `"2m"`: above zero and at most 7 days (`"168h"`). What is under way
    /// then has five more minutes to end.
    duration: PositiveDuration,
    /// Where chance begins. The same file and seed give the same result, byte for byte.
    #[schemars(extend("default" = 1))]
    seed: Option<u64>,
    slo: Slo,
    upstreams: Upstreams,
    routes: Routes,
    clients: Clients,
    gateway: Option<Gateway>,
    /// The incident: what goes wrong with the upstreams, and when. Each begins with `[[faults]]`. Faults may overlap;
    /// where several strike at once, the last one in the file counts. Default: nothing fails.
    faults: Option<Vec<Fault>>,
    /// The configurations to compare, in order, at most 64. Each is a patch, laid table by table over the file.
    /// Without any the file as it stands is the one variant, `base`.
    #[schemars(extend("maxProperties" = 64))]
    variants: Option<BTreeMap<String, Variant>>,
    expect: Option<Expect>,
}

/// What counts as served well.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Slo {
    /// A request is served well if it is answered 2xx within this time of its intended sending, such as `"500ms"`.
    latency: PositiveDuration,
}

/// The services behind the gateway, by name.
#[derive(JsonSchema)]
#[schemars(inline, extend("x-whole" = {"minProperties": 1}))]
struct Upstreams(BTreeMap<String, Upstream>);

/// A simulated service: workers that each serve one request at a time, and a queue in front of them. It does not
/// notice that a caller left, unless told otherwise: work once taken in is done.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Upstream {
    /// Requests served at a time, at least 1. Default: unbounded, nobody waits.
    workers: Option<AtLeastOne>,
    /// Requests that may wait for a worker, first in, first out; the next is answered 503. Default: unbounded.
    queue: Option<Count>,
    latency: Latency,
    /// How much longer a request takes for each other one that is being served when it starts, such as `"2ms"`.
    #[schemars(extend("default" = "0s"))]
    load_latency: Option<Duration>,
    /// Whether it drops the work whose caller left, and frees its worker. Few services do.
    #[schemars(extend("default" = false))]
    cancel_on_disconnect: Option<bool>,
    /// The address and port on which it listens in live runs, such as `"127.0.0.1:9101"`. Needed by the upstreams of routes
    /// where the gateway is `external`. Default: any free port of loopback.
    #[schemars(extend("pattern" = ":[0-9]+$"))]
    listen: Option<String>,
    /// Other upstreams that it asks, one after the other, after its own work and with its worker held. If one of them
    /// fails, it answers 502, or 504 where it waited in vain. Not in a circle. Default: none.
    calls: Option<Vec<Call>>,
    /// What it answers with beside its latency: `"jwks"` makes it the identity provider, of which there is one.
    serves: Option<Served>,
    /// Whose tokens the service itself lets in; `false` or left out for no check. It is shown those that the gateway passes
    /// on: all where that has no `auth`, and else none unless `forward_token` says so.
    auth: Option<Auth>,
    requires: Option<Requires>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Served {
    /// The keys that the tokens of all clients are signed with.
    Jwks,
}

/// A service's use of another.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Call {
    /// The name of the upstream that it asks.
    upstream: String,
    /// How long it waits for the answer to each attempt. Default: for as long as it takes.
    timeout: Option<PositiveDuration>,
    /// When the service tries again; `false` or left out for never.
    retry: Option<Retry>,
    /// The service's own circuit breaker in front of the other; `false` or left out for none. What it lets through no
    /// more fails at once.
    breaker: Option<Breaker>,
}

/// Whether, when and how often a failed attempt is made again.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::what_the_backoff_has, transform = super::or_false)]
struct Retry {
    /// Further attempts after the first, 1 to 1,000: three retries are four attempts.
    retries: Retries,
    /// The failures after which to try again. Default: `["5xx", "timeout", "connect"]`.
    on: Option<Vec<Failure>>,
    /// How the wait before each retry grows.
    #[schemars(extend("default" = "none"))]
    backoff: Option<Backoff>,
    /// The first wait, such as `"100ms"`. Needed by `fixed` and `exponential`, belongs to them.
    base: Option<PositiveDuration>,
    /// No wait is longer; not below `base`. Belongs to `exponential`. Default: `"20s"`, or `base` if that is longer.
    max: Option<PositiveDuration>,
    /// What is drawn out of a wait, so that those who failed together do not come back together. Belongs to `fixed`
    /// and `exponential`.
    #[schemars(extend("default" = "none"))]
    jitter: Option<Jitter>,
    /// Whether to wait at least as long as the `Retry-After` of the gateway's 429 and 503 asks for. Services send none.
    #[schemars(extend("default" = false))]
    honor_retry_after: Option<bool>,
    /// How many retries in all, beside the requests; `false` or left out for any number.
    budget: Option<RetryBudget>,
}

/// When the gateway tries again by itself, on behalf of a client that waits. Worker and bulkhead place stay held, and
/// all attempts share one timeout.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::what_the_backoff_has, transform = super::or_false)]
struct GatewayRetry {
    #[serde(flatten)]
    policy: Retry,
    /// Whether POST and PATCH are tried again too, although they may have been carried out.
    #[schemars(extend("default" = false))]
    non_idempotent: Option<bool>,
}

/// Retries in any ten seconds are at most `ratio` of the requests and `floor` per second.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::or_false)]
struct RetryBudget {
    /// How many retries to the requests, such as `"20%"`; above `"100%"` there may be more retries than requests.
    ratio: Percentage,
    /// A rate that is allowed in any case, such as `"1/s"`: callers of few requests could not try again otherwise.
    #[schemars(extend("default" = "0/s"))]
    floor: Option<Rate>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum Failure {
    /// Any answer of 500 or above, the gateway's own 503 and 504 included.
    #[serde(rename = "5xx")]
    ServerError,
    /// An answer of 429.
    #[serde(rename = "429")]
    RateLimited,
    /// The caller's own timeout.
    #[serde(rename = "timeout")]
    Timeout,
    /// The connection was refused, or reset before the headers.
    #[serde(rename = "connect")]
    Connect,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Backoff {
    /// No wait at all: again after a round trip, 5ms for a client.
    None,
    /// `base` each time.
    Fixed,
    /// `base`, twice that, four times that, … up to `max`.
    Exponential,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Jitter {
    /// The whole wait.
    None,
    /// From nothing to the whole wait.
    Full,
    /// From half of the wait to the whole.
    Equal,
    /// From `base` to three times the previous wait, up to `max`.
    Decorrelated,
}

/// When a circuit breaker opens, and how it closes again. What is left out is as gateways' vendors recommend it.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::what_the_half_open_style_has, transform = super::or_false)]
struct Breaker {
    /// Over how long results are counted. Above zero.
    #[schemars(extend("default" = "30s"))]
    window: Option<PositiveDuration>,
    /// Opens when at least this share of what settled failed: 5xx, timeout, broken connection. Above zero.
    #[schemars(extend("default" = "50%"))]
    error_threshold: Option<PositiveShare>,
    /// How many must have settled in the window before it opens.
    #[schemars(extend("default" = 20))]
    min_requests: Option<Count>,
    /// An answer that takes this long is a failure too. Above zero. Default: an answer may take its time.
    slow_call: Option<PositiveDuration>,
    /// Whom it lets through after it was open for `probe_interval`.
    #[schemars(extend("default" = "single-probe"))]
    half_open: Option<HalfOpen>,
    /// How long it is open, and how far apart single probes are. Above zero.
    #[schemars(extend("default" = "10s"))]
    probe_interval: Option<PositiveDuration>,
    /// Requests in a row that are no failures and close it, at least 1. What is a failure is the same as closed: an answer of
    /// 404 is none. Belongs to `single-probe` and `reopen-to-all`.
    #[schemars(extend("default" = 3))]
    successes_to_close: Option<AtLeastOne>,
    /// Requests let through half-open, at least 1. Belongs to `trickle`.
    #[schemars(extend("default" = 10))]
    calls: Option<AtLeastOne>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum HalfOpen {
    /// One request at a time, one per `probe_interval`; a failure starts the count again.
    SingleProbe,
    /// As many as `calls`; when they have settled, `error_threshold` decides whether it closes or opens again.
    Trickle,
    /// Everybody at once; the first failure opens it again.
    ReopenToAll,
}

/// A duration such as `"5ms"`, or a time drawn anew for each request from a distribution. One of: `constant = "5ms"`, `exponential = { mean }`,
/// `log-normal = { median, p99 }`, `uniform = { min, max }`, `mixture = [{ share, latency }, …]`,
/// `empirical = { file }`. No time is above 24 hours.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1), transform = super::or_duration)]
struct Latency {
    /// Always the same time.
    constant: Option<Duration>,
    exponential: Option<Exponential>,
    log_normal: Option<LogNormal>,
    uniform: Option<Uniform>,
    /// Several kinds of request in one, each with its share; the shares add up to 100%.
    #[schemars(extend("minItems" = 1))]
    mixture: Option<Vec<MixturePart>>,
    empirical: Option<Empirical>,
}

/// Exponentially distributed times, as in the M/M/1 queue of the textbooks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Exponential {
    /// The mean, above zero.
    mean: PositiveDuration,
}

/// Log-normally distributed times: many short ones and a long tail, as most services have them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LogNormal {
    /// Half of the times are shorter; above zero.
    median: PositiveDuration,
    /// One time in a hundred is longer; not below the median.
    p99: PositiveDuration,
}

/// Times between two bounds, each as likely as the other.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Uniform {
    /// The shortest.
    min: Duration,
    /// The longest; not below the shortest.
    max: Duration,
}

/// One kind of request within a mixture.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MixturePart {
    /// How many of the requests are of this kind, such as `"95%"`; above zero.
    share: PositiveShare,
    /// How long these take: a duration, or a distribution, which may be a mixture itself.
    latency: Latency,
}

/// Times as they were measured: each of the file is as likely as the others.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Empirical {
    /// A text file, named relative to the scenario, with a duration such as `12ms` on each line. Empty lines and
    /// those that begin with `#` do not count.
    file: String,
}

/// The paths that the gateway serves. A path serves what is below it too; the longest one that matches wins.
#[derive(JsonSchema)]
#[schemars(inline)]
#[schemars(extend("propertyNames" = {"pattern": "^/[^?#]*$"}, "x-whole" = {"minProperties": 1}))]
struct Routes(BTreeMap<String, Route>);

/// Where requests for a path go.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Route {
    /// The name of the upstream that answers.
    upstream: String,
    /// How long an answer may take, from the moment the request has a worker of the gateway; then the client gets
    /// 504. Default: the gateway's `timeout`.
    timeout: Option<PositiveDuration>,
    /// When the gateway tries again by itself; `false` for never. Default: the gateway's `retry`.
    retry: Option<GatewayRetry>,
    /// Whether the gateway asks for a token, if it has `auth`.
    #[schemars(extend("default" = true))]
    auth: Option<bool>,
    /// Statuses that it is expected to answer beside 2xx, each from 100 to 599, such as `[304]`: then they count as
    /// served. Without it 3xx counts as redirected, and 4xx and 5xx as errors of the upstream.
    #[schemars(extend("items" = {"type": "integer", "minimum": 100, "maximum": 599}))]
    expect_status: Option<Vec<u16>>,
}

/// The populations of clients, by name.
#[derive(JsonSchema)]
#[schemars(inline, extend("x-whole" = {"minProperties": 1}))]
struct Clients(BTreeMap<String, Population>);

/// Clients of one kind. Their load is one of `rate`, `ramp` and `bursts`, which go on whatever the answers (open
/// loop), and `users`, who wait for theirs (closed loop).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::one_load)]
struct Population {
    /// How many clients there are, each with an API key and an address of its own. Each request is of one of them,
    /// drawn at random. All populations together have at most 16,777,216.
    #[schemars(extend("default" = 1))]
    identities: Option<AtLeastOne>,
    /// API keys among them, at most as many as identities: `keys = 1, ips = 500` is one key across a botnet, and `keys = 0`
    /// are clients without a key. Default: one each.
    keys: Option<Count>,
    /// Addresses among them, at most as many as identities. Default: one each.
    ips: Option<AtLeastOne>,
    /// What they ask for: a path such as `"/orders/42"`, or paths and their weights, such as
    /// `{ "/catalog" = 6, "/stock?page=2" = 2 }`. Each is sent in the form that `gateway.paths`
    /// says; the longest route above it serves it.
    send: Targets,
    /// The HTTP method. POST and PATCH are not idempotent: a gateway does not try them again unless told.
    #[schemars(extend("default" = "GET"))]
    method: Option<Method>,
    /// The size of the body of each request, at most `"1MiB"`. Not of GET and HEAD. Default: none.
    body: Option<Size>,
    /// Requests per time over the whole scenario, such as `"200/s"`.
    rate: Option<Rate>,
    /// A rate that changes: points in time order with a straight line between them, the first one's rate before it
    /// and the last one's after it.
    #[schemars(extend("minItems" = 1))]
    ramp: Option<Vec<RampPoint>>,
    /// Bursts, each of a number of requests spread evenly over its time.
    #[schemars(extend("minItems" = 1))]
    bursts: Option<Vec<Burst>>,
    /// So many users, each of whom thinks, sends, waits for the answer, and thinks again. Needs `think`. A number, or
    /// one that changes: points in time order with a straight line between them, the first one's number before it and
    /// the last one's after it. Who came last leaves first, and finishes the request under way.
    users: Option<Users>,
    /// How the arrivals of `rate` and `ramp` are spaced.
    #[schemars(extend("default" = "uniform"))]
    arrivals: Option<Arrivals>,
    /// How long a user thinks before each request: a duration, or a distribution. Belongs to `users`.
    think: Option<Latency>,
    /// How users begin who think for a constant time. Belongs to `users`.
    #[schemars(extend("default" = "spread"))]
    start: Option<Start>,
    /// How long a client waits before it gives up. Default: for as long as it takes.
    timeout: Option<PositiveDuration>,
    /// When they try again; `false` or left out for never.
    retry: Option<Retry>,
    /// The token that they bear; `false` or left out for none.
    token: Option<Token>,
    /// Whether these clients mean harm. Then they do not count in goodput, and not where a measure is of everybody.
    #[schemars(extend("default" = false))]
    hostile: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    Options,
    Put,
    Delete,
    Post,
    Patch,
}

/// Where to send, and how much of it.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum Targets {
    One(Path),
    Weighted(Weights),
}

/// Paths and their weights; at least one is above zero.
#[derive(JsonSchema)]
#[schemars(inline, extend("minProperties" = 1, "propertyNames" = {"pattern": PATH}))]
struct Weights(BTreeMap<String, Count>);

/// A path that a route serves.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = PATH))]
struct Path(String);

const PATH: &str = "^/";

/// The rate at one time.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RampPoint {
    /// From the start of the scenario, such as `"30s"`.
    at: Duration,
    /// Requests per time then, such as `"200/s"`.
    rate: Rate,
}

/// As many users all the time, or as points say.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum Users {
    Constant(AtLeastOne),
    Ramp(UsersRamp),
}

/// Points in time order; at least one has a user.
#[derive(JsonSchema)]
#[schemars(inline, extend("minItems" = 1))]
struct UsersRamp(Vec<UsersPoint>);

/// The number of users at one time.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UsersPoint {
    /// From the start of the scenario, such as `"30s"`.
    at: Duration,
    /// How many users there are then.
    users: Count,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Start {
    /// Each somewhere within its first think, so that they are not in step for ever.
    Spread,
    /// All at once, as after an announcement.
    Together,
}

/// Request `k` of `count` is sent at `from + k · (to − from) / count`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Burst {
    /// From the start of the scenario, such as `"58s"`.
    from: Duration,
    /// From the start of the scenario, such as `"62s"`; not before `from`.
    to: Duration,
    /// How many requests.
    count: u64,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Arrivals {
    /// One after the other at equal distances.
    Uniform,
    /// At random, as independent clients send.
    Poisson,
    /// Each minute's share within its first second, as cron jobs send.
    OnTheMinute,
}

/// The gateway under test; `false` or left out for a plain reverse proxy.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct Gateway {
    /// Requests under way at a time, at least 1: the thread pool that all routes share. Default: unbounded.
    workers: Option<AtLeastOne>,
    /// Requests that may wait for a worker, first in, first out; the next is answered 503. Default: unbounded.
    queue: Option<Count>,
    /// How long a request may wait for a worker before it is answered 503. Default: for as long as it takes.
    queue_timeout: Option<PositiveDuration>,
    /// How long an answer may take, from the moment the request has a worker, on routes without their own
    /// `timeout`; then the client gets 504. Time that the gateway waits for the client does not count. Default: for as long as
    /// it takes.
    timeout: Option<PositiveDuration>,
    /// How long the gateway waits for the next bytes of a request's body; then the client gets 408. Pauses add up, and 500 bytes
    /// make up for a second. In runs over sockets only. Default: 60s.
    upload_timeout: Option<PositiveDuration>,
    /// How long the gateway waits until a client takes the next bytes of its answer; then the connection is reset. Pauses add
    /// up, and 500 bytes make up for a second. In runs over sockets only. Default: 60s.
    download_timeout: Option<PositiveDuration>,
    /// How paths are read. "normal": in one form, by which the route is chosen and which the upstream is asked for; an
    /// encoded slash or backslash and whatever else servers read differently is refused with 400. "verbatim": byte for byte
    /// as they come, for upstreams that mean something by `%2F` or `//`; only dot segments are refused.
    #[schemars(extend("default" = "normal"))]
    paths: Option<Paths>,
    /// When it tries again by itself, on routes without their own `retry`; `false` or left out for never.
    retry: Option<GatewayRetry>,
    rate_limit: Option<RateLimits>,
    /// A circuit breaker in front of each upstream; `false` or left out for none.
    breaker: Option<Breaker>,
    upstreams: Option<UpstreamPolicies>,
    /// Whose tokens are let in, before anything but `per_ip` is asked; `false` or left out for no token at all.
    auth: Option<Auth>,
    external: Option<External>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Paths {
    /// In one form; what servers read differently is refused.
    Normal,
    /// Byte for byte.
    Verbatim,
}

/// Whose tokens are accepted, and what they must claim. A token is a JWT in the field `Authorization: Bearer`, signed with
/// RS256, ES256 or `EdDSA`; it must say when it expires. Who has none that is valid is answered 401, and whose claims are
/// not as required 403.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::or_false)]
struct Auth {
    /// The name of the upstream that serves the keys: the one with `serves = "jwks"`.
    jwks: String,
    /// What `iss` must be. Default: it is not looked at.
    issuer: Option<String>,
    /// What `aud` must be or hold. Default: it is not looked at.
    audience: Option<String>,
    /// What tokens must claim besides, by name: the value, or `"*"` for any. A claim that is a list must hold the value, and
    /// `scope` have it as one of its words.
    required_claims: Option<Claims>,
    /// How far the clock of the issuer may be off, when `exp` and `nbf` are judged.
    #[schemars(extend("default" = "60s"))]
    leeway: Option<Duration>,
    /// How old keys are when the identity provider is asked again. Above zero.
    #[schemars(extend("default" = "5m"))]
    refresh: Option<PositiveDuration>,
    /// For how long beyond that keys are used if it does not answer.
    #[schemars(extend("default" = "1h"))]
    stale_for: Option<Duration>,
    /// How long it is waited for. Above zero.
    #[schemars(extend("default" = "5s"))]
    fetch_timeout: Option<PositiveDuration>,
    /// How often at most tokens of unknown keys have it asked. Above zero.
    #[schemars(extend("default" = "10s"))]
    cooldown: Option<PositiveDuration>,
    /// Which verified claims the upstream is told, and in which header field. Default:
    /// `{ sub = "x-auth-subject", scope = "x-auth-scope" }`.
    headers: Option<ClaimHeaders>,
    /// Whether the upstream gets the token itself, too.
    #[schemars(extend("default" = false))]
    forward_token: Option<bool>,
    /// How many tokens that were verified are remembered, so that they are not verified again; 0 for none.
    #[schemars(extend("default" = 10_000))]
    verified_tokens: Option<Count>,
}

/// Names of header fields that begin with `x-`, in lower case, by the claim that each tells.
#[derive(JsonSchema)]
#[schemars(inline)]
struct ClaimHeaders(BTreeMap<String, HeaderName>);

#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = "^x-[a-z0-9-]+$"))]
struct HeaderName(String);

/// Claims by name.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Claims(BTreeMap<String, Claim>);

#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum Claim {
    Text(String),
    Number(i64),
    Truth(bool),
    Several(Vec<Claimed>),
}

#[derive(JsonSchema)]
#[schemars(inline, untagged)]
enum Claimed {
    Text(String),
    Number(i64),
    Truth(bool),
}

/// Who may come to the application behind an upstream, which the measure `unauthorized_reached` goes by: those whose
/// token is genuine, of its time, and as said here. It turns nobody away.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::or_false)]
struct Requires {
    /// What `iss` must be. Default: it is not looked at.
    issuer: Option<String>,
    /// What `aud` must be or hold. Default: it is not looked at.
    audience: Option<String>,
    /// What tokens must claim besides, as `required_claims` of `auth` has it.
    claims: Option<Claims>,
}

/// The token that each client of a population bears, and has renewed when half of its life is over. Its `sub` is the name
/// of the population and the number of the client, such as `members/17`.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::or_false)]
struct Token {
    /// Its `iss`. Default: it says none.
    issuer: Option<String>,
    /// Its `aud`. Default: it says none.
    audience: Option<String>,
    /// What it claims besides.
    claims: Option<Claims>,
    /// From its issue until it expires, in whole seconds, at least two.
    #[schemars(extend("default" = "10m"))]
    lifetime: Option<PositiveDuration>,
    /// How it is signed.
    #[schemars(extend("default" = "ES256"))]
    algorithm: Option<SigningAlgorithm>,
    /// What is wrong with it. Default: nothing.
    defect: Option<TokenDefect>,
}

#[derive(JsonSchema)]
#[schemars(inline)]
enum SigningAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum TokenDefect {
    /// Names a key of the identity provider, and is signed with another.
    Forged,
    /// Says `alg: none`, and has no signature.
    Unsigned,
    /// Is signed by HMAC with the public key for a secret.
    Hmac,
    /// Names a key that the identity provider never had.
    UnknownKey,
    /// Expired an hour before its holder got it.
    Expired,
    /// Does not say when it expires.
    NoExpiry,
    /// Is valid from an hour after it expires.
    NotYetValid,
}

/// Another gateway in the place of this one, in live runs only; `false` or left out for none. It is asked over its
/// socket: its workers, limits and breakers are not observed, and the other keys of `gateway` have no effect on it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct External {
    /// Where it listens: `http`, host and port, such as `"http://127.0.0.1:8080"`. Load goes to loopback alone, unless
    /// `tuesday run --allow-remote` says otherwise.
    #[schemars(extend("pattern" = "^\\s*[Hh][Tt][Tt][Pp]:"))]
    url: String,
    /// The program that starts it and its arguments, each by itself, such as `["nginx", "-p", ".", "-c", "nginx.conf"]`.
    /// It is run in the folder of the scenario file, before each run anew, must stay in the foreground, and is ended
    /// after the run. Default: it runs already.
    #[schemars(extend("minItems" = 1))]
    command: Option<Vec<String>>,
    /// A path that it answers below 500 once it is ready, such as `"/health"`. Default: it is ready once it takes
    /// connections.
    #[schemars(extend("pattern" = "^/[^\\s#]*$"))]
    ready: Option<String>,
    /// How long it may take to be ready, such as `"10s"`; above zero, in real time.
    #[schemars(extend("default" = "10s"))]
    ready_within: Option<PositiveDuration>,
}

/// What the gateway holds against single upstreams, by their name.
#[derive(JsonSchema)]
#[schemars(inline)]
struct UpstreamPolicies(BTreeMap<String, UpstreamPolicy>);

/// What the gateway holds against one upstream.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UpstreamPolicy {
    /// The bulkhead: requests for this upstream that may hold or wait for a worker of the gateway, at least 1; the next
    /// is answered 503. Default: unbounded.
    max_in_flight: Option<AtLeastOne>,
    /// How long its answers may take, on routes without their own `timeout`. Default: the gateway's `timeout`.
    timeout: Option<PositiveDuration>,
    /// The circuit breaker in front of it, which replaces that of all upstreams whole; `false` for none.
    breaker: Option<Breaker>,
}

/// Rate limits, asked in the order `per_ip`, `per_key`, `per_route`, `global`; what one of them rejects is answered
/// 429 and takes nothing of the later ones. `false` or left out for no limit at all.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct RateLimits {
    /// A limit for each address that requests come from; `false` or left out for none.
    per_ip: Option<RateLimit>,
    /// A limit for each client; `false` or left out for none.
    per_key: Option<ClientLimit>,
    /// A limit for each route, over all clients; `false` or left out for none.
    per_route: Option<RateLimit>,
    /// One limit over everything; `false` or left out for none.
    global: Option<RateLimit>,
}

#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::what_the_algorithm_has, transform = super::or_false)]
struct RateLimit {
    /// How requests are counted.
    algorithm: Algorithm,
    /// Requests per `window`, at least 1.
    limit: AtLeastOne,
    /// The time that `limit` is for, such as `"1m"`: above zero and at most 366 days.
    window: PositiveDuration,
    /// Requests that a full bucket lets through at once, commonly a part of `limit`. Belongs to `token-bucket` and
    /// `gcra`. Default: `limit`.
    burst: Option<AtLeastOne>,
    /// Whether rejected requests count too, as some products have it: a client that stays above the limit is then
    /// locked out. Belongs to `sliding-window-log` and `sliding-window-counter`.
    #[schemars(extend("default" = false))]
    count_rejected: Option<bool>,
}

/// A limit for each client: each API key, or whatever else tells clients apart.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, transform = super::what_the_algorithm_has, transform = super::or_false)]
struct ClientLimit {
    #[serde(flatten)]
    limit: RateLimit,
    /// What tells clients apart: `"key"`, or a claim of their verified tokens such as `"claim:sub"`. Who makes no such claim
    /// is counted by key, and who has no key by address.
    #[schemars(extend("default" = "key", "pattern" = "^(key|claim:.+)$"))]
    by: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
enum Algorithm {
    /// Counts per window aligned to the clock. Around a boundary it lets twice the limit through.
    FixedWindow,
    /// A bucket of `burst` tokens, refilled at `limit` per `window`.
    TokenBucket,
    /// Admits what the token bucket admits, from one timestamp of state.
    Gcra,
    /// Exact: no interval as long as the window admits more than the limit.
    SlidingWindowLog,
    /// This window's count, and as much of the previous one's as is still in view.
    SlidingWindowCounter,
}

/// Something that goes wrong for a while: one of `error = { status }`, `refuse = true`, `slow = { latency }`,
/// `hang = true`, `drip = { body }`, `reset = true`, `capacity = { factor }` and `rotate-keys = true`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::one_kind)]
struct Fault {
    /// When it begins, from the start of the scenario, such as `"30s"`.
    at: Duration,
    /// How long it lasts, such as `"20s"`; above zero. What it did to a request keeps its course after it.
    r#for: PositiveDuration,
    /// The names of the upstreams that it strikes.
    #[schemars(extend("minItems" = 1))]
    upstreams: Vec<String>,
    /// The share of the attempts that it strikes, drawn at random. Above zero.
    #[schemars(extend("default" = "100%"))]
    fraction: Option<PositiveShare>,
    error: Option<ErrorFault>,
    /// The connection is refused; takes no worker.
    refuse: Option<Plain>,
    slow: Option<SlowFault>,
    /// Never answered. The worker is held until the caller leaves.
    hang: Option<Plain>,
    drip: Option<DripFault>,
    /// The connection is reset after part of the answer, which comes after the calls if there are any.
    reset: Option<Plain>,
    capacity: Option<CapacityFault>,
    /// The identity provider signs with a new key from then on, and publishes the one before until the fault is over.
    #[serde(rename = "rotate-keys")]
    rotate_keys: Option<Plain>,
}

/// A kind of fault that has no settings.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields, extend("type" = ["object", "boolean"]))]
struct Plain {}

/// Answered with a status at once; takes no worker.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct ErrorFault {
    /// The HTTP status, 300 to 599.
    #[schemars(extend("minimum" = 300, "maximum" = 599))]
    status: u16,
}

/// The work takes another time.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct SlowFault {
    /// The time in place of the upstream's own, such as `"28s"`: a duration, or a distribution.
    latency: Latency,
}

/// The answer begins in time, after the calls if there are any, and its body trickles.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct DripFault {
    /// From the first byte of the body to the last, such as `"10s"`: a duration, or a distribution.
    body: Latency,
}

/// The service has lost a part of its speed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = super::or_false)]
struct CapacityFault {
    /// The share of its speed that is left, above zero and below 100%: at `"25%"` the work takes four times as long.
    factor: PartialShare,
}

/// What a variant changes. Tables are merged key by key; arrays and distributions are replaced whole; `false`
/// switches the gateway, a limit, a breaker or retries off; a new `algorithm`, `backoff`, `half_open` or kind of load
/// drops what only the old one had.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Variant {
    upstreams: Option<Upstreams>,
    routes: Option<Routes>,
    clients: Option<Clients>,
    gateway: Option<Gateway>,
    /// The incident in this variant, instead of the file's.
    faults: Option<Vec<Fault>>,
}

/// What must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expect {
    /// Expectations, each a line `[variant:] measure[(arguments)] op value`; in place of the value, another measure.
    hold: Option<Vec<Expectation>>,
}

#[derive(JsonSchema)]
#[schemars(inline, transform = super::measures)]
struct Expectation(String);

/// A TOML date and time with an offset; a tool that reads TOML as JSON sees it as a string.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = INSTANT))]
struct Instant(String);

const INSTANT: &str = concat!(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?",
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
);

/// Such as `"28s"`, `"500ms"` or `"1m 30s"`.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = DURATION))]
struct Duration(String);

/// Such as `"28s"`, `"500ms"` or `"1m 30s"`; above zero.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = DURATION, "not" = {"pattern": ZERO}))]
struct PositiveDuration(String);

/// Such as `"200/s"`, `"16.7/s"` or `"1000/m"`.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = RATE))]
struct Rate(String);

/// Such as `"50%"` or `"0.1%"`.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = SHARE))]
struct Share(String);

/// Such as `"50%"` or `"150%"`.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = PERCENTAGE))]
struct Percentage(String);

/// Such as `"512B"`, `"2KB"` (2,000 bytes) or `"1KiB"` (1,024).
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = SIZE))]
struct Size(String);

/// Such as `"50%"` or `"0.1%"`; above zero and below 100%.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = PARTIAL_SHARE, "not" = {"pattern": ZERO}))]
struct PartialShare(String);

/// Such as `"50%"` or `"0.1%"`; above zero.
#[derive(JsonSchema)]
#[schemars(inline, extend("pattern" = SHARE, "not" = {"pattern": ZERO}))]
struct PositiveShare(String);

#[derive(JsonSchema)]
#[schemars(inline, extend("maximum" = u32::MAX))]
struct Count(u32);

#[derive(JsonSchema)]
#[schemars(inline, extend("minimum" = 1, "maximum" = u32::MAX))]
struct AtLeastOne(u32);

#[derive(JsonSchema)]
#[schemars(inline, extend("minimum" = 1, "maximum" = super::super::retry::MOST_RETRIES))]
struct Retries(u32);

/// Takes what [`units::duration`](super::super::units::duration) takes: amounts with their units, or hours, minutes
/// and seconds as on a clock. That units are in order, each named once, and that only the last amount has decimals,
/// is more than an expression says that anybody reads in an error message.
pub(super) const DURATION: &str = concat!(
    r"^\s*\+?([0-9]+:[0-9]+:[0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?\s*",
    r"(h|h(ou)?rs?|m|min(ute)?s?|s|sec(ond)?s?|(m|milli|[uµ]|micro|n|nano)s(ec(ond)?s?)?|(milli|micro|nano)s?)",
    r"\s*)+)\s*$"
);

/// Takes what [`units::rate`](super::super::units::rate) takes.
pub(super) const RATE: &str = r"^\s*0*[0-9]{1,9}(\.[0-9]{1,6})?\s*/\s*(ms|s|m|min|h)\s*$";

/// Takes what [`units::share`](super::super::units::share) takes.
pub(super) const SHARE: &str = r"^\s*0*(100(\.0{1,12})?|[0-9]{1,2}(\.[0-9]{1,12})?)\s*%\s*$";

/// Takes what [`units::percentage`](super::super::units::percentage) takes, and larger numbers.
pub(super) const PERCENTAGE: &str = r"^\s*[0-9]+(\.[0-9]{1,12})?\s*%\s*$";

/// Takes what [`units::size`](super::super::units::size) takes, and larger numbers.
pub(super) const SIZE: &str = r"^\s*[0-9]+\s*(B|KB|kB|KiB|MB|MiB)\s*$";

/// As [`SHARE`], below the whole.
pub(super) const PARTIAL_SHARE: &str = r"^\s*0*[0-9]{1,2}(\.[0-9]{1,12})?\s*%\s*$";

/// No digit but zeros.
pub(super) const ZERO: &str = "^[^1-9]*$";
