//! Deterministic simulation of the real graph: real threads, one baton, everything else from one seed.
#![allow(clippy::unwrap_used)]

mod checks;
mod dice;
mod edges;
mod life;
mod oracle;
mod scheduler;
mod story;
mod world;

use std::env;

use scheduler::play;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[test]
fn probe() {
    let from = setting("MINUET_FROM").unwrap_or(0);
    let (mut steps, mut lives, mut commits, mut idle) = (0, 0, 0, 0);
    let begun = std::time::Instant::now();
    for seed in from..from + setting("MINUET_SEEDS").unwrap_or(100) {
        let outcome = play(seed, None);
        if let Some(problem) = outcome.problem {
            println!("{}", outcome.trace.join("\n"));
            panic!("seed {seed}: {problem}");
        }
        steps += outcome.steps;
        lives += outcome.lives;
        commits += outcome.commits;
        idle += outcome.idle_decisions;
    }
    println!("{steps} steps, {lives} lives, {commits} manifests, {idle} idle decisions in {:?}", begun.elapsed());
}
