//! What the system says of this process.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// Its resident memory; `None` where the system does not tell.
pub(super) fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// The processor time that all of its threads have used.
pub(super) fn cpu_ms() -> Option<u64> {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(used.tv_sec * 1_000 + used.tv_nsec / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_uses_time() {
        if cfg!(target_os = "linux") {
            assert!(memory_bytes().unwrap() > 100_000);
        }
        let (before, mut sum) = (cpu_ms().unwrap(), 0_u64);
        while cpu_ms().unwrap() < before + 5 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
