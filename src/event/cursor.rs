//! The position in a payload and the primitives of Avro's binary encoding, each checked against the end of the payload.
//!
//! A `Cursor` is two words and `Copy`: the decoder keeps it in registers and hands it by value to what is not inlined, because a
//! borrowed position would live in memory and put a store and a load on the path from each value to the next.

use super::{Malformed, Reason};

/// Groups of seven bits that an unsigned 64-bit number takes.
const VARINT_BYTES_MAX: usize = 10;

/// A position in a payload.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
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
        let reach = bytes.len().min(u32::MAX as usize);
        Self { bytes: bytes.get(..reach).unwrap_or(bytes), at: 0 }
    }

    /// The offset of the next byte.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[inline(always)]
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All that is left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next `count` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        match self.rest().get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => Err(malformed(Reason::Truncated, self.at)),
        }
    }

    /// The next `N` bytes.
    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.rest().first_chunk::<N>() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => Err(malformed(Reason::Truncated, self.at)),
        }
    }

    /// A long that is most likely one byte: a length, a count, a branch, an index.
    #[inline(always)]
    pub(super) fn small(&mut self) -> Result<i64, Malformed> {
        let coded = match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                u64::from(byte)
            }
            _ => {
                let (coded, at) = varint(self.bytes, self.at)?;
                self.at = at;
                coded
            }
        };
        Ok(unzigzag(coded))
    }

    /// A long of any size. Up to eight bytes are decoded without a branch on their number, which a predictor could not guess.
    #[inline(always)]
    pub(super) fn long(&mut self) -> Result<i64, Malformed> {
        if let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let stops = !word & 0x8080_8080_8080_8080;
            if stops != 0 {
                self.at += (stops.trailing_zeros() as usize + 1) / 8;
                return Ok(unzigzag(squeeze(word & (stops ^ (stops - 1)))));
            }
        }
        let (coded, at) = varint(self.bytes, self.at)?;
        self.at = at;
        Ok(unzigzag(coded))
    }

    /// An int of any size.
    #[inline(always)]
    pub(super) fn int(&mut self) -> Result<i64, Malformed> {
        let start = self.at;
        let value = self.long()?;
        within_int(value, start)
    }

    /// An int that is most likely one byte.
    #[inline(always)]
    pub(super) fn small_int(&mut self) -> Result<i64, Malformed> {
        let start = self.at;
        let value = self.small()?;
        within_int(value, start)
    }

    /// The length of a text or of bytes, and that many bytes after it: where they start, and they.
    #[inline(always)]
    pub(super) fn prefixed(&mut self) -> Result<(usize, &'b [u8]), Malformed> {
        let start = self.at;
        let length = self.small()?;
        let body = self.at;
        let taken = usize::try_from(length).ok().and_then(|length| self.rest().get(..length));
        let Some(taken) = taken else {
            return Err(malformed(Reason::BadLength, start));
        };
        self.at += taken.len();
        Ok((body, taken))
    }

    /// An index below `count` (a union's branch, an enum's symbol).
    #[inline(always)]
    pub(super) fn index(&mut self, count: usize, otherwise: Reason) -> Result<usize, Malformed> {
        let start = self.at;
        let index = self.small()?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => Err(malformed(otherwise, start)),
        }
    }

    /// A boolean.
    #[inline(always)]
    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        let start = self.at;
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

/// A variable-length number byte by byte: the plain way, for what the fast ways leave over. Returns it and the offset after it.
#[inline(never)]
fn varint(bytes: &[u8], start: usize) -> Result<(u64, usize), Malformed> {
    let mut coded = 0_u64;
    for index in 0..VARINT_BYTES_MAX {
        let Some(&byte) = bytes.get(start + index) else {
            return Err(malformed(Reason::Truncated, start));
        };
        // The tenth byte has room for the 64th bit only.
        if index + 1 == VARINT_BYTES_MAX && byte > 1 {
            break;
        }
        coded |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((coded, start + index + 1));
        }
    }
    Err(malformed(Reason::OverlongVarint, start))
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
        varint(bytes, 0).map(|(coded, at)| (unzigzag(coded), at))
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
            assert_eq!(Cursor::new(&encode(value)).small_int().is_ok(), good, "{value}");
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
