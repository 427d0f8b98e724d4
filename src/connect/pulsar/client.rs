//! Which broker owns a topic, and connections with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_lookup_topic_response::LookupType;
use pulsar::message::proto::{self, BaseCommand, CommandLookupTopicResponse};

use super::address::{Address, broker};
use super::connection::{Connection, Target};
use super::failed::{Cause, Failed};
use super::security::{Credentials, Security};
use super::tls::Tls;
use super::wire::command;
use crate::error::Result;
use crate::limits::PULSAR_REDIRECTS_MAX;

/// A topic's brokers, and how they know us. Cheap to clone; holds no connection.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    address: Address,
    credentials: Credentials,
    tls: Option<Arc<Tls>>,
    /// The configured broker that answered last.
    answered: AtomicUsize,
}

/// The owner of a topic.
struct Owner {
    /// Its `host:port`.
    broker: String,
    /// Whether it is reached only through the broker that was configured.
    through: bool,
}

impl Client {
    /// Reads what TLS needs; nothing is connected yet.
    pub fn new(address: Address, security: Security) -> Result<Client> {
        let credentials = Credentials::new(&security)?;
        let tls = if address.tls { Some(Tls::new(security)?) } else { None };
        Ok(Client(Arc::new(Inner { address, credentials, tls, answered: AtomicUsize::new(0) })))
    }

    /// The address it was made for.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// How many partitions the topic has; 0 where it is not partitioned.
    pub async fn partitions(&self) -> std::result::Result<u32, Failed> {
        let topic = self.0.address.topic.to_string();
        let tried = format!("asking for the partitions of {topic}");
        let (mut connection, _) = self.any().await.map_err(|failed| failed.while_doing(&tried))?;
        let asked = proto::CommandPartitionedTopicMetadata { topic, ..Default::default() };
        let command = BaseCommand { partition_metadata: Some(asked), ..command::of_type(Type::PartitionedMetadata) };
        let answer = connection.request(command).await.map_err(|failed| failed.while_doing(&tried))?;
        Ok(answer.partition_metadata_response.and_then(|answer| answer.partitions).unwrap_or(0))
    }

    /// A connection of its own with the owner of a topic (its full name). The look-up also makes the broker take the topic over.
    pub async fn connect(&self, topic: &str) -> std::result::Result<Connection, Failed> {
        let tried = |failed: Failed| failed.while_doing(format_args!("looking up {topic}"));
        let (mut connection, service) = self.any().await.map_err(tried)?;
        let mut asked = service.clone();
        let mut authoritative = false;
        for _ in 0..=PULSAR_REDIRECTS_MAX {
            let answer = look_up(&mut connection, topic, authoritative).await.map_err(tried)?;
            let owner = self.owner(&answer).map_err(tried)?;
            if answer.response == Some(LookupType::Connect as i32) && owner.broker == asked {
                return Ok(connection);
            }
            drop(connection);
            connection = self.open(&service, &owner).await.map_err(tried)?;
            if answer.response == Some(LookupType::Connect as i32) {
                return Ok(connection);
            }
            (asked, authoritative) = (owner.broker, answer.authoritative());
        }
        Err(Failed::new(
            Cause::Protocol,
            format!("looking up {topic}: sent from broker to broker {PULSAR_REDIRECTS_MAX} times, the last is {asked}"),
        ))
    }

    /// A connection with the first configured broker that answers, beginning with the one that did last.
    async fn any(&self) -> std::result::Result<(Connection, String), Failed> {
        let brokers = &self.0.address.brokers;
        let first = self.0.answered.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for turn in 0..brokers.len() {
            let index = (first + turn) % brokers.len();
            match self.dial(&brokers[index], None).await {
                Ok(connection) => {
                    self.0.answered.store(index, Ordering::Relaxed);
                    return Ok((connection, brokers[index].clone()));
                }
                Err(failed) => failures.push(failed),
            }
        }
        let words = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        // One that may answer the next time is worth another try.
        let cause = failures.iter().find(|failed| !failed.lasts()).or(failures.first()).map(|failed| failed.cause);
        Err(Failed::new(cause.unwrap_or(Cause::Unreachable), words))
    }

    async fn open(&self, service: &str, owner: &Owner) -> std::result::Result<Connection, Failed> {
        if owner.through { self.dial(service, Some(&owner.broker)).await } else { self.dial(&owner.broker, None).await }
    }

    async fn dial(&self, broker: &str, behind: Option<&str>) -> std::result::Result<Connection, Failed> {
        let Inner { credentials, tls, .. } = &*self.0;
        let tls = match tls {
            Some(tls) => Some(tls.connector().await?),
            None => None,
        };
        Connection::open(Target { broker, behind, tls: tls.as_ref(), credentials }).await
    }

    /// The broker that a look-up names.
    fn owner(&self, answer: &CommandLookupTopicResponse) -> std::result::Result<Owner, Failed> {
        let (named, scheme) = match self.0.tls {
            None => (answer.broker_service_url.as_deref(), "pulsar"),
            Some(_) => (answer.broker_service_url_tls.as_deref(), "pulsar+ssl"),
        };
        let found = named.filter(|url| !url.is_empty()).ok_or(format!("the broker names no {scheme}:// address"));
        let read = found.and_then(|url| {
            let host = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
            let host = host.ok_or(format!("the broker names {url:?}, which is no {scheme}:// address"))?;
            broker(host.trim_end_matches('/'), self.0.tls.is_some())
        });
        match read {
            Ok(broker) => Ok(Owner { broker, through: answer.proxy_through_service_url() }),
            Err(words) => Err(Failed::new(Cause::Protocol, words)),
        }
    }
}

async fn look_up(
    connection: &mut Connection,
    topic: &str,
    authoritative: bool,
) -> std::result::Result<CommandLookupTopicResponse, Failed> {
    let asked = proto::CommandLookupTopic {
        topic: topic.to_owned(),
        authoritative: Some(authoritative),
        ..proto::CommandLookupTopic::default()
    };
    let command = BaseCommand { lookup_topic: Some(asked), ..command::of_type(Type::Lookup) };
    let answer = connection.request(command).await?;
    answer.lookup_topic_response.ok_or_else(|| connection.failed(Cause::Protocol, "its look-up names nothing"))
}

#[cfg(test)]
mod tests;
