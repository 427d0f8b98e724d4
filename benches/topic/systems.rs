//! Over three services: a topic, ClickHouse and S3. What a backlog costs, and how a steady load is kept up with.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::broker::Broker;
use super::measure::{Ask, PARTITIONS, Report, plan};
use super::services::Services;
use super::watched::{Taken, Watched};
use super::{PATIENCE, dataflow, fill, line, minuet, quick};
use minuet::time::from_utc;

/// How often the ledger is asked for what has been read.
const LOOK: Duration = Duration::from_millis(200);

/// Messages a second of the steady load.
pub const STEADY: u64 = 50_000;

/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;

/// How long after the last message its minute's commit is waited for.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// All cases that are asked for.
pub fn cases(report: &mut Report, broker: &Broker, ask: &Ask) {
    let name = |sources: &u64, what: &str| format!("{sources} sources, three services, {what}");
    let wanted = |what| ask.sources.iter().map(move |sources| (*sources, name(sources, what)));
    let wanted = |what| wanted(what).filter(|(_, name)| ask.wants(name)).collect::<Vec<_>>();
    let (backlogs, steady) = (wanted("backlog"), wanted("steady"));
    if backlogs.is_empty() && steady.is_empty() {
        return;
    }
    let services = Services::start();
    for (sources, name) in backlogs {
        backlog(report, broker, &services, ask, sources, &name);
    }
    for (sources, name) in steady {
        if ask.minutes > 0 {
            load(report, broker, &services, ask, sources, &name);
        }
    }
}

/// A topic read to its end, from the start of the program until everything is committed.
fn backlog(report: &mut Report, broker: &Broker, services: &Services, ask: &Ask, sources: u64, name: &str) {
    let topic = format!("public/default/bench-services-{sources}");
    fill(broker, ask, sources, (1_000, "lz4"), &topic);
    for repeat in 0..ask.repeat.max(1) {
        let (place, table) =
            (tempfile::tempdir().expect("a folder can be made"), format!("backlog_{sources}_{repeat}"));
        let mut command = minuet("run");
        command.arg(quick(place.path())).args(["--source", &broker.address(&topic), "--subscription", &table]);
        services.at_the_edges(&mut command, &table);
        let read = || services.number(&format!("SELECT sum(read) FROM bench.{table}_ledger")).unwrap_or(0.0);
        let all = || {
            sleep(LOOK);
            read() >= ask.events as f64
        };
        line(report, &format!("{name}: minuet run -w 1"), &Watched::start(command).until(PATIENCE, all), ask.events);
        stored(report, services, &table);
    }
}

/// Messages of now at a steady rate, for some minutes.
fn load(report: &mut Report, broker: &Broker, services: &Services, ask: &Ask, sources: u64, name: &str) {
    let (topic, table) = (format!("public/default/bench-steady-{sources}"), format!("steady_{sources}"));
    make(broker, &topic);
    let place = tempfile::tempdir().expect("a folder can be made");
    let log = place.path().join("log");
    let mut command = minuet("run");
    command.arg(dataflow()).args(["--source", &broker.address(&topic), "--subscription", &table, "--log", "info"]);
    command.stderr(File::create(&log).expect("a file can be made"));
    services.at_the_edges(&mut command, &table);
    let running = Watched::start(command);
    let mut gen_command = generator(broker, &topic, sources, ask.minutes * 60 * STEADY);
    let start = now_ms();
    gen_command.args(["--pace", &STEADY.to_string(), "--start", &start.to_string()]);
    Watched::start(gen_command).end_of_it(PATIENCE);
    // The generator takes a while to connect, and has a while to wait for the last receipt: that is in each lag, too.
    let behind = now_ms() - start - ask.minutes as i64 * MINUTE_MS;
    let (seconds, since) = (running.so_far(), Instant::now());
    let taken = running.until(PATIENCE, || since.elapsed() >= AFTERWARDS);
    let share = 100.0 * seconds.cpu.as_secs_f64() / seconds.wall.as_secs_f64();
    let lags = lags(&log);
    report.line(format!(
        "{name:<60} {STEADY} a second for {} minutes: cpu {share:.1} %, peak {} MiB, lag of {} commits: p50 {}, p99 {}, most {}; of these, messages were sent {behind} ms after their time",
        ask.minutes,
        taken.peak_rss >> 20,
        lags.len(),
        percentile(&lags, 50),
        percentile(&lags, 99),
        lags.last().map_or("unknown".to_owned(), |most| format!("{most} ms"))
    ));
    stored(report, services, &table);
}

/// Makes a topic by sending it nothing much of another time, so that a run may subscribe before the load begins.
pub fn make(broker: &Broker, topic: &str) {
    broker.keep_everything();
    let mut command = generator(broker, topic, 1, 0);
    command.args(["--create-topic", &PARTITIONS.to_string(), "--admin-url", &broker.admin()]);
    let taken: Taken = Watched::start(command).end_of_it(PATIENCE);
    assert!(taken.wall < PATIENCE);
}

/// Messages at the steady rate, by their own time.
pub fn generator(broker: &Broker, topic: &str, sources: u64, events: u64) -> Command {
    let mut command = minuet("gen");
    command.arg(dataflow()).args(["--to", &broker.address(topic), "--partitions", &PARTITIONS.to_string()]);
    command.args(["--events", &events.to_string(), "--sources", &sources.to_string(), "--rate", &STEADY.to_string()]);
    command
}

/// Now.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_millis()).expect("it is before the year 292 million")
}

/// From when a minute could close, its end and `out_of_order`, to its commit, in milliseconds, of each commit in the log, sorted.
fn lags(log: &Path) -> Vec<i64> {
    let text = fs::read_to_string(log).expect("the log can be read");
    let mut lags: Vec<i64> = text.lines().filter_map(lag).collect();
    lags.sort_unstable();
    lags
}

fn lag(line: &str) -> Option<i64> {
    let epoch: i64 = line.split_once(" committed ")?.1.split_once("epoch=")?.1.split(' ').next()?.parse().ok()?;
    // The first commit of a run is of no minute.
    let closes = (epoch + 1) * MINUTE_MS + plan().out_of_order;
    let (second, rest) = line.split_once('.')?;
    let written = from_utc(second)? + rest.get(..3)?.parse::<i64>().ok()?;
    (epoch > 0).then_some(written - closes)
}

/// What so many of a hundred do not exceed; not said of samples too few to have one beyond it.
fn percentile(sorted: &[i64], percent: usize) -> String {
    let least = 100 / (100 - percent);
    if sorted.len() < least {
        return format!("not said of {} (of {least} and more)", sorted.len());
    }
    format!("{} ms", sorted[((sorted.len() - 1) * percent).div_ceil(100)])
}

fn stored(report: &mut Report, services: &Services, table: &str) {
    let number = |sql: &str| services.number(sql).unwrap_or(f64::NAN);
    let per_insert = number(&format!("SELECT count() / uniqExact(_commit, _lane, _block) FROM bench.{table}"));
    let bytes = number(&format!(
        "SELECT sum(data_compressed_bytes) / sum(rows) FROM system.parts WHERE active AND database = 'bench' AND table = '{table}'"
    ));
    report.line(format!("{table:<60} {per_insert:.0} rows per insert, {bytes:.0} bytes per row stored"));
}
