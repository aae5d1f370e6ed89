//! What a request bears: taken apart as RFC 7515 has it or not at all, and let in only if the provider signed just that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway::auth::jwt::{Bearer, CompactToken, JwtKey, parse_jwks};
use gateway::auth::{AuthConfig, AuthVerdict, SharedAuthenticator};
use gateway::{Timestamp, UpstreamId};

/// The keys of a provider, and the tokens that it signed by them, a line each.
const KEYS: &str = include_str!("../seeds/tokens/keys.json");
const SIGNED: &str = include_str!("../seeds/tokens/signed.txt");

/// When the tokens are judged: 2026-06-02T09:00:00Z.
const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

/// The values of the `Authorization` fields of a request, a line each; or a key set.
pub(crate) fn check(bytes: &[u8]) {
    if bytes.trim_ascii_start().starts_with(b"{") {
        let keys = parse_jwks(bytes).map_or(0, |keys| keys.len());
        assert!(keys <= 100, "{keys} keys are held");
        return;
    }
    let bearer = Bearer::read(bytes.split(|byte| *byte == b'\n'));
    let Bearer::Token(token) = bearer else { return judged(bearer, None) };
    if let Some(parsed) = CompactToken::parse(token) {
        let text = std::str::from_utf8(token).expect("a token is text");
        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!(parts.len(), 3, "{text}");
        for part in parts {
            let decoded = URL_SAFE_NO_PAD.decode(part).expect("a part is base64url");
            assert_eq!(URL_SAFE_NO_PAD.encode(decoded), part, "each part has one spelling");
        }
        drop(parsed);
    }
    judged(bearer, Some(token));
}

/// Nobody is let in whose token is not one that was signed; nor the second time, when one may be remembered.
fn judged(bearer: Bearer<'_>, token: Option<&[u8]>) {
    let authenticator: SharedAuthenticator<JwtKey> = SharedAuthenticator::new(AuthConfig::new(UpstreamId(0)));
    let fetch = authenticator.poll_fetch(NOW).expect("keys are due");
    authenticator.on_fetched(NOW, fetch.number, parse_jwks(KEYS.as_bytes()));
    let message = |token: &[u8]| Some(token.rsplitn(2, |byte| *byte == b'.').nth(1)?.to_vec());
    for _ in 0..2 {
        if let AuthVerdict::Verified(_) = authenticator.on_bearer(NOW, bearer, true) {
            let token = token.expect("somebody without a token was let in");
            let is_genuine = SIGNED.lines().any(|signed| message(signed.as_bytes()) == message(token));
            assert!(is_genuine, "nobody signed {}", token.escape_ascii());
        }
    }
}
