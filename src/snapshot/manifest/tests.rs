use super::*;
use crate::snapshot::{Position, RejectsKept, Unreadable};
use crate::time::LAST_EPOCH;

const GOLDEN_V1: &[u8] = include_bytes!("../../../tests/data/snapshot/manifest-v1.json");
const GOLDEN_V2: &[u8] = include_bytes!("../../../tests/data/snapshot/manifest-v2.json");
const GOLDEN_V3: &[u8] = include_bytes!("../../../tests/data/snapshot/manifest-v3.json");

/// A manifest in which no two numbers are alike. The golden bytes hold it.
fn example() -> Manifest {
    let counters =
        Counters { read: 100, folded: 90, malformed: 5, late: 3, too_far_ahead: 2, nulls: 11, non_finite: 12 };
    let first = PartitionCut {
        partition: 0,
        name: "a \"quoted\"\nname".into(),
        identity: "len=7".into(),
        position: Some(Position(u64::MAX, 13)),
        max_time: Some(-14),
        ended: false,
        counters,
        rejects_kept: RejectsKept { minute: 15, count: 16 },
        idle_decisions: 17,
        gaps: 27,
        unreadable: Unreadable { day: 30, events: 31 },
    };
    let second = PartitionCut {
        partition: 1,
        name: "Zürich".into(),
        identity: String::new(),
        position: None,
        max_time: None,
        ended: true,
        counters: Counters::default(),
        rejects_kept: RejectsKept::default(),
        idle_decisions: 0,
        gaps: 0,
        unreadable: Unreadable::default(),
    };
    Manifest {
        pipeline: "sensors".into(),
        sequence: 18,
        attempt: 19,
        owner: "b7e1".into(),
        life: "a11e".into(),
        plan: "f00d".into(),
        key_groups: 256,
        lanes: 4,
        commit: Some(20),
        next: vec![21, LAST_EPOCH],
        written_at: 1_700_000_000_123,
        cut: vec![first, second],
        parts: vec![PartRef { name: "sensors/parts/x.avro".into(), bytes: 22, sha256: "00ff".into(), partials: 23 }],
        totals: Totals { rows: 24, counted: 25, overflows: 26 },
        open: Some(vec![OpenMinute { minute: 28, lane: 3, events: 29 }]),
    }
}

fn signed(line: &str) -> Vec<u8> {
    format!("{line}\nsha256:{}\n", sha256_hex(line.as_bytes())).into_bytes()
}

fn refusal(bytes: &[u8]) -> String {
    Manifest::decode(bytes).unwrap_err().to_string()
}

#[test]
fn golden_bytes_of_every_version_are_read_for_ever() {
    assert_eq!(Manifest::decode(GOLDEN_V3).unwrap(), example());
    let mut older = Manifest { open: None, ..example() };
    older.cut[0].unreadable = Unreadable::default();
    assert_eq!(Manifest::decode(GOLDEN_V2).unwrap(), older);
    older.cut[0].gaps = 0;
    assert_eq!(Manifest::decode(GOLDEN_V1).unwrap(), older);
    assert_eq!(Manifest::decode(&older.encode()).unwrap(), older, "a claim changes nothing");
}

#[test]
fn version_3_is_what_is_written() {
    assert_eq!(String::from_utf8(example().encode()).unwrap(), String::from_utf8_lossy(GOLDEN_V3));
}

#[test]
fn counters_are_summed() {
    assert_eq!(example().counters().read, 100);
    assert!(example().counters().balanced());
    let huge = Counters { read: 1, folded: u64::MAX, late: 2, ..Counters::default() };
    assert!(!huge.balanced());
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let good = example().encode();
    for at in 0..good.len() {
        assert!(Manifest::decode(&good[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Manifest::decode(&bad).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_newer_version_is_refused_clearly() {
    let line =
        String::from_utf8(example().encode()).unwrap().lines().next().unwrap().replace("\"format\":3", "\"format\":4");
    assert!(refusal(&signed(&line)).contains("it is of format 4, this minuet reads up to 3"));
    for format in ["0", "\"1\"", "null", "-1"] {
        let line = line.replace("\"format\":4", &format!("\"format\":{format}"));
        assert!(refusal(&signed(&line)).contains("does not say its format"), "{format}");
    }
}

#[test]
fn unknown_and_missing_fields_are_refused_at_any_depth() {
    let line = String::from_utf8(example().encode()).unwrap().lines().next().unwrap().to_owned();
    for (from, to) in
        [("\"lanes\"", "\"lames\""), ("\"late\"", "\"latte\""), ("\"rows\"", "\"tows\""), ("\"ended\"", "\"x\"")]
    {
        let bad = line.replace(from, to);
        assert_ne!(bad, line);
        assert!(refusal(&signed(&bad)).contains("unknown field"), "{to}");
    }
    assert!(refusal(&signed("{\"format\":3}")).contains("missing field"));
    assert!(refusal(&signed("[]")).contains("not a manifest"));
}

#[test]
fn a_schedule_that_goes_back_is_refused() {
    let bad = Manifest { next: vec![20, 21], ..example() };
    assert!(refusal(&bad.encode()).contains("commit schedule"));
}
