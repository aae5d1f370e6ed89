//! What is legal and surely not meant.

use std::time::Duration;

use gateway::Scope;

use super::context::Context;
use super::diagnostic::Problem;
use super::tree::{Entry, Table};
use super::units::write_duration;
use crate::World;

/// Warns of what stands in the tables that a variant can patch; `tree` is the file as the variant makes it.
pub(super) fn warn(tree: &Table, world: &World, duration: Duration, context: &Context<'_>) {
    unreached_upstreams(tree, world, context);
    if world.gateway.pool.workers.is_none() {
        for key in ["queue", "queue_timeout"] {
            warn_of_queue(find(tree, &["gateway", key]), "gateway", context);
        }
    }
    for upstream in &world.upstreams {
        if upstream.config.pool.workers.is_none() {
            warn_of_queue(find(tree, &["upstreams", &upstream.name, "queue"]), &upstream.name, context);
        }
    }
    for scope in Scope::ALL {
        let Some(limit) = world.gateway.limits.get(scope) else { continue };
        let field = |key| find(tree, &["gateway", "rate_limit", scope.name(), key]);
        if let (Some(burst), Some(entry)) = (limit.burst(), field("burst"))
            && burst > limit.limit()
        {
            let message =
                format!("a burst of {burst} is more than the limit of {} per window", limit.limit());
            let problem = Problem::warning(entry.node.span.clone(), message);
            context
                .push(problem.help("the burst is what one instant may bring, commonly a part of the limit"));
        }
        if let Some(entry) = field("window")
            && limit.window() > duration
        {
            let message = format!(
                "the scenario lasts {}, less than one window of {}",
                write_duration(duration),
                write_duration(limit.window())
            );
            context.push(Problem::warning(entry.node.span.clone(), message));
        }
    }
}

fn unreached_upstreams(tree: &Table, world: &World, context: &Context<'_>) {
    let reached = world.reached_upstreams();
    for (upstream, reached) in world.upstreams.iter().zip(reached) {
        if let Some(entry) = find(tree, &["upstreams", &upstream.name]).filter(|_| !reached) {
            let message = format!(
                "no route leads to the upstream `{}`, and none that is reached calls it",
                upstream.name
            );
            context.push(Problem::warning(entry.key_span.clone(), message));
        }
    }
}

fn warn_of_queue(entry: Option<&Entry>, place: &str, context: &Context<'_>) {
    if let Some(entry) = entry {
        let message =
            format!("`{}` has no effect: `{place}` has unbounded workers, nobody waits for one", entry.key);
        context.push(Problem::warning(entry.key_span.clone(), message).help("`workers` bounds them"));
    }
}

fn find<'t>(tree: &'t Table, path: &[&str]) -> Option<&'t Entry> {
    let (last, tables) = path.split_last()?;
    let mut table = tree;
    for key in tables {
        table = table.get(key)?.node.as_table()?;
    }
    table.get(last)
}
