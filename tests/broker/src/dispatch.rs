//! Entries on their way to consumers, and what may happen to them there.

use std::sync::Arc;

use pulsar::message::proto::CommandMessage;
use pulsar::message::proto::base_command::Type;

use crate::consuming::partition_index;
use crate::faults::{Damage, Fault};
use crate::frame::{command, frame};
use crate::topic::Position;
use crate::world::World;

/// One entry for one consumer.
struct Delivery {
    topic: String,
    consumer: u64,
    position: Position,
    bytes: Arc<[u8]>,
}

impl Delivery {
    fn frame(&self, consumer: u64, payload: &[u8]) -> Vec<u8> {
        let message = CommandMessage {
            consumer_id: consumer,
            message_id: self.position.id(partition_index(&self.topic)),
            redelivery_count: Some(0),
            ..CommandMessage::default()
        };
        frame(&command(Type::Message, |made| made.message = Some(message)), payload)
    }
}

impl World {
    /// Gives all consumers of a topic what they may have.
    pub(crate) fn dispatch_topic(&mut self, topic: &str) {
        for (number, _) in self.consumers_of(topic) {
            self.dispatch(number);
        }
    }

    /// Gives the consumers of a session what they may have. Permits count messages, a dispatch counts entries: 7 permits bring 7
    /// entries of any size, and what was too much is owed.
    pub(crate) fn dispatch(&mut self, number: u64) {
        let Some(session) = self.sessions.get(&number) else { return };
        let consumers: Vec<u64> = session.consumers.keys().copied().collect();
        for consumer in consumers {
            while self.read(number, consumer) {}
        }
    }

    /// One read for one consumer; whether there may be another.
    fn read(&mut self, number: u64, consumer: u64) -> bool {
        let (entries, bytes) = (self.settings.dispatch_entries, self.settings.dispatch_bytes);
        let Some(session) = self.sessions.get(&number) else { return false };
        if session.closing || session.half_open || session.out_bytes >= bytes {
            return false;
        }
        let Some(permits) = session.consumers.get(&consumer).map(|it| it.permits.max(0) as usize) else { return false };
        let (mut read, mut held) = (0, None);
        for _ in 0..permits.min(entries) {
            let Some(delivery) = self.next_delivery(number, consumer) else { break };
            read += delivery.bytes.len();
            let behind = held.take();
            held = self.deliver(number, &delivery);
            if let (Some(late), Some(session)) = (behind, self.sessions.get_mut(&number)) {
                session.push(late);
            }
            if read >= bytes {
                break;
            }
        }
        if let Some(session) = self.sessions.get_mut(&number) {
            held.into_iter().for_each(|late| session.push(late));
            self.record.waiting_bytes_max = self.record.waiting_bytes_max.max(session.out_bytes);
        }
        read > 0
    }

    /// Takes the next entry for a consumer, pays for it and moves on.
    fn next_delivery(&mut self, number: u64, id: u64) -> Option<Delivery> {
        let session = self.sessions.get_mut(&number).filter(|it| !it.closing && !it.half_open)?;
        let consumer = session.consumers.get_mut(&id).filter(|consumer| !consumer.silent)?;
        let topic = self.topics.get(&consumer.topic)?;
        let mark = topic.cursors.get(&consumer.subscription)?.mark;
        let (position, stored) = topic.after(mark.max(consumer.read))?;
        let (name, bytes) = (consumer.topic.clone(), stored.bytes.clone());
        let damage = |fault: &Fault| match fault {
            Fault::Entry(at, Damage::Unload) if at.is_none_or(|at| at == position) => Some(()),
            _ => None,
        };
        if self.faults.take(Some(&name), damage).is_some() {
            self.unload(&name);
            return None;
        }
        consumer.read = position;
        consumer.permits -= stored.messages;
        Some(Delivery { topic: name, consumer: id, position, bytes })
    }

    /// Sends one entry, or what a fault makes of it; gives back what is to come behind the next one.
    fn deliver(&mut self, number: u64, delivery: &Delivery) -> Option<Vec<u8>> {
        let damage = |fault: &Fault| match fault {
            Fault::Entry(at, damage) if at.is_none_or(|at| at == delivery.position) => Some(*damage),
            _ => None,
        };
        let damage = self.faults.take(Some(&delivery.topic), damage);
        self.record.dispatched += 1;
        let session = self.sessions.get_mut(&number)?;
        let whole = delivery.frame(delivery.consumer, &delivery.bytes);
        match damage {
            None | Some(Damage::Unload) => session.push(whole),
            Some(Damage::Checksum) => {
                let mut payload = delivery.bytes.to_vec();
                // The first byte of the checksum, behind the magic.
                payload[2] ^= 0x40;
                session.push(delivery.frame(delivery.consumer, &payload));
            }
            Some(Damage::Cut) => {
                session.push(whole[..whole.len() / 2].to_vec());
                self.close_session(number);
            }
            Some(Damage::Twice) => {
                session.push(whole.clone());
                session.push(whole);
            }
            Some(Damage::Swapped) => return Some(whole),
            Some(Damage::Lost) => {}
            Some(Damage::Misaddressed) => session.push(delivery.frame(delivery.consumer + 1000, &delivery.bytes)),
            Some(Damage::Babble(babble)) => {
                session.push(babble.bytes());
                session.push(whole);
            }
            Some(Damage::Closed) => self.close_session(number),
            Some(Damage::HalfOpen) => session.half_open = true,
        }
        None
    }
}
