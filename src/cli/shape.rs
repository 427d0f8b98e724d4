//! The shape of a run: how many workers and processes, and which of them this is. The letters are those of timely.

use std::path::PathBuf;

use crate::cluster::Hosts;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Workers and processes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shape")]
pub struct ShapeArgs {
    /// Worker threads of each process.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// Processes.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    pub processes: usize,
    /// The number of this process, from 0.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub process: usize,
    /// A file with the address of each process, one host:port a line; localhost from port 2101 unless given.
    #[arg(short = 'h', long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// A file with the secret of the cluster; without one, all processes must be on this machine.
    #[arg(long, value_name = "FILE", env = "MINUET_CLUSTER_SECRET_FILE")]
    pub cluster_secret_file: Option<PathBuf>,
}

impl ShapeArgs {
    /// The hosts of a run.
    pub(super) fn hosts(&self) -> Result<Hosts> {
        let ShapeArgs { workers, processes, process, hostfile, cluster_secret_file } = self;
        Hosts::read(*workers, *processes, *process, hostfile.as_deref(), cluster_secret_file.as_deref())
    }
}

/// Every slot must be able to own a key group.
pub(super) fn fits(hosts: &Hosts, plan: &Plan) -> Result<()> {
    if hosts.slots() <= plan.key_groups as usize {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "--workers {} in {} process(es) are {} slots; allowed are {}: the pipeline has as many key groups",
        hosts.workers,
        hosts.processes(),
        hosts.slots(),
        plan.key_groups
    )))
}
