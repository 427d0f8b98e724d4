//! Why an event could not be read.

use std::fmt;

/// What was wrong with a malformed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No bytes at all.
    Empty,
    /// The bytes end in the middle of a value.
    Truncated,
    /// Bytes are left after the last field.
    TrailingBytes,
    /// A length or count is negative or larger than what is left.
    BadLength,
    /// A variable-length integer of more than ten bytes, or past the range of its type.
    OverlongVarint,
    /// A union's branch that its schema does not have.
    BadUnionBranch,
    /// An enum's index that its schema does not have.
    BadEnumIndex,
    /// A boolean that is neither 0 nor 1.
    BadBoolean,
    /// A text that is used is not UTF-8.
    BadUtf8,
    /// A decimal that does not fit 128 bits.
    DecimalTooWide,
    /// The source is null or an empty text.
    SourceMissing,
    /// The source is longer than [`crate::limits::SOURCE_BYTES_MAX`].
    SourceTooLong,
    /// A text label is longer than [`crate::limits::TEXT_BYTES_MAX`].
    TextTooLong,
    /// The event time is null.
    TimeMissing,
    /// The event time is before 1970 or after 2106-02-07.
    TimeOutOfRange,
    /// The end of an earlier event of the same unframed block could not be found, so where this one begins is unknown.
    BlockCut,
}

impl Reason {
    /// The name that stands in rejects, metrics and the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Empty => "empty",
            Reason::Truncated => "truncated",
            Reason::TrailingBytes => "trailing_bytes",
            Reason::BadLength => "bad_length",
            Reason::OverlongVarint => "overlong_varint",
            Reason::BadUnionBranch => "bad_union_branch",
            Reason::BadEnumIndex => "bad_enum_index",
            Reason::BadBoolean => "bad_boolean",
            Reason::BadUtf8 => "bad_utf8",
            Reason::DecimalTooWide => "decimal_too_wide",
            Reason::SourceMissing => "source_missing",
            Reason::SourceTooLong => "source_too_long",
            Reason::TextTooLong => "text_too_long",
            Reason::TimeMissing => "time_missing",
            Reason::TimeOutOfRange => "time_out_of_range",
            Reason::BlockCut => "block_cut",
        }
    }
}

/// A malformed event: what was wrong, and at which byte of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was wrong.
    pub reason: Reason,
    /// The offset in the payload at which it was seen.
    pub at: u32,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason.name(), self.at)
    }
}
