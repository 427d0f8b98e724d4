//! Traps of building on timely, each with a test named for it: what goes wrong there shows only with several slots, odd shapes, or
//! edges that stand still. All in memory, against a plain program.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use minuet::aggregate::Value;
use minuet::cluster::{Begin, Outcome, begin, launch};
use minuet::connect::Keeper;
use minuet::connect::memory::{
    Act, Faults, MemoryArchive, MemorySink, MemorySource, MemoryStore, Standing, payload_entry,
};
use minuet::dataflow::edges::Observer;
use minuet::dataflow::{Fate, Job};
use minuet::error::{Error, Fault, Result};
use minuet::limits::MINUTES_AHEAD_MAX;
use minuet::plan::{self, Plan};
use minuet::snapshot::{From, History, Manifest};

use super::harness::{Dice, scratch};

const MINUTE: i64 = 60_000;
const OUT_OF_ORDER: i64 = 5_000;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;
const KEEP: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// An event: source, time, value.
type Event = (u32, i64, i64);
/// Entries of each partition.
type Input = Vec<Vec<Vec<Event>>>;
/// Count and sum by (minute, source).
type Rows = BTreeMap<(u64, String), (u64, i64)>;

fn load() -> Arc<Plan> {
    let place = scratch();
    let folder = place.path().join("trap");
    fs::create_dir(&folder).unwrap();
    let schema = r#"{"type":"record","name":"E","fields":[{"name":"s","type":"string"},{"name":"t","type":"long"},{"name":"v","type":"long"}]}"#;
    fs::write(folder.join("schema.avsc"), schema).unwrap();
    let text = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"s\"\ntime = \"t\"\n[window]\nout_of_order = \"5s\"\n\
                [[measures]]\nfield = \"v\"\nas = [\"sum\"]\n";
    fs::write(folder.join("dataflow.toml"), text).unwrap();
    Arc::new(plan::load(&folder).unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn encode((source, time, value): &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    let long = |value: i64, bytes: &mut Vec<u8>| {
        let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    };
    let name = format!("s{source}");
    long(name.len() as i64, &mut bytes);
    bytes.extend_from_slice(name.as_bytes());
    long(*time, &mut bytes);
    long(*value, &mut bytes);
    bytes
}

fn source_of(input: &Input, standing: &Standing) -> MemorySource {
    let source = MemorySource::new();
    for (number, entries) in input.iter().enumerate() {
        let entries = (0..)
            .zip(entries)
            .map(|(place, events)| payload_entry(place, &events.iter().map(encode).collect::<Vec<_>>(), None));
        source.add(&format!("p{number}"), entries.collect(), standing.clone());
    }
    source
}

/// The plain program: partition by partition, entry by entry. Gives the rows and how many events were late.
fn expected(input: &Input) -> (Rows, u64) {
    let (mut rows, mut late) = (Rows::new(), 0);
    for entries in input {
        let mut newest = i64::MIN;
        for events in entries {
            let open = newest.saturating_sub(OUT_OF_ORDER).max(0) / MINUTE;
            for (source, time, value) in events {
                if time / MINUTE < open {
                    late += 1;
                } else {
                    let row = rows.entry(((time / MINUTE) as u64, format!("s{source}"))).or_default();
                    *row = (row.0 + 1, row.1 + value);
                }
            }
            newest = events.iter().map(|event| event.1).max().unwrap_or(newest).max(newest);
        }
    }
    (rows, late)
}

/// Partitions of different speed, out of order, some of it late.
fn random_input(dice: &mut Dice, partitions: u64, minutes: u64) -> Input {
    let partition = |dice: &mut Dice| {
        let entries = dice.between(5, 40);
        let entry = |place: u64, dice: &mut Dice| {
            let base = START + (minutes * 60_000 * place / entries) as i64;
            let event = |dice: &mut Dice| {
                let late = if dice.between(0, 30) == 0 { 150_000 } else { 0 };
                (dice.between(0, 50) as u32, base - dice.between(0, 4_000) as i64 - late, dice.between(0, 1_000) as i64)
            };
            (0..dice.between(1, 30)).map(|_| event(dice)).collect()
        };
        (0..entries).map(|place| entry(place, dice)).collect()
    };
    (0..partitions).map(|_| partition(dice)).collect()
}

#[derive(Default)]
struct Watched {
    read: AtomicU64,
    manifests: Mutex<Vec<Manifest>>,
}

impl Observer for Watched {
    fn read(&self, events: u64) {
        self.read.fetch_add(events, Ordering::SeqCst);
    }

    fn committed(&self, manifest: &Manifest) {
        self.manifests.lock().unwrap().push(manifest.clone());
    }
}

/// What outlives a run.
struct Stage {
    plan: Arc<Plan>,
    sink: MemorySink,
    store: MemoryStore,
}

impl Stage {
    fn new() -> Self {
        let store = MemoryStore::new(Faults::none(), Faults::none());
        Stage { plan: load(), sink: MemorySink::new(Faults::none()), store }
    }

    fn job(&self, source: &MemorySource, keeping: &Faults) -> Result<(Job, Arc<Watched>)> {
        let history = History::new(Arc::new(self.store.clone()), &self.plan.name);
        let clock: minuet::time::Clock = Arc::new(|| START);
        let how = Begin { from: From::Newest, owner: format!("{:?}", Instant::now()) };
        let resume = begin(&self.plan, source, &self.sink, &history, &clock, KEEP, &how)?;
        let watched = Arc::new(Watched::default());
        let job = Job {
            plan: Arc::clone(&self.plan),
            source: Arc::new(source.clone()),
            sink: Arc::new(self.sink.clone()),
            archive: Arc::new(MemoryArchive::new(Keeper::new(history, KEEP), keeping.clone())),
            observer: Arc::clone(&watched) as _,
            clock,
            resume: Arc::new(resume),
            fate: Fate::default(),
        };
        Ok((job, watched))
    }

    fn run(&self, source: &MemorySource, slots: usize) -> Result<Outcome> {
        launch(&self.job(source, &Faults::none())?.0, slots)
    }

    fn rows(&self) -> Rows {
        let collected = self.sink.collected();
        let mut rows = Rows::new();
        for row in collected.all_rows() {
            let [Value::Text(source), Value::Unsigned(count), Value::Integer(sum)] = row.values.as_slice() else {
                panic!("a row of other columns: {row:?}")
            };
            let twice = rows.insert((row.minute, source.clone()), (*count, *sum));
            assert_eq!(twice, None, "minute {} of {source} has two rows", row.minute);
        }
        rows
    }

    fn newest(&self) -> Manifest {
        let history = History::new(Arc::new(self.store.clone()), &self.plan.name);
        history.newest().unwrap().expect("there is a manifest")
    }

    fn demand(&self, input: &Input, how: &str) {
        let (rows, late) = expected(input);
        assert_eq!(self.rows(), rows, "{how}");
        let counters = self.newest().counters();
        assert!(counters.balanced(), "{how}: {counters:?}");
        assert_eq!(counters.late, late, "{how}");
        assert_eq!(self.newest().totals.counted, counters.folded, "{how}");
    }
}

fn wait(what: &str, there: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < end, "waiting until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn trap_1_slots_see_different_frontiers_and_trap_4_lateness_is_per_partition() {
    let mut dice = Dice::new("trap 1");
    for round in 0..12 {
        let input = random_input(&mut dice, 7, 20);
        for slots in [1, 2, 3, 5, 9] {
            let stage = Stage::new();
            assert_eq!(stage.run(&source_of(&input, &Standing::Ended), slots).unwrap(), Outcome::Finished);
            stage.demand(&input, &format!("round {round} with {slots} slots"));
        }
    }
}

#[test]
fn trap_2_a_slot_without_data_owes_its_part_and_trap_3_one_without_partitions_lets_go() {
    // One source in one partition: all slots but one have no events, all but one have no partition.
    let input = vec![(0..10).map(|minute| vec![(1, START + minute * MINUTE, 1)]).collect::<Vec<_>>()];
    let stage = Stage::new();
    assert_eq!(stage.run(&source_of(&input, &Standing::Ended), 9).unwrap(), Outcome::Finished);
    stage.demand(&input, "nine slots for one partition");
}

#[test]
fn trap_6_a_partition_far_ahead_is_paused_and_costs_no_memory() {
    let day = |source: u32| (0..1_440).map(|m| vec![(source, START + m * MINUTE, 1)]).collect::<Vec<_>>();
    let input = vec![day(1), day(2)];
    for slots in [1, 2] {
        let stage = Stage::new();
        let source = source_of(&input, &Standing::Ended);
        // The first partition is stuck after a few minutes, as one on a slow broker would be.
        source.stall_after(0, 5);
        let (job, watched) = stage.job(&source, &Faults::none()).unwrap();
        let run = thread::spawn(move || launch(&job, slots));
        // With a slot of its own the fast one is stopped even earlier: by the commits that the slow one holds back.
        wait("the fast one has run ahead", || watched.read.load(Ordering::SeqCst) > 6);
        thread::sleep(Duration::from_millis(300));
        // The entry that passes the bound is still read: the bound is on where the watermark stands.
        let (read, most) = (watched.read.load(Ordering::SeqCst), 5 + 5 + MINUTES_AHEAD_MAX + 1);
        assert!(read <= most, "{slots} slots have read {read} minutes, though one partition stands at its fifth");
        source.stall_after(0, usize::MAX);
        assert_eq!(run.join().unwrap().unwrap(), Outcome::Finished);
        stage.demand(&input, "after the slow one went on");
    }
}

#[test]
fn trap_7_a_sink_that_answers_nothing_stops_the_reading_and_nothing_is_lost() {
    let minutes = 300_i64;
    let input = vec![(0..minutes).map(|m| vec![(m as u32 % 7, START + m * MINUTE, m)]).collect::<Vec<_>>()];
    let held = Faults::none();
    held.always(Act::Hold);
    let mut stage = Stage::new();
    stage.sink = MemorySink::new(held.clone());
    let source = source_of(&input, &Standing::Ended);
    let (job, watched) = stage.job(&source, &Faults::none()).unwrap();
    let run = thread::spawn(move || launch(&job, 2));
    wait("something is read", || watched.read.load(Ordering::SeqCst) > 0);
    thread::sleep(Duration::from_millis(300));
    let read = watched.read.load(Ordering::SeqCst);
    assert!(read < 40, "{read} of {minutes} minutes were read without one commit");
    while !run.is_finished() {
        held.release();
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run.join().unwrap().unwrap(), Outcome::Finished);
    stage.demand(&input, "after the sink went on");
}

#[test]
fn trap_8_a_source_that_wakes_late_is_read_to_its_end() {
    let mut dice = Dice::new("trap 8");
    let input = random_input(&mut dice, 3, 6);
    let stage = Stage::new();
    let source = source_of(&vec![Vec::new(); 3], &Standing::Waiting);
    let (job, _) = stage.job(&source, &Faults::none()).unwrap();
    let run = thread::spawn(move || launch(&job, 2));
    for (number, entries) in (0..).zip(&input) {
        for (place, events) in (0..).zip(entries) {
            source.append(number, payload_entry(place, &events.iter().map(encode).collect::<Vec<_>>(), None));
            if dice.between(0, 3) == 0 {
                thread::sleep(Duration::from_micros(dice.between(0, 3_000)));
            }
        }
    }
    (0..3).for_each(|number| source.stand(number, Standing::Ended));
    assert_eq!(run.join().unwrap().unwrap(), Outcome::Finished);
    stage.demand(&input, "entries that came one by one");
}

#[test]
fn trap_5_and_9_state_of_one_shape_is_taken_up_by_another() {
    let mut dice = Dice::new("trap 9");
    for round in 0..20 {
        let input = random_input(&mut dice, 5, 15);
        let stage = Stage::new();
        let mut shapes = Vec::new();
        for _ in 0..4 {
            let slots = dice.one_of(&[1, 2, 3, 5]);
            shapes.push(slots);
            let source = source_of(&input, &Standing::Waiting);
            let (job, watched) = stage.job(&source, &Faults::none()).unwrap();
            let (fate, commits) = (job.fate.clone(), dice.between(1, 4) as usize);
            let run = thread::spawn(move || launch(&job, slots));
            // It stands at the end of what there is, so it may have nothing more to commit.
            let end = Instant::now() + Duration::from_millis(dice.between(5, 60));
            while Instant::now() < end && watched.manifests.lock().unwrap().len() < commits {
                thread::sleep(Duration::from_micros(200));
            }
            fate.stop();
            assert_eq!(run.join().unwrap().unwrap(), Outcome::Stopped);
        }
        stage.run(&source_of(&input, &Standing::Ended), 2).unwrap();
        stage.demand(&input, &format!("round {round}, shapes {shapes:?}"));
    }
}

#[test]
fn trap_10_an_error_in_one_slot_ends_the_run_and_commits_nothing_that_was_not_read() {
    let mut dice = Dice::new("trap 10");
    for slots in [1, 2, 4] {
        let input = random_input(&mut dice, 4, 10);
        let stage = Stage::new();
        let source = source_of(&input, &Standing::Ended);
        source.stand(2, Standing::Failed(Error::outside("reading p2", "the line is cut")));
        let error = stage.run(&source, slots).unwrap_err();
        assert!(error.to_string().contains("the line is cut"), "{error}");
        // The partition never came to its end, so no manifest may say that the input has ended.
        let newest = stage.newest();
        assert!(!newest.next.is_empty(), "with {slots} slots the run said that all is done: {newest:?}");
        stage.run(&source_of(&input, &Standing::Ended), slots).unwrap();
        stage.demand(&input, &format!("resumed with {slots} slots"));
    }
}

#[test]
fn the_older_of_two_runs_stops() {
    let mut dice = Dice::new("two runs");
    let input = random_input(&mut dice, 2, 10);
    let stage = Stage::new();
    let (older, _) = stage.job(&source_of(&input, &Standing::Ended), &Faults::none()).unwrap();
    let (newer, _) = stage.job(&source_of(&input, &Standing::Ended), &Faults::none()).unwrap();
    assert_eq!(launch(&older, 2).unwrap_err().fault, Fault::Superseded);
    assert_eq!(launch(&newer, 3).unwrap(), Outcome::Finished);
    stage.demand(&input, "by the newer run");
}

#[test]
fn an_answer_that_is_lost_costs_a_run_but_no_row() {
    let mut dice = Dice::new("lost answers");
    for number in 0..8 {
        let input = random_input(&mut dice, 3, 8);
        let stage = Stage::new();
        let faults = Faults::none();
        faults.at(number, Act::LoseAfter);
        let (job, _) = stage.job(&source_of(&input, &Standing::Ended), &faults).unwrap();
        let outcome = launch(&job, 2);
        assert!(outcome.is_err() || faults.count() <= number, "act {number} of the store was lost: {outcome:?}");
        stage.run(&source_of(&input, &Standing::Ended), 3).unwrap();
        stage.demand(&input, &format!("after the answer to act {number} of the store was lost"));
    }
}
