//! The rate limits of the gateway: the table `gateway.rate_limit`.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use gateway::{
    Algorithm, Charge, KeyedBy, LimitId, LimitList, LimitListError, LimitName, LimitRule, RateLimitError,
    WindowFrom,
};
use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Field;
use super::shape::{Choice, Shape};
use super::table::{Several, table};
use super::tree::{Entry, Node, Value};
use super::values::{DURATION, FromNode, Name, Positive, Written, above_zero, names, text, written};
use super::words::{all, list, way_out};

table! {
    /// Rate limits, asked in the order `per_ip`, `per_key`, `per_route`, `global`; what one of them rejects is answered
    /// 429 and takes nothing of the later ones. Each is a table or an array of tables, such as a second's, a minute's and an
    /// hour's limit, which are asked in their order and must all let a request through. `false` or left out for no limit at all.
    pub(super) struct RateLimits<'t> (Choice::Free) {
        /// A limit for each address that requests come from, or an array of several; `false` or left out for none.
        per_ip: Several<'t, RateLimit<'t>>;
        /// A limit for each client, or an array of several; `false` or left out for none.
        per_key: Several<'t, ClientLimit<'t>>;
        /// A limit for each route, over all clients, or an array of several; `false` or left out for none.
        per_route: Several<'t, RateLimit<'t>>;
        /// One limit over everything, or an array of several; `false` or left out for none.
        global: Several<'t, RateLimit<'t>>;
        /// Which limits of an array count a request that one of them rejects. Of one scope's limits alone: what another scope
        /// rejects counts for the scopes before it.
        charge: Charge = Charge::Asked;
    }

    /// At most so many requests in a window.
    pub(super) struct RateLimit<'t> (Choice::ByName("algorithm", None)) {
        /// What it is called among the limits of its scope, such as `"minute"`: `per_key.minute` in measures and results, where
        /// one without a name is `per_key[0]` by its place in the array. The only one of its scope is `per_key` in results. A letter, then
        /// letters, digits, `-` and `_`, at most 32 in all.
        name: LimitName;
        /// How requests are counted.
        algorithm: Algorithm, needed "such as `algorithm = \"token-bucket\"`";
        /// Requests per `window`, at least 1.
        limit: NonZeroU32, needed "requests in a window, such as `limit = 1000`";
        /// The time that `limit` is for, such as `"1m"` or `"1d"`: above zero and at most 366 days.
        window: Window, needed "such as `window = \"1m\"`";
        /// When a window begins. Belongs to `fixed-window` and `sliding-window-counter`.
        window_from: WindowFrom = WindowFrom::Clock, with |name| is(name, Algorithm::has_windows);
        /// Requests that a full bucket lets through at once, commonly a part of `limit`, and at least 1; of `leaky-bucket`, requests
        /// beyond the one that is due, which may be 0. Belongs to `token-bucket`, `gcra` and `leaky-bucket`. Default: `limit`, of
        /// `leaky-bucket` 0.
        burst: u32, with |name| is(name, Algorithm::has_burst);
        /// How many of the burst pass at once; those beyond wait for their turn. As large as `burst`, nobody waits (`nodelay` of
        /// nginx). Belongs to `leaky-bucket`.
        delay: u32 = 0, with |name| is(name, Algorithm::has_delay);
        /// Whether rejected requests count too, as some products have it: a client that stays above the limit is then
        /// locked out. Belongs to `sliding-window-log` and `sliding-window-counter`.
        count_rejected: bool = false, with |name| is(name, Algorithm::is_sliding);
        /// The status of the answer to what it rejects, from 400 to 599: nginx answers 503 and `HAProxy` 403, if they are told nothing
        /// else. It is told as rejected by a limit all the same; whether a client tries again follows the status.
        status: Status = Status(LimitRule::TOO_MANY_REQUESTS);
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
        let context = self.table.context();
        let plain = |limit: RateLimit<'_>| limit.build(KeyedBy::ApiKey);
        gateway::RateLimits {
            per_ip: limits(self.per_ip, plain, context),
            per_key: limits(self.per_key, |client| client.limit.build(client.by.value.0), context),
            per_route: limits(self.per_route, plain, context),
            global: limits(self.global, plain, context),
            charge: self.charge.value,
        }
    }
}

/// The limits of a scope; what is wrong with them together is noted.
fn limits<T>(
    scope: Field<'_, Option<Several<'_, T>>>,
    build: impl Fn(T) -> Option<LimitRule>,
    context: &Context<'_>,
) -> LimitList {
    let Some(Several(several)) = scope.value else { return LimitList::default() };
    let (nodes, rules): (Vec<_>, Vec<_>) =
        several.into_iter().filter_map(|(node, limit)| Some((node, build(limit?)?))).unzip();
    let path = format!("gateway.rate_limit.{}", scope.key);
    LimitList::new(rules).unwrap_or_else(|error| {
        let (place, help) = match &error {
            LimitListError::NameTwice { place, .. } => (*place, "another name tells it from that one"),
            _ => (LimitId::MOST_IN_SCOPE, "limits of another scope are counted apart"),
        };
        let span = nodes.get(place).map(|node| node.span.clone()).unwrap_or_default();
        context.push(Problem::error(span, format!("`{path}`: {error}")).help(help));
        LimitList::default()
    })
}

impl RateLimit<'_> {
    fn build(self, by: KeyedBy) -> Option<LimitRule> {
        let name = self.name.value.clone();
        let status = self.status.value.0;
        self.counted().map(|limit| LimitRule { name, limit, by, status })
    }

    fn counted(self) -> Option<gateway::RateLimit> {
        let refuse = |entry: Option<&Entry>, error: RateLimitError| {
            let Some(entry) = entry else { return };
            let problem = Problem::error(entry.key_span.clone(), format!("`{}`: {error}", self.table.path()));
            self.table.context().push(problem.help(match error {
                RateLimitError::BurstNotApplicable { .. } => {
                    format!("those with a burst are {}", algorithms(Algorithm::has_burst))
                }
                RateLimitError::DelayNotApplicable { .. } => {
                    format!("those with a delay are {}", algorithms(Algorithm::has_delay))
                }
                RateLimitError::WindowFromNotApplicable { .. } => {
                    format!("those with such windows are {}", algorithms(Algorithm::has_windows))
                }
                RateLimitError::BurstZero => {
                    format!("a burst of 0 is one of {} alone", algorithms(Algorithm::has_delay))
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
            limit = limit.with_burst(burst).map_err(|error| refuse(self.burst.entry, error)).ok()?;
        }
        if self.delay.entry.is_some() {
            let delayed = limit.with_delay(self.delay.value);
            limit = delayed.map_err(|error| refuse(self.delay.entry, error)).ok()?;
        }
        let from = limit.with_window_from(self.window_from.value);
        limit = from.map_err(|error| refuse(self.window_from.entry, error)).ok()?;
        let counting = limit.with_count_rejected(self.count_rejected.value);
        counting.map_err(|error| refuse(self.count_rejected.entry, error)).ok()
    }
}

names! {
    Charge {
        /// Those that were asked before it: limit after limit is asked, and each counts what it lets through, as most products
        /// do. Whoever is above the last limit then spends the ones before.
        "asked" => Asked,
        /// None: all are asked, and count the request only if all let it through.
        "admitted" => Admitted,
    }
    fn unknown(name: &str) -> String {
        format!("there is no charge `{name}`")
    }
}

names! {
    WindowFrom {
        /// With the clock: a minute's at each full minute, for everybody at once.
        "clock" => Clock,
        /// With the first request that is counted, for each client its own; the next one begins with the first request after, of a
        /// sliding counter where the one before ends, unless two went by without any.
        "first-request" => FirstRequest,
    }
}

/// The time that a limit is for: a duration, or whole days.
#[derive(Clone, Copy)]
pub(super) struct Window(Duration);

impl FromNode for Window {
    fn from_node(node: &Node) -> Result<Self, String> {
        let days = match &node.value {
            Value::Text(text) => {
                text.trim().strip_suffix('d').and_then(|days| days.trim_end().parse::<u32>().ok())
            }
            _ => None,
        };
        match days {
            Some(0) => Err("expected more than zero".to_owned()),
            Some(days @ ..=366) => Ok(Self(Duration::from_secs(u64::from(days) * 24 * 3600))),
            Some(_) => Err("a duration is at most 366 days".to_owned()),
            None => Positive::from_node(node).map(|Positive(window)| Self(window)),
        }
    }

    fn format() -> Shape {
        above_zero(Shape::Value(text(&format!("{DURATION}|^\\s*[0-9]{{1,3}}\\s*d\\s*$"))))
    }
}

/// The status of an answer that is no success.
pub(super) struct Status(u16);

impl FromNode for Status {
    fn from_node(node: &Node) -> Result<Self, String> {
        let status = u32::from_node(node).ok().and_then(|status| u16::try_from(status).ok());
        let status = status.filter(|status| (400..=599).contains(status));
        status.map(Self).ok_or_else(|| "expected a status from 400 to 599, such as 503".to_owned())
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 400, "maximum": 599 }))
    }
}

written! { Status: |status| status.0; }

impl FromNode for LimitName {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        Self::new(&text).map_err(|error| error.to_string())
    }

    fn format() -> Shape {
        Shape::Value(text("^[A-Za-z][A-Za-z0-9_-]{0,31}$"))
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
