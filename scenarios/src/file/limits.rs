//! The rate limits of the gateway: the table `gateway.rate_limit`.

use std::num::NonZeroU32;
use std::rc::Rc;

use gateway::{Algorithm, KeyedBy, RateLimitError};
use serde_json::{Value as Json, json};

use super::diagnostic::Problem;
use super::shape::{Choice, Shape};
use super::table::{Switch, table};
use super::tree::{Entry, Node};
use super::values::{FromNode, Name, Positive, Written};
use super::words::{all, list, way_out};

table! {
    /// Rate limits, asked in the order `per_ip`, `per_key`, `per_route`, `global`; what one of them rejects is answered
    /// 429 and takes nothing of the later ones. `false` or left out for no limit at all.
    pub(super) struct RateLimits<'t> (Choice::Free) {
        /// A limit for each address that requests come from; `false` or left out for none.
        per_ip: Switch<RateLimit<'t>>;
        /// A limit for each client; `false` or left out for none.
        per_key: Switch<ClientLimit<'t>>;
        /// A limit for each route, over all clients; `false` or left out for none.
        per_route: Switch<RateLimit<'t>>;
        /// One limit over everything; `false` or left out for none.
        global: Switch<RateLimit<'t>>;
    }

    /// At most so many requests in a window.
    pub(super) struct RateLimit<'t> (Choice::ByName("algorithm", None)) {
        /// How requests are counted.
        algorithm: Algorithm, needed "such as `algorithm = \"token-bucket\"`";
        /// Requests per `window`, at least 1.
        limit: NonZeroU32, needed "requests in a window, such as `limit = 1000`";
        /// The time that `limit` is for, such as `"1m"`: above zero and at most 366 days.
        window: Positive, needed "such as `window = \"1m\"`";
        /// Requests that a full bucket lets through at once, commonly a part of `limit`. Belongs to `token-bucket` and
        /// `gcra`. Default: `limit`.
        burst: NonZeroU32, with |name| is(name, Algorithm::has_burst);
        /// Whether rejected requests count too, as some products have it: a client that stays above the limit is then
        /// locked out. Belongs to `sliding-window-log` and `sliding-window-counter`.
        count_rejected: bool = false, with |name| is(name, Algorithm::is_sliding);
    }

    /// A limit for each client: each API key, or whatever else tells clients apart.
    pub(super) struct ClientLimit<'t> (Choice::Free) {
        ..limit: RateLimit<'t>;
        /// What tells clients apart: `"key"`, or a claim of their verified tokens such as `"claim:sub"`. Who makes no such claim
        /// is counted by key, and who has no key by address.
        by: By = By(KeyedBy::ApiKey);
    }
}

impl RateLimits<'_> {
    pub(super) fn build(self) -> gateway::RateLimits {
        let build = |limit: Option<RateLimit<'_>>| limit.and_then(RateLimit::build);
        let (per_key, by) = self.per_key.on().map(|client| (client.limit, client.by.value.0)).unzip();
        gateway::RateLimits {
            per_ip: build(self.per_ip.on()),
            per_key: build(per_key),
            per_key_by: by.unwrap_or_default(),
            per_route: build(self.per_route.on()),
            global: build(self.global.on()),
        }
    }
}

impl RateLimit<'_> {
    fn build(self) -> Option<gateway::RateLimit> {
        let refuse = |entry: Option<&Entry>, error: RateLimitError| {
            let Some(entry) = entry else { return };
            let problem = Problem::error(entry.key_span.clone(), format!("`{}`: {error}", self.table.path()));
            self.table.context().push(problem.help(match error {
                RateLimitError::BurstNotApplicable { .. } => {
                    format!("those with a burst are {}", algorithms(Algorithm::has_burst))
                }
                RateLimitError::CountRejectedNotApplicable { .. } => {
                    format!("those that can are {}", algorithms(Algorithm::is_sliding))
                }
                _ => String::new(),
            }));
        };
        // Of limit and window, only the window can still be wrong.
        let (limit, window) = (self.limit.value?.get(), self.window.value?.0);
        let limit = gateway::RateLimit::new(self.algorithm.value?, limit, window);
        let mut limit = limit.map_err(|error| refuse(self.window.entry, error)).ok()?;
        if let Some(burst) = self.burst.value {
            limit = limit.with_burst(burst.get()).map_err(|error| refuse(self.burst.entry, error)).ok()?;
        }
        let counting = limit.with_count_rejected(self.count_rejected.value);
        counting.map_err(|error| refuse(self.count_rejected.entry, error)).ok()
    }
}

fn is(name: &str, wanted: impl Fn(Algorithm) -> bool) -> bool {
    Algorithm::from_name(name).is_some_and(wanted)
}

fn algorithms(wanted: impl Fn(Algorithm) -> bool) -> String {
    let names: Vec<_> = Algorithm::ALL.into_iter().filter(|one| wanted(*one)).map(Algorithm::name).collect();
    list(&names)
}

impl Name for Algorithm {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        Self::ALL.into_iter().map(|algorithm| (algorithm.name(), algorithm, algorithm.about())).collect()
    }

    fn unknown(name: &str) -> String {
        format!("there is no algorithm `{name}`")
    }

    fn help(wrong: &str, names: &[&str]) -> String {
        way_out(wrong, names, || all("algorithm", names))
    }
}

/// What the limit per client tells clients apart by: `"key"`, or `"claim:NAME"`.
pub(super) struct By(KeyedBy);

impl FromNode for By {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        match text.split_once(':') {
            None if &*text == "key" => Ok(Self(KeyedBy::ApiKey)),
            Some(("claim", name)) if !name.is_empty() => Ok(Self(KeyedBy::Claim(name.to_owned()))),
            _ => Err(format!("expected \"key\" or a claim such as \"claim:sub\", found {text:?}")),
        }
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "string", "pattern": "^(key|claim:.+)$" }))
    }
}

impl Written for By {
    fn written(&self) -> Json {
        match &self.0 {
            KeyedBy::ApiKey => "key".into(),
            KeyedBy::Claim(claim) => format!("claim:{claim}").into(),
        }
    }
}
