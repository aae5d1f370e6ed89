//! How far two engines agreed on an experiment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::expectation::ExpectationResult;
use crate::words::format::{self, Dimension};

/// How far a live run and the virtual one agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgreementResult {
    /// The seed of the runs that were compared.
    pub seed: u64,
    /// How many times as fast as real time the live run's clock ran.
    pub speed: f64,
    /// What is to be said of the live run before anything else: where the harness spoilt it, or it was ended early.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<String>,
    /// What the expectations came to in the other engine than the one whose result this stands in; see
    /// [`AgreementResult::beside`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationResult>,
    /// Each variant that both engines ran.
    pub variants: Vec<VariantAgreement>,
}

/// How far the runs of a variant agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantAgreement {
    /// The variant.
    pub variant: String,
    /// Whether the harness kept up and the run was not ended early, so that a difference says something of the engines.
    #[serde(default = "yes")]
    pub valid: bool,
    /// What was compared.
    pub lines: Vec<AgreementLine>,
}

/// A measure of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgreementLine {
    /// What was measured, such as `served` or `breaker of payments: open`.
    pub what: String,
    /// In what: as a share from 0 to 1, or in microseconds.
    pub unit: AgreementUnit,
    /// In virtual time; `None` where it did not come about.
    pub simulated: Option<f64>,
    /// Over real sockets; `None` where it did not come about.
    pub live: Option<f64>,
    /// Of a latency that is a lower bound, because requests were never answered: their share, in virtual time and live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_shares: Option<[f64; 2]>,
    /// What kind of measure it is.
    #[serde(default)]
    pub kind: AgreementKind,
    /// How far apart they may be; `None` for what is shown and not judged.
    pub tolerance: Option<f64>,
    /// Whether they are no further apart than that.
    pub agrees: bool,
}

/// What a line of an agreement is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementKind {
    /// The share of a population's requests that ended so.
    #[default]
    Share,
    /// Blast radius or direct damage.
    Harm,
    /// When a breaker changed.
    Transition,
    /// How long requests took.
    Latency,
}

/// In what a line of an agreement is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementUnit {
    /// From 0 to 1.
    Share,
    /// Microseconds.
    Us,
}

impl AgreementResult {
    /// Whether everything agrees of the runs that the harness did not spoil.
    pub fn agrees(&self) -> bool {
        self.variants.iter().all(|variant| !variant.valid || variant.agrees())
    }
}

impl VariantAgreement {
    /// Whether every line agrees.
    pub fn agrees(&self) -> bool {
        self.lines.iter().all(|line| line.agrees)
    }
}

const fn yes() -> bool {
    true
}

impl AgreementLine {
    pub(crate) fn new(
        kind: AgreementKind,
        what: impl Into<String>,
        unit: AgreementUnit,
        [simulated, live]: [Option<f64>; 2],
        tolerance: Option<f64>,
    ) -> Self {
        let agrees = match (simulated, live, tolerance) {
            (Some(simulated), Some(live), Some(tolerance)) => (simulated - live).abs() <= tolerance,
            (simulated, live, Some(_)) => simulated.is_some() == live.is_some(),
            (_, _, None) => true,
        };
        Self { what: what.into(), unit, simulated, live, lower_bound_shares: None, kind, tolerance, agrees }
    }

    /// The values and how far apart they are, as a table has them.
    pub(crate) fn told(&self) -> [String; 3] {
        let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| self.show(value));
        let apart = self.simulated.zip(self.live).map(|(simulated, live)| (simulated - live).abs());
        let apart = apart.map_or_else(
            || if self.agrees { "–".to_owned() } else { "only one".to_owned() },
            |apart| match self.unit {
                AgreementUnit::Share => format!("{:.1} points", apart * 100.0),
                AgreementUnit::Us => self.show(apart),
            },
        );
        let [simulated, live] = self.lower_bound_shares.unwrap_or_default().map(|share| share > 0.0);
        let of_all = |share: f64| {
            let shown = Dimension::Share.show(share);
            if share > 0.0 { format!(" ({shown} unanswered)") } else { String::new() }
        };
        let [of_simulated, of_live] = self.lower_bound_shares.unwrap_or_default().map(of_all);
        [
            format::at_least(simulated, value(self.simulated)) + &of_simulated,
            format::at_least(live, value(self.live)) + &of_live,
            apart,
        ]
    }

    fn show(&self, value: f64) -> String {
        match self.unit {
            AgreementUnit::Share => Dimension::Share.show(value),
            AgreementUnit::Us => Dimension::DurationUs.show(value),
        }
    }
}
