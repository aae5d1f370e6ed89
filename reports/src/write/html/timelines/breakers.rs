//! What the circuit breakers were when, each with its changes and why.

use crate::draw::canvas::{ChartError, Ink};
use crate::draw::lane::Mark;
use crate::result::run::{BreakerResult, RunResult};
use crate::tell::breaker_cause;
use crate::words::detail::IN_FULL;
use crate::words::text;
use crate::write::html::timelines::{Group, MOST_LANES, Point, Reading, Row, Scene, key};

/// A breaker that flaps changes hundreds of times; so many of its changes can be asked why.
const POINTS: usize = 40;

/// A row for each breaker that changed.
pub(super) fn group(scene: &Scene) -> Result<Option<Group>, ChartError> {
    let changed = scene
        .runs
        .iter()
        .flat_map(|(name, run)| run.breakers.iter().map(move |breaker| (name, run, breaker)));
    let changed: Vec<_> = changed.filter(|(.., breaker)| !breaker.changes.is_empty()).collect();
    let weights: Vec<f64> = changed.iter().map(|(.., breaker)| breaker.changes.len() as f64).collect();
    let kept = scene.detail.keep(MOST_LANES, &weights);
    let rows = kept.iter().map(|place| {
        let (name, run, breaker) = changed[*place];
        row(scene, name, run, breaker)
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let left_out = if rows.len() < changed.len() {
        let (drawn, all) = (rows.len(), changed.len());
        format!(" Of {all}, the {drawn} that changed most often are drawn; {IN_FULL}.")
    } else {
        String::new()
    };
    Ok((!rows.is_empty()).then(|| Group {
        id: "breaker-states".to_owned(),
        title: "Circuit breakers".to_owned(),
        lead: format!(
            "The breakers that changed, all of them closed at the start. A dot is a change; point at it or move to it with the \
             tab key to read why{}.{left_out}",
            if scene.runs.iter().flat_map(|(_, run)| &run.breakers).any(|breaker| breaker.changes.len() > POINTS) {
                ", for the first 40 of a breaker"
            } else {
                ""
            }
        ),
        keys: vec![
            key(Ink::Closed, "closed (low)"),
            key(Ink::HalfOpen, "half-open (half)"),
            key(Ink::Open, "open (full)"),
        ],
        rows,
        folded: false,
    }))
}

fn row(scene: &Scene, variant: &str, run: &RunResult, breaker: &BreakerResult) -> Result<Row, ChartError> {
    let name = text::name(&breaker.name);
    let at = |us: u64| us as f64 / 1e6;
    let ends = breaker.changes.iter().map(|change| at(change.at_us)).chain([scene.seconds]);
    let states = std::iter::once((0.0, "closed"))
        .chain(breaker.changes.iter().map(|change| (at(change.at_us), change.to.as_str())));
    let spans: Vec<(f64, f64, &str)> =
        states.zip(ends).map(|((from, state), to)| (from, to, state)).collect();
    let block = |(from, to, state): &(f64, f64, &str)| {
        let (ink, height) = drawn_as(state);
        (from < to && *from < scene.seconds).then_some(Mark::Block(ink, [(*from, height), (*to, 0.0)]))
    };
    let marks = spans.iter().filter_map(block).collect();
    let opened = breaker.changes.iter().filter(|change| change.to == "open").count();
    let last = spans.last().map_or("closed", |(.., state)| state);
    let description = format!(
        "The breaker before {name} under {variant} opened {} and was {} at the end.",
        match opened {
            0 => "never".to_owned(),
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            times => format!("{times} times"),
        },
        text::name(last)
    );
    let causes = breaker_cause::causes(&breaker.changes).take(POINTS);
    let points = breaker.changes.iter().zip(causes).map(|(change, cause)| Point {
        left: scene.left(at(change.at_us)),
        leftwards: at(change.at_us) > scene.seconds / 2.0,
        told: format!("{} {}: {cause}", scene.clock.at_us(change.at_us), text::name(&change.to)),
        class: drawn_as(&change.to).0.class(),
    });
    // In whatever states it was during a second, the last of them is read out.
    let state_in = (0..scene.seconds as u64).map(|second| {
        let end = second as f64 + 1.0;
        let state = spans.iter().rfind(|(from, ..)| *from < end).map_or("closed", |(.., state)| state);
        text::name(state)
    });
    let open: f64 = spans
        .iter()
        .filter(|(.., state)| *state != "closed")
        .map(|(from, to, _)| to.min(scene.seconds) - from.min(scene.seconds))
        .sum();
    let rest = format!("not closed for {}", crate::words::format::latency(open.max(0.0) * 1e6));
    Ok(Row {
        name: variant.to_owned(),
        note: Some(name),
        variants: scene.variant_of(run),
        size: "strip",
        scale: Vec::new(),
        svg: scene.bare_lane(run, (0.0, 1.0), 40, &description, marks)?,
        points: points.collect(),
        readings: vec![Reading::of("", rest, 1, state_in)],
    })
}

/// The height says it as well as the colour.
fn drawn_as(state: &str) -> (Ink, f64) {
    match state {
        "open" => (Ink::Open, 1.0),
        "half-open" => (Ink::HalfOpen, 0.5),
        _ => (Ink::Closed, 0.12),
    }
}
