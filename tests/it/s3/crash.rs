//! SIGKILL of minuet and of S3 at random moments, another shape at each start, and still the same rows.
//!
//! `MINUET_SEED` throws the same dice again.

use std::thread;
use std::time::Duration;

use super::{calm, in_bucket};
use crate::harness::{Cluster, Dice, Shape, scratch};
use crate::servers::S3;

/// Blows in all.
const BLOWS: usize = 12;

/// From a start to its blow, at the longest, in milliseconds.
const LATEST: u64 = 1_200;

/// How long S3 is away, at the longest, in milliseconds.
const AWAY: u64 = 1_500;

#[test]
fn killed_at_random_moments() {
    let (place, server, mut dice) = (scratch(), S3::start(), Dice::new("s3"));
    let calm = calm(place.path(), "49");
    let (mut blows, mut lives) = (0, 0);
    while blows < BLOWS {
        assert!(lives < 3 * BLOWS, "only {blows} blows in {lives} lives: the runs are over before they fall");
        let pipeline = in_bucket(&calm, &place.path().join(format!("life-{lives}")), &server, &format!("life-{lives}"));
        lives += 1;
        let mut story = Vec::new();
        for _ in 0..4 {
            let shape = dice.one_of(&[Shape::new(1, 1), Shape::new(2, 1), Shape::new(3, 1), Shape::new(1, 2)]);
            let mut cluster = Cluster::start(&pipeline, shape);
            let patience = dice.between(0, LATEST);
            if cluster.ends_within(Duration::from_millis(patience), &[]) {
                break;
            }
            blows += 1;
            let (away, also) = (dice.between(0, AWAY), dice.between(0, 3));
            story.push(format!("{shape}, after {patience} ms: S3 away for {away} ms, {also}"));
            match also {
                0 => cluster.kill(),
                1 => {
                    server.kill();
                    cluster.kill();
                    server.start_again();
                }
                _ => {
                    server.kill();
                    thread::sleep(Duration::from_millis(away));
                    server.start_again();
                    // It goes on as if nothing had been; the next blow is for the same run.
                    thread::sleep(Duration::from_millis(dice.between(0, LATEST)));
                    cluster.kill();
                }
            }
        }
        let summary = pipeline.run_in(Shape::new(2, 1)).summary();
        calm.demand(&pipeline, &summary, &format!("{story:?}"));
    }
    println!("{blows} blows in {lives} lives");
}
