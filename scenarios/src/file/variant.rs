//! What a variant can change: upstreams, gateway, routes, clients and faults.

use std::time::Duration;

use gateway::GatewayConfig;
use serde_json::json;

use super::calls::refuse_avalanches;
use super::clients::{Population, build_clients};
use super::context::Context;
use super::diagnostic::Problem;
use super::external;
use super::faults::{Fault, build_faults};
use super::gateway::Gateway;
use super::limits::{Names, refuse_what_cannot_be_numbered};
use super::reader::{Fields, Read};
use super::routes::{BuiltRoutes, Route, build_routes};
use super::shape::{Choice, Shape, TableShape, WHOLE};
use super::table::{Described, Items, Named, Switch, table};
use super::tree::{Node, Table};
use super::upstream_names::Known;
use super::upstreams::{Upstream, build_upstreams};

table! {
    /// What a variant changes. Tables are merged key by key; arrays and distributions are replaced whole; `false`
    /// switches the gateway, a limit, a breaker or retries off; a new `algorithm`, `backoff`, `half_open` or kind of load
    /// drops what only the old one had.
    pub(super) struct Variant<'t> (Choice::Free) {
        /// The services behind the gateway, by name.
        upstreams: Populated<'t, Upstream<'t>>,
            needed "such as `upstreams.orders.latency = { constant = \"5ms\" }`";
        gateway: Switch<Gateway<'t>>, is policy;
        /// The paths that the gateway serves. A path serves what is below it too; the longest one that matches wins.
        routes: Paths<'t>, needed "such as `routes.\"/orders\".upstream = \"orders\"`";
        /// The populations of clients, by name.
        clients: Populated<'t, Population<'t>>,
            needed "such as `clients.partner = { send = \"/orders\", rate = \"100/s\" }`";
        /// The incident: what goes wrong with the upstreams, and when. Each begins with `[[faults]]`. Faults may overlap;
        /// where several strike at once, the last one in the file counts. Default: nothing fails.
        faults: Items<Fault<'t>>;
    }
}

/// Things by name, of which there is at least one in the end.
pub(super) struct Populated<'t, T>(Named<'t, T>);

impl<'t, T: Read<'t>> Read<'t> for Populated<'t, T> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        Named::read(node, path, context).map(Self)
    }

    fn shape() -> Shape {
        Shape::With(Box::new(<Named<'t, T> as Read<'t>>::shape()), json!({ WHOLE: { "minProperties": 1 } }))
    }
}

/// Routes by their paths.
pub(super) struct Paths<'t>(Populated<'t, Route<'t>>);

impl<'t> Read<'t> for Paths<'t> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        Populated::read(node, path, context).map(Self)
    }

    fn shape() -> Shape {
        let keywords = json!({ "propertyNames": { "pattern": "^/[^?#]*$" } });
        Shape::With(Box::new(<Populated<'t, Route<'t>> as Read<'t>>::shape()), keywords)
    }
}

/// Reads the tables that a variant can patch. `None` if they hold nothing that could be run; then, and otherwise
/// where something is wrong, that is noted. `common` are the keys that stand beside them.
pub(super) fn read_world(
    tree: &Table,
    common: &TableShape,
    duration: Duration,
    context: &Context<'_>,
) -> Option<crate::World> {
    let mut top = Fields::new(tree, 0..0, "", context);
    for field in &common.fields {
        top.entry(field.key);
    }
    let tables = Variant::of(&mut top);
    top.finish();
    for entry in [tables.upstreams.entry, tables.routes.entry, tables.clients.entry].into_iter().flatten() {
        if entry.node.as_table().is_some_and(|table| table.entries().is_empty()) {
            let message = format!("`{}`: expected at least one, found none", entry.key);
            context.push(Problem::error(entry.key_span.clone(), message).of_absence());
        }
    }
    let upstreams = tables.upstreams.value.map_or_else(Vec::new, |Populated(Named(all))| all);
    let (upstreams, provider) = build_upstreams(upstreams, context);
    let names: Vec<_> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    let known = Known { names: &names, provider };
    let routes = tables.routes.value.map_or_else(Vec::new, |Paths(Populated(Named(all)))| all);
    let paths: Vec<_> = routes.iter().map(|route| route.entry.key.clone()).collect();
    let clients = tables.clients.value.iter().flat_map(|Populated(Named(all))| all);
    let clients: Vec<_> = clients
        .map(|one| (one.entry.key.clone(), one.value.as_ref().map_or(1, Population::key_count)))
        .collect();
    let names = Names { routes: &paths, clients: &clients };
    let gateway = tables.gateway.on().map(|gateway| gateway.build(known, names));
    let (mut gateway, external, paths) = gateway.unwrap_or_default();
    let routes = build_routes(routes, known, paths, context);
    let populations = tables.clients.entry.and_then(|clients| {
        let populations = tables.clients.value.map_or_else(Vec::new, |Populated(Named(all))| all);
        build_clients(clients, populations, routes.as_ref().map(|built| &built.routes), context)
    });
    let faults = tables.faults.value;
    let faults = faults.map(|faults| build_faults(faults, known, &upstreams, duration)).unwrap_or_default();
    if upstreams.iter().any(|upstream| upstream.hosts.len() > 1) {
        gateway.upstreams.resize(upstreams.len(), gateway::UpstreamPolicy::default());
    }
    for (policy, upstream) in gateway.upstreams.iter_mut().zip(&upstreams) {
        policy.hosts.count = upstream.host_count();
    }
    external::refuse_shared_addresses(tree, &upstreams, context);
    let BuiltRoutes { routes, expect_status, weights } = routes?;
    gateway.routes = routes;
    if external.is_some() {
        external::require_addresses(tree, &gateway.routes, &upstreams, context);
        // Its own policies are what an external gateway has.
        gateway = GatewayConfig { routes: external::plain(&gateway.routes), ..GatewayConfig::default() };
    }
    let world = crate::World {
        gateway,
        external,
        upstreams,
        populations: populations?,
        expect_status,
        weights,
        faults,
    };
    refuse_avalanches(tree, &world, context);
    refuse_what_cannot_be_numbered(tree, &world, context);
    Some(world)
}

#[cfg(test)]
mod tests {
    use gateway::Paths;

    #[test]
    fn an_external_gateway_has_the_paths_of_the_file() {
        let text = "name = 'Small'\nduration = '2m'\nslo.latency = '1s'\n\
            upstreams.orders = { latency.constant = '5ms', listen = '127.0.0.1:9101' }\n\
            routes.'/a%2Fb'.upstream = 'orders'\nclients.one = { send = '/a%2Fb', rate = '1/s' }\n\
            gateway.paths = 'verbatim'\ngateway.external.url = 'http://127.0.0.1:1'\n";
        let reading = super::super::reading::read(text, &|_| Err(String::new()));
        assert_eq!(reading.problems, []);
        let world = &reading.scenario.unwrap().variants[0].world;
        assert_eq!(world.gateway.routes.paths(), Paths::Verbatim);
    }
}
