//! The scenario file: from bytes to a [`Scenario`](crate::Scenario) that can be run, or to everything that is wrong with it.
//!
//! The text is parsed into a tree that knows its places, variants are merged on the tree, and each merged tree is
//! read field by field into the validated types of the gateway and the simulator. Serde's derive would stop at the
//! first problem and lose the places of merged values.

mod auth;
mod balance;
mod breaker;
mod cache;
mod calls;
mod clients;
mod common;
mod concurrency;
mod context;
mod counted_by;
mod diagnostic;
mod expect;
mod external;
mod failures;
mod faults;
mod gateway;
mod hosts;
mod journey;
mod latency;
mod limits;
mod load;
mod objective;
mod one_line;
mod patch;
mod presets;
mod quantity;
mod reader;
mod reading;
mod refill;
mod resolved;
mod retry;
mod routes;
mod same_world;
mod schema;
mod settings;
mod shape;
mod syntax;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod tree;
mod units;
mod upstream_names;
mod upstreams;
mod values;
mod variant;
mod vary;
mod warnings;
mod words;

pub use self::context::Companion;
pub use self::diagnostic::{Problem, Severity, render};
pub(crate) use self::diagnostic::{place_of, visible};
pub(crate) use self::expect::{read_condition, read_measure};
pub use self::reading::{Reading, read};
pub(crate) use self::resolved::{Held, HeldValue, Origin, resolve};
pub(crate) use self::routes::is_route;
pub(crate) use self::same_world::differing_worlds;
pub use self::schema::json_schema;
pub(crate) use self::text::load_up_to;
pub use self::text::{LARGEST_FILE, load};
pub(crate) use self::units::{
    duration as parse_duration, number as parse_number, per_second as parse_rate, share as parse_share,
    write_duration,
};
pub(crate) use self::vary::{LaidOver, Varied, Vary, parse_vary, read_laid_over};
pub(crate) use self::words::{display_key, nearest};
