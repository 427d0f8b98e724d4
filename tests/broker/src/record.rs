//! What the broker was asked, when, in which read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pulsar::message::proto::BaseCommand;
use pulsar::message::proto::base_command::Type;

use crate::topic::Position;

/// One command of a client.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it was read.
    pub at: Instant,
    /// The number of its connection, from 1.
    pub connection: u64,
    /// The number of the read that completed it: commands of one small write have the same.
    pub read: u64,
    /// Its kind.
    pub kind: Type,
    /// The topic it speaks of, directly or through its consumer.
    pub topic: Option<String>,
    /// The command.
    pub command: BaseCommand,
}

impl Asked {
    /// The position that an ACK names.
    pub fn acknowledges(&self) -> Option<Position> {
        self.command.ack.as_ref()?.message_id.first().map(Position::of)
    }

    /// The permits that a FLOW gives.
    pub fn permits(&self) -> Option<u32> {
        Some(self.command.flow.as_ref()?.message_permits)
    }
}

/// Everything that was asked and is worth a look. A SEND is counted, not kept.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The commands, in the order they were read.
    pub asked: Vec<Asked>,
    /// Connections that were opened so far.
    pub connections: u64,
    /// How long each PONG took.
    pub pongs: Vec<Duration>,
    /// Entries that were sent to consumers, repeats and all.
    pub dispatched: u64,
    /// Entries that were taken from producers.
    pub sends: u64,
    /// The most permits, in messages, that a consumer of each topic ever had outstanding.
    pub permits_max: BTreeMap<String, i64>,
    /// The most bytes of entries that lay ready for one connection.
    pub waiting_bytes_max: usize,
}

impl Record {
    /// The kinds of all commands of a connection, in order, without PING and PONG.
    pub fn kinds(&self, connection: u64) -> Vec<Type> {
        let of = self.asked.iter().filter(|asked| asked.connection == connection);
        of.map(|asked| asked.kind).filter(|kind| !matches!(kind, Type::Ping | Type::Pong)).collect()
    }

    /// The commands of one kind.
    pub fn of(&self, kind: Type) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| asked.kind == kind)
    }

    /// How often a kind was asked.
    pub fn count(&self, kind: Type) -> usize {
        self.of(kind).count()
    }

    /// The acknowledged positions of a topic, in order.
    pub fn acknowledged(&self, topic: &str) -> Vec<Position> {
        let acks = self.of(Type::Ack).filter(|asked| asked.topic.as_deref() == Some(topic));
        acks.filter_map(Asked::acknowledges).collect()
    }
}
