//! Every store keeps the same contract; that in a bucket does so in `s3/contract.rs`.

mod contract;

use std::fs;
use std::sync::Arc;

use minuet::connect::files::FolderStore;
use minuet::connect::memory::MemoryStore;
use minuet::snapshot::Store;

use super::harness::scratch;
pub(crate) use contract::keeps_the_contract;

#[test]
fn a_folder_keeps_the_contract() {
    let place = scratch();
    let root = place.path().join("not/yet/there");
    let store: Arc<dyn Store> = Arc::new(FolderStore::open(&root).expect("it can be opened"));
    keeps_the_contract(&store);
    let mut open = vec![root];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            assert!(path.is_dir(), "{} is left", path.display());
            open.push(path);
        }
    }
}

#[test]
fn memory_keeps_the_contract() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    keeps_the_contract(&store);
}
