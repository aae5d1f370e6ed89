//! The format of the file as a JSON Schema, so that an editor completes keys, shows what they mean, and underlines
//! what is wrong while it is written.
//!
//! The schema is made of what [`scenario`] says of each key. A schema cannot know all that the reader knows (that an upstream
//! exists, that shares add up), but what the reader takes, the schema takes, unless it contradicts itself in a place that every
//! variant writes over.
//!
//! It is written for taplo, which most editors ask about TOML: draft 7, no field described beside a `$ref` (taplo
//! shows the one or the other), and alternatives as keywords of one object, since a failed `oneOf` underlines the
//! table where a misspelt key could have been.

use std::mem;

use serde_json::{Map, Value, json};

use super::common::scenario;
use super::presets::KEY as PRESET;
use super::shape::{Choice, FieldShape, Shape, TableShape, WHOLE};
use super::table::Described;
use super::variant::Variant;

/// The JSON Schema of the scenario file, as text with a line break at its end.
pub fn json_schema() -> String {
    let mut definitions = Definitions::default();
    let scenario = scenario();
    let mut schema = definitions.table(&scenario);
    schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".to_owned(), scenario.name.into());
    schema.insert("description".to_owned(), unwrapped(scenario.about).into());
    schema.insert("definitions".to_owned(), definitions.0.into());
    let mut schema = schema.into();
    require_whole_worlds(&mut schema);
    leave_calls_to_presets(&mut schema);
    settle_wholes(&mut schema);
    format!("{schema:#}\n")
}

/// Moves what a world needs to be whole into a condition of its own: where there are variants, each may bring what
/// the file leaves out, and a variant itself names only what it changes.
fn require_whole_worlds(schema: &mut Value) {
    let tables: Vec<_> = Variant::table().fields.into_iter().map(|field| field.key).collect();
    let mut world = Map::new();
    for table in &tables {
        let mut part = mem::take(&mut schema["properties"][table]);
        if let Some(whole) = take_whole(&mut part, schema) {
            world.insert((*table).to_owned(), whole);
        }
        schema["properties"][table] = part;
    }
    if let Some(required) = schema["required"].as_array_mut() {
        let (of_the_world, common): (Vec<_>, _) =
            mem::take(required).into_iter().partition(|key| tables.iter().any(|table| key == table));
        *required = common;
        let rests = leave_to_preset_of_gateway(&mut world, &mut schema["definitions"]);
        schema["then"] = json!({ "required": of_the_world, "properties": world, "allOf": rests });
        schema["if"] = json!({
            "not": { "required": ["variants"], "properties": { "variants": { "minProperties": 1 } } }
        });
    }
    // The tables of a variant are those of the file, which by now do not ask for more than a variant has.
    for table in tables {
        let shared = schema["properties"][table].clone();
        schema["definitions"]["Variant"]["properties"][table] = shared;
    }
}

/// What a preset of the gateway may bring into other places than the table `gateway`: a route's policy of retries, and the algorithm
/// of limits in an array, which needs everything else on the spot. Takes both out of what is needed, and returns what is needed
/// without a preset.
fn leave_to_preset_of_gateway(world: &mut Map<String, Value>, definitions: &mut Value) -> Value {
    let mut needs = Map::new();
    let of_routes = world.get_mut("routes").and_then(|routes| {
        routes.pointer_mut("/additionalProperties/properties")?.as_object_mut()?.remove("retry")
    });
    if let Some(retry) = of_routes {
        let routes = json!({ "additionalProperties": { "properties": { "retry": retry } } });
        needs.insert("routes".to_owned(), routes);
    }
    let mut scopes = Map::new();
    let of_limits = definitions.pointer("/RateLimits/properties").and_then(Value::as_object).cloned();
    for (scope, limit) in of_limits.into_iter().flatten() {
        let item = limit.pointer("/items/$ref").and_then(Value::as_str);
        let Some(item) = item.and_then(|target| target.strip_prefix(DEFINITIONS)) else { continue };
        if let Some(required) = definitions[item]["required"].as_array_mut() {
            required.retain(|key| key != "algorithm");
        }
        scopes.insert(scope, json!({ "items": { "required": ["algorithm"] } }));
    }
    let limits = json!({ "properties": { "rate_limit": { "properties": scopes } } });
    needs.insert("gateway".to_owned(), limits);
    let has_preset =
        json!({ "required": ["gateway"], "properties": { "gateway": { "required": [PRESET] } } });
    json!([{ "if": has_preset, "else": { "properties": needs } }])
}

/// A call stands in an array, and so needs everything on the spot, but for what its preset may bring.
fn leave_calls_to_presets(schema: &mut Value) {
    let mut call = mem::take(&mut schema["definitions"]["Call"]);
    let needs = needs_below(call.as_object_mut(), schema);
    if !needs.is_empty() {
        call["allOf"] = json!([without_preset(&needs)]);
    }
    schema["definitions"]["Call"] = call;
}

/// What the tables in a table need to be whole, taken out of their schemas.
fn needs_below(table: Option<&mut Map<String, Value>>, root: &mut Value) -> Map<String, Value> {
    let fields = table.and_then(|table| table.get_mut("properties")?.as_object_mut());
    let needs = fields.into_iter().flatten();
    needs.filter_map(|(key, field)| Some((key.clone(), take_whole(field, root)?))).collect()
}

/// What the keys of a table need, unless the table names a preset.
fn without_preset(needs: &Map<String, Value>) -> Value {
    json!({ "if": { "required": [PRESET] }, "else": { "properties": needs } })
}

/// Takes what a table needs to be whole out of its schema and returns it, as a schema that asks for nothing else.
/// `root` has the definitions; a choice picked by key is replaced whole, and so keeps what it needs.
fn take_whole(schema: &mut Value, root: &mut Value) -> Option<Value> {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix(DEFINITIONS)) {
        let name = name.to_owned();
        let mut definition = mem::take(&mut root["definitions"][&name]);
        let whole = take_whole(&mut definition, root);
        root["definitions"][&name] = definition;
        return whole;
    }
    let table = schema.as_object_mut()?;
    if table.get("maxProperties") == Some(&json!(1)) {
        return None;
    }
    let mut whole = match table.remove(WHOLE) {
        Some(Value::Object(needs)) => needs,
        _ => Map::new(),
    };
    if let Some(required) = table.remove("required") {
        whole.insert("required".to_owned(), required);
    }
    let fields = needs_below(Some(table), root);
    if !fields.is_empty() {
        if table["properties"].get(PRESET).is_some() {
            let rules = whole.entry("allOf").or_insert_with(|| json!([]));
            if let Some(rules) = rules.as_array_mut() {
                rules.push(without_preset(&fields));
            }
        } else {
            whole.insert("properties".to_owned(), Value::Object(fields));
        }
    }
    if let Some(needs) = table.get_mut("additionalProperties").and_then(|each| take_whole(each, root)) {
        whole.insert("additionalProperties".to_owned(), needs);
    }
    (!whole.is_empty()).then_some(Value::Object(whole))
}

/// Asks for what a table needs to be whole on the spot, wherever [`take_whole`] did not come: what stands in an array
/// is never merged.
fn settle_wholes(schema: &mut Value) {
    let fields = match schema {
        Value::Array(items) => return items.iter_mut().for_each(settle_wholes),
        Value::Object(fields) => fields,
        _ => return,
    };
    if let Some(needs) = fields.remove(WHOLE) {
        fields.insert("allOf".to_owned(), json!([needs]));
    }
    fields.values_mut().for_each(settle_wholes);
}

const DEFINITIONS: &str = "#/definitions/";

/// The schemas of tables that are referred to by their names.
#[derive(Default)]
struct Definitions(Map<String, Value>);

impl Definitions {
    /// What a shape may be, with what is said of the key before it and with further keywords. A table without such words is
    /// described where it is defined, for editors show the words beside a reference or those behind it, and not both.
    fn schema(&mut self, shape: &Shape, about: &str, more: &Map<String, Value>) -> Map<String, Value> {
        let mut schema = match shape {
            Shape::With(shape, keywords) => {
                let mut more = more.clone();
                more.extend(keywords.as_object().cloned().unwrap_or_default());
                return self.schema(shape, about, &more);
            }
            Shape::Table(table) if about.is_empty() => return self.reference(table, more),
            // It may stand in itself.
            Shape::Table(table @ TableShape { choice: Choice::Whole, .. }) => {
                let reference = self.reference(table, more);
                return keywords(json!({ "allOf": [reference], "description": unwrapped(about) }));
            }
            Shape::Table(table) => self.table(table),
            Shape::Value(schema) => keywords(schema.clone()),
            Shape::Name(names) => {
                let (names, about): (Vec<_>, Vec<_>) = names.iter().copied().unzip();
                keywords(if about.iter().all(|about| about.is_empty()) {
                    json!({ "type": "string", "enum": names })
                } else {
                    json!({ "enum": names, "x-taplo": { "docs": { "enumValues": about } } })
                })
            }
            Shape::Named(each) => {
                let each = self.schema(&each(), "", &Map::new());
                keywords(json!({ "type": "object", "additionalProperties": each }))
            }
            Shape::Array(each) => {
                let each = self.schema(&each(), "", &Map::new());
                keywords(json!({ "type": "array", "items": each }))
            }
            Shape::Several(one, each) => {
                let each = self.schema(&each(), "", &Map::new());
                let mut schema = self.schema(one, about, more);
                schema.extend(keywords(json!({
                    "type": ["object", "array", "boolean"],
                    "not": { "const": true },
                    "items": each,
                    "minItems": 1
                })));
                return schema;
            }
            Shape::Either(shapes) => {
                let any = shapes.iter().map(|(shape, about)| self.schema(shape, about, &Map::new()));
                keywords(json!({ "anyOf": any.collect::<Vec<_>>() }))
            }
        };
        if !about.is_empty() {
            schema.insert("description".to_owned(), unwrapped(about).into());
        }
        schema.extend(more.clone());
        schema
    }

    fn reference(&mut self, table: &TableShape, more: &Map<String, Value>) -> Map<String, Value> {
        if !self.0.contains_key(table.name) {
            self.0.insert(table.name.to_owned(), Value::Null);
            let mut schema = self.table(table);
            schema.insert("description".to_owned(), unwrapped(table.about).into());
            schema.extend(more.clone());
            self.0.insert(table.name.to_owned(), schema.into());
        }
        keywords(json!({ "$ref": format!("{DEFINITIONS}{}", table.name) }))
    }

    fn table(&mut self, table: &TableShape) -> Map<String, Value> {
        let mut schema = keywords(json!({ "type": "object", "additionalProperties": false }));
        let mut properties = Map::new();
        for field in &table.fields {
            let mut property = self.schema(&(field.shape)(), field.about, &Map::new());
            if let Some(default) = field.default {
                property.insert("default".to_owned(), default());
            }
            properties.insert(field.key.to_owned(), property.into());
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        let is_needed = |field: &&FieldShape| field.needed.is_some() && field.stand_ins.is_empty();
        let needed = table.fields.iter().filter(is_needed).filter(|field| field.belongs.is_none());
        let needed: Vec<_> = needed.map(|field| field.key).collect();
        if !needed.is_empty() {
            schema.insert("required".to_owned(), needed.into());
        }
        schema.extend(what_the_choice_has(table));
        add_what_rests(table, &mut schema);
        add_stand_ins(table, &mut schema);
        schema
    }
}

/// A key that others may stand in for is there, or one of those.
fn add_stand_ins(table: &TableShape, schema: &mut Map<String, Value>) {
    let required = |key: &str| json!({ "required": [key] });
    let rule = |field: &FieldShape| {
        let with_it = std::iter::once(field.key).chain(field.stand_ins.iter().copied()).map(required);
        let foreign = table.choices().into_iter().filter(|choice| !field.belongs_to(choice));
        json!({ "anyOf": with_it.chain(foreign.map(required)).collect::<Vec<_>>() })
    };
    let rules = table.fields.iter().filter(|field| field.needed.is_some() && !field.stand_ins.is_empty());
    let rules: Vec<_> = rules.map(rule).collect();
    if !rules.is_empty() {
        let mut whole = schema.remove(WHOLE).unwrap_or_else(|| json!({}));
        whole["allOf"] = rules.into();
        schema.insert(WHOLE.to_owned(), whole);
    }
}

/// A key that rests on another stands beside no value with which the key has no meaning.
fn add_what_rests(table: &TableShape, schema: &mut Map<String, Value>) {
    for field in &table.fields {
        let Some(rests) = field.rests else { continue };
        let Some(other) = table.field(rests.key) else { continue };
        let shape = (other.shape)();
        let is_at_odds = |kind: &&str| !rests.kinds.contains(kind);
        let value = if let Shape::Name(names) = &shape {
            let names = names.iter().map(|(name, _)| *name).filter(|name| !is_at_odds(name));
            json!({ "enum": names.collect::<Vec<_>>() })
        } else {
            let kinds = shape.as_table().map(TableShape::choices).unwrap_or_default();
            let kinds = kinds.into_iter().filter(is_at_odds).map(|kind| json!({ "required": [kind] }));
            json!({ "not": { "type": "object", "anyOf": kinds.collect::<Vec<_>>() } })
        };
        let mut rule = json!({ "properties": { rests.key: value } });
        let mut rules = schema.remove("dependencies").unwrap_or_else(|| json!({}));
        if let Some(before) = rules.get_mut(field.key).map(Value::take) {
            rule = json!({ "allOf": [before, rule] });
        }
        rules[field.key] = rule;
        schema.insert("dependencies".to_owned(), rules);
        if is_at_odds(&&*other.kind_by_default()) {
            let mut whole = schema.remove(WHOLE).unwrap_or_else(|| json!({}));
            whole["dependencies"][field.key] = json!([rests.key]);
            schema.insert(WHOLE.to_owned(), whole);
        }
    }
}

/// A table has the keys that its choice gives a meaning, and those that the choice needs.
fn what_the_choice_has(table: &TableShape) -> Map<String, Value> {
    let choices = table.choices();
    let required = |key: &&str| json!({ "required": [key] });
    let belonging = || table.fields.iter().filter(|field| field.belongs.is_some());
    match table.choice {
        Choice::Free | Choice::OfParent => Map::new(),
        Choice::Whole => keywords(json!({ "minProperties": 1, "maxProperties": 1 })),
        Choice::OneKind => {
            let kind = |kind: &&str| json!({ "required": [kind], "properties": { *kind: { "not": { "const": false } } } });
            keywords(json!({ "oneOf": choices.iter().map(kind).collect::<Vec<_>>() }))
        }
        Choice::ByKind => {
            let (mut rules, mut needs) = (Map::new(), Map::new());
            for kind in &choices {
                let foreign = choices.iter().copied().chain(belonging().map(|field| field.key));
                let foreign: Vec<_> =
                    foreign.filter(|key| !table.has(kind, key)).map(|key| required(&key)).collect();
                rules.insert((*kind).to_owned(), json!({ "not": { "anyOf": foreign } }));
                let needed = belonging().filter(|field| field.needed.is_some() && field.stand_ins.is_empty());
                let needed = needed.filter(|field| field.belongs_to(kind));
                let needed: Vec<_> = needed.map(|field| field.key).collect();
                if !needed.is_empty() {
                    needs.insert((*kind).to_owned(), needed.into());
                }
            }
            let whole =
                json!({ "anyOf": choices.iter().map(required).collect::<Vec<_>>(), "dependencies": needs });
            keywords(json!({ "dependencies": rules, WHOLE: whole }))
        }
        Choice::ByName(key, _) => {
            let (mut rules, mut needs, mut whole) = (Map::new(), Map::new(), Map::new());
            let by_default = table.chosen_by_default();
            for field in belonging() {
                let names: Vec<_> = choices.iter().filter(|name| field.belongs_to(name)).collect();
                let rule = json!({ "properties": { key: { "enum": names } } });
                // What is off by default may be said to be off anywhere.
                let off = json!({ "properties": { field.key: { "const": false } } });
                let is_off = field.default.is_some_and(|default| default() == Value::Bool(false));
                rules.insert(
                    field.key.to_owned(),
                    if is_off { json!({ "anyOf": [rule, off] }) } else { rule },
                );
                if by_default.is_some_and(|by_default| !field.belongs_to(by_default)) {
                    needs.insert(field.key.to_owned(), json!([key]));
                }
                if field.needed.is_some() {
                    let chosen = json!({ "required": [key], "properties": { key: { "enum": names } } });
                    whole.extend(keywords(json!({ "if": chosen, "then": required(&field.key) })));
                }
            }
            if !needs.is_empty() {
                whole.insert("dependencies".to_owned(), needs.into());
            }
            let mut schema = keywords(json!({ "dependencies": rules }));
            if !whole.is_empty() {
                schema.insert(WHOLE.to_owned(), whole.into());
            }
            schema
        }
    }
}

fn keywords(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(keywords) => keywords,
        _ => Map::new(),
    }
}

/// The text with each paragraph on one line: where the source breaks its lines is of no concern to an editor.
fn unwrapped(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let text = lines.join("\n");
    let paragraphs = text.split("\n\n").map(|paragraph| {
        if paragraph.starts_with("- ") { paragraph.to_owned() } else { paragraph.replace('\n', " ") }
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::units;
    use super::super::values::{DURATION, PARTIAL_SHARE, PERCENTAGE, RATE, SHARE, SIZE, ZERO};
    use super::*;

    const REFERENCE: &str = include_str!("../../reference.toml");

    /// The path of a key, with the names of the file wildcarded and the places in arrays left out. What a variant
    /// patches is what the file has, and a distribution, a limit, a breaker or a retry policy is the same wherever it
    /// stands.
    fn normal(path: &str) -> String {
        let mut parts: Vec<_> = path.split('.').collect();
        if parts[0] == "variants" {
            parts.drain(..2.min(parts.len() - 1));
        }
        if parts.len() > 1 && ["upstreams", "routes", "clients"].contains(&parts[0]) {
            parts[1] = "*";
        }
        if parts.len() > 3 && parts[..2] == ["gateway", "rate_limit"] {
            parts[2] = "*";
            if parts.len() > 4 && parts[3] == "tiers" {
                parts[4] = "*";
            }
        }
        if parts.len() > 2 && parts[..2] == ["gateway", "upstreams"] {
            parts[2] = "*";
        }
        let mut path = parts.join(".");
        for (elsewhere, here) in [
            ("clients.*.think.", "upstreams.*.latency."),
            ("faults.slow.latency.", "upstreams.*.latency."),
            ("faults.drip.body.", "upstreams.*.latency."),
            ("upstreams.*.calls.retry.", "clients.*.retry."),
            ("routes.*.retry.", "gateway.retry."),
            ("upstreams.*.calls.breaker.", "gateway.breaker."),
            ("gateway.upstreams.*.breaker.", "gateway.breaker."),
            ("upstreams.*.auth.", "gateway.auth."),
        ] {
            path = path.replace(elsewhere, here);
        }
        // The gateway has one key more than all who try again.
        if !path.ends_with(".non_idempotent") {
            path = path.replace("gateway.retry.", "clients.*.retry.");
        }
        path.replace("mixture.latency.", "")
    }

    fn joined(path: &str, key: &str) -> String {
        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
    }

    /// What a schema or a file has of keys, and of names where a name is to be chosen.
    #[derive(Debug, Default)]
    struct Vocabulary {
        keys: BTreeSet<String>,
        /// With the last key of the path they stand at.
        names: BTreeSet<(String, String)>,
    }

    impl Vocabulary {
        fn of_schema() -> Self {
            let schema = serde_json::from_str(&json_schema()).unwrap();
            let mut vocabulary = Self::default();
            vocabulary.add_schema(&schema, &schema, "", &mut Vec::new());
            vocabulary
        }

        fn add_schema<'s>(
            &mut self,
            schema: &'s Value,
            root: &'s Value,
            path: &str,
            within: &mut Vec<&'s str>,
        ) {
            if let Some(target) = schema["$ref"].as_str() {
                if !within.contains(&target) {
                    within.push(target);
                    self.add_schema(&root["definitions"][&target[DEFINITIONS.len()..]], root, path, within);
                    within.pop();
                }
                return;
            }
            for (key, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = joined(path, key);
                self.keys.insert(normal(&path));
                self.add_schema(field, root, &path, within);
            }
            if schema["additionalProperties"].is_object() {
                self.add_schema(&schema["additionalProperties"], root, &joined(path, "*"), within);
            }
            if schema["items"].is_object() {
                self.add_schema(&schema["items"], root, path, within);
            }
            for alternative in schema["anyOf"].as_array().into_iter().flatten() {
                self.add_schema(alternative, root, path, within);
            }
            for name in schema["enum"].as_array().into_iter().flatten() {
                self.add_name(path, name.as_str().unwrap());
            }
        }

        fn of_file(text: &str) -> Self {
            let mut vocabulary = Self::default();
            vocabulary.add_value(&toml::Value::Table(text.parse().unwrap()), "");
            vocabulary
        }

        fn add_value(&mut self, value: &toml::Value, path: &str) {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        let path = joined(path, key);
                        self.keys.insert(normal(&path));
                        self.add_value(value, &path);
                    }
                }
                toml::Value::Array(items) => items.iter().for_each(|item| self.add_value(item, path)),
                toml::Value::String(name) => self.add_name(path, name),
                _ => {}
            }
        }

        fn add_name(&mut self, path: &str, name: &str) {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.names.insert((key.to_owned(), name.to_owned()));
        }
    }

    #[test]
    fn the_reference_uses_every_key_and_every_name() {
        let (schema, reference) = (Vocabulary::of_schema(), Vocabulary::of_file(REFERENCE));
        let unused: Vec<_> = schema.keys.difference(&reference.keys).collect();
        assert!(unused.is_empty(), "reference.toml is without {unused:?}");
        // What variants can be ranked by is named beside the key: a verdict goes by a few of them.
        // So are presets: one of each kind shows how they are used.
        let is_named = |(key, name): &&(String, String)| {
            ["objective", "preset"].contains(&&**key) && REFERENCE.contains(&format!("{name:?}"))
        };
        let unused = schema.names.difference(&reference.names);
        let unused: Vec<_> = unused.filter(|name| !is_named(name)).collect();
        assert!(unused.is_empty(), "reference.toml is without {unused:?}");
    }

    #[test]
    fn the_reference_uses_every_measure() {
        let table: toml::Table = REFERENCE.parse().unwrap();
        let lines: Vec<_> =
            table["expect"]["hold"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        for name in reports::MEASURES.map(|kind| kind.name) {
            let words = |line: &str| {
                line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                    .any(|word| word == name)
            };
            assert!(lines.iter().any(|line| words(line)), "no line of reference.toml has {name}");
        }
    }

    /// Whether the texts fit the pattern.
    fn fits<'t>(pattern: &str, texts: &[&'t str]) -> Vec<(&'t str, bool)> {
        let validator = jsonschema::draft7::new(&json!({ "pattern": pattern })).unwrap();
        texts.iter().map(|text| (*text, validator.is_valid(&json!(text)))).collect()
    }

    #[test]
    fn patterns_fit_what_the_reader_takes() {
        for (text, fits) in fits(
            DURATION,
            &[
                "28s",
                "500ms",
                "1m 30s",
                "1m30s",
                "1.5s",
                "1.5 s",
                "1,5 s",
                "2h",
                "0s",
                "+5s",
                " 5 s ",
                "00:01:30",
                "1:2:3.5",
                "2hours 3 mins",
                "2hours, 3 mins",
                "1hr 1min 1sec 1msec 1usec 1nsec",
                "5 minutes",
                "7 µs",
                "7µsecs",
                "3 millis 2 micros 1 nano",
                "8 milliseconds",
                "8 microseconds",
                "8 nanoseconds",
                "2 seconds",
                "1h, 2m",
                "",
                "28",
                "fast",
                "-1s",
                "1x",
                "nan",
                "1e400s",
                "s",
                "1 fortnight",
                "1d",
                "1mo",
                "5",
                "1s ago",
                "1:30",
            ],
        ) {
            assert_eq!(fits, units::duration(text).is_ok(), "{text:?}");
        }
        for (text, fits) in fits(
            RATE,
            &[
                "200/s",
                "16.7/s",
                "1000/m",
                " 1000 / min ",
                "3/h",
                "1/ms",
                "0/s",
                "007/s",
                "999999999/s",
                "0.000001/s",
                "fast",
                "nan/s",
                "inf/s",
                "1e400/s",
                "-1/s",
                "200",
                "200/x",
                "/s",
                "1./s",
                "9999999999/s",
                "0.0000001/s",
                "1/d",
            ],
        ) {
            assert_eq!(fits, units::rate(text).is_ok(), "{text:?}");
        }
        for (text, fits) in fits(
            SHARE,
            &[
                "50%", "0.1%", "100%", "100.0%", " 7 % ", "007%", "0%", "50", "101%", "-1%", "%", "nan%",
                "100.1%", "1.%",
            ],
        ) {
            assert_eq!(fits, units::share(text).is_ok(), "{text:?}");
        }
        for (text, fits) in
            fits(PERCENTAGE, &["50%", "150%", "0.1%", " 7 % ", "12,5%", "50", "-1%", "%", "1.%"])
        {
            assert_eq!(fits, units::percentage(text).is_ok(), "{text:?}");
        }
        for (text, fits) in
            fits(SIZE, &["0B", "512B", "2KB", "2kB", " 1 KiB ", "3MB", "1MiB", "512", "1.5KB", "-1B", "1GB"])
        {
            assert_eq!(fits, units::size(text).is_ok(), "{text:?}");
        }
        for (text, fits) in fits(PARTIAL_SHARE, &["99.9%", " 7 % ", "0%", "100%", "100.0%", "50", "-1%"]) {
            assert_eq!(fits, units::share(text).is_ok_and(|share| share < 1.0), "{text:?}");
        }
        for (text, zero) in fits(ZERO, &["0s", "0h 0m", "0.0ms", "00:00:00", "0.01s", "10s", "0h 1m"]) {
            assert_eq!(zero, units::duration(text).unwrap().is_zero(), "{text:?}");
        }
    }
}
