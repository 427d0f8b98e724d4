use std::sync::{Arc, mpsc};

use super::*;
use crate::connect::files::FolderStore;
use crate::connect::memory::{Act, Faults, MemoryArchive, MemoryStore};
use crate::error::{Fault, Happened};
use crate::snapshot::{Manifest, Store, Totals};

const KEEP: usize = 2;

fn template(owner: &str) -> Manifest {
    Manifest {
        pipeline: "p".to_owned(),
        sequence: 0,
        attempt: 0,
        owner: owner.to_owned(),
        life: "a11e".into(),
        plan: "plan".to_owned(),
        key_groups: 8,
        lanes: 2,
        commit: None,
        next: vec![0],
        written_at: 0,
        cut: Vec::new(),
        parts: Vec::new(),
        totals: Totals::default(),
        open: None,
    }
}

/// The manifest after `before`.
fn next(before: &Manifest) -> Manifest {
    let commit = before.commit.map_or(0, |commit| commit + 1);
    Manifest {
        sequence: before.sequence + 1,
        commit: Some(commit),
        next: vec![commit + 1, commit + 2],
        ..before.clone()
    }
}

/// Does jobs through an archive and waits for all answers.
fn keep_all(archive: &dyn Archive, jobs: Vec<Keep>) -> Vec<Result<()>> {
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    let mut outlet = archive.open(0, wake).expect("it can be opened");
    let count = jobs.len();
    for (ticket, job) in (0..).zip(jobs) {
        outlet.submit(ticket, job);
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        match outlet.poll() {
            Some((_, answer)) => answers.push(answer),
            None => woken.recv().expect("the outlet holds the wake"),
        }
    }
    answers
}

#[test]
fn commits_are_stored_in_order_and_old_ones_removed() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let store: Arc<dyn Store> = Arc::new(FolderStore::open(dir.path()).expect("it can be opened"));
    let history = History::new(Arc::clone(&store), "p");
    let mut manifest = history.claim(&template("me"), crate::snapshot::From::Newest).expect("it is free");
    let part = crate::snapshot::part::name("p", 1, 9, 0);
    let mut jobs = vec![Keep::Part { commit: 0, name: part.clone(), bytes: b"part".to_vec() }];
    for _ in 0..5 {
        manifest = next(&manifest);
        jobs.push(Keep::Manifest(Box::new(manifest.clone())));
    }
    let answers = keep_all(&Keeper::new(history.clone(), KEEP), jobs);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(store.get(&part).expect("it can be read").as_deref(), Some(&b"part"[..]));
    assert_eq!(history.newest().expect("it is whole"), Some(manifest.clone()));
    assert_eq!(history.sequences().expect("they can be listed"), [manifest.sequence - 1, manifest.sequence]);
}

#[test]
fn a_newer_run_ends_the_older_one() {
    let history = History::new(Arc::new(MemoryStore::default()), "p");
    let older = history.claim(&template("older"), crate::snapshot::From::Newest).expect("it is free");
    history.claim(&template("newer"), crate::snapshot::From::Newest).expect("the newer run comes after");
    let job = Keep::Manifest(Box::new(next(&older)));
    let answers = keep_all(&Keeper::new(history, KEEP), vec![job]);
    assert_eq!(answers[0].as_ref().expect_err("it is too late").fault, Fault::Superseded);
}

#[test]
fn a_script_fails_the_store_or_the_archive() {
    let writes = Faults::none();
    let history = History::new(Arc::new(MemoryStore::new(writes.clone(), Faults::none())), "p");
    let claim = history.claim(&template("me"), crate::snapshot::From::Newest).expect("it is free");
    let archive = Faults::none();
    let keeper = MemoryArchive::new(Keeper::new(history.clone(), KEEP), archive.clone());
    let job = || vec![Keep::Manifest(Box::new(next(&claim)))];
    writes.next(Act::Fail);
    assert_eq!(keep_all(&keeper, job())[0].as_ref().expect_err("the store fails").happened, Happened::No);
    archive.next(Act::LoseAfter);
    assert_eq!(keep_all(&keeper, job())[0].as_ref().expect_err("its answer is lost").happened, Happened::Unknown);
    assert_eq!(history.newest().expect("it is whole"), Some(next(&claim)));
    assert!(keep_all(&keeper, job())[0].is_ok(), "the same again is success");
}
