use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn source() -> MemorySource {
    let source = MemorySource::new();
    let entries = (0..3).map(|number| payload_entry(number, &[vec![number as u8]], Some(9))).collect();
    assert_eq!(source.add("p", entries, Standing::CaughtUp), 0);
    source
}

fn open(source: &MemorySource, from: Option<Position>) -> Result<(Box<dyn Reader>, Arc<AtomicU64>)> {
    let wakes = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&wakes);
    let wake: Wake = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    Ok((source.open(vec![Start { partition: 0, from, begun: false }], wake)?, wakes))
}

fn positions(reader: &mut dyn Reader) -> Vec<Position> {
    let entry = || match reader.next(0) {
        Ok(Next::Entry(entry)) => Some(entry.position),
        _ => None,
    };
    std::iter::from_fn(entry).collect()
}

#[test]
fn a_partition_can_grow_and_end_while_it_is_read() {
    let source = source();
    let (mut reader, wakes) = open(&source, None).expect("it can be opened");
    assert_eq!(positions(reader.as_mut()), [Position(0, 0), Position(1, 0), Position(2, 0)]);
    assert!(matches!(reader.next(0), Ok(Next::CaughtUp)));
    let before = wakes.load(Ordering::SeqCst);
    source.append(0, payload_entry(3, &[], None));
    assert!(wakes.load(Ordering::SeqCst) > before);
    assert_eq!(positions(reader.as_mut()), [Position(3, 0)]);
    source.stand(0, Standing::Waiting);
    assert!(matches!(reader.next(0), Ok(Next::Waiting)));
    source.stand(0, Standing::Ended);
    assert!(matches!(reader.next(0), Ok(Next::Ended)));
    source.stand(0, Standing::Failed(Error::data("gone")));
    assert!(reader.next(0).is_err());
}

#[test]
fn a_stalled_partition_waits() {
    let source = source();
    source.stall_after(0, 1);
    let (mut reader, _) = open(&source, None).expect("it can be opened");
    assert_eq!(positions(reader.as_mut()).len(), 1);
    assert!(matches!(reader.next(0), Ok(Next::Waiting)));
    source.stall_after(0, usize::MAX);
    assert_eq!(positions(reader.as_mut()).len(), 2);
}

#[test]
fn reading_goes_on_at_every_position_and_nowhere_else() {
    let source = source();
    for number in 0..=3 {
        let (mut reader, _) = open(&source, Some(Position(number, 0))).expect("it can be opened there");
        assert_eq!(positions(reader.as_mut()).len() as u64, 3 - number);
    }
    assert!(open(&source, Some(Position(4, 0))).is_err());
    assert!(source.open(vec![Start { partition: 1, from: None, begun: false }], Arc::new(|| ())).is_err());
}

#[test]
fn acknowledgements_only_grow() {
    let source = source();
    let (mut reader, _) = open(&source, None).expect("it can be opened");
    reader.acknowledge(0, Position(2, 0));
    reader.acknowledge(0, Position(1, 0));
    assert_eq!(source.acknowledged(0), Some(Position(2, 0)));
    assert_eq!(source.acknowledged(1), None);
}
