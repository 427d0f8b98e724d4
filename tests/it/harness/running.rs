//! A child process under a dead-line, and how it ended.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{DEADLINE, POLL, scratch};

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

    /// Whether it has ended with 0.
    pub(crate) fn has_succeeded(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some_and(|status| status.success())
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

    /// Waits until it has said these words on standard error, in any case.
    pub(crate) fn until_said(&mut self, words: &[&str]) {
        let errors = self.output.path().join("stderr");
        self.until(&format!("{words:?}"), move || {
            let said = String::from_utf8_lossy(&fs::read(&errors).unwrap_or_default()).to_lowercase();
            words.iter().all(|word| said.contains(&word.to_lowercase()))
        });
    }

    /// The lines so far on standard error that have this in them.
    pub(crate) fn lines_with(&self, part: &str) -> Vec<String> {
        self.read("stderr").lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// The last line that it has said on standard error.
    pub(crate) fn last_words(&self) -> String {
        self.read("stderr").lines().last().unwrap_or_default().to_owned()
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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
            let threads = self.threads();
            self.kill();
            panic!("it hangs: no end within {DEADLINE:?}\n{}{threads}", self.said());
        }
        let status = self.child.wait().expect("an ended child has a status");
        let took = self.since.elapsed();
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        Ended { status, stdout, stderr, took }
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path().join(name)).unwrap_or_default()).into_owned()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.read("stdout"), self.read("stderr"))
    }

    /// What each of its threads does, as far as the system tells: its name, its state, where in the kernel it waits.
    fn threads(&self) -> String {
        let tasks = format!("/proc/{}/task", self.child.id());
        let read = |task: &fs::DirEntry, file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let mut said = String::from("\n--- threads\n");
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let status = read(&task, "status");
            let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            said += &format!("{} {} {}\n", of("Name:"), of("State:"), read(&task, "wchan"));
        }
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that panics leaves nothing behind; a child that has ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
