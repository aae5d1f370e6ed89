//! A history as an HTML page.

use askama::Template;

use crate::compare::history::result::{HistoryResult, VariantHistory};
use crate::compare::history::show;
use crate::compare::sides::result::DifferenceVerdict;
use crate::draw::canvas::ChartError;
use crate::draw::history::{HistoryChart, history_chart};
use crate::words::format::count;
use crate::words::text;
use crate::write::html::report::HtmlError;
use crate::write::html::script::Script;

/// At most so many of the newest results are drawn; all are in the table.
const DRAWN: usize = 100;

/// The history as the text of an HTML file. `command` is what a reader types to read it again.
///
/// # Errors
///
/// Drawing and filling in write to memory and fail in their types alone.
pub fn history_html(result: &HistoryResult, command: &str) -> Result<String, HtmlError> {
    let charts = result.variants.iter().enumerate().map(|(place, variant)| chart(result, variant, place));
    let not_drawn = result.results.len().saturating_sub(DRAWN);
    let page = Page {
        title: text::line(&result.name),
        what: show::what(result),
        measure: text::line(&show::measure(result)),
        left_out: show::left_out(result),
        variants: result.variants.iter().map(|variant| text::line(&variant.name)).collect(),
        changes: changes(result),
        charts: charts.filter_map(Result::transpose).collect::<Result<_, _>>()?,
        not_drawn: (not_drawn > 0).then(|| {
            format!(
                "Drawn are the newest {DRAWN} results; {} older ones are in the table.",
                count(not_drawn as u64)
            )
        }),
        rows: rows(result),
        notes: show::notes(result),
        command: text::block(command),
        tuesday: text::line(&result.tuesday),
        version: result.version,
        script: Some(Script::of_pages()),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "history.html")]
struct Page {
    title: String,
    what: String,
    measure: String,
    left_out: Vec<String>,
    variants: Vec<String>,
    changes: Vec<Change>,
    charts: Vec<Figure>,
    not_drawn: Option<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
    command: String,
    tuesday: String,
    version: u32,
    script: Option<Script>,
}

struct Change {
    variant: String,
    date: String,
    hash: String,
    levels: String,
    word: &'static str,
    /// The style of the word.
    class: &'static str,
}

struct Figure {
    caption: String,
    last: String,
    /// Markup.
    svg: String,
}

/// A stored result.
struct Row {
    date: String,
    hash: String,
    tuesday: String,
    seeds: usize,
    /// By variant: its value, and whether it is the first on a new level.
    cells: Vec<(String, bool)>,
}

/// The changes of all variants, the newest first.
fn changes(result: &HistoryResult) -> Vec<Change> {
    let mut changes: Vec<_> = result
        .variants
        .iter()
        .flat_map(|variant| variant.changes.iter().map(move |change| (variant, change)))
        .collect();
    changes.sort_by_key(|(_, change)| std::cmp::Reverse(change.at));
    let change = changes.into_iter().map(|(variant, change)| Change {
        variant: text::line(&variant.name),
        date: show::date_of(result, change.at),
        hash: result.results.get(change.at).map_or_else(String::new, |entry| text::line(&entry.hash)),
        levels: show::levels(result, change),
        word: change.verdict.word(),
        class: match change.verdict {
            DifferenceVerdict::Better => "held",
            DifferenceVerdict::Worse => "failed",
            _ => "",
        },
    });
    change.collect()
}

/// The results, the newest first.
fn rows(result: &HistoryResult) -> Vec<Row> {
    let row = |(place, entry): (usize, &crate::compare::history::result::HistoryEntry)| Row {
        date: show::date(entry.at_unix_s),
        hash: text::line(&entry.hash),
        tuesday: text::line(&entry.tuesday),
        seeds: entry.seeds,
        cells: result
            .variants
            .iter()
            .map(|variant| {
                let value = show::value(result, variant.points.get(place).copied().flatten());
                (value, variant.changes.iter().any(|change| change.at == place))
            })
            .collect(),
    };
    result.results.iter().enumerate().rev().map(row).collect()
}

fn chart(
    result: &HistoryResult,
    variant: &VariantHistory,
    place: usize,
) -> Result<Option<Figure>, ChartError> {
    let unit = result.measure.unit;
    let from = variant.points.len().saturating_sub(DRAWN);
    let changed: Vec<String> = variant
        .changes
        .iter()
        .map(|change| {
            let (date, levels) = (show::date_of(result, change.at), show::levels(result, change));
            format!("{date}: {levels}, {}", change.verdict.word())
        })
        .collect();
    let ends = variant.changes.iter().skip(1).map(|change| change.at - 1).chain([variant.points.len() - 1]);
    let after = variant.changes.iter().zip(ends).map(|(change, end)| (change.at, end, change.after));
    let before = variant.changes.first().map(|change| (0, change.at - 1, change.before));
    let drawn = before.into_iter().chain(after).filter(|(_, to, _)| *to >= from);
    let name = text::line(&variant.name);
    let chart = HistoryChart {
        id: format!("history-{place}"),
        title: format!("{} under {name}", text::line(&result.measure.name)),
        dates: (from..variant.points.len())
            .map(|place| show::date_of(result, place).chars().take(10).collect())
            .collect(),
        points: variant.points[from..]
            .iter()
            .map(|point| point.map(|value| [value.median, value.least, value.most]))
            .collect(),
        never: variant.points[from..].iter().map(|point| point.is_some_and(|value| value.never)).collect(),
        levels: drawn.map(|(first, last, level)| (first.max(from) - from, last - from, level)).collect(),
        changes: variant.changes.iter().filter_map(|change| change.at.checked_sub(from)).collect(),
        show: &|value| unit.show(value),
        told: if changed.is_empty() { "no change point".to_owned() } else { changed.join("; ") },
    };
    Ok(history_chart(&chart)?.map(|svg| Figure { caption: name, last: show::last(result, variant), svg }))
}
