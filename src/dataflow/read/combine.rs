//! Folding before the exchange: a slot sends partials at each rise of its epoch, instead of every event.
//!
//! It pays where many events of a source meet in one slot and minute, and the way to the other slots is dear, as between processes.
//! Whether it does is measured: at each rise, the events that came in against the partials that go out.

use std::str::FromStr;
use std::sync::Arc;

use super::super::batch::{Batch, Records};
use super::super::edges::Combined;
use crate::aggregate::{Layout, OpenTables, record};
use crate::error::Error;
use crate::limits::{COMBINE_BYTES_MAX, COMBINE_GAIN_MIN, COMBINE_REST_EPOCHS};
use crate::time::{Epoch, Minute};

/// Whether slots fold what they read before they exchange it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// Never.
    #[default]
    Off,
    /// Always.
    On,
    /// While a partial stands for [`COMBINE_GAIN_MIN`] events or more.
    Auto,
}

impl Combine {
    /// What it comes to for a run of so many processes: within one, events go from slot to slot at no cost worth saving.
    pub fn across(self, processes: usize) -> Self {
        if self == Combine::Auto && processes == 1 { Combine::Off } else { self }
    }
}

impl FromStr for Combine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Combine::Auto),
            "on" => Ok(Combine::On),
            "off" => Ok(Combine::Off),
            _ => Err(Error::configuration(format!("allowed are auto, on and off, found {text:?}"))),
        }
    }
}

/// All that a slot holds goes out with the same stamp, so its tables need none.
const STAMP: Epoch = 0;

/// What a slot read in its epoch, folded where that pays.
pub(super) struct Combiner {
    combine: Combine,
    slot: usize,
    layout: Arc<Layout>,
    /// Empty whenever an epoch begins.
    tables: OpenTables,
    /// The newest minute in them.
    newest: Minute,
    /// Events taken since the epoch began.
    events: u64,
    /// Partials sent since the epoch began.
    partials: u64,
    /// Whether the epoch began with a rise: the one that a run begins with may be much shorter than a minute, and tells nothing.
    whole: bool,
    /// Epochs with events until folding is tried again.
    rest: u32,
}

impl Combiner {
    pub fn new(combine: Combine, layout: Arc<Layout>, slot: usize) -> Self {
        let tables = OpenTables::new(Arc::clone(&layout));
        Combiner { combine, slot, layout, tables, newest: 0, events: 0, partials: 0, whole: false, rest: 0 }
    }

    /// Whether events are folded in this epoch.
    fn folds(&self) -> bool {
        self.combine != Combine::Off && self.rest == 0
    }

    /// Takes events of the slot's epoch, and sends what is to be sent before it rises.
    pub fn take(&mut self, events: &mut Batch, send: &mut dyn FnMut(&mut Batch)) {
        if events.records == 0 {
            return;
        }
        self.events += u64::from(events.records);
        if !self.folds() {
            send(&mut events.take());
            return;
        }
        self.newest = record::records(&events.words).map(record::minute).fold(self.newest, Minute::max);
        self.tables.fold(STAMP, &events.words);
        events.clear();
        if self.tables.bytes() > COMBINE_BYTES_MAX {
            self.flush(send);
            // Tables keep their room when they are emptied; this much is given back.
            self.tables = OpenTables::new(Arc::clone(&self.layout));
        }
    }

    /// The epoch rises: sends all that is left of it, and decides about the next. Gives what folding came to, if there was any.
    pub fn rise(&mut self, send: &mut dyn FnMut(&mut Batch)) -> Option<Combined> {
        let whole = std::mem::replace(&mut self.whole, true);
        let events = std::mem::take(&mut self.events);
        if events == 0 {
            return None;
        }
        if !self.folds() {
            self.rest = self.rest.saturating_sub(1);
            return None;
        }
        self.flush(send);
        let partials = std::mem::take(&mut self.partials);
        let pays = events >= partials.saturating_mul(COMBINE_GAIN_MIN);
        if self.combine == Combine::Auto && whole && !pays {
            self.rest = COMBINE_REST_EPOCHS;
        }
        Some(Combined { slot: self.slot, events, partials, goes_on: self.folds() })
    }

    /// Sends all partials, of whatever minute.
    fn flush(&mut self, send: &mut dyn FnMut(&mut Batch)) {
        let mut out = Batch::new(self.slot as u32, Records::Partials);
        let mut sent = 0;
        let mut emit = |partial: &[u64]| {
            out.push(partial);
            sent += 1;
            if out.is_full() {
                send(&mut out.take());
            }
        };
        let newest = std::mem::take(&mut self.newest);
        self.tables.close(newest, &mut emit, &mut |_| debug_assert!(false, "no minute is past the newest one"));
        if out.records > 0 {
            send(&mut out);
        }
        self.partials += sent;
    }
}

#[cfg(test)]
mod tests;
