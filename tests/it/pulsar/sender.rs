//! A producer for tests, written from the protocol: entries are exactly as the test wants them, a window of them in flight. Where the
//! broker closes its topic or dies, it asks the administration what is stored once that is back, and goes on behind it: each entry is
//! there once.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use pulsar::message::proto::{
    BaseCommand, CommandConnect, CommandLookupTopic, CommandProducer, CommandSend, CompressionType, MessageMetadata,
    ServerError, SingleMessageMetadata, base_command::Type,
};

use super::broker::Broker;

/// The protocol version that is spoken: that of message ids as they are and checksums.
const VERSION: i32 = 19;

/// Entries sent and not yet acknowledged, unless a test wants fewer.
const WINDOW: u64 = 100;

/// How long the broker may take to answer, and to be there again.
const PATIENCE: Duration = Duration::from_secs(120);

/// The name of the producer: as long as a partition's broker knows one of that name, it takes no other, so that none of its entries
/// can come when it is asked what there is.
const NAME: &str = "it";

/// From one try to open a producer to the next.
const AGAIN: Duration = Duration::from_millis(200);

/// How the messages of an entry lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A batch, be it of one, as the Rust client writes it.
    Batch,
    /// One message, alone, as the Java client writes a batch of one.
    Alone,
}

/// How entries are written.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) framing: Framing,
    pub(crate) codec: CompressionType,
    /// The schema's version at the broker, where one is named.
    pub(crate) schema_version: Option<u64>,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { framing: Framing::Batch, codec: CompressionType::Lz4, schema_version: None }
    }
}

impl Manner {
    /// One for each codec.
    pub(crate) fn every_codec(framing: Framing) -> Vec<Self> {
        let of = |codec| Manner { framing, codec, schema_version: None };
        use CompressionType::{Lz4, None as Plain, Snappy, Zlib, Zstd};
        [Plain, Lz4, Zlib, Zstd, Snappy].map(of).to_vec()
    }
}

/// A producer on one partition, which nobody else sends to meanwhile.
pub(crate) struct Sender<'a> {
    broker: &'a Broker,
    log: String,
    line: Line,
    sent: u64,
    positions: Vec<(u64, u64)>,
    /// The frames whose receipts are out.
    pending: VecDeque<Vec<u8>>,
    /// The last entry (ledger, entry) before the first that is sent.
    before: (i64, i64),
    window: u64,
    /// When an entry was last known to be stored, or was sent while none was in flight.
    heard: Instant,
    interrupted: u64,
}

impl<'a> Sender<'a> {
    /// Connects; `log` is the name of a partition, or of an unpartitioned topic.
    pub(crate) fn open(broker: &'a Broker, log: &str) -> Self {
        let (heard, log) = (Instant::now(), log.to_owned());
        loop {
            let line = Line::open(broker, &log);
            if let Some(before) = broker.last_confirmed(&log) {
                let (positions, pending) = (Vec::new(), VecDeque::new());
                return Sender {
                    broker,
                    log,
                    line,
                    sent: 0,
                    positions,
                    pending,
                    before,
                    window: WINDOW,
                    heard,
                    interrupted: 0,
                };
            }
            assert!(heard.elapsed() < PATIENCE, "nobody says what {log} holds");
        }
    }

    /// Leaves so many entries in flight instead, at the most.
    pub(crate) fn with_in_flight(mut self, window: u64) -> Self {
        self.window = window;
        self
    }

    /// How often it had to go on after the broker had closed its topic, or was away.
    pub(crate) fn interrupted(&self) -> u64 {
        self.interrupted
    }

    /// Goes on after the broker has closed the producer, as one does that finds a topic to be another's while it starts, or after the
    /// connection is lost: what the broker has stored without a word of it is not sent again.
    fn go_on(&mut self) {
        self.interrupted += 1;
        loop {
            assert!(self.heard.elapsed() < PATIENCE, "{}: nothing is stored for {PATIENCE:?}", self.log);
            self.line.close();
            self.line = Line::open(self.broker, &self.log);
            let last = self.positions.last().map_or(self.before, |(ledger, entry)| (*ledger as i64, *entry as i64));
            let Some(found) = self.broker.entries_after(&self.log, last) else { continue };
            for stored in found {
                self.pending.pop_front().expect("only what was sent is stored");
                self.stored(stored);
            }
            if self.pending.iter().all(|frame| self.line.write(frame).is_ok()) {
                return;
            }
        }
    }

    fn stored(&mut self, position: (u64, u64)) {
        self.positions.push(position);
        self.heard = Instant::now();
    }

    /// Sends one entry.
    pub(crate) fn send<P: AsRef<[u8]>>(&mut self, payloads: &[P], manner: &Manner) {
        while self.sent - self.positions.len() as u64 >= self.window {
            self.receipt();
        }
        let body = match manner.framing {
            Framing::Batch => batch(payloads),
            Framing::Alone => payloads[0].as_ref().to_vec(),
        };
        let count = i32::try_from(payloads.len()).unwrap();
        let metadata = MessageMetadata {
            producer_name: NAME.to_owned(),
            sequence_id: self.sent,
            publish_time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
            compression: (manner.codec != CompressionType::None).then_some(manner.codec as i32),
            uncompressed_size: Some(u32::try_from(body.len()).unwrap()),
            num_messages_in_batch: (manner.framing == Framing::Batch).then_some(count),
            schema_version: manner.schema_version.map(|version| version.to_be_bytes().to_vec()),
            ..Default::default()
        };
        self.send_raw(&metadata, &packed(&body, manner.codec), count);
    }

    /// Sends an entry of any metadata and body.
    pub(crate) fn send_raw(&mut self, metadata: &MessageMetadata, body: &[u8], count: i32) {
        let send = CommandSend {
            producer_id: 1,
            sequence_id: self.sent,
            num_messages: Some(count),
            is_chunk: metadata.num_chunks_from_msg.map(|_| true),
            ..Default::default()
        };
        let command = BaseCommand { r#type: Type::Send as i32, send: Some(send), ..Default::default() };
        let mut checked = Vec::new();
        checked.extend((metadata.encoded_len() as u32).to_be_bytes());
        metadata.encode(&mut checked).unwrap();
        checked.extend(body);
        let mut tail = vec![0x0e, 0x01];
        tail.extend(crc32c::crc32c(&checked).to_be_bytes());
        tail.extend(checked);
        let frame = frame(&command, &tail);
        if self.pending.is_empty() {
            self.heard = Instant::now();
        }
        let written = self.line.write(&frame);
        self.pending.push_back(frame);
        self.sent += 1;
        if written.is_err() {
            self.go_on();
        }
    }

    /// Waits until all is acknowledged; gives the position (ledger, entry) of each entry.
    pub(crate) fn finish(mut self) -> Vec<(u64, u64)> {
        self.settle();
        self.positions
    }

    /// Waits until all that is sent is acknowledged.
    pub(crate) fn settle(&mut self) {
        while self.sent > self.positions.len() as u64 {
            self.receipt();
        }
    }

    fn receipt(&mut self) {
        match self.line.reply(Type::SendReceipt) {
            Ok(command) => {
                let receipt = command.send_receipt.expect("a receipt has its fields");
                assert_eq!(receipt.sequence_id, self.positions.len() as u64, "receipts come in order");
                let position = receipt.message_id.expect("a receipt has a position");
                self.stored((position.ledger_id, position.entry_id));
                self.pending.pop_front();
            }
            Err(missed) if missed.passes() => self.go_on(),
            Err(missed) => panic!("a receipt was expected, found {missed}"),
        }
    }
}

/// What came in place of an answer.
enum Missed {
    /// Another command.
    Other(Box<BaseCommand>),
    /// The connection is lost.
    Lost(io::Error),
}

impl Missed {
    /// Whether it is what a topic says that is being closed, or a broker that is being stopped.
    fn passes(&self) -> bool {
        match self {
            Missed::Lost(_) => true,
            Missed::Other(command) => {
                let failed =
                    command.send_error.as_ref().is_some_and(|it| it.error == ServerError::PersistenceError as i32);
                command.close_producer.is_some() || failed
            }
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::Other(command) => write!(f, "{command:?}"),
            Missed::Lost(error) => write!(f, "the connection is lost: {error}"),
        }
    }
}

impl From<io::Error> for Missed {
    fn from(error: io::Error) -> Self {
        Missed::Lost(error)
    }
}

/// A connection with a producer on it.
struct Line(TcpStream);

impl Line {
    /// A broker that has just come back says that it has no place to store anything, for a while.
    fn open(broker: &Broker, log: &str) -> Self {
        let end = Instant::now() + PATIENCE;
        loop {
            match Line::try_open(broker, log) {
                Ok(line) => return line,
                Err(missed) => assert!(Instant::now() < end, "no producer on {log}: {missed}"),
            }
            thread::sleep(AGAIN);
        }
    }

    fn try_open(broker: &Broker, log: &str) -> Result<Self, Missed> {
        let socket = TcpStream::connect(("127.0.0.1", broker.port()))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let mut line = Line(socket);
        let token = broker.token();
        line.command(&BaseCommand {
            r#type: Type::Connect as i32,
            connect: Some(CommandConnect {
                client_version: "minuet-it".to_owned(),
                protocol_version: Some(VERSION),
                auth_method_name: token.as_ref().map(|_| "token".to_owned()),
                auth_data: token.map(String::into_bytes),
                ..Default::default()
            }),
            ..Default::default()
        })?;
        line.reply(Type::Connected)?;
        // Without a look-up nobody owns the topic after a start of the broker.
        let lookup = CommandLookupTopic { topic: log.to_owned(), request_id: 1, ..Default::default() };
        let r#type = Type::Lookup as i32;
        line.command(&BaseCommand { r#type, lookup_topic: Some(lookup), ..Default::default() })?;
        line.reply(Type::LookupResponse)?;
        let (topic, producer_name) = (log.to_owned(), Some(NAME.to_owned()));
        let producer = CommandProducer { topic, producer_name, producer_id: 1, request_id: 2, ..Default::default() };
        let r#type = Type::Producer as i32;
        line.command(&BaseCommand { r#type, producer: Some(producer), ..Default::default() })?;
        line.reply(Type::ProducerSuccess)?;
        Ok(line)
    }

    /// Ends it, so that the broker forgets its producer.
    fn close(&mut self) {
        // One that is lost needs no end.
        let _ = self.0.shutdown(Shutdown::Both);
    }

    fn command(&mut self, command: &BaseCommand) -> io::Result<()> {
        self.write(&frame(command, &[]))
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.0.write_all(frame)
    }

    /// The next command of this kind. Pings are answered.
    fn reply(&mut self, expected: Type) -> Result<BaseCommand, Missed> {
        loop {
            let command = self.read()?;
            match Type::try_from(command.r#type) {
                Ok(found) if found == expected => return Ok(command),
                Ok(Type::Ping) => {
                    let pong = Some(Default::default());
                    self.command(&BaseCommand { r#type: Type::Pong as i32, pong, ..Default::default() })?;
                }
                _ => return Err(Missed::Other(Box::new(command))),
            }
        }
    }

    fn read(&mut self) -> io::Result<BaseCommand> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame)?;
        Ok(BaseCommand::decode(&frame[4..]).expect("the broker's commands decode"))
    }
}

/// A command with what follows it.
fn frame(command: &BaseCommand, tail: &[u8]) -> Vec<u8> {
    let length = command.encoded_len();
    let mut frame = Vec::with_capacity(8 + length + tail.len());
    frame.extend(((4 + length + tail.len()) as u32).to_be_bytes());
    frame.extend((length as u32).to_be_bytes());
    command.encode(&mut frame).unwrap();
    frame.extend(tail);
    frame
}

fn batch<P: AsRef<[u8]>>(payloads: &[P]) -> Vec<u8> {
    let mut body = Vec::new();
    for payload in payloads.iter().map(AsRef::as_ref) {
        let payload_size = i32::try_from(payload.len()).unwrap();
        let metadata = SingleMessageMetadata { payload_size, ..Default::default() };
        body.extend((metadata.encoded_len() as u32).to_be_bytes());
        metadata.encode(&mut body).unwrap();
        body.extend(payload);
    }
    body
}

fn packed(body: &[u8], codec: CompressionType) -> Vec<u8> {
    match codec {
        CompressionType::None => body.to_vec(),
        CompressionType::Lz4 => lz4_flex::block::compress(body),
        CompressionType::Zstd => zstd::bulk::compress(body, 3).unwrap(),
        CompressionType::Snappy => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        CompressionType::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
    }
}
