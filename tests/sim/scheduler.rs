//! The one who hands out the baton: who steps, what the world does meanwhile, who dies, all from one seed.

use std::sync::Arc;

use minuet::cluster::{Begin, begin};
use minuet::dataflow::{Fate, Job};
use minuet::error::{Fault, Result};
use minuet::mutation::{self, Mutation};
use minuet::snapshot::From;

use crate::dice::Dice;
use crate::edges::{Edges, KEPT, Nobody};
use crate::ending;
use crate::life::Life;
use crate::story::Story;
use crate::trouble::Trouble;
use crate::weather::Weather;
use crate::world::World;

/// Steps of a life after everything was there to be read; only a hang gets there.
const PATIENCE: u64 = 20_000;

/// Runs in a hundred that do not go on from the newest state, in a story that is not about that.
const RARELY: u64 = 8;

/// What came of a seed.
pub struct Outcome {
    pub trace: Vec<String>,
    /// The promise that was broken.
    pub problem: Option<String>,
    pub steps: u64,
    pub lives: u64,
    pub idle_decisions: u64,
    pub manifests: u64,
}

/// How a life ended.
enum End {
    /// All input was read and committed.
    Finished,
    /// An error or a stop ended it.
    Over,
    /// It was killed.
    Killed,
    /// It sleeps: nobody knows whether it is dead.
    Asleep,
    /// A promise was broken.
    Broken,
}

/// A story on its way.
struct Scheduler {
    world: Arc<World>,
    dice: Dice,
    mutation: Option<Mutation>,
    weather: Weather,
    /// How the slots are favoured.
    weights: Vec<u64>,
    /// An older life that may still wake.
    sleeper: Option<Life>,
    /// Runs in a hundred that do not go on from the newest state.
    returns: u64,
    /// Whether a run that was to begin empty came to nothing.
    half_begun: bool,
    lives: u64,
    steps: u64,
}

/// Plays the story of a seed to its end.
pub fn play(seed: u64, mutation: Option<Mutation>) -> Outcome {
    let mut dice = Dice::new(seed);
    let world = Arc::new(World::new(Story::tell(&mut dice)));
    let mut scheduler = Scheduler {
        weather: Weather::new(&world, &mut dice),
        returns: dice.one_of(&[0, RARELY, 85]),
        world: Arc::clone(&world),
        dice,
        mutation,
        weights: Vec::new(),
        sleeper: None,
        half_begun: false,
        lives: 0,
        steps: 0,
    };
    mutation::set(mutation, world.story.narrow);
    world.tell(world.story.about());
    scheduler.run();
    mutation::set(None, 1);
    let mut seen = world.seen();
    let newest = seen.newest.as_ref();
    Outcome {
        problem: seen.problem.clone(),
        steps: scheduler.steps,
        lives: scheduler.lives,
        idle_decisions: newest.map_or(0, |newest| newest.cut.iter().map(|cut| cut.idle_decisions).sum()),
        manifests: seen.manifests.len() as u64,
        trace: std::mem::take(&mut seen.trace),
    }
}

impl Scheduler {
    fn run(&mut self) {
        // Going back shows something only where there are several lives.
        let mut deaths = self.world.story.deaths + if self.returns > RARELY { 5 } else { 0 };
        loop {
            self.lives += 1;
            let may_die = deaths > 0;
            deaths = deaths.saturating_sub(1);
            let begun = self.begin(may_die);
            let ended = match begun {
                Ok(Some(life)) => self.live(life, may_die),
                Ok(None) => End::Finished,
                Err(error) => {
                    self.world.tell(format!("life {} could not begin: {error}", self.lives));
                    let refused = error.fault == Fault::Configuration && !self.world.leads_on();
                    if !may_die || error.fault != Fault::Outside && !refused {
                        self.world.broken(format!("a run could not begin: {error}"));
                    }
                    End::Over
                }
            };
            match ended {
                End::Broken => return,
                End::Finished => {
                    self.last_words();
                    return ending::check(&self.world);
                }
                End::Over | End::Killed | End::Asleep => {}
            }
            if self.world.problem().is_some() {
                return;
            }
        }
    }

    /// Begins a life in a shape of its own; `None` where all has been committed.
    fn begin(&mut self, may_die: bool) -> Result<Option<Life>> {
        let (world, number) = (Arc::clone(&self.world), self.lives);
        let slots = self.dice.between(1, 4) as usize;
        world.tell(format!("life {number} begins with {slots} slots"));
        let source = self.weather.source();
        let edges = Edges::new(&world, number, source.clone(), Trouble::draw(&mut self.dice, may_die));
        let from = self.from(may_die);
        self.half_begun = from == From::Nothing;
        world.seen().from = from;
        let how = Begin { from, owner: format!("life {number}") };
        let plan = &world.story.plan;
        let resume = begin(plan, &*edges.source, &*edges.sink, &edges.history, &world.clock(), KEPT, &how)?;
        self.half_begun = false;
        if resume.manifest.next.is_empty() {
            return Ok(None);
        }
        let job = Job {
            plan: Arc::clone(plan),
            source: edges.source,
            sink: edges.sink,
            archive: edges.archive,
            observer: Arc::new(Nobody),
            clock: world.clock(),
            resume: Arc::new(resume),
            fate: Fate::default(),
            combine: world.story.combine,
        };
        Ok(Some(Life::start(
            number,
            job,
            slots,
            source,
            (edges.held, edges.rivalled),
            (self.mutation, world.story.narrow),
        )))
    }

    /// Where the next run is told to begin: now and then at an older state, or at none.
    fn from(&mut self, may_die: bool) -> From {
        let stored = self.world.committed();
        let from = if self.half_begun {
            // One that was to begin empty and died before it had the sink is begun so again.
            From::Nothing
        } else if stored.is_empty() || !may_die || !self.dice.percent(self.returns) {
            return From::Newest;
        } else if self.dice.percent(20) {
            From::Nothing
        } else {
            From::Sequence(self.dice.one_of(&stored))
        };
        self.world.tell(format!("life {} begins anew from {from:?}", self.lives));
        // What an older run has in hand may be named otherwise now: it is surely dead, or nobody would do this.
        self.sleeper = None;
        from
    }

    /// Hands out the baton until the life ends.
    fn live(&mut self, mut life: Life, may_die: bool) -> End {
        let limit = self.dice.one_of(&[20, 200, 800, 2_000]);
        let dies = may_die.then(|| self.dice.below(limit));
        self.favour(life.alive().len());
        let mut patience = PATIENCE;
        for step in 0.. {
            if dies == Some(step) {
                return self.die(life);
            }
            self.weather.pass(&life, self.sleeper.as_ref());
            if self.step(&mut life).is_err() || self.world.problem().is_some() {
                return End::Broken;
            }
            if life.alive().is_empty() {
                return End::Finished;
            }
            if life.job.fate.is_over() {
                return self.over(&life, may_die);
            }
            if self.weather.is_over() {
                patience -= 1;
            }
            if patience == 0 {
                self.world.broken(format!("life {} hangs: {:?} are alive", life.number, life.alive()));
                return End::Broken;
            }
        }
        End::Broken
    }

    /// One slot of the life makes a step, or, now and then, one of the sleeper.
    fn step(&mut self, life: &mut Life) -> std::result::Result<(), ()> {
        if self.sleeper.is_some() && self.dice.percent(15) {
            return self.wake();
        }
        let alive = life.alive();
        let total = alive.iter().map(|slot| self.weights[*slot]).sum();
        let mut throw = self.dice.below(total);
        let slot = alive.iter().copied().find(|slot| {
            let mine = throw < self.weights[*slot];
            throw = throw.saturating_sub(self.weights[*slot]);
            mine
        });
        let slot = slot.unwrap_or(alive[0]);
        if self.dice.percent(2) {
            self.favour(self.weights.len());
        }
        self.baton(life, slot)
    }

    fn baton(&mut self, life: &mut Life, slot: usize) -> std::result::Result<(), ()> {
        self.steps += 1;
        self.world.tell(format!("life {} slot {slot} steps", life.number));
        life.step(slot).map_err(|cause| self.world.broken(cause))
    }

    /// The sleeper goes on as if nothing had happened, until it finds out.
    fn wake(&mut self) -> std::result::Result<(), ()> {
        let Some(mut sleeper) = self.sleeper.take() else { return Ok(()) };
        let slot = self.dice.one_of(sleeper.alive());
        self.baton(&mut sleeper, slot)?;
        if self.dice.percent(30) {
            sleeper.release();
        }
        if let Some(error) = sleeper.job.fate.error() {
            self.world.tell(format!("life {} ends: {error}", sleeper.number));
            if !matches!(error.fault, Fault::Outside | Fault::Superseded) {
                self.world.broken(format!("an older run ended with {error}"));
            }
        } else if !sleeper.job.fate.is_over() && !sleeper.alive().is_empty() {
            self.sleeper = Some(sleeper);
        }
        Ok(())
    }

    /// The older life may make its last steps when the newer one has finished.
    fn last_words(&mut self) {
        for _ in 0..200 {
            if self.sleeper.is_none() || self.wake().is_err() {
                return;
            }
        }
    }

    fn favour(&mut self, slots: usize) {
        self.weights = (0..slots).map(|_| self.dice.one_of(&[1, 4, 4, 30])).collect();
    }

    /// A life is killed, stopped, or falls asleep.
    fn die(&mut self, life: Life) -> End {
        match self.dice.below(4) {
            0 => {
                self.world.tell(format!("life {} is stopped", life.number));
                life.job.fate.stop();
                End::Over
            }
            1 => {
                self.world.tell(format!("life {} falls asleep", life.number));
                self.sleeper = Some(life);
                End::Asleep
            }
            _ => {
                self.world.tell(format!("life {} is killed", life.number));
                End::Killed
            }
        }
    }

    fn over(&self, life: &Life, may_die: bool) -> End {
        let error = life.job.fate.error();
        let said = error.as_ref().map_or("it was stopped".to_owned(), ToString::to_string);
        self.world.tell(format!("life {} ends: {said}", life.number));
        let may = |fault| fault == Fault::Outside || fault == Fault::Superseded && life.rivalled;
        if !may_die || error.is_none_or(|error| !may(error.fault)) {
            self.world.broken(format!("a run ended: {said}"));
        }
        End::Over
    }
}
