//! The store in memory, watched; and the rival that is first with a manifest.

use std::sync::{Arc, Mutex};

use minuet::connect::memory::MemoryStore;
use minuet::error::Result;
use minuet::snapshot::{Manifest, Store};

use crate::checks;
use crate::trouble::strikes;
use crate::world::World;

/// Who claims the pipeline and does nothing more.
pub const RIVAL: &str = "rival";

/// A store of which every manifest is checked as it comes to be there.
pub struct SimStore {
    world: Arc<World>,
    life: u64,
    store: MemoryStore,
    /// Manifests until a rival is first.
    rival: Mutex<Option<u64>>,
}

impl SimStore {
    /// The store of a life; the rival is first when so many manifests have been put, if it is to come.
    pub fn new(world: &Arc<World>, life: u64, store: MemoryStore, rival: Option<u64>) -> Self {
        SimStore { world: Arc::clone(world), life, store, rival: Mutex::new(rival) }
    }

    /// Another run claims the pipeline under the name that this manifest is about to get, and does nothing more.
    fn rival(&self, name: &str, bytes: &[u8]) {
        let ours = Manifest::decode(bytes).unwrap();
        let newest = self.world.seen().newest.clone();
        let claim = match newest {
            Some(newest) => Manifest { sequence: newest.sequence + 1, attempt: newest.attempt + 1, ..newest },
            None => ours.clone(),
        };
        // A run that slept has an older number.
        if claim.sequence == ours.sequence {
            let claim = Manifest { owner: RIVAL.to_owned(), ..claim }.encode();
            self.world.tell("a rival claims the pipeline");
            self.world.store.put(name, &claim).unwrap();
            checks::stored(&self.world, name, false, Some(&claim));
        }
    }

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
        if strikes(&mut self.rival.lock().unwrap()) {
            self.rival(name, bytes);
        }
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
