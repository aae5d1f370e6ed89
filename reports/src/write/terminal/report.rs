//! The result as it is printed when a run is done, to be read from top to bottom.
//!
//! It takes the width there is, so that few tables are cut in two; where it is no terminal, eighty columns. The text carries style
//! codes; a caller that writes to a pipe strips them (anstream does).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use unicode_width::UnicodeWidthStr;

use crate::result::agreement::{AgreementResult, VariantAgreement};
use crate::result::experiment::ExperimentResult;
use crate::result::validity::{resent, reservations};
use crate::tell::facts::facts;
use crate::tell::setting::{engine, seeds, seeds_note};
use crate::tell::side_by_side::{self, Column, SideBySide};
use crate::tell::verdict::{Line, Standing, Verdict};
use crate::words::{format, text};

/// The columns of what is no terminal.
pub const TERMINAL_WIDTH: usize = 80;

/// Sentences are not wider, however wide the terminal is: longer lines are hard to follow.
const TEXT_WIDTH: usize = 110;

/// A terminal that is narrower is written to as if it had so many columns.
const LEAST_WIDTH: usize = 40;

/// Which columns are explained below the tables.
#[derive(Debug)]
pub enum Legend<'l> {
    /// None.
    None,
    /// Those that were not explained before: what was is kept here.
    New(&'l mut BTreeSet<String>),
    /// All.
    All,
}

impl Legend<'_> {
    /// Those of the explanations that are to be told.
    fn select(&mut self, explanations: Vec<String>) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::New(told) => explanations.into_iter().filter(|one| told.insert(one.clone())).collect(),
            Self::All => explanations,
        }
    }
}

/// What a variant's name may take of a row.
const NAME_WIDTH: usize = 24;

/// How many sentences are told; whoever wants them all opens the report.
const FACTS: usize = 6;

/// How many measures of a variant are told on which the engines do not agree.
const DISAGREEMENTS: usize = 8;

/// Blank columns around each cell but the first and last.
pub(crate) const GAP: usize = 2;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const HELD: Style = AnsiColor::Green.on_default().bold();
const UNJUDGED: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const FAILED: Style = AnsiColor::Red.on_default().bold();

/// The experiment on at most so many columns: what was run, the variants side by side, what happened in sentences, and
/// each expectation with what was measured. Ends with a line feed.
pub fn terminal_summary(result: &ExperimentResult, width: usize, legend: Legend<'_>) -> String {
    let mut page = Page::new(width);
    title(&mut page, result);
    for reservation in reservations(result) {
        page.blank();
        page.paragraph(&reservation, "! ", "  ", FAILED);
    }
    side_by_side(&mut page, result, legend);
    let facts = facts(result);
    if !facts.is_empty() {
        page.blank();
        for fact in facts.iter().take(FACTS) {
            page.paragraph(fact, "• ", "  ", Style::new());
        }
        match facts.len().saturating_sub(FACTS) {
            0 => {}
            1 => page.paragraph("One more is in the report.", "  ", "  ", DIM),
            more => page.paragraph(&format!("{more} more are in the report."), "  ", "  ", DIM),
        }
    }
    if let Some(agreement) = &result.agreement {
        engines(&mut page, agreement);
    }
    verdict(&mut page, &Verdict::of(result));
    page.text
}

pub(crate) fn title(page: &mut Page, result: &ExperimentResult) {
    let scenario = &result.scenario;
    page.line(&text::cut(&text::line(&scenario.name), page.width), BOLD);
    let run = format!(
        "{} from {}, {}, {}",
        format::span(scenario.duration_s * 1e6),
        scenario.clock().start(),
        seeds(&scenario.seeds),
        engine(result)
    );
    page.paragraph(&run, "", "", DIM);
}

/// The comparison, in as many tables as its columns need; each repeats the variants' names. Variants that did just the same stand
/// on one line.
fn side_by_side(page: &mut Page, result: &ExperimentResult, mut legend: Legend<'_>) {
    let comparison = SideBySide::of(result);
    if comparison.variants.is_empty() {
        page.blank();
        page.paragraph("The result holds no variant.", "  ", "  ", Style::new());
        return;
    }
    let rows: Vec<(usize, String)> = side_by_side::alike(result, &comparison)
        .into_iter()
        .map(|alike| (alike[0], joined(alike.iter().map(|row| &*comparison.variants[*row]))))
        .collect();
    let names = rows.iter().flat_map(|(_, names)| names.lines());
    let name_width = names.map(UnicodeWidthStr::width).max().unwrap_or(0).max("variant".len());
    for columns in fitting(&comparison.columns, page.width - name_width) {
        page.blank();
        table(page, &rows, &columns.iter().collect::<Vec<_>>());
    }
    let explained = legend.select(side_by_side::meanings(result));
    let notes: Vec<String> = seeds_note(result)
        .into_iter()
        .chain(explained)
        .chain(side_by_side::marks(result))
        .chain(side_by_side::external_gateways(result))
        .chain(resent(result))
        .collect();
    if !notes.is_empty() {
        page.blank();
    }
    for note in notes {
        page.paragraph(&note, "", "  ", DIM);
    }
}

/// These rows, by their number in the columns and their name.
pub(crate) fn table(page: &mut Page, rows: &[(usize, String)], columns: &[&Column]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let heading = |column: &&Column| column.heading.join("\n");
    table.set_header(std::iter::once("variant".to_owned()).chain(columns.iter().map(heading)));
    for (row, name) in rows {
        let cells = columns.iter().map(|column| cell(column, *row).to_owned());
        table.add_row(std::iter::once(name.clone()).chain(cells));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if place == 0 { 0 } else { GAP as u16 }, 0));
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (number, row) in table.lines().enumerate() {
        page.line(row.trim_end(), if number < 2 { BOLD } else { Style::new() });
    }
}

/// `quickstart = limits`; below one another where that takes too much of a row.
pub(crate) fn joined<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(|name| text::cut(name, NAME_WIDTH).into_owned()).collect();
    let line = names.join(" = ");
    if line.width() <= NAME_WIDTH { line } else { names.join(" =\n") }
}

/// The columns, cut into runs that are at most `width` wide; a column wider than that stands alone.
fn fitting(columns: &[Column], width: usize) -> Vec<&[Column]> {
    let mut runs = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (place, column) in columns.iter().enumerate() {
        let cells = (0..column.cells.len()).map(|row| cell(column, row).width());
        let widest = cells.chain(column.heading.iter().map(|line| line.width())).max().unwrap_or(0) + GAP;
        if used + widest > width && place > from {
            runs.push(&columns[from..place]);
            (from, used) = (place, 0);
        }
        used += widest;
    }
    runs.push(&columns[from..]);
    runs
}

pub(crate) fn cell(column: &Column, row: usize) -> &str {
    column.cells.get(row).and_then(Option::as_ref).map_or("–", |cell| &cell.text)
}

/// How far the engines agree, variant by variant: of one in which everything agrees, that alone.
fn engines(page: &mut Page, agreement: &AgreementResult) {
    page.blank();
    page.line("virtual and live, compared", BOLD);
    for reservation in &agreement.reservations {
        page.paragraph(&text::line(reservation), "! ", "  ", FAILED);
    }
    for VariantAgreement { variant, valid, lines } in &agreement.variants {
        let name = text::cut(&text::name(variant), NAME_WIDTH).into_owned();
        if !valid {
            page.line(&format!("! {name}: not compared, the live run is invalid"), FAILED);
            continue;
        }
        let off: Vec<_> = lines.iter().filter(|line| !line.agrees).collect();
        if off.is_empty() {
            page.line(&format!("✓ {name}: {} of {} measures agree", lines.len(), lines.len()), HELD);
            continue;
        }
        page.line(&format!("✗ {name}: {} of {} measures do not agree", off.len(), lines.len()), FAILED);
        for line in off.iter().take(DISAGREEMENTS) {
            let [simulated, live, apart] = line.told();
            let apart = if line.simulated.is_some() && line.live.is_some() {
                format!("{apart} apart")
            } else {
                "in one engine only".to_owned()
            };
            let told = format!("{}: {simulated} virtual, {live} live ({apart})", text::line(&line.what));
            page.paragraph(&told, "    ", "      ", Style::new());
        }
        if let Some(more) = off.len().checked_sub(DISAGREEMENTS).filter(|more| *more > 0) {
            page.paragraph(&format!("{more} more are in the report."), "    ", "    ", DIM);
        }
    }
}

fn verdict(page: &mut Page, verdict: &Verdict) {
    page.blank();
    if !verdict.lines.is_empty() {
        page.line("expectations, and what was measured", BOLD);
    }
    let words = verdict.lines.iter().map(|line| line.standing.word().width()).max().unwrap_or(0);
    for line in &verdict.lines {
        // No word is shorter than the longest of the common ones, so that results look alike.
        expectation_line(page, line, words.max(Standing::Failed.word().width()));
    }
    if !verdict.lines.is_empty() {
        page.blank();
    }
    let style = if verdict.lines.is_empty() { DIM } else { expectation_style(verdict.standing) };
    page.line(&verdict.sentence, style);
}

pub(crate) const fn expectation_style(standing: Standing) -> Style {
    match standing {
        Standing::Held => HELD,
        Standing::NotJudged => UNJUDGED,
        Standing::Failed => FAILED,
    }
}

/// The line as written, with what was measured at the right edge; under it where there is no room or more than one
/// variant was measured.
pub(crate) fn expectation_line(page: &mut Page, line: &Line, words: usize) {
    let (word, style) = (line.standing.word(), expectation_style(line.standing));
    let indent = " ".repeat(words + 2);
    let mark = format!("{style}{word}{style:#}{}", " ".repeat(words + 2 - word.width()));
    let room = page.text_width() - indent.len();
    let alone = match line.measured.as_slice() {
        [only] => Some(only.phrase()),
        _ => None,
    };
    if let Some(value) = alone.filter(|value| line.text.width() + GAP + value.width() <= room) {
        let blank = room - line.text.width() - value.width();
        page.raw(&format!("{mark}{}{}{BOLD}{value}{BOLD:#}", line.text, " ".repeat(blank)));
        return;
    }
    for (number, written) in wrapped(&line.text, room).iter().enumerate() {
        page.raw(&format!("{}{written}", if number == 0 { &mark } else { &indent }));
    }
    if let [only] = line.measured.as_slice() {
        // The line says of whom it is, and whether it held.
        let style = if only.standing.is_held() { DIM } else { BOLD };
        page.paragraph(&only.phrase(), &format!("{indent}  "), &format!("{indent}    "), style);
        return;
    }
    for measured in &line.measured {
        let is_failure = measured.standing == Standing::Failed;
        let failed = if is_failure && measured.failed_seeds.is_empty() { " (failed)" } else { "" };
        let phrase = format!("{} {}{failed}", text::cut(&measured.variant, NAME_WIDTH), measured.phrase());
        page.paragraph(
            &phrase,
            &format!("{indent}  "),
            &format!("{indent}    "),
            if measured.standing.is_held() { DIM } else { BOLD },
        );
    }
}

/// The text on lines of at most that width. Names with hyphens are not torn apart, nor a number from its unit; what is
/// longer than a line is.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    const GLUE: &str = "\u{a0}";
    let mut glued = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        let is_unit =
            ["ms", "s", "µs", "min", "h"].contains(&word.trim_end_matches([' ', '.', ',', ')', ';']));
        if is_unit && glued.ends_with(' ') {
            glued.pop();
            glued.push_str(GLUE);
        }
        glued.push_str(word);
    }
    let options = textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(&glued, options).into_iter().map(|line| line.replace(GLUE, " ")).collect()
}

/// Lines as they are put down.
pub(crate) struct Page {
    pub(crate) text: String,
    /// No line is wider.
    pub(crate) width: usize,
}

impl Page {
    pub(crate) fn new(width: usize) -> Self {
        Self { text: String::new(), width: width.max(LEAST_WIDTH) }
    }

    /// What sentences take of it.
    fn text_width(&self) -> usize {
        self.width.min(TEXT_WIDTH)
    }

    pub(crate) fn blank(&mut self) {
        self.raw("");
    }

    /// One line in one style.
    pub(crate) fn line(&mut self, line: &str, style: Style) {
        self.raw(&format!("{style}{line}{style:#}"));
    }

    /// Text in one style, wrapped; the first line starts with `first`, the others with `rest`.
    pub(crate) fn paragraph(&mut self, text: &str, first: &str, rest: &str, style: Style) {
        for (number, line) in
            wrapped(text, self.text_width() - first.width().max(rest.width())).iter().enumerate()
        {
            let indent = if number == 0 { first } else { rest };
            self.raw(&format!("{indent}{style}{line}{style:#}"));
        }
    }

    /// A line that is styled already.
    pub(crate) fn raw(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn plain(result: &ExperimentResult) -> String {
        plain_as(result, TERMINAL_WIDTH, Legend::None)
    }

    /// The text without its style codes.
    fn plain_as(result: &ExperimentResult, width: usize, legend: Legend<'_>) -> String {
        testing::without_styles(&terminal_summary(result, width, legend))
    }

    #[test]
    fn the_window_boundary() {
        insta::assert_snapshot!(plain(&testing::window_boundary()));
    }

    #[test]
    fn an_incident() {
        insta::assert_snapshot!(plain(&testing::incident()));
    }

    #[test]
    fn several_seeds_of_which_one_failed() {
        insta::assert_snapshot!(plain(&testing::three_seeds()));
    }

    #[test]
    fn nothing_happened() {
        insta::assert_snapshot!(plain(&testing::nothing_happened()));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_acts_on_it() {
        let mut results = testing::odd();
        results.extend([
            testing::hostile(),
            testing::window_boundary(),
            testing::three_seeds(),
            testing::incident(),
        ]);
        for result in results {
            for width in [TERMINAL_WIDTH, 60, 100, 132, 250] {
                let plain = plain_as(&result, width, Legend::All);
                assert!(plain.lines().all(|line| line.width() <= width), "{plain}");
                assert!(
                    !plain.contains(|character: char| character.is_control() && character != '\n'),
                    "{plain}"
                );
            }
        }
    }

    #[test]
    fn a_wide_terminal_takes_the_table_in_one_piece() {
        let tables = |width| {
            let plain = plain_as(&testing::incident(), width, Legend::None);
            plain.lines().filter(|line| line.starts_with("variant")).count()
        };
        assert!(tables(80) > 1);
        assert_eq!(tables(200), 1);
    }

    #[test]
    fn columns_are_explained_where_that_is_asked_for() {
        let (boundary, incident) = (testing::window_boundary(), testing::incident());
        let lines_of = |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        let explained = |text: &str| ["goodput:", "blast radius,"].map(|start| lines_of(text, start));
        assert_eq!(explained(&plain(&incident)), [0, 0]);
        assert_eq!(explained(&plain_as(&incident, 80, Legend::All)), [1, 1]);
        // Goodput is explained where it first appears, and blast radius where that does.
        let mut told = BTreeSet::new();
        assert_eq!(explained(&plain_as(&boundary, 80, Legend::New(&mut told))), [1, 0]);
        assert_eq!(explained(&plain_as(&incident, 80, Legend::New(&mut told))), [0, 1]);
        assert_eq!(explained(&plain_as(&incident, 80, Legend::New(&mut told))), [0, 0]);
        // How many seeds there were is no explanation of a column.
        assert!(plain(&testing::three_seeds()).contains("Numbers are medians over 3 seeds."));
    }

    #[test]
    fn variants_that_did_the_same_stand_on_one_line() {
        let mut result = testing::window_boundary();
        let runs = result.variants[0].runs.clone();
        result.variants[0].name = "quickstart".to_owned();
        result.variants[2].name = "limits".to_owned();
        result.variants[2].runs.clone_from(&runs);
        result.expectations.clear();
        let rows = |result: &ExperimentResult| -> Vec<String> {
            let plain = plain_as(result, 200, Legend::None);
            let rows = plain.lines().skip_while(|line| !line.starts_with("variant")).skip(2);
            let names = rows.take_while(|line| !line.is_empty()).map(|line| line.split("  ").next());
            names.map(|name| name.unwrap().to_owned()).collect()
        };
        assert_eq!(rows(&result), ["quickstart = limits", "token-bucket", "sliding-window-counter"]);
        // A request more under one of them is a difference, whether or not the table shows it.
        result.variants[2].runs[0].overall.offered += 1;
        assert_eq!(rows(&result)[..2], ["quickstart", "token-bucket"]);
        result.variants[2].runs.clone_from(&runs);
        result.variants[2].name = "with-a-name-as-long-as-it-may-be".to_owned();
        assert_eq!(rows(&result)[..2], ["quickstart =", "with-a-name-as-long-as-…"]);
    }

    #[test]
    fn seeds_read_as_few_or_as_a_run() {
        assert_eq!(seeds(&[902]), "seed 902");
        assert_eq!(seeds(&[1, 2, 3]), "seeds 1, 2 and 3");
        assert_eq!(seeds(&[9, 1, 8, 2, 7, 3, 6, 4, 5]), "9 seeds, the first 9");
        assert_eq!(seeds(&[902, 903, 904, 905, 906]), "5 seeds, 902 to 906");
    }
}
