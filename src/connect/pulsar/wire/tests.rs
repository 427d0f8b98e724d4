//! The hand-written readers and writers against prost and the codecs' own libraries.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{self, BaseCommand, MessageMetadata, SingleMessageMetadata};

use super::codec::Codec;
use super::command::{self, Incoming};
use super::entry::{Broken, open, peek};
use super::frame::Inbox;
use super::metadata::{Metadata, Single};
use super::send::{Body, Letterhead};
use crate::event::Span;
use crate::limits::{ENTRY_BYTES_MAX, PULSAR_INBOX_KEPT_BYTES};

const CODECS: [Codec; 5] = [Codec::None, Codec::Lz4, Codec::Zlib, Codec::Zstd, Codec::Snappy];

/// Metadata with everything that reading looks at, and some that it must step over.
fn metadata() -> impl Strategy<Value = MessageMetadata> {
    let head = (".{0,9}", any::<u64>(), any::<u64>(), vec((".{0,4}", ".{0,4}"), 0..3), option::of(".{0,5}"));
    let body = (option::of(-1..9_i32), option::of(any::<u32>()), option::of(any::<i32>()), any::<bool>());
    let rest = (option::of(vec(any::<u8>(), 0..12)), option::of(0..3_i32), option::of(any::<bool>()));
    (head, body, rest, option::of(-1..5_i32)).prop_map(|(head, body, rest, chunks)| {
        let (producer_name, sequence_id, publish_time, properties, partition_key) = head;
        let (compression, uncompressed_size, num_messages_in_batch, encrypted) = body;
        let (schema_version, marker_type, null_value) = rest;
        let properties = properties.into_iter().map(|(key, value)| proto::KeyValue { key, value }).collect();
        let keys = proto::EncryptionKeys { key: "k".into(), value: vec![1], metadata: Vec::new() };
        let encryption_keys = if encrypted { vec![keys.clone(), keys] } else { Vec::new() };
        MessageMetadata {
            producer_name,
            sequence_id,
            publish_time,
            properties,
            partition_key,
            compression,
            uncompressed_size,
            num_messages_in_batch,
            encryption_keys,
            schema_version,
            marker_type,
            null_value,
            num_chunks_from_msg: chunks,
            event_time: Some(sequence_id),
            deliver_at_time: chunks.map(i64::from),
            ..MessageMetadata::default()
        }
    })
}

fn matches(ours: &Metadata, theirs: &MessageMetadata) {
    assert_eq!(ours.publish_time, theirs.publish_time);
    assert_eq!(ours.compression, theirs.compression.unwrap_or(0));
    assert_eq!(ours.uncompressed_size, theirs.uncompressed_size.unwrap_or(0));
    assert_eq!(ours.batch, theirs.num_messages_in_batch);
    assert_eq!(ours.encrypted, !theirs.encryption_keys.is_empty());
    assert_eq!(ours.schema_version, theirs.schema_version.as_deref().unwrap_or_default());
    assert_eq!(ours.marker, theirs.marker_type.is_some());
    assert_eq!(ours.null_value, theirs.null_value.unwrap_or(false));
    assert_eq!(ours.chunks, theirs.num_chunks_from_msg.unwrap_or(0));
}

/// An entry as any producer makes it, by prost and the codecs' libraries.
fn entry(metadata: &MessageMetadata, body: &[u8]) -> Vec<u8> {
    let mut checked = u32::try_from(metadata.encoded_len()).unwrap().to_be_bytes().to_vec();
    metadata.encode(&mut checked).unwrap();
    checked.extend_from_slice(body);
    let mut payload = vec![0x0e, 0x01];
    payload.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
    payload.extend_from_slice(&checked);
    payload
}

fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    codec.compress(bytes, &mut out).unwrap();
    out
}

fn batch(messages: &[(SingleMessageMetadata, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (single, payload) in messages {
        body.extend_from_slice(&u32::try_from(single.encoded_len()).unwrap().to_be_bytes());
        single.encode(&mut body).unwrap();
        body.extend_from_slice(payload);
    }
    body
}

fn single(payload: &[u8]) -> SingleMessageMetadata {
    SingleMessageMetadata { payload_size: i32::try_from(payload.len()).unwrap(), ..Default::default() }
}

/// The payloads of an entry.
fn payloads(payload: &[u8]) -> Result<Vec<Vec<u8>>, Broken> {
    // What an earlier entry left behind must not shine through.
    let (mut room, mut spans) = (vec![0xaa; 77], vec![Span { start: 3, len: 5 }; 9]);
    open(payload, &mut room, &mut spans)?;
    let of = |span: &Span| room[span.start as usize..(span.start + span.len) as usize].to_vec();
    Ok(spans.iter().map(of).collect())
}

fn undecodable(payload: &[u8], reason: &str) {
    for found in [open(payload, &mut Vec::new(), &mut Vec::new()).map(|_| ()), peek(payload).map(|_| ())] {
        if let Err(Broken::Undecodable(why)) = &found {
            assert!(why.contains(reason), "{why}");
        }
        assert!(!matches!(found, Err(Broken::Checksum | Broken::Chunked(_) | Broken::Encrypted)), "{found:?}");
    }
    assert!(open(payload, &mut Vec::new(), &mut Vec::new()).is_err(), "{reason}");
}

proptest! {
    #[test]
    fn metadata_is_read_as_prost_reads_it(theirs in metadata(), cut in any::<prop::sample::Index>(), bit in any::<u8>()) {
        let mut bytes = theirs.encode_to_vec();
        matches(&Metadata::read(&bytes).unwrap(), &theirs);
        let at = cut.index(bytes.len());
        bytes[at] ^= 1 << (bit % 8);
        if let (Ok(ours), Ok(theirs)) = (Metadata::read(&bytes), MessageMetadata::decode(bytes.as_slice())) {
            matches(&ours, &theirs);
        }
    }

    #[test]
    fn a_single_message_is_read_as_prost_reads_it(
        key in option::of(".{0,5}"), payload_size in any::<i32>(), compacted_out in option::of(any::<bool>()),
        null_value in option::of(any::<bool>()), event_time in option::of(any::<u64>()),
    ) {
        let theirs = SingleMessageMetadata {
            partition_key: key, payload_size, compacted_out, null_value, event_time, ..Default::default()
        };
        let ours = Single::read(&theirs.encode_to_vec()).unwrap();
        prop_assert_eq!(ours.payload_size, payload_size);
        prop_assert_eq!(ours.compacted_out, compacted_out.unwrap_or(false));
        prop_assert_eq!(ours.null_value, null_value.unwrap_or(false));
    }

    #[test]
    fn the_hot_commands_are_read_as_prost_reads_them(
        ledger in any::<u64>(), number in any::<u64>(), redelivery in option::of(any::<u32>()), index in option::of(any::<i32>()),
    ) {
        let message_id = proto::MessageIdData { ledger_id: ledger, entry_id: number, batch_index: index, ..Default::default() };
        let message = proto::CommandMessage {
            consumer_id: 3, message_id: message_id.clone(), redelivery_count: redelivery, ack_set: vec![-1, 5], consumer_epoch: Some(1),
        };
        let command = BaseCommand { message: Some(message), ..command::of_type(Type::Message) };
        let read = Incoming::read(&command.encode_to_vec());
        prop_assert_eq!(read, Ok(Incoming::Message { position: (ledger, number), redelivery: redelivery.unwrap_or(0) }));
        let receipt = proto::CommandSendReceipt {
            producer_id: 1, sequence_id: number, message_id: Some(message_id), highest_sequence_id: Some(ledger),
        };
        let command = BaseCommand { send_receipt: Some(receipt), ..command::of_type(Type::SendReceipt) };
        prop_assert_eq!(Incoming::read(&command.encode_to_vec()), Ok(Incoming::Receipt { sequence: number }));
    }

    #[test]
    fn other_commands_are_prosts(name in ".{0,9}", id in any::<u64>()) {
        let error = proto::CommandError { request_id: id, error: 11, message: name };
        let command = BaseCommand { error: Some(error), ..command::of_type(Type::Error) };
        prop_assert_eq!(Incoming::read(&command.encode_to_vec()), Ok(Incoming::Command(Box::new(command.clone()))));
        prop_assert_eq!(command::answers(&command), Some(id));
        prop_assert_eq!(command::refusal(&command).map(|(number, _)| number), Some(11));
    }

    #[test]
    fn a_batch_is_split_in_place(
        messages in vec((vec(any::<u8>(), 0..300), any::<bool>(), any::<bool>(), ".{0,5}"), 0..40), codec in 0..5_usize,
    ) {
        let codec = CODECS[codec];
        let framed: Vec<_> = messages.iter().map(|(payload, compacted, null, key)| {
            let metadata = SingleMessageMetadata {
                partition_key: Some(key.clone()), compacted_out: Some(*compacted), null_value: Some(*null), ..single(payload)
            };
            (metadata, payload.clone())
        }).collect();
        let body = batch(&framed);
        let metadata = MessageMetadata {
            publish_time: 7, compression: Some(codec.number()), num_messages_in_batch: i32::try_from(messages.len()).ok(),
            uncompressed_size: u32::try_from(body.len()).ok(), schema_version: Some(vec![0, 9]), ..Default::default()
        };
        let payload = entry(&metadata, &compressed(codec, &body));
        let head = peek(&payload).unwrap();
        prop_assert_eq!((head.uncompressed_size, head.messages), (body.len(), messages.len()));
        let kept: Vec<Vec<u8>> = messages.into_iter().filter(|(_, compacted, ..)| !compacted)
            .map(|(payload, _, null, _)| if null { Vec::new() } else { payload }).collect();
        prop_assert_eq!(payloads(&payload), Ok(kept.clone()));
        let opened = open(&payload, &mut Vec::new(), &mut Vec::new()).unwrap();
        prop_assert_eq!(opened.publish_time, 7);
        let version = opened.schema_version.unwrap();
        prop_assert_eq!(version.as_bytes(), [0, 9]);
        // The same with what a broker adds in front.
        let added = [&[0x0e, 0x02, 0, 0, 0, 2, 8, 1][..], &payload].concat();
        prop_assert_eq!(payloads(&added), Ok(kept));
    }

    #[test]
    fn a_changed_byte_is_a_wrong_checksum_or_not_there(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let metadata = MessageMetadata { producer_name: "p".into(), schema_version: Some(vec![1; 8]), ..Default::default() };
        let good = entry(&metadata, b"some payload");
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= 1 << bit;
        prop_assert_eq!(open(&bad, &mut Vec::new(), &mut Vec::new()), Err(Broken::Checksum));
    }

    #[test]
    fn what_is_sent_is_what_is_read(
        messages in vec(vec(any::<u8>(), 0..200), 1..30), codec in 0..5_usize, batched in any::<bool>(),
        sequence in any::<u64>(), schema_version in vec(any::<u8>(), 0..9),
    ) {
        let messages = if batched { messages } else { messages[..1].to_vec() };
        let head = Letterhead { producer: 3, name: "a name".into(), schema_version, codec: CODECS[codec] };
        let mut body = Body::new(batched);
        messages.iter().for_each(|payload| body.add(payload));
        let mut frame = vec![1, 2, 3];
        body.frame(&head, sequence, 1_234, &mut frame).unwrap();
        let mut inbox = Inbox::new(frame.len());
        inbox.room()[..frame.len()].copy_from_slice(&frame);
        inbox.filled(frame.len());
        let parts = inbox.take().unwrap().unwrap();
        let command = BaseCommand::decode(inbox.bytes(parts.command)).unwrap();
        let send = command.send.unwrap();
        prop_assert_eq!(command.r#type, Type::Send as i32);
        let count = batched.then(|| i32::try_from(messages.len()).unwrap());
        prop_assert_eq!((send.producer_id, send.sequence_id, send.num_messages), (3, sequence, count));
        let payload = inbox.bytes(parts.payload);
        prop_assert_eq!(payloads(payload), Ok(messages));
        let length = u32::from_be_bytes(payload[6..10].try_into().unwrap()) as usize;
        let metadata = MessageMetadata::decode(&payload[10..10 + length]).unwrap();
        prop_assert_eq!(&metadata.producer_name, "a name");
        prop_assert_eq!((metadata.sequence_id, metadata.publish_time), (sequence, 1_234));
        prop_assert_eq!(metadata.num_messages_in_batch, count);
        prop_assert_eq!(metadata.schema_version.unwrap_or_default(), head.schema_version);
    }

    #[test]
    fn frames_come_whole_however_they_are_cut(sizes in vec(0..3_000_usize, 1..40), reads in vec(1..2_000_usize, 1..50)) {
        let mut stream = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            stream.extend_from_slice(&u32::try_from(4 + 1 + size).unwrap().to_be_bytes());
            stream.extend_from_slice(&[0, 0, 0, 1, 8]);
            stream.extend(std::iter::repeat_n(u8::try_from(index).unwrap(), *size));
        }
        let mut inbox = Inbox::new(4_000);
        let (mut left, mut found) = (stream.as_slice(), Vec::new());
        for read in reads.iter().cycle() {
            let count = (*read).min(left.len()).min(inbox.room().len());
            inbox.room()[..count].copy_from_slice(&left[..count]);
            inbox.filled(count);
            left = &left[count..];
            while let Some(parts) = inbox.take().unwrap() {
                prop_assert_eq!(inbox.bytes(parts.command), [8]);
                let index = u8::try_from(found.len()).unwrap();
                prop_assert!(inbox.bytes(parts.payload.clone()).iter().all(|byte| *byte == index));
                found.push(parts.payload.len());
            }
            if left.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, sizes);
        prop_assert_eq!(inbox.waiting(), 0);
    }
}

#[test]
fn a_zlib_stream_need_not_end() {
    // As Java's client writes it: flushed, never finished.
    let bytes: Vec<u8> = (0..60_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    let mut body = Vec::with_capacity(2 * bytes.len());
    let mut stream = flate2::Compress::new(flate2::Compression::default(), true);
    stream.compress_vec(&bytes, &mut body, flate2::FlushCompress::Sync).unwrap();
    let mut room = vec![0; bytes.len()];
    Codec::Zlib.decompress(&body, &mut room).unwrap();
    assert_eq!(room, bytes);
    for size in [bytes.len() - 1, bytes.len() + 1] {
        assert!(Codec::Zlib.decompress(&body, &mut vec![0; size]).is_err(), "{size}");
    }
}

#[test]
fn one_message_and_a_batch_of_one_are_told_by_what_is_there() {
    let alone = MessageMetadata { producer_name: "p".into(), ..Default::default() };
    assert_eq!(payloads(&entry(&alone, b"alone")), Ok(vec![b"alone".to_vec()]));
    let framed = MessageMetadata { num_messages_in_batch: Some(1), ..alone.clone() };
    let body = batch(&[(single(b"framed"), b"framed".to_vec())]);
    assert_eq!(payloads(&entry(&framed, &body)), Ok(vec![b"framed".to_vec()]));
    let nothing = MessageMetadata { null_value: Some(true), compression: Some(1), ..alone.clone() };
    assert_eq!(payloads(&entry(&nothing, b"")), Ok(vec![Vec::new()]));
    let marker = MessageMetadata { marker_type: Some(1), ..alone };
    assert_eq!(payloads(&entry(&marker, b"the broker's own")), Ok(Vec::new()));
}

#[test]
fn what_cannot_be_read_is_named() {
    let alone = MessageMetadata { producer_name: "p".into(), ..Default::default() };
    let keys = proto::EncryptionKeys { key: "k".into(), value: vec![1], metadata: Vec::new() };
    let encrypted = MessageMetadata { encryption_keys: vec![keys], ..alone.clone() };
    assert_eq!(open(&entry(&encrypted, b"x"), &mut Vec::new(), &mut Vec::new()), Err(Broken::Encrypted));
    assert_eq!(peek(&entry(&encrypted, b"x")), Err(Broken::Encrypted));
    let chunk = MessageMetadata { num_chunks_from_msg: Some(3), ..alone.clone() };
    assert_eq!(open(&entry(&chunk, b"x"), &mut Vec::new(), &mut Vec::new()), Err(Broken::Chunked(3)));
    let whole = MessageMetadata { num_chunks_from_msg: Some(1), ..alone.clone() };
    assert_eq!(payloads(&entry(&whole, b"x")), Ok(vec![b"x".to_vec()]));
    let coded = |compression, size| MessageMetadata {
        compression: Some(compression),
        uncompressed_size: Some(size),
        ..alone.clone()
    };
    undecodable(&entry(&coded(5, 1), b"x"), "codec 5 is unknown");
    undecodable(&entry(&coded(1, u32::try_from(ENTRY_BYTES_MAX + 1).unwrap()), b"x"), "allowed are");
    for codec in &CODECS[1..] {
        let body = compressed(*codec, &[7; 100]);
        for size in [0, 99, 101, 5_000] {
            undecodable(&entry(&coded(codec.number(), size), &body), &codec.to_string());
        }
        // What a zlib stream ends with may be missing: its bytes have a checksum of their own.
        let cut = if *codec == Codec::Zlib { body.len() / 2 } else { body.len() - 1 };
        undecodable(&entry(&coded(codec.number(), 100), &body[..cut]), &codec.to_string());
        undecodable(&entry(&coded(codec.number(), 100), b""), &codec.to_string());
    }
    let long = MessageMetadata { schema_version: Some(vec![1; 17]), ..alone.clone() };
    undecodable(&entry(&long, b"x"), "17 bytes");
    let batched = |count| MessageMetadata { num_messages_in_batch: Some(count), ..alone.clone() };
    let two = batch(&[(single(b"one"), b"one".to_vec()), (single(b"two"), b"two".to_vec())]);
    undecodable(&entry(&batched(1), &two), "follow the last");
    undecodable(&entry(&batched(3), &two), "message 2 of 3");
    undecodable(&entry(&batched(-1), &two), "-1 messages");
    undecodable(&entry(&batched(i32::MAX), &two), "cannot be in");
    let negative = batch(&[(SingleMessageMetadata { payload_size: -1, ..Default::default() }, Vec::new())]);
    undecodable(&entry(&batched(1), &negative), "message 0 of 1");
    let mut garbled = entry(&alone, b"");
    garbled.truncate(6);
    garbled.extend_from_slice(&[0, 0, 0, 9]);
    garbled[2..6].copy_from_slice(&crc32c::crc32c(&[0, 0, 0, 9]).to_be_bytes());
    undecodable(&garbled, "no message");
    for cut in 0..6 {
        assert_eq!(peek(&garbled[..cut]), Err(Broken::Checksum));
    }
}

#[test]
fn frames_that_cannot_be_are_refused() {
    for (bytes, reason) in [
        (&[0, 0, 0, 3, 0, 0, 0, 0][..], "a frame of 3 bytes; allowed are 4 to 100"),
        (&[0, 0, 0, 101], "a frame of 101 bytes"),
        (b"HTTP/1.1 400", "a frame of 1213486160 bytes"),
        (&[0, 0, 0, 5, 0, 0, 0, 2, 8], "a command of 2 bytes in a frame of 5"),
    ] {
        let mut inbox = Inbox::new(100);
        inbox.room()[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
        let error = inbox.take().expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_large_frame_leaves_no_large_buffer() {
    let length = 2 * PULSAR_INBOX_KEPT_BYTES;
    let mut frame = u32::try_from(length - 4).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&[0, 0, 0, 0]);
    frame.resize(length, 5);
    let mut inbox = Inbox::new(length);
    let mut left = frame.as_slice();
    while !left.is_empty() {
        let count = inbox.room().len().min(left.len());
        inbox.room()[..count].copy_from_slice(&left[..count]);
        inbox.filled(count);
        left = &left[count..];
    }
    assert_eq!(inbox.take().unwrap().unwrap().payload.len(), length - 8);
    assert!(inbox.room().len() < PULSAR_INBOX_KEPT_BYTES);
}
