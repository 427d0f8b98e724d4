//! The lines of the smaller tables, as bytes: their columns in the order of [`super::tables`].

use super::block::{length, number, text};
use crate::dataflow::edges::{LedgerLine, MinuteLine, Reject};
use crate::limits::MINUTE_MS;
use crate::snapshot::{Manifest, Position};

/// A line of `_rejects`.
pub(super) fn reject(reject: &Reject, out: &mut Vec<u8>) {
    text(reject.partition.as_bytes(), out);
    number(reject.position.0, out);
    number(reject.position.1, out);
    out.extend_from_slice(&reject.index.to_le_bytes());
    text(reject.reason.as_bytes(), out);
    text(reject.detail.as_bytes(), out);
    text(&reject.payload, out);
}

/// A line of `_ledger`.
pub(super) fn ledger(line: &LedgerLine, out: &mut Vec<u8>) {
    text(line.cut.name.as_bytes(), out);
    position(line.from, out);
    position(line.cut.position, out);
    let counters = &line.counters;
    for count in [
        counters.read,
        counters.folded,
        counters.malformed,
        counters.late,
        counters.too_far_ahead,
        counters.nulls,
        counters.non_finite,
        line.cut.idle_decisions,
        line.cut.gaps,
    ] {
        number(count, out);
    }
}

/// A position as an array of two numbers, of none where there is none.
fn position(position: Option<Position>, out: &mut Vec<u8>) {
    let numbers = position.map(|Position(a, b)| [a, b]);
    let numbers = numbers.as_ref().map_or(&[][..], |both| &both[..]);
    length(numbers.len(), out);
    numbers.iter().for_each(|one| number(*one, out));
}

/// A line of `_ledger_minutes`.
pub(super) fn minute(line: &MinuteLine, out: &mut Vec<u8>) {
    let seconds = line.minute.saturating_mul(MINUTE_MS.cast_unsigned() / 1_000);
    out.extend_from_slice(&u32::try_from(seconds).unwrap_or(u32::MAX).to_le_bytes());
    [line.events, line.rows, line.counted, line.hash].into_iter().for_each(|one| number(one, out));
}

/// A line of `_runs`.
pub(super) fn run(claim: &Manifest, went_back: bool, shard: (usize, usize), out: &mut Vec<u8>) {
    text(claim.pipeline.as_bytes(), out);
    text(claim.life.as_bytes(), out);
    number(claim.attempt, out);
    text(claim.owner.as_bytes(), out);
    out.push(u8::from(went_back));
    number(shard.0 as u64, out);
    number(shard.1 as u64, out);
}
