//! Several processes of one pipeline: started together, disturbed one by one, ended together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{Ended, POLL, Pipeline, Running, WORKERS, scratch};

/// The process counts that every result is compared over.
const PROCESSES: [usize; 3] = [1, 2, 3];

/// Ports to try: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// How many processes of how many workers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) workers: usize,
    pub(crate) processes: usize,
}

impl Shape {
    pub(crate) fn new(workers: usize, processes: usize) -> Self {
        Shape { workers, processes }
    }

    /// All shapes that results are compared over.
    pub(crate) fn all() -> Vec<Shape> {
        PROCESSES.into_iter().flat_map(|n| WORKERS.into_iter().map(move |w| Shape::new(w, n))).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-w {} -n {}", self.workers, self.processes)
    }
}

/// A port that nobody listens on, and that no other test of this program is given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    for _ in 0..10_000 {
        // Chance, not order: several test programs may run on a machine at once.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let mixed = (now ^ (u64::from(std::process::id()) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let port = PORTS.start + (mixed >> 40) as u16 % (PORTS.end - PORTS.start);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port is found");
}

/// Where the processes of a cluster listen.
pub(crate) struct Hosts {
    place: TempDir,
    ports: Vec<u16>,
}

impl Hosts {
    /// Free ports of this machine.
    pub(crate) fn fresh(processes: usize) -> Self {
        Hosts::on((0..processes).map(|_| free_port()).collect())
    }

    /// These ports.
    pub(crate) fn on(ports: Vec<u16>) -> Self {
        let hosts = Hosts { place: scratch(), ports };
        let lines: String = (0..hosts.ports.len()).map(|process| hosts.address(process) + "\n").collect();
        fs::write(hosts.file(), lines).unwrap();
        hosts
    }

    /// The hostfile.
    pub(crate) fn file(&self) -> PathBuf {
        self.place.path().join("hosts")
    }

    /// The port of a process.
    pub(crate) fn port(&self, process: usize) -> u16 {
        self.ports[process]
    }

    /// The address of a process.
    pub(crate) fn address(&self, process: usize) -> String {
        format!("127.0.0.1:{}", self.ports[process])
    }

    /// `minuet run` as one of the processes.
    pub(crate) fn command(&self, pipeline: &Pipeline, shape: Shape, process: usize) -> Command {
        let mut command = pipeline.command(shape.workers);
        command.args(["-n", &shape.processes.to_string(), "-p", &process.to_string(), "--hostfile"]).arg(self.file());
        command
    }

    /// Starts one of the processes.
    pub(crate) fn start(&self, pipeline: &Pipeline, shape: Shape, process: usize) -> Running {
        Running::start(&mut self.command(pipeline, shape, process))
    }
}

/// All processes of a run.
pub(crate) struct Cluster {
    pub(crate) shape: Shape,
    pub(crate) hosts: Hosts,
    processes: Vec<Running>,
}

impl Cluster {
    /// Starts all, on free ports.
    pub(crate) fn start(pipeline: &Pipeline, shape: Shape) -> Self {
        let hosts = Hosts::fresh(shape.processes);
        let processes = (0..shape.processes).map(|process| hosts.start(pipeline, shape, process)).collect();
        Cluster { shape, hosts, processes }
    }

    /// One of the processes.
    pub(crate) fn process(&mut self, process: usize) -> &mut Running {
        &mut self.processes[process]
    }

    /// Starts an ended one again, as it was; gives how it had ended.
    pub(crate) fn revive(&mut self, pipeline: &Pipeline, process: usize) -> Ended {
        let again = self.hosts.start(pipeline, self.shape, process);
        std::mem::replace(&mut self.processes[process], again).end()
    }

    /// The processes that still run.
    pub(crate) fn running(&mut self) -> Vec<usize> {
        (0..self.processes.len()).filter(|process| self.processes[*process].runs()).collect()
    }

    /// Waits until all but these have ended or the time is over; whether they ended.
    pub(crate) fn ends_within(&mut self, time: Duration, but: &[usize]) -> bool {
        let end = Instant::now() + time;
        while self.running().iter().any(|process| !but.contains(process)) {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// What all processes have said so far.
    pub(crate) fn said(&self) -> String {
        self.processes.iter().map(Running::said).collect()
    }

    /// SIGKILL to all that still run.
    pub(crate) fn kill(mut self) {
        self.processes.iter_mut().for_each(Running::kill);
    }

    /// Takes all processes, by number.
    pub(crate) fn into_processes(self) -> Vec<Running> {
        self.processes
    }

    /// Waits for the end of all.
    pub(crate) fn end(self) -> Vec<Ended> {
        self.processes.into_iter().map(Running::end).collect()
    }

    /// Demands that all end with 0; gives how process 0 ended, which has the summary.
    pub(crate) fn succeed(self) -> Ended {
        let mut ended = self.end().into_iter().map(|one| one.demand(0)).collect::<Vec<_>>();
        for (process, other) in ended.iter().enumerate().skip(1) {
            assert_eq!(other.read().0, process, "process {process} said {:?}", other.stdout);
        }
        ended.swap_remove(0)
    }
}

impl Ended {
    /// What another process than the first says in the end: its number and how many events it read.
    pub(crate) fn read(&self) -> (usize, u64) {
        let line: BTreeMap<String, u64> = serde_json::from_str(self.stdout.trim())
            .unwrap_or_else(|e| panic!("that is not one line of numbers ({e}): {:?}", self.stdout));
        assert_eq!(line.len(), 2, "{line:?}");
        (line["process"] as usize, line["read"])
    }
}

impl Pipeline {
    /// Runs it to its end in a shape; gives how process 0 ended.
    pub(crate) fn run_in(&self, shape: Shape) -> Ended {
        Cluster::start(self, shape).succeed()
    }
}
