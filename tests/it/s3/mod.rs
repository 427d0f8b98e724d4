//! State in a bucket of a real S3 server, and what may happen to it.

mod contract;
mod crash;
mod faults;
mod outage;
mod probe;
mod refusals;
mod snapshots;
mod stub;
mod takeover;
mod tls;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::harness::{Pipeline, Undisturbed, minuet};
use super::servers::{self, S3};

/// An input of several commits.
const TROUBLE: [(&str, &str); 4] =
    [("events", "150000"), ("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.005")];

/// What a run is told of a server: where it is, and who we are.
pub(crate) fn told(endpoint: &str, key: &str, secret: &str) -> Vec<(String, String)> {
    [
        ("MINUET_S3_ENDPOINT", endpoint),
        ("MINUET_S3_PATH_STYLE", "true"),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// What a run is told of this server.
pub(crate) fn told_of(server: &S3) -> Vec<(String, String)> {
    told(&server.endpoint(), server.key(), server.secret())
}

/// Where the server has its objects, as files: what is stored is seen there even while it is away.
pub(crate) fn objects(server: &S3) -> PathBuf {
    servers::place("s3", server.address().port()).join("s3/data").join(server.bucket())
}

/// Sensor events with this seed, and what comes of them when nothing disturbs.
fn calm(place: &Path, seed: &str) -> Undisturbed {
    let own = [("seed", seed), ("sources", "300"), ("rate", "60"), ("partitions", "4")];
    let settings: Vec<(&str, &str)> = TROUBLE.into_iter().chain(own).collect();
    Undisturbed::generate("sensors", place, &settings)
}

/// The same pipeline with its state at a prefix of this server's bucket.
fn in_bucket(calm: &Undisturbed, place: &Path, server: &S3, prefix: &str) -> Pipeline {
    Pipeline {
        state: objects(server).join(prefix),
        place_of_state: Some(format!("s3://{}/{prefix}", server.bucket())),
        environment: told_of(server),
        ..calm.at(place)
    }
}

/// `minuet` about a server.
fn about(server: &S3, arguments: &[&str]) -> Command {
    let mut command = minuet(arguments);
    command.envs(told_of(server));
    command
}
