//! The two worlds of `bench/engine` in NeXosim: `nexosim-worlds mm10|window-boundary REQUESTS`.
//!
//! Each is one model that schedules its own events, which is the fastest that NeXosim does: nothing is sent between models.
//! It measures only counts and the mean sojourn. Prints one line of JSON, with the seconds of the simulation alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSinkReader, EventSource, Output, SinkState, event_slot};
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

/// What a world is made of.
#[derive(Clone, Serialize, Deserialize)]
struct World {
    workers: usize,
    /// That may be inside at a time: in service, or waiting.
    capacity: usize,
    /// Of the Poisson arrivals, per second.
    rate: f64,
    identities: u64,
    service: Service,
    /// 2,000 requests of one key from two seconds before each full minute until two seconds after it.
    bursts: bool,
    /// By key, per minute of the clock.
    limit: Option<u32>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Service {
    Exponential { mean: f64 },
    LogNormal { median: f64, sigma: f64 },
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counts {
    arrived: u64,
    served: u64,
    limited: u64,
    shed: u64,
    sojourn_s: f64,
}

#[derive(Serialize, Deserialize)]
struct Queue {
    counts: Output<Counts>,
    world: World,
    requests: u64,
    so_far: Counts,
    busy: usize,
    /// When those arrived that wait.
    waiting: VecDeque<MonotonicTime>,
    /// By key: the minute that is counted, and how many were admitted in it.
    windows: Vec<(u64, u32)>,
    chance: u64,
}

#[Model]
impl Queue {
    /// The first arrivals.
    async fn start(&mut self, (): (), cx: &Context<Self>) {
        self.next_poisson(cx);
        if self.world.bursts {
            schedule(cx, 58.0, Event::Burst);
        }
    }

    #[nexosim(schedulable)]
    async fn poisson(&mut self, (): (), cx: &Context<Self>) {
        if self.over() {
            return;
        }
        let key = 1 + self.random() % self.world.identities;
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
        let pause = -(1.0 - self.uniform()).ln() / self.world.rate;
        schedule(cx, pause, Event::Poisson);
    }

    fn arrive(&mut self, key: usize, cx: &Context<Self>) {
        self.so_far.arrived += 1;
        let now = cx.time();
        if let Some(limit) = self.world.limit {
            let minute = now.as_secs() as u64 / 60;
            let window = &mut self.windows[key];
            if window.0 != minute {
                *window = (minute, 0);
            }
            if window.1 >= limit {
                self.so_far.limited += 1;
                return;
            }
            window.1 += 1;
        }
        if self.busy < self.world.workers {
            self.busy += 1;
            self.serve(now, cx);
        } else if self.busy + self.waiting.len() < self.world.capacity {
            self.waiting.push_back(now);
        } else {
            self.so_far.shed += 1;
        }
    }

    fn serve(&mut self, arrived: MonotonicTime, cx: &Context<Self>) {
        let seconds = match self.world.service {
            Service::Exponential { mean } => -(1.0 - self.uniform()).ln() * mean,
            Service::LogNormal { median, sigma } => median * (sigma * self.normal()).exp(),
        };
        schedule(cx, seconds, Event::Served(arrived));
    }

    /// xorshift64*: as cheap as chance gets.
    fn random(&mut self) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        self.chance.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn uniform(&mut self) -> f64 {
        (self.random() >> 3) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

enum Event {
    Poisson,
    Burst,
    Served(MonotonicTime),
}

/// NeXosim refuses an event at the present instant; a nanosecond is none that counts.
fn schedule(cx: &Context<Queue>, seconds: f64, event: Event) {
    let pause = Duration::from_secs_f64(seconds).max(Duration::from_nanos(1));
    let scheduled = match event {
        Event::Poisson => cx.schedule_event(pause, schedulable!(Queue::poisson), ()),
        Event::Burst => cx.schedule_event(pause, schedulable!(Queue::burst), 0),
        Event::Served(arrived) => cx.schedule_event(pause, schedulable!(Queue::served), arrived),
    };
    assert!(scheduled.is_ok(), "an event in the future");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (name, requests) = (arguments.next(), arguments.next());
    let requests: u64 = requests.ok_or("usage: nexosim-worlds mm10|window-boundary REQUESTS")?.parse()?;
    let world = match name.as_deref() {
        Some("mm10") => World {
            workers: 10,
            capacity: usize::MAX,
            rate: 800.0,
            identities: 1,
            service: Service::Exponential { mean: 0.01 },
            bursts: false,
            limit: None,
        },
        Some("window-boundary") => World {
            workers: 4,
            // The pool's 256 and 1,024 in its queue: see bench/README.md.
            capacity: 1_280,
            rate: 100.0,
            identities: 200,
            // The 99th percentile of the normal distribution is at 2.3263.
            service: Service::LogNormal { median: 0.012, sigma: (60.0_f64 / 12.0).ln() / 2.326_347_874 },
            bursts: true,
            limit: Some(1_000),
        },
        _ => return Err("the worlds are mm10 and window-boundary".into()),
    };
    let mut queue = Queue {
        counts: Output::default(),
        windows: vec![(u64::MAX, 0); world.identities as usize + 1],
        world,
        requests,
        so_far: Counts::default(),
        busy: 0,
        waiting: VecDeque::new(),
        chance: 902,
    };
    let (sink, mut counts) = event_slot(SinkState::Enabled);
    queue.counts.connect_sink(sink);
    let mailbox = Mailbox::new();
    // On one thread, as the others.
    let mut bench = SimInit::with_num_threads(1);
    let start = EventSource::new().connect(Queue::start, &mailbox).register(&mut bench);
    let mut simulation = bench.add_model(queue, mailbox, "queue").init(MonotonicTime::EPOCH)?;

    let began = Instant::now();
    simulation.process_event(&start, ())?;
    simulation.run()?;
    let seconds = began.elapsed().as_secs_f64();
    let counts = counts.try_read().ok_or("the last one was not served")?;
    println!(
        r#"{{"requests":{},"served":{},"limited":{},"shed":{},"mean_ms":{},"seconds":{seconds}}}"#,
        counts.arrived,
        counts.served,
        counts.limited,
        counts.shed,
        counts.sojourn_s / counts.served as f64 * 1e3,
    );
    Ok(())
}
