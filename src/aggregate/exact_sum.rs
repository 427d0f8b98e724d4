//! Exact sums of doubles, so that the order of adding cannot matter.
//!
//! The hot form is a [`Pair`] of doubles whose mathematical sum is the exact sum. Knuth's TwoSum (The Art of Computer
//! Programming, vol. 2, 4.2.2, theorem B) splits an addition into its rounded result and the error it made, both doubles. A value
//! is added to `hi`, the error of that to `lo`; if that second addition makes an error, a bit would be lost, and the sum moves to
//! a wide accumulator in fixed point over the whole range of a double (Kulisch, Computer Arithmetic and Validity, 2008).
//! Readings of like size never get there: a pair holds about 106 bits. A plain sum, a Kahan sum and a double-double were
//! rejected: what they give depends, now and then, on the order of events, and so on the number of workers.

/// The exact sum while two doubles can hold it. `hi` and `lo` are not ordered by size: only their exact sum means something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    /// The first summand.
    pub hi: f64,
    /// The second.
    pub lo: f64,
}

/// `a + b` as the rounded sum and the error of rounding. The error is NaN where the sum leaves the range.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_of_sum = sum - a;
    (sum, (a - (sum - b_of_sum)) + (b - b_of_sum))
}

impl Pair {
    /// Adds a value exactly, or says that it cannot and changes nothing. A NaN in the pair or the value never can.
    #[inline]
    #[must_use]
    pub fn add(&mut self, value: f64) -> bool {
        let (sum, lost) = self.plus(value);
        // A NaN is not equal to 0, so sums that left the range come out here too.
        let exact = lost == 0.0;
        if exact {
            *self = sum;
        }
        exact
    }

    /// The pair with a value added, and what that lost: 0 where the new pair is the exact sum.
    #[inline]
    pub(super) fn plus(self, value: f64) -> (Pair, f64) {
        let (hi, error) = two_sum(self.hi, value);
        let (lo, lost) = two_sum(self.lo, error);
        (Pair { hi, lo }, lost)
    }
}

/// Bits of a limb.
const LIMB_BITS: usize = 32;

/// The smallest bit of a double is 2^-1074, the largest 2^1023; 78 bits of room above make way for 2^77 of them.
const LIMBS: usize = (1_074 + 1_024 + 78) / LIMB_BITS;

/// The exponent of the wide sum's lowest bit.
const LOWEST: i32 = -1_074;

/// Additions before carries must be moved up: each adds less than 2^32 to a limb of 63 bits.
const ADDITIONS_MAX: u32 = 1 << 30;

/// Bits of a double's significand.
const SIGNIFICAND_BITS: usize = 53;

/// A number in fixed point: the sum of `limbs[i] * 2^(32 i - 1074)`, where limbs may be negative and wider than 32 bits.
#[derive(Clone, Debug)]
struct Wide {
    limbs: [i64; LIMBS],
    additions: u32,
}

impl Wide {
    const ZERO: Wide = Wide { limbs: [0; LIMBS], additions: 0 };

    /// Adds a finite value.
    fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        // A subnormal has the exponent of the smallest normal number and no hidden bit.
        let (significand, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        self.add_shifted(significand, shift, bits >> 63 == 1);
    }

    /// Adds `number * 2^(shift - 1074)`, or subtracts it.
    fn add_shifted(&mut self, number: u64, shift: usize, negative: bool) {
        let (limb, within) = (shift / LIMB_BITS, shift % LIMB_BITS);
        let mut rest = u128::from(number) << within;
        for limb in &mut self.limbs[limb..(limb + 3).min(LIMBS)] {
            let part = (rest & 0xffff_ffff) as i64;
            *limb += if negative { -part } else { part };
            rest >>= LIMB_BITS;
        }
        self.additions += 1;
        if self.additions >= ADDITIONS_MAX {
            self.carry();
        }
    }

    fn merge(&mut self, other: &Wide) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            *limb += more;
        }
        self.carry();
    }

    /// Moves carries up: all limbs but the highest lie in `0..2^32` after it, so equal numbers have equal limbs.
    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let whole = *limb + carry;
            *limb = whole & 0xffff_ffff;
            carry = whole >> LIMB_BITS;
        }
        self.limbs[LIMBS - 1] += carry;
        self.additions = 0;
    }

    /// Whether it is negative, and its magnitude with all limbs in `0..2^32` but the highest.
    fn magnitude(&self) -> (bool, [i64; LIMBS]) {
        let mut number = self.clone();
        number.carry();
        let negative = number.limbs[LIMBS - 1] < 0;
        if negative {
            number.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            number.carry();
        }
        (negative, number.limbs)
    }

    /// The nearest double, ties to even; an infinity beyond the range.
    fn round(&self) -> f64 {
        let (negative, limbs) = self.magnitude();
        let Some(top) = limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        let highest = top * LIMB_BITS + (63 - limbs[top].leading_zeros() as usize);
        // The lowest bit that the significand keeps; a subnormal keeps all there are.
        let lowest = (highest + 1).saturating_sub(SIGNIFICAND_BITS);
        let bit = |at: usize| {
            (limbs[(at / LIMB_BITS).min(LIMBS - 1)] >> (at - (at / LIMB_BITS).min(LIMBS - 1) * LIMB_BITS)) & 1
        };
        let mut significand = (lowest..=highest).rev().fold(0_u64, |number, at| number << 1 | bit(at) as u64);
        let half = lowest > 0 && bit(lowest - 1) == 1;
        let below = lowest > 0 && (0..lowest - 1).any(|at| bit(at) == 1);
        if half && (below || significand & 1 == 1) {
            significand += 1;
        }
        let magnitude = scale(significand, lowest);
        if negative { -magnitude } else { magnitude }
    }
}

/// `significand * 2^(shift - 1074)`, which is a double or beyond the range.
fn scale(significand: u64, shift: usize) -> f64 {
    // Rounding up may have carried into a 54th bit, which leaves an even number: halving it loses nothing.
    let (significand, shift) =
        if significand >> SIGNIFICAND_BITS == 0 { (significand, shift) } else { (significand >> 1, shift + 1) };
    if significand >> (SIGNIFICAND_BITS - 1) == 0 {
        return f64::from_bits(significand);
    }
    let exponent = shift as u64 + 1;
    if exponent >= 0x7ff {
        return f64::INFINITY;
    }
    f64::from_bits(exponent << 52 | (significand & ((1 << 52) - 1)))
}

/// An exact sum of finite doubles. Two are equal if they are the same number.
#[derive(Clone, Debug)]
pub struct ExactSum(Form);

#[derive(Clone, Debug)]
enum Form {
    Pair(Pair),
    Wide(Box<Wide>),
}

impl ExactSum {
    /// The sum of nothing.
    pub fn zero() -> Self {
        ExactSum::from_pair(0.0, 0.0)
    }

    /// The sum of two finite doubles.
    pub fn from_pair(hi: f64, lo: f64) -> Self {
        ExactSum(Form::Pair(Pair { hi, lo }))
    }

    /// Adds a finite double.
    pub fn add(&mut self, value: f64) {
        match &mut self.0 {
            Form::Pair(pair) => {
                if !pair.add(value) {
                    let mut wide = self.wide();
                    wide.add(value);
                    self.0 = Form::Wide(Box::new(wide));
                }
            }
            Form::Wide(wide) => wide.add(value),
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        match &other.0 {
            Form::Pair(pair) => {
                self.add(pair.hi);
                self.add(pair.lo);
            }
            Form::Wide(more) => {
                let mut wide = self.wide();
                wide.merge(more);
                self.0 = Form::Wide(Box::new(wide));
            }
        }
    }

    fn wide(&self) -> Wide {
        match &self.0 {
            Form::Wide(wide) => (**wide).clone(),
            Form::Pair(pair) => {
                let mut wide = Wide::ZERO;
                wide.add(pair.hi);
                wide.add(pair.lo);
                wide
            }
        }
    }

    /// The sum, rounded once to the nearest double, ties to even; `None` beyond the range of doubles.
    pub fn value(&self) -> Option<f64> {
        let value = match &self.0 {
            // One addition of two doubles is the correctly rounded sum of the two, and the two are exactly the sum. Adding 0
            // makes one zero of the two.
            Form::Pair(pair) => pair.hi + pair.lo + 0.0,
            Form::Wide(wide) => wide.round(),
        };
        value.is_finite().then_some(value)
    }

    /// The sum as a pair, always the same one for the same sum; `None` where a pair cannot hold it.
    pub fn as_pair(&self) -> Option<(f64, f64)> {
        self.with_parts(|parts| match parts {
            [] => Some((0.0, 0.0)),
            [hi] => Some((*hi, 0.0)),
            // An infinity begins a sum that is past the range of pairs.
            [hi, lo] if hi.is_finite() => Some((*hi, *lo)),
            _ => None,
        })
    }

    /// The sum as doubles, the largest first, each the rounded rest; always the same ones for the same sum, none for 0. A sum past
    /// 2^1023 begins with an infinity and the number of times that 2^1023 is in it.
    pub fn to_parts(&self) -> Vec<f64> {
        self.with_parts(<[f64]>::to_vec)
    }

    /// Hands over the parts that [`ExactSum::to_parts`] gives; those of a pair, which nearly all sums are, without a vector for them.
    pub fn with_parts<T>(&self, take: impl FnOnce(&[f64]) -> T) -> T {
        if let Form::Pair(pair) = &self.0 {
            let (hi, lo) = two_sum(pair.hi, pair.lo);
            if hi.is_finite() && hi.abs() < BEYOND {
                // The rounded sum is 0 only if there is no rest.
                let count = usize::from(hi != 0.0) + usize::from(lo != 0.0);
                return take(&[hi, lo][..count]);
            }
        }
        take(&self.wide_parts())
    }

    fn wide_parts(&self) -> Vec<f64> {
        let mut parts = Vec::new();
        let mut rest = self.wide();
        let times = rest.take_beyond();
        if times != 0.0 {
            parts.extend([f64::INFINITY, times]);
        }
        loop {
            let part = rest.round();
            if part == 0.0 {
                return parts;
            }
            parts.push(part);
            rest.add(-part);
        }
    }

    /// The sum of what [`ExactSum::to_parts`] gave, or of any finite doubles; `None` where they are neither.
    pub fn from_parts(parts: &[f64]) -> Option<Self> {
        let (times, parts) = match parts {
            [f64::INFINITY, times, rest @ ..] => (*times, rest),
            parts => (0.0, parts),
        };
        // Counts are whole and below 2^63, or nobody has counted that far.
        if parts.iter().any(|part| !part.is_finite()) || times.fract() != 0.0 || times.abs() >= 9.0e18 {
            return None;
        }
        let mut sum = ExactSum::zero();
        if times != 0.0 {
            let mut wide = Wide::ZERO;
            wide.add_shifted(times.abs() as u64, BEYOND_SHIFT, times < 0.0);
            sum.0 = Form::Wide(Box::new(wide));
        }
        parts.iter().for_each(|part| sum.add(*part));
        Some(sum)
    }
}

/// 2^1023.
const BEYOND: f64 = f64::from_bits(0x7fe << 52);

/// Its bit in a wide sum.
const BEYOND_SHIFT: usize = (1_023 - LOWEST) as usize;

impl Wide {
    /// Takes out whole multiples of 2^1023 and says how many there were.
    fn take_beyond(&mut self) -> f64 {
        let (negative, limbs) = self.magnitude();
        let (first, within) = (BEYOND_SHIFT / LIMB_BITS, BEYOND_SHIFT % LIMB_BITS);
        let above = limbs[first..].iter().rev().fold(0_u128, |number, limb| (number << LIMB_BITS) + *limb as u128);
        let times = (above >> within) as u64;
        self.add_shifted(times, BEYOND_SHIFT, !negative);
        if negative { -(times as f64) } else { times as f64 }
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.wide(), other.wide());
        a.carry();
        b.carry();
        a.limbs == b.limbs
    }
}

#[cfg(test)]
pub(super) mod tests;
