//! What the commands have in common that run a part of a scenario alone, until a signal ends it.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fmt, process, thread};

use gateway::Timestamp;
use nix::sys::signal::{SigSet, Signal};

use super::sources::{self, Source};
use super::{ExitCode, Failure, visible};
use crate::{Scenario, Variant, file};

/// The time of the wall clock, with whose minutes windows are aligned and by which tokens expire. It is read once: from then on the clock goes forward, even
/// where the system's is set back.
pub(super) fn wall_clock() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "what stands alone serves the real world, by its clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + now
}

/// A scenario, and which of its variants is meant.
pub(super) struct Chosen {
    pub(super) source: Source,
    place: usize,
}

impl Chosen {
    /// Reads a scenario and picks the variant of that name; without a name, the first.
    pub(super) fn read(argument: &str, variant: Option<&str>) -> Result<Self, Failure> {
        let mut sources = sources::read_all(&[argument.to_owned()])?;
        let Some(source) = sources.pop() else {
            return Err(Failure::usage(format!("{argument}: there is no scenario")));
        };
        let variants = &source.scenario.variants;
        let Some(name) = variant else { return Ok(Self { source, place: 0 }) };
        if let Some(place) = variants.iter().position(|variant| variant.name == name) {
            return Ok(Self { source, place });
        }
        let names: Vec<_> = variants.iter().map(|variant| &*variant.name).collect();
        let way_out = match file::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", names.join(", ")),
        };
        Err(Failure::usage(format!("{argument} has no variant `{name}`; {way_out}")))
    }

    pub(super) const fn scenario(&self) -> &Scenario {
        &self.source.scenario
    }

    pub(super) fn variant(&self) -> &Variant {
        &self.source.scenario.variants[self.place]
    }

    /// Which variant that is, and whether there are others: `variant token-bucket (--variant takes another of the 4)`.
    pub(super) fn title(&self) -> String {
        let (name, number) = (&self.variant().name, self.scenario().variants.len());
        let argument = visible(&self.source.argument);
        match number {
            1 => format!("{argument}, variant {name}"),
            _ => {
                format!("{argument}, variant {name} (--variant takes another of the {number})")
            }
        }
    }
}

/// An address of the command line; a port alone is one of 127.0.0.1.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.trim_start_matches(':').parse::<u16>();
    let address = port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let address = address.ok().or_else(|| text.parse().ok());
    let named = || text.strip_prefix("localhost:")?.parse().ok().map(|port| ([127, 0, 0, 1], port).into());
    address.or_else(named).ok_or_else(|| "an address and a port, such as 127.0.0.1:8080".to_owned())
}

/// Ctrl-C and SIGTERM: the first is for the command, the second ends the process at once.
pub(super) struct Signals(Receiver<Signaled>);

/// What a signal tells a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signaled {
    /// To end: Ctrl-C, SIGTERM or, for a command that reads nothing again, SIGHUP.
    End,
    /// To read its scenario again: SIGHUP.
    Reload,
    /// To open its log again: SIGUSR1.
    Reopen,
}

impl Signals {
    pub(super) fn watch() -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel();
        Self::end_by(sender)?;
        Ok(Self(signals))
    }

    /// Watches for SIGHUP and SIGUSR1 too. Before any thread is started: each inherits which signals are not for it.
    pub(super) fn watch_all() -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel();
        let failed = |error: &dyn fmt::Display| Failure::run(format!("cannot watch for signals: {error}"));
        let asks = SigSet::from_iter([Signal::SIGHUP, Signal::SIGUSR1]);
        asks.thread_block().map_err(|error| failed(&error))?;
        let asking = sender.clone();
        let watch = move || {
            while let Ok(signal) = asks.wait()
                && asking
                    .send(if signal == Signal::SIGHUP { Signaled::Reload } else { Signaled::Reopen })
                    .is_ok()
            {}
        };
        let watched = thread::Builder::new().name("signals".to_owned()).spawn(watch);
        watched.map_err(|error| failed(&error))?;
        Self::end_by(sender)?;
        Ok(Self(signals))
    }

    fn end_by(sender: Sender<Signaled>) -> Result<(), Failure> {
        let mut asked = false;
        let handler = move || {
            if std::mem::replace(&mut asked, true) {
                process::exit(ExitCode::Interrupted.number().into());
            }
            let _ = sender.send(Signaled::End);
        };
        let set = ctrlc::set_handler(handler);
        set.map_err(|error| Failure::run(format!("cannot watch for Ctrl-C: {error}")))
    }

    /// Waits for the first.
    pub(super) fn wait(&self) {
        while self.next() != Signaled::End {}
    }

    /// Waits for the next.
    pub(super) fn next(&self) -> Signaled {
        self.0.recv().unwrap_or(Signaled::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_several_ways() {
        for (text, means) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:80", "127.0.0.1:80"),
            (":8080", "127.0.0.1:8080"),
            ("8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("0.0.0.0:1", "0.0.0.0:1"),
        ] {
            assert_eq!(address(text), Ok(means.parse().unwrap()), "{text}");
        }
        for text in ["", "127.0.0.1", "example.org:80", "127.0.0.1:99999", "localhost:"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
