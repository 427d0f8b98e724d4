//! A list of steps being written, with the tables it refers to and a note for each step.

use super::read_plan::CompileError;
use super::steps::Step;
use crate::limits::PLAN_STEPS_MAX;

/// What stands in a symbol map where the reader has no symbol and no default for the writer's.
pub(super) const NO_SYMBOL: u32 = u32::MAX;

/// A finished list of steps and its tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// Main steps, then those of each routine.
    pub(super) steps: Vec<Step>,
    /// Where the main steps end.
    pub(super) main_end: usize,
    /// Where each branch of each union goes on.
    pub(super) targets: Vec<u32>,
    /// Per enum: the reader's symbol for each symbol of the writer, or [`NO_SYMBOL`].
    pub(super) maps: Vec<Vec<u32>>,
    /// Values of defaults: low and high word.
    pub(super) constants: Vec<[u64; 2]>,
    /// First step and end of each routine.
    pub(super) routines: Vec<(usize, usize)>,
    notes: Vec<Note>,
}

/// What `minuet check` says of a step.
#[derive(Clone, Debug)]
struct Note {
    name: String,
    last: Option<String>,
    indent: usize,
    label: Option<String>,
}

impl Program {
    /// One line per step that reads, skips or chooses.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(step, note): (&Step, &Note)| {
            let name = match &note.last {
                Some(last) => format!("{}..{last}", note.name),
                None => note.name.clone(),
            };
            let words = step.words(&name)?;
            let label = note.label.as_ref().map(|label| format!("{label}: ")).unwrap_or_default();
            Some(format!("{}{label}{words}", "  ".repeat(note.indent)))
        };
        self.steps.iter().zip(&self.notes).filter_map(line).collect()
    }
}

/// Writes a [`Program`].
#[derive(Default)]
pub(super) struct Builder {
    program: Program,
    /// Steps below this one are jumped to or from: nothing is fused across.
    barrier: usize,
    indent: usize,
    label: Option<String>,
}

impl Builder {
    /// The program as written, its main steps ending at `main_end`.
    pub(super) fn finish(mut self, main_end: usize) -> Program {
        self.program.main_end = main_end;
        self.program
    }

    /// The index of the next step.
    pub(super) fn here(&self) -> usize {
        self.program.steps.len()
    }

    /// Adds a step about `name`, or widens the step before it.
    pub(super) fn emit(&mut self, step: Step, name: &str) -> Result<usize, CompileError> {
        let here = self.here();
        if here > self.barrier
            && let (Some(before), Some(note)) = (self.program.steps.last_mut(), self.program.notes.last_mut())
            && let Some(fused) = before.fused(step)
        {
            *before = fused;
            match step {
                Step::SkipTexts { .. } if note.name != name => note.name = "string or bytes value".to_owned(),
                Step::SkipTexts { .. } => {}
                _ => note.last = Some(name.to_owned()),
            }
            return Ok(here - 1);
        }
        if here >= PLAN_STEPS_MAX {
            return Err(CompileError(format!(
                "the writer's schema needs more than {PLAN_STEPS_MAX} steps to read; fewer nested types are allowed"
            )));
        }
        let label = self.label.take();
        self.program.steps.push(step);
        self.program.notes.push(Note { name: name.to_owned(), last: None, indent: self.indent, label });
        Ok(here)
    }

    /// From here on nothing is fused with what stands before.
    pub(super) fn fence(&mut self) -> usize {
        self.barrier = self.here();
        self.label = None;
        self.barrier
    }

    /// Steps from here on stand one level further in, the first of them under `label`.
    pub(super) fn open(&mut self, label: Option<String>) {
        self.indent += 1;
        self.label = label;
    }

    /// Ends what `open` began.
    pub(super) fn close(&mut self) {
        self.indent -= 1;
    }

    /// Replaces a step whose end was not known when it was added.
    pub(super) fn patch(&mut self, index: usize, step: Step) {
        if let Some(slot) = self.program.steps.get_mut(index) {
            *slot = step;
        }
    }

    /// Room in the table of targets for a union's branches; returns the first.
    pub(super) fn reserve_targets(&mut self, branches: usize) -> usize {
        let first = self.program.targets.len();
        self.program.targets.resize(first + branches, 0);
        first
    }

    /// Says where a branch begins.
    pub(super) fn set_target(&mut self, index: usize, step: usize) {
        if let Some(target) = self.program.targets.get_mut(index) {
            *target = small(step);
        }
    }

    /// Adds a symbol map.
    pub(super) fn map(&mut self, symbols: Vec<u32>) -> u32 {
        self.program.maps.push(symbols);
        small(self.program.maps.len() - 1)
    }

    /// Adds a constant.
    pub(super) fn constant(&mut self, words: [u64; 2]) -> u32 {
        self.program.constants.push(words);
        small(self.program.constants.len() - 1)
    }

    /// Adds a routine's steps, from `start` to here.
    pub(super) fn routine(&mut self, start: usize) {
        let end = self.here();
        self.program.routines.push((start, end));
    }
}

/// An index as a step holds it. Tables grow with steps, branches and fields, all of which are bounded far below.
pub(super) fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
