//! Memory stays under a bound whatever stands still. Each case runs in a process of its own, so that the high-water mark of
//! resident memory that the kernel keeps (`VmHWM`) is the case's alone. The bounds are computed from `limits`, never from what
//! was measured, and each supply has so much to give that a run which did not stop reading would go far past its bound.

mod sink;
mod supply;

use std::env;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use minuet::aggregate::hash_source;
use minuet::aggregate::record::{EVENT_HEADER_WORDS, integer_source};
use minuet::cluster::{Begin, Outcome, begin, launch};
use minuet::connect::Keeper;
use minuet::connect::memory::{Faults, MemoryArchive, MemoryStore};
use minuet::dataflow::edges::Observer;
use minuet::dataflow::{Combine, Fate, Job};
use minuet::error::Result;
use minuet::limits::{MINUTES_AHEAD_MAX, MINUTES_UNCOMMITTED_MAX, WORDS_IN_FLIGHT_MAX};
use minuet::plan::{self, Plan};
use minuet::snapshot::{From, History, Manifest, key_group, slot_of};
use minuet::time::Clock;

use crate::harness::{Running, scratch};
use sink::Drain;
use supply::{KEYS, Supply, TEXT_BYTES, Track};

/// Says to this binary that it is the process of a case.
const ALONE: &str = "MINUET_BOUNDED_ALONE";

/// 2026-01-01 in minutes.
const START: i64 = 29_453_760;

/// Minutes of a day.
const DAY: i64 = 1_440;

/// Manifests that a run keeps, and so the snapshots that a store in memory holds beside the one that is being written.
const KEPT: usize = 3;

/// What a run of nothing may take: the test binary with its debug symbols' pages, timely, stacks of threads, the allocator's spare.
const BASE_BYTES: u64 = 48 << 20;

/// Bytes of one minute of one partition: an entry, and as much again for its rows' other words.
const MINUTE_BYTES: u64 = KEYS as u64 * (TEXT_BYTES as u64 + 1_024);

/// How often a minute may be there on its way out: in a table and its spare room, as partials, as rows, with the sink.
const COPIES: u64 = 4;

/// Minutes that are read and not committed: up to the newest commit epoch that is named, which is at most twice as far from the
/// newest commit as reading may run past it, and as far again.
const UNCOMMITTED_MINUTES: u64 = 3 * (MINUTES_UNCOMMITTED_MAX + 1);

/// Words of an event on its way to its slot.
const EVENT_WORDS: u64 = (EVENT_HEADER_WORDS + 1 + 1 + TEXT_BYTES / 8) as u64;

/// Runs a case in a process of its own.
fn alone(case: &str, story: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return story();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([&format!("bounded::{case}"), "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, "1");
    let ended = Running::start(&mut command).end().demand(0);
    assert!(ended.stdout.contains("1 passed"), "the case did not run:\n{}", ended.stdout);
    ended.stdout.lines().filter(|line| line.contains("resident")).for_each(|line| println!("{line}"));
}

/// Demands that this process has never had more than `allowed` bytes resident.
fn demand_resident(allowed: u64, of: &str) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel keeps the mark");
    let most = line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10;
    println!("{of}: {} MiB resident at most, {} MiB allowed", most >> 20, allowed >> 20);
    assert!(most <= allowed, "{of}: {most} bytes were resident, {allowed} are allowed");
}

/// The dataflow: what is kept of a source and minute is a text, so that a minute weighs something.
fn plan() -> Arc<Plan> {
    let place = scratch();
    let folder = place.path().join("bounded");
    fs::create_dir(&folder).unwrap();
    let schema = r#"{"type": "record", "name": "Event", "fields": [{"name": "key", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "text", "type": "string"}]}"#;
    fs::write(folder.join("schema.avsc"), schema).unwrap();
    let settings = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"key\"\ntime = \"at\"\n[window]\n\
        out_of_order = \"5s\"\n[[labels]]\nfield = \"text\"\npick = \"last\"\n";
    fs::write(folder.join("dataflow.toml"), settings).unwrap();
    Arc::new(plan::load(&folder).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// The newest manifest of a run.
#[derive(Default)]
struct Newest(Mutex<Manifest>);

impl Observer for Newest {
    fn read(&self, _events: u64) {}

    fn committed(&self, manifest: &Manifest) {
        *self.0.lock().unwrap() = manifest.clone();
    }
}

/// A run over a supply.
struct Run {
    supply: Supply,
    drain: Drain,
    plan: Arc<Plan>,
    newest: Arc<Newest>,
    thread: JoinHandle<Result<Outcome>>,
}

impl Run {
    fn start(supply: &Supply, slots: usize) -> Self {
        let (plan, drain, newest) = (plan(), Drain::default(), Arc::new(Newest::default()));
        let history = History::new(Arc::new(MemoryStore::new(Faults::none(), Faults::none())), &plan.name);
        // A clock that stands at 1970 has no say: commits go by what was read, one minute or what has been passed already.
        let clock: Clock = Arc::new(|| 0);
        let how = Begin { from: From::Newest, owner: "bounded".to_owned() };
        let resume = begin(&plan, supply, &drain, &history, &clock, KEPT, &how).unwrap();
        let job = Job {
            plan: Arc::clone(&plan),
            source: Arc::new(supply.clone()),
            sink: Arc::new(drain.clone()),
            archive: Arc::new(MemoryArchive::new(Keeper::new(history, KEPT), Faults::none())),
            observer: Arc::clone(&newest) as _,
            clock,
            resume: Arc::new(resume),
            fate: Fate::default(),
            combine: Combine::Off,
        };
        let thread = thread::spawn(move || launch(&job, slots));
        Run { supply: supply.clone(), drain, plan, newest, thread }
    }

    fn newest(&self) -> Manifest {
        self.newest.0.lock().unwrap().clone()
    }

    /// Waits for the end, where every event that was given is in a row.
    fn finish(self, of: &str) {
        let ended = || self.thread.is_finished();
        self.supply.until("the end", ended);
        assert_eq!(self.thread.join().unwrap().unwrap_or_else(|e| panic!("{of}: {e}")), Outcome::Finished, "{of}");
        let newest = self.newest.0.lock().unwrap();
        let events = self.supply.given_by_all() * KEYS as u64;
        assert_eq!((newest.counters().folded, newest.totals.counted), (events, events), "{of}: events in rows");
    }
}

#[test]
fn a_sink_that_answers_nothing_stops_the_reading() {
    alone("a_sink_that_answers_nothing_stops_the_reading", || {
        for slots in [1, 2] {
            let of = format!("a silent sink, {slots} slots");
            let supply = Supply::new(&[Track { first: START, step: 1, entries: 500 }; 2]);
            let run = Run::start(&supply, slots);
            supply.until("commits", || run.newest().commit >= Some(START as u64 + 20));
            run.drain.hold(true);
            supply.still();
            let allowed = BASE_BYTES + 2 * UNCOMMITTED_MINUTES * MINUTE_BYTES * COPIES;
            demand_resident(allowed, &of);
            let newest = run.newest();
            let named = *newest.next.last().unwrap() as i64 - START + 1;
            let most = named as u64 + MINUTES_UNCOMMITTED_MAX + 1;
            for partition in 0..2 {
                let given = supply.given(partition);
                assert!(given <= most, "{of}: {given} minutes of partition {partition} were read, {named} are named");
            }
            let committed = newest.commit.unwrap() as i64 - START + 1;
            assert!(supply.given_by_all() / 2 - committed as u64 <= UNCOMMITTED_MINUTES, "{of}: {newest:?}");
            run.drain.hold(false);
            run.finish(&of);
            demand_resident(allowed, &of);
        }
    });
}

#[test]
fn a_partition_a_day_behind_costs_no_memory() {
    alone("a_partition_a_day_behind_costs_no_memory", || {
        // What is open goes into every snapshot, too.
        let open = (MINUTES_AHEAD_MAX + 2) * MINUTE_BYTES * (COPIES + KEPT as u64 + 1);
        let allowed = BASE_BYTES + open + 2 * UNCOMMITTED_MINUTES * MINUTE_BYTES * COPIES;
        for slots in [1, 2] {
            let of = format!("a partition a day behind, {slots} slots");
            // It catches up in great steps, for every commit on its way stores again what is open of the one ahead.
            let behind = Track { first: START, step: 10, entries: DAY as u64 / 10 + 10 };
            let ahead = Track { first: START + DAY, step: 1, entries: 600 };
            let supply = Supply::new(&[behind, ahead]);
            supply.stall_after(0, 3);
            let run = Run::start(&supply, slots);
            supply.until("the one behind", || supply.given(0) == 3 && supply.given(1) > 0);
            supply.still();
            demand_resident(allowed, &of);
            let given = supply.given(1);
            assert!(given <= MINUTES_AHEAD_MAX + 2, "{of}: {given} minutes were read of the one ahead");
            supply.stall_after(0, u64::MAX);
            run.finish(&of);
            demand_resident(allowed, &of);
        }
    });
}

#[test]
fn a_slot_that_stands_still_stops_those_who_send_to_it() {
    alone("a_slot_that_stands_still_stops_those_who_send_to_it", || {
        const SLOTS: usize = 3;
        let of = "a slot that stands still";
        // All in one minute: once it is named in the genesis, nothing but the credits can stop the reading.
        let supply = Supply::new(&[Track { first: START, step: 0, entries: 2_400 }; SLOTS]);
        (0..SLOTS).for_each(|partition| supply.stall_after(partition, 1));
        let run = Run::start(&supply, SLOTS);
        supply.until("the genesis", || run.newest().commit.is_some());
        supply.stick(1, true);
        supply.until("a slot that stands still", || supply.stands_still(1));
        [0, 2].into_iter().for_each(|partition| supply.stall_after(partition, u64::MAX));
        let groups = run.plan.key_groups;
        let owner = |key: &i64| slot_of(key_group(hash_source(&integer_source(*key)), groups), SLOTS);
        let to_it = (0..KEYS).filter(|key| owner(key) == 1).count() as u64;
        // The others fold what they get and give it back: only what went to the slot that stands still is in flight.
        let in_flight = |partition| (supply.given(partition) - 1) * to_it * EVENT_WORDS;
        let bound = WORDS_IN_FLIGHT_MAX as u64;
        supply.until("words in flight", || in_flight(0) >= bound && in_flight(2) >= bound);
        supply.still();
        // A batch of words may have as much room again that it does not use.
        let allowed = BASE_BYTES + SLOTS as u64 * bound * 8 * 2;
        demand_resident(allowed, of);
        for words in [in_flight(0), in_flight(2)] {
            assert!(
                words < bound + KEYS as u64 * EVENT_WORDS,
                "{of}: {words} words are in flight, {bound} are allowed"
            );
        }
        supply.stall_after(1, u64::MAX);
        supply.stick(1, false);
        run.finish(of);
        demand_resident(allowed, of);
    });
}
