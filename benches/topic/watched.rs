//! A child process and what it takes, as the system counts it.

use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Ticks in a second, in which Linux counts CPU time for those who look from outside.
const TICKS: f64 = 100.0;

/// What a child has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
    /// Largest resident memory, in bytes.
    pub peak_rss: u64,
}

/// A child under way.
pub struct Watched {
    child: Child,
    began: Instant,
}

impl Watched {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Watched { child, began: Instant::now() }
    }

    /// Waits until it ends by itself.
    pub fn end_of_it(mut self, patience: Duration) -> Taken {
        let mut taken = Taken::default();
        loop {
            taken = self.taken().unwrap_or(taken);
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                assert!(status.success(), "it failed: {status}");
                return taken;
            }
            assert!(self.began.elapsed() < patience, "it has not ended");
            sleep(LOOK);
        }
    }

    /// Waits until something is true of what it has done, and kills it.
    pub fn until(mut self, patience: Duration, done: impl Fn() -> bool) -> Taken {
        while !done() {
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended before it was done: {ended:?}");
            assert!(self.began.elapsed() < patience, "nothing came of it");
            sleep(LOOK);
        }
        let taken = self.so_far();
        self.child.kill().and_then(|()| self.child.wait()).expect("it can be ended");
        taken
    }

    /// What it has taken so far; it must still run.
    pub fn so_far(&self) -> Taken {
        self.taken().expect("it is still there")
    }

    /// What it has taken so far; none where it has ended.
    fn taken(&self) -> Option<Taken> {
        let place = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{place}/stat")).ok()?;
        // The name may hold anything, so fields are counted from behind it: state is the first, utime the twelfth.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        let cpu = Duration::from_secs_f64((ticks()? + ticks()?) / TICKS);
        let status = fs::read_to_string(format!("{place}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(Taken { cpu, wall: self.began.elapsed(), peak_rss: kib * 1024 })
    }
}
