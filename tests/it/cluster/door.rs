//! Strangers at the port of a process: named in the log, dropped, and nobody is harmed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::super::harness::{Hosts, Running, Shape, scratch};
use super::{long, short, under_way};

const SHAPE: Shape = Shape { workers: 1, processes: 2 };

/// Connections of a flood: several times as many as a door has room for.
const FLOOD: usize = 300;

/// How long a stranger may be kept waiting for its connection to be closed.
const DROPPED_WITHIN: Duration = Duration::from_secs(15);

fn knock(hosts: &Hosts, process: usize) -> TcpStream {
    let stream = TcpStream::connect(hosts.address(process)).unwrap_or_else(|e| panic!("process {process}: {e}"));
    stream.set_read_timeout(Some(DROPPED_WITHIN)).unwrap();
    stream.set_write_timeout(Some(DROPPED_WITHIN)).unwrap();
    stream
}

/// Demands that the other side closes a connection, after whatever it may say.
fn demand_dropped(mut stream: TcpStream, who: &str) {
    let mut said = Vec::new();
    if let Err(cause) = stream.read_to_end(&mut said) {
        let kept = matches!(cause.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        assert!(!kept, "a {who} client is kept for more than {DROPPED_WITHIN:?}");
    }
    assert!(said.len() < 1_000, "a {who} client was told {} bytes", said.len());
}

fn name(stream: &TcpStream) -> String {
    stream.local_addr().unwrap().to_string()
}

fn wait_for_door(process: &mut Running, hosts: &Hosts, number: usize) {
    process.until("its door", || TcpStream::connect(hosts.address(number)).is_ok());
}

#[test]
fn silent_and_babbling_strangers_are_named_and_dropped() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    let mut first = hosts.start(&pipeline, SHAPE, 0);
    wait_for_door(&mut first, &hosts, 0);
    let silent = knock(&hosts, 0);
    let mut babbling = knock(&hosts, 0);
    babbling.write_all("GET / HTTP/1.1\r\nHost: minuet\r\n\r\n".repeat(20).as_bytes()).unwrap();
    let mut half = knock(&hosts, 0);
    half.write_all(b"minuet\0\x01").unwrap();
    let hangs_up = knock(&hosts, 0);
    let names = [name(&babbling), name(&hangs_up), name(&silent), name(&half)];
    drop(hangs_up);
    demand_dropped(babbling, "babbling");
    first.until_said(&[&names[0], "does not speak"]);
    first.until_said(&[&names[1], "hung up"]);
    demand_dropped(silent, "silent");
    demand_dropped(half, "half-hearted");
    first.until_said(&[&names[2], &names[3], "silent"]);
    let second = hosts.start(&pipeline, SHAPE, 1);
    calm.demand(&pipeline, &first.end().demand(0).summary(), "after strangers");
    second.end().demand(0);
}

#[test]
fn a_flood_of_strangers_keeps_no_peer_out() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let hosts = Hosts::fresh(2);
    let mut first = hosts.start(&pipeline, SHAPE, 0);
    wait_for_door(&mut first, &hosts, 0);
    let flood: Vec<TcpStream> = (0..FLOOD).map(|_| knock(&hosts, 0)).collect();
    first.until_said(&["turned away", "127.0.0.1:"]);
    let second = hosts.start(&pipeline, SHAPE, 1);
    let ended = first.end().demand(0);
    second.end().demand(0);
    calm.demand(&pipeline, &ended.summary(), "under a flood");
    let lines = ended.stderr.lines().count();
    assert!(lines < FLOOD / 2, "a flood of {FLOOD} makes {lines} lines of log");
    drop(flood);
}

#[test]
fn strangers_of_a_run_under_way_are_dropped_too() {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let cluster = under_way(&pipeline, SHAPE);
    let strangers: Vec<TcpStream> = (0..2)
        .map(|process| {
            let mut stream = knock(&cluster.hosts, process);
            // More than any buffer between takes; that it is cut off in the middle is as it should be.
            let _ = stream.write_all(&vec![0xa5; 16 << 20]);
            stream
        })
        .collect();
    let silent = knock(&cluster.hosts, 0);
    let names: Vec<String> = strangers.iter().map(name).collect();
    strangers.into_iter().for_each(|stream| demand_dropped(stream, "flooding"));
    let ended: Vec<_> = cluster.end().into_iter().map(|one| one.demand(0)).collect();
    for (one, name) in ended.iter().zip(&names) {
        assert!(one.stderr.contains(name.as_str()), "{name} is missing in:\n{}", one.stderr);
    }
    calm.demand(&pipeline, &ended[0].summary(), "with strangers at both doors");
    drop(silent);
}
