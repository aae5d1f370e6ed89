//! Why a body ends before its end.

use thiserror::Error;

/// Why a body ends before its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum BodyError {
    #[error("the client's body broke off")]
    Broken,
    #[error("the client's body is longer than it may be")]
    TooLarge,
    #[error("the client's body did not go on")]
    Stalled,
    #[error("the client's body may be read in more than one way")]
    Ambiguous,
    #[error("the attempt that sent this body is over")]
    Superseded,
    #[error("the request is answered without the rest of this body")]
    Abandoned,
    #[error("the answer's time is over")]
    TimedOut,
    #[error("the upstream's body broke off")]
    Upstream,
}
