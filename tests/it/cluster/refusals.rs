//! What cannot be a cluster is refused with the reason, and whoever is refused harms nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::super::harness::{Ended, Hosts, Pipeline, Running, Shape, dataflow, scratch};
use super::{CONFIGURATION, TERMINATED, short};

const SHAPE: Shape = Shape { workers: 2, processes: 2 };

/// Runs one process that must be refused.
fn refused(command: &mut Command, words: &[&str]) -> Ended {
    Running::start(command).end().demand(CONFIGURATION).demand_words(words)
}

#[test]
fn one_that_does_not_belong_is_refused_and_the_right_one_is_taken() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let hosts = Hosts::fresh(3);
    let mut first = hosts.start(&pipeline, SHAPE, 0);
    first.until("its door", || std::net::TcpStream::connect(hosts.address(0)).is_ok());

    let other_plan = Pipeline { dataflow: dataflow("sensors-compact"), ..pipeline.clone() };
    refused(&mut hosts.command(&other_plan, SHAPE, 1), &["process 0", "dataflow"]);
    refused(&mut hosts.command(&pipeline, Shape::new(3, 2), 1), &["process 0", "--workers 3", "--workers 2"]);
    refused(&mut hosts.command(&pipeline, Shape::new(2, 3), 1), &["process 0", "--processes 3", "--processes 2"]);
    refused(&mut another_build(&hosts, &pipeline, &place.path().join("minuet")), &["process 0", "build"]);
    let secret = secret(&place.path().join("secret"), "a secret that only one of them knows");
    let mut knows = hosts.command(&pipeline, SHAPE, 1);
    refused(knows.arg("--cluster-secret-file").arg(secret), &["process 0", "secret"]);
    first.until_said(&["process 1 was refused", "another build", "--workers 3", "--processes 3"]);

    let second = hosts.start(&pipeline, SHAPE, 1);
    calm.demand(&pipeline, &first.end().demand(0).summary(), "after five were refused");
    second.end().demand(0);
}

/// The same program, but for a byte after its end that nobody reads.
fn another_build(hosts: &Hosts, pipeline: &Pipeline, to: &std::path::Path) -> Command {
    let mut program = fs::read(env!("CARGO_BIN_EXE_minuet")).unwrap();
    program.push(0);
    fs::write(to, program).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(to);
    command.args(hosts.command(pipeline, SHAPE, 1).get_args());
    command
}

fn secret(path: &std::path::Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    path.to_owned()
}

#[test]
fn who_does_not_know_the_secret_is_refused_and_who_does_is_taken() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    let right = secret(&place.path().join("right"), "open sesame, said Ali Baba\n");
    let wrong = secret(&place.path().join("wrong"), "open barley, said Cassim\n");
    let with = |process: usize, secret: &PathBuf| {
        let mut command = hosts.command(&pipeline, SHAPE, process);
        command.arg("--cluster-secret-file").arg(secret);
        command
    };
    let mut first = Running::start(&mut with(0, &right));
    first.until("its door", || std::net::TcpStream::connect(hosts.address(0)).is_ok());
    let said = refused(&mut with(1, &wrong), &["process 0", "another secret"]).stderr;
    assert!(!said.contains("barley") && !said.contains("sesame"), "the secret is told:\n{said}");
    refused(&mut hosts.command(&pipeline, SHAPE, 1), &["process 0", "another secret"]);
    first.until_said(&["turned away", "127.0.0.1:"]);
    let second = Running::start(&mut with(1, &right));
    calm.demand(&pipeline, &first.end().demand(0).summary(), "with a secret");
    second.end().demand(0);
}

#[test]
fn what_cannot_be_is_refused_at_once() {
    let place = scratch();
    let (_, pipeline) = short(place.path());
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let run = |workers: usize, flags: &[&str], hosts: &PathBuf| {
        let mut command = pipeline.command(workers);
        command.args(flags).arg("--hostfile").arg(hosts);
        command
    };
    let two = file("two", "127.0.0.1:9001\n127.0.0.1:9002\n");
    let of_two = ["-n", "2", "-p", "1"];
    refused(&mut run(1, &["-n", "2", "-p", "2"], &two), &["--process 2", "0 to 1"]);
    refused(&mut run(1, &["-n", "1", "-p", "1"], &two), &["--process 1"]);
    refused(&mut run(1, &["-n", "0"], &two), &["--processes 0"]);
    refused(&mut run(0, &of_two, &two), &["--workers 0"]);
    refused(&mut run(200, &of_two, &two), &["--workers 200", "256"]);
    refused(&mut run(1, &["-n", "3", "-p", "1"], &two), &["hostfile", "2", "3"]);
    let twice = file("twice", "127.0.0.1:9001\n127.0.0.1:9001\n");
    refused(&mut run(1, &of_two, &twice), &["127.0.0.1:9001", "process 0"]);
    let far = file("far", "127.0.0.1:9001\n192.0.2.7:9002\n");
    refused(&mut run(1, &of_two, &far), &["192.0.2.7:9002", "--cluster-secret-file"]);
    let no_port = file("no-port", "127.0.0.1:9001\n127.0.0.1\n");
    refused(&mut run(1, &of_two, &no_port), &["host:port"]);
    refused(&mut run(1, &of_two, &place.path().join("missing")), &["missing", "hostfile"]);
    let short = file("short", "abc");
    refused(run(1, &of_two, &two).arg("--cluster-secret-file").arg(short), &["secret", "3 bytes"]);
    assert!(
        pipeline.manifests().is_empty() && pipeline.rows().is_empty(),
        "one that was refused has written something"
    );
}

#[test]
fn one_that_waits_ends_when_it_is_asked_to() {
    let place = scratch();
    let (_, pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    for process in 0..2 {
        let mut waits = hosts.start(&pipeline, SHAPE, process);
        waits.until("its door", || std::net::TcpStream::connect(hosts.address(process)).is_ok());
        waits.signal("TERM");
        waits.end().demand(TERMINATED);
    }
    assert!(pipeline.manifests().is_empty(), "it began alone");
}

#[test]
fn processes_that_mean_different_sources_are_refused() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    let fewer = Pipeline { source: pipeline.source.replace('*', "*[0-3].events"), ..pipeline.clone() };
    let first = hosts.start(&pipeline, SHAPE, 0);
    refused(&mut hosts.command(&fewer, SHAPE, 1), &["--source", "partitions"]);
    first.end().demand(super::PEER).demand_words(&["process 1", "--source"]);
    super::demand_end(&calm, &pipeline, SHAPE);
}
