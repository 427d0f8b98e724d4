//! What a fuzzer does to its inputs, the plain way.

use crate::harness::Dice;

/// Bytes that lie at the edge of something: signs, continuations, the largest digit of a number.
const EDGES: [u8; 8] = [0x00, 0x01, 0x02, 0x7e, 0x7f, 0x80, 0xfe, 0xff];

/// Bytes that a mutation may grow to.
const BYTES_MAX: usize = 16 * 1_024;

/// One of the seeds with a few changes.
pub(super) fn mutated(seeds: &[(String, Vec<u8>)], dice: &mut Dice) -> Vec<u8> {
    let pick = |dice: &mut Dice| seeds[dice.between(0, seeds.len() as u64) as usize].1.clone();
    let mut bytes = pick(dice);
    for _ in 0..dice.between(1, 5) {
        let other = pick(dice);
        change(&mut bytes, &other, dice);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let len = bytes.len();
    let at = dice.between(0, len as u64 + 1) as usize;
    let run = at..(at + dice.between(1, 12) as usize).min(len);
    match dice.between(0, 8) {
        0 if at < len => bytes[at] ^= 1 << dice.between(0, 8),
        1 if at < len => bytes[at] = dice.one_of(&EDGES),
        2 if at < len => bytes[at] = bytes[at].wrapping_add(dice.between(0, 5) as u8).wrapping_sub(2),
        3 => drop(bytes.drain(run)),
        4 => bytes.insert(at, dice.one_of(&EDGES)),
        5 => {
            let copy = bytes[run].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => bytes.truncate(at),
        _ => {
            let from = dice.between(0, other.len() as u64 + 1) as usize;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
