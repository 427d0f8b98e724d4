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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::hash_source;

    /// Stored state depends on these for ever: a source must stay in its key group and lane.
    #[test]
    fn golden_values() {
        let found: Vec<_> = ["", "sensor_1", "sensor_2", "Zürich", "0123456789abcdef0123456789abcdef"]
            .map(|source| hash_source(source.as_bytes()))
            .map(|hash| (hash, key_group(hash, 256), key_group(hash, 1_000), lane(hash, 4)))
            .to_vec();
        assert_eq!(found, GOLDEN);
    }

    const GOLDEN: [(u64, u32, u32, u32); 5] = [
        (3_244_421_341_483_603_138, 45, 175, 0),
        (16_556_742_232_774_782_129, 229, 897, 2),
        (1_615_627_713_061_154_611, 22, 87, 2),
        (838_883_168_505_079_630, 11, 45, 1),
        (77_156_422_110_593_109, 1, 4, 2),
    ];

    #[test]
    fn is_in_range_for_every_hash() {
        for number in [1, 2, 3, 256, 1 << 15] {
            for hash in [0, 1, 1 << 32, u64::MAX / 2, u64::MAX] {
                assert!(key_group(hash, number) < number && lane(hash, number) < number);
            }
        }
        assert_eq!((key_group(u64::MAX, 256), key_group(0, 256)), (255, 0));
    }

    #[test]
    fn sources_spread_evenly_and_lanes_do_not_follow_key_groups() {
        let mut cells = vec![0_u32; 16 * 4];
        for source in 0..64_000 {
            let hash = hash_source(format!("sensor_{source}").as_bytes());
            cells[(key_group(hash, 16) * 4 + lane(hash, 4)) as usize] += 1;
        }
        // Each cell has 1,000 on average, 31 to either side of it as standard deviation.
        assert!(cells.iter().all(|cell| (840..1_160).contains(cell)), "{cells:?}");
    }

    #[test]
    fn every_number_has_one_slot() {
        for slots in [1, 2, 3, 7] {
            let owned: Vec<usize> = (0..256).map(|number| slot_of(number, slots)).collect();
            assert!((0..slots).all(|slot| owned.contains(&slot)) && owned.iter().all(|slot| *slot < slots));
        }
    }
}
