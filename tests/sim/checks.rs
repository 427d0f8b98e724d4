//! What must hold whenever a manifest is stored, rows are given away or a position is acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use minuet::aggregate::{FinishedRow, Value};
use minuet::connect::memory::Collected;
use minuet::limits::MINUTES_UNCOMMITTED_MAX;
use minuet::snapshot::{Counters, From, Manifest, PartRef, Position, Store, part};
use minuet::time::{Epoch, FIRST_EPOCH};

use crate::oracle::Key;
use crate::store::RIVAL;
use crate::world::World;

/// The error is what was broken, in words.
pub type Checked = Result<(), String>;

pub fn demand(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// An object has come to be in the store, or was changed.
pub fn stored(world: &World, name: &str, replaced: bool, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes.filter(|_| name.contains("/manifests/")) else { return };
    let checked = demand(!replaced, || format!("{name} took the place of another"))
        .and_then(|()| Manifest::decode(bytes).map_err(|error| format!("{name}: {error}")))
        .and_then(|manifest| {
            let newest = world.seen().newest.clone();
            world.tell(shown(&manifest));
            world.seen().manifests.insert(manifest.sequence, bytes.to_vec());
            // A run that slept finds its number free again, once newer ones have cleaned up: it changes nothing.
            if newest
                .as_ref()
                .is_some_and(|newest| manifest.sequence < newest.sequence && manifest.attempt < newest.attempt)
            {
                return Ok(());
            }
            follows(world, &manifest, newest.as_ref())?;
            holds(world, &manifest)?;
            world.seen().newest = Some(manifest);
            Ok(())
        });
    if let Err(what) = checked {
        world.broken(what);
    }
}

fn shown(manifest: &Manifest) -> String {
    let cut: Vec<_> = manifest.cut.iter().map(|cut| (cut.partition, cut.position.map(|at| at.0))).collect();
    let Manifest { sequence, attempt, commit, next, totals, .. } = manifest;
    format!(
        "manifest {sequence} of attempt {attempt}: commit {commit:?}, next {next:?}, cut {cut:?}, {} rows",
        totals.rows
    )
}

/// A manifest goes on where the newest one stopped.
fn follows(world: &World, manifest: &Manifest, newest: Option<&Manifest>) -> Checked {
    let of = manifest.sequence;
    let Some(newest) = newest else {
        return demand(of == 1 && manifest.commit.is_none(), || format!("the first manifest is {manifest:?}"));
    };
    demand(of == newest.sequence + 1, || format!("manifest {of} was stored after {}", newest.sequence))?;
    if manifest.attempt != newest.attempt {
        return claims(world, manifest, newest);
    }
    demand(manifest.commit == newest.next.first().copied(), || {
        format!("manifest {of} commits {:?}, named were {:?}", manifest.commit, newest.next)
    })?;
    let stays = newest.next.get(1).is_none_or(|second| manifest.next.first() == Some(second));
    demand(stays, || format!("manifest {of} names {:?}, named were {:?}", manifest.next, newest.next))?;
    for cut in &newest.cut {
        let now = manifest.cut.iter().find(|now| now.partition == cut.partition);
        demand(now.is_some_and(|now| now.position >= cut.position && now.max_time >= cut.max_time), || {
            format!("manifest {of}: p{} went back from {:?} to {now:?}", cut.partition, cut.position)
        })?;
    }
    Ok(())
}

/// A claim changes nothing but who owns what it found: the newest state, an older one, or none.
fn claims(world: &World, claim: &Manifest, newest: &Manifest) -> Checked {
    let leads_on = world.leads_on();
    let mut seen = world.seen();
    let from = if claim.owner == RIVAL { From::Newest } else { seen.from };
    let found = match from {
        From::Newest => newest.clone(),
        From::Sequence(sequence) if !leads_on => {
            return Err(format!("a run went on from {sequence}, whose rows are gone"));
        }
        From::Sequence(sequence) => Manifest::decode(&seen.manifests[&sequence]).map_err(|error| error.to_string())?,
        From::Nothing => Manifest {
            pipeline: claim.pipeline.clone(),
            life: claim.owner.clone(),
            plan: claim.plan.clone(),
            key_groups: claim.key_groups,
            lanes: claim.lanes,
            next: vec![FIRST_EPOCH],
            ..Manifest::default()
        },
    };
    let must = Manifest {
        sequence: newest.sequence + 1,
        attempt: newest.attempt + 1,
        owner: claim.owner.clone(),
        written_at: claim.written_at,
        ..found
    };
    // What was named after the state that it goes on from may be named otherwise now.
    seen.rows.retain(|(commit, _), _| Some(commit) <= claim.next.last());
    demand(must == *claim, || format!("a claim changes what it finds: it is {claim:?}, must be {must:?}"))
}

/// What a manifest names is there, and comes to what was read before its cut.
pub fn holds(world: &World, manifest: &Manifest) -> Checked {
    let of = manifest.sequence;
    let mut open = BTreeMap::new();
    for part in &manifest.parts {
        for (key, count) in partials(world, part)? {
            demand(Some(key.0) > manifest.commit, || format!("manifest {of} holds {key:?} open, which is closed"))?;
            *open.entry(key).or_default() += count;
        }
    }
    let collected = world.sink.collected();
    let closed = rows(&collected, manifest.commit)?;
    let total = |counts: &BTreeMap<Key, u64>| counts.values().sum::<u64>();
    let (rows, counted) = (manifest.totals.rows, manifest.totals.counted);
    demand((rows, counted) == (closed.len() as u64, total(&closed)), || {
        format!(
            "manifest {of} says {rows} rows that count {counted}, there are {} that count {}",
            closed.len(),
            total(&closed)
        )
    })?;
    for cut in &manifest.cut {
        let (partition, counters) = (cut.partition, &cut.counters);
        demand(counters.balanced(), || format!("manifest {of}: p{partition} is not balanced: {counters:?}"))?;
        let end = cut.position.map_or(0, |position| position.0);
        let expected = world.expected.counters(partition, end);
        let same =
            if world.exact() { *counters == expected } else { could_be(counters, &expected, cut.idle_decisions) };
        demand(same, || {
            format!("manifest {of}: p{partition} before entry {end} has {counters:?}, must be {expected:?}")
        })?;
        let told = in_ledger(&collected, partition, manifest.commit);
        demand(told == *counters, || {
            format!("manifest {of}: the ledger of p{partition} comes to {told:?}, not {counters:?}")
        })?;
    }
    let folded = manifest.counters().folded;
    demand(total(&closed) + total(&open) == folded, || {
        format!("manifest {of}: {folded} were folded, rows count {}, open partials {}", total(&closed), total(&open))
    })?;
    minutes(&collected, manifest, &closed, &open)?;
    if world.exact() {
        let cut =
            manifest.cut.iter().map(|cut| (cut.partition, cut.position.map_or(0, |position| position.0))).collect();
        let late = |(key, _): &(Key, u64)| Some(key.0) > manifest.commit;
        let (must_open, must_close): (BTreeMap<_, _>, BTreeMap<_, _>) =
            world.expected.counts(&cut).into_iter().partition(late);
        same_counts(&open, &must_open, &format!("manifest {of}, open"))?;
        same_counts(&closed, &must_close, &format!("manifest {of}, rows"))?;
    }
    Ok(())
}

/// Where a clock decided who is idle, events may be late that would not have been; nothing else may differ.
fn could_be(counters: &Counters, expected: &Counters, decisions: u64) -> bool {
    counters.read == expected.read
        && counters.malformed == expected.malformed
        && counters.too_far_ahead == expected.too_far_ahead
        && (counters.late == expected.late || counters.late > expected.late && decisions > 0)
}

fn same_counts(found: &BTreeMap<Key, u64>, expected: &BTreeMap<Key, u64>, of: &str) -> Checked {
    let keys: BTreeSet<&Key> = found.keys().chain(expected.keys()).collect();
    let differs = keys.into_iter().find(|key| found.get(*key) != expected.get(*key));
    demand(differs.is_none(), || {
        let key = differs.expect("it is some");
        format!("{of}: {key:?} counts {:?}, must count {:?}", found.get(key), expected.get(key))
    })
}

/// The partials of a part of the size and checksum that its manifest says.
fn partials(world: &World, part: &PartRef) -> Result<Vec<(Key, u64)>, String> {
    let bytes = world.store.get(&part.name).map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("{} is not stored, yet a manifest names it", part.name))?;
    demand(PartRef::of(&part.name, &bytes, part.partials) == *part, || {
        format!("{} is not what its manifest says", part.name)
    })?;
    let partials = part::read(&bytes).map_err(|error| format!("{}: {error}", part.name))?;
    let key = |source: Vec<u8>| String::from_utf8(source).map_err(|error| error.to_string());
    partials.into_iter().map(|partial| Ok(((partial.minute, key(partial.source)?), partial.count))).collect()
}

/// The counts of all rows up to a commit; a second row of one minute and source is a broken promise.
fn rows(collected: &Collected, commit: Option<Epoch>) -> Result<BTreeMap<Key, u64>, String> {
    let mut counts = BTreeMap::new();
    let known = collected.rows.iter().filter(|((written, _), _)| Some(*written) <= commit);
    for ((written, _), row) in known.flat_map(|(name, rows)| rows.iter().map(move |row| (name, row))) {
        let (Some(Value::Text(source)), Some(Value::Unsigned(count))) = (row.values.first(), row.values.get(1)) else {
            return Err(format!("a row of commit {written} has no source and count: {row:?}"));
        };
        let key = (row.minute, source.clone());
        demand(row.minute <= *written, || format!("commit {written} has a row of the open minute {key:?}"))?;
        demand(counts.insert(key, *count).is_none(), || format!("a second row of {} {source}", row.minute))?;
    }
    Ok(counts)
}

/// What the ledger's lines of a partition up to a commit come to.
fn in_ledger(collected: &Collected, partition: u32, commit: Option<Epoch>) -> Counters {
    let mut sum = Counters::default();
    let known = collected.ledger.iter().filter(|(written, _)| Some(**written) <= commit);
    for line in known.flat_map(|(_, told)| &told.lines).filter(|line| line.cut.partition == partition) {
        sum.add(&line.counters);
    }
    sum
}

/// What was given away to be folded into a minute is in its rows or, while it is open, in its partials.
fn minutes(
    collected: &Collected,
    manifest: &Manifest,
    closed: &BTreeMap<Key, u64>,
    open: &BTreeMap<Key, u64>,
) -> Checked {
    let of = manifest.sequence;
    let known = collected.ledger.iter().filter(|(written, _)| Some(**written) <= manifest.commit);
    let mut told: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (commit, line) in known.flat_map(|(commit, told)| told.minutes.iter().map(move |line| (commit, line))) {
        demand(line.events == line.counted && line.minute <= *commit, || {
            format!("manifest {of}: the ledger of commit {commit} does not add up: {line:?}")
        })?;
        let sum = told.entry(line.minute).or_default();
        *sum = (sum.0 + line.rows, sum.1 + line.events);
    }
    let by_minute = |counts: &BTreeMap<Key, u64>| {
        let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for ((minute, _), count) in counts {
            let sum = sums.entry(*minute).or_default();
            *sum = (sum.0 + 1, sum.1 + count);
        }
        sums
    };
    let rows = by_minute(closed);
    demand(told == rows, || format!("manifest {of}: the ledger tells of {told:?}, there are {rows:?}"))?;
    let mut says: BTreeMap<u64, u64> = BTreeMap::new();
    for minute in manifest.open.iter().flatten() {
        *says.entry(minute.minute).or_default() += minute.events;
    }
    let partials: BTreeMap<u64, u64> =
        by_minute(open).into_iter().map(|(minute, (_, count))| (minute, count)).collect();
    demand(says == partials, || format!("manifest {of} says that {says:?} are open, partials count {partials:?}"))
}

/// Rows are given to the sink: those of a commit and lane are the same every time.
pub fn emitted(world: &World, commit: Epoch, lane: u32, blocks: &[Vec<FinishedRow>]) {
    let rows: Vec<FinishedRow> = blocks.concat();
    let first = world.seen().rows.entry((commit, lane)).or_insert_with(|| rows.clone()).clone();
    if world.exact() && first != rows {
        world.broken(format!("commit {commit} lane {lane} was {first:?} first, is {rows:?} now"));
    }
    let longest = world.story.plan.rows_per_insert as usize;
    if blocks.iter().any(|block| block.len() > longest) {
        world.broken(format!("a block of commit {commit} is longer than {longest} rows"));
    }
}

/// A slot reads, when the next entries of its partitions are these: its epoch must not be too far past what is to be committed.
pub fn read(world: &World, places: &BTreeMap<u32, u64>) {
    let minutes = places.iter().map(|(partition, entry)| world.expected.minute(*partition, *entry));
    let Some(Some(epoch)) = minutes.min() else { return };
    let newest = world.seen().newest.as_ref().and_then(|newest| newest.next.last().copied());
    if newest.is_some_and(|newest| epoch > newest.saturating_add(MINUTES_UNCOMMITTED_MAX)) {
        world.broken(format!("a slot reads on at epoch {epoch}, though the newest commit epoch is {newest:?}"));
    }
}

/// A position is acknowledged: the newest manifest covers it.
pub fn acknowledged(world: &World, partition: u32, position: Position) {
    let newest = world.seen().newest.clone();
    let covered = newest.and_then(|newest| newest.cut.iter().find(|cut| cut.partition == partition)?.position);
    if covered < Some(position) {
        world.broken(format!(
            "p{partition} is acknowledged before {position:?}, the newest manifest covers {covered:?}"
        ));
    }
}
