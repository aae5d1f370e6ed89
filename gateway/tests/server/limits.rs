//! What limits count and by whom, as a client over a socket meets it. The clock all but stands, so that nothing is refilled.

use std::time::Duration;

use ::gateway::{
    Algorithm, Costs, FailureSet, GatewayConfig, KeyPart, KeyedBy, LimitList, LimitName, LimitRule, Method,
    MethodSet, RateLimit, RateLimits, RouteId, StatusSet, Tier, TierKeys, TierMembers, TrustedProxies,
};

use crate::client::{Answer, Client};
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

const MINUTE: Duration = Duration::from_secs(60);

fn limit(limit: u32) -> RateLimit {
    RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).unwrap()
}

/// A gateway under these limits, whose clock all but stands.
fn gateway(limits: RateLimits, upstreams: &[&Upstream]) -> Gateway {
    let config = GatewayConfig { limits, ..GatewayConfig::default() };
    let addresses: Vec<_> = upstreams.iter().map(|upstream| upstream.address).collect();
    Gateway::at_speed(1e-6, config, &addresses, |_| {})
}

fn hello() -> Upstream {
    Upstream::answering(|_| Reply::Send(ok("hello")))
}

fn ask(client: &mut Client, method: &str, path: &str, fields: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n{fields}\r\n");
    client.send(request).answer(false)
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_address() {
    let upstream = hello();
    let config = GatewayConfig {
        limits: RateLimits { per_ip: limit(2).into(), ..RateLimits::default() },
        trusted_proxies: TrustedProxies::new(vec![
            "127.0.0.1".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ]),
        ..GatewayConfig::default()
    };
    let gateway = Gateway::at_speed(1e-6, config, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    let mut of = |fields: &str| ask(&mut client, "GET", "/", fields).status;
    // Whatever the client wrote before what the proxies added.
    assert_eq!(of("x-forwarded-for: 198.51.100.7\r\n"), 200);
    assert_eq!(of("x-forwarded-for: 1.2.3.4, 198.51.100.7, 10.0.0.9\r\n"), 200);
    assert_eq!(of("x-forwarded-for: 5.6.7.8\r\nx-forwarded-for: 198.51.100.7\r\n"), 429);
    assert_eq!(of("x-forwarded-for: 198.51.100.8\r\n"), 200);
    // Without a word of it, or with none that can be read, the proxy is the client.
    assert_eq!([of(""), of("x-forwarded-for: unknown\r\n"), of("")], [200, 200, 429]);
    let ways: Vec<String> = (0..5).map(|_| upstream.next().values("x-forwarded-for").join("; ")).collect();
    assert_eq!(
        ways,
        [
            "198.51.100.7, 127.0.0.1",
            "198.51.100.7, 10.0.0.9, 127.0.0.1",
            "198.51.100.8, 127.0.0.1",
            "127.0.0.1",
            "127.0.0.1"
        ]
    );
}

#[test]
fn who_is_not_trusted_is_its_own_client_whatever_it_says() {
    let upstream = hello();
    let gateway = gateway(RateLimits { per_ip: limit(1).into(), ..RateLimits::default() }, &[&upstream]);
    let mut client = Client::connect(gateway.address());
    assert_eq!(ask(&mut client, "GET", "/", "x-forwarded-for: 198.51.100.7\r\n").status, 200);
    assert_eq!(ask(&mut client, "GET", "/", "x-forwarded-for: 198.51.100.8\r\n").status, 429);
    assert_eq!(upstream.next().values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn failures_alone_count_when_their_answers_are_known() {
    let upstream = Upstream::answering(|request| {
        Reply::Send(match request.target() {
            "/wrong" => b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec(),
            _ => ok("welcome"),
        })
    });
    let count = Some(FailureSet { statuses: StatusSet::of(&[401, 502]), ..FailureSet::default() });
    let per_ip = LimitRule { count, ..limit(3).into() };
    let gateway = gateway(RateLimits { per_ip: per_ip.into(), ..RateLimits::default() }, &[&upstream]);
    let mut client = Client::connect(gateway.address());
    let mut sent = 0;
    let mut of = |path: &str| {
        let answer = ask(&mut client, "POST", path, "");
        sent += 1;
        // It counts before it is told that the request has ended.
        gateway.log.settled(sent);
        (answer.status, answer.value("ratelimit").map(str::to_owned))
    };
    let left = |left: u32| Some(format!(r#""per_ip";r={left}"#));
    for _ in 0..5 {
        assert_eq!(of("/right"), (200, left(3)));
    }
    for remaining in (1..=3).rev() {
        assert_eq!(of("/wrong"), (401, left(remaining)));
    }
    assert_eq!([of("/right").0, of("/wrong").0], [429, 429]);
}

#[test]
fn the_gateways_own_answers_count_as_failures_too() {
    let vacant = crate::upstream::Vacant::new();
    let count = Some(FailureSet { connect: true, ..FailureSet::default() });
    let per_ip = LimitRule { count, ..limit(2).into() };
    let config = GatewayConfig {
        limits: RateLimits { per_ip: per_ip.into(), ..RateLimits::default() },
        ..GatewayConfig::default()
    };
    let gateway = Gateway::at_speed(1e-6, config, &[vacant.address], |_| {});
    let mut client = Client::connect(gateway.address());
    let statuses: Vec<u16> = (1..=3)
        .map(|sent| {
            let answer = ask(&mut client, "POST", "/", "");
            gateway.log.settled(sent);
            answer.status
        })
        .collect();
    assert_eq!(statuses, [502, 502, 429]);
}

#[test]
fn keys_and_routes_together_costs_and_methods() {
    let upstream = hello();
    let per_route = LimitRule {
        by: KeyedBy::all(vec![KeyPart::ApiKey, KeyPart::Route]),
        costs: Costs::new([(RouteId(1), 4)]),
        methods: Some(MethodSet::of([Method::Post])),
        ..limit(5).into()
    };
    let limits = RateLimits { per_route: per_route.into(), ..RateLimits::default() };
    let gateway = gateway(limits, &[&upstream, &upstream]);
    let mut client = Client::connect(gateway.address());
    let mut of = |method: &str, path: &str, key: &str| {
        let answer = ask(&mut client, method, path, &format!("x-api-key: {key}\r\n"));
        (answer.status, answer.value("ratelimit").map(str::to_owned))
    };
    let left = |left: u32| Some(format!(r#""per_route";r={left}"#));
    assert_eq!(of("POST", "/1", "a"), (200, left(1)));
    // Of four none passes.
    assert_eq!(of("POST", "/1", "a").0, 429);
    // Another route and another key have buckets of their own; other methods and those that nobody knows are not counted.
    assert_eq!(of("POST", "/", "a"), (200, left(4)));
    assert_eq!(of("POST", "/1", "b"), (200, left(1)));
    assert_eq!([of("GET", "/1", "a"), of("PURGE", "/1", "a")], [(200, None), (200, None)]);
}

#[test]
fn a_tier_is_told_its_own_numbers_and_of_two_limits_the_nearer_one_is_told() {
    let upstream = hello();
    let gold = Tier {
        name: LimitName::new("gold").unwrap(),
        members: TierMembers { keys: vec![TierKeys::One("vip".into())], ..TierMembers::default() },
        limit: limit(4),
    };
    let named = |name, limit: RateLimit| LimitRule { name: LimitName::new(name).ok(), ..limit.into() };
    let per_key = vec![
        LimitRule { tiers: vec![gold], ..named("burst", limit(2)) },
        // Once in a while its bucket is nearer to its end, though more is left in it.
        named("quota", limit(100)),
    ];
    let limits = RateLimits { per_key: LimitList::new(per_key).unwrap(), ..RateLimits::default() };
    let gateway = gateway(limits, &[&upstream]);
    let mut client = Client::connect(gateway.address());
    let mut of = |key: &str| ask(&mut client, "GET", "/", &format!("x-api-key: {key}\r\n"));
    for (key, most) in [("a", 2), ("vip", 4)] {
        for remaining in (0..most).rev() {
            let answer = of(key);
            let policy = format!(r#""per_key.burst";q={most};w=60, "per_key.quota";q=100;w=60"#);
            assert_eq!((answer.status, answer.value("ratelimit-policy")), (200, Some(&*policy)), "{key}");
            let left = format!(r#""per_key.burst";r={remaining}"#);
            assert_eq!(answer.value("ratelimit"), Some(&*left), "{key}");
        }
        let answer = of(key);
        assert_eq!(answer.status, 429, "{key}");
        assert!(answer.value("ratelimit").unwrap().starts_with(r#""per_key.burst";r=0;t="#), "{key}");
        assert!(answer.text().contains(r#""violated-policies":["per_key.burst"]"#), "{}", answer.text());
    }
}
