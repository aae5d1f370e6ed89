//! A scenario that is read again while its gateway serves.

use std::net::SocketAddr;
use std::path::Path;

use gateway::server::{ReloadError, Server};

use super::error::sentence;
use super::gateway::{addresses, reaches, required};
use super::serving::Chosen;
use super::telemetry::Telling;
use super::{GatewayArgs, remote, say};
use crate::Variant;

/// A gateway that serves, and where it finds its upstreams.
pub(super) struct Serving<'a> {
    pub(super) args: &'a GatewayArgs,
    pub(super) server: &'a Server,
    pub(super) upstreams: &'a [SocketAddr],
    pub(super) telling: Option<&'a Telling>,
}

impl Serving<'_> {
    /// Reads the scenario again and has the gateway go by it, if that can be, and says what came of it once it stands in the
    /// metrics.
    pub(super) fn reload(&self, chosen: &mut Chosen) {
        match self.read_again(chosen) {
            Ok((reloaded, changed)) => {
                *chosen = reloaded;
                if let Some(telling) = self.telling {
                    telling.reconfigure(chosen.variant());
                }
                say(&format!("reloaded {}: {changed}\n", chosen.title()));
            }
            Err(reason) => {
                if let Some(telling) = self.telling {
                    telling.on_reload_failed();
                }
                say(&format!("{reason}nothing was reloaded; the gateway goes on as before\n"));
            }
        }
    }

    /// What the gateway goes by now, and what of that is new in words.
    ///
    /// # Errors
    ///
    /// A message, if the scenario cannot be used or asks for what takes a start.
    fn read_again(&self, before: &Chosen) -> Result<(Chosen, String), String> {
        let Self { args, server, upstreams, .. } = self;
        if !Path::new(&args.scenario).is_file() {
            return Err(sentence(format!("{} is no file that could be read again", args.scenario)));
        }
        let chosen =
            Chosen::read(&args.scenario, args.variant.as_deref()).map_err(|error| error.to_string())?;
        let (old, new) = (before.variant(), chosen.variant());
        let takes_a_start = |what: &str| {
            sentence(format!("{}: {what}, which takes a start of `tuesday gateway`", args.scenario))
        };
        if new.world.external.is_some() {
            return Err(takes_a_start("its gateway is external"));
        }
        if names(old) != names(new) {
            return Err(takes_a_start("there are other upstreams"));
        }
        let found = addresses(args, new).map_err(|error| error.to_string())?;
        remote::refuse(reaches(args, new, &found), args.allow_remote).map_err(|error| error.to_string())?;
        if required(args, new, &found).map_err(|error| error.to_string())? != *upstreams {
            return Err(takes_a_start("an upstream is somewhere else"));
        }
        let gateway = new.world.gateway.clone();
        server.reload(gateway).map_err(|error| match error {
            ReloadError::Routes => takes_a_start("the routes lead elsewhere"),
            ReloadError::Hosts => takes_a_start("an upstream has more hosts or fewer"),
            ReloadError::Tokens => takes_a_start("`gateway.auth` is another"),
            ReloadError::Ended => takes_a_start("the gateway has ended"),
        })?;
        let changed = changed(old, new);
        Ok((chosen, changed))
    }
}

fn names(variant: &Variant) -> Vec<&str> {
    variant.world.upstreams.iter().map(|upstream| &*upstream.name).collect()
}

/// Which settings of the gateway are others now.
fn changed(old: &Variant, new: &Variant) -> String {
    if old.world.gateway == new.world.gateway {
        return "nothing has changed".to_owned();
    }
    let value = |variant: &'_ Variant, key: &str| {
        variant.settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.clone())
    };
    let keys = old.settings.iter().chain(&new.settings).map(|setting| &*setting.key);
    let mut changed: Vec<&str> = keys.filter(|key| value(old, key) != value(new, key)).collect();
    changed.sort_unstable();
    changed.dedup();
    let told = changed.iter().filter_map(|key| Some([*key, " = ", &value(new, key)?].concat()));
    let told: Vec<_> = told.collect();
    if told.is_empty() { "its settings have changed".to_owned() } else { told.join("; ") }
}
