use super::*;
use crate::aggregate::Value;
use crate::connect::memory::Act;

/// The manifest of a pipeline at a commit.
fn at(commit: Option<Epoch>) -> Manifest {
    Manifest { commit, ..Manifest::default() }
}

fn rows(commit: Epoch, counts: &[u64]) -> Write {
    let row = |count: &u64| FinishedRow { minute: 1, values: vec![Value::Unsigned(*count)], overflows: 0 };
    Write::Rows { commit, lane: 0, blocks: vec![counts.iter().map(row).collect()] }
}

fn write(sink: &MemorySink, job: Write) -> Result<()> {
    let mut outlet = sink.open(0, Arc::new(|| ()))?;
    outlet.submit(5, job);
    let (ticket, answer) = outlet.poll().expect("it is answered at once");
    assert_eq!(ticket, 5);
    answer
}

#[test]
fn the_latest_of_a_name_counts() {
    let sink = MemorySink::default();
    sink.check(None).expect("it is empty");
    write(&sink, rows(7, &[1, 2])).expect("all goes well");
    write(&sink, rows(7, &[3])).expect("all goes well");
    write(&sink, rows(8, &[])).expect("all goes well");
    let collected = sink.collected();
    assert_eq!(collected.rows.keys().collect::<Vec<_>>(), [&(7, 0)]);
    assert_eq!(collected.all_rows().map(|row| row.values.clone()).collect::<Vec<_>>(), [[Value::Unsigned(3)]]);
    assert!(sink.check(None).is_err());
    sink.check(Some(&at(Some(0)))).expect("the state knows the pipeline");
    sink.prepare(&at(Some(7)), false).expect("nothing is in doubt");
    assert_eq!(sink.collected(), collected);
    sink.prepare(&at(Some(6)), false).expect("the rows are in doubt");
    assert_eq!(sink.collected(), Collected::default());
}

#[test]
fn what_fails_is_written_or_not_and_outlives_the_run() {
    let faults = Faults::none();
    let sink = MemorySink::new(faults.clone());
    faults.next(Act::Fail);
    faults.next(Act::LoseAfter);
    assert!(write(&sink, rows(1, &[1])).is_err());
    assert!(sink.collected().rows.is_empty());
    assert!(write(&sink, rows(1, &[1])).is_err());
    let next_run = sink.with_faults(Faults::none());
    assert_eq!(next_run.collected().rows.len(), 1);
    write(&next_run, rows(2, &[2])).expect("the new script is empty");
    assert_eq!(sink.collected(), next_run.collected());
}

/// The claim of a run.
fn claim(life: &str, attempt: u64, commit: Option<Epoch>) -> Manifest {
    Manifest { life: life.to_owned(), attempt, commit, ..Manifest::default() }
}

#[test]
fn an_older_run_can_write_no_more() {
    let sink = MemorySink::default();
    let older = sink.with_faults(Faults::none());
    older.prepare(&claim("a", 1, None), false).expect("it is empty");
    write(&older, rows(1, &[1])).expect("it is the newest run");
    sink.prepare(&claim("a", 2, Some(1)), false).expect("a newer run takes over");
    let error = write(&older, rows(2, &[2])).expect_err("a newer run has taken over");
    assert_eq!(error.fault, Fault::Superseded);
    let error = older.prepare(&claim("a", 1, Some(1)), false).expect_err("a newer run has taken over");
    assert_eq!(error.fault, Fault::Superseded);
    write(&sink, rows(2, &[3])).expect("it is the newest run");
    assert_eq!(sink.collected().rows.keys().collect::<Vec<_>>(), [&(1, 0), &(2, 0)]);
}

#[test]
fn another_life_is_refused_unless_it_is_to_begin_afresh() {
    let sink = MemorySink::default();
    sink.prepare(&claim("a", 1, None), false).expect("it is empty");
    write(&sink, rows(1, &[1])).expect("it is the newest run");
    let other = claim("b", 1, Some(1));
    assert_eq!(sink.check(Some(&other)).expect_err("another life").fault, Fault::Configuration);
    assert_eq!(sink.prepare(&other, false).expect_err("another life").fault, Fault::Configuration);
    sink.prepare(&claim("b", 1, None), true).expect("it is to begin afresh");
    assert_eq!(sink.collected(), Collected::default());
}
