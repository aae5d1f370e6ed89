//! How much of their limit the buckets had in use that turned somebody away.

use crate::draw::canvas::{ChartError, Ink, Step};
use crate::draw::lane::Mark;
use crate::result::run::{LimitResult, RunResult};
use crate::tell::bucket::bucket_label;
use crate::words::{format, text};
use crate::write::html::timelines::{Group, Reading, Row, ScaleTick, Scene, key};

/// A row for each bucket that is told by name, and one for the rest.
pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let mut rows = Vec::new();
    for (name, run) in &scene.runs {
        for limit in &run.limits {
            let Some(saturation) = &limit.saturation else { continue };
            let step_s = saturation.column_s;
            for bucket in &saturation.buckets {
                let who = bucket_label(run, bucket);
                rows.push(row(scene, name, run, limit, &who, bucket.rejected, &bucket.percent, step_s)?);
            }
            if let Some(others) = &saturation.others {
                let who = format!("{} others, mean", format::count(others.buckets));
                rows.push(row(scene, name, run, limit, &who, others.rejected, &others.mean_percent, step_s)?);
            }
        }
    }
    let limits = || scene.runs.iter().flat_map(|(_, run)| &run.limits);
    if rows.is_empty() && limits().any(|limit| limit.rejected > 0) {
        // An earlier version did not follow the buckets.
        return Ok(None);
    }
    let idle = idle(scene);
    let (lead, keys) = if rows.is_empty() {
        (idle.clone().unwrap_or_default(), Vec::new())
    } else {
        let followed = "How much of its limit (of its burst, where it has one) a bucket had in use, of those that rejected \
                        anything, from their first rejection on and whenever somebody asked. The ten of each limit that \
                        rejected most, and the others of the first thousand together.";
        let lead = [Some(followed), idle.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        (lead, vec![key(Ink::Saturation, "in use, full height at 100%")])
    };
    Ok((!rows.is_empty() || idle.is_some()).then(|| Group {
        id: "saturation".to_owned(),
        title: "Rate-limit saturation".to_owned(),
        lead,
        keys,
        rows,
        folded: false,
    }))
}

/// Says which limits turned nobody away, where there are any.
fn idle(scene: &Scene) -> Option<String> {
    let mut idle: Vec<(String, Vec<String>)> = Vec::new();
    for (name, run) in &scene.runs {
        for limit in run.limits.iter().filter(|limit| limit.rejected == 0) {
            let scope = text::name(&limit.scope);
            match idle.iter_mut().find(|(known, _)| *known == scope) {
                Some((_, variants)) => variants.push(name.clone()),
                None => idle.push((scope, vec![name.clone()])),
            }
        }
    }
    if idle.is_empty() {
        return None;
    }
    if scene.runs.iter().flat_map(|(_, run)| &run.limits).all(|limit| limit.rejected == 0) {
        let scopes: Vec<String> = idle.into_iter().map(|(scope, _)| scope).collect();
        return Some(format!("No limit turned anybody away under any variant ({}).", text::list(&scopes)));
    }
    let told = idle.iter().map(|(scope, variants)| format!("{scope} under {}", text::list_some(variants, 4)));
    Some(format!("Nobody was turned away by {}.", text::list(&told.collect::<Vec<_>>())))
}

#[expect(clippy::too_many_arguments, reason = "each is a part of one row")]
fn row(
    scene: &Scene,
    variant: &str,
    run: &RunResult,
    limit: &LimitResult,
    who: &str,
    rejected: u64,
    percent: &[u8],
    step_s: u32,
) -> Result<Row, ChartError> {
    let width = f64::from(step_s.max(1));
    let steps = percent.iter().enumerate().map(|(place, percent)| Step {
        from_s: place as f64 * width,
        to_s: (place as f64 + 1.0) * width,
        most: f64::from(*percent),
    });
    let steps: Vec<Step> = steps.collect();
    let full = steps.iter().filter(|step| step.most >= 100.0).count() as f64 * width;
    let description = format!(
        "{variant}, {} {who}: rejected {}; all of its limit was in use in {} of {}.",
        text::name(&limit.scope),
        format::count(rejected),
        format::span(full * 1e6),
        format::span(scene.seconds * 1e6)
    );
    let marks = vec![Mark::Area(Ink::Saturation, steps)];
    // A bucket is followed from its first rejection on, and with that it is full: before, nobody knows.
    let followed_from = percent.iter().position(|percent| *percent > 0).unwrap_or(percent.len());
    let shown = percent.iter().enumerate().map(|(column, percent)| {
        if column < followed_from { "–".to_owned() } else { format!("{percent}% in use") }
    });
    let readings =
        vec![Reading::of("", format!("rejected {}", format::count(rejected)), u64::from(step_s), shown)];
    Ok(Row {
        name: variant.to_owned(),
        note: Some(format!("{} {who}", text::name(&limit.scope))),
        variants: scene.variant_of(run),
        size: "strip",
        scale: vec![ScaleTick { bottom: "100".to_owned(), label: "100%".to_owned() }],
        svg: scene.bare_lane(run, (0.0, 100.0), 40, &description, marks)?,
        points: Vec::new(),
        readings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::experiment::ExperimentResult;
    use crate::testing;
    use crate::write::html::timelines;

    fn drawn(result: &ExperimentResult) -> Option<Group> {
        let groups =
            timelines::timelines(result, crate::words::detail::Detail::Full).unwrap().unwrap().groups;
        groups.into_iter().find(|group| group.id == "saturation")
    }

    #[test]
    fn before_its_first_rejection_nothing_is_known_of_a_bucket() {
        let group = drawn(&testing::window_boundary()).unwrap();
        let values: Vec<&str> = group.rows[0].readings[0].values.split('|').collect();
        // Followed from the 58th second to the end, and full for four of them.
        assert_eq!((values[0], values[57], values[58], values[61]), ("–", "", "100% in use", ""));
        assert_eq!((values[62], values[119]), ("0% in use", ""));
        assert!(
            group.lead.ends_with("Nobody was turned away by per_key under fixed-window."),
            "{}",
            group.lead
        );
    }

    #[test]
    fn where_no_limit_turned_anybody_away_that_is_said() {
        let mut result = testing::window_boundary();
        for variant in &mut result.variants {
            let limit = &mut variant.runs[0].limits[0];
            (limit.rejected, limit.saturation) = (0, None);
        }
        let group = drawn(&result).unwrap();
        assert!(group.rows.is_empty() && group.keys.is_empty());
        assert_eq!(group.lead, "No limit turned anybody away under any variant (per_key).");
        for variant in &mut result.variants {
            variant.runs[0].limits.clear();
        }
        assert!(drawn(&result).is_none());
    }
}
