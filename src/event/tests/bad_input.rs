//! One small payload for each reason, and the byte at which it is seen.

use super::oracle::{plan, select};
use crate::event::Reason::{self, *};

const SCHEMA: &str = r#"{"type": "record", "name": "Event", "fields": [
    {"name": "id", "type": "string"},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "u", "type": ["null", "boolean"]},
    {"name": "i", "type": "int"},
    {"name": "m", "type": ["null", "double"]},
    {"name": "l", "type": {"type": "array", "items": "int"}}
]}"#;

/// A good event: id "s", e A, u true, i 1, m null, l [1].
const GOOD: [u8; 10] = [2, b's', 0, 2, 1, 2, 0, 2, 2, 0];

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    [&GOOD[..at], bytes, &GOOD[at + 1..]].concat()
}

#[test]
fn each_reason_is_found_read_or_skipped() {
    let endless = [0xff; 11];
    let cases: Vec<(Vec<u8>, Reason, u32)> = vec![
        (vec![], Empty, 0),
        (GOOD[..4].to_vec(), Truncated, 4),
        (GOOD[..9].to_vec(), Truncated, 9),
        ([GOOD.as_slice(), &[0]].concat(), TrailingBytes, 10),
        (with(0, &[1]), BadLength, 0),
        (with(0, &[200, 1]), BadLength, 0),
        (with(0, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), BadLength, 0),
        (with(0, &endless), OverlongVarint, 0),
        (with(2, &[4]), BadEnumIndex, 2),
        (with(2, &[1]), BadEnumIndex, 2),
        (with(3, &[4]), BadUnionBranch, 3),
        (with(3, &[1]), BadUnionBranch, 3),
        (with(4, &[2]), BadBoolean, 4),
        (with(5, &[0xfe, 0xff, 0xff, 0xff, 0xff, 1]), OverlongVarint, 5),
        (with(5, &endless), OverlongVarint, 5),
        (with(6, &[6]), BadUnionBranch, 6),
        (with(6, &[3]), BadUnionBranch, 6),
        (with(6, &[2, 0, 0]), Truncated, 7),
        (with(7, &[100]), BadLength, 7),
        (with(7, &[1, 8]), BadLength, 7),
        (with(7, &[1, 1]), BadLength, 7),
    ];
    for fields in [vec![], vec!["e", "u", "i", "m"]] {
        let (_, plan) = plan(SCHEMA, &select("id", None, &fields));
        let mut row = plan.row();
        assert_eq!(plan.decode_whole(&GOOD, &mut row), Ok(()));
        assert_eq!(plan.decode_whole(&with(7, &[1, 2]), &mut row), Ok(()), "a block with its size");
        for (payload, reason, at) in &cases {
            let error = plan.decode_whole(payload, &mut row).expect_err("the payload is malformed");
            assert_eq!((error.reason, error.at), (*reason, *at), "{payload:?} with {fields:?}");
        }
    }
}

#[test]
fn a_branch_may_be_written_in_more_bytes_than_needed() {
    let (_, plan) = plan(SCHEMA, &select("id", None, &["m"]));
    let mut row = plan.row();
    let payload = [&with(6, &[0x82, 0]), [0; 8].as_slice()].concat();
    let value_in_between = [&payload[..8], &[0; 8], &GOOD[7..]].concat();
    assert_eq!(plan.decode_whole(&value_in_between, &mut row), Ok(()));
    assert_eq!(row.present, 1);
}
