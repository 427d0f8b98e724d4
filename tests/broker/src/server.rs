//! The port, its threads, and what a test may do to the broker while it runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{AuthData, CommandAuthChallenge};

use crate::faults::{Babble, Fault};
use crate::frame::{Frames, command};
use crate::record::Record;
use crate::topic::{Cursor, Holder, Position, Topic};
use crate::world::{Out, Settings, World};

/// How long a thread waits before it looks again whether anything is to be done.
const LOOK: Duration = Duration::from_millis(10);

/// What the threads share.
struct Broker {
    world: Mutex<World>,
    changed: Condvar,
}

impl Broker {
    fn lock(&self) -> MutexGuard<'_, World> {
        // A test that panicked with the lock has failed already; the others may end in peace.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        self.changed.wait_timeout(world, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A running double; dropping it ends all of it.
pub struct Double {
    broker: Arc<Broker>,
    port: u16,
    accepting: Option<JoinHandle<()>>,
}

impl Double {
    /// Begins at a free port of the loopback interface, without topics.
    pub fn start(settings: Settings) -> Double {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let broker = Arc::new(Broker { world: Mutex::new(World::new(settings, port)), changed: Condvar::new() });
        let shared = broker.clone();
        let accepting = Some(thread::spawn(move || accept(&shared, listener, port)));
        Double { broker, port, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address: `pulsar://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("pulsar://127.0.0.1:{}", self.port)
    }

    fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let done = act(&mut self.broker.lock());
        self.broker.changed.notify_all();
        done
    }

    fn on_topic<T>(&self, name: &str, act: impl FnOnce(&mut Topic) -> T) -> T {
        self.act(|world| act(world.topics.get_mut(name).unwrap_or_else(|| panic!("no topic {name}"))))
    }

    /// Makes a topic (`persistent://t/ns/name`) of so many partitions, or one without partitions for 0; called again, adds partitions.
    pub fn create_topic(&self, name: &str, partitions: u32) {
        self.act(|world| {
            let names = match partitions {
                0 => vec![name.to_owned()],
                count => (0..count).map(|n| format!("{name}-partition-{n}")).collect(),
            };
            if partitions > 0 {
                world.partitioned.insert(name.to_owned(), partitions);
            }
            for name in names {
                let ledger = world.new_ledger();
                world.topics.entry(name).or_insert_with(|| Topic::new(ledger));
            }
        });
    }

    /// Appends an entry ([`crate::Shape::entry`]) to a topic, or a partition.
    pub fn append(&self, topic: &str, entry: &[u8]) -> Position {
        self.act(|world| {
            let position = world.append(topic, entry).unwrap_or_else(|| panic!("no topic {topic}"));
            world.dispatch_topic(topic);
            position
        })
    }

    /// Makes a durable subscription that begins with the first entry.
    pub fn create_subscription(&self, topic: &str, subscription: &str) {
        self.on_topic(topic, |topic| {
            // A cursor has a ledger of its own, so that the numbers of a topic's ledgers have gaps.
            let cursor = Cursor::new(topic.beginning());
            topic.cursors.insert(subscription.to_owned(), cursor);
        });
        self.act(|world| world.new_ledger());
    }

    /// Where a cursor stands: the last entry that needs not be read again.
    pub fn mark_delete(&self, topic: &str, subscription: &str) -> Option<Position> {
        self.on_topic(topic, |topic| Some(topic.cursors.get(subscription)?.mark))
    }

    /// Puts a cursor somewhere else, behind its consumer's back.
    pub fn move_cursor(&self, topic: &str, subscription: &str, mark: Position) {
        self.act(|world| world.move_cursor(topic, subscription, mark));
    }

    /// Holds a subscription in the name of somebody who is alive: everybody else gets ConsumerBusy.
    pub fn hold(&self, topic: &str, subscription: &str) {
        self.on_topic(topic, |topic| {
            let start = topic.beginning();
            let cursor = topic.cursors.entry(subscription.to_owned()).or_insert_with(|| Cursor::new(start));
            cursor.holder = Some(Holder::Stranger);
        });
    }

    /// Lets go of it.
    pub fn let_go(&self, topic: &str, subscription: &str) {
        self.on_topic(topic, |topic| {
            let cursor = topic.cursors.get_mut(subscription);
            cursor.filter(|cursor| cursor.holder == Some(Holder::Stranger)).into_iter().for_each(|it| it.holder = None);
        });
    }

    /// Closes the open ledger of a topic and begins a new one.
    pub fn roll(&self, topic: &str) {
        let ledger = self.act(World::new_ledger);
        self.on_topic(topic, |topic| topic.roll(ledger));
    }

    /// Drops closed ledgers that every cursor has behind it.
    pub fn trim(&self, topic: &str) {
        self.on_topic(topic, Topic::trim);
    }

    /// Drops closed ledgers below this one, read or not, as expiry would.
    pub fn expire(&self, topic: &str, ledger: i64) {
        self.on_topic(topic, |topic| topic.expire(ledger));
    }

    /// Loses one entry inside a ledger.
    pub fn lose(&self, topic: &str, position: Position) {
        assert!(self.on_topic(topic, |topic| topic.lose(position)), "no entry {position:?}");
    }

    /// Registers a schema (4 is Avro, 2 JSON); its version as entries carry it.
    pub fn register_schema(&self, topic: &str, kind: i32, text: &str) -> Vec<u8> {
        self.act(|world| {
            let topic = world.schema_owner_mut(topic).unwrap_or_else(|| panic!("no topic {topic}"));
            topic.register(kind, text.as_bytes())
        })
    }

    /// Forgets the schema of a version; later ones keep theirs.
    pub fn forget_schema(&self, topic: &str, version: usize) {
        self.act(|world| {
            let owner = world.schema_owner_mut(topic);
            owner.into_iter().for_each(|topic| topic.schemas[version] = None);
        });
    }

    /// Unloads a topic: consumers and producers are sent away, their connections stay.
    pub fn unload(&self, topic: &str) {
        self.act(|world| world.unload(topic));
    }

    /// Ends in order and begins again: cursors are kept, no topic is served before it is looked up.
    pub fn restart(&self) {
        self.act(|world| world.restart(false));
    }

    /// Dies and begins again: cursors fall back to what was kept.
    pub fn crash(&self) {
        self.act(|world| world.restart(true));
    }

    /// Closes all connections.
    pub fn disconnect(&self) {
        self.each_session(World::close_session);
    }

    /// Reads and sends nothing more on the connections of now; their sockets stay open.
    pub fn half_open(&self) {
        self.each_session(|world, number| {
            world.sessions.get_mut(&number).into_iter().for_each(|session| session.half_open = true);
        });
    }

    /// Sends a PING on all connections.
    pub fn ping(&self) {
        self.each_session(|world, number| {
            world.sessions.get_mut(&number).into_iter().for_each(|session| session.ping());
        });
    }

    /// Sends bytes that are no answer on all connections.
    pub fn babble(&self, babble: Babble) {
        self.each_session(|world, number| {
            world.sessions.get_mut(&number).into_iter().for_each(|session| session.push(babble.bytes()));
        });
    }

    /// Asks all clients to show again who they are; whoever brings the wrong token is closed.
    pub fn challenge(&self) {
        let data =
            AuthData { auth_method_name: Some("token".to_owned()), auth_data: Some(b"PulsarAuthRefresh".to_vec()) };
        let challenge = CommandAuthChallenge {
            server_version: Some("Pulsar Server".to_owned()),
            challenge: Some(data),
            protocol_version: Some(21),
        };
        let challenge = command(Type::AuthChallenge, |made| made.auth_challenge = Some(challenge));
        self.each_session(|world, number| {
            world.sessions.get_mut(&number).into_iter().for_each(|session| session.push_command(&challenge));
        });
    }

    /// Takes another token from now on.
    pub fn set_token(&self, token: Option<&str>) {
        self.act(|world| world.settings.token = token.map(str::to_owned));
    }

    fn each_session(&self, act: impl Fn(&mut World, u64)) {
        self.act(|world| {
            let numbers: Vec<u64> = world.sessions.keys().copied().collect();
            numbers.into_iter().for_each(|number| act(world, number));
        });
    }

    /// Closes the port, so that connections are refused; those of now stay.
    pub fn refuse_connections(&self) {
        self.act(|world| world.listening = false);
        let refused = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err();
        assert!(until(Duration::from_secs(5), refused), "the port is still open");
    }

    /// Opens the port again.
    pub fn accept_connections(&self) {
        self.act(|world| world.listening = true);
    }

    /// Plans a fault so many times ([`crate::ALWAYS`] for ever), for one topic or any.
    pub fn plan(&self, topic: Option<&str>, fault: Fault, times: u32) {
        self.act(|world| world.faults.plan(topic, fault, times));
    }

    /// Forgets all faults that are planned.
    pub fn heal(&self) {
        self.act(|world| world.faults.heal());
    }

    /// The faults that happened, in order.
    pub fn happened(&self) -> Vec<Fault> {
        self.broker.lock().faults.happened.clone()
    }

    /// Waits until a fault has happened so many times; whether it did in time.
    pub fn wait_for_fault(&self, fault: &Fault, times: usize, timeout: Duration) -> bool {
        let happened = |world: &World| world.faults.happened.iter().filter(|it| *it == fault).count() >= times;
        self.wait_until(timeout, happened)
    }

    /// What was asked so far.
    pub fn record(&self) -> Record {
        self.broker.lock().record.clone()
    }

    /// Waits until the record is as wanted; whether it was in time.
    pub fn wait_for(&self, timeout: Duration, wanted: impl Fn(&Record) -> bool) -> bool {
        self.wait_until(timeout, |world| wanted(&world.record))
    }

    fn wait_until(&self, timeout: Duration, wanted: impl Fn(&World) -> bool) -> bool {
        let end = Instant::now() + timeout;
        let mut world = self.broker.lock();
        loop {
            if wanted(&world) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            world = self.broker.wait(world);
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.act(|world| world.stopped = true);
        self.accepting.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn until(timeout: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + timeout;
    while !done() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

/// Accepts connections, and gives each two threads, until the double stops.
fn accept(broker: &Arc<Broker>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    let mut threads = Vec::new();
    loop {
        let (listening, stopped) = {
            let world = broker.lock();
            (world.listening, world.stopped)
        };
        if stopped {
            break;
        }
        if !listening {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        }
        let accepted = listener.as_ref().and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            listener.accept().ok()
        });
        match accepted {
            Some((socket, _)) => threads.extend(open(broker, &socket)),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    threads.into_iter().for_each(|thread: JoinHandle<()>| drop(thread.join()));
}

/// The two threads of a connection; none where it is gone already.
fn open(broker: &Arc<Broker>, socket: &TcpStream) -> Vec<JoinHandle<()>> {
    let ready = || {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        socket.set_write_timeout(Some(LOOK))?;
        Ok::<_, std::io::Error>((socket.try_clone()?, socket.try_clone()?))
    };
    let Ok((mut from, mut to)) = ready() else { return Vec::new() };
    let number = broker.lock().open_session();
    let (reader, writer) = (broker.clone(), broker.clone());
    vec![
        thread::spawn(move || {
            read(&reader, number, &mut from);
            let mut world = reader.lock();
            world.close_session(number);
            drop(world);
            reader.changed.notify_all();
        }),
        thread::spawn(move || {
            write(&writer, number, &mut to);
            writer.lock().sessions.remove(&number);
            // A reset or an end that the other side has not read yet is all the same here.
            drop(to.shutdown(Shutdown::Both));
        }),
    ]
}

/// Serves what comes in, until the connection ends.
fn read(broker: &Broker, number: u64, socket: &mut TcpStream) {
    let mut frames = Frames::new(broker.lock().settings.max_message_size);
    let mut buffer = vec![0; 64 * 1024];
    let mut reads = 0;
    loop {
        {
            let world = broker.lock();
            let Some(session) = world.sessions.get(&number).filter(|_| !world.stopped) else { return };
            if session.half_open {
                drop(broker.wait(world));
                continue;
            }
        }
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => frames.push(&buffer[..length]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                continue;
            }
            Err(_) => return,
        }
        reads += 1;
        loop {
            match frames.take() {
                Ok(Some((asked, payload))) => broker.lock().serve(number, reads, asked, &payload),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        broker.changed.notify_all();
    }
}

/// Sends what lies ready, until the connection ends.
fn write(broker: &Broker, number: u64, socket: &mut TcpStream) {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let mut world = broker.lock();
        if world.stopped {
            return;
        }
        world.tick(number);
        let Some(session) = world.sessions.get_mut(&number) else { return };
        if session.half_open {
            drop(broker.wait(world));
            continue;
        }
        if bytes.is_empty() {
            match session.due() {
                Some(Out::Bytes(next, _)) => bytes = next,
                Some(Out::Close) => return,
                None => {
                    world.dispatch(number);
                    drop(broker.wait(world));
                    continue;
                }
            }
        }
        drop(world);
        match socket.write(&bytes) {
            Ok(sent) => drop(bytes.drain(..sent)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}
