//! Whole scenarios, from the text of a file to what was measured.

mod caches;
mod calls;
mod causes;
mod common;
mod compare;
mod concurrency;
mod contrasts;
mod determinism;
mod failures;
mod hosts;
mod journeys;
mod library;
mod objective;
mod presets;
mod queueing_theory;
mod rate_limits;
mod request_path;
mod sweep;
mod wrong_input;
