//! A sweep in Markdown.

use crate::compare::sweep::result::SweepResult;
use crate::compare::sweep::show;
use crate::words::text;
use crate::write::markdown::report::{MarkdownTable, Page, cell_text, code, escaped, number};

/// GitHub refuses what is longer than a mebibyte; more points than this are left out.
const POINTS: usize = 400;

/// The sweep as Markdown as GitHub shows it, ending with a line feed.
pub fn sweep_markdown(result: &SweepResult) -> String {
    let mut page = Page::default();
    page.block(&format!("## {}: a sweep", cell_text(&text::name(&result.scenario.name))));
    page.block(&escaped(&show::what(result)));
    let list = |sentences: Vec<String>| {
        sentences.iter().map(|sentence| format!("- {}", escaped(sentence))).collect::<Vec<_>>().join("\n")
    };
    if result.goal.is_some() {
        page.block(&list(show::goal(result)));
    }
    page.block(&list(show::smallest(result)));
    if !result.tipping.is_empty() {
        page.block("### Tipping points");
        page.block(&list(show::tipping(result)));
    }
    let mut table = MarkdownTable::new("point");
    for axis in &result.axes {
        table.column(&text::line(&axis.key), false);
    }
    let measures = show::told(result);
    for measure in &measures {
        table.column(&result.measures[*measure].name, true);
    }
    table.column("expectations", false);
    for (place, point) in result.points.iter().take(POINTS).enumerate() {
        let values =
            (0..result.axes.len()).map(|axis| code(&show::axis_value(result, axis, point.places[axis])));
        let measured = measures.iter().map(|measure| number(&show::value(result, point, *measure)));
        table.row((place + 1).to_string(), values.chain(measured).chain([number(&show::held(point))]));
    }
    page.block(&table.text());
    if let Some(more) = result.points.len().checked_sub(POINTS).filter(|more| *more > 0) {
        page.block(&format!("{more} more points are in sweep.csv."));
    }
    page.block(&format!("<sub>{}</sub>", escaped(&show::notes(result).join(" "))));
    page.text
}
