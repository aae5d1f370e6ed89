//! What is legal and surely not meant.

use std::time::Duration;

use gateway::Scope;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{display_key, list};
use super::tree::{Entry, Table, Value};
use super::units::write_duration;
use crate::World;

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
            warn_of_queue(tree.find(&["gateway", key]), &format!("gateway.{key}"), context);
        }
    }
    for upstream in &world.upstreams {
        if upstream.config.pool.workers.is_none() {
            let path = format!("upstreams.{}.queue", display_key(&upstream.name));
            warn_of_queue(tree.find(&["upstreams", &upstream.name, "queue"]), &path, context);
        }
    }
    for scope in Scope::ALL {
        let Some(limit) = world.gateway.limits.get(scope) else { continue };
        let path = |key| format!("gateway.rate_limit.{}.{key}", scope.name());
        let field = |key| tree.find(&["gateway", "rate_limit", scope.name(), key]);
        if let (Some(burst), Some(entry)) = (limit.burst(), field("burst"))
            && burst > limit.limit()
        {
            let (path, limit) = (path("burst"), limit.limit());
            let message =
                format!("`{path}`: a burst of {burst} is more than the limit of {limit} per window");
            let problem = Problem::warning(entry.node.span.clone(), message);
            context
                .push(problem.help("the burst is what one instant may bring, commonly a part of the limit"));
        }
        if let Some(entry) = field("window")
            && limit.window() > duration
        {
            let message = format!(
                "`{}`: the scenario lasts {}, less than one window of {}",
                path("window"),
                write_duration(duration),
                write_duration(limit.window())
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
        .filter(|entry| &*entry.key != "external")
        .map(|entry| vec!["gateway", &*entry.key])
        .chain(routes.flat_map(|route| ["timeout", "retry"].map(|key| vec!["routes", &*route.key, key])));
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

fn warn_of_queue(entry: Option<&Entry>, path: &str, context: &Context<'_>) {
    if let Some(entry) = entry {
        let message = format!("`{path}` has no effect: workers are unbounded, nobody waits for one");
        context.push(Problem::warning(entry.key_span.clone(), message).help("`workers` bounds them"));
    }
}
