//! The variants of a page: which of them are one row or one column, and how an element says which it is of.

use crate::result::experiment::ExperimentResult;
use crate::tell::side_by_side::{SideBySide, alike};
use crate::words::text;

/// Variants that did just the same; mostly it is one.
pub(super) struct Alike {
    /// Their places in the file, the first of which stands for all.
    pub(super) places: Vec<usize>,
    /// The same as an element of the page has them.
    pub(super) numbers: String,
    pub(super) names: Vec<String>,
}

impl Alike {
    /// All variants, in the order of the file.
    pub(super) fn all(result: &ExperimentResult, comparison: &SideBySide) -> Vec<Self> {
        let group = |places: Vec<usize>| Self {
            numbers: numbers(&places),
            names: places.iter().map(|place| text::name(&result.variants[*place].name)).collect(),
            places,
        };
        alike(result, comparison).into_iter().map(group).collect()
    }

    /// The place of the variant that stands for all.
    pub(super) fn first(&self) -> usize {
        self.places.first().copied().unwrap_or(0)
    }

    /// What they all have, of one for each variant.
    pub(super) fn cell<'c, T>(&self, cells: &'c [Option<T>]) -> Option<&'c T> {
        cells.get(self.first())?.as_ref()
    }
}

/// The variants that an element is of, as its attribute `data-variants` has them: their places, with blanks between. Names are
/// data and stand in no attribute that the script reads.
pub(super) fn numbers(places: &[usize]) -> String {
    places.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn variants_that_did_just_the_same_are_one() {
        let mut result = testing::window_boundary();
        result.variants[3].runs = result.variants[1].runs.clone();
        let groups = Alike::all(&result, &SideBySide::of(&result));
        let told: Vec<_> =
            groups.iter().map(|group| format!("{}: {}", group.numbers, group.names.join(" = "))).collect();
        assert_eq!(
            told,
            ["0: fixed-window", "1 3: token-bucket = sliding-window-counter", "2: sliding-window-log"]
        );
        // What the table does not show parts them all the same.
        result.variants[3].runs[0].attempts += 1;
        assert_eq!(Alike::all(&result, &SideBySide::of(&result)).len(), 4);
    }
}
