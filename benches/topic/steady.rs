//! A steady load of now, from a topic alone: what it costs, how soon the first entry is read, how soon a killed run has caught up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::measure::{Ask, Report, plan};
use super::served::free_port;
use super::systems::{MINUTE_MS, STEADY, generator, make, now_ms};
use super::watched::Watched;
use super::{PATIENCE, dataflow, minuet};

/// How long the load has run before it is measured: connections are made, buffers have their size.
const WARM_UP: Duration = Duration::from_secs(10);

/// The part of the load after which the run is killed.
const KILLED_AT: f64 = 0.75;

/// How often a run is asked how far it has come. It knows that of each slot's last report.
const LOOK: Duration = Duration::from_millis(10);

/// How far behind its own bound a watermark may be of a run that has caught up, in milliseconds.
const BEHIND_MS: i64 = 1_000;

/// All cases that are asked for.
pub fn cases(report: &mut Report, broker: &Broker, ask: &Ask) {
    for sources in &ask.sources {
        let name = format!("{sources} sources, a topic alone, steady");
        if ask.minutes > 0 && ask.wants(&name) {
            case(report, broker, ask, *sources, &name);
        }
    }
}

fn case(report: &mut Report, broker: &Broker, ask: &Ask, sources: u64, name: &str) {
    let topic = format!("public/default/bench-alone-{sources}");
    make(broker, &topic);
    let place = tempfile::tempdir().expect("a folder can be made");
    let port = free_port();
    let run = || {
        let mut command = minuet("run");
        command.arg(dataflow()).args(["--source", &broker.address(&topic), "--subscription", "alone"]);
        at(place.path(), &mut command);
        command.args(["--http", &format!("127.0.0.1:{port}")]);
        Watched::start(command)
    };
    let running = run();
    wait(|| metric(port, "minuet_ready").contains(&1.0));
    let (began, start) = (Instant::now(), now_ms());
    let mut load = generator(broker, &topic, sources, ask.minutes * 60 * STEADY);
    load.args(["--pace", &STEADY.to_string(), "--start", &start.to_string()]);
    let load = Watched::start(load);
    sleep(WARM_UP);
    let before = running.so_far();
    let all = Duration::from_millis(ask.minutes * MINUTE_MS.unsigned_abs());
    sleep(all.mul_f64(KILLED_AT).saturating_sub(began.elapsed()));
    let after = running.so_far();
    let share = (after.cpu - before.cpu).as_secs_f64() / (after.wall - before.wall).as_secs_f64();
    running.until(PATIENCE, || true);
    let (again, first, caught_up) = resumed(run, port);
    report.line(format!(
        "{name:<60} {STEADY} a second for {} minutes: cpu {:.1} % of a core, peak {} MiB; killed and started again: first entry after \
         {} ms, caught up after {} ms",
        ask.minutes,
        100.0 * share,
        after.peak_rss >> 20,
        first.as_millis(),
        caught_up.as_millis(),
    ));
    load.end_of_it(PATIENCE);
    again.until(PATIENCE, || true);
}

/// Starts a run; gives it with the times until it has read an entry, and until all its watermarks are as new as the load lets them be.
fn resumed(run: impl Fn() -> Watched, port: u16) -> (Watched, Duration, Duration) {
    let began = Instant::now();
    let again = run();
    wait(|| metric(port, "minuet_events_read_total").iter().any(|read| *read > 0.0));
    let first = began.elapsed();
    let bound = (plan().out_of_order + BEHIND_MS) as f64 / 1_000.0;
    wait(|| {
        let lags = metric(port, "minuet_watermark_lag_seconds");
        !lags.is_empty() && lags.iter().all(|lag| *lag <= bound)
    });
    (again, first, began.elapsed())
}

/// Rows and state in a folder.
fn at(place: &Path, command: &mut Command) {
    command.args(["--sink", &format!("files:{}", place.join("out").display())]);
    command.args(["--state", &format!("dir:{}", place.join("state").display())]);
}

fn wait(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "nothing came of it");
        sleep(LOOK);
    }
}

/// All samples of a metric; none of a run that does not listen yet.
fn metric(port: u16, name: &str) -> Vec<f64> {
    let asked = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let answer = asked().unwrap_or_default();
    let samples = answer.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}
