//! What an upstream is told of who asks: what was verified, and nothing that the client says itself.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::fields;
use crate::auth::{AuthConfig, Claims, InjectedClaim};

/// Makes a request's fields those that an upstream may believe.
#[derive(Clone, Debug)]
pub(super) struct IdentityFields {
    inject: Vec<(InjectedClaim, HeaderName)>,
    forward_token: bool,
}

/// Begins the names of all fields that speak of identity.
const PREFIX: &str = "x-auth-";

impl IdentityFields {
    pub(super) fn new(config: &AuthConfig) -> Self {
        let named = |claim: &InjectedClaim| {
            let name = HeaderName::try_from(claim.header()).expect("it was checked to be a field's name");
            (claim.clone(), name)
        };
        Self { inject: config.inject.iter().map(named).collect(), forward_token: config.forward_token }
    }

    /// Tells what was verified in the place of what the client says.
    pub(super) fn apply(&self, headers: &mut HeaderMap, claims: Option<&Claims>) {
        self.strip(headers);
        if !self.forward_token {
            headers.remove(AUTHORIZATION);
        }
        let Some(claims) = claims else { return };
        for (claim, name) in &self.inject {
            let value = claim.value(claims).and_then(|value| HeaderValue::try_from(value).ok());
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }

    /// Takes out what the client says of identity; of trailers too, which some servers take for fields.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        fields::remove(headers, |name| self.is_identity(name));
    }

    /// Whether an upstream may read a field as one of ours.
    fn is_identity(&self, name: &HeaderName) -> bool {
        fields::begins_as(name, PREFIX)
            || self.inject.iter().any(|(_, ours)| fields::reads_as(name, ours.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::UpstreamId;

    fn fields(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("mine"))).collect()
    }

    #[test]
    fn what_the_client_says_of_itself_is_replaced_however_it_spells_it() {
        let mut config = AuthConfig::new(UpstreamId(0));
        config.inject.push(InjectedClaim::new("tenant", "x-tenant").unwrap());
        let identity = IdentityFields::new(&config);
        let mut headers = fields(&[
            "x-auth-subject",
            "x_auth_subject",
            "x-auth_subject",
            "x.auth.subject",
            "x-auth-anything",
            "x-auth-",
            "x_tenant",
            "authorization",
            "x-auth",
            "x-authority",
            "x-tenants",
            "auth-subject",
        ]);
        let claims = Claims::parse(br#"{"sub":"a\r\nb","tenant":"acme"}"#).unwrap();
        identity.apply(&mut headers, Some(&claims));
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("auth-subject", "mine"),
                ("x-auth", "mine"),
                ("x-auth-subject", "a%0D%0Ab"),
                ("x-authority", "mine"),
                ("x-tenant", "acme"),
                ("x-tenants", "mine")
            ]
        );
        // Where nothing was verified, nothing is told.
        let mut headers = fields(&["x-auth-subject", "x-tenant", "authorization"]);
        identity.apply(&mut headers, None);
        assert!(headers.is_empty());
    }

    #[test]
    fn the_token_is_passed_on_where_that_is_wanted() {
        let config = AuthConfig { forward_token: true, ..AuthConfig::new(UpstreamId(0)) };
        let mut headers = fields(&["authorization"]);
        IdentityFields::new(&config).apply(&mut headers, None);
        assert_eq!(headers.len(), 1);
    }
}
