//! Where a run begins: the pipeline is claimed, its newest state read, its source and sink compared with it.

use crate::dataflow::Resume;
use crate::dataflow::edges::{Sink, Source};
use crate::error::Result;
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
