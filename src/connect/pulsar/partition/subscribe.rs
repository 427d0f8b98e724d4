//! From nothing to a subscription whose cursor stands where it must.
//!
//! Each step waits for the broker's answer: a broker drops an ACK or a FLOW for a consumer that it has not made yet, without a word.
//! The look-up comes first at every connect, because it makes a broker take the topic over.

use std::time::Duration;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_subscribe::{InitialPosition, SubType};
use pulsar::message::proto::{self, BaseCommand, MessageIdData};
use tokio::time::timeout;

use super::{Begin, End, Task};
use crate::connect::pulsar::connection::{Connection, Frame};
use crate::connect::pulsar::failed::Failed;
use crate::connect::pulsar::order::Resume;
use crate::connect::pulsar::wire::command;
use crate::dataflow::edges::{Entry, Framing, Writer};
use crate::limits::PULSAR_SEEK_MS;
use crate::snapshot::Position;

/// A consumer that may be given permits.
pub(super) struct Subscribed {
    pub connection: Connection,
    /// Its id on the connection.
    pub consumer: u64,
    /// The position after the mark-delete position.
    pub cursor: Option<Position>,
    /// To be acknowledged before anything is asked for.
    pub acknowledge: Option<Position>,
}

/// Connects and subscribes.
pub(super) async fn subscribe(task: &mut Task) -> Result<Subscribed, End> {
    let connection = task.setting.client.connect(&task.topic).await?;
    let mut subscribed = Subscribed { connection, consumer: 0, cursor: None, acknowledge: None };
    consume(task, &mut subscribed).await?;
    if let Some(begin) = task.begin {
        seek(task, &mut subscribed, place_of(begin)).await?;
        // The cursor is the broker's from here on, or an entry that was never read could be sought over.
        task.begin = None;
    }
    look(task, &mut subscribed).await?;
    match task.order.resume(subscribed.cursor, task.handover.covered()) {
        Resume::AsItIs => {}
        Resume::Acknowledge(entry) => subscribed.acknowledge = Some(entry),
        Resume::SeekBack(entry) => {
            tracing::warn!(
                partition = task.topic,
                position = task.order.next().map(display),
                cursor = subscribed.cursor.map(display),
                "the cursor is moved back to the last entry that is covered, to see whether others are missing"
            );
            seek(task, &mut subscribed, Place::Entry(entry)).await?;
        }
        Resume::Fetch(entry) => {
            seek(task, &mut subscribed, Place::Entry(entry)).await?;
            look(task, &mut subscribed).await?;
            task.order.fetched(subscribed.cursor);
        }
    }
    if let Some(place) = task.order.placed() {
        task.handover.entry(&mut task.opened, nothing_at(place), 0);
    }
    tracing::info!(
        partition = task.topic,
        broker = subscribed.connection.broker(),
        position = task.order.next().map(display),
        cursor = subscribed.cursor.map(display),
        "subscribed"
    );
    Ok(subscribed)
}

/// Asks where the cursor stands.
async fn look(task: &Task, subscribed: &mut Subscribed) -> Result<(), Failed> {
    let told = subscribed.connection.last_message_id(subscribed.consumer).await;
    let doing = |failed: Failed| failed.while_doing(format_args!("asking where {} ends", task.topic));
    subscribed.cursor = told.map_err(doing)?.cursor;
    Ok(())
}

/// An entry without events. It moves the slot's cut to where the partition begins, before its first real entry comes.
fn nothing_at(place: Position) -> Entry {
    Entry {
        position: place,
        next: place,
        bytes: Vec::new(),
        framing: Framing::Payloads(Vec::new()),
        writer: Writer::Own,
        publish_time: None,
    }
}

/// Makes a consumer under the next id.
async fn consume(task: &Task, subscribed: &mut Subscribed) -> Result<(), Failed> {
    subscribed.consumer += 1;
    let initial = match task.begin {
        Some(Begin::Latest) => InitialPosition::Latest,
        _ => InitialPosition::Earliest,
    };
    let command = BaseCommand {
        subscribe: Some(proto::CommandSubscribe {
            topic: task.topic.clone(),
            subscription: task.setting.subscription.clone(),
            sub_type: SubType::Exclusive as i32,
            consumer_id: subscribed.consumer,
            consumer_name: Some("minuet".to_owned()),
            durable: Some(true),
            initial_position: Some(initial as i32),
            ..proto::CommandSubscribe::default()
        }),
        ..command::of_type(Type::Subscribe)
    };
    let asked = subscribed.connection.request(command).await;
    asked.map(|_| ()).map_err(|failed| failed.while_doing(format_args!("subscribing to {}", task.topic)))
}

/// Where the cursor is to be moved.
enum Place {
    Entry(Position),
    Time(u64),
}

/// Before a topic's first entry and behind its last, as brokers know them.
fn place_of(begin: Begin) -> Place {
    match begin {
        Begin::Earliest => Place::Entry(Position(u64::MAX, u64::MAX)),
        Begin::Latest => Place::Entry(Position(i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs())),
        Begin::At(time) => Place::Time(u64::try_from(time).unwrap_or(0)),
    }
}

/// Moves the cursor. The broker closes the consumer for that; another one takes its place.
async fn seek(task: &Task, subscribed: &mut Subscribed, place: Place) -> Result<(), Failed> {
    let (message_id, message_publish_time) = match place {
        Place::Entry(entry) => (Some(id(entry)), None),
        Place::Time(time) => (None, Some(time)),
    };
    let consumer_id = subscribed.consumer;
    let seek = proto::CommandSeek { consumer_id, request_id: 0, message_id, message_publish_time };
    let command = BaseCommand { seek: Some(seek), ..command::of_type(Type::Seek) };
    let doing = |failed: Failed| failed.while_doing(format_args!("moving the cursor of {}", task.topic));
    subscribed.connection.request(command).await.map_err(doing)?;
    let limit = Duration::from_millis(PULSAR_SEEK_MS);
    // A broker that does not close it lets it be subscribed again: then the limit is all that this costs.
    match timeout(limit, closed(&mut subscribed.connection, consumer_id)).await {
        Ok(closed) => closed.map_err(doing)?,
        Err(_) => {
            tracing::warn!(partition = task.topic, "the broker did not close the consumer whose cursor was moved");
        }
    }
    consume(task, subscribed).await
}

async fn closed(connection: &mut Connection, consumer: u64) -> Result<(), Failed> {
    loop {
        if let Frame::Command(command) = connection.next().await?
            && command.close_consumer.is_some_and(|closed| closed.consumer_id == consumer)
        {
            return Ok(());
        }
    }
}

/// A cumulative acknowledgement with a receipt.
pub(super) fn acknowledgement(consumer_id: u64, request_id: u64, entry: Position) -> BaseCommand {
    let ack = proto::CommandAck {
        consumer_id,
        ack_type: proto::command_ack::AckType::Cumulative as i32,
        message_id: vec![id(entry)],
        request_id: Some(request_id),
        ..proto::CommandAck::default()
    };
    BaseCommand { ack: Some(ack), ..command::of_type(Type::Ack) }
}

/// Permits.
pub(super) fn flow(consumer_id: u64, message_permits: u32) -> BaseCommand {
    BaseCommand { flow: Some(proto::CommandFlow { consumer_id, message_permits }), ..command::of_type(Type::Flow) }
}

fn id(entry: Position) -> MessageIdData {
    MessageIdData { ledger_id: entry.0, entry_id: entry.1, ..MessageIdData::default() }
}
