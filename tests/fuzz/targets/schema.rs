//! Writers' schemas, which come out of files that anyone may have written: compiled for a reader, and used as one.

use minuet::event::{ReadPlan, ReaderSchema, Selection};
use minuet::limits::PLAN_STEPS_MAX;

/// What the dataflow reads.
const READER: &str = r#"{"type": "record", "name": "Event", "fields": [{"name": "id", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "a", "type": ["null", "double"], "default": null},
    {"name": "r", "type": {"type": "record", "name": "R", "fields": [{"name": "x", "type": "long", "default": 1}]}, "default": {}}]}"#;

/// Compiles a writer's schema; the plan reads, or refuses, bytes that fit none in particular.
pub fn schema(bytes: &[u8]) -> bool {
    let Ok(json) = std::str::from_utf8(bytes) else { return false };
    if let Ok(own) = ReaderSchema::parse(json) {
        for (path, _) in own.fields() {
            assert!(own.field(&path).is_ok(), "{path} is listed");
        }
    }
    let reader = ReaderSchema::parse(READER).expect("the reader's schema is good");
    let selection = Selection {
        source: "id".to_owned(),
        time: Some("at".to_owned()),
        fields: vec!["a".to_owned(), "r.x".to_owned()],
    };
    let Ok(plan) = ReadPlan::compile(json, &reader, &selection) else { return false };
    assert!(plan.steps().len() <= PLAN_STEPS_MAX);
    let mut row = plan.row();
    for payload in [&bytes[..bytes.len().min(64)], &[0; 64], &[2; 64]] {
        if let Ok(taken) = plan.decode(payload, &mut row) {
            assert_eq!(plan.length(payload), Ok(taken));
        }
    }
    true
}
