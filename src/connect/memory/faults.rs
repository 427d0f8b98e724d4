//! The script of what goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dataflow::edges::Wake;
use crate::error::{Error, Result};

/// What becomes of one act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// It is done and answered.
    #[default]
    Fine,
    /// It fails and surely did not happen.
    Fail,
    /// It did not happen, and its answer was lost.
    LoseBefore,
    /// It happened, and its answer was lost.
    LoseAfter,
    /// Put-if-absent only: another writer has just put these bytes under the name.
    Taken(Vec<u8>),
    /// Outlets only: it is done, and answered at this poll after it has been submitted (0 is the first).
    Delay(u32),
    /// Outlets only: it is done, and answered, at this poll: until then nothing has happened.
    Late(u32),
    /// Outlets only: it is done, and answered after [`Faults::release`].
    Hold,
    /// Outlets only: it is done, and answered right after the next answer.
    AfterNext,
    /// Outlets only: it is done, and answered twice. The contract forbids it; nothing must break nevertheless.
    Twice,
}

/// Says what becomes of the acts that have no part in the script.
type Draw = Box<dyn FnMut() -> Act + Send>;

#[derive(Default)]
struct Script {
    acts: BTreeMap<u64, Act>,
    always: Option<Act>,
    draw: Option<Draw>,
    count: u64,
    released: u64,
    wakes: Vec<Wake>,
}

/// A handle to a script; clones share it. Acts are counted from 0, over all outlets and threads that share it.
#[derive(Clone, Default)]
pub struct Faults {
    script: Arc<Mutex<Script>>,
}

impl Faults {
    /// All goes well.
    pub fn none() -> Self {
        Faults::default()
    }

    /// Every act is drawn, unless it has a part of its own.
    pub fn drawn(draw: impl FnMut() -> Act + Send + 'static) -> Self {
        let faults = Faults::default();
        faults.lock().draw = Some(Box::new(draw));
        faults
    }

    /// The act with this number, counted from the first there ever was.
    pub fn at(&self, number: u64, act: Act) {
        self.lock().acts.insert(number, act);
    }

    /// The next act that has no part in the script yet.
    pub fn next(&self, act: Act) {
        let mut script = self.lock();
        let mut number = script.count;
        while script.acts.contains_key(&number) {
            number += 1;
        }
        script.acts.insert(number, act);
    }

    /// Every act without a part of its own from now on; `Act::Fine` ends it.
    pub fn always(&self, act: Act) {
        self.lock().always = Some(act);
    }

    /// Acts so far.
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// Lets go of all answers held so far and wakes those who wait.
    pub fn release(&self) {
        let mut script = self.lock();
        script.released += 1;
        let wakes = script.wakes.clone();
        drop(script);
        for wake in wakes {
            wake();
        }
    }

    /// What becomes of the act that begins now.
    pub(super) fn begin(&self) -> Act {
        let mut script = self.lock();
        let number = script.count;
        script.count += 1;
        let act = script.acts.remove(&number).or_else(|| script.always.clone());
        act.or_else(|| script.draw.as_mut().map(|draw| draw())).unwrap_or_default()
    }

    /// How often [`Self::release`] was called.
    pub(super) fn released(&self) -> u64 {
        self.lock().released
    }

    /// Whom to wake on release.
    pub(super) fn wake_on_release(&self, wake: Wake) {
        self.lock().wakes.push(wake);
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Act {
    /// Does `work` or not, and answers, as the act says; `tried` stands in the error.
    pub(super) fn perform<T>(&self, tried: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lost = || Error::outside(tried, "the answer was lost, as the script says").ambiguous();
        match self {
            Act::Fail => Err(Error::outside(tried, "it failed, as the script says")),
            Act::LoseBefore => Err(lost()),
            Act::LoseAfter => work().and(Err(lost())),
            _ => work(),
        }
    }
}
