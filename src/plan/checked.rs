//! From what was written to what can run.

use std::path::{Component, Path};
use std::sync::Arc;

use super::folder::{self, FILE};
use super::problem::Problems;
use super::resolve::{Resolved, resolve};
use super::written::Written;
use super::{Plan, Problem, fingerprint};
use crate::aggregate::Layout;
use crate::event::{ReadPlan, ReaderSchema, Selection};

#[cfg(test)]
mod tests;

/// Reads and checks a dataflow's folder; the problems are all there are: first those of the folder and of the keys of dataflow.toml
/// (in the order in which the documentation has them), then those of the schema, then those of the fields that are named in it.
pub fn load(dir: &Path) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::of(dir.display().to_string());
    let name = folder::name(dir, &mut problems);
    if !dir.is_dir() {
        return Err(problems.into_list());
    }
    let path = dir.join(FILE);
    let mut in_file = Problems::of(path.display().to_string());
    let Some(table) = folder::read(&path, &mut in_file).and_then(|text| folder::table(&text, &mut in_file)) else {
        return Err([problems.into_list(), in_file.into_list()].concat());
    };
    let written = Written::read(&table, &mut in_file);
    let schema_file = written.schema.as_ref().filter(|file| inside(file, &mut in_file));
    let mut in_schema = Problems::of(schema_file.map_or_else(String::new, |file| dir.join(file).display().to_string()));
    let schema = schema_file.and_then(|file| read_schema(&dir.join(file), &mut in_schema));
    let field_at = schema.as_ref().map(|schema| |path: &str| schema.field(path));
    let resolved = resolve(&written, field_at.as_ref().map(|field_at| field_at as _), &mut in_file);
    let found = [problems.into_list(), in_schema.into_list(), in_file.into_list()].concat();
    match (name, schema) {
        (Some(name), Some(schema)) if found.is_empty() => finish(dir, name, &written, resolved, schema),
        _ => Err(found),
    }
}

/// Whether a schema's file is named by a plain way down from the dataflow's folder: what a dataflow is lies in its folder.
fn inside(file: &str, problems: &mut Problems) -> bool {
    let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        problems.add("event.schema", format!("the text {file:?}"), "the name of a file in the dataflow's folder");
    }
    plain
}

fn read_schema(path: &Path, problems: &mut Problems) -> Option<ReaderSchema> {
    let json = folder::read(path, problems)?;
    match ReaderSchema::parse(&json) {
        Ok(schema) => Some(schema),
        Err(words) => {
            problems.add("", words, "an Avro schema in JSON whose top is a record");
            None
        }
    }
}

/// The plan of a dataflow without problems so far; the last test is whether its own schema can be compiled.
fn finish(
    dir: &Path,
    name: String,
    written: &Written,
    resolved: Resolved,
    schema: ReaderSchema,
) -> Result<Plan, Vec<Problem>> {
    compiles(&schema, &resolved.selection).map_err(|(key, words)| {
        let mut problems = Problems::of(dir.join(FILE).display().to_string());
        problems.add(key, words, "fields that can be read from events of the dataflow's own schema");
        problems.into_list()
    })?;
    let fingerprint = fingerprint::of(written, &resolved, schema.json());
    let layout = Layout::new(&resolved.source_name, resolved.source, resolved.inputs, resolved.outputs);
    Ok(Plan {
        name,
        schema: Arc::new(schema),
        selection: resolved.selection,
        layout: Arc::new(layout),
        out_of_order: written.window.out_of_order,
        max_ahead: written.window.max_ahead,
        idle_after: written.window.idle_after,
        key_groups: written.key_groups,
        lanes: written.lanes,
        rows_per_insert: written.rows_per_insert,
        fingerprint,
    })
}

/// Compiles the schema for itself; an error comes with the key that is to blame.
fn compiles(schema: &ReaderSchema, selection: &Selection) -> Result<(), (&'static str, String)> {
    let Err(error) = ReadPlan::compile(schema.json(), schema, selection) else { return Ok(()) };
    let without_time = Selection { time: None, ..selection.clone() };
    let time_is_to_blame = selection.time.is_some() && ReadPlan::compile(schema.json(), schema, &without_time).is_ok();
    Err((if time_is_to_blame { "event.time" } else { "event" }, error.0))
}
