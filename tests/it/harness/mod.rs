//! What every module needs: the real binary under a dead-line, the rows it wrote, and dice that can be thrown again.

mod calm;
mod cluster;
mod dice;
mod pipeline;
mod running;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub(crate) use calm::Undisturbed;
pub(crate) use cluster::{Cluster, Hosts, Shape, free_port};
pub(crate) use dice::Dice;
pub(crate) use pipeline::Pipeline;
pub(crate) use running::{Ended, Running};

/// The longest that any run of these tests may take: far more than it needs, so that only a hang gets there.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// How often a child is asked whether it has ended.
pub(crate) const POLL: Duration = Duration::from_millis(3);

/// The worker counts that every result is compared over.
pub(crate) const WORKERS: [usize; 4] = [1, 2, 3, 5];

/// Where the project lies.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of a shipped dataflow.
pub(crate) fn dataflow(name: &str) -> PathBuf {
    project().join("dataflows").join(name)
}

/// A folder that is removed at the end of the test.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("minuet-it-").tempdir().expect("a temporary folder can be made")
}

/// The files of a folder with one of these endings, in order of name.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.is_file() && endings.iter().any(|end| path.to_string_lossy().ends_with(end)))
        .collect();
    found.sort();
    found
}

/// The binary with these arguments.
pub(crate) fn minuet<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minuet"));
    command.args(arguments).env_remove("FAILPOINTS").env_remove("RUST_LOG");
    ["PULSAR_URL", "PULSAR_TOPIC", "CLICKHOUSE_URL"].into_iter().for_each(|name| {
        command.env_remove(name);
    });
    // Many run at once, and one port is enough for one of them only.
    command.env("MINUET_HTTP", "off");
    command
}

/// Runs the binary to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    Running::start(&mut minuet(arguments)).end()
}

/// Demands the same rows, and shows the first that differ instead of all.
pub(crate) fn demand_rows(found: &[String], expected: &[String], of: &str) {
    if found == expected {
        return;
    }
    let first = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    panic!(
        "{of}: {} rows found, {} expected; sorted row {first} is the first that differs\n   found {}\nexpected {}",
        found.len(),
        expected.len(),
        found.get(first).map_or("(none)", String::as_str),
        expected.get(first).map_or("(none)", String::as_str),
    );
}

/// Generated events for a dataflow: `minuet gen` into `to`.
pub(crate) fn generate(dataflow: &Path, to: &Path, settings: &[(&str, &str)]) {
    let mut command = minuet(["gen"]);
    command.arg(dataflow).arg("--to").arg(format!("files:{}", to.display()));
    for (flag, value) in settings {
        command.arg(format!("--{flag}")).arg(value);
    }
    Running::start(&mut command).end().demand(0);
}
