//! Everything the broker knows, behind one lock; sessions that open, fall silent and close.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{BaseCommand, CommandCloseConsumer, CommandCloseProducer, CommandPing, CommandSubscribe};

use crate::faults::{Faults, Reply};
use crate::frame::{command, frame};
use crate::record::Record;
use crate::topic::{Holder, Position, Topic};

/// The broker's numbers; the default is what 4.0.7 comes with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two PINGs; a client that says nothing for two of them is closed (`keepAliveIntervalSeconds`).
    pub keep_alive: Duration,
    /// What the holder of a subscription has to answer a PING while another one asks (`connectionLivenessCheckTimeoutMillis`).
    pub liveness: Duration,
    /// Said in CONNECTED.
    pub max_message_size: usize,
    /// Entries of one dispatch (`dispatcherMaxReadBatchSize`).
    pub dispatch_entries: usize,
    /// Bytes of one dispatch (`dispatcherMaxReadSizeBytes`).
    pub dispatch_bytes: usize,
    /// A ledger is closed when it has so many (`managedLedgerMaxEntriesPerLedger`, without its least time).
    pub ledger_entries: usize,
    /// Cursors survive a crash as they were at most this long before it (`managedLedgerDefaultMarkDeleteRateLimit`).
    pub cursor_period: Duration,
    /// Whether what every cursor has behind it is kept all the same (a retention without limit).
    pub retain: bool,
    /// Whether a SEEK's SUCCESS comes before its CLOSE_CONSUMER; both were seen, behind it more often.
    pub success_before_close: bool,
    /// The token that CONNECT must bring, if any.
    pub token: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep_alive: Duration::from_secs(30),
            liveness: Duration::from_secs(5),
            max_message_size: 5_242_880,
            dispatch_entries: 100,
            dispatch_bytes: 5_242_880,
            ledger_entries: 50_000,
            cursor_period: Duration::from_secs(1),
            retain: false,
            success_before_close: false,
            token: None,
        }
    }
}

/// Something on its way to a client.
#[derive(Debug)]
pub(crate) enum Out {
    /// Bytes, not before a time.
    Bytes(Vec<u8>, Instant),
    /// The end.
    Close,
}

/// One consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) permits: i64,
    /// The last entry that was read for it.
    pub(crate) read: Position,
    pub(crate) silent: bool,
}

/// One producer.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) topic: String,
    pub(crate) name: String,
}

/// A SUBSCRIBE that waits for a sign of life of the holder.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) subscribe: CommandSubscribe,
    pub(crate) holder: u64,
    pub(crate) since: Instant,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) out: VecDeque<Out>,
    pub(crate) out_bytes: usize,
    pub(crate) closing: bool,
    pub(crate) half_open: bool,
    pub(crate) connected: bool,
    pub(crate) consumers: BTreeMap<u64, Consumer>,
    pub(crate) producers: BTreeMap<u64, Producer>,
    pub(crate) waiting: Vec<Waiting>,
    /// What is to become of the answer to the command in hand.
    pub(crate) reply: Option<Reply>,
    /// When it last said anything.
    heard: Instant,
    /// The PING that waits for its PONG.
    pub(crate) pinged: Option<Instant>,
    last_ping: Instant,
}

impl Session {
    fn new() -> Session {
        let now = Instant::now();
        Session {
            out: VecDeque::new(),
            out_bytes: 0,
            closing: false,
            half_open: false,
            connected: false,
            consumers: BTreeMap::new(),
            producers: BTreeMap::new(),
            waiting: Vec::new(),
            reply: None,
            heard: now,
            pinged: None,
            last_ping: now,
        }
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        self.push_later(bytes, Duration::ZERO);
    }

    pub(crate) fn push_later(&mut self, bytes: Vec<u8>, later: Duration) {
        self.out_bytes += bytes.len();
        self.out.push_back(Out::Bytes(bytes, Instant::now() + later));
    }

    pub(crate) fn push_command(&mut self, command: &BaseCommand) {
        self.push(frame(command, &[]));
    }

    /// Ends the connection once what lies ready is sent.
    pub(crate) fn finish(&mut self) {
        self.closing = true;
        self.out.push_back(Out::Close);
    }

    pub(crate) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    pub(crate) fn ping(&mut self) {
        let now = Instant::now();
        self.last_ping = now;
        self.pinged.get_or_insert(now);
        self.push_command(&command(Type::Ping, |made| made.ping = Some(CommandPing {})));
    }

    /// What is due at the head of the queue.
    pub(crate) fn due(&mut self) -> Option<Out> {
        if let Some(Out::Bytes(_, at)) = self.out.front()
            && *at > Instant::now()
        {
            return None;
        }
        let next = self.out.pop_front()?;
        if let Out::Bytes(bytes, _) = &next {
            self.out_bytes -= bytes.len();
        }
        Some(next)
    }
}

/// Everything the broker knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) port: u16,
    pub(crate) topics: BTreeMap<String, Topic>,
    /// How many partitions the topics have that have any.
    pub(crate) partitioned: BTreeMap<String, u32>,
    /// Topics that were looked up since the broker began; no other is served.
    pub(crate) served: BTreeSet<String>,
    pub(crate) sessions: BTreeMap<u64, Session>,
    pub(crate) faults: Faults,
    pub(crate) record: Record,
    /// Numbers of ledgers; cursors take some as well.
    ledgers: i64,
    pub(crate) listening: bool,
    pub(crate) stopped: bool,
}

impl World {
    pub(crate) fn new(settings: Settings, port: u16) -> World {
        World {
            settings,
            port,
            topics: BTreeMap::new(),
            partitioned: BTreeMap::new(),
            served: BTreeSet::new(),
            sessions: BTreeMap::new(),
            faults: Faults::default(),
            record: Record::default(),
            ledgers: 10,
            listening: true,
            stopped: false,
        }
    }

    pub(crate) fn new_ledger(&mut self) -> i64 {
        self.ledgers += 1;
        self.ledgers
    }

    pub(crate) fn open_session(&mut self) -> u64 {
        self.record.connections += 1;
        let number = self.record.connections;
        self.sessions.insert(number, Session::new());
        number
    }

    /// Lets go of everything that a session held, and ends its connection. A half-open one keeps its socket.
    pub(crate) fn close_session(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.finish();
        let consumers: Vec<u64> = session.consumers.keys().copied().collect();
        for consumer in consumers {
            self.release(number, consumer);
        }
        if let Some(session) = self.sessions.get_mut(&number) {
            session.producers.clear();
            session.waiting.clear();
        }
    }

    /// Takes a consumer from a session, and the subscription from the consumer.
    pub(crate) fn release(&mut self, session: u64, consumer: u64) -> Option<Consumer> {
        let released = self.sessions.get_mut(&session)?.consumers.remove(&consumer)?;
        let cursor = self.topics.get_mut(&released.topic).and_then(|t| t.cursors.get_mut(&released.subscription));
        if let Some(cursor) = cursor
            && cursor.holder == Some(Holder::Session { session, consumer })
        {
            cursor.holder = None;
        }
        Some(released)
    }

    /// Sends a consumer away; its connection stays.
    pub(crate) fn dismiss(&mut self, number: u64, consumer: u64) {
        if self.release(number, consumer).is_none() {
            return;
        }
        let close = CommandCloseConsumer { consumer_id: consumer, request_id: u64::MAX };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.push_command(&command(Type::CloseConsumer, |made| made.close_consumer = Some(close)));
        }
    }

    /// Moves a topic to another broker, which is this one again: cursors are kept, clients sent away, a new ledger begun.
    pub(crate) fn unload(&mut self, name: &str) {
        let ledger = self.new_ledger();
        let retain = self.settings.retain;
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.cursors.values_mut().for_each(|cursor| cursor.keep());
        topic.load(ledger);
        if !retain {
            topic.trim();
        }
        self.served.remove(name);
        for (number, consumer) in self.consumers_of(name) {
            self.dismiss(number, consumer);
        }
        for session in self.sessions.values_mut() {
            let gone: Vec<u64> = session.producers.iter().filter(|(_, p)| p.topic == name).map(|(id, _)| *id).collect();
            for id in gone {
                session.producers.remove(&id);
                let close = CommandCloseProducer { producer_id: id, request_id: u64::MAX };
                session.push_command(&command(Type::CloseProducer, |made| made.close_producer = Some(close)));
            }
        }
    }

    /// The session and number of each consumer of a topic.
    pub(crate) fn consumers_of(&self, topic: &str) -> Vec<(u64, u64)> {
        let all = self.sessions.iter().flat_map(|(number, session)| {
            session.consumers.iter().filter(|(_, c)| c.topic == topic).map(|(id, _)| (*number, *id))
        });
        all.collect()
    }

    /// Ends the process and begins it again: all connections go, nothing is served before it is looked up. A crash forgets what the
    /// cursors had not kept yet.
    pub(crate) fn restart(&mut self, crash: bool) {
        let sessions: Vec<u64> = self.sessions.keys().copied().collect();
        for number in sessions {
            self.close_session(number);
        }
        self.served.clear();
        let names: Vec<String> = self.topics.keys().cloned().collect();
        for name in names {
            let ledger = self.new_ledger();
            let topic = self.topics.get_mut(&name).expect("its name was just there");
            for cursor in topic.cursors.values_mut() {
                if crash { cursor.forget() } else { cursor.keep() }
            }
            topic.load(ledger);
        }
    }

    /// What a session's time brings: PINGs, the end of a silent one, the fate of a SUBSCRIBE that waits.
    pub(crate) fn tick(&mut self, number: u64) {
        let period = self.settings.keep_alive;
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if session.closing {
            return;
        }
        if session.heard.elapsed() >= period * 2 {
            return self.close_session(number);
        }
        if session.connected && session.heard.elapsed() >= period && session.last_ping.elapsed() >= period {
            session.ping();
        }
        let waiting = std::mem::take(&mut session.waiting);
        for one in waiting {
            self.decide(number, one);
        }
    }

    fn decide(&mut self, number: u64, one: Waiting) {
        let holder = self.sessions.get(&one.holder).filter(|holder| !holder.closing);
        if holder.is_some_and(|holder| holder.pinged.is_none() && holder.heard >= one.since) {
            return self.busy(number, one.subscribe.request_id);
        }
        if holder.is_some() && one.since.elapsed() < self.settings.liveness {
            if let Some(session) = self.sessions.get_mut(&number) {
                session.waiting.push(one);
            }
            return;
        }
        self.close_session(one.holder);
        self.subscribe(number, one.subscribe);
    }
}
