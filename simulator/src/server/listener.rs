//! The listening socket of a service, which is closed while a fault refuses everybody.

use std::io;
use std::net;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;
use http::HeaderValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::http1::{Door, Limits};
use super::port::Port;
use super::service::ServedService;

/// How long it rests when the system has nothing to give, such as a descriptor.
const REST: Duration = Duration::from_millis(10);

/// Accepts the connections of a service, except while a fault refuses all of them: then nobody listens.
pub(super) struct Listener {
    door: Arc<Door>,
    port: Port,
    /// Open from the start, unless it is to refuse.
    socket: Option<net::TcpListener>,
    /// In order.
    refusals: Vec<Range<Timestamp>>,
}

/// Those that are let in.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    connections: Arc<Semaphore>,
    limit: u32,
}

impl Listener {
    /// Listens, if it is not to refuse right `now`.
    pub(super) fn new(
        service: Arc<ServedService>,
        name: HeaderValue,
        port: Port,
        mut refusals: Vec<Range<Timestamp>>,
        now: Timestamp,
        limits: Limits,
    ) -> io::Result<Self> {
        refusals.retain(|span| now < span.end);
        let refuses = refusals.first().is_some_and(|span| span.contains(&now));
        let socket = if refuses { None } else { Some(port.listen()?) };
        let door = Arc::new(Door { service, name, limits });
        Ok(Self { door, port, socket, refusals })
    }

    pub(super) fn service(&self) -> &Arc<ServedService> {
        &self.door.service
    }

    /// Accepts until it is stopped.
    pub(super) fn run(
        self,
        stopping: watch::Receiver<Option<Duration>>,
    ) -> (Doorkeeper, impl Future<Output = ()> + Send) {
        let limit = self.door.limits.connections;
        let doorkeeper = Doorkeeper { connections: Arc::new(Semaphore::new(limit as usize)), limit };
        (doorkeeper.clone(), self.accept_until_stopped(doorkeeper, stopping))
    }

    async fn accept_until_stopped(
        self,
        doorkeeper: Doorkeeper,
        mut stopping: watch::Receiver<Option<Duration>>,
    ) {
        // Its connections end after the request under way once this has changed, or is gone.
        let (closing, _) = watch::channel(());
        tokio::select! {
            () = self.accept(&doorkeeper, &closing) => {}
            _ = stopping.wait_for(Option::is_some) => {}
        }
    }

    /// Accepts between refusals, and does not end.
    async fn accept(self, doorkeeper: &Doorkeeper, closing: &watch::Sender<()>) {
        let Self { door, port, mut socket, refusals } = self;
        let timer = &door.service.timer;
        for refusal in refusals {
            tokio::select! {
                // So that it does not listen for a moment when it is to refuse at once.
                biased;
                () = timer.until(refusal.start) => {}
                () = accept_all(&door, &port, socket.take(), doorkeeper, closing) => {}
            }
            closing.send_replace(());
            timer.until(refusal.end).await;
        }
        accept_all(&door, &port, socket, doorkeeper, closing).await;
    }
}

/// Accepts connections; does not end.
async fn accept_all(
    door: &Arc<Door>,
    port: &Port,
    listener: Option<net::TcpListener>,
    doorkeeper: &Doorkeeper,
    closing: &watch::Sender<()>,
) {
    let listener = listen(&door.service, port, listener).await;
    loop {
        let Ok(place) = Arc::clone(&doorkeeper.connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => serve(door, stream, place, closing.subscribe()),
            Err(error) => {
                door.service.note_exhaustion(&error);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn listen(service: &ServedService, port: &Port, mut listener: Option<net::TcpListener>) -> TcpListener {
    loop {
        match listener.take().map_or_else(|| port.listen(), Ok).and_then(TcpListener::from_std) {
            Ok(listener) => return listener,
            Err(error) => {
                service.note_exhaustion(&error);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn serve(door: &Arc<Door>, stream: TcpStream, place: OwnedSemaphorePermit, closing: watch::Receiver<()>) {
    let door = Arc::clone(door);
    tokio::spawn(async move {
        door.serve(stream, closing).await;
        drop(place);
    });
}

impl Doorkeeper {
    /// Waits until there is no connection left. Nothing is let in afterwards.
    pub(super) async fn all_left(&self) {
        // Fails only where it is closed, which is no different.
        let _ = self.connections.acquire_many(self.limit).await;
    }
}
