//! Parts of snapshots: read as they are, and packed for dataflows of several shapes.

use minuet::aggregate::partial::Partial;
use minuet::aggregate::{Kind, Layout, Output, Render, SourceKind, Statistic};
use minuet::snapshot::part;

/// Fields of a layout: those of the seeds.
const KINDS: [Kind; 4] = [Kind::Float, Kind::Integer, Kind::Decimal { scale: 2 }, Kind::Text];

/// What is kept of a field; a text takes the first two.
const STATISTICS: [Statistic; 7] = [
    Statistic::First,
    Statistic::Last,
    Statistic::Count,
    Statistic::Sum,
    Statistic::Min,
    Statistic::Max,
    Statistic::Share,
];

/// Reads a part. What was read is written and read to the same, and so it is by way of the records that the engine makes of it.
pub fn part(bytes: &[u8]) -> bool {
    sealed(bytes);
    accepts(bytes)
}

/// The bytes as a block behind the header that it must have: how many partials, then the partials.
fn sealed(bytes: &[u8]) {
    let Some((count, block)) = bytes.split_first().filter(|_| bytes.len() < 1 << 13) else { return };
    let mut file = part::write(Vec::new());
    let marker = file[file.len() - 16..].to_vec();
    let size = [block.len() << 1 & 0x7f | 0x80, block.len() >> 6].map(|digit| digit as u8);
    for piece in [&[count << 1 & 0x7f], size.as_slice(), block, &marker] {
        file.extend_from_slice(piece);
    }
    accepts(&file);
}

fn accepts(bytes: &[u8]) -> bool {
    let Ok(partials) = part::read(bytes) else { return false };
    // A partial takes four bytes at least, and a field of one seven: neither costs memory that the bytes have not paid for.
    assert!(partials.len() <= bytes.len() / 4);
    assert!(partials.iter().map(|partial| partial.fields.len()).sum::<usize>() <= bytes.len() / 7);
    let written = written(partials);
    for layout in [layout(&KINDS), layout(&KINDS[..1]), layout(&[])] {
        packed(&layout, bytes, &written);
    }
    true
}

/// The bytes of partials, which are the same however often they are read. Bytes are compared: a NaN is no equal of its own.
fn written(partials: Vec<Partial>) -> Vec<u8> {
    let written = part::write(partials);
    let again = part::read(&written).expect("what was written can be read");
    assert!(part::write(again) == written);
    written
}

fn packed(layout: &Layout, bytes: &[u8], written: &[u8]) {
    let mut records = Vec::new();
    if part::decode(layout, bytes, &mut records).is_err() {
        return;
    }
    let packed = part::encode(layout, [records.as_slice()]);
    let mut again = Vec::new();
    part::decode(layout, &packed, &mut again).expect("what was written can be packed");
    assert!(part::encode(layout, [again.as_slice()]) == packed);
    let count = |bytes| part::read(bytes).expect("it was just written").len();
    assert_eq!(count(&packed), count(written));
}

fn layout(kinds: &[Kind]) -> Layout {
    let outputs = kinds.iter().enumerate().flat_map(|(field, kind)| {
        let statistics = if *kind == Kind::Text { &STATISTICS[..2] } else { &STATISTICS };
        statistics.iter().map(move |&statistic| Output {
            name: format!("{statistic:?} of {field}"),
            field,
            statistic,
            render: Render::Plain,
        })
    });
    Layout::new("source", SourceKind::Text, kinds.to_vec(), outputs.collect())
}
