//! Charts as SVG.

pub(crate) mod canvas;
pub(crate) mod forest;
pub(crate) mod history;
pub(crate) mod lane;
pub(crate) mod latency;
mod row;
pub(crate) mod sweep;
pub(crate) mod time;
