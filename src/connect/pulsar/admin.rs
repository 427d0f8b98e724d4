//! Pulsar's administration over HTTP: what the binary protocol cannot ask for. A run does without it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use reqwest::{Certificate, Identity, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address::Topic;
use super::security::{Credentials, Security};
use crate::error::{Error, Result};
use crate::limits::{PULSAR_ADMIN_MS, REASON_BYTES_MAX};

/// A cluster's administration.
pub struct Admin {
    /// `http://HOST:PORT`, without a slash at its end.
    base: String,
    http: reqwest::Client,
    credentials: Credentials,
}

/// How long a namespace keeps entries that every subscription has acknowledged; -1 is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// Minutes.
    pub retention_time_in_minutes: i64,
    /// Megabytes.
    #[serde(rename = "retentionSizeInMB")]
    pub retention_size_in_mb: i64,
}

/// What a namespace does when a subscription has too much in front of it; a limit of 0 or less is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BacklogQuota {
    /// Bytes.
    pub limit_size: i64,
    /// Seconds.
    pub limit_time: i64,
    /// `consumer_backlog_eviction` takes entries from the subscription, the others stop producers.
    pub policy: String,
}

/// What a namespace does with old entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// How long acknowledged ones are kept; none where the broker's own setting counts.
    pub retention: Option<Retention>,
    /// Seconds after which entries expire although nobody has read them; none where they do not, as far as the namespace says.
    pub message_ttl: Option<u64>,
    /// Minutes after which a subscription without a consumer is deleted; none where it is not, as far as the namespace says.
    pub subscription_expiration: Option<u64>,
    /// Its quotas, those by size and by age.
    pub backlog_quotas: Vec<BacklogQuota>,
}

/// A subscription of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionStats {
    /// Entries that it has not acknowledged.
    pub msg_backlog: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TopicStats {
    subscriptions: BTreeMap<String, SubscriptionStats>,
}

impl Admin {
    /// The administration at `http://HOST:PORT` or `https://HOST:PORT`, with the security of the topic.
    pub fn new(base: &str, security: &Security) -> Result<Self> {
        let wrong = |why: String| Error::configuration(format!("reaching the administration at {base}: {why}"));
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(wrong("allowed is http://HOST:PORT or https://HOST:PORT".into()));
        }
        let read = |path: &std::path::Path| {
            fs::read(path).map_err(|cause| wrong(format!("{} cannot be read: {cause}", path.display())))
        };
        let mut http = reqwest::Client::builder().timeout(Duration::from_millis(PULSAR_ADMIN_MS)).no_proxy();
        if let Some(roots) = &security.roots {
            http = http.tls_built_in_root_certs(false);
            for root in Certificate::from_pem_bundle(&read(roots)?).map_err(|cause| wrong(cause.to_string()))? {
                http = http.add_root_certificate(root);
            }
        }
        if let Some((certificate, key)) = &security.client {
            let pem = [read(certificate)?, read(key)?].concat();
            http = http.identity(Identity::from_pem(&pem).map_err(|cause| wrong(cause.to_string()))?);
        }
        Ok(Admin {
            base: base.trim_end_matches('/').to_owned(),
            http: http.build().map_err(|cause| wrong(cause.to_string()))?,
            credentials: Credentials::new(security)?,
        })
    }

    /// Makes a topic of so many partitions. One that is there already with as many is fine.
    pub async fn create(&self, topic: &Topic, partitions: u32) -> Result<()> {
        let path = format!("{}/partitions", path(topic));
        match self.ask(Method::PUT, &path, Some(partitions.to_string())).await? {
            (status, _) if status.is_success() => Ok(()),
            (StatusCode::CONFLICT, _) => self.is_as_large(topic, partitions).await,
            (status, words) => Err(refused(&format!("making {topic}"), status, &words)),
        }
    }

    async fn is_as_large(&self, topic: &Topic, partitions: u32) -> Result<()> {
        #[derive(Deserialize)]
        struct Metadata {
            partitions: u32,
        }
        let found: Option<Metadata> = self.get(&format!("{}/partitions", path(topic))).await?;
        match found.map_or(0, |found| found.partitions) {
            count if count == partitions => Ok(()),
            count => Err(Error::configuration(format!(
                "making {topic} with {partitions} partitions: it is there already and has {count}; give that number, or another name"
            ))),
        }
    }

    /// What the topic's namespace does with old entries.
    pub async fn policies(&self, topic: &Topic) -> Result<Policies> {
        let of = |name: &str| format!("namespaces/{}/{}/{name}", topic.tenant, topic.namespace);
        let quotas: Option<BTreeMap<String, BacklogQuota>> = self.get(&of("backlogQuotaMap")).await?;
        Ok(Policies {
            retention: self.get(&of("retention")).await?,
            message_ttl: self.get(&of("messageTTL")).await?.filter(|seconds| *seconds > 0),
            subscription_expiration: self.get(&of("subscriptionExpirationTime")).await?.filter(|minutes| *minutes > 0),
            backlog_quotas: quotas.unwrap_or_default().into_values().collect(),
        })
    }

    /// A subscription of a partition (its full name, or that of a topic without partitions); none where there is no such subscription.
    pub async fn subscription(&self, partition: &str, subscription: &str) -> Result<Option<SubscriptionStats>> {
        let partition = partition.strip_prefix("persistent://").unwrap_or(partition);
        let stats: Option<TopicStats> = self.get(&format!("persistent/{partition}/stats")).await?;
        Ok(stats.unwrap_or_default().subscriptions.get(subscription).copied())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let (status, words) = self.ask(Method::GET, path, None).await?;
        match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() && words.is_empty() => Ok(None),
            status if status.is_success() => serde_json::from_str(&words)
                .map_err(|cause| Error::outside(format!("reading what {} says to {path}", self.base), cause)),
            status => Err(refused(&format!("asking {} for {path}", self.base), status, &words)),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<(StatusCode, String)> {
        let failed =
            |cause: reqwest::Error| Error::outside(format!("asking {} for {path}", self.base), spelled(&cause));
        let mut request = self.http.request(method, format!("{}/admin/v2/{path}", self.base));
        if let Some(token) = self.credentials.token().await? {
            request = request.bearer_auth(String::from_utf8_lossy(&token));
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(failed)?;
        Ok((answer.status(), answer.text().await.map_err(failed)?))
    }
}

fn path(topic: &Topic) -> String {
    format!("persistent/{}/{}/{}", topic.tenant, topic.namespace, topic.name)
}

fn refused(tried: &str, status: StatusCode, words: &str) -> Error {
    let words: String = words.chars().take(REASON_BYTES_MAX).collect();
    let error = format!("{tried}: the broker says {status}: {}", words.trim());
    if status.is_client_error() {
        Error::configuration(error)
    } else {
        Error::outside(tried, format!("{status}: {words}"))
    }
}

/// An error with those behind it: the first says only that sending failed.
fn spelled(cause: &reqwest::Error) -> String {
    let mut words = cause.to_string();
    let mut behind = std::error::Error::source(cause);
    while let Some(error) = behind {
        words = format!("{words}: {error}");
        behind = error.source();
    }
    words
}
