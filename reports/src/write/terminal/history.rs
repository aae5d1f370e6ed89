//! A history in the terminal.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::compare::history::result::{HistoryResult, VariantHistory};
use crate::compare::history::show;
use crate::compare::sides::result::DifferenceVerdict;
use crate::words::text;
use crate::write::terminal::report::{BOLD, DIM, FAILED, GAP, HELD, Page};

/// Columns that a variant's name may take of a row.
const NAME_WIDTH: usize = 24;

/// At most so many of the newest results are drawn; all are on the page.
const DRAWN: usize = 60;

/// Heights of a value between the least and the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The history on at most so many columns. Ends with a line feed; it carries style codes, which a caller that writes to a pipe
/// strips.
pub fn history_summary(result: &HistoryResult, width: usize) -> String {
    let mut page = Page::new(width);
    page.line(&text::cut(&text::line(&result.name), page.width), BOLD);
    page.paragraph(&show::measure(result), "", "  ", Style::new());
    page.paragraph(&show::what(result), "", "  ", DIM);
    for sentence in show::left_out(result) {
        page.paragraph(&sentence, "", "  ", DIM);
    }
    page.blank();
    let name = |variant: &VariantHistory| text::cut(&text::line(&variant.name), NAME_WIDTH).into_owned();
    let widest = |of: &dyn Fn(&VariantHistory) -> String| {
        result.variants.iter().map(|variant| of(variant).width()).max().unwrap_or(0)
    };
    let (names, values) = (widest(&name), widest(&|variant| show::last(result, variant)));
    let columns = page.width.saturating_sub(names + values + 2 * GAP).clamp(1, DRAWN);
    let gap = " ".repeat(GAP);
    for variant in &result.variants {
        let shown = name(variant);
        let pad = " ".repeat(names - shown.width());
        let bars = bars(variant, columns);
        let value = show::last(result, variant);
        page.raw(&format!("{BOLD}{shown}{BOLD:#}{pad}{gap}{bars}{gap}{value}"));
        for change in &variant.changes {
            let style = match change.verdict {
                DifferenceVerdict::Better => HELD,
                DifferenceVerdict::Worse => FAILED,
                _ => Style::new(),
            };
            let (date, levels) = (show::date_of(result, change.at), show::levels(result, change));
            page.raw(&format!("{gap}{date}  {levels}  {style}{}{style:#}", change.verdict.word()));
        }
        if variant.changes.is_empty() {
            page.paragraph("no change point", &gap, &gap, DIM);
        }
    }
    page.blank();
    for note in show::notes(result) {
        page.paragraph(&note, "", "  ", DIM);
    }
    page.text
}

/// A bar for each of the newest results, from the variant's least value to its most; `·` where there is no value.
fn bars(variant: &VariantHistory, columns: usize) -> String {
    let medians = || variant.points.iter().flatten().map(|point| point.median);
    let (least, most) =
        (medians().fold(f64::INFINITY, f64::min), medians().fold(f64::NEG_INFINITY, f64::max));
    // Scatter of less than a hundredth does not look like much.
    let half = ((most - least) / 2.0).max(most.abs().max(least.abs()) * 0.01);
    let low = f64::midpoint(least, most) - half;
    let from = variant.points.len().saturating_sub(columns);
    let bar = |point: &Option<_>| match point {
        None => '·',
        Some(crate::compare::sweep::result::PointValue { median, .. }) => {
            let share = if half > 0.0 { (median - low) / (2.0 * half) } else { 0.0 };
            BARS[(share * 7.0).round().clamp(0.0, 7.0) as usize]
        }
    };
    variant.points[from..].iter().map(bar).collect()
}
