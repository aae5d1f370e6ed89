//! What is legal and surely not meant.

use std::time::Duration;

use gateway::Route;
use simulator::FaultKind;

use super::context::Context;
use super::diagnostic::Problem;
use super::tree::{Entry, Node, Table, Value};
use super::units::write_duration;
use super::words::{display_key, list};
use crate::{UpstreamFault, World};

/// Warns of what stands in the tables that a variant can patch; `tree` is the file as the variant makes it, `ours` the file
/// itself if the gateway of any variant is not external.
pub(super) fn warn(
    tree: &Table,
    ours: Option<&Table>,
    world: &World,
    duration: Duration,
    context: &Context<'_>,
) {
    unreached_upstreams(tree, world, context);
    if world.external.is_some() {
        policies_of_ours(tree, ours, context);
        return;
    }
    if world.gateway.pool.workers.is_none() {
        for key in ["queue", "queue_timeout"] {
            if key == "queue_timeout" && world.gateway.has_pending() {
                continue;
            }
            warn_of_queue(tree.find(&["gateway", key]), &format!("gateway.{key}"), context);
        }
    }
    for upstream in &world.upstreams {
        if upstream.hosts.iter().all(|host| host.pool.workers.is_none()) {
            let path = format!("upstreams.{}.queue", display_key(&upstream.name));
            warn_of_queue(tree.find(&["upstreams", &upstream.name, "queue"]), &path, context);
        }
    }
    caps_of_no_retries(tree, world, context);
    for (id, rule) in world.gateway.limits.iter() {
        let (limit, scope) = (&rule.limit, id.scope().name());
        let (node, place) = match tree.find(&["gateway", "rate_limit", scope]).map(|entry| &entry.node) {
            Some(Node { value: Value::Array(items), .. }) => {
                (items.get(id.place()), format!("[{}]", id.place()))
            }
            node => (node, String::new()),
        };
        let path = |key| format!("gateway.rate_limit.{scope}{place}.{key}");
        let field = |key| node?.as_table()?.get(key);
        if let (Some(burst), Some(entry)) = (limit.burst(), field("burst"))
            && burst > limit.limit()
            // Of one that lets requests wait, it is a queue: nginx's own example has five at one a second.
            && !limit.algorithm().has_delay()
        {
            let (path, limit) = (path("burst"), limit.limit());
            let message =
                format!("`{path}`: a burst of {burst} is more than the limit of {limit} per window");
            let problem = Problem::warning(entry.node.span.clone(), message);
            context
                .push(problem.help("the burst is what one instant may bring, commonly a part of the limit"));
        }
        // Beside a shorter one of its scope, a long window says what it says.
        let of_scope = world.gateway.limits.list(id.scope()).rules();
        if let Some(entry) = field("window")
            && of_scope.iter().all(|rule| rule.limit.window() > duration)
        {
            let window = if limit.is_month() { "a month".to_owned() } else { write_duration(limit.window()) };
            let message = format!(
                "`{}`: the scenario lasts {}, less than one window of {window}",
                path("window"),
                write_duration(duration),
            );
            context.push(Problem::warning(entry.node.span.clone(), message));
        }
    }
}

/// Warns of what our gateway would do, in a variant whose gateway is not ours. What it inherits from the file, `ours`, is
/// for the variants whose gateway is; `None` where there are none.
fn policies_of_ours(tree: &Table, ours: Option<&Table>, context: &Context<'_>) {
    let routes = tree.find(&["routes"]).and_then(|entry| entry.node.as_table());
    let routes = routes.into_iter().flat_map(|table| table.entries());
    let gateway = tree.find(&["gateway"]).and_then(|entry| entry.node.as_table());
    let gateway = gateway.into_iter().flat_map(|table| table.entries());
    let paths = gateway
        // By `paths`, the file itself reads those of its routes and clients.
        .filter(|entry| !matches!(&*entry.key, "external" | "paths"))
        .map(|entry| vec!["gateway", &*entry.key])
        .chain(routes.flat_map(|route| {
            ["timeout", "try_timeout", "retry"].map(|key| vec!["routes", &*route.key, key])
        }));
    let has_no_effect = |path: &Vec<&str>| {
        let Some(entry) = tree.find(path) else { return false };
        let inherited = ours.and_then(|ours| ours.find(path));
        // What is switched off has no effect anywhere.
        !matches!(entry.node.value, Value::Boolean(false))
            && inherited.is_none_or(|inherited| !inherited.node.value.same(&entry.node.value))
    };
    let shown = |path: Vec<&str>| path.into_iter().map(display_key).collect::<Vec<_>>().join(".");
    let names: Vec<String> = paths.filter(has_no_effect).map(shown).collect();
    let Some(external) = tree.find(&["gateway", "external"]).filter(|_| !names.is_empty()) else { return };
    let message = format!(
        "the gateway is external: {} {} no effect on it",
        list(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        if names.len() == 1 { "has" } else { "have" }
    );
    let problem = Problem::warning(external.key_span.clone(), message);
    context.push(problem.help("its own configuration says what it limits and for how long it waits"));
}

/// Warns of circuit breakers in a file that has no timeout before any upstream: where a variant has one, that others have none is
/// what is compared. Nothing limits then how long an answer may take, so that what hangs never settles and a breaker never learns
/// of it. It does learn of what fails at once or is turned away, and where nothing else goes wrong, that is enough.
pub(super) fn breakers_without_timeouts<'w>(
    variants: impl Iterator<Item = (&'w Table, &'w World)> + Clone,
    context: &Context<'_>,
) {
    let has_timeout = |world: &World| {
        let any = |timeouts: [Option<_>; 2]| timeouts.iter().any(Option::is_some);
        let gateway = &world.gateway;
        let routes = gateway.routes.iter().any(|route| any([route.timeout, route.try_timeout]));
        let policies = gateway.upstreams.iter().any(|policy| any([policy.timeout, policy.try_timeout]));
        let mut calls = world.upstreams.iter().flat_map(|upstream| &upstream.config.calls);
        any([gateway.timeout, gateway.try_timeout])
            || routes
            || policies
            || calls.any(|call| call.timeout.is_some())
    };
    if !variants.clone().any(|(_, world)| has_timeout(world)) {
        let holds_back = |fault: &UpstreamFault| {
            matches!(fault.fault.kind(), FaultKind::Hang | FaultKind::Slow { .. } | FaultKind::Drip { .. })
        };
        let may_hang = |world: &World| world.faults.is_empty() || world.faults.iter().any(holds_back);
        let slow = variants.filter(|(_, world)| may_hang(world));
        slow.for_each(|(tree, world)| each_breaker(tree, world, context));
    }
}

/// Warns of each breaker of a variant without timeouts.
fn each_breaker(tree: &Table, world: &World, context: &Context<'_>) {
    let warn = |breaker: &Entry, path: &str, unbounded: &str, help: &str| {
        let message =
            format!("`{path}`: without a timeout for {unbounded}, the breaker never learns of what hangs");
        context.push(Problem::warning(breaker.key_span.clone(), message).help(help));
    };
    let mut general = Vec::new();
    for (place, (upstream, policy)) in world.upstreams.iter().zip(&world.gateway.upstreams).enumerate() {
        let is_used = world.gateway.routes.iter().any(|route| route.upstream.0 as usize == place);
        if policy.breaker.is_none() || !is_used {
            continue;
        }
        match tree.find(&["gateway", "upstreams", &upstream.name, "breaker"]) {
            Some(own) => {
                let name = display_key(&upstream.name);
                let path = format!("gateway.upstreams.{name}.breaker");
                let help = format!("such as `gateway.upstreams.{name}.timeout = \"5s\"`");
                warn(own, &path, &format!("`{}`", upstream.name), &help);
            }
            None => general.push(&*upstream.name),
        }
    }
    if let (Some(breaker), false) = (tree.find(&["gateway", "breaker"]), general.is_empty()) {
        warn(breaker, "gateway.breaker", &list(&general), "such as `gateway.timeout = \"5s\"`");
    }
    for upstream in &world.upstreams {
        let calls = tree.find(&["upstreams", &upstream.name, "calls"]);
        let Some(Value::Array(items)) = calls.map(|calls| &calls.node.value) else { continue };
        for (call, item) in upstream.config.calls.iter().zip(&**items) {
            let breaker = item.as_table().and_then(|table| table.get("breaker"));
            let asked = world.upstreams.get(call.upstream).map_or("", |asked| &asked.name);
            if let Some(breaker) = breaker.filter(|_| call.breaker.is_some()) {
                let path = format!("upstreams.{}.calls.breaker", display_key(&upstream.name));
                warn(breaker, &path, &format!("`{asked}`"), "such as `timeout = \"1s\"` beside it");
            }
        }
    }
}

fn unreached_upstreams(tree: &Table, world: &World, context: &Context<'_>) {
    let reached = world.reached_upstreams();
    let tokens = world.populations.iter().any(|population| population.token.is_some());
    for (upstream, reached) in world.upstreams.iter().zip(reached) {
        // That nobody looks at the tokens it issues may be the very point of a variant.
        let reached = reached || (upstream.serves_keys && tokens);
        if let Some(entry) = tree.find(&["upstreams", &upstream.name]).filter(|_| !reached) {
            let message = format!(
                "no route leads to `upstreams.{}`, and none that is reached calls it",
                display_key(&upstream.name)
            );
            context.push(Problem::warning(entry.key_span.clone(), message));
        }
    }
}

/// Warns of caps on retries where nothing is tried again.
fn caps_of_no_retries(tree: &Table, world: &World, context: &Context<'_>) {
    let gateway = &world.gateway;
    // Whoever switches retries off, in a variant most often, leaves the caps where they stand on purpose.
    if tree.find(&["gateway", "retry"]).is_some_and(|entry| matches!(entry.node.value, Value::Boolean(false)))
    {
        return;
    }
    let retries = |route: &Route| gateway.retry_of(route).is_some();
    let warn_unless = |has_retries: bool, path: &[&str]| {
        // A preset has its caps for whoever retries.
        let written = tree.find(path).filter(|entry| entry.preset.is_none());
        let Some(entry) = written.filter(|_| !has_retries) else { return };
        let path: Vec<String> = path.iter().copied().map(display_key).collect();
        let message = format!("`{}` has no effect: the gateway tries nothing again there", path.join("."));
        let problem = Problem::warning(entry.key_span.clone(), message);
        context.push(problem.help("`retry` of the gateway or of a route says what it tries again"));
    };
    let has_any = gateway.routes.iter().any(retries);
    for caller in ["per_ip", "per_key"] {
        warn_unless(has_any, &["gateway", "concurrency", caller, "max_retries"]);
    }
    for (place, upstream) in world.upstreams.iter().enumerate() {
        let mut routes = gateway.routes.iter().filter(|route| route.upstream.0 as usize == place);
        warn_unless(routes.any(retries), &["gateway", "upstreams", &upstream.name, "max_retries"]);
    }
    for route in gateway.routes.iter() {
        warn_unless(retries(route), &["routes", &route.path, "max_retries"]);
    }
}

fn warn_of_queue(entry: Option<&Entry>, path: &str, context: &Context<'_>) {
    if let Some(entry) = entry {
        let message = format!("`{path}` has no effect: workers are unbounded, nobody waits for one");
        context.push(Problem::warning(entry.key_span.clone(), message).help("`workers` bounds them"));
    }
}
