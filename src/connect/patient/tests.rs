use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use super::*;
use crate::connect::Keeper;
use crate::connect::memory::{Act, Faults, MemoryStore};
use crate::dataflow::edges::{Archive, Keep, Wake};
use crate::error::Happened;
use crate::snapshot::{From, History, Manifest};

fn never() -> GivenUp {
    Arc::new(|| false)
}

fn template(owner: &str) -> Manifest {
    Manifest { pipeline: "p".into(), owner: owner.into(), life: owner.into(), next: vec![0], ..Manifest::default() }
}

fn next(before: &Manifest) -> Manifest {
    Manifest { sequence: before.sequence + 1, commit: Some(0), next: vec![1, 2], ..before.clone() }
}

#[test]
fn what_fails_outside_is_tried_until_it_works() {
    let (writes, reads) = (Faults::none(), Faults::none());
    let store = Patient::new(MemoryStore::new(writes.clone(), reads.clone()), never());
    for act in [Act::Fail, Act::LoseBefore, Act::LoseAfter] {
        writes.next(act);
    }
    store.put("p/parts/a", b"part").expect("it works in the end");
    assert_eq!(store.failed(), 3);
    for act in [Act::Fail, Act::LoseAfter] {
        reads.next(act);
    }
    assert_eq!(store.get("p/parts/a").expect("it works in the end").as_deref(), Some(&b"part"[..]));
    reads.next(Act::Fail);
    assert_eq!(store.list("p/").expect("it works in the end"), ["p/parts/a"]);
    writes.next(Act::LoseAfter);
    store.delete("p/parts/a").expect("it works in the end");
    assert_eq!((store.failed(), store.get("p/parts/a").expect("it can be read")), (7, None));
}

#[test]
fn a_manifest_whose_answer_was_lost_is_found_to_be_ours() {
    let writes = Faults::none();
    let store = MemoryStore::new(writes.clone(), Faults::none());
    let history = History::new(Arc::new(Patient::new(store, never())), "p");
    writes.next(Act::LoseAfter);
    let claim = history.claim(&template("me"), From::Newest).expect("its answer was lost, not the claim");
    assert_eq!((claim.sequence, claim.attempt), (1, 1), "claimed once");
    writes.next(Act::LoseBefore);
    writes.next(Act::LoseAfter);
    history.commit(&next(&claim)).expect("its answer was lost, not the commit");
    assert_eq!(history.newest().expect("it is whole"), Some(next(&claim)));
}

#[test]
fn a_name_that_another_has_taken_meanwhile_ends_the_run() {
    let writes = Faults::none();
    let store = MemoryStore::new(writes.clone(), Faults::none());
    let other = History::new(Arc::new(store.with_faults(Faults::none(), Faults::none())), "p");
    let history = History::new(Arc::new(Patient::new(store, never())), "p");
    let claim = history.claim(&template("me"), From::Newest).expect("it is free");
    other.claim(&template("other"), From::Newest).expect("it comes after");
    writes.next(Act::Fail);
    let error = history.commit(&next(&claim)).expect_err("it is too late");
    assert_eq!(error.fault, Fault::Superseded);
}

#[test]
fn a_store_that_is_away_ends_nothing_and_the_archive_goes_on_when_it_is_back() {
    let writes = Faults::none();
    let store = MemoryStore::new(writes.clone(), Faults::none());
    let history = History::new(Arc::new(Patient::new(store.clone(), never())), "p");
    let claim = history.claim(&template("me"), From::Newest).expect("it is free");
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    let mut outlet = Keeper::new(history.clone(), 1).open(0, wake).expect("it can be opened");
    writes.always(Act::LoseBefore);
    outlet.submit(1, Keep::Part { commit: 0, name: "p/parts/a.avro".into(), bytes: b"part".to_vec() });
    outlet.submit(2, Keep::Manifest(Box::new(next(&claim))));
    let silent = woken.recv_timeout(Duration::from_millis(700));
    assert!(silent.is_err() && outlet.poll().is_none(), "nothing is answered while the store is away");
    assert!(writes.count() > 2, "it is tried again and again");
    assert_eq!(store.objects().len(), 1, "the claim alone is stored");
    writes.always(Act::Fine);
    let mut answers = Vec::new();
    while answers.len() < 2 {
        woken.recv_timeout(Duration::from_secs(60)).expect("it goes on");
        answers.extend(outlet.poll());
    }
    assert!(matches!(answers[..], [(1, Ok(())), (2, Ok(()))]), "{answers:?}");
    assert_eq!(history.newest().expect("it is whole"), Some(next(&claim)));
}

#[test]
fn waiting_ends_when_nobody_needs_it_any_more() {
    let writes = Faults::none();
    writes.always(Act::LoseBefore);
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    let store =
        Patient::new(MemoryStore::new(writes.clone(), Faults::none()), Arc::new(move || seen.load(Ordering::Acquire)));
    let waiting = thread::spawn(move || store.put("p/parts/a", b"part"));
    while writes.count() < 3 {
        thread::sleep(Duration::from_millis(1));
    }
    let since = Instant::now();
    over.store(true, Ordering::Release);
    let error = waiting.join().expect("it does not panic").expect_err("it was given up");
    assert_eq!((error.fault, error.happened), (Fault::Outside, Happened::Unknown));
    assert!(since.elapsed() < Duration::from_secs(5), "a wait is not sat out: {:?}", since.elapsed());
}

#[test]
fn waits_double_up_to_a_bound() {
    let mut away = Away::begin("memory".into());
    let mut waits = Vec::new();
    for tries in 1..40 {
        away.tries = tries;
        waits.push(away.most());
    }
    assert_eq!(waits[..3], [STORE_AGAIN_MS.0, 2 * STORE_AGAIN_MS.0, 4 * STORE_AGAIN_MS.0]);
    assert_eq!(waits.last(), Some(&STORE_AGAIN_MS.1));
}

/// A store that works so often, then refuses for as long.
struct Refusing {
    works: u64,
    refuses: u64,
    asked: AtomicU64,
}

impl Store for Refusing {
    fn place(&self) -> String {
        "refusing".into()
    }

    fn put(&self, _name: &str, _bytes: &[u8]) -> Result<()> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let refused = (self.works..self.works + self.refuses).contains(&asked);
        if refused { Err(Error::configuration("the token has expired")) } else { Ok(()) }
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.put(name, bytes).map(|()| true)
    }

    fn get(&self, _name: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn list(&self, _prefix: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn delete(&self, _name: &str) -> Result<()> {
        Ok(())
    }
}

fn refusing(works: u64, refuses: u64, forgives: Duration) -> Patient<Refusing> {
    Patient::new(Refusing { works, refuses, asked: AtomicU64::new(0) }, never()).forgiving(forgives)
}

#[test]
fn a_store_that_has_worked_may_refuse_for_a_while() {
    let store = refusing(1, 3, Duration::from_secs(60));
    store.put("a", b"").expect("it works");
    store.put("b", b"").expect("the refusals pass");
    assert_eq!((store.failed(), store.met.trouble()), (3, None));
    let store = refusing(1, u64::MAX - 1, Duration::from_millis(250));
    store.put("a", b"").expect("it works");
    let since = Instant::now();
    let error = store.put("b", b"").expect_err("it refuses for good");
    assert_eq!((error.fault, error.to_string().as_str()), (Fault::Configuration, "the token has expired"));
    assert!(store.failed() > 0 && since.elapsed() >= Duration::from_millis(250), "{} tries", store.failed());
}

#[test]
fn a_store_that_has_never_worked_is_asked_once() {
    for store in [refusing(0, 1, Duration::from_secs(60)), refusing(1, 1, Duration::ZERO)] {
        let answers = [store.put("a", b""), store.put("b", b"")];
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
        assert_eq!(store.failed(), 0);
    }
}
