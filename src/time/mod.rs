//! Time as the dataflow sees it: minutes, epochs, watermarks, idleness and the commit schedule.
//!
//! Nothing here reads a clock: whoever needs the time of day is handed a [`Clock`].

mod abreast;
mod civil;
mod schedule;
mod slot_epoch;
mod watermark;

pub use abreast::Abreast;
pub use civil::{from_utc, utc};
pub use schedule::{Pace, Schedule};
pub use slot_epoch::{Activity, PartitionStart, SlotEpoch};
pub use watermark::Watermark;

use crate::limits::{MINUTE_MS, TIME_END_S};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A one-minute event-time window `[m, m + 1)`, counted in minutes since the Unix epoch.
pub type Minute = u64;

/// The logical timestamp of the dataflow, also a minute number.
pub type Epoch = u64;

/// The epoch of a slot that does not yet know the watermarks of its partitions; its commit is the genesis.
pub const FIRST_EPOCH: Epoch = 0;

/// The epoch at which a finite input ends; no minute has this number.
pub const LAST_EPOCH: Epoch = u32::MAX as Epoch;

/// The wall clock, passed in by whoever builds the graph.
pub type Clock = std::sync::Arc<dyn Fn() -> Millis + Send + Sync>;

/// The minute an event time falls into; `None` where it is before 1970 or past what a row's `DateTime` can hold.
pub fn minute_of(time: Millis) -> Option<Minute> {
    (0..TIME_END_S * 1_000).contains(&time).then(|| (time / MINUTE_MS).cast_unsigned())
}
