use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::error::Fault;

fn write(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        frame(payload, &mut bytes).expect("it is short enough");
    }
    bytes
}

fn read(bytes: &[u8], from: Option<Position>) -> Result<Vec<Entry>> {
    let input = Input::new(Cursor::new(bytes), "x.events", bytes.len() as u64);
    let mut reader = CaptureReader::open(input, from)?;
    let mut entries = Vec::new();
    // What an earlier use left in the buffer must not matter.
    while let Some(entry) = reader.next_entry(vec![0xee; entries.len() % 3 * 5_000])? {
        entries.push(entry);
    }
    Ok(entries)
}

fn payloads(entries: &[Entry]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in entries {
        let Framing::Payloads(spans) = &entry.framing else { panic!("a capture file has payloads") };
        all.extend(spans.iter().map(|span| entry.bytes[span.start as usize..][..span.len as usize].to_vec()));
    }
    all
}

#[test]
fn an_entry_is_a_thousand_payloads_and_reading_goes_on_at_each() {
    let written: Vec<Vec<u8>> = (0..3_500_usize).map(|n| vec![n as u8; n % 41]).collect();
    let bytes = write(&written);
    let all = read(&bytes, None).expect("the file is whole");
    assert_eq!(all.iter().map(|entry| entry.framing.events()).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 500]);
    assert_eq!(payloads(&all), written);
    assert_eq!(all[3].next, Position(bytes.len() as u64, 4));
    for (index, entry) in all.iter().enumerate() {
        let rest = read(&bytes, Some(entry.position)).expect("a position of an entry");
        assert_eq!(payloads(&rest), written[index * 1_000..]);
        assert_eq!(
            rest.iter().map(|e| e.position).collect::<Vec<_>>(),
            all[index..].iter().map(|e| e.position).collect::<Vec<_>>()
        );
        assert_eq!(read(&bytes, Some(entry.next)).expect("the next position").len(), all.len() - index - 1);
    }
}

#[test]
fn an_empty_file_has_no_entry() {
    assert!(read(&[], None).expect("nothing is wrong with it").is_empty());
}

#[test]
fn an_entry_ends_before_it_passes_the_bound() {
    let big = vec![1; ENTRY_BYTES_MAX / 2];
    let written = vec![big.clone(), big.clone(), vec![2], big.clone(), big, vec![3; ENTRY_BYTES_MAX], vec![]];
    let bytes = write(&written);
    let all = read(&bytes, None).expect("the file is whole");
    assert_eq!(all.iter().map(|entry| entry.framing.events()).collect::<Vec<_>>(), [2, 2, 1, 2]);
    assert_eq!(payloads(&all), written);
    let rest = read(&bytes, Some(all[1].position)).expect("a position of an entry");
    assert_eq!(payloads(&rest), written[2..]);
}

#[test]
fn a_payload_over_the_bound_is_refused_by_both_sides() {
    let too_long = ENTRY_BYTES_MAX as u32 + 1;
    let mut bytes = write(&[b"good".to_vec()]);
    bytes.extend_from_slice(&too_long.to_le_bytes());
    let error = read(&bytes, None).expect_err("it is too long");
    assert_eq!(error.fault, Fault::Data);
    assert!(error.to_string().contains("x.events is damaged at byte 8: a payload of 16777217 bytes"), "{error}");
    let mut nothing = Vec::new();
    assert!(frame(&vec![0; too_long as usize], &mut nothing).is_err());
    assert!(nothing.is_empty());
}

#[test]
fn a_cut_off_tail_is_refused_with_its_place() {
    let bytes = write(&[b"first".to_vec(), b"second".to_vec()]);
    for len in 0..bytes.len() {
        match read(&bytes[..len], None) {
            Ok(_) => assert!(len == 0 || len == 9, "cut to {len}"),
            Err(error) => {
                assert_eq!(error.fault, Fault::Data);
                assert!(error.to_string().contains("x.events is damaged at byte"), "{error}");
            }
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    let bytes = write(&[b"first".to_vec()]);
    let input = Input::new(Cursor::new(&bytes[..6]), "x.events", bytes.len() as u64);
    let error =
        CaptureReader::open(input, None).and_then(|mut reader| reader.next_entry(Vec::new())).expect_err("it is cut");
    assert!(error.to_string().contains("became shorter"), "{error}");
}

#[test]
fn positions_outside_are_refused() {
    let bytes = write(&[b"first".to_vec()]);
    for position in [Position(10, 1), Position(u64::MAX, 1), Position(0, 1), Position(9, 0)] {
        assert_eq!(read(&bytes, Some(position)).expect_err("it is outside").fault, Fault::Data);
    }
}

proptest! {
    #[test]
    fn whatever_is_written_comes_back(written in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..2_500)) {
        prop_assert_eq!(payloads(&read(&write(&written), None).expect("the file is whole")), written);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = read(&bytes, None) {
            prop_assert_eq!(error.fault, Fault::Data);
        }
    }
}
