//! Nothing beyond loopback is dialled or listened on unless the user says so.

use std::net::SocketAddr;

use super::error::{Failure, sentence};
use super::sources::Source;
use crate::file::display_key;

/// Refuses scenarios that reach beyond loopback, unless that is allowed.
pub(super) fn refuse(sources: &[Source], allowed: bool) -> Result<(), Failure> {
    if allowed {
        return Ok(());
    }
    let mut refused: Vec<String> = Vec::new();
    for Source { argument, scenario, .. } in sources {
        for variant in &scenario.variants {
            let external = variant.world.external.as_ref().filter(|external| !external.is_local());
            refused.extend(external.map(|external| {
                sentence(format!("{argument}: `gateway.external.url`: {}", reason(external.place())))
            }));
            for upstream in &variant.world.upstreams {
                let remote = upstream.listen.filter(|listen| !listen.ip().is_loopback());
                refused.extend(remote.map(|listen| {
                    let key = display_key(&upstream.name);
                    sentence(format!("{argument}: `upstreams.{key}.listen`: {}", reason(&listen.to_string())))
                }));
            }
        }
    }
    // A variant that does not change it says it again.
    refused.dedup();
    if refused.is_empty() { Ok(()) } else { Err(Failure::scenarios(refused.concat())) }
}

/// Refuses an address of the command line beyond loopback, unless that is allowed.
pub(super) fn refuse_address(option: &str, address: SocketAddr, allowed: bool) -> Result<(), Failure> {
    if allowed || address.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!("{option}: {}", reason(&address.to_string()))))
}

fn reason(place: &str) -> String {
    format!(
        "{place} is not on loopback, and load is for your own machines alone; `--allow-remote` says that it is yours"
    )
}
