//! What a token costs a request: all of the validation per algorithm, and a token that was verified before.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::UpstreamId;
use gateway::auth::jwt::{Bearer, CompactToken, JwtKey, parse_jwks, token_digest};
use gateway::auth::{AuthConfig, AuthVerdict, RequiredClaim, SharedAuthenticator};
use serde_json::{Value, json};

use crate::issuer::{Issuer, NOW, SECONDS};

#[expect(dead_code, reason = "some is for the table of hostile tokens")]
#[path = "../tests/issuer/mod.rs"]
mod issuer;

/// As identity providers make them: some 700 bytes in RS256.
fn claims(number: u64) -> Value {
    json!({
        "iss": "https://login.example.test/realms/shop", "aud": ["orders", "billing"], "azp": "web",
        "sub": format!("8f14e45f-ceea-467f-9b1a-{number:012}"), "jti": format!("{number:032x}"),
        "iat": SECONDS - 60, "nbf": SECONDS - 60, "exp": SECONDS + 300,
        "scope": "openid profile orders:read orders:write", "realm_access": { "roles": ["customer", "reader"] },
    })
}

fn authenticator(issuer: &Issuer, verified_tokens: usize) -> SharedAuthenticator<JwtKey> {
    let authenticator = SharedAuthenticator::new(AuthConfig {
        issuer: Some("https://login.example.test/realms/shop".into()),
        audience: Some("orders".into()),
        required_claims: vec![RequiredClaim { name: "scope".into(), expected: Some(json!("orders:read")) }],
        verified_tokens,
        ..AuthConfig::new(UpstreamId(0))
    });
    let fetch = authenticator.poll_fetch(NOW).unwrap();
    authenticator.on_fetched(NOW, fetch.number, parse_jwks(issuer.jwks().as_bytes()));
    authenticator
}

fn judge(authenticator: &SharedAuthenticator<JwtKey>, token: &str) {
    let verdict = authenticator.on_bearer(NOW, Bearer::Token(black_box(token).as_bytes()), false);
    assert!(matches!(verdict, AuthVerdict::Verified(_)));
}

fn tokens(criterion: &mut Criterion) {
    let issuer = Issuer::new();
    let mut group = criterion.benchmark_group("auth");
    group.throughput(Throughput::Elements(1));
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = issuer.token(algorithm, &claims(0));
        // Nothing is remembered: each time is the first.
        let forgetful = authenticator(&issuer, 0);
        group.bench_function(format!("validate/{algorithm}"), |bencher| {
            bencher.iter(|| judge(&forgetful, &token));
        });
    }
    for algorithm in ["RS256", "EdDSA"] {
        // All of a full memory, in turn.
        let remembering = authenticator(&issuer, 10_000);
        let tokens: Vec<_> = (0..5_000).map(|number| issuer.token(algorithm, &claims(number))).collect();
        for token in &tokens {
            judge(&remembering, token);
        }
        let mut next = tokens.iter().cycle();
        group.bench_function(format!("verified before/{algorithm}"), |bencher| {
            bencher.iter(|| judge(&remembering, next.next().unwrap()));
        });
    }
    // What it is made of.
    let token = issuer.token("RS256", &claims(0));
    group
        .bench_function("digest/RS256", |bencher| bencher.iter(|| token_digest(black_box(token.as_bytes()))));
    group.bench_function("parse/RS256", |bencher| {
        bencher.iter(|| CompactToken::parse(black_box(token.as_bytes())).is_some());
    });
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
