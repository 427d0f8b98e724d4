//! What outlives the lives of a pipeline: its log, its sink, its store, its clock, and what has been seen.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minuet::aggregate::FinishedRow;
use minuet::connect::memory::{Faults, MemorySink, MemoryStore};
use minuet::snapshot::{From, Manifest};
use minuet::time::{Clock, Epoch, Millis};

use crate::oracle::Expected;
use crate::story::Story;

/// What has been seen so far.
pub struct Seen {
    /// What happened, in order.
    pub trace: Vec<String>,
    /// The first promise that was broken.
    pub problem: Option<String>,
    /// The newest manifest.
    pub newest: Option<Manifest>,
    /// All manifests as they were stored, by sequence.
    pub manifests: BTreeMap<u64, Vec<u8>>,
    /// Where the newest run was told to begin.
    pub from: From,
    /// The rows that were first given to the sink for a commit and lane.
    pub rows: BTreeMap<(Epoch, u32), Vec<FinishedRow>>,
}

pub struct World {
    pub story: Story,
    pub expected: Expected,
    /// Without faults.
    pub sink: MemorySink,
    /// Without faults.
    pub store: MemoryStore,
    now: Arc<AtomicI64>,
    seen: Mutex<Seen>,
}

impl World {
    pub fn new(story: Story) -> Self {
        World {
            expected: Expected::of(&story),
            sink: MemorySink::new(Faults::none()),
            store: MemoryStore::new(Faults::none(), Faults::none()),
            now: Arc::new(AtomicI64::new(story.begins)),
            seen: Mutex::new(Seen {
                trace: Vec::new(),
                problem: None,
                newest: None,
                manifests: BTreeMap::new(),
                from: From::Newest,
                rows: BTreeMap::new(),
            }),
            story,
        }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes into the trace.
    pub fn tell(&self, what: impl Display) {
        self.seen().trace.push(what.to_string());
    }

    /// A promise was broken; the first one counts.
    pub fn broken(&self, what: impl Display) {
        let mut seen = self.seen();
        seen.trace.push(format!("BROKEN: {what}"));
        seen.problem.get_or_insert_with(|| what.to_string());
    }

    pub fn problem(&self) -> Option<String> {
        self.seen().problem.clone()
    }

    /// The sequences of all manifests in the store that have a commit: without one, a run that does not begin empty is refused.
    pub fn committed(&self) -> Vec<u64> {
        let is_manifest = |(name, _): &(String, Vec<u8>)| name.contains("/manifests/");
        let decoded =
            self.store.objects().into_iter().filter(is_manifest).filter_map(|(_, bytes)| Manifest::decode(&bytes).ok());
        decoded.filter(|manifest| manifest.commit.is_some()).map(|manifest| manifest.sequence).collect()
    }

    /// Whether a run may go on from where the newest one was told to begin: what was written after that state, and up to its commit,
    /// must not have been removed by a run that went back further.
    pub fn leads_on(&self) -> bool {
        let seen = self.seen();
        let From::Sequence(from) = seen.from else { return true };
        let manifest = |bytes: &Vec<u8>| Manifest::decode(bytes).ok();
        let Some(found) = seen.manifests.get(&from).and_then(manifest) else { return false };
        let mut later = seen.manifests.range(from..).filter_map(|(_, bytes)| manifest(bytes));
        later.all(|later| later.life == found.life && later.commit >= found.commit)
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || now.load(Ordering::SeqCst))
    }

    pub fn go_on(&self, by: Millis) {
        self.now.fetch_add(by, Ordering::SeqCst);
    }

    /// Whether what comes out is a function of the log alone: the clock never declares a partition idle.
    pub fn exact(&self) -> bool {
        !self.story.idles
    }
}
