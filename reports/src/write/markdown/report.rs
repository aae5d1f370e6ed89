//! The result in GitHub's Markdown, for the summary of a CI job or a comment on a change.
//!
//! Whoever reads it wants to know whether they may merge, so the verdict is the heading and what failed stands under it;
//! then the variants side by side and what happened. The tables behind that are folded away.
//!
//! Names come from a file that the reader did not write, and a summary stands on a page that the reader trusts: all
//! text is escaped, and nothing in it becomes a link, a mention or markup.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::result::experiment::ExperimentResult;
use crate::result::validity::reservations;
use crate::tell::breakdown::{Breakdown, breakdowns};
use crate::tell::differences::differences;
use crate::tell::facts::facts;
use crate::tell::matrix::{self, Matrix, matrices};
use crate::tell::setting::{engine, seeds, seeds_note};
use crate::tell::side_by_side::{Cell, Extreme, SideBySide, notes};
use crate::tell::verdict::{Line, Measured, Standing, Verdict};
use crate::words::detail::Detail;
use crate::words::{format, text};

/// Longer names and values are cut; a table with a paragraph in a cell cannot be read.
const CELL_WIDTH: usize = 120;

/// GitHub refuses a job's summary of more than 1 MiB; details that would make it longer than this are left out, and said
/// to be.
const PAGE_BYTES: usize = 500_000;

/// The experiment as Markdown as GitHub shows it, ending with a line feed.
pub fn markdown_summary(result: &ExperimentResult) -> String {
    let verdict = Verdict::of(result);
    let mut page = Page::default();
    heading(&mut page, result, &verdict);
    side_by_side(&mut page, result);
    let facts = facts(result);
    if !facts.is_empty() {
        page.block("### What happened");
        page.block(&facts.iter().map(|fact| format!("- {}", escaped(fact))).collect::<Vec<_>>().join("\n"));
    }
    if !verdict.lines.is_empty() {
        page.block("### Expectations");
        expectations(&mut page, &verdict);
    }
    details(&mut page, result);
    page.text
}

fn heading(page: &mut Page, result: &ExperimentResult, verdict: &Verdict) {
    let scenario = &result.scenario;
    let is_whole =
        result.variants.iter().flat_map(|variant| &variant.runs).all(|run| run.not_judged().is_none());
    let head = match (is_whole, verdict.lines.is_empty()) {
        (false, _) => format!("{} ", sign(Standing::NotJudged)),
        (true, true) => String::new(),
        (true, false) => format!("{} ", sign(verdict.standing)),
    };
    page.block(&format!("## {head}{}", cell_text(&text::name(&scenario.name))));
    let run = format!(
        "{} from {}, {}, {}",
        format::span(scenario.duration_s * 1e6),
        scenario.clock().start(),
        seeds(&scenario.seeds),
        engine(result)
    );
    page.block(&format!("**{}** {}.", verdict.sentence, escaped(&run)));
    let reservations: Vec<String> =
        reservations(result).iter().map(|reservation| format!("- ⚠️ {}", escaped(reservation))).collect();
    if !reservations.is_empty() {
        page.block(&reservations.join("\n"));
    }
    let failed = verdict.lines.iter().filter(|line| !line.standing.is_held());
    let failed: Vec<String> = failed
        .map(|line| format!("- {} {} – {}", sign(line.standing), code(&line.text), failures(line)))
        .collect();
    if !failed.is_empty() {
        page.block(&failed.join("\n"));
    }
}

/// What is not judged is neither right nor wrong, and a change is not to be merged on it.
const fn sign(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "✅",
        Standing::NotJudged => "⛔",
        Standing::Failed => "❌",
    }
}

/// What was measured where a line did not hold.
fn failures(line: &Line) -> String {
    let failed: Vec<String> =
        line.measured.iter().filter(|measured| !measured.standing.is_held()).map(of_variant).collect();
    if failed.is_empty() { "nothing was measured".to_owned() } else { failed.join("; ") }
}

fn of_variant(measured: &Measured) -> String {
    format!("{}: {}", cell_text(&measured.variant), escaped(&measured.phrase()))
}

fn side_by_side(page: &mut Page, result: &ExperimentResult) {
    let comparison = SideBySide::of(result);
    if comparison.variants.is_empty() {
        page.block("The result holds no variant.");
        return;
    }
    page.block("### Side by side");
    let mut table = MarkdownTable::new("variant");
    for column in &comparison.columns {
        table.column(&column.title(), true);
    }
    for (name, cells) in comparison.rows() {
        table.row(cell_text(name), cells.into_iter().map(compared));
    }
    page.block(&table.text());
    let marks = comparison.is_marked().then(|| "▲ best and ▼ worst of the variants.".to_owned());
    let notes: Vec<String> = seeds_note(result).into_iter().chain(marks).chain(notes(result)).collect();
    page.block(&format!("<sub>{}</sub>", escaped(&notes.join(" "))));
}

fn compared(cell: Option<&Cell>) -> String {
    let Some(cell) = cell else { return "–".to_owned() };
    let mut shown = number(&cell.text);
    match cell.mark {
        Some(Extreme::Best) => shown = format!("**{shown}** ▲"),
        Some(Extreme::Worst) => shown.push_str(" ▼"),
        None => {}
    }
    if let Some(range) = &cell.range {
        // Writing to a string does not fail.
        let _ = write!(shown, "<br><sub>{}</sub>", number(range));
    }
    shown
}

fn expectations(page: &mut Page, verdict: &Verdict) {
    let mut table = MarkdownTable::new("");
    table.column("expectation", false);
    table.column("measured", true);
    for line in &verdict.lines {
        let measured = match line.measured.as_slice() {
            [] => "–".to_owned(),
            [only] => escaped(&only.phrase()),
            several => several.iter().map(of_variant).collect::<Vec<_>>().join("<br>"),
        };
        table.row(sign(line.standing).to_owned(), [code(&line.text), measured]);
    }
    page.block(&table.text());
}

/// What stands behind the numbers, folded away.
fn details(page: &mut Page, result: &ExperimentResult) {
    let mut details = Vec::new();
    let story = text::paragraphs(&result.scenario.story);
    if !story.is_empty() {
        let story: Vec<String> = story.iter().map(|paragraph| escaped(paragraph)).collect();
        details.push(("The story", story.join("\n\n")));
    }
    let differences = differences(result);
    if !differences.is_empty() {
        let mut table = MarkdownTable::new("setting");
        for variant in &result.variants {
            table.column(&text::name(&variant.name), false);
        }
        for difference in differences {
            table.row(code(&difference.key), difference.values.iter().map(|value| cell_text(value)));
        }
        details.push(("What differs between the variants", table.text()));
    }
    details.extend(matrices(result).iter().map(|matrix| (matrix.title, harm(matrix, result))));
    details.extend(breakdowns(result, Detail::Fitted).iter().map(|table| (table.title, breakdown(table))));
    let mut left_out = Vec::new();
    for (title, content) in details {
        if page.text.len() + content.len() > PAGE_BYTES {
            left_out.push(title.to_owned());
        } else {
            page.folded(title, &content);
        }
    }
    if !left_out.is_empty() {
        page.block(&format!("Too long to stand here, see the report: {}.", text::list(&left_out)));
    }
}

fn harm(matrix: &Matrix, result: &ExperimentResult) -> String {
    let mut table = MarkdownTable::new(matrix.head);
    for variant in &result.variants {
        table.column(&text::name(&variant.name), true);
    }
    let hurt = |cell: &Option<matrix::Cell>| {
        cell.as_ref().map_or_else(
            || "–".to_owned(),
            |cell| format!("{}<br><sub>{}</sub>", number(&cell.share), number(&cell.count)),
        )
    };
    for row in &matrix.rows {
        let name = format!("{}<br><sub>{}</sub>", cell_text(&row.name), row.note);
        table.row(name, row.cells.iter().map(hurt));
    }
    table.text()
}

fn breakdown(breakdown: &Breakdown) -> String {
    let mut table = MarkdownTable::new("name");
    table.column("variant", false);
    for column in &breakdown.columns {
        table.column(column, true);
    }
    for group in &breakdown.groups {
        let note = group.note.map_or_else(String::new, |note| format!("<br><sub>{note}</sub>"));
        let mut name = format!("{}{note}", cell_text(&group.name));
        for row in &group.rows {
            let numbers = row.cells.iter().map(|cell| number(cell));
            let cells =
                std::iter::once(cell_text(&row.variant)).chain(numbers).chain(row.instead.map(cell_text));
            // GitHub fills a row that is too short with empty cells.
            table.row(std::mem::take(&mut name), cells);
        }
    }
    let left_out = breakdown.left_out.as_ref().map(|told| format!(" {told}")).unwrap_or_default();
    format!("{}\n\n{}", escaped(&format!("{}{left_out}", breakdown.lead)), table.text())
}

/// Blocks with an empty line between them.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn block(&mut self, block: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(block);
        self.text.push('\n');
    }

    /// The empty lines make GitHub read what is folded as Markdown.
    pub(crate) fn folded(&mut self, title: &str, content: &str) {
        self.block(&format!("<details><summary>{title}</summary>\n\n{content}\n\n</details>"));
    }
}

/// A table under construction; cells are Markdown already.
pub(crate) struct MarkdownTable {
    heads: String,
    rule: String,
    rows: String,
}

impl MarkdownTable {
    pub(crate) fn new(head: &str) -> Self {
        Self { heads: format!("| {} |", cell_text(head)), rule: "| :--- |".to_owned(), rows: String::new() }
    }

    pub(crate) fn column(&mut self, head: &str, right: bool) {
        let _ = write!(self.heads, " {} |", cell_text(head));
        self.rule.push_str(if right { " ---: |" } else { " :--- |" });
    }

    pub(crate) fn row(&mut self, name: String, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = std::iter::once(name).chain(cells).collect();
        let _ = write!(self.rows, "\n| {} |", cells.join(" | "));
    }

    pub(crate) fn text(&self) -> String {
        format!("{}\n{}{}", self.heads, self.rule, self.rows)
    }
}

/// Text for a cell, cut where it is long.
pub(crate) fn cell_text(shown: &str) -> String {
    escaped(&text::cut(shown, CELL_WIDTH))
}

/// A number for a cell, not parted from its unit.
pub(crate) fn number(shown: &str) -> String {
    cell_text(&shown.replace(' ', "\u{a0}"))
}

/// Text as code, cut where it is long. What a code span in a table cannot hold is marked up as HTML instead.
pub(crate) fn code(shown: &str) -> String {
    let shown = text::cut(shown, 2 * CELL_WIDTH);
    if shown.contains(['`', '|', '\\', '\u{fffd}'])
        || shown.trim().width() != shown.width()
        || shown.is_empty()
    {
        return format!("<code>{}</code>", escaped(&shown));
    }
    format!("`{shown}`")
}

/// Text in which nothing is markup, a mention or a link.
pub(crate) fn escaped(text: &str) -> String {
    let line = text::line(text);
    let mut escaped = String::with_capacity(line.len() + line.len() / 8);
    let mut before = ' ';
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => escaped.extend(['\\', character]),
            // Within a word it is one of the word's letters.
            '_' if before.is_alphanumeric() && next.is_alphanumeric() => escaped.push('_'),
            '_' => escaped.push_str("\\_"),
            // The marks that GitHub makes mentions, references, emoji and links of; a comment parts them from the word.
            '@' | '#' if next.is_alphanumeric() => {
                escaped.extend([character.to_string(), "<!-- -->".to_owned()]);
            }
            ':' if next == '/' || next.is_ascii_alphabetic() => escaped.push_str(":<!-- -->"),
            '.' if ends_with_www(&escaped) => escaped.push_str("<!-- -->."),
            // A list or a heading, where the text starts with it.
            '-' | '+' | '#' | '=' if escaped.is_empty() => escaped.extend(['\\', character]),
            '.' | ')' if next == ' ' && escaped.chars().all(|digit| digit.is_ascii_digit()) => {
                escaped.extend(['\\', character]);
            }
            other => escaped.push(other),
        }
        before = character;
    }
    escaped
}

/// What GitHub takes for the start of an address.
fn ends_with_www(text: &str) -> bool {
    text.len().checked_sub(3).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Cells of a line of a table, as GitHub parts them.
    fn cells(line: &str) -> usize {
        let mut escaped = false;
        let bars = line.chars().filter(|character| {
            let bar = *character == '|' && !escaped;
            escaped = *character == '\\' && !escaped;
            bar
        });
        bars.count()
    }

    #[test]
    fn three_seeds_of_which_one_failed() {
        insta::assert_snapshot!(markdown_summary(&testing::three_seeds()));
    }

    #[test]
    fn an_incident() {
        insta::assert_snapshot!(markdown_summary(&testing::incident()));
    }

    #[test]
    fn the_verdict_comes_first_and_the_failures_next() {
        let page = markdown_summary(&testing::three_seeds());
        let lines: Vec<&str> = page.lines().filter(|line| !line.is_empty()).take(3).collect();
        assert_eq!(lines[0], "## ❌ Window-boundary burst");
        assert!(lines[1].starts_with("**1 of 5 expectations FAILED.**"), "{}", lines[1]);
        assert_eq!(
            lines[2],
            "- ❌ `fixed-window: peak_admitted(per_key, 4s) >= 2000` – fixed-window: 1,990 – 2,000, failed for seed 903"
        );
        assert!(markdown_summary(&testing::window_boundary()).starts_with("## ✅ "));
        assert!(markdown_summary(&testing::nothing_happened()).starts_with("## Window"));
    }

    #[test]
    fn every_row_of_a_table_has_the_cells_of_its_head() {
        let mut results = testing::odd();
        results.extend([testing::window_boundary(), testing::hostile(), testing::nothing_happened()]);
        for result in results {
            let page = markdown_summary(&result);
            let mut width = None;
            for line in page.lines() {
                if line.starts_with('|') {
                    assert_eq!(cells(line), *width.get_or_insert(cells(line)), "{line}");
                } else {
                    width = None;
                }
            }
            assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
        }
    }

    #[test]
    fn names_are_text_whatever_they_hold() {
        for (name, shown) in [
            ("a|b", "a\\|b"),
            ("`x` *y* __z__ per_key", "\\`x\\` \\*y\\* \\_\\_z\\_\\_ per_key"),
            ("<img src=x> & [a](http://b)", "&lt;img src=x&gt; &amp; \\[a\\](http:<!-- -->//b)"),
            ("@everyone #12 :tada:", "@<!-- -->everyone #<!-- -->12 :<!-- -->tada:"),
            ("www.example.com", "www<!-- -->.example.com"),
            ("- x", "\\- x"),
            ("1. x", "1\\. x"),
            ("a\nb\u{1b}[0m", "a b\u{fffd}\\[0m"),
            ("\\", "\\\\"),
        ] {
            assert_eq!(escaped(name), shown);
        }
        assert_eq!(code("p99 >= 2"), "`p99 >= 2`");
        assert_eq!(code("a`|"), "<code>a\\`\\|</code>");
    }

    #[test]
    fn nothing_hostile_is_markup_and_the_page_stays_small() {
        let mut result = testing::hostile();
        let page = markdown_summary(&result);
        let own = ["<details>", "<summary>", "<br>", "<sub>", "<code>", "<!-- -->"];
        let tags = page.match_indices('<').filter(|(at, _)| !page[*at..].starts_with("</"));
        for (at, _) in tags {
            let is_code = page[..at].matches('`').count() % 2 == 1;
            assert!(is_code || own.iter().any(|tag| page[at..].starts_with(tag)), "{}", &page[at..at + 40]);
        }
        for variant in &mut result.variants {
            variant.name = "|`<x>".repeat(2_000);
            let run = &mut variant.runs[0];
            run.populations = vec![run.populations[0].clone(); 200];
            for (place, population) in run.populations.iter_mut().enumerate() {
                population.name = format!("{place}{}", "<&>".repeat(3_000));
            }
        }
        let page = markdown_summary(&result);
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
        assert!(page.contains("see the report: By population"));
    }
}
