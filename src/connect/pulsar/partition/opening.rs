//! An entry as it came, opened for the slot.

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
    let mut room = task.spare.take(head.uncompressed_size);
    match entry::open(payload, &mut room) {
        Ok(Opened { spans, publish_time, schema_version }) => {
            let Some(writer) = writer(task, schema_version)? else {
                task.spare.keep(room);
                return Ok(None);
            };
            task.damaged = None;
            Ok(Some(Entry {
                position,
                next: after(position),
                bytes: room,
                framing: Framing::Payloads(spans),
                writer,
                publish_time: Some(publish_time),
            }))
        }
        Err(Broken::Undecodable(why)) => Ok(Some(unreadable(position, payload, head, &why))),
        Err(Broken::Checksum) => Err(damaged(task, position)),
        Err(broken @ (Broken::Chunked(_) | Broken::Encrypted)) => {
            Err(End::Stop(Error::data(format!("entry {position} of {}: {broken}", task.topic))))
        }
    }
}

/// What an entry of this version was written with; none while that is not known.
fn writer(task: &mut Task, version: Option<SchemaVersion>) -> Result<Option<Writer>, End> {
    let Some(version) = version else { return Ok(Some(Writer::Own)) };
    if let Some((_, writer)) = task.schema.as_ref().filter(|(known, _)| *known == version) {
        return Ok(Some(writer.clone()));
    }
    let Some(writer) = task.setting.schemas.writer(&version).map_err(End::Stop)? else { return Ok(None) };
    task.schema = Some((version, writer.clone()));
    Ok(Some(writer))
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
