//! What went wrong, and when.

use crate::draw::canvas::{ChartError, Ink};
use crate::draw::lane::{Lane, Mark, lane};
use crate::result::run::{FaultResult, RunResult};
use crate::words::{format, text};
use crate::write::html::timelines::{Group, Point, Reading, Row, Scene};

/// From when to when something failed, seconds from the start; of a result that does not tell them apart, all together.
pub(super) fn spans(run: &RunResult) -> Vec<(f64, f64)> {
    let seconds = |us: u64| us as f64 / 1e6;
    if run.faults.is_empty() {
        let all = run.harm.iter().map(|harm| (seconds(harm.first_fault_us), seconds(harm.last_fault_end_us)));
        return all.collect();
    }
    let mut spans: Vec<(f64, f64)> =
        run.faults.iter().map(|fault| (seconds(fault.from_us), seconds(fault.to_us))).collect();
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    // One band where several overlap: two shades would read as two strengths.
    let mut apart: Vec<(f64, f64)> = Vec::new();
    for (from, to) in spans {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    apart
}

/// A row for each fault, with the variants in which it occurs where that is not all of them.
pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let mut faults: Vec<(&FaultResult, Vec<&str>)> = Vec::new();
    for (name, run) in &scene.runs {
        for fault in &run.faults {
            match faults.iter_mut().find(|(known, _)| *known == fault) {
                Some((_, variants)) => variants.push(name),
                None => faults.push((fault, vec![name])),
            }
        }
    }
    if faults.is_empty() {
        return Ok(None);
    }
    let rows = faults.iter().map(|(fault, variants)| {
        let note = (variants.len() < scene.runs.len()).then(|| {
            let names: Vec<String> = variants.iter().map(|name| (*name).to_owned()).collect();
            format!("under {}", text::list_some(&names, 3))
        });
        row(scene, fault, note)
    });
    Ok(Some(Group {
        id: "timeline-faults".to_owned(),
        title: "What went wrong".to_owned(),
        lead: String::new(),
        keys: Vec::new(),
        rows: rows.collect::<Result<_, _>>()?,
        folded: false,
    }))
}

fn row(scene: &Scene, fault: &FaultResult, note: Option<String>) -> Result<Row, ChartError> {
    let upstreams: Vec<String> = fault.upstreams.iter().map(|name| text::name(name)).collect();
    let hosts = fault.hosts.as_deref().map(text::hosts).unwrap_or_default();
    let name = format!("{} on {}{hosts}", text::name(&fault.kind), text::list(&upstreams));
    let [from, to] = [fault.from_us, fault.to_us].map(|us| us as f64 / 1e6);
    let whole = (fault.fraction >= 1.0).then(String::new);
    let share = whole.unwrap_or_else(|| format!(", {} of attempts", format::share(fault.fraction)));
    let when = format!("{}–{}{share}", scene.clock.at_s(from), scene.clock.at_s(to));
    let svg = lane(&Lane {
        description: &format!("{name}: {when}"),
        seconds: scene.seconds,
        low: 0.0,
        high: 1.0,
        height: 20,
        bands: &[],
        marks: vec![Mark::Block(Ink::Open, [(from, 1.0), (to, 0.0)])],
    })?;
    let points: Vec<Point> = Vec::new();
    let is_on = (0..scene.seconds as u64).map(|second| {
        let second = second as f64;
        if second + 1.0 > from && second < to { "on" } else { "off" }.to_owned()
    });
    let readings = vec![Reading::of("", when, 1, is_on)];
    Ok(Row { name, note, variants: None, size: "thin", scale: Vec::new(), svg, points, readings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn faults_that_overlap_are_one_band() {
        let run = testing::incident().variants[0].runs[0].clone();
        assert_eq!(spans(&run), [(30.0, 60.0)]);
        let mut apart = run.clone();
        apart.faults[1].from_us = 70_000_000;
        apart.faults[1].to_us = 80_000_000;
        assert_eq!(spans(&apart), [(30.0, 60.0), (70.0, 80.0)]);
    }

    #[test]
    fn what_does_not_tell_faults_apart_has_one_band_from_the_first_to_the_last() {
        let mut run = testing::incident().variants[0].runs[0].clone();
        run.faults.clear();
        assert_eq!(spans(&run), [(30.0, 60.0)]);
        run.harm = None;
        assert!(spans(&run).is_empty());
    }
}
