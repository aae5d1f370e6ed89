//! The simulated clients: who they are and when they send.

mod arrivals;
mod identity;
mod journey;
mod machine;
mod population;
mod token;
mod users;

pub use arrivals::{Arrivals, Burst, LoadError, OpenLoad, RampPoint, Spacing};
pub use identity::{Identities, IdentitiesError, Identity, LOOPBACK_ADDRESSES, api_key, loopback_address};
pub use journey::{Journey, JourneyStep};
pub use machine::{ClientRequest, Clients};
pub use population::{Load, Population, PopulationStreams, Target, Targets};
pub use token::{Token, TokenConfig, TokenDefect, TokenError, subject};
pub use users::{ClosedLoad, Start, Turn, Users, UsersPoint};
