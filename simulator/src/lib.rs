//! Everything around the gateway that is simulated.
