//! A world as NeXosim's documentation recommends: clients, gateway and service are models of their own, connected by ports.

use std::collections::VecDeque;
use std::time::Duration;

use nexosim::Message;
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSource, Output};
use nexosim::simulation::{EventId, Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use crate::pause;
use crate::world::{Chance, Counts, Service, Windows, World};

#[derive(Clone, Message, Serialize, Deserialize)]
pub struct Request {
    key: usize,
    sent: MonotonicTime,
}

#[derive(Clone, Message, Serialize, Deserialize)]
pub enum Answer {
    Served { sent: MonotonicTime },
    Limited,
    Shed,
}

/// Send, and count what comes back.
#[derive(Serialize, Deserialize)]
pub struct Clients {
    requests_out: Output<Request>,
    counts: Output<Counts>,
    world: World,
    requests: u64,
    so_far: Counts,
    chance: Chance,
}

#[Model]
impl Clients {
    async fn start(&mut self, (): (), cx: &Context<Self>) {
        self.next_poisson(cx);
        if self.world.bursts {
            let _ = cx.schedule_event(Duration::from_secs(58), schedulable!(Self::burst), 0);
        }
    }

    #[nexosim(schedulable)]
    async fn poisson(&mut self, (): (), cx: &Context<Self>) {
        if self.so_far.arrived < self.requests {
            let key = 1 + self.chance.below(self.world.identities);
            self.send(key as usize, cx).await;
            self.next_poisson(cx);
        }
    }

    #[nexosim(schedulable)]
    async fn burst(&mut self, sent: u64, cx: &Context<Self>) {
        if self.so_far.arrived < self.requests {
            self.send(0, cx).await;
            // 2,000 that are 2 ms apart, and 56 seconds of rest.
            let (pause, sent) = if sent + 1 < 2_000 { (2, sent + 1) } else { (56_002, 0) };
            let _ = cx.schedule_event(Duration::from_millis(pause), schedulable!(Self::burst), sent);
        }
    }

    pub async fn answered(&mut self, answer: Answer, cx: &Context<Self>) {
        match answer {
            Answer::Served { sent } => {
                self.so_far.served += 1;
                self.so_far.sojourn_s += cx.time().duration_since(sent).as_secs_f64();
            }
            Answer::Limited => self.so_far.limited += 1,
            Answer::Shed => self.so_far.shed += 1,
        }
        let ended = self.so_far.served + self.so_far.limited + self.so_far.shed;
        if ended == self.requests {
            self.counts.send(self.so_far.clone()).await;
        }
    }

    fn next_poisson(&mut self, cx: &Context<Self>) {
        let next = pause(self.chance.exponential() / self.world.rate);
        let _ = cx.schedule_event(next, schedulable!(Self::poisson), ());
    }

    async fn send(&mut self, key: usize, cx: &Context<Self>) {
        self.so_far.arrived += 1;
        self.requests_out.send(Request { key, sent: cx.time() }).await;
    }
}

/// Limits each key, and holds as many as there is room for.
#[derive(Serialize, Deserialize)]
pub struct Gateway {
    admitted: Output<Request>,
    answers: Output<Answer>,
    windows: Windows,
    capacity: usize,
    inside: usize,
}

#[Model]
impl Gateway {
    pub async fn request(&mut self, request: Request, cx: &Context<Self>) {
        if !self.windows.admits(request.key, cx.time().as_secs()) {
            self.answers.send(Answer::Limited).await;
        } else if self.inside < self.capacity {
            self.inside += 1;
            self.admitted.send(request).await;
        } else {
            self.answers.send(Answer::Shed).await;
        }
    }

    pub async fn served(&mut self, request: Request) {
        self.inside -= 1;
        self.answers.send(Answer::Served { sent: request.sent }).await;
    }
}

/// Some workers and a queue before them.
#[derive(Serialize, Deserialize)]
pub struct Upstream {
    served: Output<Request>,
    service: Service,
    workers: usize,
    busy: usize,
    waiting: VecDeque<Request>,
    chance: Chance,
}

#[Model]
impl Upstream {
    pub async fn request(&mut self, request: Request, cx: &Context<Self>) {
        if self.busy < self.workers {
            self.busy += 1;
            self.serve(request, cx);
        } else {
            self.waiting.push_back(request);
        }
    }

    #[nexosim(schedulable)]
    async fn done(&mut self, request: Request, cx: &Context<Self>) {
        self.served.send(request).await;
        match self.waiting.pop_front() {
            Some(next) => self.serve(next, cx),
            None => self.busy -= 1,
        }
    }

    fn serve(&mut self, request: Request, cx: &Context<Self>) {
        let time = pause(self.service.draw(&mut self.chance));
        let _ = cx.schedule_event(time, schedulable!(Self::done), request);
    }
}

/// Adds the models, and says with what they start.
pub fn assemble(
    mut bench: SimInit,
    world: World,
    requests: u64,
    connect: impl FnOnce(&mut Output<Counts>),
) -> (SimInit, EventId<()>) {
    let mut gateway = Gateway {
        admitted: Output::default(),
        answers: Output::default(),
        windows: Windows::of(&world),
        capacity: world.capacity,
        inside: 0,
    };
    let mut upstream = Upstream {
        served: Output::default(),
        service: world.service.clone(),
        workers: world.workers,
        busy: 0,
        waiting: VecDeque::new(),
        chance: Chance::new(903),
    };
    let mut clients = Clients {
        requests_out: Output::default(),
        counts: Output::default(),
        world,
        requests,
        so_far: Counts::default(),
        chance: Chance::new(902),
    };
    connect(&mut clients.counts);
    let (at_clients, at_gateway, at_upstream) = (Mailbox::new(), Mailbox::new(), Mailbox::new());
    clients.requests_out.connect(Gateway::request, &at_gateway);
    gateway.admitted.connect(Upstream::request, &at_upstream);
    gateway.answers.connect(Clients::answered, &at_clients);
    upstream.served.connect(Gateway::served, &at_gateway);
    let start = EventSource::new().connect(Clients::start, &at_clients).register(&mut bench);
    let bench = bench
        .add_model(clients, at_clients, "clients")
        .add_model(gateway, at_gateway, "gateway")
        .add_model(upstream, at_upstream, "upstream");
    (bench, start)
}
