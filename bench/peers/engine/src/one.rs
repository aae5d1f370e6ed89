//! A world as one model that schedules its own events: no message goes between models, which is the fastest that NeXosim
//! does.

use std::collections::VecDeque;
use std::time::Duration;

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSource, Output};
use nexosim::simulation::{EventId, Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use crate::pause;
use crate::world::{Chance, Counts, Windows, World};

#[derive(Serialize, Deserialize)]
pub struct Everything {
    counts: Output<Counts>,
    world: World,
    requests: u64,
    so_far: Counts,
    busy: usize,
    /// When those arrived that wait.
    waiting: VecDeque<MonotonicTime>,
    windows: Windows,
    chance: Chance,
}

#[Model]
impl Everything {
    async fn start(&mut self, (): (), cx: &Context<Self>) {
        self.next_poisson(cx);
        if self.world.bursts {
            let _ = cx.schedule_event(Duration::from_secs(58), schedulable!(Self::burst), 0);
        }
    }

    #[nexosim(schedulable)]
    async fn poisson(&mut self, (): (), cx: &Context<Self>) {
        if self.over() {
            return;
        }
        let key = 1 + self.chance.below(self.world.identities);
        self.arrive(key as usize, cx);
        self.next_poisson(cx);
    }

    #[nexosim(schedulable)]
    async fn burst(&mut self, sent: u64, cx: &Context<Self>) {
        if self.over() {
            return;
        }
        self.arrive(0, cx);
        // 2,000 that are 2 ms apart, and 56 seconds of rest.
        let (pause, sent) = if sent + 1 < 2_000 { (2, sent + 1) } else { (56_002, 0) };
        let _ = cx.schedule_event(Duration::from_millis(pause), schedulable!(Self::burst), sent);
    }

    #[nexosim(schedulable)]
    async fn served(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        self.so_far.served += 1;
        self.so_far.sojourn_s += cx.time().duration_since(arrived).as_secs_f64();
        match self.waiting.pop_front() {
            Some(next) => self.serve(next, cx),
            None => self.busy -= 1,
        }
        if self.over() && self.busy == 0 {
            self.counts.send(self.so_far.clone()).await;
        }
    }

    fn over(&self) -> bool {
        self.so_far.arrived >= self.requests
    }

    fn next_poisson(&mut self, cx: &Context<Self>) {
        let next = pause(self.chance.exponential() / self.world.rate);
        let _ = cx.schedule_event(next, schedulable!(Self::poisson), ());
    }

    fn arrive(&mut self, key: usize, cx: &Context<Self>) {
        self.so_far.arrived += 1;
        let now = cx.time();
        if !self.windows.admits(key, now.as_secs()) {
            self.so_far.limited += 1;
        } else if self.busy < self.world.workers {
            self.busy += 1;
            self.serve(now, cx);
        } else if self.busy + self.waiting.len() < self.world.capacity {
            self.waiting.push_back(now);
        } else {
            self.so_far.shed += 1;
        }
    }

    fn serve(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        let time = pause(self.world.service.draw(&mut self.chance));
        let _ = cx.schedule_event(time, schedulable!(Self::served), arrived);
    }
}

/// Adds the model, and says with what it starts.
pub fn assemble(
    mut bench: SimInit,
    world: World,
    requests: u64,
    connect: impl FnOnce(&mut Output<Counts>),
) -> (SimInit, EventId<()>) {
    let mut model = Everything {
        counts: Output::default(),
        windows: Windows::of(&world),
        world,
        requests,
        so_far: Counts::default(),
        busy: 0,
        waiting: VecDeque::new(),
        chance: Chance::new(902),
    };
    connect(&mut model.counts);
    let mailbox = Mailbox::new();
    let start = EventSource::new().connect(Everything::start, &mailbox).register(&mut bench);
    (bench.add_model(model, mailbox, "everything"), start)
}
