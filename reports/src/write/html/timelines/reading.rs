//! The numbers beside a lane, at rest and at every instant.

use crate::words::format;

/// A number of a lane, at rest and at every instant.
pub(in crate::write::html) struct Reading {
    pub(in crate::write::html) label: &'static str,
    /// Shown while nobody points at an instant.
    pub(in crate::write::html) rest: String,
    /// How long a value stands, seconds.
    pub(in crate::write::html) step_s: u64,
    /// One after the other, apart by `|`; one that is like the one before it is empty.
    pub(in crate::write::html) values: String,
}

impl Reading {
    /// Of counts, one for each step.
    pub(super) fn of_counts(label: &'static str, unit: &str, values: &[u64], step_s: usize) -> Self {
        let range = values.iter().min().zip(values.iter().max());
        let rest = match range {
            None => "–".to_owned(),
            Some((least, most)) if least == most => format!("{}{unit}", format::count(*most)),
            Some((least, most)) => format!("{}–{}{unit}", format::count(*least), format::count(*most)),
        };
        let shown = values.iter().map(|value| format!("{}{unit}", format::count(*value)));
        Self { label, rest, step_s: step_s as u64, values: packed(shown) }
    }

    /// Of anything, as it is shown.
    pub(super) fn of(
        label: &'static str,
        rest: String,
        step_s: u64,
        shown: impl Iterator<Item = String>,
    ) -> Self {
        Self { label, rest, step_s: step_s.max(1), values: packed(shown) }
    }
}

/// The values in one string.
fn packed(shown: impl Iterator<Item = String>) -> String {
    let mut packed = String::new();
    let mut before: Option<String> = None;
    for value in shown {
        if before.is_some() {
            packed.push('|');
        }
        if before.as_ref() != Some(&value) {
            packed += &value;
        }
        before = Some(value);
    }
    packed
}

/// The largest value of every step.
pub(super) fn stepped(series: &[u64], step: usize) -> Vec<u64> {
    series.chunks(step.max(1)).map(|chunk| chunk.iter().copied().max().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_as_it_was_is_not_said_again() {
        let reading = Reading::of_counts("in use", "/s", &[0, 0, 1200, 1200, 7], 1);
        assert_eq!((reading.rest.as_str(), reading.values.as_str()), ("0–1,200/s", "0/s||1,200/s||7/s"));
        assert_eq!(Reading::of_counts("", "", &[], 1).rest, "–");
        assert_eq!(Reading::of_counts("", "", &[3, 3], 1).rest, "3");
    }

    #[test]
    fn a_step_has_its_highest_second() {
        assert_eq!(stepped(&[1, 9, 2, 3, 4], 2), [9, 3, 4]);
    }
}
