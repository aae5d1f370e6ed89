//! Who is let in: the tables `auth` of the gateway and of upstreams, what an upstream `requires`, and the `token` that the
//! clients of a population bear.

use std::rc::Rc;
use std::time::Duration;

use gateway::UpstreamId;
use gateway::auth::{
    AuthConfig, AuthConfigError, InjectedClaim, JwksCacheConfig, JwtAlgorithm, RequiredClaim,
};
use serde_json::{Number, Value as Json, json};
use simulator::{TokenConfig, TokenDefect, TokenError};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Field, Read};
use super::shape::{Choice, Shape};
use super::table::table;
use super::tree::{Entry, Node, Table, Value};
use super::upstream_names::Known;
use super::values::{FromNode, Name, Positive, read};

table! {
    /// The tokens that are accepted, and the claims that they must make. A token is a JWT in the field `Authorization: Bearer`,
    /// signed with RS256, ES256 or `EdDSA`, and must say when it expires. A request without a valid token is answered 401; one
    /// whose token lacks a required claim is answered 403.
    pub(super) struct Auth<'t> (Choice::Free) {
        /// The name of the upstream that serves the keys: the one with `serves = "jwks"`.
        jwks: Rc<str>, needed "";
        /// The value that `iss` must have. Default: `iss` is not checked.
        issuer: Rc<str>;
        /// The value that `aud` must be or hold. Default: `aud` is not checked.
        audience: Rc<str>;
        /// Further claims that tokens must make, by name: the value, or `"*"` for any value. A claim that is a list must hold
        /// the value; `scope` must have the value as one of its words.
        required_claims: RequiredClaims;
        /// How far the issuer's clock may be off when `exp` and `nbf` are checked.
        leeway: Duration = AuthConfig::new(UpstreamId(0)).leeway;
        /// The age of the keys at which the gateway asks the identity provider again. Above zero.
        refresh: Positive = Positive(JwksCacheConfig::default().refresh_after());
        /// How long the gateway waits for the identity provider's answer. Above zero.
        fetch_timeout: Positive = Positive(JwksCacheConfig::default().fetch_timeout());
        /// The shortest time between two questions to the identity provider that tokens of unknown keys cause. Above zero.
        cooldown: Positive = Positive(JwksCacheConfig::default().cooldown());
        /// How long beyond `refresh` the keys are used while the identity provider does not answer.
        stale_for: Duration = JwksCacheConfig::default().stale_for();
        /// The verified claims that the upstream is told, each with its header field. Default: `{ sub = "x-auth-subject", scope
        /// = "x-auth-scope" }`.
        headers: Headers;
        /// Whether the upstream gets the token itself too.
        forward_token: bool = false;
        /// The number of verified tokens that are remembered and not verified again; 0 for none.
        verified_tokens: u32 = AuthConfig::new(UpstreamId(0)).verified_tokens as u32;
    }

    /// The tokens that an application behind an upstream is meant for.
    pub(super) struct Requires<'t> (Choice::Free) {
        /// The value that `iss` must have. Default: `iss` is not checked.
        issuer: Rc<str>;
        /// The value that `aud` must be or hold. Default: `aud` is not checked.
        audience: Rc<str>;
        /// Further claims that tokens must make, as in `required_claims` of `auth`.
        claims: RequiredClaims;
    }

    /// The token that each client of a population bears, and has renewed when half of its life is over. Its `sub` is the name
    /// of the population and the number of the client, such as `members/17`.
    pub(super) struct Token<'t> (Choice::Free) {
        /// The token's `iss`. Default: no `iss`.
        issuer: Rc<str>;
        /// The token's `aud`. Default: no `aud`.
        audience: Rc<str>;
        /// The token's further claims.
        claims: Claims;
        /// The time from the issue of a token to its expiry, in whole seconds, at least two.
        lifetime: Positive = Positive(TokenConfig::LIFETIME);
        /// The algorithm of the signature.
        algorithm: JwtAlgorithm = JwtAlgorithm::Es256;
        /// The defect of the token. Default: no defect.
        defect: TokenDefect;
    }
}

impl Auth<'_> {
    pub(super) fn build(self, upstreams: Known<'_>) -> Option<AuthConfig> {
        let jwks = self.provider(upstreams)?;
        // All that could be wrong is a zero, which has been refused.
        let cache = JwksCacheConfig::new(self.refresh.value.0, self.stale_for.value)
            .and_then(|cache| cache.with_fetch_timeout(self.fetch_timeout.value.0))
            .and_then(|cache| cache.with_cooldown(self.cooldown.value.0));
        let defaults = AuthConfig::new(UpstreamId(jwks as u32));
        Some(AuthConfig {
            issuer: text(&self.issuer),
            audience: text(&self.audience),
            required_claims: self.required_claims.value.unwrap_or_default().0,
            leeway: self.leeway.value,
            cache: cache.ok()?,
            inject: self.headers.value.map_or_else(|| defaults.inject.clone(), |Headers(inject)| inject),
            forward_token: self.forward_token.value,
            verified_tokens: self.verified_tokens.value as usize,
            ..defaults
        })
    }

    /// The upstream that is asked for keys. What it is to be asked for is said where it stands.
    fn provider(&self, upstreams: Known<'_>) -> Option<usize> {
        let place = upstreams.find_named(&self.jwks, &self.table)?;
        if upstreams.provider != Some(place) {
            let (path, name) = (self.table.path_of(self.jwks.key), upstreams.names[place]);
            let message = format!("`{path}`: the upstream `{name}` serves no keys");
            let problem = Problem::error(self.jwks.span_in(&self.table), message);
            let provider = upstreams.provider.and_then(|provider| upstreams.names.get(provider));
            self.table.context().push(problem.help(match provider {
                Some(provider) => format!("did you mean `{provider}`?"),
                None => "an identity provider is an upstream with `serves = \"jwks\"`".to_owned(),
            }));
        }
        Some(place)
    }
}

impl Requires<'_> {
    /// What the measure `unauthorized_reached` judges by; nobody is turned away by it.
    pub(super) fn build(self) -> AuthConfig {
        AuthConfig {
            issuer: text(&self.issuer),
            audience: text(&self.audience),
            required_claims: self.claims.value.unwrap_or_default().0,
            ..AuthConfig::new(UpstreamId(0))
        }
    }
}

impl Token<'_> {
    pub(super) fn build(self) -> Option<TokenConfig> {
        let refuse = |error: TokenError| {
            let message = format!("`{}`: {error}", self.table.path_of(self.lifetime.key));
            self.table.context().push(Problem::error(self.lifetime.span_in(&self.table), message));
        };
        let mut token = TokenConfig::new(self.lifetime.value.0).map_err(refuse).ok()?;
        token.issuer = text(&self.issuer);
        token.audience = text(&self.audience);
        token.claims = self.claims.value.unwrap_or_default().0;
        token.algorithm = self.algorithm.value;
        token.defect = self.defect.value;
        Some(token)
    }
}

fn text(field: &Field<'_, Option<Rc<str>>>) -> Option<String> {
    field.value.as_deref().map(str::to_owned)
}

/// `headers = { sub = "x-auth-subject" }`: which claims the upstream is told, and where.
pub(super) struct Headers(Vec<InjectedClaim>);

impl<'t> Read<'t> for Headers {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let mut headers = Vec::new();
        for Entry { key, node, .. } in claims(node, path, context)?.entries() {
            let path = format!("{path}.{key}");
            let Some(header) = read::<Rc<str>>(node, &path, context) else { continue };
            match InjectedClaim::new(key, &header) {
                Ok(claim) => headers.push(claim),
                Err(error) => {
                    let problem = Problem::error(node.span.clone(), format!("`{path}`: {error}"));
                    context.push(match error {
                        AuthConfigError::Header(_) => {
                            problem.help("such as `headers = { sub = \"x-auth-subject\" }`")
                        }
                        _ => problem,
                    });
                }
            }
        }
        Some(Self(headers))
    }

    /// Names of header fields that begin with `x-`, in lower case, by the claim that each tells.
    fn shape() -> Shape {
        Shape::Named(|| Shape::Value(super::values::text("^x-[a-z0-9-]+$")))
    }
}

/// What a token must claim: by name the value, `"*"` for any.
#[derive(Default)]
pub(super) struct RequiredClaims(Vec<RequiredClaim>);

impl<'t> Read<'t> for RequiredClaims {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let claims = claims(node, path, context)?.entries().iter().map(|Entry { key, node, .. }| {
            let Claim(value) = read(node, &format!("{path}.{key}"), context)?;
            Some(RequiredClaim { name: key.to_string(), expected: (value != "*").then_some(value) })
        });
        // Each of them is read, whatever is wrong with those before it.
        let claims: Vec<Option<_>> = claims.collect();
        claims.into_iter().collect::<Option<_>>().map(Self)
    }

    fn shape() -> Shape {
        Shape::Named(Claim::format)
    }
}

/// What a token claims beside who bears it.
#[derive(Default)]
pub(super) struct Claims(serde_json::Map<String, Json>);

impl<'t> Read<'t> for Claims {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let read_claim = |Entry { key, key_span, node, .. }: &Entry| {
            if let Some(other) = of_its_own(key) {
                let message = format!("`{path}`: the claim `{key}` is not the author's to make");
                context.push(Problem::error(key_span.clone(), message).help(other));
                return None;
            }
            let Claim(value) = read(node, &format!("{path}.{key}"), context)?;
            Some((key.to_string(), value))
        };
        let claims: Vec<_> = claims(node, path, context)?.entries().iter().map(read_claim).collect();
        claims.into_iter().collect::<Option<_>>().map(Self)
    }

    fn shape() -> Shape {
        Shape::Named(Claim::format)
    }
}

/// What says the claims that a token has anyway.
fn of_its_own(claim: &str) -> Option<&'static str> {
    match claim {
        "iss" => Some("`token.issuer` says who issued it"),
        "aud" => Some("`token.audience` says for whom it is"),
        "sub" => Some("each client's token says its own name, such as `members/17`"),
        "exp" | "iat" | "nbf" => {
            Some("`token.lifetime` says how long it is valid, and `token.defect` that it is not")
        }
        _ => None,
    }
}

fn claims<'t>(node: &'t Node, path: &str, context: &Context<'_>) -> Option<&'t Table> {
    let table = node.as_table();
    if table.is_none() {
        let message = format!("`{path}`: expected a table of claims, found {}", node.kind());
        context.push(Problem::error(node.span.clone(), message));
    }
    table.map(|table| &**table)
}

impl Name for JwtAlgorithm {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        Self::ALL.into_iter().map(|algorithm| (algorithm.name(), algorithm, "")).collect()
    }
}

impl Name for TokenDefect {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        let about = |defect| match defect {
            Self::Forged => "Names a key of the identity provider, and is signed with another.",
            Self::Unsigned => "Says `alg: none`, and has no signature.",
            Self::Hmac => "Is signed by HMAC with the public key for a secret.",
            Self::UnknownKey => "Names a key that the identity provider never had.",
            Self::Expired => "Expired an hour before its holder got it.",
            Self::NoExpiry => "Does not say when it expires.",
            Self::NotYetValid => "Is valid from an hour after it expires.",
        };
        Self::ALL.into_iter().map(|(name, defect)| (name, defect, about(defect))).collect()
    }
}

/// The value of a claim.
pub(super) struct Claim(pub(super) Json);

impl FromNode for Claim {
    fn from_node(node: &Node) -> Result<Self, String> {
        let value = match &node.value {
            Value::Text(text) => Json::from(&**text),
            Value::Boolean(value) => Json::from(*value),
            Value::Integer(digits) => {
                let number = digits.parse::<i64>().map(Number::from);
                Json::from(number.map_err(|_| "expected a whole number in decimal digits".to_owned())?)
            }
            Value::Array(items) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|item| Self::from_node(item).map(|claim| claim.0)).collect();
                Json::from(items?)
            }
            Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
                return Err(format!(
                    "expected a string, a whole number, true, false or an array of those, found {}",
                    node.kind()
                ));
            }
        };
        Ok(Self(value))
    }

    fn format() -> Shape {
        let single = ["string", "integer", "boolean"].map(|kind| json!({ "type": kind }));
        let several = json!({ "type": "array", "items": { "anyOf": single } });
        Shape::Value(json!({ "anyOf": single.into_iter().chain([several]).collect::<Vec<_>>() }))
    }
}
