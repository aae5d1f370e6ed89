//! How the numbers of a comparison read, the same in the terminal, on the page and in Markdown.

use crate::compare::sides::result::{MeasureComparison, MeasuredSide};
use crate::measure::unit::GaugeUnit;
use crate::words::format::{self, Dimension};

/// A side's value, marked where it is a lower bound; of a time that never came under any seed, that.
pub(crate) fn side(measure: &MeasureComparison, side: &MeasuredSide) -> String {
    if side.never > 0 && side.never as usize == side.values.len() {
        return "never".to_owned();
    }
    format::at_least(side.lower_bound_share.is_some(), value(measure.unit, side.mean))
}

/// A value, or a mean of values.
pub(crate) fn value(unit: GaugeUnit, value: f64) -> String {
    match unit {
        GaugeUnit::Count => format::things(value),
        _ => unit.show(value),
    }
}

/// An amount without its sign: what shares differ by is told in points, of which a whole has a hundred.
pub(crate) fn amount(unit: GaugeUnit, amount: f64) -> String {
    format!("{}{}", number(unit, amount, amount), suffix(unit, amount))
}

/// A difference with its sign: `+4.1 pp`, `−612 ms`; `±0` of none.
pub(crate) fn signed(unit: GaugeUnit, difference: f64) -> String {
    signed_as(unit, difference, difference) + suffix(unit, difference)
}

/// An interval, the unit told once: `−54.1 … −51 pp`.
pub(crate) fn interval(measure: &MeasureComparison) -> Option<String> {
    let [low, high] = measure.interval?;
    let scale = if low.abs() > high.abs() { low } else { high };
    let (low, high) = (signed_as(measure.unit, low, scale), signed_as(measure.unit, high, scale));
    Some(format!("{low} … {high}{}", suffix(measure.unit, scale)))
}

/// `95%`.
pub(crate) fn confidence(confidence: f64) -> String {
    Dimension::Share.show(confidence)
}

fn signed_as(unit: GaugeUnit, value: f64, scale: f64) -> String {
    let number = number(unit, value.abs(), scale);
    if number == "0" {
        "±0".to_owned()
    } else if value < 0.0 {
        format!("−{number}")
    } else {
        format!("+{number}")
    }
}

/// The number alone, in the unit that fits `scale`, to three digits.
fn number(unit: GaugeUnit, value: f64, scale: f64) -> String {
    let divisor = match unit {
        GaugeUnit::Share => 0.01,
        GaugeUnit::Us => time_unit(scale).0,
        GaugeUnit::Count | GaugeUnit::PerS | GaugeUnit::Ratio => 1.0,
    };
    // As many decimals as the largest of the numbers beside it takes to three digits.
    let largest = scale.abs().max(value.abs()) / divisor;
    let decimals = match largest {
        _ if !largest.is_finite() => return "–".to_owned(),
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let decimals = match unit {
        GaugeUnit::Share => decimals.min(2),
        // There is no half request.
        GaugeUnit::Count => 0,
        _ => decimals,
    };
    let shown = format!("{:.decimals$}", value / divisor);
    if shown.contains('.') { shown.trim_end_matches('0').trim_end_matches('.').to_owned() } else { shown }
}

fn suffix(unit: GaugeUnit, scale: f64) -> &'static str {
    match unit {
        GaugeUnit::Share => " pp",
        GaugeUnit::Us => time_unit(scale).1,
        GaugeUnit::PerS => "/s",
        GaugeUnit::Count | GaugeUnit::Ratio => "",
    }
}

/// Microseconds in the unit in which so much is told, and that unit. Minutes are not: `−1.2 … +4.5 min` is hard to read.
fn time_unit(us: f64) -> (f64, &'static str) {
    match us.abs() {
        // Nothing has no unit of its own: seconds are the plainest.
        nothing if nothing <= 0.0 => (1e6, " s"),
        999_500.0.. => (1e6, " s"),
        1_000.0.. => (1e3, " ms"),
        _ => (1.0, " µs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_carry_sign_and_unit() {
        let shown = [
            signed(GaugeUnit::Share, -0.529),
            signed(GaugeUnit::Share, 0.000_04),
            signed(GaugeUnit::Us, 612_300.0),
            signed(GaugeUnit::Us, -83_000_000.0),
            signed(GaugeUnit::PerS, 12.345),
            signed(GaugeUnit::Count, 1834.0),
            signed(GaugeUnit::Count, 2.5),
            signed(GaugeUnit::Ratio, 0.0),
            amount(GaugeUnit::Share, 0.02),
            signed(GaugeUnit::Us, f64::NAN),
            signed(GaugeUnit::Us, 0.0),
        ];
        assert_eq!(
            shown,
            [
                "−52.9 pp",
                "±0 pp",
                "+612 ms",
                "−83 s",
                "+12.3/s",
                "+1834",
                "+2",
                "±0",
                "2 pp",
                "+– µs",
                "±0 s"
            ]
        );
    }
}
