//! Mistakes that the engine can be told to make, one at a time: a test shows that the simulation sees each of them.
//!
//! Only with the feature `mutations`, which no release build has: without it every `mutated!` is the word `false`.

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
        /// What was written after the newest manifest stays.
        DoubtKept,
        /// An older run may go on writing to the sink.
        OlderRunWrites,
        /// A manifest takes the place of another's.
        ManifestUnconditional,
        /// The first of two commit epochs that are named at once is not heard.
        EpochNotHeard,
        /// A credit goes to slot 0, whoever sent the words.
        CreditToSlotZero,
        /// A slot without partitions holds its epoch.
        EmptySlotHolds,
        /// A run that goes on begins in the minute that was committed last.
        ResumeInCommitted,
        /// An answer counts for the job at hand, whatever its ticket says.
        AnyTicketCounts,
    }

    thread_local! {
        static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Makes this thread, and no other, make the mistake.
    pub fn set(mutation: Option<Mutation>) {
        ON.set(mutation);
    }

    /// Whether this thread makes the mistake.
    pub fn is_on(mutation: Mutation) -> bool {
        ON.get() == Some(mutation)
    }
}

#[cfg(feature = "mutations")]
pub use switch::{Mutation, is_on, set};

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

pub(crate) use mutated;
