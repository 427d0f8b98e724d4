//! The steps over what nobody wants: they check its structure, down to the last byte, but not whether texts are UTF-8.

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;

use super::compile::Compiler;
use super::names::{describe, name_of};
use super::program::small;
use super::read_plan::CompileError;
use super::resolve::{Wire, wire};
use super::steps::Step;

impl<'s> Compiler<'s> {
    /// The steps over a value.
    pub(super) fn skip(&mut self, schema: &'s Schema, depth: usize) -> Result<(), CompileError> {
        self.visit(depth)?;
        let schema = self.writer.follow(schema);
        let step = match wire(schema) {
            Wire::Null | Wire::Fixed(0) => return Ok(()),
            Wire::Boolean => Step::SkipBooleans { count: 1 },
            Wire::Int => Step::SkipInts { count: 1 },
            Wire::Long => Step::SkipLongs { count: 1 },
            Wire::Float => Step::SkipBytes { count: 4 },
            Wire::Double => Step::SkipBytes { count: 8 },
            Wire::Fixed(size) => Step::SkipBytes { count: small(size) },
            Wire::Bytes => return self.out.emit(Step::SkipTexts { count: 1 }, "bytes value").map(|_| ()),
            Wire::String => return self.out.emit(Step::SkipTexts { count: 1 }, "string").map(|_| ()),
            Wire::Complex => return self.skip_complex(schema, depth),
        };
        self.out.emit(step, "").map(|_| ())
    }

    fn skip_complex(&mut self, schema: &'s Schema, depth: usize) -> Result<(), CompileError> {
        match schema {
            Schema::Enum(symbols) => {
                let step = Step::SkipEnum { symbols: small(symbols.symbols.len()) };
                self.out.emit(step, "").map(|_| ())
            }
            Schema::Record(record) => self.skip_record(record, depth),
            Schema::Union(union) => {
                self.union(union.variants(), |compiler, _, branch| compiler.skip(branch, depth + 1))
            }
            Schema::Array(array) => self.skip_items(schema, &array.items, depth),
            Schema::Map(map) => self.skip_items(schema, &map.types, depth),
            other => Err(CompileError(format!("the writer's schema names {} but does not define it", describe(other)))),
        }
    }

    fn skip_record(&mut self, record: &'s RecordSchema, depth: usize) -> Result<(), CompileError> {
        let name = record.name.fullname(None);
        if self.around.contains(&name) {
            let known = self.routines.iter().position(|routine| routine.name.fullname(None) == name);
            let routine = known.unwrap_or(self.routines.len());
            if known.is_none() {
                self.routines.push(record);
            }
            let words = format!("record {name} by its own steps");
            return self.out.emit(Step::Call { routine: small(routine) }, &words).map(|_| ());
        }
        self.around.push(name);
        for field in &record.fields {
            self.skip(&field.schema, depth + 1)?;
        }
        self.around.pop();
        Ok(())
    }

    fn skip_items(&mut self, schema: &'s Schema, items: &'s Schema, depth: usize) -> Result<(), CompileError> {
        let words = format!("the items of {}, each {}", describe(schema), name_of(items));
        let blocks = self.out.emit(Step::Blocks { end: 0 }, &words)?;
        self.out.fence();
        self.out.open(None);
        if matches!(schema, Schema::Map(_)) {
            self.out.emit(Step::SkipTexts { count: 1 }, "string")?;
        }
        self.skip(items, depth + 1)?;
        self.out.close();
        let end = self.out.fence();
        self.out.patch(blocks, Step::Blocks { end: small(end) });
        Ok(())
    }

    /// The routines, behind the main steps. Writing one may ask for another.
    pub(super) fn emit_routines(&mut self) -> Result<(), CompileError> {
        let mut next = 0;
        while let Some(record) = self.routines.get(next).copied() {
            let start = self.out.fence();
            self.out.open(Some(format!("steps of record {}", record.name.fullname(None))));
            self.around.clear();
            self.skip_record(record, 0)?;
            self.out.close();
            self.out.fence();
            self.out.routine(start);
            next += 1;
        }
        Ok(())
    }
}
