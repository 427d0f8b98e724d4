//! Claiming a pipeline, and committing to it: the two ways in which a manifest is put.

use super::History;
use crate::error::{Error, Fault, Result};
use crate::limits::CLAIM_RACES_MAX;
use crate::mutation::mutated;
use crate::snapshot::Manifest;

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Empty, whatever there is.
    Nothing,
    /// At the newest manifest, or empty where there is none.
    Newest,
    /// At the manifest of this sequence number.
    Sequence(u64),
}

impl History {
    /// Puts a manifest under its sequence number. Where the name is taken, what is there is read back: the same owner and
    /// content is success (the answer had been lost), another is [`crate::error::Fault::Superseded`].
    ///
    /// A free name is not yet success: a run that slept for long may find its number free because newer runs have used it and
    /// cleaned up. So the numbers are looked at once more, and a newer one means the same as a taken name.
    pub fn commit(&self, manifest: &Manifest) -> Result<()> {
        let (name, bytes) = (self.manifest_name(manifest.sequence), manifest.encode());
        let put = if mutated!(ManifestUnconditional) {
            self.store.put(&name, &bytes).map(|()| true)?
        } else {
            self.store.put_if_absent(&name, &bytes)?
        };
        if !put {
            let found = self.store.get(&name)?;
            if found.as_ref() != Some(&bytes) {
                return Err(self.superseded(manifest, found.as_deref()));
            }
        }
        // From here on the manifest may be stored, so a failure leaves that open: the run ends, and the next one finds out.
        let sequences = self.sequences().map_err(Error::ambiguous)?;
        if sequences.last().is_some_and(|&newest| newest > manifest.sequence) {
            if put && !sequences.contains(&(manifest.sequence + 1)) {
                self.store.delete(&name).map_err(Error::ambiguous)?;
            }
            return Err(self.superseded(manifest, None));
        }
        Ok(())
    }

    /// The manifest that a run would go on from, checked against `template` (plan, key groups, lanes); `None` where it would
    /// begin empty. Changes nothing.
    pub fn found(&self, template: &Manifest, from: From) -> Result<Option<Manifest>> {
        let found = match from {
            From::Nothing => None,
            From::Newest => self.newest()?,
            From::Sequence(from) => {
                let found = self.manifest(from)?;
                let found = found.ok_or_else(|| self.no_such(from, &self.sequences().unwrap_or_default()))?;
                if !mutated!(LeftBehindTakenUp) {
                    self.check_not_left_behind(&found)?;
                }
                Some(found)
            }
        };
        if let Some(found) = &found {
            self.check_unchanged(found, template)?;
        }
        Ok(found)
    }

    /// Claims the pipeline for a new run: puts a manifest with the next sequence number, the next attempt and the template's
    /// owner, and all else as [`History::found`] it. Races with another run are settled by who puts first; the loser reads again
    /// and claims after it.
    pub fn claim(&self, template: &Manifest, from: From) -> Result<Manifest> {
        for _ in 0..CLAIM_RACES_MAX {
            let claim = self.next_claim(template, from)?;
            match self.commit(&claim) {
                Ok(()) => return Ok(claim),
                Err(lost) if lost.fault == Fault::Superseded => {}
                Err(error) => return Err(error.while_doing(format!("claiming {}", self.named()))),
            }
        }
        Err(Error::new(
            Fault::Outside,
            format!(
                "claiming {}: {CLAIM_RACES_MAX} times another run was first; make sure that only one run of it is started at a time",
                self.named()
            ),
        ))
    }

    /// The manifest that would claim the pipeline as it is now. One that begins empty is numbered on, too: an older run that is
    /// still alive must find its next number taken.
    fn next_claim(&self, template: &Manifest, from: From) -> Result<Manifest> {
        let sequences = self.sequences()?;
        let base = self.found(template, from)?.unwrap_or_else(|| template.clone());
        let newest = sequences.last().copied().unwrap_or(0).max(base.sequence);
        Ok(Manifest {
            sequence: newest + 1,
            attempt: self.newest_attempt(&base, &sequences)? + 1,
            owner: template.owner.clone(),
            written_at: template.written_at,
            ..base
        })
    }

    /// No run has had a higher attempt. A manifest that cannot be read may have been a claim, so it counts for one.
    fn newest_attempt(&self, base: &Manifest, sequences: &[u64]) -> Result<u64> {
        let mut attempt = base.attempt;
        for &sequence in sequences.iter().filter(|&&sequence| sequence > base.sequence) {
            let Some(bytes) = self.store.get(&self.manifest_name(sequence))? else { continue };
            attempt = match self.decode_manifest(sequence, &bytes) {
                Ok(manifest) => attempt.max(manifest.attempt),
                Err(_) => attempt + 1,
            };
        }
        Ok(attempt)
    }

    /// What is fixed for the life of a pipeline must be what it was.
    fn check_unchanged(&self, base: &Manifest, template: &Manifest) -> Result<()> {
        let fixed = [
            ("pipeline", base.pipeline.clone(), template.pipeline.clone()),
            ("plan", base.plan.clone(), template.plan.clone()),
            ("key groups", base.key_groups.to_string(), template.key_groups.to_string()),
            ("lanes", base.lanes.to_string(), template.lanes.to_string()),
        ];
        let changed: Vec<String> = fixed
            .into_iter()
            .filter(|(_, stored, now)| stored != now)
            .map(|(what, stored, now)| format!("{what} was {stored}, is now {now}"))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "resuming {} from manifest {}: the dataflow is not the one that wrote it: {}; run the dataflow as it was, give the \
             changed one a name of its own, or begin anew with `--fresh`",
            self.named(),
            base.sequence,
            changed.join("; ")
        )))
    }

    /// A run that began further back has removed from the sink what was written after its beginning: nothing can go on from a
    /// manifest that counts on it.
    fn check_not_left_behind(&self, found: &Manifest) -> Result<()> {
        for sequence in self.sequences()?.into_iter().filter(|&sequence| sequence > found.sequence) {
            let bytes = self.store.get(&self.manifest_name(sequence))?;
            // One that cannot be read is none that a run has begun with.
            let later = bytes.and_then(|bytes| self.decode_manifest(sequence, &bytes).ok());
            if let Some(later) = later.filter(|later| later.life == found.life && later.commit < found.commit) {
                return Err(Error::configuration(format!(
                    "`--from {}`: attempt {} went back in {} further than that, and removed the rows that came after: go on from \
                     manifest {sequence}, where it began, or from a newer one",
                    found.sequence,
                    later.attempt,
                    self.named()
                )));
            }
        }
        Ok(())
    }

    fn no_such(&self, from: u64, sequences: &[u64]) -> Error {
        let stored = match (sequences.first(), sequences.last()) {
            (Some(first), Some(last)) => format!("stored are {first} to {last}; `minuet snapshot list` shows them"),
            _ => "none is stored; leave `--from` out to begin".to_owned(),
        };
        Error::configuration(format!("`--from {from}`: {} has no manifest {from}, {stored}", self.named()))
    }

    /// Another run has the name of `ours`, or a newer one.
    fn superseded(&self, ours: &Manifest, found: Option<&[u8]>) -> Error {
        let taken = found.and_then(|bytes| self.decode_manifest(ours.sequence, bytes).ok());
        let other = taken.or_else(|| self.newest().ok().flatten()).map_or("another run".to_owned(), |other| {
            format!("attempt {} by {} (manifest {})", other.attempt, other.owner, other.sequence)
        });
        Error::new(
            Fault::Superseded,
            format!(
                "storing manifest {} of {} as attempt {} by {}: {other} owns the pipeline now; this run stops, nothing is lost: the \
                 other goes on from the newest manifest",
                ours.sequence,
                self.named(),
                ours.attempt,
                ours.owner
            ),
        )
    }
}
