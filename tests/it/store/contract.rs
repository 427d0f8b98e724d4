//! What every snapshot store must do, as a test that runs over each.

use std::sync::{Arc, Barrier};
use std::thread;

use minuet::snapshot::Store;

/// Everything that can be seen from outside of an empty store.
pub(crate) fn keeps_the_contract(store: &Arc<dyn Store>) {
    an_object_is_what_was_put_last(store.as_ref());
    a_taken_name_is_not_put(store.as_ref());
    names_come_ascending_by_prefix(store.as_ref());
    one_of_many_racing_writers_wins(store);
}

fn get(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    store.get(name).expect("the store can be read")
}

fn an_object_is_what_was_put_last(store: &dyn Store) {
    assert_eq!(get(store, "p/parts/a.avro"), None);
    for bytes in [b"first".to_vec(), Vec::new(), vec![7; 3_000_000], b"last".to_vec()] {
        store.put("p/parts/a.avro", &bytes).expect("it can be put");
        assert_eq!(get(store, "p/parts/a.avro"), Some(bytes));
    }
    store.delete("p/parts/a.avro").expect("it can be removed");
    store.delete("p/parts/a.avro").expect("removing nothing is fine");
    store.delete("nowhere/at/all").expect("removing nothing is fine");
    assert_eq!(get(store, "p/parts/a.avro"), None);
    assert_eq!(get(store, "nowhere/at/all"), None);
}

fn a_taken_name_is_not_put(store: &dyn Store) {
    let name = "p/manifests/00000000000000000001.json";
    assert!(store.put_if_absent(name, b"mine").expect("the name is free"));
    assert!(!store.put_if_absent(name, b"other").expect("the name is taken"));
    assert!(!store.put_if_absent(name, b"mine").expect("the name is taken, even by the same"));
    assert_eq!(get(store, name).as_deref(), Some(&b"mine"[..]));
    store.delete(name).expect("it can be removed");
    assert!(store.put_if_absent(name, b"other").expect("the name is free again"));
    store.delete(name).expect("it can be removed");
}

fn names_come_ascending_by_prefix(store: &dyn Store) {
    let names = ["a/m/1", "a/m/10", "a/m/2", "a/p/1", "ab/m/1", "b"];
    for name in names.iter().rev() {
        store.put(name, name.as_bytes()).expect("it can be put");
    }
    let list = |prefix: &str| store.list(prefix).expect("the store can be listed");
    assert_eq!(list(""), names);
    assert_eq!(list("a/"), names[..4]);
    assert_eq!(list("a"), names[..5]);
    assert_eq!(list("a/m/1"), names[..2]);
    assert_eq!(list("a/m/"), names[..3]);
    assert!(list("c/").is_empty() && list("a/m/3").is_empty() && list("b/").is_empty());
    for name in names {
        store.delete(name).expect("it can be removed");
    }
    assert!(list("").is_empty());
}

fn one_of_many_racing_writers_wins(store: &Arc<dyn Store>) {
    const WRITERS: usize = 16;
    for round in 0..10 {
        let name = format!("race/manifests/{round}");
        let barrier = Arc::new(Barrier::new(WRITERS));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, barrier, name) = (Arc::clone(store), Arc::clone(&barrier), name.clone());
                thread::spawn(move || {
                    let bytes = vec![writer as u8; 10_000];
                    barrier.wait();
                    let won = store.put_if_absent(&name, &bytes).expect("the store can be written");
                    let seen = store.get(&name).expect("the store can be read").expect("someone has won");
                    assert!(seen.len() == 10_000 && seen.iter().all(|byte| *byte == seen[0]), "never half of one");
                    won.then_some(bytes)
                })
            })
            .collect();
        let won: Vec<_> = writers.into_iter().filter_map(|writer| writer.join().expect("no writer panics")).collect();
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(get(store.as_ref(), &name).as_ref(), won.first());
        store.delete(&name).expect("it can be removed");
    }
}
