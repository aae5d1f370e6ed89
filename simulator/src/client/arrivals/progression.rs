//! Evenly spaced times in whole nanoseconds, without drift.

/// The times `from + ⌊k · span / parts⌋`, k = 0, 1, 2, …, one after the other.
///
/// Dividing afresh for each k is exact, but takes 128 bits; adding a rounded gap is fast, but drifts. This
/// adds the whole part of the gap and carries the rest, as one draws a straight line in pixels (Bresenham,
/// 1965): exact, and a few additions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progression {
    at: u64,
    step: u64,
    /// What `step` leaves out, in `parts`-ths of a nanosecond.
    rest: u64,
    /// What has been left out so far, in `parts`-ths of a nanosecond, less than one of them.
    carry: u64,
    parts: u64,
}

impl Progression {
    /// A progression that crosses `span` nanoseconds in `parts` steps; `parts` is not zero.
    pub(super) const fn new(from: u64, span: u64, parts: u64) -> Self {
        Self { at: from, step: span / parts, rest: span % parts, carry: 0, parts }
    }

    /// The time it stands at.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Goes on to the next time, and stays at `u64::MAX` where that would be later.
    pub(super) const fn advance(&mut self) {
        let room = self.parts - self.rest;
        let whole = self.carry >= room;
        self.carry = if whole { self.carry - room } else { self.carry + self.rest };
        self.at = self.at.saturating_add(self.step).saturating_add(whole as u64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_the_division_done_afresh(from in 0..u64::MAX / 2, span: u64, parts in 1_u64..) {
            let mut progression = Progression::new(from, span, parts);
            for k in 0..1000_u128 {
                let exact = u128::from(from) + k * u128::from(span) / u128::from(parts);
                prop_assert_eq!(u128::from(progression.at()), exact.min(u128::from(u64::MAX)));
                progression.advance();
            }
        }
    }
}
