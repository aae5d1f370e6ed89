//! The tag by which the parts of a live run know one another's requests.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::chance::{Purpose, Stream};

/// Names of the headers by which the parts of a live run know one another's requests. Lower case, as HTTP/2 wants them.
pub mod headers {
    /// A request's [`RequestTag`](crate::RequestTag).
    pub const REQUEST: &str = "x-tuesday-request";
    /// The number of a gateway's attempt at a client's attempt; absent in the first, which is 0.
    pub const GATEWAY_ATTEMPT: &str = "x-gateway-attempt";
    /// Says that a gateway asks how the service is, for no client.
    pub const GATEWAY_CHECK: &str = "x-gateway-check";
    /// In an answer, the name of the upstream that gave it: what does not bear it comes from a gateway.
    pub const UPSTREAM: &str = "x-tuesday-upstream";
}

/// Names an attempt on the wire, and says where its service times are drawn.
///
/// Its text is `{population}-{request}-{key}-{attempt}`, the key in 16 hexadecimal digits:
///
/// ```
/// use simulator::{PopulationStreams, RequestTag};
///
/// let streams = PopulationStreams::new(902, "buyers");
/// let tag = streams.tag(3, 17, 0);
/// assert_eq!(tag.to_string().parse::<RequestTag>(), Ok(tag));
/// assert_eq!(tag.service(1), streams.attempt(17, 0, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestTag {
    /// Number of the client's population; [`RequestTag::NO_POPULATION`] where none sent it.
    pub population: u32,
    /// Number of the request in its population.
    pub request: u64,
    /// Where its service times are drawn: of a client's request by its number, of a service's call by the job that makes
    /// it.
    pub key: Stream,
    /// A client's attempt in the upper half, above room for the gateway's; or the number of a service's attempt over all
    /// calls of its job.
    pub attempt: u64,
}

/// A text is no [`RequestTag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not of the form population-request-key-attempt")]
pub struct RequestTagError;

impl RequestTag {
    /// The population of what services ask of one another for a request that came without a tag.
    pub const NO_POPULATION: u32 = u32::MAX;

    /// The population of checks of a gateway, and of what services ask of one another for them.
    pub const CHECKS: u32 = u32::MAX - 1;

    /// That of a check.
    pub const CHECK: Self =
        Self { population: Self::CHECKS, request: 0, key: Stream::from_bits(0), attempt: 0 };

    /// Whether this is a check of a gateway, which no client sent.
    pub const fn is_check(&self) -> bool {
        self.population == Self::CHECKS
    }

    /// The stream below which the service times of this attempt are drawn, `gateway_attempt` being the gateway's.
    pub const fn service(&self, gateway_attempt: u32) -> Stream {
        self.key.at(self.attempt | gateway_attempt as u64)
    }
}

/// A number made of an upstream's name: its part in the key of a service time, so that the time is the same whatever
/// other upstreams there are.
pub fn upstream_number(name: &str) -> u64 {
    Stream::new(0, Purpose::Service, name).bits()
}

impl fmt::Display for RequestTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { population, request, key, attempt } = self;
        write!(f, "{population}-{request}-{:016x}-{attempt}", key.bits())
    }
}

impl FromStr for RequestTag {
    type Err = RequestTagError;

    fn from_str(text: &str) -> Result<Self, RequestTagError> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(RequestTagError);
        let (population, request, key, attempt) = (next()?, next()?, next()?, next()?);
        let hexadecimal = key.len() == 16 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
        if parts.next().is_some() || !hexadecimal {
            return Err(RequestTagError);
        }
        Ok(Self {
            population: decimal(population)?,
            request: decimal(request)?,
            key: Stream::from_bits(u64::from_str_radix(key, 16).map_err(|_| RequestTagError)?),
            attempt: decimal(attempt)?,
        })
    }
}

/// Digits alone: `str::parse` takes a sign as well.
fn decimal<N: FromStr>(text: &str) -> Result<N, RequestTagError> {
    if text.bytes().all(|digit| digit.is_ascii_digit()) {
        text.parse().map_err(|_| RequestTagError)
    } else {
        Err(RequestTagError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::PopulationStreams;

    #[test]
    fn the_text_never_changes() {
        let tag =
            RequestTag { population: 3, request: 17, key: Stream::from_bits(0x2bad_cafe), attempt: 1 << 32 };
        assert_eq!(tag.to_string(), "3-17-000000002badcafe-4294967296");
    }

    #[test]
    fn what_is_no_tag_is_no_tag() {
        for text in [
            "",
            "---",
            "1-2-3-4",
            "1-2-0000000000000003",
            "1-2-0000000000000003-4-5",
            "1-2-0000000000000003-",
            "+1-2-0000000000000003-4",
            "1-2-+000000000000003-4",
            "1-2-00000000000000é-4",
            "4294967296-2-0000000000000003-4",
            "1-2-0000000000000003-18446744073709551616",
        ] {
            assert_eq!(text.parse::<RequestTag>(), Err(RequestTagError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_read_as_it_was_written(population: u32, request: u64, key: u64, attempt: u64) {
            let tag = RequestTag { population, request, key: Stream::from_bits(key), attempt };
            prop_assert_eq!(tag.to_string().parse(), Ok(tag));
        }

        #[test]
        fn any_text_is_a_tag_or_none(text in "[0-9a-f+-]{0,48}|\\PC*") {
            if let Ok(tag) = text.parse::<RequestTag>() {
                prop_assert_eq!(tag.to_string().parse(), Ok(tag));
            }
        }

        /// The live upstream draws where the virtual engine does.
        #[test]
        fn a_tag_names_the_stream_of_its_attempt(request: u64, client_attempt: u32, gateway_attempt: u32) {
            let streams = PopulationStreams::new(902, "buyers");
            let tag = streams.tag(0, request, client_attempt);
            let drawn = streams.attempt(request, client_attempt, gateway_attempt);
            prop_assert_eq!(tag.service(gateway_attempt), drawn);
        }
    }
}
