//! Who owns a source: pure functions of its hash and of numbers fixed for the life of a pipeline.

/// The unit by which open state moves when the number of slots changes. Taken from the high bits: tables use the low ones.
pub fn key_group(hash: u64, key_groups: u32) -> u32 {
    ((u128::from(hash) * u128::from(key_groups)) >> 64) as u32
}

/// The unit of inserts. Mixed once more, so that lanes do not follow key groups.
pub fn lane(hash: u64, lanes: u32) -> u32 {
    ((u128::from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)) * u128::from(lanes)) >> 64) as u32
}

/// The slot that owns a partition, a key group or a lane, by its number.
pub fn slot_of(number: u32, slots: usize) -> usize {
    number as usize % slots
}
