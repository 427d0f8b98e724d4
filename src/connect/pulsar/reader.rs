//! One slot's partitions, each read ahead by a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::handover::Taken;
use super::spare::Emptied;
use crate::connect::runtime::Tasks;
use crate::dataflow::edges::{Entry, Next, Reader};
use crate::error::{Error, Result};
use crate::snapshot::Position;

/// One partition's task and what was taken of what it hands over.
pub(super) struct Line {
    pub taken: Taken,
    pub task: JoinHandle<()>,
}

/// The reader over a slot's partitions.
pub(super) struct PulsarReader {
    lines: BTreeMap<u32, Line>,
    emptied: Emptied,
    /// The tasks run as long as somebody reads.
    _tasks: Arc<Tasks>,
}

impl PulsarReader {
    /// Over tasks that run already.
    pub(super) fn new(lines: BTreeMap<u32, Line>, emptied: Emptied, tasks: Arc<Tasks>) -> Self {
        PulsarReader { lines, emptied, _tasks: tasks }
    }
}

impl Reader for PulsarReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let Some(line) = self.lines.get_mut(&partition) else {
            return Err(Error::bug(format!("partition {partition} was not opened by this reader")));
        };
        match line.taken.next()? {
            // One that ended without an error would never give anything again.
            Next::Waiting if line.task.is_finished() => match line.taken.next()? {
                Next::Waiting => Err(Error::bug(format!("the task that reads partition {partition} has ended"))),
                late => Ok(late),
            },
            next => Ok(next),
        }
    }

    fn recycle(&mut self, entry: Entry) {
        self.emptied.put(entry);
    }

    fn acknowledge(&mut self, partition: u32, position: Position) {
        if let Some(line) = self.lines.get(&partition) {
            line.taken.handover().cover(position);
        }
    }
}

impl Drop for PulsarReader {
    /// The connections close at once: who comes next need not wait for this one to be found dead.
    fn drop(&mut self) {
        self.lines.values().for_each(|line| line.task.abort());
    }
}
