//! `gateway.external`: a gateway that is not ours, and where the upstreams stand that it has to find.

use std::rc::Rc;
use std::time::Duration;

use gateway::{Route, Routes};
use http::Uri;
use url::Url;

use super::context::Context;
use super::diagnostic::Problem;
use super::shape::{Choice, Shape};
use super::table::{Empty, Item, Items, table};
use super::tree::{Node, Table, Value};
use super::values::{FromNode, Positive, text};
use super::words::display_key;
use crate::scenario::{ExternalGateway, NamedUpstream};

table! {
    /// Another gateway in the place of this one, in live runs only; `false` or left out for none. Requests go to the socket of
    /// that gateway: its workers, limits and breakers are not observed, and the other keys of `gateway` have no effect on that
    /// gateway.
    pub(super) struct External<'t> (Choice::Free) {
        /// The address of the gateway: `http`, host and port, such as `"http://127.0.0.1:8080"`. Load goes to loopback alone,
        /// unless `tuesday run --allow-remote` says otherwise.
        url: Origin, needed "where the gateway listens, such as `url = \"http://127.0.0.1:8080\"`";
        /// The program that starts the gateway, and its arguments, such as `["nginx", "-p", ".", "-c", "nginx.conf"]`. The
        /// program is started in the folder of the scenario file before each run, must stay in the foreground, and is ended
        /// after the run. Default: the gateway runs already.
        command: Items<Rc<str>>;
        /// A path that the gateway answers with a status below 500 once the gateway is ready, such as `"/health"`. Default: the
        /// gateway is ready once it takes connections.
        ready: Path;
        /// How long the gateway may take to be ready, such as `"10s"`; above zero, in real time.
        ready_within: Positive = Positive(Duration::from_secs(10));
    }
}

impl External<'_> {
    /// `None` where it cannot be used, which is noted.
    pub(super) fn build(self) -> Option<ExternalGateway> {
        let command = self.command.value.as_ref().map_or(&[][..], |Items(words)| words);
        let is_nothing =
            |program: &Option<Rc<str>>| program.as_ref().is_some_and(|program| program.is_empty());
        if self.command.value.is_some() && command.first().is_none_or(is_nothing) {
            let path = self.table.path_of(self.command.key);
            let message = format!("`{path}`: expected the name of a program, found none");
            self.table.context().push(Problem::error(self.command.span_in(&self.table), message));
        }
        Some(ExternalGateway {
            url: self.url.value?.0,
            command: command.iter().flatten().map(ToString::to_string).collect(),
            ready: self.ready.value.map(|Path(path)| path),
            ready_within: self.ready_within.value.0,
        })
    }
}

impl Item for Rc<str> {
    const OF: &'static str = "strings";
    const EMPTY: Empty = Empty::RefusedLater;

    fn way_out() -> String {
        "the program and each argument by itself, such as [\"nginx\", \"-p\", \".\"]".to_owned()
    }
}

/// The URL of a gateway: scheme, host and port.
pub(super) struct Origin(Url);

impl FromNode for Origin {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        let url = Url::parse(&text)
            .map_err(|error| format!("expected a URL such as \"http://127.0.0.1:8080\": {error}"))?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err(
                    "https is not supported; let the gateway listen for plain http too, on a port of \
                            loopback"
                        .to_owned(),
                );
            }
            other => return Err(format!("expected a URL that begins with http://, found {other}://")),
        }
        // What a route's path is put behind.
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare {
            return Err(
                "expected scheme, host and port alone, such as \"http://127.0.0.1:8080\"; the paths are \
                        those of the `routes`"
                    .to_owned(),
            );
        }
        // Of hosts, a URL allows for more than can be asked.
        if let Err(error) = url.as_str().parse::<Uri>() {
            return Err(format!("expected a URL such as \"http://127.0.0.1:8080\": {error}"));
        }
        if url.port() == Some(0) {
            return Err("a port is from 1 to 65535".to_owned());
        }
        Ok(Self(url))
    }

    fn format() -> Shape {
        Shape::Value(text(r"^\s*[Hh][Tt][Tt][Pp]:"))
    }
}

/// The path of a request.
pub(super) struct Path(pub(super) String);

impl FromNode for Path {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        if !text.starts_with('/') || text.contains(|letter: char| letter.is_whitespace() || letter == '#') {
            return Err("expected a path that begins with `/`, such as \"/health\"".to_owned());
        }
        Ok(Self(text.to_string()))
    }

    fn format() -> Shape {
        Shape::Value(text(r"^/[^\s#]*$"))
    }
}

/// Refuses two hosts on one address.
pub(super) fn refuse_shared_addresses(tree: &Table, upstreams: &[NamedUpstream], context: &Context<'_>) {
    let all = || {
        let hosts = |(place, upstream): (usize, &NamedUpstream)| {
            let listen: Vec<_> = upstream.hosts.iter().map(|host| host.listen).collect();
            listen.into_iter().enumerate().map(move |(host, listen)| (place, host, listen))
        };
        upstreams.iter().enumerate().flat_map(hosts)
    };
    let path = |place: usize, host: usize| {
        let Some(upstream) = upstreams.get(place) else { return String::new() };
        let name = display_key(&upstream.name);
        if upstream.hosts.len() > 1 {
            format!("upstreams.{name}.hosts[{host}]")
        } else {
            format!("upstreams.{name}")
        }
    };
    for (number, (place, host, listen)) in all().enumerate() {
        let Some(listen) = listen else { continue };
        let Some((first, first_host, _)) = all().take(number).find(|other| other.2 == Some(listen)) else {
            continue;
        };
        let message = format!("`{}.listen`: `{}` listens there", path(place, host), path(first, first_host));
        let entry = upstreams.get(place).and_then(|upstream| tree.find(&["upstreams", &upstream.name]));
        let span = entry.and_then(|entry| entry.node.as_table()).and_then(|table| {
            let own = || match &table.get("hosts")?.node.value {
                Value::Array(hosts) => hosts.get(host)?.as_table()?.get("listen"),
                _ => None,
            };
            own().or_else(|| table.get("listen")).map(|entry| entry.node.span.clone())
        });
        context.push(Problem::error(span.unwrap_or_default(), message));
    }
}

/// Refuses upstreams that the external gateway is to reach and cannot know where.
pub(super) fn require_addresses(
    tree: &Table,
    routes: &Routes,
    upstreams: &[NamedUpstream],
    context: &Context<'_>,
) {
    let tables = tree.get("upstreams").and_then(|entry| entry.node.as_table());
    for (place, upstream) in upstreams.iter().enumerate() {
        let is_asked = routes.iter().any(|route| route.upstream.0 as usize == place);
        if is_asked && upstream.hosts.iter().any(|host| host.listen.is_none()) {
            let entry = tables.and_then(|tables| tables.get(&upstream.name));
            // One that cannot be read has been told of.
            if entry
                .is_some_and(|entry| entry.node.as_table().is_none_or(|table| table.get("listen").is_some()))
            {
                continue;
            }
            let span = entry.map(|entry| entry.key_span.clone()).unwrap_or_default();
            let message = format!(
                "`upstreams.{}` needs `listen`: the external gateway has to know where it is",
                display_key(&upstream.name)
            );
            let problem = Problem::error(span, message).of_absence();
            context.push(
                problem.help("such as `listen = \"127.0.0.1:9101\"`, the address that its configuration has"),
            );
        }
    }
}

/// The routes without what only our gateway would do on them.
pub(super) fn plain(routes: &Routes) -> Routes {
    let plain = |route: &Route| Route {
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        ..route.clone()
    };
    let stripped = Routes::reading(routes.paths(), routes.iter().map(plain).collect());
    stripped.unwrap_or_else(|_| routes.clone())
}
