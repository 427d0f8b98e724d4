//! Avro's binary encoding of the few types a part is made of (Avro 1.12 specification, "Binary Encoding").

use crate::error::{Error, Result};

/// A long: zigzag, then seven bits a byte, low ones first.
pub(super) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A length or count.
pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_long(out, len as i64);
}

/// Bytes or a string.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A double.
pub(super) fn put_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Stored bytes, taken from the front. Whatever they say, nothing past their end is read or allocated for.
pub(super) struct Taken<'a>(pub(super) &'a [u8]);

impl<'a> Taken<'a> {
    /// The next `len` bytes.
    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8]> {
        let left = self.0.len();
        let (slice, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Error::data(format!("{len} bytes are needed where {left} are left")))?;
        self.0 = rest;
        Ok(slice)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N)?);
        Ok(array)
    }

    /// A long.
    pub(super) fn long(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(Error::data("a number has more than 64 bits"))
    }

    /// A length.
    pub(super) fn len(&mut self) -> Result<usize> {
        let len = self.long()?;
        usize::try_from(len).map_err(|_| Error::data(format!("a length is {len}")))
    }

    /// Bytes or a string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.len()?;
        self.slice(len)
    }

    /// A double.
    pub(super) fn double(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// The items of an array or map, each at least a byte long: so there cannot be more of them than bytes.
    pub(super) fn items<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            let count = self.long()?;
            if count < 0 {
                self.len()?;
            }
            match count.unsigned_abs() {
                0 => return Ok(items),
                count if count > self.0.len() as u64 => {
                    let left = self.0.len();
                    return Err(Error::data(format!("{count} items are announced where {left} bytes are left")));
                }
                count => {
                    for _ in 0..count {
                        items.push(item(self)?);
                    }
                }
            }
        }
    }
}
