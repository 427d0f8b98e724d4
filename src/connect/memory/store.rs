//! A snapshot store in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::{Act, Faults};
use crate::error::Result;
use crate::snapshot::Store;

/// A [`Store`] in memory; clones share its objects, so it outlives a run as a folder does.
#[derive(Clone, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    writes: Faults,
    reads: Faults,
}

impl MemoryStore {
    /// An empty store; `writes` is the script of puts and deletes, `reads` that of gets and lists.
    pub fn new(writes: Faults, reads: Faults) -> Self {
        MemoryStore { objects: Arc::default(), writes, reads }
    }

    /// The same objects under other scripts: the next run's.
    pub fn with_faults(&self, writes: Faults, reads: Faults) -> Self {
        MemoryStore { objects: Arc::clone(&self.objects), writes, reads }
    }

    /// A copy of all objects.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.writes.begin().perform(&format!("storing {name}"), || {
            self.lock().insert(name.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let act = self.writes.begin();
        act.perform(&format!("storing {name}"), || {
            let mut objects = self.lock();
            if let Act::Taken(other) = &act {
                objects.entry(name.to_owned()).or_insert_with(|| other.clone());
            }
            let free = !objects.contains_key(name);
            if free {
                objects.insert(name.to_owned(), bytes.to_vec());
            }
            Ok(free)
        })
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.reads.begin().perform(&format!("reading {name}"), || Ok(self.lock().get(name).cloned()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.reads.begin().perform(&format!("listing {prefix}"), || {
            Ok(self.lock().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
        })
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.writes.begin().perform(&format!("removing {name}"), || {
            self.lock().remove(name);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
