//! A state into another of the same (source, minute).

use super::Kind;
use super::exact_sum::{ExactSum, Pair};
use super::fold::{At, add_decimal, pick, pick_text, wide_of};
use super::heap::Heap;
use super::layout::{Field, Layout, NO_ORDER, join, split};
use super::record;

/// A state to read from: in a table, or in a record.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    /// Its words.
    pub words: &'a [u64],
    /// What they refer to.
    pub heap: Heaped<'a>,
}

/// What the words of a state refer to.
#[derive(Clone, Copy)]
pub(super) enum Heaped<'a> {
    /// The heap of a table.
    Table(&'a Heap),
    /// The tail of a partial record. A wide sum is its parts, as `offset << 32 | length` in bytes.
    Tail(&'a [u8]),
}

impl<'a> State<'a> {
    /// A text.
    pub fn text(&self, span: u64) -> &'a [u8] {
        match self.heap {
            Heaped::Table(heap) => heap.text(span),
            Heaped::Tail(tail) => record::text(tail, span),
        }
    }

    /// The sum of a pair at `hi` and `lo`.
    pub fn float_sum(&self, hi: usize, lo: usize) -> ExactSum {
        let high = f64::from_bits(self.words[hi]);
        if !high.is_nan() {
            return ExactSum::from_pair(high, f64::from_bits(self.words[lo]));
        }
        match self.heap {
            Heaped::Table(heap) => heap.wide_at(self.words[lo]).cloned().unwrap_or_else(ExactSum::zero),
            Heaped::Tail(tail) => {
                let bytes = record::text(tail, self.words[lo]).chunks_exact(8);
                let parts: Vec<f64> =
                    bytes.map(|part| f64::from_le_bytes(part.try_into().unwrap_or_default())).collect();
                ExactSum::from_parts(&parts).unwrap_or_else(ExactSum::zero)
            }
        }
    }
}

impl Layout {
    /// Merges `from` into `into`.
    pub(super) fn merge(&self, from: State<'_>, into: &mut [u64], heap: &mut Heap) {
        into[0] = into[0].wrapping_add(from.words[0]);
        for field in &self.fields {
            for place in [field.absent, field.nonzero].into_iter().flatten() {
                into[place] = into[place].wrapping_add(from.words[place]);
            }
            match field.kind {
                Kind::Float => self.merge_float(field, from, into, heap),
                Kind::Integer => merge_integer(field, from.words, into),
                Kind::Decimal { .. } => merge_decimal(field, from.words, into),
                Kind::Text => {}
            }
            merge_picked(field, field.first, from, into, heap, |new, old| new < old);
            merge_picked(field, field.last, from, into, heap, |new, old| new > old);
        }
    }

    fn merge_float(&self, field: &Field, from: State<'_>, into: &mut [u64], heap: &mut Heap) {
        let value = |words: &[u64], at: usize| f64::from_bits(words[at]);
        if let Some(min) = field.min.filter(|min| value(from.words, *min) < value(into, *min)) {
            into[min] = from.words[min];
        }
        if let Some(max) = field.max.filter(|max| value(from.words, *max) > value(into, *max)) {
            into[max] = from.words[max];
        }
        if let Some(hi) = field.sum {
            let lo = self.pair_lo(field, hi);
            let (more_hi, more_lo) = (value(from.words, hi), value(from.words, lo));
            let mut pair = Pair { hi: value(into, hi), lo: value(into, lo) };
            // Nearly always two pairs whose sum is one; a NaN in place of one never adds exactly.
            if !more_hi.is_nan() && pair.add(more_hi) && pair.add(more_lo) {
                (into[hi], into[lo]) = (pair.hi.to_bits(), pair.lo.to_bits());
                return;
            }
            let sum = from.float_sum(hi, lo);
            let (mut high, mut low) = (into[hi], into[lo]);
            if f64::from_bits(high).is_nan() {
                wide_of(&mut high, &mut low, heap).merge(&sum);
                return;
            }
            let mut total = ExactSum::from_pair(f64::from_bits(high), f64::from_bits(low));
            total.merge(&sum);
            (into[hi], into[lo]) = match total.as_pair() {
                Some((high, low)) => (high.to_bits(), low.to_bits()),
                None => (f64::NAN.to_bits(), heap.widen(total)),
            };
        }
    }
}

fn merge_integer(field: &Field, from: &[u64], into: &mut [u64]) {
    if let Some(sum) = field.sum {
        let total = join(&into[sum..]).wrapping_add(join(&from[sum..]));
        into[sum..sum + 2].copy_from_slice(&split(total));
    }
    if let Some(min) = field.min {
        into[min] = into[min].cast_signed().min(from[min].cast_signed()).cast_unsigned();
    }
    if let Some(max) = field.max {
        into[max] = into[max].cast_signed().max(from[max].cast_signed()).cast_unsigned();
    }
}

fn merge_decimal(field: &Field, from: &[u64], into: &mut [u64]) {
    if let Some(sum) = field.sum {
        add_decimal(&mut into[sum..sum + 3], join(&from[sum..]), from[sum + 2].cast_signed());
    }
    if let Some(min) = field.min {
        let least = join(&into[min..]).min(join(&from[min..]));
        into[min..min + 2].copy_from_slice(&split(least));
    }
    if let Some(max) = field.max {
        let most = join(&into[max..]).max(join(&from[max..]));
        into[max..max + 2].copy_from_slice(&split(most));
    }
}

fn merge_picked(
    field: &Field,
    place: Option<usize>,
    from: State<'_>,
    into: &mut [u64],
    heap: &mut Heap,
    wins: impl Fn(At, At) -> bool,
) {
    let Some(at) = place else { return };
    let order = from.words[at + 1];
    if order == NO_ORDER {
        return;
    }
    let when = At { time: from.words[at].cast_signed(), order };
    if field.kind == Kind::Text {
        pick_text(place, from.text(from.words[at + 2]), when, into, heap, wins);
    } else {
        pick(place, &from.words[at + 2..at + 2 + field.kind.words()], when, into, wins);
    }
}
