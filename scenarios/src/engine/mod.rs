//! Engines: they carry the decisions of the gateway's and the simulator's machines from one to the next, each on
//! its own clock. No rule stands here.

mod directory;
mod event_queue;
mod layout;
mod virtual_time;

pub(crate) use directory::bucket_name;
pub use virtual_time::{DRAIN, run};
