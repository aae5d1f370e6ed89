//! What happens in a run, as it is counted: the events, the recorder that takes them, and what it keeps.

pub(crate) mod breaker;
pub(crate) mod broken;
pub(crate) mod cache;
pub(crate) mod cause;
pub(crate) mod distribution;
pub(crate) mod durations;
pub(crate) mod good_requests;
pub(crate) mod harm;
pub(crate) mod harness;
pub(crate) mod heatmap;
pub(crate) mod hosts;
pub(crate) mod layout;
pub(crate) mod outcome;
pub(crate) mod peak;
pub(crate) mod recorder;
pub(crate) mod recording;
pub(crate) mod saturation;
pub(crate) mod series;
pub(crate) mod witness;
