//! Tokens that somebody should not have been let in with, each with the answer it earns. Every one is really signed, by
//! the right key where the attack is not in the signature.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod issuer;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateway::auth::jwt::{Bearer, JwtKey, parse_jwks};
use gateway::auth::{AuthConfig, AuthVerdict, RequiredClaim, SharedAuthenticator};
use gateway::{Rejection, UpstreamId};
use serde_json::{Value, json};

use crate::issuer::{Issuer, NOW, SECONDS, base64url, hmac_signed};

const MALFORMED: (u16, &str) = (401, "token-malformed");
const REFUSED: (u16, &str) = (401, "algorithm-refused");
const UNKNOWN: (u16, &str) = (401, "key-unknown");
const MISMATCH: (u16, &str) = (401, "algorithm-mismatch");
const INVALID: (u16, &str) = (401, "signature-invalid");
const LET_IN: (u16, &str) = (200, "");

/// What is sent in `Authorization` fields.
type Fields = Vec<Vec<u8>>;

struct Table {
    issuer: Issuer,
    authenticator: SharedAuthenticator<JwtKey>,
    /// Names so far.
    rows: Vec<String>,
    /// What was answered otherwise.
    wrong: Vec<String>,
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.test", "aud": "orders", "sub": "user-1", "exp": SECONDS + 300, "iat": SECONDS - 60,
        "tenant": "acme", "scope": "read write",
    })
}

/// The claims with some of them changed; `null` takes one out.
fn but(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

impl Table {
    fn new() -> Self {
        let required = |name: &str, expected| RequiredClaim { name: name.into(), expected };
        let config = AuthConfig {
            issuer: Some("https://idp.test".into()),
            audience: Some("orders".into()),
            required_claims: vec![required("tenant", None), required("scope", Some(json!("write")))],
            ..AuthConfig::new(UpstreamId(0))
        };
        let (issuer, authenticator) = (Issuer::new(), SharedAuthenticator::new(config));
        let fetch = authenticator.poll_fetch(NOW).unwrap();
        authenticator.on_fetched(NOW, fetch.number, parse_jwks(issuer.jwks().as_bytes()));
        Self { issuer, authenticator, rows: Vec::new(), wrong: Vec::new() }
    }

    fn fields(&mut self, name: &str, fields: &Fields, expected: (u16, &str)) {
        // Twice: the second time a genuine one is recalled.
        for time in ["first", "second"] {
            let bearer = Bearer::read(fields.iter().map(Vec::as_slice));
            let verdict = match self.authenticator.on_bearer(NOW, bearer, true) {
                AuthVerdict::Verified(_) => LET_IN,
                AuthVerdict::Rejected(rejection) => match rejection {
                    Rejection::Unauthenticated { reason } => (rejection.status(), reason.name()),
                    Rejection::Forbidden { reason } => (rejection.status(), reason.name()),
                    other => panic!("{name}: {other:?}"),
                },
                AuthVerdict::AwaitKeys(wait) => panic!("{name}: {wait:?}"),
            };
            if verdict != expected {
                self.wrong.push(format!("{name}, the {time} time: {verdict:?} and not {expected:?}"));
            }
        }
        self.rows.push(name.to_owned());
    }

    fn token(&mut self, name: &str, token: &str, expected: (u16, &str)) {
        self.fields(name, &vec![format!("Bearer {token}").into_bytes()], expected);
    }

    /// By the EC key.
    fn header(&mut self, name: &str, header: &str, expected: (u16, &str)) {
        let token = self.issuer.sign("ES256", header, &claims().to_string());
        self.token(name, &token, expected);
    }

    /// By the EC key.
    fn payload(&mut self, name: &str, payload: &str, expected: (u16, &str)) {
        let token = self.issuer.sign("ES256", r#"{"alg":"ES256","kid":"ec"}"#, payload);
        self.token(name, &token, expected);
    }

    fn claims(&mut self, name: &str, changes: &Value, expected: (u16, &str)) {
        self.payload(name, &but(changes).to_string(), expected);
    }
}

#[test]
fn every_hostile_token_earns_its_answer() {
    let mut table = Table::new();
    genuine(&mut table);
    fields(&mut table);
    shapes(&mut table);
    algorithms(&mut table);
    keys(&mut table);
    signatures(&mut table);
    registered_claims(&mut table);
    required_claims(&mut table);

    assert!(table.wrong.is_empty(), "{:#?}", table.wrong);
    let hostile = table.rows.iter().filter(|name| !name.starts_with("genuine")).count();
    assert!(hostile >= 80, "{hostile}");
    let mut names = table.rows.clone();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), table.rows.len(), "each once");
}

#[test]
fn a_token_with_any_byte_changed_lets_nobody_in() {
    let table = Table::new();
    let lets_in = |token: &[u8]| {
        matches!(table.authenticator.on_bearer(NOW, Bearer::Token(token), true), AuthVerdict::Verified(_))
    };
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = table.issuer.token(algorithm, &claims()).into_bytes();
        assert!(lets_in(&token), "{algorithm}");
        for place in 0..token.len() {
            for byte in [token[place] ^ 1, b'A', b'_', b'.', b'=', b' ', 0, 0xff] {
                let mut changed = token.clone();
                changed[place] = byte;
                assert!(byte == token[place] || !lets_in(&changed), "{algorithm}: {byte:#x} at {place}");
            }
            assert!(
                !lets_in(&token[..place]) && !lets_in(&token[place + 1..]),
                "{algorithm}: cut at {place}"
            );
        }
    }
}

fn genuine(table: &mut Table) {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = table.issuer.token(algorithm, &claims());
        table.token(&format!("genuine {algorithm}"), &token, LET_IN);
    }
    let token = table.issuer.token("ES256", &claims());
    table.fields("genuine lower-case scheme", &vec![format!("bearer {token}").into_bytes()], LET_IN);
    table.header("genuine without kid, of which one key fits", r#"{"alg":"ES256"}"#, LET_IN);
    table.header(
        "genuine with spaces and unknown members",
        r#" { "alg" : "ES256" , "kid":"ec", "x":{} } "#,
        LET_IN,
    );
    table.claims("genuine audience of several", &json!({ "aud": ["billing", "orders"] }), LET_IN);
    table.claims("genuine scope as array", &json!({ "scope": ["read", "write"] }), LET_IN);
    table.claims("genuine within leeway", &json!({ "exp": SECONDS - 59, "nbf": SECONDS + 60 }), LET_IN);
    table.claims("genuine with a fraction of a second", &json!({ "exp": SECONDS as f64 + 0.5 }), LET_IN);
}

fn fields(table: &mut Table) {
    let token = table.issuer.token("ES256", &claims());
    let missing = (401, "token-missing");
    table.fields("no field", &vec![], missing);
    table.fields("another scheme", &vec![b"Basic dXNlcjpwYXNz".to_vec()], missing);
    table.fields("a token without a scheme", &vec![token.clone().into_bytes()], missing);
    table.fields("a scheme that ends in a tab", &vec![format!("Bearer\t{token}").into_bytes()], missing);
    table.fields("a scheme without a token", &vec![b"Bearer".to_vec()], MALFORMED);
    let bearer = format!("Bearer {token}").into_bytes();
    table.fields("the same field twice", &vec![bearer.clone(), bearer.clone()], MALFORMED);
    table.fields("two schemes in two fields", &vec![b"Basic dXNlcjpwYXNz".to_vec(), bearer], MALFORMED);
    let list = format!("Bearer {token}, Bearer {token}").into_bytes();
    table.fields("two tokens in one field", &vec![list], MALFORMED);
    table.fields("no UTF-8", &vec![[b"Bearer \xff\xfe.".as_slice(), token.as_bytes()].concat()], MALFORMED);
    table.fields("a zero byte", &vec![format!("Bearer {token}\0").into_bytes()], MALFORMED);
}

fn shapes(table: &mut Table) {
    let token = table.issuer.token("ES256", &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for (name, token) in [
        ("empty parts", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("a dot behind", format!("{token}.")),
        ("a dot in front", format!(".{token}")),
        ("five parts, a JWE", format!("{header}.AA.AA.AA.AA")),
        ("trailing text", format!("{token} x")),
        ("a space within", format!("{header}. {payload}.{signature}")),
        ("a line break within", format!("{header}.{payload}\n.{signature}")),
        ("padding", format!("{header}.{payload}.{signature}==")),
        (
            "a padded header",
            format!("{}.{payload}.{signature}", STANDARD.encode(r#"{"alg":"ES256","kid":"ec"}"#)),
        ),
        ("characters of standard base64", format!("{header}.{payload}.{}", "+/".repeat(43))),
        ("percent-encoded", token.replace('.', "%2E")),
        ("of 10 KB", table.issuer.token("ES256", &but(&json!({ "pad": "x".repeat(10_240) })))),
        ("header no JSON", format!("{}.{payload}.{signature}", base64url("alg"))),
        ("header an array", format!("{}.{payload}.{signature}", base64url(r#"["ES256"]"#))),
        ("header no UTF-8", format!("{}.{payload}.{signature}", base64url(b"{\"alg\":\"ES256\xff\"}"))),
        ("header with a BOM", format!("{}.{payload}.{signature}", base64url("\u{feff}{\"alg\":\"ES256\"}"))),
        ("header nested without end", format!("{}.{payload}.{signature}", base64url("{\"a\":".repeat(900)))),
    ] {
        table.token(name, &token, MALFORMED);
    }
    // The last character of 64 bytes has four bits that say nothing: only one spelling of them is taken.
    let mut alias = token.clone().into_bytes();
    let last = alias.last_mut().unwrap();
    *last = if *last == b'Q' { b'R' } else { *last + 1 };
    table.token("another spelling of the signature", std::str::from_utf8(&alias).unwrap(), MALFORMED);

    for (name, header) in [
        ("trailing data in the header", r#"{"alg":"ES256","kid":"ec"}{}"#),
        ("two alg", r#"{"alg":"none","alg":"ES256","kid":"ec"}"#),
        ("two alg, one escaped", r#"{"alg":"ES256","\u0061lg":"none","kid":"ec"}"#),
        ("two kid", r#"{"alg":"ES256","kid":"ec","kid":"rsa"}"#),
        ("no alg", r#"{"kid":"ec"}"#),
        ("alg null", r#"{"alg":null,"kid":"ec"}"#),
        ("alg a list", r#"{"alg":["ES256","none"],"kid":"ec"}"#),
        ("kid a number", r#"{"alg":"ES256","kid":7}"#),
        ("kid null", r#"{"alg":"ES256","kid":null}"#),
        ("kid an object", r#"{"alg":"ES256","kid":{"ec":1}}"#),
        ("crit", r#"{"alg":"ES256","kid":"ec","crit":["exp"]}"#),
        ("crit, empty", r#"{"alg":"ES256","kid":"ec","crit":[]}"#),
        ("unencoded payload", r#"{"alg":"ES256","kid":"ec","b64":false,"crit":["b64"]}"#),
    ] {
        table.header(name, header, MALFORMED);
    }
}

fn algorithms(table: &mut Table) {
    let payload = claims().to_string();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{none}","kid":"ec"}}"#);
        let unsigned = format!("{}.{}.", base64url(&header), base64url(&payload));
        table.token(&format!("alg {none:?}, not signed"), &unsigned, REFUSED);
        table.header(&format!("alg {none:?}, signed"), &header, REFUSED);
    }
    let der = table.issuer.rsa_der();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let n = table.issuer.rsa_jwk("rsa")["n"].as_str().unwrap().to_owned();
    let jwk = table.issuer.rsa_jwk("rsa").to_string();
    let keys = [
        ("PEM", pem.as_bytes()),
        ("DER", &der),
        ("modulus", n.as_bytes()),
        ("JWK", jwk.as_bytes()),
        ("nothing", b""),
    ];
    for (what, key) in keys {
        let token = hmac_signed(key, r#"{"alg":"HS256","kid":"rsa"}"#, &payload);
        table.token(&format!("HMAC with the public key's {what}"), &token, REFUSED);
        let token = hmac_signed(key, r#"{"alg":"RS256","kid":"rsa"}"#, &payload);
        table.token(&format!("HMAC with the public key's {what}, said to be RSA"), &token, INVALID);
    }
    for other in ["HS512", "RS512", "PS256", "ES384", "ES256K", "rs256", "Es256", "eddsa", "RS256 ", "A256KW"]
    {
        table.header(&format!("alg {other:?}"), &format!(r#"{{"alg":"{other}","kid":"ec"}}"#), REFUSED);
    }
    let pss = table.issuer.sign("PS256", r#"{"alg":"RS256","kid":"rsa"}"#, &payload);
    table.token("PSS said to be PKCS #1", &pss, INVALID);
    for (kid, algorithm) in
        [("rsa", "ES256"), ("ec", "RS256"), ("ed", "ES256"), ("ec", "EdDSA"), ("rsa", "EdDSA")]
    {
        let token =
            table.issuer.sign(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#), &payload);
        table.token(&format!("{algorithm} with the key {kid}"), &token, MISMATCH);
    }
}

fn keys(table: &mut Table) {
    let long = "k".repeat(4_000);
    for (name, kid) in [
        ("that nobody has", "2019-07"),
        ("empty", ""),
        ("in capitals", "EC"),
        ("with a space", "ec "),
        ("that climbs", "../../../../dev/null"),
        ("that is a file", "/proc/sys/kernel/randomize_va_space"),
        ("of SQL", "ec' UNION SELECT 'AA' --"),
        ("of a command", "ec|whoami"),
        ("with a zero byte", "ec\\u0000"),
        ("of 4,000 characters", &long),
    ] {
        table.header(&format!("a kid {name}"), &format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), UNKNOWN);
    }
    // Signed by a key that the token brings along.
    let attacker = Issuer::new();
    let payload = claims().to_string();
    let brought = [
        ("jwk", json!(attacker.ec_jwk("attacker"))),
        ("jku", json!("https://attacker.test/jwks.json")),
        ("x5u", json!("https://attacker.test/cert.pem")),
        ("x5c", json!([STANDARD.encode(attacker.rsa_der())])),
    ];
    for (member, value) in brought {
        for (kid, expected) in [(Some("attacker"), UNKNOWN), (Some("ec"), INVALID), (None, INVALID)] {
            let mut header = json!({ "alg": "ES256", member: value });
            if let Some(kid) = kid {
                header["kid"] = json!(kid);
            }
            let token = attacker.sign("ES256", &header.to_string(), &payload);
            table.token(&format!("a key brought along in {member}, kid {kid:?}"), &token, expected);
        }
    }
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = attacker.token(algorithm, &claims());
        table.token(&format!("{algorithm} by another key of that kid"), &token, INVALID);
    }
}

fn signatures(table: &mut Table) {
    let other = but(&json!({ "sub": "user-2" }));
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = table.issuer.token(algorithm, &claims());
        let another = table.issuer.token(algorithm, &other);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (another_message, another_signature) = another.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let altered = |change: fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            base64url(bytes)
        };
        for (name, message, signature) in [
            ("no signature", message, String::new()),
            ("a signature cut short", message, altered(|bytes| bytes.truncate(bytes.len() - 1))),
            ("a signature with a byte more", message, altered(|bytes| bytes.push(0))),
            ("a signature with a bit changed", message, altered(|bytes| bytes[7] ^= 1)),
            // CVE-2022-21449: r = s = 0 was valid for any message.
            ("a signature of zeros", message, altered(|bytes| bytes.fill(0))),
            ("a signature of ones", message, altered(|bytes| bytes.fill(0xff))),
            ("the signature of another token", message, another_signature.to_owned()),
            ("the payload of another token", another_message, signature.to_owned()),
        ] {
            table.token(&format!("{algorithm}, {name}"), &format!("{message}.{signature}"), INVALID);
        }
    }
    // One encoding only, or there are two tokens for one signature.
    let header = r#"{"alg":"ES256","kid":"ec"}"#;
    let der = table.issuer.sign("ES256 as DER", header, &claims().to_string());
    table.token("ES256, a signature in DER", &der, INVALID);
}

fn registered_claims(table: &mut Table) {
    let json = claims().to_string();
    table.payload("payload empty", "", MALFORMED);
    table.payload("payload an array", "[]", MALFORMED);
    table.payload("payload a text", r#""user-1""#, MALFORMED);
    table.payload("payload a token", &table.issuer.token("ES256", &claims()), MALFORMED);
    table.payload("trailing data in the payload", &format!("{json}{json}"), MALFORMED);
    table.payload("two exp", &json.replace(r#""exp":"#, r#""exp":9999999999,"exp":"#), MALFORMED);
    table.payload("two sub", &json.replace(r#""sub":"#, r#""sub":"admin","sub":"#), MALFORMED);
    table.payload(
        "two members deep down",
        &json.replace(r#""sub":"#, r#""x":[{"a":1,"a":2}],"sub":"#),
        MALFORMED,
    );
    for exp in ["1e300", "1e400", "NaN", "-1", "18446744073709551615", "253402300799", "0x7fffffff"] {
        let json = json.replace(&format!(r#""exp":{}"#, SECONDS + 300), &format!(r#""exp":{exp}"#));
        table.payload(&format!("exp {exp}"), &json, MALFORMED);
    }
    let expired = (401, "token-expired");
    let not_yet = (401, "not-yet-valid");
    let (issuer, audience) = ((401, "issuer-mismatch"), (401, "audience-mismatch"));
    table.claims("no exp", &json!({ "exp": null }), (401, "expiry-missing"));
    for (name, changes, expected) in [
        ("exp a text", json!({ "exp": "9999999999" }), MALFORMED),
        ("exp a list", json!({ "exp": [9_999_999_999_u64] }), MALFORMED),
        ("exp at the leeway's end", json!({ "exp": SECONDS - 60 }), expired),
        ("exp long ago", json!({ "exp": 0 }), expired),
        ("exp just before the leeway's end", json!({ "exp": (SECONDS - 60) as f64 - 0.5 }), expired),
        (
            "exp in the past, nbf in the future",
            json!({ "exp": SECONDS - 100, "nbf": SECONDS + 100 }),
            expired,
        ),
        ("nbf beyond leeway", json!({ "nbf": SECONDS + 61 }), not_yet),
        ("nbf far ahead", json!({ "nbf": 9_999_999_999_u64 }), not_yet),
        ("nbf a text", json!({ "nbf": "0" }), MALFORMED),
        ("nbf negative", json!({ "nbf": -1 }), MALFORMED),
        ("iat a text", json!({ "iat": "yesterday" }), MALFORMED),
        ("no iss", json!({ "iss": null }), issuer),
        ("iss another", json!({ "iss": "https://idp.attacker.test" }), issuer),
        ("iss with a slash more", json!({ "iss": "https://idp.test/" }), issuer),
        ("iss in capitals", json!({ "iss": "HTTPS://IDP.TEST" }), issuer),
        ("iss a list", json!({ "iss": ["https://idp.test"] }), MALFORMED),
        ("no aud", json!({ "aud": null }), audience),
        ("aud another", json!({ "aud": "billing" }), audience),
        ("aud others", json!({ "aud": ["billing", "order", "orders2"] }), audience),
        ("aud empty", json!({ "aud": [] }), audience),
        ("aud of words", json!({ "aud": "billing orders" }), audience),
        ("aud an object", json!({ "aud": { "orders": true } }), MALFORMED),
        ("aud with a number", json!({ "aud": ["orders", 7] }), MALFORMED),
        ("sub a number", json!({ "sub": 7 }), MALFORMED),
    ] {
        table.claims(name, &changes, expected);
    }
}

fn required_claims(table: &mut Table) {
    let (missing, mismatch) = ((403, "claim-missing"), (403, "claim-mismatch"));
    for (name, changes, expected) in [
        ("no tenant", json!({ "tenant": null }), missing),
        ("no scope", json!({ "scope": null }), missing),
        ("scope without the word", json!({ "scope": "read" }), mismatch),
        ("scope with a longer word", json!({ "scope": "read overwrite write2" }), mismatch),
        ("scope in capitals", json!({ "scope": "WRITE" }), mismatch),
        ("scope with commas", json!({ "scope": "read,write" }), mismatch),
        ("scope an object", json!({ "scope": { "write": true } }), mismatch),
        ("scope a list in a list", json!({ "scope": [["write"]] }), mismatch),
        // Who comes before what.
        ("expired and without scope", json!({ "exp": 1, "scope": null }), (401, "token-expired")),
        (
            "of another audience and without scope",
            json!({ "aud": "x", "scope": null }),
            (401, "audience-mismatch"),
        ),
    ] {
        table.claims(name, &changes, expected);
    }
    // A claim that is null is not made. (`but` would leave it out.)
    let null = claims().to_string().replace(r#""tenant":"acme""#, r#""tenant":null"#);
    table.payload("tenant null", &null, missing);
}
