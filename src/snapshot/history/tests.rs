use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::snapshot::{Counters, From, PartitionCut, RejectsKept, Totals, Unreadable, part};
use crate::time::{Pace, Schedule};

/// A store in memory that can be told to lose answers and to have others come first.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    script: Mutex<Vec<Trouble>>,
}

/// What happens to the next `put_if_absent`.
enum Trouble {
    /// It is done, but the answer is lost.
    AnswerLost,
    /// Another run puts this under the same name just before.
    Overtaken(Box<Manifest>),
}

impl Store for Memory {
    fn place(&self) -> String {
        "memory".into()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.objects.lock().unwrap().insert(name.into(), bytes.into());
        Ok(())
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let trouble = self.script.lock().unwrap().pop();
        let mut objects = self.objects.lock().unwrap();
        if let Some(Trouble::Overtaken(other)) = &trouble {
            objects.insert(name.into(), other.encode());
        }
        let free = !objects.contains_key(name);
        if free {
            objects.insert(name.into(), bytes.into());
        }
        match trouble {
            Some(Trouble::AnswerLost) => Err(Error::outside("putting", "the answer was lost").ambiguous()),
            _ => Ok(free),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.objects.lock().unwrap().get(name).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.objects.lock().unwrap().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.objects.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Memory {
    fn damage(&self, name: &str) {
        self.objects.lock().unwrap().get_mut(name).unwrap()[3] ^= 1;
    }
}

fn new() -> (Arc<Memory>, History) {
    let store = Arc::new(Memory::default());
    (store.clone(), History::new(store, "p"))
}

fn template(owner: &str) -> Manifest {
    Manifest {
        pipeline: "p".into(),
        sequence: 0,
        attempt: 0,
        owner: owner.into(),
        life: "a11e".into(),
        plan: "plan".into(),
        key_groups: 256,
        lanes: 4,
        commit: None,
        next: Schedule::start().next,
        written_at: 1,
        cut: vec![],
        parts: vec![],
        totals: Totals::default(),
        open: None,
    }
}

/// Commits the next epoch after `last`, with one part.
fn commit(history: &History, last: &Manifest) -> Manifest {
    let schedule = Schedule::restored(last.commit, &last.next).unwrap();
    let schedule = schedule.after_commit(Some(last.next[0] + 1), Pace::default());
    let epoch = schedule.committed.unwrap();
    let name = part::name("p", last.attempt, epoch, 0);
    let bytes = part::write(Vec::new());
    history.put_part(&name, &bytes).unwrap();
    let part = PartRef { name, bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), partials: 0 };
    let next = Manifest {
        sequence: last.sequence + 1,
        commit: Some(epoch),
        next: schedule.next,
        parts: vec![part],
        ..last.clone()
    };
    history.commit(&next).unwrap();
    next
}

/// A claim and `commits` commits after it.
fn filled(commits: usize) -> (Arc<Memory>, History, Vec<Manifest>) {
    let (store, history) = new();
    let mut all = vec![history.claim(&template("one"), From::Newest).unwrap()];
    for _ in 0..commits {
        all.push(commit(&history, all.last().unwrap()));
    }
    (store, history, all)
}

#[test]
fn a_new_pipeline_is_claimed_and_resumed() {
    let (_, history) = new();
    assert!(history.newest().unwrap().is_none() && history.verify(None).is_empty());
    let first = history.claim(&template("one"), From::Newest).unwrap();
    assert_eq!((first.sequence, first.attempt, first.commit, first.next.clone()), (1, 1, None, vec![0]));
    let second = commit(&history, &first);
    let third = history.claim(&template("two"), From::Newest).unwrap();
    let expected = Manifest { sequence: 3, attempt: 2, owner: "two".into(), ..second };
    assert_eq!(third, expected);
    assert_eq!((history.newest().unwrap(), history.sequences().unwrap()), (Some(third), vec![1, 2, 3]));
    assert_eq!(history.verify(None), []);
}

#[test]
fn a_lost_answer_is_success_when_tried_again() {
    let (store, history, all) = filled(1);
    let next = Manifest { sequence: 3, commit: Some(1), next: vec![2, 3], ..all[1].clone() };
    store.script.lock().unwrap().push(Trouble::AnswerLost);
    let lost = history.commit(&next).unwrap_err();
    assert_eq!((lost.fault, lost.happened), (Fault::Outside, crate::error::Happened::Unknown));
    history.commit(&next).unwrap();
    assert_eq!(history.newest().unwrap(), Some(next));
}

#[test]
fn the_older_run_is_told_who_owns_the_pipeline() {
    let (_, history, all) = filled(1);
    history.claim(&template("two"), From::Newest).unwrap();
    let error = history.commit(&Manifest { sequence: 3, ..all[1].clone() }).unwrap_err();
    assert_eq!(error.fault, Fault::Superseded);
    assert!(error.to_string().contains("attempt 2 by two (manifest 3) owns the pipeline now"), "{error}");
}

#[test]
fn a_run_that_slept_through_a_clean_up_is_superseded_and_leaves_nothing() {
    let (_, history, all) = filled(1);
    let mut last = history.claim(&template("two"), From::Newest).unwrap();
    for _ in 0..6 {
        last = commit(&history, &last);
    }
    history.prune(2).unwrap();
    let before = history.sequences().unwrap();
    let error = history.commit(&Manifest { sequence: 3, ..all[1].clone() }).unwrap_err();
    assert_eq!((error.fault, history.sequences().unwrap()), (Fault::Superseded, before));
}

#[test]
fn claims_that_race_come_one_after_the_other() {
    let (store, history, all) = filled(1);
    let other = Manifest { sequence: 3, attempt: 2, owner: "other".into(), ..all[1].clone() };
    store.script.lock().unwrap().push(Trouble::Overtaken(Box::new(other)));
    let claim = history.claim(&template("me"), From::Newest).unwrap();
    assert_eq!((claim.sequence, claim.attempt, claim.owner.as_str()), (4, 3, "me"));
}

#[test]
fn another_dataflow_is_refused_with_all_differences() {
    let (_, history, _) = filled(0);
    let other = Manifest { plan: "other".into(), lanes: 8, ..template("two") };
    let error = history.claim(&other, From::Newest).unwrap_err();
    assert_eq!(error.fault, Fault::Configuration);
    assert!(error.to_string().contains("plan was plan, is now other; lanes was 4, is now 8;"), "{error}");
}

#[test]
fn a_damaged_newest_manifest_names_the_way_out() {
    let (store, history, all) = filled(3);
    store.damage(&history.manifest_name(4));
    let error = history.claim(&template("two"), From::Newest).unwrap_err();
    assert_eq!(error.fault, Fault::Data);
    assert!(error.to_string().contains("manifest 4 of pipeline 'p' in memory"), "{error}");
    assert!(error.to_string().contains("`--from 3` goes on from there"), "{error}");
    let claim = history.claim(&template("two"), From::Sequence(3)).unwrap();
    assert_eq!((claim.sequence, claim.commit), (5, all[2].commit));
    assert_eq!(claim.attempt, 3, "the damaged one may have been a claim");
    assert_eq!(history.newest().unwrap(), Some(claim));
}

#[test]
fn a_damaged_or_missing_part_names_the_way_out() {
    let (store, history, all) = filled(3);
    store.damage(&all[3].parts[0].name);
    let error = history.part_bytes(&all[3].parts[0]).map_err(|error| history.with_way_out(error, 4)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("p/parts/0000000001-") && text.contains("sha256") && text.contains("`--from 3`"), "{text}");
    for manifest in &all[1..] {
        store.delete(&manifest.parts[0].name).unwrap();
    }
    store.damage(&history.manifest_name(1));
    let text = history.with_way_out(history.part_bytes(&all[3].parts[0]).unwrap_err(), 4).to_string();
    assert!(text.contains("it is missing") && text.contains("no other manifest is whole"), "{text}");
}

#[test]
fn partials_come_back_as_records_and_a_damaged_part_is_refused() {
    use crate::aggregate::SourceKind;
    use crate::aggregate::partial::Partial;

    let (store, history, all) = filled(1);
    let layout = Layout::new("id", SourceKind::Text, vec![], vec![]);
    let mut records = Vec::new();
    for (source, minute) in [("a", 7), ("b", 7), ("a", 8)] {
        let partial = Partial { source: source.into(), minute, count: 1, fields: vec![] };
        layout.pack(&partial, &mut records).unwrap();
    }
    let bytes = part::encode(&layout, [records.as_slice()]);
    let name = part::name("p", 1, 1, 0);
    history.put_part(&name, &bytes).unwrap();
    let part = PartRef { name, bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), partials: 3 };
    let next = Manifest { sequence: 3, commit: Some(1), next: vec![2, 3], parts: vec![part.clone()], ..all[1].clone() };
    history.commit(&next).unwrap();
    assert_eq!(history.partials(&next, &layout).unwrap(), records);
    assert_eq!(history.verify(Some(&layout)), []);
    store.damage(&part.name);
    let error = history.partials(&next, &layout).unwrap_err();
    assert!(error.to_string().contains(&part.name) && error.to_string().contains("`--from 2`"), "{error}");
}

#[test]
fn from_must_exist() {
    let (_, history, _) = filled(1);
    let error = history.claim(&template("two"), From::Sequence(9)).unwrap_err();
    assert!(error.to_string().contains("has no manifest 9, stored are 1 to 2"), "{error}");
}

#[test]
fn what_a_run_that_went_back_has_left_behind_is_refused() {
    let (_, history, manifests) = filled(5);
    let (older, newer) = (manifests[2].sequence, manifests[4].sequence);
    let back = history.claim(&template("two"), From::Sequence(older)).unwrap();
    let error = history.claim(&template("three"), From::Sequence(newer)).unwrap_err();
    assert_eq!(error.fault, Fault::Configuration);
    let message = error.to_string();
    assert!(message.contains(&format!("manifest {}, where it began", back.sequence)), "{message}");
    // Where it began, and before, nothing is gone; and what comes after its beginning is a history of its own.
    history.claim(&template("four"), From::Sequence(older)).unwrap();
    let last = commit(&history, &history.claim(&template("five"), From::Sequence(back.sequence)).unwrap());
    history.claim(&template("six"), From::Sequence(last.sequence)).unwrap();
}

#[test]
fn pruning_keeps_distinct_commits_claims_and_what_is_being_prepared() {
    let (store, history, all) = filled(4);
    let claim = history.claim(&template("two"), From::Newest).unwrap();
    let dead = part::name("p", 1, 99, 0);
    let prepared = part::name("p", claim.attempt, claim.next[0], 0);
    let newer = part::name("p", claim.attempt + 1, 0, 0);
    for name in [&dead, &prepared, &newer] {
        history.put_part(name, b"x").unwrap();
    }
    assert_eq!(history.prune(2).unwrap(), 3 + 2 + 1, "claim, genesis and one commit, two parts of theirs, a dead part");
    assert_eq!(history.sequences().unwrap(), [4, 5, 6]);
    let parts = store.list("p/parts/").unwrap();
    assert_eq!(parts, [all[3].parts[0].name.clone(), all[4].parts[0].name.clone(), prepared, newer]);
    assert_eq!((history.prune(2).unwrap(), history.verify(None)), (0, vec![]));
}

#[test]
fn verify_finds_each_kind_of_damage() {
    let (store, history, all) = filled(5);
    assert_eq!(history.verify(None), []);
    store.delete(&history.manifest_name(2)).unwrap();
    store.damage(&history.manifest_name(3));
    store.damage(&all[4].parts[0].name);
    let cut = PartitionCut {
        partition: 0,
        name: "a".into(),
        identity: String::new(),
        position: None,
        max_time: None,
        ended: false,
        counters: Counters { read: 2, folded: 1, ..Counters::default() },
        rejects_kept: RejectsKept::default(),
        idle_decisions: 0,
        gaps: 0,
        unreadable: Unreadable::default(),
    };
    let unbalanced = Manifest { cut: vec![cut], commit: Some(1_000), next: vec![2_000], ..all[5].clone() };
    store.put(&history.manifest_name(6), &unbalanced.encode()).unwrap();
    let found: Vec<String> =
        history.verify(None).into_iter().map(|f| format!("{:?}: {}", f.sequence, f.problem)).collect();
    let expected = [
        "Some(3): manifests 2 to 2",
        "Some(3): manifest 3",
        "Some(5): part p/parts/",
        "Some(6): partition 0 (a): 2 events were read",
        "Some(6): it commits Some(1000)",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)), "{found:#?}");
}

#[test]
fn summaries_show_damage_beside_the_rest() {
    let (store, history, all) = filled(2);
    store.damage(&history.manifest_name(2));
    let summaries = history.summaries().unwrap();
    assert!(summaries[1].damaged.is_some() && summaries[0].damaged.is_none());
    assert_eq!((summaries[2].commit, summaries[2].parts), (all[2].commit, 1));
    store.damage(&all[2].parts[0].name);
    let shown = history.show(3).unwrap().unwrap();
    assert!(shown.balanced && shown.parts[0].damaged.is_some());
    assert!(history.show(9).unwrap().is_none());
}
