//! dataflow.toml as it is written: its keys, their types and bounds, without a look at the schema.
//!
//! A value that is missing or wrong is `None` here, and its problem is on the list; so one reading finds everything.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::problem::{Problems, nearest};
use super::section::{Section, described, listed};
use super::statistics::{self, STATISTICS};
use crate::aggregate::Statistic;
use crate::limits::{
    IDLE_AFTER_DEFAULT_MS, IDLE_AFTER_MAX_MS, KEY_GROUPS_DEFAULT, KEY_GROUPS_MAX, LANES_DEFAULT, LANES_MAX,
    MAX_AHEAD_DEFAULT_MS, MAX_AHEAD_MAX_MS, OUT_OF_ORDER_MAX_MS, ROWS_PER_INSERT_DEFAULT, ROWS_PER_INSERT_MAX,
};
use crate::time::Millis;

#[cfg(test)]
mod tests;

/// The version of dataflow.toml that this program reads.
const VERSION: i64 = 1;

const TOP_KEYS: [&str; 7] = ["version", "event", "window", "measures", "labels", "state", "output"];
const EVENT_KEYS: [&str; 3] = ["schema", "source", "time"];
const SOURCE_KEYS: [&str; 3] = ["field", "format", "name"];
const WINDOW_KEYS: [&str; 3] = ["out_of_order", "max_ahead", "idle_after"];
const MEASURE_KEYS: [&str; 4] = ["field", "as", "names", "name"];
const LABEL_KEYS: [&str; 5] = ["field", "pick", "name", "map", "format"];

const A_FIELD: &str = "the name of a field of the schema, dotted where it is nested";
const A_COLUMN: &str = "a name for the column";
const A_FORMAT: &str = "a text with exactly one {} in it";
const A_MAP: &str = "a table of whole numbers in quotes and the text for each, such as { \"1\" = \"one\" }";

/// The whole file.
#[derive(Debug)]
pub(super) struct Written {
    /// The name of the schema's file.
    pub(super) schema: Option<String>,
    pub(super) source: Option<Source>,
    pub(super) time: Option<String>,
    pub(super) window: Window,
    pub(super) measures: Vec<Measure>,
    pub(super) labels: Vec<Label>,
    pub(super) key_groups: u32,
    pub(super) lanes: u32,
    pub(super) rows_per_insert: u32,
}

/// `event.source`.
#[derive(Debug)]
pub(super) struct Source {
    /// The key that names its field.
    pub(super) key: String,
    pub(super) field: String,
    pub(super) format: Option<String>,
    pub(super) name: Option<String>,
}

/// `window`, in milliseconds.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) out_of_order: Millis,
    pub(super) max_ahead: Millis,
    pub(super) idle_after: Millis,
}

/// One of `measures`.
#[derive(Debug)]
pub(super) struct Measure {
    /// Its place in the file: `measures[0]`.
    pub(super) key: String,
    pub(super) field: Option<String>,
    /// The statistics, each with its key.
    pub(super) statistics: Vec<(String, Statistic)>,
    /// Names of columns, by the word for their statistic.
    pub(super) names: BTreeMap<String, String>,
    pub(super) name: Option<String>,
}

/// One of `labels`.
#[derive(Debug)]
pub(super) struct Label {
    /// Its place in the file: `labels[0]`.
    pub(super) key: String,
    pub(super) field: Option<String>,
    pub(super) pick: Statistic,
    pub(super) name: Option<String>,
    pub(super) map: Option<BTreeMap<i64, String>>,
    pub(super) format: Option<String>,
}

impl Written {
    /// Reads a parsed file.
    pub(super) fn read(file: &Table, problems: &mut Problems) -> Self {
        let top = Section::open(file, String::new(), &TOP_KEYS, problems);
        version(&top, problems);
        let event = top.section("event", &EVENT_KEYS, problems);
        top.demand("event", "a table [event] with schema, source and time", problems);
        let (schema, source, time) = event.map_or((None, None, None), |event| read_event(&event, problems));
        let window = read_window(&top, problems);
        let measures = top.sections("measures", &MEASURE_KEYS, problems);
        let measures = measures.iter().map(|section| Measure::read(section, problems)).collect();
        let labels = top.sections("labels", &LABEL_KEYS, problems);
        let labels = labels.iter().map(|section| Label::read(section, problems)).collect();
        let state = top.section("state", &["key_groups"], problems);
        let output = top.section("output", &["lanes", "rows_per_insert"], problems);
        let mut number = |section: &Option<Section<'_>>, name, most, default| {
            section.as_ref().and_then(|section| section.number(name, 1..=most, problems)).unwrap_or(default)
        };
        Written {
            schema,
            source,
            time,
            window,
            measures,
            labels,
            key_groups: number(&state, "key_groups", KEY_GROUPS_MAX, KEY_GROUPS_DEFAULT),
            lanes: number(&output, "lanes", LANES_MAX, LANES_DEFAULT),
            rows_per_insert: number(&output, "rows_per_insert", ROWS_PER_INSERT_MAX, ROWS_PER_INSERT_DEFAULT),
        }
    }
}

fn version(top: &Section<'_>, problems: &mut Problems) {
    let allowed = format!("version = {VERSION}");
    top.demand("version", &allowed, problems);
    if let Some(value) = top.value("version").filter(|value| value.as_integer() != Some(VERSION)) {
        problems.add("version", described(value), allowed);
    }
}

fn read_event(event: &Section<'_>, problems: &mut Problems) -> (Option<String>, Option<Source>, Option<String>) {
    let file = "the name of a file with an Avro schema, in the dataflow's folder";
    event.demand("schema", file, problems);
    let schema = event.text("schema", file, problems);
    let time = event.text("time", A_FIELD, problems);
    let either = format!("{A_FIELD}, or a table with {}", listed(&SOURCE_KEYS));
    event.demand("source", &either, problems);
    let source = match event.value("source") {
        Some(Value::Table(_)) => {
            event.section("source", &SOURCE_KEYS, problems).and_then(|source| Source::read(&source, problems))
        }
        _ => event.text("source", &either, problems).map(|field| Source {
            key: event.key("source"),
            field,
            format: None,
            name: None,
        }),
    };
    (schema, source, time)
}

impl Source {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Option<Self> {
        section.demand("field", A_FIELD, problems);
        let field = section.text("field", A_FIELD, problems);
        let format = read_format(section, problems);
        let name = section.text("name", A_COLUMN, problems);
        Some(Source { key: section.key("field"), field: field?, format, name })
    }
}

fn read_window(top: &Section<'_>, problems: &mut Problems) -> Window {
    // How late events may come depends on who sends them: a default would be wrong for most, and nobody would notice.
    let needed = "a table [window] with out_of_order: how much an event may come after a later one, such as \"5s\"";
    top.demand("window", needed, problems);
    let section = top.section("window", &WINDOW_KEYS, problems);
    if let Some(section) = &section {
        section.demand("out_of_order", "how much an event may come after a later one, such as \"5s\"", problems);
    }
    let mut duration = |name, allowed: RangeInclusive<Millis>, default| {
        section.as_ref().and_then(|section| section.duration(name, &allowed, problems)).unwrap_or(default)
    };
    Window {
        out_of_order: duration("out_of_order", 0..=OUT_OF_ORDER_MAX_MS, 0),
        max_ahead: duration("max_ahead", 0..=MAX_AHEAD_MAX_MS, MAX_AHEAD_DEFAULT_MS),
        idle_after: duration("idle_after", 1..=IDLE_AFTER_MAX_MS, IDLE_AFTER_DEFAULT_MS),
    }
}

impl Measure {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        section.demand("field", A_FIELD, problems);
        let field = section.text("field", A_FIELD, problems);
        let name = section.text("name", "a text that stands before the statistic in the columns' names", problems);
        let statistics = read_statistics(section, problems);
        let names = read_names(section, &statistics, problems);
        Measure { key: section.path().to_owned(), field, statistics, names, name }
    }
}

fn read_statistics(section: &Section<'_>, problems: &mut Problems) -> Vec<(String, Statistic)> {
    let words: Vec<&str> = STATISTICS.iter().map(|(word, _)| *word).collect();
    let allowed = format!("an array of one or more of {}", listed(&words));
    section.demand("as", &allowed, problems);
    if section.value("as").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        problems.add(section.key("as"), "an empty array", &allowed);
    }
    let mut found: Vec<(String, Statistic)> = Vec::new();
    for (key, item) in section.items("as", &allowed, problems) {
        let word = item.as_str().unwrap_or_default();
        match statistics::named(word) {
            None => problems.add_near(key, described(item), listed(&words), nearest(word, words.iter().copied())),
            Some(statistic) if found.iter().any(|(_, earlier)| *earlier == statistic) => {
                problems.add(key, format!("{} a second time", described(item)), "each statistic once");
            }
            Some(statistic) => found.push((key, statistic)),
        }
    }
    found
}

fn read_names(
    section: &Section<'_>,
    used: &[(String, Statistic)],
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let words: Vec<&str> = used.iter().map(|(_, statistic)| statistics::word(*statistic)).collect();
    let allowed = "a table of statistics in `as` and a name for the column of each";
    let mut names = BTreeMap::new();
    let Some(given) = section.free_section("names", allowed, problems) else { return names };
    // Where `as` has a word that was not understood, a name may be for that one.
    let all_understood = section.value("as").and_then(Value::as_array).is_some_and(|items| items.len() == used.len());
    for (word, _) in given.pairs() {
        if !words.contains(&word.as_str()) && (all_understood || statistics::named(word).is_none()) {
            let near = nearest(word, words.iter().copied());
            problems.add_near(given.key(word), "a statistic that is not in `as`", listed(&words), near);
        }
        if let Some(name) = given.text(word, A_COLUMN, problems) {
            names.insert(word.clone(), name);
        }
    }
    names
}

impl Label {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        section.demand("field", A_FIELD, problems);
        Label {
            key: section.path().to_owned(),
            field: section.text("field", A_FIELD, problems),
            pick: read_pick(section, problems),
            name: section.text("name", A_COLUMN, problems),
            map: read_map(section, problems),
            format: read_format(section, problems),
        }
    }
}

fn read_pick(section: &Section<'_>, problems: &mut Problems) -> Statistic {
    match section.value("pick") {
        None => Statistic::Last,
        Some(value) => match value.as_str() {
            Some("first") => Statistic::First,
            Some("last") => Statistic::Last,
            other => {
                let near = nearest(other.unwrap_or_default(), ["first", "last"]);
                problems.add_near(section.key("pick"), described(value), "first or last", near);
                Statistic::Last
            }
        },
    }
}

fn read_map(section: &Section<'_>, problems: &mut Problems) -> Option<BTreeMap<i64, String>> {
    let given = section.free_section("map", A_MAP, problems)?;
    let mut map = BTreeMap::new();
    if given.pairs().next().is_none() {
        problems.add(section.key("map"), "an empty table", A_MAP);
    }
    for (key, value) in given.pairs() {
        // "+1" and "01" would be second names for 1, of which one would be lost.
        let number = key.parse::<i64>().ok().filter(|number| number.to_string() == *key);
        match (number, value.as_str()) {
            (Some(number), Some(text)) => {
                map.insert(number, text.to_owned());
            }
            (None, _) => problems.add(given.key(key), format!("the key {key:?}"), "a whole number, such as \"1\""),
            (_, None) => problems.add(given.key(key), described(value), "a text"),
        }
    }
    Some(map)
}

fn read_format(section: &Section<'_>, problems: &mut Problems) -> Option<String> {
    let format = section.text("format", A_FORMAT, problems)?;
    if format.matches("{}").count() == 1 {
        return Some(format);
    }
    problems.add(section.key("format"), format!("the text {format:?}"), A_FORMAT);
    None
}
