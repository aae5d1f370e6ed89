//! Two sides, set against each other measure by measure.

use crate::compare::sides::requests::PairedRequests;
use crate::compare::sides::result::{
    COMPARISON_VERSION, ComparedSide, ComparisonResult, DifferenceVerdict, MeasureComparison, MeasuredSide,
    Method, SettingDifference, VariantComparison, side_letter,
};
use crate::measure::catalogue::GOODPUT;
use crate::measure::gauge::{self, Gauge};
use crate::measure::reading::Reading;
use crate::measure::unit::GaugeUnit;
use crate::result::experiment::{ExperimentResult, VariantResult};
use crate::result::praise::STRICT;
use crate::result::run::RunResult;
use crate::statistics::binomial::mcnemar_mid_p;
use crate::statistics::holm::holm;
use crate::statistics::interval::{Estimate, mean, paired, unpaired};
use crate::tell::differences::differences_of;
use crate::words::format::Dimension;
use crate::words::text;

/// A side of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Side<'r> {
    /// As the reader knows it: where a saved result is, or which scenario was run.
    pub label: &'r str,
    /// What was measured.
    pub result: &'r ExperimentResult,
}

/// A variant of the first side and one of another, by name, to be compared, with their requests where those are known one by one.
#[derive(Clone, Debug)]
pub struct Compared {
    /// A's variant.
    pub a: String,
    /// The other side's.
    pub b: String,
    /// Their requests, pair by pair.
    pub requests: Option<PairedRequests>,
    /// In what their worlds differ beside the configurations that are compared, such as `upstreams`; `None` where nobody can
    /// tell.
    pub worlds: Option<Vec<String>>,
}

/// Compares variants of two sides: B's, as differences from A's. `confidence`, above 0 and below 1, is that of the
/// intervals and of the verdicts.
///
/// A variant that a side does not have is left out.
pub fn compare(a: Side, b: Side, variants: Vec<Compared>, confidence: f64) -> ComparisonResult {
    compare_with_first(a, (b, variants), Vec::new(), confidence)
}

/// As [`compare`], of any number of sides, each with the variants of it that are compared with A's.
pub fn compare_with_first(
    a: Side,
    b: (Side, Vec<Compared>),
    further: Vec<(Side, Vec<Compared>)>,
    confidence: f64,
) -> ComparisonResult {
    let (mut pairs, mut reservations) = (Vec::new(), Vec::new());
    let has_several = !further.is_empty();
    let (of_b, of_further) = (side(b.0), further.iter().map(|(other, _)| side(*other)).collect());
    for (place, (other, variants)) in std::iter::once(b).chain(further).enumerate() {
        let told = compare_pair(a, other, place + 1, variants, confidence, &mut pairs);
        let whose = if has_several { format!("A and {}: ", side_letter(place + 1)) } else { String::new() };
        for reservation in told.into_iter().map(|told| format!("{whose}{told}")) {
            if !reservations.contains(&reservation) {
                reservations.push(reservation);
            }
        }
        let named = [(0, a), (place + 1, other)].into_iter().skip(usize::from(place > 0));
        for (place, side) in named {
            let of_side = crate::result::validity::reservations(side.result).into_iter();
            reservations.extend(of_side.map(|told| format!("{}: {told}", side_letter(place))));
        }
    }
    judge(&mut pairs, 1.0 - confidence);
    ComparisonResult {
        version: COMPARISON_VERSION,
        tuesday: env!("CARGO_PKG_VERSION").to_owned(),
        confidence,
        a: side(a),
        b: of_b,
        further: of_further,
        reservations,
        pairs,
    }
}

/// Adds the pairs of A and the side at that place, and returns what is to be kept in mind of them.
fn compare_pair(
    a: Side,
    b: Side,
    place: usize,
    variants: Vec<Compared>,
    confidence: f64,
    pairs: &mut Vec<VariantComparison>,
) -> Vec<String> {
    let mut reservations: Vec<String> = world_reservation(&variants).into_iter().collect();
    reservations.extend(side_reservations(a, b));
    for Compared { a: of_a, b: of_b, requests, .. } in variants {
        let find =
            |side: Side<'_>, name: &str| side.result.variants.iter().position(|variant| variant.name == name);
        let (Some(of_a), Some(of_b)) = (find(a, &of_a), find(b, &of_b)) else { continue };
        let (of_a, of_b) = (&a.result.variants[of_a], &b.result.variants[of_b]);
        let sides = Sides::of(of_a, of_b, [a, b].map(|side| side.result.scenario.duration_s));
        for reservation in sides.reservations(&side_letter(place)) {
            if !reservations.contains(&reservation) {
                reservations.push(reservation);
            }
        }
        pairs.push(VariantComparison {
            side: place,
            a: of_a.name.clone(),
            b: of_b.name.clone(),
            method: sides.method,
            seeds: sides.paired_seeds(),
            settings: settings(of_a, of_b),
            measures: sides.measures(requests.as_ref(), confidence),
            requests,
        });
    }
    reservations
}

fn side(side: Side<'_>) -> ComparedSide {
    ComparedSide {
        label: side.label.to_owned(),
        scenario: side.result.scenario.name.clone(),
        engine: side.result.engine,
        tuesday: side.result.tuesday.clone(),
        seeds: side.result.scenario.seeds.clone(),
    }
}

/// That the sides were not run in the same world, if so.
fn world_reservation(variants: &[Compared]) -> Option<String> {
    if variants.iter().any(|compared| compared.worlds.is_none()) {
        return Some(
            "The two were run from different scenario texts: what differs may be the scenario's doing."
                .to_owned(),
        );
    }
    let mut parts: Vec<String> = Vec::new();
    for part in variants.iter().filter_map(|compared| compared.worlds.as_ref()).flatten() {
        if !parts.contains(part) {
            parts.push(part.clone());
        }
    }
    (!parts.is_empty()).then(|| {
        let parts = text::list(&parts);
        format!(
            "The two were run in different worlds, by their {parts}: what differs may be the world's doing."
        )
    })
}

/// In what the sides differ that was not to be compared.
fn side_reservations(a: Side<'_>, b: Side<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let (one, other) = (&a.result.scenario, &b.result.scenario);
    if one.slo_latency_us != other.slo_latency_us {
        told.push("Their SLO latencies differ, so what counts as good does too.".to_owned());
    }
    if a.result.engine != b.result.engine {
        told.push(
            "One was run in virtual time and the other over real sockets: latency carries the machine's own overhead there."
                .to_owned(),
        );
    }
    if a.result.tuesday != b.result.tuesday {
        told.push(format!(
            "They were run by different versions of Tuesday, {} and {}.",
            text::line(&a.result.tuesday),
            text::line(&b.result.tuesday)
        ));
    }
    told
}

/// The settings of two variants that are not the same.
fn settings(a: &VariantResult, b: &VariantResult) -> Vec<SettingDifference> {
    let differences = differences_of(&[a, b]).into_iter();
    let pair = differences.filter_map(|difference| {
        let [a, b] = <[String; 2]>::try_from(difference.values).ok()?;
        Some(SettingDifference { key: difference.key, a, b })
    });
    pair.collect()
}

/// Which side turns requests away.
enum Stricter {
    First,
    Other,
}

/// The runs of a variant of each side.
struct Sides<'r> {
    method: Method,
    /// Of paired seeds, in the same order.
    a: Vec<&'r RunResult>,
    b: Vec<&'r RunResult>,
    /// Seeds that only one of the sides has and that were left out.
    left_out: usize,
    duration_s: f64,
}

impl<'r> Sides<'r> {
    /// Paired where they share two seeds, or where nothing better can be made of one.
    fn of(a: &'r VariantResult, b: &'r VariantResult, [duration_a, duration_b]: [f64; 2]) -> Self {
        let common: Vec<(&RunResult, &RunResult)> = a
            .runs
            .iter()
            .filter_map(|run| Some((run, b.runs.iter().find(|twin| twin.seed == run.seed)?)))
            .collect();
        let duration_s = duration_a.min(duration_b);
        let all = |variant: &'r VariantResult| variant.runs.iter().collect();
        let (method, a, b, left_out) = match common.len() {
            2.. => {
                let left_out = a.runs.len() + b.runs.len() - 2 * common.len();
                let (a, b) = common.into_iter().unzip();
                (Method::PairedT, a, b, left_out)
            }
            _ if a.runs.len() >= 2 && b.runs.len() >= 2 => (Method::Welch, all(a), all(b), 0),
            1 => {
                let left_out = a.runs.len() + b.runs.len() - 2;
                let (a, b) = common.into_iter().unzip();
                (Method::Single, a, b, left_out)
            }
            _ => (Method::Single, all(a), all(b), 0),
        };
        Self { method, a, b, left_out, duration_s }
    }

    fn paired_seeds(&self) -> Vec<u64> {
        let pairs = self.a.iter().zip(&self.b).filter(|(a, b)| a.seed == b.seed);
        let seeds = pairs.map(|(a, _)| a.seed).collect::<Vec<_>>();
        if self.method == Method::Welch { Vec::new() } else { seeds }
    }

    /// The side whose runs without faults are clearly worse than the other's, and the shares of good requests in those of A and
    /// of B.
    fn stricter(&self) -> Option<(Stricter, [f64; 2])> {
        let good = |runs: &[&RunResult]| {
            let shares = runs.iter().filter_map(|run| run.harm.as_ref()?.control?.share());
            mean(&shares.collect::<Vec<_>>())
        };
        let (a, b) = (good(&self.a)?, good(&self.b)?);
        let most = a.max(b);
        ((a - b).abs() > STRICT * most)
            .then_some((if a < b { Stricter::First } else { Stricter::Other }, [a, b]))
    }

    /// What is to be kept in mind; `other` is what the other side is called.
    fn reservations(&self, other: &str) -> Vec<String> {
        let mut told = Vec::new();
        if let Some((stricter, shares)) = self.stricter() {
            let [a, b] = shares.map(|share| Dimension::Share.show(share));
            let stricter = match stricter {
                Stricter::First => "A",
                Stricter::Other => other,
            };
            told.push(format!(
                "{stricter} turns requests away even without a fault: {a} are served well in A's runs without faults, and {b} in \
                 {other}'s. What the faults took away from each is called neither better nor worse."
            ));
        }
        if self.left_out > 0 {
            told.push(format!(
                "Only seeds that both have are compared, {}; {} runs of other seeds are left out.",
                self.a.len(),
                self.left_out
            ));
        }
        match self.method {
            Method::PairedT => {}
            Method::Welch => told.push(
                "The two share no seeds to pair them by, so luck of the seeds is not taken out: the intervals are wider \
                 than those of the same seeds would be."
                    .to_owned(),
            ),
            Method::Single => told.push(
                "One seed has no interval: what differs under it may not differ under the next. Compare under more, such \
                 as `--seeds 20`."
                    .to_owned(),
            ),
        }
        told
    }

    fn measures(&self, requests: Option<&PairedRequests>, confidence: f64) -> Vec<MeasureComparison> {
        let runs: Vec<&RunResult> = self.a.iter().chain(&self.b).copied().collect();
        let gauges = gauge::headline(&runs, self.duration_s).into_iter();
        let gauges = gauges.chain(gauge::details(&runs, self.duration_s));
        // What faults take away from a control says nothing of one that served few even there.
        let differs = self.stricter().is_some();
        let gauges =
            gauges.map(|gauge| if differs && gauge.kind.needs.faults() { gauge.unjudged() } else { gauge });
        gauges.filter_map(|gauge| self.measure(&gauge, requests, confidence)).collect()
    }

    /// A measure that both sides have, in the runs that have it.
    fn measure(
        &self,
        gauge: &Gauge,
        requests: Option<&PairedRequests>,
        confidence: f64,
    ) -> Option<MeasureComparison> {
        let read = |runs: &[&RunResult]| -> Vec<Option<Reading>> {
            runs.iter().map(|run| gauge.read(run)).collect()
        };
        let (mut a, mut b) = (read(&self.a), read(&self.b));
        if self.method != Method::Welch && a.len() == b.len() {
            // A pair of which one half is missing is none.
            for (a, b) in a.iter_mut().zip(&mut b) {
                if a.is_none() || b.is_none() {
                    (*a, *b) = (None, None);
                }
            }
        }
        let (a, b): (Vec<Reading>, Vec<Reading>) =
            (a.into_iter().flatten().collect(), b.into_iter().flatten().collect());
        let (of_a, of_b) = (measured(&a)?, measured(&b)?);
        let difference = of_b.mean - of_a.mean;
        // A result is a file, and may hold any number; what is none cannot be written.
        if !(difference.is_finite() && of_a.mean.is_finite()) {
            return None;
        }
        let step = a.iter().chain(&b).map(|reading| reading.step).fold(0.0, f64::max);
        let estimate = |confidence: f64| {
            let estimate = match self.method {
                Method::PairedT => {
                    let differences: Vec<f64> =
                        of_a.values.iter().zip(&of_b.values).map(|(a, b)| b - a).collect();
                    paired(&differences, step, confidence)
                }
                Method::Welch => unpaired(&of_a.values, &of_b.values, step, confidence),
                Method::Single => None,
            };
            estimate.filter(|estimate| estimate.interval.iter().all(|end| end.is_finite()))
        };
        // The interval is never narrower than the step of the measure makes it; readings that are all alike have no difference that
        // the step could hide.
        let read_alike = match self.method {
            Method::PairedT => of_a.values == of_b.values,
            Method::Welch => {
                let all = || of_a.values.iter().chain(&of_b.values);
                all().zip(all().skip(1)).all(|(one, next)| one.total_cmp(next).is_eq())
            }
            Method::Single => false,
        };
        let is_same = estimate(OF_SAMENESS)
            .is_some_and(|estimate| read_alike || is_small(gauge.unit, of_a.mean, estimate.interval));
        let estimate = estimate(confidence);
        let by_requests = (estimate.is_none() && *gauge.kind == GOODPUT)
            .then(|| requests?.behind(gauge.of.as_deref()))
            .flatten()
            .map(|pairs| mcnemar_mid_p(pairs.only_in_a, pairs.only_in_b));
        Some(MeasureComparison {
            measure: gauge.measure.clone(),
            of: gauge.of.clone(),
            meaning: gauge.meaning.clone(),
            unit: gauge.unit,
            good: gauge.good,
            is_judged: gauge.is_judged,
            difference,
            interval: estimate.map(|Estimate { interval, .. }| interval),
            p: estimate.map(|estimate| estimate.p).or(by_requests),
            p_adjusted: None,
            by_requests: by_requests.is_some(),
            step,
            verdict: if is_same { DifferenceVerdict::Same } else { DifferenceVerdict::Undecided },
            a: of_a,
            b: of_b,
        })
    }
}

fn measured(readings: &[Reading]) -> Option<MeasuredSide> {
    let values: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
    let never = readings.iter().filter(|reading| reading.is_never).count();
    let is_lower_bound = readings.iter().any(|reading| reading.lower_bound_share.is_some());
    let shares: Vec<f64> = readings.iter().map(|reading| reading.lower_bound_share.unwrap_or(0.0)).collect();
    let lower_bound_share = mean(&shares).filter(|_| is_lower_bound);
    Some(MeasuredSide { mean: mean(&values)?, values, never: never as u32, lower_bound_share })
}

/// How sure it is that a difference is small where two are called the same.
const OF_SAMENESS: f64 = 0.9;

/// Whether all that an interval holds is too small to matter: a point of a share, 2% of A's value of anything else.
fn is_small(unit: GaugeUnit, of_a: f64, interval: [f64; 2]) -> bool {
    let most = match unit {
        GaugeUnit::Share => 0.01,
        GaugeUnit::Count | GaugeUnit::Us | GaugeUnit::PerS | GaugeUnit::Ratio => 0.02 * of_a.abs(),
    };
    // A share of the bound for what adding up and dividing leaves.
    let most = most * (1.0 + 1e-9);
    interval.iter().all(|end| end.abs() <= most)
}

/// The verdicts: better and worse go before the same, for a small difference may be a sure one. One family of tests for what is measured of everybody, another for the parts, each corrected by Holm's
/// method over all variants compared.
fn judge(pairs: &mut [VariantComparison], level: f64) {
    for is_headline in [true, false] {
        let mut asked: Vec<&mut MeasureComparison> = pairs
            .iter_mut()
            .flat_map(|pair| &mut pair.measures)
            .filter(|measure| measure.is_headline() == is_headline && measure.p.is_some())
            .collect();
        let p_values: Vec<f64> = asked.iter().filter_map(|measure| measure.p).collect();
        for (measure, p) in asked.iter_mut().zip(holm(&p_values)) {
            measure.p_adjusted = Some(p);
            let is_told = measure.difference.abs() > measure.step * (1.0 + 1e-9);
            if p <= level && is_told {
                measure.verdict =
                    DifferenceVerdict::of_change(measure.difference > 0.0, measure.is_judged, measure.good);
            }
        }
    }
}
