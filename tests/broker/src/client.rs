//! A small blocking client: one connection, one consumer. It asks the double and a real broker the same.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::command_ack::AckType;
use pulsar::message::proto::command_subscribe::{InitialPosition, SubType};
use pulsar::message::proto::{
    BaseCommand, CommandAck, CommandConnect, CommandFlow, CommandGetLastMessageId, CommandGetLastMessageIdResponse,
    CommandLookupTopic, CommandLookupTopicResponse, CommandPong, CommandSeek, CommandSubscribe, ServerError,
};

use crate::frame::{Frames, command, frame};
use crate::topic::Position;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The number of the client's consumer, if it has but one.
pub const CONSUMER: u64 = 1;

/// One connection, with one topic and one subscription in mind. What does not go as it should panics: it is for tests.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    frames: Frames,
    topic: String,
    subscription: String,
    /// Whether it answers a PING.
    pub polite: bool,
    /// How long nothing must come to be nothing.
    pub nothing: Duration,
}

impl Client {
    /// Connected to a port of the loopback interface, without CONNECT.
    pub fn dial(port: u16, topic: &str, subscription: &str) -> Client {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the broker listens");
        socket.set_nodelay(true).expect("a socket has options");
        Client {
            socket,
            frames: Frames::new(10_000_000),
            topic: topic.to_owned(),
            subscription: subscription.to_owned(),
            polite: true,
            nothing: Duration::from_millis(150),
        }
    }

    /// With CONNECT and CONNECTED.
    pub fn connect(port: u16, topic: &str, subscription: &str) -> Client {
        let mut client = Client::dial(port, topic, subscription);
        assert!(client.ask(&connect(None)).expect("CONNECT is answered").connected.is_some());
        client
    }

    /// With a look-up of the topic, and subscribed to it.
    pub fn consumer(port: u16, topic: &str, subscription: &str) -> Client {
        let mut client = Client::connect(port, topic, subscription);
        client.look_up();
        client.subscribe(CONSUMER).expect("the subscription is free");
        client
    }

    /// Sends commands in one write.
    pub fn send(&mut self, commands: &[BaseCommand]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| frame(command, &[])).collect();
        self.send_bytes(&bytes);
    }

    /// Sends a command and what follows it.
    pub fn send_with(&mut self, command: &BaseCommand, payload: &[u8]) {
        self.send_bytes(&frame(command, payload));
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the connection is open");
    }

    /// The next command and its payload; an error in words where the connection ended, babbled or said nothing in time.
    pub fn receive(&mut self, within: Duration) -> Result<(BaseCommand, Vec<u8>), String> {
        let end = Instant::now() + within;
        let mut buffer = [0; 4096];
        loop {
            if let Some((got, payload)) = self.frames.take()? {
                if got.ping.is_none() {
                    return Ok((got, payload));
                }
                if self.polite {
                    self.send(&[command(Type::Pong, |made| made.pong = Some(CommandPong {}))]);
                }
                continue;
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a socket has options");
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("closed".to_owned()),
                Ok(length) => self.frames.push(&buffer[..length]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("silence".to_owned());
                }
                Err(_) => return Err("closed".to_owned()),
            }
        }
    }

    /// Asks, and takes what comes next for the answer.
    pub fn ask(&mut self, asked: &BaseCommand) -> Result<BaseCommand, String> {
        self.send(std::slice::from_ref(asked));
        self.answer()
    }

    /// The next command.
    pub fn answer(&mut self) -> Result<BaseCommand, String> {
        Ok(self.receive(ANSWER)?.0)
    }

    /// Looks its topic up.
    pub fn look_up(&mut self) -> CommandLookupTopicResponse {
        let asked = look_up(&self.topic);
        self.ask(&asked).expect("a look-up is answered").lookup_topic_response.expect("by its own kind")
    }

    /// Subscribes, from the earliest entry on where the subscription is new.
    pub fn subscribe(&mut self, consumer: u64) -> Result<(), ServerError> {
        let asked = subscribe(&self.topic, &self.subscription, consumer);
        let answer = self.ask(&asked).expect("SUBSCRIBE is answered");
        let Some(error) = answer.error else {
            assert!(answer.success.is_some(), "{answer:?}");
            return Ok(());
        };
        Err(ServerError::try_from(error.error).expect("a known error"))
    }

    /// Gives permits.
    pub fn flow(&mut self, permits: u32) {
        self.send(&[flow(permits)]);
    }

    /// Acknowledges, and waits for the receipt.
    pub fn acknowledge(&mut self, position: Position) {
        let receipt = self.ask(&ack(position)).expect("an ACK is answered").ack_response.expect("by a receipt");
        assert_eq!((receipt.request_id, receipt.error), (Some(9), None));
    }

    /// The last entry of the topic and where the cursor stands.
    pub fn last_message_id(&mut self) -> CommandGetLastMessageIdResponse {
        let asked = CommandGetLastMessageId { consumer_id: CONSUMER, request_id: 8 };
        let asked = command(Type::GetLastMessageId, |made| made.get_last_message_id = Some(asked));
        self.ask(&asked).expect("it is answered").get_last_message_id_response.expect("by its own kind")
    }

    /// Seeks to an entry or a time, is sent away, and subscribes again. Brokers send CLOSE_CONSUMER before SUCCESS or behind it; whether
    /// it came before is given back.
    pub fn seek(&mut self, to: Option<Position>, time: Option<u64>) -> bool {
        let seek = CommandSeek {
            consumer_id: CONSUMER,
            request_id: 7,
            message_id: to.map(|to| to.id(-1)),
            message_publish_time: time,
        };
        let first = self.ask(&command(Type::Seek, |made| made.seek = Some(seek))).expect("SEEK is answered");
        let second = self.answer().expect("SUCCESS and CLOSE_CONSUMER come");
        let success = [&first, &second].into_iter().any(|answer| answer.success.is_some());
        let closed = [&first, &second].into_iter().any(|answer| answer.close_consumer.is_some());
        assert!(success && closed, "{first:?}, {second:?}");
        self.subscribe(CONSUMER).expect("the subscription is free after a SEEK");
        first.close_consumer.is_some()
    }

    /// CLOSE_CONSUMER by the broker.
    pub fn expect_dismissal(&mut self) {
        let close = self.answer().expect("CLOSE_CONSUMER comes").close_consumer.expect("it is CLOSE_CONSUMER");
        assert_eq!((close.consumer_id, close.request_id), (CONSUMER, u64::MAX));
    }

    /// All messages that come until nothing comes; other commands are not expected.
    pub fn messages(&mut self) -> Vec<(Position, Vec<u8>)> {
        let mut found = Vec::new();
        while let Ok((got, payload)) = self.receive(self.nothing) {
            let id = got.message.unwrap_or_else(|| panic!("{:?}", Type::try_from(got.r#type))).message_id;
            found.push((Position::new(id.ledger_id as i64, id.entry_id as i64), payload));
        }
        found
    }

    /// Their positions.
    pub fn positions(&mut self) -> Vec<Position> {
        self.messages().into_iter().map(|(position, _)| position).collect()
    }

    /// How the connection ends.
    pub fn expect_end(&mut self) -> String {
        self.receive(ANSWER).expect_err("the connection ends")
    }
}

/// CONNECT, with a token or none.
pub fn connect(token: Option<&str>) -> BaseCommand {
    let connect = CommandConnect {
        client_version: "test".to_owned(),
        protocol_version: Some(19),
        auth_data: token.map(|token| token.as_bytes().to_vec()),
        ..CommandConnect::default()
    };
    command(Type::Connect, |made| made.connect = Some(connect))
}

/// LOOKUP of a topic.
pub fn look_up(topic: &str) -> BaseCommand {
    let asked = CommandLookupTopic { topic: topic.to_owned(), request_id: 5, ..CommandLookupTopic::default() };
    command(Type::Lookup, |made| made.lookup_topic = Some(asked))
}

/// SUBSCRIBE: durable, exclusive, from the earliest entry on.
pub fn subscribe(topic: &str, subscription: &str, consumer: u64) -> BaseCommand {
    let asked = CommandSubscribe {
        topic: topic.to_owned(),
        subscription: subscription.to_owned(),
        sub_type: SubType::Exclusive as i32,
        consumer_id: consumer,
        request_id: 4,
        durable: Some(true),
        initial_position: Some(InitialPosition::Earliest as i32),
        ..CommandSubscribe::default()
    };
    command(Type::Subscribe, |made| made.subscribe = Some(asked))
}

/// FLOW.
pub fn flow(permits: u32) -> BaseCommand {
    command(Type::Flow, |made| made.flow = Some(CommandFlow { consumer_id: CONSUMER, message_permits: permits }))
}

/// A cumulative ACK that wants a receipt.
pub fn ack(position: Position) -> BaseCommand {
    let ack = CommandAck {
        consumer_id: CONSUMER,
        ack_type: AckType::Cumulative as i32,
        message_id: vec![position.id(-1)],
        request_id: Some(9),
        ..CommandAck::default()
    };
    command(Type::Ack, |made| made.ack = Some(ack))
}
