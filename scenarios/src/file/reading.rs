//! The reading of a whole file: from its tree to a [`Scenario`], with everything that is wrong with it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::Timestamp;

use super::common::{Common, Instant, Lines, Slo};
use super::context::{Companion, Context};
use super::diagnostic::Problem;
use super::expect::{ExpectLine, expect_lines, resolve};
use super::objective::{Objective, Report};
use super::reader::Fields;
use super::table::Described;
use super::text::parse;
use super::tree::{Entry, Table};
use super::values::Positive;
use super::words::display_key;
use super::{patch, presets, settings, variant, warnings};
use crate::{Incident, Scenario, Timeline, Variant, World};

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

/// Reads the text of a scenario file.
pub fn read(text: &str, companion: Companion<'_>) -> Reading {
    let context = Context::new(companion);
    let scenario = parse(text, &context).and_then(|file| read_scenario(text, &file, None, &context));
    let scenario = scenario.filter(|_| !context.is_fatal());
    Reading { scenario, problems: context.into_sorted(text) }
}

/// Settings to be laid over one variant of a file.
#[derive(Clone, Copy)]
pub(super) struct Laid<'t> {
    pub(super) variant: &'t str,
    pub(super) patch: &'t Table,
}

/// The scenario of a tree, with settings laid over one of its variants; `None` if the file is refused, which is noted.
pub(super) fn read_scenario(
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
        expectations: lines.iter().map(|line| line.placed_in(text)).collect(),
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
    let shared = values_beside_variants(file);
    let patched: usize = patches.iter().map(|(_, patch)| patch.values()).sum();
    refuse_too_many(shared * (patches.len() + 1) + patched, context)?;
    Some(patches)
}

fn values_beside_variants(file: &Table) -> usize {
    let beside = file.entries().iter().filter(|entry| &*entry.key != "variants");
    beside.map(|entry| entry.node.values()).sum()
}

/// `None` if these are more values than are read, which is noted.
fn refuse_too_many(values: usize, context: &Context<'_>) -> Option<()> {
    if values <= MOST_VALUES {
        return Some(());
    }
    let message = format!(
        "a scenario has at most {MOST_VALUES} values, those of the file counted for each variant, found {values}"
    );
    context.push(Problem::error(0..0, message));
    None
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
        *tree = patch::lay(tree, patch, context);
    }
    let under_presets = |tree: &Table| {
        let (tree, filled) = presets::lay(tree);
        context.has_presets(filled);
        tree
    };
    for (_, tree) in &mut merged {
        *tree = under_presets(tree);
    }
    let file = &under_presets(file);
    // A preset of one word may bring as many values as a table.
    refuse_too_many(merged.iter().map(|(_, tree)| values_beside_variants(tree)).sum(), context)?;
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
    let mut expected = resolve(text, lines, &names, &worlds, context).into_iter();
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
                let message =
                    format!("`{path}`: {weight} in the variant `{name}`, and {of_first} in `{first}`");
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
