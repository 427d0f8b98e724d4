//! The position in a payload and the primitives of Avro's binary encoding, each checked against the end of the payload.
//!
//! A `Cursor` is two words and `Copy`: the decoder keeps it in registers and hands it by value to what is not inlined, because a
//! borrowed position would live in memory and put a store and a load on the path from each value to the next.

use super::{Malformed, Reason};

/// Groups of seven bits that an unsigned 64-bit number takes.
const VARINT_BYTES_MAX: usize = 10;

/// A position in a payload: what is left of it, from which the offset follows.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'b> {
    rest: &'b [u8],
    whole: usize,
}

/// The error for what was seen at `at`.
#[cold]
pub(super) fn malformed(reason: Reason, at: usize) -> Malformed {
    Malformed { reason, at: u32::try_from(at).unwrap_or(u32::MAX) }
}

/// Avro's zig-zag code: small magnitudes of either sign are small numbers.
fn unzigzag(coded: u64) -> i64 {
    (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed()
}

impl<'b> Cursor<'b> {
    /// A cursor at the front. What lies past the reach of 32-bit offsets is out of sight: it is reported as missing, not misplaced.
    #[inline(always)]
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        let rest = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
        Self { rest, whole: rest.len() }
    }

    /// The offset of the next byte.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// All that is left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// The next `count` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(malformed(Reason::Truncated, self.at())),
        }
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(malformed(Reason::Truncated, self.at())),
        }
    }

    /// A long that is most likely one byte: a length, a count, a branch, an index.
    #[inline(always)]
    pub(super) fn small(&mut self) -> Result<i64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(unzigzag(u64::from(*byte)))
            }
            _ => self.long_slowly(),
        }
    }

    /// A long of any size. One to four bytes have a branch each: a field's values mostly have one length, and a length that is foreseen
    /// lets the next value be read before this one is known. Five to eight bytes are decoded without a branch on their number.
    #[inline(always)]
    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = self.rest else { return self.long_near_the_end() };
        let word = u64::from_le_bytes([*b0, *b1, *b2, *b3, *b4, *b5, *b6, *b7]);
        let (coded, length) = if word & 0x80 == 0 {
            (word & 0x7f, 1)
        } else if word & 0x8000 == 0 {
            (word & 0x7f | word >> 1 & 0x3f80, 2)
        } else if word & 0x80_0000 == 0 {
            (word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000, 3)
        } else if word & 0x8000_0000 == 0 {
            (word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000 | word >> 3 & 0xfe0_0000, 4)
        } else {
            let stops = !word & 0x8080_8080_8080_8080;
            if stops == 0 {
                return self.long_slowly();
            }
            (squeeze(word & (stops ^ (stops - 1))), (stops.trailing_zeros() as usize + 1) / 8)
        };
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(unzigzag(coded))
    }

    /// A long where fewer than eight bytes are left, as before the last fields of an event; small ones are told apart at once.
    #[inline]
    fn long_near_the_end(&mut self) -> Result<i64, Malformed> {
        let (coded, rest) = match self.rest {
            [a, rest @ ..] if *a < 0x80 => (u64::from(*a), rest),
            [a, b, rest @ ..] if *b < 0x80 => (u64::from(*a & 0x7f) | u64::from(*b) << 7, rest),
            [a, b, c, rest @ ..] if *c < 0x80 && *b >= 0x80 => {
                (u64::from(*a & 0x7f) | u64::from(*b & 0x7f) << 7 | u64::from(*c) << 14, rest)
            }
            _ => return self.long_slowly(),
        };
        self.rest = rest;
        Ok(unzigzag(coded))
    }

    #[inline(always)]
    fn long_slowly(&mut self) -> Result<i64, Malformed> {
        match varint(self.rest) {
            Ok((coded, rest)) => {
                self.rest = rest;
                Ok(unzigzag(coded))
            }
            Err(reason) => Err(malformed(reason, self.at())),
        }
    }

    /// An int of any size.
    #[inline(always)]
    pub(super) fn int(&mut self) -> Result<i64, Malformed> {
        let start = self.at();
        let value = self.long()?;
        within_int(value, start)
    }

    /// The length of a text or of bytes, and that many bytes after it: where they start, and they.
    #[inline(always)]
    pub(super) fn prefixed(&mut self) -> Result<(usize, &'b [u8]), Malformed> {
        let start = self.at();
        let length = self.small()?;
        let body = self.at();
        // A negative length becomes one that is past any end.
        match self.rest.split_at_checked(length as usize) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok((body, taken))
            }
            None => Err(malformed(Reason::BadLength, start)),
        }
    }

    /// An index below `count` (a union's branch, an enum's symbol).
    #[inline(always)]
    pub(super) fn index(&mut self, count: usize, otherwise: Reason) -> Result<usize, Malformed> {
        let start = self.at();
        let index = self.small()?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => Err(malformed(otherwise, start)),
        }
    }

    /// A boolean.
    #[inline(always)]
    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        let start = self.at();
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(malformed(Reason::BadBoolean, start)),
        }
    }
}

#[inline(always)]
fn within_int(value: i64, start: usize) -> Result<i64, Malformed> {
    if i32::try_from(value).is_ok() { Ok(value) } else { Err(malformed(Reason::OverlongVarint, start)) }
}

/// Puts the low seven bits of each of eight bytes next to each other.
#[inline(always)]
fn squeeze(bytes: u64) -> u64 {
    let sevens = bytes & 0x7f7f_7f7f_7f7f_7f7f;
    let pairs = ((sevens & 0x7f00_7f00_7f00_7f00) >> 1) | (sevens & 0x007f_007f_007f_007f);
    let fours = ((pairs & 0x3fff_0000_3fff_0000) >> 2) | (pairs & 0x0000_3fff_0000_3fff);
    ((fours & 0x0fff_ffff_0000_0000) >> 4) | (fours & 0x0000_0000_0fff_ffff)
}

/// A variable-length number byte by byte: the plain way, for what the fast ways leave over. Returns it and what is left.
#[inline(never)]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Reason> {
    let mut coded = 0_u64;
    let mut rest = bytes;
    for index in 0..VARINT_BYTES_MAX {
        let [byte, after @ ..] = rest else {
            return Err(Reason::Truncated);
        };
        rest = after;
        // The tenth byte has room for the 64th bit only.
        if index + 1 == VARINT_BYTES_MAX && *byte > 1 {
            break;
        }
        coded |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok((coded, rest));
        }
    }
    Err(Reason::OverlongVarint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(value: i64) -> Vec<u8> {
        let mut coded = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut bytes = Vec::new();
        while coded >= 0x80 {
            bytes.push((coded & 0x7f) as u8 | 0x80);
            coded >>= 7;
        }
        bytes.push(coded as u8);
        bytes
    }

    fn slow(bytes: &[u8]) -> Result<(i64, usize), Malformed> {
        varint(bytes)
            .map(|(coded, rest)| (unzigzag(coded), bytes.len() - rest.len()))
            .map_err(|reason| malformed(reason, 0))
    }

    proptest! {
        #[test]
        fn every_long_comes_back_whatever_follows(value: i64, shift in 0_u32..64, tail in prop::collection::vec(any::<u8>(), 0..12)) {
            let value = value >> shift;
            let mut bytes = encode(value);
            let length = bytes.len();
            bytes.extend(&tail);
            for read in [Cursor::long, Cursor::small] {
                let mut cursor = Cursor::new(&bytes);
                prop_assert_eq!(read(&mut cursor), Ok(value));
                prop_assert_eq!(cursor.at(), length);
            }
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.int().is_ok(), i32::try_from(value).is_ok());
        }

        #[test]
        fn fast_and_slow_agree_on_any_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x80), Just(0xff)], 0..14)) {
            for read in [Cursor::long, Cursor::small] {
                let mut cursor = Cursor::new(&bytes);
                prop_assert_eq!(read(&mut cursor).map(|value| (value, cursor.at())), slow(&bytes));
            }
        }
    }

    #[test]
    fn a_number_past_64_bits_is_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(1);
        assert_eq!(Cursor::new(&bytes).long(), Ok(i64::MIN));
        bytes[9] = 2;
        assert_eq!(Cursor::new(&bytes).long().map_err(|error| error.reason), Err(Reason::OverlongVarint));
        bytes[9] = 0x81;
        bytes.push(0);
        assert_eq!(Cursor::new(&bytes).long().map_err(|error| error.reason), Err(Reason::OverlongVarint));
    }

    #[test]
    fn an_int_past_32_bits_is_refused() {
        for (value, good) in
            [(i64::from(i32::MAX), true), (i64::from(i32::MIN), true), (1 << 31, false), (-(1 << 31) - 1, false)]
        {
            assert_eq!(Cursor::new(&encode(value)).int().is_ok(), good, "{value}");
        }
    }

    #[test]
    fn a_length_past_the_end_or_below_zero_is_refused() {
        for bytes in [encode(4), encode(-1), encode(i64::MAX), encode(i64::MIN)] {
            assert_eq!(Cursor::new(&bytes).prefixed().map_err(|error| error.reason), Err(Reason::BadLength));
        }
        assert_eq!(Cursor::new(&[2, b'x']).prefixed(), Ok((1, b"x".as_slice())));
    }
}
