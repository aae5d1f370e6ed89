//! The page of a comparison.

use askama::Template;

use crate::compare::sides::requests::{NamedPairs, PairedRequests};
use crate::compare::sides::result::{
    ComparisonResult, DifferenceVerdict, MeasureComparison, SettingDifference, VariantComparison,
};
use crate::compare::sides::show;
use crate::compare::sides::table::{
    Overview, Row, heading, headline, how, letters, notes, overviews, parts, requests, settings, sides,
    title, verdict,
};
use crate::draw::canvas::ChartError;
use crate::draw::forest::{ForestChart, ForestRow, ForestScale, Leaning, forest_chart};
use crate::measure::unit::GaugeUnit;
use crate::words::{format, text};
use crate::write::html::report::HtmlError;
use crate::write::html::script::Script;

/// The comparison as the text of an HTML file. `command` is what a reader types to compare again.
///
/// # Errors
///
/// Drawing and filling in write to memory and fail in their types alone.
pub fn comparison_html(result: &ComparisonResult, command: &str) -> Result<String, HtmlError> {
    let pairs = result.pairs.iter().enumerate().map(|(place, pair)| Pair::of(result, pair, place));
    let page = Page {
        title: heading(result),
        letters: letters(result),
        overviews: overviews(result),
        sides: sides(result),
        reservations: result.reservations.iter().map(|reservation| text::line(reservation)).collect(),
        pairs: pairs.collect::<Result<_, _>>()?,
        notes: notes(result),
        command: text::block(command),
        tuesday: text::line(&result.tuesday),
        version: result.version,
        script: Some(Script::of_pages()),
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page {
    title: String,
    letters: String,
    /// Where there are more than two sides.
    overviews: Vec<Overview>,
    sides: Vec<String>,
    reservations: Vec<String>,
    pairs: Vec<Pair>,
    notes: Vec<String>,
    command: String,
    tuesday: String,
    version: u32,
    script: Option<Script>,
}

/// A pair of variants.
struct Pair {
    id: String,
    /// What the other side is called.
    letter: String,
    title: String,
    how: String,
    verdict: String,
    tables: Vec<Part>,
    charts: Vec<Figure>,
    requests: Option<String>,
    request_rows: Vec<RequestRow>,
    settings: Vec<SettingDifference>,
}

struct Part {
    id: String,
    title: &'static str,
    measures: Vec<Row>,
}

struct Figure {
    caption: String,
    /// Markup.
    svg: String,
}

/// Requests of some group in both.
struct RequestRow {
    name: String,
    note: &'static str,
    total: String,
    only_in_a: String,
    only_in_b: String,
}

impl Pair {
    fn of(result: &ComparisonResult, pair: &VariantComparison, place: usize) -> Result<Self, ChartError> {
        let tables = [
            ("measures", "What was measured", headline(pair)),
            ("parts", "By population and route", parts(pair)),
        ];
        let tables = tables.into_iter().filter(|(_, _, rows)| !rows.is_empty());
        Ok(Self {
            id: format!("pair-{place}"),
            letter: pair.letter(),
            title: title(pair),
            how: how(pair),
            verdict: verdict(result, pair),
            tables: tables
                .map(|(id, title, rows)| Part { id: format!("{id}-{place}"), title, measures: rows })
                .collect(),
            charts: charts(pair, place)?,
            requests: requests(pair),
            request_rows: pair.requests.as_ref().map(request_rows).unwrap_or_default(),
            settings: settings(pair),
        })
    }
}

fn request_rows(requests: &PairedRequests) -> Vec<RequestRow> {
    let named = |note: &'static str, all: &[NamedPairs]| -> Vec<RequestRow> {
        let groups = all.iter().filter(|named| named.pairs.total > 0);
        let row = |named: &NamedPairs| RequestRow {
            name: text::name(&named.name),
            note,
            total: format::count(named.pairs.total),
            only_in_a: format::count(named.pairs.only_in_a),
            only_in_b: format::count(named.pairs.only_in_b),
        };
        groups.map(row).collect()
    };
    let mut rows = named("route", &requests.routes);
    rows.extend(named("population", &requests.populations));
    rows
}

/// Shares in points, everything else as a multiple of A's value; what A has none of has no multiple.
fn charts(pair: &VariantComparison, place: usize) -> Result<Vec<Figure>, ChartError> {
    let headline = || pair.measures.iter().filter(|measure| measure.is_headline());
    let times = headline().filter(|measure| measure.unit != GaugeUnit::Share && measure.a.mean > 0.0);
    let times = times.map(|measure| row(measure, |difference| 1.0 + difference / measure.a.mean));
    let points = headline().filter(|measure| measure.unit == GaugeUnit::Share);
    let points = points.map(|measure| row(measure, |difference| difference * 100.0));
    let other = pair.letter();
    let charts = [
        ("times", format!("{other} as a multiple of A"), ForestScale::Times, times.collect::<Vec<_>>()),
        (
            "points",
            format!("Shares: {other} − A in percentage points"),
            ForestScale::Points,
            points.collect(),
        ),
    ];
    let mut figures = Vec::new();
    for (id, caption, scale, rows) in charts {
        let named: Vec<(String, String)> =
            rows.iter().map(|(name, told, ..)| (name.clone(), told.clone())).collect();
        let rows =
            rows.into_iter().zip(&named).map(|((_, _, value, interval, verdict), (name, told))| ForestRow {
                name,
                value,
                interval,
                leaning: match verdict {
                    DifferenceVerdict::Better => Leaning::Better,
                    DifferenceVerdict::Worse => Leaning::Worse,
                    _ => Leaning::Open,
                },
                word: verdict.word().to_owned(),
                told: told.clone(),
            });
        let chart = ForestChart {
            id: format!("{id}-{place}"),
            title: format!("{caption}: {}", title(pair)),
            rows: rows.collect(),
            scale,
        };
        figures.extend(forest_chart(&chart)?.map(|svg| Figure { caption, svg }));
    }
    Ok(figures)
}

/// Name, words, value, interval and verdict of a row of a chart.
type Drawn = (String, String, f64, Option<[f64; 2]>, DifferenceVerdict);

fn row(measure: &MeasureComparison, place: impl Fn(f64) -> f64) -> Drawn {
    let name = text::line(&measure.name());
    let sure = show::interval(measure).map(|interval| format!(" ({interval})")).unwrap_or_default();
    let difference = show::signed(measure.unit, measure.difference);
    let told = format!("{name}: {difference}{sure}, {}", measure.verdict.word());
    (name, told, place(measure.difference), measure.interval.map(|ends| ends.map(&place)), measure.verdict)
}
