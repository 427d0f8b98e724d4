//! A source whose partitions are those of a Pulsar topic, in order of number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Client;
use super::budget::Budget;
use super::failed::Failed;
use super::handover::{Handover, Opened, Taken};
use super::order::Order;
use super::partition::{Begin, Setting, Task};
use super::reader::{Line, PulsarReader};
use super::schemas::{Check, Patience, Schemas};
use super::spare::{Blank, Emptied, Spare};
use super::status::{Counts, PartitionStatus};
use super::window::Window;
use crate::connect::backoff::Backoff;
use crate::connect::runtime::Tasks;
use crate::dataflow::edges::{Partition, Reader, Source, Start, Wake};
use crate::error::{Error, Result};
use crate::limits::{PARTITIONS_MAX, PULSAR_AGAIN_MS, PULSAR_ON_THE_WAY_BYTES_MAX, PULSAR_OPEN_MS, PULSAR_REQUEST_MS};
use crate::snapshot::PartitionCut;

/// How a topic is read.
pub struct Config {
    /// The topic, its brokers, and how they know us.
    pub client: Client,
    /// The durable subscription, the same in every run of a pipeline.
    pub subscription: String,
    /// Where a first run begins.
    pub start: Begin,
    /// Bytes that the process may hold of entries asked for and not yet read; see `budget`.
    pub memory: usize,
    /// Go on where entries are missing, and record it.
    pub accept_gap: bool,
    /// Whether a writer's schema can be resolved to the dataflow's.
    pub check: Check,
    /// Threads for all connections.
    pub threads: usize,
}

/// A Pulsar topic.
pub struct PulsarSource {
    tasks: Arc<Tasks>,
    setting: Arc<Setting>,
    start: Begin,
    names: Vec<String>,
    /// Of the partitions that were opened.
    counts: Mutex<BTreeMap<u32, Arc<Counts>>>,
}

impl PulsarSource {
    /// Looks the topic up: its partitions and whether its schema can be read. A broker that cannot be reached is tried again for
    /// [`PULSAR_OPEN_MS`]; what cannot help to be tried again is an error at once.
    pub fn open(config: Config) -> Result<Self> {
        let tasks = Tasks::start("pulsar", config.threads)?;
        let topic = config.client.address().topic.to_string();
        let client = config.client.clone();
        let limit = Duration::from_millis(PULSAR_OPEN_MS);
        let doing = format!("looking up {topic}");
        let count = tasks.wait(
            limit,
            &doing,
            until_known(doing.clone(), move || {
                let client = client.clone();
                async move { client.partitions().await }
            }),
        )??;
        if count as usize > PARTITIONS_MAX {
            return Err(Error::configuration(format!("{topic} has {count} partitions, {PARTITIONS_MAX} can be")));
        }
        let names = names(&config.client, count);
        let schemas = Schemas::new(config.client.clone(), names[0].clone(), config.check, Patience::default());
        let asked = Arc::clone(&schemas);
        let doing = format!("asking for the schema of {topic}");
        tasks.wait(
            limit,
            &doing,
            until_known(doing.clone(), move || {
                let asked = Arc::clone(&asked);
                async move { asked.begin().await }
            }),
        )???;
        let share = (config.memory / 2 / names.len()).min(PULSAR_ON_THE_WAY_BYTES_MAX);
        let setting = Setting {
            client: config.client,
            subscription: config.subscription,
            accept_gap: config.accept_gap,
            budget: Budget::new(config.memory),
            schemas,
            share,
        };
        let (tasks, setting) = (Arc::new(tasks), Arc::new(setting));
        Ok(PulsarSource { tasks, setting, start: config.start, names, counts: Mutex::default() })
    }

    /// The partitions that were opened in this process, as they are now.
    pub fn status(&self) -> Vec<PartitionStatus> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().map(|counts| counts.lock().clone()).collect()
    }

    fn task(&self, start: Start, handover: &Arc<Handover>, spare: &Arc<Spare>) -> Result<Task> {
        let Some(topic) = self.names.get(start.partition as usize) else {
            let (asked, count) = (start.partition, self.names.len());
            return Err(Error::bug(format!("partition {asked} is asked for, there are {count}")));
        };
        let counts = Arc::new(Counts::new(start.partition, topic.clone()));
        counts.lock().next = start.from;
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(start.partition, Arc::clone(&counts));
        drop(all);
        Ok(Task {
            setting: Arc::clone(&self.setting),
            topic: topic.clone(),
            order: Order::new(start.from),
            window: Window::new(),
            handover: Arc::clone(handover),
            blank: Blank::new(Arc::clone(spare)),
            opened: Opened::default(),
            counts,
            begin: (start.from.is_none() && !start.begun).then_some(self.start),
            schema: None,
            damaged: None,
            progressed: false,
            stalls: 0,
        })
    }
}

/// Asks until there is an answer, or a failure that lasts.
async fn until_known<T, F>(doing: String, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = std::result::Result<T, Failed>>,
{
    let mut backoff = Backoff::new(PULSAR_AGAIN_MS);
    loop {
        match ask().await {
            Ok(found) => return Ok(found),
            Err(failed) if failed.lasts() => return Err(failed.into()),
            Err(failed) => tracing::warn!(cause = failed.cause.name(), "{doing} again: {failed}"),
        }
        backoff.wait().await;
    }
}

/// The names of a topic's partitions; a topic without partitions is one itself.
fn names(client: &Client, count: u32) -> Vec<String> {
    let topic = &client.address().topic;
    match count {
        0 => vec![topic.to_string()],
        count => (0..count).map(|number| topic.partition(number)).collect(),
    }
}

/// Why a cut is not of these partitions; none where it is.
fn mismatch(names: &[String], cut: &[PartitionCut]) -> Option<String> {
    if let Some(then) = cut.iter().find(|then| names.get(then.partition as usize) != Some(&then.name)) {
        let now = names.get(then.partition as usize);
        let now =
            now.map_or_else(|| format!("there are {} partitions now", names.len()), |name| format!("it is {name} now"));
        return Some(format!("partition {} was {}, {now}", then.partition, then.name));
    }
    None
}

impl Source for PulsarSource {
    fn partitions(&self) -> Result<Vec<Partition>> {
        Ok(self.names.iter().map(|name| Partition { name: name.clone(), identity: String::new() }).collect())
    }

    /// A topic may have grown; what was read must still be there under its number.
    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        mismatch(&self.names, cut).map_or(Ok(()), |why| {
            Err(Error::configuration(format!(
                "the topic is not the one that this pipeline has begun to read: {why}. name that topic, or begin another pipeline; a \
                 topic may get more partitions, but none may go"
            )))
        })
    }

    fn grown(&self) -> Result<bool> {
        let client = self.setting.client.clone();
        let limit = Duration::from_millis(2 * PULSAR_REQUEST_MS);
        let count = self
            .tasks
            .wait(limit, "asking for the number of partitions", async move { client.partitions().await })??;
        Ok(count as usize > self.names.len())
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let spare = Arc::new(Spare::default());
        let mut lines = BTreeMap::new();
        for start in starts {
            let handover = Arc::new(Handover::new(Arc::clone(&wake), Arc::clone(&self.setting.budget)));
            start.from.into_iter().for_each(|from| handover.cover(from));
            let task = self.task(start, &handover, &spare)?;
            let task = self.tasks.handle().spawn(task.run());
            lines.insert(start.partition, Line { taken: Taken::new(handover), task });
        }
        Ok(Box::new(PulsarReader::new(lines, Emptied::new(spare), Arc::clone(&self.tasks))))
    }
}

#[cfg(test)]
mod tests;
