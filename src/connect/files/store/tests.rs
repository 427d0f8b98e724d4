use std::time::SystemTime;

use super::*;
use crate::error::{Fault, Happened};
use crate::limits::OBJECT_NAME_BYTES_MAX;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn temporaries(root: &Path) -> usize {
    let folders = folders(root).expect("it can be listed");
    let names = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("it can be listed"));
    names.filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().starts_with(TEMPORARY))).count()
}

#[test]
fn two_stores_on_one_folder_see_the_same() {
    let dir = folder();
    let one = FolderStore::open(dir.path()).expect("it can be opened");
    let two = FolderStore::open(dir.path()).expect("it can be opened twice");
    assert!(one.put_if_absent("p/manifests/1", b"one").expect("it is free"));
    assert!(!two.put_if_absent("p/manifests/1", b"two").expect("it is taken"));
    assert_eq!(two.get("p/manifests/1").expect("it can be read").as_deref(), Some(&b"one"[..]));
}

#[test]
fn names_cannot_leave_the_folder() {
    let dir = folder();
    let store = FolderStore::open(dir.path().join("state")).expect("it can be opened");
    fs::write(dir.path().join("secret"), "x").expect("it can be written");
    let long = "x".repeat(OBJECT_NAME_BYTES_MAX + 1);
    for name in [
        "",
        "/",
        "/etc/passwd",
        "../secret",
        "a/../../secret",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a b",
        "a\\b",
        ".tmp-1",
        "p/.tmp-1",
        &long,
    ] {
        let refused = [
            store.get(name).map(|_| ()),
            store.put(name, b"x"),
            store.put_if_absent(name, b"x").map(|_| ()),
            store.delete(name),
        ];
        for answer in refused {
            assert_eq!(answer.expect_err(name).fault, Fault::Data);
        }
    }
    assert!(store.list("../").is_err() && store.list("/").is_ok_and(|names| names.is_empty()));
    assert!(dir.path().join("secret").exists());
}

#[test]
fn temporary_files_of_dead_runs_only_are_removed() {
    let dir = folder();
    let store = FolderStore::open(dir.path()).expect("it can be opened");
    store.put("p/parts/1", b"x").expect("it can be put");
    let young = dir.path().join("p/parts/.tmp-young");
    let old = dir.path().join("p/parts/.tmp-old");
    let odd = dir.path().join("p/parts/old-but-not-ours");
    for path in [&young, &old, &odd] {
        let file = File::create(path).expect("it can be created");
        if path != &young {
            let then = SystemTime::now() - Duration::from_secs(TEMPORARY_DEAD_S + 60);
            file.set_modified(then).expect("its time can be set");
        }
    }
    let store = FolderStore::open(dir.path()).expect("it can be opened again");
    assert!(young.exists() && !old.exists() && odd.exists());
    let listed = store.list("p/").expect("it can be listed");
    assert_eq!(listed, ["p/parts/1", "p/parts/old-but-not-ours"]);
}

#[test]
fn a_failing_disk_is_an_answer() {
    let dir = folder();
    let store = FolderStore::open(dir.path()).expect("it can be opened");
    store.put("p", b"a file where a folder should be").expect("it can be put");
    let error = store.put("p/parts/1", b"x").expect_err("no folder can be made there");
    assert_eq!((error.fault, error.happened), (Fault::Outside, Happened::No));
    assert_eq!(store.get("p/parts/1").expect("it is just not there"), None);
    fs::create_dir_all(dir.path().join("q/name")).expect("a folder where an object should be");
    assert_eq!(store.put("q/name", b"x").expect_err("a folder is in the way").fault, Fault::Outside);
    assert_eq!(store.get("q/name").expect_err("a folder is in the way").fault, Fault::Outside);
    assert_eq!(temporaries(dir.path()), 0, "what could not be named is removed");
    let file = dir.path().join("p");
    assert_eq!(FolderStore::open(file).err().map(|error| error.fault), Some(Fault::Outside));
}
