//! The two dashboards, described once: the live page evaluates the description by itself, and the others are made of it.

/// A dashboard.
#[derive(Clone, Copy, Debug)]
pub struct Dashboard {
    /// Its name in addresses.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it answers.
    pub about: &'static str,
    /// Its panels, the most important first.
    pub panels: &'static [Panel],
}

/// A chart.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// How to read it.
    pub about: &'static str,
    /// How it is drawn.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// What it shows.
    pub lines: &'static [Line],
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines over time.
    Lines,
    /// A band over time for each upstream, coloured by the state that is 1.
    States,
}

/// What the numbers of a panel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// From 0 to 1, shown in percent.
    Share,
    /// Per second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// A number of something.
    Count,
}

/// One value, or one for each value of some labels.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What it is called; of the labels by which there are several, the values come before it.
    pub name: &'static str,
    /// What it shows.
    pub value: Value,
}

/// Series of a metric: those that have all of these labels.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// The metric.
    pub metric: &'static str,
    /// The labels they have.
    pub only: &'static [(&'static str, &'static str)],
}

/// How a value is made of series.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A gauge as it stands.
    Level {
        /// The gauge.
        of: Series,
        /// One value for each value of these labels.
        by: &'static [&'static str],
    },
    /// The highest of several gauges; of a share or a state, the sum of two gateways would mean nothing.
    Highest {
        /// The gauge.
        of: Series,
        /// One value for each value of these labels.
        by: &'static [&'static str],
    },
    /// What a counter grew by in a second.
    Rate {
        /// The counter.
        of: Series,
        /// One value for each value of these labels.
        by: &'static [&'static str],
    },
    /// What a counter grew by, as a share of what another grew by; nothing where that stood still.
    Share {
        /// The counter of the part.
        part: Series,
        /// The counter of the whole.
        whole: Series,
        /// One value for each value of these labels.
        by: &'static [&'static str],
    },
    /// A quantile of a histogram, over what was observed meanwhile.
    Quantile {
        /// Which one, from 0 to 1.
        quantile: f64,
        /// The histogram, without `_bucket`.
        of: Series,
        /// One value for each value of these labels.
        by: &'static [&'static str],
    },
}

const fn series(metric: &'static str) -> Series {
    Series { metric, only: &[] }
}

const DECISIONS: Series = series("gateway_rate_limit_decisions_total");

/// Who uses up the limits, and who is turned away.
pub const RATE_LIMITS: Dashboard = Dashboard {
    id: "rate-limits",
    title: "Rate-limit saturation",
    about: "How near the limits are to turning somebody away, and how much they turn away.",
    panels: &[
        Panel {
            title: "Fullest bucket",
            about: "Share in use of the fullest bucket of each limit. At 100% it turns its client away.",
            kind: Kind::Lines,
            unit: Unit::Share,
            lines: &[Line {
                name: "",
                value: Value::Highest { of: series("gateway_rate_limit_saturation_ratio"), by: &["scope"] },
            }],
        },
        Panel {
            title: "Turned away",
            about: "Share of the requests that a limit judged and did not let through.",
            kind: Kind::Lines,
            unit: Unit::Share,
            lines: &[Line {
                name: "",
                value: Value::Share {
                    part: Series { metric: DECISIONS.metric, only: &[("verdict", "rejected")] },
                    whole: DECISIONS,
                    by: &["scope"],
                },
            }],
        },
        Panel {
            title: "Requests by outcome",
            about: "Requests that ended, per second.",
            kind: Kind::Lines,
            unit: Unit::PerSecond,
            lines: &[Line {
                name: "",
                value: Value::Rate { of: series("gateway_requests_total"), by: &["outcome"] },
            }],
        },
        Panel {
            title: "Buckets remembered",
            about: "Buckets of each limit that are not fresh: as many clients have sent of late.",
            kind: Kind::Lines,
            unit: Unit::Count,
            lines: &[Line {
                name: "",
                value: Value::Level { of: series("gateway_rate_limit_buckets"), by: &["scope"] },
            }],
        },
    ],
};

/// Which upstreams are cut off, since when, and what it looked like before.
pub const BREAKERS: Dashboard = Dashboard {
    id: "breakers",
    title: "Circuit-breaker timeline",
    about: "Which upstreams are cut off and since when, and what their requests looked like before.",
    panels: &[
        Panel {
            title: "Breaker states",
            about: "Closed lets through, open turns away, half-open lets probes through.",
            kind: Kind::States,
            unit: Unit::Count,
            lines: &[Line {
                name: "",
                value: Value::Highest { of: series("gateway_breaker_state"), by: &["upstream", "state"] },
            }],
        },
        Panel {
            title: "Upstream latency",
            about: "From when an attempt was sent until it ended; what times out counts with its timeout.",
            kind: Kind::Lines,
            unit: Unit::Seconds,
            lines: &[
                Line {
                    name: "p50",
                    value: Value::Quantile {
                        quantile: 0.5,
                        of: series("gateway_upstream_duration_seconds"),
                        by: &["route"],
                    },
                },
                Line {
                    name: "p99",
                    value: Value::Quantile {
                        quantile: 0.99,
                        of: series("gateway_upstream_duration_seconds"),
                        by: &["route"],
                    },
                },
            ],
        },
        Panel {
            title: "Not served",
            about: "Share of the requests that ended in each way but the good one.",
            kind: Kind::Lines,
            unit: Unit::Share,
            lines: &[
                Line {
                    name: "short-circuited",
                    value: Value::Share {
                        part: Series {
                            metric: "gateway_requests_total",
                            only: &[("outcome", "short-circuited")],
                        },
                        whole: series("gateway_requests_total"),
                        by: &["route"],
                    },
                },
                Line {
                    name: "timed-out",
                    value: Value::Share {
                        part: Series { metric: "gateway_requests_total", only: &[("outcome", "timed-out")] },
                        whole: series("gateway_requests_total"),
                        by: &["route"],
                    },
                },
                Line {
                    name: "shed",
                    value: Value::Share {
                        part: Series { metric: "gateway_requests_total", only: &[("outcome", "shed")] },
                        whole: series("gateway_requests_total"),
                        by: &["route"],
                    },
                },
            ],
        },
        Panel {
            title: "In flight by upstream",
            about: "Requests for each upstream that hold or wait for a worker of the gateway.",
            kind: Kind::Lines,
            unit: Unit::Count,
            lines: &[Line {
                name: "",
                value: Value::Level { of: series("gateway_upstream_in_flight"), by: &["upstream"] },
            }],
        },
        Panel {
            title: "Workers and queue",
            about: "Workers of the shared pool in use, and requests that wait for one.",
            kind: Kind::Lines,
            unit: Unit::Count,
            lines: &[
                Line {
                    name: "in use",
                    value: Value::Level { of: series("gateway_pool_workers_in_use"), by: &[] },
                },
                Line {
                    name: "waiting",
                    value: Value::Level { of: series("gateway_pool_queue_length"), by: &[] },
                },
            ],
        },
    ],
};

/// Both of them.
pub const DASHBOARDS: [Dashboard; 2] = [RATE_LIMITS, BREAKERS];

impl Value {
    /// The labels by which there are several.
    pub const fn by(&self) -> &'static [&'static str] {
        match self {
            Self::Level { by, .. }
            | Self::Highest { by, .. }
            | Self::Rate { by, .. }
            | Self::Share { by, .. }
            | Self::Quantile { by, .. } => by,
        }
    }
}
