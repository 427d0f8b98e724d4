//! A pipeline over the three services: its topic, its database, its prefix.

use std::path::Path;

use tempfile::TempDir;

use super::balance::TABLES;
use crate::clickhouse::setup::Base;
use crate::harness::{Cluster, Shape, demand_rows, scratch};
use crate::oracle::Expected;
use crate::pulsar::broker::{Broker, Settings};
use crate::pulsar::follower::Follower;
use crate::pulsar::input::{Input, copied_from};
use crate::pulsar::topic::Topic;
use crate::s3::{objects, told_of};
use crate::servers::{ClickHouse, S3};

/// Messages of an entry.
pub(super) const ENTRY: usize = 50;

/// How long a partition may be quiet while it is still sent to: no blow makes it that quiet.
const PATIENT: &str = "10m";

/// The three services.
#[derive(Clone, Copy)]
pub(super) struct Services<'a> {
    pub(super) broker: &'a Broker,
    pub(super) clickhouse: &'a ClickHouse,
    pub(super) s3: &'a S3,
}

impl Services<'static> {
    /// Those that all tests use.
    pub(super) fn shared() -> Self {
        Services { broker: Broker::shared(), clickhouse: ClickHouse::shared(), s3: S3::shared() }
    }
}

/// Services of a test's own, to be struck.
pub(super) struct Own {
    broker: Broker,
    clickhouse: ClickHouse,
    s3: S3,
}

impl Own {
    /// Starts all three. The broker gives up a silent client after six seconds.
    pub(super) fn start() -> Self {
        let lines = &["keepAliveIntervalSeconds=3", "managedLedgerMaxEntriesPerLedger=700"];
        let broker = Broker::start(Settings { lines, secure: false });
        Own { broker, clickhouse: ClickHouse::start(), s3: S3::start() }
    }

    /// Where they are.
    pub(super) fn services(&self) -> Services<'_> {
        Services { broker: &self.broker, clickhouse: &self.clickhouse, s3: &self.s3 }
    }
}

/// Events of sensors in eight partitions, with everything that makes rejects.
pub(super) fn troubled(seed: &str) -> Input {
    let trouble = [("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.002")];
    let own = [("seed", seed), ("events", "60000"), ("sources", "400"), ("rate", "30"), ("partitions", "8")];
    Input::generate("sensors", &[&trouble[..], &own].concat())
}

/// The pipeline.
pub(super) struct Stage<'a> {
    pub(super) services: Services<'a>,
    pub(super) topic: Topic<'a>,
    pub(super) base: Base<'a>,
    /// While the topic is sent to: a silence means nothing.
    pub(super) follower: Follower,
    /// When all is sent: a second's silence ends the last minutes.
    hasty: Follower,
    _place: TempDir,
}

impl<'a> Stage<'a> {
    /// A topic with a subscription, a database and a prefix of this name, for the events of an input.
    pub(super) fn set(services: Services<'a>, name: &str, input: &Input) -> Self {
        Stage::of(services, name, input.dataflow(), input.logs.len())
    }

    /// The same for a dataflow's folder and so many partitions.
    pub(super) fn of(services: Services<'a>, name: &str, dataflow: &Path, partitions: usize) -> Self {
        let topic = Topic::make(services.broker, name, partitions);
        topic.subscribe("sensors");
        let (base, place) = (Base::new(services.clickhouse, &name.replace('-', "_")), scratch());
        let follower = |dataflow: &Path| {
            let mut pipeline = base.pipeline_of(dataflow, &topic.url(), services.clickhouse.address());
            pipeline.place_of_state = Some(format!("s3://{}/{name}", services.s3.bucket()));
            pipeline.state = objects(services.s3).join(name);
            pipeline.environment = told_of(services.s3);
            Follower::of(pipeline).with(&["--start", "earliest", "--subscription", "sensors"])
        };
        let patient = copied_from(dataflow, place.path(), PATIENT);
        let (patient, hasty) = (follower(&patient), follower(dataflow));
        Stage { services, follower: patient, hasty, topic, base, _place: place }
    }

    /// When all is sent: runs it until everything is in rows, and demands that these are right and that the ledger balances.
    pub(super) fn demand(&self, shape: Shape, expected: &Expected, how: &str) {
        self.comes_to(self.hasty.start(shape), expected, how);
    }

    /// The same of a run that is under way; it must be a hasty one, or else its last minutes never end.
    pub(super) fn comes_to(&self, cluster: Cluster, expected: &Expected, how: &str) {
        self.hasty.settles(cluster, expected, how);
        self.base.demand_of(&expected.rows, &expected.summary, how);
        self.demand_balance(how);
        self.demand_once(&TABLES, how);
        demand_rows(&self.rows_final(), &self.base.rows(), &format!("{how}: FINAL and the view"));
    }

    /// Starts one that takes a second's silence for the end.
    pub(super) fn start_hasty(&self, shape: Shape) -> Cluster {
        self.hasty.start(shape)
    }
}
