//! Compiles a writer's schema for what is selected of the reader's.
//!
//! The walk follows the writer's schema, for that is the order of the bytes. Beside it goes the reader's schema, as far down as something
//! in it is wanted; where nothing is, the rest of a value is skipped ([`super::skip`]).

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use serde_json::Value as Json;

use super::names::{Names, describe, listed, name_of};
use super::program::{Builder, Program, small};
use super::read_plan::CompileError;
use super::resolve::{Read, Target, mismatch, read};
use super::steps::Step;
use super::{Reason, defaults};
use crate::limits::{SCHEMA_DEPTH_MAX, SCHEMA_TYPES_MAX};

/// Something that is wanted of each event.
#[derive(Debug)]
pub(super) struct Want<'s> {
    path: &'s str,
    parts: Vec<&'s str>,
    target: Target,
    wide: bool,
}

impl<'s> Want<'s> {
    /// The field at `path` for `target`; `wide` where it takes two words of a row.
    pub(super) fn new(path: &'s str, target: Target, wide: bool) -> Self {
        Self { path, parts: path.split('.').collect(), target, wide }
    }

    fn error(&self, words: &str) -> CompileError {
        CompileError(format!("field \"{}\": {words}", self.path))
    }
}

type Wants<'w, 's> = [&'w Want<'s>];

/// The state of one compilation.
pub(super) struct Compiler<'s> {
    pub(super) writer: Names<'s>,
    reader: Names<'s>,
    pub(super) out: Builder,
    /// Full names of the records being skipped, outermost first.
    pub(super) around: Vec<String>,
    /// Records that lie inside themselves and are skipped by a routine.
    pub(super) routines: Vec<&'s RecordSchema>,
    visited: usize,
}

/// Compiles the steps that read `wants` from values of `writer`; both schemas are records at their top.
pub(super) fn compile<'s>(writer: &'s Schema, reader: &'s Schema, wants: &[Want<'s>]) -> Result<Program, CompileError> {
    let (Schema::Record(theirs), Schema::Record(ours)) = (writer, reader) else {
        return Err(CompileError(mismatch(writer, reader, "a record")));
    };
    let mut compiler = Compiler {
        writer: Names::of(writer),
        reader: Names::of(reader),
        out: Builder::default(),
        around: Vec::new(),
        routines: Vec::new(),
        visited: 0,
    };
    let wants: Vec<&Want<'s>> = wants.iter().collect();
    compiler.record(theirs, ours, &wants, 0)?;
    let main_end = compiler.out.fence();
    compiler.emit_routines()?;
    Ok(compiler.out.finish(main_end))
}

impl<'s> Compiler<'s> {
    /// Counts a type that is looked at, `depth` types down.
    pub(super) fn visit(&mut self, depth: usize) -> Result<(), CompileError> {
        self.visited += 1;
        if depth > SCHEMA_DEPTH_MAX {
            return Err(CompileError(format!(
                "the writer's schema nests deeper than {SCHEMA_DEPTH_MAX} records, arrays, maps and unions, which is not allowed"
            )));
        }
        if self.visited > SCHEMA_TYPES_MAX {
            return Err(CompileError(format!(
                "the writer's schema has more than {SCHEMA_TYPES_MAX} types, counting a named type wherever it is used; fewer are allowed"
            )));
        }
        Ok(())
    }

    fn record(
        &mut self,
        writer: &'s RecordSchema,
        reader: &'s RecordSchema,
        wants: &Wants<'_, 's>,
        depth: usize,
    ) -> Result<(), CompileError> {
        self.visit(depth)?;
        let mut sought: Vec<Option<&'s RecordField>> = vec![None; writer.fields.len()];
        for ours in &reader.fields {
            let wants = within(wants, &ours.name, depth);
            let Some(first) = wants.first() else { continue };
            let Some(position) = position_of(ours, writer) else {
                self.absent(writer, ours, &wants, depth)?;
                continue;
            };
            if let Some(Some(other)) = sought.get(position) {
                return Err(first.error(&format!(
                    "the reader's fields {} and {} are both the writer's by an alias; select one of them",
                    other.name, ours.name
                )));
            }
            if let Some(slot) = sought.get_mut(position) {
                *slot = Some(ours);
            }
        }
        for (theirs, ours) in writer.fields.iter().zip(sought) {
            match ours {
                Some(ours) => self.value(&theirs.schema, &ours.schema, &within(wants, &ours.name, depth), depth + 1)?,
                None => self.skip(&theirs.schema, depth + 1)?,
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        writer: &'s Schema,
        reader: &'s Schema,
        wants: &Wants<'_, 's>,
        depth: usize,
    ) -> Result<(), CompileError> {
        self.visit(depth)?;
        let writer = self.writer.follow(writer);
        let Schema::Union(union) = writer else {
            return self.plain(writer, reader, wants, depth);
        };
        let branches = union.variants();
        let fits: Vec<Result<(), String>> =
            branches.iter().map(|branch| self.fits(branch, branches, reader, wants)).collect();
        let is_null = |branch: &Schema| matches!(branch, Schema::Null);
        let any_fits = fits.iter().zip(branches).any(|(fit, branch)| fit.is_ok() && !is_null(branch));
        let all_null = branches.iter().all(is_null);
        if !any_fits
            && !all_null
            && let Some(want) = wants.first()
        {
            let found = describe(writer);
            let first = fits.iter().zip(branches).find(|(_, branch)| !is_null(branch));
            let why = first.and_then(|(fit, _)| fit.as_ref().err().cloned()).unwrap_or_default();
            return Err(want.error(&format!("the writer's schema has {found}, of which nothing can be read: {why}")));
        }
        if let Some(step) = self.nullable_double(branches, reader, wants) {
            return wants.iter().try_for_each(|want| self.out.emit(step, want.path).map(|_| ()));
        }
        // Steps for several targets of a value read it once for each.
        let (once, each): (Vec<&Wants<'_, 's>>, _) = match self.reader.bare(reader) {
            (Schema::Record(_), _) => (vec![wants], false),
            _ => (wants.chunks(1).collect(), wants.len() > 1),
        };
        for (index, wants) in once.into_iter().enumerate() {
            self.again(each, index)?;
            self.union(branches, |compiler, index, branch| match fits.get(index) {
                Some(Ok(())) => compiler.plain(compiler.writer.follow(branch), reader, wants, depth),
                _ => compiler.refuse(is_null(branch), wants),
            })?;
        }
        Ok(())
    }

    /// The steps of a union: `branch` writes those of one branch.
    pub(super) fn union(
        &mut self,
        branches: &'s [Schema],
        mut branch: impl FnMut(&mut Self, usize, &'s Schema) -> Result<(), CompileError>,
    ) -> Result<(), CompileError> {
        let count = u16::try_from(branches.len())
            .map_err(|_| CompileError(format!("a union of the writer's schema has {} branches", branches.len())))?;
        let first = self.out.reserve_targets(branches.len());
        let names = format!(": {}", listed(branches.iter().map(name_of)));
        self.out.emit(Step::Union { first: small(first), branches: count }, &names)?;
        let mut jumps = Vec::new();
        for (index, schema) in branches.iter().enumerate() {
            let start = self.out.fence();
            self.out.set_target(first + index, start);
            self.out.open(Some(name_of(schema)));
            branch(self, index, schema)?;
            self.out.close();
            if index + 1 < branches.len() {
                self.out.fence();
                jumps.push(self.out.emit(Step::Jump { to: 0 }, "")?);
            }
        }
        let end = self.out.fence();
        for jump in jumps {
            self.out.patch(jump, Step::Jump { to: small(end) });
        }
        Ok(())
    }

    /// Reads a value that is no union.
    fn plain(
        &mut self,
        writer: &'s Schema,
        reader: &'s Schema,
        wants: &Wants<'_, 's>,
        depth: usize,
    ) -> Result<(), CompileError> {
        let (bare, nullable) = self.reader.bare(reader);
        match (writer, bare) {
            (Schema::Null, _) if nullable => self.nulls(wants),
            (Schema::Record(theirs), Schema::Record(ours)) => self.record(theirs, ours, wants, depth),
            _ => {
                for (index, want) in wants.iter().enumerate() {
                    self.again(wants.len() > 1, index)?;
                    let read = self.read_for(writer, bare, want).map_err(|words| want.error(&words))?;
                    let step = match (read, want.target) {
                        (Read::Step(step), _) => step,
                        (Read::Symbols(map), Target::Field(slot)) => Step::Enum { slot, map: self.out.map(map) },
                        (Read::Symbols(map), _) => Step::SourceEnum { map: self.out.map(map) },
                    };
                    self.out.emit(step, want.path)?;
                }
                Ok(())
            }
        }
    }

    /// Marks a value that is read several times, and goes back to it before every reading but the first.
    fn again(&mut self, several: bool, index: usize) -> Result<(), CompileError> {
        if several {
            self.out.emit(if index == 0 { Step::Mark } else { Step::Rewind }, "")?;
        }
        Ok(())
    }

    /// Whether one branch of the writer's union can be read. Of several records, the one with the reader's name or alias is.
    fn fits(
        &self,
        branch: &'s Schema,
        branches: &'s [Schema],
        reader: &'s Schema,
        wants: &Wants<'_, 's>,
    ) -> Result<(), String> {
        let (bare, nullable) = self.reader.bare(reader);
        match (self.writer.follow(branch), bare) {
            (Schema::Null, _) if nullable => Ok(()),
            (Schema::Record(theirs), Schema::Record(ours)) => {
                let records = branches.iter().filter(|other| matches!(self.writer.follow(other), Schema::Record(_)));
                let alias = ours.aliases.iter().flatten().any(|alias| alias.name() == theirs.name.name());
                if records.count() == 1 || theirs.name.name() == ours.name.name() || alias {
                    return Ok(());
                }
                Err(format!("no record of the writer's union is named {}", ours.name.name()))
            }
            (theirs, _) => wants.iter().try_for_each(|want| self.read_for(theirs, bare, want).map(|_| ())),
        }
    }

    fn read_for(&self, writer: &Schema, bare: &Schema, want: &Want<'s>) -> Result<Read, String> {
        match bare {
            Schema::Record(_) => Err(mismatch(writer, bare, "a record")),
            _ => read(writer, bare, want.target),
        }
    }

    /// The step for a union of null and double that is read once, as a double or null.
    fn nullable_double(&self, branches: &[Schema], reader: &'s Schema, wants: &Wants<'_, 's>) -> Option<Step> {
        let tag = match branches {
            [Schema::Null, Schema::Double] => 2,
            [Schema::Double, Schema::Null] => 0,
            _ => return None,
        };
        match (self.reader.bare(reader), wants) {
            ((Schema::Double, true), [Want { target: Target::Field(slot), .. }]) => {
                Some(Step::NullableDoubles { slot: *slot, count: 1, tag })
            }
            _ => None,
        }
    }

    /// A branch that the reader cannot take, where it was written.
    fn refuse(&mut self, null: bool, wants: &Wants<'_, 's>) -> Result<(), CompileError> {
        let reason = if null { missing(wants).unwrap_or(Reason::BadUnionBranch) } else { Reason::BadUnionBranch };
        self.out.emit(Step::Fail { reason }, "").map(|_| ())
    }

    /// All that is wanted is null.
    fn nulls(&mut self, wants: &Wants<'_, 's>) -> Result<(), CompileError> {
        if let Some(reason) = missing(wants) {
            return self.out.emit(Step::Fail { reason }, "").map(|_| ());
        }
        for want in wants {
            if let Target::Field(slot) = want.target {
                self.out.emit(Step::Null { slot, wide: want.wide }, want.path)?;
            }
        }
        Ok(())
    }

    /// The writer's record lacks a field of the reader's: its default stands in.
    fn absent(
        &mut self,
        writer: &RecordSchema,
        ours: &'s RecordField,
        wants: &Wants<'_, 's>,
        depth: usize,
    ) -> Result<(), CompileError> {
        let Some(default) = &ours.default else {
            let Some(want) = wants.first() else { return Ok(()) };
            let known = listed(writer.fields.iter().map(|field| field.name.clone()));
            let (name, record) = (&ours.name, writer.name.name());
            return Err(want.error(&format!(
                "the writer's record {record} has no field \"{name}\" and the reader's has no default for it; the writer's has {known}"
            )));
        };
        self.default(default, &ours.schema, wants, depth + 1)
    }

    fn default(
        &mut self,
        json: &'s Json,
        reader: &'s Schema,
        wants: &Wants<'_, 's>,
        depth: usize,
    ) -> Result<(), CompileError> {
        self.visit(depth)?;
        let (bare, nullable) = self.reader.bare(reader);
        if nullable && json.is_null() {
            return self.nulls(wants);
        }
        let Schema::Record(record) = bare else {
            return wants.iter().try_for_each(|want| {
                let step = defaults::constant(json, bare, want.target, &mut self.out);
                let step = step.map_err(|words| want.error(&format!("the writer's schema lacks it and {words}")))?;
                self.out.emit(step, want.path).map(|_| ())
            });
        };
        for field in &record.fields {
            let wants = within(wants, &field.name, depth);
            let Some(want) = wants.first() else { continue };
            match json.get(&field.name).or(field.default.as_ref()) {
                Some(json) => self.default(json, &field.schema, &wants, depth + 1)?,
                None => {
                    return Err(want.error(&format!(
                        "the writer's schema lacks the record around it, whose default {json} has no \"{}\"",
                        field.name
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Why an event without these is malformed, if it is.
fn missing(wants: &Wants<'_, '_>) -> Option<Reason> {
    wants.iter().find_map(|want| match want.target {
        Target::Source => Some(Reason::SourceMissing),
        Target::Time => Some(Reason::TimeMissing),
        Target::Field(_) => None,
    })
}

/// What of `wants` lies in the field `name` of a record that is `depth` records down.
fn within<'w, 's>(wants: &Wants<'w, 's>, name: &str, depth: usize) -> Vec<&'w Want<'s>> {
    wants.iter().copied().filter(|want| want.parts.get(depth).is_some_and(|part| *part == name)).collect()
}

/// Where the writer has a field of the reader's: by its name, else by its first alias that is there.
fn position_of(ours: &RecordField, writer: &RecordSchema) -> Option<usize> {
    let mut names = std::iter::once(&ours.name).chain(&ours.aliases);
    names.find_map(|name| writer.fields.iter().position(|theirs| theirs.name == *name))
}
