//! The fuzz targets without a fuzzer: every seed in `tests/fuzz/corpus` and thousands of seeded mutations of them.

mod mutation;
mod seeds;
#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;

use crate::harness::{Dice, project};
use targets::{ALL, Target};

/// Mutations of each target's seeds.
const MUTATIONS: u64 = 3_000;

/// Bytes of a seed: what is small is mutated to good effect.
const SEED_BYTES_MAX: usize = 4_096;

fn corpus(name: &str) -> PathBuf {
    project().join("tests/fuzz/corpus").join(name)
}

/// The seeds of a target: name and bytes, in order of name.
fn seeds_of(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// Gives bytes to a target; says which they were where it panics.
fn give((name, target): Target, bytes: &[u8], of: &str) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| target(bytes))).unwrap_or_else(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}: {of} breaks it, {} bytes:\n{hex}", bytes.len())
    })
}

#[test]
fn seeds_are_accepted_or_refused_as_their_names_say() {
    for target in ALL {
        let seeds = seeds_of(target.0);
        for (file, bytes) in &seeds {
            assert!(bytes.len() < SEED_BYTES_MAX, "{}/{file} has {} bytes", target.0, bytes.len());
            let accepted = give(target, bytes, file);
            match file.split_once('-').map_or("", |(kind, _)| kind) {
                "good" => assert!(accepted, "{}/{file} is refused", target.0),
                "bad" => assert!(!accepted, "{}/{file} is accepted", target.0),
                // What a fuzzer found: that it breaks nothing is all that is asked of it.
                "found" => {}
                _ => panic!("{}/{file} is named neither good-, bad- nor found-", target.0),
            }
        }
        for kind in ["good-", "bad-"] {
            assert!(seeds.iter().any(|(file, _)| file.starts_with(kind)), "{} has no {kind} seed", target.0);
        }
    }
}

#[test]
fn every_folder_of_seeds_has_its_target() {
    let folders = fs::read_dir(corpus("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets = ALL.map(|(name, _)| name.to_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), BTreeSet::from(targets));
}

#[test]
fn every_target_is_shown_to_the_fuzzer() {
    let manifest = fs::read_to_string(project().join("tests/fuzz/Cargo.toml")).unwrap();
    for (name, _) in ALL {
        let binary = fs::read_to_string(project().join(format!("tests/fuzz/bin/{name}.rs"))).unwrap();
        assert!(binary.contains(&format!("target::{name}(bytes)")), "tests/fuzz/bin/{name}.rs");
        assert!(manifest.contains(&format!("path = \"bin/{name}.rs\"")), "{name} in tests/fuzz/Cargo.toml");
    }
}

#[test]
fn mutations_of_seeds_break_nothing() {
    let mut dice = Dice::new("mutations");
    for target in ALL {
        let seeds = seeds_of(target.0);
        let mut accepted = 0_u64;
        for number in 0..MUTATIONS {
            let bytes = mutation::mutated(&seeds, &mut dice);
            accepted += u64::from(give(target, &bytes, &format!("mutation {number}")));
        }
        println!("{}: {accepted} of {MUTATIONS} mutations were accepted", target.0);
    }
}
