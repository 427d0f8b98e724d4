//! Dice that can be thrown again.

/// Dice (SplitMix64, by Steele, Lea and Flood) whose seed is printed: `MINUET_SEED=...` throws the same again.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Takes the seed from the environment, or from the clock, and says which.
    pub(crate) fn new(of: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let fresh = now.expect("the clock is past 1970").as_nanos() as u64 % 1_000_000_007;
        let seed = match std::env::var("MINUET_SEED") {
            Ok(text) => text.parse().expect("MINUET_SEED is a number"),
            Err(_) => fresh,
        };
        println!("{of}: MINUET_SEED={seed}");
        Dice(seed)
    }

    /// The next number.
    pub(crate) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.throw() % (high - low)
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.throw() % of.len() as u64) as usize]
    }
}
