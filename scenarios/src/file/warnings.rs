//! What is legal and surely not meant.

use std::time::Duration;

use gateway::Scope;
use reports::{Expectation, Measure};

use super::context::Context;
use super::diagnostic::Problem;
use super::expect::{self, Line};
use super::reader::{display_key, list};
use super::tree::{Entry, Span, Table, Value};
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
    if expectation.measure.is_of_our_gateway() && world.external.is_some() {
        let message = format!(
            "`expect.hold`: this can never hold, the gateway of the variant `{variant}` is external and does not tell it"
        );
        let problem = Problem::warning(place(&line.measure.span), message);
        context.push(problem.help("a line for one variant begins with its name: `NAME: served(…) …`"));
        return;
    }
    if let Measure::UnauthorizedReached(upstream) = expectation.measure {
        let mut asked = world.upstreams.iter().enumerate().filter(|(_, named)| named.requires.is_some());
        if !asked.any(|(place, _)| upstream.is_none_or(|upstream| upstream == place)) {
            let whose = match upstream.and_then(|upstream| world.upstreams.get(upstream)) {
                Some(named) => format!("`upstreams.{}`", display_key(&named.name)),
                None => "no upstream".to_owned(),
            };
            let message = match upstream {
                Some(_) => {
                    format!("`expect.hold`: this can never hold, {whose} does not say what it requires")
                }
                None => format!("`expect.hold`: this can never hold, {whose} says what it requires"),
            };
            let problem = Problem::warning(place(&line.measure.span), message);
            context.push(problem.help("who may come to it is said by `upstreams.NAME.requires`"));
        }
        return;
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
