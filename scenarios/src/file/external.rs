//! `gateway.external`: a gateway that is not ours, and where the upstreams stand that it has to find.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use gateway::{Route, Routes};
use http::Uri;
use url::Url;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{Fields, FromNode, Positive, display_key, read};
use super::tree::{Node, Table, Value};
use crate::scenario::{ExternalGateway, NamedUpstream};

/// The table `gateway.external`; `None` where there is none, and where it cannot be used, which is noted.
pub(super) fn read_external(gateway: &mut Fields<'_>) -> Option<ExternalGateway> {
    let mut fields = gateway.optional_table("external")?;
    let url: Option<Origin> = fields.required("url");
    let command = read_command(&mut fields);
    let ready: Option<Path> = fields.optional("ready");
    let ready_within = fields.optional::<Positive>("ready_within").map(|Positive(within)| within);
    fields.finish();
    Some(ExternalGateway {
        url: url?.0,
        command,
        ready: ready.map(|Path(path)| path),
        ready_within: ready_within.unwrap_or(READY_WITHIN),
    })
}

/// How long a gateway may take to start where the file does not say.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// The program and its arguments; empty where none is to be started.
fn read_command(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(entry) = fields.entry("command") else { return Vec::new() };
    let (path, context) = (fields.path_of("command"), fields.context());
    let Value::Array(words) = &entry.node.value else {
        let message = format!("`{path}`: expected an array of strings, found {}", entry.node.kind());
        let problem = Problem::error(entry.node.span.clone(), message);
        context.push(
            problem.help("the program and each argument by itself, such as [\"nginx\", \"-p\", \".\"]"),
        );
        return Vec::new();
    };
    let read_word = |word: &Node| read::<Rc<str>>(word, &path, context).map(|word| word.to_string());
    let words: Vec<Option<String>> = words.iter().map(read_word).collect();
    if words.first().is_none_or(|program| program.as_ref().is_some_and(String::is_empty)) {
        let message = format!("`{path}`: expected the name of a program, found none");
        context.push(Problem::error(entry.node.span.clone(), message));
    }
    words.into_iter().flatten().collect()
}

/// The URL of a gateway: scheme, host and port.
struct Origin(Url);

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
}

/// The path of a request.
struct Path(String);

impl FromNode for Path {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        if !text.starts_with('/') || text.contains(|letter: char| letter.is_whitespace() || letter == '#') {
            return Err("expected a path that begins with `/`, such as \"/health\"".to_owned());
        }
        Ok(Self(text.to_string()))
    }
}

/// An address to listen on.
pub(super) struct Listen(pub(super) SocketAddr);

impl FromNode for Listen {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let expected = || "expected an address and a port, such as \"127.0.0.1:9101\"".to_owned();
        address.map(Self).ok_or_else(expected)
    }
}

/// Refuses two upstreams on one address.
pub(super) fn refuse_shared_addresses(tree: &Table, upstreams: &[NamedUpstream], context: &Context<'_>) {
    for (place, upstream) in upstreams.iter().enumerate() {
        let Some(listen) = upstream.listen else { continue };
        if let Some(first) = upstreams[..place].iter().find(|other| other.listen == Some(listen)) {
            let path = format!("upstreams.{}.listen", display_key(&upstream.name));
            let message = format!("`{path}`: `upstreams.{}` listens there", display_key(&first.name));
            let named = |key: &str, table: &Table| table.get(key)?.node.as_table().cloned();
            let entry = named("upstreams", tree).and_then(|table| named(&upstream.name, &table));
            let span = entry.and_then(|table| table.get("listen").map(|entry| entry.node.span.clone()));
            context.push(Problem::error(span.unwrap_or_default(), message));
        }
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
        if is_asked && upstream.listen.is_none() {
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
    let plain = |route: &Route| Route { timeout: None, retry: None, ..route.clone() };
    let stripped = Routes::reading(routes.paths(), routes.iter().map(plain).collect());
    stripped.unwrap_or_else(|_| routes.clone())
}
