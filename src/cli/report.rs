//! What is said of a topic while it is read: a line for each partition in the log, from time to time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::connect::pulsar::{PartitionStatus, PulsarSource};
use crate::error::{Error, Result};
use crate::limits::TOPIC_REPORT_MS;
use crate::observe::Progress;
use crate::time::{Clock, Millis, utc};

/// Says how a topic's partitions are doing until it is dropped.
pub(super) struct Report {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Report {
    /// Begins to say it.
    pub fn start(
        topic: Arc<PulsarSource>,
        progress: Arc<Progress>,
        out_of_order: Millis,
        clock: Clock,
    ) -> Result<Self> {
        let (stop, stopped) = channel();
        let say = move || {
            let (mut before, mut at) = (BTreeMap::new(), Instant::now());
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(TOPIC_REPORT_MS)) {
                let seconds = at.elapsed().as_secs_f64();
                at = Instant::now();
                for now in topic.status() {
                    let then = before.insert(now.partition, (now.messages, now.bytes)).unwrap_or_default();
                    line(&now, then, seconds, watermark(&progress, now.partition, out_of_order), clock());
                }
            }
        };
        let thread = std::thread::Builder::new().name("report".into()).spawn(say);
        let thread = thread.map_err(|cause| Error::outside("starting a thread", cause))?;
        Ok(Report { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to fail at; where it did all the same, there is nothing more to say.
            let _ = thread.join();
        }
    }
}

/// The watermark of a partition at the newest commit; none before its first event.
fn watermark(progress: &Progress, partition: u32, out_of_order: Millis) -> Option<Millis> {
    let newest = progress.newest();
    let cut = newest.cut.iter().find(|cut| cut.partition == partition)?;
    Some(cut.max_time? - out_of_order)
}

fn line(now: &PartitionStatus, (messages, bytes): (u64, u64), seconds: f64, watermark: Option<Millis>, clock: Millis) {
    let rate = |count: u64| (count as f64 / seconds) as u64;
    tracing::info!(
        partition = now.name,
        connected = now.connected,
        messages_per_second = rate(now.messages - messages),
        bytes_per_second = rate(now.bytes - bytes),
        watermark = watermark.map(utc),
        lag_seconds = watermark.map(|watermark| (clock - watermark) / 1_000),
        next = ?now.next,
        last = ?now.last,
        acknowledged = ?now.acknowledged,
        permits = now.permits,
        bytes_held = now.bytes_held,
        repeats = now.repeats,
        gaps = now.gaps,
        reconnects = ?now.reconnects,
        "partition"
    );
}
