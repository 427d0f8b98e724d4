//! One command of one client, and its answer.

use std::time::Instant;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_lookup_topic_response::LookupType;
use pulsar::message::proto::command_partitioned_topic_metadata_response::LookupType as Counted;
use pulsar::message::proto::{
    BaseCommand, CommandAckResponse, CommandConnect, CommandConnected, CommandError, CommandGetSchemaResponse,
    CommandLookupTopic, CommandLookupTopicResponse, CommandPartitionedTopicMetadata,
    CommandPartitionedTopicMetadataResponse, CommandPong, CommandSuccess, ServerError,
};

use crate::faults::{Fault, Reply};
use crate::frame::{command, frame};
use crate::record::Asked;
use crate::world::World;

/// The newest protocol that the broker speaks.
const PROTOCOL: i32 = 21;

impl World {
    /// Serves one command.
    pub(crate) fn serve(&mut self, number: u64, read: u64, asked: BaseCommand, payload: &[u8]) {
        let Some(session) = self.sessions.get_mut(&number).filter(|session| !session.closing) else { return };
        session.heard();
        let Ok(kind) = Type::try_from(asked.r#type) else { return self.close_session(number) };
        if !session.connected && kind != Type::Connect {
            return self.close_session(number);
        }
        let topic = self.topic_of(number, &asked);
        if kind == Type::Send {
            self.record.sends += 1;
        } else {
            let (at, topic, command) = (Instant::now(), topic.clone(), asked.clone());
            self.record.asked.push(Asked { at, connection: number, read, kind, topic, command });
        }
        let swallowed = |fault: &Fault| (*fault == Fault::Swallowed(kind)).then_some(());
        if self.faults.take(topic.as_deref(), swallowed).is_some() {
            return;
        }
        let replied = |fault: &Fault| match fault {
            Fault::Answer(of, reply) if *of == kind => Some(*reply),
            _ => None,
        };
        let reply = self.faults.take(topic.as_deref(), replied);
        if let Some(Reply::Error(error)) = reply {
            return self.refuse_command(number, kind, &asked, error, "as the test asked");
        }
        if let Some(session) = self.sessions.get_mut(&number) {
            session.reply = reply;
        }
        self.obey(number, kind, asked, payload);
        if let Some(session) = self.sessions.get_mut(&number) {
            session.reply = None;
        }
        self.dispatch(number);
    }

    fn obey(&mut self, number: u64, kind: Type, asked: BaseCommand, payload: &[u8]) {
        let BaseCommand { connect, partition_metadata, lookup_topic, subscribe, flow, ack, seek, .. } = asked;
        match kind {
            Type::Connect => self.connect(number, &connect.unwrap_or_default()),
            Type::Ping => self.answer(number, &command(Type::Pong, |made| made.pong = Some(CommandPong {}))),
            Type::Pong => self.pong(number),
            Type::AuthResponse => {
                let data = asked.auth_response.and_then(|it| it.response).and_then(|it| it.auth_data);
                if !self.lets_in(data.as_deref()) {
                    self.close_session(number);
                }
            }
            Type::PartitionedMetadata => self.count_partitions(number, &partition_metadata.unwrap_or_default()),
            Type::Lookup => self.look_up(number, lookup_topic.unwrap_or_default()),
            Type::Subscribe => self.ask_subscribe(number, subscribe.unwrap_or_default()),
            Type::Flow => self.flow(number, &flow.unwrap_or_default()),
            Type::Ack => self.acknowledge(number, &ack.unwrap_or_default()),
            Type::Seek => self.seek(number, &seek.unwrap_or_default()),
            Type::GetLastMessageId => self.last_message_id(number, &asked.get_last_message_id.unwrap_or_default()),
            Type::CloseConsumer => self.close_consumer(number, &asked.close_consumer.unwrap_or_default()),
            Type::Unsubscribe => self.unsubscribe(number, &asked.unsubscribe.unwrap_or_default()),
            Type::GetSchema => self.get_schema(number, &asked.get_schema.unwrap_or_default()),
            Type::GetOrCreateSchema => self.create_schema(number, asked.get_or_create_schema.unwrap_or_default()),
            Type::Producer => self.open_producer(number, asked.producer.unwrap_or_default()),
            Type::Send => self.send(number, &asked.send.unwrap_or_default(), payload),
            Type::CloseProducer => self.close_producer(number, &asked.close_producer.unwrap_or_default()),
            _ => self.close_session(number),
        }
    }

    /// The topic that a command speaks of.
    fn topic_of(&self, number: u64, asked: &BaseCommand) -> Option<String> {
        let named = [
            asked.lookup_topic.as_ref().map(|it| &it.topic),
            asked.partition_metadata.as_ref().map(|it| &it.topic),
            asked.subscribe.as_ref().map(|it| &it.topic),
            asked.producer.as_ref().map(|it| &it.topic),
            asked.get_schema.as_ref().map(|it| &it.topic),
            asked.get_or_create_schema.as_ref().map(|it| &it.topic),
        ];
        if let Some(topic) = named.into_iter().flatten().next() {
            return Some(topic.clone());
        }
        let consumers = [
            asked.ack.as_ref().map(|it| it.consumer_id),
            asked.flow.as_ref().map(|it| it.consumer_id),
            asked.seek.as_ref().map(|it| it.consumer_id),
            asked.get_last_message_id.as_ref().map(|it| it.consumer_id),
            asked.close_consumer.as_ref().map(|it| it.consumer_id),
            asked.unsubscribe.as_ref().map(|it| it.consumer_id),
        ];
        let session = self.sessions.get(&number)?;
        if let Some(send) = &asked.send {
            return Some(session.producers.get(&send.producer_id)?.topic.clone());
        }
        let consumer = consumers.into_iter().flatten().next()?;
        Some(session.consumers.get(&consumer)?.topic.clone())
    }

    /// Sends an answer, or what a fault makes of it.
    pub(crate) fn answer(&mut self, number: u64, answer: &BaseCommand) {
        let Some(session) = self.sessions.get_mut(&number).filter(|session| !session.closing) else { return };
        let bytes = frame(answer, &[]);
        match session.reply.take() {
            None | Some(Reply::Error(_)) => session.push(bytes),
            Some(Reply::Nothing) => {}
            Some(Reply::Late(later)) => session.push_later(bytes, later),
            Some(Reply::Cut) => {
                session.push(bytes[..bytes.len() / 2].to_vec());
                self.close_session(number);
            }
            Some(Reply::Closed) => self.close_session(number),
            Some(Reply::Babble(babble)) => session.push(babble.bytes()),
        }
    }

    pub(crate) fn succeed(&mut self, number: u64, request_id: u64) {
        let success = CommandSuccess { request_id, schema: None };
        self.answer(number, &command(Type::Success, |made| made.success = Some(success)));
    }

    pub(crate) fn refuse(&mut self, number: u64, request_id: u64, error: ServerError, message: &str) {
        let refusal = CommandError { request_id, error: error as i32, message: message.to_owned() };
        self.answer(number, &command(Type::Error, |made| made.error = Some(refusal)));
    }

    /// Refuses a command in the form that its kind has for that.
    fn refuse_command(&mut self, number: u64, kind: Type, asked: &BaseCommand, error: ServerError, message: &str) {
        match kind {
            Type::Lookup => {
                let request_id = asked.lookup_topic.as_ref().map_or(0, |it| it.request_id);
                self.refuse_look_up(number, request_id, error, message);
            }
            Type::PartitionedMetadata => {
                let request_id = asked.partition_metadata.as_ref().map_or(0, |it| it.request_id);
                self.refuse_count(number, request_id, error, message);
            }
            Type::GetSchema => {
                let refusal = CommandGetSchemaResponse {
                    request_id: asked.get_schema.as_ref().map_or(0, |it| it.request_id),
                    error_code: Some(error as i32),
                    error_message: Some(message.to_owned()),
                    ..CommandGetSchemaResponse::default()
                };
                self.answer(number, &command(Type::GetSchemaResponse, |made| made.get_schema_response = Some(refusal)));
            }
            Type::Ack => {
                let ack = asked.ack.clone().unwrap_or_default();
                let refusal = CommandAckResponse {
                    consumer_id: ack.consumer_id,
                    error: Some(error as i32),
                    message: Some(message.to_owned()),
                    request_id: ack.request_id,
                    ..CommandAckResponse::default()
                };
                self.answer(number, &command(Type::AckResponse, |made| made.ack_response = Some(refusal)));
            }
            Type::Send => self.refuse_send(number, &asked.send.unwrap_or_default(), error, message),
            Type::Connect => {
                self.refuse(number, u64::MAX, error, message);
                self.close_session(number);
            }
            _ => self.refuse(number, request_id(asked), error, message),
        }
    }

    fn lets_in(&self, data: Option<&[u8]>) -> bool {
        self.settings.token.as_ref().is_none_or(|token| data == Some(token.as_bytes()))
    }

    fn connect(&mut self, number: u64, connect: &CommandConnect) {
        if !self.lets_in(connect.auth_data.as_deref()) {
            self.refuse(number, u64::MAX, ServerError::AuthenticationError, "Failed to authenticate");
            return self.close_session(number);
        }
        if let Some(session) = self.sessions.get_mut(&number) {
            session.connected = true;
        }
        let connected = CommandConnected {
            server_version: "Pulsar Server".to_owned(),
            protocol_version: Some(connect.protocol_version.unwrap_or(0).min(PROTOCOL)),
            max_message_size: Some(self.settings.max_message_size as i32),
        };
        self.answer(number, &command(Type::Connected, |made| made.connected = Some(connected)));
    }

    fn pong(&mut self, number: u64) {
        let pinged = self.sessions.get_mut(&number).and_then(|session| session.pinged.take());
        self.record.pongs.extend(pinged.map(|at| at.elapsed()));
    }

    fn count_partitions(&mut self, number: u64, asked: &CommandPartitionedTopicMetadata) {
        let count = match self.partitioned.get(&asked.topic) {
            Some(count) => *count,
            None if self.topics.contains_key(&asked.topic) => 0,
            None => {
                let message = "Topic not found";
                return self.refuse_count(number, asked.request_id, ServerError::TopicNotFound, message);
            }
        };
        let counted = CommandPartitionedTopicMetadataResponse {
            partitions: Some(count),
            request_id: asked.request_id,
            response: Some(Counted::Success as i32),
            ..CommandPartitionedTopicMetadataResponse::default()
        };
        let fill = |made: &mut BaseCommand| made.partition_metadata_response = Some(counted);
        self.answer(number, &command(Type::PartitionedMetadataResponse, fill));
    }

    fn refuse_count(&mut self, number: u64, request_id: u64, error: ServerError, message: &str) {
        let refusal = CommandPartitionedTopicMetadataResponse {
            request_id,
            response: Some(Counted::Failed as i32),
            error: Some(error as i32),
            message: Some(message.to_owned()),
            ..CommandPartitionedTopicMetadataResponse::default()
        };
        let fill = |made: &mut BaseCommand| made.partition_metadata_response = Some(refusal);
        self.answer(number, &command(Type::PartitionedMetadataResponse, fill));
    }

    /// A topic that does not exist is looked up as well as any other; that is found out later.
    fn look_up(&mut self, number: u64, asked: CommandLookupTopic) {
        let elsewhere = |fault: &Fault| match fault {
            Fault::Redirected(to) => Some((LookupType::Redirect, to.clone(), false)),
            Fault::Proxied(to) => Some((LookupType::Connect, Some(to.clone()), true)),
            _ => None,
        };
        let own = format!("pulsar://127.0.0.1:{}", self.port);
        let taken = self.faults.take(Some(&asked.topic), elsewhere);
        let (response, to, proxied) = taken.unwrap_or((LookupType::Connect, None, false));
        if response == LookupType::Connect {
            self.served.insert(asked.topic);
        }
        let found = CommandLookupTopicResponse {
            broker_service_url: Some(to.unwrap_or(own)),
            response: Some(response as i32),
            request_id: asked.request_id,
            authoritative: Some(true),
            proxy_through_service_url: Some(proxied),
            ..CommandLookupTopicResponse::default()
        };
        self.answer(number, &command(Type::LookupResponse, |made| made.lookup_topic_response = Some(found)));
    }

    fn refuse_look_up(&mut self, number: u64, request_id: u64, error: ServerError, message: &str) {
        let refusal = CommandLookupTopicResponse {
            response: Some(LookupType::Failed as i32),
            request_id,
            error: Some(error as i32),
            message: Some(message.to_owned()),
            ..CommandLookupTopicResponse::default()
        };
        self.answer(number, &command(Type::LookupResponse, |made| made.lookup_topic_response = Some(refusal)));
    }
}

/// The request's number of the commands that are refused by a plain ERROR.
fn request_id(asked: &BaseCommand) -> u64 {
    let all = [
        asked.subscribe.as_ref().map(|it| it.request_id),
        asked.producer.as_ref().map(|it| it.request_id),
        asked.seek.as_ref().map(|it| it.request_id),
        asked.get_last_message_id.as_ref().map(|it| it.request_id),
        asked.close_consumer.as_ref().map(|it| it.request_id),
        asked.close_producer.as_ref().map(|it| it.request_id),
        asked.unsubscribe.as_ref().map(|it| it.request_id),
        asked.get_or_create_schema.as_ref().map(|it| it.request_id),
    ];
    all.into_iter().flatten().next().unwrap_or(u64::MAX)
}
