//! A small blocking client: one connection, one consumer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pulsar_double::proto::{
    BaseCommand, CommandAck, CommandConnect, CommandFlow, CommandGetLastMessageId, CommandGetLastMessageIdResponse,
    CommandLookupTopic, CommandPong, CommandSeek, CommandSubscribe, MessageIdData, ServerError,
};
use pulsar_double::{Double, Frames, Message, Position, Settings, Shape, Type, command, frame};

/// The topic of the tests.
pub(crate) const TOPIC: &str = "persistent://public/default/t";
/// Its subscription.
pub(crate) const SUB: &str = "s";
/// How long an answer may take, and how long nothing must come to be nothing.
const ANSWER: Duration = Duration::from_secs(5);
const NOTHING: Duration = Duration::from_millis(150);

/// A double with the topic, and entries of `messages` messages each in it.
pub(crate) fn double(settings: Settings, entries: usize, messages: usize) -> (Double, Vec<Position>) {
    let double = Double::start(settings);
    double.create_topic(TOPIC, 0);
    double.create_subscription(TOPIC, SUB);
    let positions = fill(&double, entries, messages);
    (double, positions)
}

pub(crate) fn fill(double: &Double, entries: usize, messages: usize) -> Vec<Position> {
    let of = |n: usize| (0..messages).map(|m| Message::of(format!("{n}.{m}"))).collect::<Vec<_>>();
    (0..entries).map(|n| double.append(TOPIC, &Shape::default().entry(&of(n)))).collect()
}

pub(crate) fn id(position: Position) -> MessageIdData {
    MessageIdData { ledger_id: position.ledger as u64, entry_id: position.entry as u64, ..MessageIdData::default() }
}

/// One connection.
pub(crate) struct Client {
    socket: TcpStream,
    frames: Frames,
    /// Whether it answers a PING.
    pub(crate) polite: bool,
}

impl Client {
    /// Connected, without CONNECT.
    pub(crate) fn dial(double: &Double) -> Client {
        let socket = TcpStream::connect(("127.0.0.1", double.port())).unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, frames: Frames::new(10_000_000), polite: true }
    }

    /// With CONNECT and CONNECTED.
    pub(crate) fn connect(double: &Double) -> Client {
        let mut client = Client::dial(double);
        assert!(client.ask(&connect(None)).unwrap().connected.is_some());
        client
    }

    /// With a look-up of the topic, and subscribed to it.
    pub(crate) fn consumer(double: &Double) -> Client {
        let mut client = Client::connect(double);
        client.look_up(TOPIC);
        client.subscribe(1).unwrap();
        client
    }

    pub(crate) fn send(&mut self, commands: &[BaseCommand]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| frame(command, &[])).collect();
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_with(&mut self, command: &BaseCommand, payload: &[u8]) {
        self.send_bytes(&frame(command, payload));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next command and its payload; an error in words where the connection ended, babbled or said nothing in time.
    pub(crate) fn receive(&mut self, within: Duration) -> Result<(BaseCommand, Vec<u8>), String> {
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
            self.socket.set_read_timeout(Some(left)).unwrap();
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

    pub(crate) fn ask(&mut self, asked: &BaseCommand) -> Result<BaseCommand, String> {
        self.send(std::slice::from_ref(asked));
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Result<BaseCommand, String> {
        Ok(self.receive(ANSWER)?.0)
    }

    pub(crate) fn look_up(&mut self, topic: &str) -> BaseCommand {
        self.ask(&look_up(topic)).unwrap()
    }

    pub(crate) fn subscribe(&mut self, consumer: u64) -> Result<(), ServerError> {
        let answer = self.ask(&subscribe(consumer)).unwrap();
        match answer.error {
            Some(error) => Err(ServerError::try_from(error.error).unwrap()),
            None => {
                assert!(answer.success.is_some());
                Ok(())
            }
        }
    }

    pub(crate) fn flow(&mut self, permits: u32) {
        self.send(&[flow(permits)]);
    }

    /// Acknowledges, and waits for the receipt.
    pub(crate) fn acknowledge(&mut self, position: Position) {
        let receipt = self.ask(&ack(position)).unwrap().ack_response.unwrap();
        assert_eq!((receipt.request_id, receipt.error), (Some(9), None));
    }

    pub(crate) fn last_message_id(&mut self) -> CommandGetLastMessageIdResponse {
        let asked = CommandGetLastMessageId { consumer_id: 1, request_id: 8 };
        let asked = command(Type::GetLastMessageId, |made| made.get_last_message_id = Some(asked));
        self.ask(&asked).unwrap().get_last_message_id_response.unwrap()
    }

    pub(crate) fn seek(&mut self, to: Option<Position>, time: Option<u64>) {
        let seek = CommandSeek { consumer_id: 1, request_id: 7, message_id: to.map(id), message_publish_time: time };
        assert!(self.ask(&command(Type::Seek, |made| made.seek = Some(seek))).unwrap().success.is_some());
        self.expect_dismissal();
    }

    /// CLOSE_CONSUMER by the broker.
    pub(crate) fn expect_dismissal(&mut self) {
        let close = self.answer().unwrap().close_consumer.unwrap();
        assert_eq!((close.consumer_id, close.request_id), (1, u64::MAX));
    }

    /// All messages that come until nothing comes; other commands are not expected.
    pub(crate) fn messages(&mut self) -> Vec<(Position, Vec<u8>)> {
        let mut found = Vec::new();
        while let Ok((got, payload)) = self.receive(NOTHING) {
            let id = got.message.unwrap_or_else(|| panic!("{:?}", Type::try_from(got.r#type))).message_id;
            found.push((Position::new(id.ledger_id as i64, id.entry_id as i64), payload));
        }
        found
    }

    pub(crate) fn positions(&mut self) -> Vec<Position> {
        self.messages().into_iter().map(|(position, _)| position).collect()
    }

    /// How the connection ends.
    pub(crate) fn expect_end(&mut self) -> String {
        self.receive(ANSWER).unwrap_err()
    }
}

pub(crate) fn connect(token: Option<&str>) -> BaseCommand {
    let connect = CommandConnect {
        client_version: "test".to_owned(),
        protocol_version: Some(19),
        auth_data: token.map(|token| token.as_bytes().to_vec()),
        ..CommandConnect::default()
    };
    command(Type::Connect, |made| made.connect = Some(connect))
}

pub(crate) fn look_up(topic: &str) -> BaseCommand {
    let asked = CommandLookupTopic { topic: topic.to_owned(), request_id: 5, ..CommandLookupTopic::default() };
    command(Type::Lookup, |made| made.lookup_topic = Some(asked))
}

pub(crate) fn subscribe_to(topic: &str, consumer: u64) -> BaseCommand {
    let asked = CommandSubscribe {
        topic: topic.to_owned(),
        subscription: SUB.to_owned(),
        sub_type: 0,
        consumer_id: consumer,
        request_id: 4,
        durable: Some(true),
        initial_position: Some(1),
        ..CommandSubscribe::default()
    };
    command(Type::Subscribe, |made| made.subscribe = Some(asked))
}

pub(crate) fn subscribe(consumer: u64) -> BaseCommand {
    subscribe_to(TOPIC, consumer)
}

pub(crate) fn flow(permits: u32) -> BaseCommand {
    command(Type::Flow, |made| made.flow = Some(CommandFlow { consumer_id: 1, message_permits: permits }))
}

pub(crate) fn ack(position: Position) -> BaseCommand {
    let ack = CommandAck {
        consumer_id: 1,
        ack_type: 1,
        message_id: vec![id(position)],
        request_id: Some(9),
        ..CommandAck::default()
    };
    command(Type::Ack, |made| made.ack = Some(ack))
}
