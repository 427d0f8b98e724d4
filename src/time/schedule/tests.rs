use proptest::prelude::*;

use super::*;

fn schedule(committed: Epoch, next: &[Epoch]) -> Schedule {
    Schedule { committed: Some(committed), next: next.to_vec() }
}

fn pace(epochs_per_second: u64, reach: Minute) -> Pace {
    Pace { epochs_per_second, reach }
}

#[test]
fn the_genesis_comes_first_and_the_frontier_after_it() {
    let start = Schedule::start();
    assert_eq!((start.due(Some(0)), start.due(Some(1))), (None, Some(FIRST_EPOCH)));
    assert_eq!(start.after_commit(Some(29_333_331), Pace::default()), schedule(0, &[29_333_331, 29_333_332]));
}

#[test]
fn live_is_minute_by_minute() {
    let live = schedule(99, &[100, 101]).after_commit(Some(101), pace(1, 101));
    assert_eq!(live, schedule(100, &[101, 102]));
    assert_eq!(live.due(Some(101)), None);
    assert_eq!(live.due(Some(102)), Some(101));
}

#[test]
fn what_the_frontier_has_passed_is_committed_at_once() {
    assert_eq!(schedule(99, &[100, 101]).after_commit(Some(140), pace(1, 0)), schedule(100, &[101, 139]));
}

#[test]
fn far_behind_commits_are_a_second_apart() {
    assert_eq!(schedule(99, &[100, 101]).after_commit(Some(102), pace(30, 9_000)), schedule(100, &[101, 131]));
    assert_eq!(schedule(99, &[100, 101]).after_commit(Some(102), pace(30, 110)), schedule(100, &[101, 110]));
    assert_eq!(schedule(99, &[100, 101]).after_commit(Some(102), pace(30, 5)), schedule(100, &[101, 102]));
    let far = schedule(99, &[100, 101]).after_commit(Some(102), pace(9_000, 9_000));
    assert_eq!(far, schedule(100, &[101, 101 + COMMIT_STEP_MAX]));
    // A gap of years that the frontier has passed is one step.
    let gap = schedule(99, &[100, 101]).after_commit(Some(9_000_000), pace(1, 9_000));
    assert_eq!(gap, schedule(100, &[101, 8_999_999]));
}

#[test]
fn trap_1_a_finite_input_ends_at_an_agreed_epoch() {
    for end in [None, Some(LAST_EPOCH)] {
        assert_eq!(Schedule::start().after_commit(end, Pace::default()), schedule(0, &[LAST_EPOCH]));
        let ending = schedule(99, &[100, 101]).after_commit(end, Pace::default());
        assert_eq!(ending, schedule(100, &[101, LAST_EPOCH]));
        let last = ending.after_commit(end, Pace::default());
        assert_eq!(last, schedule(101, &[LAST_EPOCH]));
        assert_eq!((last.due(Some(LAST_EPOCH)), last.due(None)), (None, Some(LAST_EPOCH)));
        let over = last.after_commit(end, Pace::default());
        assert_eq!(over, schedule(LAST_EPOCH, &[]));
        assert_eq!((over.due(None), over.after_commit(None, Pace::default())), (None, over));
    }
}

#[test]
fn the_pace_is_rounded_up_and_survives_a_clock_that_stands() {
    assert_eq!(Pace::measured(1, 60_000, 7), pace(1, 7));
    assert_eq!(Pace::measured(0, 60_000, 7), pace(0, 7));
    assert_eq!(Pace::measured(30, 2_000, 7), pace(15, 7));
    assert_eq!(Pace::measured(u64::MAX, -5, 7).epochs_per_second, u64::MAX);
}

#[test]
fn a_damaged_schedule_is_refused() {
    let good = [(None, vec![0]), (Some(0), vec![7, 8]), (Some(7), vec![LAST_EPOCH]), (Some(LAST_EPOCH), vec![])];
    for (committed, next) in good {
        assert_eq!(Schedule::restored(committed, &next).unwrap(), Schedule { committed, next });
    }
    let bad = [
        (None, vec![]),
        (Some(5), vec![]),
        (Some(5), vec![5, 6]),
        (Some(5), vec![7, 7]),
        (Some(5), vec![6, 7, 8]),
        (Some(5), vec![LAST_EPOCH + 1]),
        (Some(LAST_EPOCH), vec![LAST_EPOCH + 1]),
    ];
    for (committed, next) in bad {
        assert!(Schedule::restored(committed, &next).is_err(), "{committed:?} {next:?}");
    }
}

/// Commits as a run would: each time the frontier has gone on by `steps`, every epoch that is due.
fn run(mut at: Schedule, steps: &[(u64, Pace)], mut each: impl FnMut(&Schedule, &Schedule, Option<Epoch>)) -> Schedule {
    let mut frontier = Some(at.committed.map_or(FIRST_EPOCH, |epoch| epoch + 1));
    let ending = std::iter::repeat_n(&(u64::MAX, Pace { epochs_per_second: 0, reach: 0 }), 4);
    for &(step, pace) in steps.iter().chain(ending) {
        frontier = frontier.and_then(|epoch| epoch.checked_add(step)).filter(|&epoch| epoch < LAST_EPOCH);
        while at.due(frontier).is_some() {
            let after = at.after_commit(frontier, pace);
            each(&at, &after, frontier);
            at = after;
        }
    }
    at
}

fn steps() -> impl Strategy<Value = Vec<(u64, Pace)>> {
    let step = prop_oneof![5 => 0..3_u64, 2 => 0..100_u64, 1 => 0..50_000_u64];
    let pace = (prop_oneof![0..3_u64, 0..5_000_u64], prop_oneof![Just(0), 0..200_000_u64]);
    let pace = pace.prop_map(|(epochs_per_second, reach)| Pace { epochs_per_second, reach });
    prop::collection::vec((step, pace), 0..60)
}

proptest! {
    #[test]
    fn names_ascend_stay_and_end(steps in steps()) {
        let mut named = vec![FIRST_EPOCH];
        let mut failures = Vec::new();
        let end = run(Schedule::start(), &steps, |old, new, frontier| {
            let kept = old.next.get(1..).unwrap_or_default();
            let whole = Schedule::restored(new.committed, &new.next).is_ok() && new.committed == old.next.first().copied();
            if !whole || !new.next.starts_with(kept) {
                failures.push(format!("{old:?} became {new:?}"));
            }
            let two = new.next.len() == 2 || new.next.last().is_none_or(|last| *last == LAST_EPOCH);
            let end = frontier.is_none() == (new.next.last().is_none_or(|last| *last == LAST_EPOCH));
            if !two || !end {
                failures.push(format!("{new:?} at {frontier:?}"));
            }
            if let (Some(from), Some(to), Some(frontier)) = (kept.last(), new.next.last(), frontier)
                && to - from > COMMIT_STEP_MAX
                && *to >= frontier
            {
                failures.push(format!("{from} to {to} at {frontier} is too far a step"));
            }
            named.extend(&new.next[kept.len()..]);
        });
        prop_assert!(failures.is_empty(), "{:?}", failures);
        prop_assert_eq!(end, schedule(LAST_EPOCH, &[]));
        prop_assert!(named.windows(2).all(|pair| pair[0] < pair[1]), "an epoch was named twice: {:?}", named);
    }

    #[test]
    fn no_epoch_is_named_that_neither_frontier_nor_clock_justifies(steps in steps()) {
        let mut failures = Vec::new();
        run(Schedule::start(), &steps, |old, new, frontier| {
            let (Some(frontier), Some(&newest)) = (frontier, new.next.last()) else { return };
            let justified = (frontier + 1).max(old.next.last().map_or(0, |last| last + 1));
            let reach = steps.iter().map(|(_, pace)| pace.reach).max().unwrap_or(0);
            if newest > justified.max(reach) {
                failures.push(format!("{newest} named at {frontier}"));
            }
        });
        prop_assert!(failures.is_empty(), "{:?}", failures);
    }

    /// Where the clock has no say, the newest named epoch is at most two minutes past the newest passed one.
    #[test]
    fn without_a_clock_names_stay_within_two_live_minutes(steps in steps()) {
        let steps: Vec<_> = steps.into_iter().map(|(step, pace)| (step, Pace { reach: 0, ..pace })).collect();
        let mut failures = Vec::new();
        run(Schedule::start(), &steps, |_, new, frontier| {
            let (Some(frontier), Some(&newest)) = (frontier, new.next.last()) else { return };
            if newest > frontier - 1 + 2 {
                failures.push(format!("{newest} named at {frontier}"));
            }
        });
        prop_assert!(failures.is_empty(), "{:?}", failures);
    }

    /// Two slots see the frontier go by in different steps; both close whatever is due by the same manifests.
    #[test]
    fn trap_1_slots_that_see_different_frontiers_cut_at_the_same_epochs(
        named in prop::collection::btree_set(1..200_u64, 2),
        one in prop::collection::vec(1..40_u64, 0..8),
        other in prop::collection::vec(1..40_u64, 0..8),
    ) {
        let manifest = Schedule::restored(Some(0), &named.into_iter().collect::<Vec<_>>()).unwrap();
        let cuts = |steps: &[u64]| {
            let mut left = manifest.clone();
            let mut cuts = Vec::new();
            let mut frontier = 1;
            for step in steps.iter().chain([&200]) {
                frontier += step;
                while let Some(epoch) = left.due(Some(frontier)) {
                    cuts.push(epoch);
                    left.next.remove(0);
                }
            }
            cuts
        };
        prop_assert_eq!(cuts(&one), cuts(&other));
    }
}
