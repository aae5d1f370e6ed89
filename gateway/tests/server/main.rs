//! The server on real sockets, between a client and an upstream that do what the test says.

mod client;
mod gateway;
mod upstream;

mod decisions;
mod messages;
