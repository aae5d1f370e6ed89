//! Pages of the reference that are made from the source: the format from the schema, outcomes from the schema of results, exit
//! codes from their table, the command line from its help.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::env;
use std::fmt::Write as _;
use std::fs;

use assert_cmd::Command;
use serde_json::{Map, Value};
use tuesday::cli::ExitCode;

use crate::links::anchor;
use crate::pages::root;

const MADE: &str = "<!-- Made from the source: UPDATE_DOCS=1 cargo test -p tuesday --test docs -->\n";

/// Panics if the page is another than the one made from the source.
fn assert_made(name: &str, text: &str) {
    let path = root().join("docs/reference").join(name);
    let text = format!("{MADE}{}\n", text.trim_end());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == text,
        "docs/reference/{name} is not what the source says: UPDATE_DOCS=1 cargo test -p tuesday --test docs"
    );
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("tuesday").unwrap().args(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn the_page_of_the_command_line_is_its_help() {
    let help = printed(&["--help"]);
    let mut page = format!(
        "# Commands\n\nThe help of each command, as `tuesday COMMAND --help` prints it. [The command line](command-line.md) says \
         what needs more words.\n\n## tuesday\n\n```text\n{help}```\n"
    );
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.contains(&"run") && names.len() > 10, "{names:?}");
    for name in names {
        let help = printed(&[name, "--help"]);
        write!(page, "\n## tuesday {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    }
    assert_made("commands.md", &page);
}

#[test]
fn the_page_of_exit_codes_is_their_table() {
    let mut page = "# Exit codes\n\n| code | meaning |\n|---|---|\n".to_owned();
    for code in ExitCode::ALL {
        writeln!(page, "| {} | {} |", code.number(), code.meaning()).unwrap();
    }
    page.push_str(
        "\n[The command line](command-line.md#more-than-one-scenario) says which of them counts if there are several scenarios.\n",
    );
    assert_made("exit-codes.md", &page);
}

#[test]
fn the_page_of_outcomes_is_that_of_results() {
    let schema: Value = serde_json::from_str(&reports::result_schema()).unwrap();
    let definitions = schema.get("$defs").or(schema.get("definitions")).unwrap();
    let mut page = "# Outcomes\n\nEach request ends in exactly one way. A request is what a client wants; the attempts that it takes \
                    are counted apart. `rejected(OUTCOME)` in a line of `expect.hold` counts the requests of one outcome.\n\n\
                    | outcome | meaning |\n|---|---|\n"
        .to_owned();
    let outcomes = definitions["Outcome"]["oneOf"].as_array().unwrap();
    assert_eq!(outcomes.len(), reports::Outcome::ALL.len());
    for (outcome, described) in reports::Outcome::ALL.into_iter().zip(outcomes) {
        assert_eq!(described["const"], outcome.name());
        let meaning = cell(described["description"].as_str().unwrap());
        writeln!(page, "| `{}` | {meaning} |", outcome.name()).unwrap();
    }
    assert_made("outcomes.md", &page);
}

#[test]
fn the_page_of_the_format_is_its_schema() {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    let mut format = Format {
        definitions: schema["definitions"].as_object().unwrap(),
        homes: BTreeMap::new(),
        page: String::new(),
    };
    format.page.push_str(
        "# The format\n\nA scenario is one TOML file. This page lists each of its keys. `scenarios/reference.toml` is a scenario that \
         uses all of them, with a comment each; `tuesday schema` prints the JSON Schema that editors use.\n\n\
         | quantity | examples | units |\n|---|---|---|\n\
         | duration | `\"28s\"`, `\"500ms\"`, `\"1m 30s\"` | h, m, s, ms, us, ns |\n\
         | rate | `\"200/s\"`, `\"16.7/s\"`, `\"1000/m\"` | per h, m, s or ms |\n\
         | share | `\"50%\"`, `\"0.1%\"` | % |\n\
         | size | `\"512B\"`, `\"2KB\"`, `\"1KiB\"` | B, KB, KiB, MB, MiB |\n\n\
         A misspelt key, a name that nothing has, or a value without its unit is an error. `tuesday check FILE` prints all \
         errors of a file, each with its line. `NAME` stands for a name of your choice, `[]` for each table of a list.\n",
    );
    format.section("the file", &schema, 2);
    assert!(format.homes.len() > 30, "sections are missing: {:?}", format.homes.values());
    let page = format.page;
    assert_made("format.md", &page);
}

#[test]
fn the_page_of_presets_is_their_data() {
    let mut page = "# Presets\n\n\
        What a product does if its configuration says nothing else, in the words of a scenario. `preset` in `[gateway]` names a gateway, \
        `preset` in `clients.NAME` or in a call of a service names the library that sends.\n\n\
        A preset stands below the file: the file's own keys go before the preset, and a variant goes before both. What the file chooses \
        drops what the preset says of the other choice: a file with `algorithm = \"fixed-window\"` takes no `burst` from the preset.\n\n\
        A preset switches nothing on that the product does not do by itself. So most values are for what the file has: `status` of each \
        limit is that of each limit in the file, and a file without limits has none. `false` switches off what the preset has switched on.\n\n\
        `tuesday show --resolved FILE` prints every value that holds, and where it comes from. A key that this page leaves out is not known, \
        or has no equal.\n"
        .to_owned();
    for (heading, folder, prefix) in
        [("Gateways", "gateways", "gateway."), ("Clients and calls", "callers", "")]
    {
        write!(page, "\n## {heading}\n").unwrap();
        let folder = root().join("scenarios/presets").join(folder);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 9, "{files:?}");
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            write!(page, "\n### {name}\n\n{}", preset_section(&fs::read_to_string(&file).unwrap(), prefix))
                .unwrap();
        }
    }
    assert_made("presets.md", &page);
}

/// The product, what is to be said of the preset, and a table of its values with the comments before them.
fn preset_section(text: &str, prefix: &str) -> String {
    let (mut about, mut said, mut rows) = (String::new(), String::new(), String::new());
    let (mut place, mut comment) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(more) = line.strip_prefix("# ") {
            comment.push(more);
        } else if let Some(table) = line.strip_prefix('[') {
            place = table.trim_end_matches(']').replace("\"*\"", "NAME");
            comment.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            if key == "about" {
                value.trim_matches('"').clone_into(&mut about);
                said = comment.join(" ");
            } else {
                let (source, meaning) = comment.split_last().unwrap();
                assert!(source.starts_with("https://"), "{line} has no source: {comment:?}");
                let key = if let Some(table) = place.strip_prefix("each.") {
                    let (table, below) = table.split_once('.').unwrap_or((table, ""));
                    let below = if below.is_empty() { String::new() } else { format!("{below}.") };
                    format!("`{below}{key}` of each {}", table.replace('_', " "))
                } else {
                    let below = place.strip_prefix("sets").unwrap().trim_start_matches('.');
                    let below = if below.is_empty() { String::new() } else { format!("{below}.") };
                    format!("`{prefix}{below}{key}`")
                };
                let meaning = cell(&meaning.join(" "));
                writeln!(rows, "| {key} | `{}` | {meaning} [Source]({source}) |", cell(value)).unwrap();
            }
            comment.clear();
        }
    }
    assert!(!about.is_empty() && !rows.is_empty(), "{text}");
    format!("Of {about}.\n\n{said}\n\n| key | value | in the product |\n|---|---|---|\n{rows}")
}

/// The first keys and sections. A table that stands in several places is described in the first one.
const FIRST: [&str; 4] = ["name", "slo", "gateway", "upstreams"];

/// The page of the format while it is written.
struct Format<'a> {
    definitions: &'a Map<String, Value>,
    /// The heading that describes a table, by its keys.
    homes: BTreeMap<String, String>,
    page: String,
}

impl<'a> Format<'a> {
    /// What a node refers to.
    fn resolved<'b>(&self, node: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        let reference = node.get("$ref").or_else(|| node.get("allOf")?.get(0)?.get("$ref"));
        match reference.and_then(Value::as_str) {
            Some(reference) => &self.definitions[reference.trim_start_matches("#/definitions/")],
            None => node,
        }
    }

    /// The table that a value of this node is or holds, with the form of its path.
    fn table<'b>(&self, path: &str, node: &'b Value) -> Option<(String, &'b Value)>
    where
        'a: 'b,
    {
        let node = self.resolved(node);
        if node.get("properties").is_some() {
            return Some((path.to_owned(), node));
        }
        if let Some(items) = node.get("items") {
            return self.table(&format!("{path}[]"), items);
        }
        if let Some(value) = node.get("additionalProperties").filter(|value| value.is_object()) {
            return self.table(&format!("{path}.NAME"), value);
        }
        let either = node.get("anyOf")?.as_array()?;
        either.iter().find_map(|form| self.table(path, form))
    }

    fn section(&mut self, path: &str, node: &Value, level: usize) {
        let heading = if level == 2 { capitalized(path) } else { format!("`{path}`") };
        let keys = node["properties"].as_object().unwrap();
        self.homes.insert(Value::from(keys.clone()).to_string(), heading.clone());
        write!(self.page, "\n{} {heading}\n\n", "#".repeat(level.min(3))).unwrap();
        if let Some(text) = node.get("description").and_then(Value::as_str) {
            writeln!(self.page, "{}\n", text.trim()).unwrap();
        }
        let required: Vec<&str> = node
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut names: Vec<&String> = keys.keys().collect();
        names.sort_by_key(|name| {
            let first = FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len());
            (!required.contains(&name.as_str()), first)
        });
        let prefix = if level == 2 { String::new() } else { format!("{path}.") };

        // Headings of the tables below this one come first, so that rows can lead to them.
        let mut below = Vec::new();
        for name in &names {
            let Some((path, table)) = self.table(&format!("{prefix}{name}"), &keys[*name]) else { continue };
            if let Entry::Vacant(home) = self.homes.entry(table["properties"].to_string()) {
                home.insert(format!("`{path}`"));
                below.push((path, table));
            }
        }
        self.page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for name in names {
            let node = &keys[name];
            let said = node.get("description").or_else(|| self.resolved(node).get("description"));
            let said = said.and_then(Value::as_str).unwrap_or("");
            let (meaning, told) = said.rsplit_once("Default: ").unwrap_or((said, ""));
            let default = match node.get("default") {
                Some(default) => format!("`{default}`"),
                None if required.contains(&name.as_str()) => "required".to_owned(),
                None => cell(told.trim_end_matches('.')),
            };
            let meaning = format!("{}{}", cell(meaning.trim()), choices(self.resolved(node)));
            let value = self.kind(&prefix, name, node);
            writeln!(self.page, "| `{name}` | {value} | {default} | {meaning} |").unwrap();
        }
        for (path, table) in below {
            self.section(&path, table, level + 1);
        }
    }

    /// What may stand behind a key.
    fn kind(&self, prefix: &str, name: &str, node: &Value) -> String {
        if let Some((_, table)) = self.table(&format!("{prefix}{name}"), node) {
            let heading = &self.homes[&table["properties"].to_string()];
            let link = format!("[{heading}](#{})", anchor(heading));
            let node = self.resolved(node);
            return if node.get("items").is_some() {
                format!("tables: {link}")
            } else if node.get("properties").is_some() {
                let others = match node["type"].as_array() {
                    Some(types) if types.iter().any(|kind| kind == "boolean") => ", or `false`",
                    Some(types) if types.iter().any(|kind| kind == "string") => ", or a duration",
                    _ => "",
                };
                format!("table: {link}{others}")
            } else if node.get("additionalProperties").is_some() {
                format!("tables by name: {link}")
            } else {
                let forms = node["anyOf"].as_array().unwrap();
                let plain = forms.iter().filter(|form| self.table("", form).is_none());
                let plain: Vec<String> = plain.map(|form| self.plain(form)).collect();
                format!("{}, or tables: {link}", plain.join(", "))
            };
        }
        self.plain(node)
    }

    /// The kind of a value that holds no table of ours.
    fn plain(&self, node: &Value) -> String {
        let node = self.resolved(node);
        if let Some(values) = node.get("enum").and_then(Value::as_array) {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            return values.join(", ");
        }
        if let Some(forms) = node.get("anyOf").and_then(Value::as_array) {
            let forms: Vec<String> = forms.iter().map(|form| self.plain(form)).collect();
            return forms.join(", or ");
        }
        if let Some(items) = node.get("items") {
            return format!("list: {}", self.plain(items));
        }
        if let Some(value) = node.get("additionalProperties").filter(|value| value.is_object()) {
            return format!("table: a name, and {}", self.plain(value));
        }
        let kind = match node.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => kinds[0].as_str().unwrap(),
            _ => panic!("a value of no kind: {node}"),
        };
        let pattern = node.get("pattern").and_then(Value::as_str).unwrap_or("");
        match kind {
            "string" if pattern.contains("milli") => "duration".to_owned(),
            "string" if pattern.ends_with("%\\s*$") => "share".to_owned(),
            "string" if pattern.contains("ms|s|m|min|h") => "rate".to_owned(),
            "string" if pattern.contains("KiB") => "size".to_owned(),
            "string" => "text".to_owned(),
            "integer" => {
                let bound = |key| node.get(key).and_then(Value::as_u64);
                match (bound("minimum"), bound("maximum").filter(|most| *most != u64::from(u32::MAX))) {
                    (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                    (Some(least), None) => format!("whole number, at least {least}"),
                    _ => "whole number".to_owned(),
                }
            }
            "boolean" => "`true` or `false`".to_owned(),
            "object" => "`true`".to_owned(),
            other => other.to_owned(),
        }
    }
}

/// What each word of a choice means.
fn choices(node: &Value) -> String {
    let of = if node.get("enum").is_some() { node } else { node.get("items").unwrap_or(node) };
    let Some(words) = of.get("enum").and_then(Value::as_array) else { return String::new() };
    let meanings = of.pointer("/x-taplo/docs/enumValues").and_then(Value::as_array);
    let mut text = String::new();
    for (word, meaning) in words.iter().zip(meanings.into_iter().flatten()) {
        if let Some(meaning) = meaning.as_str() {
            write!(text, "<br>`{word}`: {}", cell(meaning)).unwrap();
        }
    }
    text
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
