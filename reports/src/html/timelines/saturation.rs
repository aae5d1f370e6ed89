//! How much of their limit the buckets had in use that turned somebody away.

use super::{Group, Reading, Row, Scene, key};
use crate::{
    LimitResult, RunResult,
    chart::{ChartError, Ink, Mark, Step},
    format, text,
};

/// A row for each bucket that is told by name, and one for the rest.
pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let mut rows = Vec::new();
    for (name, run) in &scene.runs {
        for limit in &run.limits {
            let Some(saturation) = &limit.saturation else { continue };
            let step_s = saturation.column_s;
            for bucket in &saturation.buckets {
                let who = text::name(&bucket.name);
                rows.push(row(scene, name, run, limit, &who, bucket.rejected, &bucket.percent, step_s)?);
            }
            if let Some(others) = &saturation.others {
                let who = format!("{} others, mean", format::count(others.buckets));
                rows.push(row(scene, name, run, limit, &who, others.rejected, &others.mean_percent, step_s)?);
            }
        }
    }
    Ok((!rows.is_empty()).then(|| Group {
        id: "saturation".to_owned(),
        title: "Rate-limit saturation".to_owned(),
        lead: "How much of its limit (of its burst, where it has one) a bucket had in use, of those that rejected anything, from \
               their first rejection on and whenever somebody asked. The ten of each limit that rejected most, and the others of \
               the first thousand together."
            .to_owned(),
        keys: vec![key(Ink::Saturation, "in use, full height at 100%")],
        rows,
        folded: false,
    }))
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
    let readings = vec![Reading::of(
        "",
        format!("rejected {}", format::count(rejected)),
        u64::from(step_s),
        percent.iter().map(|percent| format!("{percent}% in use")),
    )];
    Ok(Row {
        name: variant.to_owned(),
        note: Some(format!("{} {who}", text::name(&limit.scope))),
        size: "strip",
        scale: Vec::new(),
        svg: scene.bare_lane(run, (0.0, 100.0), 40, &description, marks)?,
        points: Vec::new(),
        readings,
    })
}
