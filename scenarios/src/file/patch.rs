//! A variant as a patch, merged table by table over the file.
//!
//! Three things are not merged entry by entry. An array is replaced whole. So is a choice picked by key: over
//! `latency = { constant = "5ms" }`, a variant's `latency = { exponential = … }` is no second choice beside the
//! first. And where a variant changes the algorithm of a limit or the kind of a load, the fields it inherits that
//! the new one does not have are dropped, for their author spoke of the old one.

use std::rc::Rc;

use gateway::Algorithm;

use super::breaker::half_open_has;
use super::retry::backoff_has;
use super::tree::{Table, Value};

/// The tables of the file with those of the patch laid over them. A patched value has its place in
/// the patch.
pub(super) fn merge(base: &Table, patch: &Table) -> Table {
    merge_at(&mut Vec::new(), base, patch)
}

fn merge_at(path: &mut Vec<Rc<str>>, base: &Table, patch: &Table) -> Table {
    let mut merged = base.entries().to_vec();
    for entry in patch.entries() {
        path.push(entry.key.clone());
        match base.place(&entry.key).and_then(|place| merged.get_mut(place)) {
            Some(inherited) => match (&inherited.node.value, &entry.node.value) {
                // A table keeps its place in the file: what it lacks, it lacks there.
                (Value::Table(base), Value::Table(patch)) if !is_choice(path) => {
                    inherited.node.value = Value::Table(Rc::new(merge_at(path, base, patch)));
                }
                _ => *inherited = entry.clone(),
            },
            None => merged.push(entry.clone()),
        }
        path.pop();
    }
    if let Some(applies) = what_still_applies(path, patch) {
        merged.retain(|entry| patch.place(&entry.key).is_some() || applies(&entry.key));
    }
    Table::new(merged)
}

/// Whether the table at this path holds one of several keys, each a choice of its own.
fn is_choice(path: &[Rc<str>]) -> bool {
    let path: Vec<_> = path.iter().map(|key| &**key).collect();
    matches!(path[..], ["upstreams", _, "latency"] | ["clients", _, "think" | "send"])
}

/// Whether a field still applies.
type Applies = Box<dyn Fn(&str) -> bool>;

/// Which inherited fields the table at this path still has once the patch is laid over it; `None` for all.
fn what_still_applies(path: &[Rc<str>], patch: &Table) -> Option<Applies> {
    match path.iter().map(|key| &**key).collect::<Vec<_>>()[..] {
        ["gateway", "rate_limit", _] => {
            let Value::Text(name) = &patch.get("algorithm")?.node.value else { return None };
            let algorithm = Algorithm::from_name(name)?;
            Some(Box::new(move |key| match key {
                "burst" => algorithm.has_burst(),
                "count_rejected" => algorithm.is_sliding(),
                _ => true,
            }))
        }
        [.., "retry"] => {
            let Some(Value::Text(kind)) = patch.get("backoff").map(|entry| entry.node.value.clone()) else {
                return None;
            };
            Some(Box::new(move |key| backoff_has(&kind, key)))
        }
        [.., "breaker"] => {
            let Some(Value::Text(style)) = patch.get("half_open").map(|entry| entry.node.value.clone())
            else {
                return None;
            };
            Some(Box::new(move |key| half_open_has(&style, key)))
        }
        ["clients", _] => {
            let kind = LOAD_KINDS.into_iter().find(|kind| patch.get(kind).is_some())?;
            Some(Box::new(move |key| load_has(kind, key)))
        }
        _ => None,
    }
}

/// The keys that each make a load of their own.
pub(super) const LOAD_KINDS: [&str; 4] = ["rate", "ramp", "bursts", "users"];

/// Whether a population with a load of that kind has that key.
pub(super) fn load_has(kind: &str, key: &str) -> bool {
    match key {
        "arrivals" => matches!(kind, "rate" | "ramp"),
        "think" | "start" => kind == "users",
        _ => key == kind || !LOAD_KINDS.contains(&key),
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    fn table(text: &str) -> Table {
        Table::from_document(DeTable::parse(text).unwrap().get_ref())
    }

    /// The merged tree is the tree of `wanted`.
    fn assert_merged(base: &str, patch: &str, wanted: &str) {
        let merged = Value::Table(Rc::new(merge(&table(base), &table(patch))));
        assert!(merged.same(&Value::Table(Rc::new(table(wanted)))), "{merged:#?}");
    }

    #[test]
    fn tables_are_merged_and_arrays_replaced() {
        assert_merged(
            "a.x = 1\na.y = [1, 2]\nb = 1",
            "a.y = [3]\na.z = 4\nb = false",
            "a.x = 1\na.y = [3]\na.z = 4\nb = false",
        );
    }

    #[test]
    fn a_choice_is_replaced_whole() {
        assert_merged(
            "[upstreams.a]\nlatency = { constant = '5ms' }\nworkers = 2",
            "[upstreams.a]\nlatency = { exponential = { mean = '1s' } }",
            "[upstreams.a]\nlatency = { exponential = { mean = '1s' } }\nworkers = 2",
        );
    }

    #[test]
    fn a_new_algorithm_drops_what_only_the_old_one_had() {
        let base = "[gateway.rate_limit.per_key]\nalgorithm = 'token-bucket'\nlimit = 9\nburst = 3";
        let per_key = "[gateway.rate_limit.per_key]\n";
        assert_merged(
            base,
            &format!("{per_key}algorithm = 'fixed-window'"),
            &format!("{per_key}algorithm = 'fixed-window'\nlimit = 9"),
        );
        assert_merged(
            base,
            &format!("{per_key}algorithm = 'gcra'"),
            &format!("{per_key}algorithm = 'gcra'\nlimit = 9\nburst = 3"),
        );
        // What the variant says itself stays, to be refused where it makes no sense.
        assert_merged(
            base,
            &format!("{per_key}algorithm = 'fixed-window'\nburst = 5"),
            &format!("{per_key}algorithm = 'fixed-window'\nlimit = 9\nburst = 5"),
        );
    }

    #[test]
    fn a_new_kind_of_load_drops_the_old_one() {
        assert_merged(
            "[clients.a]\nrate = '1/s'\narrivals = 'poisson'\ntimeout = '1s'",
            "[clients.a]\nusers = 5\nthink = '1s'",
            "[clients.a]\ntimeout = '1s'\nusers = 5\nthink = '1s'",
        );
        assert_merged(
            "[clients.a]\nrate = '1/s'\narrivals = 'poisson'",
            "[clients.a]\nrate = '2/s'",
            "[clients.a]\nrate = '2/s'\narrivals = 'poisson'",
        );
    }
}
