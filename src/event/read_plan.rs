//! The read plan: a writer's schema compiled, for one selection, into steps that read what is needed and skip the rest.

use std::fmt;

use super::compile::{Want, compile};
use super::cursor::malformed;
use super::program::Program;
use super::resolve::Target;
use super::schema::parse_record;
use super::steps::Slot;
use super::{FieldError, FieldKind, Malformed, ReaderSchema, Reason, Row, Selection, Source};
use crate::limits::FIELDS_MAX;

/// Why a writer's schema cannot be read by a dataflow: a sentence with the field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError(pub String);

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CompileError {}

/// A compiled plan: immutable, shared between threads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    program: Program,
    /// Steps over everything.
    outline: Program,
    words: usize,
}

impl ReadPlan {
    /// Compiles the writer's schema for what is selected of the reader's (names, aliases, promotions and defaults as the
    /// Avro 1.12 specification's "Schema Resolution" has them).
    ///
    /// Where the specification leaves an error to the reading, it is one here too: a null, or another branch of the writer's union, that
    /// the reader's type cannot take makes the event malformed. The names of records, enums and fixed need not agree, except to choose
    /// between several records of a union.
    pub fn compile(writer_json: &str, reader: &ReaderSchema, selection: &Selection) -> Result<Self, CompileError> {
        let writer =
            parse_record(writer_json).map_err(|words| CompileError(format!("the writer's schema: {words}")))?;
        if selection.fields.len() > FIELDS_MAX {
            let found = selection.fields.len();
            return Err(CompileError(format!("{found} fields are selected, at most {FIELDS_MAX} are allowed")));
        }
        let mut wants = Vec::new();
        let mut word = 0_u8;
        for (field, path) in (0_u8..).zip(&selection.fields) {
            let wide = matches!(kind(reader, path)?, FieldKind::Decimal { .. });
            wants.push(Want::new(path, Target::Field(Slot { field, word }), wide));
            word += if wide { 2 } else { 1 };
        }
        kind(reader, &selection.source)?;
        wants.push(Want::new(&selection.source, Target::Source, false));
        if let Some(path) = &selection.time {
            kind(reader, path)?;
            wants.push(Want::new(path, Target::Time, false));
        }
        let program = compile(&writer, reader.avro(), &wants)?;
        let outline = compile(&writer, reader.avro(), &[])?;
        Ok(Self { program, outline, words: usize::from(word) })
    }

    /// A row of the right shape for `decode`.
    pub fn row(&self) -> Row {
        Row { source: Source::Integer(0), time: 0, present: 0, words: vec![0; self.words], nulls: 0, non_finite: 0 }
    }

    /// Reads one event from the front of `bytes` into `row` and returns how many bytes it took. Spans are offsets in `bytes`.
    ///
    /// After an error what the row holds means nothing. A row of another plan is brought to this plan's shape, which may allocate once.
    pub fn decode(&self, bytes: &[u8], row: &mut Row) -> Result<usize, Malformed> {
        if bytes.is_empty() {
            return Err(malformed(Reason::Empty, 0));
        }
        if row.words.len() != self.words {
            row.words.resize(self.words, 0);
        }
        row.time = 0;
        self.program.run(bytes, row)
    }

    /// How many bytes the event at the front of `bytes` takes, whether or not its values can be used: where events follow each
    /// other without frames, one that has no time does not cost the others.
    pub fn length(&self, bytes: &[u8]) -> Result<usize, Malformed> {
        let nothing =
            &mut Row { source: Source::Integer(0), time: 0, present: 0, words: Vec::new(), nulls: 0, non_finite: 0 };
        self.outline.run(bytes, nothing)
    }

    /// Reads a payload that must hold exactly one event.
    pub fn decode_whole(&self, payload: &[u8], row: &mut Row) -> Result<(), Malformed> {
        let taken = self.decode(payload, row)?;
        if taken == payload.len() { Ok(()) } else { Err(malformed(Reason::TrailingBytes, taken)) }
    }

    /// One line per step, for `minuet check`.
    pub fn steps(&self) -> Vec<String> {
        self.program.lines()
    }
}

fn kind(reader: &ReaderSchema, path: &str) -> Result<FieldKind, CompileError> {
    match reader.field(path) {
        Ok(field) => Ok(field.kind),
        Err(FieldError::Unknown { known, .. }) => Err(CompileError(format!(
            "field \"{path}\": the reader's schema has none of this name; it has {}",
            known.join(", ")
        ))),
        Err(FieldError::Unusable { found }) => {
            Err(CompileError(format!("field \"{path}\": the reader's schema has {found}, which cannot be selected")))
        }
    }
}
