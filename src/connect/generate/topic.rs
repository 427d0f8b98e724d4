//! Generated events to a Pulsar topic: partition i of the generator goes to partition i of the topic.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use super::batch::{Batch, Generator, Tally};
use super::write::Summary;
use crate::connect::pulsar::admin::Admin;
use crate::connect::pulsar::producer::{Options, Producer};
use crate::connect::pulsar::{Client, Failed};
use crate::error::{Error, Result};
use crate::event::Span;
use crate::limits::{CAPTURE_ENTRY_EVENTS, GENERATED_SHIP_MS, GENERATED_THREADS_MAX, GENERATED_TICK_MS};

/// How events are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// What each producer does.
    pub options: Options,
    /// Messages per second of the wall clock, all partitions together; as fast as it goes unless given.
    pub pace: Option<f64>,
    /// Whether the publish time is the generated one, because the dataflow takes it for the event time; else it is the wall clock.
    pub generated_publish_time: bool,
}

/// Sends all events, an entry of the generator at a time, in batches that never span two of them: so which events are late does
/// not depend on the batches. Makes the topic first where an administration is given.
pub fn to_topic(generator: &Generator, client: &Client, make: Option<&Admin>, sending: &Sending) -> Result<Summary> {
    check(sending)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(GENERATED_THREADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Error::outside("starting threads that send", error))?;
    let began = Instant::now();
    let (tally, bytes) = runtime.block_on(async {
        let topics = topics(generator, client, make).await?;
        send_all(generator, client, topics, sending).await
    })?;
    Ok(Summary::new(tally, bytes, Vec::new(), began.elapsed()))
}

fn check(sending: &Sending) -> Result<()> {
    if !(1..=CAPTURE_ENTRY_EVENTS as u64).contains(&u64::from(sending.options.batch)) {
        return Err(Error::configuration(format!(
            "a batch of {} messages; allowed are 1 to {CAPTURE_ENTRY_EVENTS}",
            sending.options.batch
        )));
    }
    if sending.options.window == 0 {
        return Err(Error::configuration("a window of 0 entries; allowed is 1 and more"));
    }
    if sending.pace.is_some_and(|pace| !(pace.is_finite() && pace > 0.0)) {
        return Err(Error::configuration("the pace must be above 0: messages per second"));
    }
    Ok(())
}

/// The full name of each partition, once the topic has as many as are generated.
async fn topics(generator: &Generator, client: &Client, make: Option<&Admin>) -> Result<Vec<String>> {
    let (topic, wanted) = (&client.address().topic, generator.spec().partitions);
    if let Some(admin) = make {
        admin.create(topic, wanted).await?;
    }
    let found = client.partitions().await?;
    match (found, wanted) {
        (0, 1) => Ok(vec![topic.to_string()]),
        _ if found == wanted => Ok((0..found).map(|number| topic.partition(number)).collect()),
        _ => Err(Error::configuration(format!(
            "sending {wanted} partitions to {topic}, which has {}; give --partitions that many",
            found.max(1)
        ))),
    }
}

async fn send_all(
    generator: &Generator,
    client: &Client,
    topics: Vec<String>,
    sending: &Sending,
) -> Result<(Tally, u64)> {
    let generator = Arc::new(generator.clone());
    let mut tasks = JoinSet::new();
    for (partition, topic) in (0_u32..).zip(topics) {
        let (generator, client, sending) = (Arc::clone(&generator), client.clone(), sending.clone());
        tasks.spawn(async move { Sender::run(&generator, partition, &client, topic, &sending).await });
    }
    let mut all = (Tally::default(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (tally, bytes) = ended.map_err(|_| Error::bug("a sending task panicked"))??;
        all.0.add(&tally);
        all.1 += bytes;
    }
    Ok(all)
}

/// What sends one partition.
struct Sender {
    producer: Producer,
    generated_publish_time: bool,
    pace: Option<Pacing>,
}

/// When messages are due.
struct Pacing {
    began: Instant,
    per_second: f64,
    sent: u64,
    shipped: Instant,
}

impl Sender {
    async fn run(
        generator: &Generator,
        partition: u32,
        client: &Client,
        topic: String,
        sending: &Sending,
    ) -> std::result::Result<(Tally, u64), Failed> {
        let producer = Producer::create(client, topic, sending.options.clone()).await?;
        let events: u64 = (0..generator.spec().partitions).map(|partition| generator.events(partition)).sum();
        let share = generator.events(partition) as f64 / events.max(1) as f64;
        let now = Instant::now();
        let pace = sending.pace.map(|pace| Pacing { began: now, per_second: pace * share, sent: 0, shipped: now });
        let mut sender = Sender { producer, generated_publish_time: sending.generated_publish_time, pace };
        let (mut batch, mut tally) = (Batch::default(), Tally::default());
        for entry in 0..generator.entries(partition) {
            tally.add(&generator.fill(partition, entry, &mut batch));
            sender.send(&batch).await?;
            // The other partitions' turn, so that their times stay close.
            tokio::task::yield_now().await;
        }
        let last = sender.publish_time(&batch);
        let bytes = sender.producer.close(last).await?;
        Ok((tally, bytes))
    }

    async fn send(&mut self, batch: &Batch) -> std::result::Result<(), Failed> {
        for Span { start, len } in &batch.spans {
            self.wait_for_turn(batch).await?;
            if self.producer.add(&batch.bytes[*start as usize..(*start + *len) as usize]) {
                self.ship(batch).await?;
            }
        }
        self.ship(batch).await
    }

    async fn ship(&mut self, batch: &Batch) -> std::result::Result<(), Failed> {
        if let Some(pace) = &mut self.pace {
            pace.shipped = Instant::now();
        }
        self.producer.ship(self.publish_time(batch)).await
    }

    /// With a pace, waits until the next message is due; what has gathered for a while is shipped meanwhile.
    async fn wait_for_turn(&mut self, batch: &Batch) -> std::result::Result<(), Failed> {
        while let Some(pace) = &mut self.pace {
            let due = pace.began + Duration::from_secs_f64((pace.sent as f64 / pace.per_second).min(1e9));
            let now = Instant::now();
            if due <= now {
                pace.sent += 1;
                return Ok(());
            }
            if now.duration_since(pace.shipped) >= Duration::from_millis(GENERATED_SHIP_MS) {
                self.ship(batch).await?;
            }
            // Sleeping for less than a tick would cost more than the messages.
            let until = due
                .max(now + Duration::from_millis(GENERATED_TICK_MS))
                .min(now + Duration::from_millis(GENERATED_SHIP_MS));
            self.producer.tend(until.into()).await?;
        }
        Ok(())
    }

    /// Milliseconds since 1970.
    fn publish_time(&self, batch: &Batch) -> u64 {
        if self.generated_publish_time {
            return u64::try_from(batch.last_ns / 1_000_000).unwrap_or(0);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
