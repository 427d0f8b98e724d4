//! SUBSCRIBE, ACK, SEEK and the rest of a consumer's commands.

use std::time::Instant;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_ack::AckType;
use pulsar::message::proto::command_subscribe::{InitialPosition, SubType};
use pulsar::message::proto::{
    CommandAck, CommandAckResponse, CommandCloseConsumer, CommandFlow, CommandGetLastMessageId,
    CommandGetLastMessageIdResponse, CommandSeek, CommandSubscribe, CommandUnsubscribe, ServerError,
};

use crate::faults::Fault;
use crate::frame::command;
use crate::topic::{Cursor, Holder, Position};
use crate::world::{Consumer, Waiting, World};

/// The index that a topic's name ends with, -1 where it is no partition.
pub(crate) fn partition_index(topic: &str) -> i32 {
    topic.rsplit_once("-partition-").and_then(|(_, index)| index.parse().ok()).unwrap_or(-1)
}

impl World {
    /// Looks at all that can be wrong with a SUBSCRIBE at once; who is in the way may first show that he is alive.
    pub(crate) fn ask_subscribe(&mut self, number: u64, asked: CommandSubscribe) {
        if !self.topics.contains_key(&asked.topic) {
            let message = format!("Topic {} does not exist", asked.topic);
            return self.refuse(number, asked.request_id, ServerError::TopicNotFound, &message);
        }
        if !self.served.contains(&asked.topic) {
            let message = "Namespace bundle for topic not served by this instance. Please redo the lookup.";
            return self.refuse(number, asked.request_id, ServerError::ServiceNotReady, message);
        }
        if asked.durable == Some(false) {
            let message = "the double serves durable subscriptions only";
            return self.refuse(number, asked.request_id, ServerError::UnknownError, message);
        }
        let fallen = |fault: &Fault| match fault {
            Fault::Cursor(position) => Some(*position),
            _ => None,
        };
        if let Some(position) = self.faults.take(Some(&asked.topic), fallen) {
            self.move_cursor(&asked.topic, &asked.subscription, position);
        }
        match self.holder(&asked.topic, &asked.subscription) {
            None => self.subscribe(number, asked),
            Some(Holder::Session { session, consumer }) if session == number && consumer == asked.consumer_id => {
                self.succeed(number, asked.request_id);
            }
            Some(_) if asked.sub_type != SubType::Exclusive as i32 => {
                let message = "Subscription is of different type";
                self.refuse(number, asked.request_id, ServerError::ConsumerBusy, message);
            }
            Some(Holder::Session { session, .. }) if session != number => self.wait_for_holder(number, session, asked),
            Some(_) => self.busy(number, asked.request_id),
        }
    }

    fn holder(&self, topic: &str, subscription: &str) -> Option<Holder> {
        self.topics.get(topic)?.cursors.get(subscription)?.holder
    }

    fn wait_for_holder(&mut self, number: u64, holder: u64, subscribe: CommandSubscribe) {
        if let Some(other) = self.sessions.get_mut(&holder) {
            other.ping();
        }
        if let Some(session) = self.sessions.get_mut(&number) {
            session.waiting.push(Waiting { subscribe, holder, since: Instant::now() });
        }
    }

    pub(crate) fn busy(&mut self, number: u64, request_id: u64) {
        let message = "Exclusive consumer is already connected";
        self.refuse(number, request_id, ServerError::ConsumerBusy, message);
    }

    /// Makes the consumer, and the cursor where there is none yet.
    pub(crate) fn subscribe(&mut self, number: u64, asked: CommandSubscribe) {
        let silent = |fault: &Fault| (*fault == Fault::Silence).then_some(());
        let silent = self.faults.take(Some(&asked.topic), silent).is_some();
        let Some(topic) = self.topics.get_mut(&asked.topic) else { return };
        let earliest = asked.initial_position == Some(InitialPosition::Earliest as i32);
        let start = if earliest { topic.beginning() } else { topic.end() };
        let cursor = topic.cursors.entry(asked.subscription.clone()).or_insert_with(|| Cursor::new(start));
        cursor.holder = Some(Holder::Session { session: number, consumer: asked.consumer_id });
        let consumer =
            Consumer { topic: asked.topic, subscription: asked.subscription, permits: 0, read: cursor.mark, silent };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.consumers.insert(asked.consumer_id, consumer);
        }
        self.succeed(number, asked.request_id);
    }

    /// Puts a cursor somewhere else, as an administrator may; its consumer reads on where it was.
    pub(crate) fn move_cursor(&mut self, topic: &str, subscription: &str, mark: Position) {
        let Some(topic) = self.topics.get_mut(topic) else { return };
        let cursor = topic.cursors.entry(subscription.to_owned()).or_insert_with(|| Cursor::new(mark));
        cursor.mark = mark;
        cursor.keep();
    }

    /// A FLOW for a consumer that is not there is dropped without a word.
    pub(crate) fn flow(&mut self, number: u64, flow: &CommandFlow) {
        let session = self.sessions.get_mut(&number);
        let Some(consumer) = session.and_then(|session| session.consumers.get_mut(&flow.consumer_id)) else { return };
        consumer.permits += i64::from(flow.message_permits);
        let most = self.record.permits_max.entry(consumer.topic.clone()).or_default();
        *most = consumer.permits.max(*most);
    }

    /// An ACK for an unknown consumer is not answered; any other is, whatever came of it.
    pub(crate) fn acknowledge(&mut self, number: u64, ack: &CommandAck) {
        let period = self.settings.cursor_period;
        let session = self.sessions.get(&number);
        let Some(consumer) = session.and_then(|session| session.consumers.get(&ack.consumer_id)) else { return };
        if ack.ack_type == AckType::Cumulative as i32
            && let Some(id) = ack.message_id.first()
            && let Some(topic) = self.topics.get_mut(&consumer.topic)
        {
            topic.acknowledge(&consumer.subscription, Position::of(id), period);
        }
        if ack.request_id.is_some() {
            let receipt = CommandAckResponse {
                consumer_id: ack.consumer_id,
                request_id: ack.request_id,
                ..CommandAckResponse::default()
            };
            self.answer(number, &command(Type::AckResponse, |made| made.ack_response = Some(receipt)));
        }
    }

    /// The topic and subscription of a consumer; refuses the request where there is none.
    fn known(&mut self, number: u64, consumer: u64, request_id: u64) -> Option<(String, String)> {
        let found = self.sessions.get(&number).and_then(|session| session.consumers.get(&consumer));
        let names = found.map(|consumer| (consumer.topic.clone(), consumer.subscription.clone()));
        if names.is_none() {
            self.refuse(number, request_id, ServerError::MetadataError, "Consumer not found");
        }
        names
    }

    /// Inclusive; the consumer is sent away, the connection stays.
    pub(crate) fn seek(&mut self, number: u64, seek: &CommandSeek) {
        let Some((name, subscription)) = self.known(number, seek.consumer_id, seek.request_id) else { return };
        let Some(topic) = self.topics.get(&name) else { return };
        let mark = match (&seek.message_id, seek.message_publish_time) {
            (Some(id), _) => topic.before(Position::of(id)),
            (None, Some(time)) => topic.before_time(time),
            (None, None) => {
                let message = "Message id and message publish time were not present";
                return self.refuse(number, seek.request_id, ServerError::MetadataError, message);
            }
        };
        self.move_cursor(&name, &subscription, mark);
        if self.settings.success_before_close {
            self.succeed(number, seek.request_id);
            self.dismiss(number, seek.consumer_id);
        } else {
            self.dismiss(number, seek.consumer_id);
            self.succeed(number, seek.request_id);
        }
    }

    pub(crate) fn last_message_id(&mut self, number: u64, asked: &CommandGetLastMessageId) {
        let Some((name, subscription)) = self.known(number, asked.consumer_id, asked.request_id) else { return };
        let Some(topic) = self.topics.get(&name) else { return };
        let partition = partition_index(&name);
        let (position, batch_index) = match topic.last() {
            Some((position, stored)) if stored.batch => (position, stored.messages as i32 - 1),
            Some((position, _)) => (position, -1),
            None => (Position::NONE, -1),
        };
        let mut last = position.id(partition);
        last.batch_index = Some(batch_index);
        let mark = topic.cursors.get(&subscription).map(|cursor| cursor.mark.id(partition));
        let answer = CommandGetLastMessageIdResponse {
            last_message_id: last,
            request_id: asked.request_id,
            consumer_mark_delete_position: mark,
        };
        let fill = |made: &mut pulsar::message::proto::BaseCommand| made.get_last_message_id_response = Some(answer);
        self.answer(number, &command(Type::GetLastMessageIdResponse, fill));
    }

    pub(crate) fn close_consumer(&mut self, number: u64, asked: &CommandCloseConsumer) {
        self.release(number, asked.consumer_id);
        self.succeed(number, asked.request_id);
    }

    pub(crate) fn unsubscribe(&mut self, number: u64, asked: &CommandUnsubscribe) {
        let Some((name, subscription)) = self.known(number, asked.consumer_id, asked.request_id) else { return };
        self.release(number, asked.consumer_id);
        if let Some(topic) = self.topics.get_mut(&name) {
            topic.cursors.remove(&subscription);
        }
        self.succeed(number, asked.request_id);
    }
}
