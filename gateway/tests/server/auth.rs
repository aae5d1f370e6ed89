//! Tokens, keys and who hears of them, over real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::gateway::auth::{AuthConfig, ClaimFault, JwksCacheConfig, RequiredClaim, TokenFault};
use ::gateway::server::{ScenarioClock, Server, ServerConfig, StartError};
use ::gateway::{
    Algorithm, Decision, GatewayConfig, KeyedBy, LimitRule, RateLimit, RateLimits, Rejection, RequestEnd,
    Route, Routes, UpstreamId,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, START, routes};
use crate::issuer::{Issuer, SECONDS};
use crate::upstream::{Reply, Upstream, ok};

/// An identity provider, and how it is at present.
struct Provider {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
    fetches: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum State {
    Serves(String),
    /// As soon as it is told to.
    ServesLate(String, Arc<Notify>),
    Fails,
    Hangs,
}

impl Provider {
    fn new(state: State) -> Self {
        let (state, fetches) = (Arc::new(Mutex::new(state)), Arc::new(AtomicUsize::new(0)));
        let (answering, counted) = (Arc::clone(&state), Arc::clone(&fetches));
        let upstream = Upstream::answering(move |request| {
            assert_eq!(request.target(), "/.well-known/jwks.json");
            assert_eq!(request.values("host").len(), 1);
            counted.fetch_add(1, SeqCst);
            match answering.lock().unwrap().clone() {
                State::Serves(jwks) => Reply::Send(ok(jwks)),
                State::ServesLate(jwks, go) => Reply::When(go, ok(jwks)),
                State::Fails => Reply::Close(b"HTTP/1.1 500 Sorry\r\ncontent-length: 0\r\n\r\n".to_vec()),
                State::Hangs => Reply::Hang(Vec::new()),
            }
        });
        Self { upstream, state, fetches }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(SeqCst)
    }
}

fn hello() -> Upstream {
    Upstream::answering(|_| Reply::Send(ok("hello")))
}

/// The application is upstream 0, the identity provider upstream 1.
fn config(change: impl FnOnce(&mut AuthConfig)) -> GatewayConfig {
    let mut auth = AuthConfig::new(UpstreamId(1));
    change(&mut auth);
    GatewayConfig { auth: Some(auth), routes: routes(1), ..GatewayConfig::default() }
}

fn start(application: &Upstream, provider: &Provider, speed: f64, config: GatewayConfig) -> Gateway {
    let upstreams = [application.address, provider.upstream.address];
    Gateway::at_speed(speed, config, &upstreams, |config| config.threads = 2)
}

fn claims() -> Value {
    json!({ "sub": "user-1", "exp": SECONDS + 86_400, "scope": "read write" })
}

fn get(client: &mut Client, path: &str, fields: &str) -> Answer {
    client.send(format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\n{fields}\r\n")).answer(false)
}

fn bearing(client: &mut Client, token: &str) -> Answer {
    get(client, "/", &format!("authorization: Bearer {token}\r\n"))
}

fn reason(answer: &Answer) -> String {
    let document: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(document["status"], answer.status);
    document["reason"].as_str().unwrap().to_owned()
}

#[test]
fn an_upstream_is_told_what_was_verified_and_nothing_else() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let gateway = start(&application, &provider, 1.0, config(|_| {}));
    let mut client = Client::connect(gateway.address());
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = issuer.token(algorithm, &claims());
        // The second time it is recalled.
        for _ in 0..2 {
            let fields = format!(
                "X-Auth-Subject: admin\r\nx_auth_subject: admin\r\nx-auth-roles: admin\r\nx-other: kept\r\n\
                 connection: x-auth-scope\r\nAuthorization: Bearer {token}\r\n"
            );
            assert_eq!(get(&mut client, "/", &fields).status, 200, "{algorithm}");
            let request = application.next();
            assert_eq!(request.values("x-auth-subject"), ["user-1"]);
            assert_eq!(request.values("x-auth-scope"), ["read write"]);
            assert_eq!(request.values("x-other"), ["kept"]);
            for gone in ["x_auth_subject", "x-auth-roles", "authorization"] {
                assert_eq!(request.values(gone), [""; 0], "{gone}");
            }
        }
    }
    // What trails a body is no way around it.
    let token = issuer.token("ES256", &claims());
    let post = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-auth-subject, x-sum\r\n\r\n1\r\nx\r\n0\r\nx-auth-subject: admin\r\nx-sum: 7\r\n\r\n"
    );
    assert_eq!(client.send(post).answer(false).status, 200);
    let request = application.next();
    assert_eq!((request.values("x-auth-subject"), &*request.body), (vec!["user-1"], &b"x"[..]));
    assert!(!String::from_utf8_lossy(&request.raw_body).contains("admin"));
    assert_eq!(gateway.log.settled(7).served(), 7);
    assert_eq!(provider.fetches(), 1, "before anybody asked");
}

#[test]
fn the_token_goes_on_where_it_is_wanted() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let gateway = start(&application, &provider, 1.0, config(|auth| auth.forward_token = true));
    let token = issuer.token("EdDSA", &claims());
    assert_eq!(bearing(&mut Client::connect(gateway.address()), &token).status, 200);
    assert_eq!(application.next().values("authorization"), [format!("Bearer {token}")]);
}

#[test]
fn an_answer_says_what_is_wrong() {
    let (issuer, attacker) = (Issuer::new(), Issuer::new());
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let required = RequiredClaim { name: "scope".into(), expected: Some(json!("write")) };
    let gateway = start(&application, &provider, 1.0, config(|auth| auth.required_claims = vec![required]));
    let mut client = Client::connect(gateway.address());
    let token = issuer.token("ES256", &claims());
    let forged = attacker.token("ES256", &claims());
    let reader = issuer.token("ES256", &json!({ "sub": "a", "exp": SECONDS + 600, "scope": "read" }));
    let (none, invalid, scope) = ("", r#", error="invalid_token""#, r#", error="insufficient_scope""#);
    for (path, fields, status, name, error) in [
        ("/", String::new(), 401, "token-missing", none),
        ("/", "authorization: Basic dXNlcjpwYXNz\r\n".to_owned(), 401, "token-missing", none),
        (&*format!("/?access_token={token}"), String::new(), 401, "token-missing", none),
        ("/", format!("cookie: token={token}\r\n"), 401, "token-missing", none),
        ("/", format!("authorization: Bearer {token}\r\n").repeat(2), 401, "token-malformed", invalid),
        ("/", format!("authorization: Bearer {forged}\r\n"), 401, "signature-invalid", invalid),
        ("/", format!("authorization: Bearer {reader}\r\n"), 403, "claim-mismatch", scope),
    ] {
        let answer = get(&mut client, path, &fields);
        assert_eq!((answer.status, &*reason(&answer)), (status, name), "{path} {fields}");
        assert_eq!(answer.value("content-type"), Some("application/problem+json"));
        let challenge = answer.value("www-authenticate").unwrap();
        let begins = format!(r#"Bearer realm="gateway"{error}"#);
        assert!(challenge.starts_with(&begins), "{challenge}");
        assert_eq!(challenge.contains("error"), !error.is_empty(), "{challenge}");
    }
    assert_eq!(bearing(&mut client, &token).status, 200, "the connection goes on");
    let told = gateway.log.settled(8);
    let unauthenticated = |reason| RequestEnd::Rejected(Rejection::Unauthenticated { reason });
    assert_eq!(told.ends()[5], unauthenticated(TokenFault::SignatureInvalid));
    assert_eq!(told.ends()[6], RequestEnd::Rejected(Rejection::Forbidden { reason: ClaimFault::Mismatch }));
    assert_eq!(application.received.try_iter().count(), 1, "nobody else reached the application");
}

#[test]
fn a_route_without_auth_is_for_everybody_and_nobodys_identity_passes() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let route = |path: &str, auth| Route {
        path: path.into(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth,
    };
    let routes = Routes::new(vec![route("/orders", true), route("/login", false)]).unwrap();
    let gateway = start(&application, &provider, 1.0, GatewayConfig { routes, ..config(|_| {}) });
    let mut client = Client::connect(gateway.address());
    assert_eq!(
        get(&mut client, "/login", "x-auth-subject: admin\r\nauthorization: Bearer x\r\n").status,
        200
    );
    let request = application.next();
    assert_eq!((request.values("x-auth-subject").len(), request.values("authorization").len()), (0, 0));
    assert_eq!(get(&mut client, "/orders", "").status, 401);
    // Which paths there are is for those to know who may ask.
    assert_eq!(get(&mut client, "/nothing", "").status, 401);
}

#[test]
fn a_limit_counts_whom_the_token_names() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let per_key = RateLimit::new(Algorithm::FixedWindow, 2, Duration::from_secs(60)).unwrap();
    let per_key = LimitRule { by: KeyedBy::claim("sub"), ..per_key.into() };
    let limits = RateLimits { per_key: per_key.into(), ..RateLimits::default() };
    let gateway = start(&application, &provider, 1.0, GatewayConfig { limits, ..config(|_| {}) });
    let mut client = Client::connect(gateway.address());
    let mut statuses = |subject: &str| {
        let token = issuer.token("EdDSA", &json!({ "sub": subject, "exp": SECONDS + 600 }));
        // Another key with each request.
        [1, 2, 3].map(|key| {
            get(&mut client, "/", &format!("authorization: Bearer {token}\r\nx-api-key: {key}\r\n")).status
        })
    };
    assert_eq!(statuses("a"), [200, 200, 429]);
    assert_eq!(statuses("b"), [200, 200, 429]);
}

#[test]
fn a_thousand_requests_with_unknown_keys_cause_one_fetch() {
    let (issuer, attacker) = (Issuer::new(), Issuer::new());
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    let gateway = start(&application, &provider, 1.0, config(|_| {}));
    let token = issuer.token("EdDSA", &claims());
    assert_eq!(bearing(&mut Client::connect(gateway.address()), &token).status, 200);
    assert_eq!(provider.fetches(), 1);
    let go = Arc::new(Notify::new());
    provider.set(State::ServesLate(issuer.jwks(), Arc::clone(&go)));

    let address = gateway.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        use http_body_util::Empty;
        let mut answers = tokio::task::JoinSet::new();
        // A connection takes 200 streams.
        for connection in 0..5 {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (sender, driver) = hyper::client::conn::http2::handshake(
                hyper_util::rt::TokioExecutor::new(),
                hyper_util::rt::TokioIo::new(stream),
            )
            .await
            .unwrap();
            tokio::spawn(driver);
            for number in 0..200 {
                let header = json!({ "alg": "EdDSA", "kid": format!("{connection}-{number}") });
                let token = attacker.sign("EdDSA", &header.to_string(), &claims().to_string());
                let request = http::Request::builder()
                    .uri("http://gateway.test/")
                    .header("authorization", format!("Bearer {token}"))
                    .body(Empty::<bytes::Bytes>::new())
                    .unwrap();
                let mut sender = sender.clone();
                answers.spawn(async move { sender.send_request(request).await.unwrap().status() });
            }
        }
        // Let in meanwhile: nobody waits for a key that is known.
        let known =
            tokio::task::spawn_blocking(move || bearing(&mut Client::connect(address), &token).status);
        assert_eq!(known.await.unwrap(), 200);
        go.notify_one();
        while let Some(status) = answers.join_next().await {
            assert_eq!(status.unwrap(), 401);
        }
    });
    let told = gateway.log.settled(1_002);
    let reason = TokenFault::KeyUnknown;
    let unknown = told.rejected(|rejection| *rejection == Rejection::Unauthenticated { reason });
    assert_eq!((unknown, told.served(), provider.fetches()), (1_000, 2, 2));
}

#[test]
fn an_outage_shorter_than_stale_for_costs_no_request() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Serves(issuer.jwks())));
    // Refreshed ten times a second of real time, and used for a minute of it.
    let cache = JwksCacheConfig::new(Duration::from_secs(10), Duration::from_secs(6_000)).unwrap();
    let gateway = start(&application, &provider, 100.0, config(|auth| auth.cache = cache));
    let mut client = Client::connect(gateway.address());
    let token = issuer.token("ES256", &claims());
    assert_eq!(bearing(&mut client, &token).status, 200);
    let mut sent = 1;
    for state in
        [State::Fails, State::Hangs, State::Serves("[]".into()), State::Serves(r#"{"keys":[]}"#.into())]
    {
        provider.set(state);
        let before = provider.fetches();
        while provider.fetches() < before + 3 {
            // Recalled, and judged anew.
            assert_eq!(bearing(&mut client, &token).status, 200);
            let other = json!({ "sub": sent.to_string(), "exp": SECONDS + 86_400 });
            assert_eq!(bearing(&mut client, &issuer.token("EdDSA", &other)).status, 200);
            sent += 2;
            assert!(sent < 100_000, "keys are no longer asked for");
        }
    }
    assert_eq!(gateway.log.settled(sent).served(), sent);
}

#[test]
fn rotated_keys_are_found_and_withdrawn_ones_forgotten() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let set = |keys: &[Value]| State::Serves(json!({ "keys": keys }).to_string());
    let (application, provider) = (hello(), Provider::new(set(&[old.ec_jwk("2026-05")])));
    let gateway = start(&application, &provider, 1.0, config(|_| {}));
    let mut client = Client::connect(gateway.address());
    let sign = |issuer: &Issuer, kid: &str| {
        let header = json!({ "alg": "ES256", "kid": kid });
        issuer.sign("ES256", &header.to_string(), &claims().to_string())
    };
    let (before, after) = (sign(&old, "2026-05"), sign(&new, "2026-06"));
    assert_eq!(bearing(&mut client, &before).status, 200);
    provider.set(set(&[new.ec_jwk("2026-06")]));
    // Nobody has told us yet.
    assert_eq!(bearing(&mut client, &before).status, 200);
    assert_eq!(bearing(&mut client, &after).status, 200);
    let answer = bearing(&mut client, &before);
    assert_eq!((answer.status, &*reason(&answer)), (401, "key-unknown"));
    assert_eq!(provider.fetches(), 2);
}

#[test]
fn without_keys_nobody_is_let_in_and_it_recovers_by_itself() {
    let issuer = Issuer::new();
    for state in [State::Fails, State::Hangs] {
        let (application, provider) = (hello(), Provider::new(state));
        let gateway = start(&application, &provider, 50.0, config(|_| {}));
        let mut client = Client::connect(gateway.address());
        let token = issuer.token("RS256", &claims());
        let answer = bearing(&mut client, &token);
        assert_eq!((answer.status, &*reason(&answer)), (503, "keys-unavailable"));
        let retry_after: u64 = answer.value("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&retry_after), "{retry_after}");
        assert_eq!(answer.value("www-authenticate"), None, "the client did nothing wrong");
        // What needs no key is judged.
        assert_eq!(get(&mut client, "/", "").status, 401);
        assert_eq!(application.received.try_iter().count(), 0);
        provider.set(State::Serves(issuer.jwks()));
        while bearing(&mut client, &token).status != 200 {
            assert!(provider.fetches() < 100, "it never recovers");
        }
        assert_eq!(application.next().values("x-auth-subject"), ["user-1"]);
    }
}

#[test]
fn who_leaves_while_it_waits_for_keys_is_told_of() {
    let issuer = Issuer::new();
    let (application, provider) = (hello(), Provider::new(State::Hangs));
    let gateway = start(&application, &provider, 1.0, config(|_| {}));
    let mut client = Client::connect(gateway.address());
    let token = issuer.token("RS256", &claims());
    client.send(format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n"));
    // Until the request is there.
    let mut other = Client::connect(gateway.address());
    assert_eq!(get(&mut other, "/", "").status, 401);
    while provider.fetches() == 0 {
        std::thread::yield_now();
    }
    drop(client);
    let told = gateway.log.settled(2);
    assert_eq!(told.ends().iter().filter(|end| **end == RequestEnd::ClientLeft).count(), 1);
    assert!(told.decided.iter().any(|(_, decision)| matches!(decision, Decision::AwaitKeys { .. })));
    // Nor does it hold up the end.
    drop(gateway);
}

#[test]
fn an_identity_provider_without_an_address_is_refused() {
    use ::gateway::server::{ScenarioClock, Server, ServerConfig, StartError};
    let application = hello();
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig::new(listen, config(|_| {}), vec![application.address]);
    let clock = ScenarioClock::starting_now(crate::gateway::START, 1.0);
    let refused = Server::start(config, clock, Arc::new(())).unwrap_err();
    assert!(matches!(refused, StartError::NoAddress { upstream: 1 }));
}

#[test]
fn a_provider_at_port_0_is_one_without_an_address() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("")));
    let auth = Some(AuthConfig::new(UpstreamId(1)));
    let config = GatewayConfig { routes: routes(1), auth, ..GatewayConfig::default() };
    let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let start = |upstreams| {
        let clock = ScenarioClock::starting_now(START, 1.0);
        Server::start(ServerConfig::new(here(0), config.clone(), upstreams), clock, Arc::new(()))
    };
    let refused = start(vec![upstream.address, here(0)]).unwrap_err();
    assert!(matches!(refused, StartError::NoAddress { upstream: 1 }), "{refused}");
    // Of an upstream that nobody asks, no address is needed.
    start(vec![upstream.address, upstream.address, here(0)]).unwrap();
}

/// A provider may publish the next key under the name of the last one.
#[test]
fn each_key_of_a_name_is_tried() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let keys = json!({ "keys": [old.ed_jwk("same"), new.ed_jwk("same")] });
    let (application, provider) = (hello(), Provider::new(State::Serves(keys.to_string())));
    let gateway = start(&application, &provider, 1.0, config(|_| {}));
    let mut client = Client::connect(gateway.address());
    let header = r#"{"alg":"EdDSA","kid":"same"}"#;
    for issuer in [&old, &new] {
        let token = issuer.sign("EdDSA", header, &claims().to_string());
        assert_eq!(bearing(&mut client, &token).status, 200);
    }
    let answer = bearing(&mut client, &Issuer::new().sign("EdDSA", header, &claims().to_string()));
    assert_eq!((answer.status, reason(&answer).as_str()), (401, "signature-invalid"));
}
