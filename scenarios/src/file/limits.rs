//! The rate limits of the gateway: the table `gateway.rate_limit`.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use gateway::{
    Algorithm, Charge, Costs, FailureSet, LimitId, LimitList, LimitListError, LimitName, LimitRule, Method,
    MethodSet, RateLimitError, RouteId, Tier as BuiltTier, TierKeys, TierMembers, WindowFrom,
};
use serde_json::json;

use super::auth::Claim;
use super::context::Context;
use super::counted_by::{By, KnownAtAddress, KnownAtKey, KnownAtRoute};
use super::diagnostic::Problem;
use super::failures::Failure;
use super::reader::{Field, Fields};
use super::refill::Refill;
use super::shape::{Choice, Shape};
use super::table::{Empty, Item, Items, Named, One, Several, table};
use super::tree::{Entry, Node, Table, Value};
use super::values::{DURATION, FromNode, Name, Positive, above_zero, names, names_of, text, written};
use super::words::{all, display_key, list, way_out};
use crate::World;
use crate::engine::can_be_numbered;

table! {
    /// Rate limits, asked in the order `per_ip`, `per_key`, `per_route`, `global`; what one of them rejects is answered
    /// 429 and takes nothing of the later ones. Each is a table or an array of tables, such as a second's, a minute's and an
    /// hour's limit, which are asked in their order and must all let a request through. `false` or left out for no limit at all.
    pub(super) struct RateLimits<'t> (Choice::Free) {
        /// A limit for each address that requests come from, or an array of several; `false` or left out for none.
        per_ip: Several<'t, AddressLimit<'t>>;
        /// A limit for each client, or an array of several; `false` or left out for none.
        per_key: Several<'t, ClientLimit<'t>>;
        /// A limit for each route, over all clients, or an array of several; `false` or left out for none.
        per_route: Several<'t, RouteLimit<'t>>;
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
        /// The time that `limit` is for, such as `"1m"` or `"1d"`: above zero and at most 366 days. `"month"`, of `fixed-window`
        /// alone, is the calendar month of UTC, which is the clock of the scenario too.
        window: Window, needed "such as `window = \"1m\"`";
        /// When a window begins. Belongs to `fixed-window` and `sliding-window-counter`.
        window_from: WindowFrom = WindowFrom::Clock, with |name| is(name, Algorithm::has_windows);
        /// Requests that a full bucket lets through at once, commonly a part of `limit`, and at least 1; of `leaky-bucket`, requests
        /// beyond the one that is due, which may be 0. Belongs to `token-bucket`, `gcra` and `leaky-bucket`. Default: `limit`, of
        /// `leaky-bucket` 0.
        burst: u32, with |name| is(name, Algorithm::has_burst);
        /// How a bucket refills: `"continuous"`, or in steps that far apart with all tokens of the step at once,
        /// `{ every = "60ms" }`, at the multiples of that time on the clock and for everybody at once. At most `window`. Belongs to
        /// `token-bucket`.
        refill: Refill = Refill::Continuous, with |name| is(name, Algorithm::has_refill);
        /// How many of the burst pass at once; those beyond wait for their turn. As large as `burst`, nobody waits (`nodelay` of
        /// nginx). Belongs to `leaky-bucket`.
        delay: u32 = 0, with |name| is(name, Algorithm::has_delay);
        /// Whether rejected requests count too, as some products have it: a client that stays above the limit is then
        /// locked out. Belongs to `sliding-window-log` and `sliding-window-counter`.
        count_rejected: bool = false, with |name| is(name, Algorithm::is_sliding);
        /// The status of the answer to what it rejects, from 400 to 599: nginx answers 503 and `HAProxy` 403, if they are told nothing
        /// else. It is told as rejected by a limit all the same; whether a client tries again follows the status.
        status: Status = Status(LimitRule::TOO_MANY_REQUESTS);
        /// The methods that it counts, such as `["POST"]`. Requests of other methods pass without being asked. Default: all.
        methods: Items<Method>;
        /// As how many requests one counts, by its route, such as `{ "/search" = 10 }`: all of it passes or nothing. At least 1,
        /// and no more than ever passes at once. Routes that are left out cost 1.
        cost: Named<'t, NonZeroU32>;
        /// The answers that count, in the words of `retry.on`, such as `["5xx", 401]`: a request is asked about when it arrives, and
        /// counts when its answer is known to be one of these. The gateway's own answers are among them, but not those of its
        /// limits. Requests under way have counted nothing yet, so that more may pass than the limit. Not of `leaky-bucket`, and not
        /// beside `count_rejected`. Default: what is let through counts at once, whatever becomes of it.
        count: Items<Failure>;
    }

    /// A limit for each address.
    pub(super) struct AddressLimit<'t> (Choice::Free) {
        ..limit: RateLimit<'t>;
        /// How much of an address counts. `"ip"`: each IPv4 address, and each /64 of IPv6, which is what one customer is given.
        /// `"ip/24"`: up to 32, the bits of an IPv4 network; from 33 to 64, those of an IPv6 network; the other kind is as in `"ip"`.
        /// `"ip/24/48"`: both. The token has not been judged here, so that nothing else is known.
        by: By<KnownAtAddress> = By::default();
    }

    /// A limit for each client: each API key, or whatever else tells clients apart.
    pub(super) struct ClientLimit<'t> (Choice::Free) {
        ..limit: RateLimit<'t>;
        /// What tells clients apart: `"key"`, a claim of their verified tokens such as `"claim:sub"`, `"ip"` as in `per_ip`, or an
        /// array of several, such as `["key", "ip/24"]`: a bucket for each combination. Who makes no such claim is counted by key,
        /// and who has no key by address.
        by: By<KnownAtKey> = By::default();
        /// Other numbers for those who are named, by the name of the tier.
        tiers: Named<'t, Tier<'t>>;
    }

    /// A limit for each route.
    pub(super) struct RouteLimit<'t> (Choice::Free) {
        ..limit: RateLimit<'t>;
        /// What requests are told apart by: `"route"`, or any of what `per_key` knows, or an array of several, such as
        /// `["key", "route"]`: a bucket for each combination.
        by: By<KnownAtRoute> = By::default();
        /// Other numbers for those who are named, by the name of the tier.
        tiers: Named<'t, Tier<'t>>;
    }

    /// Other numbers for some, as a usage plan of AWS or a consumer group of Kong has them: for all keys of populations, for single
    /// keys, and for tokens with certain claims. Who is named by several tiers is in the first. Its members have buckets of
    /// their own; what it leaves out is as in its limit.
    pub(super) struct Tier<'t> (Choice::OfParent) {
        /// Populations whose API keys are all in it.
        clients: Items<ClientsName>;
        /// Single API keys, as they are sent: the keys of a population `partner` are `partner-0`, `partner-1` and so on.
        keys: Items<KeyText>;
        /// Claims of a verified token that are all needed, by name, such as `{ plan = "gold" }`.
        claims: Named<'t, Claim>;
        /// Requests per `window`, at least 1.
        limit: NonZeroU32, needed "requests in a window, such as `limit = 5000`";
        /// The time that `limit` is for. Default: that of the limit.
        window: Window;
        /// What a bucket lets through at once. Default: the `burst` that the limit says, and else as for a limit of these numbers.
        burst: u32, with |name| is(name, Algorithm::has_burst);
        /// How many of the burst pass at once, of `leaky-bucket`. Default: the `delay` of the limit.
        delay: u32, with |name| is(name, Algorithm::has_delay);
    }
}

/// What limits refer to by name.
#[derive(Clone, Copy)]
pub(super) struct Names<'n> {
    /// The paths of the routes, by their numbers.
    pub(super) routes: &'n [Rc<str>],
    /// The populations, each with how many API keys it has.
    pub(super) clients: &'n [(Rc<str>, u32)],
}

impl RateLimits<'_> {
    pub(super) fn build(self, names: Names<'_>) -> gateway::RateLimits {
        let context = self.table.context();
        let of_address = |table: AddressLimit<'_>| {
            let rule = table.limit.build(Vec::new(), names)?;
            Some(LimitRule { by: table.by.value.build(), ..rule })
        };
        let of_client = |table: ClientLimit<'_>| {
            let rule = table.limit.build(table.tiers.all(), names)?;
            Some(LimitRule { by: table.by.value.build(), ..rule })
        };
        let of_route = |table: RouteLimit<'_>| {
            let rule = table.limit.build(table.tiers.all(), names)?;
            Some(LimitRule { by: table.by.value.build(), ..rule })
        };
        gateway::RateLimits {
            per_ip: limits(self.per_ip, of_address, context),
            per_key: limits(self.per_key, of_client, context),
            per_route: limits(self.per_route, of_route, context),
            global: limits(self.global, |limit| limit.build(Vec::new(), names), context),
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

/// Refuses a limit with more combinations than the record of a run can tell apart.
pub(super) fn refuse_what_cannot_be_numbered(tree: &Table, world: &World, context: &Context<'_>) {
    for (limit, rule) in world.gateway.limits.iter() {
        let scope = limit.scope();
        if !can_be_numbered(world, scope, rule) {
            let place = tree.find(&["gateway", "rate_limit", scope.name()]);
            let span = place.map(|entry| entry.key_span.clone()).unwrap_or_default();
            let message = format!(
                "`gateway.rate_limit.{}`: there are more combinations of these clients than can be told apart",
                scope.name()
            );
            context.push(Problem::error(span, message).help("fewer identities, or less to combine"));
        }
    }
}

/// The numbers of a limit, or of one of its tiers: what is left out of a tier's is the limit's.
struct Numbers<'n, 't> {
    table: &'n Fields<'t>,
    limit: u32,
    window: Window,
    window_entry: Option<&'t Entry>,
    burst: Option<u32>,
    burst_entry: Option<&'t Entry>,
    delay: Option<u32>,
    delay_entry: Option<&'t Entry>,
}

impl<'t> RateLimit<'t> {
    fn build(self, tiers: Vec<One<'_, Tier<'_>>>, names: Names<'_>) -> Option<LimitRule> {
        // Each of them is looked at, whatever is wrong with those before it.
        let limit = self.counted();
        let tiers = self.tiers(tiers, names);
        let costs = self.costs(names);
        let count = self.ends();
        let methods =
            self.methods.value.as_ref().map(|methods| MethodSet::of(methods.0.iter().flatten().copied()));
        let rule = LimitRule {
            name: self.name.value.clone(),
            status: self.status.value.0,
            methods,
            costs: Costs::new(costs?.iter().map(|(route, cost, _)| (*route, *cost))),
            tiers: tiers?,
            count,
            ..limit?.into()
        };
        self.is_consistent(&rule, names).then_some(rule)
    }

    /// Whether all of the limit can work together; what cannot is noted.
    fn is_consistent(&self, rule: &LimitRule, names: Names<'_>) -> bool {
        let mut is_consistent = true;
        let mut refuse = |entry: &Entry, error: &LimitListError, help: String| {
            is_consistent = false;
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(entry.key_span.clone(), message).help(help));
        };
        let allowance = rule.least_allowance();
        for (route, cost, entry) in self.costs(names).into_iter().flatten() {
            if cost > allowance {
                let error = LimitListError::CostAboveAllowance { place: 0, route, cost, allowance };
                refuse(entry, &error, format!("no request on `{}` would ever pass", entry.key));
            }
        }
        let others = LimitRule { costs: Costs::default(), ..rule.clone() };
        if let (Some(error @ LimitListError::CountNotApplicable { .. }), Some(entry)) =
            (others.contradiction(0), self.count.entry)
        {
            refuse(
                entry,
                &error,
                "`count` belongs to the other algorithms, without `count_rejected`".to_owned(),
            );
        }
        is_consistent
    }

    /// What a request costs on which route, and where that stands. `None` if it cannot be read, which is noted.
    fn costs(&self, names: Names<'_>) -> Option<Vec<(RouteId, u32, &'t Entry)>> {
        let costs: &[One<'t, NonZeroU32>] = self.cost.value.as_ref().map_or(&[], |costs| &costs.0);
        let paths: Vec<&str> = names.routes.iter().map(|path| &**path).collect();
        let cost = |One { entry, value }: &One<'t, NonZeroU32>| {
            let route = paths.iter().position(|path| **path == *entry.key);
            // Where there is none at all, that has been told.
            if route.is_none() && !paths.is_empty() {
                let path = self.table.path_of(self.cost.key);
                let message = format!("`{path}`: there is no route `{}`", entry.key);
                let problem = Problem::error(entry.key_span.clone(), message).of_absence();
                self.table
                    .context()
                    .push_with_help(problem, || way_out(&entry.key, &paths, || all("route", &paths)));
            }
            Some((RouteId(u32::try_from(route?).ok()?), value.as_ref()?.get(), *entry))
        };
        let costs: Vec<Option<_>> = costs.iter().map(cost).collect();
        costs.into_iter().collect()
    }

    /// The ends of requests that count, if the limit counts by ends.
    fn ends(&self) -> Option<FailureSet> {
        let (entry, ends) = (self.count.entry?, self.count.value.as_ref()?);
        if ends.0.is_empty() {
            let message =
                format!("`{}`: expected at least one, found none", self.table.path_of(self.count.key));
            let help = format!("{}; left out, all that is let through counts", Failure::way_out());
            self.table.context().push(Problem::error(entry.node.span.clone(), message).help(help));
        }
        Some(ends.set())
    }

    /// The tiers, in the order of the file. `None` if one cannot be used, which is noted.
    fn tiers(&self, tiers: Vec<One<'_, Tier<'_>>>, names: Names<'_>) -> Option<Vec<BuiltTier>> {
        if let Some(surplus) = tiers.get(LimitRule::MOST_TIERS) {
            let error = LimitListError::TooManyTiers { place: 0, found: tiers.len() };
            let message = format!("`{}.tiers`: {error}", self.table.path());
            self.table.context().push(Problem::error(surplus.entry.key_span.clone(), message));
            return None;
        }
        let tiers = tiers.into_iter().map(|One { entry, value }| {
            let name = LimitName::new(&entry.key).map_err(|error| {
                let message = format!("`{}.tiers.{}`: {error}", self.table.path(), display_key(&entry.key));
                self.table.context().push(Problem::error(entry.key_span.clone(), message));
            });
            let tier = value?;
            let (members, limit) = (tier.members(names), self.counted_by(&tier.numbers(self)?));
            Some(BuiltTier { name: name.ok()?, members: members?, limit: limit? })
        });
        let tiers: Vec<Option<_>> = tiers.collect();
        tiers.into_iter().collect()
    }

    fn counted(&self) -> Option<gateway::RateLimit> {
        self.counted_by(&Numbers {
            table: &self.table,
            limit: self.limit.value?.get(),
            window: self.window.value?,
            window_entry: self.window.entry,
            burst: self.burst.value,
            burst_entry: self.burst.entry,
            delay: self.delay.entry.map(|_| self.delay.value),
            delay_entry: self.delay.entry,
        })
    }

    /// The limit with these numbers.
    fn counted_by(&self, numbers: &Numbers<'_, '_>) -> Option<gateway::RateLimit> {
        let table = numbers.table;
        let refuse = |entry: Option<&Entry>, error: RateLimitError| {
            let Some(entry) = entry else { return };
            let problem = Problem::error(entry.key_span.clone(), format!("`{}`: {error}", table.path()));
            table.context().push(problem.help(match error {
                RateLimitError::BurstNotApplicable { .. } => {
                    format!("those with a burst are {}", algorithms(Algorithm::has_burst))
                }
                RateLimitError::DelayNotApplicable { .. } => {
                    format!("those with a delay are {}", algorithms(Algorithm::has_delay))
                }
                RateLimitError::WindowFromNotApplicable { .. } => {
                    format!("those with such windows are {}", algorithms(Algorithm::has_windows))
                }
                RateLimitError::MonthNotApplicable { .. } => {
                    format!("the one with such windows is {}", algorithms(Algorithm::has_months))
                }
                RateLimitError::RefillNotApplicable { .. } => {
                    format!("the one with such a refill is {}", algorithms(Algorithm::has_refill))
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
        let algorithm = self.algorithm.value?;
        // Of limit and window, only the window can still be wrong.
        let limit = match numbers.window {
            Window::Time(window) => gateway::RateLimit::new(algorithm, numbers.limit, window),
            Window::Month => gateway::RateLimit::per_month(algorithm, numbers.limit),
        };
        let window_entry = numbers.window_entry.or(self.window.entry);
        let mut limit = limit.map_err(|error| refuse(window_entry, error)).ok()?;
        if let Some(burst) = numbers.burst {
            limit = limit.with_burst(burst).map_err(|error| refuse(numbers.burst_entry, error)).ok()?;
        }
        if let Some(delay) = numbers.delay {
            limit = limit.with_delay(delay).map_err(|error| refuse(numbers.delay_entry, error)).ok()?;
        }
        if let Some(entry) = self.refill.entry {
            let refill = match self.refill.value {
                Refill::Every(every) => limit.with_refill_every(every),
                Refill::Continuous if algorithm.has_refill() => Ok(limit),
                Refill::Continuous => Err(RateLimitError::RefillNotApplicable { algorithm }),
            };
            limit = refill.map_err(|error| refuse(Some(entry), error)).ok()?;
        }
        let from = limit.with_window_from(self.window_from.value);
        limit = from.map_err(|error| refuse(self.window_from.entry, error)).ok()?;
        let counting = limit.with_count_rejected(self.count_rejected.value);
        counting.map_err(|error| refuse(self.count_rejected.entry, error)).ok()
    }
}

impl<'t> Tier<'t> {
    /// Its numbers, and for what it leaves out those of its limit.
    fn numbers<'n>(&'n self, limit: &RateLimit<'t>) -> Option<Numbers<'n, 't>> {
        let delay = limit.delay.entry.map(|_| limit.delay.value);
        Some(Numbers {
            table: &self.table,
            limit: self.limit.value?.get(),
            window: self.window.value.or(limit.window.value)?,
            window_entry: self.window.entry,
            burst: self.burst.value.or(limit.burst.value),
            burst_entry: self.burst.entry,
            delay: self.delay.value.or(delay),
            delay_entry: self.delay.entry,
        })
    }

    /// Who is in it. `None` if somebody cannot be, which is noted.
    fn members(&self, names: Names<'_>) -> Option<TierMembers> {
        let refuse = |place: usize, what: String, help: String| {
            let items = self.clients.entry.map(|entry| &entry.node.value);
            let item = if let Some(Value::Array(items)) = items { items.get(place) } else { None };
            let span = item.map_or_else(|| self.table.span(), |item| item.span.clone());
            let message = format!("`{}`: {what}", self.table.path_of(self.clients.key));
            self.table.context().push(Problem::error(span, message).of_absence().help(help));
        };
        let known: Vec<&str> = names.clients.iter().map(|(name, _)| &**name).collect();
        let (mut keys, mut is_usable) = (Vec::new(), true);
        for (place, name) in self.clients.value.iter().flat_map(|clients| &clients.0).enumerate() {
            let Some(ClientsName(name)) = name else {
                is_usable = false;
                continue;
            };
            match names.clients.iter().find(|(known, _)| known == name) {
                Some((_, 0)) => {
                    let what = format!("the clients `{name}` have no keys");
                    refuse(place, what, "a tier has its members by their keys or claims".to_owned());
                }
                Some((name, count)) => keys.push(TierKeys::Numbered(format!("{name}-"), *count)),
                // Where there are none at all, that has been told.
                None if known.is_empty() => {}
                None => {
                    let help = way_out(name, &known, || all("population", &known));
                    refuse(place, format!("there are no clients `{name}`"), help);
                }
            }
        }
        for key in self.keys.value.iter().flat_map(|keys| &keys.0) {
            match key {
                Some(KeyText(key)) => keys.push(TierKeys::One(key.to_string())),
                None => is_usable = false,
            }
        }
        let mut claims = Vec::new();
        for One { entry, value } in self.claims.value.iter().flat_map(|claims| &claims.0) {
            match value {
                Some(Claim(value)) => claims.push((entry.key.to_string(), value.clone())),
                None => is_usable = false,
            }
        }
        let has_clients = self.clients.value.as_ref().is_some_and(|clients| !clients.0.is_empty());
        if keys.is_empty() && claims.is_empty() && is_usable && !has_clients {
            let message = format!("`{}` names nobody", self.table.path());
            let problem = Problem::error(self.table.span(), message).of_absence();
            self.table.context().push(
                problem.help("such as `clients = [\"partner\"]`, `keys = [\"partner-0\"]` or `claims = { plan = \"gold\" }`"),
            );
        }
        is_usable.then_some(TierMembers { keys, claims })
    }
}

/// The name of a population.
pub(super) struct ClientsName(Rc<str>);

impl FromNode for ClientsName {
    fn from_node(node: &Node) -> Result<Self, String> {
        <Rc<str>>::from_node(node).map(Self)
    }

    fn format() -> Shape {
        <Rc<str>>::format()
    }
}

impl Item for ClientsName {
    const OF: &'static str = "names of populations";
    const EMPTY: Empty = Empty::Refused;

    fn way_out() -> String {
        "such as [\"partner\"]".to_owned()
    }
}

/// An API key.
pub(super) struct KeyText(Rc<str>);

impl FromNode for KeyText {
    fn from_node(node: &Node) -> Result<Self, String> {
        <Rc<str>>::from_node(node).map(Self)
    }

    fn format() -> Shape {
        <Rc<str>>::format()
    }
}

impl Item for KeyText {
    const OF: &'static str = "API keys";
    const EMPTY: Empty = Empty::Refused;

    fn way_out() -> String {
        "such as [\"partner-0\"]".to_owned()
    }
}

impl Item for Method {
    const OF: &'static str = "methods";
    const EMPTY: Empty = Empty::Refused;

    fn way_out() -> String {
        format!("such as [\"POST\"]; there are {}", list(&names_of::<Self>()))
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

/// The time that a limit is for: a duration, whole days, or the calendar's month.
#[derive(Clone, Copy)]
pub(super) enum Window {
    Time(Duration),
    Month,
}

impl FromNode for Window {
    fn from_node(node: &Node) -> Result<Self, String> {
        let days = match &node.value {
            Value::Text(text) if text.trim() == "month" => return Ok(Self::Month),
            Value::Text(text) => {
                text.trim().strip_suffix('d').and_then(|days| days.trim_end().parse::<u32>().ok())
            }
            _ => None,
        };
        match days {
            Some(0) => Err("expected more than zero".to_owned()),
            Some(days @ ..=366) => Ok(Self::Time(Duration::from_secs(u64::from(days) * 24 * 3600))),
            Some(_) => Err("a duration is at most 366 days".to_owned()),
            None => Positive::from_node(node).map(|Positive(window)| Self::Time(window)),
        }
    }

    fn format() -> Shape {
        let days = format!("{DURATION}|^\\s*[0-9]{{1,3}}\\s*d\\s*$");
        Shape::Either(vec![
            (above_zero(Shape::Value(text(&days))), ""),
            (Shape::Value(text("^\\s*month\\s*$")), "The calendar month of UTC. Of `fixed-window` alone."),
        ])
    }
}

/// The status of an answer that is no success.
pub(super) struct Status(pub(super) u16);

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

#[cfg(test)]
mod tests {
    use gateway::{KeyPart, Prefixes, StatusSet};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    const BUCKET: &str = "algorithm = 'token-bucket', limit = 60, window = '1m'";

    fn limits(more: &str) -> gateway::RateLimits {
        world_with(&format!("gateway.rate_limit.{more}")).gateway.limits
    }

    #[test]
    fn what_is_combined_stands_in_its_order_and_the_scopes_own_is_nothing_of_its_own() {
        let by = |scope: &str, by: &str| {
            let limits = limits(&format!("{scope} = {{ {BUCKET}, by = {by} }}"));
            limits.iter().next().unwrap().1.by.parts().to_vec()
        };
        assert_eq!(
            by("per_key", "['key', 'ip/24']"),
            [KeyPart::ApiKey, KeyPart::Ip(Prefixes::new(24, 64).unwrap()),]
        );
        for (scope, own) in
            [("per_ip", "'ip'"), ("per_key", "['key']"), ("per_route", "'route'"), ("per_ip", "'ip/32/64'")]
        {
            assert_eq!(by(scope, own), [], "{scope} by {own}");
        }
        assert_eq!(by("per_route", "'key'"), [KeyPart::ApiKey]);
        let problem = |scope: &str, by: &str| {
            first_problem(&format!("gateway.rate_limit.{scope} = {{ {BUCKET}, by = {by} }}"))
        };
        let (message, at) = problem("per_key", "['key', 'route']");
        assert_eq!(
            message,
            "`gateway.rate_limit.per_key.by`: \"route\" is not known yet where `per_key` is asked"
        );
        assert_eq!(at, "'route'");
        assert!(problem("per_key", "['key', 'key']").0.ends_with("`key` stands there twice"));
        assert!(problem("per_key", "[]").0.ends_with("expected 1 to 4 of them, found 0"));
        assert!(problem("per_key", "3").0.contains("expected a string"));
        assert!(problem("per_key", "'header:x-plan'").0.contains("header fields"));
    }

    #[test]
    fn a_cost_is_that_of_a_route_and_passes_at_once() {
        let limits = limits(&format!("per_key = {{ {BUCKET}, burst = 9, cost = {{ '/stock' = 9 }} }}"));
        let rule = limits.iter().next().unwrap().1;
        let costs = ["/orders", "/payments", "/stock"].map(|path| {
            let world = world_with("");
            let route = world.gateway.routes.iter().position(|route| route.path == path).unwrap();
            rule.costs.of(Some(RouteId(route as u32)))
        });
        assert_eq!(costs, [1, 1, 9]);
        let problem =
            |more: &str| first_problem(&format!("gateway.rate_limit.per_key = {{ {BUCKET}, {more} }}"));
        let (message, at) = problem("burst = 9, cost = { '/stock' = 10 }");
        assert!(message.ends_with("a cost of 10 is more than the 9 that ever pass at once"), "{message}");
        assert_eq!(at, "'/stock'");
        let tiers = "cost = { '/stock' = 10 }, tiers.low = { keys = ['a'], limit = 7 }";
        assert!(problem(tiers).0.ends_with("a cost of 10 is more than the 7 that ever pass at once"));
        assert!(problem("cost = { '/stocks' = 2 }").0.ends_with("there is no route `/stocks`"));
        assert!(problem("cost = { '/stock' = 0 }").0.contains("at least 1"));
    }

    #[test]
    fn a_tier_has_its_members_and_what_it_leaves_out_is_its_limits() {
        let world = world_with(&format!(
            "clients.partner = {{ send = '/orders', rate = '1/s', identities = 9, keys = 3 }}\n\
             gateway.rate_limit.per_key = {{ {BUCKET}, burst = 10, tiers.gold = {{ clients = ['partner'], keys = ['vip'], \
             claims = {{ plan = 'gold', level = 2 }}, limit = 600 }}, tiers.slow = {{ keys = ['b'], limit = 1, window = '1h', burst = 1 }} }}"
        ));
        let tiers = &world.gateway.limits.iter().next().unwrap().1.tiers;
        let limit = |most, secs, burst| {
            let limit = gateway::RateLimit::new(Algorithm::TokenBucket, most, Duration::from_secs(secs));
            limit.unwrap().with_burst(burst).unwrap()
        };
        assert_eq!(
            tiers.iter().map(|tier| tier.limit).collect::<Vec<_>>(),
            [limit(600, 60, 10), limit(1, 3_600, 1)]
        );
        assert_eq!(tiers[0].name.to_string(), "gold");
        let keys = vec![TierKeys::Numbered("partner-".to_owned(), 3), TierKeys::One("vip".to_owned())];
        let claims = vec![("plan".to_owned(), json!("gold")), ("level".to_owned(), json!(2))];
        assert_eq!(tiers[0].members, TierMembers { keys, claims });

        let problem = |tier: &str| {
            first_problem(&format!("gateway.rate_limit.per_key = {{ {BUCKET}, tiers.gold = {{ {tier} }} }}"))
        };
        assert!(problem("limit = 6").0.ends_with("`gateway.rate_limit.per_key.tiers.gold` names nobody"));
        let (message, at) = problem("limit = 6, clients = ['shoper']");
        assert!(message.ends_with("there are no clients `shoper`") && at == "'shoper'", "{message} at {at}");
        assert!(problem("keys = ['a']").0.contains("needs `limit`"));
        assert!(problem("keys = ['a'], limit = 1, delay = 2").0.ends_with("token-bucket lets nobody wait"));
        let keyless = first_problem(&format!(
            "clients.visitors = {{ send = '/orders', rate = '1/s', keys = 0 }}\n\
             gateway.rate_limit.per_key = {{ {BUCKET}, tiers.gold = {{ clients = ['visitors'], limit = 2 }} }}"
        ));
        assert!(keyless.0.ends_with("the clients `visitors` have no keys"));
        let many: Vec<String> =
            (0..16).map(|n| format!("tiers.t{n} = {{ keys = ['{n}'], limit = 1 }}")).collect();
        let many = format!(", {}", many.join(", "));
        let (message, at) = first_problem(&format!("gateway.rate_limit.per_key = {{ {BUCKET}{many} }}"));
        assert!(
            message.ends_with("a limit has at most 15 tiers, found 16") && at == "t15",
            "{message} at {at}"
        );
    }

    #[test]
    fn failures_are_counted_where_nobody_waits_and_rejections_do_not_count() {
        let count = |more: &str| format!("gateway.rate_limit.per_ip = {{ {more} }}");
        let limits =
            world_with(&count(&format!("{BUCKET}, count = ['5xx', '401', 403, 'timeout']"))).gateway.limits;
        let expected = FailureSet {
            server_errors: true,
            timeout: true,
            connect: false,
            statuses: StatusSet::of(&[401, 403]),
        };
        assert_eq!(limits.iter().next().unwrap().1.count, Some(expected));
        let cannot =
            "what counts when it has ended can neither wait for its turn nor be counted when it is rejected";
        for wrong in [
            "algorithm = 'leaky-bucket', limit = 6, window = '1m', count = ['5xx']",
            "algorithm = 'sliding-window-log', limit = 6, window = '1m', count_rejected = true, count = [401]",
        ] {
            let (message, at) = first_problem(&count(wrong));
            assert!(message.ends_with(cannot) && at == "count", "{message} at {at}");
        }
        assert!(first_problem(&count(&format!("{BUCKET}, count = []"))).0.contains("at least one"));
        assert!(first_problem(&count(&format!("{BUCKET}, count = [200]"))).0.contains("from 400 to 599"));
    }

    #[test]
    fn windows_refills_and_methods_belong_to_what_has_them() {
        let rule = |more: &str| limits(&format!("global = {{ {more} }}")).iter().next().unwrap().1.clone();
        // Which is longer than the scenario, as it should be told.
        let month = "gateway.rate_limit.global = { algorithm = 'fixed-window', limit = 6, window = 'month' }";
        let (message, at) = first_problem(month);
        assert!(message.ends_with("the scenario lasts 2m, less than one window of a month"), "{message}");
        assert_eq!(at, "'month'");
        let stepped = rule(&format!("{BUCKET}, refill = {{ every = '6s' }}")).limit;
        assert_eq!(stepped.refill_every(), Some(Duration::from_secs(6)));
        assert_eq!(rule(&format!("{BUCKET}, refill = 'continuous'")).limit.refill_every(), None);
        let methods = rule(&format!("{BUCKET}, methods = ['POST', 'PATCH']")).methods.unwrap();
        assert_eq!(methods.iter().map(Method::name).collect::<Vec<_>>(), ["POST", "PATCH"]);
        for (wrong, message) in [
            ("algorithm = 'gcra', limit = 6, window = 'month'", "gcra has no months"),
            (
                "algorithm = 'fixed-window', limit = 6, window = 'month', window_from = 'first-request'",
                "a month begins with the calendar",
            ),
            (
                "algorithm = 'gcra', limit = 6, window = '1m', refill = 'continuous'",
                "gcra has no refill in steps",
            ),
            (
                "algorithm = 'token-bucket', limit = 6, window = '1m', refill = { every = '61s' }",
                "the steps of a refill are no further apart than the window",
            ),
            (
                "algorithm = 'token-bucket', limit = 6, window = '1m', refill = 'stepped'",
                "there is no refill `stepped`",
            ),
            (
                "algorithm = 'token-bucket', limit = 6, window = '1m', methods = ['FETCH']",
                "there is no `FETCH`",
            ),
            (
                "algorithm = 'token-bucket', limit = 6, window = '1m', methods = []",
                "expected at least one, found none",
            ),
        ] {
            let (found, _) = first_problem(&format!("gateway.rate_limit.global = {{ {wrong} }}"));
            assert!(found.ends_with(message), "{found}");
        }
    }

    #[test]
    fn proxies_are_named_by_their_addresses() {
        let world = world_with("gateway.trusted_proxies = ['10.0.0.0/8', '::1']");
        let networks = world.gateway.trusted_proxies.networks();
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1"]);
        let (message, at) = first_problem("gateway.trusted_proxies = ['10.1.0.0/8']");
        assert_eq!(message, "`gateway.trusted_proxies`: this network is written 10.0.0.0/8");
        assert_eq!(at, "'10.1.0.0/8'");
    }
}
