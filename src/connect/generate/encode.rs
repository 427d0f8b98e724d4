//! The writer: a schema compiled into steps that put one plausible event into a buffer.
//!
//! Bytes follow the Avro 1.12 specification, "Binary Encoding". Nothing is allocated per event beyond the output buffer.

use super::random::{Chance, Random, mix, scaled};
use crate::limits::{GENERATED_BYTES_MAX, GENERATED_ITEMS_MAX};

/// A compiled writer for one schema; made by [`Encoder::compile`].
#[derive(Clone, Debug)]
pub struct Encoder {
    pub(super) top: Step,
    pub(super) nulls: Chance,
    pub(super) non_finite: Chance,
}

/// What is decided about an event before its fields are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The number of its source.
    pub source: u64,
    /// Its event time, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Whether the first union met is to get a branch that it does not have; cleared when that is done.
    pub spoil: bool,
}

/// The unit of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Days,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn of_nanos(self, ns: i64) -> i64 {
        match self {
            Unit::Days => ns.div_euclid(86_400_000_000_000),
            Unit::Millis => ns.div_euclid(1_000_000),
            Unit::Micros => ns.div_euclid(1_000),
            Unit::Nanos => ns,
        }
    }
}

/// Encoded words of a text field, each with its length before it.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) bytes: Vec<u8>,
    /// Word `i` is `bytes[ends[i]..ends[i + 1]]`.
    pub(super) ends: Vec<u32>,
}

/// The course of a number: a level, a slow triangle wave in event time, an offset of the source, and noise; in hundredths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) level: i64,
    pub(super) wave: i64,
    pub(super) offsets: u64,
    pub(super) noise: u64,
    pub(super) salt: u64,
}

/// Half a period of a [`Course`]'s wave is 2^21 ms, about 35 minutes: visible over an hour, smooth within a window.
const WAVE_BITS: u32 = 21;

impl Course {
    #[inline]
    fn value(self, event: &Event, bits: u32) -> f64 {
        let at = ((event.time_ns / 1_000_000) as u64).wrapping_add(self.salt);
        let rising = (at & ((1 << WAVE_BITS) - 1)) as i64;
        let slope = if (at >> WAVE_BITS) & 1 == 0 { rising } else { (1 << WAVE_BITS) - rising };
        let wave = (slope * self.wave) >> WAVE_BITS;
        let offset = scaled(mix(event.source ^ self.salt), self.offsets) as i64;
        let noise = ((u64::from(bits) * self.noise) >> 32) as i64;
        (self.level + wave + offset + noise) as f64 / 100.0
    }
}

/// One step of the writer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Record(Vec<Step>),
    /// The source as `source-0000017`.
    SourceText,
    /// The source's number.
    SourceInteger,
    /// The symbol that belongs to the source.
    SourceSymbol(u64),
    /// The event time.
    Time(Unit),
    /// Another time, at most ten seconds before the event's.
    Nearby(Unit),
    /// A time of day, in this many parts.
    OfDay(u64),
    Boolean,
    /// A number below the bound; seldom one up to 100 times as large.
    Integer(u64),
    Float(Course),
    Double(Course),
    /// Mostly the source's own word.
    Text(Words, u64),
    Bytes,
    Fixed(usize),
    /// An unscaled number below the bound, in its fewest bytes or in a fixed number of them.
    Decimal(u64, Option<usize>),
    BigDecimal,
    UuidText,
    UuidBytes,
    /// Mostly the source's own symbol, of so many.
    Symbol(u64, u64),
    Array(Box<Step>),
    Map(Box<Step>),
    Union {
        /// The branch of null.
        null: Option<i64>,
        /// The other branches that may be taken.
        branches: Vec<(i64, Step)>,
        /// Branches of the union, taken or not.
        count: i64,
    },
    /// Zero bytes: a null.
    Nothing,
    /// An array or map without items.
    NoItems,
}

impl Encoder {
    /// Appends one event to `out`. What it holds is a function of `event`, of the state of `random` and of the schema.
    #[inline]
    pub fn write(&self, event: &mut Event, random: &mut Random, out: &mut Vec<u8>) {
        self.step(&self.top, event, random, out);
    }

    fn step(&self, step: &Step, event: &mut Event, random: &mut Random, out: &mut Vec<u8>) {
        match step {
            Step::Record(steps) => {
                for step in steps {
                    self.step(step, event, random, out);
                }
            }
            Step::SourceText => source_text(event.source, out),
            Step::SourceInteger => varint(event.source as i64, out),
            Step::SourceSymbol(count) => varint((event.source % count) as i64, out),
            Step::Time(unit) => varint(unit.of_nanos(event.time_ns), out),
            Step::Nearby(unit) => {
                let before = random.below(10_000_000_000) as i64;
                varint(unit.of_nanos((event.time_ns - before).max(0)), out);
            }
            Step::OfDay(parts) => varint(random.below(*parts) as i64, out),
            Step::Boolean => out.push((random.bits() & 1) as u8),
            Step::Integer(bound) => varint(integer(*bound, random.bits()), out),
            Step::Double(course) => out.extend_from_slice(&self.float(course, event, random).to_le_bytes()),
            Step::Float(course) => out.extend_from_slice(&(self.float(course, event, random) as f32).to_le_bytes()),
            Step::Text(words, salt) => {
                let word = own_or_any(words.ends.len() as u64 - 1, *salt, event, random) as usize;
                out.extend_from_slice(&words.bytes[words.ends[word] as usize..words.ends[word + 1] as usize]);
            }
            Step::Symbol(count, salt) => varint(own_or_any(*count, *salt, event, random) as i64, out),
            Step::Array(item) => self.items(item, false, event, random, out),
            Step::Map(value) => self.items(value, true, event, random, out),
            Step::Union { null, branches, count } => {
                let branch = match null {
                    Some(null) if branches.is_empty() || self.nulls.draw(random) => Err(*null),
                    _ => Ok(&branches[random.below(branches.len() as u64) as usize]),
                };
                let index = branch.map_or_else(|null| null, |(index, _)| *index);
                let beyond = if event.spoil { count + (random.bits() & 3) as i64 } else { index };
                event.spoil = false;
                varint(beyond, out);
                if let Ok((_, step)) = branch {
                    self.step(step, event, random, out);
                }
            }
            Step::Nothing => {}
            Step::NoItems => out.push(0),
            raw => bytes_of(raw, random, out),
        }
    }

    #[inline]
    fn float(&self, course: &Course, event: &Event, random: &mut Random) -> f64 {
        let bits = random.bits();
        if self.non_finite.takes((bits >> 32) as u32) {
            return [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][(bits % 3) as usize];
        }
        course.value(event, bits as u32)
    }

    /// The items of an array or map in one block; one block in four carries its size, as the specification allows.
    fn items(&self, item: &Step, keyed: bool, event: &mut Event, random: &mut Random, out: &mut Vec<u8>) {
        let bits = random.bits();
        let count = scaled(bits, GENERATED_ITEMS_MAX + 1);
        if count == 0 {
            out.push(0);
            return;
        }
        let sized = bits & 3 == 0;
        varint(if sized { -(count as i64) } else { count as i64 }, out);
        let begin = out.len();
        for number in 0..count {
            if keyed {
                out.extend_from_slice(&[4, b'k', b'0' + number as u8]);
            }
            self.step(item, event, random, out);
        }
        if sized {
            let mut size = [0; 10];
            let used = varint_into((out.len() - begin) as i64, &mut size);
            out.splice(begin..begin, size[..used].iter().copied());
        }
        out.push(0);
    }
}

/// The kinds whose values are bytes without further meaning.
fn bytes_of(step: &Step, random: &mut Random, out: &mut Vec<u8>) {
    match step {
        Step::Bytes => {
            let len = random.below(GENERATED_BYTES_MAX + 1);
            varint(len as i64, out);
            noise(len as usize, random, out);
        }
        Step::Fixed(len) => noise(*len, random, out),
        Step::Decimal(bound, None) => {
            let (bytes, skip) = fewest_bytes(random.below(*bound));
            varint((bytes.len() - skip) as i64, out);
            out.extend_from_slice(&bytes[skip..]);
        }
        Step::Decimal(bound, Some(len)) => {
            let bytes = random.below(*bound).to_be_bytes();
            out.resize(out.len() + len.saturating_sub(bytes.len()), 0);
            out.extend_from_slice(&bytes[bytes.len().saturating_sub(*len)..]);
        }
        Step::BigDecimal => {
            // Bytes that hold the unscaled number as bytes, then the scale: always 2 digits here.
            let (bytes, skip) = fewest_bytes(random.below(1_000_000));
            let len = bytes.len() - skip;
            varint(len as i64 + 2, out);
            varint(len as i64, out);
            out.extend_from_slice(&bytes[skip..]);
            varint(2, out);
        }
        Step::UuidText => uuid_text(random, out),
        Step::UuidBytes => {
            varint(16, out);
            noise(16, random, out);
        }
        _ => {}
    }
}

/// A small number mostly; one in 64 may be up to 100 times as large.
#[inline]
fn integer(bound: u64, bits: u64) -> i64 {
    let bound = if bits & 63 == 0 && bound > 2 { bound * 100 } else { bound };
    scaled(bits, bound) as i64
}

/// Which of `count` words: the source's own in 15 of 16 cases, so that a label of a source is steady but not constant.
#[inline]
fn own_or_any(count: u64, salt: u64, event: &Event, random: &mut Random) -> u64 {
    let bits = random.bits();
    let chosen = if bits & 15 == 0 { bits } else { mix(event.source ^ salt) };
    scaled(chosen, count)
}

#[inline]
fn source_text(source: u64, out: &mut Vec<u8>) {
    let mut text = *b"\x1csource-0000000";
    let mut rest = source as u32;
    for digit in text[8..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text);
}

/// `number` big-endian in eight bytes, and how many of them two's complement does not need.
fn fewest_bytes(number: u64) -> ([u8; 8], usize) {
    // One bit more than the number has, for the sign.
    let needed = (65 - number.leading_zeros() as usize).div_ceil(8);
    (number.to_be_bytes(), 8 - needed.min(8))
}

fn noise(len: usize, random: &mut Random, out: &mut Vec<u8>) {
    let end = out.len() + len;
    while out.len() < end {
        let bytes = random.bits().to_le_bytes();
        out.extend_from_slice(&bytes[..bytes.len().min(end - out.len())]);
    }
}

fn uuid_text(random: &mut Random, out: &mut Vec<u8>) {
    varint(36, out);
    for group in [8, 4, 4, 4, 12] {
        let mut bits = random.bits();
        for _ in 0..group {
            out.push(b"0123456789abcdef"[(bits & 15) as usize]);
            bits >>= 4;
        }
        out.push(b'-');
    }
    out.pop();
}

/// Appends a zigzag varint.
#[inline]
pub(super) fn varint(number: i64, out: &mut Vec<u8>) {
    let zigzag = ((number << 1) ^ (number >> 63)) as u64;
    if zigzag < 0x80 {
        out.push(zigzag as u8);
        return;
    }
    let mut bytes = [0; 10];
    let used = varint_into(number, &mut bytes);
    out.extend_from_slice(&bytes[..used]);
}

fn varint_into(number: i64, bytes: &mut [u8; 10]) -> usize {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut used = 0;
    while rest >= 0x80 {
        bytes[used] = rest as u8 | 0x80;
        rest >>= 7;
        used += 1;
    }
    bytes[used] = rest as u8;
    used + 1
}
