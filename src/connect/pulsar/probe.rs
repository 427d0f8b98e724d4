//! Tries everything that a run will need of a topic, step by step, and says what to do about what fails.

use std::time::Instant;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_subscribe::{InitialPosition, SubType};
use pulsar::message::proto::schema::Type as SchemaType;
use pulsar::message::proto::{self, BaseCommand};

use super::admin::{Admin, Policies, Retention};
use super::client::Client;
use super::connection::Connection;
use super::failed::{Cause, Failed};
use super::wire::command;
use crate::connect::probe::{Found, Step, bad, doubtful, good, step};
use crate::connect::random_number;
use crate::error::{Error, Result};
use crate::limits::PULSAR_PROBED_PARTITIONS_MAX;
use crate::time::Millis;

/// The policy of a backlog quota that takes entries from a subscription.
const EVICTION: &str = "consumer_backlog_eviction";

/// What is to be tried.
pub struct Probe<'a> {
    /// The topic.
    pub client: Client,
    /// The subscription that a run would have.
    pub subscription: &'a str,
    /// The administration, where it may be asked.
    pub admin: Option<Admin>,
    /// How old the newest snapshot is: a run would go on from there.
    pub snapshot_age: Option<Millis>,
    /// Whether a schema can be read as the dataflow wants it.
    pub check: &'a dyn Fn(&str) -> std::result::Result<(), String>,
}

impl Probe<'_> {
    /// Tries everything; ends at the first step without which the others mean nothing.
    pub fn run(&self) -> Result<Vec<Step>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| Error::outside("starting the network's thread", cause))?;
        Ok(runtime.block_on(self.steps()))
    }

    async fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let began = Instant::now();
        let count = self.client.partitions().await;
        let (partitions, found) = match count {
            Ok(count) => (self.names(count), good(partitioned(count))),
            Err(failed) => (Vec::new(), refused(&failed)),
        };
        steps.push(step("look up the topic", began, found));
        let began = Instant::now();
        let Some(first) = partitions.first() else { return steps };
        let mut connection = match self.client.connect(first).await {
            Ok(connection) => connection,
            Err(failed) => {
                steps.push(step("connect to its broker", began, refused(&failed)));
                return steps;
            }
        };
        steps.push(step("connect to its broker", began, good(format!("{} let us in", connection.broker()))));
        let began = Instant::now();
        let found = self.schema(&mut connection).await;
        steps.push(step("read its schema", began, found));
        let began = Instant::now();
        let found = self.ends(&partitions).await;
        steps.push(step("read its partitions", began, found));
        let began = Instant::now();
        let found = self.cursor(&partitions).await;
        steps.push(step("find the subscription", began, found));
        let began = Instant::now();
        let found = self.retention().await;
        steps.push(step("compare retention with the snapshot", began, found));
        steps
    }

    fn names(&self, count: u32) -> Vec<String> {
        let topic = &self.client.address().topic;
        if count == 0 { vec![topic.to_string()] } else { (0..count).map(|number| topic.partition(number)).collect() }
    }

    async fn schema(&self, connection: &mut Connection) -> Found {
        let topic = self.client.address().topic.to_string();
        let schema = match connection.schema(&topic, None).await {
            Ok(Some(schema)) => schema,
            Ok(None) => return good("none is registered: the dataflow's own counts"),
            Err(failed) => return refused(&failed),
        };
        if schema.r#type() != SchemaType::Avro {
            let advice = "read a topic whose producers register an Avro schema, or none";
            return bad(format!("it is of type {:?}, Avro is read", schema.r#type()), advice);
        }
        match (self.check)(&String::from_utf8_lossy(&schema.schema_data)) {
            Ok(()) => good("Avro, and it has all that the dataflow uses"),
            Err(why) => bad(why, "mend dataflow.toml or schema.avsc, or have the producers write what it uses"),
        }
    }

    /// Where the partitions end, asked as a reader that leaves no trace.
    async fn ends(&self, partitions: &[String]) -> Found {
        let mut empty = 0;
        let asked = &partitions[..partitions.len().min(PULSAR_PROBED_PARTITIONS_MAX)];
        for partition in asked {
            match self.end(partition).await {
                Ok(true) => {}
                Ok(false) => empty += 1,
                Err(failed) => return refused(&failed),
            }
        }
        good(format!("{} of {} asked may be read; {empty} are empty", asked.len(), partitions.len()))
    }

    /// Whether a partition has an entry.
    async fn end(&self, partition: &str) -> std::result::Result<bool, Failed> {
        let mut connection = self.client.connect(partition).await?;
        let asked = proto::CommandSubscribe {
            topic: partition.to_owned(),
            subscription: format!("minuet-check-{:016x}", random_number()),
            sub_type: SubType::Exclusive as i32,
            consumer_id: 0,
            durable: Some(false),
            initial_position: Some(InitialPosition::Latest as i32),
            ..Default::default()
        };
        connection.request(BaseCommand { subscribe: Some(asked), ..command::of_type(Type::Subscribe) }).await?;
        Ok(connection.last_message_id(0).await?.last.is_some())
    }

    async fn cursor(&self, partitions: &[String]) -> Found {
        let Some(admin) = &self.admin else { return unseen("the subscription's backlog") };
        let (mut backlog, mut without) = (0, 0);
        for partition in partitions {
            match admin.subscription(partition, self.subscription).await {
                Ok(Some(stats)) => backlog += stats.msg_backlog,
                Ok(None) => without += 1,
                Err(error) => return unanswered(&error),
            }
        }
        let name = self.subscription;
        match without {
            0 => good(format!(
                "{name} is there, {backlog} entries are not acknowledged (the last one read of each partition never is)"
            )),
            _ if without == partitions.len() => doubtful(
                format!("there is no subscription {name}: the first run makes it"),
                "make it before the first message is sent, or set a retention: without either, what is sent until then may be deleted",
            ),
            some => doubtful(
                format!("{some} of {} partitions have no subscription {name}", partitions.len()),
                "the next run makes it; what was sent to them until then may be deleted unless there is a retention",
            ),
        }
    }

    async fn retention(&self) -> Found {
        let Some(admin) = &self.admin else { return unseen("retention and expiry") };
        let policies = match admin.policies(&self.client.address().topic).await {
            Ok(policies) => policies,
            Err(error) => return unanswered(&error),
        };
        judge(&policies, self.snapshot_age)
    }
}

/// What a namespace's policies mean for a run that goes on from a snapshot of this age.
fn judge(policies: &Policies, age: Option<Millis>) -> Found {
    let age = age.map(|age| u64::try_from(age / 1_000).unwrap_or(0));
    let mut found = Vec::new();
    if let Some(seconds) = policies.message_ttl {
        let what = format!("entries expire {seconds} s after they were sent, read or not");
        found.push(against(what, seconds, age));
    }
    if let Some(minutes) = policies.subscription_expiration {
        let what = format!("a subscription without a consumer is deleted after {minutes} minutes");
        found.push(against(what, minutes.saturating_mul(60), age));
    }
    for quota in policies.backlog_quotas.iter().filter(|quota| quota.policy == EVICTION) {
        if let Ok(seconds @ 1..) = u64::try_from(quota.limit_time) {
            found.push(against(format!("the backlog quota takes away entries older than {seconds} s"), seconds, age));
        }
        if quota.limit_size > 0 {
            found.push(format!("the backlog quota takes away the oldest entries beyond {} bytes", quota.limit_size));
        }
    }
    if !found.is_empty() {
        return doubtful(
            found.join("; "),
            "let nothing expire (message TTL, subscription expiration, a backlog quota that evicts), or not before the longest time that \
             no run reads: what goes is lost, and the next run ends for it",
        );
    }
    let minutes = policies.retention.map(|Retention { retention_time_in_minutes: minutes, .. }| minutes);
    let kept = match minutes {
        Some(-1) => "entries are kept for ever".to_owned(),
        None | Some(0) => "entries are kept until the subscription has acknowledged them".to_owned(),
        Some(minutes) => format!("acknowledged entries are kept for {minutes} minutes"),
    };
    match age {
        Some(age) => good(format!(
            "{kept}; the newest snapshot is {age} s old, and only what it covers was acknowledged: nothing goes"
        )),
        None => good(kept),
    }
}

/// What happens to entries after so many seconds, measured against the age of the snapshot.
fn against(what: String, seconds: u64, age: Option<u64>) -> String {
    match age {
        None => what,
        Some(age) if age < seconds => {
            format!("{what} (the newest snapshot is {age} s old: {} s are left)", seconds - age)
        }
        Some(age) => format!("{what} (the newest snapshot is {age} s old: what it does not cover may be gone)"),
    }
}

fn partitioned(count: u32) -> String {
    match count {
        0 => "it is not partitioned".to_owned(),
        1 => "it has 1 partition".to_owned(),
        count => format!("it has {count} partitions"),
    }
}

fn unseen(what: &str) -> Found {
    doubtful(
        format!("{what} cannot be seen over Pulsar's protocol"),
        "name the administration in --admin-url http://HOST:8080",
    )
}

fn unanswered(error: &Error) -> Found {
    doubtful(
        error.to_string(),
        "look at --admin-url, and whether our role may read the namespace's policies and statistics",
    )
}

/// What to do about a failure.
fn refused(failed: &Failed) -> Found {
    use proto::ServerError;
    let advice = match failed.cause {
        Cause::Refused(ServerError::AuthenticationError) | Cause::Credentials => {
            "give the token or the OAuth2 credentials that the broker knows (--pulsar-token-file, PULSAR_TOKEN, --pulsar-oauth2-issuer)"
        }
        Cause::Refused(ServerError::AuthorizationError) => "grant our role `consume` on the namespace",
        Cause::Refused(ServerError::TopicNotFound) => "make the topic, or mend its name in --source",
        Cause::Insecure => "name the roots in --pulsar-tls-roots, and the broker as its certificate does",
        Cause::Stranger => {
            "name the port of Pulsar's binary protocol (6650, with TLS 6651), not that of its administration"
        }
        Cause::Unreachable | Cause::TimedOut | Cause::Closed | Cause::Silent => {
            "see that the broker runs, and that name, port and network let this machine reach it"
        }
        _ => "see the broker's own log",
    };
    bad(failed.to_string(), advice)
}

#[cfg(test)]
mod tests;
