//! The double fails as it is told, where it is told, as often as it is told.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use pulsar_double::proto::{CommandPing, ServerError};
use pulsar_double::{ALWAYS, Babble, Damage, Double, Fault, Message, Position, Reply, Settings, Shape, Type, command};

use crate::setting::{SUB, TOPIC, connected, consumer, dial, double};
use pulsar_double::client::{Client, ack, connect, flow, look_up, subscribe};

/// A client that has been given entries with one fault among them.
fn read_with(damage: Damage, times: u32) -> (Double, Client, Vec<Position>) {
    let (double, positions) = double(Settings::default(), 6, 1);
    double.plan(Some(TOPIC), Fault::Entry(Some(positions[2]), damage), times);
    let mut client = consumer(&double);
    client.flow(100);
    (double, client, positions)
}

#[test]
fn entries_come_twice_late_or_not_at_all() {
    let order = |damage| {
        let (_double, mut client, positions) = read_with(damage, 1);
        let index = |position| positions.iter().position(|it| *it == position).unwrap();
        client.positions().into_iter().map(index).collect::<Vec<usize>>()
    };
    assert_eq!(order(Damage::Twice), [0, 1, 2, 2, 3, 4, 5]);
    assert_eq!(order(Damage::Swapped), [0, 1, 3, 2, 4, 5]);
    assert_eq!(order(Damage::Lost), [0, 1, 3, 4, 5]);
}

#[test]
fn a_checksum_is_wrong_once_or_for_ever() {
    let good = Shape::default().entry(&[Message::of("2.0")]);
    let (double, mut client, positions) = read_with(Damage::Checksum, 2);
    for wrong in [true, true, false] {
        let got = client.messages();
        assert_eq!(got.len(), 6);
        assert_eq!(got[2].1 != good, wrong);
        drop(client);
        client = consumer(&double);
        client.flow(100);
    }
    let fault = Fault::Entry(Some(positions[2]), Damage::Checksum);
    assert_eq!(double.happened(), [fault.clone(), fault.clone()]);
    assert!(double.wait_for_fault(&fault, 2, Duration::ZERO) && !double.wait_for_fault(&fault, 3, Duration::ZERO));
}

#[test]
fn frames_are_cut_and_connections_end_among_entries() {
    for (damage, whole) in [(Damage::Cut, 2), (Damage::Closed, 2)] {
        let (_double, mut client, positions) = read_with(damage, 1);
        let mut got = 0;
        while client.receive(Duration::from_secs(2)).is_ok() {
            got += 1;
        }
        assert_eq!((got, client.expect_end().as_str()), (whole, "closed"));
        assert_eq!(positions.len(), 6);
    }
    let (double, mut client, positions) = read_with(Damage::HalfOpen, 1);
    assert!(double.wait_for_fault(&Fault::Entry(Some(positions[2]), Damage::HalfOpen), 1, Duration::from_secs(2)));
    client.send(&[command(Type::Ping, |made| made.ping = Some(CommandPing {}))]);
    let mut last = client.receive(Duration::from_millis(200));
    while last.is_ok() {
        last = client.receive(Duration::from_millis(200));
    }
    assert_eq!(last.unwrap_err(), "silence");
}

#[test]
fn a_topic_is_unloaded_at_any_entry() {
    let (_double, mut client, positions) = read_with(Damage::Unload, 1);
    for position in &positions[..2] {
        assert_eq!(client.answer().unwrap().message.unwrap().message_id.entry_id as i64, position.entry);
    }
    client.expect_dismissal();
    assert_eq!(client.subscribe(1), Err(ServerError::ServiceNotReady));
    client.look_up();
    client.subscribe(1).unwrap();
    client.flow(100);
    assert_eq!(client.positions(), positions);
}

#[test]
fn babble_is_no_answer() {
    for babble in [Babble::Http, Babble::Length(u32::MAX), Babble::Overlong, Babble::Noise, Babble::Length(3)] {
        let (double, _) = double(Settings::default(), 1, 1);
        double.plan(None, Fault::Answer(Type::Connect, Reply::Babble(babble)), 1);
        let mut client = dial(&double);
        let error = client.ask(&connect(None)).unwrap_err();
        assert!(error != "silence" && error != "closed", "{babble:?}: {error}");
        let mut client = consumer(&double);
        double.babble(babble);
        client.flow(1);
        let mut ends = client.receive(Duration::from_secs(2));
        while ends.is_ok() {
            ends = client.receive(Duration::from_secs(2));
        }
        assert_ne!(ends.unwrap_err(), "closed");
    }
    let (_double, mut client, _) = read_with(Damage::Babble(Babble::UnknownCommand), 1);
    let kinds: Vec<i32> = (0..7).map(|_| client.answer().unwrap().r#type).collect();
    assert_eq!((kinds[2], kinds[3]), (4711, Type::Message as i32));
    let (_double, mut client, _) = read_with(Damage::Misaddressed, 1);
    let consumers: Vec<u64> = (0..6).map(|_| client.answer().unwrap().message.unwrap().consumer_id).collect();
    assert_eq!(consumers, [1, 1, 1001, 1, 1, 1]);
}

#[test]
fn requests_are_refused_so_many_times() {
    let (double, _) = double(Settings::default(), 1, 1);
    let refused = |kind, error| Fault::Answer(kind, Reply::Error(error));
    double.plan(Some(TOPIC), refused(Type::Subscribe, ServerError::MetadataError), 2);
    double.plan(None, refused(Type::Lookup, ServerError::ServiceNotReady), 1);
    let mut client = connected(&double);
    let found = client.look_up();
    assert_eq!((found.response, found.error), (Some(2), Some(ServerError::ServiceNotReady as i32)));
    client.look_up();
    assert_eq!(client.subscribe(1), Err(ServerError::MetadataError));
    assert_eq!(client.subscribe(1), Err(ServerError::MetadataError));
    client.subscribe(1).unwrap();
    double.plan(None, refused(Type::Connect, ServerError::AuthorizationError), ALWAYS);
    for _ in 0..3 {
        let mut client = dial(&double);
        assert!(client.ask(&connect(None)).unwrap().error.is_some());
        assert_eq!(client.expect_end(), "closed");
    }
    double.heal();
    connected(&double);
}

#[test]
fn look_ups_lead_in_circles_and_elsewhere() {
    let (double, _) = double(Settings::default(), 1, 1);
    double.plan(None, Fault::Redirected(None), 2);
    double.plan(None, Fault::Proxied("pulsar://inside:1".to_owned()), 1);
    let mut client = connected(&double);
    let mut ask = || {
        let found = client.ask(&look_up(TOPIC)).unwrap().lookup_topic_response.unwrap();
        (found.response.unwrap(), found.broker_service_url.unwrap(), found.proxy_through_service_url.unwrap())
    };
    assert_eq!(ask(), (0, double.url(), false));
    assert_eq!(ask(), (0, double.url(), false));
    assert_eq!(ask(), (1, "pulsar://inside:1".to_owned(), true));
    assert_eq!(ask(), (1, double.url(), false));
}

#[test]
fn acknowledgements_are_lost_or_their_receipts() {
    let (double, positions) = double(Settings::default(), 6, 1);
    double.plan(None, Fault::Swallowed(Type::Ack), 1);
    double.plan(None, Fault::Answer(Type::Ack, Reply::Nothing), 1);
    let mut client = consumer(&double);
    let silence = |client: &mut Client| client.receive(Duration::from_millis(100)).unwrap_err() == "silence";
    client.send(&[ack(positions[1])]);
    assert!(silence(&mut client));
    assert_eq!(double.mark_delete(TOPIC, SUB).unwrap().entry, -1, "the first is lost");
    client.send(&[ack(positions[1])]);
    assert!(silence(&mut client));
    assert_eq!(double.mark_delete(TOPIC, SUB), Some(positions[1]), "of the second the receipt");
    client.acknowledge(positions[2]);
}

#[test]
fn answers_come_late_cut_or_not_at_all() {
    let (double, _) = double(Settings::default(), 1, 1);
    double.plan(None, Fault::Answer(Type::Lookup, Reply::Late(Duration::from_millis(300))), 1);
    double.plan(None, Fault::Answer(Type::Subscribe, Reply::Cut), 1);
    let mut client = connected(&double);
    let begun = Instant::now();
    client.look_up();
    assert!(begun.elapsed() >= Duration::from_millis(290));
    assert_eq!(client.ask(&subscribe(TOPIC, SUB, 1)).unwrap_err(), "closed");
    double.plan(None, Fault::Answer(Type::Lookup, Reply::Closed), 1);
    let mut client = connected(&double);
    assert_eq!(client.ask(&look_up(TOPIC)).unwrap_err(), "closed");
}

#[test]
fn a_subscription_is_silent_and_a_cursor_falls_back() {
    let (double, positions) = double(Settings::default(), 6, 1);
    double.plan(Some(TOPIC), Fault::Silence, 1);
    let mut client = consumer(&double);
    client.flow(100);
    assert_eq!(client.positions(), []);
    assert_eq!(client.last_message_id().last_message_id.entry_id, 5, "with a backlog");
    client.acknowledge(positions[4]);
    drop(client);
    double.plan(Some(TOPIC), Fault::Cursor(positions[1]), 1);
    let mut client = consumer(&double);
    client.flow(100);
    assert_eq!(client.positions(), positions[2..]);
}

#[test]
fn the_port_is_closed_and_opened_again() {
    let (double, positions) = double(Settings::default(), 2, 1);
    let mut client = consumer(&double);
    double.refuse_connections();
    double.disconnect();
    assert_eq!(client.expect_end(), "closed");
    assert!(TcpStream::connect(("127.0.0.1", double.port())).is_err());
    double.accept_connections();
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", double.port())).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    let mut client = consumer(&double);
    client.send(&[flow(9)]);
    assert_eq!(client.positions(), positions);
}
