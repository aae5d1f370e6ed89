//! What a dashboard shows, from two looks at the metrics.

use std::collections::BTreeMap;

use gateway::telemetry::Sample;

use super::dashboard::{Line, Series, Value};

/// The metrics at two instants.
#[derive(Clone, Copy)]
pub(super) struct Looks<'s> {
    pub(super) before: &'s [Sample],
    pub(super) now: &'s [Sample],
    /// Between them.
    pub(super) seconds: f64,
}

/// The values of the labels by which there are several, in the order of the description.
type Key = Vec<String>;

impl Looks<'_> {
    /// What a line shows: its name for each value of its labels, and how much.
    pub(super) fn line(&self, line: &Line) -> Vec<(String, f64)> {
        let named = |(key, value): (Key, f64)| {
            let mut name = key;
            name.extend((!line.name.is_empty()).then(|| line.name.to_owned()));
            (name.join(" "), value)
        };
        self.value(&line.value).into_iter().map(named).collect()
    }

    pub(super) fn value(&self, value: &Value) -> BTreeMap<Key, f64> {
        match value {
            Value::Level { of, by } => sums(self.now, of, by),
            Value::Highest { of, by } => fold(self.now, of.metric, of.only, by, f64::max),
            Value::Rate { of, by } => self.grown(of, by, |grown| grown / self.seconds),
            Value::Share { part, whole, by } => {
                let parts = self.grown(part, by, |grown| grown);
                let wholes =
                    self.grown(whole, by, |grown| grown).into_iter().filter(|(_, whole)| *whole > 0.0);
                wholes
                    .map(|(key, whole)| {
                        let part = parts.get(&key).copied().unwrap_or(0.0);
                        (key, part / whole)
                    })
                    .collect()
            }
            Value::Quantile { quantile, of, by } => self.quantiles(*quantile, of, by),
        }
    }

    /// What counters grew by.
    fn grown(&self, of: &Series, by: &[&str], then: impl Fn(f64) -> f64) -> BTreeMap<Key, f64> {
        let before = sums(self.before, of, by);
        let now = sums(self.now, of, by).into_iter();
        now.map(|(key, value)| {
            let grown = value - before.get(&key).copied().unwrap_or(0.0);
            (key, then(grown.max(0.0)))
        })
        .collect()
    }

    /// As Prometheus does it: linear within the bucket that holds the quantile, and the last bound beyond all of them.
    fn quantiles(&self, quantile: f64, of: &Series, by: &[&str]) -> BTreeMap<Key, f64> {
        let metric = format!("{}_bucket", of.metric);
        let mut by_bound = by.to_vec();
        by_bound.push("le");
        let (before, now) =
            [self.before, self.now].map(|samples| sums_of(samples, &metric, of.only, &by_bound)).into();
        let mut histograms: BTreeMap<Key, Vec<(f64, f64)>> = BTreeMap::new();
        for (mut key, value) in now {
            let grown = value - before.get(&key).copied().unwrap_or(0.0);
            let bound = key.pop().and_then(|bound| bound.replace("+Inf", "inf").parse().ok());
            histograms.entry(key).or_default().extend(bound.map(|bound: f64| (bound, grown)));
        }
        let found = histograms.into_iter().filter_map(|(key, mut buckets)| {
            buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            let count = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
            let rank = quantile * count;
            let place = buckets.iter().position(|(_, count)| *count >= rank)?;
            let (lower, below) = place.checked_sub(1).map_or((0.0, 0.0), |place| buckets[place]);
            let (upper, up_to) = buckets[place];
            let within = if up_to > below { (rank - below) / (up_to - below) } else { 1.0 };
            Some((key, if upper.is_finite() { lower + (upper - lower) * within } else { lower }))
        });
        found.collect()
    }
}

fn sums(samples: &[Sample], of: &Series, by: &[&str]) -> BTreeMap<Key, f64> {
    sums_of(samples, of.metric, of.only, by)
}

fn sums_of(samples: &[Sample], metric: &str, only: &[(&str, &str)], by: &[&str]) -> BTreeMap<Key, f64> {
    fold(samples, metric, only, by, |sum, value| sum + value)
}

/// Puts together the series of a metric that have these labels, by others.
fn fold(
    samples: &[Sample],
    metric: &str,
    only: &[(&str, &str)],
    by: &[&str],
    together: impl Fn(f64, f64) -> f64,
) -> BTreeMap<Key, f64> {
    let mut folded: BTreeMap<Key, f64> = BTreeMap::new();
    let fits = |sample: &&Sample| {
        sample.name == metric && only.iter().all(|(label, value)| sample.label(label) == Some(value))
    };
    for sample in samples.iter().filter(fits) {
        let key = by.iter().map(|label| sample.label(label).unwrap_or_default().to_owned()).collect();
        folded.entry(key).and_modify(|value| *value = together(*value, sample.value)).or_insert(sample.value);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sample { name: name.to_owned(), labels, value }
    }

    fn shown(looks: Looks<'_>, value: Value) -> Vec<(String, f64)> {
        looks.line(&Line { name: "x", value })
    }

    #[test]
    fn counters_are_shown_by_what_they_grew_and_by_label() {
        let count =
            |outcome, route, value| sample("requests", &[("outcome", outcome), ("route", route)], value);
        let before = [count("served", "/a", 10.0), count("shed", "/a", 5.0)];
        let now = [count("served", "/a", 25.0), count("served", "/b", 3.0), count("shed", "/a", 10.0)];
        let looks = Looks { before: &before, now: &now, seconds: 2.0 };
        let of = Series { metric: "requests", only: &[] };
        assert_eq!(
            shown(looks, Value::Rate { of, by: &["outcome"] }),
            [("served x".to_owned(), 9.0), ("shed x".to_owned(), 2.5)]
        );
        let part = Series { only: &[("outcome", "shed")], ..of };
        assert_eq!(
            shown(looks, Value::Share { part, whole: of, by: &["route"] }),
            [("/a x".to_owned(), 0.25), ("/b x".to_owned(), 0.0)]
        );
        let still = Looks { before: &now, ..looks };
        assert!(shown(still, Value::Share { part, whole: of, by: &["route"] }).is_empty());
        // One that was started anew begins at zero.
        let anew = Looks { before: &now, now: &before, seconds: 1.0 };
        assert_eq!(shown(anew, Value::Rate { of, by: &[] }), [("x".to_owned(), 0.0)]);
    }

    #[test]
    fn quantiles_are_those_of_what_came_meanwhile() {
        let bucket = |bound, value| sample("t_bucket", &[("le", bound)], value);
        let before = [bucket("1", 100.0), bucket("2", 100.0), bucket("+Inf", 100.0)];
        let now = [bucket("1", 101.0), bucket("2", 105.0), bucket("+Inf", 110.0)];
        let looks = Looks { before: &before, now: &now, seconds: 1.0 };
        let quantile = |quantile| {
            let of = Series { metric: "t", only: &[] };
            shown(looks, Value::Quantile { quantile, of, by: &[] })[0].1
        };
        assert!((quantile(0.1) - 1.0).abs() < 1e-9);
        assert!((quantile(0.3) - 1.5).abs() < 1e-9);
        assert!((quantile(0.99) - 2.0).abs() < 1e-9, "beyond the last bound, the last bound");
    }
}
