//! What a gateway tells of itself: a record of each request, its place in a trace, and (with the feature `server`) where
//! they go.
//!
//! An admitted request and a rejected one look alike to whoever is not told why; so each ends in a [`RequestRecord`] that
//! says what every rule along its path had to say. The record is the same in both engines, and none of its fields can hold
//! a key, a token or a query.

mod ended;
mod ids;
mod outcome;
mod record;
mod trace_context;

pub use self::ended::{Claims, Ended, Facts, Fate};
pub use self::ids::{RequestName, Span, TraceIds, Traced};
pub use self::outcome::Outcome;
pub use self::record::{BucketRecord, BucketRecords, Names, RequestRecord, RunName};
pub use self::trace_context::{SpanId, TraceContext, TraceContextError, TraceFlags, TraceId, is_trace_state};
