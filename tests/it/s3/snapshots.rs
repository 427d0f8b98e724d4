//! What is stored of a pipeline in a bucket can be looked at, is cleaned up, and asks for few rights.

use super::{about, calm, in_bucket};
use crate::harness::{Running, Shape, files, minuet, scratch};
use crate::servers::S3;

#[test]
fn old_commits_and_parts_that_nobody_names_are_removed() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "41");
    let mut pipeline = in_bucket(&calm, &place.path().join("one"), &server, "team/one");
    pipeline.flags = vec!["--keep".into(), "1".into()];
    let parts = pipeline.state.join("sensors/parts");
    std::fs::create_dir_all(&parts).unwrap();
    // What a run that was killed before its commit leaves.
    std::fs::write(parts.join("0000000000-0000000007-00000.avro"), b"left").unwrap();
    let summary = pipeline.run_in(Shape::new(2, 1)).summary();
    calm.demand(&pipeline, &summary, "state in a bucket");
    assert_eq!(pipeline.manifests().len(), 1, "--keep 1");
    assert_eq!(files(&parts, &[""]).len(), pipeline.newest().unwrap()["parts"].as_array().unwrap().len());
    assert!(
        !pipeline.state.read_dir().unwrap().any(|e| { e.unwrap().file_name().to_string_lossy().starts_with("probe-") })
    );
}

#[test]
fn a_state_in_a_bucket_is_listed_shown_and_verified() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "42");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    pipeline.run_in(Shape::new(1, 1));
    let state = pipeline.place_of_state.clone().unwrap();
    let answer = |verb: &str| {
        let mut command = about(&server, &["snapshot", verb, &state, "--json"]);
        let ended = Running::start(&mut command).end().demand(0);
        serde_json::from_str::<serde_json::Value>(ended.stdout.trim()).unwrap()
    };
    assert_eq!(answer("list")["manifests"].as_array().unwrap().len(), pipeline.manifests().len());
    assert_eq!(answer("show")["manifest"]["sequence"], pipeline.newest().unwrap()["sequence"]);
    assert_eq!(answer("verify")["problems"].as_array().unwrap().len(), 0);
    let newest = pipeline.manifests().pop().unwrap();
    std::fs::write(&newest, b"damaged").unwrap();
    let mut command = about(&server, &["snapshot", "verify", &state]);
    Running::start(&mut command).end().demand(65);
}

#[test]
fn a_policy_is_printed_without_asking_anybody() {
    let arguments = ["snapshot", "policy", "--state", "s3://abc/team/x", "--s3-encryption", "aws:kms:1-a"];
    let mut command = minuet(arguments);
    command.env_remove("AWS_ACCESS_KEY_ID").env("MINUET_S3_ENDPOINT", "http://127.0.0.1:9");
    let ended = Running::start(&mut command).end().demand(0);
    let policy: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a policy is JSON");
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 3);
    assert_eq!(statements[1]["Resource"], "arn:aws:s3:::abc/team/x/*");
    assert!(!ended.stdout.contains("\"*\"") && !ended.stdout.contains("s3:*"), "{}", ended.stdout);
}
