//! Who is let in: the tables `auth` of the gateway and of upstreams, what an upstream `requires`, and the `token` that the
//! clients of a population bear.

use std::rc::Rc;
use std::time::Duration;

use gateway::UpstreamId;
use gateway::auth::{
    AuthConfig, AuthConfigError, InjectedClaim, JwksCacheConfig, JwtAlgorithm, RequiredClaim,
};
use serde_json::{Number, Value as Json};
use simulator::{TokenConfig, TokenDefect, TokenError};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, FromNode, Positive, find_upstream, read};
use super::retry::named;
use super::tree::{Entry, Node, Value};

/// The table `auth` among the fields of whoever judges tokens; absent or `false` is nobody. `provider` is the upstream that
/// serves keys.
pub(super) fn read_auth(
    fields: &mut Fields<'_>,
    upstreams: &[&str],
    provider: Option<usize>,
) -> Option<AuthConfig> {
    let mut auth = fields.optional_table("auth")?;
    let jwks = read_provider(&mut auth, upstreams, provider);
    let issuer = text(&mut auth, "issuer");
    let audience = text(&mut auth, "audience");
    let required_claims = read_required(&mut auth, "required_claims");
    let leeway = auth.optional::<Duration>("leeway");
    let cache = read_cache(&mut auth);
    let inject = read_headers(&mut auth);
    let forward_token = auth.optional("forward_token").unwrap_or(false);
    let verified_tokens = auth.optional::<u32>("verified_tokens");
    auth.finish();
    let defaults = AuthConfig::new(UpstreamId(jwks? as u32));
    Some(AuthConfig {
        issuer,
        audience,
        required_claims: required_claims?,
        leeway: leeway.unwrap_or(defaults.leeway),
        cache: cache?,
        inject: inject.unwrap_or_else(|| defaults.inject.clone()),
        forward_token,
        verified_tokens: verified_tokens.map_or(defaults.verified_tokens, |tokens| tokens as usize),
        ..defaults
    })
}

/// The table `requires` of an upstream: who may come to the application behind it. Its keys are those of an
/// [`AuthConfig`], by which the measure `unauthorized_reached` judges; nobody is turned away by it.
pub(super) fn read_requires(fields: &mut Fields<'_>) -> Option<AuthConfig> {
    let mut requires = fields.optional_table("requires")?;
    let issuer = text(&mut requires, "issuer");
    let audience = text(&mut requires, "audience");
    let required_claims = read_required(&mut requires, "claims");
    requires.finish();
    Some(AuthConfig { issuer, audience, required_claims: required_claims?, ..AuthConfig::new(UpstreamId(0)) })
}

/// The table `token` of a population; absent or `false` for clients without one.
pub(super) fn read_token(fields: &mut Fields<'_>) -> Option<TokenConfig> {
    let mut token = fields.optional_table("token")?;
    let issuer = text(&mut token, "issuer");
    let audience = text(&mut token, "audience");
    let claims = read_claims(&mut token);
    let lifetime_span = token.span_of("lifetime");
    let lifetime = token.optional::<Positive>("lifetime").map(|Positive(lifetime)| lifetime);
    let algorithm = named(&mut token, "algorithm", &JwtAlgorithm::ALL.map(JwtAlgorithm::name));
    let defect = named(&mut token, "defect", &TokenDefect::ALL.map(|(name, _)| name));
    let (path, context) = (token.path().to_owned(), token.context());
    token.finish();
    let algorithm = algorithm.and_then(JwtAlgorithm::from_name);
    let defect = defect.and_then(|name| TokenDefect::ALL.into_iter().find(|(known, _)| *known == name));
    let token = TokenConfig::new(lifetime.unwrap_or(TokenConfig::LIFETIME)).map_err(|error: TokenError| {
        context.push(Problem::error(lifetime_span, format!("`{path}.lifetime`: {error}")));
    });
    let mut token = token.ok()?;
    (token.issuer, token.audience, token.claims) = (issuer, audience, claims?);
    token.algorithm = algorithm.unwrap_or(token.algorithm);
    token.defect = defect.map(|(_, defect)| defect);
    Some(token)
}

fn text(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    fields.optional::<Rc<str>>(key).map(|text| text.to_string())
}

/// The upstream that is asked for keys. What it is to be asked for is said where it stands.
fn read_provider(auth: &mut Fields<'_>, upstreams: &[&str], provider: Option<usize>) -> Option<usize> {
    let entry = auth.required_entry("jwks")?;
    let (path, context) = (auth.path_of("jwks"), auth.context());
    let name: Rc<str> = read(&entry.node, &path, context)?;
    let place = find_upstream(&entry.node.span, &path, &name, upstreams, context)?;
    if provider != Some(place) {
        let message = format!("`{path}`: the upstream `{name}` serves no keys");
        let problem = Problem::error(entry.node.span.clone(), message);
        context.push(problem.help(match provider.and_then(|provider| upstreams.get(provider)) {
            Some(provider) => format!("did you mean `{provider}`?"),
            None => "an identity provider is an upstream with `serves = \"jwks\"`".to_owned(),
        }));
    }
    Some(place)
}

fn read_cache(auth: &mut Fields<'_>) -> Option<JwksCacheConfig> {
    let defaults = JwksCacheConfig::default();
    let mut positive = |key| auth.optional::<Positive>(key).map(|Positive(time)| time);
    let refresh = positive("refresh").unwrap_or(defaults.refresh_after());
    let fetch_timeout = positive("fetch_timeout").unwrap_or(defaults.fetch_timeout());
    let cooldown = positive("cooldown").unwrap_or(defaults.cooldown());
    let stale_for = auth.optional::<Duration>("stale_for").unwrap_or(defaults.stale_for());
    // All that could be wrong is a zero, which has been refused.
    let cache =
        JwksCacheConfig::new(refresh, stale_for).and_then(|cache| cache.with_fetch_timeout(fetch_timeout));
    cache.and_then(|cache| cache.with_cooldown(cooldown)).ok()
}

/// `headers = { sub = "x-auth-subject" }`: which claims the upstream is told, and where.
fn read_headers(auth: &mut Fields<'_>) -> Option<Vec<InjectedClaim>> {
    let entry = auth.entry("headers")?;
    let (path, context) = (auth.path_of("headers"), auth.context());
    let mut headers = Vec::new();
    for Entry { key, node, .. } in table(entry, &path, context)?.entries() {
        let Some(header) = read::<Rc<str>>(node, &format!("{path}.{key}"), context) else { continue };
        match InjectedClaim::new(key, &header) {
            Ok(claim) => headers.push(claim),
            Err(error @ AuthConfigError::Header(_)) => {
                let problem = Problem::error(node.span.clone(), format!("`{path}.{key}`: {error}"));
                context.push(problem.help("such as `headers = { sub = \"x-auth-subject\" }`"));
            }
            Err(error) => context.push(Problem::error(node.span.clone(), format!("`{path}.{key}`: {error}"))),
        }
    }
    Some(headers)
}

/// What a token must claim: by name the value, `"*"` for any. `None` if it cannot be read, which is noted.
fn read_required(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<RequiredClaim>> {
    let Some(entry) = fields.entry(key) else { return Some(Vec::new()) };
    let (path, context) = (fields.path_of(key), fields.context());
    let claims = table(entry, &path, context)?.entries().iter().map(|Entry { key, node, .. }| {
        let Claim(value) = read(node, &format!("{path}.{key}"), context)?;
        Some(RequiredClaim { name: key.to_string(), expected: (value != "*").then_some(value) })
    });
    // Each of them is read, whatever is wrong with those before it.
    let claims: Vec<Option<_>> = claims.collect();
    claims.into_iter().collect()
}

/// What a token claims beside who bears it. `None` if it cannot be read, which is noted.
fn read_claims(fields: &mut Fields<'_>) -> Option<serde_json::Map<String, Json>> {
    let Some(entry) = fields.entry("claims") else { return Some(serde_json::Map::new()) };
    let (path, context) = (fields.path_of("claims"), fields.context());
    let read_claim = |Entry { key, key_span, node }: &Entry| {
        if let Some(other) = of_its_own(key) {
            let message = format!("`{path}`: the claim `{key}` is not the author's to make");
            context.push(Problem::error(key_span.clone(), message).help(other));
            return None;
        }
        let Claim(value) = read(node, &format!("{path}.{key}"), context)?;
        Some((key.to_string(), value))
    };
    let claims: Vec<Option<_>> = table(entry, &path, context)?.entries().iter().map(read_claim).collect();
    let claims: Option<Vec<_>> = claims.into_iter().collect();
    Some(claims?.into_iter().collect())
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

fn table<'t>(entry: &'t Entry, path: &str, context: &Context<'_>) -> Option<&'t super::tree::Table> {
    let table = entry.node.as_table();
    if table.is_none() {
        let message = format!("`{path}`: expected a table of claims, found {}", entry.node.kind());
        context.push(Problem::error(entry.node.span.clone(), message));
    }
    table.map(|table| &**table)
}

/// The value of a claim.
struct Claim(Json);

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
}
