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
                let watermarks = watermarks(&progress, out_of_order);
                for now in topic.status() {
                    let then = before.insert(now.partition, (now.messages, now.bytes)).unwrap_or_default();
                    line(&now, then, seconds, watermarks.get(&now.partition).copied(), clock());
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

/// The watermark of each partition that has had an event, as its slot has told last: commits may stand still while it is read. One
/// whose slot has not told yet is as of the newest commit.
fn watermarks(progress: &Progress, out_of_order: Millis) -> BTreeMap<u32, Millis> {
    let (newest, slots) = (progress.newest(), progress.told().slots());
    let told = slots.iter().flat_map(|slot| &slot.partitions).map(|partition| &partition.cut);
    let times = newest.cut.iter().chain(told).filter_map(|cut| Some((cut.partition, cut.max_time? - out_of_order)));
    times.collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::edges::{Observer, PartitionReport, SlotReport};
    use crate::snapshot::{Manifest, PartitionCut};
    use crate::time::Activity;

    #[test]
    fn a_watermark_rises_without_commits() {
        let cut = |partition, max_time| PartitionCut { max_time, ..PartitionCut::beginning(partition, "p", "") };
        let claim = Manifest { cut: vec![cut(0, Some(60_000)), cut(1, Some(61_000))], ..Manifest::default() };
        let progress = Progress::new(claim, 0..1, Arc::new(|| 0));
        assert_eq!(watermarks(&progress, 5_000), BTreeMap::from([(0, 55_000), (1, 56_000)]));
        let partition = |cut| PartitionReport { cut, minute: None, activity: Activity::Active, paused: false };
        let partitions = vec![partition(cut(0, Some(99_000))), partition(cut(2, None))];
        progress.slot(SlotReport { slot: 0, at: 0, epoch: 0, words_in_flight: 0, stopped: None, partitions });
        assert_eq!(watermarks(&progress, 5_000), BTreeMap::from([(0, 94_000), (1, 56_000)]));
    }
}
