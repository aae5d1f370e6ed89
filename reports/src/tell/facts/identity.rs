//! Who came to an application without being anybody.

use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::run::RunResult;
use crate::tell::facts::{descending, listed, per_variant, plain_names, short, told};
use crate::words::format;

/// When an application asks for an identity and attempts without a valid one came to it under any variant: how many, and
/// to which applications under the variant with the most.
pub(super) fn who_came_without_one(result: &ExperimentResult) -> Option<String> {
    let values = per_variant(result, |run| run.unauthorized().map(|count| count as f64));
    let groups = descending(&values);
    let (first, rest) = groups.split_first()?;
    if first.value == 0.0 {
        return None;
    }
    let count = |value: f64| match value {
        0.0 => "none".to_owned(),
        value => format::count(value.round() as u64),
    };
    let by_application = first.variants.first().map(|variant| where_to(variant)).unwrap_or_default();
    let mut parts = vec![format!("{}{by_application} under {}", count(first.value), plain_names(first))];
    parts.extend(
        told(rest).iter().map(|group| format!("{} under {}", count(group.value), plain_names(group))),
    );
    Some(format!("Requests without a valid identity came to an application: {}.", listed(parts, &groups)))
}

/// ` (all of them to orders)`, in the run of the first seed; nothing where they came to several.
fn where_to(variant: &VariantResult) -> String {
    let reached = |run: &RunResult| {
        let upstreams = run.upstream_attempts.iter();
        let reached = upstreams.filter(|upstream| upstream.unauthorized.is_some_and(|count| count > 0));
        reached.map(|upstream| short(&upstream.upstream)).collect::<Vec<_>>()
    };
    match variant.runs.first().map(reached).as_deref() {
        Some([only]) => format!(" (all of them to {only})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::window_boundary;

    #[test]
    fn it_is_told_only_where_somebody_came_through() {
        let mut result = window_boundary();
        assert_eq!(who_came_without_one(&result), None);
        let mut counts = [Some(0); 2];
        let mut set = |counts: [Option<u64>; 2]| {
            for (variant, count) in result.variants.iter_mut().zip(counts) {
                variant.runs[0].upstream_attempts[0].unauthorized = count;
            }
            who_came_without_one(&result)
        };
        assert_eq!(set(counts), None);
        counts[1] = Some(1_234);
        let told = set(counts).unwrap_or_default();
        assert_eq!(
            told,
            "Requests without a valid identity came to an application: 1,234 (all of them to orders) under \
             token-bucket and none under fixed-window."
        );
    }
}
