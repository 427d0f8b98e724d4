//! The contract of a store, and what only one on S3 could break. Credentials are of a process, so each test does its work in one of its
//! own: the test program, started again for `child` alone.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use minuet::connect::s3::{Address, S3Store, Settings};
use minuet::error::Fault;
use minuet::snapshot::Store;

use super::told_of;
use crate::harness::Running;
use crate::servers::S3;
use crate::store::keeps_the_contract;

/// What a child is to do, where.
const WORK: &str = "MINUET_TEST_S3_WORK";
const ADDRESS: &str = "MINUET_TEST_S3_ADDRESS";

/// More names than one page of a list has.
const NAMES: usize = 1_234;

fn in_a_child(work: &str) {
    let server = S3::start();
    let mut command = Command::new(env::current_exe().expect("a test knows its program"));
    command
        .args(["--exact", "s3::contract::child", "--nocapture"])
        .env(WORK, work)
        .env(ADDRESS, format!("s3://{}/contract/{work}", server.bucket()))
        .envs(told_of(&server));
    let ended = Running::start(&mut command).end().demand(0);
    assert!(ended.stdout.contains(&format!("{work} is done")), "{}", ended.stdout);
}

/// In the tests' own process there is nothing to do.
#[test]
fn child() {
    let Ok(work) = env::var(WORK) else { return };
    let address: Address = env::var(ADDRESS).unwrap().parse().unwrap();
    let settings = Settings { endpoint: env::var("MINUET_S3_ENDPOINT").ok(), path_style: true, ..Settings::default() };
    let store = S3Store::open(address, &settings, Arc::new(|| false)).expect("there are credentials");
    match work.as_str() {
        "contract" => keeps_the_contract(&(Arc::new(store.clone()) as Arc<dyn Store>)),
        "pages" => many_names_are_listed(&store),
        "probe" => store.probe(&(Arc::new(|| false) as _)).expect("the server keeps conditions"),
        "names" => names_cannot_leave_the_prefix(&store),
        _ => panic!("{work} is no work"),
    }
    assert!(store.list("").unwrap().is_empty(), "{work} leaves nothing");
    println!("{work} is done");
}

#[test]
fn a_bucket_keeps_the_contract() {
    in_a_child("contract");
}

#[test]
fn a_list_goes_on_where_a_page_ends() {
    in_a_child("pages");
}

#[test]
fn a_probe_leaves_nothing() {
    in_a_child("probe");
}

#[test]
fn no_name_leads_out_of_the_prefix() {
    in_a_child("names");
}

fn many_names_are_listed(store: &S3Store) {
    let names: Vec<String> = (0..NAMES).map(|number| format!("p/parts/{number:05}.avro")).collect();
    let each = |act: &(dyn Fn(&str) + Sync)| {
        thread::scope(|scope| {
            for some in names.chunks(NAMES / 8 + 1) {
                scope.spawn(move || some.iter().for_each(|name| act(name)));
            }
        });
    };
    each(&|name| store.put(name, name.as_bytes()).unwrap());
    assert_eq!(store.list("p/").unwrap(), names);
    assert_eq!(store.list("p/parts/001").unwrap(), names[100..200]);
    each(&|name| store.delete(name).unwrap());
}

fn names_cannot_leave_the_prefix(store: &S3Store) {
    for name in ["", "/a", "a/", "a//b", "../a", "a/../../b", "a b", "a\u{e4}"] {
        assert_eq!(store.put(name, b"x").unwrap_err().fault, Fault::Data, "{name}");
        assert_eq!(store.get(name).unwrap_err().fault, Fault::Data, "{name}");
        assert_eq!(store.delete(name).unwrap_err().fault, Fault::Data, "{name}");
    }
}
