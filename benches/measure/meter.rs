//! CPU time, wall time and resident memory of a piece of work.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// CPU time (user and system) of this thread so far.
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Time on the wall.
    pub wall: Duration,
    /// Largest resident memory while it went on.
    pub peak_rss: u64,
}

/// Runs from its start until it is read.
pub struct Meter {
    cpu: Duration,
    begin: Instant,
}

impl Meter {
    /// Begins; the largest resident memory is forgotten.
    pub fn start() -> Self {
        // Where the system does not allow it, the peak is that of the process so far.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Meter { cpu: read(ClockId::ProcessCPUTime), begin: Instant::now() }
    }

    /// What it took until now.
    pub fn read(&self) -> Cost {
        let wall = self.begin.elapsed();
        Cost { cpu: read(ClockId::ProcessCPUTime) - self.cpu, wall, peak_rss: peak_rss() }
    }
}

/// Bytes; 0 where the system does not tell.
fn peak_rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
