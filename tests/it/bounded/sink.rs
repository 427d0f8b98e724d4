//! A sink that keeps nothing, and can be told to answer nothing: then it holds what it was given, as one would that waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use minuet::dataflow::edges::{Outlet, Sink, Wake, Write};
use minuet::error::Result;
use minuet::snapshot::Manifest;

/// The sink; clones share whether it answers.
#[derive(Clone, Default)]
pub(super) struct Drain {
    holds: Arc<AtomicBool>,
    wakes: Arc<Mutex<Vec<Wake>>>,
}

impl Drain {
    /// Answers nothing any more, or everything again.
    pub(super) fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::SeqCst);
        let wakes = self.wakes.lock().unwrap().clone();
        wakes.iter().for_each(|wake| wake());
    }
}

impl Sink for Drain {
    fn check(&self, _found: Option<&Manifest>) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, _claim: &Manifest, _fresh: bool) -> Result<()> {
        Ok(())
    }

    fn join(&self, _claim: &Manifest) -> Result<()> {
        Ok(())
    }

    fn open(&self, _slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        self.wakes.lock().unwrap().push(Arc::clone(&wake));
        Ok(Box::new(Pipe { holds: Arc::clone(&self.holds), waiting: VecDeque::new(), wake }))
    }
}

struct Pipe {
    holds: Arc<AtomicBool>,
    waiting: VecDeque<(u64, Write)>,
    wake: Wake,
}

impl Outlet<Write> for Pipe {
    fn submit(&mut self, ticket: u64, job: Write) {
        self.waiting.push_back((ticket, job));
        (self.wake)();
    }

    fn poll(&mut self) -> Option<(u64, Result<()>)> {
        if self.holds.load(Ordering::SeqCst) {
            return None;
        }
        self.waiting.pop_front().map(|(ticket, _)| (ticket, Ok(())))
    }
}
