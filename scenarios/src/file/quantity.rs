//! Values with a size, whatever their unit: durations, rates, shares and numbers.

use std::time::Duration;

use reports::AxisScale;

use super::units;

/// A value as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    pub(super) text: String,
    pub(super) kind: Option<Kind>,
    size: f64,
}

/// What a value with a size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// In seconds.
    Duration,
    /// Per second, written per this many seconds.
    Rate(u32),
    /// From 0 to 1.
    Share,
}

/// The most values that a range may have.
const MOST_VALUES: usize = 1_000;

impl Quantity {
    pub(super) fn of(text: &str) -> Self {
        let sized = |kind, size| Self { text: text.to_owned(), kind: Some(kind), size };
        if let Some(number) = units::number(text) {
            sized(Kind::Number, number)
        } else if let Ok(share) = units::share(text) {
            sized(Kind::Share, share)
        } else if let Ok(rate) = units::per_second(text) {
            let per = text.rsplit('/').next().unwrap_or_default().trim();
            let seconds = match per {
                "m" | "min" => 60,
                "h" => 3600,
                _ => 1,
            };
            sized(Kind::Rate(seconds), rate)
        } else if let Ok(duration) = units::duration(text) {
            sized(Kind::Duration, duration.as_secs_f64())
        } else {
            Self { text: text.to_owned(), kind: None, size: 0.0 }
        }
    }

    /// Whether both have a size in the same base unit.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (Some(Kind::Rate(_)), Some(Kind::Rate(_))) => true,
            (Some(one), Some(other)) => one == other,
            _ => false,
        }
    }

    /// Its size in the base unit of its kind.
    pub(super) fn number(&self) -> Option<f64> {
        self.kind.map(|_| self.size)
    }

    /// A value of that size, written to three digits; whole where it has to be.
    fn written(kind: Kind, size: f64, whole: bool) -> Self {
        let text = match kind {
            Kind::Number if whole => format!("{}", size.round()),
            Kind::Number => format!("{}", three_digits(size)),
            Kind::Duration => {
                // As fine as three digits, and never finer than a nanosecond.
                let nanos = three_digits(size * 1e9).round();
                units::write_duration(Duration::from_nanos(nanos as u64))
            }
            Kind::Rate(seconds) => {
                let unit = match seconds {
                    60 => "m",
                    3600 => "h",
                    _ => "s",
                };
                format!("{}/{unit}", three_digits(size * f64::from(seconds)))
            }
            Kind::Share => format!("{}%", three_digits(size * 100.0)),
        };
        Self::of(&text)
    }

    fn is_whole(&self) -> bool {
        self.kind == Some(Kind::Number) && !self.text.contains('.')
    }
}

/// To three significant digits, or all of what stands before the point.
fn three_digits(value: f64) -> f64 {
    let mut unit = 1.0;
    while value.abs() >= 1000.0 * unit && unit < 1e15 {
        unit *= 10.0;
    }
    if value.abs() >= 100.0 {
        return (value / unit).round() * unit;
    }
    let mut parts = 1.0;
    while value.abs() * parts < 100.0 && parts < 1e12 && value.abs() > 0.0 {
        parts *= 10.0;
    }
    (value * parts).round() / parts
}

/// How distances between such values are measured: by ratio where all have a size above zero.
pub(super) fn scale_of(values: &[Quantity]) -> AxisScale {
    if values.iter().any(|value| value.kind.is_none()) {
        AxisScale::Words
    } else if values.iter().all(|value| value.size > 0.0) {
        AxisScale::Log
    } else {
        AxisScale::Linear
    }
}

/// The values of a range.
pub(super) fn spread(
    (from, to, how): (&str, &str, Option<&str>),
    points: usize,
) -> Result<(Vec<Quantity>, AxisScale), String> {
    let (first, last) = (Quantity::of(from), Quantity::of(to));
    let (Some(kind), true) = (first.kind, first.is_like(&last)) else {
        return Err("both ends of a range are of one kind, such as `1s..30s` or `64..2048`".to_owned());
    };
    let (low, high) = (first.size, last.size);
    if low >= high {
        return Err(format!("a range goes up; write `{to}..{from}`"));
    }
    let step = how.map(Quantity::of).filter(|step| step.size > 0.0 && step.is_like(&first));
    let scale = match (how, &step) {
        (None | Some("log"), _) if low > 0.0 => AxisScale::Log,
        (Some("log"), _) => {
            return Err(format!(
                "nothing is a multiple of zero; write `{from}..{to}:linear`, or begin above it"
            ));
        }
        (None | Some("linear"), _) | (_, Some(_)) => AxisScale::Linear,
        (Some(_), None) => {
            return Err(
                "after the colon of a range stands `log`, `linear` or a step such as `1s` or `10`".to_owned()
            );
        }
    };
    let sizes: Vec<f64> = if let Some(step) = step {
        // A step that divides the range ends on its last value, whatever adding up leaves.
        let steps = ((high - low) / step.size + 1e-9).floor();
        if steps >= MOST_VALUES as f64 {
            return Err(format!("a range has at most {MOST_VALUES} values; take a longer step"));
        }
        (0..=steps as usize).map(|n| low + n as f64 * step.size).collect()
    } else {
        let last = points.max(2) - 1;
        let share = |n: usize| n as f64 / last as f64;
        let size = |n: usize| match scale {
            _ if n == last => high,
            AxisScale::Log => low * libm::pow(high / low, share(n)),
            _ => low + (high - low) * share(n),
        };
        (0..=last).map(size).collect()
    };
    let whole = first.is_whole() && last.is_whole();
    let mut values: Vec<Quantity> = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        // The ends are as they were written.
        let value = match place {
            0 => first.clone(),
            _ if (size - high).abs() <= 1e-12 * high => last.clone(),
            _ => Quantity::written(kind, *size, whole),
        };
        if values.last().is_none_or(|before| before.size < value.size) {
            values.push(value);
        }
    }
    Ok((values, scale))
}
