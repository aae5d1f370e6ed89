//! The scenario file: from bytes to a [`Scenario`] that can be run, or to everything that is wrong with it.
//!
//! The text is parsed into a tree that knows its places, variants are merged on the tree, and each merged tree is
//! read field by field into the validated types of the gateway and the simulator. Serde's derive would stop at the
//! first problem and lose the places of merged values.

mod auth;
mod breaker;
mod calls;
mod clients;
mod common;
mod context;
mod diagnostic;
mod expect;
mod external;
mod faults;
mod gateway;
mod latency;
mod limits;
mod load;
mod objective;
mod patch;
mod quantity;
mod reader;
mod retry;
mod routes;
mod same_world;
mod schema;
mod settings;
mod shape;
mod syntax;
mod table;
#[cfg(test)]
mod testing;
mod tree;
mod units;
mod upstream_names;
mod upstreams;
mod values;
mod variant;
mod vary;
mod warnings;
mod words;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::Timestamp;
use toml::de::DeTable;

use self::common::{Common, Instant, Lines, Slo};
use self::context::Context;
pub(crate) use self::diagnostic::visible;
pub use self::diagnostic::{Problem, Severity, render};
use self::expect::{ExpectLine, expect_lines};
pub(crate) use self::expect::{read_condition, read_measure};
use self::objective::{Objective, Report};
use self::reader::Fields;
pub(crate) use self::routes::is_route;
pub(crate) use self::same_world::differing_worlds;
pub use self::schema::json_schema;
use self::table::Described;
use self::tree::{Entry, Table};
pub(crate) use self::units::{
    duration as parse_duration, number as parse_number, per_second as parse_rate, share as parse_share,
    write_duration,
};
use self::values::Positive;
pub(crate) use self::vary::{LaidOver, Varied, Vary, parse_vary, read_laid_over};
pub(crate) use self::words::{display_key, nearest};

use crate::{Incident, Scenario, Timeline, Variant, World};

/// Larger files are refused unread: no scenario that anybody wrote comes near it.
pub const LARGEST_FILE: u64 = 4 << 20;

/// More values are refused, those of the file counted again for every variant, since each is read as a whole: a
/// second's worth of reading.
const MOST_VALUES: usize = 250_000;

/// The start of scenario time where the file names none: a Tuesday morning, 2026-06-02T09:00:00Z.
const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

/// A scenario that was read, with what is surely not meant, or what is wrong with it.
#[derive(Debug)]
pub struct Reading {
    /// The scenario; `None` if any problem is an error.
    pub scenario: Option<Scenario>,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

/// How to come by the text of a file that a scenario names.
///
/// # Errors
///
/// What stands in the way, for the author of the scenario.
pub type Companion<'f> = &'f dyn Fn(&str) -> Result<String, String>;

/// Reads the text of a scenario file.
pub fn read(text: &str, companion: Companion<'_>) -> Reading {
    let context = Context::new(companion);
    let scenario = parse(text, &context).and_then(|file| read_scenario(text, &file, None, &context));
    let scenario = scenario.filter(|_| !context.is_fatal());
    Reading { scenario, problems: context.into_sorted(text) }
}

/// The bytes of a scenario file as text.
///
/// # Errors
///
/// What stands in the way: it cannot be opened or read, is a directory, is larger than [`LARGEST_FILE`], or is not
/// UTF-8.
///
/// A byte-order mark is left out, and each line ends with a line feed, whatever the editor had it end with.
pub fn load(path: &Path) -> Result<String, String> {
    load_up_to(path, LARGEST_FILE)
}

/// As [`load`], of a file that has at most `largest` bytes, whole MiB.
///
/// # Errors
///
/// As there.
pub(crate) fn load_up_to(path: &Path, largest: u64) -> Result<String, String> {
    use std::io::Read as _;
    let cannot = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("it cannot be {what}: {error}")
    };
    let file = std::fs::File::open(path).map_err(cannot("opened"))?;
    if file.metadata().map_err(cannot("read"))?.is_dir() {
        return Err("it is a directory, expected a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(cannot("read"))?;
    if bytes.len() as u64 > largest {
        return Err(format!("it is larger than {} MiB, the most that is read", largest >> 20));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16 and not UTF-8 text, from its first byte in line 1 on".to_owned());
    }
    String::from_utf8(bytes).map(|text| plain_lines(&text)).map_err(|error| {
        let text = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = text.split(|byte| *byte == b'\n').count();
        let byte = text.len() + 1;
        format!("it is not UTF-8 text: the first stray byte is number {byte} of the file, in line {line}")
    })
}

/// The text without a byte-order mark at its head. A carriage return alone, with which old editors end a line, is a line feed
/// as well; before a line feed it stays, as TOML has it.
fn plain_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_alone = character == '\r' && characters.peek() != Some(&'\n');
        plain.push(if is_alone { '\n' } else { character });
    }
    plain
}

fn parse(text: &str, context: &Context<'_>) -> Option<Table> {
    match DeTable::parse(text) {
        Ok(document) => return Some(Table::from_document(document.get_ref())),
        // A small file was written by hand, and may be mistyped at several places.
        Err(_) if text.len() <= LARGEST_RECOVERY => {
            let (_, errors) = DeTable::parse_recoverable(text);
            for error in syntax::first_causes(text, errors) {
                context.push(syntax::problem(text, &error));
            }
        }
        Err(error) => context.push(syntax::problem(text, &error)),
    }
    None
}

/// In bytes. The TOML parser that goes on after an error takes time in the square of their number.
const LARGEST_RECOVERY: usize = 64 << 10;

/// Settings to be laid over one variant of a file.
#[derive(Clone, Copy)]
struct Laid<'t> {
    variant: &'t str,
    patch: &'t Table,
}

fn read_scenario(
    text: &str,
    file: &Table,
    laid: Option<Laid<'_>>,
    context: &Context<'_>,
) -> Option<Scenario> {
    if file.entries().is_empty() {
        let problem = Problem::error(0..0, "there is no scenario in this file");
        context.push(problem.help("`tuesday show window-boundary` prints one to begin with"));
        return None;
    }
    let common = Common::of(&mut Fields::new(file, 0..0, "", context));
    // What cannot be read is stood in for, so that the rest of the file is read too.
    let starts = common.starts.value.map_or(STARTS, |Instant(starts)| starts);
    let duration = common.duration.value.map(|Positive(duration)| duration);
    let duration = duration.and_then(|duration| checked_duration(file, duration, context));
    let slo_latency = common.slo.value.and_then(|Slo { latency, .. }| latency.value);
    let objective = common.report.value.and_then(|Report { objective, .. }| objective.value);
    let lines = common.expect.on().and_then(|expect| expect.hold.value);
    let lines = lines.map_or_else(Vec::new, |Lines(node)| expect_lines(text, node, context));
    let patches = match (common.variants.entry, common.variants.value) {
        (None, _) => Vec::new(),
        (Some(_), patches) => patches?.0,
    };
    let patches = checked_patches(file, patches, context)?;
    let variants = read_variants(text, file, duration, &patches, laid, &lines, context);
    let incident =
        variants.as_ref().and_then(|variants| Incident::over(variants.iter().map(|variant| &variant.world)));
    Some(Scenario {
        name: common.name.value?.to_string(),
        story: common.story.value.as_deref().unwrap_or_default().trim().to_owned(),
        timeline: Timeline { starts, duration: duration?, slo_latency: slo_latency?.0, incident },
        seed: common.seed.value,
        objective: objective.map_or_else(Vec::new, |Objective(names)| names),
        variants: variants?,
        expectations: lines.into_iter().map(|line| line.text.to_string()).collect(),
        source: Arc::from(text),
    })
}

/// The variants, each a table to be laid over the file. `None` if there is too much of them to be read.
fn checked_patches<'t>(
    file: &Table,
    named: Vec<(&'t Entry, String)>,
    context: &Context<'_>,
) -> Option<Vec<(Rc<str>, &'t Table)>> {
    let mut patches: Vec<(Rc<str>, &Table)> = Vec::new();
    let common = Common::table();
    for (entry, path) in named {
        let Some(patch) = entry.node.as_table() else {
            let message = format!("`{path}`: expected a table, found {}", entry.node.kind());
            context.push(Problem::error(entry.node.span.clone(), message));
            continue;
        };
        for entry in patch.entries() {
            if common.field(&entry.key).is_some() {
                let message = format!("`{path}`: a variant cannot change `{}`", entry.key);
                let problem = Problem::error(entry.key_span.clone(), message);
                context
                    .push(problem.help("variants are compared over the same time and by the same measure"));
            }
        }
        patches.push((entry.key.clone(), patch));
    }
    // Every variant is read as a whole, the file under it and all.
    let shared = file.entries().iter().filter(|entry| &*entry.key != "variants");
    let shared: usize = shared.map(|entry| entry.node.values()).sum();
    let patched: usize = patches.iter().map(|(_, patch)| patch.values()).sum();
    let values = shared * (patches.len() + 1) + patched;
    if values > MOST_VALUES {
        let message = format!(
            "a scenario has at most {MOST_VALUES} values, those of the file counted for each variant, found {values}"
        );
        context.push(Problem::error(0..0, message));
        return None;
    }
    Some(patches)
}

/// The merged world of every variant, and what must hold of it. A duration that could not be read is not warned of.
fn read_variants(
    text: &str,
    file: &Table,
    duration: Option<Duration>,
    patches: &[(Rc<str>, &Table)],
    laid: Option<Laid<'_>>,
    lines: &[ExpectLine],
    context: &Context<'_>,
) -> Option<Vec<Variant>> {
    let mut merged: Vec<(Rc<str>, Table)> =
        patches.iter().map(|(name, patch)| (name.clone(), patch::merge(file, patch))).collect();
    if merged.is_empty() {
        merged.push(("base".into(), file.clone()));
    }
    if let Some(Laid { variant, patch }) = laid
        && let Some((_, tree)) = merged.iter_mut().find(|(name, _)| **name == *variant)
    {
        *tree = patch::merge(tree, patch);
    }
    let names: Vec<&str> = merged.iter().map(|(name, _)| &**name).collect();
    let common = Common::table();
    let read = |tree: &Table, context: &Context<'_>| {
        variant::read_world(tree, &common, duration.unwrap_or(Duration::MAX), context)
    };
    let worlds: Vec<_> = merged.iter().map(|(_, tree)| read(tree, context)).collect();
    if !patches.is_empty() {
        // What every variant replaces is read in none of them, and must be right all the same.
        context.take_over_what_stands(|apart| _ = read(file, apart));
    }
    let worlds: Vec<World> = worlds.into_iter().collect::<Option<_>>()?;
    refuse_other_weights(&merged, &worlds, context);
    let mut expected = expect::resolve(text, lines, &names, &worlds, context).into_iter();
    // What follows is for a file that can be run, and may take it for that.
    if context.is_fatal() {
        return None;
    }
    let ours = worlds.iter().any(|world| world.external.is_none()).then_some(file);
    for ((_, tree), world) in merged.iter().zip(&worlds) {
        warnings::warn(tree, ours, world, duration?, context);
    }
    let trees: Vec<_> = merged.iter().map(|(_, tree)| tree).collect();
    warnings::breakers_without_timeouts(trees.iter().copied().zip(&worlds), context);
    let settings = settings::describe(&trees, &worlds);
    let variants = merged.iter().zip(worlds).zip(settings).map(|(((name, _), world), settings)| Variant {
        name: name.to_string(),
        expected: expected.next().unwrap_or_default(),
        world,
        settings,
    });
    Some(variants.collect())
}

/// Variants are compared by the same measure, so a route weighs the same in all that have it.
fn refuse_other_weights(merged: &[(Rc<str>, Table)], worlds: &[World], context: &Context<'_>) {
    let mut known: HashMap<&str, (f64, &str)> = HashMap::new();
    for ((name, tree), world) in merged.iter().zip(worlds) {
        for (route, weight) in world.gateway.routes.iter().zip(&world.weights) {
            let (of_first, first) = *known.entry(&route.path).or_insert((*weight, name));
            if of_first.total_cmp(weight).is_ne() {
                let place = tree.find(&["routes", &route.path, "weight"]);
                let place = place.or_else(|| tree.find(&["routes", &route.path]));
                let span = place.map(|entry| entry.node.span.clone()).unwrap_or_default();
                let path = format!("routes.{}.weight", display_key(&route.path));
                let message = format!("`{path}`: {weight} in the variant `{name}`, and {of_first} in `{first}`");
                let help = "variants are compared by the same measure; give the route one weight, outside of `variants`";
                context.push(Problem::error(span, message).help(help));
            }
        }
    }
}

/// A series has a point for each second: what is kept of a run is bounded by its duration.
fn checked_duration(file: &Table, duration: Duration, context: &Context<'_>) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    if duration <= LONGEST {
        return Some(duration);
    }
    let span = file.get("duration").map(|entry| entry.node.span.clone()).unwrap_or_default();
    context.push(Problem::error(span, "`duration`: a scenario lasts at most 7 days (168h)"));
    None
}
