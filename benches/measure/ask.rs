//! What a bench is asked to do.

use std::path::PathBuf;

use clap::Parser;

/// Measures; nothing is asserted of the figures.
#[derive(Debug, Parser)]
pub struct Ask {
    /// Events of each case. The default takes seconds and shows that the bench works; a figure to keep needs 6 million or more.
    #[arg(long, env = "MINUET_BENCH_EVENTS", default_value_t = 200_000)]
    pub events: u64,
    /// Numbers of sources.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    pub sources: Vec<u64>,
    /// Numbers of worker threads (whole only).
    #[arg(short, long, value_delimiter = ',', default_values_t = [1, 2])]
    pub workers: Vec<usize>,
    /// Numbers of processes (whole only).
    #[arg(short = 'n', long, value_delimiter = ',', default_values_t = [1, 2])]
    pub processes: Vec<usize>,
    /// Whether several processes fold before the exchange: auto, on, off (whole only).
    #[arg(long, default_value = "auto")]
    pub combine: String,
    /// Runs of each case; the one that took the least CPU is shown.
    #[arg(long, default_value_t = 1)]
    pub repeat: usize,
    /// Minutes of a steady load (topic only): of a commit a minute, a p99 needs 100.
    #[arg(long, default_value_t = 1)]
    pub minutes: u64,
    /// Only cases and parts whose name holds this.
    #[arg(long)]
    pub only: Option<String>,
    /// Also write the figures to benches/runs, under the date and this word.
    #[arg(long, value_name = "WORD")]
    pub record: Option<String>,
    /// Given to each process of several: its number, the hosts, and where its snapshots go.
    #[arg(long, hide = true)]
    pub member: Option<usize>,
    /// See `member`.
    #[arg(long, hide = true)]
    pub hostfile: Option<PathBuf>,
    /// See `member`.
    #[arg(long, hide = true)]
    pub state: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Ask {
    /// Processes and workers of each, in all combinations.
    pub fn shapes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.processes.iter().flat_map(|processes| self.workers.iter().map(|workers| (*processes, *workers)))
    }

    /// Whether a case of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}
