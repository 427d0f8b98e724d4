//! The whole program on a real broker: topics filled once by `minuet gen`, read again by `minuet run` under new subscriptions, and by
//! the broker's own perf consumer beside it; and from a topic into ClickHouse with state in S3.

mod broker;
#[path = "../measure/mod.rs"]
mod measure;
mod served;
mod services;
mod steady;
mod systems;
mod watched;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use clap::Parser;
use measure::{Ask, PARTITIONS, Report, plan};
use minuet::connect::files::FolderStore;
use minuet::snapshot::History;
use watched::{Taken, Watched};

/// The longest that a case may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Messages in an entry, and their codec.
const CASES: [(u32, &str); 3] = [(1_000, "lz4"), (5, "lz4"), (1, "none")];

fn main() {
    let ask = Ask::parse();
    let mut report = Report::begin("topic", "-", &ask);
    let broker = Broker::start();
    for sources in &ask.sources {
        for (batch, codec) in CASES {
            let name = format!("{sources} sources, {batch} an entry, {codec}");
            if ask.wants(&name) {
                case(&mut report, &broker, &ask, *sources, (batch, codec), &name);
            }
        }
    }
    steady::cases(&mut report, &broker, &ask);
    systems::cases(&mut report, &broker, &ask);
    report.end(&ask);
}

fn case(report: &mut Report, broker: &Broker, ask: &Ask, sources: u64, (batch, codec): (u32, &str), name: &str) {
    let topic = format!("public/default/bench-{sources}-{batch}-{codec}");
    let sent = fill(broker, ask, sources, (batch, codec), &topic);
    line(report, &format!("{name}: minuet gen"), &sent, ask.events);
    for repeat in 0..ask.repeat.max(1) {
        let read = read(broker, ask.events, &topic, repeat);
        line(report, &format!("{name}: minuet run -w 1"), &read, ask.events);
    }
    let perf = perf(broker, ask.events, &topic);
    line(report, &format!("{name}: pulsar-perf consume"), &perf, ask.events);
}

fn line(report: &mut Report, name: &str, taken: &Taken, events: u64) {
    let millions = events as f64 / 1e6;
    report.line(format!(
        "{name:<60} cpu {:.3} s per million messages, {:>6.3} million a second, peak {:>4} MiB",
        taken.cpu.as_secs_f64() / millions,
        millions / taken.wall.as_secs_f64(),
        taken.peak_rss >> 20
    ));
}

fn minuet(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minuet"));
    command.arg(verb).stdout(Stdio::null());
    command
}

fn dataflow() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dataflows/sensors"))
}

fn fill(broker: &Broker, ask: &Ask, sources: u64, (batch, codec): (u32, &str), topic: &str) -> Taken {
    // The subscriptions that will read it do not exist yet, and without one Pulsar deletes what it is sent.
    broker.keep_everything();
    let mut command = minuet("gen");
    command.arg(dataflow()).args(["--to", &broker.address(topic), "--admin-url", &broker.admin()]);
    command.args(["--create-topic", &PARTITIONS.to_string(), "--partitions", &PARTITIONS.to_string()]);
    command.args(["--events", &ask.events.to_string(), "--sources", &sources.to_string()]);
    command.args(["--batch", &batch.to_string(), "--compression", codec]);
    Watched::start(command).end_of_it(PATIENCE)
}

/// A copy of the dataflow, below a folder, whose topic's last minutes close soon: waiting costs no CPU, only patience.
fn quick(place: &Path) -> PathBuf {
    let own = place.join("sensors");
    fs::create_dir(&own).expect("a folder can be made");
    fs::copy(dataflow().join("schema.avsc"), own.join("schema.avsc")).expect("it can be copied");
    let toml = fs::read_to_string(dataflow().join("dataflow.toml")).expect("it is ours");
    let quick = toml.replace("idle_after = \"30s\"", "idle_after = \"1s\"");
    assert_ne!(quick, toml, "the dataflow says how long a partition is quiet");
    fs::write(own.join("dataflow.toml"), quick).expect("it can be written");
    own
}

/// Reads a topic to its end, from the start of the program until everything is committed.
fn read(broker: &Broker, events: u64, topic: &str, repeat: usize) -> Taken {
    let place = tempfile::tempdir().expect("a folder can be made");
    let own = quick(place.path());
    let (state, out) = (place.path().join("state"), place.path().join("out"));
    let mut command = minuet("run");
    command.arg(&own).args(["--source", &broker.address(topic), "--subscription", &format!("bench-{repeat}")]);
    command.args(["--sink", &format!("files:{}", out.display()), "--state", &format!("dir:{}", state.display())]);
    let history = || {
        let store = FolderStore::open(&state).ok()?;
        History::new(Arc::new(store), &plan().name).newest().ok().flatten()
    };
    let all = || history().is_some_and(|manifest| manifest.counters().read >= events);
    Watched::start(command).until(PATIENCE, all)
}

fn perf(broker: &Broker, events: u64, topic: &str) -> Taken {
    let mut command = broker.perf();
    command.args(["consume", "-ss", "perf", "-sp", "Earliest", "-m", &events.to_string()]);
    command.arg(format!("persistent://{topic}")).stdout(Stdio::null()).stderr(Stdio::null());
    Watched::start(command).end_of_it(PATIENCE)
}
