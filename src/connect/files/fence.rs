//! Who may write into a sink's folder: the newest run of one pipeline's one life, and nobody else.
//!
//! The state's manifests settle who owns a pipeline, but a run learns that only at its next commit: until then it could give a
//! file its name after a newer run has begun, whose commit epochs may be others. So the folder has an owner of its own, in
//! `.owner`, and whoever names or removes a file there holds `.lock` and is the owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::durable::{Draft, create_folders, failed};
use crate::error::{Error, Fault, Result};
use crate::limits::SINK_LOCK_MS_MAX;
use crate::snapshot::Manifest;

/// How long to wait between two tries for the lock.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The run that a folder belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pipeline: String,
    life: String,
    attempt: u64,
}

impl Owner {
    /// The run that wrote this manifest.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let (pipeline, life) = (manifest.pipeline.clone(), manifest.life.clone());
        Owner { pipeline, life, attempt: manifest.attempt }
    }

    /// Whether both are runs of the same life of the same pipeline.
    pub(super) fn is_kin(&self, other: &Owner) -> bool {
        self.pipeline == other.pipeline && self.life == other.life
    }
}

/// The fence around one folder; clones share what is known of its owner.
#[derive(Clone)]
pub(super) struct Fence {
    dir: PathBuf,
    ours: Arc<Mutex<Option<Owner>>>,
}

impl Fence {
    pub(super) fn new(dir: &Path) -> Self {
        Fence { dir: dir.to_owned(), ours: Arc::default() }
    }

    /// The owner of the folder; `None` where nobody has written there.
    pub(super) fn owner(&self) -> Result<Option<Owner>> {
        let path = self.dir.join(".owner");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|cause| {
                Error::data(format!(
                    "{} does not say who owns the folder: {cause}; remove it with the rows",
                    path.display()
                ))
            }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed("reading", &path, cause)),
        }
    }

    /// Makes `ours` the owner and does `work` before anyone else may. A newer run of the same life is `Superseded`; another
    /// pipeline, or another life of this one, is refused unless `fresh`.
    pub(super) fn take(&self, ours: Owner, fresh: bool, work: impl FnOnce() -> Result<()>) -> Result<()> {
        create_folders(&self.dir, &self.dir)?;
        let _lock = self.lock()?;
        match self.owner()? {
            Some(owner) if owner.is_kin(&ours) && owner.attempt > ours.attempt => return Err(self.superseded(&owner)),
            Some(owner) if !owner.is_kin(&ours) && !fresh => return Err(self.foreign(&owner)),
            _ => {}
        }
        let mut draft = Draft::create(&self.dir)?;
        let text = serde_json::json!(ours).to_string();
        draft.file().write_all(text.as_bytes()).map_err(|cause| failed("writing", &self.dir.join(".owner"), cause))?;
        draft.sync()?;
        draft.rename(".owner", || {})?;
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
        work()
    }

    /// Joins the run that has made itself the owner, from another of its processes.
    pub(super) fn join(&self, ours: Owner) -> Result<()> {
        match self.owner()? {
            Some(owner) if owner == ours => {
                *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
                Ok(())
            }
            Some(owner) if owner.is_kin(&ours) && owner.attempt > ours.attempt => Err(self.superseded(&owner)),
            _ => Err(Error::configuration(format!(
                "the sink folder {} is not the one that process 0 has made ready: --sink must name the same place for all processes",
                self.dir.display()
            ))),
        }
    }

    /// Does `work` while nobody else can become the owner; `Superseded` where somebody has.
    pub(super) fn hold<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _lock = self.lock()?;
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.owner()? {
            Some(owner) if Some(&owner) != ours.as_ref() => Err(self.superseded(&owner)),
            _ => work(),
        }
    }

    /// The error to report for one that came while writing: that somebody else owns the folder, if so, for that explains it.
    pub(super) fn explain(&self, error: Error) -> Error {
        if error.fault == Fault::Superseded {
            return error;
        }
        match self.hold(|| Ok(())) {
            Err(verdict) if verdict.fault == Fault::Superseded => verdict,
            _ => error,
        }
    }

    /// Why `owner`'s folder is not to be written to by another.
    pub(super) fn foreign(&self, owner: &Owner) -> Error {
        Error::configuration(format!(
            "the sink folder {} holds rows of pipeline '{}' that belong to another state (its life {}): name another folder, or \
             the --state these rows belong to",
            self.dir.display(),
            owner.pipeline,
            owner.life
        ))
    }

    fn superseded(&self, owner: &Owner) -> Error {
        Error::new(
            Fault::Superseded,
            format!(
                "run {} of pipeline '{}' owns the sink folder {} now; this run stops, nothing is lost: the other goes on from the \
                 newest manifest",
                owner.attempt,
                owner.pipeline,
                self.dir.display()
            ),
        )
    }

    /// The lock, which ends with the file. A run that is stopped while it holds it must not hang the others.
    fn lock(&self) -> Result<File> {
        let path = self.dir.join(".lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|cause| failed("opening", &path, cause))?;
        for _ in 0..u128::from(SINK_LOCK_MS_MAX) / TRY_AGAIN.as_millis() {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => thread::sleep(TRY_AGAIN),
                Err(TryLockError::Error(cause)) => return Err(failed("locking", &path, cause)),
            }
        }
        Err(failed("locking", &path, format!("another run has held it for {SINK_LOCK_MS_MAX} ms; end that run")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(life: &str, attempt: u64) -> Owner {
        Owner { pipeline: "p".into(), life: life.into(), attempt }
    }

    #[test]
    fn the_newest_run_of_a_life_may_write_and_no_other() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (old, new) = (Fence::new(dir.path()), Fence::new(dir.path()));
        old.take(owner("a", 1), false, || Ok(())).expect("nobody owns it");
        old.hold(|| Ok(())).expect("it is the owner");
        new.take(owner("a", 2), false, || Ok(())).expect("it is newer");
        assert_eq!(old.hold(|| Ok(())).expect_err("it is older").fault, Fault::Superseded);
        assert_eq!(old.take(owner("a", 1), false, || Ok(())).expect_err("it is older").fault, Fault::Superseded);
        let torn = Error::outside("renaming", "it is gone");
        assert_eq!(old.explain(torn.clone()).fault, Fault::Superseded);
        assert_eq!(new.explain(torn).fault, Fault::Outside);
    }

    #[test]
    fn other_processes_of_the_newest_run_may_write_too() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (first, second, elsewhere) =
            (Fence::new(dir.path()), Fence::new(dir.path()), Fence::new(&dir.path().join("x")));
        first.take(owner("a", 1), false, || Ok(())).expect("nobody owns it");
        second.join(owner("a", 1)).expect("it is a process of the owner");
        second.hold(|| Ok(())).expect("it is the owner");
        assert_eq!(elsewhere.join(owner("a", 1)).expect_err("another folder").fault, Fault::Configuration);
        first.take(owner("a", 2), false, || Ok(())).expect("it is newer");
        assert_eq!(second.hold(|| Ok(())).expect_err("it is older").fault, Fault::Superseded);
        assert_eq!(second.join(owner("a", 1)).expect_err("it is older").fault, Fault::Superseded);
    }

    #[test]
    fn another_life_is_refused_unless_it_is_to_begin_afresh() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fence = Fence::new(dir.path());
        fence.take(owner("a", 7), false, || Ok(())).expect("nobody owns it");
        assert_eq!(fence.take(owner("b", 8), false, || Ok(())).expect_err("another life").fault, Fault::Configuration);
        fence.take(owner("b", 8), true, || Ok(())).expect("it begins afresh");
        fence.hold(|| Ok(())).expect("it is the owner");
    }
}
