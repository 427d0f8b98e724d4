//! Kill it anywhere: SIGKILL at random moments, another worker count at each start, and still the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::harness::{Dice, Pipeline, WORKERS, dataflow, demand_rows, generate, scratch};

/// Kills that the test demands in all.
const KILLS: usize = 30;

/// Kills of one life; after them it may end in peace. A run between two commits cannot get further than it got before, so without
/// a limit a slow machine might never see the end.
const KILLS_PER_LIFE: usize = 8;

/// Lives after which the test gives up, should most runs be too quick for their kill.
const LIVES: usize = 24;

/// Milliseconds from a start to its kill.
const KILL_AFTER: std::ops::Range<u64> = 20..700;

/// How long a run may take to obey SIGTERM.
const OBEYS_WITHIN: Duration = Duration::from_secs(5);

/// A pipeline's input and what it comes to when nothing disturbs it.
struct Undisturbed {
    dataflow: PathBuf,
    source: String,
    rows: Vec<String>,
    summary: BTreeMap<String, u64>,
    took: Duration,
}

fn undisturbed(name: &str, place: &Path, settings: &[(&str, &str)]) -> Undisturbed {
    let input = place.join(format!("{name}-in"));
    generate(&dataflow(name), &input, settings);
    let source = input.join("*").display().to_string();
    let pipeline = Pipeline::new(&dataflow(name), source.clone(), &place.join(format!("{name}-calm")));
    let ended = pipeline.run(1).demand(0);
    let (summary, took) = (ended.summary(), ended.took);
    let rows = pipeline.rows();
    assert!(rows.len() > 1_000, "an input of {} rows shows little", rows.len());
    Undisturbed { dataflow: dataflow(name), source, rows, summary, took }
}

/// One life: killed and started again until it ends by itself; returns how often it was killed.
fn live(calm: &Undisturbed, place: &Path, dice: &mut Dice) -> usize {
    let pipeline = Pipeline::new(&calm.dataflow, calm.source.clone(), place);
    let latest = (calm.took.as_millis() as u64).clamp(KILL_AFTER.start + 10, KILL_AFTER.end);
    let mut kills = 0;
    let mut last = None;
    let mut story = Vec::new();
    loop {
        // Another number than the last time: state must move at every restart.
        let others: Vec<usize> = WORKERS.into_iter().filter(|workers| Some(workers) != last.as_ref()).collect();
        let workers = dice.one_of(&others);
        last = Some(workers);
        let mut running = pipeline.start(workers);
        let patience = dice.between(KILL_AFTER.start, latest);
        if kills < KILLS_PER_LIFE && !running.ends_within(Duration::from_millis(patience)) {
            running.kill();
        }
        let ended = running.end();
        if ended.was_killed() {
            story.push(format!("-w {workers} killed after {patience} ms"));
            kills += 1;
            continue;
        }
        story.push(format!("-w {workers} to the end"));
        let summary = ended.demand(0).summary();
        demand_rows(&pipeline.rows(), &calm.rows, &format!("{story:?}"));
        assert_eq!(summary, calm.summary, "{story:?}");
        return kills;
    }
}

#[test]
fn killed_at_random_moments() {
    let mut dice = Dice::new("crash");
    let place = scratch();
    let trouble = [("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.005")];
    let of = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        trouble.into_iter().chain(more.iter().copied()).collect()
    };
    let calm = [
        undisturbed(
            "sensors",
            place.path(),
            &of(&[("seed", "21"), ("events", "250000"), ("sources", "500"), ("rate", "150"), ("partitions", "6")]),
        ),
        undisturbed(
            "orders",
            place.path(),
            &of(&[("seed", "22"), ("events", "150000"), ("sources", "200"), ("rate", "80"), ("partitions", "3")]),
        ),
    ];
    let since = Instant::now();
    let mut kills = 0;
    for life in 0..LIVES {
        if kills >= KILLS {
            break;
        }
        kills += live(&calm[life % calm.len()], &place.path().join(format!("life-{life}")), &mut dice);
    }
    println!("{kills} kills in {:?}", since.elapsed());
    assert!(kills >= KILLS, "only {kills} kills: the runs were over before they came; give them more events");
}

/// SIGTERM and SIGINT end a run cleanly, and what follows goes on as if nothing had been.
fn asked_to_end(signal: &str, code: i32) {
    let place = scratch();
    let settings = [("seed", "23"), ("events", "400000"), ("sources", "400"), ("rate", "200"), ("partitions", "4")];
    let calm = undisturbed("sensors", place.path(), &settings);
    let pipeline = Pipeline::new(&calm.dataflow, calm.source.clone(), &place.path().join("asked"));
    let mut running = pipeline.start(2);
    running.until("its first manifest", || !pipeline.manifests().is_empty());
    running.signal(signal);
    assert!(running.ends_within(OBEYS_WITHIN), "it does not obey {signal} within {OBEYS_WITHIN:?}");
    let ended = running.end();
    // A machine that is very quick may have reached the end first; what matters then is the rows.
    if ended.status.code() != Some(0) {
        ended.demand(code);
    }
    let summary = pipeline.run(3).demand(0).summary();
    demand_rows(&pipeline.rows(), &calm.rows, signal);
    assert_eq!(summary, calm.summary);
}

#[test]
fn sigterm_ends_it_cleanly() {
    asked_to_end("TERM", 143);
}

#[test]
fn sigint_ends_it_cleanly() {
    asked_to_end("INT", 130);
}
