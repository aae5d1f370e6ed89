//! How far the engines agree on many scenarios, as one table.

use comfy_table::{CellAlignment, Table, presets};

use crate::result::agreement::{AgreementKind, AgreementLine, AgreementResult, VariantAgreement};
use crate::words::text;

/// A row for each variant of each scenario: how far apart the engines are at most in shares, harm and the times of breakers'
/// transitions, and whether all of that is within its target. Ends with a line feed.
pub fn agreement_table(scenarios: &[(String, AgreementResult)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "scenario",
        "variant",
        "speed",
        "shares",
        "harm",
        "transitions",
        "only in one",
        "within target",
    ]);
    for (scenario, agreement) in scenarios {
        for compared in &agreement.variants {
            let VariantAgreement { variant, valid, lines } = compared;
            let of = |kind| lines.iter().filter(move |line| line.kind == kind);
            let [shares, harm] = [AgreementKind::Share, AgreementKind::Harm].map(|kind| {
                furthest(of(kind)).map_or("–".to_owned(), |apart| format!("{:.1} points", apart * 100.0))
            });
            let transitions = furthest(of(AgreementKind::Transition)).map_or("–".to_owned(), |apart| {
                format!("{:.0} ms of {}", apart / 1e3, of(AgreementKind::Transition).count())
            });
            let alone =
                of(AgreementKind::Transition).filter(|line| line.simulated.is_none() != line.live.is_none());
            let within = match (*valid, compared.agrees()) {
                (false, _) => "INVALID",
                (true, true) => "yes",
                (true, false) => "NO",
            };
            table.add_row([
                text::name(scenario),
                text::name(variant),
                agreement.speed.to_string(),
                shares,
                harm,
                transitions,
                alone.count().to_string(),
                within.to_owned(),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut told = String::new();
    for row in table.lines() {
        told += row.trim();
        told.push('\n');
    }
    told
}

/// The largest difference among lines that both engines have.
fn furthest<'a>(lines: impl Iterator<Item = &'a AgreementLine>) -> Option<f64> {
    let apart = |line: &AgreementLine| line.simulated.zip(line.live).map(|(one, other)| (one - other).abs());
    lines.filter_map(apart).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::compare::agreement::agreement;
    use crate::record::harness::HarnessRecord;
    use crate::testing;

    #[test]
    fn each_variant_has_a_row_with_its_largest_differences() {
        let simulated = testing::incident();
        let mut live = simulated.clone();
        let run = &mut live.variants[2].runs[0];
        run.breakers[0].changes[0].at_us += 120_000;
        run.breakers[1].changes.truncate(4);
        let mut record = HarnessRecord::new(1.0, 100, 20_000);
        record.exhausted = 7;
        live.variants[1].runs[0].harness = Some(record.result(Duration::from_millis(500)));
        let agreement = agreement(&simulated, &live);
        let table = agreement_table(&[("incident".to_owned(), agreement)]);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 1 + simulated.variants.len());
        let breaker =
            ["incident", "breaker", "1", "0.0", "points", "0.0", "points", "120", "ms", "of", "7", "1", "NO"];
        assert_eq!(rows[3], breaker);
        assert_eq!([1, 2].map(|row| *rows[row].last().unwrap()), ["yes", "INVALID"]);
    }
}
