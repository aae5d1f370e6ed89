//! One variant of a scenario over a grid of settings: what each does, where it tips over, and the least that has to be
//! changed.

mod csv;
mod gather;
mod goal;
mod html;
mod json;
mod markdown;
mod result;
mod show;
mod smallest;
mod terminal;
#[cfg(test)]
mod tests;
mod tipping;

pub use csv::sweep_csv;
pub use gather::{Goal, Observation, sweep};
pub use html::sweep_html;
pub use json::{sweep_json, sweep_schema};
pub use markdown::sweep_markdown;
pub use result::{
    AxisScale, AxisValue, InForce, PointExpectation, PointValue, SWEEP_VERSION, SmallestChange, SweepAxis,
    SweepGoal, SweepMeasure, SweepPoint, SweepResult, TippingPoint,
};
pub use terminal::sweep_summary;
