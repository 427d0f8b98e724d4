//! More slots than partitions, and fewer: the rows are the same, and every slot does its part of what comes after the exchange.

use std::collections::BTreeSet;

use super::super::harness::{Cluster, Shape, Undisturbed, files, scratch};
use super::under_way;

/// The slots that have stored a part of an open state: those that close windows.
fn slots_of(pipeline: &super::Pipeline) -> BTreeSet<String> {
    let of = |name: String| name.rsplit_once('-').map(|(_, slot)| slot.to_owned());
    let names = pipeline.parts().into_iter().map(|part| part.file_stem().unwrap().to_string_lossy().into_owned());
    names.filter_map(of).collect()
}

#[test]
fn one_partition_keeps_all_slots_busy() {
    let place = scratch();
    let settings = [("seed", "52"), ("events", "300000"), ("sources", "500"), ("rate", "100"), ("partitions", "1")];
    let calm = Undisturbed::generate("sensors", place.path(), &settings);
    let pipeline = calm.at(&place.path().join("run"));
    let mut cluster = under_way(&pipeline, Shape::new(2, 3));
    cluster.process(0).until("parts of all slots", || slots_of(&pipeline).len() == 6 || pipeline.is_finished());
    assert_eq!(slots_of(&pipeline).len(), 6, "{:?}", slots_of(&pipeline));
    let ended: Vec<_> = cluster.end().into_iter().map(|one| one.demand(0)).collect();
    calm.demand(&pipeline, &ended[0].summary(), "one partition in six slots");
    let read: Vec<_> = ended[1..].iter().map(|one| one.read()).collect();
    assert_eq!(read, [(1, 0), (2, 0)], "process 0 has the only partition");
}

#[test]
fn many_partitions_are_spread_over_the_slots_of_all_processes() {
    let place = scratch();
    let settings = [("seed", "53"), ("events", "30000"), ("sources", "900"), ("rate", "100"), ("partitions", "13")];
    let calm = Undisturbed::generate("sensors", place.path(), &settings);
    let partitions = files(&place.path().join("sensors-in"), &[".events"]).len();
    assert_eq!(partitions, 13);
    let pipeline = calm.at(&place.path().join("run"));
    let ended: Vec<_> =
        Cluster::start(&pipeline, Shape::new(2, 2)).end().into_iter().map(|one| one.demand(0)).collect();
    calm.demand(&pipeline, &ended[0].summary(), "13 partitions in four slots");
    let (_, read) = ended[1].read();
    let all = calm.summary["read"];
    assert!(read > all / 4 && read < all * 3 / 4, "process 1 has read {read} of {all}");
}
