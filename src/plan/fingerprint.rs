//! The fingerprint: what changes the meaning of a row or of stored state, in a fixed wording, hashed.
//!
//! Manifests keep it, so the wording is a stored format: it must not depend on how types are printed for debugging. `idle_after` and
//! `rows_per_insert` are left out, since they may be changed between runs; comments, spacing and the order of JSON keys too.
//!
//! The parsing canonical form of Avro's specification would not do for the schema: it strips defaults, aliases and logical types, which
//! all change what is read. Here only `doc` goes, and keys are sorted.

use std::fmt::Write;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::resolve::Resolved;
use super::statistics;
use super::written::Written;
use crate::aggregate::{Kind, Render, SourceKind};

/// The first line; a new wording gets a new number.
const WORDING: &str = "minuet plan 1";

/// The fingerprint in hex.
pub(super) fn of(written: &Written, resolved: &Resolved, schema_json: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(wording(written, resolved, schema_json)) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A line of JSON for each thing that counts.
fn wording(written: &Written, resolved: &Resolved, schema_json: &str) -> String {
    let selection = &resolved.selection;
    let mut lines = vec![WORDING.to_owned(), canonical(schema_json)];
    let source = match &resolved.source {
        SourceKind::Text => "text".into(),
        SourceKind::Integer(how) => render(how),
    };
    lines.push(
        Json::from(vec![selection.source.clone().into(), resolved.source_name.clone().into(), source]).to_string(),
    );
    lines.push(Json::from(selection.time.clone()).to_string());
    lines.push(Json::from(vec![written.window.out_of_order, written.window.max_ahead]).to_string());
    lines.push(Json::from(vec![written.key_groups, written.lanes]).to_string());
    for (path, kind) in selection.fields.iter().zip(&resolved.inputs) {
        lines.push(Json::from(vec![Json::from(path.clone()), input(kind)]).to_string());
    }
    for output in &resolved.outputs {
        let statistic = statistics::word(output.statistic);
        let parts: Vec<Json> =
            vec![output.name.clone().into(), output.field.into(), statistic.into(), render(&output.render)];
        lines.push(Json::from(parts).to_string());
    }
    lines.join("\n")
}

fn input(kind: &Kind) -> Json {
    match kind {
        Kind::Float => "float".into(),
        Kind::Integer => "integer".into(),
        Kind::Decimal { scale } => vec![Json::from("decimal"), (*scale).into()].into(),
        Kind::Text => "text".into(),
    }
}

/// Lists only: the order of an object's keys is up to a feature of the JSON crate.
fn render(render: &Render) -> Json {
    let map = |names: &std::collections::BTreeMap<i64, String>| -> Json {
        names.iter().map(|(number, name)| Json::from(vec![Json::from(*number), name.clone().into()])).collect()
    };
    match render {
        Render::Plain => vec!["plain"].into(),
        Render::Boolean => vec!["boolean"].into(),
        Render::Symbols(symbols) => vec![Json::from("symbols"), symbols.clone().into()].into(),
        Render::Map(names) => vec![Json::from("map"), map(names)].into(),
        Render::Format(text) => vec![Json::from("format"), text.clone().into()].into(),
        Render::MapFormat(names, text) => vec![Json::from("map_format"), map(names), text.clone().into()].into(),
    }
}

/// A schema without spacing and `doc`, keys sorted; what is not JSON stays as it is.
fn canonical(schema_json: &str) -> String {
    match serde_json::from_str::<Json>(schema_json) {
        Ok(json) => {
            let mut text = String::new();
            write_sorted(&json, true, &mut text);
            text
        }
        Err(_) => schema_json.to_owned(),
    }
}

/// `in_schema` is false inside of defaults, where a key `doc` is data.
fn write_sorted(json: &Json, in_schema: bool, out: &mut String) {
    match json {
        Json::Object(pairs) => {
            let mut keys: Vec<&String> = pairs.keys().filter(|key| !(in_schema && *key == "doc")).collect();
            keys.sort();
            out.push('{');
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Json::from(key.as_str()));
                write_sorted(&pairs[key], in_schema && key != "default", out);
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_sorted(item, in_schema, out);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn spacing_order_of_keys_and_doc_do_not_count() {
        let a = canonical(r#"{"type": "record", "name": "E", "doc": "x", "fields": [{"name": "a", "type": "int"}]}"#);
        let b = canonical(r#"{"name":"E","fields":[{"type":"int","doc":"y","name":"a"}],"type":"record"}"#);
        assert_eq!(a, b);
    }

    #[test]
    fn defaults_aliases_logical_types_and_order_of_fields_count() {
        let all = [
            r#"{"fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#,
            r#"{"fields":[{"name":"b","type":"int"},{"name":"a","type":"int"}]}"#,
            r#"{"fields":[{"name":"a","type":"int","default":1},{"name":"b","type":"int"}]}"#,
            r#"{"fields":[{"name":"a","type":"int","default":{"doc":1}},{"name":"b","type":"int"}]}"#,
            r#"{"fields":[{"name":"a","type":"int","default":{"doc":2}},{"name":"b","type":"int"}]}"#,
            r#"{"fields":[{"name":"a","type":"int","aliases":["c"]},{"name":"b","type":"int"}]}"#,
            r#"{"fields":[{"name":"a","type":{"type":"int","logicalType":"date"}},{"name":"b","type":"int"}]}"#,
        ];
        let different: std::collections::BTreeSet<String> = all.iter().map(|json| canonical(json)).collect();
        assert_eq!(different.len(), all.len());
    }
}
