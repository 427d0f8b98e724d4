//! What a dataflow keeps per source and minute, and the columns that come out of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{self, PARTIAL_HEADER_WORDS};

/// What an input field of a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A finite `f64`.
    Float,
    /// An `i64` (also booleans, enum indexes, dates and times).
    Integer,
    /// An unscaled `i128` in two words, low first.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// UTF-8 bytes in the tail; only `First` and `Last` take it.
    Text,
}

impl Kind {
    /// Words of a value.
    pub fn words(&self) -> usize {
        if matches!(self, Kind::Decimal { .. }) { 2 } else { 1 }
    }
}

/// What is computed of a field over the events of a source in a minute. Null and non-finite values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Values that are there.
    Count,
    /// Their exact sum, rounded once.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The exact sum divided by the count, rounded to a double.
    Avg,
    /// The value of the first event by (time, partition, place).
    First,
    /// The value of the last event by (time, partition, place).
    Last,
    /// The share of values that are not zero, 0 to 1.
    Share,
}

/// How a first or last value is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Render {
    /// As it is.
    Plain,
    /// An integer as one of these symbols, by index (enum).
    Symbols(Vec<String>),
    /// An integer by name; one without a name is written in digits.
    Map(BTreeMap<i64, String>),
    /// The value in place of `{}` in this text (after `Map`, where both are given).
    Format(String),
    /// First by name, then into the text.
    MapFormat(BTreeMap<i64, String>, String),
    /// 0 and 1 as false and true.
    Boolean,
}

/// One column after `window_start`, the source and `count`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The column's name.
    pub name: String,
    /// Which input field (index).
    pub field: usize,
    /// What is computed.
    pub statistic: Statistic,
    /// How it is written (first and last only; `Plain` for the others).
    pub render: Render,
}

/// What the source's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// UTF-8 text.
    Text,
    /// An `i64`, stored as eight big-endian bytes with the sign bit flipped, so that bytes sort as numbers do.
    Integer(Render),
}

/// The type of a column, in ClickHouse's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnType {
    /// `DateTime('UTC')`.
    DateTime,
    /// `String`.
    String,
    /// `LowCardinality(String)`.
    Label,
    /// `UInt64`.
    UInt64,
    /// `Int64`.
    Int64,
    /// `Float64`.
    Float64,
    /// `Decimal(38, scale)`.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// `Bool`.
    Bool,
}

/// One column of the rows that come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it can be null (a minute in which no value was there, a sum that does not fit).
    pub nullable: bool,
}

/// Where the words of one input field are: in an event, and in a state. What the outputs do not need has no place.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub kind: Kind,
    /// Its bit in the presence mask.
    pub bit: u32,
    /// Its first input word.
    pub input: usize,
    /// Values that were not there: one word. An event without nulls, which most are, touches none of these.
    pub absent: Option<usize>,
    /// Values that were not zero: one word.
    pub nonzero: Option<usize>,
    /// A pair of doubles, `hi` here and `lo` a run further ([`Layout::pair_lo`]); an `i128` in two words, low first; for a
    /// decimal a third word, which counts how often it left 128 bits.
    pub sum: Option<usize>,
    /// A value.
    pub min: Option<usize>,
    /// A value.
    pub max: Option<usize>,
    /// Time, order, value.
    pub first: Option<usize>,
    /// Time, order, value.
    pub last: Option<usize>,
}

impl Field {
    /// Values that were there, in a state; 0 where they are not counted.
    pub fn count(&self, state: &[u64]) -> u64 {
        self.absent.map_or(0, |at| state[0].wrapping_sub(state[at]))
    }

    /// The place of an integer's sum, where nothing else is kept of it.
    fn only_sum(&self) -> Option<usize> {
        let rest = [self.nonzero, self.min, self.max, self.first, self.last];
        self.sum.filter(|_| self.kind == Kind::Integer && rest.iter().all(Option::is_none))
    }
}

/// Float fields next to each other that keep the same: their words lie in runs too, so that they are folded in tight loops.
#[derive(Clone, Debug)]
pub(super) struct FloatRun {
    pub len: usize,
    pub bit: u32,
    pub input: usize,
    /// `len` times `hi`, then `len` times `lo`.
    pub sum: Option<usize>,
    pub min: Option<usize>,
    pub max: Option<usize>,
}

/// Integers next to each other of which nothing but sums are kept, next to each other too.
#[derive(Clone, Debug)]
pub(super) struct SumRun {
    pub len: usize,
    pub bit: u32,
    pub input: usize,
    /// `len` times an `i128` in two words.
    pub sum: usize,
}

impl SumRun {
    /// The runs among these fields.
    fn of(fields: &[Field]) -> Vec<SumRun> {
        let mut runs: Vec<SumRun> = Vec::new();
        for field in fields {
            let Some(sum) = field.only_sum() else { continue };
            match runs.last_mut() {
                Some(run) if (run.bit + run.len as u32, run.sum + 2 * run.len) == (field.bit, sum) => run.len += 1,
                _ => runs.push(SumRun { len: 1, bit: field.bit, input: field.input, sum }),
            }
        }
        runs
    }
}

/// The order word of a first or last that is not there.
pub(super) const NO_ORDER: u64 = u64::MAX;

/// The layout of partials for one dataflow.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) source: SourceKind,
    pub(super) fields: Vec<Field>,
    pub(super) runs: Vec<FloatRun>,
    pub(super) sums: Vec<SumRun>,
    /// Fields with something to keep that is not folded in a run.
    pub(super) others: Vec<Field>,
    pub(super) outputs: Vec<Output>,
    /// The state of no events.
    pub(super) empty: Vec<u64>,
    /// Words of a state before those that count absent values.
    pub(super) often: usize,
    /// The fields whose absent values are counted, as in a presence mask.
    pub(super) counted: u64,
    inputs: Vec<Kind>,
    input_words: usize,
    columns: Vec<Column>,
}

/// Which statistics of one field are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    count: bool,
    nonzero: bool,
    sum: bool,
    min: bool,
    max: bool,
    first: bool,
    last: bool,
}

impl Needs {
    fn of(field: usize, outputs: &[Output]) -> Self {
        let mut needs = Needs::default();
        for output in outputs.iter().filter(|output| output.field == field) {
            match output.statistic {
                Statistic::Count => {}
                Statistic::Sum | Statistic::Avg => needs.sum = true,
                Statistic::Min => needs.min = true,
                Statistic::Max => needs.max = true,
                Statistic::Share => needs.nonzero = true,
                Statistic::First => needs.first = true,
                Statistic::Last => needs.last = true,
            }
            // First and last know by themselves whether they are there.
            needs.count |= !matches!(output.statistic, Statistic::First | Statistic::Last);
        }
        needs
    }
}

impl Layout {
    /// A layout for these inputs (in the order of a row's words) and outputs. The checked plan has made sure that each
    /// statistic can be taken of its field.
    pub fn new(source_name: &str, source: SourceKind, inputs: Vec<Kind>, outputs: Vec<Output>) -> Self {
        let columns = columns(source_name, &source, &inputs, &outputs);
        // Word 0 counts the events.
        let mut empty = vec![0];
        let mut absents = 0;
        let mut fields: Vec<Field> = Vec::with_capacity(inputs.len());
        let mut runs = Vec::new();
        let mut input = 0;
        let needs: Vec<Needs> = (0..inputs.len()).map(|field| Needs::of(field, &outputs)).collect();
        while fields.len() < inputs.len() {
            let first = fields.len();
            let same = |at: &usize| inputs[*at] == inputs[first] && needs[*at] == needs[first];
            let float = inputs[first] == Kind::Float && needs[first].count;
            let len = if float { (first..inputs.len()).take_while(same).count() } else { 1 };
            let run = place(&inputs[first], needs[first], len, &mut empty);
            for at in 0..len {
                let mut field = run.field(&inputs[first], (first + at) as u32, input + at, at);
                if needs[first].count {
                    field.absent = Some(absents);
                    absents += 1;
                }
                fields.push(field);
            }
            if float {
                let bit = first as u32;
                runs.push(FloatRun { len, bit, input, sum: run.sum, min: run.min, max: run.max });
            }
            input += len * inputs[first].words();
        }
        let often = empty.len();
        empty.resize(often + absents, 0);
        fields.iter_mut().filter_map(|field| field.absent.as_mut()).for_each(|at| *at += often);
        let counted = fields.iter().filter(|field| field.absent.is_some()).fold(0, |mask, field| mask | 1 << field.bit);
        let alone = |field: &&Field| match field.kind {
            Kind::Float => field.nonzero.is_some() || field.first.is_some() || field.last.is_some(),
            _ => field.only_sum().is_none(),
        };
        let others = fields.iter().filter(alone).cloned().collect();
        let sums = SumRun::of(&fields);
        Layout {
            source,
            fields,
            runs,
            sums,
            others,
            outputs,
            empty,
            often,
            counted,
            inputs,
            input_words: input,
            columns,
        }
    }

    /// Words of an event record after its header.
    pub fn input_words(&self) -> usize {
        self.input_words
    }

    /// Words of a partial's state.
    pub fn state_words(&self) -> usize {
        self.empty.len()
    }

    /// The input fields.
    pub fn inputs(&self) -> &[Kind] {
        &self.inputs
    }

    /// All columns of a row: window_start, the source, count, then the outputs.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The source of a partial record.
    pub fn source_of<'a>(&self, partial: &'a [u64]) -> &'a [u8] {
        record::source(partial, PARTIAL_HEADER_WORDS + self.state_words())
    }

    /// Events in a partial record.
    pub fn events_of(&self, partial: &[u64]) -> u64 {
        partial.get(PARTIAL_HEADER_WORDS).copied().unwrap_or(0)
    }

    /// The place of a float sum's `lo`.
    pub(super) fn pair_lo(&self, field: &Field, hi: usize) -> usize {
        let in_run = |run: &&FloatRun| run.bit <= field.bit && field.bit < run.bit + run.len as u32;
        hi + self.runs.iter().find(in_run).map_or(1, |run| run.len)
    }
}

/// Where the words of a run of fields begin.
struct Placed {
    nonzero: Option<usize>,
    sum: Option<usize>,
    min: Option<usize>,
    max: Option<usize>,
    first: Option<usize>,
    last: Option<usize>,
    /// Words of a value.
    words: usize,
}

impl Placed {
    fn field(&self, kind: &Kind, bit: u32, input: usize, at: usize) -> Field {
        let at = |start: Option<usize>, words: usize| start.map(|start| start + at * words);
        Field {
            kind: kind.clone(),
            bit,
            input,
            absent: None,
            nonzero: at(self.nonzero, 1),
            sum: at(self.sum, 1),
            min: at(self.min, self.words),
            max: at(self.max, self.words),
            first: at(self.first, 2 + self.words),
            last: at(self.last, 2 + self.words),
        }
    }
}

/// Appends the empty state of `len` equal fields, statistic by statistic.
fn place(kind: &Kind, needs: Needs, len: usize, empty: &mut Vec<u64>) -> Placed {
    let mut put = |needed: bool, one: &[u64]| {
        needed.then(|| {
            let start = empty.len();
            (0..len).for_each(|_| empty.extend_from_slice(one));
            start
        })
    };
    let (sum, min, max, none): (&[u64], Vec<u64>, Vec<u64>, &[u64]) = match kind {
        Kind::Float => (&[0, 0], vec![f64::INFINITY.to_bits()], vec![f64::NEG_INFINITY.to_bits()], &[0]),
        Kind::Integer => (&[0, 0], vec![i64::MAX.cast_unsigned()], vec![i64::MIN.cast_unsigned()], &[0]),
        Kind::Decimal { .. } => (&[0, 0, 0], split(i128::MAX).to_vec(), split(i128::MIN).to_vec(), &[0, 0]),
        Kind::Text => (&[], Vec::new(), Vec::new(), &[0]),
    };
    let picked = [&[0, NO_ORDER], none].concat();
    Placed {
        sum: put(needs.sum, sum),
        min: put(needs.min, &min),
        max: put(needs.max, &max),
        nonzero: put(needs.nonzero, &[0]),
        first: put(needs.first, &picked),
        last: put(needs.last, &picked),
        words: kind.words(),
    }
}

/// An `i128` as two words, low first.
pub(super) fn split(value: i128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

/// The `i128` of two words.
pub(super) fn join(words: &[u64]) -> i128 {
    (i128::from(words[1].cast_signed()) << 64) | i128::from(words[0])
}

fn columns(source_name: &str, source: &SourceKind, inputs: &[Kind], outputs: &[Output]) -> Vec<Column> {
    let column = |name: &str, kind, nullable| Column { name: name.to_owned(), kind, nullable };
    let source_type = match source {
        SourceKind::Integer(Render::Plain) => ColumnType::Int64,
        _ => ColumnType::String,
    };
    let mut columns = vec![
        column("window_start", ColumnType::DateTime, false),
        column(source_name, source_type, false),
        column("count", ColumnType::UInt64, false),
    ];
    for output in outputs {
        let kind = column_type(&inputs[output.field], output);
        columns.push(column(&output.name, kind, output.statistic != Statistic::Count));
    }
    columns
}

fn column_type(kind: &Kind, output: &Output) -> ColumnType {
    match (output.statistic, &output.render, kind) {
        (Statistic::Count, ..) => ColumnType::UInt64,
        (Statistic::Avg | Statistic::Share, ..) => ColumnType::Float64,
        (Statistic::First | Statistic::Last, Render::Boolean, _) => ColumnType::Bool,
        (Statistic::First | Statistic::Last, render, kind) if *render != Render::Plain || *kind == Kind::Text => {
            ColumnType::Label
        }
        (_, _, Kind::Float) => ColumnType::Float64,
        (_, _, Kind::Integer) => ColumnType::Int64,
        (_, _, Kind::Decimal { scale }) => ColumnType::Decimal { scale: *scale },
        (_, _, Kind::Text) => ColumnType::String,
    }
}
