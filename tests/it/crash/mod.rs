//! Kill it anywhere: SIGKILL, SIGSTOP and SIGTERM of any process at random moments, another shape at each start, and still the same
//! bytes.
//!
//! `MINUET_SEED` throws the same dice again, `MINUET_CRASH_KILLS` demands another number of kills; `scripts/crash.sh` sets both.

mod blows;
mod life;

use std::time::{Duration, Instant};

use super::harness::{Dice, Shape, Undisturbed, scratch};
use life::{Life, Pace, Tally};

/// Kills that the test demands in all.
const KILLS: usize = 100;

/// Lives after which the test gives up, for each kill that is demanded, should most runs be too quick for their kill.
const LIVES_PER_KILL: f64 = 1.0;

/// Of four runs, at least one must have had open windows to go on from, or else the kills come too early to show much.
const RESUMED_OF_FOUR: usize = 1;

/// How long a run may take to obey SIGTERM.
const OBEYS_WITHIN: Duration = Duration::from_secs(5);

fn kills() -> usize {
    let text = std::env::var("MINUET_CRASH_KILLS");
    text.map_or(KILLS, |text| text.parse().expect("MINUET_CRASH_KILLS is a number"))
}

#[test]
fn killed_at_random_moments() {
    let mut dice = Dice::new("crash");
    let place = scratch();
    let trouble = [("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.005")];
    let of = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        trouble.into_iter().chain(more.iter().copied()).collect()
    };
    let sensors = [("seed", "21"), ("events", "350000"), ("sources", "500"), ("rate", "150"), ("partitions", "6")];
    let orders = [("seed", "22"), ("events", "200000"), ("sources", "200"), ("rate", "80"), ("partitions", "3")];
    let calm = [
        Undisturbed::generate("sensors", place.path(), &of(&sensors)),
        Undisturbed::generate("orders", place.path(), &of(&orders)),
    ];
    let (since, demanded) = (Instant::now(), kills());
    let lives_max = (demanded as f64 * LIVES_PER_KILL).ceil() as usize;
    let mut paces = calm.each_ref().map(|calm| Pace::of(calm.took));
    let (mut tally, mut lives) = (Tally::default(), 0);
    while tally.of("kill") < demanded {
        assert!(lives < lives_max, "only {tally:?} in {lives} lives: the runs are over before the blows fall");
        let place = place.path().join(format!("life-{lives}"));
        let which = lives % calm.len();
        tally.add(&Life::new(&calm[which], &place, &mut dice, &mut paces[which]).live());
        std::fs::remove_dir_all(&place).unwrap();
        lives += 1;
    }
    println!("{lives} lives, {tally:?} in {:?}", since.elapsed());
    assert!(tally.of("resumed") * 4 >= demanded * RESUMED_OF_FOUR, "{tally:?}: the blows come too early to show much");
}

/// SIGTERM and SIGINT end a run cleanly, and what follows goes on as if nothing had been.
fn asked_to_end(signal: &str, code: i32) {
    let place = scratch();
    let settings = [("seed", "23"), ("events", "400000"), ("sources", "400"), ("rate", "200"), ("partitions", "4")];
    let calm = Undisturbed::generate("sensors", place.path(), &settings);
    let pipeline = calm.at(&place.path().join("asked"));
    let mut running = pipeline.start(2);
    running.until("its first manifest", || !pipeline.manifests().is_empty());
    running.signal(signal);
    assert!(running.ends_within(OBEYS_WITHIN), "it does not obey {signal} within {OBEYS_WITHIN:?}");
    let ended = running.end();
    // A machine that is very quick may have reached the end first; what matters then is the rows.
    if ended.status.code() != Some(0) {
        ended.demand(code);
    }
    let summary = pipeline.run_in(Shape::new(3, 1)).summary();
    calm.demand(&pipeline, &summary, signal);
}

#[test]
fn sigterm_ends_it_cleanly() {
    asked_to_end("TERM", 143);
}

#[test]
fn sigint_ends_it_cleanly() {
    asked_to_end("INT", 130);
}
