//! Engines: they carry the decisions of the gateway's and the simulator's machines from one to the next, each on
//! its own clock. No rule stands here.

mod bearers;
mod breakers;
mod causes;
mod client_end;
mod control;
mod directory;
mod layout;
mod live;
mod pairs;
mod run_events;
mod strictness;
mod virtual_log;
mod virtual_time;

pub(crate) use control::{run_live_with_control, run_with_control};
pub(crate) use directory::{bucket_name, can_be_numbered};
pub(crate) use layout::recorded_limits;
pub(crate) use live::LEAD;
pub(crate) use live::key_document;
pub use live::{
    Drive, ExternalError, HighestSpeed, LiveError, MintError, Stop, highest_speed, kill_external_gateway,
};
pub(crate) use pairs::{SharedLoad, run_both};
pub(crate) use strictness::{GoodOfRun, strictness};
pub(crate) use virtual_log::names;
pub use virtual_time::{DRAIN, run};
