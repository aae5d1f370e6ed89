//! Nothing beyond loopback is dialled or listened on unless the user says so.
//!
//! Whatever the process may ever connect to or listen on is a [`Reach`], with the place that names the address. A command
//! gathers all of its own and has them checked here, before anything is started.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::error::{Failure, sentence};
use super::sources::Source;
use crate::file::display_key;
use crate::{NamedUpstream, World};

/// An address that the process may dial or listen on.
#[derive(Debug)]
pub(super) struct Reach {
    /// Who names the address, as a message begins with it.
    named_by: String,
    /// The address, as a message has it.
    place: String,
    is_local: bool,
}

impl Reach {
    /// An address and a port.
    pub(super) fn address(named_by: impl Into<String>, address: SocketAddr) -> Self {
        let (named_by, is_local) = (named_by.into(), address.ip().is_loopback());
        Self { named_by, place: address.to_string(), is_local }
    }

    /// The host of a URL.
    pub(super) fn url(named_by: impl Into<String>, url: &Url) -> Self {
        let place = url.as_str().trim_end_matches('/').to_owned();
        Self { named_by: named_by.into(), place, is_local: is_local(url) }
    }
}

/// Whether a URL's host is an address of loopback, or `localhost`.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// What a live run of these scenarios may reach, under any of their variants.
pub(super) fn of_runs(sources: &[Source]) -> Vec<Reach> {
    let mut all = Vec::new();
    for Source { argument, scenario, .. } in sources {
        for variant in &scenario.variants {
            all.extend(of_world(argument, &variant.world));
        }
    }
    all
}

/// What the harness may reach in a world: a gateway that is not ours, and the upstreams.
fn of_world(argument: &str, world: &World) -> Vec<Reach> {
    let external = world.external.as_ref();
    let named_by = format!("{argument}: `gateway.external.url`");
    let external = external.map(|external| Reach::url(named_by, &external.url));
    external.into_iter().chain(of_upstreams(argument, &world.upstreams)).collect()
}

/// What upstreams listen on that the harness runs, and are asked at, where the file says so; the others are on loopback.
pub(super) fn of_upstreams(argument: &str, upstreams: &[NamedUpstream]) -> Vec<Reach> {
    let listens = |upstream: &NamedUpstream| {
        let name = display_key(&upstream.name);
        let path = |host: usize| match upstream.hosts.len() {
            1 => format!("upstreams.{name}.listen"),
            _ => format!("upstreams.{name}.hosts[{host}].listen"),
        };
        let hosts = upstream.hosts.iter().enumerate();
        let reaches = hosts.filter_map(|(host, own)| {
            Some(Reach::address(format!("{argument}: `{}`", path(host)), own.listen?))
        });
        reaches.collect::<Vec<_>>()
    };
    upstreams.iter().flat_map(listens).collect()
}

/// Refuses what is not on loopback, unless that is allowed; all of it at once.
pub(super) fn refuse(reaches: impl IntoIterator<Item = Reach>, allowed: bool) -> Result<(), Failure> {
    let remote = reaches.into_iter().filter(|reach| !allowed && !reach.is_local);
    let mut refused: Vec<String> = remote.map(|reach| sentence(reason(&reach))).collect();
    // A variant that does not change it says it again.
    refused.dedup();
    if refused.is_empty() { Ok(()) } else { Err(Failure::scenarios(refused.concat())) }
}

fn reason(Reach { named_by, place, .. }: &Reach) -> String {
    format!(
        "{named_by}: {place} is not on loopback, and load is for your own machines alone; `--allow-remote` says that it is yours"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_the_address_however_it_is_written() {
        for (place, expected) in [
            ("http://127.0.0.1:4318", true),
            ("http://127.1:4318", true),
            ("http://0x7f000001", true),
            ("http://[::1]:4318", true),
            ("http://localhost:4318", true),
            ("http://localhost.example:4318", false),
            ("http://127.0.0.1.example", false),
            ("http://127.0.0.1@192.0.2.1:4318", false),
            ("http://192.0.2.1#@127.0.0.1", false),
            ("http://[::ffff:192.0.2.1]", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(is_local(&Url::parse(place).unwrap()), expected, "{place}");
        }
    }
}
