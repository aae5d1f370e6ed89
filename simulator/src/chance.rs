//! Randomness as a pure function of (seed, purpose, name, index…).
//!
//! A generator that is shared, or merely drawn from in the order of events, ties every draw to every draw
//! before it: one more population, one retry more, one policy changed, and everybody's service times are
//! different ones. A comparison of two variants then compares two worlds. Here a draw is *addressed* instead
//! of taken in turn: request 17 of population `buyers` finds the same numbers in every variant and in the
//! control, whatever the others do (common random numbers).
//!
//! Names are hashed with SipHash-2-4 (`SipHash`: Aumasson and Bernstein, *A fast short-input PRF*, 2012),
//! keyed by the seed and the purpose. Indices below a name walk the SplitMix64 sequence (Steele, Lea, Flood:
//! *Fast splittable pseudorandom number generators*, OOPSLA 2014), whose n-th output is a function of n and
//! can be had without the ones before it. Both are integer arithmetic and the same on every machine.

use gateway::split_mix_64;
use siphasher::sip::SipHasher24;

/// What a draw decides. Each purpose has streams of its own, so that none shifts another's draws.
///
/// The numbers are part of the keys: to change one is to change every result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// When a request enters the world.
    Arrival = 1,
    /// Which route it takes.
    Route = 2,
    /// Who sends it.
    Identity = 3,
    /// How long an upstream works on it.
    Service = 4,
    /// Whether a fault strikes it.
    Fault = 5,
    /// How long a client, a service or the gateway of the virtual engine waits before it tries again.
    Jitter = 6,
    /// Which host of an upstream an attempt goes to.
    Host = 7,
    /// What a request asks for, and which calls it takes.
    Content = 8,
    /// Whether a user goes on to the next step of a journey, and how long it thinks on the way.
    Journey = 9,
}

/// Key half for names below a stream; none of the [`Purpose`]s.
const NAMED: u64 = 0;

/// A point in the tree of random numbers: one draw, and the root of all draws addressed below it.
///
/// [`at`](Self::at) and [`named`](Self::named) go down; [`unit`](Self::unit), [`open_unit`](Self::open_unit)
/// and [`below`](Self::below) read. All three read the *same* 64 bits: for a second number take a second
/// stream, such as `stream.at(1)`. A stream's own draw and those of the streams below it are independent.
///
/// ```
/// use simulator::{Purpose, Stream};
///
/// let service = Stream::new(902, Purpose::Service, "buyers");
/// let (request, attempt) = (17, 0);
/// let draw = service.at(request).at(attempt).named("checkout").unit();
/// assert_eq!(draw, service.at(request).at(attempt).named("checkout").unit());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `name` for one purpose under one seed.
    ///
    /// Hashing costs some ten nanoseconds: a stream that is used often is made once and copied.
    pub fn new(seed: u64, purpose: Purpose, name: &str) -> Self {
        Self(SipHasher24::new_with_keys(seed, purpose as u64).hash(name.as_bytes()))
    }

    /// The stream at `index`: output number `index`, from 0, of the SplitMix64 generator seeded with this
    /// one.
    ///
    /// Streams at different indices of one stream always differ. Those below different streams may coincide,
    /// with the probability of a collision among random 64-bit numbers.
    #[inline]
    pub const fn at(self, index: u64) -> Self {
        Self(split_mix_64(self.0, index))
    }

    /// The stream of `name` below this one, such as a path of calls.
    ///
    /// Unlike [`at`](Self::at) this hashes; what is known beforehand had better be numbered.
    pub fn named(self, name: &str) -> Self {
        Self(SipHasher24::new_with_keys(self.0, NAMED).hash(name.as_bytes()))
    }

    /// The 64 bits of this draw, for a name that is to serve as an index.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A number in [0, 1), in steps of 2⁻⁵³.
    #[inline]
    pub const fn unit(self) -> f64 {
        (self.0 >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number in (0, 1): the middles of 2⁵² equal parts, for inverse distribution functions that are
    /// infinite at the ends.
    #[inline]
    pub const fn open_unit(self) -> f64 {
        // One bit fewer than `unit`, so that the half is exact and nothing rounds up to 1.
        ((self.0 >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }

    /// A number below `n`, each as likely as the next; 0 if `n` is 0.
    ///
    /// This is the multiply-shift of Lemire (*Fast random integer generation in an interval*, 2019) without
    /// its rejection step. The probability of each number differs from 1/n by less than 2⁻⁶⁴, which is a
    /// share of n/2⁶⁴ of it: for the 4 billion identities that a population can have, 2.4 · 10⁻¹⁰.
    #[inline]
    pub const fn below(self, n: u64) -> u64 {
        self.scaled(n).0
    }

    /// This draw times `n`, exactly: whole part and fraction (in 2⁻⁶⁴).
    #[inline]
    pub(crate) const fn scaled(self, n: u64) -> (u64, u64) {
        let product = self.0 as u128 * n as u128;
        ((product >> 64) as u64, product as u64)
    }

    /// The stream whose draw is `bits`.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::SeedableRng as _;

    use super::*;

    /// Computed with an independent implementation (Python). A change here changes every published result.
    #[test]
    fn streams_never_change() {
        let golden = [
            (Purpose::Arrival, "shoppers", 0x7aa0c4dcc537ba4e, 0x83ce95798442f8bf, 0xecac67b5f275636d),
            (Purpose::Route, "shoppers", 0xc45b676bb21ef054, 0x95d51c87448ffc44, 0x9a5ce5e905d7601a),
            (Purpose::Identity, "shoppers", 0x473c50e505dbf900, 0xa0ca9376669bf573, 0x141fefdb8a554c4f),
            (Purpose::Service, "payments", 0x3c8866b2de59648c, 0xa506072aca5235e7, 0x1c9735d73cf52d17),
            (Purpose::Fault, "payments", 0x16eebf126290030b, 0x6bee4e3400a0258e, 0xa79ab4860b14d7ab),
            (Purpose::Jitter, "shoppers", 0x954ee88a5d15ab5a, 0x384e3652de7aea5f, 0x40ec25ee43bafceb),
        ];
        for (purpose, name, itself, at_7_2, at_7_checkout) in golden {
            let stream = Stream::new(902, purpose, name);
            assert_eq!(stream, Stream(itself), "{purpose:?}");
            assert_eq!(stream.at(7).at(2), Stream(at_7_2), "{purpose:?}");
            assert_eq!(stream.at(7).named("checkout"), Stream(at_7_checkout), "{purpose:?}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the ends are exact")]
    fn the_ends_of_the_intervals() {
        let (least, most) = (Stream(0), Stream(u64::MAX));
        assert_eq!(least.unit(), 0.0);
        assert_eq!(most.unit(), 1.0 - 1.0 / (1_u64 << 53) as f64);
        assert_eq!(least.open_unit(), 1.0 / (1_u64 << 53) as f64);
        assert_eq!(most.open_unit(), 1.0 - least.open_unit());
        assert_eq!(Stream(1 << 63).unit(), 0.5);
        assert_eq!((least.below(10), most.below(10)), (0, 9));
        assert_eq!((most.below(1), most.below(0), most.below(u64::MAX)), (0, 0, u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn indices_follow_split_mix_64(seed: u64) {
            let mut generator = SplitMix64::seed_from_u64(seed);
            for index in 0..100 {
                prop_assert_eq!(Stream(seed).at(index), Stream(generator.next_u64()));
            }
        }

        #[test]
        fn draws_stay_in_their_interval(bits: u64, n in 1..u64::MAX) {
            let stream = Stream(bits);
            prop_assert!((0.0..1.0).contains(&stream.unit()));
            prop_assert!(0.0 < stream.open_unit() && stream.open_unit() < 1.0);
            prop_assert!(stream.below(n) < n);
        }
    }

    const DRAWS: u64 = 1 << 20;

    /// Is `draw(0..DRAWS)` spread evenly over [0, 1)?
    fn assert_uniform(what: &str, draw: impl Fn(u64) -> f64) {
        let mut bins = [0_u64; 256];
        for index in 0..DRAWS {
            bins[(draw(index) * 256.0) as usize] += 1;
        }
        let expected = DRAWS as f64 / 256.0;
        let chi_square: f64 =
            bins.iter().map(|&n| (n as f64 - expected) * (n as f64 - expected) / expected).sum();
        // Chi-square with 255 degrees of freedom: mean 255, variance 2 · 255. Too even is wrong as well.
        let deviation = (chi_square - 255.0) / 510_f64.sqrt();
        assert!(deviation.abs() < 5.0, "{what}: chi-square {chi_square}");
    }

    /// Do `a` and `b` know nothing of one another, as far as correlation tells?
    fn assert_uncorrelated(what: &str, a: impl Fn(u64) -> f64, b: impl Fn(u64) -> f64) {
        // Both have mean 1/2 and variance 1/12, so the mean of n such products has deviation 1/√n.
        let sum: f64 = (0..DRAWS).map(|index| 12.0 * (a(index) - 0.5) * (b(index) - 0.5)).sum();
        let deviation = sum / (DRAWS as f64).sqrt();
        assert!(deviation.abs() < 5.0, "{what}: {deviation} standard deviations");
    }

    #[test]
    fn draws_are_uniform_along_every_axis() {
        let stream = Stream::new(902, Purpose::Service, "shoppers");
        assert_uniform("indices", |i| stream.at(i).unit());
        assert_uniform("indices, open", |i| stream.at(i).open_unit());
        assert_uniform("indices below an index", |i| stream.at(3).at(i).unit());
        assert_uniform("one index below every index", |i| stream.at(i).at(3).unit());
        assert_uniform("a name below every index", |i| stream.at(i).named("checkout").unit());
        assert_uniform("seeds", |i| Stream::new(i, Purpose::Service, "shoppers").unit());
        assert_uniform("integers", |i| stream.at(i).below(768) as f64 / 768.0);
    }

    #[test]
    fn neighbours_and_siblings_are_independent() {
        let new = |purpose, name| Stream::new(902, purpose, name);
        let stream = new(Purpose::Service, "shoppers");
        let draw = |i| stream.at(i).unit();
        assert_uncorrelated("neighbouring indices", draw, |i| draw(i + 1));
        assert_uncorrelated("indices two apart", draw, |i| draw(i + 2));
        assert_uncorrelated("parent and child", draw, |i| stream.at(i).at(0).unit());
        assert_uncorrelated("children of one", |i| stream.at(i).at(0).unit(), |i| stream.at(i).at(1).unit());
        assert_uncorrelated(
            "same child of two",
            |i| stream.at(i).at(1).unit(),
            |i| stream.at(i + 1).at(1).unit(),
        );
        let other = new(Purpose::Service, "shoppers2");
        assert_uncorrelated("names", draw, |i| other.at(i).unit());
        let other = new(Purpose::Fault, "shoppers");
        assert_uncorrelated("purposes", draw, |i| other.at(i).unit());
        let other = Stream::new(903, Purpose::Service, "shoppers");
        assert_uncorrelated("seeds", draw, |i| other.at(i).unit());
    }
}
