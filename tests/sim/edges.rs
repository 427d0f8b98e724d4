//! The edges in memory, watched: what goes through them is told, checked and, as a life's trouble says, goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use minuet::connect::Keeper;
use minuet::connect::memory::{Act, Faults, MemoryArchive, MemorySink, MemorySource, MemoryStore};
use minuet::dataflow::edges::{
    Archive, Keep, Next, Observer, Outlet, Partition, Reader, Sink, Source, Start, Wake, Write,
};
use minuet::error::{Error, Result};
use minuet::snapshot::{History, Manifest, PartitionCut, Position, Store};

use crate::checks;
use crate::dice::Dice;
use crate::world::World;

/// Manifests that are kept.
pub const KEPT: usize = 2;

/// What goes wrong in one life, drawn before it begins.
pub struct Trouble {
    dice: Dice,
    /// Answers in a hundred that come late, swapped, doubled or much later.
    sloppy: u64,
    /// The edge whose act fails, and after how many acts.
    fatal: Option<(Edge, u64)>,
}

/// An edge that can fail for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Reader,
    Sink,
    Archive,
    Writes,
    Reads,
}

impl Trouble {
    pub fn draw(dice: &mut Dice, may_die: bool) -> Self {
        let edge = dice.one_of(&[Edge::Reader, Edge::Sink, Edge::Sink, Edge::Archive, Edge::Writes, Edge::Reads]);
        let after = dice.one_of(&[3, 12, 40]);
        let fatal = (may_die && dice.percent(50)).then(|| (edge, dice.below(after)));
        Trouble { sloppy: dice.one_of(&[0, 20, 50, 90]), fatal, dice: dice.fork() }
    }

    fn fatal_after(&self, edge: Edge) -> Option<u64> {
        self.fatal.filter(|(fatal, _)| *fatal == edge).map(|(_, after)| after)
    }

    /// The script of an outlet.
    fn outlet(&mut self, edge: Edge) -> Faults {
        let (mut fatal, mut dice, sloppy) = (self.fatal_after(edge), self.dice.fork(), self.sloppy);
        Faults::drawn(move || {
            if strikes(&mut fatal) {
                return dice.one_of(&[Act::Fail, Act::LoseBefore, Act::LoseAfter]);
            }
            if !dice.percent(sloppy) {
                return Act::Fine;
            }
            match dice.below(6) {
                0 => Act::Delay(dice.below(6) as u32),
                1 | 2 => Act::Late(dice.below(12) as u32),
                3 => Act::Hold,
                4 => Act::AfterNext,
                _ => Act::Twice,
            }
        })
    }

    /// The script of the store's writes or reads: they answer at once.
    fn store(&mut self, edge: Edge) -> Faults {
        let (mut fatal, mut dice) = (self.fatal_after(edge), self.dice.fork());
        Faults::drawn(move || match strikes(&mut fatal) {
            true => dice.one_of(&[Act::Fail, Act::LoseBefore, Act::LoseAfter]),
            false => Act::Fine,
        })
    }
}

/// Counts down to the one that fails.
fn strikes(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => left.take().is_some(),
        Some(more) => {
            *more -= 1;
            false
        }
        None => false,
    }
}

/// The edges of one life.
pub struct Edges {
    pub source: Arc<SimSource>,
    pub sink: Arc<SimSink>,
    pub archive: Arc<SimArchive>,
    pub history: History,
    /// Scripts with answers that wait to be released.
    pub held: Vec<Faults>,
}

impl Edges {
    /// The edges of life number `life`, over what outlives it.
    pub fn new(world: &Arc<World>, life: u64, source: MemorySource, mut trouble: Trouble) -> Self {
        let (sink, archive) = (trouble.outlet(Edge::Sink), trouble.outlet(Edge::Archive));
        let store = world.store.with_faults(trouble.store(Edge::Writes), trouble.store(Edge::Reads));
        let store = SimStore { world: Arc::clone(world), life, store };
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
        let reader = self.source.open(starts, wake)?;
        let (world, fails_after) = (Arc::clone(&self.world), Arc::clone(&self.fails_after));
        Ok(Box::new(SimReader { world, life: self.life, reader, fails_after }))
    }
}

struct SimReader {
    world: Arc<World>,
    life: u64,
    reader: Box<dyn Reader>,
    fails_after: Arc<AtomicI64>,
}

impl Reader for SimReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let next = self.reader.next(partition)?;
        match &next {
            Next::Entry(entry) => {
                self.world.tell(format!("life {} reads p{partition} entry {}", self.life, entry.position.0));
                if self.fails_after.fetch_sub(1, Ordering::SeqCst) == 0 {
                    return Err(Error::outside("reading a partition", "it failed, as the seed says"));
                }
            }
            Next::Ended => self.world.tell(format!("life {} reads p{partition} to its end", self.life)),
            Next::Waiting | Next::CaughtUp => {}
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
            Write::Ledger { commit, lines, .. } => format!("{} lines of the ledger of commit {commit}", lines.len()),
        }
    }
}

impl Seen for Keep {
    fn seen(&self, _world: &World) -> String {
        match self {
            Keep::Part { name, bytes } => format!("{name}, {} bytes", bytes.len()),
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

/// A store of which every manifest is checked as it comes to be there.
struct SimStore {
    world: Arc<World>,
    life: u64,
    store: MemoryStore,
}

impl SimStore {
    fn watched<T>(&self, name: &str, put: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.world.store.get(name)?;
        let answer = put();
        let after = self.world.store.get(name)?;
        if before != after {
            self.world.tell(format!("life {} stores {name}", self.life));
            checks::stored(&self.world, name, before.is_some(), after.as_deref());
        }
        answer
    }
}

impl Store for SimStore {
    fn place(&self) -> String {
        self.store.place()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.watched(name, || self.store.put(name, bytes))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.watched(name, || self.store.put_if_absent(name, bytes))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.store.get(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.store.list(prefix)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.world.tell(format!("life {} removes {name}", self.life));
        self.store.delete(name)
    }
}

/// Nobody listens: the edges see it all.
pub struct Nobody;

impl Observer for Nobody {
    fn read(&self, _events: u64) {}

    fn committed(&self, _manifest: &Manifest) {}
}
