//! What the world does between two steps: time passes, entries come to be there, answers are let go.

use std::sync::Arc;

use minuet::connect::memory::{MemorySource, Standing};

use crate::dice::Dice;
use crate::life::Life;
use crate::world::World;

/// The state of the world outside.
pub struct Weather {
    world: Arc<World>,
    dice: Dice,
    /// Per partition, how many of its entries are there; one more than there are, once it has ended.
    there: Vec<usize>,
    /// Steps in a hundred in which something more comes to be there.
    pours: u64,
    /// Steps in a hundred in which the answers that are held back are let go.
    releases: u64,
    /// Partitions of which nothing comes for a while.
    stalled: Vec<bool>,
}

impl Weather {
    pub fn new(world: &Arc<World>, dice: &mut Dice) -> Self {
        let partitions = world.story.logs.len();
        Weather {
            world: Arc::clone(world),
            there: vec![0; partitions],
            stalled: vec![false; partitions],
            pours: dice.one_of(&[3, 15, 60, 100]),
            releases: dice.one_of(&[2, 15, 40]),
            dice: dice.fork(),
        }
    }

    /// A source with what is there.
    pub fn source(&mut self) -> MemorySource {
        let (world, source) = (Arc::clone(&self.world), MemorySource::new());
        for (partition, entries) in world.story.entries.iter().enumerate() {
            let there = self.there[partition].min(entries.len());
            source.add(&format!("part-{partition}"), entries[..there].to_vec(), self.standing(partition));
        }
        source
    }

    /// A step goes by, as seen by a life and by one that sleeps.
    pub fn pass(&mut self, life: &Life, sleeper: Option<&Life>) {
        self.world.go_on(self.dice.between(0, self.world.story.tick));
        if self.dice.percent(self.releases) {
            life.release();
        }
        if self.dice.percent(2) {
            let partition = self.dice.index(self.there.len());
            self.stalled[partition] = self.dice.percent(60);
        }
        let partition = self.dice.index(self.there.len());
        if self.dice.percent(self.pours) && !self.stalled[partition] {
            self.pour(partition, life, sleeper);
        }
    }

    /// Whether all partitions have ended.
    pub fn is_over(&self) -> bool {
        self.there.iter().zip(&self.world.story.entries).all(|(there, entries)| *there > entries.len())
    }

    /// More of a partition comes to be there, or its end.
    fn pour(&mut self, partition: usize, life: &Life, sleeper: Option<&Life>) {
        let world = Arc::clone(&self.world);
        let (from, entries) = (self.there[partition], &world.story.entries[partition]);
        if from > entries.len() {
            return;
        }
        let to = (from + self.dice.between(0, 4) as usize).min(entries.len() + 1);
        self.there[partition] = to;
        if to > from {
            world.tell(format!("p{partition} has {to} of {} entries", entries.len()));
        }
        let standing = self.standing(partition);
        for life in [Some(life), sleeper].into_iter().flatten() {
            for entry in &entries[from.min(entries.len())..to.min(entries.len())] {
                life.source.append(partition as u32, entry.clone());
            }
            life.source.stand(partition as u32, standing.clone());
        }
    }

    /// What a partition says after the entries that are there.
    fn standing(&mut self, partition: usize) -> Standing {
        if self.there[partition] > self.world.story.entries[partition].len() {
            Standing::Ended
        } else if self.dice.percent(if self.world.story.idles { 85 } else { 40 }) {
            Standing::CaughtUp
        } else {
            Standing::Waiting
        }
    }
}
