//! Whether the simulation sees what it is there for: each mistake of `minuet::mutation` must break a promise soon.

use minuet::mutation::Mutation;

use crate::play_all;
use crate::scheduler::play;

/// Seeds after which a mistake must have been seen.
const SOON: u64 = 1_500;

#[test]
fn every_mistake_is_seen() {
    let mut unseen = Vec::new();
    for mutation in Mutation::ALL {
        let mut first: Option<(u64, String)> = None;
        play_all(
            0..SOON,
            |seed| play(seed, Some(*mutation)),
            |seed, outcome| {
                if let Some(problem) = outcome.problem
                    && first.as_ref().is_none_or(|(earliest, _)| seed < *earliest)
                {
                    first = Some((seed, problem));
                }
                first.is_none()
            },
        );
        match first {
            Some((seed, problem)) => println!("{mutation:?}: seen by seed {seed}: {problem:.160}"),
            None => unseen.push(*mutation),
        }
    }
    assert!(unseen.is_empty(), "{SOON} seeds did not see {unseen:?}");
}
