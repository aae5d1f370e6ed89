//! What a gateway tells of itself: a record of each request, its place in a trace, and (with the feature `server`) where
//! they go.
//!
//! An admitted request and a rejected one look alike to whoever is not told why; so each ends in a [`RequestRecord`] that
//! says what every rule along its path had to say. The record is the same in both engines, and none of its fields can hold
//! a key, a token or a query.

#[cfg(feature = "server")]
mod admin;
#[cfg(feature = "server")]
mod lines;
#[cfg(feature = "server")]
mod log;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "server")]
mod observer;
#[cfg(feature = "otlp")]
mod otlp;
mod record;
#[cfg(test)]
pub(crate) mod testing;

#[cfg(feature = "server")]
pub use self::admin::{Admin, Page, Site};
#[cfg(feature = "server")]
pub use self::lines::{
    BREAKER, HOST, INVARIANT, JsonLines, LOG, REQUEST, emit_host_change, emit_transition, with_lines,
};
#[cfg(feature = "server")]
pub use self::log::{LogEnd, LogSender, RequestLog};
#[cfg(feature = "server")]
pub use self::metrics::{Metrics, Sample};
#[cfg(feature = "server")]
pub use self::observer::Telemetry;
#[cfg(feature = "otlp")]
pub use self::otlp::{OtlpConfig, OtlpError, OtlpExport, OtlpSender};
pub use self::record::{BucketRecord, BucketRecords, Names, RequestRecord, RunName};
pub use crate::ended::{Ended, Facts, ShownClaims};
pub use crate::trace::{
    RequestName, Span, SpanId, TraceContext, TraceContextError, TraceFlags, TraceId, TraceIds, Traced,
    is_trace_state,
};
