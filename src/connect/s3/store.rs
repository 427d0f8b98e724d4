//! A snapshot store in a bucket. Objects are objects, their names are keys below the prefix.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;

use super::client::{connect, time_outs};
use super::failed::{Trying, answered, causes, failed, lost};
use super::{Address, Encryption, Settings};
use crate::connect::runtime::Tasks;
use crate::connect::{GivenUp, object_name};
use crate::error::{Error, Fault, Result};
use crate::limits::{OBJECT_BYTES_MAX, S3_BYTES_PER_MS, S3_LISTED_MAX, S3_OPEN_MS, S3_THREADS, S3_TRIES, S3_TRY_MS};
use crate::snapshot::Store;

/// A [`Store`] in a bucket of S3. Every request has a few tries and a time-out; who wants more patience than that has
/// [`crate::connect::Patient`]. Its methods block, and so are never called on a thread of an async runtime.
#[derive(Clone)]
pub struct S3Store {
    shared: Arc<Shared>,
    given_up: GivenUp,
}

struct Shared {
    client: Client,
    address: Address,
    encryption: Encryption,
    tasks: Tasks,
}

impl S3Store {
    /// A store at this address, after its credentials have been found; the server is not asked for anything yet. What is waited for
    /// ends early once `given_up` says so.
    pub fn open(address: Address, settings: &Settings, given_up: GivenUp) -> Result<Self> {
        let tasks = Tasks::start("s3", S3_THREADS)?;
        let limit = Duration::from_millis(S3_OPEN_MS);
        let found = async {
            tokio::time::timeout(limit, connect(settings)).await.unwrap_or_else(|_| {
                Err(Error::outside("getting credentials for S3", format!("not done in {S3_OPEN_MS} ms")))
            })
        };
        let client = tasks.wait_here("getting credentials for S3", &given_up, found)?;
        let shared = Shared { client, address, encryption: settings.encryption.clone(), tasks };
        Ok(S3Store { shared: Arc::new(shared), given_up })
    }

    /// The same store for somebody who gives up for another reason.
    pub fn given_up_when(&self, given_up: GivenUp) -> Self {
        S3Store { shared: Arc::clone(&self.shared), given_up }
    }

    /// The key of an object.
    fn key(&self, name: &str) -> Result<String> {
        object_name::check(name)?;
        Ok(self.shared.address.key(name))
    }

    /// What is done, and where, for messages.
    fn doing(&self, what: &str, name: &str) -> String {
        format!("{what} s3://{}/{}", self.shared.address.bucket, self.shared.address.key(name))
    }

    fn wait<T>(&self, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.shared.tasks.wait_here(doing, &self.given_up, work)
    }

    /// A put of these bytes, encrypted as the settings say.
    fn putting(&self, name: &str, bytes: &[u8]) -> Result<PutObjectFluentBuilder> {
        if bytes.len() > OBJECT_BYTES_MAX {
            let len = bytes.len();
            return Err(Error::bug(format!("the object {name} has {len} bytes, {OBJECT_BYTES_MAX} can be read back")));
        }
        let put = self.shared.client.put_object().bucket(&self.shared.address.bucket).key(self.key(name)?);
        let put = put.body(ByteStream::from(bytes.to_vec()));
        Ok(match &self.shared.encryption {
            Encryption::None => put,
            Encryption::Aes256 => put.server_side_encryption(ServerSideEncryption::Aes256),
            Encryption::Kms(key) => {
                put.server_side_encryption(ServerSideEncryption::AwsKms).set_ssekms_key_id(key.clone())
            }
        })
    }

    /// An object before its bytes; `None` where there is none.
    async fn found(&self, doing: &str, key: &str) -> Result<Option<GetObjectOutput>> {
        match self.shared.client.get_object().bucket(&self.shared.address.bucket).key(key).send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match answered(&error) {
                Some((404, "NoSuchKey")) => Ok(None),
                // Who may list only a prefix is not told what is absent below it.
                Some((403, "AccessDenied")) if !self.has(doing, key).await? => Ok(None),
                _ => Err(failed(Trying::Read(doing), error)),
            },
        }
    }

    /// Whether a key is listed.
    async fn has(&self, doing: &str, key: &str) -> Result<bool> {
        let ask = self.shared.client.list_objects_v2().bucket(&self.shared.address.bucket).prefix(key).max_keys(1);
        let found = ask.send().await.map_err(|error| failed(Trying::Read(doing), error))?;
        Ok(found.contents().iter().any(|object| object.key() == Some(key)))
    }

    async fn listed(&self, doing: &str, prefix: &str) -> Result<Vec<String>> {
        let Shared { client, address, .. } = &*self.shared;
        let (mut names, mut from) = (Vec::new(), None);
        loop {
            let ask = client.list_objects_v2().bucket(&address.bucket).prefix(address.key(prefix));
            let page = ask.set_continuation_token(from).send().await;
            let page = page.map_err(|error| failed(Trying::Read(doing), error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let below = keys.filter_map(|key| key.strip_prefix(&address.prefix)?.strip_prefix('/'));
            names.extend(below.filter(|name| object_name::check(name).is_ok()).map(str::to_owned));
            if names.len() > S3_LISTED_MAX {
                return Err(Error::data(format!(
                    "{doing}: there are more than {S3_LISTED_MAX}: this is no state of ours"
                )));
            }
            from = page.next_continuation_token().map(str::to_owned);
            if from.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }
}

impl Store for S3Store {
    fn place(&self) -> String {
        self.shared.address.to_string()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let doing = self.doing("storing", name);
        let put = self.putting(name, bytes)?.customize().config_override(timed(bytes.len()));
        self.wait(&doing, async { put.send().await.map(|_| ()).map_err(|error| failed(Trying::Write(&doing), error)) })
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let doing = self.doing("storing", name);
        let put = self.putting(name, bytes)?.if_none_match("*").customize().config_override(timed(bytes.len()));
        self.wait(&doing, async {
            match put.send().await {
                Ok(_) => Ok(true),
                Err(error) if answered(&error).is_some_and(|(status, _)| status == 412) => Ok(false),
                Err(error) => Err(failed(Trying::Write(&doing), error)),
            }
        })
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let (doing, key) = (self.doing("reading", name), self.key(name)?);
        self.wait(&doing, async {
            // The SDK's own tries end where the body begins.
            let mut tries = 1;
            loop {
                let Some(answer) = self.found(&doing, &key).await? else { return Ok(None) };
                match body(&doing, answer).await {
                    Err(error) if error.fault == Fault::Outside && tries < S3_TRIES => tries += 1,
                    bytes => return bytes.map(Some),
                }
            }
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let doing = self.doing("listing", prefix);
        self.wait(&doing, self.listed(&doing, prefix))
    }

    fn delete(&self, name: &str) -> Result<()> {
        let doing = self.doing("removing", name);
        let delete = self.shared.client.delete_object().bucket(&self.shared.address.bucket).key(self.key(name)?);
        self.wait(&doing, async {
            match delete.send().await {
                Err(error) if !matches!(answered(&error), Some((404, "NoSuchKey"))) => {
                    Err(failed(Trying::Write(&doing), error))
                }
                _ => Ok(()),
            }
        })
    }
}

/// The time-outs of a request that sends so many bytes.
fn timed(bytes: usize) -> aws_sdk_s3::config::Builder {
    Config::builder().timeout_config(time_outs(bytes))
}

/// The bytes of an answer, of a bounded size and in a bounded time.
async fn body(doing: &str, mut answer: GetObjectOutput) -> Result<Vec<u8>> {
    let too_long =
        || Error::data(format!("{doing}: it has more than {OBJECT_BYTES_MAX} bytes: it is no object of ours"));
    let said = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if said > OBJECT_BYTES_MAX {
        return Err(too_long());
    }
    let limit = S3_TRY_MS + OBJECT_BYTES_MAX.min(said) as u64 / S3_BYTES_PER_MS;
    let read = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map_err(|cause| cut(doing, causes(&cause)))?;
            if bytes.len() + chunk.len() > OBJECT_BYTES_MAX {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(Duration::from_millis(limit), read)
        .await
        .unwrap_or_else(|_| Err(lost(Trying::Read(doing), format!("its bytes did not come in {limit} ms"))))
}

/// Bytes that ended early, or that are not those that were stored.
fn cut(doing: &str, why: String) -> Error {
    if why.to_lowercase().contains("checksum mismatch") {
        return Error::data(format!("{doing}: the bytes are not those that were stored: {why}"));
    }
    lost(Trying::Read(doing), why)
}
