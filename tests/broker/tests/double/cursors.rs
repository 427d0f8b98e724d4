//! ACK, SEEK, roll-over, trimming, the last message, a crash.

use std::thread::sleep;
use std::time::Duration;

use pulsar_double::{Message, Position, Settings, Shape};

use crate::setting::{SUB, TOPIC, consumer, double, fill};
use pulsar_double::client::{ack, flow};

/// What a new consumer is given.
fn read_all(double: &pulsar_double::Double) -> Vec<Position> {
    let mut client = consumer(double);
    client.flow(1000);
    client.positions()
}

#[test]
fn an_ack_seeks_forward_and_only_forward() {
    let (double, positions) = double(Settings::default(), 60, 5);
    let mut client = consumer(&double);
    client.acknowledge(positions[50]);
    client.acknowledge(positions[20]);
    assert_eq!(double.mark_delete(TOPIC, SUB), Some(positions[50]), "backward is ignored");
    let last = positions[59];
    let nonsense = [(0, 1), (0, 500), (0, i64::MAX), (-1, 0), (1, 0), (900, 0)];
    for (ledgers, entries) in nonsense {
        client.acknowledge(Position::new(last.ledger + ledgers, last.entry.saturating_add(entries)));
        assert_eq!(double.mark_delete(TOPIC, SUB), Some(positions[50]));
    }
    client.flow(1000);
    assert_eq!(client.positions(), positions[51..]);
    drop(client);
    assert_eq!(read_all(&double), positions[51..], "exactly from there, again");
}

#[test]
fn an_ack_behind_a_flow_does_not_take_back_what_is_on_its_way() {
    let (double, positions) = double(Settings::default(), 600, 1);
    let mut client = consumer(&double);
    client.send(&[flow(300), ack(positions[500])]);
    let mut got = Vec::new();
    while let Ok((command, _)) = client.receive(Duration::from_millis(150)) {
        got.extend(command.message.map(|it| it.message_id.entry_id));
    }
    assert_eq!(got, (0..300).collect::<Vec<u64>>());
    client.flow(300);
    assert_eq!(client.positions(), positions[501..]);
}

#[test]
fn a_seek_is_inclusive_and_sends_the_consumer_away() {
    for success_before_close in [false, true] {
        let (double, positions) = double(Settings { success_before_close, ..Settings::default() }, 60, 1);
        let mut client = consumer(&double);
        client.acknowledge(positions[50]);
        let ledger = positions[0].ledger;
        for (to, first) in [((ledger, 40), 40), ((ledger - 1, 3), 0), ((ledger, 900), 60), ((ledger + 5, 0), 60)] {
            let closed_first = client.seek(Some(Position::new(to.0, to.1)), None);
            assert_eq!(closed_first, !success_before_close);
            client.flow(1000);
            assert_eq!(client.positions(), positions[first..], "{to:?}");
        }
    }
}

#[test]
fn a_seek_by_time_begins_with_what_was_published_then() {
    let (double, _) = double(Settings::default(), 0, 1);
    let shape = |publish_time| Shape { publish_time, ..Shape::single() };
    let positions: Vec<Position> =
        [100, 200, 300].map(|time| double.append(TOPIC, &shape(time).entry(&[Message::of("x")]))).to_vec();
    let mut client = consumer(&double);
    for (time, first) in [(200, 1), (201, 2), (1, 0), (999, 3)] {
        client.seek(None, Some(time));
        client.flow(1000);
        assert_eq!(client.positions(), positions[first..], "{time}");
    }
}

#[test]
fn the_last_message_is_told_with_the_cursor() {
    let (double, _) = double(Settings::default(), 0, 1);
    let mut client = consumer(&double);
    let last = client.last_message_id().last_message_id;
    assert_eq!((last.ledger_id, last.entry_id), (u64::MAX, u64::MAX), "never written");
    let positions = fill(&double, 3, 5);
    double.append(TOPIC, &Shape::single().entry(&[Message::of("x")]));
    client.acknowledge(positions[1]);
    let answer = client.last_message_id();
    let (last, mark) = (answer.last_message_id, answer.consumer_mark_delete_position.unwrap());
    assert_eq!((last.entry_id, last.batch_index, mark.entry_id), (3, Some(-1), 1));
    fill(&double, 1, 5);
    assert_eq!(client.last_message_id().last_message_id.batch_index, Some(4));
}

#[test]
fn ledgers_roll_and_those_that_are_read_go() {
    let settings = Settings { ledger_entries: 20, cursor_period: Duration::ZERO, ..Settings::default() };
    let (double, positions) = double(settings, 95, 1);
    let ledgers: Vec<i64> = positions.iter().map(|position| position.ledger).collect();
    assert!(ledgers.windows(2).all(|two| two[0] <= two[1]) && ledgers[94] > ledgers[0] + 3);
    assert_eq!(positions[20].entry, 0);
    let mut client = consumer(&double);
    client.acknowledge(positions[45]);
    double.trim(TOPIC);
    client.seek(Some(positions[3]), None);
    client.flow(1000);
    assert_eq!(client.positions(), positions[40..], "a seek to what is gone begins with what is left");
}

#[test]
fn without_a_cursor_full_ledgers_go_at_once() {
    let double = pulsar_double::Double::start(Settings { ledger_entries: 20, ..Settings::default() });
    double.create_topic(TOPIC, 0);
    let positions = fill(&double, 95, 1);
    assert_eq!(read_all(&double), positions[80..]);
}

#[test]
fn all_read_and_unloaded_there_is_no_last_message() {
    let (double, positions) = double(Settings::default(), 3, 1);
    let mut client = consumer(&double);
    client.acknowledge(positions[2]);
    double.unload(TOPIC);
    client.expect_dismissal();
    client.look_up();
    client.subscribe(1).unwrap();
    let answer = client.last_message_id();
    assert_eq!(answer.last_message_id.ledger_id, u64::MAX);
    assert_eq!(answer.consumer_mark_delete_position.unwrap().entry_id, 2);
    let more = fill(&double, 1, 1);
    assert!(more[0].ledger > positions[2].ledger && more[0].entry == 0);
    client.flow(10);
    assert_eq!(client.positions(), more);
}

#[test]
fn an_unload_redelivers_from_the_cursor() {
    let (double, positions) = double(Settings::default(), 30, 1);
    let mut client = consumer(&double);
    client.acknowledge(positions[9]);
    client.flow(1000);
    assert_eq!(client.positions(), positions[10..]);
    double.unload(TOPIC);
    client.expect_dismissal();
    client.look_up();
    client.subscribe(1).unwrap();
    client.flow(1000);
    assert_eq!(client.positions(), positions[10..]);
}

#[test]
fn a_crash_forgets_the_acks_of_the_last_period() {
    let (double, positions) =
        double(Settings { cursor_period: Duration::from_millis(400), ..Settings::default() }, 9, 1);
    let mut client = consumer(&double);
    client.acknowledge(positions[1]);
    client.acknowledge(positions[5]);
    double.crash();
    assert_eq!(read_all(&double), positions[2..], "one of two in a row is kept");
    let mut client = consumer(&double);
    sleep(Duration::from_millis(450));
    client.acknowledge(positions[6]);
    double.crash();
    assert_eq!(read_all(&double), positions[7..]);
    let mut client = consumer(&double);
    client.acknowledge(positions[7]);
    double.restart();
    assert_eq!(read_all(&double), positions[8..], "an orderly end keeps all");
}

#[test]
fn what_is_lost_or_expired_is_passed_over_in_silence() {
    let settings = Settings { ledger_entries: 10, ..Settings::default() };
    let (double, positions) = double(settings, 25, 1);
    double.lose(TOPIC, positions[12]);
    double.expire(TOPIC, positions[10].ledger);
    let mut expected = positions[10..].to_vec();
    expected.remove(2);
    assert_eq!(read_all(&double), expected);
    double.move_cursor(TOPIC, SUB, positions[20]);
    assert_eq!(read_all(&double), positions[21..]);
}
