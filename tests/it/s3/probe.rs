//! `minuet check --connect` on a bucket: what is right, and what is not, with what to do.

use serde_json::Value;

use super::stub::{self, refusal};
use super::{objects, told, told_of};
use crate::harness::{Ended, Running, dataflow, minuet};
use crate::servers::S3;

fn tried(state: &str, environment: Vec<(String, String)>, more: &[&str]) -> Ended {
    let folder = dataflow("sensors").display().to_string();
    let mut command = minuet(["check", &folder, "--connect", "--state", state]);
    Running::start(command.args(more).envs(environment)).end()
}

/// Demands that a run would end, and these words.
fn bad(ended: Ended, words: &[&str]) {
    let told = ended.demand(69).stdout;
    words.iter().for_each(|word| assert!(told.contains(word), "{word:?} is not in\n{told}"));
}

#[test]
fn a_bucket_that_is_right_is_tried_to_the_end_and_nothing_is_left() {
    let server = S3::shared();
    let state = format!("s3://{}/probed", server.bucket());
    let ended = tried(&state, told_of(server), &["--json"]).demand(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.len() == 6 && steps.iter().all(|step| step["standing"] == "good"), "{report}");
    let left = crate::harness::files(&objects(server).join("probed"), &[""]);
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_bucket_that_is_missing_credentials_that_are_wrong_and_nobody_who_listens() {
    let server = S3::shared();
    bad(tried("s3://nowhere/x", told_of(server), &[]), &["FAIL  store an object", "NoSuchBucket", "create the bucket"]);
    let state = format!("s3://{}/x", server.bucket());
    let wrong = told(&server.endpoint(), server.key(), "another");
    bad(tried(&state, wrong, &[]), &["ok    find credentials", "SignatureDoesNotMatch", "give others"]);
    bad(tried(&state, told("http://127.0.0.1:9", "k", "s"), &[]), &["Connection refused", "--s3-endpoint"]);
    let mut none = told("http://127.0.0.1:9", "", "");
    none.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
    for (name, value) in [("HOME", "/nonexistent"), ("AWS_CONFIG_FILE", "/nonexistent/c")] {
        none.push((name.to_owned(), value.to_owned()));
    }
    none.push(("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/nonexistent/s".to_owned()));
    bad(tried(&state, none, &[]), &["FAIL  find credentials", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn a_server_that_ignores_conditions_or_grants_too_little() {
    let endpoint = stub::start(|request| match request.method.as_str() {
        "GET" => (200, "second".to_owned()),
        "DELETE" => (204, String::new()),
        _ => (200, String::new()),
    });
    let words = ["it was stored, although", "conditional writes", "it is not what was stored first"];
    bad(tried("s3://abc/x", told(&endpoint, "k", "s"), &[]), &words);
    let endpoint = stub::start(|_| (403, refusal("AccessDenied")));
    bad(tried("s3://abc/x", told(&endpoint, "k", "s"), &[]), &["403 AccessDenied", "minuet snapshot policy"]);
}

#[test]
fn something_to_try_must_be_given() {
    let folder = dataflow("sensors").display().to_string();
    let mut command = minuet(["check", &folder, "--connect", "--state", "dir:x"]);
    Running::start(&mut command).end().demand(78).demand_words(&["pulsar://", "clickhouse://", "s3://"]);
}
