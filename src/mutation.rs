//! Mistakes that the engine can be told to make, one at a time: a test shows that the simulation sees each of them. And bounds
//! that the simulation narrows, so that little data reaches them.
//!
//! Only with the feature `mutations`, which no release build has: without it every `mutated!` is the word `false`, and every
//! `narrowed!` its bound.

#[cfg(feature = "mutations")]
mod switch {
    use std::cell::Cell;

    /// Declares the mistakes and the list of them all.
    macro_rules! mutations {
        ($($(#[$what:meta])* $name:ident,)*) => {
            /// A mistake.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Mutation { $($(#[$what])* $name,)* }

            impl Mutation {
                /// All of them.
                pub const ALL: &[Mutation] = &[$(Mutation::$name,)*];
            }
        };
    }

    mutations! {
        /// The cut says that the newest entry has not been read.
        CutWithoutLastEntry,
        /// The cut of the epoch after the commit's counts.
        CutOfLaterEpoch,
        /// What was read before the cut is sent after it.
        EventsSentAfterCut,
        /// The word of a commit goes out before its manifest is stored.
        WordBeforeManifest,
        /// A commit does not wait until its rows are acknowledged.
        RowsNotAwaited,
        /// A commit does not wait until its parts are acknowledged.
        PartsNotAwaited,
        /// A manifest leaves out a part.
        PartLeftOut,
        /// A run that goes on does not know how many events are in the windows it found open.
        OpenMinutesForgotten,
        /// Lateness goes by the slot's epoch.
        LateBySlot,
        /// Lateness goes by a watermark that moves within an entry.
        LateWithinEntry,
        /// Minutes are closed up to the frontier that happens to be seen.
        CloseAtSeenFrontier,
        /// An error of a reader counts as the end of its input.
        ErrorTakenForEnd,
        /// Stored state is taken up by another slot than the one that gets its events.
        StateOfWrongSlot,
        /// What was written after the newest manifest stays (in the sink in memory).
        DoubtKept,
        /// An older run may go on writing to the sink (in memory).
        OlderRunWrites,
        /// A manifest takes the place of another's.
        ManifestUnconditional,
        /// The first of two commit epochs that are named at once is not heard.
        EpochNotHeard,
        /// A credit goes to slot 0, whoever sent the words.
        CreditToSlotZero,
        /// Credits are kept back.
        CreditNotGiven,
        /// close lets go of epochs whose rows it still owes.
        CloseLetsGo,
        /// A slot's epoch is that of its fastest partition.
        EpochOfFastest,
        /// A run that goes on does not know which minutes are closed.
        ClosedMinutesForgotten,
        /// A manifest is stored before its ledger is.
        LedgerNotAwaited,
        /// Cleaning up takes parts that the newest manifest names.
        NamedPartsRemoved,
        /// A decision of the clock is not counted.
        IdleNotCounted,
        /// A run goes on from a manifest that one which went back has left behind.
        LeftBehindTakenUp,
        /// A slot reads on however much is uncommitted.
        ReadsOnUncommitted,
        /// An answer counts for the job at hand, whatever its ticket says.
        AnyTicketCounts,
    }

    thread_local! {
        static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
        static PART: Cell<usize> = const { Cell::new(1) };
    }

    /// Makes this thread, and no other, make the mistake and take the bounds for so many times smaller.
    pub fn set(mutation: Option<Mutation>, smaller: usize) {
        ON.set(mutation);
        PART.set(smaller.max(1));
    }

    /// What this thread takes a bound for.
    pub fn narrow(bound: usize) -> usize {
        (bound / PART.get()).max(1)
    }

    /// Whether this thread makes the mistake.
    pub fn is_on(mutation: Mutation) -> bool {
        ON.get() == Some(mutation)
    }
}

#[cfg(feature = "mutations")]
pub use switch::{Mutation, is_on, narrow, set};

/// Whether the engine makes this mistake now.
#[cfg(feature = "mutations")]
macro_rules! mutated {
    ($name:ident) => {
        $crate::mutation::is_on($crate::mutation::Mutation::$name)
    };
}

/// Nothing is mutated.
#[cfg(not(feature = "mutations"))]
macro_rules! mutated {
    ($name:ident) => {
        false
    };
}

/// A bound as the simulation has it.
#[cfg(feature = "mutations")]
macro_rules! narrowed {
    ($bound:ident) => {
        $crate::mutation::narrow($bound)
    };
}

/// A bound as it is.
#[cfg(not(feature = "mutations"))]
macro_rules! narrowed {
    ($bound:ident) => {
        $bound
    };
}

pub(crate) use {mutated, narrowed};
