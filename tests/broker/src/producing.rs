//! PRODUCER, SEND, and the schemas of a topic.

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{
    BaseCommand, CommandCloseProducer, CommandGetOrCreateSchema, CommandGetOrCreateSchemaResponse, CommandGetSchema,
    CommandGetSchemaResponse, CommandProducer, CommandProducerSuccess, CommandSend, CommandSendError,
    CommandSendReceipt, Schema, ServerError,
};

use crate::consuming::partition_index;
use crate::entry;
use crate::frame::command;
use crate::topic::{Position, Stored, Topic};
use crate::world::{Producer, World};

/// The number of a version as the broker writes it.
fn version_bytes(version: usize) -> Vec<u8> {
    (version as u64).to_be_bytes().to_vec()
}

impl Topic {
    /// The version of a schema, a new one where it is not there yet. Nothing is checked for compatibility.
    pub(crate) fn register(&mut self, kind: i32, text: &[u8]) -> Vec<u8> {
        let same = |schema: &Option<(i32, Vec<u8>)>| schema.as_ref().is_some_and(|(k, t)| *k == kind && t == text);
        let version = self.schemas.iter().position(same).unwrap_or_else(|| {
            self.schemas.push(Some((kind, text.to_vec())));
            self.schemas.len() - 1
        });
        version_bytes(version)
    }

    /// The schema of a version, or the latest, with its version.
    fn schema(&self, version: Option<&[u8]>) -> Option<(Vec<u8>, i32, Vec<u8>)> {
        let number = match version {
            Some(bytes) => u64::from_be_bytes(bytes.try_into().ok()?) as usize,
            None => self.schemas.len().checked_sub(1)?,
        };
        let (kind, text) = self.schemas.get(number)?.clone()?;
        Some((version_bytes(number), kind, text))
    }
}

impl World {
    /// Appends an entry; begins a new ledger where the open one is full, and drops those nobody needs.
    pub(crate) fn append(&mut self, name: &str, bytes: &[u8]) -> Option<Position> {
        let full = self.topics.get(name)?.open_entries() >= self.settings.ledger_entries;
        if full {
            let ledger = self.new_ledger();
            let retain = self.settings.retain;
            let topic = self.topics.get_mut(name)?;
            topic.roll(ledger);
            if !retain {
                topic.trim();
            }
        }
        Some(self.topics.get_mut(name)?.append(Stored::of(bytes)))
    }

    pub(crate) fn open_producer(&mut self, number: u64, asked: CommandProducer) {
        if !self.topics.contains_key(&asked.topic) {
            let message = format!("Topic {} does not exist", asked.topic);
            return self.refuse(number, asked.request_id, ServerError::TopicNotFound, &message);
        }
        if !self.served.contains(&asked.topic) {
            let message = "Namespace bundle for topic not served by this instance. Please redo the lookup.";
            return self.refuse(number, asked.request_id, ServerError::ServiceNotReady, message);
        }
        let name = asked.producer_name.unwrap_or_else(|| format!("double-0-{number}-{}", asked.producer_id));
        let taken = |producer: &Producer| producer.topic == asked.topic && producer.name == name;
        if self.sessions.values().any(|session| session.producers.values().any(taken)) {
            let message = format!("Producer with name '{name}' is already connected to topic");
            return self.refuse(number, asked.request_id, ServerError::ProducerBusy, &message);
        }
        let Some(topic) = self.schema_owner_mut(&asked.topic) else { return };
        let version = asked.schema.map(|schema| topic.register(schema.r#type, &schema.schema_data));
        if let Some(session) = self.sessions.get_mut(&number) {
            session.producers.insert(asked.producer_id, Producer { topic: asked.topic, name: name.clone() });
        }
        let success = CommandProducerSuccess {
            request_id: asked.request_id,
            producer_name: name,
            last_sequence_id: Some(-1),
            schema_version: version,
            ..CommandProducerSuccess::default()
        };
        self.answer(number, &command(Type::ProducerSuccess, |made| made.producer_success = Some(success)));
    }

    /// A SEND of an unknown producer is dropped; one with a wrong checksum is refused.
    pub(crate) fn send(&mut self, number: u64, send: &CommandSend, payload: &[u8]) {
        let session = self.sessions.get(&number);
        let Some(producer) = session.and_then(|session| session.producers.get(&send.producer_id)) else { return };
        if !entry::sound(payload) {
            return self.refuse_send(number, send, ServerError::ChecksumError, "Checksum failed on the broker");
        }
        let topic = producer.topic.clone();
        let Some(position) = self.append(&topic, payload) else { return };
        let receipt = CommandSendReceipt {
            producer_id: send.producer_id,
            sequence_id: send.sequence_id,
            message_id: Some(position.id(partition_index(&topic))),
            highest_sequence_id: send.highest_sequence_id,
        };
        self.answer(number, &command(Type::SendReceipt, |made| made.send_receipt = Some(receipt)));
        self.dispatch_topic(&topic);
    }

    pub(crate) fn refuse_send(&mut self, number: u64, send: &CommandSend, error: ServerError, message: &str) {
        let refusal = CommandSendError {
            producer_id: send.producer_id,
            sequence_id: send.sequence_id,
            error: error as i32,
            message: message.to_owned(),
        };
        self.answer(number, &command(Type::SendError, |made| made.send_error = Some(refusal)));
    }

    pub(crate) fn close_producer(&mut self, number: u64, asked: &CommandCloseProducer) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.producers.remove(&asked.producer_id);
        }
        self.succeed(number, asked.request_id);
    }

    /// Asked on a bare connection; partitions have the schemas of their topic.
    pub(crate) fn get_schema(&mut self, number: u64, asked: &CommandGetSchema) {
        let found = self.schema_owner(&asked.topic).and_then(|topic| topic.schema(asked.schema_version.as_deref()));
        let mut answer =
            CommandGetSchemaResponse { request_id: asked.request_id, ..CommandGetSchemaResponse::default() };
        match found {
            Some((version, kind, text)) => {
                answer.schema_version = Some(version);
                let name = asked.topic.rsplit('/').next().unwrap_or_default().to_owned();
                answer.schema = Some(Schema { name, schema_data: text, r#type: kind, properties: Vec::new() });
            }
            None => {
                answer.error_code = Some(ServerError::TopicNotFound as i32);
                answer.error_message = Some("Topic not found or no-schema".to_owned());
            }
        }
        self.answer(number, &command(Type::GetSchemaResponse, |made| made.get_schema_response = Some(answer)));
    }

    pub(crate) fn create_schema(&mut self, number: u64, asked: CommandGetOrCreateSchema) {
        let mut answer = CommandGetOrCreateSchemaResponse {
            request_id: asked.request_id,
            ..CommandGetOrCreateSchemaResponse::default()
        };
        match self.schema_owner_mut(&asked.topic) {
            Some(topic) => answer.schema_version = Some(topic.register(asked.schema.r#type, &asked.schema.schema_data)),
            None => {
                answer.error_code = Some(ServerError::TopicNotFound as i32);
                answer.error_message = Some("Topic not found".to_owned());
            }
        }
        let fill = |made: &mut BaseCommand| made.get_or_create_schema_response = Some(answer);
        self.answer(number, &command(Type::GetOrCreateSchemaResponse, fill));
    }

    /// The schemas of a partitioned topic are kept at its first partition, whichever one is named.
    pub(crate) fn schema_owner_name(&self, topic: &str) -> String {
        let parent = topic.rsplit_once("-partition-").map_or(topic, |(parent, _)| parent);
        if self.partitioned.contains_key(parent) { format!("{parent}-partition-0") } else { topic.to_owned() }
    }

    fn schema_owner(&self, topic: &str) -> Option<&Topic> {
        self.topics.get(&self.schema_owner_name(topic))
    }

    pub(crate) fn schema_owner_mut(&mut self, topic: &str) -> Option<&mut Topic> {
        self.topics.get_mut(&self.schema_owner_name(topic))
    }
}
