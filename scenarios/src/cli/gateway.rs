//! `tuesday gateway`: the gateway of a scenario as a server.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gateway::server::{HttpLimits, Observer, ScenarioClock, Server, ServerConfig, StartError};
use gateway::{GatewayConfig, KeySecret};

use super::defects::Defects;
use super::reload::Serving;
use super::remote::Reach;
use super::run::with_causes;
use super::serving::{Chosen, Signaled, Signals, wall_clock};
use super::telemetry::Telling;
use super::{ExitCode, Failure, GatewayArgs, UpstreamAddress, print, remote, say};
use crate::scenario::NamedUpstream;
use crate::{Variant, file};

/// Serves until it is told to end.
pub(super) fn gateway(args: &GatewayArgs) -> Result<ExitCode, Failure> {
    let mut chosen = Chosen::read(&args.scenario, args.variant.as_deref())?;
    let variant = chosen.variant();
    if let Some(external) = &variant.world.external {
        return Err(Failure::usage(format!(
            "{}: the gateway of the variant `{}` is external ({}), and this command runs the built-in one; take another \
             with `--variant`",
            args.scenario,
            variant.name,
            external.place()
        )));
    }
    let addresses = addresses(args, variant)?;
    remote::refuse(reaches(args, variant, &addresses), args.allow_remote)?;
    let upstreams = required(args, variant, &addresses)?;
    let signals = Signals::watch_all()?;
    // A connection of a client and one to an upstream for each request; what cannot be had is told by then.
    let _ = rlimit::increase_nofile_limit(u64::MAX);

    let mut config = ServerConfig::new(args.listen, variant.world.gateway.clone(), upstreams.clone());
    config.threads = args.threads.map_or_else(cores, NonZero::get);
    let descriptors = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    config.http =
        config.http.within(descriptors, Telling::descriptors(args), config.threads, upstreams.len());
    let connections = config.http.connections;
    config.seed = chosen.scenario().seed;
    config.key_secret = secret();
    let now = wall_clock();
    let telling = if Telling::is_asked(args) { Some(Telling::start(args, variant, now)?) } else { None };
    let observer: Arc<dyn Observer> = match &telling {
        // Of its own, lest two gateways give two traces one id.
        Some(telling) => telling.observe(&mut config, rand::random()),
        None => Arc::new(Defects::default()),
    };
    let server = Server::start(config, ScenarioClock::starting_now(now, 1.0), observer);
    let server = server.map_err(|error| {
        let way_out = match error {
            StartError::Listen { .. } => "; `--listen` takes another address",
            _ => "",
        };
        Failure::run(format!("{}{way_out}", with_causes(&error)))
    })?;

    let mut text = format!("gateway of {}\n", chosen.title());
    for route in variant.world.gateway.routes.iter() {
        let named = &variant.world.upstreams[route.upstream.0 as usize];
        let first = variant.world.gateway.first_host(route.upstream);
        let hosts = upstreams[first..first + named.hosts.len()].iter().map(SocketAddr::to_string);
        let hosts = hosts.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  {} -> {} at {hosts}", route.path, named.name);
    }
    if let Some(auth) = &variant.world.gateway.auth {
        let provider = auth.jwks.0 as usize;
        let address = upstreams[variant.world.gateway.first_host(auth.jwks)];
        let name = &variant.world.upstreams[provider].name;
        let _ = writeln!(text, "  keys from {name} at {address}");
    }
    if let Some(telling) = &telling {
        text += &telling.show(&chosen.title(), &server);
    }
    if connections < HttpLimits::default().connections {
        let _ = writeln!(
            text,
            "at most {connections} connections of clients at once: the process may open {descriptors} files (`ulimit -Hn` \
             raises that)"
        );
    }
    let _ = writeln!(text, "listening on http://{}", server.address());
    if Telling::takes_stdout(args) {
        say(&text);
    } else {
        print(&text)?;
    }
    loop {
        match signals.next() {
            Signaled::End => break,
            Signaled::Reopen => {
                if let Some(telling) = &telling {
                    telling.reopen_log(args);
                }
            }
            Signaled::Reload => {
                let serving =
                    Serving { args, server: &server, upstreams: &upstreams, telling: telling.as_ref() };
                serving.reload(&mut chosen);
            }
        }
    }
    end(args, server, telling);
    Ok(ExitCode::Held)
}

/// Lets requests under way finish, and has what is left of the log and the export go out: the log in what is left of the grace.
fn end(args: &GatewayArgs, server: Server, telling: Option<Telling>) {
    let grace = file::write_duration(args.grace);
    say(&format!("ending: requests under way have {grace}; a second signal ends them at once\n"));
    let asked = wall_clock();
    let cut = server.shutdown(args.grace).requests_cut;
    if let Some(telling) = telling {
        let left = args.grace.saturating_sub(wall_clock() - asked);
        telling.end(left.max(LAST_LINES));
    }
    if cut > 0 {
        say(&format!("{cut} requests were not finished within {grace} and were cut\n"));
    }
}

/// How long the last lines of the log have, at least.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Everything that the gateway may listen on or dial, whether a request of today leads there or not.
pub(super) fn reaches(args: &GatewayArgs, variant: &Variant, addresses: &[Option<SocketAddr>]) -> Vec<Reach> {
    let mut all = vec![Reach::address("--listen", args.listen)];
    all.extend(args.admin.map(|admin| Reach::address("--admin", admin)));
    all.extend(args.otlp.as_ref().map(|collector| Reach::url("--otlp", collector)));
    for ((upstream, _), address) in variant.world.hosts().zip(addresses) {
        let name = &variant.world.upstreams[upstream].name;
        all.extend(address.map(|address| Reach::address(format!("the upstream `{name}`"), address)));
    }
    all
}

/// Where each host of each upstream is, in the order of [`World::hosts`](crate::World::hosts), as the command line or else the file
/// says. An upstream with several hosts is named once for each of them, in their order.
pub(super) fn addresses(args: &GatewayArgs, variant: &Variant) -> Result<Vec<Option<SocketAddr>>, Failure> {
    let upstreams = &variant.world.upstreams;
    let names: Vec<&str> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    let hosts = upstreams.iter().flat_map(|upstream| &upstream.hosts);
    let mut addresses: Vec<Option<SocketAddr>> = hosts.map(|host| host.listen).collect();
    let mut named = vec![0; upstreams.len()];
    for UpstreamAddress { name, address } in &args.upstream {
        let Some(place) = names.iter().position(|known| known == name) else {
            let way_out = match file::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            return Err(Failure::usage(format!("--upstream: there is no upstream `{name}`; {way_out}")));
        };
        let (first, count) = (first_host(upstreams, place), upstreams[place].hosts.len());
        // Of an upstream with one host, what is said last holds.
        let host = if count == 1 { 0 } else { named[place] };
        if host >= count {
            return Err(Failure::usage(format!(
                "--upstream: `{name}` has {count} hosts, and this is one more"
            )));
        }
        named[place] += 1;
        addresses[first + host] = Some(*address);
    }
    Ok(addresses)
}

/// The addresses, where each upstream has one that the gateway asks: for what its routes serve, or for keys. The others have
/// what [`Server::start`] takes for none.
pub(super) fn required(
    args: &GatewayArgs,
    variant: &Variant,
    addresses: &[Option<SocketAddr>],
) -> Result<Vec<SocketAddr>, Failure> {
    let upstreams = &variant.world.upstreams;
    let is_asked = asked(&variant.world.gateway, upstreams.len());
    let missing = variant.world.hosts().zip(addresses);
    let missing = missing.filter(|((upstream, _), address)| is_asked[*upstream] && address.is_none());
    let missing: Vec<&str> = missing.map(|((upstream, _), _)| &*upstreams[upstream].name).collect();
    if !missing.is_empty() {
        let mut distinct = missing.clone();
        distinct.dedup();
        let options: Vec<_> =
            missing.iter().map(|name| format!("--upstream {name}=127.0.0.1:PORT")).collect();
        return Err(Failure::usage(format!(
            "{} does not say where to find {}; add `{}`, or `listen` to the upstream in the file (`tuesday upstreams` \
             runs them and prints where)",
            args.scenario,
            distinct.join(", "),
            options.join(" ")
        )));
    }
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(addresses.iter().map(|address| address.unwrap_or(nowhere)).collect())
}

/// The place of an upstream's first host among all hosts.
fn first_host(upstreams: &[NamedUpstream], place: usize) -> usize {
    upstreams[..place].iter().map(|upstream| upstream.hosts.len()).sum()
}

/// By upstream: whether the gateway ever asks it for anything.
fn asked(gateway: &GatewayConfig, upstreams: usize) -> Vec<bool> {
    let mut asked = vec![false; upstreams];
    let of_routes = gateway.routes.iter().map(|route| route.upstream);
    for upstream in of_routes.chain(gateway.auth.as_ref().map(|auth| auth.jwks)) {
        if let Some(asked) = asked.get_mut(upstream.0 as usize) {
            *asked = true;
        }
    }
    asked
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Keys are digested under what nobody outside can know, lest somebody chooses keys that share a bucket.
fn secret() -> KeySecret {
    KeySecret(rand::random())
}
