//! The variables that the pods of the replaced job have are enough to run: the real binary, told nothing else of topic and tables.

use std::path::Path;
use std::process::Command;

use super::clickhouse::setup::{Base, plain_rows};
use super::harness::{Pipeline, Running, dataflow, demand_rows, generate, minuet, scratch};
use super::pulsar::broker::Broker;
use super::pulsar::input::Input;
use super::pulsar::sender::Manner;
use super::pulsar::topic::Topic;
use super::servers::ClickHouse;

const CONFIGURATION: i32 = 78;
const TERMINATED: i32 = 143;

/// Messages of an entry.
const ENTRY: usize = 20;

/// `minuet run` of a dataflow with these flags and its state below `place`, in an environment of these variables.
fn command(dataflow: &Path, place: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = minuet(["run"]);
    let state = format!("dir:{}", place.join("state").display());
    command.arg(dataflow).args(["--state", &state]).args(flags).envs(variables.iter().copied());
    command
}

#[test]
fn topic_and_tables_of_the_environment_are_read_and_written() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let settings = [("seed", "81"), ("events", "6000"), ("sources", "50"), ("rate", "50"), ("partitions", "2")];
    let input = Input::generate("sensors", &settings);
    let topic = Topic::make(Broker::shared(), "environment", 2);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let base = Base::new(server, "environment");
    let (brokers, servers) =
        (format!("pulsar://127.0.0.1:{}/", topic.broker.port()), format!("http://{}/{}", server.address(), base.name));
    let variables = [
        ("PULSAR_URL", brokers.as_str()),
        ("PULSAR_TOPIC", &topic.full_name()),
        ("CLICKHOUSE_URL", &servers),
        ("CLICKHOUSE_USER", server.user()),
        ("CLICKHOUSE_PASSWORD", server.password()),
    ];
    let expected = plain_rows(&input.expected(ENTRY).rows);
    let mut running = Running::start(&mut command(input.dataflow(), place.path(), &["--create-tables"], &variables));
    let there = "SELECT sum(total_rows) FROM system.tables WHERE database = '{}' AND name = 'sensors'";
    running.until("all rows", || base.query(there) == expected.len().to_string());
    running.signal("TERM");
    running.end().demand(TERMINATED);
    demand_rows(&base.rows_of("SELECT * FROM {}.sensors_newest"), &expected, "told by the environment");
}

#[test]
fn flags_go_before_the_environment() {
    let place = scratch();
    let input = place.path().join("in");
    generate(&dataflow("sensors"), &input, &[("seed", "3"), ("events", "2000"), ("rate", "50")]);
    let pipeline = Pipeline::new(&dataflow("sensors"), input.join("*").display().to_string(), place.path());
    let nowhere = [("PULSAR_URL", "pulsar://nowhere"), ("PULSAR_TOPIC", "x"), ("CLICKHOUSE_URL", "no address")];
    let ended = Running::start(pipeline.command(1).envs(nowhere)).end().demand(0);
    assert_eq!(ended.summary()["read"], 2000);
}

#[test]
fn what_is_missing_or_no_address_ends_the_run_by_name_and_secrets_stay_unsaid() {
    let place = scratch();
    let sink = format!("files:{}", place.path().join("out").display());
    for (flags, variables, words) in [
        (&["--sink", &sink][..], &[][..], &["--source", "PULSAR_URL", "PULSAR_TOPIC"][..]),
        (&["--sink", &sink], &[("PULSAR_URL", "pulsar://a")], &["PULSAR_TOPIC is not"]),
        (&["--sink", &sink], &[("PULSAR_URL", "pulsar://me:hidden@a"), ("PULSAR_TOPIC", "x")], &["PULSAR_TOKEN"]),
        (&["--source", "files:x"], &[], &["--sink", "CLICKHOUSE_URL"]),
        (&["--source", "files:x"], &[("CLICKHOUSE_URL", "")], &["--sink", "CLICKHOUSE_URL"]),
        (&["--source", "files:x"], &[("CLICKHOUSE_URL", "http://me:hidden@a/d")], &["CLICKHOUSE_PASSWORD"]),
    ] {
        let ended = Running::start(&mut command(&dataflow("sensors"), place.path(), flags, variables)).end();
        let ended = ended.demand(CONFIGURATION).demand_words(words);
        assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
    }
    assert!(!place.path().join("out").exists() && !place.path().join("state").exists(), "it left something behind");
}
