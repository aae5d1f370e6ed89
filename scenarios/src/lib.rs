//! Puts gateway, simulator and reports together: the scenario file, the engines that run it, and the experiment
//! that compares its variants. The `tuesday` command stands on this.
//!
//! A shipped scenario, from its text to the verdict:
//!
//! ```
//! use tuesday::{file, library, run_experiment};
//!
//! let text = library::find("window-boundary").ok_or("it ships")?.text;
//! let reading = file::read(text, &|name| Err(format!("there is no file {name} beside it")));
//! assert!(reading.problems.is_empty());
//! let scenario = reading.scenario.ok_or("a file without problems is a scenario")?;
//!
//! let result = run_experiment(&scenario, &[scenario.seed], || {});
//! assert_eq!(result.variants.len(), scenario.variants.len());
//! assert!(result.expectations.iter().all(|expectation| expectation.held));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cli;
mod comparison;
mod defect;
mod draft;
mod engine;
mod experiment;
pub mod file;
pub mod library;
mod log_book;
mod scenario;
pub mod selftest;
mod sweep;
pub mod watch;

pub use comparison::run_comparison;
pub use engine::{
    DRAIN, Drive, ExternalError, HighestSpeed, LiveError, MintError, Stop, highest_speed,
    kill_external_gateway, run,
};
pub use experiment::{LivePlan, run_experiment, run_experiment_logged, run_live_experiment};
pub use log_book::LogBook;
pub use scenario::{
    Contrast, ExpectationLine, Expected, ExternalGateway, Incident, NamedUpstream, Scenario, Timeline,
    UpstreamFault, Variant, World,
};
pub use sweep::{SweepAim, run_sweep};
