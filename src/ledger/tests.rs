use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::time::LAST_EPOCH;

/// A sink as lists.
#[derive(Clone, Debug, Default)]
struct Lists {
    partitions: Vec<PartitionLine>,
    minutes: Vec<Told>,
    rows: Vec<Found>,
    rejects: Vec<Kept>,
    repeated: Vec<Repeated>,
    horizon: Horizon,
}

fn given<T: Clone>(all: &[T]) -> Result<Lines<'_, T>> {
    Ok(Box::new(all.iter().cloned().map(Ok)))
}

fn within<T: Clone>(all: &[T], range: Range, of: fn(&T) -> u64) -> Result<Lines<'_, T>> {
    Ok(Box::new(all.iter().filter(move |line| range.contains(of(line))).cloned().map(Ok)))
}

impl LedgerSource for Lists {
    fn horizon(&self) -> Result<Horizon> {
        Ok(self.horizon)
    }

    fn partitions(&self, range: Range) -> Result<Lines<'_, PartitionLine>> {
        within(&self.partitions, range, |line| line.commit)
    }

    fn minutes(&self, range: Range) -> Result<Lines<'_, Told>> {
        within(&self.minutes, range, |line| line.place.minute)
    }

    fn rows(&self, range: Range) -> Result<Lines<'_, Found>> {
        within(&self.rows, range, |line| line.place.minute)
    }

    fn rejects(&self, range: Range) -> Result<Lines<'_, Kept>> {
        within(&self.rejects, range, |line| line.commit)
    }

    fn repeated(&self, _range: Range) -> Result<Lines<'_, Repeated>> {
        given(&self.repeated)
    }
}

/// What one commit reads of each partition, by reason, and what of it is folded into each lane.
type Commits = Vec<Vec<(u64, u64, u64, u64)>>;

/// A ledger in which all adds up: commits 10 minutes apart, the last one the end; each folds its events into its newest minute.
fn consistent(commits: &Commits) -> Lists {
    let mut lists = Lists::default();
    let mut at = [None; 4];
    for (number, partitions) in (1..).zip(commits) {
        let last = number == commits.len() as u64;
        let commit = if last { LAST_EPOCH } else { number * 10 };
        let mut events = 0;
        for (index, &(folded, malformed, late, too_far_ahead)) in partitions.iter().enumerate() {
            let read = folded + malformed + late + too_far_ahead;
            let counters = Counters { read, folded, malformed, late, too_far_ahead, ..Counters::default() };
            let to = Some(Position(number * 100, 7));
            let partition = format!("p{index}");
            lists.partitions.push(PartitionLine {
                commit,
                attempt: number,
                partition: partition.clone(),
                from: at[index],
                to,
                counters,
                gaps: 0,
            });
            at[index] = to;
            events += folded;
            if read > folded {
                lists.rejects.push(Kept { commit, partition, malformed, late, too_far_ahead });
            }
        }
        for (lane, events) in [(0, events / 2), (3, events - events / 2)].into_iter().filter(|(_, events)| *events > 0)
        {
            let place = Place { commit, minute: number * 10 - 1, lane };
            let content =
                Content { rows: events.div_ceil(3), counted: events, hash: events.wrapping_mul(u64::MAX / 3) };
            lists.minutes.push(Told { place, events, content });
            lists.rows.push(Found { place, content });
        }
    }
    lists
}

fn commits() -> impl Strategy<Value = Commits> {
    let partition = (2_u64..9, 0_u64..3, 0_u64..3, 0_u64..3);
    (1_usize..4).prop_flat_map(move |many| prop::collection::vec(prop::collection::vec(partition.clone(), many), 1..5))
}

/// Makes one change. Only the end of a partition's newest line, and what nothing speaks of a second time, are left alone.
fn change(lists: &mut Lists, which: usize, kind: usize, by: u64) {
    let by = by.max(1);
    let turn = |value: &mut u64| *value = value.wrapping_add(by);
    match kind {
        0..=5 => {
            let at = which % lists.partitions.len();
            let line = &mut lists.partitions[at];
            let counters = &mut line.counters;
            match kind {
                0 => turn(&mut counters.read),
                1 => turn(&mut counters.folded),
                2 => turn(&mut counters.malformed),
                3 => turn(&mut counters.late),
                4 => turn(&mut counters.too_far_ahead),
                _ => line.from = Some(Position(line.from.map_or(0, |from| from.0).wrapping_add(by), 8)),
            }
        }
        6..=9 => {
            let at = which % lists.minutes.len();
            let told = &mut lists.minutes[at];
            match kind {
                6 => turn(&mut told.events),
                7 => turn(&mut told.content.rows),
                8 => turn(&mut told.content.counted),
                _ => turn(&mut told.content.hash),
            }
        }
        10..=12 => {
            let at = which % lists.rows.len();
            let content = &mut lists.rows[at].content;
            match kind {
                10 => turn(&mut content.rows),
                11 => turn(&mut content.counted),
                _ => turn(&mut content.hash),
            }
        }
        13 => drop(lists.partitions.remove(which % lists.partitions.len())),
        14 => drop(lists.minutes.remove(which % lists.minutes.len())),
        15 => drop(lists.rows.remove(which % lists.rows.len())),
        16 => double(&mut lists.partitions, which),
        17 => double(&mut lists.minutes, which),
        18 => double(&mut lists.rows, which),
        19 => lists.rows[0].place.lane += 1,
        _ => lists.minutes[0].place.minute += 1,
    }
}

fn double<T: Clone>(list: &mut Vec<T>, which: usize) {
    let at = which % list.len();
    list.insert(at, list[at].clone());
}

proptest! {
    #[test]
    fn what_adds_up_is_left_alone(commits in commits()) {
        let report = check(&consistent(&commits), Range::ALL).expect("it can be read");
        prop_assert_eq!(&report.findings, &[]);
        prop_assert!(report.balances() && report.open == Some(0));
        prop_assert_eq!((report.commits, report.partitions), (commits.len() as u64, commits[0].len() as u64));
        prop_assert_eq!((report.events, report.counted), (report.counters.folded, report.counters.folded));
    }

    #[test]
    fn every_single_change_is_found(commits in commits(), which in any::<usize>(), kind in 0_usize..21, by in 1_u64..90) {
        let mut lists = consistent(&commits);
        change(&mut lists, which, kind, by);
        let report = check(&lists, Range::ALL).expect("it can be read");
        prop_assert!(!report.balances(), "{kind} of {lists:?}");
    }
}

/// What is found, as text.
fn findings(lists: &Lists) -> Vec<String> {
    let report = check(lists, Range::ALL).expect("it can be read");
    report.findings.iter().map(|finding| format!("{}: {}", finding.place, finding.problem)).collect()
}

fn example() -> Lists {
    consistent(&vec![
        vec![(4, 1, 0, 0), (2, 0, 0, 0)],
        vec![(3, 0, 2, 0), (5, 0, 0, 1)],
        vec![(1, 0, 0, 0), (1, 0, 0, 0)],
    ])
}

#[test]
fn a_finding_says_where_and_what() {
    let mut lists = example();
    lists.partitions[2].from = Some(Position(150, 0));
    lists.partitions[3].counters.late = 9;
    assert_eq!(
        findings(&lists),
        [
            "commit 20, p0: a hole: it begins at 150:0, commit 10 ended at 100:7",
            "commit 20, p1: 6 read, but 5 folded + 0 malformed + 9 late + 1 too far ahead",
            "p1: 1 rejects are there, at least 10 were kept: rejects are missing",
        ]
    );
    let mut lists = example();
    lists.rows[0].content.hash = 0;
    lists.rows.remove(3);
    lists.minutes[1].events += 2;
    assert_eq!(
        findings(&lists),
        [
            "commit 10, minute 1970-01-01 00:09:00, lane 0: the content of its rows has hash 0000000000000000: written were 1 that \
             count 3, hash ffffffffffffffff",
            "commit 10, minute 1970-01-01 00:09:00, lane 3: 5 events were folded, its rows were written with a count of 3: 2 lost",
            "commit 20, minute 1970-01-01 00:19:00, lane 3: 2 rows are missing: written were 2 that count 4, hash 5555555555555554",
            "all partitions and minutes: 16 events were folded, but minutes were closed with 18: 2 too many",
        ]
    );
}

#[test]
fn a_minute_is_closed_once() {
    let mut lists = example();
    for place in [&mut lists.minutes[2].place, &mut lists.rows[2].place] {
        place.minute = 9;
    }
    assert_eq!(
        findings(&lists),
        ["commit 20, minute 1970-01-01 00:09:00, lane 0: commit 10 had closed the minute already"]
    );
}

#[test]
fn what_is_open_is_no_fault_before_the_last_commit() {
    let mut lists = example();
    let last = |commit: Epoch| commit == LAST_EPOCH;
    lists.minutes.retain(|told| !last(told.place.commit));
    lists.rows.retain(|rows| !last(rows.place.commit));
    assert_eq!(findings(&lists).len(), 1, "after it, all must be closed");
    lists.partitions.iter_mut().filter(|line| last(line.commit)).for_each(|line| line.commit = 30);
    let report = check(&lists, Range::ALL).expect("it can be read");
    assert_eq!((report.problems, report.open), (0, Some(2)));
}

#[test]
fn rejects_are_no_more_than_were_counted_and_none_is_missing() {
    let mut lists = example();
    lists.rejects[0].late = 1;
    assert_eq!(findings(&lists), ["commit 10, p0: 1 rejects are late, but only 0 events were counted so"]);
    let mut lists = example();
    lists.rejects.remove(1);
    assert_eq!(findings(&lists), ["p0: 1 rejects are there, at least 3 were kept: rejects are missing"]);
    let mut lists = example();
    lists.rejects.insert(0, Kept { commit: 5, partition: "p0".into(), malformed: 1, ..Kept::default() });
    assert_eq!(findings(&lists), ["commit 5, p0: 1 rejects are malformed, but only 0 events were counted so"]);
}

#[test]
fn what_cannot_be_read_ends_the_check() {
    struct Damaged;
    impl LedgerSource for Damaged {
        fn partitions(&self, _range: Range) -> Result<Lines<'_, PartitionLine>> {
            Ok(Box::new(std::iter::once(Err(Error::data("a line is damaged")))))
        }
        fn minutes(&self, _range: Range) -> Result<Lines<'_, Told>> {
            Ok(Box::new(std::iter::empty()))
        }
        fn rows(&self, _range: Range) -> Result<Lines<'_, Found>> {
            Ok(Box::new(std::iter::empty()))
        }
        fn rejects(&self, _range: Range) -> Result<Lines<'_, Kept>> {
            Ok(Box::new(std::iter::empty()))
        }
    }
    assert_eq!(check(&Damaged, Range::ALL).expect_err("it is damaged").to_string(), "a line is damaged");
}

#[test]
fn many_findings_are_counted_and_the_first_are_named() {
    let mut lists = consistent(&vec![vec![(2, 0, 0, 0)]; 300]);
    lists.rows.clear();
    let report = check(&lists, Range::ALL).expect("it can be read");
    assert_eq!((report.problems, report.findings.len()), (600, crate::limits::LEDGER_FINDINGS_MAX));
}

#[test]
fn a_gap_is_told_with_the_commit_at_which_the_count_rises() {
    let mut lists = example();
    lists.partitions.iter_mut().skip(2).filter(|line| line.partition == "p1").for_each(|line| line.gaps = 2);
    let report = check(&lists, Range::ALL).expect("it can be read");
    let gap = |gaps, within| Agreed {
        partition: "p1".into(),
        commit: 20,
        from: Some(Position(100, 7)),
        to: Some(Position(200, 7)),
        gaps,
        within,
    };
    assert_eq!((report.problems, report.gaps, report.agreed), (0, 2, vec![gap(2, true)]));
    lists.partitions.drain(..2);
    let report = check(&lists, Range { from: 20, to: 30 }).expect("it can be read");
    assert_eq!((report.gaps, report.agreed), (2, vec![gap(2, false)]), "they may be older than the range");
    let mut lists = example();
    lists.partitions[0].gaps = 1;
    assert_eq!(findings(&lists), ["commit 20, p0: it counts 0 gaps, 1 were there before"]);
}

#[test]
fn what_a_newer_run_has_replaced_is_no_fault_but_what_one_run_doubled_is() {
    let by = |newest| Runs { newest, revisions: "1,2".into(), mend: "mend it".into() };
    let repeated = |newest| Repeated { what: "a row".into(), times: 3, by: Some(by(newest)) };
    let mut lists = example();
    lists.repeated = vec![repeated(1), repeated(2), repeated(1)];
    let report = check(&lists, Range::ALL).expect("it can be read");
    assert_eq!((report.problems, report.replaced, report.mends), (1, 2, ["mend it".to_owned()].into()));
    assert_eq!(findings(&lists), ["a row: it is stored 3 times, by runs 1,2; the newest counts"]);
}

#[test]
fn what_has_gone_for_its_age_is_not_missed() {
    let mut lists = example();
    lists.partitions.drain(..2);
    lists.rejects.remove(0);
    // Of a minute its line is gone, of another its rows.
    lists.minutes.remove(0);
    lists.rows.remove(1);
    assert!(!findings(&lists).is_empty());
    lists.horizon = Horizon { commits: Some(11), minutes: Some(15) };
    assert_eq!(findings(&lists), Vec::<String>::new());
    let report = check(&lists, Range::ALL).expect("it can be read");
    assert_eq!((report.commits, report.open, report.counters.read, report.events), (2, None, 13, 10));
    lists.horizon.minutes = None;
    assert_eq!(findings(&lists).len(), 2);
}
