//! The series as they stand, for readers within this process.

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// One series as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric; of a histogram with `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Its labels, in the order of their names; `le` of a bucket comes last.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| &**value)
    }

    /// Every series of a metric.
    pub(super) fn of(family: &MetricFamily) -> Vec<Self> {
        let mut samples = Vec::new();
        for metric in family.get_metric() {
            let label = |pair: &LabelPair| (pair.name().to_owned(), pair.value().to_owned());
            let labels: Vec<_> = metric.get_label().iter().map(label).collect();
            let mut add = |ending: &str, value: f64, more: Option<(String, String)>| {
                let mut labels = labels.clone();
                labels.extend(more);
                samples.push(Self { name: format!("{}{ending}", family.name()), labels, value });
            };
            match family.get_field_type() {
                MetricType::COUNTER => add("", metric.get_counter().get_value(), None),
                MetricType::HISTOGRAM => {
                    let histogram = metric.get_histogram();
                    for bucket in histogram.get_bucket() {
                        let bound = ("le".to_owned(), bucket.upper_bound().to_string());
                        add("_bucket", bucket.cumulative_count() as f64, Some(bound));
                    }
                    let count = histogram.get_sample_count() as f64;
                    add("_bucket", count, Some(("le".to_owned(), "+Inf".to_owned())));
                    add("_sum", histogram.get_sample_sum(), None);
                    add("_count", count, None);
                }
                _ => add("", metric.get_gauge().get_value(), None),
            }
        }
        samples
    }
}
