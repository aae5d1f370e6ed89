//! The server on real sockets, between a client and an upstream that do what the test says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth;
mod client;
mod gateway;
mod http2;
#[expect(dead_code, reason = "some is for the table of hostile tokens")]
#[path = "../issuer/mod.rs"]
mod issuer;
#[expect(dead_code, reason = "some is for the tests that stand alone")]
mod upstream;

mod crowds;
mod decisions;
mod limits;
mod messages;
mod oddities;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(unix)]
mod paths;
mod stalls;
mod telemetry;
mod traces;
mod unread;
