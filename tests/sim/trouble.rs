//! What goes wrong in one life.

use minuet::connect::memory::{Act, Faults};

use crate::dice::Dice;

/// Drawn before the life begins.
pub struct Trouble {
    dice: Dice,
    /// Answers in a hundred that come late, swapped, doubled or much later.
    sloppy: u64,
    /// The edge whose act fails, and after how many acts.
    fatal: Option<(Edge, u64)>,
}

/// An edge that can fail for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Reader,
    Sink,
    Archive,
    Writes,
    Reads,
    /// Nothing fails: another run claims the pipeline just before a manifest is put.
    Rival,
}

impl Trouble {
    /// Only a life that may die meets with what it dies of.
    pub fn draw(dice: &mut Dice, may_die: bool) -> Self {
        use Edge::{Archive, Reader, Reads, Rival, Sink, Writes};
        let edge = dice.one_of(&[Reader, Sink, Sink, Archive, Writes, Reads, Rival]);
        let after = dice.one_of(&[2, 8, 30]);
        let fatal = (may_die && dice.percent(70)).then(|| (edge, dice.below(after)));
        Trouble { sloppy: dice.one_of(&[0, 20, 50, 90]), fatal, dice: dice.fork() }
    }

    /// After how many acts of this edge one fails.
    pub fn fatal_after(&self, edge: Edge) -> Option<u64> {
        self.fatal.filter(|(fatal, _)| *fatal == edge).map(|(_, after)| after)
    }

    /// The script of an outlet.
    pub fn outlet(&mut self, edge: Edge) -> Faults {
        let (mut fatal, mut dice, sloppy) = (self.fatal_after(edge), self.dice.fork(), self.sloppy);
        Faults::drawn(move || {
            if strikes(&mut fatal) {
                return dice.one_of(&[Act::Fail, Act::LoseBefore, Act::LoseAfter]);
            }
            if !dice.percent(sloppy) {
                return Act::Fine;
            }
            match dice.below(6) {
                0 => Act::Delay(dice.below(6) as u32),
                1 | 2 => Act::Late(dice.below(12) as u32),
                3 => Act::Hold,
                4 => Act::AfterNext,
                _ => Act::Twice,
            }
        })
    }

    /// The script of the store's writes or reads: they answer at once.
    pub fn store(&mut self, edge: Edge) -> Faults {
        let (mut fatal, mut dice) = (self.fatal_after(edge), self.dice.fork());
        Faults::drawn(move || match strikes(&mut fatal) {
            true => dice.one_of(&[Act::Fail, Act::LoseBefore, Act::LoseAfter]),
            false => Act::Fine,
        })
    }
}

/// Counts down to the one that fails.
pub fn strikes(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => left.take().is_some(),
        Some(more) => {
            *more -= 1;
            false
        }
        None => false,
    }
}
