//! The versions of the topic's schema that entries were written with: each is looked up once, and shared.
//!
//! A look-up has a connection of its own and a task of its own, so a new version in mid-stream stops only the partitions whose next entry
//! has it, and those only until the broker has answered. As long as the broker cannot be asked it is asked again; what counts as
//! unreadable is a version that the broker does not have, or one that cannot be resolved to the dataflow's schema.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulsar::message::proto::{self, schema};
use tokio::sync::Notify;

use super::Client;
use super::failed::Failed;
use super::wire::metadata::SchemaVersion;
use crate::connect::backoff::Backoff;
use crate::dataflow::edges::Writer;
use crate::error::{Error, Result};
use crate::limits::{PULSAR_AGAIN_MS, PULSAR_SCHEMA_TRIES_MAX, PULSAR_SCHEMA_VERSIONS_MAX};

/// Whether a schema, in JSON, can be resolved to the dataflow's; the error says why not.
pub type Check = Arc<dyn Fn(&str) -> std::result::Result<(), String> + Send + Sync>;

/// What is known of a version.
enum Known {
    /// It is being looked up.
    Asked,
    Writer(Writer),
}

/// All versions seen so far.
pub(super) struct Schemas {
    client: Client,
    topic: String,
    check: Check,
    versions: Mutex<BTreeMap<Vec<u8>, Known>>,
    learned: Notify,
}

impl Schemas {
    /// Of a topic.
    pub(super) fn new(client: Client, topic: String, check: Check) -> Arc<Self> {
        Arc::new(Schemas { client, topic, check, versions: Mutex::default(), learned: Notify::new() })
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
    pub(super) fn writer(self: &Arc<Self>, version: &SchemaVersion) -> Option<Writer> {
        let mut versions = self.lock();
        match versions.get(version.as_bytes()) {
            Some(Known::Writer(writer)) => return Some(writer.clone()),
            Some(Known::Asked) => return None,
            None => {}
        }
        if versions.len() == PULSAR_SCHEMA_VERSIONS_MAX {
            let why = format!(
                "schema version {} is one of more than {PULSAR_SCHEMA_VERSIONS_MAX}",
                number(version.as_bytes())
            );
            return Some(Writer::Unreadable(why.into()));
        }
        versions.insert(version.as_bytes().to_vec(), Known::Asked);
        drop(versions);
        tokio::spawn(Arc::clone(self).learn(version.as_bytes().to_vec()));
        None
    }

    /// When another version is known.
    pub(super) fn learned(&self) -> tokio::sync::futures::Notified<'_> {
        self.learned.notified()
    }

    async fn learn(self: Arc<Self>, version: Vec<u8>) {
        let writer = match self.find(&version).await {
            Ok(json) => {
                tracing::info!(topic = self.topic, version = number(&version), "a schema version is read from here on");
                Writer::Schema(json.into())
            }
            Err(why) => {
                let why = format!("schema version {}: {why}", number(&version));
                tracing::warn!(topic = self.topic, "entries cannot be read: {why}");
                Writer::Unreadable(why.into())
            }
        };
        self.lock().insert(version, Known::Writer(writer));
        self.learned.notify_waiters();
    }

    async fn find(&self, version: &[u8]) -> std::result::Result<String, String> {
        let mut backoff = Backoff::new(PULSAR_AGAIN_MS);
        let mut in_vain = 0;
        loop {
            let why = match self.ask(version).await {
                Ok(Some(found)) => {
                    let json = json(&found)?;
                    return (self.check)(&json).map(|()| json);
                }
                Ok(None) => "the broker does not have it".to_owned(),
                Err(failed) if failed.lasts() => failed.words,
                Err(failed) => {
                    tracing::warn!(
                        topic = self.topic,
                        cause = failed.cause.name(),
                        "schema version {} is asked for again: {failed}",
                        number(version)
                    );
                    backoff.wait().await;
                    continue;
                }
            };
            // A broker that has just taken the topic over may not know yet.
            in_vain += 1;
            if in_vain == PULSAR_SCHEMA_TRIES_MAX {
                return Err(why);
            }
            backoff.wait().await;
        }
    }

    async fn ask(&self, version: &[u8]) -> std::result::Result<Option<proto::Schema>, Failed> {
        self.client.connect(&self.topic).await?.schema(&self.topic, Some(version)).await
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
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number() {
        assert_eq!(number(&7_u64.to_be_bytes()), "7");
        assert_eq!(number(&[1, 255]), "[01, ff]");
    }

    #[test]
    fn only_avro_is_taken() {
        let of = |kind: schema::Type| proto::Schema {
            r#type: kind as i32,
            schema_data: b"\"long\"".to_vec(),
            ..proto::Schema::default()
        };
        assert_eq!(json(&of(schema::Type::Avro)).unwrap(), "\"long\"");
        let why = json(&of(schema::Type::Json)).unwrap_err();
        assert!(why.contains("not Avro"), "{why}");
    }
}
