//! A topic of a test, alone in a namespace of its own, and what its operator can do to it.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::admin::position;
use super::broker::Broker;

/// A topic on a broker.
pub(crate) struct Topic<'a> {
    pub(crate) broker: &'a Broker,
    /// `it/NAME/events`.
    name: String,
    /// 0: not partitioned.
    partitions: usize,
}

impl<'a> Topic<'a> {
    /// Makes one of so many partitions, or one that is not partitioned (0). The name must be the test's own.
    pub(crate) fn make(broker: &'a Broker, name: &str, partitions: usize) -> Self {
        // The broker answers two who make the same tenant at once with an internal error.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        broker.ensure("tenants/it", &json!({ "allowedClusters": ["standalone"] }));
        drop(turn);
        broker.ensure(&format!("namespaces/it/{name}"), &json!({ "replication_clusters": ["standalone"] }));
        let topic = Topic { broker, name: format!("it/{name}/events"), partitions };
        match partitions {
            0 => broker.admin("PUT", &topic.path(""), None),
            _ => broker.admin("PUT", &topic.path("/partitions"), Some(&json!(partitions))),
        };
        topic
    }

    /// The name of each partition, in order; of an unpartitioned topic its own.
    pub(crate) fn logs(&self) -> Vec<String> {
        match self.partitions {
            0 => vec![format!("persistent://{}", self.name)],
            count => (0..count).map(|number| format!("persistent://{}-partition-{number}", self.name)).collect(),
        }
    }

    /// The whole topic's name.
    pub(crate) fn full_name(&self) -> String {
        format!("persistent://{}", self.name)
    }

    /// Where minuet reads it.
    pub(crate) fn url(&self) -> String {
        format!("pulsar://127.0.0.1:{}/{}", self.broker.port(), self.name)
    }

    /// The same within TLS.
    pub(crate) fn tls_url(&self) -> String {
        format!("pulsar+ssl://localhost:{}/{}", self.broker.tls_port(), self.name)
    }

    /// More partitions.
    pub(crate) fn grow(&mut self, partitions: usize) {
        self.broker.admin("POST", &self.path("/partitions"), Some(&json!(partitions)));
        self.partitions = partitions;
    }

    /// A durable cursor at the first message. Without any cursor, full ledgers go at once.
    pub(crate) fn subscribe(&self, subscription: &str) {
        let earliest = json!({ "ledgerId": -1, "entryId": -1, "partitionIndex": -1 });
        self.broker.admin("PUT", &self.path(&format!("/subscription/{subscription}")), Some(&earliest));
    }

    /// Removes a cursor, whoever is connected to it.
    pub(crate) fn unsubscribe(&self, subscription: &str) {
        self.broker.admin("DELETE", &self.path(&format!("/subscription/{subscription}?force=true")), None);
    }

    /// Lets the broker close the topic and open it again: consumers are sent away, a new ledger begins.
    pub(crate) fn unload(&self) {
        self.broker.admin("PUT", &self.path("/unload"), None);
    }

    /// Drops the full ledgers of a partition that no cursor needs and retention does not keep.
    pub(crate) fn trim(&self, partition: usize) {
        self.broker.admin("POST", &format!("{}/trim", self.log_path(partition)), None);
    }

    /// Moves a cursor of a partition to its end: what an operator does who wants to be rid of a backlog.
    pub(crate) fn skip_all(&self, partition: usize, subscription: &str) {
        let path = format!("{}/subscription/{subscription}/skip_all", self.log_path(partition));
        self.broker.admin("POST", &path, None);
    }

    /// How long and how much is kept that all cursors have passed.
    pub(crate) fn retain(&self, minutes: i64, megabytes: i64) {
        let namespace = self.name.rsplit_once('/').expect("a topic lies in a namespace").0;
        let kept = json!({ "retentionTimeInMinutes": minutes, "retentionSizeInMB": megabytes });
        self.broker.admin("POST", &format!("namespaces/{namespace}/retention"), Some(&kept));
    }

    /// Registers an Avro schema (or its next version).
    pub(super) fn register(&self, schema: &str) {
        self.register_as("AVRO", schema);
    }

    /// Registers a schema of any type.
    pub(super) fn register_as(&self, kind: &str, schema: &str) {
        let entry = json!({ "type": kind, "schema": schema, "properties": {} });
        self.broker.admin("POST", &format!("schemas/{}/schema", self.name), Some(&entry));
    }

    /// Entries that a cursor of a partition has not passed.
    pub(crate) fn backlog(&self, partition: usize, subscription: &str) -> u64 {
        let backlog = &self.stats(partition)["subscriptions"][subscription]["msgBacklog"];
        backlog.as_u64().expect("a subscription has a backlog")
    }

    /// How many read a partition through a subscription.
    pub(super) fn readers(&self, partition: usize, subscription: &str) -> usize {
        self.stats(partition)["subscriptions"][subscription]["consumers"].as_array().map_or(0, Vec::len)
    }

    /// Messages that a partition was sent since the broker loaded it.
    pub(crate) fn received(&self, partition: usize) -> u64 {
        self.stats(partition)["msgInCounter"].as_u64().expect("a partition counts")
    }

    /// The last position (ledger, entry) that a cursor of a partition has passed; the entry is -1 before the first.
    pub(crate) fn mark_delete(&self, partition: usize, subscription: &str) -> (i64, i64) {
        position(&self.internal(partition)["cursors"][subscription]["markDeletePosition"])
    }

    /// The ledgers of a partition, oldest first.
    pub(crate) fn ledgers(&self, partition: usize) -> Vec<i64> {
        let internal = self.internal(partition);
        let ledgers = internal["ledgers"].as_array().expect("a topic has ledgers");
        ledgers.iter().map(|ledger| ledger["ledgerId"].as_i64().expect("ledgers are numbered")).collect()
    }

    fn stats(&self, partition: usize) -> Value {
        self.broker.admin("GET", &format!("{}/stats", self.log_path(partition)), None).json()
    }

    fn internal(&self, partition: usize) -> Value {
        self.broker.internal(&self.logs()[partition])
    }

    fn path(&self, more: &str) -> String {
        format!("persistent/{}{more}", self.name)
    }

    fn log_path(&self, partition: usize) -> String {
        self.logs()[partition].replace("://", "/")
    }
}
