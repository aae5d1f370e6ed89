//! A variant as a patch, merged table by table over the file.
//!
//! Three things are not merged entry by entry. An array is replaced whole. So is a choice picked by key: over
//! `latency = { constant = "5ms" }`, a variant's `latency = { exponential = … }` is no second choice beside the
//! first. And where a variant changes the algorithm of a limit, the window of a breaker or the kind of a load, the fields it
//! inherits that the new one does not have are dropped, for their author spoke of the old one.

use std::rc::Rc;

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::{Choice, Shape, TableShape};
use super::tree::{Entry, Node, Table, Value};
use super::variant::Variant;

/// The tables of the file with those of the patch laid over them. A patched value has its place in
/// the patch.
pub(super) fn merge(base: &Table, patch: &Table) -> Table {
    merge_at(Some(&Variant::shape()), base, patch)
}

/// As [`merge`], where a key of the patch may also be a place in an array: `per_key-1-` is the second item of `per_key`, as a sweep
/// has it ([`Vary`](super::Vary)). What names no item is noted, and left out.
pub(super) fn lay(base: &Table, patch: &Table, context: &Context<'_>) -> Table {
    let placed = placed(Some(&Variant::shape()), base, patch, context);
    merge(base, &placed)
}

/// The patch with whole arrays in the place of their items.
fn placed(shape: Option<&Shape>, base: &Table, patch: &Table, context: &Context<'_>) -> Table {
    let entry = |entry: &Entry| {
        let of_base = |key: &str| base.get(key).map(|entry| &entry.node.value);
        let Some(patch) = entry.node.as_table() else { return Some(entry.clone()) };
        let placed_in = |key: &str, node: Node| Some(Entry { key: key.into(), node, ..entry.clone() });
        if let (Some((array, place)), None) = (split_place(&entry.key), of_base(&entry.key)) {
            let below = shape.and_then(|shape| shape.below(array)?.item());
            let items = if let Some(Value::Array(items)) = of_base(array) { &**items } else { &[] };
            let Some(item) = items.get(place).and_then(Node::as_table) else {
                let message = format!("there is no `{array}[{place}]`");
                let problem = Problem::error(entry.key_span.clone(), message);
                context.push(problem.help(match items.len() {
                    0 => format!("`{array}` is no array in this file"),
                    count => format!("`{array}` has {count} of them, counted from 0"),
                }));
                return None;
            };
            let mut items = items.to_vec();
            let merged = merge_at(below.as_ref(), item, &placed(below.as_ref(), item, patch, context));
            items[place].value = Value::Table(Rc::new(merged));
            let span = entry.node.span.clone();
            return placed_in(array, Node { span, value: Value::Array(items.into()) });
        }
        let Some(Value::Table(base)) = of_base(&entry.key) else { return Some(entry.clone()) };
        let below = shape.and_then(|shape| shape.below(&entry.key));
        let value = Value::Table(Rc::new(placed(below.as_ref(), base, patch, context)));
        placed_in(&entry.key, Node { span: entry.node.span.clone(), value })
    };
    Table::new(patch.entries().iter().filter_map(entry).collect())
}

/// The array and the place that a key such as `per_key-1-` names.
pub(super) fn split_place(key: &str) -> Option<(&str, usize)> {
    let (array, place) = key.strip_suffix('-')?.rsplit_once('-')?;
    Some((array, place.parse().ok().filter(|_| !array.is_empty())?))
}

fn merge_at(shape: Option<&Shape>, base: &Table, patch: &Table) -> Table {
    let mut merged = base.entries().to_vec();
    for entry in patch.entries() {
        let below = shape.and_then(|shape| shape.below(&entry.key));
        match base.place(&entry.key).and_then(|place| merged.get_mut(place)) {
            Some(inherited) => match (&inherited.node.value, &entry.node.value) {
                // A table keeps its place in the file: what it lacks, it lacks there.
                (Value::Table(base), Value::Table(patch))
                    if !below.as_ref().is_some_and(Shape::is_replaced_whole) =>
                {
                    inherited.node.value = Value::Table(Rc::new(merge_at(below.as_ref(), base, patch)));
                }
                _ => *inherited = entry.clone(),
            },
            None => merged.push(entry.clone()),
        }
    }
    if let Some(table) = shape.and_then(Shape::as_table)
        && let Some(chosen) = table.chosen(patch)
    {
        for entry in &mut merged {
            let said = patch.get(&entry.key).and_then(|entry| entry.node.as_table()).map(|said| &**said);
            drop_what_the_choice_lacks(table, chosen, entry, said);
        }
    }
    if let Some(table) = shape.and_then(Shape::as_table) {
        let drops = drops(table, patch);
        merged.retain(|entry| patch.place(&entry.key).is_some() || !drops(&entry.key));
    }
    Table::new(merged)
}

/// Whether a patch drops a key that it inherits and does not name: one that has no meaning with what the patch chooses.
fn drops<'t>(table: &'t TableShape, patch: &'t Table) -> impl Fn(&str) -> bool + 't {
    let chosen = table.chosen(patch);
    move |key| {
        let is_foreign = chosen.is_some_and(|chosen| !table.has(chosen, key));
        // A patch that says nothing of the other key changes nothing of it.
        let rests = table.field(key).and_then(|field| field.rests);
        let says = rests.is_some_and(|rests| patch.place(rests.key).is_some());
        is_foreign || (says && table.at_odds(patch, key).is_some())
    }
}

/// The table with what it leaves out filled from another one below it: the values that [`merge`] has of the two with the table
/// as the patch. The table's own entries come first, in their order, so that what is filled in moves none of them.
pub(super) fn fill(shape: Option<&Shape>, table: &Table, below: &Table) -> Table {
    let mut filled = table.entries().to_vec();
    let described = shape.and_then(Shape::as_table);
    for entry in below.entries() {
        let mut entry = entry.clone();
        if let Some(described) = described
            && let Some(chosen) = described.chosen(table)
        {
            let said = table.get(&entry.key).and_then(|entry| entry.node.as_table()).map(|said| &**said);
            drop_what_the_choice_lacks(described, chosen, &mut entry, said);
        }
        if let Some(said) = table.place(&entry.key).and_then(|place| filled.get_mut(place)) {
            let each = shape.and_then(|shape| shape.below(&entry.key));
            if let (Value::Table(own), Value::Table(under)) = (&said.node.value, &entry.node.value)
                && !each.as_ref().is_some_and(Shape::is_replaced_whole)
            {
                said.node.value = Value::Table(Rc::new(fill(each.as_ref(), own, under)));
            }
        } else if !described.is_some_and(|described| drops(described, table)(&entry.key)) {
            filled.push(entry);
        }
    }
    Table::new(filled)
}

/// Of tables by name whose keys have a meaning by the choice of the table that they stand in: drops the keys that are inherited
/// and have none. `said` is what the patch says of them.
fn drop_what_the_choice_lacks(parent: &TableShape, chosen: &str, named: &mut Entry, said: Option<&Table>) {
    let Some(Shape::Named(each)) = parent.field(&named.key).map(|field| (field.shape)()) else { return };
    let each = each();
    let Some(shape) = each.as_table().filter(|table| matches!(table.choice, Choice::OfParent)) else {
        return;
    };
    let Value::Table(tables) = &named.node.value else { return };
    let tables = tables.entries().iter().map(|entry| {
        let Some(table) = entry.node.as_table() else { return entry.clone() };
        let said = said.and_then(|said| said.get(&entry.key)).and_then(|entry| entry.node.as_table());
        let is_said = |key: &str| said.is_some_and(|said| said.get(key).is_some());
        let kept =
            table.entries().iter().filter(|field| is_said(&field.key) || shape.has(chosen, &field.key));
        let value = Value::Table(Rc::new(Table::new(kept.cloned().collect())));
        Entry { node: Node { span: entry.node.span.clone(), value }, ..entry.clone() }
    });
    named.node.value = Value::Table(Rc::new(Table::new(tables.collect())));
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
        let wanted = Value::Table(Rc::new(table(wanted)));
        let merged = Value::Table(Rc::new(merge(&table(base), &table(patch))));
        assert!(merged.same(&wanted), "{merged:#?}");
        // Seen from the other side, it is the same.
        let filled = Value::Table(Rc::new(fill(Some(&Variant::shape()), &table(patch), &table(base))));
        assert!(filled.same(&wanted), "{filled:#?}");
    }

    #[test]
    fn what_is_filled_in_stands_behind_what_is_said() {
        let filled =
            fill(Some(&Variant::shape()), &table("b = 1\na.y = 2"), &table("a.x = 3\na.y = 4\nc = 5\nb = 6"));
        let keys =
            |table: &Table| table.entries().iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>();
        assert_eq!(keys(&filled), keys(&table("b = 1\na.y = 2\nc = 5")));
        assert_eq!(keys(filled.get("a").unwrap().node.as_table().unwrap()), ["y", "x"]);
    }

    #[test]
    fn a_tier_drops_what_the_new_algorithm_of_its_limit_does_not_have() {
        let base = "[gateway.rate_limit.per_key]\nalgorithm = 'token-bucket'\nlimit = 9\nburst = 3\n\
            tiers.gold = { keys = ['a'], limit = 90, burst = 30 }\ntiers.low = { keys = ['b'], limit = 1 }";
        assert_merged(
            base,
            "gateway.rate_limit.per_key = { algorithm = 'fixed-window', tiers.low = { burst = 4 } }",
            "[gateway.rate_limit.per_key]\nalgorithm = 'fixed-window'\nlimit = 9\n\
             tiers.gold = { keys = ['a'], limit = 90 }\ntiers.low = { keys = ['b'], limit = 1, burst = 4 }",
        );
        assert_merged(
            base,
            "gateway.rate_limit.per_key.algorithm = 'gcra'",
            &base.replace("token-bucket", "gcra"),
        );
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
    fn a_new_window_of_a_breaker_drops_the_share_of_the_old_one() {
        let base = "[gateway.breaker]\nwindow = '30s'\nerror_threshold = '40%'\nprobe_interval = '1s'";
        let breaker = "[gateway.breaker]\n";
        assert_merged(
            base,
            &format!("{breaker}window = {{ consecutive = 5 }}"),
            &format!("{breaker}window = {{ consecutive = 5 }}\nprobe_interval = '1s'"),
        );
        assert_merged(
            base,
            &format!("{breaker}window = {{ calls = 100 }}"),
            &format!("{breaker}window = {{ calls = 100 }}\nerror_threshold = '40%'\nprobe_interval = '1s'"),
        );
        // A window replaces the other whole.
        assert_merged(
            "[gateway.breaker]\nwindow = { failures = 5, within = '10s' }",
            &format!("{breaker}window = {{ calls = 100 }}"),
            &format!("{breaker}window = {{ calls = 100 }}"),
        );
        // What the variant says itself stays, to be refused where it makes no sense.
        assert_merged(
            base,
            &format!("{breaker}window = {{ consecutive = 5 }}\nerror_threshold = '50%'"),
            &format!(
                "{breaker}window = {{ consecutive = 5 }}\nerror_threshold = '50%'\nprobe_interval = '1s'"
            ),
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
