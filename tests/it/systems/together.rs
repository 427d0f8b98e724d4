//! The three together, in every shape.

use super::stage::{ENTRY, Services, Stage, troubled};
use crate::harness::{Dice, Shape};
use crate::pulsar::follower::kill_all;
use crate::pulsar::sender::{Framing, Manner};

/// The shapes of the runs that are killed, one after the other, and of the last one, which comes to the end.
const SHAPES: [(usize, usize); 5] = [(2, 1), (1, 3), (5, 1), (2, 2), (3, 2)];

#[test]
fn killed_in_one_shape_it_goes_on_in_another() {
    let mut dice = Dice::new("systems shapes");
    let input = troubled("61");
    let stage = Stage::set(Services::shared(), "systems-shapes", &input);
    input.send(&stage.topic, ENTRY, &Manner::every_codec(Framing::Batch));
    let (last, killed) = SHAPES.split_last().unwrap();
    for (workers, processes) in killed {
        let mut cluster = stage.start_hasty(Shape::new(*workers, *processes));
        (0..dice.between(1, 3)).for_each(|_| stage.follower.commits(&mut cluster));
        kill_all(cluster, "killed after a commit");
    }
    stage.demand(Shape::new(last.0, last.1), &input.expected(ENTRY), "after four kills");
}
