//! One connection with one broker: CONNECT, requests and their answers, signs of life in both directions.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{self, BaseCommand, Schema, ServerError};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::failed::{Cause, Failed};
use super::order::after;
use super::pipe::{Pipe, Waited};
use super::security::Credentials;
use super::socket;
use super::wire::command::{self, Incoming};
use super::wire::frame::Inbox;
use crate::limits::{
    PULSAR_CONNECT_MS, PULSAR_FRAME_BYTES_MAX, PULSAR_FRAME_EXTRA_BYTES, PULSAR_GREETING_BYTES_MAX,
    PULSAR_KEEP_ALIVE_MS, PULSAR_KEPT_FRAMES_MAX, PULSAR_MESSAGE_BYTES, PULSAR_REQUEST_MS,
};
use crate::snapshot::Position;

/// The version that is spoken: the first with all that is used, and known to brokers since 2.8.
const PROTOCOL_VERSION: i32 = 19;

const KEEP_ALIVE: Duration = Duration::from_millis(PULSAR_KEEP_ALIVE_MS);

/// A connection that has been let in.
pub struct Connection {
    pipe: Pipe,
    /// Whom it is with, for words.
    broker: String,
    credentials: Credentials,
    max_message_size: usize,
    requests: u64,
    /// When our PING went that nothing has followed yet.
    asked: Option<Instant>,
    /// Whether the broker waits for fresh credentials.
    challenged: bool,
    /// What came while an answer was waited for.
    kept: VecDeque<Kept>,
    /// The one of them that was handed out last.
    shown: Vec<u8>,
}

enum Kept {
    Message { position: (u64, u64), redelivery: u32, payload: Vec<u8> },
    Command(Box<BaseCommand>),
}

/// A frame as it came.
#[derive(Debug)]
pub enum Frame<'a> {
    /// An entry.
    Message {
        /// Its ledger and its number there.
        position: (u64, u64),
        /// How often it was delivered before, as far as the broker knows.
        redelivery: u32,
        /// What [`super::wire::entry::open`] opens.
        payload: &'a [u8],
    },
    /// Anything else but PING, PONG and AUTH_CHALLENGE, which are answered here.
    Command(Box<BaseCommand>),
}

/// Where a topic ends, and how far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// The topic's last entry; none where there is none, which does not mean that there never was one.
    pub last: Option<Position>,
    /// The position after the mark-delete position; none where the broker does not say.
    pub cursor: Option<Position>,
}

impl LastMessage {
    /// GET_LAST_MESSAGE_ID, for a consumer of the connection.
    pub(super) fn question(consumer_id: u64, request_id: u64) -> BaseCommand {
        let asked = proto::CommandGetLastMessageId { consumer_id, request_id };
        BaseCommand { get_last_message_id: Some(asked), ..command::of_type(Type::GetLastMessageId) }
    }

    /// Its answer. A ledger of -1 is none; an entry of -1 is the place before a ledger's first, which a last entry cannot be.
    pub(super) fn told(answer: &BaseCommand) -> Option<Self> {
        let answer = answer.get_last_message_id_response.as_ref()?;
        let place =
            |id: &proto::MessageIdData| (id.ledger_id != u64::MAX).then_some(Position(id.ledger_id, id.entry_id));
        Some(LastMessage {
            last: place(&answer.last_message_id).filter(|last| last.1 != u64::MAX),
            cursor: answer.consumer_mark_delete_position.as_ref().and_then(place).map(after),
        })
    }
}

/// What came, its payload still in the inbox.
pub(super) enum Came {
    Message { position: (u64, u64), redelivery: u32, payload: Range<usize> },
    Receipt(u64),
    Command(Box<BaseCommand>),
}

/// With whom to connect.
pub(super) struct Target<'a> {
    /// `host:port`.
    pub broker: &'a str,
    /// The broker behind it, where it is a proxy.
    pub behind: Option<&'a str>,
    pub tls: Option<&'a TlsConnector>,
    pub credentials: &'a Credentials,
}

impl Connection {
    /// Connects and is let in, within a time limit.
    pub(super) async fn open(target: Target<'_>) -> Result<Self, Failed> {
        let limit = Duration::from_millis(PULSAR_CONNECT_MS);
        let broker = target.broker;
        timeout(limit, Self::greet(target)).await.unwrap_or_else(|_| {
            Err(Failed::new(Cause::TimedOut, format!("connecting with {broker}: not done in {PULSAR_CONNECT_MS} ms")))
        })
    }

    async fn greet(target: Target<'_>) -> Result<Self, Failed> {
        let Target { broker, behind, tls, credentials } = target;
        let greeting = connect_command(credentials, behind).await?;
        let stream = socket::dial(broker, tls).await?;
        let mut connection = Connection {
            pipe: Pipe::new(stream, Inbox::new(PULSAR_GREETING_BYTES_MAX)),
            broker: behind.map_or(broker.to_owned(), |behind| format!("{behind} (through {broker})")),
            credentials: credentials.clone(),
            max_message_size: PULSAR_MESSAGE_BYTES,
            requests: 0,
            asked: None,
            challenged: false,
            kept: VecDeque::new(),
            shown: Vec::new(),
        };
        command::frame(&greeting, connection.pipe.outgoing());
        let answer = connection.come().await.map_err(|failed| connection.stranger(failed))?;
        let Came::Command(answer) = answer else {
            return Err(connection.failed(Cause::Stranger, "it answers CONNECT with an entry; it is no Pulsar broker"));
        };
        match (Type::try_from(answer.r#type), answer.connected) {
            (Ok(Type::Connected), Some(connected)) => connection.believe(connected.max_message_size),
            (Ok(Type::Error), _) => {
                return Err(connection.refused("CONNECT", answer.error.map(|e| (e.error, e.message))));
            }
            _ => return Err(connection.failed(Cause::Stranger, "it answers CONNECT with another command")),
        }
        Ok(connection)
    }

    /// What goes wrong before the first answer mostly means that the port is another's.
    fn stranger(&self, failed: Failed) -> Failed {
        match failed.cause {
            Cause::Protocol => self.failed(
                Cause::Stranger,
                &format!("what answers is no Pulsar broker, or speaks TLS on this port ({})", failed.words),
            ),
            Cause::Closed => Failed::new(
                Cause::Closed,
                format!("{} before it answered CONNECT; TLS on this port, or none, may be the reason", failed.words),
            ),
            _ => failed,
        }
    }

    fn believe(&mut self, said: Option<i32>) {
        let said = said.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        self.max_message_size = said.unwrap_or(PULSAR_MESSAGE_BYTES).min(PULSAR_FRAME_BYTES_MAX);
        self.pipe.inbox.believe(self.max_message_size + PULSAR_FRAME_EXTRA_BYTES);
    }

    /// Whom it is with, for words.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// The longest message that the broker takes and gives, in bytes.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// A request id that no other command of this connection has, for what is written by hand.
    pub fn next_request_id(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Sends a command, with its request id filled in, and waits for the answer; a refusal is an error. What else comes meanwhile is
    /// kept for [`Connection::next`], in order.
    pub async fn request(&mut self, mut command: BaseCommand) -> Result<BaseCommand, Failed> {
        let name = Type::try_from(command.r#type).map_or("a command", |kind| kind.as_str_name());
        let id = self.next_request_id();
        let Some(place) = command::request_id(&mut command) else {
            return Err(self.failed(Cause::Protocol, &format!("{name} is no request")));
        };
        *place = id;
        command::frame(&command, self.pipe.outgoing());
        let limit = Duration::from_millis(PULSAR_REQUEST_MS);
        let answer = timeout(limit, self.answer(id)).await.unwrap_or_else(|_| {
            Err(self.failed(Cause::TimedOut, &format!("{name} was not answered in {PULSAR_REQUEST_MS} ms")))
        })?;
        match command::refusal(&answer) {
            None => Ok(*answer),
            refusal => Err(self.refused(name, refusal)),
        }
    }

    async fn answer(&mut self, id: u64) -> Result<Box<BaseCommand>, Failed> {
        loop {
            match self.come().await? {
                Came::Command(command) if command::answers(&command) == Some(id) => return Ok(command),
                other => self.keep(other)?,
            }
        }
    }

    fn keep(&mut self, came: Came) -> Result<(), Failed> {
        if self.kept.len() == PULSAR_KEPT_FRAMES_MAX {
            let words = format!("it sent {PULSAR_KEPT_FRAMES_MAX} frames and no answer");
            return Err(self.failed(Cause::Protocol, &words));
        }
        self.kept.push_back(match came {
            Came::Message { position, redelivery, payload } => {
                Kept::Message { position, redelivery, payload: self.pipe.inbox.bytes(payload).to_vec() }
            }
            Came::Receipt(sequence) => Kept::Command(receipt(sequence)),
            Came::Command(command) => Kept::Command(command),
        });
        Ok(())
    }

    /// Where the topic of one of this connection's consumers ends, and how far its subscription has come.
    pub async fn last_message_id(&mut self, consumer: u64) -> Result<LastMessage, Failed> {
        let answer = self.request(LastMessage::question(consumer, 0)).await?;
        LastMessage::told(&answer).ok_or_else(|| self.failed(Cause::Protocol, "its last message id is none"))
    }

    /// A topic's schema: this version, or the newest; none where the broker has none.
    pub async fn schema(&mut self, topic: &str, version: Option<&[u8]>) -> Result<Option<Schema>, Failed> {
        let asked = proto::CommandGetSchema {
            request_id: 0,
            topic: topic.to_owned(),
            schema_version: version.map(<[u8]>::to_vec),
        };
        let command = BaseCommand { get_schema: Some(asked), ..command::of_type(Type::GetSchema) };
        match self.request(command).await {
            Ok(answer) => Ok(answer.get_schema_response.and_then(|answer| answer.schema)),
            Err(failed) if failed.cause == Cause::Refused(ServerError::TopicNotFound) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// Sends frames and waits until the socket has taken them. Dropped in between, the rest goes with the next call of anything here.
    pub async fn write(&mut self, frames: &[u8]) -> Result<(), Failed> {
        self.pipe.outgoing().extend_from_slice(frames);
        self.pipe.flush().await.map_err(|error| self.lost(&error))
    }

    /// The next frame. May be dropped and called again. PINGs and challenges are answered here; after [`PULSAR_KEEP_ALIVE_MS`] of
    /// silence a PING goes out, after as much again without a sign the connection counts as lost.
    pub async fn next(&mut self) -> Result<Frame<'_>, Failed> {
        if let Some(kept) = self.kept.pop_front() {
            return Ok(self.show(kept));
        }
        let came = self.come().await?;
        Ok(self.frame(came))
    }

    /// The next frame that has come already; none where it must be waited for ([`Connection::more`]). Commands about the connection
    /// itself are dealt with here, and answered with the next wait or write.
    pub(super) fn next_ready(&mut self) -> Result<Option<Frame<'_>>, Failed> {
        if let Some(kept) = self.kept.pop_front() {
            return Ok(Some(self.show(kept)));
        }
        let came = self.ready()?;
        Ok(came.map(|came| self.frame(came)))
    }

    fn frame(&self, came: Came) -> Frame<'_> {
        match came {
            Came::Command(command) => Frame::Command(command),
            Came::Receipt(sequence) => Frame::Command(receipt(sequence)),
            Came::Message { position, redelivery, payload } => {
                Frame::Message { position, redelivery, payload: self.pipe.inbox.bytes(payload) }
            }
        }
    }

    fn show(&mut self, kept: Kept) -> Frame<'_> {
        match kept {
            Kept::Command(command) => Frame::Command(command),
            Kept::Message { position, redelivery, payload } => {
                self.shown = payload;
                Frame::Message { position, redelivery, payload: &self.shown }
            }
        }
    }

    /// Waits until more has come or has gone. May be dropped and called again.
    pub(super) async fn more(&mut self) -> Result<(), Failed> {
        if self.challenged {
            self.answer_challenge().await?;
        }
        self.wait().await
    }

    /// The next frame that is not about the connection itself. May be dropped and called again.
    pub(super) async fn come(&mut self) -> Result<Came, Failed> {
        loop {
            // First, for there may always be something to read.
            if self.challenged {
                self.answer_challenge().await?;
            }
            if let Some(came) = self.ready()? {
                // A PONG must not wait until all that came is read.
                if !self.pipe.is_idle() {
                    self.pipe.nudge().await.map_err(|error| self.lost(&error))?;
                }
                return Ok(came);
            }
            if !self.challenged {
                self.wait().await?;
            }
        }
    }

    /// The next frame that has come already.
    pub(super) fn ready(&mut self) -> Result<Option<Came>, Failed> {
        loop {
            let taken = self.pipe.inbox.take().and_then(|parts| {
                let Some(parts) = parts else { return Ok(None) };
                Incoming::read(self.pipe.inbox.bytes(parts.command.clone())).map(|read| Some((read, parts.payload)))
            });
            let taken = taken.map_err(|words| self.failed(Cause::Protocol, &format!("it sent {words}")))?;
            let Some((incoming, payload)) = taken else { return Ok(None) };
            match incoming {
                Incoming::Message { position, redelivery } => {
                    return Ok(Some(Came::Message { position, redelivery, payload }));
                }
                Incoming::Receipt { sequence } => return Ok(Some(Came::Receipt(sequence))),
                Incoming::Command(command) => match Type::try_from(command.r#type) {
                    Ok(Type::Ping) => command::frame(&command::pong(), self.pipe.outgoing()),
                    Ok(Type::Pong) => {}
                    Ok(Type::AuthChallenge) => self.challenged = true,
                    _ => return Ok(Some(Came::Command(command))),
                },
            }
        }
    }

    async fn answer_challenge(&mut self) -> Result<(), Failed> {
        let data = self.credentials.data().await?;
        let answer = proto::CommandAuthResponse {
            client_version: Some(client_version()),
            response: Some(proto::AuthData {
                auth_method_name: self.credentials.method().map(str::to_owned),
                auth_data: data,
            }),
            protocol_version: Some(PROTOCOL_VERSION),
        };
        let command = BaseCommand { auth_response: Some(answer), ..command::of_type(Type::AuthResponse) };
        command::frame(&command, self.pipe.outgoing());
        self.challenged = false;
        Ok(())
    }

    /// Waits until something comes or has gone, and keeps the signs of life.
    async fn wait(&mut self) -> Result<(), Failed> {
        let end = self.asked.unwrap_or(self.pipe.heard) + KEEP_ALIVE;
        match self.pipe.wait(end).await {
            Err(error) => return Err(self.lost(&error)),
            Ok(Waited::Nothing) if self.asked.is_some() => {
                let words = format!("it has said nothing for {} ms, not even after a PING", 2 * PULSAR_KEEP_ALIVE_MS);
                return Err(self.failed(Cause::Silent, &words));
            }
            Ok(Waited::Nothing) => {
                self.asked = Some(Instant::now());
                command::frame(&command::ping(), self.pipe.outgoing());
            }
            Ok(Waited::Moved) if self.asked.is_some_and(|asked| self.pipe.heard > asked) => self.asked = None,
            Ok(Waited::Moved) => {}
        }
        Ok(())
    }

    /// What is to be sent, for one that writes its frames itself.
    pub(super) fn pipe(&mut self) -> &mut Pipe {
        &mut self.pipe
    }

    pub(super) fn lost(&self, error: &std::io::Error) -> Failed {
        let tried = format!("talking with {}", self.broker);
        socket::unwanted(&tried, error).unwrap_or_else(|| Failed::io(tried, error))
    }

    pub(super) fn failed(&self, cause: Cause, words: &str) -> Failed {
        Failed::new(cause, format!("talking with {}: {words}", self.broker))
    }

    /// What a broker refuses, in its own words.
    pub(super) fn refused(&self, what: &str, said: Option<(i32, String)>) -> Failed {
        let (number, words) = said.unwrap_or_default();
        let error = ServerError::try_from(number).unwrap_or(ServerError::UnknownError);
        let words = if words.is_empty() { words } else { format!(" ({words})") };
        let advice = match error {
            ServerError::AuthenticationError => self.credentials.advice(),
            ServerError::AuthorizationError => "; grant the role that these credentials stand for what is asked",
            _ => "",
        };
        self.failed(Cause::Refused(error), &format!("{what} was refused: {}{words}{advice}", error.as_str_name()))
    }
}

fn client_version() -> String {
    format!("minuet {}", env!("CARGO_PKG_VERSION"))
}

fn receipt(sequence: u64) -> Box<BaseCommand> {
    let receipt = proto::CommandSendReceipt { sequence_id: sequence, ..proto::CommandSendReceipt::default() };
    Box::new(BaseCommand { send_receipt: Some(receipt), ..command::of_type(Type::SendReceipt) })
}

async fn connect_command(credentials: &Credentials, behind: Option<&str>) -> Result<BaseCommand, Failed> {
    let connect = proto::CommandConnect {
        client_version: client_version(),
        auth_method_name: credentials.method().map(str::to_owned),
        auth_data: credentials.data().await?,
        protocol_version: Some(PROTOCOL_VERSION),
        proxy_to_broker_url: behind.map(str::to_owned),
        // Without the first, a broker closes the connection when the credentials expire instead of asking for new ones.
        feature_flags: Some(proto::FeatureFlags {
            supports_auth_refresh: Some(true),
            supports_broker_entry_metadata: Some(false),
            supports_partial_producer: Some(false),
        }),
        ..proto::CommandConnect::default()
    };
    Ok(BaseCommand { connect: Some(connect), ..command::of_type(Type::Connect) })
}

#[cfg(test)]
pub(super) mod tests;
