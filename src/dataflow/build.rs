//! The graph on one screen.
//!
//! ```text
//!             events            rows             flushed
//!  ┌──────┐ by key group ┌───────┐ by lane ┌───────┐ to slot 0 ┌────────┐
//!  │ read ├─────────────▶│ close ├────────▶│ flush ├──────────▶│        │
//!  │      │              │       │         └───▲───┘           │ commit │
//!  │      │              │       │ open  ┌─────┼─┐ parts       │        │
//!  │      │              │       ├──────▶│ store ├──────────▶  │        │
//!  │      ├── rejects ───┼───────┼───────┼─────┘ │             │        │
//!  │      ├── cuts ──────┼───────┼───────┴───────┼──────────▶  │        │
//!  │      ├── tallies ───┼───────┼───────────────┼──────────▶  │        │
//!  └▲──▲──┘              └▲────┬─┘               │             └───┬────┘
//!   │  └────── credits ───┼────┘                 │                 │
//!   └──────────────────── control (broadcast: read, close, flush) ─┘
//! ```
//!
//! | operator | capability it holds | lets go when |
//! |---|---|---|
//! | read | its slot's epoch, on events, cuts, tallies and rejects | the epoch rises; all its partitions have ended |
//! | close | the next commit epoch or less, on all outputs | the epoch is closed and everything of it has been handed on |
//! | flush | the stamps of rows and rejects it has not had acknowledged | the sink has acknowledged them |
//! | store | the commit epochs of parts that are not stored | the store has acknowledged them |
//! | commit (slot 0) | the next commit epoch, on control | its manifest is stored |
//!
//! | frontier | what it means when it passes `e` |
//! |---|---|
//! | of events, at close | all that was read before the cut of `e` has been delivered, and every minute `<= e` is complete |
//! | of flushed, at commit | every row and reject up to `e` is in the sink |
//! | of parts, at commit | every part of `e` is stored |
//! | of cuts and tallies, at commit | every slot's cut for `e` has come, and how many events it gave away before it |

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OperatorInfo;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{ConnectLoop, Feedback};
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::SyncActivator;

use super::commit::Committer;
use super::edges::{Archive, Observer, Partition, Sink, Source, Wake};
use super::fate::Fate;
use super::flush::Flusher;
use super::read::{Combine, Turn};
use super::store::Storer;
use super::{close, commit, flush, read, store};
use crate::error::Result;
use crate::plan::Plan;
use crate::snapshot::Manifest;
use crate::time::{Clock, Epoch};

/// Everything a slot needs to build its part of the graph; cheap to clone.
#[derive(Clone)]
pub struct Job {
    /// What runs.
    pub plan: Arc<Plan>,
    /// Where entries come from.
    pub source: Arc<dyn Source>,
    /// Where rows go.
    pub sink: Arc<dyn Sink>,
    /// Where snapshots go.
    pub archive: Arc<dyn Archive>,
    /// Who is told of progress.
    pub observer: Arc<dyn Observer>,
    /// The wall clock.
    pub clock: Clock,
    /// Where the run begins.
    pub resume: Arc<Resume>,
    /// How it ends early.
    pub fate: Fate,
    /// Whether slots fold what they read before they exchange it.
    pub combine: Combine,
}

/// The state that a run begins with.
pub struct Resume {
    /// The claim of this run.
    pub manifest: Manifest,
    /// The open partials of its commit epoch, of all slots.
    pub partials: Vec<u64>,
    /// All partitions of the source.
    pub partitions: Vec<Partition>,
}

/// Builds one slot's part of the graph. An error comes from an edge that could not be opened; then nothing was built.
pub fn build(scope: Scope<'_, Epoch>, job: &Job) -> Result<()> {
    let slot = scope.index();
    let turn = Turn::open(job, slot, scope.peers())?;
    let flusher = Flusher::open(job, slot)?;
    let storer = Storer::open(job, slot)?;
    let committer = if slot == 0 { Some(Committer::open(job)?) } else { None };

    let (credits_loop, credits) = scope.feedback::<Vec<_>>(1);
    let (control_loop, control) = scope.feedback::<Vec<_>>(1);
    let (cuts_loop, cuts_seen) = scope.feedback::<Vec<_>>(1);

    let read = read::read(scope, credits, control.clone(), cuts_seen, turn, job);
    let closed = close::close(scope, read.events, control.clone(), job);
    let flushed = flush::flush(scope, closed.rows, read.rejects, control, flusher, job);
    let stored = store::store(scope, closed.open, storer, job);
    let committed = commit::commit(scope, read.cuts.clone(), read.folded, flushed, stored, committer, job);

    closed.credits.connect_loop(credits_loop);
    committed.broadcast().connect_loop(control_loop);
    read.cuts.connect_loop(cuts_loop);
    Ok(())
}

/// Whether all these frontiers have passed an epoch.
pub(super) fn passed(frontiers: &[MutableAntichain<Epoch>], epoch: Epoch) -> bool {
    frontiers.iter().all(|frontier| !frontier.less_equal(&epoch))
}

/// A wake that can be given away before the operator it wakes is built: edges are opened first, so that one that cannot be
/// opened leaves no half-built graph. Until then a wake does nothing, which is right: every operator runs once when it is built.
#[derive(Clone, Default)]
pub(super) struct LateWake(Arc<OnceLock<Mutex<SyncActivator>>>);

impl LateWake {
    /// What the edge calls.
    pub fn wake(&self) -> Wake {
        let activator = Arc::clone(&self.0);
        Arc::new(move || {
            if let Some(activator) = activator.get() {
                // Its only error is that the worker has ended, and then nobody is to be woken.
                let _ = activator.lock().unwrap_or_else(PoisonError::into_inner).activate();
            }
        })
    }

    /// Names the operator.
    pub fn bind(&self, scope: Scope<'_, Epoch>, info: &OperatorInfo) {
        self.0.get_or_init(|| Mutex::new(scope.worker().sync_activator_for(info.address.to_vec())));
    }
}
