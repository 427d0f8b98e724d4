//! Writing to one partition with a window of sends in flight.
//!
//! What is not acknowledged when a connection is lost is sent again on the next one, in order and under the same sequence
//! ids. Where the broker does not deduplicate, an entry that was stored while its receipt was lost is then there twice.

use std::collections::VecDeque;
use std::time::Duration;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{self, BaseCommand, Schema, schema};
use tokio::time::Instant;

use super::client::Client;
use super::connection::{Came, Connection};
use super::failed::{Cause, Failed};
use super::wire::codec::Codec;
use super::wire::command;
use super::wire::send::{Body, Letterhead};
use crate::connect::backoff::Backoff;
use crate::limits::{
    ENTRY_BYTES_MAX, PULSAR_AGAIN_MS, PULSAR_OUTBOX_BYTES, PULSAR_PRODUCER_LOST_MS_MAX, PULSAR_REQUEST_MS,
    PULSAR_WINDOW_BYTES_MAX,
};

/// A connection has one producer.
const PRODUCER: u64 = 1;

/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Messages in an entry; 1 is one without batch framing.
    pub batch: u32,
    /// The compression of entries.
    pub codec: Codec,
    /// Entries that are sent and not acknowledged, at most.
    pub window: usize,
    /// The messages' Avro schema in JSON, registered with the topic.
    pub schema: Option<String>,
}

/// Writes to one topic, which is not partitioned or is one partition.
pub struct Producer {
    client: Client,
    topic: String,
    options: Options,
    connection: Connection,
    head: Letterhead,
    /// Raised with each connection, so that the broker lets the newer one have the name.
    epoch: u64,
    body: Body,
    sequence: u64,
    /// Entries that are sent and not acknowledged, oldest first.
    window: VecDeque<Sent>,
    /// The bytes of their frames.
    in_flight: usize,
    /// Frames to fill again.
    spare: Vec<Vec<u8>>,
    /// Bytes of all frames sent, those that were sent again counted once.
    sent: u64,
}

struct Sent {
    sequence: u64,
    frame: Vec<u8>,
}

impl Producer {
    /// Connects with the topic's owner and is given a name.
    pub async fn create(client: &Client, topic: String, options: Options) -> Result<Self, Failed> {
        let mut connection = client.connect(&topic).await?;
        let made = introduce(&mut connection, &topic, &options, None, 0).await?;
        let head = Letterhead {
            producer: PRODUCER,
            name: made.producer_name,
            schema_version: made.schema_version.unwrap_or_default(),
            codec: options.codec,
        };
        Ok(Producer {
            client: client.clone(),
            topic,
            body: Body::new(options.batch > 1),
            options,
            connection,
            head,
            epoch: 0,
            sequence: 0,
            window: VecDeque::new(),
            in_flight: 0,
            spare: Vec::new(),
            sent: 0,
        })
    }

    /// Puts a message into the entry that is being filled; true where it is full and must be shipped before another is added.
    pub fn add(&mut self, payload: &[u8]) -> bool {
        self.body.add(payload);
        // Half of what the broker takes, so that no ordinary payload makes it too long.
        let longest = self.connection.max_message_size().min(ENTRY_BYTES_MAX) / 2;
        self.body.messages() >= self.options.batch || self.body.bytes() >= longest
    }

    /// Sends the entry that is being filled, if there is anything in it; waits while the window is full. The time is in milliseconds
    /// since 1970.
    pub async fn ship(&mut self, published: u64) -> Result<(), Failed> {
        if self.body.messages() == 0 {
            return Ok(());
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        let framed = self.body.frame(&self.head, self.sequence, published, &mut frame);
        framed
            .map_err(|error| self.connection.failed(Cause::Protocol, &format!("an entry cannot be made: {error}")))?;
        self.body.clear();
        let longest = self.connection.max_message_size();
        if frame.len() > longest {
            let words = format!("an entry of {} bytes is too long; the broker takes {longest}", frame.len());
            return Err(self.connection.failed(Cause::Refused(proto::ServerError::NotAllowedError), &words));
        }
        self.make_room(frame.len()).await?;
        self.connection.pipe().outgoing().extend_from_slice(&frame);
        self.in_flight += frame.len();
        self.sent += frame.len() as u64;
        self.window.push_back(Sent { sequence: self.sequence, frame });
        self.sequence += 1;
        if self.connection.pipe().left() >= PULSAR_OUTBOX_BYTES {
            let nudged = self.connection.pipe().nudge().await.map_err(|error| self.connection.lost(&error));
            if let Err(failed) = nudged {
                self.recover(failed).await?;
            }
        }
        Ok(())
    }

    /// Waits until the window has room, and then until half of it has: fewer and longer waits.
    async fn make_room(&mut self, bytes: usize) -> Result<(), Failed> {
        let full = |it: &Self| it.window.len() >= it.options.window || it.in_flight + bytes > PULSAR_WINDOW_BYTES_MAX;
        if full(self) {
            let (entries, bytes) = (self.options.window / 2, PULSAR_WINDOW_BYTES_MAX / 2);
            self.settle(entries, bytes).await?;
        }
        Ok(())
    }

    /// Does what the connection asks for until a time: sends, takes receipts, answers PINGs.
    pub async fn tend(&mut self, until: Instant) -> Result<(), Failed> {
        loop {
            tokio::select! {
                biased;
                // Receipts come a few at a time and the time matters more.
                () = tokio::time::sleep_until(until) => return Ok(()),
                came = self.connection.come() => {
                    let taken = came.and_then(|came| self.take(came));
                    if let Err(failed) = taken {
                        self.recover(failed).await?;
                    }
                }
            }
        }
    }

    /// Waits until no more than so many entries and bytes are in flight.
    async fn settle(&mut self, entries: usize, bytes: usize) -> Result<(), Failed> {
        let mut since = Instant::now();
        while self.window.len() > entries || self.in_flight > bytes {
            let before = self.window.len();
            let limit = since + Duration::from_millis(PULSAR_REQUEST_MS);
            let came = match tokio::time::timeout_at(limit, self.connection.come()).await {
                Ok(came) => came,
                Err(_) => {
                    let words = format!("no receipt came in {PULSAR_REQUEST_MS} ms");
                    Err(self.connection.failed(Cause::TimedOut, &words))
                }
            };
            if let Err(failed) = came.and_then(|came| self.take(came)) {
                self.recover(failed).await?;
                since = Instant::now();
            }
            if self.window.len() < before {
                since = Instant::now();
            }
        }
        Ok(())
    }

    /// Takes what came. Receipts come in the order of the sends.
    fn take(&mut self, came: Came) -> Result<(), Failed> {
        match came {
            Came::Receipt(sequence) => self.receive(sequence),
            Came::Command(command) => match Type::try_from(command.r#type) {
                Ok(Type::SendError) => {
                    let refusal = command::refusal(&command);
                    Err(self.connection.refused(&format!("writing to {}", self.topic), refusal))
                }
                Ok(Type::CloseProducer) => Err(self.connection.failed(Cause::Closed, "it closed the producer")),
                _ => Ok(()),
            },
            Came::Message { .. } => Err(self.connection.failed(Cause::Protocol, "it sent an entry to a producer")),
        }
    }

    fn receive(&mut self, sequence: u64) -> Result<(), Failed> {
        match self.window.front() {
            Some(first) if first.sequence == sequence => self.done(),
            // Of an entry that was sent again and is acknowledged twice.
            _ if sequence < self.sequence - self.window.len() as u64 => {}
            _ => {
                let words = format!("a receipt for entry {sequence}, which is not the oldest in flight");
                return Err(self.connection.failed(Cause::Protocol, &words));
            }
        }
        Ok(())
    }

    fn done(&mut self) {
        if let Some(Sent { frame, .. }) = self.window.pop_front() {
            self.in_flight -= frame.len();
            if self.spare.len() < self.options.window {
                self.spare.push(frame);
            }
        }
    }

    /// Connects again and sends again what is not acknowledged; gives up where that cannot help or has not for long.
    async fn recover(&mut self, failed: Failed) -> Result<(), Failed> {
        tracing::warn!(topic = self.topic, cause = failed.cause.name(), "lost the connection of a producer: {failed}");
        let (mut last, mut backoff) = (failed, Backoff::new(PULSAR_AGAIN_MS));
        let end = Instant::now() + Duration::from_millis(PULSAR_PRODUCER_LOST_MS_MAX);
        while !last.lasts() && Instant::now() < end {
            backoff.wait().await;
            match self.connect_again().await {
                Ok(()) => return Ok(()),
                Err(failed) => last = failed,
            }
        }
        Err(last)
    }

    async fn connect_again(&mut self) -> Result<(), Failed> {
        let mut connection = self.client.connect(&self.topic).await?;
        self.epoch += 1;
        let name = Some(self.head.name.clone());
        let made = introduce(&mut connection, &self.topic, &self.options, name, self.epoch).await?;
        self.connection = connection;
        // A broker that deduplicates says what it has.
        let stored = made.last_sequence_id.and_then(|stored| u64::try_from(stored).ok());
        while stored.is_some_and(|stored| self.window.front().is_some_and(|first| first.sequence <= stored)) {
            self.done();
        }
        let out = self.connection.pipe().outgoing();
        for sent in &self.window {
            out.extend_from_slice(&sent.frame);
        }
        Ok(())
    }

    /// Sends what is left, waits until all is acknowledged, and says goodbye; how many bytes were sent in all.
    pub async fn close(mut self, published: u64) -> Result<u64, Failed> {
        self.ship(published).await?;
        self.settle(0, 0).await?;
        let close = proto::CommandCloseProducer { producer_id: PRODUCER, request_id: 0 };
        let command = BaseCommand { close_producer: Some(close), ..command::of_type(Type::CloseProducer) };
        self.connection.request(command).await.map(|_| self.sent)
    }
}

/// Sends PRODUCER; without a name the broker gives one.
async fn introduce(
    connection: &mut Connection,
    topic: &str,
    options: &Options,
    name: Option<String>,
    epoch: u64,
) -> Result<proto::CommandProducerSuccess, Failed> {
    let schema = options.schema.as_ref().map(|json| Schema {
        schema_data: json.clone().into_bytes(),
        r#type: schema::Type::Avro as i32,
        ..Schema::default()
    });
    let asked = proto::CommandProducer {
        topic: topic.to_owned(),
        producer_id: PRODUCER,
        producer_name: name,
        user_provided_producer_name: Some(false),
        epoch: Some(epoch),
        schema,
        ..proto::CommandProducer::default()
    };
    let command = BaseCommand { producer: Some(asked), ..command::of_type(Type::Producer) };
    let answer =
        connection.request(command).await.map_err(|failed| failed.while_doing(format!("writing to {topic}")))?;
    answer.producer_success.ok_or_else(|| connection.failed(Cause::Protocol, "its answer names no producer"))
}

#[cfg(test)]
mod tests;
