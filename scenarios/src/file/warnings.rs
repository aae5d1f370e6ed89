//! What is legal and surely not meant.

use std::time::Duration;

use gateway::Scope;
use reports::{Expectation, Measure};

use super::context::Context;
use super::diagnostic::Problem;
use super::expect::{self, Line};
use super::reader::display_key;
use super::tree::{Entry, Span, Table};
use super::units::write_duration;
use crate::World;

/// Warns of what stands in the tables that a variant can patch; `tree` is the file as the variant makes it.
pub(super) fn warn(tree: &Table, world: &World, duration: Duration, context: &Context<'_>) {
    unreached_upstreams(tree, world, context);
    if world.gateway.pool.workers.is_none() {
        for key in ["queue", "queue_timeout"] {
            warn_of_queue(find(tree, &["gateway", key]), &format!("gateway.{key}"), context);
        }
    }
    for upstream in &world.upstreams {
        if upstream.config.pool.workers.is_none() {
            let path = format!("upstreams.{}.queue", display_key(&upstream.name));
            warn_of_queue(find(tree, &["upstreams", &upstream.name, "queue"]), &path, context);
        }
    }
    for scope in Scope::ALL {
        let Some(limit) = world.gateway.limits.get(scope) else { continue };
        let path = |key| format!("gateway.rate_limit.{}.{key}", scope.name());
        let field = |key| find(tree, &["gateway", "rate_limit", scope.name(), key]);
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

/// Warns of what a line of `expect.hold` asks of the variant: `place` tells where in the file a part of it stands.
pub(super) fn warn_of_expectation(
    line: &Line,
    expectation: &Expectation,
    world: &World,
    variant: &str,
    place: &dyn Fn(&Span) -> Span,
    context: &Context<'_>,
) {
    if let Some(never) = expect::never(expectation) {
        let message = format!("`expect.hold`: this can never {never}");
        context.push(Problem::warning(place(&line.value.span), message));
    }
    let (Measure::Admitted(limit) | Measure::PeakAdmitted(limit, _)) = &expectation.measure else { return };
    let is_set = |scope: &Scope| scope.name() == limit && world.gateway.limits.get(*scope).is_some();
    if !Scope::ALL.iter().any(is_set) {
        let message =
            format!("`expect.hold`: this can never hold, the variant `{variant}` has no `{limit}` limit");
        let problem = Problem::warning(place(&line.measure.span), message);
        context.push(problem.help("a line for one variant begins with its name: `NAME: admitted(…) …`"));
    }
}

fn unreached_upstreams(tree: &Table, world: &World, context: &Context<'_>) {
    let reached = world.reached_upstreams();
    for (upstream, reached) in world.upstreams.iter().zip(reached) {
        if let Some(entry) = find(tree, &["upstreams", &upstream.name]).filter(|_| !reached) {
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

fn find<'t>(tree: &'t Table, path: &[&str]) -> Option<&'t Entry> {
    let (last, tables) = path.split_last()?;
    let mut table = tree;
    for key in tables {
        table = table.get(key)?.node.as_table()?;
    }
    table.get(last)
}
