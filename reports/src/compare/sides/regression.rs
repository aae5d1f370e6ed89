//! What a comparison must not find, for a CI job.

use crate::compare::sides::result::{
    ComparisonResult, DifferenceVerdict, MeasureComparison, VariantComparison,
};
use crate::compare::sides::show;
use crate::measure::unit::{GaugeUnit, Good};
use crate::words::text;

/// How much worse another side may be than A.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// In no measure at all: whatever the comparison calls worse is too much.
    Nothing,
    /// In these measures by so much, whatever happens to the others.
    By(Vec<Threshold>),
}

/// How much worse a measure may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The measure, as [`MeasureComparison::name`] has it.
    pub measure: String,
    /// By how much.
    pub by: Margin,
}

/// An amount by which a measure may be worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// A share of A's value; of measures that are shares themselves, so much of the whole.
    Share(f64),
    /// In the measure's unit.
    Absolute(f64),
}

/// A measure of a pair of variants that is worse than allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regression {
    /// What is worse, by how much, and what was allowed.
    pub sentence: String,
    /// Where else it is worse, population by population and route by route; `None` where nowhere.
    pub parts: Option<String>,
}

/// Why nothing can be said of regressions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegressionError {
    /// There is one seed, and so no interval.
    #[error("one seed tells no difference from luck; compare under more of them, such as `--seeds 10`")]
    OneSeed,
    /// No pair has that measure.
    #[error("nothing was measured as `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// As it was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

impl ComparisonResult {
    /// What is worse in another side than allowed.
    ///
    /// With [`Allowed::Nothing`] that is each measure whose verdict is worse, which is corrected for how many there are. A
    /// [`Threshold`] was named before anybody looked, and is held against the measure's own interval: it is exceeded where
    /// the whole interval lies beyond it.
    ///
    /// # Errors
    ///
    /// If nothing was measured by that name, or only once.
    pub fn regressions(&self, allowed: &Allowed) -> Result<Vec<Regression>, RegressionError> {
        let all =
            || self.pairs.iter().flat_map(|pair| pair.measures.iter().map(move |measure| (pair, measure)));
        match allowed {
            Allowed::Nothing if all().all(|(_, measure)| measure.p.is_none()) => {
                Err(RegressionError::OneSeed)
            }
            Allowed::Nothing => Ok(self.pairs.iter().flat_map(|pair| self.worse(pair)).collect()),
            Allowed::By(thresholds) => {
                let mut found = Vec::new();
                for threshold in thresholds {
                    let mut named =
                        all().filter(|(_, measure)| measure.name() == threshold.measure).peekable();
                    if named.peek().is_none() {
                        let mut known: Vec<String> = all().map(|(_, measure)| measure.name()).collect();
                        known.dedup();
                        known.truncate(24);
                        return Err(RegressionError::Unknown { name: threshold.measure.clone(), known });
                    }
                    for (pair, measure) in named {
                        let interval = measure.interval.ok_or(RegressionError::OneSeed)?;
                        if let Some(most) = exceeded(measure, interval, threshold.by) {
                            let sentence = format!(
                                "{} More than {} was not allowed.",
                                self.sentence(pair, measure),
                                show::amount(measure.unit, most)
                            );
                            found.push(Regression { sentence, parts: None });
                        }
                    }
                }
                Ok(found)
            }
        }
    }

    /// What is worse in a pair, once for each measure: of everybody where it is, and else of the first population or route.
    fn worse(&self, pair: &VariantComparison) -> Vec<Regression> {
        let mut by_measure: Vec<(&str, Vec<&MeasureComparison>)> = Vec::new();
        for measure in pair.measures.iter().filter(|measure| measure.verdict == DifferenceVerdict::Worse) {
            match by_measure.iter_mut().find(|(name, _)| *name == measure.measure) {
                Some((_, worse)) => worse.push(measure),
                None => by_measure.push((&measure.measure, vec![measure])),
            }
        }
        let regression = |(_, worse): &(&str, Vec<&MeasureComparison>)| {
            // Everybody stands before populations and routes.
            let (first, others) = worse.split_first()?;
            let part = |measure: &&MeasureComparison| {
                let of = text::line(measure.of.as_deref().unwrap_or("everybody"));
                format!("{of} by {}", show::amount(measure.unit, measure.difference.abs()))
            };
            let parts: Vec<String> = others.iter().map(part).collect();
            let parts = (!parts.is_empty()).then(|| text::list_some(&parts, PARTS));
            Some(Regression { sentence: self.sentence(pair, first), parts })
        };
        by_measure.iter().filter_map(regression).collect()
    }

    fn sentence(&self, pair: &VariantComparison, measure: &MeasureComparison) -> String {
        let (a, b) = (text::name(&pair.a), text::name(&pair.b));
        let other = pair.letter();
        let between = match (a == b, self.has_several()) {
            (true, false) => a,
            (true, true) => format!("{a}, {other} against A"),
            (false, false) => format!("{b} against {a}"),
            (false, true) => format!("{b} ({other}) against {a} (A)"),
        };
        let sure = show::interval(measure)
            .map(|interval| format!(" ({} interval {interval})", show::confidence(self.confidence)))
            .unwrap_or_default();
        let (from, to) = (show::side(measure, &measure.a), show::side(measure, &measure.b));
        let name = text::line(&measure.name());
        format!(
            "{between}: {name} is worse by {}, {from} → {to}{sure}.",
            show::amount(measure.unit, measure.difference.abs())
        )
    }
}

/// So many populations and routes are named; all are in the tables.
const PARTS: usize = 4;

/// The most that was allowed, where the whole interval is worse than that.
fn exceeded(measure: &MeasureComparison, [low, high]: [f64; 2], by: Margin) -> Option<f64> {
    let most = match by {
        Margin::Share(share) if measure.unit != GaugeUnit::Share => share * measure.a.mean.abs(),
        Margin::Share(amount) | Margin::Absolute(amount) => amount,
    };
    let least_worse = match measure.good {
        Good::High => -high,
        Good::Low => low,
    };
    (least_worse > most && measure.difference.abs() > measure.step).then_some(most)
}
