//! Every value that holds in a variant, and where it comes from: the file, the variant, a preset, or a default.

use std::collections::HashSet;

use serde_json::{Value as Json, json};
use toml::de::DeTable;

use super::common::scenario;
use super::diagnostic::line_number;
use super::one_line::{toml, toml_of};
use super::shape::{FieldShape, Shape, TableShape};
use super::tree::{Entry, Node, Span, Table, Value};
use super::words::display_key;
use super::{patch, presets};

/// What stands at one place of the scenario.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Held {
    /// A table begins, which holds the values that follow: its path, and whether it is one of an array.
    Table { path: String, is_item: bool },
    /// A key of the table before it.
    Value(HeldValue),
}

/// A key, its value, and where the value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeldValue {
    /// The whole path, such as `gateway.upstreams.orders.timeout`.
    pub(crate) path: String,
    /// The key in its table, as TOML has it.
    pub(crate) key: String,
    /// As TOML has it; of a value that no file can say, in words.
    pub(crate) value: String,
    pub(crate) json: Json,
    pub(crate) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// From a line of the file, counted from 1, which all variants share.
    File(usize),
    /// From a line of the file that belongs to the variant alone.
    Variant(usize),
    /// From the preset that a line of the file names.
    Preset(&'static str, usize),
    /// The file says nothing, and the format has a value for that.
    Default,
    /// The file says nothing, and nothing of it holds: no bound, no limit, no breaker. No file can say that in a value.
    Nothing,
}

/// Every value that holds in the variant of that name, in the order of the format. The variants and expectations are left out: the one
/// variant is in it already, and the others are what the expectations are about. `None` if the text is no TOML.
pub(crate) fn resolve(text: &str, variant: &str) -> Option<Vec<Held>> {
    let document = DeTable::parse(text).ok()?;
    let file = Table::from_document(document.get_ref());
    let patch = file.find(&["variants", variant]).and_then(|entry| entry.node.as_table()).cloned();
    let merged = patch.as_ref().map_or_else(|| file.clone(), |patch| patch::merge(&file, patch));
    let (tree, _) = presets::lay(&merged);
    let mut of_variant = HashSet::new();
    if let Some(patch) = &patch {
        add_places(patch, &mut of_variant);
    }
    let mut resolver = Resolver { text, of_variant, held: Vec::new() };
    let shape = Shape::Table(scenario());
    resolver.table(&shape, &tree, "");
    Some(resolver.held)
}

/// The keys that are no settings of one variant.
const NO_SETTINGS: [&str; 2] = ["variants", "expect"];

/// The places of all values in a table.
fn add_places(table: &Table, places: &mut HashSet<Span>) {
    for entry in table.entries() {
        places.insert(entry.node.span.clone());
        match &entry.node.value {
            Value::Table(table) => add_places(table, places),
            Value::Array(items) => add_items(items, places),
            _ => {}
        }
    }
}

fn add_items(items: &[Node], places: &mut HashSet<Span>) {
    for item in items {
        places.insert(item.span.clone());
        match &item.value {
            Value::Table(table) => add_places(table, places),
            Value::Array(items) => add_items(items, places),
            _ => {}
        }
    }
}

struct Resolver<'t> {
    text: &'t str,
    of_variant: HashSet<Span>,
    held: Vec<Held>,
}

impl Resolver<'_> {
    /// The values of a table, and then the tables in it.
    fn table(&mut self, shape: &Shape, table: &Table, path: &str) {
        let mut below: Vec<(&Entry, Shape, String)> = Vec::new();
        match shape.as_table() {
            Some(described) => {
                for field in &described.fields {
                    let is_setting = !path.is_empty() || !NO_SETTINGS.contains(&field.key);
                    match table.get(field.key) {
                        _ if !is_setting => {}
                        Some(entry) => self.entry(entry, (field.shape)(), path, &mut below),
                        None => self.absent(described, field, table, path),
                    }
                }
            }
            None => {
                for entry in table.entries() {
                    if let Some(shape) = shape.below(&entry.key) {
                        self.entry(entry, shape, path, &mut below);
                    }
                }
            }
        }
        for (entry, shape, path) in below {
            match &entry.node.value {
                Value::Table(table) => self.begin(&shape, table, &path, false),
                Value::Array(items) => {
                    let Some(item) = shape.item() else { continue };
                    for table in items.iter().filter_map(Node::as_table) {
                        self.begin(&item, table, &path, true);
                    }
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, shape: &Shape, table: &Table, path: &str, is_item: bool) {
        // Names stand in the paths of what they name.
        if shape.as_table().is_some() || table.entries().is_empty() {
            self.held.push(Held::Table { path: path.to_owned(), is_item });
        }
        self.table(shape, table, path);
    }

    /// A value, or a table that is told after the values.
    fn entry<'e>(
        &mut self,
        entry: &'e Entry,
        shape: Shape,
        path: &str,
        below: &mut Vec<(&'e Entry, Shape, String)>,
    ) {
        let path = joined(path, &entry.key);
        if is_told_by_key(&shape, &entry.node) {
            below.push((entry, shape, path));
            return;
        }
        let line = line_number(self.text, entry.node.span.start);
        let origin = match entry.preset {
            Some(preset) => Origin::Preset(preset, line),
            None if self.of_variant.contains(&entry.node.span) => Origin::Variant(line),
            None => Origin::File(line),
        };
        let (key, value, json) =
            (display_key(&entry.key), toml(&entry.node.value), json_of(&entry.node.value));
        self.held.push(Held::Value(HeldValue { path, key, value, json, origin }));
    }

    /// What holds where a key is absent, if anything is to be said of that.
    fn absent(&mut self, described: &TableShape, field: &FieldShape, table: &Table, path: &str) {
        let chosen = described.chosen(table).or_else(|| described.chosen_by_default());
        let is_foreign = chosen.is_some_and(|chosen| !field.belongs_to(chosen))
            || (field.belongs.is_some() && chosen.is_none());
        // A preset that nobody names sets nothing.
        if field.key == presets::KEY
            || field.is_kind
            || is_foreign
            || described.at_odds(table, field.key).is_some()
        {
            return;
        }
        let (value, json, origin) = if let Some(default) = field.default {
            let json = default();
            (toml_of(&json), json, Origin::Default)
        } else {
            let Some(words) = in_words(field) else { return };
            (words.clone(), Json::String(words), Origin::Nothing)
        };
        let (path, key) = (joined(path, field.key), field.key.to_owned());
        self.held.push(Held::Value(HeldValue { path, key, value, json, origin }));
    }
}

/// What holds without a key that has no default in a value: no bound, nothing, or what the key's description says.
fn in_words(field: &FieldShape) -> Option<String> {
    if field.is_unbounded {
        return Some("unbounded".to_owned());
    }
    let words = field.about.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((_, default)) = words.rsplit_once("Default: ") {
        return Some(default.trim_end_matches('.').to_owned());
    }
    let is_switch = match (field.shape)() {
        Shape::With(_, keywords) => keywords["not"]["const"] == json!(true),
        Shape::Several(..) => true,
        _ => false,
    };
    is_switch.then(|| "off".to_owned())
}

/// Whether what stands there is told key by key: tables that are merged key by key, and arrays of tables with as many keys. A
/// distribution, or the points of a ramp, are one value.
fn is_told_by_key(shape: &Shape, node: &Node) -> bool {
    match &node.value {
        Value::Table(_) => {
            let has_tables = || shape.below("").is_some_and(|each| each.as_table().is_some());
            let is_told = shape.as_table().is_some() || (is_named(shape) && has_tables());
            is_told && !shape.is_replaced_whole() && !may_be_text(shape)
        }
        Value::Array(items) => {
            let is_long = shape.item().is_some_and(|item| {
                item.as_table().is_some_and(|table| table.fields.len() > MOST_FIELDS_INLINE)
            });
            is_long && !items.is_empty() && items.iter().all(|item| item.as_table().is_some())
        }
        _ => false,
    }
}

fn is_named(shape: &Shape) -> bool {
    match shape {
        Shape::With(shape, _) => is_named(shape),
        Shape::Named(_) => true,
        _ => false,
    }
}

/// Whether a text may stand in the place of the table, so that both are one value.
fn may_be_text(shape: &Shape) -> bool {
    match shape {
        Shape::With(_, keywords) => {
            keywords["type"].as_array().is_some_and(|types| types.contains(&json!("string")))
        }
        _ => false,
    }
}

/// Tables of an array with more keys than these are told one after the other, key by key.
const MOST_FIELDS_INLINE: usize = 4;

fn joined(path: &str, key: &str) -> String {
    let key = display_key(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A value for programs, as tools that read TOML as JSON have it.
fn json_of(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::String(text.to_string()),
        Value::Integer(number) => {
            number.parse::<u64>().map_or_else(|_| json!(**number), |number| json!(number))
        }
        Value::Float(number) => {
            number.parse::<f64>().map_or_else(|_| json!(**number), |number| json!(number))
        }
        Value::Boolean(boolean) => json!(boolean),
        Value::Datetime(datetime) => Json::String(datetime.to_string()),
        Value::Array(items) => items.iter().map(|item| json_of(&item.value)).collect(),
        Value::Table(table) => {
            table.entries().iter().map(|entry| (entry.key.to_string(), json_of(&entry.node.value))).collect()
        }
    }
}
