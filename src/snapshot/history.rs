//! The manifests of one pipeline in a store: resume, claim, commit, clean up.

use std::sync::Arc;

use super::{Manifest, Store};
use crate::aggregate::Layout;
use crate::error::Result;

/// The history of one pipeline.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
    pipeline: String,
}

impl History {
    /// The history of `pipeline` in `store`.
    pub fn new(store: Arc<dyn Store>, pipeline: &str) -> Self {
        History { store, pipeline: pipeline.to_owned() }
    }

    /// All sequence numbers stored, ascending.
    pub fn sequences(&self) -> Result<Vec<u64>> {
        let _ = (&self.store, &self.pipeline);
        todo!()
    }

    /// The manifest of one sequence number; a damaged one is an error that names it and the way out (`--from SEQUENCE`).
    pub fn manifest(&self, _sequence: u64) -> Result<Option<Manifest>> {
        todo!()
    }

    /// The newest manifest, or `None` where the pipeline is new.
    pub fn newest(&self) -> Result<Option<Manifest>> {
        todo!()
    }

    /// The partials of all parts of a manifest, as records; sizes and checksums are tested first, a damaged part is named.
    pub fn partials(&self, _manifest: &Manifest, _layout: &Layout) -> Result<Vec<u64>> {
        todo!()
    }

    /// Puts a manifest under its sequence number. Where the name is taken, what is there is read back: the same owner and
    /// content is success (the answer had been lost), another is [`crate::error::Fault::Superseded`].
    pub fn commit(&self, _manifest: &Manifest) -> Result<()> {
        todo!()
    }

    /// The name of a part.
    pub fn part_name(&self, attempt: u64, commit: u64, slot: usize) -> String {
        format!("{}/parts/{attempt:010}-{commit:010}-{slot:05}.avro", self.pipeline)
    }

    /// Stores a part's bytes.
    pub fn put_part(&self, _name: &str, _bytes: &[u8]) -> Result<()> {
        todo!()
    }

    /// Keeps the newest manifests of `keep` distinct commits (and all claims between them) and removes older ones, and parts
    /// that no kept manifest names and that are of commits `<=` the newest kept one's or of attempts before it. Returns what it removed.
    pub fn prune(&self, _keep: usize) -> Result<usize> {
        todo!()
    }

    /// Removes everything of the pipeline (`--fresh`).
    pub fn forget(&self) -> Result<usize> {
        todo!()
    }

    /// Claims the pipeline for a new run: reads the newest manifest (or that of sequence `from`), checks it against
    /// `template` (pipeline, plan, key groups, lanes), and puts a manifest with the next attempt and the template's owner.
    /// Races with another run are settled by who puts first; the loser reads again and claims after it.
    pub fn claim(&self, _template: &Manifest, _from: Option<u64>) -> Result<Manifest> {
        todo!()
    }
}
