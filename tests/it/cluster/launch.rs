//! `minuet launch`: all processes of one machine, as one.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use super::super::harness::{Ended, Hosts, Pipeline, Running, Shape, minuet, scratch};
use super::{CONFIGURATION, INTERRUPTED, KILLED, TERMINATED, demand_end, long, short};

/// How long all may take to end together.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// `minuet launch` of two processes of two workers each.
fn launch(pipeline: &Pipeline, hosts: &Hosts) -> Command {
    let run = pipeline.command(2);
    let mut command = minuet(["launch", "-n", "2", "--hostfile"]);
    command.arg(hosts.file()).arg("--").args(run.get_args());
    command
}

/// The lines that a process has printed, without what is in front of them.
fn lines_of(ended: &Ended, process: usize) -> Vec<String> {
    let prefix = format!("[{process}] ");
    ended.stdout.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

/// Starts a launch and waits until it has committed something; gives its processes too.
fn under_way(pipeline: &Pipeline, hosts: &Hosts) -> (Running, Vec<u32>) {
    let mut running = Running::start(&mut launch(pipeline, hosts));
    running.until("open windows in its state", || pipeline.has_state() || pipeline.is_finished());
    assert!(!pipeline.is_finished(), "the run was over before it could be disturbed; give it more events");
    let children = children(&running);
    assert_eq!(children.len(), 2, "{children:?}");
    (running, children)
}

/// Demands that it ends soon, and that none of its processes is left.
fn demand_gone(mut running: Running, hosts: &Hosts) -> Ended {
    assert!(running.ends_within(ENDS_WITHIN), "it does not end");
    for process in 0..2 {
        let free = TcpListener::bind(hosts.address(process));
        assert!(free.is_ok(), "process {process} is still there: {free:?}");
    }
    running.end()
}

/// The processes that a launch has started, the first first.
fn children(running: &Running) -> Vec<u32> {
    let launcher = running.id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state parent: the name may hold anything but is the last in brackets.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        if rest.split_whitespace().nth(1) == Some(&launcher) {
            found.push(entry.file_name().to_string_lossy().parse().unwrap());
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn all_processes_are_started_and_their_lines_are_told_apart() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let ended = Running::start(&mut launch(&pipeline, &Hosts::fresh(2))).end().demand(0);
    let lines = [lines_of(&ended, 0), lines_of(&ended, 1)];
    assert_eq!(lines[0].len() + lines[1].len(), ended.stdout.lines().count(), "{}", ended.stdout);
    let of = |process: usize| Ended {
        stdout: lines[process].join("\n"),
        stderr: String::new(),
        status: ended.status,
        took: ended.took,
    };
    calm.demand(&pipeline, &of(0).summary(), "launched");
    let (process, read) = of(1).read();
    assert!(process == 1 && read > 0, "{lines:?}");
}

#[test]
fn a_signal_is_passed_on_and_all_end() {
    let place = scratch();
    let (calm, _) = long(place.path());
    for (signal, code) in [("TERM", TERMINATED), ("INT", INTERRUPTED)] {
        let pipeline = calm.at(&place.path().join(signal));
        let hosts = Hosts::fresh(2);
        let (running, _) = under_way(&pipeline, &hosts);
        running.signal(signal);
        demand_gone(running, &hosts).demand(code);
        demand_end(&calm, &pipeline, Shape::new(1, 3));
    }
}

#[test]
fn the_exit_code_is_that_of_the_process_to_blame() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let hosts = Hosts::fresh(2);
    let (running, children) = under_way(&pipeline, &hosts);
    let victim = children[1].to_string();
    assert!(Command::new("sh").args(["-c", &format!("kill -s KILL {victim}")]).status().unwrap().success());
    let ended = demand_gone(running, &hosts).demand(KILLED);
    assert!(ended.stderr.contains("[0] ") && ended.stderr.contains("process 1 "), "{}", ended.stderr);
    demand_end(&calm, &pipeline, Shape::new(3, 1));
}

#[test]
fn what_cannot_be_launched_is_refused() {
    let place = scratch();
    let (_, mut pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    pipeline.source = place.path().join("nothing-*").display().to_string();
    let ended = Running::start(&mut launch(&pipeline, &hosts)).end().demand(CONFIGURATION);
    assert!(ended.stderr.contains("nothing-*"), "{}", ended.stderr);
    let file = hosts.file().display().to_string();
    super::super::harness::run(["launch", "-n", "0", "--hostfile", &file, "--", "run"]).demand(2);
    super::super::harness::run(["launch", "-n", "2", "--", "check", "dataflows/sensors"]).demand(CONFIGURATION);
}
