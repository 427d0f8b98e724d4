//! The edges of a measured run: entries made when they are asked for, rows encoded and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minuet::connect::files::rows::RowLines;
use minuet::connect::outlet::ThreadOutlet;
use minuet::dataflow::edges::{
    Entry, Framing, Next, Observer, Outlet, Partition, Reader, Sink, Source, Start, Wake, Write, Writer,
};
use minuet::error::{Error, Result};
use minuet::snapshot::{Manifest, PartitionCut, Position};

use super::measure::{PARTITIONS, Pool};

/// What is seen of a run.
#[derive(Default)]
pub struct Tally {
    /// Events read.
    pub read: AtomicU64,
    /// Bytes of a partial in a snapshot, at most.
    pub state: AtomicU64,
}

impl Observer for Tally {
    fn read(&self, events: u64) {
        self.read.fetch_add(events, Ordering::Relaxed);
    }

    fn committed(&self, manifest: &Manifest) {
        let (bytes, partials) = manifest
            .parts
            .iter()
            .fold((0, 0), |(bytes, partials), part| (bytes + part.bytes, partials + part.partials));
        self.state.fetch_max(bytes.checked_div(partials).unwrap_or(0), Ordering::Relaxed);
    }
}

/// The pool as a source.
pub struct Pooled(pub Arc<Pool>);

impl Source for Pooled {
    fn partitions(&self) -> Result<Vec<Partition>> {
        let partition = |number| Partition { name: format!("pool-{number}"), identity: "pool".to_owned() };
        Ok((0..PARTITIONS).map(partition).collect())
    }

    fn resume(&self, _cut: &[PartitionCut]) -> Result<()> {
        Ok(())
    }

    fn open(&self, starts: Vec<Start>, _wake: Wake) -> Result<Box<dyn Reader>> {
        let next = starts.iter().map(|start| (start.partition, 0)).collect();
        Ok(Box::new(PooledReader { pool: Arc::clone(&self.0), spare: Vec::new(), next }))
    }
}

/// One slot's reader: entries are made when they are asked for.
struct PooledReader {
    pool: Arc<Pool>,
    /// Bytes of an entry that has been read.
    spare: Vec<u8>,
    /// The next entry of each partition.
    next: Vec<(u32, u64)>,
}

impl Reader for PooledReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let found = self.next.iter_mut().find(|(known, _)| *known == partition);
        let (_, number) = found.ok_or_else(|| Error::bug(format!("partition {partition} was not opened here")))?;
        if *number == self.pool.wanted {
            return Ok(Next::Ended);
        }
        let mut bytes = std::mem::take(&mut self.spare);
        let spans = self.pool.make(partition, *number, &mut bytes).to_vec();
        let position = Position(*number, 0);
        *number += 1;
        Ok(Next::Entry(Entry {
            position,
            next: Position(*number, 0),
            bytes,
            framing: Framing::Payloads(spans),
            writer: Writer::Own,
            publish_time: None,
        }))
    }

    fn recycle(&mut self, entry: Entry) {
        self.spare = entry.bytes;
    }

    fn acknowledge(&mut self, _partition: u32, _position: Position) {}
}

/// A sink that encodes rows and drops them.
pub struct Dropped(pub RowLines);

impl Sink for Dropped {
    fn check(&self, _found: Option<&Manifest>) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, _claim: &Manifest, _fresh: bool) -> Result<()> {
        Ok(())
    }

    fn join(&self, _claim: &Manifest) -> Result<()> {
        Ok(())
    }

    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let lines = self.0.clone();
        let work = move |write| match write {
            Write::Rows { blocks, .. } => {
                let mut out = Vec::new();
                blocks.iter().flatten().try_for_each(|row| {
                    out.clear();
                    lines.write(row, &mut out).map_err(|cause| Error::outside("encoding a row", cause))
                })
            }
            Write::Rejects { .. } | Write::Ledger { .. } => Ok(()),
        };
        Ok(Box::new(ThreadOutlet::start(&format!("sink-{slot}"), wake, work)?))
    }
}
