//! When each circuit breaker opened, tested and closed, as a table of its changes.

use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::{BreakerChangeResult, BreakerResult};
use crate::tell::breaker_cause::causes;
use crate::words::format::{self, Clock};
use crate::words::text;

/// A breaker that flaps changes hundreds of times; the first so many changes of each are shown.
const SHOWN: usize = 40;

/// The breakers of one variant, each with its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BreakerGroup {
    pub(crate) variant: String,
    pub(crate) breakers: Vec<Breaker>,
}

/// One breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breaker {
    pub(crate) name: String,
    pub(crate) changes: Vec<Change>,
    /// How many more there were.
    pub(crate) left_out: Option<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Time of day.
    pub(crate) at: String,
    /// Time since the first fault, where something failed and it has begun.
    pub(crate) after_fault: Option<String>,
    pub(crate) to: String,
    /// Why.
    pub(crate) because: String,
}

/// Of the variants under which a breaker changed, in the run of the first seed.
pub(crate) fn breaker_changes(result: &ExperimentResult) -> Vec<BreakerGroup> {
    let clock = result.scenario.clock();
    result.variants.iter().filter_map(|variant| group(variant, clock)).collect()
}

fn group(variant: &VariantResult, clock: Clock) -> Option<BreakerGroup> {
    let run = variant.runs.first()?;
    let first_fault_us = run.harm.as_ref().map(|harm| harm.first_fault_us);
    let change = |(change, because): (&BreakerChangeResult, String)| Change {
        at: clock.at_us(change.at_us),
        after_fault: first_fault_us
            .and_then(|fault_us| change.at_us.checked_sub(fault_us))
            .map(format::latency_us),
        to: text::name(&change.to),
        because,
    };
    let breaker = |breaker: &BreakerResult| Breaker {
        name: text::name(&breaker.name),
        changes: breaker.changes.iter().zip(causes(&breaker.changes)).take(SHOWN).map(change).collect(),
        left_out: match breaker.changes.len().saturating_sub(SHOWN) {
            0 => None,
            more => Some(format::count(more as u64)),
        },
    };
    let changed = run.breakers.iter().filter(|breaker| !breaker.changes.is_empty());
    let breakers: Vec<Breaker> = changed.map(breaker).collect();
    (!breakers.is_empty()).then(|| BreakerGroup { variant: text::name(&variant.name), breakers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn changes_stand_on_the_clock_and_count_from_the_first_fault() {
        let groups = breaker_changes(&testing::incident());
        let variants: Vec<&str> = groups.iter().map(|group| group.variant.as_str()).collect();
        assert_eq!(variants, ["breaker", "recommended"]);
        assert_eq!(
            groups[0].breakers[0].changes[0],
            Change {
                at: "09:00:36".to_owned(),
                after_fault: Some("6.06 s".to_owned()),
                to: "open".to_owned(),
                because: "2,965 of 5,929 failed: 2,372 timeouts and 593 error answers".to_owned(),
            }
        );
    }

    #[test]
    fn of_a_breaker_that_flaps_the_first_changes_are_shown() {
        let mut result = testing::incident();
        let changes = &mut result.variants[2].runs[0].breakers[0].changes;
        *changes = vec![changes.clone(); 1000].concat();
        let breaker = &breaker_changes(&result)[0].breakers[0];
        assert_eq!((breaker.changes.len(), breaker.left_out.as_deref()), (SHOWN, Some("1,960")));
    }

    #[test]
    fn before_the_first_fault_nothing_counts_from_it() {
        let mut result = testing::incident();
        result.variants[2].runs[0].breakers[0].changes[0].at_us = 1;
        assert_eq!(breaker_changes(&result)[0].breakers[0].changes[0].after_fault, None);
    }
}
