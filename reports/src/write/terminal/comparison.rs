//! A comparison in the terminal.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use unicode_width::UnicodeWidthStr;

use crate::compare::sides::result::{ComparisonResult, DifferenceVerdict, VariantComparison};
use crate::compare::sides::table::{
    Overview, Row, explanations, heading, headline, how, overviews, parts, remarks, requests, settings,
    sides, title, verdict,
};
use crate::words::text;
use crate::write::terminal::report::{BOLD, DIM, FAILED, GAP, HELD, Page};

/// How many measures of populations and routes are told of a pair.
const PARTS: usize = 8;

/// How many settings are told that differ.
const SETTINGS: usize = 8;

/// The comparison on at most so many columns, with how its numbers are meant if that is asked for. Ends with a line feed; it
/// carries style codes, which a caller that writes to a pipe strips.
pub fn comparison_summary(result: &ComparisonResult, width: usize, explained: bool) -> String {
    let mut page = Page::new(width);
    page.line(&text::cut(&heading(result), page.width), BOLD);
    for side in sides(result) {
        page.paragraph(&side, "", "   ", DIM);
    }
    for reservation in &result.reservations {
        page.blank();
        page.paragraph(&text::line(reservation), "! ", "  ", AnsiColor::Yellow.on_default());
    }
    for overview in overviews(result) {
        page.blank();
        page.paragraph(&overview.title, "", "  ", BOLD);
        page.blank();
        in_columns(&mut page, &overview);
    }
    for pair in &result.pairs {
        if result.has_several() {
            // What is told of two sides at length is on the page.
            page.blank();
            page.paragraph(&format!("{}: {}", title(pair), how(pair)), "", "  ", BOLD);
            page.paragraph(&verdict(result, pair), "  ", "  ", Style::new());
        } else {
            of_pair(&mut page, result, pair);
        }
    }
    let explanations = if explained { explanations(result) } else { Vec::new() };
    let notes: Vec<String> = explanations.into_iter().chain(remarks(result)).collect();
    if !notes.is_empty() {
        page.blank();
    }
    for note in notes {
        page.paragraph(&note, "", "  ", DIM);
    }
    page.text
}

fn of_pair(page: &mut Page, result: &ComparisonResult, pair: &VariantComparison) {
    page.blank();
    page.paragraph(&format!("{}: {}", title(pair), how(pair)), "", "  ", BOLD);
    let settings = settings(pair);
    if !settings.is_empty() {
        page.blank();
        for setting in settings.iter().take(SETTINGS) {
            page.paragraph(&format!("{}: {} → {}", setting.key, setting.a, setting.b), "  ", "    ", DIM);
        }
        if let Some(more) = settings.len().checked_sub(SETTINGS).filter(|more| *more > 0) {
            page.paragraph(&format!("and {more} more settings"), "  ", "  ", DIM);
        }
    }
    page.blank();
    table(page, &headline(pair), &pair.letter(), true);
    let parts = parts(pair);
    let decided: Vec<Row> = parts.iter().filter(|row| is_decided(row.verdict)).take(PARTS).cloned().collect();
    if !decided.is_empty() {
        page.blank();
        table(page, &decided, &pair.letter(), false);
        let left = parts.len() - decided.len();
        if left > 0 {
            page.paragraph(&format!("{left} more of populations and routes are on the page."), "", "  ", DIM);
        }
    }
    if let Some(requests) = requests(pair) {
        page.blank();
        page.paragraph(&requests, "", "  ", Style::new());
    }
    page.blank();
    page.paragraph(&verdict(result, pair), "", "  ", BOLD);
}

/// A column for each side; where the page is too narrow for all of them, in several tables, each with A.
fn in_columns(page: &mut Page, overview: &Overview) {
    let cell = |row: usize, side: usize| match row.checked_sub(1) {
        None => overview.heads[side].clone(),
        Some(row) => overview.rows[row].cells[side].text(),
    };
    let width = |side: usize| (0..=overview.rows.len()).map(|row| cell(row, side).width()).max().unwrap_or(0);
    let longest = overview.rows.iter().map(|row| row.name.width()).max().unwrap_or(0).max("measure".len());
    let room = page.width.saturating_sub(longest + GAP + width(0));
    let mut others = (1..overview.heads.len()).peekable();
    let mut is_first = true;
    while others.peek().is_some() {
        let mut left = room;
        let mut sides = vec![0];
        while let Some(side) = others.next_if(|side| sides.len() == 1 || width(*side) + GAP <= left) {
            left = left.saturating_sub(width(side) + GAP);
            sides.push(side);
        }
        if !std::mem::take(&mut is_first) {
            page.blank();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let cells: usize = sides.iter().map(|side| width(*side).min(room.max(1)) + GAP).sum();
        let names = page.width.saturating_sub(cells).max(1);
        for row in 0..=overview.rows.len() {
            let name = row.checked_sub(1).map_or("measure", |row| &*overview.rows[row].name);
            let of_sides = sides.iter().map(|side| text::cut(&cell(row, *side), room.max(1)).into_owned());
            table.add_row(std::iter::once(text::cut(name, names).into_owned()).chain(of_sides));
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((if place == 0 { 0 } else { GAP as u16 }, 0));
            if place > 0 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (number, line) in table.lines().enumerate() {
            page.line(line.trim_end(), if number == 0 { BOLD } else { Style::new() });
        }
    }
}

const fn is_decided(verdict: DifferenceVerdict) -> bool {
    matches!(verdict, DifferenceVerdict::Better | DifferenceVerdict::Worse)
}

/// Of populations and routes, whose names are long, without the values of both sides.
fn table(page: &mut Page, rows: &[Row], other: &str, with_sides: bool) {
    let cells = |row: &Row| {
        let sides = if with_sides { vec![row.a.clone(), row.b.clone()] } else { Vec::new() };
        let interval = row.interval.clone().unwrap_or_else(|| "–".to_owned());
        sides.into_iter().chain([row.difference.clone(), interval, row.word()]).collect()
    };
    let (difference, is) = (format!("{other} − A"), format!("{other} is"));
    let heads = if with_sides {
        &["A", other, &difference, "interval", &is][..]
    } else {
        &[&*difference, "interval", &is]
    };
    let mut all: Vec<Vec<String>> = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    all.extend(rows.iter().map(cells));
    let widest = |column: usize| all.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let cells: usize = (0..heads.len()).map(widest).sum();
    let longest = rows.iter().map(|row| row.name.width()).max().unwrap_or(0);
    // Long names are worth a narrow gap.
    let gap = if longest + cells + heads.len() * GAP > page.width { 1 } else { GAP };
    let names = page.width.saturating_sub(cells + heads.len() * gap);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let named = std::iter::once("measure").chain(rows.iter().map(|row| &*row.name));
    for (name, row) in named.map(|name| text::cut(name, names)).zip(&all) {
        table.add_row(std::iter::once(name.into_owned()).chain(row.iter().cloned()));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if place == 0 { 0 } else { gap as u16 }, 0));
        if (1..heads.len()).contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (number, line) in table.lines().enumerate() {
        let style = match number.checked_sub(1).and_then(|row| rows.get(row)).map(|row| row.verdict) {
            None => BOLD,
            Some(DifferenceVerdict::Better) => HELD,
            Some(DifferenceVerdict::Worse) => FAILED,
            Some(DifferenceVerdict::Same) => DIM,
            Some(_) => Style::new(),
        };
        page.line(line.trim_end(), style);
    }
}
