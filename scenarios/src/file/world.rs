//! The world of one variant: upstreams, routes, clients and the gateway's tables.

use std::rc::Rc;
use std::time::Duration;

use gateway::{
    ClientTimeouts, GatewayConfig, PathFault, Paths, PoolConfig, Route, RouteError, Routed, Routes,
    UpstreamId, UpstreamPolicy,
};
use simulator::{
    Call, Identities, IdentitiesError, LOOPBACK_ADDRESSES, Latency, Method, Population, Targets,
    UpstreamConfig,
};
use url::Url;

use super::auth::{read_auth, read_requires, read_token};
use super::breaker::read_breaker;
use super::calls::{read_calls, refuse_avalanches, refuse_circles};
use super::context::Context;
use super::diagnostic::Problem;
use super::external::{self, Listen};
use super::faults::read_faults;
use super::latency::read_time;
use super::limits;
use super::load;
use super::reader::{
    Fields, Positive, Size, Statuses, all, checked_name, display_key, find_upstream, read, way_out,
};
use super::retry::{named, named_or, read_gateway_retry, read_retry};
use super::tree::{Entry, Span, Table, Value};
use crate::World;
use crate::scenario::{ExternalGateway, NamedUpstream};

/// Reads the tables that a variant can patch. `None` if they hold nothing that could be run; then, and otherwise
/// where something is wrong, that is noted.
pub(super) fn read_world(
    tree: &Table,
    common: &'static [&'static str],
    duration: Duration,
    context: &Context<'_>,
) -> Option<World> {
    let mut top = Fields::new(tree, 0..0, "", context);
    for key in common {
        top.entry(key);
    }
    let upstreams = read_upstreams(&mut top, context);
    let names: Vec<_> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    let provider = upstreams.iter().position(|upstream| upstream.serves_keys);
    let (mut gateway, external, paths) = read_gateway(&mut top, &names, provider);
    let (routes, expect_status) = read_routes(&mut top, &upstreams, paths, context).unzip();
    let populations = read_populations(&mut top, routes.as_ref(), context);
    let faults = read_faults(&mut top, &names, provider, duration, context);
    top.finish();
    external::refuse_shared_addresses(tree, &upstreams, context);
    gateway.routes = routes?;
    if external.is_some() {
        external::require_addresses(tree, &gateway.routes, &upstreams, context);
        // Its own policies are what an external gateway has.
        gateway = GatewayConfig { routes: external::plain(&gateway.routes), ..GatewayConfig::default() };
    }
    let expect_status = expect_status.unwrap_or_default();
    let world = World { gateway, external, upstreams, populations: populations?, expect_status, faults };
    refuse_avalanches(tree, &world, context);
    Some(world)
}

fn read_upstreams(top: &mut Fields<'_>, context: &Context<'_>) -> Vec<NamedUpstream> {
    if let Some(table) = top.required_entry("upstreams") {
        refuse_empty(table, "upstreams", context);
    }
    let tables = top.named("upstreams");
    // A call may name an upstream that stands further down.
    let names: Vec<&str> = tables.iter().map(|(entry, _)| &*entry.key).collect();
    // So may what a service judges tokens by.
    let serves = |entry: &Entry| {
        let serves = entry.node.as_table().and_then(|table| table.get("serves"));
        serves.filter(|serves| matches!(&serves.node.value, Value::Text(what) if &**what == KEYS)).cloned()
    };
    let mut providers =
        tables.iter().enumerate().filter_map(|(place, (entry, _))| Some((place, serves(entry)?)));
    let provider = providers.next().map(|(place, _)| place);
    if let (Some((_, second)), Some(first)) = (providers.next(), provider) {
        let message = format!("`upstreams`: there is one identity provider, and `{}` is it", names[first]);
        context.push(Problem::error(second.node.span.clone(), message));
    }
    let (mut upstreams, mut calls) = (Vec::new(), Vec::new());
    for (entry, path) in &tables {
        let (upstream, asks) = read_upstream(entry, path, &names, provider, context);
        upstreams.push(upstream);
        calls.push(asks);
    }
    if !refuse_circles(&calls, &names, context) {
        for (upstream, calls) in upstreams.iter_mut().zip(calls) {
            upstream.config.calls = calls.into_iter().map(|(call, _)| call).collect();
        }
    }
    upstreams
}

/// What an identity provider serves.
const KEYS: &str = "jwks";

/// An upstream and its calls, each with the place of the name it asks. What cannot be read is noted and left out: routes
/// may still name the upstream.
fn read_upstream(
    entry: &Entry,
    path: &str,
    names: &[&str],
    provider: Option<usize>,
    context: &Context<'_>,
) -> (NamedUpstream, Vec<(Call, Span)>) {
    let config = UpstreamConfig {
        pool: PoolConfig::default(),
        latency: Latency::ZERO,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls: Vec::new(),
        auth: None,
    };
    let name = entry.key.to_string();
    let mut upstream = NamedUpstream { name, config, listen: None, serves_keys: false, requires: None };
    let Some(mut fields) = Fields::of(&entry.node, path, context) else { return (upstream, Vec::new()) };
    let config = &mut upstream.config;
    config.pool.workers = fields.optional("workers");
    config.pool.queue = fields.optional("queue");
    let latency = fields.required_entry("latency");
    let latency = latency.and_then(|entry| read_time(&entry.node, &fields.path_of("latency"), context));
    config.latency = latency.unwrap_or(Latency::ZERO);
    config.load_latency = fields.optional("load_latency").unwrap_or_default();
    config.cancel_on_disconnect = fields.optional("cancel_on_disconnect").unwrap_or(false);
    upstream.listen = fields.optional("listen").map(|Listen(address)| address);
    upstream.config.auth = read_auth(&mut fields, names, provider);
    upstream.requires = read_requires(&mut fields);
    upstream.serves_keys = named(&mut fields, "serves", &[KEYS]).is_some();
    let calls = read_calls(&mut fields, names, context);
    fields.finish();
    (upstream, calls)
}

fn refuse_empty(entry: &Entry, path: &str, context: &Context<'_>) {
    if entry.node.as_table().is_some_and(|table| table.entries().is_empty()) {
        let message = format!("`{path}`: expected at least one, found none");
        context.push(Problem::error(entry.key_span.clone(), message).of_absence());
    }
}

/// The routes, and for each the statuses beyond 2xx that it is expected to answer; `None` if there is no table of routes that
/// could be used.
fn read_routes(
    top: &mut Fields<'_>,
    upstreams: &[NamedUpstream],
    paths: Paths,
    context: &Context<'_>,
) -> Option<(Routes, Vec<Vec<u16>>)> {
    refuse_empty(top.required_entry("routes")?, "routes", context);
    let names: Vec<_> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    let (mut routes, mut places, mut expect_status) = (Vec::new(), Vec::new(), Vec::new());
    for (entry, path) in top.named("routes") {
        let mut expected = Vec::new();
        let mut route = Route {
            path: entry.key.to_string(),
            upstream: UpstreamId(0),
            timeout: None,
            retry: None,
            auth: true,
        };
        if let Some(mut fields) = Fields::of(&entry.node, path, context) {
            if let Some(named) = fields.required_entry("upstream") {
                let path = fields.path_of("upstream");
                let name: Option<Rc<str>> = read(&named.node, &path, context);
                let place =
                    name.and_then(|name| find_upstream(&named.node.span, &path, &name, &names, context));
                route.upstream = UpstreamId(place.unwrap_or(0) as u32);
            }
            route.timeout = fields.optional::<Positive>("timeout").map(|Positive(timeout)| timeout);
            route.retry = read_gateway_retry(&mut fields);
            route.auth = fields.optional("auth").unwrap_or(true);
            expected = fields.optional("expect_status").map_or_else(Vec::new, |Statuses(statuses)| statuses);
            fields.finish();
        }
        expect_status.push(expected);
        routes.push(route);
        places.push(entry.key_span.clone());
    }
    if routes.is_empty() {
        return None;
    }
    // The table names what is wrong with one route at a time; that one is taken out to hear of the next.
    let mut usable = true;
    loop {
        let error = match Routes::reading(paths, routes.clone()) {
            Ok(routes) => return usable.then_some((routes, expect_status)),
            Err(error) => error,
        };
        usable = false;
        // Of two, the later one.
        let place = routes.iter().rposition(|route| route.path == error.path())?;
        let span = places.get(place).cloned().unwrap_or_default();
        let problem = Problem::error(span, format!("`routes`: {error}"));
        context.push(match (&error, paths) {
            (RouteError::Duplicate(_), Paths::Normal) => {
                problem.help("a `/` at the end, repeated slashes and the way of encoding make no other path")
            }
            (RouteError::Duplicate(_), Paths::Verbatim) => {
                problem.help("a path and the same with a `/` at its end are one")
            }
            (
                RouteError::Refused { fault: PathFault::EncodedSeparator | PathFault::Backslash, .. },
                Paths::Normal,
            ) => problem.help("`gateway.paths = \"verbatim\"` passes such paths on as they come"),
            (RouteError::Refused { .. } | RouteError::Path(_), _) => problem,
        });
        routes.remove(place);
        places.remove(place);
    }
}

fn read_populations(
    top: &mut Fields<'_>,
    routes: Option<&Routes>,
    context: &Context<'_>,
) -> Option<Vec<Population>> {
    let clients = top.required_entry("clients")?;
    refuse_empty(clients, "clients", context);
    let mut populations = Some(Vec::new());
    let (mut identities, mut addresses) = (0_u64, 0_u64);
    for (entry, path) in top.named("clients") {
        let population = Fields::of(&entry.node, path, context)
            .and_then(|fields| read_population(entry, fields, routes, context));
        if let Some(population) = &population {
            identities += u64::from(population.identities.identities());
            addresses += u64::from(population.identities.ips());
        }
        match (&mut populations, population) {
            (Some(populations), Some(population)) => populations.push(population),
            (populations, _) => *populations = None,
        }
    }
    if addresses > u64::from(LOOPBACK_ADDRESSES) {
        let message = format!(
            "`clients`: there are {LOOPBACK_ADDRESSES} addresses for all populations, found {addresses}"
        );
        let problem = Problem::error(clients.key_span.clone(), message);
        context.push(problem.help("`ips` gives a population fewer addresses than identities"));
        return None;
    }
    if identities > MOST_IDENTITIES {
        let message = format!(
            "`clients`: all populations together have at most {MOST_IDENTITIES} identities, found {identities}"
        );
        let problem = Problem::error(clients.key_span.clone(), message);
        context.push(problem.help("as many as send during the run are enough"));
        return None;
    }
    populations
}

fn read_population(
    entry: &Entry,
    mut fields: Fields<'_>,
    routes: Option<&Routes>,
    context: &Context<'_>,
) -> Option<Population> {
    let identities = read_identities(&mut fields, context);
    let targets = fields
        .required_entry("send")
        .and_then(|send| read_targets(send, &fields.path_of("send"), routes?, context));
    let load = load::read_load(&mut fields, context);
    let timeout = fields.optional::<Positive>("timeout").map(|Positive(timeout)| timeout);
    let hostile = fields.optional("hostile").unwrap_or(false);
    let retry = read_retry(&mut fields);
    let methods = Method::ALL.map(|(name, _)| name);
    let method = named_or(&mut fields, "method", &methods, "GET");
    let method = Method::ALL.into_iter().find(|(name, _)| Some(*name) == method).map(|(_, method)| method);
    let token = read_token(&mut fields);
    let body = read_body(&mut fields, method.unwrap_or_default(), context);
    fields.finish();
    Some(Population {
        name: entry.key.to_string(),
        hostile,
        identities: identities?,
        targets: targets?,
        load: load?,
        timeout,
        retry,
        method: method.unwrap_or_default(),
        body,
        token,
    })
}

/// More is refused: a gateway under test is asked for many small things, and not for a few large ones.
const LARGEST_BODY: u64 = 1 << 20;

/// The size of the body of each request; none without.
fn read_body(fields: &mut Fields<'_>, method: Method, context: &Context<'_>) -> u32 {
    let entry = fields.entry("body");
    let body = fields.optional::<Size>("body").map_or(0, |Size(bytes)| bytes);
    let Some(entry) = entry else { return 0 };
    let path = fields.path_of("body");
    if body > LARGEST_BODY {
        context.push(Problem::error(entry.node.span.clone(), format!("`{path}`: a body has at most 1MiB")));
    } else if body > 0 && matches!(method, Method::Get | Method::Head) {
        let message = format!("`{path}`: a GET or HEAD has no use for a body");
        context.push(Problem::error(entry.node.span.clone(), message).help("`method = \"POST\"` has"));
    }
    body.min(LARGEST_BODY) as u32
}

/// Each has a place in the tables of a run, whether it sends or not.
const MOST_IDENTITIES: u64 = 1 << 24;

fn read_identities(fields: &mut Fields<'_>, context: &Context<'_>) -> Option<Identities> {
    let entries = ["identities", "keys", "ips"].map(|key| fields.entry(key));
    let identities = fields.optional("identities");
    let (keys, ips) = (fields.optional("keys"), fields.optional("ips"));
    Identities::new(identities.unwrap_or(1), keys, ips)
        .map_err(|error| {
            let [identities, keys, ips] = entries;
            // Of two numbers that do not go together, the one further down: a variant stands below the file.
            let place = match error {
                IdentitiesError::NoIdentities => identities,
                IdentitiesError::NoIps => ips,
                IdentitiesError::SurplusKeys { .. } => {
                    identities.into_iter().chain(keys).max_by_key(|entry| entry.node.span.start)
                }
                IdentitiesError::SurplusIps { .. } => {
                    identities.into_iter().chain(ips).max_by_key(|entry| entry.node.span.start)
                }
            };
            let span = place.map_or_else(|| fields.span(), |entry| entry.node.span.clone());
            context.push(Problem::error(span, format!("`{}`: {error}", fields.path())));
        })
        .ok()
}

/// `send = "/path"`, or a table of paths and their weights.
fn read_targets(send: &Entry, path: &str, routes: &Routes, context: &Context<'_>) -> Option<Targets> {
    let names: Vec<_> = routes.iter().map(|route| &*route.path).collect();
    let field = path;
    // The path as it is sent, with its query, and the route that serves it.
    let resolve = |span: Span, sent: &str| {
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
    };
    match &send.node.value {
        Value::Text(path) => {
            let (path, route) = resolve(send.node.span.clone(), path)?;
            Targets::new([(path, route, 1)])
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
            let targets = Targets::new(weights.into_iter().collect::<Option<Vec<_>>>()?);
            if targets.is_none() {
                let message = format!("`{path}`: expected a path with a weight above zero");
                context.push(Problem::error(send.node.span.clone(), message));
            }
            targets
        }
        _ => {
            let message = format!(
                "`{path}`: expected a path or a table of paths and weights, found {}",
                send.node.kind()
            );
            let problem = Problem::error(send.node.span.clone(), message);
            context.push(problem.help("such as \"/orders\" or { \"/catalog\" = 6, \"/stock\" = 2 }"));
            None
        }
    }
}

/// Whether a gateway that reads paths in one form can have this path for a route, and clients can ask for it.
///
/// # Errors
///
/// Why not.
pub(crate) fn is_route(path: &str) -> Result<(), String> {
    checked_name(path)?;
    let route =
        Route { path: path.to_owned(), upstream: UpstreamId(0), timeout: None, retry: None, auth: true };
    let routes = Routes::new(vec![route]).map_err(|error| error.to_string())?;
    routes.judge(path).map_err(|fault| fault.detail().to_owned())?;
    if is_sent_as_written(path) { Ok(()) } else { Err("a URL cannot have it as it is written".to_owned()) }
}

/// Whether clients over sockets, which send URLs, send the path as it is.
fn is_sent_as_written(path: &str) -> bool {
    let url = Url::parse("http://gateway/");
    url.is_ok_and(|mut url| {
        url.set_path(path);
        url.path() == path
    })
}

/// The gateway's tables without its routes, the gateway that takes its place, and how paths are read; a file without them
/// describes a plain proxy.
fn read_gateway(
    top: &mut Fields<'_>,
    upstreams: &[&str],
    provider: Option<usize>,
) -> (GatewayConfig, Option<ExternalGateway>, Paths) {
    let (mut external, mut paths) = (None, Paths::default());
    let mut config = GatewayConfig::default();
    if let Some(mut fields) = top.optional_table("gateway") {
        let positive =
            |fields: &mut Fields<'_>, key| fields.optional::<Positive>(key).map(|Positive(time)| time);
        config.pool = PoolConfig {
            workers: fields.optional("workers"),
            queue: fields.optional("queue"),
            queue_timeout: positive(&mut fields, "queue_timeout"),
        };
        config.timeout = positive(&mut fields, "timeout");
        let client = ClientTimeouts::default();
        config.client = ClientTimeouts {
            upload: positive(&mut fields, "upload_timeout").unwrap_or(client.upload),
            download: positive(&mut fields, "download_timeout").unwrap_or(client.download),
        };
        if named(&mut fields, "paths", &["normal", "verbatim"]) == Some("verbatim") {
            paths = Paths::Verbatim;
        }
        config.limits = limits::read(&mut fields);
        config.upstreams = read_policies(&mut fields, upstreams);
        config.retry = read_gateway_retry(&mut fields);
        external = external::read_external(&mut fields);
        config.auth = read_auth(&mut fields, upstreams, provider);
        fields.finish();
    }
    (config, external, paths)
}

/// What the gateway holds against each upstream: the general breaker, and the tables `upstreams.NAME` for one.
fn read_policies(gateway: &mut Fields<'_>, upstreams: &[&str]) -> Vec<UpstreamPolicy> {
    let breaker = read_breaker(gateway);
    let mut policies = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }; upstreams.len()];
    let context = gateway.context();
    for (entry, path) in gateway.named("upstreams") {
        let Some(mut fields) = Fields::of(&entry.node, path, context) else { continue };
        let place = upstreams.iter().position(|known| *known == &*entry.key);
        let own_breaker = fields.entry("breaker").is_some();
        let own = UpstreamPolicy {
            max_in_flight: fields.optional("max_in_flight"),
            timeout: fields.optional::<Positive>("timeout").map(|Positive(timeout)| timeout),
            breaker: read_breaker(&mut fields),
        };
        fields.finish();
        // Its own breaker replaces the general one whole, and `false` switches it off.
        if let Some(place) = place {
            policies[place] =
                UpstreamPolicy { breaker: if own_breaker { own.breaker } else { breaker }, ..own };
        } else {
            find_upstream(&entry.key_span, "gateway.upstreams", &entry.key, upstreams, context);
        }
    }
    policies
}

#[cfg(test)]
mod tests {
    use super::super::testing::world_with;
    use super::*;

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

    #[test]
    fn an_external_gateway_has_the_paths_of_the_file() {
        let text = "name = 'Small'\nduration = '2m'\nslo.latency = '1s'\n\
            upstreams.orders = { latency.constant = '5ms', listen = '127.0.0.1:9101' }\n\
            routes.'/a%2Fb'.upstream = 'orders'\nclients.one = { send = '/a%2Fb', rate = '1/s' }\n\
            gateway.paths = 'verbatim'\ngateway.external.url = 'http://127.0.0.1:1'\n";
        let reading = super::super::read(text, &|_| Err(String::new()));
        assert_eq!(reading.problems, []);
        let world = &reading.scenario.unwrap().variants[0].world;
        assert_eq!(world.gateway.routes.paths(), Paths::Verbatim);
    }
}
