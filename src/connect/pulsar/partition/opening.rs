//! An entry as it came, opened for the slot.

use std::sync::Arc;

use super::{End, Task};
use crate::connect::pulsar::order::after;
use crate::connect::pulsar::wire::entry::{self, Broken, Head, Opened, SchemaVersion};
use crate::dataflow::edges::{Entry, Framing, Writer};
use crate::error::Error;
use crate::event::Span;
use crate::limits::{PULSAR_CHECKSUMS_MAX, REJECT_PAYLOAD_BYTES_MAX};
use crate::snapshot::Position;

/// What is known of an entry before it is opened.
pub(super) fn look(payload: &[u8]) -> Head {
    // What cannot be looked at says why when it is opened.
    entry::peek(payload).unwrap_or(Head { uncompressed_size: 0, messages: 1 })
}

/// Opens an entry; none while the schema of its version is not known.
pub(super) fn open(task: &mut Task, position: Position, payload: &[u8], head: Head) -> Result<Option<Entry>, End> {
    let mut entry = task.blank.take(head.uncompressed_size);
    match open_into(payload, &mut entry) {
        Ok(schema_version) => {
            if !write_as(task, schema_version, &mut entry.writer)? {
                task.blank.put(entry);
                return Ok(None);
            }
            task.damaged = None;
            (entry.position, entry.next) = (position, after(position));
            Ok(Some(entry))
        }
        Err(Broken::Undecodable(why)) => Ok(Some(unreadable(position, payload, head, &why))),
        Err(Broken::Checksum) => Err(damaged(task, position)),
        Err(broken @ (Broken::Chunked(_) | Broken::Encrypted)) => {
            Err(End::Stop(Error::data(format!("entry {position} of {}: {broken}", task.topic))))
        }
    }
}

/// Fills an entry; gives the version of its schema.
fn open_into(payload: &[u8], entry: &mut Entry) -> Result<Option<SchemaVersion>, Broken> {
    let mut spans = match std::mem::replace(&mut entry.framing, Framing::Run(0)) {
        Framing::Payloads(spans) => spans,
        Framing::Run(_) => Vec::new(),
    };
    let opened = entry::open(payload, &mut entry.bytes, &mut spans);
    entry.framing = Framing::Payloads(spans);
    let Opened { publish_time, schema_version } = opened?;
    entry.publish_time = Some(publish_time);
    Ok(schema_version)
}

/// Notes what an entry of this version was written with; false while that is not known. Mostly it is what the room was used with before:
/// then nothing is touched that all partitions share.
fn write_as(task: &mut Task, version: Option<SchemaVersion>, noted: &mut Writer) -> Result<bool, End> {
    let Some(version) = version else {
        *noted = Writer::Own;
        return Ok(true);
    };
    if task.schema.as_ref().is_none_or(|(known, _)| *known != version) {
        task.schema = task.setting.schemas.writer(&version).map_err(End::Stop)?.map(|writer| (version, writer));
    }
    let Some((_, writer)) = &task.schema else { return Ok(false) };
    match (&*noted, writer) {
        (Writer::Schema(noted), Writer::Schema(writer)) if Arc::ptr_eq(noted, writer) => {}
        _ => *noted = writer.clone(),
    }
    Ok(true)
}

/// An entry that makes no sense: its messages are counted and its beginning is kept aside.
fn unreadable(position: Position, payload: &[u8], head: Head, why: &str) -> Entry {
    let bytes = payload[..payload.len().min(REJECT_PAYLOAD_BYTES_MAX)].to_vec();
    let first = Span { start: 0, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    let mut spans = vec![Span { start: 0, len: 0 }; head.messages.max(1)];
    spans[0] = first;
    Entry {
        position,
        next: after(position),
        bytes,
        framing: Framing::Payloads(spans),
        writer: Writer::Unreadable(why.into()),
        publish_time: None,
    }
}

/// A wrong checksum may be the network's; one that stays is the store's.
fn damaged(task: &mut Task, position: Position) -> End {
    let before = task.damaged.filter(|(at, _)| *at == position).map_or(0, |(_, times)| times);
    task.damaged = Some((position, before + 1));
    let words = format!("entry {position} of {}: its checksum is wrong", task.topic);
    if before + 1 < PULSAR_CHECKSUMS_MAX {
        return End::Again("checksum", words);
    }
    End::Stop(Error::data(format!(
        "{words}, {PULSAR_CHECKSUMS_MAX} times over new connections: the broker's store is damaged there, or a producer made it so. \
         repair it, or move the subscription behind the entry and go on with --accept-gap"
    )))
}
