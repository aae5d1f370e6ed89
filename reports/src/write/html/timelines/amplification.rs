//! How many attempts came to upstreams for each request that was offered.

use crate::draw::canvas::{Axis, ChartError, Ink, Step};
use crate::draw::lane::Mark;
use crate::result::run::RunResult;
use crate::words::format::Dimension;
use crate::write::html::timelines::load::sum;
use crate::write::html::timelines::{Group, Reading, Row, Scene, ends, key};

pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let told = scene.runs.iter().filter(|(_, run)| !run.upstream_attempts.is_empty());
    let series: Vec<(&str, &RunResult, Vec<Step>)> =
        told.map(|(name, run)| (name.as_str(), *run, steps(scene, run))).collect();
    if series.is_empty() {
        return Ok(None);
    }
    let top = series.iter().flat_map(|(.., steps)| steps).map(|step| step.most).fold(1.0, f64::max);
    let axis = Axis::from_zero(top);
    let rows = series.iter().map(|(name, run, steps)| row(scene, name, run, steps, &axis));
    Ok(Some(Group {
        id: "amplification".to_owned(),
        title: "Amplification".to_owned(),
        lead: "Attempts that reached an upstream in each second for each request offered in it, over all populations: calls \
               between services and retries make it more than 1, rejections less. Retries that come later count where they come."
            .to_owned(),
        keys: vec![key(Ink::Amplification, "attempts per request")],
        rows: rows.collect::<Result<_, _>>()?,
        folded: false,
    }))
}

/// By step, attempts over requests; nothing while nothing was offered.
fn steps(scene: &Scene, run: &RunResult) -> Vec<Step> {
    let attempts = sum(run.upstream_attempts.iter().map(|upstream| upstream.per_s.clone()));
    let offered = sum(run.populations.iter().map(|population| population.offered_per_s.clone()));
    let width = scene.step.max(1);
    let chunks = attempts.chunks(width).zip(offered.chunks(width)).enumerate();
    let step = |(place, (attempts, offered)): (usize, (&[u64], &[u64]))| {
        let [attempts, requests] = [attempts, offered].map(|counts| counts.iter().sum::<u64>() as f64);
        let from_s = (place * width) as f64;
        let most = if requests > 0.0 { attempts / requests } else { 0.0 };
        Step { from_s, to_s: from_s + offered.len() as f64, most }
    };
    chunks.map(step).collect()
}

fn row(scene: &Scene, name: &str, run: &RunResult, steps: &[Step], axis: &Axis) -> Result<Row, ChartError> {
    let most = steps.iter().copied().max_by(|one, other| one.most.total_cmp(&other.most));
    let description = most.map_or_else(
        || format!("{name}: nothing was offered."),
        |most| {
            format!(
                "{name}: {} attempts per request over the whole run, at most {} at {}.",
                Dimension::Ratio.show(run.amplification),
                Dimension::Ratio.show(most.most),
                scene.clock.at_s(most.from_s)
            )
        },
    );
    let marks = vec![
        Mark::Area(Ink::Amplification, steps.to_vec()),
        Mark::Line(Ink::Amplification, steps.to_vec()),
        Mark::Level(Ink::Workers, 1.0),
    ];
    let rest = format!("{} overall", Dimension::Ratio.show(run.amplification));
    let shown = steps.iter().map(|step| Dimension::Ratio.show(step.most));
    Ok(Row {
        name: name.to_owned(),
        note: None,
        variants: scene.variant_of(run),
        size: "medium",
        scale: ends(axis, " ×"),
        svg: scene.lane(run, axis, 90, &description, marks)?,
        points: Vec::new(),
        readings: vec![Reading::of("", rest, scene.step as u64, shown)],
    })
}
