//! Tests of generation. The oracle is apache-avro: what was written must decode as a whole, and to the same bytes again.

mod batch;
mod encode;
mod source;
mod spec;
mod write;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

use super::{Batch, Extent, Generator, Spec};
use crate::time::Millis;

/// Out of order by this much is not late, in all tests.
const OUT_OF_ORDER: Millis = 30_000;

/// 25 fields, as many telemetry streams have them.
const SENSORS: &str = r#"{"type":"record","name":"SensorEvent","namespace":"com.example","fields":[
  {"name":"event_source_id","type":"string"},{"name":"event_type","type":"string"},
  {"name":"customer_id","type":"string"},{"name":"site_id","type":"string"},
  {"name":"latitude","type":"double"},{"name":"longitude","type":"double"},{"name":"altitude","type":"double"},
  {"name":"event_time","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"temperature","type":"double"},{"name":"humidity","type":"double"},{"name":"pressure","type":"double"},
  {"name":"co2_level","type":"double"},{"name":"noise_level","type":"double"},{"name":"light_level","type":"double"},
  {"name":"motion_detected","type":"int"},{"name":"battery_level","type":"double"},
  {"name":"signal_strength","type":"double"},{"name":"memory_usage","type":"double"},{"name":"cpu_usage","type":"double"},
  {"name":"status","type":"string"},{"name":"error_count","type":"int"},{"name":"packets_sent","type":"long"},
  {"name":"packets_received","type":"long"},{"name":"bytes_sent","type":"long"},{"name":"bytes_received","type":"long"}]}"#;

/// Every type and logical type that there is.
const EVERYTHING: &str = r#"{"type":"record","name":"Everything","namespace":"a.b","fields":[
  {"name":"head","type":["null",{"type":"record","name":"Head","fields":[
     {"name":"who","type":["null","string"]},
     {"name":"when","type":["null",{"type":"long","logicalType":"timestamp-micros"}]}]}]},
  {"name":"flag","type":"boolean"},{"name":"small","type":"int"},{"name":"big","type":"long"},
  {"name":"single","type":"float"},{"name":"raw","type":"bytes"},{"name":"nothing","type":"null"},
  {"name":"color","type":{"type":"enum","name":"Color","symbols":["RED","GREEN","BLUE"]}},
  {"name":"digest","type":{"type":"fixed","name":"Digest","size":20}},{"name":"digest2","type":"Digest"},
  {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
  {"name":"rate","type":{"type":{"type":"fixed","name":"Rate","size":12},"logicalType":"decimal","precision":20,"scale":4}},
  {"name":"tiny","type":{"type":{"type":"fixed","name":"Tiny","size":1},"logicalType":"decimal","precision":2,"scale":1}},
  {"name":"huge","type":{"type":"bytes","logicalType":"big-decimal"}},
  {"name":"id","type":{"type":"string","logicalType":"uuid"}},
  {"name":"id16","type":{"type":{"type":"fixed","name":"Id","size":16},"logicalType":"uuid"}},
  {"name":"span","type":{"type":{"type":"fixed","name":"SpanOf","size":12},"logicalType":"duration"}},
  {"name":"day","type":{"type":"int","logicalType":"date"}},
  {"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
  {"name":"clock6","type":{"type":"long","logicalType":"time-micros"}},
  {"name":"seen","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"seen9","type":{"type":"long","logicalType":"timestamp-nanos"}},
  {"name":"local","type":{"type":"long","logicalType":"local-timestamp-micros"}},
  {"name":"tags","type":{"type":"array","items":["null","string","double"]}},
  {"name":"sizes","type":{"type":"map","values":{"type":"array","items":"Color"}}},
  {"name":"either","type":["int","string",{"type":"array","items":"long"}]},
  {"name":"tree","type":{"type":"record","name":"Tree","fields":[
     {"name":"value","type":"double"},{"name":"left","type":["null","Tree"]},
     {"name":"rest","type":{"type":"array","items":"Tree"}}]}}]}"#;

fn schema(json: &str) -> Schema {
    Schema::parse_str(json).unwrap()
}

fn sensors(spec: Spec) -> Generator {
    Generator::new(&schema(SENSORS), "event_source_id", Some("event_time"), OUT_OF_ORDER, spec).unwrap()
}

fn everything(spec: Spec) -> Generator {
    Generator::new(&schema(EVERYTHING), "head.who", Some("head.when"), OUT_OF_ORDER, spec).unwrap()
}

/// So many events in two partitions, at a rate at which they take many minutes.
fn small(events: u64) -> Spec {
    Spec { seed: 7, extent: Extent::Events(events), rate: 50.0, sources: 40, partitions: 2, ..Spec::default() }
}

/// All payloads of a partition.
fn payloads(generator: &Generator, partition: u32) -> Vec<Vec<u8>> {
    let mut batch = Batch::default();
    let mut all = Vec::new();
    for entry in 0..generator.entries(partition) {
        generator.fill(partition, entry, &mut batch);
        all.extend(split(&batch));
    }
    all
}

fn split(batch: &Batch) -> Vec<Vec<u8>> {
    batch.spans.iter().map(|span| batch.bytes[span.start as usize..(span.start + span.len) as usize].to_vec()).collect()
}

/// The value of a payload that holds exactly one event.
fn decode(schema: &Schema, payload: &[u8]) -> Option<Value> {
    let mut rest = payload;
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// The value at a dotted path, unions opened.
fn at(value: &Value, path: &str) -> Value {
    let mut found = value.clone();
    for name in path.split('.') {
        let Value::Record(fields) = opened(found) else { panic!("{path}: no record") };
        found = fields.into_iter().find(|(field, _)| field == name).unwrap().1;
    }
    opened(found)
}

fn opened(value: Value) -> Value {
    if let Value::Union(_, held) = value { *held } else { value }
}
