//! A comparison in Markdown.

use crate::compare::sides::result::{ComparisonResult, VariantComparison};
use crate::compare::sides::table::{
    Row, heading, headline, how, letters, notes, overviews, parts, requests, settings, sides, title, verdict,
};
use crate::write::markdown::report::{MarkdownTable, Page, cell_text, code, escaped, number};

/// The comparison as Markdown as GitHub shows it, ending with a line feed.
pub fn comparison_markdown(result: &ComparisonResult) -> String {
    let mut page = Page::default();
    page.block(&format!("## {}: {} compared", cell_text(&heading(result)), letters(result)));
    let sides: Vec<String> = sides(result).iter().map(|side| format!("- {}", escaped(side))).collect();
    if !sides.is_empty() {
        page.block(&sides.join("\n"));
    }
    let reservations: Vec<String> =
        result.reservations.iter().map(|reservation| format!("- ⚠️ {}", escaped(reservation))).collect();
    if !reservations.is_empty() {
        page.block(&reservations.join("\n"));
    }
    for overview in overviews(result) {
        page.block(&format!("### {}", cell_text(&overview.title)));
        let mut table = MarkdownTable::new("measure");
        for head in &overview.heads {
            table.column(head, true);
        }
        for row in &overview.rows {
            table.row(code(&row.name), row.cells.iter().map(|cell| number(&cell.text())));
        }
        page.block(&table.text());
    }
    for pair in &result.pairs {
        of_pair(&mut page, result, pair);
    }
    page.block(&format!("<sub>{}</sub>", escaped(&notes(result).join(" "))));
    page.text
}

fn of_pair(page: &mut Page, result: &ComparisonResult, pair: &VariantComparison) {
    page.block(&format!("### {}", cell_text(&title(pair))));
    page.block(&format!("**{}** {}.", escaped(&verdict(result, pair)), escaped(&how(pair))));
    page.block(&table(&headline(pair), &pair.letter()));
    if let Some(requests) = requests(pair) {
        page.block(&escaped(&requests));
    }
    let parts = parts(pair);
    if !parts.is_empty() {
        page.folded("By population and route", &table(&parts, &pair.letter()));
    }
    let differences = settings(pair);
    if !differences.is_empty() {
        let mut settings = MarkdownTable::new("setting");
        settings.column("A", false);
        settings.column(&pair.letter(), false);
        for setting in &differences {
            settings.row(code(&setting.key), [&setting.a, &setting.b].map(|value| cell_text(value)));
        }
        page.folded("What differs in their configuration", &settings.text());
    }
}

fn table(rows: &[Row], other: &str) -> String {
    let mut table = MarkdownTable::new("measure");
    for head in ["A", other, &format!("{other} − A"), "interval"] {
        table.column(head, true);
    }
    table.column(&format!("{other} is"), false);
    for row in rows {
        let interval = row.interval.as_deref().unwrap_or("–");
        table.row(code(&row.name), [&*row.a, &*row.b, &*row.difference, interval, &*row.word()].map(number));
    }
    table.text()
}
