//! dataflow.toml, read in the plainest way, and the values of events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::types::Value;
use num_bigint::BigInt;

/// A dataflow, as far as rows depend on it.
#[derive(Debug)]
pub(crate) struct Dataflow {
    pub(super) schema: Schema,
    pub(super) source: String,
    pub(super) source_name: String,
    pub(super) source_format: Option<String>,
    pub(super) time: Option<String>,
    pub(super) out_of_order: i64,
    pub(super) columns: Vec<Column>,
}

/// A column after the source and `count`.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) statistic: String,
    pub(super) map: BTreeMap<String, String>,
    pub(super) format: Option<String>,
    /// Digits after the point, where the field is a decimal.
    pub(super) scale: Option<usize>,
    /// Whether the field holds doubles.
    pub(super) float: bool,
}

/// A value of a field in one event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    NonFinite,
    Float(f64),
    Integer(i64),
    Decimal(BigInt),
    Boolean(bool),
    Text(String),
}

impl Cell {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Cell::Null,
            Value::Float(v) => Cell::finite(f64::from(*v)),
            Value::Double(v) => Cell::finite(*v),
            Value::Int(v) | Value::Date(v) | Value::TimeMillis(v) => Cell::Integer(i64::from(*v)),
            Value::Long(v)
            | Value::TimeMicros(v)
            | Value::TimestampMillis(v)
            | Value::TimestampMicros(v)
            | Value::TimestampNanos(v)
            | Value::LocalTimestampMillis(v)
            | Value::LocalTimestampMicros(v)
            | Value::LocalTimestampNanos(v) => Cell::Integer(*v),
            Value::Decimal(v) => Cell::Decimal(v.clone().into()),
            Value::Boolean(v) => Cell::Boolean(*v),
            Value::String(v) | Value::Enum(_, v) => Cell::Text(v.clone()),
            other => panic!("a measured field that is {other:?}"),
        }
    }

    fn finite(value: f64) -> Self {
        if value.is_finite() { Cell::Float(value) } else { Cell::NonFinite }
    }
}

/// The value at a dotted path; null where a record on the way is.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    let mut here = bare(value);
    for name in path.split('.') {
        here = match here {
            Value::Record(fields) => {
                let field = fields.iter().find(|(known, _)| known == name);
                bare(&field.unwrap_or_else(|| panic!("no field {name} of {path}")).1)
            }
            Value::Null => return here,
            other => panic!("{path} goes through {other:?}"),
        };
    }
    here
}

fn bare(value: &Value) -> &Value {
    match value {
        Value::Union(_, inner) => bare(inner),
        other => other,
    }
}

impl Dataflow {
    /// Reads a dataflow's folder, which is known to be right.
    pub(crate) fn read(folder: &Path) -> Self {
        let path = folder.join("dataflow.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        let file: toml::Table = text.parse().expect("dataflow.toml is TOML");
        let event = table(&file, "event");
        let schema = fs::read_to_string(folder.join(string(event, "schema").unwrap())).expect("a schema is there");
        let schema = Schema::parse_str(&schema).expect("a schema parses");
        let (source, source_name, source_format) = match &event["source"] {
            toml::Value::String(field) => (field.clone(), None, None),
            other => {
                let of = other.as_table().expect("source is a text or a table");
                (string(of, "field").unwrap(), string(of, "name"), string(of, "format"))
            }
        };
        let mut columns = Vec::new();
        for measure in tables(&file, "measures") {
            columns.extend(measured(measure, &schema));
        }
        for label in tables(&file, "labels") {
            columns.push(labelled(label, &schema));
        }
        let window = file.get("window").and_then(toml::Value::as_table);
        Dataflow {
            source_name: source_name.unwrap_or_else(|| last(&source).to_owned()),
            source,
            source_format,
            time: string(event, "time"),
            out_of_order: window.and_then(|w| string(w, "out_of_order")).map_or(0, |text| millis(&text)),
            columns,
            schema,
        }
    }

    /// The fields that are measured or label, each once.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.path.as_str()).collect::<BTreeSet<_>>().into_iter()
    }
}

fn measured(measure: &toml::Table, schema: &Schema) -> Vec<Column> {
    let path = string(measure, "field").unwrap();
    let stem = string(measure, "name").unwrap_or_else(|| last(&path).to_owned());
    let names = measure.get("names").and_then(toml::Value::as_table);
    let statistics = measure["as"].as_array().expect("`as` is a list");
    let column = |statistic: &toml::Value| {
        let statistic = statistic.as_str().expect("a statistic is a word").to_owned();
        let given = names.and_then(|names| string(names, &statistic));
        Column {
            name: given.unwrap_or_else(|| format!("{stem}_{statistic}")),
            scale: scale(schema, &path),
            float: is_float(schema, &path),
            path: path.clone(),
            statistic,
            map: BTreeMap::new(),
            format: None,
        }
    };
    statistics.iter().map(column).collect()
}

fn labelled(label: &toml::Table, schema: &Schema) -> Column {
    let path = string(label, "field").unwrap();
    let map = label.get("map").and_then(toml::Value::as_table);
    let pairs = map.into_iter().flatten().map(|(from, to)| (from.clone(), to.as_str().unwrap().to_owned()));
    Column {
        name: string(label, "name").unwrap_or_else(|| last(&path).to_owned()),
        scale: scale(schema, &path),
        float: is_float(schema, &path),
        statistic: string(label, "pick").unwrap_or_else(|| "last".to_owned()),
        map: pairs.collect(),
        format: string(label, "format"),
        path,
    }
}

fn table<'a>(of: &'a toml::Table, key: &str) -> &'a toml::Table {
    of[key].as_table().unwrap_or_else(|| panic!("[{key}] is a table"))
}

fn tables<'a>(of: &'a toml::Table, key: &str) -> Vec<&'a toml::Table> {
    let list = of.get(key).and_then(toml::Value::as_array);
    list.into_iter().flatten().map(|item| item.as_table().expect("a list of tables")).collect()
}

fn string(of: &toml::Table, key: &str) -> Option<String> {
    of.get(key).map(|value| value.as_str().unwrap_or_else(|| panic!("{key} is a text")).to_owned())
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A duration with its unit, in milliseconds.
fn millis(text: &str) -> i64 {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => panic!("a duration in {other:?}"),
    };
    digits.trim().parse::<i64>().expect("a duration is a whole number with a unit") * unit
}

/// The schema at a dotted path, without a null beside it.
fn schema_at<'a>(schema: &'a Schema, path: &str) -> &'a Schema {
    let mut here = schema;
    for name in path.split('.') {
        let Schema::Record(record) = here else { panic!("{path} goes through {here:?}") };
        let field = record.fields.iter().find(|field| field.name == name);
        here = &field.unwrap_or_else(|| panic!("no field {name} of {path}")).schema;
        if let Schema::Union(union) = here {
            here = union.variants().iter().find(|branch| **branch != Schema::Null).expect("a union of more than null");
        }
    }
    here
}

fn scale(schema: &Schema, path: &str) -> Option<usize> {
    match schema_at(schema, path) {
        Schema::Decimal(decimal) => Some(decimal.scale),
        _ => None,
    }
}

fn is_float(schema: &Schema, path: &str) -> bool {
    matches!(schema_at(schema, path), Schema::Float | Schema::Double)
}
