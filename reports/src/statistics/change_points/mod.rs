//! Where a series changes its level: E-divisive with Student's t-test.
//!
//! E-divisive means (Matteson & James, *A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data*, Journal
//! of the American Statistical Association 109, 2014) divides a series where the two sides are furthest apart, and then each part
//! again. The form here is that of Hunter, now Apache Otava (Fleming et al., *Hunter: Using Change Point Detection to Hunt for
//! Performance Regressions*, ICPE 2023): windows keep old changes from hiding new ones, a t-test in place of permutations gives
//! the same points every time, and a second pass removes the points that are not sure enough.
//!
//! The indices are those of Apache Otava, so that two tools that read the same history tell the same of it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::statistics::interval::{mean, squares};
use crate::statistics::student::two_sided_p;

/// Values that are divided at a time; the next window begins half of it, or a change point, further. Otava's default.
const WINDOW: usize = 50;

/// How likely a change point is at most where there is none. Otava's default.
const P: f64 = 0.001;

/// The same while candidates are gathered: a point in a window has fewer neighbours than it has in the end. Otava's default.
const CANDIDATE_P: f64 = 0.01;

/// Of a longer series the last values are looked at: the time is bounded.
const LONGEST: usize = 10_000;

/// The first value on a new level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChangePoint {
    /// Its place in the series, from 1 on.
    pub(crate) at: usize,
    /// The mean from the change point before, or the start.
    pub(crate) before: f64,
    /// The mean up to the next change point, or the end.
    pub(crate) after: f64,
}

/// The change points of a series, in its order. Values that are no finite numbers are skipped; of more than 10,000 others, the
/// last 10,000 are looked at.
pub(crate) fn change_points(values: &[f64]) -> Vec<ChangePoint> {
    let places: Vec<usize> = (0..values.len()).filter(|place| values[*place].is_finite()).collect();
    let places = &places[places.len().saturating_sub(LONGEST)..];
    let series: Vec<f64> = places.iter().map(|place| values[*place]).collect();
    let points = sure(&series, &candidates(&series));
    let sides = (0..points.len()).map(|number| {
        let [before, after] = sides(&points, number, series.len());
        let mean = |part: Range<usize>| mean(&series[part]).unwrap_or_default();
        ChangePoint { at: places[points[number]], before: mean(before), after: mean(after) }
    });
    sides.collect()
}

/// Those of each window, in order.
fn candidates(series: &[f64]) -> Vec<usize> {
    let mut points = BTreeSet::new();
    let mut start = 0;
    while start < series.len() {
        let window = &series[start..series.len().min(start + WINDOW)];
        let found = divided(window);
        points.extend(found.iter().map(|point| start + point));
        start += found.last().copied().unwrap_or(0).max(WINDOW / 2);
    }
    points.into_iter().collect()
}

/// Divides a window where two sides are furthest apart, as long as their difference is more than luck.
fn divided(window: &[f64]) -> Vec<usize> {
    let mut points: Vec<usize> = Vec::new();
    loop {
        let ends = || points.iter().copied().chain([window.len()]);
        let parts = [0].into_iter().chain(points.iter().copied()).zip(ends());
        // The first of those that are equally far apart.
        let mut furthest: Option<(f64, usize, Range<usize>)> = None;
        for (from, to) in parts {
            if let Some((apart, at)) = furthest_apart(&window[from..to])
                && furthest.as_ref().is_none_or(|(most, ..)| apart > *most)
            {
                furthest = Some((apart, from + at, from..to));
            }
        }
        let Some((_, at, part)) = furthest else { return points };
        if p_of(&window[part.start..at], &window[at..part.end]) > CANDIDATE_P {
            return points;
        }
        points.insert(points.partition_point(|point| *point < at), at);
    }
}

/// Where to divide so that the part before and one after, up to the end or not, are furthest apart, and how far that is: the
/// statistic of Matteson & James with distances to the power of 1. `None` of fewer than two values.
fn furthest_apart(part: &[f64]) -> Option<(f64, usize)> {
    let count = part.len();
    // By value: its distances to the first so many before it, added up.
    let distances: Vec<Vec<f64>> = (0..count)
        .map(|later| {
            let sum = |sum: &mut f64, earlier: usize| {
                *sum += (part[later] - part[earlier]).abs();
                Some(*sum)
            };
            [0.0].into_iter().chain((0..later).scan(0.0, sum)).collect()
        })
        .collect();
    let mut furthest: Option<(f64, usize)> = None;
    let mut within_left = 0.0;
    for at in 1..count {
        within_left += distances[at - 1][at - 1];
        let (mut between, mut within_right) = (0.0, 0.0);
        for end in at + 1..=count {
            let to_earlier = &distances[end - 1];
            between += to_earlier[at];
            within_right += to_earlier[end - 1] - to_earlier[at];
            let (left, right) = (at as f64, (end - at) as f64);
            // The mean of the distances between the sides counts twice, and each side's own is taken off; of one value that is 0.
            let own = |sum: f64, size: f64| if size > 1.0 { sum / (size - 1.0) } else { 0.0 };
            let apart = (between - right * own(within_left, left) - left * own(within_right, right)) * 2.0
                / (left + right);
            if furthest.is_none_or(|(most, _)| apart > most) {
                furthest = Some((apart, at));
            }
        }
    }
    furthest
}

/// The candidates without those that are not sure enough, the least sure removed first.
fn sure(series: &[f64], candidates: &[usize]) -> Vec<usize> {
    let mut points = candidates.to_vec();
    let p_at = |points: &[usize], number: usize| {
        let [before, after] = sides(points, number, series.len());
        p_of(&series[before], &series[after])
    };
    let mut p_values: Vec<f64> = (0..points.len()).map(|number| p_at(&points, number)).collect();
    loop {
        // The first of several that are as likely.
        let mut least_sure: Option<usize> = None;
        for (number, p) in p_values.iter().enumerate() {
            if *p >= P && least_sure.is_none_or(|least| *p > p_values[least]) {
                least_sure = Some(number);
            }
        }
        let Some(number) = least_sure else { return points };
        points.remove(number);
        p_values.remove(number);
        // As Otava does: the two points after the removed one are tested anew, the one before keeps its test.
        for number in (number..points.len()).take(2) {
            p_values[number] = p_at(&points, number);
        }
    }
}

/// The parts before and after a change point, up to its neighbours.
fn sides(points: &[usize], number: usize, length: usize) -> [Range<usize>; 2] {
    let at = points[number];
    let before = if number == 0 { 0 } else { points[number - 1] };
    [before..at, at..points.get(number + 1).copied().unwrap_or(length)]
}

/// How likely so large a difference of means is where there is none, by Student's t-test with a common variance (NIST/SEMATECH
/// e-Handbook, 1.3.5.3 *Two-sample t-test for equal means*). As in Otava, a side's variance is its sum of squares divided by its
/// number of values. Of two values, and of means that are equal: 1.
fn p_of(left: &[f64], right: &[f64]) -> f64 {
    let Some(first) = left.first() else { return 1.0 };
    // Counted from one of them: the mean of equal values is then exactly theirs, and rounding no difference.
    let [left, right] =
        [left, right].map(|side| side.iter().map(|value| value - first).collect::<Vec<f64>>());
    let (Some(of_left), Some(of_right)) = (mean(&left), mean(&right)) else { return 1.0 };
    let (n, m) = (left.len() as f64, right.len() as f64);
    let (freedom, apart) = (n + m - 2.0, (of_left - of_right).abs());
    if freedom < 1.0 || apart <= 0.0 {
        return 1.0;
    }
    let sum = squares(&left, of_left) * (n - 1.0) / n + squares(&right, of_right) * (m - 1.0) / m;
    let t = apart / (sum / freedom * (1.0 / n + 1.0 / m)).sqrt();
    // Of numbers so large that their sums are infinite.
    if t.is_nan() { 1.0 } else { two_sided_p(t, freedom) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// What `with_otava.py` made.
    #[derive(Deserialize)]
    struct Otava {
        series: Vec<Series>,
    }

    #[derive(Deserialize)]
    struct Series {
        name: String,
        values: Vec<f64>,
        change_points: Vec<usize>,
    }

    fn places(values: &[f64]) -> Vec<usize> {
        change_points(values).iter().map(|point| point.at).collect()
    }

    #[test]
    fn change_points_are_those_of_apache_otava() {
        let otava: Otava = serde_json::from_str(include_str!("otava.json")).unwrap();
        assert!(otava.series.len() >= 10);
        for Series { name, values, change_points } in otava.series {
            assert_eq!(places(&values), change_points, "{name}");
        }
    }

    #[test]
    fn a_change_point_tells_the_means_of_its_sides() {
        let step = [[10.0; 12], [14.0; 12], [2.0; 12]].concat();
        let wanted =
            [(12, 10.0, 14.0), (24, 14.0, 2.0)].map(|(at, before, after)| ChangePoint { at, before, after });
        assert_eq!(change_points(&step), wanted);
    }

    #[test]
    fn what_is_no_number_is_skipped_and_places_stay() {
        let mut step = [[10.0; 12], [14.0; 12]].concat();
        step.insert(3, f64::NAN);
        step.insert(15, f64::INFINITY);
        assert_eq!(places(&step), [13]);
        for few in [&[][..], &[1.0], &[1.0, 9.0], &[f64::NAN; 80], &[f64::NEG_INFINITY; 3]] {
            assert!(places(few).is_empty(), "{few:?}");
        }
    }

    #[test]
    fn of_a_long_series_the_end_is_looked_at() {
        let mut series = vec![1.0; 100];
        series.extend(vec![5.0; LONGEST - 100]);
        assert_eq!(places(&series), [100]);
        series.extend([5.0; 100]);
        assert!(places(&series).is_empty());
        series.extend([7.0; 30]);
        assert_eq!(places(&series), [LONGEST + 100]);
    }

    proptest! {
        #[test]
        fn any_numbers_have_change_points_inside_and_in_order(
            values in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0, Just(1.0)], 0..130)
        ) {
            let found = places(&values);
            prop_assert!(found.iter().all(|at| (1..values.len()).contains(at) && values[*at].is_finite()));
            prop_assert!(found.is_sorted_by(|one, other| one < other));
        }
    }
}
