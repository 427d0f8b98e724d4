use pulsar::message::proto::{CommandFlow, CommandSubscribe};
use pulsar_double::{Babble, Codec, Damage, Double, Fault, Message, Settings, Shape};

use super::*;
use crate::connect::Secret;
use crate::connect::pulsar::Client;
use crate::connect::pulsar::security::{Auth, Security};
use crate::connect::pulsar::wire::entry::{Broken, open};

const TOPIC: &str = "persistent://t/n/x";
const CONSUMER: u64 = 4;

/// A client of the double's topic.
pub(in super::super) fn client(double: &Double, auth: Auth) -> Client {
    let address = format!("{}/t/n/x", double.url()).parse().unwrap();
    Client::new(address, Security { auth, ..Security::default() }).unwrap()
}

fn topic() -> Double {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 0);
    double
}

/// A subscription on the connection, with so many permits.
pub(in super::super) async fn subscribe(connection: &mut Connection, topic: &str, permits: u32) {
    let subscribe = CommandSubscribe {
        topic: topic.to_owned(),
        subscription: "s".to_owned(),
        consumer_id: CONSUMER,
        durable: Some(true),
        initial_position: Some(1),
        ..CommandSubscribe::default()
    };
    let command = BaseCommand { subscribe: Some(subscribe), ..command::of_type(Type::Subscribe) };
    connection.request(command).await.unwrap();
    let flow = CommandFlow { consumer_id: CONSUMER, message_permits: permits };
    let mut frames = Vec::new();
    command::frame(&BaseCommand { flow: Some(flow), ..command::of_type(Type::Flow) }, &mut frames);
    connection.write(&frames).await.unwrap();
}

async fn next(connection: &mut Connection) -> Result<((u64, u64), Vec<u8>), Failed> {
    match connection.next().await? {
        Frame::Message { position, payload, .. } => Ok((position, payload.to_vec())),
        Frame::Command(command) => panic!("{command:?}"),
    }
}

/// The texts of an entry.
fn texts(payload: &[u8]) -> Vec<String> {
    let (mut room, mut spans) = (Vec::new(), Vec::new());
    open(payload, &mut room, &mut spans).unwrap();
    let text = |start: u32, len: u32| String::from_utf8(room[start as usize..][..len as usize].to_vec()).unwrap();
    spans.iter().map(|span| text(span.start, span.len)).collect()
}

fn entry(text: &str) -> Vec<u8> {
    let shape = Shape { codec: Codec::Lz4, ..Shape::default() };
    shape.entry(&[Message::of(text), Message::of("more")])
}

#[tokio::test]
async fn entries_come_whole_in_order_and_with_their_positions() {
    let double = topic();
    let positions: Vec<_> = (0..50).map(|n| double.append(TOPIC, &entry(&n.to_string()))).collect();
    let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
    subscribe(&mut connection, TOPIC, 1_000).await;
    double.ping();
    // An answer behind entries: they are kept, and come before what follows.
    let last = connection.last_message_id(CONSUMER).await.unwrap();
    let place = |n: usize| (positions[n].ledger as u64, positions[n].entry as u64);
    let at = |entry| Position(place(entry).0, place(entry).1);
    assert_eq!(last, LastMessage { last: Some(at(49)), cursor: Some(at(0)) }, "nothing is acknowledged");
    for n in 0..50 {
        let (position, payload) = next(&mut connection).await.unwrap();
        assert_eq!((position, texts(&payload)), (place(n), vec![n.to_string(), "more".to_owned()]));
    }
    assert!(double.wait_for(Duration::from_secs(5), |record| !record.pongs.is_empty()), "no PONG");
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let double = topic();
    let long = "x".repeat(700_000);
    for n in 0..8 {
        double.append(TOPIC, &Shape::default().entry(&[Message::of(format!("{n}{long}"))]));
    }
    let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
    subscribe(&mut connection, TOPIC, 1_000).await;
    let (mut found, mut dropped) = (0, 0);
    while found < 8 {
        let came = timeout(Duration::from_micros(50), next(&mut connection));
        let Ok(came) = came.await else {
            dropped += 1;
            continue;
        };
        assert_eq!(texts(&came.unwrap().1), [format!("{found}{long}")]);
        found += 1;
    }
    assert!(dropped > 0, "no wait was dropped");
}

#[tokio::test]
async fn it_says_what_it_can_and_who_it_is() {
    let double = Double::start(Settings { token: Some("a".into()), ..Settings::default() });
    double.create_topic(TOPIC, 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "a\n").unwrap();
    let mut connection = client(&double, Auth::TokenFile(file.clone())).connect(TOPIC).await.unwrap();
    assert_eq!(connection.max_message_size(), 5 << 20);
    let record = double.record();
    let said = record.of(Type::Connect).next().unwrap().command.connect.clone().unwrap();
    assert_eq!((said.auth_method_name.as_deref(), said.auth_data), (Some("token"), Some(b"a".to_vec())));
    assert_eq!(said.protocol_version, Some(19));
    assert_eq!(said.feature_flags.unwrap().supports_auth_refresh, Some(true));
    // The token is read again when the broker asks.
    std::fs::write(&file, "b").unwrap();
    double.set_token(Some("b"));
    double.challenge();
    double.append(TOPIC, &entry("after"));
    subscribe(&mut connection, TOPIC, 10).await;
    assert_eq!(texts(&next(&mut connection).await.unwrap().1)[0], "after");
    // The challenge is answered with the next wait at the latest.
    let nothing = timeout(Duration::from_millis(100), next(&mut connection));
    assert!(nothing.await.is_err(), "there is nothing more");
    let answered = double.record().of(Type::AuthResponse).next().unwrap().command.auth_response.clone().unwrap();
    assert_eq!(answered.response.unwrap().auth_data, Some(b"b".to_vec()));
}

#[tokio::test]
async fn a_wrong_token_lasts_and_is_not_told() {
    let double = Double::start(Settings { token: Some("a".into()), ..Settings::default() });
    double.create_topic(TOPIC, 0);
    let token = Auth::Token(Secret::new("very secret"));
    assert!(!format!("{token:?}").contains("very"));
    let Err(failed) = client(&double, token).connect(TOPIC).await else { panic!("it was let in") };
    assert_eq!(failed.cause, Cause::Refused(ServerError::AuthenticationError));
    assert!(failed.lasts() && !failed.words.contains("very"), "{failed}");
    let missing = Auth::TokenFile("no/such/file".into());
    let Err(failed) = client(&double, missing).connect(TOPIC).await else { panic!("it was let in") };
    assert!(failed.cause == Cause::Credentials && failed.words.contains("no/such/file"), "{failed}");
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    for (babble, words) in [
        (Babble::Http, "1213486160 bytes"),
        (Babble::Length(u32::MAX), "4294967295 bytes"),
        (Babble::Length(3), "3 bytes"),
        (Babble::Overlong, "4000 bytes in a frame of 12"),
        (Babble::Noise, "no message"),
    ] {
        let double = topic();
        let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
        subscribe(&mut connection, TOPIC, 10).await;
        double.babble(babble);
        let failed = next(&mut connection).await.expect_err(words);
        assert_eq!(failed.cause, Cause::Protocol);
        assert!(failed.words.contains(words) && !failed.lasts(), "{failed}");
    }
}

#[tokio::test]
async fn what_breaks_on_the_way_is_seen() {
    let double = topic();
    double.append(TOPIC, &entry("a"));
    double.plan(None, Fault::Entry(None, Damage::Checksum), 1);
    let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
    subscribe(&mut connection, TOPIC, 10).await;
    let (_, payload) = next(&mut connection).await.unwrap();
    assert_eq!(open(&payload, &mut Vec::new(), &mut Vec::new()), Err(Broken::Checksum));
    double.plan(None, Fault::Entry(None, Damage::Cut), 1);
    double.append(TOPIC, &entry("b"));
    assert_eq!(next(&mut connection).await.expect_err("it was cut").cause, Cause::Closed);
}

#[tokio::test]
async fn schemas_are_had_by_version() {
    let double = topic();
    let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
    assert_eq!(connection.schema(TOPIC, None).await, Ok(None));
    let first = double.register_schema(TOPIC, 4, "\"string\"");
    double.register_schema(TOPIC, 4, "\"long\"");
    let text = |schema: Option<Schema>| String::from_utf8(schema.unwrap().schema_data).unwrap();
    assert_eq!(text(connection.schema(TOPIC, Some(&first)).await.unwrap()), "\"string\"");
    assert_eq!(text(connection.schema(TOPIC, None).await.unwrap()), "\"long\"");
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_lost() {
    let double = topic();
    let mut connection = client(&double, Auth::None).connect(TOPIC).await.unwrap();
    let begun = Instant::now();
    double.half_open();
    assert_eq!(next(&mut connection).await.expect_err("nobody is there").cause, Cause::Silent);
    assert!((19..25).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
