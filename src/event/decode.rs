//! Runs a program over the bytes of an event.
//!
//! Nothing here panics or allocates: every access is checked, by a `get` where the compiler cannot see that it is in range. What a row
//! holds beside its words is counted in registers and stored once at the end. The one recursion is through arrays, maps and routines,
//! and is counted.

use super::cursor::{Cursor, malformed};
use super::program::{NO_SYMBOL, Program};
use super::steps::{Slot, Step, Unit};
use super::{Malformed, Reason, Row, Source, Span};
use crate::limits::{EMPTY_ITEMS_MAX, SCHEMA_DEPTH_MAX, SOURCE_BYTES_MAX, TEXT_BYTES_MAX};
use crate::time::{Millis, minute_of};

/// The bits that are all set in a float that is not finite.
const EXPONENT: u64 = 0x7ff0_0000_0000_0000;

/// The lowest bit of a float's exponent.
const EXPONENT_STEP: u64 = 1 << 52;

/// Bytes of a present nullable double: its branch and its value.
const NULLABLE_DOUBLE_BYTES: usize = 9;

/// What is counted while an event is read.
#[derive(Clone, Copy, Default)]
struct Seen {
    present: u64,
    nulls: u32,
    non_finite: u32,
}

impl Seen {
    #[inline(always)]
    fn there(&mut self, slot: Slot, count: u8) {
        self.present |= (u64::MAX >> ((64 - u32::from(count)) & 63)) << (slot.field & 63);
    }
}

impl Program {
    /// Reads one event from the front of `bytes`; `row.words` must be as long as the selection needs. Returns the bytes it took.
    pub(super) fn run(&self, bytes: &[u8], row: &mut Row) -> Result<usize, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let mut mark = cursor;
        let mut seen = Seen::default();
        let words = row.words.as_mut_slice();
        let main = self.steps.get(..self.main_end).unwrap_or_default();
        let mut pc = 0;
        while let Some(step) = main.get(pc) {
            pc += 1;
            match *step {
                Step::Doubles { slot, count } => doubles(&mut cursor, words, slot, count, &mut seen)?,
                Step::NullableDoubles { slot, count, tag } => {
                    (cursor, seen) = nullable_doubles(cursor, words, slot, count, tag, seen)?;
                }
                Step::Float { slot } => {
                    let value = f64::from(f32::from_le_bytes(cursor.array()?));
                    put_float(words, slot, value, &mut seen);
                }
                Step::Number { slot, wide, single } => {
                    let value = if wide { cursor.long()? } else { cursor.int()? };
                    put_float(words, slot, if single { f64::from(value as f32) } else { value as f64 }, &mut seen);
                }
                Step::Ints { slot, count } => integers(&mut cursor, words, slot, count, &mut seen, false)?,
                Step::Longs { slot, count } => integers(&mut cursor, words, slot, count, &mut seen, true)?,
                Step::Boolean { slot } => {
                    let value = cursor.boolean()?;
                    put(words, slot, u64::from(value), &mut seen);
                }
                Step::Enum { slot, map } => {
                    let symbol = self.symbol(&mut cursor, map)?;
                    put(words, slot, u64::from(symbol), &mut seen);
                }
                Step::Text { slot } => {
                    let span = text(&mut cursor, TEXT_BYTES_MAX, Reason::TextTooLong)?;
                    put(words, slot, u64::from(span.start) << 32 | u64::from(span.len), &mut seen);
                }
                Step::DecimalBytes { slot } => decimal(&mut cursor, None, words, slot, &mut seen)?,
                Step::DecimalFixed { slot, size } => decimal(&mut cursor, Some(size), words, slot, &mut seen)?,
                Step::Null { slot, wide } => {
                    set(words, slot, [0, 0], wide);
                    seen.nulls += 1;
                }
                Step::Constant { slot, constant, wide } => {
                    set(words, slot, self.constant(constant), wide);
                    seen.there(slot, 1);
                }
                Step::SourceText => row.source = source_text(&mut cursor)?,
                Step::SourceInteger { wide } => {
                    row.source = Source::Integer(if wide { cursor.long()? } else { cursor.int()? });
                }
                Step::SourceEnum { map } => row.source = Source::Symbol(self.symbol(&mut cursor, map)?),
                Step::SourceConstant { constant, symbol } => row.source = self.source_constant(constant, symbol),
                Step::Time { unit, wide } => row.time = time(&mut cursor, unit, wide)?,
                Step::TimeConstant { constant } => row.time = self.constant(constant)[0].cast_signed(),
                Step::Mark => mark = cursor,
                Step::Rewind => cursor = mark,
                // The skips of most events stand here as well as in `skip`: one jump by the step's kind, not two.
                Step::SkipBytes { count } => {
                    cursor.take(count as usize)?;
                }
                Step::SkipTexts { count } => repeat(&mut cursor, count, |cursor| cursor.prefixed())?,
                Step::SkipInts { count } => repeat(&mut cursor, count, |cursor| cursor.int())?,
                Step::SkipLongs { count } => repeat(&mut cursor, count, |cursor| cursor.long())?,
                skip => (cursor, pc) = self.skip(skip, pc, cursor, 0)?,
            }
        }
        (row.present, row.nulls, row.non_finite) = (seen.present, seen.nulls, seen.non_finite);
        Ok(cursor.at())
    }

    /// One step that fills nothing in: where the bytes and the steps go on.
    #[inline(always)]
    fn skip<'b>(
        &self,
        step: Step,
        mut pc: usize,
        mut cursor: Cursor<'b>,
        depth: usize,
    ) -> Result<(Cursor<'b>, usize), Malformed> {
        match step {
            Step::SkipBytes { count } => {
                cursor.take(count as usize)?;
            }
            Step::SkipBooleans { count } => repeat(&mut cursor, count, Cursor::boolean)?,
            Step::SkipInts { count } => repeat(&mut cursor, count, |cursor| cursor.int())?,
            Step::SkipLongs { count } => repeat(&mut cursor, count, |cursor| cursor.long())?,
            Step::SkipTexts { count } => repeat(&mut cursor, count, |cursor| cursor.prefixed())?,
            Step::SkipEnum { symbols } => {
                cursor.index(symbols as usize, Reason::BadEnumIndex)?;
            }
            Step::Union { first, branches } => {
                let branch = cursor.index(usize::from(branches), Reason::BadUnionBranch)?;
                pc = self.targets.get(first as usize + branch).map_or(pc, |target| *target as usize);
            }
            Step::Jump { to } => pc = to as usize,
            Step::Blocks { end } => {
                cursor = self.blocks(pc, end as usize, cursor, depth)?;
                pc = end as usize;
            }
            Step::Call { routine } => {
                if let Some(&(start, end)) = self.routines.get(routine as usize) {
                    cursor = self.walk(start, end, cursor, depth)?;
                }
            }
            Step::Fail { reason } => return Err(malformed(reason, cursor.at())),
            // All others fill something in; none of them is compiled into the items of an array.
            _ => {}
        }
        Ok((cursor, pc))
    }

    /// Skips by the steps from `pc` to `end`.
    fn walk<'b>(
        &self,
        mut pc: usize,
        end: usize,
        mut cursor: Cursor<'b>,
        depth: usize,
    ) -> Result<Cursor<'b>, Malformed> {
        if depth >= SCHEMA_DEPTH_MAX {
            return Err(malformed(Reason::BadLength, cursor.at()));
        }
        while pc < end {
            let Some(step) = self.steps.get(pc) else { break };
            (cursor, pc) = self.skip(*step, pc + 1, cursor, depth + 1)?;
        }
        Ok(cursor)
    }

    /// Skips the blocks of an array or a map: counts and items up to a count of 0; a negative count is followed by the block's size in
    /// bytes. The items are walked all the same, so that a size that is wrong is found and not believed.
    #[inline(never)]
    fn blocks<'b>(&self, pc: usize, end: usize, mut cursor: Cursor<'b>, depth: usize) -> Result<Cursor<'b>, Malformed> {
        loop {
            let start = cursor.at();
            let count = cursor.small()?;
            if count == 0 {
                return Ok(cursor);
            }
            let size = if count < 0 { Some(cursor.small()?) } else { None };
            let body = cursor.at();
            // An item with steps takes a byte at least, so more items than bytes cannot be; an item without steps has no bytes.
            let most = if pc == end { EMPTY_ITEMS_MAX } else { cursor.rest().len() as u64 };
            if count.unsigned_abs() > most {
                return Err(malformed(Reason::BadLength, start));
            }
            if pc < end {
                for _ in 0..count.unsigned_abs() {
                    cursor = self.walk(pc, end, cursor, depth)?;
                }
            }
            if size.is_some_and(|size| usize::try_from(size) != Ok(cursor.at() - body)) {
                return Err(malformed(Reason::BadLength, start));
            }
        }
    }

    /// The reader's symbol for the writer's that comes next.
    #[inline(always)]
    fn symbol(&self, cursor: &mut Cursor<'_>, map: u32) -> Result<u32, Malformed> {
        let start = cursor.at();
        let map = self.maps.get(map as usize).map(Vec::as_slice).unwrap_or_default();
        let index = cursor.index(map.len(), Reason::BadEnumIndex)?;
        match map.get(index) {
            Some(&symbol) if symbol != NO_SYMBOL => Ok(symbol),
            _ => Err(malformed(Reason::BadEnumIndex, start)),
        }
    }

    fn source_constant(&self, constant: u32, symbol: bool) -> Source {
        let [word, _] = self.constant(constant);
        if symbol { Source::Symbol(word as u32) } else { Source::Integer(word.cast_signed()) }
    }

    fn constant(&self, index: u32) -> [u64; 2] {
        self.constants.get(index as usize).copied().unwrap_or_default()
    }
}

/// Reads `count` values and keeps none.
#[inline(always)]
fn repeat<'b, T>(
    cursor: &mut Cursor<'b>,
    count: u32,
    read: impl Fn(&mut Cursor<'b>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    for _ in 0..count {
        read(cursor)?;
    }
    Ok(())
}

#[inline(always)]
fn put(words: &mut [u64], slot: Slot, value: u64, seen: &mut Seen) {
    set(words, slot, [value, 0], false);
    seen.there(slot, 1);
}

#[inline(always)]
fn set(words: &mut [u64], slot: Slot, [low, high]: [u64; 2], wide: bool) {
    let word = usize::from(slot.word);
    if let Some(place) = words.get_mut(word) {
        *place = low;
    }
    if wide && let Some(place) = words.get_mut(word + 1) {
        *place = high;
    }
}

#[inline(always)]
fn put_float(words: &mut [u64], slot: Slot, value: f64, seen: &mut Seen) {
    let finite = value.is_finite();
    set(words, slot, [if finite { value.to_bits() } else { 0 }, 0], false);
    seen.present |= u64::from(finite) << (slot.field & 63);
    seen.non_finite += u32::from(!finite);
}

/// A run of doubles.
#[inline(always)]
fn doubles(
    cursor: &mut Cursor<'_>,
    words: &mut [u64],
    slot: Slot,
    count: u8,
    seen: &mut Seen,
) -> Result<(), Malformed> {
    let taken = cursor.take(usize::from(count) * size_of::<f64>())?;
    let word = usize::from(slot.word);
    let places = words.get_mut(word..word + usize::from(count)).unwrap_or_default();
    all_there(places, taken.as_chunks().0.iter(), slot, count, seen);
    Ok(())
}

/// Copies doubles as if all were finite, and goes over them again in the rare event in which one is not.
#[inline(always)]
fn all_there<'b>(
    places: &mut [u64],
    values: impl Iterator<Item = &'b [u8; 8]>,
    slot: Slot,
    count: u8,
    seen: &mut Seen,
) {
    // An exponent of all ones, and no other, carries into the top bit. Unlike a comparison of 64 bits this is plain arithmetic, which
    // every processor does on several values at once.
    let mut carries = 0;
    for (place, value) in places.iter_mut().zip(values) {
        *place = u64::from_le_bytes(*value);
        carries |= (*place & EXPONENT) + EXPONENT_STEP;
    }
    seen.there(slot, count);
    if carries >> 63 != 0 {
        drop_non_finite(places, slot, seen);
    }
}

#[cold]
fn drop_non_finite(places: &mut [u64], slot: Slot, seen: &mut Seen) {
    for (index, place) in places.iter_mut().enumerate() {
        if *place & EXPONENT == EXPONENT {
            *place = 0;
            seen.present &= !(1 << ((usize::from(slot.field) + index) & 63));
            seen.non_finite += 1;
        }
    }
}

/// A run of unions of null and double. Mostly all are there: then each branch and value stands where it is expected, and none waits for
/// the one before. Else, where enough bytes are left for all of them, each moves the position by 1 or 9 without a branch. What remains
/// (near the end, an odd branch) is read one by one, which also finds the exact error.
#[inline(always)]
fn nullable_doubles<'b>(
    mut cursor: Cursor<'b>,
    words: &mut [u64],
    slot: Slot,
    count: u8,
    tag: u8,
    mut seen: Seen,
) -> Result<(Cursor<'b>, Seen), Malformed> {
    let word = usize::from(slot.word);
    let places = words.get_mut(word..word + usize::from(count)).unwrap_or_default();
    let Some(window) = cursor.rest().get(..usize::from(count) * NULLABLE_DOUBLE_BYTES) else {
        return nullable_doubles_slowly(cursor, places, slot, tag, seen);
    };
    let values = window.as_chunks::<NULLABLE_DOUBLE_BYTES>().0;
    if values.iter().fold(0, |other, [branch, ..]| other | branch ^ tag) == 0 {
        cursor.take(window.len())?;
        all_there(places, values.iter().map(|[_, value @ ..]| value), slot, count, &mut seen);
        return Ok((cursor, seen));
    }
    let (mut present, mut nulls, mut odd, mut at) = (0_u64, 0_u32, 0_u8, 0_usize);
    for (index, place) in places.iter_mut().enumerate() {
        let Some([branch, value @ ..]) = window.get(at..).and_then(<[u8]>::first_chunk::<NULLABLE_DOUBLE_BYTES>) else {
            break;
        };
        odd |= branch & !2;
        let some = *branch == tag;
        let bits = u64::from_le_bytes(*value);
        let kept = some && bits & EXPONENT != EXPONENT;
        *place = if kept { bits } else { 0 };
        present |= u64::from(kept) << index;
        nulls += u32::from(!some);
        at += if some { NULLABLE_DOUBLE_BYTES } else { 1 };
    }
    if odd != 0 {
        return nullable_doubles_slowly(cursor, places, slot, tag, seen);
    }
    cursor.take(at)?;
    seen.present |= present << (slot.field & 63);
    seen.nulls += nulls;
    seen.non_finite += u32::from(count) - nulls - present.count_ones();
    Ok((cursor, seen))
}

#[inline(never)]
fn nullable_doubles_slowly<'b>(
    mut cursor: Cursor<'b>,
    places: &mut [u64],
    slot: Slot,
    tag: u8,
    mut seen: Seen,
) -> Result<(Cursor<'b>, Seen), Malformed> {
    for (index, place) in places.iter_mut().enumerate() {
        let branch = cursor.index(2, Reason::BadUnionBranch)?;
        *place = 0;
        if branch != usize::from(tag / 2) {
            seen.nulls += 1;
            continue;
        }
        let value = f64::from_le_bytes(cursor.array()?);
        if value.is_finite() {
            *place = value.to_bits();
            seen.present |= 1 << ((usize::from(slot.field) + index) & 63);
        } else {
            seen.non_finite += 1;
        }
    }
    Ok((cursor, seen))
}

#[inline(always)]
fn integers(
    cursor: &mut Cursor<'_>,
    words: &mut [u64],
    slot: Slot,
    count: u8,
    seen: &mut Seen,
    wide: bool,
) -> Result<(), Malformed> {
    let word = usize::from(slot.word);
    for place in words.get_mut(word..word + usize::from(count)).unwrap_or_default() {
        let value = if wide { cursor.long()? } else { cursor.int()? };
        *place = value.cast_unsigned();
    }
    seen.there(slot, count);
    Ok(())
}

/// A decimal over bytes, or over fixed of `size` bytes.
#[inline(always)]
fn decimal(
    cursor: &mut Cursor<'_>,
    size: Option<u32>,
    words: &mut [u64],
    slot: Slot,
    seen: &mut Seen,
) -> Result<(), Malformed> {
    let start = cursor.at();
    let digits = match size {
        Some(size) => cursor.take(size as usize)?,
        None => cursor.prefixed()?.1,
    };
    let Some(value) = unscaled(digits) else {
        return Err(malformed(Reason::DecimalTooWide, start));
    };
    let value = value.cast_unsigned();
    set(words, slot, [value as u64, (value >> 64) as u64], true);
    seen.there(slot, 1);
    Ok(())
}

/// A decimal's unscaled value from its big-endian two's complement; no bytes are 0. `None` where it does not fit.
pub(super) fn unscaled(digits: &[u8]) -> Option<i128> {
    let sign = if digits.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let (extension, kept) = digits.split_at(digits.len().saturating_sub(size_of::<i128>()));
    let mut bytes = [sign; size_of::<i128>()];
    let start = bytes.len() - kept.len();
    bytes.get_mut(start..)?.copy_from_slice(kept);
    let same_sign = (bytes[0] >= 0x80) == (sign == 0xff);
    (same_sign && extension.iter().all(|byte| *byte == sign)).then_some(i128::from_be_bytes(bytes))
}

#[inline(always)]
fn time(cursor: &mut Cursor<'_>, unit: Unit, wide: bool) -> Result<Millis, Malformed> {
    let start = cursor.at();
    let value = if wide { cursor.long()? } else { cursor.int()? };
    let millis = unit.to_millis(value);
    match minute_of(millis) {
        Some(_) => Ok(millis),
        None => Err(malformed(Reason::TimeOutOfRange, start)),
    }
}

#[inline(always)]
fn source_text(cursor: &mut Cursor<'_>) -> Result<Source, Malformed> {
    let start = cursor.at();
    match text(cursor, SOURCE_BYTES_MAX, Reason::SourceTooLong)? {
        Span { len: 0, .. } => Err(malformed(Reason::SourceMissing, start)),
        span => Ok(Source::Text(span)),
    }
}

/// A text that is used: short enough, and UTF-8.
#[inline(always)]
fn text(cursor: &mut Cursor<'_>, most: usize, too_long: Reason) -> Result<Span, Malformed> {
    let start = cursor.at();
    let (body, bytes) = cursor.prefixed()?;
    if bytes.len() > most {
        return Err(malformed(too_long, start));
    }
    if !is_ascii(bytes) && std::str::from_utf8(bytes).is_err() {
        return Err(malformed(Reason::BadUtf8, body));
    }
    Ok(Span { start: body as u32, len: bytes.len() as u32 })
}

/// Whether all bytes are ASCII. Eight at a time, the last eight overlapping the ones before: for the short texts that labels are, this
/// costs less than the general test.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    let high = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => u64::from_le_bytes(*first) | u64::from_le_bytes(*last),
        (Some(_), _) => return bytes.is_ascii(),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)),
            _ => u64::from(bytes.iter().fold(0, |all, byte| all | byte)),
        },
    };
    high & 0x8080_8080_8080_8080 == 0
}
