//! Look-up, partitions, schemas, PING, permits: what a client that does all right is told, and one that does not.

use std::time::Duration;

use pulsar_double::proto::{CommandGetSchema, CommandPartitionedTopicMetadata, CommandPing, ServerError};
use pulsar_double::{Position, Settings, Type, command};

use crate::setting::{SUB, TOPIC, connected, consumer, dial, double, fill};
use pulsar_double::client::{ack, connect, flow, look_up, subscribe};

#[test]
fn nothing_is_served_before_it_is_looked_up() {
    let (double, positions) = double(Settings::default(), 3, 1);
    let mut client = connected(&double);
    assert_eq!(client.subscribe(1), Err(ServerError::ServiceNotReady));
    let found = client.look_up();
    assert_eq!((found.response, found.broker_service_url), (Some(1), Some(double.url())));
    client.subscribe(1).unwrap();
    client.flow(100);
    assert_eq!(client.positions(), positions);
    double.restart();
    assert_eq!(client.expect_end(), "closed");
    let mut client = connected(&double);
    assert_eq!(client.subscribe(1), Err(ServerError::ServiceNotReady), "after a start, again");
}

#[test]
fn a_flow_before_success_is_lost() {
    let (double, _) = double(Settings::default(), 3, 1);
    let mut client = connected(&double);
    client.look_up();
    client.send(&[flow(100), subscribe(TOPIC, SUB, 1)]);
    assert!(client.answer().unwrap().success.is_some());
    assert_eq!(client.positions(), [], "that FLOW was for nobody");
}

#[test]
fn permits_count_messages_and_the_first_dispatch_counts_entries() {
    let (double, positions) = double(Settings::default(), 250, 50);
    let mut client = consumer(&double);
    client.flow(7);
    assert_eq!(client.positions(), positions[..7]);
    client.flow(343);
    assert_eq!(client.positions(), [], "350 messages came for 7, 343 are owed");
    client.flow(1000);
    assert_eq!(client.positions(), positions[7..107], "one dispatch is 100 entries at most");
    assert_eq!(double.record().permits_max[TOPIC], 1000);
}

#[test]
fn a_dispatch_ends_at_its_bytes() {
    let settings = Settings { dispatch_bytes: 1000, ..Settings::default() };
    let (double, positions) = double(settings, 300, 1);
    let mut client = consumer(&double);
    client.flow(300);
    assert_eq!(client.positions(), positions);
    assert!(double.record().waiting_bytes_max < 3000, "{}", double.record().waiting_bytes_max);
}

#[test]
fn who_says_nonsense_is_closed_without_a_word() {
    let (double, _) = double(Settings::default(), 1, 1);
    let mut early = dial(&double);
    early.send(&[subscribe(TOPIC, SUB, 1)]);
    assert_eq!(early.expect_end(), "closed");
    let mut large = connected(&double);
    large.send_bytes(&(6 * 1024 * 1024_u32).to_be_bytes());
    assert_eq!(large.expect_end(), "closed");
}

#[test]
fn unknown_topics_and_consumers_get_the_errors_of_the_broker() {
    let (double, _) = double(Settings::default(), 1, 1);
    double.create_topic("persistent://public/default/p", 2);
    let mut client = connected(&double);
    assert!(
        client
            .ask(&look_up("persistent://public/default/nope"))
            .unwrap()
            .lookup_topic_response
            .unwrap()
            .error
            .is_none()
    );
    for topic in ["nope", "p", "p-partition-2"] {
        let topic = format!("persistent://public/default/{topic}");
        let error = client.ask(&subscribe(&topic, SUB, 1)).unwrap().error.unwrap().error;
        assert_eq!(error, ServerError::TopicNotFound as i32, "{topic}");
    }
    client.send(&[ack(Position::new(11, 0)), flow(5)]);
    let seek = pulsar_double::proto::CommandSeek { consumer_id: 1, request_id: 3, ..Default::default() };
    let answer = client.ask(&command(Type::Seek, |made| made.seek = Some(seek))).unwrap().error.unwrap();
    assert_eq!((answer.error, answer.message.as_str()), (ServerError::MetadataError as i32, "Consumer not found"));
}

#[test]
fn partitions_are_counted() {
    let (double, _) = double(Settings::default(), 1, 1);
    double.create_topic("persistent://public/default/p", 2);
    double.create_topic("persistent://public/default/p", 3);
    let mut client = connected(&double);
    let mut count = |topic: &str| {
        let asked = CommandPartitionedTopicMetadata { topic: topic.to_owned(), request_id: 2, ..Default::default() };
        let asked = command(Type::PartitionedMetadata, |made| made.partition_metadata = Some(asked));
        let answer = client.ask(&asked).unwrap().partition_metadata_response.unwrap();
        (answer.partitions, answer.error)
    };
    assert_eq!(count("persistent://public/default/p"), (Some(3), None));
    assert_eq!(count("persistent://public/default/p-partition-2"), (Some(0), None));
    assert_eq!(count(TOPIC), (Some(0), None));
    assert_eq!(count("persistent://public/default/nope"), (None, Some(ServerError::TopicNotFound as i32)));
}

#[test]
fn schemas_are_had_by_version() {
    let (double, _) = double(Settings::default(), 1, 1);
    let first = double.register_schema(TOPIC, 4, "{\"a\":1}");
    let second = double.register_schema(TOPIC, 4, "{\"b\":1}");
    assert_eq!(double.register_schema(TOPIC, 4, "{\"a\":1}"), first, "the same is not registered twice");
    assert_eq!(second, 1_u64.to_be_bytes());
    double.forget_schema(TOPIC, 0);
    let mut client = connected(&double);
    let mut get = |version: Option<Vec<u8>>| {
        let asked = CommandGetSchema { request_id: 1, topic: TOPIC.to_owned(), schema_version: version };
        let asked = command(Type::GetSchema, |made| made.get_schema = Some(asked));
        let answer = client.ask(&asked).unwrap().get_schema_response.unwrap();
        (answer.schema.map(|schema| (schema.r#type, schema.schema_data)), answer.error_code)
    };
    assert_eq!(get(None), (Some((4, b"{\"b\":1}".to_vec())), None));
    assert_eq!(get(Some(second)), (Some((4, b"{\"b\":1}".to_vec())), None));
    for gone in [first, 7_u64.to_be_bytes().to_vec(), vec![1]] {
        assert_eq!(get(Some(gone)), (None, Some(ServerError::TopicNotFound as i32)));
    }
}

#[test]
fn pings_go_both_ways_and_pongs_are_timed() {
    let (double, _) = double(Settings::default(), 1, 1);
    let mut client = consumer(&double);
    assert!(client.ask(&command(Type::Ping, |made| made.ping = Some(CommandPing {}))).unwrap().pong.is_some());
    double.ping();
    assert_eq!(client.receive(Duration::from_millis(100)).unwrap_err(), "silence");
    assert!(double.wait_for(Duration::from_secs(2), |record| record.pongs.len() == 1));
    assert!(double.record().pongs[0] < Duration::from_secs(1));
}

#[test]
fn a_silent_client_is_dropped_after_two_periods() {
    let settings = Settings { keep_alive: Duration::from_millis(200), ..Settings::default() };
    let (double, _) = double(settings, 1, 1);
    let (mut polite, mut rude) = (consumer(&double), connected(&double));
    rude.polite = false;
    assert_eq!(polite.receive(Duration::from_millis(900)).unwrap_err(), "silence");
    assert_eq!(rude.expect_end(), "closed");
    assert!(double.record().pongs.len() >= 2);
}

#[test]
fn a_token_is_asked_for_at_the_beginning_and_by_challenge() {
    let (double, _) = double(Settings { token: Some("a".to_owned()), ..Settings::default() }, 1, 1);
    let mut stranger = dial(&double);
    let refusal = stranger.ask(&connect(Some("b"))).unwrap().error.unwrap();
    assert_eq!(refusal.error, ServerError::AuthenticationError as i32);
    assert_eq!(stranger.expect_end(), "closed");
    let mut friend = dial(&double);
    assert!(friend.ask(&connect(Some("a"))).unwrap().connected.is_some());
    double.set_token(Some("c"));
    double.challenge();
    let challenge = friend.answer().unwrap().auth_challenge.unwrap();
    let response = pulsar_double::proto::CommandAuthResponse { response: challenge.challenge, ..Default::default() };
    friend.send(&[command(Type::AuthResponse, |made| made.auth_response = Some(response))]);
    assert_eq!(friend.expect_end(), "closed", "the challenge is not the token");
}

#[test]
fn all_is_recorded_in_order_and_by_read() {
    let (double, positions) = double(Settings::default(), 5, 1);
    let mut client = consumer(&double);
    client.send(&[ack(positions[1]), flow(10)]);
    assert!(client.answer().unwrap().ack_response.is_some(), "the receipt comes before what follows it");
    assert_eq!(client.positions(), positions[2..]);
    let record = double.record();
    assert_eq!(record.kinds(1), [Type::Connect, Type::Lookup, Type::Subscribe, Type::Ack, Type::Flow]);
    let (acked, flowed) = (record.of(Type::Ack).next().unwrap(), record.of(Type::Flow).next().unwrap());
    assert_eq!(acked.read, flowed.read);
    assert!(record.of(Type::Subscribe).next().unwrap().read < acked.read);
    assert_eq!(record.acknowledged(TOPIC), [positions[1]]);
    assert_eq!((flowed.permits(), record.dispatched), (Some(10), 3));
    assert_eq!(double.mark_delete(TOPIC, SUB), Some(positions[1]));
    let more = fill(&double, 2, 1);
    assert_eq!(client.positions(), more, "what is new comes at once");
}
