//! The open partials of a slot: one table per (stamp, minute).

use std::sync::Arc;

use super::Layout;
use crate::time::Epoch;

/// All open tables of a slot and the sources interned for them.
pub struct OpenTables {
    layout: Arc<Layout>,
}

impl OpenTables {
    /// No tables yet.
    pub fn new(layout: Arc<Layout>) -> Self {
        OpenTables { layout }
    }

    /// Folds event records that were stamped `stamp`.
    pub fn fold(&mut self, _stamp: Epoch, _events: &[u64]) {
        todo!()
    }

    /// Merges partial records that were stamped `stamp` (restored ones are stamped with their commit epoch).
    pub fn merge(&mut self, _stamp: Epoch, _partials: &[u64]) {
        todo!()
    }

    /// Closes commit epoch `commit`: merges all tables stamped `<= commit`, hands every partial of a minute `<= commit` to
    /// `closed` as a record and forgets it, then hands every partial left (of those stamps) to `open`, and keeps it, stamped `commit`.
    /// Tables with later stamps are not touched.
    pub fn close(&mut self, _commit: Epoch, _closed: &mut dyn FnMut(&[u64]), _open: &mut dyn FnMut(&[u64])) {
        let _ = &self.layout;
        todo!()
    }

    /// Sources that are interned now.
    pub fn sources(&self) -> usize {
        todo!()
    }

    /// Bytes held: arenas, tables, sources.
    pub fn bytes(&self) -> usize {
        todo!()
    }

    /// Tables that are open now.
    pub fn tables(&self) -> usize {
        todo!()
    }
}
