//! `tuesday upstreams`: the services of a scenario as servers.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway::server::ScenarioClock;
use simulator::FaultTimeline;
use simulator::server::{ServiceConfig, StartError, Upstreams, UpstreamsConfig};

use super::defects::Defects;
use super::run::with_causes;
use super::serving::{Chosen, Signals, wall_clock};
use super::{ExitCode, Failure, UpstreamsArgs, print, remote};
use crate::UpstreamFault;
use crate::engine::key_document;
use crate::file::write_duration;

/// Serves until it is told to end.
pub(super) fn upstreams(args: &UpstreamsArgs) -> Result<ExitCode, Failure> {
    let chosen = Chosen::read(&args.scenario, args.variant.as_deref())?;
    let (timeline, world) = (chosen.scenario().timeline, &chosen.variant().world);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // A gateway of another kind, which the file may name, is not asked for anything here.
    let reaches = remote::of_upstreams(&args.scenario, &world.upstreams);
    remote::refuse(reaches, args.allow_remote)?;
    let signals = Signals::watch()?;
    let _ = rlimit::increase_nofile_limit(u64::MAX);

    // After the scenario they go on, and nothing goes wrong any more.
    let faults = if args.calm { &[][..] } else { &world.faults };
    let faults: Vec<UpstreamFault> = faults
        .iter()
        .filter_map(|struck| {
            Some(UpstreamFault { fault: struck.fault.until(timeline.duration)?, ..struck.clone() })
        })
        .collect();
    let seed = args.seed.unwrap_or(chosen.scenario().seed);
    // By the clock of the gateway that judges what was signed here, ours when it is alone or any other.
    let starts = wall_clock();
    let mint = key_document(world, starts).map_err(|error| Failure::run(with_causes(&error)))?;
    let services = world.hosts().map(|(number, host)| {
        let upstream = &world.upstreams[number];
        let own = faults.iter().filter(|fault| fault.strikes(number, host)).map(|fault| &fault.fault);
        ServiceConfig {
            name: upstream.name.clone(),
            config: upstream.config_of(host),
            faults: FaultTimeline::new(seed, own),
            listen: upstream.hosts[host].listen.unwrap_or(loopback),
            keys: mint.clone().filter(|_| upstream.serves_keys),
        }
    });
    let hosts = world.upstreams.iter().map(|upstream| upstream.hosts.len()).collect();
    let config = UpstreamsConfig { hosts, ..UpstreamsConfig::new(services.collect(), seed) };
    let clock = ScenarioClock::starting_now(starts, args.speed);
    let services = world.hosts().map(|(upstream, _)| world.upstreams[upstream].name.clone()).collect();
    let running = Upstreams::start(config, clock, Arc::new(Defects { services })).map_err(|error| {
        let way_out = match error {
            StartError::Listen { .. } => "; `listen` of the upstream in the file says where",
            _ => "",
        };
        Failure::run(format!("{}{way_out}", with_causes(&error)))
    })?;

    let mut text = format!("upstreams of {}\n", chosen.title());
    for ((upstream, host), address) in world.hosts().zip(running.addresses()) {
        let upstream = &world.upstreams[upstream];
        let number = if upstream.hosts.len() > 1 { format!(" host {host}") } else { String::new() };
        let _ = writeln!(text, "  {}{number} at http://{address}", upstream.name);
        if let Some(client) = world.populations.iter().find(|client| client.token.is_some())
            && upstream.serves_keys
        {
            let _ = writeln!(text, "    with a token for each client, such as /token/{}/0", client.name);
        }
    }
    for UpstreamFault { upstreams, hosts, fault } in &faults {
        let names: Vec<_> = upstreams.iter().map(|upstream| &*world.upstreams[*upstream].name).collect();
        let hosts = hosts.iter().flatten().map(|host| format!(" host {host}"));
        let names = [names.join(", "), hosts.collect::<Vec<_>>().join(",")].concat();
        let (from, to) = (write_duration(fault.from()), write_duration(fault.to()));
        let _ = writeln!(text, "  {} of {} from {from} to {to}", fault.kind().name(), names);
    }
    let speed = if args.speed.to_bits() == 1.0_f64.to_bits() {
        String::new()
    } else {
        format!(", {} times as fast as real time", args.speed)
    };
    let _ = writeln!(text, "listening; the scenario's time has begun{speed}");
    print(&text)?;
    signals.wait();
    running.shutdown(GRACE);
    Ok(ExitCode::Held)
}

/// What is under way may end within this; what hangs never would.
const GRACE: Duration = Duration::from_secs(1);
