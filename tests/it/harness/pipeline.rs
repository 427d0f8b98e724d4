//! A pipeline on files, and what it has written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ended, Running, files, minuet};

/// A pipeline: what it reads, and the folders it writes.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) dataflow: PathBuf,
    pub(crate) source: String,
    pub(crate) out: PathBuf,
    pub(crate) state: PathBuf,
    /// What `--state` is told where that is not the folder; its objects are seen in the folder all the same.
    pub(crate) place_of_state: Option<String>,
    /// Where rows go, as `--sink` is told, if not into `out`.
    pub(crate) sink: Option<String>,
    /// More flags of every run.
    pub(crate) flags: Vec<String>,
    /// What the environment of every run has beside.
    pub(crate) environment: Vec<(String, String)>,
}

impl Pipeline {
    /// A pipeline that reads `source` (a glob of files, or an address) and writes below `place`.
    pub(crate) fn new(dataflow: &Path, source: impl Into<String>, place: &Path) -> Self {
        Pipeline {
            dataflow: dataflow.to_owned(),
            source: source.into(),
            out: place.join("out"),
            state: place.join("state"),
            place_of_state: None,
            sink: None,
            flags: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// `minuet run` on it.
    pub(crate) fn command(&self, workers: usize) -> Command {
        let mut command = minuet(["run"]);
        command
            .arg(&self.dataflow)
            .arg("--source")
            .arg(self.place())
            .arg("--sink")
            .arg(self.sink.clone().unwrap_or_else(|| format!("files:{}", self.out.display())))
            .arg("--state")
            .arg(self.place_of_state.clone().unwrap_or_else(|| format!("dir:{}", self.state.display())))
            .arg("-w")
            .arg(workers.to_string())
            .arg("--json")
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What it reads, as `--source` is told.
    fn place(&self) -> String {
        if self.source.contains("://") { self.source.clone() } else { format!("files:{}", self.source) }
    }

    /// Starts it.
    pub(crate) fn start(&self, workers: usize) -> Running {
        Running::start(&mut self.command(workers))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, workers: usize) -> Ended {
        self.start(workers).end()
    }

    /// Runs it to its end with more flags.
    pub(crate) fn run_with(&self, workers: usize, flags: &[&str]) -> Ended {
        Running::start(self.command(workers).args(flags)).end()
    }

    /// All rows on disk, sorted.
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for file in files(&self.out.join("rows"), &[".jsonl"]) {
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
            assert!(text.is_empty() || text.ends_with('\n'), "{} ends in the middle of a row", file.display());
            rows.extend(text.lines().map(str::to_owned));
        }
        rows.sort();
        rows
    }

    /// Demands that the ledger and the rows on disk add up.
    pub(crate) fn demand_ledger(&self, of: &str) {
        let ended = Running::start(minuet(["ledger", "--sink"]).arg(format!("files:{}", self.out.display()))).end();
        assert!(ended.status.success(), "{of}: {}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
    }

    /// The number of manifests stored.
    pub(crate) fn manifests(&self) -> Vec<PathBuf> {
        let pipeline = self.dataflow.file_name().expect("a dataflow's folder has a name");
        files(&self.state.join(pipeline).join("manifests"), &[".json"])
    }

    /// The newest manifest, as it is written; none before the first run has claimed the pipeline.
    pub(crate) fn newest(&self) -> Option<serde_json::Value> {
        let text = fs::read_to_string(self.manifests().last()?).ok()?;
        Some(serde_json::from_str(text.lines().next()?).expect("a manifest begins with a line of JSON"))
    }

    /// The number of the run that has claimed it last; 0 before the first.
    pub(crate) fn attempt(&self) -> u64 {
        self.newest().map_or(0, |manifest| manifest["attempt"].as_u64().expect("attempts are numbers"))
    }

    /// Whether the next run has open windows to go on from.
    pub(crate) fn has_state(&self) -> bool {
        self.newest().is_some_and(|manifest| manifest["parts"].as_array().is_some_and(|parts| !parts.is_empty()))
    }

    /// Whether all input has been read and committed.
    pub(crate) fn is_finished(&self) -> bool {
        self.newest().is_some_and(|manifest| manifest["next"].as_array().is_some_and(Vec::is_empty))
    }

    /// The parts stored.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let pipeline = self.dataflow.file_name().expect("a dataflow's folder has a name");
        files(&self.state.join(pipeline).join("parts"), &[".avro"])
    }
}
