//! The task of one partition: a connection of its own, begun again as often as it ends.
//!
//! ```text
//!  subscribe   LOOKUP, CONNECT, SUBSCRIBE, SUCCESS; where the cursor is; SEEK where it must be moved
//!  stream      one connection from then on, and what is asked for (FLOW)
//!  taking      entries as they come: in order, handed over, or kept until they can be; opening: one of them
//!  asking      questions for the end and the cursor, acknowledgements
//! ```
//! The socket is read whatever the back-pressure, because a PING must be answered within 5 s: entries that the slot has no room for
//! wait as they came, compressed, within what was reserved for them.

mod asking;
mod opening;
mod stream;
mod subscribe;
mod taking;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::budget::Budget;
use super::failed::Failed;
use super::handover::{Handover, Opened};
use super::order::Order;
use super::schemas::Schemas;
use super::spare::Blank;
use super::status::Counts;
use super::window::Window;
use super::wire::metadata::SchemaVersion;
use crate::connect::backoff::Backoff;
use crate::dataflow::edges::Writer;
use crate::error::Error;
use crate::limits::{PULSAR_AGAIN_MS, PULSAR_LASTING_MS};
use crate::snapshot::Position;
use crate::time::Millis;

/// Where a first run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// With the first entry that the broker still has.
    #[default]
    Earliest,
    /// With what is published from then on.
    Latest,
    /// With the first entry published at this time or later.
    At(Millis),
}

/// What all partitions of a source have in common.
pub(super) struct Setting {
    pub client: Client,
    pub subscription: String,
    pub accept_gap: bool,
    pub budget: Arc<Budget>,
    pub schemas: Arc<Schemas>,
    /// Bytes that each may have on the way.
    pub share: usize,
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// It could not be made, or broke.
    Failed(Failed),
    /// It is to be begun again: its cause for metrics, and words.
    Again(&'static str, String),
    /// Nothing more can be read.
    Stop(Error),
}

impl From<Failed> for End {
    fn from(failed: Failed) -> Self {
        End::Failed(failed)
    }
}

/// One partition.
pub(super) struct Task {
    pub setting: Arc<Setting>,
    /// Its full name.
    pub topic: String,
    pub order: Order,
    pub window: Window,
    pub handover: Arc<Handover>,
    pub blank: Blank,
    /// What is opened and not handed over: it outlives a connection, for it is not read again.
    pub opened: Opened,
    pub counts: Arc<Counts>,
    /// Where to move the cursor before anything is read.
    pub begin: Option<Begin>,
    /// The schema version of the last entry: mostly that of the next one.
    pub schema: Option<(SchemaVersion, Writer)>,
    /// A position whose checksum was wrong, and how often.
    pub damaged: Option<(Position, u32)>,
    /// Something was handed over, or found to be read to its end, since the last connect.
    pub progressed: bool,
    /// How often in a row the connection was begun again because nothing came, in vain.
    pub stalls: u32,
}

impl Task {
    /// Reads until an error that lasts. Ends with the future: whoever drops it closes the connection.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(PULSAR_AGAIN_MS);
        let mut met = false;
        let mut lasting: Option<Instant> = None;
        loop {
            self.progressed = false;
            let end = match subscribe::subscribe(&mut self).await {
                Ok(subscribed) => {
                    (met, lasting) = (true, None);
                    self.connected(true);
                    stream::run(&mut self, subscribed).await
                }
                Err(end) => end,
            };
            self.connected(false);
            self.handover.tell();
            self.handover.caught_up(false);
            let (cause, words) = match end {
                End::Stop(error) => return self.stop(error),
                End::Failed(failed) if failed.lasts() => {
                    let since = lasting.get_or_insert_with(Instant::now).elapsed();
                    if !met || since >= Duration::from_millis(PULSAR_LASTING_MS) {
                        return self.stop(Error::from(failed.while_doing(format_args!("reading {}", self.topic))));
                    }
                    (failed.cause.name(), failed.words)
                }
                End::Failed(failed) => (failed.cause.name(), failed.words),
                End::Again(cause, words) => (cause, words),
            };
            self.stalls = if cause == asking::STALLED { self.stalls.saturating_add(1) } else { self.stalls };
            *self.counts.lock().reconnects.entry(cause).or_default() += 1;
            tracing::warn!(
                partition = self.topic,
                cause,
                position = self.order.next().map(display),
                "connecting again: {words}"
            );
            if self.progressed {
                backoff.worked();
                self.stalls = 0;
            }
            backoff.wait().await;
        }
    }

    fn connected(&self, is: bool) {
        self.counts.lock().connected = is;
    }

    fn stop(&self, error: Error) {
        tracing::error!(
            partition = self.topic,
            position = self.order.next().map(display),
            "the partition cannot be read on: {error}"
        );
        self.handover.fail(error);
    }
}
