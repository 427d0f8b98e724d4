//! What must hold when all has been read.

use std::collections::BTreeMap;

use minuet::aggregate::Value;
use minuet::connect::memory::Collected;
use minuet::dataflow::edges::Reject;
use minuet::time::LAST_EPOCH;

use crate::checks::{Checked, demand, holds};
use crate::oracle::{Kept, Key};
use crate::world::World;

/// All promises are kept.
pub fn check(world: &World) {
    if let Err(what) = all(world) {
        world.broken(what);
    }
}

fn all(world: &World) -> Checked {
    let newest = world.seen().newest.clone().ok_or("there is no manifest in the end")?;
    demand(newest.commit == Some(LAST_EPOCH), || {
        format!("the newest manifest commits {:?} in the end", newest.commit)
    })?;
    holds(world, &newest)?;
    let collected = world.sink.collected();
    let (mut late, mut must_late) = (0, 0);
    for (partition, log) in (0..).zip(&world.story.logs) {
        let cut = newest.cut.iter().find(|cut| cut.partition == partition);
        let expected = world.expected.counters(partition, log.len() as u64);
        let read = cut.map_or(0, |cut| cut.counters.read);
        demand(read == expected.read, || {
            format!("{read} events were read of p{partition}, which has {}", expected.read)
        })?;
        late += cut.map_or(0, |cut| cut.counters.late);
        must_late += expected.late;
        rejects(world, &collected, partition, log.len() as u64)?;
    }
    manifests(world)?;
    // Where the clock made events late, that their rows count less was seen by the balance of the manifest.
    if late == must_late { rows(world, &collected) } else { Ok(()) }
}

/// Every row with every value, and no other.
fn rows(world: &World, collected: &Collected) -> Checked {
    let found: BTreeMap<Key, &Vec<Value>> = collected
        .all_rows()
        .filter_map(|row| match row.values.first() {
            Some(Value::Text(source)) => Some(((row.minute, source.clone()), &row.values)),
            _ => None,
        })
        .collect();
    let expected = &world.expected.rows;
    demand(found.len() == expected.len(), || format!("there are {} rows, must be {}", found.len(), expected.len()))?;
    for (key, values) in expected {
        let row = found.get(key);
        demand(row.is_some_and(|row| *row == values), || format!("the row of {key:?} is {row:?}, must be {values:?}"))?;
    }
    Ok(())
}

/// What is in the store is what was put there.
fn manifests(world: &World) -> Checked {
    for (name, bytes) in world.store.objects() {
        let number =
            name.split_once("/manifests/").and_then(|(_, rest)| rest.strip_suffix(".json")?.parse::<u64>().ok());
        let same = number.is_none_or(|number| world.seen().manifests.get(&number) == Some(&bytes));
        demand(same, || format!("{name} is not what was stored"))?;
    }
    Ok(())
}

/// The rejects of a partition that were kept, in order.
fn rejects(world: &World, collected: &Collected, partition: u32, end: u64) -> Checked {
    let of = collected.rejects.iter().filter(|((_, number), _)| *number == partition);
    let seen = |reject: &Reject| (reject.position.0, reject.index, reject.reason);
    let found: Vec<Kept> = of.flat_map(|(_, rejects)| rejects.iter().map(seen)).collect();
    let ascending = found.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1));
    demand(ascending, || format!("rejects of p{partition} came twice or out of order: {found:?}"))?;
    let expected = world.expected.rejects(partition, end);
    demand(!world.exact() || found == expected, || {
        format!("rejects of p{partition} are {found:?}, must be {expected:?}")
    })
}
