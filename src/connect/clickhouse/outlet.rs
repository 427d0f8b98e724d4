//! A slot's way to the sink: a few jobs at a time, each a task.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::writer::Writer;
use crate::dataflow::edges::{Outlet, Wake, Write};
use crate::error::{Error, Result};
use crate::limits::{CLICKHOUSE_INSERTS_IN_FLIGHT, OUTLET_JOBS_MAX};

/// Jobs of one slot. Dropping it ends them, wherever they are: what they leave half done is in doubt for the next run.
pub(super) struct SlotOutlet {
    writer: Writer,
    handle: Handle,
    tasks: JoinSet<()>,
    turns: Arc<Semaphore>,
    open: BTreeSet<u64>,
    tell: Sender<(u64, Result<()>)>,
    told: Receiver<(u64, Result<()>)>,
    wake: Wake,
}

impl SlotOutlet {
    pub(super) fn new(writer: Writer, handle: Handle, wake: Wake) -> Self {
        let (tell, told) = unbounded();
        SlotOutlet {
            writer,
            handle,
            tasks: JoinSet::new(),
            turns: Arc::new(Semaphore::new(CLICKHOUSE_INSERTS_IN_FLIGHT)),
            open: BTreeSet::new(),
            tell,
            told,
            wake,
        }
    }
}

impl Outlet<Write> for SlotOutlet {
    fn submit(&mut self, ticket: u64, job: Write) {
        // Those that have ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
        if self.open.len() >= OUTLET_JOBS_MAX {
            let full = Error::bug(format!("a slot gave the sink more jobs than the {OUTLET_JOBS_MAX} it may hold"));
            let _ = self.tell.send((ticket, Err(full)));
            (self.wake)();
            return;
        }
        self.open.insert(ticket);
        let (writer, turns) = (self.writer.clone(), Arc::clone(&self.turns));
        let answer = Answer { ticket, tell: self.tell.clone(), wake: Arc::clone(&self.wake), told: false };
        let work = async move {
            let Ok(_turn) = turns.acquire().await else { return };
            // What is logged on the way, of a server that is tried again too, says for which commit it is.
            let span = tracing::error_span!("write", epoch = job.commit());
            answer.give(writer.write(job).instrument(span).await);
        };
        self.tasks.spawn_on(work, &self.handle);
    }

    fn poll(&mut self) -> Option<(u64, Result<()>)> {
        let (ticket, answer) = self.told.try_recv().ok()?;
        self.open.remove(&ticket);
        Some((ticket, answer))
    }
}

/// The answer to one job, which is given whatever becomes of its task.
struct Answer {
    ticket: u64,
    tell: Sender<(u64, Result<()>)>,
    wake: Wake,
    told: bool,
}

impl Answer {
    fn give(mut self, answer: Result<()>) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: Result<()>) {
        self.told = true;
        // Nobody listens any more where the outlet is gone.
        let _ = self.tell.send((self.ticket, answer));
        (self.wake)();
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Err(Error::bug("a task of the sink ended without an answer").ambiguous()));
        }
    }
}
