//! `tuesday show --resolved`: every value that holds in a variant, and where it comes from.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value as Json;

use super::serving::Chosen;
use super::{ExitCode, Failure, ResolvedFormat, ShowArgs, print, print_json, visible};
use crate::file::{Held, HeldValue, Origin, resolve};

pub(super) fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let chosen = Chosen::read(&args.name, args.variant.as_deref())?;
    let (variant, number) = (&*chosen.variant().name, chosen.scenario().variants.len());
    // A scenario was read from the text.
    let held = resolve(&chosen.scenario().source, variant).unwrap_or_default();
    match args.format {
        ResolvedFormat::Toml => print(&text(&args.name, variant, number, &held))?,
        ResolvedFormat::Json => print_json(&Resolved::of(&args.name, variant, &held))?,
    }
    Ok(ExitCode::Held)
}

/// A scenario file of the values, with a comment behind each; what no file can say is a comment itself.
fn text(name: &str, variant: &str, number: usize, held: &[Held]) -> String {
    let mut text = format!("# {}, variant {}", visible(name), visible(variant));
    text += match number {
        1 => "",
        _ => " (--variant takes another)",
    };
    text += ": what holds, and where it comes from.\n";
    let mut rest = held;
    let mut is_first = true;
    while !rest.is_empty() {
        let (tables, values) = match rest {
            [Held::Table { path, is_item }, values @ ..] => (Some((path, *is_item)), values),
            values => (None, values),
        };
        let end = values.iter().position(|held| matches!(held, Held::Table { .. })).unwrap_or(values.len());
        let (values, next) = values.split_at(end);
        let values: Vec<&HeldValue> = values
            .iter()
            .filter_map(|held| if let Held::Value(value) = held { Some(value) } else { None })
            .collect();
        rest = next;
        if !is_first || tables.is_none() {
            text.push('\n');
        }
        is_first = false;
        match tables {
            Some((path, true)) => _ = writeln!(text, "[[{path}]]"),
            Some((path, false)) => _ = writeln!(text, "[{path}]"),
            None => {}
        }
        text += &section(&values, variant);
    }
    text
}

/// The values of a table, aligned.
fn section(values: &[&HeldValue], variant: &str) -> String {
    let mut text = String::new();
    let (said, unsaid): (Vec<&HeldValue>, Vec<_>) =
        values.iter().copied().partition(|value| value.origin != Origin::Nothing);
    let key_width = said.iter().map(|value| value.key.chars().count()).max().unwrap_or(0);
    let lines: Vec<(String, String)> = said
        .iter()
        .map(|value| {
            let line = format!("{:key_width$} = {}", value.key, value.value);
            (line, origin(&value.origin, variant))
        })
        .collect();
    let short = |line: &&(String, String)| line.0.chars().count() + 4 + line.1.chars().count() <= WIDTH;
    let width = lines.iter().filter(short).map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    let longest = lines.iter().filter(short).map(|(_, origin)| origin.chars().count()).max().unwrap_or(0);
    let width = width.min(WIDTH.saturating_sub(longest + 4));
    for line in &lines {
        let (setting, origin) = line;
        if short(&line) {
            let _ = writeln!(text, "{setting:width$}  # {origin}");
        } else {
            let _ = writeln!(text, "# {origin}:\n{setting}");
        }
    }
    for words in ["unbounded", "off"] {
        let keys: Vec<&str> =
            unsaid.iter().filter(|value| value.value == words).map(|value| &*value.key).collect();
        if !keys.is_empty() {
            text += &wrapped(&format!("{words}: {}", keys.join(", ")));
        }
    }
    for value in unsaid.iter().filter(|value| !["unbounded", "off"].contains(&&*value.value)) {
        text += &wrapped(&format!("{}: {}", value.key, value.value));
    }
    text
}

/// Columns that a line fills at most, unless its value alone is longer.
const WIDTH: usize = 80;

/// A comment, broken between words.
fn wrapped(comment: &str) -> String {
    let mut text = String::new();
    let mut line = "#".to_owned();
    for word in comment.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 3 {
            text += &line;
            text.push('\n');
            "#  ".clone_into(&mut line);
        }
        line.push(' ');
        line += word;
    }
    text + &line + "\n"
}

fn origin(origin: &Origin, variant: &str) -> String {
    match origin {
        Origin::File(line) => format!("line {line}"),
        Origin::Variant(line) => format!("line {line}, variant {}", visible(variant)),
        Origin::Preset(preset, line) => format!("preset {preset}, line {line}"),
        Origin::Default => "default".to_owned(),
        Origin::Nothing => String::new(),
    }
}

/// The values for programs.
#[derive(Serialize)]
struct Resolved<'a> {
    scenario: &'a str,
    variant: &'a str,
    values: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    /// The whole path; a table of an array by its place there.
    key: String,
    /// The value; of one that no file can say, in words: `unbounded`, `off`.
    value: &'a Json,
    /// `file`, `variant`, `preset` or `default`.
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<&'static str>,
    /// Of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl<'a> Resolved<'a> {
    fn of(scenario: &'a str, variant: &'a str, held: &'a [Held]) -> Self {
        let mut values = Vec::new();
        // Paths of arrays are numbered by how often each has begun.
        let mut items: Vec<(&str, usize)> = Vec::new();
        for held in held {
            match held {
                Held::Table { path, is_item: true } => {
                    // What stood in the item before begins anew.
                    items.retain(|(known, _)| {
                        !known.strip_prefix(&**path).is_some_and(|rest| rest.starts_with('.'))
                    });
                    match items.iter_mut().find(|(known, _)| known == path) {
                        Some((_, place)) => *place += 1,
                        None => items.push((path, 0)),
                    }
                }
                Held::Table { .. } => {}
                Held::Value(value) => values.push(Entry::of(value, &items)),
            }
        }
        Self { scenario, variant, values }
    }
}

impl<'a> Entry<'a> {
    fn of(value: &'a HeldValue, items: &[(&str, usize)]) -> Self {
        let (from, preset, line) = match value.origin {
            Origin::File(line) => ("file", None, Some(line)),
            Origin::Variant(line) => ("variant", None, Some(line)),
            Origin::Preset(preset, line) => ("preset", Some(preset), Some(line)),
            Origin::Default | Origin::Nothing => ("default", None, None),
        };
        // The longest first, so that a place put in moves none of those that are still to come.
        let mut key = value.path.clone();
        let mut above: Vec<_> = items
            .iter()
            .filter(|(path, _)| value.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
            .collect();
        above.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, place) in above {
            key.insert_str(path.len(), &format!("[{place}]"));
        }
        Self { key, value: &value.json, from, preset, line }
    }
}
