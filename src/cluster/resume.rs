//! Where a run begins: the pipeline is claimed, its newest state read, its source and sink compared with it.

use crate::dataflow::Resume;
use crate::dataflow::edges::{Partition, Sink, Source};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::snapshot::{From, History, Manifest};
use crate::time::{Clock, Schedule};

/// How a run is to begin.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Where.
    pub from: From,
    /// A random name of this run.
    pub owner: String,
}

/// Claims the pipeline and reads what the run begins with.
pub fn begin(
    plan: &Plan,
    source: &dyn Source,
    sink: &dyn Sink,
    history: &History,
    clock: &Clock,
    keep: usize,
    how: &Begin,
) -> Result<Resume> {
    let partitions = source.partitions()?;
    let template = Manifest {
        pipeline: plan.name.clone(),
        owner: how.owner.clone(),
        life: how.owner.clone(),
        plan: plan.fingerprint.clone(),
        key_groups: plan.key_groups,
        lanes: plan.lanes,
        next: Schedule::start().next,
        written_at: clock(),
        ..Manifest::default()
    };
    // What can be refused is refused before the claim: a run that may not begin must not stop the one that is running.
    if let Some(found) = history.found(&template, how.from)? {
        source.resume(&found.cut)?;
        history.partials(&found, &plan.layout)?;
        sink.check(Some(&found))?;
    } else if how.from != From::Nothing {
        sink.check(None)?;
    }
    let manifest = history.claim(&template, how.from)?;
    source.resume(&manifest.cut)?;
    sink.prepare(&manifest, how.from == From::Nothing)?;
    let partials = history.partials(&manifest, &plan.layout)?;
    history.prune(keep)?;
    Ok(Resume { manifest, partials, partitions })
}

/// Takes part in a run for which process 0 has put the manifest `claim` over `partitions`, after making sure that both mean the
/// same source, sink and state.
pub fn join(
    plan: &Plan,
    source: &dyn Source,
    sink: &dyn Sink,
    history: &History,
    claim: Manifest,
    partitions: Vec<Partition>,
) -> Result<Resume> {
    let seen = source.partitions()?;
    if seen != partitions {
        let name = |at: Option<&Partition>| at.map_or("none".to_owned(), |p| p.name.clone());
        let first = seen.iter().zip(&partitions).position(|(a, b)| a != b).unwrap_or(seen.len().min(partitions.len()));
        return Err(Error::configuration(format!(
            "process 0 sees {} partitions of the source, this process {}; the first that differs is {} there, {} here: --source must \
             give all processes the same",
            partitions.len(),
            seen.len(),
            name(partitions.get(first)),
            name(seen.get(first))
        )));
    }
    source.resume(&claim.cut)?;
    if history.manifest(claim.sequence)?.as_ref() != Some(&claim) {
        return Err(Error::configuration(format!(
            "the manifest {} that process 0 has put is not what is found here: --state must name the same place for all processes",
            claim.sequence
        )));
    }
    sink.join(&claim)?;
    let partials = history.partials(&claim, &plan.layout)?;
    Ok(Resume { manifest: claim, partials, partitions })
}
