//! A running job, asked: every endpoint, every sentence of `minuet why` that can be brought about, and clients that behave badly.

mod away;
mod exposition;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::harness::{Hosts, Pipeline, Running, Shape, Undisturbed, free_port, minuet, scratch};

const OUTSIDE: i32 = 69;
const INTERRUPTED: i32 = 130;

/// A pipeline that takes some time, and where it tells of itself.
fn job(place: &Path) -> (Undisturbed, Pipeline, String) {
    job_of(place, "400000")
}

/// The same of so many events.
fn job_of(place: &Path, events: &str) -> (Undisturbed, Pipeline, String) {
    let settings = [("seed", "61"), ("events", events), ("sources", "300"), ("rate", "100"), ("partitions", "5")];
    let calm = Undisturbed::generate("sensors", place, &settings);
    let address = format!("127.0.0.1:{}", free_port());
    let mut pipeline = calm.at(&place.join("run"));
    pipeline.flags = vec!["--http".to_owned(), address.clone()];
    (calm, pipeline, address)
}

/// The number and the body of an answer; none where nobody answers.
fn ask(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The body of an answer that must be good.
fn good(address: &str, path: &str) -> String {
    let (code, body) = ask(address, path).unwrap_or_else(|| panic!("nobody answers to {path}"));
    assert_eq!(code, 200, "{path}: {body}");
    body
}

/// What `minuet why` says.
fn why(address: &str, arguments: &[&str]) -> String {
    Running::start(minuet(["why", "--http", address]).args(arguments)).end().demand(0).stdout
}

/// Waits until it has committed some minutes.
fn committed(running: &mut Running, pipeline: &Pipeline) {
    running.until("open windows in its state", || pipeline.has_state() || pipeline.is_finished());
    assert!(!pipeline.is_finished(), "the run was over before it could be asked; give it more events");
}

/// A minute of the newest commit in a ledger that closed one.
fn minute_of(ledger: &str) -> Option<u64> {
    let commits: Vec<Value> = serde_json::from_str(ledger).ok()?;
    commits.iter().find_map(|commit| commit["minutes"].get(0)?["minute"].as_u64())
}

#[test]
fn a_running_job_tells_of_itself() {
    let place = scratch();
    let (calm, pipeline, at) = job(place.path());
    let mut running = pipeline.start(2);
    running.until("a commit of minutes", || {
        ask(&at, "/api/v1/ledger").is_some_and(|(_, body)| minute_of(&body).is_some())
    });
    assert!(good(&at, "/livez").contains("2 worker loops turn"));
    assert!(good(&at, "/readyz").contains("it has resumed"));
    let families = exposition::parse(&good(&at, "/metrics"));
    let status: Value = serde_json::from_str(&good(&at, "/api/v1/status")).unwrap();
    let newest = minute_of(&good(&at, "/api/v1/ledger")).expect("it was there before");
    assert_eq!(ask(&at, "/nothing").unwrap().0, 404);
    let oldest = why(&at, &[]);
    let source = why(&at, &["--source", "sensor_1"]);
    let future = why(&at, &["--minute", "2100-01-01 00:00"]);
    let closed = why(&at, &["--minute", &(newest * 60_000).to_string()]);
    calm.demand(&pipeline, &running.end().demand(0).summary(), "a run that was asked");

    for name in
        ["minuet_events_read_total", "minuet_commits_total", "minuet_watermark_lag_seconds", "minuet_flush_seconds"]
    {
        assert!(families.get(name).is_some_and(|samples| !samples.is_empty()), "{name} is not in {families:?}");
    }
    assert_eq!(families["minuet_ready"][0].value, 1.0);
    assert_eq!(families["minuet_events_rejected_total"].len(), 3 * 5, "three reasons for each of five partitions");
    assert_eq!((&status["stage"], &status["about"]["pipeline"]), (&"running".into(), &"sensors".into()));
    assert_eq!(status["run"]["partitions"].as_array().unwrap().len(), 5);
    assert!(status["run"]["oldest_open"]["held_by"].as_u64().is_some_and(|held_by| held_by < 5), "{status}");
    assert!(oldest.starts_with("the oldest minute that is not complete is "), "{oldest}");
    assert!(oldest.contains("partition ") && oldest.contains(" and must come to "), "{oldest}");
    assert!(source.contains("is in key group ") && source.contains("is not known"), "{source}");
    assert!(future.contains(" is in the future: "), "{future}");
    assert!(closed.contains(" was committed at ") || closed.contains(" was closed before "), "{closed}");
}

#[test]
fn a_job_whose_processes_have_not_met_is_not_ready() {
    let place = scratch();
    let (_, pipeline, at) = job(place.path());
    let hosts = Hosts::fresh(2);
    let mut alone = hosts.start(&pipeline, Shape::new(1, 2), 0);
    alone.until("an answer of one that waits", || ask(&at, "/readyz").is_some_and(|(_, body)| body.contains("meets")));
    assert_eq!(ask(&at, "/readyz").unwrap().0, 503);
    assert!(good(&at, "/livez").contains("it meets the other processes"), "a restart would not help");
    exposition::parse(&good(&at, "/metrics"));
    assert_eq!(why(&at, &[]), "nothing is read yet: the job waits for its other processes\n");
    alone.signal("INT");
    alone.end().demand(INTERRUPTED);
}

#[test]
fn clients_that_babble_or_dawdle_harm_nothing() {
    let place = scratch();
    let (calm, pipeline, at) = job(place.path());
    let mut running = pipeline.start(1);
    committed(&mut running, &pipeline);
    let slow: Vec<TcpStream> = (0..20).filter_map(|_| TcpStream::connect(&at).ok()).collect();
    for mut stream in &slow {
        stream.write_all(b"GET /met").unwrap();
    }
    let babbling = TcpStream::connect(&at).unwrap();
    thread::spawn(move || {
        // Until it is let go of.
        while (&babbling).write_all(&[b'x'; 4096]).is_ok() {}
    });
    assert!(good(&at, "/livez").contains("turn"));
    calm.demand(&pipeline, &running.end().demand(0).summary(), "a run with bad clients");
}

#[test]
fn each_process_of_a_launch_tells_of_itself_at_its_own_port() {
    let place = scratch();
    let (_, mut pipeline, _) = job(place.path());
    let hosts = Hosts::fresh(2);
    let followed = |port: &u16| TcpListener::bind(("127.0.0.1", port + 1)).is_ok();
    let first = std::iter::repeat_with(free_port).find(followed).expect("it does not end");
    // The flag, and the environment where there is none.
    for given in ["flag", "environment"] {
        let at = |process: u16| format!("127.0.0.1:{}", first + process);
        pipeline.flags = if given == "flag" { vec!["--http".to_owned(), at(0)] } else { Vec::new() };
        let mut launch = minuet(["launch", "-n", "2", "--hostfile"]);
        launch.arg(hosts.file()).arg("--").args(pipeline.command(1).get_args());
        if given == "environment" {
            launch.env("MINUET_HTTP", at(0));
        }
        let mut running = Running::start(&mut launch);
        for process in [0, 1] {
            running.until("an answer", || ask(&at(process), "/livez").is_some());
            let status: Value = serde_json::from_str(&good(&at(process), "/api/v1/status")).unwrap();
            assert_eq!(status["about"]["process"], process, "{given}: {status}");
        }
        running.signal("INT");
        running.end().demand(INTERRUPTED);
    }
}

#[test]
fn a_usual_port_that_is_taken_is_a_warning() {
    let place = scratch();
    let (calm, mut pipeline, _) = job(place.path());
    pipeline.flags.clear();
    // Where somebody else has it already, it is as taken.
    let _taken = TcpListener::bind("127.0.0.1:8081");
    let ended = Running::start(pipeline.command(1).env_remove("MINUET_HTTP")).end().demand(0);
    let ended = ended.demand_words(&["nothing is told over http", "127.0.0.1:8081", "--http off"]);
    calm.demand(&pipeline, &ended.summary(), "a run that tells nothing");
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let place = scratch();
    let (_, pipeline, at) = job(place.path());
    let _taken = TcpListener::bind(&at).unwrap();
    pipeline.run(1).demand(OUTSIDE).demand_words(&["--http", &at, "give each process"]);
    Running::start(minuet(["why", "--http", &format!("127.0.0.1:{}", free_port())]).args(["--source", "x"]))
        .end()
        .demand(OUTSIDE)
        .demand_words(&["is a job running there"]);
}
