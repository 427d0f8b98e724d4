//! What every module needs: the real binary under a dead-line, the rows it wrote, and dice that can be thrown again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that any run of these tests may take: far more than it needs, so that only a hang gets there.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(3);

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

/// How a child ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// Demands an exit code.
    pub(crate) fn demand(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "expected exit code {code}, found {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.took,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Demands that standard error has all of these words, in any case.
    pub(crate) fn demand_words(self, words: &[&str]) -> Self {
        let said = self.stderr.to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "{word:?} is missing in:\n{}", self.stderr);
        }
        self
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// The numbers of the summary, without those that tell how it went and not what came out.
    pub(crate) fn summary(&self) -> BTreeMap<String, u64> {
        let mut summary = self.whole_summary();
        summary.remove("commits");
        summary.remove("attempt");
        let of = |name: &str| summary[name];
        assert_eq!(
            of("read"),
            of("folded") + of("malformed") + of("late") + of("too_far_ahead"),
            "not every event is accounted for: {summary:?}"
        );
        assert_eq!(of("counted"), of("folded"), "the rows' counts must add up to what was folded: {summary:?}");
        summary
    }

    /// All numbers of the summary.
    pub(crate) fn whole_summary(&self) -> BTreeMap<String, u64> {
        let last = self.stdout.lines().last().unwrap_or_default();
        let parsed: BTreeMap<String, BTreeMap<String, u64>> =
            serde_json::from_str(last).unwrap_or_else(|e| panic!("the last line is no summary ({e}): {last:?}"));
        parsed["summary"].clone()
    }
}

/// A child whose output goes to files, so that no full pipe can stop it.
pub(crate) struct Running {
    child: Child,
    output: TempDir,
    since: Instant,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Self {
        let output = scratch();
        let file = |name: &str| fs::File::create(output.path().join(name)).expect("an output file can be made");
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Running { child, output, since: Instant::now() }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Waits until it has ended or the time is over; whether it ended.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while self.runs() {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Waits until `seen` holds; panics with what it said when it ends or the dead-line comes first.
    pub(crate) fn until(&mut self, what: &str, seen: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !seen() {
            let running = self.runs();
            assert!(running || seen(), "it ended before {what}:\n{}", self.said());
            assert!(Instant::now() < end, "nothing came of {what}:\n{}", self.said());
            thread::sleep(POLL);
        }
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("an own child can be killed");
    }

    /// Another signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own: a program of that name is not installed everywhere.
        let done = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.child.id())]).status();
        assert!(done.expect("a shell can be run").success(), "kill -s {name} failed");
    }

    /// Waits for the end, no longer than [`DEADLINE`].
    pub(crate) fn end(mut self) -> Ended {
        if !self.ends_within(DEADLINE) {
            self.kill();
            panic!("it hangs: no end within {DEADLINE:?}\n{}", self.said());
        }
        let status = self.child.wait().expect("an ended child has a status");
        let took = self.since.elapsed();
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        Ended { status, stdout, stderr, took }
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap_or_default()).into_owned()
    }

    fn said(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.read("stdout"), self.read("stderr"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that panics leaves nothing behind; a child that has ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with these arguments.
pub(crate) fn minuet<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minuet"));
    command.args(arguments).env_remove("FAILPOINTS").env_remove("RUST_LOG");
    command
}

/// Runs the binary to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    Running::start(&mut minuet(arguments)).end()
}

/// A pipeline on files: what it reads, and the folders it writes.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) dataflow: PathBuf,
    pub(crate) source: String,
    pub(crate) out: PathBuf,
    pub(crate) state: PathBuf,
}

impl Pipeline {
    /// A pipeline that reads `source` (a glob) and writes below `place`.
    pub(crate) fn new(dataflow: &Path, source: impl Into<String>, place: &Path) -> Self {
        Pipeline {
            dataflow: dataflow.to_owned(),
            source: source.into(),
            out: place.join("out"),
            state: place.join("state"),
        }
    }

    /// `minuet run` on it.
    pub(crate) fn command(&self, workers: usize) -> Command {
        let mut command = minuet(["run"]);
        command
            .arg(&self.dataflow)
            .arg("--source")
            .arg(format!("files:{}", self.source))
            .arg("--sink")
            .arg(format!("files:{}", self.out.display()))
            .arg("--state")
            .arg(format!("dir:{}", self.state.display()))
            .arg("-w")
            .arg(workers.to_string())
            .arg("--json");
        command
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

    /// The number of manifests stored.
    pub(crate) fn manifests(&self) -> Vec<PathBuf> {
        let pipeline = self.dataflow.file_name().expect("a dataflow's folder has a name");
        files(&self.state.join(pipeline).join("manifests"), &[".json"])
    }

    /// The parts stored.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let pipeline = self.dataflow.file_name().expect("a dataflow's folder has a name");
        files(&self.state.join(pipeline).join("parts"), &[".avro"])
    }
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

/// Dice (SplitMix64, by Steele, Lea and Flood) whose seed is printed: `MINUET_SEED=...` throws the same again.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Takes the seed from the environment, or from the clock, and says which.
    pub(crate) fn new(of: &str) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let fresh = now.expect("the clock is past 1970").as_nanos() as u64 % 1_000_000_007;
        let seed = match std::env::var("MINUET_SEED") {
            Ok(text) => text.parse().expect("MINUET_SEED is a number"),
            Err(_) => fresh,
        };
        println!("{of}: MINUET_SEED={seed}");
        Dice(seed)
    }

    /// The next number.
    pub(crate) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.throw() % (high - low)
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.throw() % of.len() as u64) as usize]
    }
}

#[test]
fn children_are_watched_killed_and_signalled() {
    let shell = |script: &str| Running::start(Command::new("sh").args(["-c", script]));
    let ended = shell("echo out; echo err >&2; exit 7").end().demand(7).demand_words(&["ERR"]);
    assert_eq!(ended.stdout, "out\n");
    let mut sleeping = shell("exec sleep 600");
    assert!(!sleeping.ends_within(Duration::from_millis(20)));
    sleeping.kill();
    assert!(sleeping.end().was_killed());
    let asked = shell("trap 'exit 143' TERM; while :; do sleep 0.01; done");
    thread::sleep(Duration::from_millis(200));
    asked.signal("TERM");
    asked.end().demand(143);
}
