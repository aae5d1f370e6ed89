//! Who was hurt, under which variant: routes and populations against variants, shared by the page and the Markdown.
//!
//! A cell carries its numbers as well as a colour's level, so that nobody needs the colour.

use crate::record::harm::HarmTally;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::harm::{HarmResult, PopulationHarm};
use crate::result::run::RunResult;
use crate::result::spread::Spread;
use crate::tell::side_by_side::runs;
use crate::words::format::{self, Dimension};
use crate::words::text;

/// One matrix; its columns are the variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    /// Unique on the page.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What its rows are.
    pub(crate) head: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// Whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// What is counted of them.
    pub(crate) note: &'static str,
    /// Whether it sums up others.
    pub(crate) is_total: bool,
    /// One per variant; `None` where there was nobody to hurt.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// What was done to them under one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The share that was hurt, of several seeds the median.
    pub(crate) share: String,
    /// `1,676 of 8,905`.
    pub(crate) count: String,
    /// The least and the most over the seeds, where they read differently.
    pub(crate) range: Option<String>,
    /// From 0, nobody, to 5, half and more.
    pub(crate) level: usize,
}

/// Where the levels above the first begin.
const LEVELS: [f64; 4] = [0.01, 0.05, 0.2, 0.5];

/// What stands beside the name of a route, or of requests, that depend on what failed.
const DIRECT: &str = "direct: depends on what failed";
const COLLATERAL: &str = "does not depend on what failed";

/// The matrices of routes and of populations; none where no run was compared with its control.
pub(crate) fn matrices(result: &ExperimentResult) -> Vec<Matrix> {
    let matrices = [
        Matrix { id: "harm-routes", title: "Hurt by route", head: "route", rows: routes(result) },
        Matrix {
            id: "harm-populations",
            title: "Hurt by population",
            head: "population",
            rows: populations(result),
        },
    ];
    matrices.into_iter().filter(|matrix| !matrix.rows.is_empty()).collect()
}

/// Those that do not depend on what failed first: theirs is the blast radius.
fn routes(result: &ExperimentResult) -> Vec<Row> {
    let mut names: Vec<(&str, bool)> = Vec::new();
    for route in harms(result).flat_map(|harm| &harm.routes) {
        if !names.iter().any(|(name, _)| *name == route.name) {
            names.push((&route.name, route.direct));
        }
    }
    let mut rows = Vec::new();
    for (direct, note, all) in [(false, COLLATERAL, "blast radius"), (true, DIRECT, "direct damage")] {
        let of_kind = names.iter().filter(|(_, known)| *known == direct);
        rows.extend(of_kind.map(|(name, _)| {
            row(result, text::name(name), note, |harm| {
                Some(harm.routes.iter().find(|route| route.name == *name)?.tally())
            })
        }));
        let total = row(
            result,
            all.to_owned(),
            if direct { "all direct routes" } else { "all other routes" },
            |harm| Some(if direct { harm.direct_tally() } else { harm.collateral_tally() }),
        );
        rows.push(Row { is_total: true, ..total });
    }
    rows.retain(Row::has_anybody);
    rows
}

/// What is counted of a population.
type Counted = fn(&PopulationHarm) -> HarmTally;

fn populations(result: &ExperimentResult) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for population in harms(result).flat_map(|harm| &harm.populations) {
        if !names.contains(&population.name.as_str()) {
            names.push(&population.name);
        }
    }
    let counts: [(&'static str, Counted); 3] = [
        ("requests, not direct", PopulationHarm::collateral_tally),
        ("requests, direct", PopulationHarm::direct_tally),
        ("identities", |population| HarmTally { paired: population.identities, ..HarmTally::default() }),
    ];
    let rows = names.into_iter().flat_map(|name| {
        counts.map(|(note, count)| {
            row(result, text::name(name), note, |harm| {
                harm.populations.iter().find(|population| population.name == name).map(count)
            })
        })
    });
    rows.filter(Row::has_anybody).collect()
}

impl Row {
    fn has_anybody(&self) -> bool {
        self.cells.iter().any(Option::is_some)
    }
}

fn harms(result: &ExperimentResult) -> impl Iterator<Item = &HarmResult> {
    runs(result).filter_map(|run| run.harm.as_ref())
}

fn row(
    result: &ExperimentResult,
    name: String,
    note: &'static str,
    count: impl Fn(&HarmResult) -> Option<HarmTally>,
) -> Row {
    let cells = result.variants.iter().map(|variant| cell(variant, &count));
    Row { name, note, is_total: false, cells: cells.collect() }
}

fn cell(variant: &VariantResult, count: impl Fn(&HarmResult) -> Option<HarmTally>) -> Option<Cell> {
    let count = |run: &RunResult| count(run.harm.as_ref()?).filter(|count| count.total() > 0);
    let share = Spread::over(variant, |run| count(run)?.share())?;
    let of = |part: fn(HarmTally) -> f64| {
        Spread::over(variant, |run| Some(part(count(run)?)))
            .map(|spread| Dimension::Count.show(spread.median))
    };
    let is_estimate = variant.runs.iter().filter_map(count).any(|tally| tally.has_unpaired());
    let [least, median, most] =
        [share.least, share.median, share.most].map(|share| Dimension::Share.show(share));
    Some(Cell {
        share: format::estimate(is_estimate, median),
        count: format!("{} of {}", of(|count| count.hurt().round())?, of(|count| count.total() as f64)?),
        range: (least != most).then(|| format!("{least} – {most}")),
        level: level(share.median),
    })
}

fn level(share: f64) -> usize {
    if share > 0.0 { 1 + LEVELS.iter().filter(|from| share >= **from).count() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::harm::HarmCount;
    use crate::testing;

    fn shown(matrix: &Matrix) -> Vec<String> {
        let cell = |cell: &Option<Cell>| {
            cell.as_ref().map_or_else(|| "–".to_owned(), |cell| format!("{} ({})", cell.share, cell.count))
        };
        let row = |row: &Row| {
            let cells: Vec<String> = row.cells[..2].iter().map(cell).collect();
            format!("{}, {}: {}", row.name, row.note, cells.join(" | "))
        };
        matrix.rows.iter().map(row).collect()
    }

    #[test]
    fn each_route_and_population_says_how_many_of_how_many_were_hurt() {
        let matrices = matrices(&testing::incident());
        assert_eq!(
            shown(&matrices[0]),
            [
                "/account, does not depend on what failed: 18.8% (1,676 of 8,905) | 0% (0 of 8,905)",
                "blast radius, all other routes: 18.8% (1,676 of 8,905) | 0% (0 of 8,905)",
                "/checkout, direct: depends on what failed: 34.4% (10,372 of 30,193) | 26.1% (7,892 of 30,193)",
                "direct damage, all direct routes: 34.4% (10,372 of 30,193) | 26.1% (7,892 of 30,193)",
            ]
        );
        assert_eq!(
            shown(&matrices[1]),
            [
                "shoppers, requests, direct: 34.4% (10,372 of 30,193) | 26.1% (7,892 of 30,193)",
                "shoppers, identities: 87.5% (2,100 of 2,400) | 87.5% (2,100 of 2,400)",
                "members, requests, not direct: 18.8% (1,676 of 8,905) | 0% (0 of 8,905)",
                "members, identities: 87.5% (700 of 800) | 0% (0 of 800)",
            ]
        );
    }

    #[test]
    fn only_nobody_has_the_colour_of_nobody() {
        assert_eq!([0.0, 0.0001, 0.01, 0.049, 0.05, 0.2, 0.5, 1.0].map(level), [0, 1, 2, 2, 3, 4, 5, 5]);
    }

    #[test]
    fn a_row_has_a_cell_for_each_variant_and_somebody_in_it() {
        assert!(matrices(&testing::window_boundary()).is_empty());
        let mut results = testing::odd();
        results.extend([testing::incident(), testing::hostile()]);
        for result in results {
            for row in matrices(&result).iter().flat_map(|matrix| &matrix.rows) {
                assert_eq!(row.cells.len(), result.variants.len());
                assert!(row.has_anybody());
            }
        }
    }

    #[test]
    fn seeds_are_folded_into_a_median_with_its_range() {
        let mut result = testing::incident();
        let mut second = result.variants[0].runs[0].clone();
        second.harm.as_mut().unwrap().collateral = HarmCount { hurt: 0, total: 8905 };
        result.variants[0].runs.push(second);
        let total = &matrices(&result)[0].rows[1];
        let cell = total.cells[0].as_ref().unwrap();
        assert_eq!((cell.share.as_str(), cell.count.as_str()), ("9.4%", "838 of 8,905"));
        assert_eq!(cell.range.as_deref(), Some("0% – 18.8%"));
    }
}
