//! A gateway that is not ours: started before a run, waited for, and ended after it.
//!
//! Only what was started here is ever ended, by its own process id. It has a process group of its own, so that Ctrl-C in
//! a terminal comes to the harness alone, which then ends the run and the gateway in that order. The group is ended as a
//! whole: a gateway has workers, and those of one whose first process is gone would keep its port.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, PipeReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use http::uri::InvalidUri;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::http_clients::http_client;
use super::stop::Stop;
use crate::ExternalGateway;

/// Why an external gateway could not be used.
#[derive(Debug, Error)]
pub enum ExternalError {
    /// Somebody else has its address.
    #[error(
        "something takes connections at {place} already, where `command` is to start the gateway; end it, or leave \
         `command` out to measure what runs there"
    )]
    Taken {
        /// The gateway's URL.
        place: String,
    },
    /// Its program could not be run.
    #[error("cannot run `{program}` in {folder}: {source}")]
    Program {
        /// The program.
        program: String,
        /// Where it was to run.
        folder: String,
        /// Why not.
        source: io::Error,
    },
    /// Its program has ended by itself.
    #[error(
        "the gateway's `{program}` has ended by itself ({status}); it must stay in the foreground{output}"
    )]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The last of what it printed.
        output: String,
    },
    /// It was not ready in time.
    #[error("the gateway at {place} was not ready within {within:?}: {reason}{output}")]
    NotReady {
        /// Its URL.
        place: String,
        /// How long it had.
        within: Duration,
        /// What stood in the way last.
        reason: String,
        /// The last of what it printed.
        output: String,
    },
    /// The system has no threads, pipes or descriptors left.
    #[error("cannot wait for the gateway")]
    System(#[from] io::Error),
}

/// An external gateway that is ready. Dropped, it is ended if it was started here.
#[derive(Debug)]
pub(super) struct Running {
    process: Option<Process>,
}

impl Running {
    /// Starts it, where there is a program to start, in that folder, and waits until it is ready. If the run is stopped, it
    /// is not waited for.
    pub(super) fn start(
        external: &ExternalGateway,
        folder: &Path,
        stop: &Stop,
    ) -> Result<Self, ExternalError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut process = None;
        if let Some((program, arguments)) = external.command.split_first() {
            if runtime.block_on(connect(external)).is_ok() {
                return Err(ExternalError::Taken { place: external.place().to_owned() });
            }
            process = Some(Process::start(program, arguments, folder)?);
        }
        let mut this = Self { process };
        runtime.block_on(this.wait_until_ready(external, stop))?;
        Ok(this)
    }

    /// Says why, if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), ExternalError> {
        self.process.as_mut().map_or(Ok(()), Process::check)
    }

    async fn wait_until_ready(
        &mut self,
        external: &ExternalGateway,
        stop: &Stop,
    ) -> Result<(), ExternalError> {
        let deadline = sleep(external.ready_within);
        tokio::pin!(deadline);
        let mut reason = "it gave no answer".to_owned();
        while !stop.is_asked() {
            self.check()?;
            tokio::select! {
                answer = is_ready(external) => match answer {
                    // What answers may be another one while ours was about to end.
                    Ok(()) => return self.check(),
                    Err(why) => reason = why,
                },
                () = &mut deadline => {
                    let output = self.process.as_mut().map_or_else(String::new, Process::said);
                    let (place, within) = (external.place().to_owned(), external.ready_within);
                    return Err(ExternalError::NotReady { place, within, reason, output });
                }
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Between two looks at what takes its time.
const PAUSE: Duration = Duration::from_millis(20);

/// How long one request for the readiness may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the gateway is ready, or what stands in the way.
async fn is_ready(external: &ExternalGateway) -> Result<(), String> {
    let Some(path) = &external.ready else { return connect(external).await };
    let mut url = external.url.clone();
    // Not joined: `//host/` would lead to another host.
    let (before, query) = path.split_once('?').map_or((&**path, None), |(path, query)| (path, Some(query)));
    url.set_path(before);
    url.set_query(query);
    let uri = url.as_str().parse().map_err(|error: InvalidUri| error.to_string())?;
    let answer = timeout(PATIENCE, http_client(None, 0).get(uri)).await;
    let status = match answer {
        Ok(answer) => answer.map_err(|error| with_causes(&error))?.status(),
        Err(_) => return Err(format!("`{path}` is not answered within {PATIENCE:?}")),
    };
    if status.is_server_error() { Err(format!("`{path}` is answered {}", status.as_u16())) } else { Ok(()) }
}

async fn connect(external: &ExternalGateway) -> Result<(), String> {
    let addresses: Vec<SocketAddr> = external.url.socket_addrs(|| None).map_err(|error| error.to_string())?;
    match timeout(PATIENCE, TcpStream::connect(&*addresses)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes no connections".to_owned()),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// The process that was started here and has not been waited for; there is one run at a time.
static STARTED: Mutex<Option<Pid>> = Mutex::new(None);

/// Ends at once the external gateway that was started for the run under way, if any: for whoever leaves the process without
/// unwinding.
pub fn kill_external_gateway() {
    if let Some(leader) = *lock(&STARTED) {
        let _ = killpg(leader, Signal::SIGKILL);
    }
}

/// A program that was started here.
#[derive(Debug)]
struct Process {
    program: String,
    child: Child,
    ended: Option<WaitStatus>,
    output: Arc<Mutex<VecDeque<u8>>>,
    /// Hears when there will be no more output.
    silent: Receiver<()>,
}

/// How much of its output is kept, from the end.
const OUTPUT: usize = 4 << 10;

/// How long it has to end by itself once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long what was killed has to be gone.
const KILLED: Duration = Duration::from_secs(1);

impl Process {
    fn start(program: &str, arguments: &[String], folder: &Path) -> Result<Self, ExternalError> {
        let (reader, writer) = io::pipe()?;
        // An empty path is no folder to run in.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut started = lock(&STARTED);
        let child = command.spawn().map_err(|source| ExternalError::Program {
            program: program.to_owned(),
            folder: folder.display().to_string(),
            source,
        })?;
        *started = Some(Pid::from_raw(child.id() as i32));
        drop(started);
        // With it goes this process's own end of the pipe.
        drop(command);
        let output = Arc::default();
        let (done, silent) = mpsc::channel();
        let this = Self { program: program.to_owned(), child, ended: None, output, silent };
        let output = Arc::clone(&this.output);
        thread::Builder::new().name("gateway-output".to_owned()).spawn(move || {
            keep_the_last(reader, &output);
            drop(done);
        })?;
        Ok(this)
    }

    fn check(&mut self) -> Result<(), ExternalError> {
        let Some(status) = self.status() else { return Ok(()) };
        let status = match status {
            // One that sends itself into the background would outlive the run.
            WaitStatus::Exited(_, 0) => "exit code 0, and it has to stay in the foreground".to_owned(),
            WaitStatus::Exited(_, code) => format!("exit code {code}"),
            WaitStatus::Signaled(_, signal, _) => format!("signal {}", signal as i32),
            other => format!("{other:?}"),
        };
        Err(ExternalError::Ended { program: self.program.clone(), status, output: self.said() })
    }

    /// Its number, and its group's.
    fn leader(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// How it ended, if it has. It is not waited for: as long as it is not, its number is nobody else's.
    fn status(&mut self) -> Option<WaitStatus> {
        if self.ended.is_none() {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let status = waitid(Id::Pid(self.leader()), flags).ok();
            self.ended = status.filter(|status| *status != WaitStatus::StillAlive);
        }
        self.ended
    }

    /// The last of what it printed, as the end of a message.
    fn said(&mut self) -> String {
        if self.ended.is_some() {
            // What it printed last may not have been read yet.
            let _ = self.silent.recv_timeout(Duration::from_secs(1));
        }
        let bytes: Vec<u8> = lock(&self.output).iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let printable = |line: &str| line.chars().filter(|letter| !letter.is_control()).collect::<String>();
        let lines: Vec<String> = text.trim().lines().map(printable).collect();
        if lines.is_empty() {
            return "; it printed nothing".to_owned();
        }
        format!("; it printed:\n  {}", lines.join("\n  "))
    }

    /// Asks it and its children to end, and makes those end that do not in time.
    fn end(&mut self) {
        let group = self.leader();
        let _ = killpg(group, Signal::SIGTERM);
        if !self.is_gone_within(GRACE) {
            let _ = killpg(group, Signal::SIGKILL);
            // What is killed takes a moment to be gone, and then the port is free.
            self.is_gone_within(KILLED);
            let _ = self.child.wait();
        }
        *lock(&STARTED) = None;
    }

    /// Waits until nobody is left of its group, for so long at most.
    fn is_gone_within(&mut self, patience: Duration) -> bool {
        for _ in 0..patience.as_millis() / PAUSE.as_millis() {
            // Once it was waited for, its number is the group's for as long as anybody is left.
            let is_reaped = self.status().is_some() && self.child.wait().is_ok();
            if is_reaped && killpg(self.leader(), None).is_err() {
                return true;
            }
            thread::sleep(PAUSE);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep_the_last(mut reader: PipeReader, output: &Mutex<VecDeque<u8>>) {
    let mut bytes = [0; 1024];
    while let Ok(read @ 1..) = reader.read(&mut bytes) {
        let mut output = lock(output);
        output.extend(&bytes[..read]);
        let surplus = output.len().saturating_sub(OUTPUT);
        output.drain(..surplus);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
