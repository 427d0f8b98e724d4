//! What is to go wrong, where, how often. A fault waits until the broker comes to the place it is meant for.

use std::time::Duration;

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{BaseCommand, CommandConsumerStats, ServerError};

use crate::ALWAYS;
use crate::frame::{command, frame};
use crate::topic::Position;

/// Bytes that are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Babble {
    /// What a web server would say.
    Http,
    /// A frame that claims to be of this many bytes.
    Length(u32),
    /// A command of a number that no client knows.
    UnknownCommand,
    /// A command that clients know and did not ask for.
    Unasked,
    /// A frame whose command is longer than the frame.
    Overlong,
    /// A frame whose command is no protobuf.
    Noise,
}

impl Babble {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Babble::Http => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Babble::Length(length) => length.to_be_bytes().to_vec(),
            Babble::UnknownCommand => frame(&BaseCommand { r#type: 4711, ..BaseCommand::default() }, &[]),
            Babble::Unasked => {
                let stats = CommandConsumerStats { request_id: 1, consumer_id: 1 };
                frame(&command(Type::ConsumerStats, |made| made.consumer_stats = Some(stats)), &[])
            }
            Babble::Overlong => [12_u32.to_be_bytes(), 4000_u32.to_be_bytes(), [0; 4], [0; 4]].concat(),
            Babble::Noise => [8_u32.to_be_bytes(), 4_u32.to_be_bytes(), [0xff; 4]].concat(),
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is never sent, though all was done as asked.
    Nothing,
    /// It comes this much later, and all behind it.
    Late(Duration),
    /// Half of it is sent, then the connection is closed.
    Cut,
    /// The connection is closed in its place.
    Closed,
    /// This is sent in its place.
    Babble(Babble),
    /// The request is refused: nothing is done.
    Error(ServerError),
}

/// What becomes of an entry on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its checksum is wrong.
    Checksum,
    /// Half of its frame is sent, then the connection is closed.
    Cut,
    /// It comes twice.
    Twice,
    /// It comes behind the next one.
    Swapped,
    /// It does not come.
    Lost,
    /// It comes for a consumer that is not there.
    Misaddressed,
    /// This comes before it.
    Babble(Babble),
    /// The topic is unloaded before it.
    Unload,
    /// The connection is closed before it.
    Closed,
    /// Nothing more is read or sent from here on; the socket stays open.
    HalfOpen,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A command of this kind is thrown away unread.
    Swallowed(Type),
    /// The answer to a command of this kind.
    Answer(Type, Reply),
    /// A look-up is redirected: to this address, or to the double itself.
    Redirected(Option<String>),
    /// A look-up names this broker, to be reached through the double.
    Proxied(String),
    /// A subscription succeeds, and nothing is ever dispatched to its consumer.
    Silence,
    /// The cursor stands here, just before the next SUBSCRIBE is served.
    Cursor(Position),
    /// The entry at a position, or whichever is next.
    Entry(Option<Position>, Damage),
}

#[derive(Debug)]
struct Planned {
    topic: Option<String>,
    fault: Fault,
    left: u32,
}

/// All faults that are planned.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Planned>,
    /// Those that happened, in order.
    pub(crate) happened: Vec<Fault>,
}

impl Faults {
    /// Plans a fault for one topic or, without a name, any.
    pub(crate) fn plan(&mut self, topic: Option<&str>, fault: Fault, times: u32) {
        self.planned.push(Planned { topic: topic.map(str::to_owned), fault, left: times });
    }

    /// Plans nothing any more.
    pub(crate) fn heal(&mut self) {
        self.planned.clear();
    }

    /// The first planned fault that fits, as what `wanted` makes of it; it has happened then.
    pub(crate) fn take<T>(&mut self, topic: Option<&str>, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let fits = |planned: &Planned| planned.topic.is_none() || planned.topic.as_deref() == topic;
        let found = self.planned.iter().enumerate().filter(|(_, planned)| fits(planned));
        let (at, made) = found.filter_map(|(at, planned)| Some((at, wanted(&planned.fault)?))).next()?;
        self.happened.push(self.planned[at].fault.clone());
        if self.planned[at].left != ALWAYS {
            self.planned[at].left -= 1;
        }
        if self.planned[at].left == 0 {
            self.planned.remove(at);
        }
        Some(made)
    }
}
