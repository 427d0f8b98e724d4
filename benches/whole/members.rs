//! A run in one process, and in several: the bench starts itself once more for each, and adds up what they took.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minuet::cluster::{Begin, Hosts, Mesh, Outcome, begin, join};
use minuet::connect::Keeper;
use minuet::connect::files::FolderStore;
use minuet::connect::files::rows::RowLines;
use minuet::connect::memory::MemoryStore;
use minuet::dataflow::{Combine, Fate, Job};
use minuet::plan::Plan;
use minuet::snapshot::{From, History, Store};
use minuet::time::Clock;

use super::edges::{Dropped, Pooled, Tally};
use super::measure::{Ask, Cost, Figures, Meter, Pool};

/// Manifests that a run keeps.
const KEPT: usize = 3;

/// One process, with its snapshots in memory.
pub fn alone(plan: &Arc<Plan>, pool: &Arc<Pool>, workers: usize) -> Figures {
    let hosts = Hosts::alone(workers).expect("the shape is good");
    let figures = run(plan, pool, &hosts, Arc::new(MemoryStore::default()), Combine::Off);
    assert_eq!(figures.events, pool.events());
    figures
}

/// Several processes that share a folder for their snapshots.
pub fn together(ask: &Ask, sources: u64, events: u64, processes: usize, workers: usize) -> Figures {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let hostfile = place.path().join("hosts");
    std::fs::write(&hostfile, addresses(processes).join("\n")).expect("a file can be written there");
    let start = |member: usize| {
        let mut command = Command::new(std::env::current_exe().expect("a program knows its file"));
        let numbers = [("events", ask.events), ("sources", sources), ("member", member as u64)];
        let shape = [("processes", processes as u64), ("workers", workers as u64)];
        for (name, number) in numbers.into_iter().chain(shape) {
            command.arg(format!("--{name}={number}"));
        }
        let place = [("hostfile", &*hostfile), ("state", &*place.path().join("state"))];
        for (name, path) in place {
            command.arg(format!("--{name}")).arg(path);
        }
        command.arg("--combine").arg(&ask.combine).stdout(Stdio::piped());
        command.spawn().expect("the bench can be started once more")
    };
    let members: Vec<Child> = (0..processes).map(start).collect();
    let all = members.into_iter().map(told).reduce(|one, other| Figures {
        cost: Cost {
            cpu: one.cost.cpu + other.cost.cpu,
            wall: one.cost.wall.max(other.cost.wall),
            peak_rss: one.cost.peak_rss + other.cost.peak_rss,
        },
        making: one.making + other.making,
        makers: one.makers + other.makers,
        events: one.events + other.events,
        state: one.state.max(other.state),
    });
    let all = all.expect("there are several");
    assert_eq!(all.events, events);
    all
}

/// Ports of this machine that nobody listens on.
fn addresses(processes: usize) -> Vec<String> {
    let ports: Vec<TcpListener> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("there is a free port")).collect();
    ports.iter().map(|port| port.local_addr().expect("it is bound").to_string()).collect()
}

/// What a member said that it took.
fn told(mut member: Child) -> Figures {
    let out = BufReader::new(member.stdout.take().expect("its output is piped"));
    let last = out.lines().map_while(Result::ok).last().unwrap_or_default();
    assert!(member.wait().is_ok_and(|status| status.success()), "a member failed: {last}");
    let numbers: Vec<u64> = last.split(' ').map(|number| number.parse().expect("a member says numbers")).collect();
    let &[cpu, wall, peak_rss, making, makers, events, state] = numbers.as_slice() else { panic!("{last}") };
    let (cpu, wall, making) = (Duration::from_nanos(cpu), Duration::from_nanos(wall), Duration::from_nanos(making));
    Figures { cost: Cost { cpu, wall, peak_rss }, making, makers: makers as u32, events, state }
}

/// Runs as a member, and says what that took.
pub fn take_part(ask: &Ask, plan: &Arc<Plan>, member: usize) {
    let (processes, workers) = ask.shapes().next().expect("a member has a shape");
    let hosts = Hosts::read(workers, processes, member, ask.hostfile.as_deref(), None).expect("the shape is good");
    let state = ask.state.as_deref().unwrap_or(Path::new("state"));
    let store = Arc::new(FolderStore::open(state).expect("a folder can be made there"));
    let pool = Arc::new(Pool::new(plan, ask.events, ask.sources[0]));
    let combine: Combine = ask.combine.parse().expect("a choice of folding");
    let Figures { cost, making, makers, events, state } = run(plan, &pool, &hosts, store, combine);
    let [cpu, wall, making] = [cost.cpu, cost.wall, making].map(|time| time.as_nanos());
    println!("{cpu} {wall} {} {making} {makers} {events} {state}", cost.peak_rss);
}

fn run(plan: &Arc<Plan>, pool: &Arc<Pool>, hosts: &Hosts, store: Arc<dyn Store>, combine: Combine) -> Figures {
    let source = Pooled(Arc::clone(pool));
    let sink = Dropped(RowLines::new(plan.layout.columns()));
    let history = History::new(store, &plan.name);
    let clock: Clock =
        Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64));
    let fate = Fate::default();
    let mesh = Mesh::meet(hosts, plan, &fate).expect("the members find each other");
    let mut mesh = mesh.expect("nobody stops them");
    let how = Begin { from: From::Newest, owner: "bench".to_owned() };
    let claim = || begin(plan, &source, &sink, &history, &clock, KEPT, &how);
    let begun = mesh.begin(claim, |claim, partitions| join(plan, &source, &sink, &history, claim, partitions));
    let resume = begun.expect("an empty pipeline begins").expect("nobody stops it");
    let tally = Arc::new(Tally::default());
    let job = Job {
        plan: Arc::clone(plan),
        source: Arc::new(source),
        sink: Arc::new(sink),
        archive: Arc::new(Keeper::new(history, KEPT)),
        observer: Arc::clone(&tally) as _,
        clock,
        resume: Arc::new(resume),
        fate,
        combine: combine.across(hosts.processes()),
    };
    pool.making();
    let meter = Meter::start();
    let outcome = mesh.launch(&job).expect("nothing can fail here");
    let cost = meter.read();
    assert_eq!(outcome, Outcome::Finished);
    mesh.part(&Ok(outcome));
    let (events, state) = (tally.read.load(Ordering::Relaxed), tally.state.load(Ordering::Relaxed));
    Figures { cost, making: pool.making(), makers: hosts.workers as u32, events, state }
}
