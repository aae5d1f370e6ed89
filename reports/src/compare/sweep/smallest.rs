//! The smallest change of settings under which everything holds that has to.

use crate::compare::sweep::result::{SmallestChange, SweepPoint, SweepResult};

/// Of the points at which all requirements are met, the one that changes the fewest settings of the file; of those, the one
/// nearest to what is in force now, as shares of the axes added up.
pub(super) fn smallest_change(result: &SweepResult) -> Option<SmallestChange> {
    if !result.is_judged() {
        return None;
    }
    let holding = result.points.iter().enumerate().filter(|(_, point)| point.holds());
    let measured = holding.map(|(place, point)| (place, change(result, point)));
    let nearest = measured.min_by(|(_, (one, one_off)), (_, (other, other_off))| {
        one.len().cmp(&other.len()).then(one_off.total_cmp(other_off))
    });
    nearest.map(|(point, (changed, _))| SmallestChange { point, changed })
}

/// The axes on which a point is not what the file has, and how far it is from what is in force on those.
pub(super) fn change(result: &SweepResult, point: &SweepPoint) -> (Vec<usize>, f64) {
    let (mut changed, mut distance) = (Vec::new(), 0.0);
    for (axis, (swept, place)) in result.axes.iter().zip(&point.places).enumerate() {
        let of_file = swept.values.iter().position(|value| value.is_of_file);
        if of_file != Some(*place) {
            changed.push(axis);
            distance += of_file.map_or(1.0, |of_file| swept.distance(of_file, *place));
        }
    }
    (changed, distance)
}
