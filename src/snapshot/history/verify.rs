//! What `minuet snapshot verify` checks: everything that a resume relies on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::History;
use crate::aggregate::Layout;
use crate::error::{Error, Result};
use crate::snapshot::{Manifest, PartRef, part};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The manifest it concerns; `None` where it concerns the store.
    pub sequence: Option<u64>,
    /// What is wrong, with the name of the object.
    pub problem: String,
}

impl History {
    /// Checks every manifest and every part: names, checksums, numbers without gaps, schedules, balanced counters, parts that are
    /// there and can be read (and, with a layout, fit it). No finding means that every manifest can be resumed from.
    pub fn verify(&self, layout: Option<&Layout>) -> Vec<Finding> {
        let sequences = match self.sequences() {
            Ok(sequences) => sequences,
            Err(error) => return vec![Finding { sequence: None, problem: error.to_string() }],
        };
        let mut findings = Vec::new();
        for pair in sequences.windows(2).filter(|pair| pair[1] - pair[0] > 1) {
            let problem = format!("manifests {} to {} of {} are missing", pair[0] + 1, pair[1] - 1, self.named());
            findings.push(Finding { sequence: Some(pair[1]), problem });
        }
        // Claims name the parts of the manifest they follow: each part is read once.
        let mut parts: BTreeMap<PartKey, Option<String>> = BTreeMap::new();
        let mut older: Option<Manifest> = None;
        for sequence in sequences {
            let found = |problem| Finding { sequence: Some(sequence), problem };
            let manifest = match self.stored(sequence) {
                Ok(manifest) => manifest,
                Err(error) => {
                    findings.push(found(error.to_string()));
                    continue;
                }
            };
            findings.extend(problems(&manifest, older.as_ref()).into_iter().map(found));
            for part in &manifest.parts {
                let problem = parts
                    .entry((part.name.clone(), part.bytes, part.sha256.clone(), part.partials))
                    .or_insert_with(|| self.check_part(part, layout).err().map(|error| error.to_string()));
                findings.extend(problem.clone().map(found));
            }
            older = Some(manifest);
        }
        findings
    }

    fn stored(&self, sequence: u64) -> Result<Manifest> {
        let bytes = self.store.get(&self.manifest_name(sequence))?;
        let bytes = bytes.ok_or_else(|| Error::data(format!("manifest {sequence} went away while it was checked")))?;
        self.decode_manifest(sequence, &bytes)
    }

    fn check_part(&self, part: &PartRef, layout: Option<&Layout>) -> Result<()> {
        let bytes = self.part_bytes(part)?;
        let fits = || {
            let partials = part::read(&bytes)?;
            if partials.len() as u64 != part.partials {
                let cause = format!("it has {} partials, its manifest says {}", partials.len(), part.partials);
                return Err(Error::data(cause));
            }
            layout.map_or(Ok(()), |layout| part::decode(layout, &bytes, &mut Vec::new()))
        };
        fits().map_err(|error| self.damaged_part(part, error))
    }
}

/// A part as a manifest names it.
type PartKey = (String, u64, String, u64);

/// What is wrong in a manifest that can be read, beside an older one.
fn problems(manifest: &Manifest, older: Option<&Manifest>) -> Vec<String> {
    let mut problems = Vec::new();
    for cut in manifest.cut.iter().filter(|cut| !cut.counters.balanced()) {
        let c = &cut.counters;
        problems.push(format!(
            "partition {} ({}): {} events were read, but {} folded + {} malformed + {} late + {} too far ahead are accounted for",
            cut.partition, cut.name, c.read, c.folded, c.malformed, c.late, c.too_far_ahead
        ));
    }
    for pair in manifest.cut.windows(2).filter(|pair| pair[0].partition >= pair[1].partition) {
        problems.push(format!("partition {} follows partition {} in its cut", pair[1].partition, pair[0].partition));
    }
    let Some(older) = older else { return problems };
    if manifest.attempt < older.attempt {
        problems.push(format!("it is of attempt {}, the manifest before it of {}", manifest.attempt, older.attempt));
    }
    let committed = manifest.attempt == older.attempt && manifest.sequence == older.sequence + 1;
    if committed && manifest.commit != older.next.first().copied() {
        problems.push(format!("it commits {:?}, the manifest before it named {:?}", manifest.commit, older.next));
    }
    problems
}
