//! The versions of the topic's schema that entries were written with: each is looked up once, and shared.
//!
//! A look-up has a connection of its own and a task of its own, so a new version in mid-stream stops only the partitions whose next entry
//! has it, and those only until the broker has answered. As long as the broker cannot be asked it is asked again. A version counts as
//! unreadable where it cannot be resolved to the dataflow's schema, or where the broker has the topic's newest schema and says for
//! [`PULSAR_SCHEMA_ABSENT_MS`] that it does not have this one: what is a reject now must be one in every replay. A refusal that says
//! nothing of the version (a token that has run out, a topic that is just moved) makes no reject: it is waited for, and ends the run where
//! it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulsar::message::proto::{self, ServerError, schema};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Client;
use super::failed::{Cause, Failed};
use super::wire::metadata::SchemaVersion;
use crate::connect::backoff::Backoff;
use crate::dataflow::edges::Writer;
use crate::error::{Error, Result};
use crate::limits::{PULSAR_AGAIN_MS, PULSAR_LASTING_MS, PULSAR_SCHEMA_ABSENT_MS, PULSAR_SCHEMA_VERSIONS_MAX};

/// Whether a schema, in JSON, can be resolved to the dataflow's; the error says why not.
pub type Check = Arc<dyn Fn(&str) -> std::result::Result<(), String> + Send + Sync>;

/// What is known of a version.
enum Known {
    /// It is being looked up.
    Asked,
    Writer(Writer),
    /// It could not be asked for, for so long that the run ends.
    Failed(Error),
}

/// What the broker says of a version.
enum Told {
    Schema(proto::Schema),
    /// It has the topic's newest schema, and not this version.
    Absent,
}

/// For how long a broker must say the same before it is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// That it does not have a version.
    absent: Duration,
    /// A refusal that cannot help to be tried again.
    lasting: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            absent: Duration::from_millis(PULSAR_SCHEMA_ABSENT_MS),
            lasting: Duration::from_millis(PULSAR_LASTING_MS),
        }
    }
}

/// All versions seen so far.
pub(super) struct Schemas {
    client: Client,
    topic: String,
    check: Check,
    patience: Patience,
    versions: Mutex<BTreeMap<Vec<u8>, Known>>,
    learned: Notify,
}

impl Schemas {
    /// Of a topic.
    pub(super) fn new(client: Client, topic: String, check: Check, patience: Patience) -> Arc<Self> {
        Arc::new(Schemas { client, topic, check, patience, versions: Mutex::default(), learned: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Known>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the topic's newest schema is of a kind that can be read: none at all, or Avro.
    pub(super) async fn begin(&self) -> std::result::Result<Result<()>, Failed> {
        let found = self.client.connect(&self.topic).await?.schema(&self.topic, None).await?;
        let Some(found) = found.filter(|found| found.r#type != schema::Type::None as i32) else { return Ok(Ok(())) };
        Ok(json(&found).map(|_| ()).map_err(|why| {
            Error::configuration(format!(
                "the schema registered for {}: {why}; allowed are Avro, and none at all: then the events are read with the dataflow's",
                self.topic
            ))
        }))
    }

    /// What an entry of this version was written with; none while that is not known yet, [`Schemas::learned`] tells when.
    pub(super) fn writer(self: &Arc<Self>, version: &SchemaVersion) -> Result<Option<Writer>> {
        let mut versions = self.lock();
        match versions.get(version.as_bytes()) {
            Some(Known::Writer(writer)) => return Ok(Some(writer.clone())),
            Some(Known::Failed(error)) => return Err(error.clone()),
            Some(Known::Asked) => return Ok(None),
            None => {}
        }
        if versions.len() == PULSAR_SCHEMA_VERSIONS_MAX {
            let why = format!(
                "schema version {} is one of more than {PULSAR_SCHEMA_VERSIONS_MAX}",
                number(version.as_bytes())
            );
            return Ok(Some(Writer::Unreadable(why.into())));
        }
        versions.insert(version.as_bytes().to_vec(), Known::Asked);
        drop(versions);
        tokio::spawn(Arc::clone(self).learn(version.as_bytes().to_vec()));
        Ok(None)
    }

    /// When another version is known.
    pub(super) fn learned(&self) -> tokio::sync::futures::Notified<'_> {
        self.learned.notified()
    }

    async fn learn(self: Arc<Self>, version: Vec<u8>) {
        let known = match self.find(&version).await {
            Ok(Ok(json)) => {
                tracing::info!(topic = self.topic, version = number(&version), "a schema version is read from here on");
                Known::Writer(Writer::Schema(json.into()))
            }
            Ok(Err(why)) => {
                let why = format!("schema version {}: {why}", number(&version));
                tracing::warn!(topic = self.topic, "entries cannot be read: {why}");
                Known::Writer(Writer::Unreadable(why.into()))
            }
            Err(failed) => {
                let (number, topic) = (number(&version), &self.topic);
                Known::Failed(failed.while_doing(format_args!("asking for schema version {number} of {topic}")).into())
            }
        };
        self.lock().insert(version, known);
        self.learned.notify_waiters();
    }

    /// A version's schema, or why it cannot be read; a failure where the broker would not say, for too long.
    async fn find(&self, version: &[u8]) -> std::result::Result<std::result::Result<String, String>, Failed> {
        let mut backoff = Backoff::new(PULSAR_AGAIN_MS);
        let (mut absent, mut lasting): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let told = self.ask(version).await;
            let lasts = matches!(&told, Err(failed) if failed.lasts());
            absent = absent.filter(|_| matches!(told, Ok(Told::Absent)));
            lasting = lasting.filter(|_| lasts);
            match told {
                Ok(Told::Schema(found)) => {
                    return Ok(json(&found).and_then(|json| (self.check)(&json).map(|()| json)));
                }
                Ok(Told::Absent) => {
                    if absent.get_or_insert_with(Instant::now).elapsed() >= self.patience.absent {
                        return Ok(Err("the broker does not have it".to_owned()));
                    }
                }
                Err(failed) => {
                    if lasts && lasting.get_or_insert_with(Instant::now).elapsed() >= self.patience.lasting {
                        return Err(failed);
                    }
                    tracing::warn!(
                        topic = self.topic,
                        cause = failed.cause.name(),
                        "schema version {} is asked for again: {failed}",
                        number(version)
                    );
                }
            }
            backoff.wait().await;
        }
    }

    /// Whoever has the newest schema of a topic and not this version knows the topic, and has no such version.
    async fn ask(&self, version: &[u8]) -> std::result::Result<Told, Failed> {
        let mut connection = self.client.connect(&self.topic).await?;
        if let Some(found) = connection.schema(&self.topic, Some(version)).await? {
            return Ok(Told::Schema(found));
        }
        match connection.schema(&self.topic, None).await? {
            Some(_) => Ok(Told::Absent),
            None => Err(Failed::new(
                Cause::Refused(ServerError::TopicNotFound),
                "the broker has no schema of the topic at all, although its entries name one; register it again",
            )),
        }
    }
}

/// A version as the broker counts it: eight bytes, big endian.
fn number(version: &[u8]) -> String {
    match <[u8; 8]>::try_from(version) {
        Ok(bytes) => u64::from_be_bytes(bytes).to_string(),
        Err(_) => format!("{version:02x?}"),
    }
}

/// An Avro schema's text.
fn json(found: &proto::Schema) -> std::result::Result<String, String> {
    if found.r#type != schema::Type::Avro as i32 {
        let kind = schema::Type::try_from(found.r#type).map_or("unknown", |kind| kind.as_str_name());
        return Err(format!("it is of type {kind}, not Avro"));
    }
    String::from_utf8(found.schema_data.clone()).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
