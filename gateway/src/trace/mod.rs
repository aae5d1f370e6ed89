//! The place of a request in a trace (W3C Trace Context), and its names.

mod context;
mod ids;

pub(crate) use self::context::hex_digits;
pub use self::context::{SpanId, TraceContext, TraceContextError, TraceFlags, TraceId, is_trace_state};
pub use self::ids::{RequestName, Span, TraceIds, Traced};
