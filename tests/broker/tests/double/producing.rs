//! PRODUCER, SEND, SEND_RECEIPT, and codecs.

use std::time::Duration;

use pulsar_double::proto::{BaseCommand, CommandProducer, CommandSend, Schema, ServerError};
use pulsar_double::{Codec, Double, Fault, Message, Reply, Settings, Shape, Type, command};

use crate::setting::{TOPIC, connected, consumer, double};
use pulsar_double::client::Client;

fn producer(name: Option<&str>) -> BaseCommand {
    let schema = Schema { name: "x".to_owned(), schema_data: b"{}".to_vec(), r#type: 4, properties: Vec::new() };
    let asked = CommandProducer {
        topic: TOPIC.to_owned(),
        producer_id: 3,
        request_id: 6,
        producer_name: name.map(str::to_owned),
        schema: Some(schema),
        ..CommandProducer::default()
    };
    command(Type::Producer, |made| made.producer = Some(asked))
}

fn send(sequence_id: u64) -> BaseCommand {
    let asked = CommandSend { producer_id: 3, sequence_id, ..CommandSend::default() };
    command(Type::Send, |made| made.send = Some(asked))
}

fn open(double: &Double) -> Client {
    let mut client = connected(double);
    client.look_up();
    let success = client.ask(&producer(Some("p"))).unwrap().producer_success.unwrap();
    assert_eq!((success.producer_name.as_str(), success.schema_version), ("p", Some(vec![0; 8])));
    client
}

#[test]
fn what_is_sent_is_there_to_be_read_with_its_bytes() {
    let (double, _) = double(Settings::default(), 0, 1);
    let mut client = open(&double);
    let entries: Vec<Vec<u8>> = [Codec::None, Codec::Lz4, Codec::Zlib, Codec::Zstd, Codec::Snappy]
        .map(|codec| Shape { codec, ..Shape::default() }.entry(&[Message::of("some bytes"), Message::of("more")]))
        .to_vec();
    for (n, entry) in entries.iter().enumerate() {
        client.send_with(&send(n as u64), entry);
        let receipt = client.answer().unwrap().send_receipt.unwrap();
        assert_eq!((receipt.sequence_id, receipt.message_id.unwrap().entry_id), (n as u64, n as u64));
    }
    let mut reader = consumer(&double);
    reader.flow(100);
    let got: Vec<Vec<u8>> = reader.messages().into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(got, entries);
    assert_eq!(double.record().sends, 5);
}

#[test]
fn a_producer_is_refused_where_the_broker_would() {
    let (double, _) = double(Settings::default(), 0, 1);
    let mut client = connected(&double);
    let error = |answer: BaseCommand| answer.error.unwrap().error;
    assert_eq!(error(client.ask(&producer(None)).unwrap()), ServerError::ServiceNotReady as i32);
    let mut holder = open(&double);
    assert_eq!(error(client.ask(&producer(Some("p"))).unwrap()), ServerError::ProducerBusy as i32);
    let mut entry = Shape::default().entry(&[Message::of("x")]);
    entry[3] ^= 1;
    holder.send_with(&send(0), &entry);
    assert_eq!(holder.answer().unwrap().send_error.unwrap().error, ServerError::ChecksumError as i32);
    double.unload(TOPIC);
    assert_eq!(holder.answer().unwrap().close_producer.unwrap().producer_id, 3);
}

#[test]
fn a_receipt_can_be_lost_and_a_send_refused() {
    let (double, _) = double(Settings::default(), 0, 1);
    let mut client = open(&double);
    let entry = Shape::default().entry(&[Message::of("x")]);
    double.plan(None, Fault::Answer(Type::Send, Reply::Nothing), 1);
    double.plan(Some(TOPIC), Fault::Answer(Type::Send, Reply::Error(ServerError::PersistenceError)), 1);
    client.send_with(&send(0), &entry);
    assert_eq!(client.receive(Duration::from_millis(100)).unwrap_err(), "silence");
    client.send_with(&send(1), &entry);
    assert_eq!(client.answer().unwrap().send_error.unwrap().sequence_id, 1);
    let mut reader = consumer(&double);
    reader.flow(100);
    assert_eq!(reader.positions().len(), 1, "the one without a receipt is there, the refused one is not");
}
