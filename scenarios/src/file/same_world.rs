//! Whether two files describe the same world: what a comparison of two configurations takes for given.

use std::rc::Rc;

use super::context::Context;
use super::reader::Read;
use super::shape::Shape;
use super::table::Described;
use super::tree::{Entry, Table, Value};
use super::variant::Variant;
use super::patch;
use super::text::parse;

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
    let entries = merged.entries().iter().map(|entry| match world.below(&entry.key) {
        Some(named) => without_policies(entry, &named),
        None => entry.clone(),
    });
    Some(Table::new(entries.collect()))
}

/// When a file plays, which is world too.
const TIME: [&str; 2] = ["starts", "duration"];

/// A table of named things, each without what is configuration.
fn without_policies(entry: &Entry, shape: &Shape) -> Entry {
    let mut stripped = entry.clone();
    if let Some(table) = entry.node.as_table() {
        let named = |entry: &Entry| {
            let mut named = entry.clone();
            let shape = shape.below(&entry.key);
            if let (Some(table), Some(shape)) =
                (entry.node.as_table(), shape.as_ref().and_then(Shape::as_table))
            {
                let is_world = |key: &str| shape.field(key).is_none_or(|field| !field.is_policy);
                let kept = table.entries().iter().filter(|entry| is_world(&entry.key)).cloned();
                named.node.value = Value::Table(Rc::new(Table::new(kept.collect())));
            }
            named
        };
        let entries = table.entries().iter().map(named).collect();
        stripped.node.value = Value::Table(Rc::new(Table::new(entries)));
    }
    stripped
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
        // As the variants make it.
        let other = FILE.replace("Before", "After");
        assert_eq!(differing_worlds((FILE, "x"), (&other, "y")), Some(vec!["clients"]));
        assert_eq!(differing_worlds((FILE, "y"), (&other, "y")), Some(Vec::new()));
    }
}
