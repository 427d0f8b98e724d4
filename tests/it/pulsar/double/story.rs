//! One story told to a real broker and to the double: both must answer the same, word for word, ledgers counted from the first.

use std::time::Duration;

use pulsar_double::client::{self, Client};
use pulsar_double::proto::{
    BaseCommand, CommandGetSchema, CommandPartitionedTopicMetadata, CommandProducer, CommandSeek, CommandSend, Schema,
    ServerError,
};
use pulsar_double::{Codec, Double, Message, Position, Settings, Shape, Type, command};

use crate::pulsar::broker::Broker;
use crate::pulsar::topic::Topic;

/// The subscription of the story.
const SUB: &str = "story";

/// Who is told the story.
struct Listener<'a> {
    port: u16,
    topic: String,
    /// A topic of two partitions beside it.
    parent: String,
    unload: &'a dyn Fn(),
}

/// What was answered, ledgers renamed in the order of their numbers.
struct Told {
    lines: Vec<String>,
    ledgers: Vec<u64>,
}

impl Told {
    fn say(&mut self, what: &str, answer: impl std::fmt::Debug) {
        self.lines.push(format!("{what}: {answer:?}"));
    }

    /// A position with a ledger's ordinal in place of its number.
    fn place(&mut self, position: Position) -> (i64, i64) {
        let ledger = position.ledger as u64;
        if position == Position::NONE {
            return (-1, -1);
        }
        if !self.ledgers.contains(&ledger) {
            self.ledgers.push(ledger);
        }
        (self.ledgers.iter().position(|it| *it == ledger).unwrap() as i64, position.entry)
    }

    fn places(&mut self, positions: Vec<Position>) -> Vec<(i64, i64)> {
        positions.into_iter().map(|position| self.place(position)).collect()
    }

    fn last(&mut self, what: &str, client: &mut Client) {
        let answer = client.last_message_id();
        let (last, mark) = (answer.last_message_id, answer.consumer_mark_delete_position.unwrap());
        let at = |id: &pulsar_double::proto::MessageIdData| Position::new(id.ledger_id as i64, id.entry_id as i64);
        let said = (self.place(at(&last)), last.batch_index, self.place(at(&mark)));
        self.say(what, said);
    }
}

fn error(answer: &BaseCommand) -> Option<ServerError> {
    answer.error.as_ref().and_then(|error| ServerError::try_from(error.error).ok())
}

/// The whole story.
fn tell(to: &Listener<'_>) -> Vec<String> {
    let mut told = Told { lines: Vec::new(), ledgers: Vec::new() };
    let mut client = open(to);
    unknown_names(to, &mut client, &mut told);
    client.subscribe(client::CONSUMER).unwrap();
    told.last("an empty topic", &mut client);
    let positions = produce(to, &mut told);
    permits(&mut client, &mut told);
    acknowledgements(&mut client, &positions, &mut told);
    seeks(&mut client, &positions, &mut told);
    rivals(to, &mut client, &mut told);
    schemas(to, &mut client, &mut told);
    told.last("before an unload", &mut client);
    (to.unload)();
    client.expect_dismissal();
    client.look_up();
    told.say("subscribe after an unload", client.subscribe(client::CONSUMER));
    client.flow(1000);
    let again = client.positions();
    let again = told.places(again);
    told.say("redelivered", again);
    told.last("after an unload", &mut client);
    told.lines
}

fn open(to: &Listener<'_>) -> Client {
    let mut client = Client::connect(to.port, &to.topic, SUB);
    // A real broker on a busy machine reads from a disk.
    client.nothing = Duration::from_millis(700);
    let found = client.look_up();
    assert_eq!(found.response, Some(1), "{found:?}");
    client
}

fn unknown_names(to: &Listener<'_>, client: &mut Client, told: &mut Told) {
    let nowhere = to.topic.replace("/events", "/nowhere");
    let found = client.ask(&client::look_up(&nowhere)).unwrap().lookup_topic_response.unwrap();
    told.say("look up what is not there", (found.response, found.error));
    for name in [&nowhere, &to.parent, &format!("{}-partition-7", to.parent)] {
        client.ask(&client::look_up(name)).unwrap();
        told.say("subscribe to what is not there", error(&client.ask(&client::subscribe(name, SUB, 5)).unwrap()));
    }
    for name in [&to.topic, &to.parent, &format!("{}-partition-1", to.parent), &nowhere] {
        let asked = CommandPartitionedTopicMetadata { topic: name.clone(), request_id: 2, ..Default::default() };
        let asked = command(Type::PartitionedMetadata, |made| made.partition_metadata = Some(asked));
        let answer = client.ask(&asked).unwrap().partition_metadata_response.unwrap();
        told.say("partitions", (answer.partitions, answer.error));
    }
    let seek = CommandSeek { consumer_id: 77, request_id: 3, message_publish_time: Some(1), ..Default::default() };
    told.say(
        "seek without a consumer",
        error(&client.ask(&command(Type::Seek, |made| made.seek = Some(seek))).unwrap()),
    );
    client.send(&[client::flow(5), client::ack(Position::new(1, 1))]);
    told.say("flow and ack without a consumer", client.positions());
}

/// Forty batches of five, one message alone; published a second apart.
fn produce(to: &Listener<'_>, told: &mut Told) -> Vec<Position> {
    let mut client = open(to);
    let schema = Schema { name: "x".to_owned(), schema_data: SCHEMA.into(), r#type: 4, properties: Vec::new() };
    let producer = CommandProducer {
        topic: to.topic.clone(),
        producer_id: 3,
        request_id: 6,
        producer_name: Some("teller".to_owned()),
        schema: Some(schema),
        ..CommandProducer::default()
    };
    let asked = command(Type::Producer, |made| made.producer = Some(producer));
    let opened = client.ask(&asked).unwrap().producer_success.unwrap();
    told.say("a producer", (opened.producer_name, opened.schema_version, opened.last_sequence_id));
    let mut rival = open(to);
    rival.send(&[asked]);
    // The first one reads its socket, and with that answers the broker's PING.
    told.say("to the first producer", client.positions().len());
    told.say("the same name again", error(&rival.answer().unwrap()));
    let messages: Vec<Message> = (0..5).map(|n| Message::of(format!("message {n}"))).collect();
    let mut positions = Vec::new();
    for n in 0..=40 {
        let batch = n < 40;
        let shape = Shape { batch, codec: Codec::Lz4, publish_time: 1000 * (n + 1), ..Shape::default() };
        let send = CommandSend {
            producer_id: 3,
            sequence_id: n,
            num_messages: Some(if batch { 5 } else { 1 }),
            ..CommandSend::default()
        };
        client.send_with(&command(Type::Send, |made| made.send = Some(send)), &shape.entry(&messages));
        let id = client.answer().unwrap().send_receipt.unwrap().message_id.unwrap();
        positions.push(Position::new(id.ledger_id as i64, id.entry_id as i64));
    }
    let places = told.places(positions.clone());
    told.say("receipts", places);
    let mut wrong = Shape::default().entry(&messages);
    wrong[3] ^= 1;
    let send = CommandSend { producer_id: 3, sequence_id: 41, num_messages: Some(5), ..CommandSend::default() };
    client.send_with(&command(Type::Send, |made| made.send = Some(send)), &wrong);
    let refused = client.answer().unwrap().send_error.unwrap();
    told.say("a wrong checksum", (refused.sequence_id, refused.error));
    positions
}

const SCHEMA: &str = r#"{"type":"record","name":"x","fields":[{"name":"a","type":"long"}]}"#;

fn permits(client: &mut Client, told: &mut Told) {
    told.last("all written", client);
    for permits in [7, 20, 8, 1] {
        client.flow(permits);
        let got = client.positions();
        let got = told.places(got);
        told.say(&format!("{permits} permits more"), got);
    }
}

fn acknowledgements(client: &mut Client, positions: &[Position], told: &mut Told) {
    let (at, last) = (positions[10], positions[40]);
    let to = [
        at,
        positions[4],
        Position::new(last.ledger, last.entry + 1),
        Position::new(last.ledger, last.entry + 500),
        Position::new(last.ledger, -1),
        Position::new(last.ledger - 1, 0),
        Position::new(last.ledger + 1, 0),
        Position::new(last.ledger + 900, 7),
        positions[20],
    ];
    for position in to {
        client.acknowledge(position);
        told.last("acknowledged", client);
    }
}

fn seeks(client: &mut Client, positions: &[Position], told: &mut Told) {
    let ledger = positions[0].ledger;
    let to = [
        (Some(positions[30]), None),
        (Some(Position::new(ledger, 900)), None),
        (Some(Position::new(ledger + 900, 3)), None),
        (Some(Position::new(0, 3)), None),
        (None, Some(36_000)),
        (None, Some(36_001)),
        (None, Some(90_000)),
        (None, Some(1)),
        (Some(positions[35]), None),
    ];
    for (position, time) in to {
        client.seek(position, time);
        client.flow(1000);
        let first = client.positions().first().map(|first| told.place(*first));
        told.say("first after a seek", first);
    }
    told.last("after the seeks", client);
}

fn rivals(to: &Listener<'_>, client: &mut Client, told: &mut Told) {
    told.say("the same consumer again", client.subscribe(client::CONSUMER));
    told.say("another of the same connection", client.subscribe(9));
    let mut shared = client::subscribe(&to.topic, SUB, 1);
    shared.subscribe.as_mut().unwrap().sub_type = 1;
    let mut other = open(to);
    other.send(&[shared]);
    // The holder reads its socket, and with that answers the broker's PING.
    client.nothing = Duration::from_millis(400);
    told.say("to the holder", client.positions().len());
    told.say("a shared one", error(&other.answer().unwrap()));
    other.send(&[client::subscribe(&to.topic, SUB, 1)]);
    told.say("to the holder", client.positions().len());
    client.nothing = Duration::from_millis(700);
    told.say("an exclusive one", error(&other.answer().unwrap()));
}

fn schemas(to: &Listener<'_>, client: &mut Client, told: &mut Told) {
    for version in [None, Some(0_u64.to_be_bytes().to_vec()), Some(9_u64.to_be_bytes().to_vec())] {
        let asked = CommandGetSchema { request_id: 1, topic: to.topic.clone(), schema_version: version };
        let asked = command(Type::GetSchema, |made| made.get_schema = Some(asked));
        let answer = client.ask(&asked).unwrap().get_schema_response.unwrap();
        let schema = answer.schema.map(|schema| (schema.r#type, schema.schema_data));
        told.say("a schema", (schema, answer.schema_version, answer.error_code));
    }
}

#[test]
fn a_real_broker_and_the_double_tell_the_same() {
    let broker = Broker::shared();
    let topic = Topic::make(broker, "story", 0);
    let parent = Topic::make(broker, "story-parent", 2);
    let real = tell(&Listener {
        port: broker.port(),
        topic: topic.full_name(),
        parent: parent.full_name(),
        unload: &|| topic.unload(),
    });
    let double = Double::start(Settings::default());
    double.create_topic(&topic.full_name(), 0);
    double.create_topic(&parent.full_name(), 2);
    let told = tell(&Listener {
        port: double.port(),
        topic: topic.full_name(),
        parent: parent.full_name(),
        unload: &|| double.unload(&topic.full_name()),
    });
    let differing: Vec<String> =
        real.iter().zip(&told).filter(|(a, b)| a != b).map(|(a, b)| format!("broker {a}\ndouble {b}")).collect();
    assert!(differing.is_empty() && real.len() == told.len(), "{}", differing.join("\n"));
}
