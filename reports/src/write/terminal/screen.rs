//! What a run says on one screen of a terminal: which variant to take, the variants side by side, and where the rest is.

use unicode_width::UnicodeWidthStr;

use crate::measure::gauge::Gauge;
use crate::result::agreement::AgreementResult;
use crate::result::experiment::ExperimentResult;
use crate::result::validity::reservations;
use crate::tell::advice::Advice;
use crate::tell::recommendation::Recommendation;
use crate::tell::setting::seeds_note;
use crate::tell::side_by_side::{Column, SideBySide};
use crate::tell::strip::ranked_rows;
use crate::tell::verdict::Verdict;
use crate::words::text;
use crate::write::terminal::report::{
    BOLD, DIM, FAILED, GAP, HELD, Page, cell, expectation_line, expectation_style, joined, table, title,
};

/// The result on 24 lines, for up to nine variants of which none failed an expectation: what was run, which variant to take and
/// how sure that is, the measures of the objective side by side with the best variant first, and what became of the
/// expectations. Those that did not hold follow line by line. No line is wider than `width` columns; ends with a line feed.
pub fn terminal_screen(result: &ExperimentResult, width: usize) -> String {
    let mut page = Page::new(width);
    title(&mut page, result);
    for reservation in reservations(result) {
        page.paragraph(&reservation, "! ", "  ", FAILED);
    }
    page.blank();
    let recommendation = Recommendation::of(result);
    let advice = Advice::of(result, &recommendation);
    page.paragraph(&advice.headline, "", "", BOLD);
    if let Some(sureness) = &advice.sureness {
        page.paragraph(sureness, "", "", DIM);
    }
    side_by_side(&mut page, result, &recommendation);
    let verdict = Verdict::of(result);
    if result.agreement.is_some() || !verdict.lines.is_empty() {
        page.blank();
    }
    if let Some(agreement) = &result.agreement {
        engines(&mut page, agreement);
    }
    expectations(&mut page, &verdict);
    page.text
}

/// The variants in the order of the recommendation, those that did just the same on one line, and as many columns as fit.
fn side_by_side(page: &mut Page, result: &ExperimentResult, recommendation: &Recommendation) {
    let comparison = SideBySide::of(result);
    let alike = ranked_rows(result, &comparison, recommendation);
    let rows: Vec<(usize, String)> = alike
        .into_iter()
        .map(|alike| (alike[0], joined(alike.iter().map(|row| &*comparison.variants[*row]))))
        .collect();
    if rows.is_empty() {
        return;
    }
    let names = rows.iter().flat_map(|(_, names)| names.lines());
    let name_width = names.map(UnicodeWidthStr::width).max().unwrap_or(0).max("variant".len());
    let columns =
        columns(&comparison.columns, &recommendation.objective, page.width.saturating_sub(name_width));
    page.blank();
    table(page, &rows, &columns);
    if let Some(note) = seeds_note(result) {
        page.paragraph(&note, "", "", DIM);
    }
}

/// The columns of the objective's measures first, then the others, as far as they fit.
fn columns<'c>(all: &'c [Column], objective: &[Gauge], width: usize) -> Vec<&'c Column> {
    let of = |heading: [&str; 2]| all.iter().find(|column| column.heading == heading);
    let asked = objective.iter().filter_map(|objective| of(objective.form().heading?));
    let usual = [["goodput", "/s"], ["latency", "p99"]].into_iter().filter_map(of);
    let mut ordered: Vec<&Column> = Vec::new();
    for column in asked.chain(usual).chain(all) {
        if !ordered.iter().any(|known| std::ptr::eq(*known, column)) {
            ordered.push(column);
        }
    }
    let mut used = 0;
    let fits = |column: &&Column| {
        let cells = (0..column.cells.len()).map(|row| cell(column, row).width());
        used += cells.chain(column.heading.iter().map(|line| line.width())).max().unwrap_or(0) + GAP;
        used <= width
    };
    ordered.into_iter().take_while(fits).collect()
}

/// Whether the engines agree, in a line.
fn engines(page: &mut Page, agreement: &AgreementResult) {
    let off =
        agreement.variants.iter().flat_map(|variant| &variant.lines).filter(|line| !line.agrees).count();
    let unjudged = agreement.variants.iter().filter(|variant| !variant.valid).count();
    match (off, unjudged) {
        (0, 0) => page.line("The virtual and the live engine agree.", HELD),
        (0, _) => page.line(
            &format!("The engines were not compared under {unjudged} variants: the live run is invalid."),
            FAILED,
        ),
        (off, _) => {
            page.line(&format!("The engines do not agree in {off} measures: `-v` lists them."), FAILED);
        }
    }
}

/// What became of the expectations in a line; those that did not hold line by line before.
fn expectations(page: &mut Page, verdict: &Verdict) {
    for line in verdict.lines.iter().filter(|line| !line.standing.is_held()) {
        expectation_line(page, line, line.standing.word().width());
    }
    if !verdict.lines.is_empty() {
        page.line(&text::line(&verdict.sentence), expectation_style(verdict.standing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::write::terminal::report::TERMINAL_WIDTH;

    fn plain(result: &ExperimentResult, width: usize) -> String {
        testing::without_styles(&terminal_screen(result, width))
    }

    #[test]
    fn an_incident_fits_on_a_screen() {
        insta::assert_snapshot!(plain(&testing::incident(), TERMINAL_WIDTH));
    }

    #[test]
    fn failed_expectations_are_told_line_by_line() {
        insta::assert_snapshot!(plain(&testing::three_seeds(), TERMINAL_WIDTH));
    }

    /// The paths of the files follow after an empty line.
    #[test]
    fn without_expectations_the_screen_ends_with_the_table() {
        let mut result = testing::incident();
        result.expectations.clear();
        let plain = plain(&result, TERMINAL_WIDTH);
        assert!(!plain.ends_with("\n\n") && !plain.contains("\n\n\n"), "{plain:?}");
    }

    #[test]
    fn nine_variants_leave_room_for_the_prompt_and_two_paths() {
        let mut result = testing::incident();
        let more = result.variants.clone();
        for (number, variant) in more.into_iter().cycle().take(5).enumerate() {
            let mut variant = variant;
            variant.name = format!("variant-{number}");
            variant.runs[0].attempts += number as u64 + 1;
            result.variants.push(variant);
        }
        assert_eq!(result.variants.len(), 9);
        let plain = plain(&result, TERMINAL_WIDTH);
        assert!(plain.lines().count() + 3 <= 24, "{plain}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_acts_on_it() {
        let mut results = testing::odd();
        results.extend([testing::hostile(), testing::window_boundary(), testing::incident()]);
        for (result, width) in
            results.iter().flat_map(|result| [40, 60, 80, 200].map(|width| (result, width)))
        {
            let plain = plain(result, width);
            assert!(plain.lines().all(|line| line.width() <= width), "{plain}");
            assert!(
                !plain.contains(|character: char| character.is_control() && character != '\n'),
                "{plain}"
            );
        }
    }
}
