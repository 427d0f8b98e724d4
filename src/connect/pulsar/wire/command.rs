//! Commands to and from bytes. The one that comes with every entry is read by hand: the whole `BaseCommand` is 4.4 KB.

use prost::Message as _;
use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{self, BaseCommand};

use super::fields::{Fields, Garbled};
use super::frame::LENGTHS;

const TYPE: u32 = 1;
const SEND_RECEIPT: u32 = 7;
const MESSAGE: u32 = 9;

/// A command as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// An entry.
    Message {
        /// Its ledger and its number there.
        position: (u64, u64),
        /// How often it was delivered before, as far as the broker knows.
        redelivery: u32,
    },
    /// What was sent is stored.
    Receipt {
        /// The sequence id of the send.
        sequence: u64,
    },
    /// Anything else.
    Command(Box<BaseCommand>),
}

impl Incoming {
    /// Reads a command; the error is that it is none.
    #[inline]
    pub fn read(command: &[u8]) -> Result<Self, String> {
        let garbled = |_: Garbled| "a command that is no message".to_owned();
        match hot(command).map_err(garbled)? {
            Some(found) => Ok(found),
            None => BaseCommand::decode(command)
                .map(|command| Incoming::Command(Box::new(command)))
                .map_err(|error| format!("a command that is no message: {error}")),
        }
    }
}

/// Reads the commands that come by the thousand; none where it is another.
#[inline]
fn hot(command: &[u8]) -> Result<Option<Incoming>, Garbled> {
    let mut fields = Fields::of(command);
    let (mut kind, mut body) = (None, None);
    while let Some((number, value)) = fields.next()? {
        match number {
            TYPE => kind = Some(value.number()?),
            MESSAGE | SEND_RECEIPT if body.is_none() => body = Some((number, value.message()?)),
            // More than a type and its command, or another one.
            _ => return Ok(None),
        }
    }
    match (kind, body) {
        (Some(9), Some((MESSAGE, body))) => message(body).map(Some),
        (Some(7), Some((SEND_RECEIPT, body))) => receipt(body).map(Some),
        _ => Ok(None),
    }
}

fn message(body: &[u8]) -> Result<Incoming, Garbled> {
    let (mut position, mut redelivery) = (None, 0);
    let mut fields = Fields::of(body);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => position = Some(place(value.message()?)?),
            3 => redelivery = value.int32()?.cast_unsigned(),
            _ => {}
        }
    }
    Ok(Incoming::Message { position: position.ok_or(Garbled)?, redelivery })
}

fn place(id: &[u8]) -> Result<(u64, u64), Garbled> {
    let mut found = (0, 0);
    let mut fields = Fields::of(id);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => found.0 = value.number()?,
            2 => found.1 = value.number()?,
            _ => {}
        }
    }
    Ok(found)
}

fn receipt(body: &[u8]) -> Result<Incoming, Garbled> {
    let mut sequence = 0;
    let mut fields = Fields::of(body);
    while let Some((number, value)) = fields.next()? {
        if number == 2 {
            sequence = value.number()?;
        }
    }
    Ok(Incoming::Receipt { sequence })
}

/// Appends a command as a frame.
pub fn frame(command: &BaseCommand, out: &mut Vec<u8>) {
    let length = command.encoded_len();
    out.reserve(LENGTHS + length);
    // A command is some kilobytes at most: the longest holds a schema.
    let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&word(4 + length));
    out.extend_from_slice(&word(length));
    command.encode(out).expect("a vector has room for all that is put into it");
}

/// An empty command of a type.
pub fn of_type(kind: Type) -> BaseCommand {
    BaseCommand { r#type: kind as i32, ..BaseCommand::default() }
}

/// The answer to a PING.
pub fn pong() -> BaseCommand {
    BaseCommand { pong: Some(proto::CommandPong {}), ..of_type(Type::Pong) }
}

/// A question whether the broker is there.
pub fn ping() -> BaseCommand {
    BaseCommand { ping: Some(proto::CommandPing {}), ..of_type(Type::Ping) }
}

/// The request id that a command carries, to be filled in; none where it has none.
pub fn request_id(command: &mut BaseCommand) -> Option<&mut u64> {
    match Type::try_from(command.r#type).ok()? {
        Type::Subscribe => command.subscribe.as_mut().map(|c| &mut c.request_id),
        Type::Producer => command.producer.as_mut().map(|c| &mut c.request_id),
        Type::Lookup => command.lookup_topic.as_mut().map(|c| &mut c.request_id),
        Type::PartitionedMetadata => command.partition_metadata.as_mut().map(|c| &mut c.request_id),
        Type::GetLastMessageId => command.get_last_message_id.as_mut().map(|c| &mut c.request_id),
        Type::GetSchema => command.get_schema.as_mut().map(|c| &mut c.request_id),
        Type::GetOrCreateSchema => command.get_or_create_schema.as_mut().map(|c| &mut c.request_id),
        Type::CloseConsumer => command.close_consumer.as_mut().map(|c| &mut c.request_id),
        Type::CloseProducer => command.close_producer.as_mut().map(|c| &mut c.request_id),
        Type::Unsubscribe => command.unsubscribe.as_mut().map(|c| &mut c.request_id),
        Type::Seek => command.seek.as_mut().map(|c| &mut c.request_id),
        Type::Ack => command.ack.as_mut().map(|c| c.request_id.get_or_insert(0)),
        _ => None,
    }
}

/// The request that a command answers.
pub fn answers(command: &BaseCommand) -> Option<u64> {
    match Type::try_from(command.r#type).ok()? {
        Type::Success => command.success.as_ref().map(|c| c.request_id),
        Type::Error => command.error.as_ref().map(|c| c.request_id),
        Type::ProducerSuccess => command.producer_success.as_ref().map(|c| c.request_id),
        Type::LookupResponse => command.lookup_topic_response.as_ref().map(|c| c.request_id),
        Type::PartitionedMetadataResponse => command.partition_metadata_response.as_ref().map(|c| c.request_id),
        Type::GetLastMessageIdResponse => command.get_last_message_id_response.as_ref().map(|c| c.request_id),
        Type::GetSchemaResponse => command.get_schema_response.as_ref().map(|c| c.request_id),
        Type::GetOrCreateSchemaResponse => command.get_or_create_schema_response.as_ref().map(|c| c.request_id),
        Type::AckResponse => command.ack_response.as_ref().and_then(|c| c.request_id),
        _ => None,
    }
}

/// What a command refuses, in the error's number and the broker's words; none where it refuses nothing.
pub fn refusal(command: &BaseCommand) -> Option<(i32, String)> {
    let said = |number: Option<i32>, words: &Option<String>| Some((number?, words.clone().unwrap_or_default()));
    match Type::try_from(command.r#type).ok()? {
        Type::Error => command.error.as_ref().map(|c| (c.error, c.message.clone())),
        Type::SendError => command.send_error.as_ref().map(|c| (c.error, c.message.clone())),
        Type::LookupResponse => command.lookup_topic_response.as_ref().and_then(|c| said(c.error, &c.message)),
        Type::PartitionedMetadataResponse => {
            command.partition_metadata_response.as_ref().and_then(|c| said(c.error, &c.message))
        }
        Type::GetSchemaResponse => {
            command.get_schema_response.as_ref().and_then(|c| said(c.error_code, &c.error_message))
        }
        Type::GetOrCreateSchemaResponse => {
            command.get_or_create_schema_response.as_ref().and_then(|c| said(c.error_code, &c.error_message))
        }
        Type::AckResponse => command.ack_response.as_ref().and_then(|c| said(c.error, &c.message)),
        _ => None,
    }
}
