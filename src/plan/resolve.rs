//! Names of fields to what they hold, statistics to columns: what was written meets the schema.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::section::listed;
use super::statistics::{self, allowed, noun};
use super::written::{Label, Measure, Source, Written};
use crate::aggregate::{Kind, Output, Render, SourceKind, Statistic};
use crate::event::{Field, FieldError, FieldKind, Selection};
use crate::limits::{COLUMN_NAME_MAX, COLUMNS_MAX, DECIMAL_SCALE_MAX, FIELDS_MAX};

#[cfg(test)]
mod tests;

/// Fields named in a message; the rest are counted.
const FIELDS_NAMED: usize = 40;

/// Where fields are looked up: the schema, or a stand-in in tests.
pub(super) type FieldAt<'a> = &'a dyn Fn(&str) -> Result<Field, FieldError>;

/// What a layout and a read plan are made of. Only to be used where no problem was found.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) selection: Selection,
    pub(super) source_name: String,
    pub(super) source: SourceKind,
    /// What each selected field holds.
    pub(super) inputs: Vec<Kind>,
    pub(super) outputs: Vec<Output>,
}

/// Resolves what was written; without a schema (it could not be read) all is checked that needs none.
pub(super) fn resolve(written: &Written, field_at: Option<FieldAt<'_>>, problems: &mut Problems) -> Resolved {
    let mut resolver = Resolver { field_at, problems, inputs: Vec::new(), paths: Vec::new(), names: BTreeMap::new() };
    resolver.names.insert("window_start".to_owned(), "the start of the window".to_owned());
    resolver.names.insert("count".to_owned(), "the count of events".to_owned());
    let source = written.source.as_ref();
    let source_name = source.map_or_else(String::new, |source| resolver.source_name(source));
    let source_kind = source.and_then(|source| resolver.source(source)).unwrap_or(SourceKind::Text);
    if let Some(path) = &written.time {
        resolver.time(path);
    }
    let mut outputs = Vec::new();
    for measure in &written.measures {
        resolver.measure(measure, &mut outputs);
    }
    for label in &written.labels {
        resolver.label(label, &mut outputs);
    }
    resolver.bounds(outputs.len());
    let selection = Selection {
        source: source.map_or_else(String::new, |source| source.field.clone()),
        time: written.time.clone(),
        fields: resolver.paths,
    };
    Resolved { selection, source_name, source: source_kind, inputs: resolver.inputs, outputs }
}

struct Resolver<'a> {
    field_at: Option<FieldAt<'a>>,
    problems: &'a mut Problems,
    inputs: Vec<Kind>,
    paths: Vec<String>,
    /// Columns' names, each with who has it.
    names: BTreeMap<String, String>,
}

impl Resolver<'_> {
    /// The kind of the field at a path, or a problem under `key`.
    fn kind(&mut self, key: &str, path: &str) -> Option<FieldKind> {
        match (self.field_at?)(path) {
            Ok(Field { kind: FieldKind::Decimal { scale }, .. }) if scale > DECIMAL_SCALE_MAX => {
                let allowed = format!("a decimal with at most {DECIMAL_SCALE_MAX} digits after the point");
                self.problems.add(key, format!("{path:?}, a decimal with {scale} digits after the point"), allowed);
                None
            }
            Ok(field) => Some(field.kind),
            Err(FieldError::Unknown { nearest, known }) => {
                let found = format!("{path:?}, which is no field of the schema");
                self.problems.add_near(key, found, fields(&known), nearest);
                None
            }
            Err(FieldError::Unusable { found }) => {
                let allowed = "a field that holds a number, a decimal, a time, a boolean, a text or an enum";
                self.problems.add(key, format!("{path:?}, which is {found}"), allowed);
                None
            }
        }
    }

    /// The index of a selected field; one that is used several times is selected once.
    fn select(&mut self, path: &str, kind: &FieldKind) -> usize {
        let known = self.paths.iter().position(|known| known == path);
        known.unwrap_or_else(|| {
            self.paths.push(path.to_owned());
            self.inputs.push(input(kind));
            self.paths.len() - 1
        })
    }

    fn source_name(&mut self, source: &Source) -> String {
        let name = source.name.clone().unwrap_or_else(|| last_part(&source.field).to_owned());
        self.column(&source.key, "name", source.name.is_some(), &name);
        name
    }

    fn source(&mut self, source: &Source) -> Option<SourceKind> {
        let kind = self.kind(&source.key, &source.field)?;
        match kind {
            FieldKind::Integer => {
                let render = source.format.clone().map_or(Render::Plain, Render::Format);
                return Some(SourceKind::Integer(render));
            }
            FieldKind::Text | FieldKind::Enum { .. } => {}
            other => {
                let found = format!("{:?}, which holds {}", source.field, noun(&other));
                self.problems.add(&source.key, found, "a text, an enum or an integer as the source");
                return None;
            }
        }
        if source.format.is_some() {
            let found = format!("a format for {:?}, which holds {}", source.field, noun(&kind));
            self.problems.add(sibling(&source.key, "format"), found, "a format for a source that is an integer");
        }
        Some(SourceKind::Text)
    }

    fn time(&mut self, path: &str) {
        let key = "event.time";
        match self.kind(key, path) {
            // Whether an integer is a long is the read plan's to say.
            None | Some(FieldKind::Time | FieldKind::Integer) => {}
            Some(other) => {
                let found = format!("{path:?}, which holds {}", noun(&other));
                self.problems.add(
                    key,
                    found,
                    "a timestamp, a date or a long of milliseconds; left out: the publish time",
                );
            }
        }
    }

    fn measure(&mut self, measure: &Measure, outputs: &mut Vec<Output>) {
        let Some(path) = &measure.field else { return };
        let kind = self.kind(&format!("{}.field", measure.key), path);
        let stem = measure.name.as_deref().unwrap_or_else(|| last_part(path));
        for (key, statistic) in &measure.statistics {
            let word = statistics::word(*statistic);
            let given = measure.names.get(word);
            let name = given.cloned().unwrap_or_else(|| format!("{stem}_{word}"));
            let key_of_name = if given.is_some() { format!("{}.names.{word}", measure.key) } else { key.clone() };
            self.named(&key_of_name, &name);
            let Some(kind) = &kind else { continue };
            if !allowed(kind).contains(statistic) {
                let words: Vec<&str> = allowed(kind).iter().map(|fits| statistics::word(*fits)).collect();
                let found = format!("{word:?} of {path:?}, which holds {}", noun(kind));
                self.problems.add(key, found, format!("{} of {}", listed(&words), noun(kind)));
                continue;
            }
            let field = self.select(path, kind);
            let picks = matches!(statistic, Statistic::First | Statistic::Last);
            let render = if picks { render(kind, None, None) } else { Render::Plain };
            outputs.push(Output { name, field, statistic: *statistic, render });
        }
    }

    fn label(&mut self, label: &Label, outputs: &mut Vec<Output>) {
        let Some(path) = &label.field else { return };
        let key = format!("{}.field", label.key);
        let name = label.name.clone().unwrap_or_else(|| last_part(path).to_owned());
        self.column(&key, "name", label.name.is_some(), &name);
        let Some(kind) = self.kind(&key, path) else { return };
        if label.map.is_some() && kind != FieldKind::Integer {
            let found = format!("a map for {path:?}, which holds {}", noun(&kind));
            self.problems.add(sibling(&key, "map"), found, "a map for a label that is an integer");
            return;
        }
        if label.format.is_some() && matches!(kind, FieldKind::Float | FieldKind::Decimal { .. }) {
            let found = format!("a format for {path:?}, which holds {}", noun(&kind));
            self.problems.add(sibling(&key, "format"), found, "a format for a label that is not a float or a decimal");
            return;
        }
        let field = self.select(path, &kind);
        let render = render(&kind, label.map.clone(), label.format.clone());
        outputs.push(Output { name, field, statistic: label.pick, render });
    }

    /// Notes a column's name under the key that gives it: a field, unless a key beside it was written.
    fn column(&mut self, field_key: &str, name_key: &str, given: bool, name: &str) {
        let key = if given { sibling(field_key, name_key) } else { field_key.to_owned() };
        self.named(&key, name);
    }

    fn named(&mut self, key: &str, name: &str) {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins_well = name.bytes().next().is_some_and(|byte| letters(byte) && !byte.is_ascii_digit());
        if !begins_well || !name.bytes().all(letters) || name.len() > COLUMN_NAME_MAX {
            let allowed = format!("letters, digits and _, not first a digit, at most {COLUMN_NAME_MAX} of them");
            self.problems.add(key, format!("the column name {name:?}"), allowed);
        }
        if let Some(owner) = self.names.get(name) {
            let allowed = format!("a name that no other column has; this one is that of {owner}");
            self.problems.add(key, format!("a second column {name:?}"), allowed);
        } else {
            self.names.insert(name.to_owned(), key.to_owned());
        }
    }

    fn bounds(&mut self, columns: usize) {
        if self.paths.len() > FIELDS_MAX {
            let found = format!("{} different fields in measures and labels", self.paths.len());
            self.problems.add("measures", found, format!("at most {FIELDS_MAX}"));
        }
        if columns > COLUMNS_MAX {
            self.problems.add("measures", format!("{columns} columns"), format!("at most {COLUMNS_MAX}"));
        }
    }
}

/// How a picked value is written. Where a text goes around a boolean or a symbol, its words become a map: the value is an integer.
fn render(kind: &FieldKind, map: Option<BTreeMap<i64, String>>, format: Option<String>) -> Render {
    let words = match kind {
        FieldKind::Boolean => Some(vec!["false".to_owned(), "true".to_owned()]),
        FieldKind::Enum { symbols } => Some(symbols.clone()),
        _ => None,
    };
    match (words, map, format) {
        (Some(words), _, Some(format)) => Render::MapFormat((0..).zip(words).collect(), format),
        (Some(_), _, None) if *kind == FieldKind::Boolean => Render::Boolean,
        (Some(words), _, None) => Render::Symbols(words),
        (None, None, None) => Render::Plain,
        (None, Some(map), None) => Render::Map(map),
        (None, None, Some(format)) => Render::Format(format),
        (None, Some(map), Some(format)) => Render::MapFormat(map, format),
    }
}

fn input(kind: &FieldKind) -> Kind {
    match kind {
        FieldKind::Float => Kind::Float,
        FieldKind::Integer | FieldKind::Time | FieldKind::Boolean | FieldKind::Enum { .. } => Kind::Integer,
        FieldKind::Decimal { scale } => Kind::Decimal { scale: *scale },
        FieldKind::Text => Kind::Text,
    }
}

/// The last name of a dotted path.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The key `name` of the table that `key` is in.
fn sibling(key: &str, name: &str) -> String {
    key.rsplit_once('.').map_or_else(|| name.to_owned(), |(table, _)| format!("{table}.{name}"))
}

fn fields(known: &[String]) -> String {
    let shown = &known[..known.len().min(FIELDS_NAMED)];
    match known.len() - shown.len() {
        0 => listed(shown),
        more => format!("{} and {more} more", listed(shown)),
    }
}
