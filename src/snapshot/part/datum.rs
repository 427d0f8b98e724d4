//! One partial, as the schema of version 1 has it.

use super::wire::{Taken, put_bytes, put_double, put_len, put_long};
use crate::aggregate::exact_sum::ExactSum;
use crate::aggregate::partial::{FieldState, Partial, Picked, Sum, When};
use crate::error::{Error, Result};

/// The schema of version 1; a change of meaning takes a new version beside it. Counts, minute and order are unsigned, bit for
/// bit. `Int128` is big-endian two's complement, as Avro has decimals; the parts of a float sum add up to it exactly.
pub(super) const SCHEMA: &str = include_str!("partial-v1.avsc");

/// Appends a partial.
pub(super) fn put(out: &mut Vec<u8>, partial: &Partial) {
    put_bytes(out, &partial.source);
    put_unsigned(out, partial.minute);
    put_unsigned(out, partial.count);
    if !partial.fields.is_empty() {
        put_len(out, partial.fields.len());
        partial.fields.iter().for_each(|field| put_field(out, field));
    }
    put_len(out, 0);
}

/// The next partial.
pub(super) fn take(bytes: &mut Taken) -> Result<Partial> {
    Ok(Partial {
        source: bytes.bytes()?.to_vec(),
        minute: take_unsigned(bytes)?,
        count: take_unsigned(bytes)?,
        fields: bytes.items(take_field)?,
    })
}

fn put_unsigned(out: &mut Vec<u8>, value: u64) {
    put_long(out, value.cast_signed());
}

fn take_unsigned(bytes: &mut Taken) -> Result<u64> {
    bytes.long().map(i64::cast_unsigned)
}

fn put_field(out: &mut Vec<u8>, field: &FieldState) {
    put_unsigned(out, field.count);
    put_option(out, field.nonzero.as_ref(), |out, nonzero| put_unsigned(out, *nonzero));
    match &field.sum {
        None => put_len(out, 0),
        Some(Sum::Float(sum)) => {
            put_len(out, 1);
            sum.with_parts(|parts| {
                if !parts.is_empty() {
                    put_len(out, parts.len());
                    parts.iter().for_each(|part| put_double(out, *part));
                }
            });
            put_len(out, 0);
        }
        Some(Sum::Integer { value, carry }) => {
            put_len(out, 2);
            out.extend_from_slice(&value.to_be_bytes());
            put_long(out, *carry);
        }
    }
    put_option(out, field.min.as_ref(), put_value);
    put_option(out, field.max.as_ref(), put_value);
    put_option(out, field.first.as_ref(), put_timed);
    put_option(out, field.last.as_ref(), put_timed);
}

fn take_field(bytes: &mut Taken) -> Result<FieldState> {
    Ok(FieldState {
        count: take_unsigned(bytes)?,
        nonzero: take_option(bytes, take_unsigned)?,
        sum: take_sum(bytes)?,
        min: take_option(bytes, take_value)?,
        max: take_option(bytes, take_value)?,
        first: take_option(bytes, take_timed)?,
        last: take_option(bytes, take_timed)?,
    })
}

fn take_sum(bytes: &mut Taken) -> Result<Option<Sum>> {
    match bytes.long()? {
        0 => Ok(None),
        1 => {
            let parts = bytes.items(Taken::double)?;
            let sum = ExactSum::from_parts(&parts);
            Ok(Some(Sum::Float(sum.ok_or_else(|| Error::data(format!("the parts of a sum are {parts:?}")))?)))
        }
        2 => {
            let value = i128::from_be_bytes(bytes.array()?);
            Ok(Some(Sum::Integer { value, carry: bytes.long()? }))
        }
        branch => Err(bad_branch(branch)),
    }
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    put_len(out, usize::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn take_option<T>(bytes: &mut Taken, take: impl FnOnce(&mut Taken) -> Result<T>) -> Result<Option<T>> {
    match bytes.long()? {
        0 => Ok(None),
        1 => take(bytes).map(Some),
        branch => Err(bad_branch(branch)),
    }
}

fn put_value(out: &mut Vec<u8>, value: &Picked) {
    match value {
        Picked::Float(value) => {
            put_len(out, 0);
            put_double(out, *value);
        }
        Picked::Integer(value) => {
            put_len(out, 1);
            put_long(out, *value);
        }
        Picked::Decimal(value) => {
            put_len(out, 2);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Picked::Text(text) => {
            put_len(out, 3);
            put_bytes(out, text);
        }
    }
}

fn take_value(bytes: &mut Taken) -> Result<Picked> {
    match bytes.long()? {
        0 => bytes.double().map(Picked::Float),
        1 => bytes.long().map(Picked::Integer),
        2 => bytes.array().map(|value| Picked::Decimal(i128::from_be_bytes(value))),
        3 => bytes.bytes().map(|text| Picked::Text(text.to_vec())),
        branch => Err(bad_branch(branch)),
    }
}

fn put_timed(out: &mut Vec<u8>, (when, value): &(When, Picked)) {
    put_long(out, when.time);
    put_unsigned(out, when.order);
    put_value(out, value);
}

fn take_timed(bytes: &mut Taken) -> Result<(When, Picked)> {
    let when = When { time: bytes.long()?, order: take_unsigned(bytes)? };
    Ok((when, take_value(bytes)?))
}

fn bad_branch(branch: i64) -> Error {
    Error::data(format!("a union has no branch {branch}"))
}
