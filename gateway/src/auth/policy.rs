//! What is asked of claims once it is known whose they are.

use super::{AuthConfig, ClaimFault, Claims, TokenFault};
use crate::rejection::Rejection;
use crate::timestamp::Timestamp;

/// Asks everything of the claims that can be asked, once it is known whose they are.
///
/// # Errors
///
/// The rejection that the first thing earns which is not as it must be.
pub fn judge(config: &AuthConfig, now: Timestamp, claims: &Claims) -> Result<(), Rejection> {
    let refuse = |reason| Err(Rejection::Unauthenticated { reason });
    if let Err(reason) = judge_times(config, now, claims) {
        return refuse(reason);
    }
    if config.issuer.as_deref().is_some_and(|issuer| claims.issuer() != Some(issuer)) {
        return refuse(TokenFault::IssuerMismatch);
    }
    if config.audience.as_deref().is_some_and(|audience| !claims.is_for(audience)) {
        return refuse(TokenFault::AudienceMismatch);
    }
    for required in &config.required_claims {
        match claims.get(&required.name).filter(|claimed| !claimed.is_null()) {
            None => return Err(Rejection::Forbidden { reason: ClaimFault::Missing }),
            Some(claimed) if !required.is_met(claimed) => {
                return Err(Rejection::Forbidden { reason: ClaimFault::Mismatch });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Asks what time changes: all that is left to be asked of a token that was judged before.
pub(super) fn judge_times(config: &AuthConfig, now: Timestamp, claims: &Claims) -> Result<(), TokenFault> {
    let expires = claims.expires().ok_or(TokenFault::ExpiryMissing)?;
    // RFC 7519, 4.1.4: on or after that time it must not be accepted.
    if now >= expires + config.leeway {
        return Err(TokenFault::Expired);
    }
    if claims.not_before().is_some_and(|not_before| now + config.leeway < not_before) {
        return Err(TokenFault::NotYetValid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::RequiredClaim;
    use crate::route::UpstreamId;

    const NOW: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const SECONDS: u64 = 1_780_390_800;

    fn judged(change: impl FnOnce(&mut AuthConfig), claims: Value) -> Result<(), Rejection> {
        let mut config = AuthConfig::new(UpstreamId(0));
        change(&mut config);
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        judge(&config, NOW, &Claims::from_map(claims).unwrap())
    }

    fn refused(reason: TokenFault) -> Result<(), Rejection> {
        Err(Rejection::Unauthenticated { reason })
    }

    #[test]
    fn times_hold_to_the_nanosecond_with_leeway() {
        assert_eq!(judged(|_| {}, json!({})), refused(TokenFault::ExpiryMissing));
        for (left, leeway, valid) in [(1, 0, true), (0, 0, false), (-59, 60, true), (-60, 60, false)] {
            let expires = SECONDS.wrapping_add_signed(left);
            let leeway = |config: &mut AuthConfig| config.leeway = std::time::Duration::from_secs(leeway);
            let expected = if valid { Ok(()) } else { refused(TokenFault::Expired) };
            assert_eq!(judged(leeway, json!({ "exp": expires })), expected, "{left}");
        }
        for (ahead, valid) in [(60, true), (61, false)] {
            let claims = json!({ "exp": SECONDS + 100, "nbf": SECONDS + ahead });
            let expected = if valid { Ok(()) } else { refused(TokenFault::NotYetValid) };
            assert_eq!(judged(|_| {}, claims), expected, "{ahead}");
        }
        // Whatever the leeway, nothing overflows, and an `iat` ahead is nobody's business.
        let for_ever = |config: &mut AuthConfig| config.leeway = std::time::Duration::MAX;
        assert_eq!(judged(for_ever, json!({ "exp": 0, "nbf": u32::MAX, "iat": u32::MAX })), Ok(()));
    }

    #[test]
    fn who_comes_before_what() {
        let strict = |config: &mut AuthConfig| {
            config.issuer = Some("https://idp.test".into());
            config.audience = Some("orders".into());
            let claim = |name: &str, expected| RequiredClaim { name: name.into(), expected };
            config.required_claims = vec![claim("tenant", None), claim("scope", Some(json!("write")))];
        };
        let mut claims = json!({ "exp": SECONDS + 1 });
        let mut check = |name: &str, value: Value, expected| {
            claims[name] = value;
            assert_eq!(judged(strict, claims.clone()), expected, "{claims}");
        };
        let forbidden = |reason| Err(Rejection::Forbidden { reason });
        check("iss", json!("https://idp.test/"), refused(TokenFault::IssuerMismatch));
        check("iss", json!("https://idp.test"), refused(TokenFault::AudienceMismatch));
        check("aud", json!(["billing"]), refused(TokenFault::AudienceMismatch));
        check("aud", json!(["billing", "orders"]), forbidden(ClaimFault::Missing));
        check("tenant", Value::Null, forbidden(ClaimFault::Missing));
        check("tenant", json!(7), forbidden(ClaimFault::Missing));
        check("scope", json!("read"), forbidden(ClaimFault::Mismatch));
        check("scope", json!("read write"), Ok(()));
    }
}
