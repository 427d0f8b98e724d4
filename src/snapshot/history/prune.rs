//! Cleaning up.

use std::collections::BTreeSet;

use super::History;
use crate::error::Result;
use crate::mutation::mutated;
use crate::snapshot::Manifest;

impl History {
    /// Keeps the newest manifests of `keep` distinct commits (and all claims between them) and removes older ones, and parts
    /// that no kept manifest names and that are of commits `<=` the newest kept one's or of attempts before it. Returns what it removed.
    pub fn prune(&self, keep: usize) -> Result<usize> {
        // Parts are listed before manifests: whoever stored one of these parts has claimed before, so the newest manifest is of
        // its attempt or of a later one, and no part of a commit that is still being prepared can look like an old one.
        let parts = self.store.list(&self.parts_prefix())?;
        let sequences = self.sequences()?;
        let (kept, removed) = self.split(&sequences, keep.max(1))?;
        let Some(newest) = kept.first() else { return Ok(0) };
        for &sequence in &removed {
            self.store.delete(&self.manifest_name(sequence))?;
        }
        let named: BTreeSet<&str> =
            kept.iter().flat_map(|manifest| &manifest.parts).map(|part| part.name.as_str()).collect();
        let mut count = removed.len();
        for name in parts.iter().filter(|name| !named.contains(name.as_str()) || mutated!(NamedPartsRemoved)) {
            let Some((attempt, commit)) = self.made_by(name) else { continue };
            if attempt < newest.attempt || (attempt == newest.attempt && Some(commit) <= newest.commit) {
                self.store.delete(name)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The manifests to keep, newest first, and the numbers of those to remove, oldest first. A damaged one among the kept
    /// stays where it is.
    fn split(&self, sequences: &[u64], keep: usize) -> Result<(Vec<Manifest>, Vec<u64>)> {
        let mut kept: Vec<Manifest> = Vec::new();
        let mut commits = 0;
        for (index, &sequence) in sequences.iter().enumerate().rev() {
            let Some(bytes) = self.store.get(&self.manifest_name(sequence))? else { continue };
            let manifest = match self.decode_manifest(sequence, &bytes) {
                Ok(manifest) => manifest,
                // Without the newest one nothing tells what is old.
                Err(error) if kept.is_empty() => return Err(self.with_way_out(error, sequence)),
                Err(_) => continue,
            };
            if kept.last().is_none_or(|newer| newer.commit != manifest.commit) {
                commits += 1;
            }
            if commits > keep {
                return Ok((kept, sequences[..=index].to_vec()));
            }
            kept.push(manifest);
        }
        Ok((kept, Vec::new()))
    }

    /// The attempt and the commit in the name of a part.
    fn made_by(&self, name: &str) -> Option<(u64, u64)> {
        let mut numbers = name.strip_prefix(&self.parts_prefix())?.strip_suffix(".avro")?.split('-');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}
