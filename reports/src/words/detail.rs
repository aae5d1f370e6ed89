//! What is left out of a page or a table that nobody could open: a world of four hundred services under sixteen variants has
//! thousands of lanes and millions of numbers over time.

/// How much is written of a large world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// As much as a browser opens at once, and tables of about a hundred megabytes; of a world of common size, all. What is left
    /// out is said.
    Fitted,
    /// All.
    Full,
}

impl Detail {
    /// The places of those to be shown, in their order: at most so many, the weightiest of them, and of equals the first.
    pub(crate) fn keep(self, most: usize, weights: &[f64]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..weights.len()).collect();
        if self == Self::Fitted && places.len() > most {
            places.sort_by(|one, other| weights[*other].total_cmp(&weights[*one]));
            places.truncate(most);
            places.sort_unstable();
        }
        places
    }
}

/// How whoever runs the command comes by all.
pub(crate) const IN_FULL: &str = "`--full` has all of them";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightiest_are_kept_in_their_order() {
        let weights = [1.0, 5.0, 0.0, 5.0, 2.0];
        assert_eq!(Detail::Fitted.keep(2, &weights), [1, 3]);
        assert_eq!(Detail::Fitted.keep(3, &weights), [1, 3, 4]);
        assert_eq!(Detail::Fitted.keep(5, &weights), [0, 1, 2, 3, 4]);
        assert_eq!(Detail::Full.keep(2, &weights), [0, 1, 2, 3, 4]);
    }
}
