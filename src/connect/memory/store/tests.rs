use super::*;
use crate::error::{Fault, Happened};

#[test]
fn the_script_is_followed() {
    let (writes, reads) = (Faults::none(), Faults::none());
    let store = MemoryStore::new(writes.clone(), reads.clone());
    writes.next(Act::Fail);
    writes.next(Act::LoseBefore);
    writes.next(Act::LoseAfter);
    let put = || store.put("a", b"1").map_err(|error| (error.fault, error.happened));
    assert_eq!(put(), Err((Fault::Outside, Happened::No)));
    assert_eq!(put(), Err((Fault::Outside, Happened::Unknown)));
    assert!(store.objects().is_empty());
    assert_eq!(put(), Err((Fault::Outside, Happened::Unknown)));
    assert_eq!(store.objects().len(), 1);
    writes.next(Act::Taken(b"theirs".to_vec()));
    assert!(!store.put_if_absent("m", b"mine").expect("it is answered"));
    reads.always(Act::Fail);
    assert!(store.get("m").is_err() && store.list("").is_err());
    let next_run = store.with_faults(Faults::none(), Faults::none());
    assert_eq!(next_run.get("m").expect("it can be read").as_deref(), Some(&b"theirs"[..]));
}

#[test]
fn acts_are_counted_and_named_by_number() {
    let writes = Faults::none();
    let store = MemoryStore::new(writes.clone(), Faults::none());
    writes.at(2, Act::Fail);
    let answers: Vec<bool> = (0..4).map(|_| store.put("a", b"").is_ok()).collect();
    assert_eq!(answers, [true, true, false, true]);
    assert_eq!(writes.count(), 4);
}
