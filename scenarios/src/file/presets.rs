//! Presets: what products do if their configuration says nothing else.
//!
//! A preset is a data file in `scenarios/presets`, one for each product, which says the defaults of the product in the words of the
//! format, each with its source. It is laid below the tree of a variant, after the variant is merged: default, then preset, then
//! file, then variant. What the file chooses drops what the preset said of the other choice, as in a variant's patch
//! ([`patch::fill`]).
//!
//! A data file has these keys:
//!
//! - `about`: which product and version that is, in one line.
//! - `[sets]`: what the product does by itself, laid below the table that names the preset. `upstreams."*"` stands for the gateway's
//!   policy of each upstream that a route names.
//! - `[each.NAME]`: what holds for each table of that kind, if there is one: `[each.rate_limit]` for each limit that the file has. A
//!   product does not limit by default, so nothing else would be right for the status of its limits. `NAME` is that of the table
//!   in the schema, in lower case.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use include_dir::{Dir, include_dir};
use toml::de::DeTable;

use super::diagnostic::Problem;
use super::patch;
use super::reader::Read;
use super::shape::Shape;
use super::tree::{Entry, Node, Span, Table, Value};
use super::values::Name;
use super::variant::Variant;
use super::words::{display_key, list, nearest};

static GATEWAYS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/presets/gateways");
static CALLERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/presets/callers");

/// The key that names a preset.
pub(super) const KEY: &str = "preset";

/// The name of a preset of `gateway`.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct GatewayPreset(&'static str);

/// The name of a preset of clients, or of a call from a service to another.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct CallerPreset(&'static str);

impl Name for GatewayPreset {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        let named = |(name, text)| (name, Self(name), about(text));
        texts(&GATEWAYS).into_iter().map(named).collect()
    }

    fn unknown(name: &str) -> String {
        format!("there is no preset `{name}` of a gateway")
    }

    fn help(wrong: &str, names: &[&str]) -> String {
        help(wrong, names, (&CALLERS, "clients and of `calls`"))
    }
}

impl Name for CallerPreset {
    fn all() -> Vec<(&'static str, Self, &'static str)> {
        let named = |(name, text)| (name, Self(name), about(text));
        texts(&CALLERS).into_iter().map(named).collect()
    }

    fn unknown(name: &str) -> String {
        format!("there is no preset `{name}` of clients or calls")
    }

    fn help(wrong: &str, names: &[&str]) -> String {
        help(wrong, names, (&GATEWAYS, "`gateway`"))
    }
}

/// The way out of an unknown name: whose preset it is, or the nearest one, and all that there are.
fn help(wrong: &str, names: &[&str], (elsewhere, whose): (&'static Dir<'_>, &str)) -> String {
    let mut text = String::new();
    if texts(elsewhere).iter().any(|(name, _)| *name == wrong) {
        let _ = write!(text, "that is one of {whose}; ");
    } else if let Some(near) = nearest(wrong, names.iter().copied()) {
        let _ = write!(text, "did you mean `{near}`? ");
    }
    text + "there are " + &list(names)
}

/// The data files of a folder, by name.
fn texts(folder: &'static Dir<'_>) -> Vec<(&'static str, &'static str)> {
    let text = |file: &'static include_dir::File<'_>| {
        let name = file.path().file_name()?.to_str()?.strip_suffix(".toml")?;
        Some((name, file.contents_utf8()?))
    };
    let mut texts: Vec<_> = folder.files().filter_map(text).collect();
    texts.sort_unstable();
    texts
}

/// The line that says which product that is.
fn about(text: &'static str) -> &'static str {
    let line = |line: &'static str| line.strip_prefix("about = \"")?.strip_suffix('"');
    text.lines().find_map(line).unwrap_or_default()
}

/// What a data file says.
struct Preset {
    name: &'static str,
    sets: Rc<Table>,
    /// By the names of the tables in the schema.
    each: Vec<(Rc<str>, Rc<Table>)>,
}

impl Preset {
    fn parse(name: &'static str, text: &str) -> Self {
        let document = DeTable::parse(text).ok();
        let file = document.map(|document| Table::from_document(document.get_ref())).unwrap_or_default();
        let table = |node: &Node| node.as_table().cloned().unwrap_or_default();
        let each = file.get("each").map(|entry| table(&entry.node)).unwrap_or_default();
        let each = each.entries().iter().map(|entry| (camel_case(&entry.key), table(&entry.node)));
        let sets = file.get("sets").map(|entry| table(&entry.node)).unwrap_or_default();
        Self { name, sets, each: each.collect() }
    }
}

/// Such as `RateLimit` of `rate_limit`.
fn camel_case(name: &str) -> Rc<str> {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    };
    name.split('_').map(word).collect::<String>().into()
}

thread_local! {
    /// The data files, each read once: hundreds of populations may name one.
    static READ: Presets = Presets::default();
}

#[derive(Default)]
struct Presets {
    gateways: std::cell::OnceCell<HashMap<&'static str, Rc<Preset>>>,
    callers: std::cell::OnceCell<HashMap<&'static str, Rc<Preset>>>,
}

impl Presets {
    fn read(folder: &'static Dir<'_>) -> HashMap<&'static str, Rc<Preset>> {
        let parse = |(name, text)| (name, Rc::new(Preset::parse(name, text)));
        texts(folder).into_iter().map(parse).collect()
    }
}

/// What a preset set in one table of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filled {
    /// The path of the table, as messages have it.
    path: String,
    /// What it set: each key, and the value where that is a name.
    keys: Vec<(Rc<str>, Option<Rc<str>>)>,
    preset: &'static str,
    /// Where the file names the preset.
    span: Span,
}

impl Filled {
    /// What a problem has to do with the preset, if anything: the preset sets the value, or one beside it in the same table that does
    /// not go with it.
    fn note(&self, problem: &Problem) -> Option<String> {
        let (path, rest) = problem.message.strip_prefix('`')?.split_once('`')?;
        let below = path.strip_prefix(&*self.path)?;
        let is_here =
            below.is_empty() || below.strip_prefix('.').is_some_and(|key| !key.contains(['.', '[']));
        if !is_here {
            return None;
        }
        // Not in the path of the table, which may have words of its own.
        let is_letter = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        let words = || below.split('.').chain(rest.split(|letter| !is_letter(letter)));
        let is_said = |word: &str| words().any(|said| said == word);
        let said =
            self.keys.iter().filter(|(key, value)| is_said(key) || value.as_deref().is_some_and(is_said));
        let keys: Vec<&str> = said.map(|(key, _)| &**key).collect();
        if keys.is_empty() {
            return None;
        }
        let comes = if keys.len() > 1 { "come" } else { "comes" };
        Some(format!(
            "{} {comes} from the preset `{}`; what the file says goes before it",
            list(&keys),
            self.preset
        ))
    }
}

/// What a problem has to do with the presets of a file; `None` if nothing.
pub(super) fn note(filled: &[Filled], problem: &Problem) -> Option<String> {
    let of_preset = || filled.iter().find(|filled| filled.span == problem.span);
    let set = || of_preset().map(|filled| format!("the preset `{}` sets it", filled.preset));
    filled.iter().find_map(|filled| filled.note(problem)).or_else(set)
}

/// A tree with the presets that it names laid below it, and what they set.
pub(super) fn lay(tree: &Table) -> (Table, Vec<Filled>) {
    READ.with(|presets| Layer { presets, tree, filled: Vec::new() }.lay())
}

/// One laying.
struct Layer<'t> {
    presets: &'t Presets,
    tree: &'t Table,
    filled: Vec<Filled>,
}

/// A preset where a file names it.
struct Named {
    preset: Rc<Preset>,
    span: Span,
}

impl Layer<'_> {
    fn lay(mut self) -> (Table, Vec<Filled>) {
        let gateway = self.tree.get("gateway").and_then(|entry| entry.node.as_table());
        // A gateway that is not ours does what its own configuration says.
        let is_ours =
            |table: &&Rc<Table>| table.get("external").is_none_or(|entry| entry.node.as_table().is_none());
        let gateway = gateway.filter(is_ours).and_then(|table| {
            let all = self.presets.gateways.get_or_init(|| Presets::read(&GATEWAYS));
            named(table, all)
        });
        let world = Variant::shape();
        let entries = self.tree.entries().iter().map(|entry| {
            let Some(shape) = world.below(&entry.key) else { return entry.clone() };
            let laid = match (&*entry.key, &gateway, entry.node.as_table()) {
                ("gateway", Some(preset), Some(table)) => self.under(preset, &shape, table, "gateway"),
                ("routes", Some(preset), Some(table)) => self.each(preset, &shape, table, "routes"),
                ("clients", _, Some(table)) => self.clients(&shape, table),
                ("upstreams", _, Some(table)) => self.upstreams(&shape, table),
                _ => return entry.clone(),
            };
            with(entry, Value::Table(laid))
        });
        let entries = entries.collect();
        (Table::new(entries), self.filled)
    }

    fn clients(&mut self, shape: &Shape, clients: &Rc<Table>) -> Rc<Table> {
        self.in_each(clients, |layer, entry, table| {
            let preset = layer.caller(table)?;
            let path = format!("clients.{}", display_key(&entry.key));
            Some(Value::Table(layer.under(&preset, &shape.below(&entry.key)?, table, &path)))
        })
    }

    fn upstreams(&mut self, shape: &Shape, upstreams: &Rc<Table>) -> Rc<Table> {
        self.in_each(upstreams, |layer, entry, table| {
            let upstream = shape.below(&entry.key)?;
            let each = upstream.below("calls")?.item()?;
            let Value::Array(calls) = &table.get("calls")?.node.value else { return None };
            if !calls.iter().any(|call| call.as_table().is_some_and(|call| layer.caller(call).is_some())) {
                return None;
            }
            // The reader tells calls by their place in the file alone.
            let path = format!("upstreams.{}.calls", display_key(&entry.key));
            let lay = |call: &Node| {
                let laid = call.as_table().and_then(|table| {
                    let preset = layer.caller(table)?;
                    Some(Value::Table(layer.under(&preset, &each, table, &path)))
                });
                laid.map_or_else(|| call.clone(), |value| Node { span: call.span.clone(), value })
            };
            let calls = Value::Array(calls.iter().map(lay).collect());
            let entries = table.entries().iter();
            let entries = entries.map(|entry| match &*entry.key {
                "calls" => with(entry, calls.clone()),
                _ => entry.clone(),
            });
            Some(Value::Table(Rc::new(Table::new(entries.collect()))))
        })
    }

    /// The table with what is made of each table in it; one of which nothing is made stays.
    fn in_each(
        &mut self,
        table: &Rc<Table>,
        mut make: impl FnMut(&mut Self, &Entry, &Rc<Table>) -> Option<Value>,
    ) -> Rc<Table> {
        let mut is_changed = false;
        let mut entries = table.entries().to_vec();
        for entry in &mut entries {
            if let Some(value) = entry.node.as_table().and_then(|table| make(self, entry, table)) {
                entry.node.value = value;
                is_changed = true;
            }
        }
        // What nobody touched stays one subtree, shared by all variants.
        if is_changed { Rc::new(Table::new(entries)) } else { table.clone() }
    }

    /// The preset that a population or a call names, if there is one of that name.
    fn caller(&self, table: &Table) -> Option<Named> {
        named(table, self.presets.callers.get_or_init(|| Presets::read(&CALLERS)))
    }

    /// The table that names a preset, with the preset below it.
    fn under(&mut self, named: &Named, shape: &Shape, table: &Table, path: &str) -> Rc<Table> {
        let sets = self.of_each_upstream(&named.preset.sets);
        let filled = patch::fill(Some(shape), table, &named.marked(&sets));
        self.each(named, shape, &filled, path)
    }

    /// The table with what the preset says of each table in it, of its kind.
    fn each(&mut self, named: &Named, shape: &Shape, table: &Table, path: &str) -> Rc<Table> {
        let mut table = table.clone();
        if let Some(described) = shape.as_table() {
            for (_, below) in named.preset.each.iter().filter(|(name, _)| described.is_a(name)) {
                table = patch::fill(Some(shape), &table, &named.marked(below));
            }
        }
        let set = table.entries().iter().filter(|entry| entry.preset.is_some());
        let keys: Vec<_> = set.map(|entry| (entry.key.clone(), name_of(&entry.node))).collect();
        if !keys.is_empty() {
            let (path, preset, span) = (path.to_owned(), named.preset.name, named.span.clone());
            self.filled.push(Filled { path, keys, preset, span });
        }
        let entries = table.entries().iter().map(|entry| {
            let Some(below) = shape.below(&entry.key).filter(|below| !below.is_replaced_whole()) else {
                return entry.clone();
            };
            let path = format!("{path}.{}", display_key(&entry.key));
            match &entry.node.value {
                Value::Table(table) => with(entry, Value::Table(self.each(named, &below, table, &path))),
                Value::Array(items) => {
                    let Some(item) = below.item() else { return entry.clone() };
                    let lay = |(place, node): (usize, &Node)| match node.as_table() {
                        Some(table) => {
                            let value =
                                Value::Table(self.each(named, &item, table, &format!("{path}[{place}]")));
                            Node { span: node.span.clone(), value }
                        }
                        None => node.clone(),
                    };
                    with(entry, Value::Array(items.iter().enumerate().map(lay).collect()))
                }
                _ => entry.clone(),
            }
        });
        Rc::new(Table::new(entries.collect()))
    }

    /// The values that a gateway's preset sets, with `upstreams."*"` said of each upstream that a route names.
    fn of_each_upstream(&self, sets: &Rc<Table>) -> Rc<Table> {
        let Some(every) = sets.find(&["upstreams", "*"]) else { return sets.clone() };
        let upstreams = self.tree.get("upstreams").and_then(|entry| entry.node.as_table());
        let is_asked =
            |name: &str| {
                let routes = self.tree.get("routes").and_then(|entry| entry.node.as_table());
                routes.is_some_and(|routes| {
                    routes.entries().iter().filter_map(|route| route.node.as_table()?.get("upstream")).any(
                        |upstream| matches!(&upstream.node.value, Value::Text(asked) if **asked == *name),
                    )
                })
            };
        let names = upstreams.into_iter().flat_map(|table| table.entries()).map(|entry| &entry.key);
        let policies =
            names.filter(|name| is_asked(name)).map(|name| Entry { key: name.clone(), ..every.clone() });
        let policies = Rc::new(Table::new(policies.collect()));
        let entries = sets.entries().iter().map(|entry| match &*entry.key {
            "upstreams" => with(entry, Value::Table(policies.clone())),
            _ => entry.clone(),
        });
        Rc::new(Table::new(entries.collect()))
    }
}

/// The preset that a table names, if there is one of that name; another name is told of by the reader.
fn named(table: &Table, all: &HashMap<&'static str, Rc<Preset>>) -> Option<Named> {
    let entry = table.get(KEY)?;
    let Value::Text(name) = &entry.node.value else { return None };
    Some(Named { preset: all.get(&**name)?.clone(), span: entry.node.span.clone() })
}

impl Named {
    /// The same table with the place at which the file names the preset.
    fn marked(&self, table: &Table) -> Table {
        let entry = |entry: &Entry| Entry {
            key: entry.key.clone(),
            key_span: self.span.clone(),
            node: self.marked_node(&entry.node),
            preset: Some(self.preset.name),
        };
        Table::new(table.entries().iter().map(entry).collect())
    }

    fn marked_node(&self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Table(table) => Value::Table(Rc::new(self.marked(table))),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.marked_node(item)).collect()),
            value => value.clone(),
        };
        Node { span: self.span.clone(), value }
    }
}

fn with(entry: &Entry, value: Value) -> Entry {
    Entry { node: Node { span: entry.node.span.clone(), value }, ..entry.clone() }
}

fn name_of(node: &Node) -> Option<Rc<str>> {
    match &node.value {
        Value::Text(name) => Some(name.clone()),
        Value::Table(table) => table.entries().first().map(|entry| entry.key.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::{
        Algorithm, BreakerWindow, HalfOpen, OpenGrowth, RetryBudgetConfig, TokenBudget, TokenCharge,
    };

    use super::super::diagnostic::Severity;
    use super::super::reading::read;
    use super::super::table::Described as _;
    use super::*;
    use crate::{Scenario, World};

    const SMALL: &str = "
name = 'Small'
duration = '2m'
slo.latency = '1s'
upstreams.orders = { hosts = 12, latency = '5ms' }
upstreams.stock.latency = '10ms'
routes.'/orders'.upstream = 'orders'
clients.shoppers.send = '/orders'
clients.shoppers.rate = '1/s'
";

    /// The scenario of the small file with this in it too, in spite of what is surely not meant.
    fn scenario_with(more: &str) -> Scenario {
        let text = format!("{SMALL}{more}");
        let reading = read(&text, &|_| Err(String::new()));
        reading.scenario.unwrap_or_else(|| panic!("{more}: {:#?}", reading.problems))
    }

    fn world_with(more: &str) -> World {
        scenario_with(more).variants.remove(0).world
    }

    /// What is wrong: each message, the text it underlines, and the way out.
    fn problems_of(more: &str) -> Vec<(String, String, String)> {
        let text = format!("{SMALL}{more}");
        let reading = read(&text, &|_| Err(String::new()));
        assert!(reading.scenario.is_none(), "{more} is in order");
        let errors = reading.problems.into_iter().filter(|problem| problem.severity == Severity::Error);
        errors.map(|problem| (problem.message, text[problem.span].to_owned(), problem.help)).collect()
    }

    fn all() -> Vec<(&'static str, &'static str, Rc<Preset>)> {
        let of = |folder: &'static Dir<'_>| {
            texts(folder).into_iter().map(|(name, text)| (name, text, Rc::new(Preset::parse(name, text))))
        };
        of(&GATEWAYS).chain(of(&CALLERS)).collect()
    }

    /// The names of the tables in a part of the format.
    fn add_tables(shape: &Shape, names: &mut Vec<&'static str>) {
        let Some(table) = shape.as_table() else {
            if let Some(each) = shape.below("") {
                add_tables(&each, names);
            }
            return;
        };
        if names.contains(&table.name) {
            return;
        }
        names.push(table.name);
        names.extend(&table.bases);
        for field in &table.fields {
            let shape = (field.shape)();
            add_tables(&shape, names);
            if let Some(item) = shape.item() {
                add_tables(&item, names);
            }
        }
    }

    #[test]
    fn every_data_file_has_the_form_that_is_read_and_a_source_for_each_value() {
        let mut tables = Vec::new();
        add_tables(&Shape::Table(Variant::table()), &mut tables);
        let all = all();
        assert!(all.len() >= 19, "{}", all.len());
        for (name, text, preset) in all {
            let file: toml::Table = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            let sections: Vec<&str> = file.keys().map(String::as_str).collect();
            assert!(
                sections.iter().all(|key| ["about", "sets", "each"].contains(key)),
                "{name}: {sections:?}"
            );
            assert!(!about(text).is_empty(), "{name} does not say which product that is");
            for (table, _) in &preset.each {
                assert!(tables.contains(&&**table), "{name}: there is no table {table}");
            }
            let lines: Vec<&str> = text.lines().collect();
            for (place, line) in
                lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
            {
                let is_told = line.starts_with("about = ") || lines[place - 1].starts_with("# https://");
                assert!(is_told, "{name}: {line} has no source");
            }
        }
    }

    /// A file with all tables that a preset may have a value for, none of which says more than it must.
    fn full(gateway: &str, caller: &str) -> String {
        let has_algorithm =
            texts(&GATEWAYS).iter().any(|(name, text)| *name == gateway && text.contains("\nalgorithm = "));
        let algorithm = if has_algorithm { "" } else { "algorithm = 'gcra', " };
        format!(
            "gateway.preset = '{gateway}'\ngateway.try_timeout = '1s'\n\
             gateway.rate_limit.per_ip = {{ {algorithm}limit = 90, window = '1m' }}\n\
             gateway.rate_limit.per_key = [{{ {algorithm}limit = 5, window = '1s' }}, {{ {algorithm}limit = 50, window = '1m' }}]\n\
             gateway.retry = {{ retries = 2, budget = {{ in_flight = '20%' }} }}\ngateway.breaker = {{}}\n\
             gateway.upstreams.orders = {{ eject = {{}}, health = {{ path = '/up' }}, breaker = {{}} }}\n\
             routes.'/orders'.retry = {{ retries = 1 }}\nclients.shoppers.preset = '{caller}'\n\
             clients.shoppers.retry = {{ retries = 2, backoff = 'exponential', base = '10ms' }}\n\
             routes.'/depot'.upstream = 'depot'\nupstreams.depot.latency = '1ms'\n\
             upstreams.depot.calls = [{{ upstream = 'stock', timeout = '1s', preset = '{caller}', breaker = {{}}, \
             retry = {{ retries = 1, backoff = 'exponential', base = '10ms' }} }}, {{ upstream = 'stock', preset = '{caller}' }}]\n"
        )
    }

    #[test]
    fn every_value_is_one_of_the_format() {
        for (gateway, ..) in GatewayPreset::all() {
            scenario_with(&format!("gateway.preset = '{gateway}'"));
            scenario_with(&full(gateway, "polly"));
        }
        for (caller, ..) in CallerPreset::all() {
            scenario_with(&format!("clients.shoppers.preset = '{caller}'"));
            scenario_with(&full("envoy", caller));
        }
        let grpc = world_with(
            "clients.shoppers.preset = 'grpc'\n\
             clients.shoppers.retry = { retries = 3, base = '10ms', budget = { tokens = 10, success = 0.1 } }",
        );
        let throttling = TokenBudget::new(10.0, 1.0).and_then(|budget| budget.with_success(0.1)).unwrap();
        let throttling = throttling.with_charge(TokenCharge::Failure, false);
        assert_eq!(grpc.populations[0].retry.budget, Some(RetryBudgetConfig::Tokens(throttling)));
    }

    #[test]
    fn a_product_does_by_itself_what_its_preset_sets() {
        let world = world_with("gateway.preset = 'envoy'");
        assert_eq!(world.gateway.timeout, Some(Duration::from_secs(15)));
        assert_eq!(world.gateway.retry, None);
        assert!(
            world.gateway.limits.iter().next().is_none()
                && world.gateway.upstreams.iter().all(|policy| policy.breaker.is_none())
        );
        let world = world_with("gateway.preset = 'haproxy'");
        assert_eq!(world.gateway.timeout, None);
        assert_eq!(world.gateway.retry.map(|retry| retry.policy.retries), Some(3));
        let world = world_with("gateway.preset = 'caddy'");
        let balance: Vec<_> = world.gateway.upstreams.iter().map(|policy| policy.hosts.balance).collect();
        // No route leads to the stock.
        assert_eq!(balance, [gateway::Balance::Random, gateway::Balance::RoundRobin]);
        let world = world_with("clients.shoppers.preset = 'aws-sdk-2026'");
        let retry = world.populations[0].retry;
        assert_eq!(retry.retries, 2);
        let quota =
            TokenBudget::new(500.0, 14.0).unwrap().with_costs(5.0, 14.0).unwrap().with_success(1.0).unwrap();
        assert_eq!(retry.budget, Some(RetryBudgetConfig::Tokens(quota)));
    }

    #[test]
    fn a_preset_fills_each_table_of_the_file_and_makes_none() {
        let limit = "{ limit = 10, window = '1s' }";
        let more = format!(
            "gateway.preset = 'nginx'\ngateway.rate_limit = {{ per_ip = {limit}, per_key = [{limit}, {{ algorithm = 'gcra', limit = 99, window = '1m' }}] }}"
        );
        let world = world_with(&more);
        let rules: Vec<_> =
            world.gateway.limits.iter().map(|(_, rule)| (rule.limit.algorithm(), rule.status)).collect();
        assert_eq!(
            rules,
            [(Algorithm::LeakyBucket, 503), (Algorithm::LeakyBucket, 503), (Algorithm::Gcra, 503)]
        );
        assert!(world.gateway.retry.is_none());
        let world = world_with(
            "upstreams.depot.latency = '1ms'\n\
             upstreams.depot.calls = [{ upstream = 'stock', preset = 'resilience4j', breaker = {}, retry = {} }, \
             { upstream = 'stock', preset = 'resilience4j' }]",
        );
        let calls = &world.upstreams.iter().find(|upstream| upstream.name == "depot").unwrap().config.calls;
        let breaker = calls[0].breaker.unwrap();
        assert_eq!(breaker.window(), BreakerWindow::Calls(100.try_into().unwrap()));
        assert_eq!(breaker.half_open(), HalfOpen::Trickle { calls: 10.try_into().unwrap() });
        assert_eq!(calls[0].retry.retries, 2);
        assert_eq!((calls[1].breaker, calls[1].retry.retries), (None, 0));
    }

    #[test]
    fn the_file_goes_before_the_preset_and_a_variant_before_the_file() {
        let more = "gateway = { preset = 'envoy', timeout = '2s' }\n[variants.as-it-is]\n\
                    [variants.longer.gateway]\ntimeout = '9s'\n[variants.nginx.gateway]\npreset = 'nginx'\n\
                    [variants.off]\ngateway = false";
        let timeouts: Vec<_> = scenario_with(more)
            .variants
            .iter()
            .map(|variant| (variant.world.gateway.timeout, variant.world.gateway.try_timeout))
            .collect();
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(timeouts, [(secs(2), None), (secs(9), None), (secs(2), secs(60)), (None, None)]);
        let world = world_with("clients.shoppers.preset = 'aws-sdk-2026'\nclients.shoppers.retry = false");
        assert_eq!(world.populations[0].retry.retries, 0);
    }

    #[test]
    fn a_choice_of_the_file_drops_what_the_preset_says_of_the_other() {
        let world = world_with(
            "gateway.preset = 'traefik'\ngateway.rate_limit.per_key = { algorithm = 'fixed-window', limit = 5, window = '1s' }\n\
             gateway.breaker = { half_open = 'single-probe' }\ngateway.timeout = '1s'",
        );
        let (_, rule) = world.gateway.limits.iter().next().unwrap();
        assert_eq!((rule.limit.algorithm(), rule.limit.burst()), (Algorithm::FixedWindow, None));
        let breaker = world.gateway.upstreams[0].breaker.unwrap();
        assert_eq!(breaker.half_open(), HalfOpen::SingleProbe { successes_to_close: 3.try_into().unwrap() });
        // The rest of the preset holds.
        assert_eq!((breaker.probe_interval(), breaker.min_requests()), (Duration::from_secs(10), 1));
        let world = world_with(
            "gateway.preset = 'apisix'\ngateway.timeout = '1s'\ngateway.breaker = { window = '30s', open_growth = 'none', error_threshold = '20%' }",
        );
        let breaker = world.gateway.upstreams[0].breaker.unwrap();
        assert_eq!(
            (breaker.window(), breaker.growth()),
            (BreakerWindow::Time(Duration::from_secs(30)), None::<OpenGrowth>)
        );
        let world = world_with(
            "clients.shoppers.preset = 'aws-sdk-2026'\nclients.shoppers.retry = { backoff = 'fixed', budget = { ratio = '10%' } }",
        );
        let retry = world.populations[0].retry;
        assert!(matches!(retry.budget, Some(RetryBudgetConfig::Share(_))), "{retry:?}");
    }

    #[test]
    fn an_unknown_preset_is_told_with_all_that_there_are() {
        let problems = problems_of("gateway.preset = 'ngnix'");
        let [(message, place, help)] = &problems[..] else { panic!("{problems:#?}") };
        assert_eq!(message, "`gateway.preset`: there is no preset `ngnix` of a gateway");
        assert_eq!(place, "'ngnix'");
        assert!(
            help.starts_with("did you mean `nginx`? there are `apache`,") && help.ends_with("and `varnish`"),
            "{help}"
        );
        let problems = problems_of("clients.shoppers.preset = 'envoy'");
        assert_eq!(
            problems[0].0,
            "`clients.shoppers.preset`: there is no preset `envoy` of clients or calls"
        );
        assert!(
            problems[0].2.starts_with("that is one of `gateway`; there are `aws-sdk-2026`,"),
            "{problems:#?}"
        );
        let problems = problems_of("gateway.preset = 'grpc'");
        assert!(
            problems[0].2.starts_with("that is one of clients and of `calls`; there are `apache`,"),
            "{problems:#?}"
        );
        let problems = problems_of("gateway.preset = 5");
        assert_eq!(problems[0].0, "`gateway.preset`: expected a string, found an integer");
    }

    #[test]
    fn a_problem_says_what_comes_from_which_preset() {
        let told = |more: &str| problems_of(more).into_iter().next().unwrap();
        let (message, place, help) =
            told("clients.shoppers.preset = 'aws-sdk-2026'\nclients.shoppers.retry.budget.tokens = 10");
        assert_eq!(
            message,
            "`clients.shoppers.retry.budget`: a cost must be at least 0.001 and at most all tokens"
        );
        assert_eq!(place, "'aws-sdk-2026'");
        assert_eq!(help, "`cost` comes from the preset `aws-sdk-2026`; what the file says goes before it");
        let (message, place, help) = told("gateway.preset = 'envoy'\ngateway.retry.max = '10ms'");
        assert_eq!((&*message, &*place), ("`gateway.retry`: max must be at least base", "'10ms'"));
        assert_eq!(help, "`base` comes from the preset `envoy`; what the file says goes before it");
        let more = "upstreams.depot.latency = '1ms'\nupstreams.depot.calls = [{ upstream = 'stock', timeout = '1s', \
                    preset = 'resilience4j', breaker = { successes_to_close = 5 } }]";
        let (message, place, help) = told(more);
        assert_eq!(
            message,
            "`upstreams.depot.calls.breaker.successes_to_close` has no meaning with `trickle`"
        );
        assert_eq!(place, "successes_to_close");
        assert_eq!(
            help,
            "`half_open` comes from the preset `resilience4j`; what the file says goes before it"
        );
        let (message, _, help) = told(
            "gateway.preset = 'kong'\ngateway.rate_limit.per_key = [{ limit = 5, window = '1s', burst = 9 }]",
        );
        assert_eq!(message, "`gateway.rate_limit.per_key[0]`: fixed-window has no burst");
        assert!(
            help.ends_with("`algorithm` comes from the preset `kong`; what the file says goes before it"),
            "{help}"
        );
        // What the file says alone is told as ever.
        let (_, _, help) = told("gateway.preset = 'envoy'\ngateway.timeout = 5");
        assert_eq!(help, "");
    }

    #[test]
    fn an_external_gateway_has_no_preset() {
        let (tree, filled) = lay(&Table::from_document(
            DeTable::parse("gateway = { preset = 'envoy', external.url = 'http://127.0.0.1:1' }")
                .unwrap()
                .get_ref(),
        ));
        assert!(filled.is_empty() && tree.find(&["gateway", "timeout"]).is_none());
    }

    #[test]
    fn what_names_no_preset_stays_the_same_tree() {
        let text =
            format!("{SMALL}gateway.breaker = {{}}\nupstreams.stock.calls = [{{ upstream = 'orders' }}]");
        let tree = Table::from_document(DeTable::parse(&text).unwrap().get_ref());
        let (laid, filled) = lay(&tree);
        assert!(filled.is_empty());
        for (before, after) in tree.entries().iter().zip(laid.entries()) {
            let is_shared = match (&before.node.value, &after.node.value) {
                (Value::Table(before), Value::Table(after)) => Rc::ptr_eq(before, after),
                (before, after) => before.same(after),
            };
            assert!(is_shared, "{}", before.key);
        }
    }
}
