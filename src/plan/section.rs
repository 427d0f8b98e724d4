//! One table of dataflow.toml, read key by key: what is wrong is noted and the reading goes on.
//!
//! serde would stop at the first wrong key, so that a person mends a file one run at a time; here a value that cannot be taken is
//! `None`, and its problem is already on the list.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::duration;
use super::problem::{Problems, nearest};
use crate::time::Millis;

/// A table and the dotted path that leads to it.
#[derive(Debug)]
pub(super) struct Section<'t> {
    table: &'t Table,
    path: String,
}

impl<'t> Section<'t> {
    /// Opens a table; keys that are not `known` are problems.
    pub(super) fn open(table: &'t Table, path: String, known: &[&str], problems: &mut Problems) -> Self {
        let section = Section { table, path };
        for name in table.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = nearest(name, known.iter().copied().filter(|known| !table.contains_key(*known)));
            problems.add_near(section.key(name), "a key that is not known here", listed(known), near);
        }
        section
    }

    /// The dotted path of a key of this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The dotted path of this table.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Notes that a key is missing, unless it is there (then it was wrong, and that is noted).
    pub(super) fn demand(&self, name: &str, allowed: &str, problems: &mut Problems) {
        if !self.has(name) {
            problems.add(self.key(name), "nothing", allowed);
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str, allowed: &str, problems: &mut Problems) -> Option<String> {
        match self.table.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            other => {
                problems.add(self.key(name), described(other), allowed);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, allowed: RangeInclusive<u32>, problems: &mut Problems) -> Option<u32> {
        let value = self.table.get(name)?;
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        let within = number.filter(|number| allowed.contains(number));
        if within.is_none() {
            let words = format!("a whole number from {} to {}", allowed.start(), allowed.end());
            problems.add(self.key(name), described(value), words);
        }
        within
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &self,
        name: &str,
        allowed: &RangeInclusive<Millis>,
        problems: &mut Problems,
    ) -> Option<Millis> {
        let value = self.table.get(name)?;
        let within = value.as_str().and_then(duration::parse).filter(|millis| allowed.contains(millis));
        if within.is_none() {
            let near = value.as_integer().filter(|number| *number >= 0).map(|number| format!("{number}s"));
            problems.add_near(self.key(name), described(value), duration_words(allowed), near);
        }
        within
    }

    /// A table below this one.
    pub(super) fn section(&self, name: &str, known: &[&str], problems: &mut Problems) -> Option<Section<'t>> {
        match self.table.get(name)? {
            Value::Table(table) => Some(Section::open(table, self.key(name), known, problems)),
            other => {
                problems.add(self.key(name), described(other), format!("a table with {}", listed(known)));
                None
            }
        }
    }

    /// The tables of an array (`[[name]]`).
    pub(super) fn sections(&self, name: &str, known: &[&str], problems: &mut Problems) -> Vec<Section<'t>> {
        let mut found = Vec::new();
        let allowed = format!("tables under [[{name}]] with {}", listed(known));
        for (key, item) in self.items(name, &allowed, problems) {
            match item {
                Value::Table(table) => found.push(Section::open(table, key, known, problems)),
                other => problems.add(key, described(other), &allowed),
            }
        }
        found
    }

    /// The items of an array with their keys; none where it is missing or something else.
    pub(super) fn items(&self, name: &str, allowed: &str, problems: &mut Problems) -> Vec<(String, &'t Value)> {
        match self.table.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(at, item)| (format!("{}[{at}]", self.key(name)), item)).collect()
            }
            Some(other) => {
                problems.add(self.key(name), described(other), allowed);
                Vec::new()
            }
        }
    }

    /// All pairs of this table.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'t String, &'t Value)> {
        self.table.iter()
    }

    /// The value of a key.
    pub(super) fn value(&self, name: &str) -> Option<&'t Value> {
        self.table.get(name)
    }

    /// A table below this one whose keys are free.
    pub(super) fn free_section(&self, name: &str, allowed: &str, problems: &mut Problems) -> Option<Section<'t>> {
        match self.table.get(name)? {
            Value::Table(table) => Some(Section { table, path: self.key(name) }),
            other => {
                problems.add(self.key(name), described(other), allowed);
                None
            }
        }
    }
}

/// A value as it is shown to who wrote it.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("the text {}", shortened(text)),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(time) => format!("the date or time {time}"),
        Value::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// A text in quotes, its end left out where it is long.
fn shortened(text: &str) -> String {
    const LETTERS_SHOWN: usize = 80;
    match text.char_indices().nth(LETTERS_SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?} and more", &text[..end]),
    }
}

/// Words in a row.
pub(super) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

fn duration_words(allowed: &RangeInclusive<Millis>) -> String {
    let (least, most) = (duration::written(*allowed.start()), duration::written(*allowed.end()));
    format!("a duration from {least} to {most}, in quotes and with its unit: ms, s, m, h or d")
}
