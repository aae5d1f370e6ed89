//! Whether two files describe the same world: what a comparison of two configurations takes for given.

use std::rc::Rc;

use super::context::Context;
use super::patch;
use super::reader::Read;
use super::shape::Shape;
use super::table::Described;
use super::text::parse;
use super::tree::{Entry, Node, Table, Value};
use super::variant::Variant;

/// The parts in which the worlds of two variants differ, each the text of its file and its name; none where they are alike. `None`
/// where one of the texts cannot be read.
///
/// What a file leaves out and what it says in so many words count as different, and files that it names are not looked into.
pub(crate) fn differing_worlds(one: (&str, &str), other: (&str, &str)) -> Option<Vec<&'static str>> {
    if one.0 == other.0 {
        return Some(Vec::new());
    }
    let (one, other) = (world(one)?, world(other)?);
    let differs = |key: &&str| match (one.get(key), other.get(key)) {
        (Some(one), Some(other)) => !one.node.value.same(&other.node.value),
        (one, other) => one.is_some() != other.is_some(),
    };
    let parts = Variant::table().fields.into_iter().filter(|field| !field.is_policy).map(|field| field.key);
    Some(TIME.into_iter().chain(parts).filter(differs).collect())
}

/// The file as the variant makes it, without what is configuration.
fn world((text, variant): (&str, &str)) -> Option<Table> {
    let nothing = |_: &str| Err(String::new());
    let file = parse(text, &Context::new(&nothing))?;
    let patch = file.find(&["variants", variant]).and_then(|entry| entry.node.as_table()).cloned();
    let merged = patch.map_or_else(|| file.clone(), |patch| patch::merge(&file, &patch));
    let world = Variant::shape();
    let entries = merged.entries().iter().map(|entry| Entry {
        node: match world.below(&entry.key) {
            Some(shape) => without_policies(&entry.node, &shape),
            None => entry.node.clone(),
        },
        ..entry.clone()
    });
    Some(Table::new(entries.collect()))
}

/// When a file plays, which is world too.
const TIME: [&str; 2] = ["starts", "duration"];

/// A value without what is configuration in it, however deep: services have policies of their own in their calls.
fn without_policies(node: &Node, shape: &Shape) -> Node {
    let value = match &node.value {
        Value::Table(table) => {
            let is_world = |entry: &&Entry| {
                shape
                    .as_table()
                    .and_then(|table| table.field(&entry.key))
                    .is_none_or(|field| !field.is_policy)
            };
            let kept = table.entries().iter().filter(is_world).map(|entry| match shape.below(&entry.key) {
                Some(below) => Entry { node: without_policies(&entry.node, &below), ..entry.clone() },
                None => entry.clone(),
            });
            Value::Table(Rc::new(Table::new(kept.collect())))
        }
        Value::Array(items) => match shape.item() {
            Some(item) => Value::Array(items.iter().map(|node| without_policies(node, &item)).collect()),
            None => return node.clone(),
        },
        _ => return node.clone(),
    };
    Node { span: node.span.clone(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "name = 'Before'\nduration = '1m'\nslo.latency = '1s'\nupstreams.a.latency = '5ms'\n\
        routes.'/a' = { upstream = 'a', timeout = '1s' }\nclients.all = { send = '/a', rate = '1/s', timeout = '2s' }\n\
        gateway.workers = 4\n[variants.x]\n[variants.y]\nclients.all.rate = '2/s'\n";

    #[test]
    fn a_configuration_is_no_world() {
        let differing = |from: &str, to: &str| differing_worlds((FILE, "x"), (&FILE.replace(from, to), "x"));
        for (from, to) in [
            ("Before", "After"),
            ("workers = 4", "workers = 8\ngateway.timeout = '1s'"),
            ("timeout = '1s'", "retry = { retries = 1 }, auth = false"),
            ("timeout = '2s'", "retry = { retries = 2 }"),
            ("name", "# another text\nname"),
            ("rate = '2/s'", "rate = '3/s'"),
        ] {
            assert_eq!(differing(from, to), Some(Vec::new()), "{to}");
        }
        assert_eq!(differing("'5ms'", "'6ms'"), Some(vec!["upstreams"]));
        assert_eq!(differing("'1m'", "'2m'"), Some(vec!["duration"]));
        assert_eq!(differing("rate = '1/s'", "rate = '2/s'"), Some(vec!["clients"]));
        let faults = "faults = [{ at = '1s', for = '1s', upstreams = ['a'], hang = true }]\nname";
        assert_eq!(differing("name", faults), Some(vec!["faults"]));
        assert_eq!(differing("name", "name ="), None);
        // Policies of services are a choice as the gateway's are, and what they call is not.
        let calling =
            |call: &str| FILE.replace("'5ms'", &format!("'5ms'\nupstreams.b = {{ latency = '1s', {call} }}"));
        let plain = calling("calls = [{ upstream = 'a' }]");
        for policy in ["timeout = '1s'", "retry = { retries = 1 }", "breaker = { window = '9s' }"] {
            let other = calling(&format!("calls = [{{ upstream = 'a', {policy} }}]"));
            assert_eq!(differing_worlds((&plain, "x"), (&other, "x")), Some(Vec::new()), "{policy}");
        }
        let checked = calling("calls = [{ upstream = 'a' }], auth = { jwks = 'a' }");
        assert_eq!(differing_worlds((&plain, "x"), (&checked, "x")), Some(Vec::new()));
        let two = calling("calls = [{ upstream = 'a' }, { upstream = 'a' }]");
        assert_eq!(differing_worlds((&plain, "x"), (&two, "x")), Some(vec!["upstreams"]));
        // As the variants make it.
        let other = FILE.replace("Before", "After");
        assert_eq!(differing_worlds((FILE, "x"), (&other, "y")), Some(vec!["clients"]));
        assert_eq!(differing_worlds((FILE, "y"), (&other, "y")), Some(Vec::new()));
    }
}
