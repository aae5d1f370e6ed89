//! The format of the file as a JSON Schema, so that an editor completes keys, shows what they mean, and underlines
//! what is wrong while it is written.
//!
//! The types of [`format`] describe the format and do nothing else: the reader beside them knows places and goes on
//! after a problem, which a derived one does not, and tests hold both to the same keys. A schema cannot know all that
//! the reader knows (that an upstream exists, that shares add up), but what the reader takes, the schema takes, unless
//! it contradicts itself in a place that every variant writes over.
//!
//! It is written for taplo, which most editors ask about TOML: draft 7, no field described beside a `$ref` (taplo
//! shows the one or the other), and alternatives as keywords of one object, since a failed `oneOf` underlines the
//! table where a misspelt key could have been.

mod format;

use std::fmt::Write as _;
use std::mem;

use gateway::Algorithm;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value, json};

use self::format::Scenario;
use super::breaker::{STYLES, half_open_has};
use super::expect::MEASURES;
use super::faults::KINDS;
use super::patch::{LOAD_KINDS, load_has};
use super::retry::{BACKOFFS, backoff_has};

/// The JSON Schema of the scenario file, as text with a line break at its end.
pub fn json_schema() -> String {
    let settings =
        SchemaSettings::draft07().with(|settings| settings.transforms.insert(0, Box::new(for_toml)));
    let mut schema = settings.into_generator().into_root_schema_for::<Scenario>().to_value();
    require_whole_worlds(&mut schema);
    settle_wholes(&mut schema);
    format!("{schema:#}\n")
}

/// The default of a setting as a file would have it; `None` where the format states no single one.
pub(super) fn default_of(path: &[String]) -> Option<String> {
    let schema: Value = serde_json::from_str(&json_schema()).ok()?;
    let default = path.iter().try_fold(&schema, |place, key| child(&schema, place, key))?;
    match resolved(&schema, default).get("default")? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What the schema says of a key of a table.
fn child<'s>(root: &'s Value, table: &'s Value, key: &str) -> Option<&'s Value> {
    let table = resolved(root, table);
    if let Some(found) = table.get("properties").and_then(|properties| properties.get(key)) {
        return Some(found);
    }
    let any = ["anyOf", "oneOf", "allOf"].iter().filter_map(|one| table.get(one)?.as_array()).flatten();
    let mut found = any.filter_map(|one| child(root, one, key));
    found.next().or_else(|| table.get("additionalProperties").filter(|rest| rest.is_object()))
}

/// What a schema refers to, if it does.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(DEFINITIONS));
    name.and_then(|name| root.get("definitions")?.get(name)).unwrap_or(schema)
}

/// The tables that a variant can patch, and the faults that it can replace.
const WORLD: [&str; 5] = ["upstreams", "routes", "clients", "gateway", "faults"];

/// Moves what a world needs to be whole into a condition of its own: where there are variants, each may bring what
/// the file leaves out, and a variant itself names only what it changes.
fn require_whole_worlds(schema: &mut Value) {
    let mut world = Map::new();
    for table in WORLD {
        let mut part = mem::take(&mut schema["properties"][table]);
        if let Some(whole) = take_whole(&mut part, schema) {
            world.insert(table.to_owned(), whole);
        }
        schema["properties"][table] = part;
    }
    if let Some(required) = schema["required"].as_array_mut() {
        let (of_the_world, common): (Vec<_>, _) =
            mem::take(required).into_iter().partition(|key| WORLD.iter().any(|table| key == table));
        *required = common;
        schema["then"] = json!({ "required": of_the_world, "properties": world });
        schema["if"] = json!({
            "not": { "required": ["variants"], "properties": { "variants": { "minProperties": 1 } } }
        });
    }
    // The tables of a variant are those of the file, which by now do not ask for more than a variant has.
    for table in WORLD {
        let shared = schema["properties"][table].clone();
        schema["definitions"]["Variant"]["properties"][table] = shared;
    }
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
    let mut fields = Map::new();
    for (key, field) in table.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(needs) = take_whole(field, root) {
            fields.insert(key.clone(), needs);
        }
    }
    if !fields.is_empty() {
        whole.insert("properties".to_owned(), Value::Object(fields));
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

/// What a table needs beyond its required fields, until [`take_whole`] takes it or [`settle_wholes`] leaves it there.
const WHOLE: &str = "x-whole";

/// Undoes what the derive says for JSON and TOML does not have: null, and formats of integers. Names that are each
/// described become a list of names, which an error message can name, with their descriptions where taplo looks.
fn for_toml(schema: &mut Schema) {
    transform_subschemas(&mut for_toml, schema);
    let Some(table) = schema.as_object_mut() else { return };
    table.remove("format");
    if let Some(Value::String(description)) = table.get_mut("description") {
        *description = unwrapped(description);
    }
    if let Some(Value::Array(types)) = table.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &mut types[..] {
            let only = mem::take(only);
            table.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(names)) = table.get_mut("enum") {
        names.retain(|name| !name.is_null());
    }
    if let Some(Value::Array(any)) = table.get_mut("anyOf") {
        any.retain(|schema| *schema != json!({ "type": "null" }));
        if let [Value::Object(only)] = &mut any[..] {
            let only = mem::take(only);
            table.remove("anyOf");
            // What was said of the field goes before what its type says of itself.
            for (key, value) in only {
                table.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(one)) = table.get("oneOf")
        && one.iter().all(|name| name["const"].is_string())
    {
        let names: Vec<_> = one.iter().map(|name| name["const"].clone()).collect();
        let described: Vec<_> = one.iter().map(|name| name["description"].clone()).collect();
        table.remove("oneOf");
        table.insert("enum".to_owned(), Value::Array(names));
        table.insert("x-taplo".to_owned(), json!({ "docs": { "enumValues": described } }));
    }
}

/// The text with each paragraph on one line: where the source breaks its lines is of no concern to an editor.
fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        if paragraph.starts_with("- ") { paragraph.to_owned() } else { paragraph.replace('\n', " ") }
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// `false` where a table can be switched off, said so that what is wrong in the table is still told by its place.
fn or_false(schema: &mut Schema) {
    schema.insert("type".to_owned(), json!(["object", "boolean"]));
    schema.insert("not".to_owned(), json!({ "const": true }));
}

/// A duration in the place of a distribution, said so that what is wrong in either is still told by its place.
fn or_duration(schema: &mut Schema) {
    schema.insert("type".to_owned(), json!(["object", "string"]));
    schema.insert("pattern".to_owned(), json!(format::DURATION));
}

/// A population has one load, and what belongs to that load.
fn one_load(schema: &mut Schema) {
    let rules = LOAD_KINDS.map(|kind| {
        let foreign =
            LOAD_KINDS.into_iter().chain(["arrivals", "think", "start"]).filter(|key| !load_has(kind, key));
        let foreign: Vec<_> = foreign.map(|key| json!({ "required": [key] })).collect();
        (kind.to_owned(), json!({ "not": { "anyOf": foreign } }))
    });
    schema.insert("dependencies".to_owned(), Value::Object(rules.into_iter().collect()));
    let loads = LOAD_KINDS.map(|kind| json!({ "required": [kind] }));
    schema.insert(WHOLE.to_owned(), json!({ "anyOf": loads, "dependencies": { "users": ["think"] } }));
}

/// A limit has the fields that its algorithm gives a meaning.
fn what_the_algorithm_has(schema: &mut Schema) {
    let of = |has: fn(Algorithm) -> bool| {
        let names: Vec<_> =
            Algorithm::ALL.into_iter().filter(|each| has(*each)).map(Algorithm::name).collect();
        json!({ "properties": { "algorithm": { "enum": names } } })
    };
    // Not to count what is rejected is what the others do anyway.
    let not_counted = json!({ "properties": { "count_rejected": { "const": false } } });
    let rules = json!({
        "burst": of(Algorithm::has_burst),
        "count_rejected": { "anyOf": [of(Algorithm::is_sliding), not_counted] },
    });
    schema.insert("dependencies".to_owned(), rules);
}

/// A retry policy has the fields that its back-off gives a meaning, and those that it needs.
fn what_the_backoff_has(schema: &mut Schema) {
    let rules = ["base", "jitter", "max"].map(|key| {
        let names: Vec<_> = BACKOFFS.into_iter().filter(|kind| backoff_has(kind, key)).collect();
        (key.to_owned(), json!({ "properties": { "backoff": { "enum": names } } }))
    });
    schema.insert("dependencies".to_owned(), Value::Object(rules.into_iter().collect()));
    let waits: Vec<_> = BACKOFFS.into_iter().filter(|kind| backoff_has(kind, "base")).collect();
    let whole = json!({
        "dependencies": { "base": ["backoff"], "jitter": ["backoff"], "max": ["backoff"] },
        "if": { "required": ["backoff"], "properties": { "backoff": { "enum": waits } } },
        "then": { "required": ["base"] },
    });
    schema.insert(WHOLE.to_owned(), whole);
}

/// A breaker has the fields that its half-open style gives a meaning.
fn what_the_half_open_style_has(schema: &mut Schema) {
    let rules = ["successes_to_close", "calls"].map(|key| {
        let names: Vec<_> = STYLES.into_iter().filter(|style| half_open_has(style, key)).collect();
        (key.to_owned(), json!({ "properties": { "half_open": { "enum": names } } }))
    });
    schema.insert("dependencies".to_owned(), Value::Object(rules.into_iter().collect()));
    schema.insert(WHOLE.to_owned(), json!({ "dependencies": { "calls": ["half_open"] } }));
}

/// A fault is of one kind; one that is `false` is none.
fn one_kind(schema: &mut Schema) {
    let kinds = KINDS
        .map(|kind| json!({ "required": [kind], "properties": { kind: { "not": { "const": false } } } }));
    schema.insert("oneOf".to_owned(), json!(kinds));
}

/// A line of `expect.hold` names a measure that there is.
fn measures(schema: &mut Schema) {
    let mut description = "One line of `[variant:] measure[(arguments)] op value`, for the variant named or for all, \
                           such as `token-bucket: latency(p99, clients.partner) < 100ms`; `op` is one of `<`, `<=`, \
                           `>`, `>=` and `==`. In place of the value can stand another measure, of the \
                           same variant or of another one, as in `breaker: blast_radius > timeout: \
                           blast_radius`. A selector is a path into the file: `clients.NAME`, \
                           `routes.\"/PATH\"` or `upstreams.NAME`. The measures:\n"
        .to_owned();
    let mut names = Vec::new();
    for signature in MEASURES {
        let _ = write!(description, "\n- `{signature}`");
        names.push(signature.split('(').next().unwrap_or(signature));
    }
    let pattern = format!(r"^\s*([^:(]+:\s*)?({})\s*(\(.*\))?\s*(<=?|>=?|==)\s*\S", names.join("|"));
    schema.insert("description".to_owned(), description.into());
    schema.insert("pattern".to_owned(), pattern.into());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gateway::auth::JwtAlgorithm;

    use super::super::context::Context;
    use super::super::{load, parse, read_scenario, retry, units};
    use super::format::{DURATION, PARTIAL_SHARE, PERCENTAGE, RATE, SHARE, SIZE, ZERO};
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
    fn the_reader_and_the_schema_know_the_same_keys() {
        let companion = |_: &str| Ok("1ms".to_owned());
        let context = Context::new(&companion);
        let file = parse(REFERENCE, &context).unwrap();
        read_scenario(REFERENCE, &file, None, &context).unwrap();
        let known: BTreeSet<_> = context.known.borrow().iter().map(|path| normal(path)).collect();
        let described = Vocabulary::of_schema().keys;
        let (by_reader, by_schema): (Vec<_>, Vec<_>) =
            (known.difference(&described).collect(), described.difference(&known).collect());
        assert!(by_reader.is_empty(), "only the reader knows {by_reader:?}");
        assert!(by_schema.is_empty(), "only the schema knows {by_schema:?}");
    }

    #[test]
    fn the_reference_uses_every_key_and_every_name() {
        let (schema, reference) = (Vocabulary::of_schema(), Vocabulary::of_file(REFERENCE));
        let unused: Vec<_> = schema.keys.difference(&reference.keys).collect();
        assert!(unused.is_empty(), "reference.toml is without {unused:?}");
        let unused: Vec<_> = schema.names.difference(&reference.names).collect();
        assert!(unused.is_empty(), "reference.toml is without {unused:?}");
    }

    #[test]
    fn the_reference_uses_every_measure() {
        let table: toml::Table = REFERENCE.parse().unwrap();
        let lines: Vec<_> =
            table["expect"]["hold"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        for signature in MEASURES {
            let name = signature.split('(').next().unwrap();
            let words = |line: &str| {
                line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                    .any(|word| word == name)
            };
            assert!(lines.iter().any(|line| words(line)), "no line of reference.toml has {name}");
        }
    }

    #[test]
    fn names_are_those_of_the_reader() {
        let names = Vocabulary::of_schema().names;
        let of = |wanted: &str| -> BTreeSet<&str> {
            names.iter().filter(|(key, _)| key == wanted).map(|(_, name)| &**name).collect()
        };
        let signing = JwtAlgorithm::ALL.map(JwtAlgorithm::name);
        assert_eq!(of("algorithm"), Algorithm::ALL.map(Algorithm::name).into_iter().chain(signing).collect());
        assert_eq!(of("defect"), simulator::TokenDefect::ALL.map(|(name, _)| name).into());
        assert_eq!(of("arrivals"), load::SPACINGS.map(|(name, _)| name).into());
        assert_eq!(of("start"), load::STARTS.map(|(name, _)| name).into());
        assert_eq!(of("method"), simulator::Method::ALL.map(|(name, _)| name).into());
        assert_eq!(of("on"), retry::CLASSES.into());
        assert_eq!(of("backoff"), BACKOFFS.into());
        assert_eq!(of("jitter"), retry::JITTERS.map(|(name, _)| name).into());
        assert_eq!(of("half_open"), STYLES.into());
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
