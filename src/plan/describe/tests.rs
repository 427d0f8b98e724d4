use std::path::Path;

use super::super::load;
use super::{clickhouse_type, open_minutes};
use crate::aggregate::{Column, ColumnType};

#[test]
fn types_are_written_as_clickhouse_has_them() {
    let cases = [
        (ColumnType::DateTime, false, "DateTime('UTC')"),
        (ColumnType::String, false, "String"),
        (ColumnType::String, true, "Nullable(String)"),
        (ColumnType::Label, false, "LowCardinality(String)"),
        (ColumnType::Label, true, "LowCardinality(Nullable(String))"),
        (ColumnType::UInt64, false, "UInt64"),
        (ColumnType::Int64, true, "Nullable(Int64)"),
        (ColumnType::Float64, true, "Nullable(Float64)"),
        (ColumnType::Decimal { scale: 2 }, true, "Nullable(Decimal(38, 2))"),
        (ColumnType::Bool, true, "Nullable(Bool)"),
    ];
    for (kind, nullable, words) in cases {
        assert_eq!(clickhouse_type(&Column { name: String::new(), kind, nullable }), words);
    }
}

/// The minutes that windows of a length, ending anywhere, touch at most: counted one by one.
#[test]
fn open_minutes_are_those_that_a_window_can_touch() {
    for length in [0_i64, 1, 999, 5_000, 59_999, 60_000, 60_001, 119_999, 120_000, 1_800_000] {
        let touched = (0..60_000).map(|end| {
            let end = end + 3_600_000;
            end / 60_000 - (end - length) / 60_000 + 1
        });
        assert_eq!(open_minutes(length), touched.max().unwrap(), "{length} ms");
    }
}

#[test]
fn a_plan_is_told_to_people_and_to_programs() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows/departures");
    let plan = load(&dir).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let description = plan.describe().unwrap();
    let text = description.to_string();
    for line in [
        "dataflow departures: a row per carrier and minute of departed",
        "  out_of_order  30m     an event may come this much after a later one of its partition",
        "  dep_delay_count  UInt64",
        "  31 open minutes, at most, while every partition goes forward",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(description.read_steps.len() > 3, "{text}");
    assert!(description.state_bytes_per_source > 0 && description.state_bytes_per_source.is_multiple_of(8));
    let json = serde_json::to_value(&description).unwrap();
    assert_eq!(json["out_of_order_ms"], 1_800_000);
    assert_eq!(json["columns"][0]["type"], "DateTime('UTC')");
    assert_eq!(json["columns"].as_array().unwrap().len(), plan.layout.columns().len());
    assert_eq!(json["read_steps"].as_array().unwrap().len(), description.read_steps.len());
}
