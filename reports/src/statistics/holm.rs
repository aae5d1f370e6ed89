//! Holm's correction of several tests.

/// Holm's step-down correction (*A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian Journal of
/// Statistics 6, 1979): p values, each raised so that the chance of calling even one thing different that is not stays
/// below the level they are compared with, however the measures hang together.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*one].total_cmp(&p_values[*other]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        let left = p_values.len() - rank;
        largest = largest.max((p_values[place] * left as f64).min(1.0));
        adjusted[place] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn values_are_raised_by_how_many_are_left() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (ours, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((ours - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
