//! The one generator of numbers that look random, as a function of seed and index: `SplitMix64`.

/// The generator's step: 2⁶⁴ divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Output number `index`, from 0, of the `SplitMix64` generator seeded with `seed`, without the outputs before it (Steele, Lea,
/// Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014).
///
/// One to one in `seed` for any index, and in `index` for any seed. No defence against seeds or indices that somebody chooses
/// so that they collide.
#[inline]
pub const fn split_mix_64(seed: u64, index: u64) -> u64 {
    // Outputs are a finalizer (Stafford's "Mix13") over a counter in steps of gamma; the generator adds before it mixes, so
    // its first output is one step ahead of its seed.
    let mixed = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number below `n` made of 64 random bits, each as likely as the next; 0 if `n` is 0 (Lemire, *Fast random integer generation in
/// an interval*, 2019, without the rejection step: probabilities differ by less than 2⁻⁶⁴).
#[inline]
pub(crate) const fn below(bits: u64, n: u64) -> u64 {
    ((bits as u128 * n as u128) >> 64) as u64
}

/// A number in [0, 1) made of 64 random bits, in steps of 2⁻⁵³.
#[inline]
pub(crate) const fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}
