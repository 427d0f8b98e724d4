//! An event into the state of its (source, minute).

use super::Kind;
use super::exact_sum::{ExactSum, Pair};
use super::heap::Heap;
use super::layout::{Field, FloatRun, Layout, NO_ORDER, join, split};
use super::record::{self, EVENT_HEADER_WORDS};

/// Where an event stands in the order of first and last.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct At {
    pub time: i64,
    pub order: u64,
}

impl Layout {
    /// Folds an event record into a state. The record is at least as long as its fixed words.
    pub(super) fn fold(&self, event: &[u64], state: &mut [u64], heap: &mut Heap) {
        let at = At { time: event[3].cast_signed(), order: event[4] };
        let present = event[5];
        let inputs = &event[EVENT_HEADER_WORDS..EVENT_HEADER_WORDS + self.input_words()];
        state[0] = state[0].wrapping_add(1);
        let mut absent = self.counted & !present;
        while absent != 0 {
            if let Some(at) = self.fields[absent.trailing_zeros() as usize].absent {
                state[at] = state[at].wrapping_add(1);
            }
            absent &= absent - 1;
        }
        for run in &self.runs {
            let values: &[f64] = bytemuck::cast_slice(&inputs[run.input..run.input + run.len]);
            let absent = !present >> run.bit << (64 - run.len);
            if absent == 0 {
                fold_run(run, values, state, heap);
            } else {
                fold_some(run, present >> run.bit, values, state, heap);
            }
        }
        for run in &self.sums {
            let values = &inputs[run.input..run.input + run.len];
            let sums = state[run.sum..run.sum + 2 * run.len].as_chunks_mut::<2>().0;
            for (at, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
                // An absent value adds 0. As many i64 as a u64 can count fit an i128.
                let value = if present >> run.bit >> at & 1 == 1 { value.cast_signed() } else { 0 };
                *sum = split(join(sum).wrapping_add(i128::from(value)));
            }
        }
        for field in &self.others {
            if present & (1 << field.bit) == 0 {
                continue;
            }
            match field.kind {
                Kind::Float => fold_nonzero(field, f64::from_bits(inputs[field.input]), state),
                Kind::Integer => fold_integer(field, inputs[field.input].cast_signed(), state),
                Kind::Decimal { .. } => fold_decimal(field, join(&inputs[field.input..]), state),
                Kind::Text => {
                    let tail = record::tail(event, EVENT_HEADER_WORDS + self.input_words());
                    fold_text(field, record::text(tail, inputs[field.input]), at, state, heap);
                    continue;
                }
            }
            let value = &inputs[field.input..field.input + field.kind.words()];
            pick(field.first, value, at, state, |new, old| new < old);
            pick(field.last, value, at, state, |new, old| new > old);
        }
    }
}

/// Folds a run of floats that are all there. The loops have no branches, so the compiler makes vectors of them.
fn fold_run(run: &FloatRun, values: &[f64], state: &mut [u64], heap: &mut Heap) {
    if let Some(start) = run.min {
        let least: &mut [f64] = bytemuck::cast_slice_mut(&mut state[start..start + run.len]);
        for (min, value) in least.iter_mut().zip(values) {
            // Adding 0 makes one zero of the two, which would otherwise depend on which came first.
            let new = value + 0.0;
            *min = if new < *min { new } else { *min };
        }
    }
    if let Some(start) = run.max {
        let most: &mut [f64] = bytemuck::cast_slice_mut(&mut state[start..start + run.len]);
        for (max, value) in most.iter_mut().zip(values) {
            let new = value + 0.0;
            *max = if new > *max { new } else { *max };
        }
    }
    if let Some(start) = run.sum {
        let (his, los) = state[start..start + 2 * run.len].split_at_mut(run.len);
        add_all(his, los, values, heap);
    }
}

/// Sums that are added to at once.
const LANES: usize = 2;

/// Adds a value to each sum: a few at once as if all were exact, and one by one those few of which one is not.
#[inline]
fn add_all(his: &mut [u64], los: &mut [u64], values: &[f64], heap: &mut Heap) {
    let (some_his, last_his) = his.as_chunks_mut::<LANES>();
    let (some_los, last_los) = los.as_chunks_mut::<LANES>();
    let (some_values, last_values) = values.as_chunks::<LANES>();
    for ((his, los), values) in some_his.iter_mut().zip(some_los).zip(some_values) {
        let old: [Pair; LANES] =
            std::array::from_fn(|at| Pair { hi: f64::from_bits(his[at]), lo: f64::from_bits(los[at]) });
        let new: [(Pair, f64); LANES] = std::array::from_fn(|at| old[at].plus(values[at]));
        if new.iter().fold(true, |exact, (_, lost)| exact & (*lost == 0.0)) {
            *his = new.map(|(pair, _)| pair.hi.to_bits());
            *los = new.map(|(pair, _)| pair.lo.to_bits());
        } else {
            (0..LANES).for_each(|at| add_one(&mut his[at], &mut los[at], values[at], heap));
        }
    }
    for ((hi, lo), value) in last_his.iter_mut().zip(last_los).zip(last_values) {
        add_one(hi, lo, *value, heap);
    }
}

/// Adds a value to a sum.
#[inline]
fn add_one(hi: &mut u64, lo: &mut u64, value: f64, heap: &mut Heap) {
    let mut pair = Pair { hi: f64::from_bits(*hi), lo: f64::from_bits(*lo) };
    if pair.add(value) {
        (*hi, *lo) = (pair.hi.to_bits(), pair.lo.to_bits());
    } else {
        add_wide(hi, lo, value, heap);
    }
}

/// Folds those of a run that are there. An absent value adds 0, which is exact, and loses against the limits it is compared with.
#[inline(never)]
fn fold_some(run: &FloatRun, present: u64, values: &[f64], state: &mut [u64], heap: &mut Heap) {
    let there = |at: usize| present >> at & 1 == 1;
    if let Some(start) = run.min {
        let least: &mut [f64] = bytemuck::cast_slice_mut(&mut state[start..start + run.len]);
        for (at, min) in least.iter_mut().enumerate() {
            let new = if there(at) { values[at] + 0.0 } else { f64::INFINITY };
            *min = if new < *min { new } else { *min };
        }
    }
    if let Some(start) = run.max {
        let most: &mut [f64] = bytemuck::cast_slice_mut(&mut state[start..start + run.len]);
        for (at, max) in most.iter_mut().enumerate() {
            let new = if there(at) { values[at] + 0.0 } else { f64::NEG_INFINITY };
            *max = if new > *max { new } else { *max };
        }
    }
    if let Some(start) = run.sum {
        let (his, los) = state[start..start + 2 * run.len].split_at_mut(run.len);
        for (at, (hi, lo)) in his.iter_mut().zip(los).enumerate() {
            add_one(hi, lo, if there(at) { values[at] } else { 0.0 }, heap);
        }
    }
}

/// Adds where a pair would lose a bit: `hi` is NaN from then on, and `lo` the index of a wide sum. A NaN never adds exactly, so
/// every later value comes here by itself.
#[cold]
pub(super) fn add_wide(hi: &mut u64, lo: &mut u64, value: f64, heap: &mut Heap) {
    wide_of(hi, lo, heap).add(value);
}

/// The wide sum of a pair, which it becomes if it is not.
pub(super) fn wide_of<'a>(hi: &mut u64, lo: &mut u64, heap: &'a mut Heap) -> &'a mut ExactSum {
    let (high, low) = (f64::from_bits(*hi), f64::from_bits(*lo));
    if !high.is_nan() {
        *lo = heap.widen(ExactSum::from_pair(high, low));
        *hi = f64::NAN.to_bits();
    }
    heap.wide(*lo).expect("the index was given out by this heap, which has not been cleared since")
}

/// What a run leaves to be done for a float.
fn fold_nonzero(field: &Field, value: f64, state: &mut [u64]) {
    if let Some(nonzero) = field.nonzero {
        state[nonzero] += u64::from(value != 0.0);
    }
}

fn fold_integer(field: &Field, value: i64, state: &mut [u64]) {
    if let Some(nonzero) = field.nonzero {
        state[nonzero] += u64::from(value != 0);
    }
    if let Some(sum) = field.sum {
        // As many i64 as a u64 can count fit an i128.
        let total = join(&state[sum..]).wrapping_add(i128::from(value));
        state[sum..sum + 2].copy_from_slice(&split(total));
    }
    if let Some(min) = field.min {
        state[min] = state[min].cast_signed().min(value).cast_unsigned();
    }
    if let Some(max) = field.max {
        state[max] = state[max].cast_signed().max(value).cast_unsigned();
    }
}

fn fold_decimal(field: &Field, value: i128, state: &mut [u64]) {
    if let Some(nonzero) = field.nonzero {
        state[nonzero] += u64::from(value != 0);
    }
    if let Some(sum) = field.sum {
        add_decimal(&mut state[sum..sum + 3], value, 0);
    }
    if let Some(min) = field.min {
        let least = join(&state[min..]).min(value);
        state[min..min + 2].copy_from_slice(&split(least));
    }
    if let Some(max) = field.max {
        let most = join(&state[max..]).max(value);
        state[max..max + 2].copy_from_slice(&split(most));
    }
}

/// Adds `value + carry * 2^128` to a sum of three words. The third counts how often the first two went round, so whether a
/// total fits does not depend on the order of adding.
pub(super) fn add_decimal(sum: &mut [u64], value: i128, carry: i64) {
    let (total, around) = join(sum).overflowing_add(value);
    let turn = if !around { 0 } else { value.signum() as i64 };
    sum[..2].copy_from_slice(&split(total));
    sum[2] = sum[2].cast_signed().wrapping_add(carry).wrapping_add(turn).cast_unsigned();
}

fn fold_text(field: &Field, text: &[u8], at: At, state: &mut [u64], heap: &mut Heap) {
    pick_text(field.first, text, at, state, heap, |new, old| new < old);
    pick_text(field.last, text, at, state, heap, |new, old| new > old);
}

/// Keeps a value if it wins against the one there, or if there is none.
pub(super) fn pick(place: Option<usize>, value: &[u64], at: At, state: &mut [u64], wins: impl Fn(At, At) -> bool) {
    let Some(place) = place else { return };
    let old = At { time: state[place].cast_signed(), order: state[place + 1] };
    if old.order == NO_ORDER || wins(at, old) {
        state[place] = at.time.cast_unsigned();
        state[place + 1] = at.order;
        state[place + 2..place + 2 + value.len()].copy_from_slice(value);
    }
}

/// The same for a text.
pub(super) fn pick_text(
    place: Option<usize>,
    text: &[u8],
    at: At,
    state: &mut [u64],
    heap: &mut Heap,
    wins: impl Fn(At, At) -> bool,
) {
    let Some(place) = place else { return };
    let old = At { time: state[place].cast_signed(), order: state[place + 1] };
    if old.order == NO_ORDER || wins(at, old) {
        state[place] = at.time.cast_unsigned();
        state[place + 1] = at.order;
        heap.replace(&mut state[place + 2], text);
    }
}
