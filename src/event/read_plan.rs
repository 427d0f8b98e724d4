//! The read plan: a writer's schema compiled, for one selection, into steps that read what is needed and skip the rest.

use super::{Malformed, ReaderSchema, Row, Selection};

/// Why a writer's schema cannot be read by a dataflow: a sentence with the field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError(pub String);

/// A compiled plan: immutable, shared between threads.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    // helper H1 fills in
}

impl ReadPlan {
    /// Compiles the writer's schema for what is selected of the reader's (names, aliases, promotions and defaults as the
    /// Avro 1.12 specification's "Schema Resolution" has them).
    pub fn compile(_writer_json: &str, _reader: &ReaderSchema, _selection: &Selection) -> Result<Self, CompileError> {
        todo!()
    }

    /// A row of the right shape for `decode`.
    pub fn row(&self) -> Row {
        todo!()
    }

    /// Reads one event from the front of `bytes` into `row` and returns how many bytes it took. Spans are offsets in `bytes`.
    pub fn decode(&self, _bytes: &[u8], _row: &mut Row) -> Result<usize, Malformed> {
        todo!()
    }

    /// Reads a payload that must hold exactly one event.
    pub fn decode_whole(&self, _payload: &[u8], _row: &mut Row) -> Result<(), Malformed> {
        todo!()
    }

    /// One line per step, for `minuet check`.
    pub fn steps(&self) -> Vec<String> {
        todo!()
    }
}
