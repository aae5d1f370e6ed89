//! A measured value with its unit.

use jiff::fmt::friendly::SpanParser;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::format::{MINUTE_US, SECOND_US, count, digits, minutes, percent, scaled, unrounded};

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A plain ratio, such as an amplification.
    Number(f64),
    /// A share, 0 to 1.
    Share(f64),
    /// A time in microseconds.
    DurationUs(u64),
    /// Events per second.
    RatePerS(f64),
    /// It did not happen.
    Never,
    /// There was nothing to measure it on (no request was offered, the limit is off).
    NotObserved,
}

impl Value {
    /// The value as an expectation shows it: with the digits that it is worth, and further ones only where it would else read
    /// as if it were on the other side of what it is compared with. Where nobody knows what that is, a value that did not
    /// hold is shown with all its digits.
    pub(crate) fn told(self, held: bool, against: Option<Self>) -> String {
        let against = against.and_then(|against| self.size_beside(against));
        match self {
            Self::Count(n) => count(n),
            Self::Number(x) => cut(x, 3, held, against),
            Self::Share(x) => format!("{}%", share(x, held, against)),
            Self::DurationUs(us) => duration(us, held, against),
            Self::RatePerS(x) => {
                let shown = cut(x, 3, held, against);
                format!("{}/s", if shown.contains('.') { shown } else { grouped(x, &shown) })
            }
            Self::Never => "never".to_owned(),
            Self::NotObserved => "not observed".to_owned(),
        }
    }

    /// The size of another value of the same kind, in the unit of this one.
    const fn size_beside(self, other: Self) -> Option<f64> {
        match (self, other) {
            (Self::Number(_), Self::Number(x))
            | (Self::Share(_), Self::Share(x))
            | (Self::RatePerS(_), Self::RatePerS(x)) => Some(x),
            (Self::DurationUs(_), Self::DurationUs(us)) => Some(us as f64),
            _ => None,
        }
    }

    /// What a line of a scenario compares with behind its operator, as a value of the kind of this one; `None` where that is
    /// another measure.
    pub(crate) fn bound_of(self, line: &str) -> Option<Self> {
        let (_, bound) = line.rsplit_once(['<', '>', '='])?;
        let bound = bound.trim();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::Number(_) => Some(Self::Number(number(bound)?)),
            Self::Share(_) => Some(Self::Share(number(bound.strip_suffix('%')?)? / 100.0)),
            Self::RatePerS(_) => {
                let (events, unit) = bound.split_once('/')?;
                let seconds = match unit.trim() {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" | "min" => 60.0,
                    "h" => 3_600.0,
                    _ => return None,
                };
                Some(Self::RatePerS(number(events)? / seconds))
            }
            Self::DurationUs(_) => {
                let duration = SpanParser::new().parse_duration(bound).ok()?;
                Some(Self::DurationUs(u64::try_from(duration.as_micros()).ok()?))
            }
            Self::Count(_) | Self::Never | Self::NotObserved => None,
        }
    }
}

/// More digits than any measured number has.
const ALL_DIGITS: usize = 12;

/// Whether a number as it is shown lies as its value does: above, at or below what the value is compared with.
fn lies_alike(shown: f64, value: f64, against: f64) -> bool {
    // What a bound loses as it is read and what a value loses as it is computed is no side.
    let side = |value: f64| {
        let apart = value - against;
        if apart.abs() <= 1e-13 * against.abs() {
            0
        } else if apart > 0.0 {
            1
        } else {
            -1
        }
    };
    side(shown) == side(value)
}

/// The number with so many significant digits, and with more where they are needed.
fn cut(value: f64, keep: usize, held: bool, against: Option<f64>) -> String {
    let Some(against) = against else {
        return if held { digits(value, keep) } else { unrounded(value) };
    };
    let shown = (keep..=ALL_DIGITS).map(|keep| digits(value, keep));
    let mut alike = shown.filter(|shown| shown.parse().is_ok_and(|shown| lies_alike(shown, value, against)));
    alike.next().unwrap_or_else(|| unrounded(value))
}

/// A share in percent: two decimals, and more where they are needed.
fn share(share: f64, held: bool, against: Option<f64>) -> String {
    let Some(against) = against else {
        return if held { percent(share) } else { unrounded(share * 100.0) };
    };
    let is_alike = |shown: &String| {
        shown.parse::<f64>().is_ok_and(|shown| lies_alike(shown, share * 100.0, against * 100.0))
    };
    let usual = percent(share);
    if is_alike(&usual) { usual } else { cut(share * 100.0, 5, held, Some(against * 100.0)) }
}

fn duration(us: u64, held: bool, against: Option<f64>) -> String {
    let value = us as f64;
    if us < MINUTE_US {
        // What it is compared with, in the unit in which the value is written.
        let scaled_against =
            |shown: f64| against.map(|against| if value > 0.0 { against * shown / value } else { against });
        return scaled(value, |shown| cut(shown, 3, held, scaled_against(shown)));
    }
    let to_the_second = (value / 1e6).round() * 1e6;
    let is_enough = against.map_or(held, |against| lies_alike(to_the_second, value, against));
    if is_enough { scaled(value, |shown| digits(shown, 3)) } else { minutes(us / SECOND_US, us % SECOND_US) }
}

/// A whole number with its thousands parted.
fn grouped(value: f64, shown: &str) -> String {
    if (1_000.0..1e15).contains(&value) {
        shown.parse().map_or_else(|_| shown.to_owned(), count)
    } else {
        shown.to_owned()
    }
}
