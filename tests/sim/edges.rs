//! The edges in memory, watched: what goes through them is told, checked and, as a life's trouble says, goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use minuet::connect::Keeper;
use minuet::connect::memory::{Faults, MemoryArchive, MemorySink, MemorySource};
use minuet::dataflow::edges::{
    Archive, Keep, Next, Observer, Outlet, Partition, Reader, Sink, Source, Start, Wake, Write,
};
use minuet::error::{Error, Result};
use minuet::snapshot::{History, Manifest, PartitionCut, Position};

use crate::checks;
use crate::store::SimStore;
use crate::trouble::{Edge, Trouble};
use crate::world::World;

/// Manifests that are kept.
pub const KEPT: usize = 3;

/// The edges of one life.
pub struct Edges {
    pub source: Arc<SimSource>,
    pub sink: Arc<SimSink>,
    pub archive: Arc<SimArchive>,
    pub history: History,
    /// Scripts with answers that wait to be released.
    pub held: Vec<Faults>,
    /// Whether another run may claim the pipeline.
    pub rivalled: bool,
}

impl Edges {
    /// The edges of life number `life`, over what outlives it.
    pub fn new(world: &Arc<World>, life: u64, source: MemorySource, mut trouble: Trouble) -> Self {
        let (sink, archive) = (trouble.outlet(Edge::Sink), trouble.outlet(Edge::Archive));
        let store = world.store.with_faults(trouble.store(Edge::Writes), trouble.store(Edge::Reads));
        let rival = trouble.fatal_after(Edge::Rival);
        let store = SimStore::new(world, life, store, rival);
        let history = History::new(Arc::new(store), &world.story.plan.name);
        let keeper = Keeper::new(history.clone(), KEPT);
        let fails_after = trouble.fatal_after(Edge::Reader).map_or(-1, u64::cast_signed);
        Edges {
            source: Arc::new(SimSource {
                world: Arc::clone(world),
                life,
                source,
                fails_after: Arc::new(AtomicI64::new(fails_after)),
            }),
            sink: Arc::new(SimSink { world: Arc::clone(world), life, sink: world.sink.with_faults(sink.clone()) }),
            archive: Arc::new(SimArchive {
                world: Arc::clone(world),
                life,
                archive: MemoryArchive::new(keeper, archive.clone()),
            }),
            history,
            held: vec![sink, archive],
            rivalled: rival.is_some(),
        }
    }
}

pub struct SimSource {
    world: Arc<World>,
    life: u64,
    source: MemorySource,
    /// Entries until one cannot be read; below 0 for never.
    fails_after: Arc<AtomicI64>,
}

impl Source for SimSource {
    fn partitions(&self) -> Result<Vec<Partition>> {
        self.source.partitions()
    }

    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        self.source.resume(cut)
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let place = |start: &Start| (start.partition, start.from.map_or(0, |from| from.0));
        let places = starts.iter().map(place).collect();
        let reader = self.source.open(starts, wake)?;
        let (world, fails_after) = (Arc::clone(&self.world), Arc::clone(&self.fails_after));
        Ok(Box::new(SimReader {
            world,
            life: self.life,
            reader,
            places,
            has_read: false,
            ended: Vec::new(),
            fails_after,
        }))
    }
}

struct SimReader {
    world: Arc<World>,
    life: u64,
    reader: Box<dyn Reader>,
    /// The next entry of each partition that has not ended.
    places: BTreeMap<u32, u64>,
    has_read: bool,
    /// Those that ended since the last entry: the epoch rises after the look that found it out.
    ended: Vec<u32>,
    fails_after: Arc<AtomicI64>,
}

impl Reader for SimReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let next = self.reader.next(partition)?;
        match &next {
            Next::Entry(entry) => {
                self.world.tell(format!("life {} reads p{partition} entry {}", self.life, entry.position.0));
                // A slot begins right after the newest commit, wherever its partitions stand: one entry is always read.
                if self.has_read {
                    checks::read(&self.world, &self.places);
                }
                self.has_read = true;
                for partition in self.ended.drain(..) {
                    self.places.remove(&partition);
                }
                self.places.insert(partition, entry.next.0);
                if self.fails_after.fetch_sub(1, Ordering::SeqCst) == 0 {
                    return Err(Error::outside("reading a partition", "it failed, as the seed says"));
                }
            }
            Next::Ended => {
                self.world.tell(format!("life {} reads p{partition} to its end", self.life));
                self.ended.push(partition);
            }
            Next::Gap(_) | Next::Waiting | Next::CaughtUp => {}
        }
        Ok(next)
    }

    fn acknowledge(&mut self, partition: u32, position: Position) {
        self.world.tell(format!("life {} acknowledges p{partition} before {}", self.life, position.0));
        checks::acknowledged(&self.world, partition, position);
        self.reader.acknowledge(partition, position);
    }
}

pub struct SimSink {
    world: Arc<World>,
    life: u64,
    sink: MemorySink,
}

impl Sink for SimSink {
    fn check(&self, found: Option<&Manifest>) -> Result<()> {
        self.sink.check(found)
    }

    fn prepare(&self, claim: &Manifest, fresh: bool) -> Result<()> {
        self.sink.prepare(claim, fresh)
    }

    fn join(&self, claim: &Manifest) -> Result<()> {
        self.sink.join(claim)
    }

    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let outlet = self.sink.open(slot, wake)?;
        Ok(Box::new(SimOutlet { world: Arc::clone(&self.world), place: place("sink", self.life, slot), outlet }))
    }
}

pub struct SimArchive {
    world: Arc<World>,
    life: u64,
    archive: MemoryArchive,
}

impl Archive for SimArchive {
    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Keep>>> {
        let outlet = self.archive.open(slot, wake)?;
        Ok(Box::new(SimOutlet { world: Arc::clone(&self.world), place: place("archive", self.life, slot), outlet }))
    }
}

fn place(what: &str, life: u64, slot: usize) -> String {
    format!("life {life} slot {slot} {what}")
}

/// A job as the trace and the checks see it.
trait Seen {
    fn seen(&self, world: &World) -> String;
}

impl Seen for Write {
    fn seen(&self, world: &World) -> String {
        match self {
            Write::Rows { commit, lane, blocks } => {
                checks::emitted(world, *commit, *lane, blocks);
                format!("{} rows of commit {commit} lane {lane}", blocks.iter().map(Vec::len).sum::<usize>())
            }
            Write::Rejects { commit, partition, rejects } => {
                format!("{} rejects of commit {commit} p{partition}", rejects.len())
            }
            Write::Ledger { commit, lines, minutes, .. } => {
                format!("{} lines of the ledger of commit {commit}, {} of minutes", lines.len(), minutes.len())
            }
        }
    }
}

impl Seen for Keep {
    fn seen(&self, _world: &World) -> String {
        match self {
            Keep::Part { name, bytes, .. } => format!("{name}, {} bytes", bytes.len()),
            Keep::Manifest(manifest) => format!("manifest {}", manifest.sequence),
        }
    }
}

struct SimOutlet<J> {
    world: Arc<World>,
    place: String,
    outlet: Box<dyn Outlet<J>>,
}

impl<J: Seen> Outlet<J> for SimOutlet<J> {
    fn submit(&mut self, ticket: u64, job: J) {
        let what = job.seen(&self.world);
        self.world.tell(format!("{} gets {ticket}: {what}", self.place));
        self.outlet.submit(ticket, job);
    }

    fn poll(&mut self) -> Option<(u64, Result<()>)> {
        let (ticket, answer) = self.outlet.poll()?;
        let said = answer.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
        self.world.tell(format!("{} answers {ticket}: {said}", self.place));
        Some((ticket, answer))
    }
}

/// Nobody listens: the edges see it all.
pub struct Nobody;

impl Observer for Nobody {
    fn read(&self, _events: u64) {}

    fn committed(&self, _manifest: &Manifest) {}
}
