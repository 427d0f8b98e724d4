//! The random numbers of the generator: small, fast, the same on every machine.

/// A SplitMix64 sequence (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
///
/// Chosen because any 64 bits are a good state: a sequence can begin at any entry for the price of a few multiplications.
#[derive(Clone, Debug)]
pub struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of `x` over all 64.
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// `x` scaled from `0..2^64` to `0..bound`, evenly up to one part in 2^64 / bound.
pub(super) fn scaled(x: u64, bound: u64) -> u64 {
    ((u128::from(x) * u128::from(bound)) >> 64) as u64
}

impl Random {
    /// The sequence that belongs to these words and to no others.
    pub fn of(words: [u64; 3]) -> Self {
        let state = words.into_iter().fold(STEP, |state, word| mix(state ^ word).wrapping_add(STEP));
        Random(state)
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        scaled(self.bits(), bound)
    }
}

/// A share of cases, as a threshold on 32 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// A share from 0 (never) to 1 (always), to one part in 2^32.
    pub fn share(share: f64) -> Self {
        Chance((share.clamp(0.0, 1.0) * (1u64 << 32) as f64).round() as u64)
    }

    /// Whether these 32 bits are among the share.
    #[inline]
    pub fn takes(self, bits: u32) -> bool {
        u64::from(bits) < self.0
    }

    /// Whether the next draw is among the share.
    #[inline]
    pub fn draw(self, random: &mut Random) -> bool {
        self.0 != 0 && self.takes((random.bits() >> 32) as u32)
    }
}
