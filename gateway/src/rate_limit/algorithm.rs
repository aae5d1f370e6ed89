//! The table of algorithms: what each is called, which settings it has, and what it does in a sentence.

use std::fmt;

/// Hands the table of all algorithms to the macro `$make`, in the order in which they are documented and shown.
///
/// All that differs between algorithms stands here or in the algorithm's own file. A row: the name in Rust; the name in files;
/// the file and the type in there that implements [`Limiter`](super::limiter::Limiter); the settings that only some have,
/// `windows` (from when they are counted), `burst`, `refill` (with a burst), `delay` (with a burst), `count_rejected` or `counter`
/// (`windows` and `count_rejected`); the sentence that editors and this documentation show.
macro_rules! with_algorithms {
    ($make:ident) => {
        $make! {
            FixedWindow = "fixed-window", fixed_window::FixedWindow, windows,
                "Counts per window aligned to the clock. Around a boundary it lets twice the limit through.";
            TokenBucket = "token-bucket", token_bucket::TokenBucket, refill,
                "A bucket of `burst` tokens, refilled at `limit` per `window`.";
            Gcra = "gcra", gcra::Gcra, burst,
                "Admits what the token bucket admits, from one timestamp of state.";
            LeakyBucket = "leaky-bucket", leaky_bucket::LeakyBucket, delay,
                "Up to `burst` requests wait for their turn, one each `window / limit`; nginx's `limit_req`.";
            SlidingWindowLog = "sliding-window-log", sliding_log::SlidingLog, count_rejected,
                "Exact: no interval as long as the window admits more than the limit.";
            SlidingWindowCounter = "sliding-window-counter", sliding_counter::SlidingCounter, counter,
                "This window's count, and as much of the previous one's as is still in view.";
        }
    };
}
pub(super) use with_algorithms;

/// Makes [`Algorithm`] of the table.
macro_rules! make_algorithm {
    ($($algorithm:ident = $name:literal, $file:ident::$limiter:ident, $setting:ident, $about:literal;)*) => {
        /// How a rate limit counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Algorithm {
            $(#[doc = $about] $algorithm,)*
        }

        impl Algorithm {
            /// Every algorithm, in the order in which they are documented and shown.
            pub const ALL: [Self; [$(Self::$algorithm),*].len()] = [$(Self::$algorithm),*];

            /// The algorithm's name in a scenario file, such as `token-bucket`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$algorithm => $name,)*
                }
            }

            /// What the algorithm does, in a sentence or two.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$algorithm => $about,)*
                }
            }

            /// Whether a `burst` can be set beside the limit.
            pub const fn has_burst(self) -> bool {
                matches!(self.setting(), Setting::Burst | Setting::Refill | Setting::Delay)
            }

            /// Whether a refill in steps can be set beside the burst.
            pub const fn has_refill(self) -> bool {
                matches!(self.setting(), Setting::Refill)
            }

            /// Whether a `delay` can be set beside the burst: the algorithm lets requests wait, and a burst of 0 is one.
            pub const fn has_delay(self) -> bool {
                matches!(self.setting(), Setting::Delay)
            }

            /// Whether it can be set when windows begin.
            pub const fn has_windows(self) -> bool {
                matches!(self.setting(), Setting::Windows | Setting::Counter)
            }

            /// Whether the window can be the calendar's month.
            pub const fn has_months(self) -> bool {
                matches!(self.setting(), Setting::Windows)
            }

            /// Whether `count_rejected` can be set: the algorithm looks back over a sliding window.
            pub const fn is_sliding(self) -> bool {
                matches!(self.setting(), Setting::CountRejected | Setting::Counter)
            }

            const fn setting(self) -> Setting {
                match self {
                    $(Self::$algorithm => setting!($setting),)*
                }
            }
        }
    };
}

/// The setting of a row.
macro_rules! setting {
    (windows) => {
        Setting::Windows
    };
    (burst) => {
        Setting::Burst
    };
    (refill) => {
        Setting::Refill
    };
    (delay) => {
        Setting::Delay
    };
    (count_rejected) => {
        Setting::CountRejected
    };
    (counter) => {
        Setting::Counter
    };
}

/// What can be set beside the limit and the window.
enum Setting {
    Windows,
    Burst,
    Refill,
    Delay,
    CountRejected,
    Counter,
}

with_algorithms!(make_algorithm);

impl Algorithm {
    /// The algorithm of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("leaky"), None);
    }
}
