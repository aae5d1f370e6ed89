//! What an incident did to whom, as a result has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::harm::{GoodCount, HarmCount, HarmTally, UnpairedCount};

/// What an incident did to whom, over the time from the first fault to a minute after the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HarmResult {
    /// When the first fault began.
    pub first_fault_us: u64,
    /// When the last fault ended.
    pub last_fault_end_us: u64,
    /// On routes that do not depend on a faulted upstream, of requests that were compared one by one.
    pub collateral: HarmCount,
    /// On routes that do.
    pub direct: HarmCount,
    /// Of closed-loop users, whose requests cannot be; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedHarm>,
    /// The control: all its requests of populations that are not hostile, and those that it served well. Harm says little
    /// where it served few. Missing in results of a version that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<GoodCount>,
    /// From the first fault until collateral hurt stays at or below 1% of every later ten seconds; `None` for never, or not
    /// observed.
    pub containment_us: Option<u64>,
    /// False where nobody sent who could have been hurt, so that there was nothing to contain. Not written where true.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub containment_observed: bool,
    /// From the last fault's end until ten seconds of goodput come to 99% of the control's; `None` for never, or not
    /// observed.
    pub recovery_us: Option<u64>,
    /// False where no ten seconds were left after the last fault, or nothing was good in them without it, so that nobody can
    /// tell. Not written where true.
    #[serde(default = "yes", skip_serializing_if = "is_so")]
    pub recovery_observed: bool,
    /// Each route on which somebody sent.
    pub routes: Vec<RouteHarm>,
    /// Each population that sent and is not hostile.
    pub populations: Vec<PopulationHarm>,
    /// Collateral hurt by intended second.
    pub collateral_hurt_per_s: Vec<u32>,
    /// Direct hurt by intended second.
    pub direct_hurt_per_s: Vec<u32>,
}

impl HarmResult {
    /// On routes that do not depend on a faulted upstream.
    pub fn collateral_tally(&self) -> HarmTally {
        HarmTally { paired: self.collateral, unpaired: self.unpaired.unwrap_or_default().collateral }
    }

    /// On routes that do.
    pub fn direct_tally(&self) -> HarmTally {
        HarmTally { paired: self.direct, unpaired: self.unpaired.unwrap_or_default().direct }
    }

    /// From the first fault until collateral harm ended, microseconds; infinite for never, `None` where it was not observed.
    pub fn contained_after_us(&self) -> Option<f64> {
        self.containment_observed.then(|| self.containment_us.map_or(f64::INFINITY, |us| us as f64))
    }

    /// From the last fault's end until goodput was back, microseconds; infinite for never, `None` where it was not observed.
    pub fn recovered_after_us(&self) -> Option<f64> {
        self.recovery_observed.then(|| self.recovery_us.map_or(f64::INFINITY, |us| us as f64))
    }
}

/// What was done to the requests of closed-loop users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnpairedHarm {
    /// On routes that do not depend on a faulted upstream.
    pub collateral: UnpairedCount,
    /// On routes that do.
    pub direct: UnpairedCount,
}

/// What was done to a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteHarm {
    /// Its path.
    pub name: String,
    /// Whether it depends on a faulted upstream.
    pub direct: bool,
    /// Its requests that were compared one by one.
    pub requests: HarmCount,
    /// Those of closed-loop users; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedCount>,
}

impl RouteHarm {
    /// All its requests.
    pub fn tally(&self) -> HarmTally {
        HarmTally { paired: self.requests, unpaired: self.unpaired.unwrap_or_default() }
    }
}

/// What was done to a population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationHarm {
    /// Its name.
    pub name: String,
    /// Its requests on routes that do not depend on a faulted upstream.
    pub collateral: HarmCount,
    /// Its requests on routes that do.
    pub direct: HarmCount,
    /// Of a closed-loop population, what became of its requests; the counts above are then none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedHarm>,
    /// Its identities that sent anything, and those of them to whom anything was done; none of a closed-loop population.
    pub identities: HarmCount,
}

impl PopulationHarm {
    /// Its requests on routes that do not depend on a faulted upstream.
    pub fn collateral_tally(&self) -> HarmTally {
        HarmTally { paired: self.collateral, unpaired: self.unpaired.unwrap_or_default().collateral }
    }

    /// Its requests on routes that do.
    pub fn direct_tally(&self) -> HarmTally {
        HarmTally { paired: self.direct, unpaired: self.unpaired.unwrap_or_default().direct }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_so(flag: &bool) -> bool {
    *flag
}

/// For a field that results of a version without it would have held true.
const fn yes() -> bool {
    true
}
