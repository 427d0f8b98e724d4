//! Payloads to event records, as plainly as it goes.

use minuet::aggregate::record::{self, EventHead};
use minuet::aggregate::{Kind, hash_source};
use minuet::event::{ReadPlan, Row, Source};
use minuet::plan::Plan;
use minuet::time::minute_of;

/// A read plan, the row that it fills, and what a record needs beside it.
pub struct Recorder {
    pub reader: ReadPlan,
    pub row: Row,
    /// Texts among the selected fields: bit and word.
    texts: Vec<(u32, usize)>,
}

impl Recorder {
    /// For events that were written with the dataflow's own schema.
    pub fn new(plan: &Plan) -> Self {
        let json = plan.schema.json();
        let reader = ReadPlan::compile(json, &plan.schema, &plan.selection).expect("the plan was checked");
        let (mut word, mut texts) = (0, Vec::new());
        for (bit, kind) in (0..).zip(plan.layout.inputs()) {
            if *kind == Kind::Text {
                texts.push((bit, word));
            }
            word += kind.words();
        }
        Recorder { row: reader.row(), reader, texts }
    }

    /// Reads an event into the row.
    #[inline]
    pub fn decode(&mut self, payload: &[u8]) {
        self.reader.decode_whole(payload, &mut self.row).expect("generated events are good");
    }

    /// Appends the row, which was read from `payload`, as a record.
    #[inline]
    pub fn record(&self, payload: &[u8], partition: u32, place: u64, words: &mut Vec<u64>) {
        let row = &self.row;
        let Source::Text(span) = row.source else { return };
        let source = &payload[span.start as usize..(span.start + span.len) as usize];
        let head = EventHead {
            hash: hash_source(source),
            minute: minute_of(row.time).unwrap_or_default(),
            time: row.time,
            order: record::order(partition, place),
            present: row.present,
        };
        let texts = self.texts.iter().filter(|(bit, _)| row.present >> bit & 1 == 1).map(|(_, word)| {
            let (start, len) = ((row.words[*word] >> 32) as usize, (row.words[*word] & 0xffff_ffff) as usize);
            (*word, &payload[start..start + len])
        });
        record::write_event(words, &head, &row.words, source, texts);
    }
}
