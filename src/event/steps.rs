//! The steps of a read plan: one flat list that the decoder walks from front to back.
//!
//! ```text
//!   read source string              a plain field is one step; neighbours of a kind are one step together
//!   skip 3 strings
//!   read 6 doubles
//!   Union ─┬─▶ null: Null, Jump ─┐  a union jumps to the steps of its branch, which jump behind the last branch
//!          └─▶ double: Doubles   │
//!   skip 16 bytes  ◀─────────────┘
//!   Blocks { end } items … end:     an array's or a map's items are skipped by the steps up to `end`, again and again
//!   Call { routine }                a type inside itself is a routine behind the main steps
//! ```
//!
//! A step is eight bytes and `Copy`. Rejected: boxed steps in steps (a pointer to follow per union), and closures (an indirect call each).

use super::Reason;
use crate::limits::MINUTE_MS;

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Where a selected field stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its bit in `present`.
    pub(super) field: u8,
    /// Its first word.
    pub(super) word: u8,
}

impl Slot {
    /// Whether `next` is `count` one-word fields further.
    fn leads_to(self, next: Slot, count: u8) -> bool {
        self.field + count == next.field && self.word + count == next.word
    }
}

/// The unit in which a time stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Days,
    Millis,
    Micros,
    Nanos,
}

/// One step. `wide` is a long on the wire, else an int.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SkipBytes {
        count: u32,
    },
    SkipBooleans {
        count: u32,
    },
    SkipInts {
        count: u32,
    },
    SkipLongs {
        count: u32,
    },
    SkipTexts {
        count: u32,
    },
    SkipEnum {
        symbols: u32,
    },
    /// Skips blocks of items whose steps follow, up to `end`.
    Blocks {
        end: u32,
    },
    /// Skips a value by a routine.
    Call {
        routine: u32,
    },
    /// Jumps to `targets[first + branch]`.
    Union {
        first: u32,
        branches: u16,
    },
    Jump {
        to: u32,
    },
    /// The branch that was written is none that the reader can take.
    Fail {
        reason: Reason,
    },
    /// Remembers the position, so that the next value can be read twice.
    Mark,
    Rewind,
    Doubles {
        slot: Slot,
        count: u8,
    },
    /// Unions of null and double; `tag` is the byte of the double's branch (0 or 2).
    NullableDoubles {
        slot: Slot,
        count: u8,
        tag: u8,
    },
    Float {
        slot: Slot,
    },
    Ints {
        slot: Slot,
        count: u8,
    },
    Longs {
        slot: Slot,
        count: u8,
    },
    /// An integer that the reader takes for a float; `single` where it takes it for a 32-bit one.
    Number {
        slot: Slot,
        wide: bool,
        single: bool,
    },
    Boolean {
        slot: Slot,
    },
    Enum {
        slot: Slot,
        map: u32,
    },
    Text {
        slot: Slot,
    },
    DecimalBytes {
        slot: Slot,
    },
    DecimalFixed {
        slot: Slot,
        size: u32,
    },
    Null {
        slot: Slot,
        wide: bool,
    },
    Constant {
        slot: Slot,
        constant: u32,
        wide: bool,
    },
    SourceText,
    SourceInteger {
        wide: bool,
    },
    SourceEnum {
        map: u32,
    },
    SourceConstant {
        constant: u32,
        symbol: bool,
    },
    Time {
        unit: Unit,
        wide: bool,
    },
    TimeConstant {
        constant: u32,
    },
}

impl Step {
    /// This step and its neighbour as one, where both do the same to values that stand next to each other.
    pub(super) fn fused(self, next: Step) -> Option<Step> {
        use Step::*;
        let sum = |a: u32, b: u32| a.checked_add(b);
        Some(match (self, next) {
            (SkipBytes { count: a }, SkipBytes { count: b }) => SkipBytes { count: sum(a, b)? },
            (SkipBooleans { count: a }, SkipBooleans { count: b }) => SkipBooleans { count: sum(a, b)? },
            (SkipInts { count: a }, SkipInts { count: b }) => SkipInts { count: sum(a, b)? },
            (SkipLongs { count: a }, SkipLongs { count: b }) => SkipLongs { count: sum(a, b)? },
            (SkipTexts { count: a }, SkipTexts { count: b }) => SkipTexts { count: sum(a, b)? },
            (Doubles { slot, count }, Doubles { slot: next, count: more }) if slot.leads_to(next, count) => {
                Doubles { slot, count: count + more }
            }
            (Ints { slot, count }, Ints { slot: next, count: more }) if slot.leads_to(next, count) => {
                Ints { slot, count: count + more }
            }
            (Longs { slot, count }, Longs { slot: next, count: more }) if slot.leads_to(next, count) => {
                Longs { slot, count: count + more }
            }
            (NullableDoubles { slot, count, tag }, NullableDoubles { slot: next, count: more, tag: same })
                if tag == same && slot.leads_to(next, count) =>
            {
                NullableDoubles { slot, count: count + more, tag }
            }
            _ => return None,
        })
    }

    /// The step in words; `name` is the field or the fields, or the type of what is skipped. `None` for the jumps and marks between.
    pub(super) fn words(self, name: &str) -> Option<String> {
        use Step::*;
        Some(match self {
            SkipBytes { count } => format!("skip {count} {}", plural("byte", count)),
            SkipBooleans { count } => format!("skip {count} {}", plural("boolean", count)),
            SkipInts { count } => format!("skip {count} {}", plural("int", count)),
            SkipLongs { count } => format!("skip {count} {}", plural("long", count)),
            SkipTexts { count } => format!("skip {count} {}", plural(name, count)),
            SkipEnum { symbols } => format!("skip enum of {symbols} symbols"),
            Blocks { .. } | Call { .. } => format!("skip {name}"),
            Union { branches, .. } => format!("choose one of {branches} branches{name}"),
            Fail { reason } => format!("refuse the event: {}", reason.name()),
            Jump { .. } | Mark | Rewind => return None,
            Doubles { count, .. } => run("double", count, name),
            NullableDoubles { count, .. } => run("nullable double", count, name),
            Ints { count, .. } => run("int", count, name),
            Longs { count, .. } => run("long", count, name),
            Float { .. } => format!("read float {name}"),
            Number { wide, single, .. } => {
                format!("read {} {name} as {}", integer(wide), if single { "float" } else { "double" })
            }
            Boolean { .. } => format!("read boolean {name}"),
            Enum { .. } => format!("read enum {name}"),
            Text { .. } => format!("read string {name}"),
            DecimalBytes { .. } => format!("read decimal {name}"),
            DecimalFixed { size, .. } => format!("read decimal {name} of {size} bytes"),
            Null { .. } => format!("take {name} as null"),
            Constant { .. } => format!("take {name} from its default"),
            SourceText => format!("read source string {name:?}"),
            SourceInteger { wide } => format!("read source {} {name:?}", integer(wide)),
            SourceEnum { .. } => format!("read source enum {name:?}"),
            SourceConstant { .. } => format!("take source {name:?} from its default"),
            Time { unit, wide } => format!("read time {} {name:?} in {}", integer(wide), unit.word()),
            TimeConstant { .. } => format!("take time {name:?} from its default"),
        })
    }
}

impl Unit {
    /// Milliseconds, rounded down. What does not fit is far outside the range of event times and stays there.
    #[inline(always)]
    pub(super) fn to_millis(self, value: i64) -> i64 {
        match self {
            Unit::Days => value.saturating_mul(DAY_MS),
            Unit::Millis => value,
            Unit::Micros => value.div_euclid(1_000),
            Unit::Nanos => value.div_euclid(1_000_000),
        }
    }

    /// The unit's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Unit::Days => "days",
            Unit::Millis => "milliseconds",
            Unit::Micros => "microseconds",
            Unit::Nanos => "nanoseconds",
        }
    }
}

fn integer(wide: bool) -> &'static str {
    if wide { "long" } else { "int" }
}

fn plural(word: &str, count: u32) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn run(word: &str, count: u8, name: &str) -> String {
    if count == 1 { format!("read {word} {name}") } else { format!("read {count} {word}s {name}") }
}

const _: () = assert!(size_of::<Step>() <= 8, "a step must stay small: the decoder reads one after another");
