//! The populations of clients: the tables `clients.NAME`.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{Method, Routed, Routes};
use serde_json::json;
use simulator::{
    ClosedLoad, Identities, IdentitiesError, Journey, LOOPBACK_ADDRESSES, Latency, Load, LoadError, OpenLoad,
    Rate, Spacing, Start,
};

use super::auth::Token;
use super::context::Context;
use super::diagnostic::Problem;
use super::journey::{AfterFailure, OfAll, Step, build_journey};
use super::latency::Time;
use super::load::{Burst, RampPoint, Users, UsersPoint};
use super::presets::CallerPreset;
use super::reader::Read;
use super::retry::Retry;
use super::routes::is_sent_as_written;
use super::shape::{Choice, Shape};
use super::table::{Described, Items, One, Switch, table};
use super::tree::{Entry, Node, Span, Value};
use super::values::{FromNode, Name, Positive, Size, read, text, written};
use super::words::{all, display_key, list, way_out};

table! {
    /// Clients of one kind. Their load is one of `rate`, `ramp` and `bursts`, which go on whatever the answers (open
    /// loop), and `users`, who wait for theirs (closed loop).
    pub(super) struct Population<'t> (Choice::ByKind) {
        /// How many clients there are, each with an API key and an address of its own. Each request is of one of them,
        /// drawn at random. All populations together have at most 16,777,216.
        identities: AtLeastOne = AtLeastOne(1);
        /// API keys among them, at most as many as identities: `keys = 1, ips = 500` is one key across a botnet, and `keys = 0`
        /// are clients without a key. Default: one each.
        keys: u32;
        /// Addresses among them, at most as many as identities. Default: one each.
        ips: AtLeastOne;
        /// The paths of the requests: a path such as `"/orders/42"`, or paths and their weights, such as `{ "/catalog" = 6,
        /// "/stock?page=2" = 2 }`. Each path is sent in the form that `gateway.paths` says; the longest route that is above the
        /// path serves the request.
        send: Targets<'t>, needed "the path of the requests, such as `send = \"/orders\"`" unless ["journey"];
        /// In place of `send`: what each client does, one step after the other. Each step is a request of its own; one client takes all
        /// steps. A user starts over after the last; of `rate`, `ramp` and `bursts`, each arrival is one journey.
        journey: Items<Step<'t>>;
        /// What a client on a `journey` does whose request failed, with all its retries.
        on_failure: AfterFailure = AfterFailure::Stop;
        /// Requests per time over the whole scenario, such as `"200/s"`.
        rate: Rate, is kind;
        /// A rate that changes: points in time order with a straight line between them, the first point's rate before the first
        /// point and the last point's rate after the last.
        ramp: Items<RampPoint<'t>>, is kind;
        /// Bursts, each of a number of requests spread evenly over its time.
        bursts: Items<Burst<'t>>, is kind;
        /// The number of users; each thinks, sends, waits for the answer, and thinks again. Needs `think`. A number, or a
        /// number that changes: points in time order with a straight line between them, the first point's number before the
        /// first point and the last point's number after the last. The user that came last leaves first, after the answer to
        /// the request under way.
        users: Users<'t>, is kind;
        /// How the arrivals of `rate` and `ramp` are spaced.
        arrivals: Spacing = Spacing::Uniform, with |load| matches!(load, "rate" | "ramp");
        /// How long a user thinks before each request: a duration, or a distribution. Belongs to `users`, and may be left out beside
        /// `pacing` or a `journey`, for no time.
        think: Time,
            needed "the time a user thinks before each request, such as \"2s\"" unless ["pacing", "journey"],
            with |load| load == "users";
        /// The time from the start of a user's iteration until the start of the next, which begins at once where an iteration took
        /// longer. An iteration is a journey, or one request where there is none, with the think before it. Belongs to `users`.
        pacing: Positive, with |load| load == "users";
        /// How users with a constant think time begin. Belongs to `users`.
        start: Start = Start::Spread, with |load| load == "users";
        /// The library whose defaults hold where the file says nothing: the retries that it makes by itself, and for a `retry` of the
        /// file the values that are left out. Default: what is left out is off.
        preset: CallerPreset, is policy;
        /// How long a client waits for an answer before the client gives up. Default: for as long as it takes.
        timeout: Positive, else unbounded, is policy;
        /// Whether these clients mean harm. Hostile clients do not count in goodput, nor in any measure of everybody.
        hostile: bool = false;
        /// When these clients try again; `false` or left out for never.
        retry: Switch<Retry<'t>>, is policy;
        /// The HTTP method. POST and PATCH are not idempotent: a gateway does not try them again unless told.
        method: Method = Method::Get;
        /// The token of these clients; `false` or left out for none.
        token: Switch<Token<'t>>;
        /// The size of the body of each request, at most `"1MiB"`. Not of GET and HEAD. Default: none.
        body: Size;
    }
}

/// The populations in the order of the file; `None` if one cannot be used, which is noted.
pub(super) fn build_clients(
    clients: &Entry,
    tables: Vec<One<'_, Population<'_>>>,
    routes: Option<&Routes>,
    context: &Context<'_>,
) -> Option<Vec<simulator::Population>> {
    // Each of them is looked at, whatever is wrong with those before it.
    let populations: Vec<Option<_>> = tables
        .into_iter()
        .map(|One { entry, value }| value.and_then(|table| table.build(&entry.key, routes)))
        .collect();
    let sum = |of: fn(&Identities) -> u32| -> u64 {
        populations.iter().flatten().map(|population| u64::from(of(&population.identities))).sum()
    };
    let refuse = |message: String, help: &str| {
        let message = format!("`clients`: {message}");
        context.push(Problem::error(clients.key_span.clone(), message).help(help));
    };
    let (identities, addresses) = (sum(Identities::identities), sum(Identities::ips));
    if addresses > u64::from(LOOPBACK_ADDRESSES) {
        refuse(
            format!("there are {LOOPBACK_ADDRESSES} addresses for all populations, found {addresses}"),
            "`ips` gives a population fewer addresses than identities",
        );
        return None;
    }
    if identities > MOST_IDENTITIES {
        refuse(
            format!("all populations together have at most {MOST_IDENTITIES} identities, found {identities}"),
            "as many as send during the run are enough",
        );
        return None;
    }
    populations.into_iter().collect()
}

/// Each has a place in the tables of a run, whether it sends or not.
const MOST_IDENTITIES: u64 = 1 << 24;

/// More is refused: a gateway under test is asked for many small things, and not for a few large ones.
pub(super) const LARGEST_BODY: u64 = 1 << 20;

impl Population<'_> {
    /// How many API keys there are.
    pub(super) fn key_count(&self) -> u32 {
        self.keys.value.unwrap_or(self.identities.value.0)
    }

    fn build(mut self, name: &str, routes: Option<&Routes>) -> Option<simulator::Population> {
        // The tree that is read has the preset below it.
        let _: Option<CallerPreset> = self.preset.value;
        let identities = self.build_identities();
        let body = self.build_body();
        let (targets, journey) = self.build_targets(body, routes).unzip();
        let load = build_load(&mut self, journey.as_ref().and_then(Option::as_ref));
        Some(simulator::Population {
            name: name.to_owned(),
            hostile: self.hostile.value,
            identities: identities?,
            targets: targets?,
            load: load?,
            timeout: self.timeout.value.map(|Positive(timeout)| timeout),
            retry: self.retry.on().map(Retry::build).unwrap_or_default(),
            method: self.method.value,
            body,
            token: self.token.on().and_then(Token::build),
            journey: journey?,
        })
    }

    /// What is sent, and on which journey; `None` where it cannot be used, which is noted.
    fn build_targets(
        &mut self,
        body: u32,
        routes: Option<&Routes>,
    ) -> Option<(simulator::Targets, Option<Journey>)> {
        let context = self.table.context();
        let goes_on = !matches!(self.on_failure.value, AfterFailure::Stop);
        if let Some(entry) = self.on_failure.entry.filter(|_| goes_on && self.journey.entry.is_none()) {
            let path = self.table.path_of(self.on_failure.key);
            let message = format!("`{path}` has no meaning without `journey`");
            context.push(Problem::error(entry.key_span.clone(), message));
        }
        if let (Some(_), Some(journey)) = (self.send.entry, self.journey.entry) {
            let message = format!("`{}` has both `send` and `journey`", self.table.path());
            let problem = Problem::error(journey.key_span.clone(), message);
            context.push(problem.help("a step of a journey says what it sends"));
            return None;
        }
        if let Some(send) = self.send.value.take() {
            return Some((send.build(&self.table.path_of("send"), routes?, context)?, None));
        }
        let of_all = OfAll {
            method: self.method.value,
            body,
            think: self.think.value.as_ref().map(|Time(think)| think.clone()),
            is_closed: self.users.entry.is_some(),
            after_failure: self.on_failure.value,
        };
        let path = self.table.path_of(self.journey.key);
        let (targets, journey) = build_journey(self.journey.value.take()?, &path, routes, &of_all)?;
        Some((targets, Some(journey)))
    }

    /// The size of the body of each request; 0 without.
    fn build_body(&self) -> u32 {
        let body = self.body.value.as_ref().map_or(0, |Size(bytes)| *bytes);
        let refuse = |message: &str, help: &str| {
            let message = format!("`{}`: {message}", self.table.path_of(self.body.key));
            let problem = Problem::error(self.body.span_in(&self.table), message);
            self.table.context().push(problem.help(help));
        };
        if body > LARGEST_BODY {
            refuse("a body has at most 1MiB", "");
        } else if body > 0
            && matches!(self.method.value, Method::Get | Method::Head)
            // The steps of a journey have methods of their own.
            && self.journey.entry.is_none()
        {
            refuse("a GET or HEAD has no use for a body", "`method = \"POST\"` has");
        }
        body.min(LARGEST_BODY) as u32
    }

    fn build_identities(&self) -> Option<Identities> {
        let ips = self.ips.value.as_ref().map(|AtLeastOne(ips)| *ips);
        let refuse = |error: IdentitiesError| {
            let (identities, keys, ips) = (self.identities.entry, self.keys.entry, self.ips.entry);
            // Of two numbers that do not go together, the one further down: a variant stands below the file.
            let later = |other: Option<_>| {
                identities.into_iter().chain(other).max_by_key(|entry: &&Entry| entry.node.span.start)
            };
            let place = match error {
                IdentitiesError::NoIdentities => identities,
                IdentitiesError::NoIps => ips,
                IdentitiesError::SurplusKeys { .. } => later(keys),
                IdentitiesError::SurplusIps { .. } => later(ips),
            };
            let span = place.map_or_else(|| self.table.span(), |entry| entry.node.span.clone());
            self.table.context().push(Problem::error(span, format!("`{}`: {error}", self.table.path())));
        };
        Identities::new(self.identities.value.0, self.keys.value, ips).map_err(refuse).ok()
    }
}

/// The load of a population; `None` where it has none, or none that can be used, which is noted.
pub(super) fn build_load(population: &mut Population<'_>, journey: Option<&Journey>) -> Option<Load> {
    let table = population.table.clone();
    let entries =
        [population.rate.entry, population.ramp.entry, population.bursts.entry, population.users.entry];
    let kinds = Population::table().choices();
    let there: Vec<_> = kinds.iter().zip(entries).filter_map(|(kind, entry)| Some((kind, entry?))).collect();
    let &[(kind, entry)] = &there[..] else {
        let path = table.path();
        let problem = match there.get(1) {
            None => Problem::error(table.span(), format!("`{path}` needs a load")).of_absence(),
            Some((_, second)) => Problem::error(
                second.key_span.clone(),
                format!("`{path}` has two loads, `{}` and `{}`", there[0].0, there[1].0),
            ),
        };
        table.context().push(problem.help(format!("a population has one of {}", list(&kinds))));
        return None;
    };
    // What is wrong with one point or burst is noted at it.
    let refuse = |error: LoadError| {
        let item = match error {
            LoadError::RampOutOfOrder { point } => Some(point),
            LoadError::BurstEndsBeforeItBegins { burst } => Some(burst),
            LoadError::EmptyRamp | LoadError::RampTooFine | LoadError::NoUsers => None,
        };
        let items = if let Value::Array(items) = &entry.node.value { &**items } else { &[] };
        let node = item.and_then(|item| items.get(item)).unwrap_or(&entry.node);
        let message = format!("`{}`: {error}", table.path_of(kind));
        table.context().push(Problem::error(node.span.clone(), message));
    };
    let spacing = population.arrivals.value;
    let open = |load: Result<OpenLoad, LoadError>| load.map(Load::Open).map_err(refuse).ok();
    if let Some(rate) = population.rate.value {
        Some(Load::Open(OpenLoad::rate(rate, spacing)))
    } else if let Some(ramp) = population.ramp.value.take() {
        open(OpenLoad::ramp(&ramp.all(RampPoint::build)?, spacing))
    } else if let Some(bursts) = population.bursts.value.take() {
        open(OpenLoad::bursts(&bursts.all(Burst::build)?))
    } else {
        let points = match population.users.value.take()? {
            Users::Constant(users) => vec![simulator::UsersPoint { at: Duration::ZERO, users: users.get() }],
            Users::Ramp(points) => points.all(UsersPoint::build)?,
        };
        let think = match population.think.value.take() {
            Some(Time(think)) => think,
            // It cannot be read, which is noted.
            None if population.think.entry.is_some() => return None,
            None => Latency::ZERO,
        };
        let load = ClosedLoad::new(&points, think, population.start.value).map_err(refuse).ok()?;
        let thinks = journey.iter().flat_map(|journey| journey.steps());
        let load = load.with_journey(thinks.map(|step| step.think.clone()));
        Some(Load::Closed(match population.pacing.value {
            Some(Positive(pacing)) => load.with_pacing(pacing),
            None => load,
        }))
    }
}

/// A number of at least 1. Whoever uses it refuses zero.
pub(super) struct AtLeastOne(u32);

impl FromNode for AtLeastOne {
    fn from_node(node: &Node) -> Result<Self, String> {
        u32::from_node(node).map(Self)
    }

    fn format() -> Shape {
        NonZeroU32::format()
    }
}

written! { AtLeastOne: |value| value.0; }

/// What clients ask for: a path, or a table of paths and their weights.
pub(super) struct Targets<'t>(&'t Node);

impl<'t> Read<'t> for Targets<'t> {
    fn read(node: &'t Node, _: &str, _: &'t Context<'t>) -> Option<Self> {
        Some(Self(node))
    }

    fn shape() -> Shape {
        let path = "^/";
        let weights = json!({ "minProperties": 1, "propertyNames": { "pattern": path } });
        Shape::Either(vec![
            (Shape::Value(text(path)), "A path that a route serves."),
            (
                Shape::With(Box::new(Shape::Named(<u32 as FromNode>::format)), weights),
                "Paths and their weights; at least one is above zero.",
            ),
        ])
    }
}

impl Targets<'_> {
    fn build(&self, path: &str, routes: &Routes, context: &Context<'_>) -> Option<simulator::Targets> {
        let send = self.0;
        let resolve = |span: Span, sent: &str| resolve(path, span, sent, routes, context);
        match &send.value {
            Value::Text(path) => {
                let (path, route) = resolve(send.span.clone(), path)?;
                simulator::Targets::new([(path, route, 1)])
            }
            Value::Table(table) => {
                let weights: Vec<Option<(String, u32, u32)>> = table
                    .entries()
                    .iter()
                    .map(|entry| {
                        let resolved = resolve(entry.key_span.clone(), &entry.key);
                        let weight =
                            read::<u32>(&entry.node, &format!("{path}.{}", display_key(&entry.key)), context);
                        let (path, route) = resolved?;
                        Some((path, route, weight?))
                    })
                    .collect();
                let targets = simulator::Targets::new(weights.into_iter().collect::<Option<Vec<_>>>()?);
                if targets.is_none() {
                    let message = format!("`{path}`: expected a path with a weight above zero");
                    context.push(Problem::error(send.span.clone(), message));
                }
                targets
            }
            _ => {
                let message = format!(
                    "`{path}`: expected a path or a table of paths and weights, found {}",
                    send.kind()
                );
                let problem = Problem::error(send.span.clone(), message);
                context.push(problem.help("such as \"/orders\" or { \"/catalog\" = 6, \"/stock\" = 2 }"));
                None
            }
        }
    }
}

/// The path as it is sent, with its query, and the route that serves it; `field` is where it stands in the file.
pub(super) fn resolve(
    field: &str,
    span: Span,
    sent: &str,
    routes: &Routes,
    context: &Context<'_>,
) -> Option<(String, u32)> {
    let names: Vec<_> = routes.iter().map(|route| &*route.path).collect();
    let (path, query) = sent.split_once('?').map_or((sent, None), |(path, query)| (path, Some(query)));
    let refuse = |fault: &str, help: &str| {
        let message = format!("`{field}`: `{sent}` cannot be sent: {fault}");
        context.push(Problem::error(span.clone(), message).help(help));
    };
    if sent.contains('#') {
        refuse("no request has a `#`", "`%23` is a `#` of a path");
        return None;
    }
    let Routed { path, route } = match routes.judge(path) {
        Ok(routed) => routed,
        Err(fault) => {
            refuse(fault.detail(), "the gateway refuses such a path with 400 before a rule is asked");
            return None;
        }
    };
    if !is_sent_as_written(&path) {
        refuse("a URL cannot have it as it is written", "write other characters encoded, as `%20`");
        return None;
    }
    if route.is_none() {
        let problem = Problem::error(span, format!("`{field}`: no route serves `{path}`")).of_absence();
        context.push_with_help(problem, || way_out(&path, &names, || all("route", &names)));
    }
    let sent = query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
    Some((sent, route?.0))
}

impl Name for Method {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        Self::ALL.into_iter().map(|method| (method.name(), method, "")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::world_with;
    use super::*;
    use crate::World;

    /// What clients send, and the path of the route that serves it.
    fn sent(world: &World) -> Vec<(String, String)> {
        let routes: Vec<_> = world.gateway.routes.iter().map(|route| route.path.clone()).collect();
        let targets = world.populations.iter().flat_map(|population| population.targets.iter());
        targets.map(|target| (target.path.to_owned(), routes[target.route as usize].clone())).collect()
    }

    fn rows<const N: usize>(rows: [(&str, &str); N]) -> Vec<(String, String)> {
        rows.map(|(sent, route)| (sent.to_owned(), route.to_owned())).into()
    }

    #[test]
    fn clients_send_what_the_gateway_judges() {
        let world = world_with(
            "routes.'/a b'.upstream = 'stock'\n\
             clients.odd = { rate = '1/s', send = { '/a b?q=/../x' = 1, '//%6frders/../%61%20b/1' = 1, '/x/../stock' = 1 } }",
        );
        let odd = [("/a%20b?q=/../x", "/a b"), ("/a%20b/1", "/a b"), ("/stock", "/stock")];
        assert_eq!(sent(&world)[1..], rows(odd));
        for (sent, _) in sent(&world) {
            assert!(is_sent_as_written(sent.split('?').next().unwrap()), "{sent}");
        }

        let world = world_with(
            "gateway.paths = 'verbatim'\nroutes.'/a%2Fb'.upstream = 'stock'\nroutes.'/'.upstream = 'orders'\n\
             clients.odd = { rate = '1/s', send = { '/a%2Fb/1' = 1, '/a%2fb/1' = 1, '//orders' = 1 } }",
        );
        let odd = [("/a%2Fb/1", "/a%2Fb"), ("/a%2fb/1", "/"), ("//orders", "/")];
        assert_eq!(sent(&world)[1..], rows(odd));
    }
}
