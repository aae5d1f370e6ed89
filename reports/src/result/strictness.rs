//! What a variant does to good requests without any fault.
//!
//! Harm is what faults take away from a variant's own control. A gateway that turns everybody away has nothing that could be
//! taken from it: it would be the best in blast radius, direct damage and recovery. So each control is told beside the
//! best one, request by request, and who is clearly stricter is praised for nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::harm::{HarmCount, HarmTally, UnpairedCount};
use crate::result::harm::UnpairedHarm;

/// What a variant does to good requests without any fault, told beside the variant that serves most of them well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrictnessResult {
    /// The variant with the same load whose control (without faults, the run itself) has most good requests; of equals the
    /// first.
    pub best: String,
    /// Requests that are good in that control: `hurt` are those of them that are not in this variant's own.
    pub control: HarmCount,
    /// The same of closed-loop users, whose requests cannot be compared one by one; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedCount>,
    /// Harm against the best control in the place of the variant's own, so that strictness has its price; missing where
    /// nothing fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<CommonHarm>,
}

/// What is not good in an incident and was in the best variant's control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommonHarm {
    /// On routes that do not depend on a faulted upstream.
    pub collateral: HarmCount,
    /// On routes that do.
    pub direct: HarmCount,
    /// Of closed-loop users; missing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedHarm>,
}

impl StrictnessResult {
    /// The share of the requests good in the best control that are not good in this variant's, 0 to 1; `None` where none was.
    pub fn share(&self) -> Option<f64> {
        let unpaired = self.unpaired.unwrap_or_default();
        let good = self.control.total as f64 + unpaired.expected_good;
        (good > 0.0).then(|| (self.control.hurt as f64 + unpaired.lost()) / good)
    }
}

impl CommonHarm {
    /// On routes that do not depend on a faulted upstream.
    pub fn collateral_tally(&self) -> HarmTally {
        HarmTally { paired: self.collateral, unpaired: self.unpaired.unwrap_or_default().collateral }
    }

    /// On routes that do.
    pub fn direct_tally(&self) -> HarmTally {
        HarmTally { paired: self.direct, unpaired: self.unpaired.unwrap_or_default().direct }
    }
}
