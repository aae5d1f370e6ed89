//! The key set of an identity provider, read from its JSON document.

use serde_json::{Map, Value};

use super::JwtKey;
use super::compact::decode;
use crate::auth::{FetchFailure, JwtAlgorithm, KeySet, VerifyingKey, strict_json};

/// The longest key set that is read, in bytes; providers' have a few thousand.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// Reads a JWK set (RFC 7517).
///
/// Keys that are not ours to use are passed over, since a set may hold any (5): of another type or curve, for encryption,
/// too weak, without a `kid`. One with its private part is passed over too: whoever can read the set can sign by it.
///
/// # Errors
///
/// [`FetchFailure::Malformed`] for what is no such set.
pub fn parse_jwks(document: &[u8]) -> Result<KeySet<JwtKey>, FetchFailure> {
    if document.len() > MAX_DOCUMENT {
        return Err(FetchFailure::Malformed);
    }
    let set = strict_json::object(document).ok_or(FetchFailure::Malformed)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(FetchFailure::Malformed)?;
    Ok(KeySet::new(keys.iter().filter_map(|key| usable(key.as_object()?))))
}

/// Members that only private and symmetric keys have (RFC 7518, 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn usable(jwk: &Map<String, Value>) -> Option<(String, JwtKey)> {
    let text = |name: &str| jwk.get(name)?.as_str();
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return None;
    }
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    if jwk
        .get("key_ops")
        .is_some_and(|ops| !ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")))
    {
        return None;
    }
    let kid = text("kid").filter(|kid| !kid.is_empty())?;
    let bytes = |name| decode(text(name)?);
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => JwtKey::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256")) => JwtKey::p256(&bytes("x")?, &bytes("y")?),
        ("OKP", Some("Ed25519")) => JwtKey::ed25519(&bytes("x")?),
        _ => None,
    }?;
    if jwk.get("alg").is_some_and(|algorithm| !is(algorithm, key.algorithm())) {
        return None;
    }
    Some((kid.to_owned(), key))
}

/// RFC 9864 calls `EdDSA` by the name of its curve.
fn is(name: &Value, algorithm: JwtAlgorithm) -> bool {
    name == algorithm.name() || (algorithm == JwtAlgorithm::EdDsa && name == "Ed25519")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: &Value) -> Result<usize, FetchFailure> {
        parse_jwks(document.to_string().as_bytes()).map(|keys| keys.len())
    }

    /// 32 bytes, and 256 of which the first bit is set.
    const SHORT: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn modulus() -> String {
        "_".repeat(341) + "w"
    }

    #[test]
    fn usable_keys_are_read_and_others_passed_over() {
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": SHORT });
        let ec = json!({ "kty": "EC", "crv": "P-256", "kid": "b", "x": SHORT, "y": SHORT });
        let rsa = json!({ "kty": "RSA", "kid": "c", "n": modulus(), "e": "AQAB" });
        assert_eq!(read(&json!({ "keys": [ed, ec, rsa], "more": 1 })), Ok(3));
        assert_eq!(read(&json!({ "keys": [ed, ed] })), Ok(1));
        assert_eq!(read(&json!({ "keys": [] })), Ok(0));
        let with = |key: &Value, name: &str, value: Value| {
            let mut key = key.clone();
            key[name] = value;
            read(&json!({ "keys": [key] })).unwrap()
        };
        for (name, value) in [
            ("use", json!("sig")),
            ("key_ops", json!(["verify"])),
            ("alg", json!("EdDSA")),
            ("alg", json!("Ed25519")),
            ("x5c", json!(["anything"])),
        ] {
            assert_eq!(with(&ed, name, value.clone()), 1, "{name} {value}");
        }
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!(7)),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("alg", json!("ES256")),
            ("alg", json!("HS256")),
            ("d", json!(SHORT)),
            ("k", json!(SHORT)),
            ("kid", json!(7)),
            ("kid", json!("")),
            ("kid", Value::Null),
            ("kty", json!("oct")),
            ("kty", json!("okp")),
            ("crv", json!("Ed448")),
            ("crv", json!("X25519")),
            ("x", json!("AQ")),
            ("x", json!(7)),
            ("x", json!(format!("{SHORT}="))),
        ] {
            assert_eq!(with(&ed, name, value.clone()), 0, "{name} {value}");
        }
        assert_eq!(with(&ec, "crv", json!("P-384")), 0);
        assert_eq!(with(&rsa, "n", json!(SHORT)), 0);
        assert_eq!(with(&rsa, "e", json!("AQ")), 0);
    }

    #[test]
    fn what_is_no_set_is_refused_and_a_set_is_bounded() {
        let malformed = Err(FetchFailure::Malformed);
        for document in
            ["", "[]", "null", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#]
        {
            assert_eq!(parse_jwks(document.as_bytes()).map(|keys| keys.len()), malformed, "{document}");
        }
        assert_eq!(read(&json!({ "keys": [1, null, [], "a", {}] })), Ok(0));
        let key =
            |number: usize| json!({ "kty": "OKP", "crv": "Ed25519", "kid": number.to_string(), "x": SHORT });
        let many: Vec<_> = (0..200).map(key).collect();
        assert_eq!(read(&json!({ "keys": many })), Ok(100));
        let padded = format!(r#"{{"keys":[],"more":"{}"}}"#, "x".repeat(MAX_DOCUMENT));
        assert_eq!(parse_jwks(padded.as_bytes()).map(|keys| keys.len()), malformed);
    }
}
