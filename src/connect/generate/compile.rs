//! From an Avro schema to the steps of its writer.

use apache_avro::Schema;
use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, Name, NamesRef, RecordSchema, ResolvedSchema, UnionSchema, UuidSchema,
};
use xxhash_rust::xxh3::xxh3_64;

use super::batch::MALFORMED_EXTRA_MAX;
use super::encode::{Course, Encoder, Step, Unit, Words, varint};
use super::random::{Chance, Random};
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::limits::{
    CAPTURE_ENTRY_EVENTS, ENTRY_BYTES_MAX, GENERATED_BYTES_MAX, GENERATED_ITEMS_MAX, GENERATED_WORDS, PLAN_STEPS_MAX,
    SCHEMA_DEPTH_MAX,
};

/// Where in the schema something is; what the dataflow names by a dotted path is marked on the way down.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The nearest field's name.
    field: &'a str,
    /// What is left of the path to the source, where it leads through here.
    source: Option<&'a [&'a str]>,
    /// What is left of the path to the event time, where it leads through here.
    time: Option<&'a [&'a str]>,
    depth: usize,
}

impl<'a> Place<'a> {
    fn into_field(self, field: &'a str) -> Self {
        let follow = |path: Option<&'a [&'a str]>| match path {
            Some([first, rest @ ..]) if *first == field => Some(rest),
            _ => None,
        };
        Place { field, source: follow(self.source), time: follow(self.time), depth: self.depth + 1 }
    }

    fn inside(self) -> Self {
        Place { source: None, time: None, depth: self.depth + 1, ..self }
    }

    fn is_source(self) -> bool {
        self.source.is_some_and(<[&str]>::is_empty)
    }

    fn is_time(self) -> bool {
        self.time.is_some_and(<[&str]>::is_empty)
    }

    fn is_needed(self) -> bool {
        self.source.is_some() || self.time.is_some()
    }
}

struct Compiler<'a> {
    names: &'a NamesRef<'a>,
    /// Records around the place that is compiled: meeting one of them again is recursion.
    open: Vec<&'a Name>,
    seed: u64,
    steps: usize,
    source_found: bool,
    time_found: bool,
}

impl Encoder {
    /// Compiles a writer for `schema`, whose source and event time (`None` where the publish time is) are at these dotted paths.
    ///
    /// Recursive types are written as shallow as their unions, arrays and maps allow. An error of fault `Configuration` says what
    /// of the schema cannot be generated.
    pub fn compile(schema: &Schema, source: &str, time: Option<&str>, spec: &Spec) -> Result<Encoder> {
        let resolved = ResolvedSchema::try_from(schema)
            .map_err(|error| Error::configuration(format!("resolving the names of the schema: {error}")))?;
        let source_path: Vec<&str> = source.split('.').collect();
        let time_path: Option<Vec<&str>> = time.map(|path| path.split('.').collect());
        let mut compiler = Compiler {
            names: resolved.get_names(),
            open: Vec::new(),
            seed: spec.seed,
            steps: 0,
            source_found: false,
            time_found: false,
        };
        let place = Place { field: "event", source: Some(&source_path), time: time_path.as_deref(), depth: 0 };
        let top = compiler.step(schema, place)?;
        let top = top
            .ok_or_else(|| Error::configuration("the schema describes a value without end: it always holds itself"))?;
        compiler.check_found(source, time)?;
        // Four bytes for its length in a capture file.
        let most = most_bytes(&top).saturating_add(MALFORMED_EXTRA_MAX + 4);
        if most.saturating_mul(CAPTURE_ENTRY_EVENTS as u64) > ENTRY_BYTES_MAX as u64 {
            return Err(Error::configuration(format!(
                "an event of this schema may take {most} bytes; {CAPTURE_ENTRY_EVENTS} of them must fit an entry of \
                 {ENTRY_BYTES_MAX} bytes; fixed fields and nested arrays of the schema must be smaller"
            )));
        }
        Ok(Encoder { top, nulls: Chance::share(spec.nulls), non_finite: Chance::share(spec.non_finite) })
    }
}

impl<'a> Compiler<'a> {
    fn check_found(&self, source: &str, time: Option<&str>) -> Result<()> {
        if !self.source_found {
            return Err(Error::configuration(format!(
                "the source {source:?} is no string, enum, int or long in a record of the schema"
            )));
        }
        match time {
            Some(path) if !self.time_found => Err(Error::configuration(format!(
                "the event time {path:?} is no timestamp, date or long in a record of the schema"
            ))),
            _ => Ok(()),
        }
    }

    /// The steps of a schema; `None` where every value of it would hold another value of a record that is open.
    fn step(&mut self, schema: &'a Schema, place: Place<'_>) -> Result<Option<Step>> {
        self.steps += 1;
        if place.depth > SCHEMA_DEPTH_MAX || self.steps > PLAN_STEPS_MAX {
            return Err(Error::configuration(format!(
                "the schema is too deep or too large at field {:?}: allowed are {SCHEMA_DEPTH_MAX} levels and \
                 {PLAN_STEPS_MAX} steps",
                place.field
            )));
        }
        if place.is_source()
            && let Some(step) = source_step(schema)
        {
            self.source_found = true;
            return Ok(Some(step));
        }
        if place.is_time()
            && let Some(unit) = time_unit(schema).or((*schema == Schema::Long).then_some(Unit::Millis))
        {
            self.time_found = true;
            return Ok(Some(Step::Time(unit)));
        }
        match schema {
            Schema::Ref { name } => match self.names.get(name) {
                Some(named) => self.step(named, place),
                None => {
                    Err(Error::configuration(format!("the schema names the type {name}, which it does not define")))
                }
            },
            Schema::Record(record) => self.record(record, place),
            Schema::Union(union) => self.union(union, place),
            Schema::Array(array) => self.items(&array.items, place, Step::Array),
            Schema::Map(map) => self.items(&map.types, place, Step::Map),
            leaf => self.leaf(leaf, place).map(Some),
        }
    }

    fn record(&mut self, record: &'a RecordSchema, place: Place<'_>) -> Result<Option<Step>> {
        if self.open.contains(&&record.name) {
            return Ok(None);
        }
        self.open.push(&record.name);
        let mut steps = Some(Vec::with_capacity(record.fields.len()));
        for field in &record.fields {
            let step = self.step(&field.schema, place.into_field(&field.name))?;
            steps = steps.zip(step).map(|(mut steps, step)| {
                steps.push(step);
                steps
            });
        }
        self.open.pop();
        Ok(steps.map(Step::Record))
    }

    fn union(&mut self, union: &'a UnionSchema, place: Place<'_>) -> Result<Option<Step>> {
        let mut null = None;
        let mut branches = Vec::new();
        let found = (self.source_found, self.time_found);
        for (index, variant) in (0..).zip(union.variants()) {
            if *variant == Schema::Null {
                null = Some(index);
                continue;
            }
            let Some(step) = self.step(variant, Place { depth: place.depth + 1, ..place })? else { continue };
            if place.is_needed() && (self.source_found, self.time_found) != found {
                // The source and the time must be there: neither null nor another branch is ever taken.
                let count = union.variants().len() as i64;
                return Ok(Some(Step::Union { null: None, branches: vec![(index, step)], count }));
            }
            branches.push((index, step));
        }
        if null.is_none() && branches.is_empty() {
            return Ok(None);
        }
        Ok(Some(Step::Union { null, branches, count: union.variants().len() as i64 }))
    }

    fn items(&mut self, items: &'a Schema, place: Place<'_>, wrap: fn(Box<Step>) -> Step) -> Result<Option<Step>> {
        let step = self.step(items, place.inside())?;
        Ok(Some(step.map_or(Step::NoItems, |step| wrap(Box::new(step)))))
    }

    fn leaf(&self, schema: &Schema, place: Place<'_>) -> Result<Step> {
        let salt = xxh3_64(place.field.as_bytes()) ^ self.seed;
        if let Some(unit) = time_unit(schema) {
            return Ok(Step::Nearby(unit));
        }
        Ok(match schema {
            Schema::Boolean => Step::Boolean,
            Schema::Int | Schema::Long => Step::Integer([2, 10, 100, 1_000][(salt % 4) as usize]),
            Schema::Float => Step::Float(course(salt)),
            Schema::Double => Step::Double(course(salt)),
            Schema::Bytes => Step::Bytes,
            Schema::String => Step::Text(words(place.field), salt),
            Schema::Enum(found) if found.symbols.is_empty() => {
                return Err(Error::configuration(format!("the enum {} has no symbols", found.name)));
            }
            Schema::Enum(found) => Step::Symbol(found.symbols.len() as u64, salt),
            Schema::Fixed(fixed) => Step::Fixed(fixed.size),
            Schema::Decimal(decimal) => decimal_step(decimal),
            Schema::BigDecimal => Step::BigDecimal,
            Schema::Uuid(UuidSchema::String) => Step::UuidText,
            Schema::Uuid(UuidSchema::Bytes) => Step::UuidBytes,
            Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Duration(fixed) => Step::Fixed(fixed.size),
            Schema::TimeMillis => Step::OfDay(86_400_000),
            Schema::TimeMicros => Step::OfDay(86_400_000_000),
            _ => Step::Nothing,
        })
    }
}

fn source_step(schema: &Schema) -> Option<Step> {
    match schema {
        Schema::String => Some(Step::SourceText),
        Schema::Int | Schema::Long => Some(Step::SourceInteger),
        Schema::Enum(found) if !found.symbols.is_empty() => Some(Step::SourceSymbol(found.symbols.len() as u64)),
        _ => None,
    }
}

fn time_unit(schema: &Schema) -> Option<Unit> {
    match schema {
        Schema::Date => Some(Unit::Days),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => Some(Unit::Millis),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => Some(Unit::Micros),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Some(Unit::Nanos),
        _ => None,
    }
}

/// At most six digits, as few as the precision says; for a fixed, as few as surely fit.
fn decimal_step(decimal: &DecimalSchema) -> Step {
    let size = match &decimal.inner {
        InnerDecimalSchema::Bytes => None,
        InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
    };
    let digits = decimal.precision.min(size.map_or(6, |size| size * 2)).min(6);
    Step::Decimal(10u64.pow(digits as u32), size)
}

/// A course that belongs to the salt: levels from -20 to 100, a wave of up to 20, sources up to 10 apart, noise up to 5.
fn course(salt: u64) -> Course {
    let mut random = Random::of([salt, 0, 0]);
    Course {
        level: random.below(12_000) as i64 - 2_000,
        wave: random.below(2_000) as i64,
        offsets: 1 + random.below(1_000),
        noise: 1 + random.below(500),
        salt,
    }
}

fn words(field: &str) -> Words {
    let mut words = Words { bytes: Vec::new(), ends: vec![0] };
    for number in 0..GENERATED_WORDS {
        let word = format!("{field}-{number}");
        varint(word.len() as i64, &mut words.bytes);
        words.bytes.extend_from_slice(word.as_bytes());
        words.ends.push(words.bytes.len() as u32);
    }
    words
}

/// A bound on the bytes that a step writes.
fn most_bytes(step: &Step) -> u64 {
    match step {
        Step::Record(steps) => steps.iter().map(most_bytes).fold(0, u64::saturating_add),
        Step::Text(words, _) => words.ends.windows(2).map(|pair| u64::from(pair[1] - pair[0])).max().unwrap_or(0),
        Step::Array(item) | Step::Map(item) => {
            // Count, size and end, and three bytes per key.
            most_bytes(item).saturating_add(3).saturating_mul(GENERATED_ITEMS_MAX).saturating_add(12)
        }
        Step::Union { branches, .. } => {
            branches.iter().map(|(_, step)| most_bytes(step)).max().unwrap_or(0).saturating_add(10)
        }
        Step::Fixed(len) | Step::Decimal(_, Some(len)) => *len as u64,
        Step::Bytes => GENERATED_BYTES_MAX + 1,
        Step::UuidText => 37,
        Step::UuidBytes => 17,
        _ => 16,
    }
}
