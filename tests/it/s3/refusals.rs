//! What cannot hold a state is refused before anything is claimed, with the way out.

use std::path::Path;
use std::time::Duration;

use super::stub::{self, refusal};
use super::{about, told, told_of};
use crate::harness::{Ended, Pipeline, Running, dataflow, minuet, scratch};
use crate::servers::S3;

/// How long a run may take to obey SIGTERM while it waits for S3.
const OBEYS_WITHIN: Duration = Duration::from_secs(5);

/// A run whose state is there; its input does not matter.
fn run(place: &Path, state: &str, environment: Vec<(String, String)>) -> Running {
    let pipeline = Pipeline {
        place_of_state: Some(state.to_owned()),
        environment,
        ..Pipeline::new(&dataflow("sensors"), place.join("*").display().to_string(), place)
    };
    Running::start(&mut pipeline.command(1))
}

fn refused(state: &str, environment: Vec<(String, String)>, words: &[&str]) -> Ended {
    let place = scratch();
    let ended = run(place.path(), state, environment).end().demand(78).demand_words(words);
    assert!(!place.path().join("out").exists(), "a run that is refused has touched its sink");
    ended
}

#[test]
fn a_bucket_that_is_missing_and_credentials_that_are_wrong() {
    let server = S3::start();
    let endpoint = server.endpoint();
    let words = ["404 NoSuchBucket", "create the bucket", "s3://nowhere/x/probe-"];
    refused("s3://nowhere/x", told_of(&server), &words);
    let state = format!("s3://{}/x", server.bucket());
    let told = refused(&state, told(&endpoint, server.key(), "another"), &["SignatureDoesNotMatch", "give others"]);
    assert!(!told.stderr.contains("another"), "a secret is said: {}", told.stderr);
    refused(&state, super::told(&endpoint, "nobody", "another"), &["credentials are not"]);
}

#[test]
fn no_credentials_at_all() {
    let mut environment = told("http://127.0.0.1:9", "", "");
    environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
    for (name, value) in [("HOME", "/nonexistent"), ("AWS_CONFIG_FILE", "/nonexistent/c")] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    environment.push(("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/nonexistent/s".to_owned()));
    refused("s3://abc/x", environment, &["looking for credentials of S3", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"]);
}

#[test]
fn no_region_where_the_server_is_amazons() {
    let mut environment = told("", "k", "s");
    environment.retain(|(name, _)| name != "MINUET_S3_ENDPOINT");
    environment.push(("AWS_CONFIG_FILE".to_owned(), "/nonexistent/c".to_owned()));
    refused("s3://abc/x", environment, &["found none", "--s3-region", "AWS_REGION"]);
}

#[test]
fn a_server_that_ignores_conditions() {
    let endpoint = stub::start(|request| match request.method.as_str() {
        "GET" => (200, "second".to_owned()),
        "DELETE" => (204, String::new()),
        _ => (200, String::new()),
    });
    refused("s3://abc/x", told(&endpoint, "k", "s"), &["if-none-match", "cannot hold a state", "s3://abc/x"]);
}

#[test]
fn rights_that_are_missing_and_a_region_that_is_another() {
    let endpoint = stub::start(|_| (403, refusal("AccessDenied")));
    refused("s3://abc/x", told(&endpoint, "k", "s"), &["403 AccessDenied", "minuet snapshot policy"]);
    let endpoint = stub::start(|_| (400, refusal("AuthorizationHeaderMalformed")));
    refused("s3://abc/x", told(&endpoint, "k", "s"), &["another region", "--s3-region"]);
    let endpoint = stub::start(|_| (501, refusal("NotImplemented")));
    refused("s3://abc/x", told(&endpoint, "k", "s"), &["501 NotImplemented", "use another"]);
}

#[test]
fn an_address_or_an_encryption_that_is_none() {
    for (flags, words) in [
        (["--state", "s3://abc"], ["has no prefix", "s3://BUCKET/PREFIX"]),
        (["--state", "s3:/abc/x"], ["allowed is", "s3://BUCKET/PREFIX"]),
        (["--s3-encryption", "rot13"], ["no encryption", "AES256"]),
        (["--s3-endpoint", "http://key:secret@host"], ["allowed is", "environment"]),
    ] {
        let mut command = minuet(["run", "dataflows/sensors", "--source", "files:x", "--sink", "files:y"]);
        if flags[0] != "--state" {
            command.args(["--state", "s3://abc/x"]);
        }
        Running::start(command.args(flags)).end().demand(2).demand_words(&words);
    }
    minuet_fails(&["snapshot", "policy", "--state", "dir:x"], &["a policy is one of AWS"]);
}

fn minuet_fails(arguments: &[&str], words: &[&str]) {
    Running::start(&mut minuet(arguments)).end().demand(78).demand_words(words);
}

/// Who may list only a prefix is answered 403 where nothing is: that is not a missing right.
#[test]
fn what_is_absent_is_absent_although_the_answer_is_403() {
    let manifest = "x/p/manifests/00000000000000000001.json";
    let endpoint = stub::start(move |request| {
        if !request.path.contains("list-type=2") {
            return (403, refusal("AccessDenied"));
        }
        let (_, prefix) = request.path.split_once("&prefix=").expect("all lists are of a prefix");
        let prefix = prefix.split('&').next().unwrap().replace("%2F", "/");
        let found = if manifest.starts_with(&prefix) {
            format!("<Contents><Key>{manifest}</Key></Contents>")
        } else {
            String::new()
        };
        (200, format!("<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"))
    });
    let mut command = minuet(["snapshot", "show", "s3://abc/x", "--sequence", "9"]);
    command.envs(told(&endpoint, "k", "s"));
    Running::start(&mut command).end().demand(78).demand_words(&["there is no manifest 9"]);
    let mut command = minuet(["snapshot", "show", "s3://abc/x", "--sequence", "1"]);
    command.envs(told(&endpoint, "k", "s"));
    Running::start(&mut command).end().demand(78).demand_words(&["403 AccessDenied"]);
}

#[test]
fn a_signal_ends_a_run_that_waits_for_s3_to_begin() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let busy = stub::start(|_| (503, refusal("SlowDown")));
    for endpoint in [silent, busy] {
        let place = scratch();
        let mut running = run(place.path(), "s3://abc/x", told(&endpoint, "k", "s"));
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(running.runs(), "it has given up at once");
        running.signal("TERM");
        assert!(running.ends_within(OBEYS_WITHIN), "it does not obey SIGTERM");
        running.end().demand(143);
    }
}

#[test]
fn s3_that_does_not_come_ends_the_start() {
    let endpoint = stub::start(|_| (503, refusal("SlowDown")));
    let place = scratch();
    let ended = run(place.path(), "s3://abc/x", told(&endpoint, "k", "s")).end().demand(69);
    ended.demand_words(&["503 SlowDown", "the store is away"]);
}

#[test]
fn looking_at_what_is_not_there() {
    let server = S3::start();
    let state = format!("s3://{}/empty", server.bucket());
    let mut command = about(&server, &["snapshot", "list", &state]);
    Running::start(&mut command).end().demand(78).demand_words(&["holds no manifests", &state]);
}
