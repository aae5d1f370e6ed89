//! A sweep in the terminal.

use anstyle::Style;
use comfy_table::{CellAlignment, Table, presets};
use unicode_width::UnicodeWidthStr;

use crate::compare::sweep::result::{SweepPoint, SweepResult};
use crate::compare::sweep::show;
use crate::words::text;
use crate::write::terminal::report::{BOLD, DIM, FAILED, GAP, HELD, Page};

/// What a value of a setting may take of a row.
const VALUE_WIDTH: usize = 16;

/// How many points are told; all are on the page.
const POINTS: usize = 60;

/// How many tipping points are told.
const TIPPING: usize = 6;

/// The measures of which a grid is told; all are on the page.
const GRIDS: [&str; 4] = ["goodput", "latency.p99", "blast_radius", "recovery_time"];

/// The sweep on at most so many columns. Ends with a line feed; it carries style codes, which a caller that writes to a pipe
/// strips.
pub fn sweep_summary(result: &SweepResult, width: usize) -> String {
    let mut page = Page::new(width);
    page.line(&text::cut(&text::line(&result.scenario.name), page.width), BOLD);
    page.paragraph(&show::what(result), "", "", DIM);
    page.blank();
    match result.axes.as_slice() {
        [_, across] if fits(result, across.values.len(), page.width) => grids(&mut page, result),
        _ => points(&mut page, result),
    }
    if !result.tipping.is_empty() {
        page.blank();
        page.line("tipping points", BOLD);
        let sentences = show::tipping(result);
        for sentence in sentences.iter().take(TIPPING) {
            page.paragraph(sentence, "• ", "  ", Style::new());
        }
        if let Some(more) = sentences.len().checked_sub(TIPPING).filter(|more| *more > 0) {
            page.paragraph(&format!("{more} more are on the page."), "  ", "  ", DIM);
        }
    }
    page.blank();
    let style = match (result.is_judged(), &result.smallest) {
        (false, _) => DIM,
        (true, Some(_)) => HELD,
        (true, None) => FAILED,
    };
    for (number, sentence) in show::goal(result).iter().enumerate() {
        page.paragraph(sentence, "", "  ", if number == 0 { BOLD } else { Style::new() });
    }
    for (number, sentence) in show::smallest(result).iter().enumerate() {
        page.paragraph(sentence, "", "  ", if number == 0 { style } else { Style::new() });
    }
    page.blank();
    for note in show::notes(result) {
        page.paragraph(&note, "", "  ", DIM);
    }
    page.text
}

/// Whether a grid with so many columns has room, whatever stands in them.
fn fits(result: &SweepResult, columns: usize, width: usize) -> bool {
    let cells = show::told(result).into_iter().flat_map(|measure| {
        result.points.iter().map(move |point| show::value(result, point, measure).width())
    });
    let heads = (0..columns).map(|place| show::axis_value(result, 1, place).width());
    let widest = cells.chain(heads).max().unwrap_or(0) + GAP;
    let names = (0..result.axes[0].values.len()).map(|place| show::axis_value(result, 0, place).width());
    names.max().unwrap_or(0) + columns * widest <= width
}

/// A table for each measure, the first setting down and the second across.
fn grids(page: &mut Page, result: &SweepResult) {
    let [down, across] = [0, 1].map(|axis| text::line(&result.axes[axis].key));
    page.paragraph(&format!("down: {down}; across: {across}"), "", "  ", DIM);
    let columns = result.axes[1].values.len();
    let heads: Vec<String> = (0..columns).map(|place| show::axis_value(result, 1, place)).collect();
    let mut grid = |title: &str, cell: &dyn Fn(usize) -> String| {
        let rows = (0..result.axes[0].values.len()).map(|row| {
            let cells = (0..columns).map(|column| cell(row * columns + column));
            std::iter::once(show::axis_value(result, 0, row)).chain(cells).collect()
        });
        page.blank();
        page.line(title, BOLD);
        let heads: Vec<String> = std::iter::once(String::new()).chain(heads.iter().cloned()).collect();
        put(page, &heads, rows.collect());
    };
    let told = show::told(result).into_iter();
    for measure in told.filter(|measure| GRIDS.contains(&&*result.measures[*measure].name)) {
        grid(&result.measures[measure].name, &|point| show::value(result, &result.points[point], measure));
    }
    if result.is_judged() {
        grid("expectations that fail", &|point| {
            let point = &result.points[point];
            match point.requirements().filter(|expectation| !expectation.held).count() {
                0 if point.strict.is_some() => "strict".to_owned(),
                0 => "✓".to_owned(),
                failed => failed.to_string(),
            }
        });
    }
}

/// A row for each point.
fn points(page: &mut Page, result: &SweepResult) {
    let axes = 0..result.axes.len();
    let key = |axis: usize| result.axes[axis].key.rsplit('.').next().unwrap_or_default();
    let mut heads: Vec<String> =
        axes.clone().map(|axis| text::cut(&text::line(key(axis)), VALUE_WIDTH).into_owned()).collect();
    let mut measures = show::told(result);
    let rows = |measures: &[usize]| -> Vec<Vec<String>> {
        let row = |point: &SweepPoint| {
            let values = axes.clone().map(|axis| {
                text::cut(&show::axis_value(result, axis, point.places[axis]), VALUE_WIDTH).into_owned()
            });
            let measured = measures.iter().map(|measure| show::value(result, point, *measure));
            values.chain(measured).chain(result.is_judged().then(|| show::held(point))).collect()
        };
        result.points.iter().take(POINTS).map(row).collect()
    };
    let named = |measures: &[usize], heads: &[String]| -> Vec<String> {
        let names = measures.iter().map(|measure| {
            let name = result.measures[*measure].name.rsplit('.').next().unwrap_or_default();
            name.replace('_', " ")
        });
        heads.iter().cloned().chain(names).chain(result.is_judged().then(|| "expected".to_owned())).collect()
    };
    // The last measures go first where there is no room.
    while measures.len() > 1 && width(&named(&measures, &heads), &rows(&measures)) > page.width {
        measures.pop();
    }
    heads = named(&measures, &heads);
    put(page, &heads, rows(&measures));
    if let Some(more) = result.points.len().checked_sub(POINTS).filter(|more| *more > 0) {
        page.paragraph(&format!("{more} more points are on the page."), "", "", DIM);
    }
}

fn width(heads: &[String], rows: &[Vec<String>]) -> usize {
    let column = |place: usize| {
        let head = heads[place].split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
        rows.iter().map(|row| row[place].width()).chain([head]).max().unwrap_or(0) + GAP
    };
    (0..heads.len()).map(column).sum::<usize>() - GAP
}

/// Puts a table down; words of a head stand below each other.
fn put(page: &mut Page, heads: &[String], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let lines = heads.iter().map(|head| head.split(' ').count()).max().unwrap_or(1);
    let is_measure = |head: &String| head.contains(' ') && !head.ends_with('•');
    table.set_header(
        heads.iter().map(|head| if is_measure(head) { head.replace(' ', "\n") } else { head.clone() }),
    );
    for row in rows {
        table.add_row(row);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if place == 0 { 0 } else { GAP as u16 }, 0));
        if place > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = if heads.iter().any(is_measure) { lines } else { 1 };
    for (number, line) in table.lines().enumerate() {
        page.line(line.trim_end(), if number < lines { BOLD } else { Style::new() });
    }
}
