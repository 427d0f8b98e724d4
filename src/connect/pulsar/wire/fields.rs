//! Protocol buffers, read field by field: just what the few hot messages need.

/// One field: its number and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A varint.
    Varint(u64),
    /// Bytes after their length.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no message here has.
    Fixed,
}

/// The fields of a message, one after another; an error is an end that came too early or a wire type that is none.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// The next field, or none at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Garbled> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Garbled)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Garbled)?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return Err(Garbled),
        };
        if key >> 3 == 0 { Err(Garbled) } else { Ok(Some((key >> 3, value))) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Garbled> {
        if let Some((first, rest)) = self.rest.split_first().filter(|(first, _)| **first < 0x80) {
            self.rest = rest;
            return Ok(u64::from(*first));
        }
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has one bit of the 64.
            if index == 9 && *byte > 1 {
                return Err(Garbled);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Garbled)
    }

    #[inline]
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Garbled)?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl Value<'_> {
    /// The value of a number's field.
    #[inline]
    pub(super) fn number(self) -> Result<u64, Garbled> {
        if let Value::Varint(number) = self { Ok(number) } else { Err(Garbled) }
    }

    /// The value of an `int32` or an enumeration: the lower half, as protocol buffers have it.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "an int32 is the lower half of its varint")]
    pub(super) fn int32(self) -> Result<i32, Garbled> {
        self.number().map(|number| number as i32)
    }
}

impl<'a> Value<'a> {
    /// The value of a field of bytes, a text or a message.
    #[inline]
    pub(super) fn message(self) -> Result<&'a [u8], Garbled> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(Garbled) }
    }
}
