//! The scenario file: from bytes to a [`Scenario`] that can be run, or to everything that is wrong with it.
//!
//! The text is parsed into a tree that knows its places, variants are merged on the tree, and each merged tree is
//! read field by field into the validated types of the gateway and the simulator. Serde's derive would stop at the
//! first problem and lose the places of merged values.

mod breaker;
mod calls;
mod context;
mod diagnostic;
mod expect;
mod faults;
mod latency;
mod limits;
mod load;
mod patch;
mod reader;
mod retry;
mod schema;
mod settings;
#[cfg(test)]
mod testing;
mod tree;
mod units;
mod warnings;
mod world;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;
use toml::de::DeTable;

use self::context::Context;
pub use self::diagnostic::{Problem, Severity, render};
use self::expect::{Line, LineError, Names};
pub(crate) use self::reader::nearest;
use self::reader::{Fields, Positive, list};
pub use self::schema::json_schema;
use self::tree::{Entry, Node, Span, Table, Value};
use crate::{Scenario, Timeline, Variant, World};

/// Larger files are refused unread: no scenario that anybody wrote comes near it.
pub const LARGEST_FILE: u64 = 4 << 20;

/// More variants are refused: nobody compares that many side by side.
const MOST_VARIANTS: usize = 64;

/// The start of scenario time where the file names none: a Tuesday morning, 2026-06-02T09:00:00Z.
const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

/// Keys that hold for all variants of a file.
const COMMON: [&str; 8] = ["name", "story", "starts", "duration", "seed", "slo", "variants", "expect"];

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
    let scenario = parse(text, &context).and_then(|file| read_scenario(text, &file, &context));
    let scenario = scenario.filter(|_| !context.is_fatal());
    Reading { scenario, problems: context.into_sorted() }
}

/// The bytes of a scenario file as text.
///
/// # Errors
///
/// What stands in the way: it cannot be opened or read, is a directory, is larger than [`LARGEST_FILE`], or is not
/// UTF-8.
pub fn load(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a directory, a scenario is a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(format!("it is larger than {} MiB, a scenario is not", LARGEST_FILE >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 text, from byte {} on; a scenario is a TOML file",
            error.utf8_error().valid_up_to()
        )
    })
}

fn parse(text: &str, context: &Context<'_>) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let end = (span.start + 1).max(span.end).min(text.len());
        context.push(Problem::error(span.start.min(end)..end, format!("not TOML: {}", error.message())));
    }
    errors.is_empty().then(|| Table::from_document(document.get_ref()))
}

fn read_scenario(text: &str, file: &Table, context: &Context<'_>) -> Option<Scenario> {
    let mut top = Fields::new(file, 0..0, "", context);
    let name: Option<Rc<str>> = top.required("name");
    let story: Option<Rc<str>> = top.optional("story");
    let starts = top.entry("starts").map_or(Some(STARTS), |entry| starts(&entry.node, context));
    let duration = top.required::<Positive>("duration").map(|Positive(duration)| duration);
    let duration = duration.and_then(|duration| checked_duration(file, duration, context));
    let seed = top.optional("seed").unwrap_or(1);
    let slo_latency = top.required_entry("slo").and_then(|entry| {
        let mut slo = Fields::of(&entry.node, "slo", context)?;
        let latency = slo.required::<Positive>("latency").map(|Positive(latency)| latency);
        slo.finish();
        latency
    });
    let lines = expect_lines(text, &mut top, context);
    let patches = top.named("variants");
    let timeline = Timeline {
        starts: starts?,
        duration: duration.unwrap_or(STAND_IN),
        slo_latency: slo_latency.unwrap_or(STAND_IN),
    };
    let variants = read_variants(text, file, timeline.duration, patches, &lines, context);
    Some(Scenario {
        name: name?.to_string(),
        story: story.as_deref().unwrap_or_default().trim().to_owned(),
        timeline,
        seed,
        variants: variants?,
        expectations: lines.into_iter().map(|line| line.text.to_string()).collect(),
        source: Arc::from(text),
    })
}

/// For a duration that could not be read, so that the rest of the file can.
const STAND_IN: Duration = Duration::from_secs(1);

/// The merged world of every variant, and what must hold of it.
fn read_variants(
    text: &str,
    file: &Table,
    duration: Duration,
    patches: Vec<(&Entry, String)>,
    lines: &[ExpectLine],
    context: &Context<'_>,
) -> Option<Vec<Variant>> {
    if let Some((surplus, _)) = patches.get(MOST_VARIANTS) {
        let message = format!("a scenario has at most {MOST_VARIANTS} variants");
        context.push(Problem::error(surplus.key_span.clone(), message));
        return None;
    }
    let mut merged: Vec<(Rc<str>, Table)> = Vec::new();
    let mut laid_over = Vec::new();
    for (entry, path) in patches {
        let Some(patch) = entry.node.as_table() else {
            let message = format!("`{path}` is a table, found {}", entry.node.kind());
            context.push(Problem::error(entry.node.span.clone(), message));
            continue;
        };
        for entry in &patch.entries {
            if COMMON.contains(&&*entry.key) {
                let message = format!("a variant cannot change `{}`", entry.key);
                let problem = Problem::error(entry.key_span.clone(), message);
                context
                    .push(problem.help("variants are compared over the same time and by the same measure"));
            }
        }
        merged.push((entry.key.clone(), patch::merge(file, patch)));
        laid_over.push(&**patch);
    }
    if merged.is_empty() {
        merged.push(("base".into(), file.clone()));
    }
    for line in lines {
        line.check_variant(text, merged.iter().map(|(name, _)| &**name), context);
    }
    let worlds: Vec<_> =
        merged.iter().map(|(_, tree)| world::read_world(tree, &COMMON, duration, context)).collect();
    let worlds: Vec<World> = worlds.into_iter().collect::<Option<_>>()?;
    for ((_, tree), world) in merged.iter().zip(&worlds) {
        warnings::warn(tree, world, duration, context);
    }
    let trees: Vec<_> = merged.iter().map(|(_, tree)| tree).collect();
    let settings = settings::describe(text, &laid_over, &trees, &worlds);
    let variants = merged.iter().zip(worlds).zip(settings).map(|(((name, _), world), settings)| Variant {
        name: name.to_string(),
        expectations: resolve(text, lines, name, &world, context),
        world,
        settings,
    });
    Some(variants.collect())
}

/// A line of `expect.hold` and where it stands.
struct ExpectLine {
    text: Rc<str>,
    span: Span,
    line: Option<Line>,
}

fn expect_lines(text: &str, top: &mut Fields<'_>, context: &Context<'_>) -> Vec<ExpectLine> {
    let Some(mut expect) = top.optional_table("expect") else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(hold) = expect.entry("hold") {
        let Value::Array(items) = &hold.node.value else {
            let message = format!("`expect.hold` is an array of strings, found {}", hold.node.kind());
            context.push(Problem::error(hold.node.span.clone(), message));
            return lines;
        };
        for item in &**items {
            let Some(line) = reader::read::<Rc<str>>(item, "expect.hold", context) else { continue };
            let parsed = expect::parse(&line);
            let mut read = ExpectLine { text: line, span: item.span.clone(), line: None };
            match parsed {
                Ok(line) => read.line = Some(line),
                Err(error) => read.note(text, error, context),
            }
            lines.push(read);
        }
    }
    expect.finish();
    lines
}

impl ExpectLine {
    fn note(&self, file: &str, error: LineError, context: &Context<'_>) {
        let LineError { message, help, span } = error;
        self.note_at(file, &span, |span| Problem::error(span, message).help(help), context);
    }

    /// Notes a problem of the line at its place in the file: inside the string, where the string is written as it
    /// reads, else at the string as a whole.
    fn note_at(
        &self,
        file: &str,
        place: &Span,
        problem: impl FnOnce(Span) -> Problem,
        context: &Context<'_>,
    ) {
        let written = file.get(self.span.clone()).unwrap_or_default();
        let quote =
            ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| written.starts_with(quote)).unwrap_or("");
        let inner = written.get(quote.len()..written.len().saturating_sub(quote.len())).unwrap_or_default();
        let span = if inner == &*self.text {
            let start = self.span.start + quote.len();
            // A place at the end of the line is the closing quote.
            start + place.start..start + place.start + place.len().max(1)
        } else {
            self.span.clone()
        };
        context.push(problem(span));
    }

    fn check_variant<'v>(&self, file: &str, names: impl Iterator<Item = &'v str>, context: &Context<'_>) {
        let Some(variant) = self.line.as_ref().and_then(|line| line.variant.as_ref()) else { return };
        let names: Vec<_> = names.collect();
        if !names.contains(&&*variant.value) {
            let help = match nearest(&variant.value, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the variants are {}", list(&names)),
            };
            let message = format!("there is no variant `{}`", variant.value);
            self.note(file, LineError { message, help, span: variant.span.clone() }, context);
        }
    }
}

/// What the lines ask of one variant.
fn resolve(
    file: &str,
    lines: &[ExpectLine],
    variant: &str,
    world: &World,
    context: &Context<'_>,
) -> Vec<(usize, reports::Expectation)> {
    let names = Names {
        populations: world.populations.iter().map(|population| &*population.name).collect(),
        routes: world.gateway.routes.iter().map(|route| &*route.path).collect(),
        upstreams: world.upstreams.iter().map(|upstream| &*upstream.name).collect(),
    };
    let mut expectations = Vec::new();
    for (place, read) in lines.iter().enumerate() {
        let Some(line) = &read.line else { continue };
        if line.variant.as_ref().is_none_or(|named| named.value == variant) {
            match line.resolve(&names) {
                Ok(expectation) => {
                    if let Some(never) = expect::never(&expectation) {
                        let warning =
                            |span| Problem::warning(span, format!("this expectation can never {never}"));
                        read.note_at(file, &line.value.span, warning, context);
                    }
                    expectations.push((place, expectation));
                }
                Err(error) => read.note(file, error, context),
            }
        }
    }
    expectations
}

fn starts(node: &Node, context: &Context<'_>) -> Option<Timestamp> {
    let refuse = |message: &str| {
        let problem = Problem::error(node.span.clone(), format!("`starts`: {message}"));
        context.push(problem.help("write an instant with its offset, such as 2026-06-02T09:00:00Z"));
        None
    };
    let Value::Datetime(datetime) = &node.value else {
        return refuse(&format!("expected a date and time, found {}", node.kind()));
    };
    if datetime.offset.is_none() || datetime.date.is_none() || datetime.time.is_none() {
        return refuse("expected date, time and offset");
    }
    let Ok(instant) = datetime.to_string().parse::<jiff::Timestamp>() else {
        return refuse("there is no such instant");
    };
    // Up to the year 2500 any scenario ends within what a `Timestamp` can tell.
    match u64::try_from(instant.as_nanosecond()) {
        Ok(nanos) if instant.as_second() < 16_725_225_600 => Some(Timestamp::from_nanos(nanos)),
        _ => refuse("expected a year from 1970 to 2500"),
    }
}

/// A series has a point for each second: what is kept of a run is bounded by its duration.
fn checked_duration(file: &Table, duration: Duration, context: &Context<'_>) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    if duration <= LONGEST {
        return Some(duration);
    }
    let span = file.get("duration").map(|entry| entry.node.span.clone()).unwrap_or_default();
    context.push(Problem::error(span, "`duration`: a scenario lasts at most 7 days, written \"168h\""));
    None
}
