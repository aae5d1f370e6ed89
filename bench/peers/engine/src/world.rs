//! What the worlds are made of, however they are written.

use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
pub struct World {
    pub workers: usize,
    /// That may be inside at a time: in service, or waiting.
    pub capacity: usize,
    /// Of the Poisson arrivals, per second.
    pub rate: f64,
    /// That they are of; the key of the bursts is one more.
    pub identities: u64,
    pub service: Service,
    /// 2,000 requests of one key from two seconds before each full minute until two seconds after it.
    pub bursts: bool,
    /// By key, per minute of the clock.
    pub limit: Option<u32>,
}

impl World {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mm10" => Some(World {
                workers: 10,
                capacity: usize::MAX,
                rate: 800.0,
                identities: 1,
                service: Service::Exponential { mean: 0.01 },
                bursts: false,
                limit: None,
            }),
            "window-boundary" => Some(World {
                workers: 4,
                // The pool's 256 and 1,024 in its queue: see bench/README.md.
                capacity: 1_280,
                rate: 100.0,
                identities: 200,
                // The 99th percentile of the normal distribution is at 2.3263.
                service: Service::LogNormal { median: 0.012, sigma: (60.0_f64 / 12.0).ln() / 2.326_347_874 },
                bursts: true,
                limit: Some(1_000),
            }),
            _ => None,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub enum Service {
    Exponential { mean: f64 },
    LogNormal { median: f64, sigma: f64 },
}

impl Service {
    /// In seconds.
    pub fn draw(&self, chance: &mut Chance) -> f64 {
        match *self {
            Service::Exponential { mean } => chance.exponential() * mean,
            Service::LogNormal { median, sigma } => median * (sigma * chance.normal()).exp(),
        }
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    pub arrived: u64,
    pub served: u64,
    pub limited: u64,
    pub shed: u64,
    pub sojourn_s: f64,
}

/// Fixed windows of a minute.
#[derive(Serialize, Deserialize)]
pub struct Windows {
    limit: Option<u32>,
    /// By key: the minute that is counted, and how many were admitted in it.
    counted: Vec<(u64, u32)>,
}

impl Windows {
    pub fn of(world: &World) -> Self {
        Self { limit: world.limit, counted: vec![(u64::MAX, 0); world.identities as usize + 1] }
    }

    pub fn admits(&mut self, key: usize, seconds: i64) -> bool {
        let Some(limit) = self.limit else { return true };
        let minute = seconds as u64 / 60;
        let window = &mut self.counted[key];
        if window.0 != minute {
            *window = (minute, 0);
        }
        window.1 += 1;
        window.1 <= limit
    }
}

/// xorshift64*: as cheap as chance gets.
#[derive(Serialize, Deserialize)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// With a mean of 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 3) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }
}
