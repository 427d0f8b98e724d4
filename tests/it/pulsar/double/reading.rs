//! Every fault that the double knows, with the source reading: each event comes once and in order, or the run ends and says why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use minuet::connect::pulsar::{Address, Auth, Begin, Client, Config, PulsarSource, Security};
use minuet::dataflow::edges::{Entry, Framing, Next, Reader, Source, Start};
use minuet::error::Result;
use minuet::snapshot::Position as Place;
use pulsar_double::proto::ServerError;
use pulsar_double::{ALWAYS, Babble, Damage, Double, Fault, Message, Position, Reply, Settings, Shape, Type};

/// The topic of a case; each case has a double of its own.
const TOPIC: &str = "persistent://t/n/events";
const SUB: &str = "reader";
/// Entries of a case, and the messages of each.
const ENTRIES: u32 = 60;
const MESSAGES: u32 = 3;
/// The entry with the fault; there are ledgers of 25.
const AT: usize = 30;
/// Nothing may take longer: the longest way out of a fault is a broker that never says anything again.
const PATIENCE: Duration = Duration::from_secs(120);

/// The source reading one partition of a double.
struct Reading {
    double: Double,
    positions: Vec<Position>,
    memory: usize,
    accept_gap: bool,
}

impl Reading {
    fn new() -> Self {
        Reading::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let double = Double::start(Settings { ledger_entries: 25, ..settings });
        double.create_topic(TOPIC, 0);
        double.create_subscription(TOPIC, SUB);
        let positions =
            (0..ENTRIES).map(|entry| double.append(TOPIC, &Shape::default().entry(&messages(entry)))).collect();
        Reading { double, positions, memory: 64 << 20, accept_gap: false }
    }

    fn open(&self, from: Option<Place>) -> Result<(PulsarSource, Box<dyn Reader>)> {
        let address: Address = format!("{}/t/n/events", self.double.url()).parse().unwrap();
        let security = Security { auth: Auth::None, roots: None, client: None };
        let source = PulsarSource::open(Config {
            client: Client::new(address, security)?,
            subscription: SUB.to_owned(),
            start: Begin::Earliest,
            memory: self.memory,
            accept_gap: self.accept_gap,
            check: Arc::new(|_| Ok(())),
            threads: 1,
        })?;
        let reader = source.open(vec![Start { partition: 0, from, begun: from.is_some() }], Arc::new(|| {}))?;
        Ok((source, reader))
    }

    /// All that comes until so many messages came and the broker has no more; every tenth entry is acknowledged.
    fn read(&self, from: Option<Place>, wanted: usize) -> Result<Seen> {
        self.read_until(from, |seen| seen.numbers.len() >= wanted)
    }

    fn read_until(&self, from: Option<Place>, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let (_source, mut reader) = self.open(from)?;
        let mut seen = Seen::default();
        let end = Instant::now() + PATIENCE;
        loop {
            match reader.next(0)? {
                Next::Entry(entry) => {
                    seen.numbers.extend(numbers(&entry));
                    seen.next = Some(entry.next);
                    if seen.numbers.len() % 30 == 0 {
                        reader.acknowledge(0, entry.next);
                    }
                }
                Next::Gap(_) => seen.gaps += 1,
                Next::CaughtUp if done(&seen) => return Ok(seen),
                Next::CaughtUp | Next::Waiting => thread::sleep(Duration::from_millis(2)),
                Next::Ended => panic!("a topic does not end"),
            }
            assert!(Instant::now() < end, "stuck after {} messages", seen.numbers.len());
        }
    }
}

/// What came.
#[derive(Debug, Default)]
struct Seen {
    numbers: Vec<u32>,
    next: Option<Place>,
    gaps: usize,
}

fn messages(entry: u32) -> Vec<Message> {
    (0..MESSAGES).map(|n| Message::of((entry * MESSAGES + n).to_be_bytes().to_vec())).collect()
}

fn numbers(entry: &Entry) -> Vec<u32> {
    let Framing::Payloads(spans) = &entry.framing else { panic!("Pulsar has payloads") };
    let number = |span| u32::from_be_bytes(entry.payload(span).unwrap().try_into().unwrap());
    spans.iter().map(|span| number(*span)).collect()
}

fn all() -> Vec<u32> {
    (0..ENTRIES * MESSAGES).collect()
}

/// Runs all cases beside one another, for most of their time is waiting; fails with all that failed.
fn each(cases: Vec<(Fault, u32)>, case: impl Fn(&Fault, u32) + Sync) {
    let failed = thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|(fault, times)| (fault, scope.spawn(|| case(fault, *times)))).collect();
        let ended = running.into_iter().map(|(fault, thread)| (fault, thread.join()));
        ended.filter(|(_, ended)| ended.is_err()).map(|(fault, _)| format!("{fault:?}")).collect::<Vec<_>>()
    });
    assert!(failed.is_empty(), "above is said what went wrong with\n{}", failed.join("\n"));
}

/// Reads with a fault planned; it must happen and not be seen in what is read.
fn unseen(fault: &Fault, times: u32) {
    let reading = Reading::new();
    let fault = match fault {
        // The entry of this case's own topic.
        Fault::Entry(Some(_), damage) => Fault::Entry(Some(reading.positions[AT]), *damage),
        other => other.clone(),
    };
    reading.double.plan(None, fault.clone(), times);
    // An acknowledgement is due a second after the start only.
    let done = |seen: &Seen| seen.numbers.len() >= all().len() && !reading.double.happened().is_empty();
    let seen = reading.read_until(None, done).unwrap_or_else(|e| panic!("{fault:?}: {e}"));
    assert_eq!(seen.numbers, all(), "{fault:?}");
    assert_eq!(seen.gaps, 0, "{fault:?}");
    let happened = reading.double.happened().len();
    assert!(happened >= 1 && (times == ALWAYS || happened == times as usize), "{fault:?} happened {happened} times");
    orderly(&reading.double, &fault);
}

/// On each connection that subscribed, CONNECT came first; before a first SUBSCRIBE there was a LOOKUP; FLOW never came before it.
fn orderly(double: &Double, fault: &Fault) {
    let record = double.record();
    let mut looked_up = 0;
    let mut connected: BTreeMap<u64, bool> = BTreeMap::new();
    for asked in &record.asked {
        let subscribed = connected.get(&asked.connection).copied();
        match asked.kind {
            Type::Connect => assert_eq!(connected.insert(asked.connection, false), None, "{fault:?}"),
            Type::Lookup => looked_up += 1,
            Type::Subscribe => {
                assert!(subscribed.is_some() && looked_up > 0, "{fault:?}");
                connected.insert(asked.connection, true);
            }
            Type::Flow | Type::Ack => assert_eq!(subscribed, Some(true), "{fault:?}: {:?} too early", asked.kind),
            _ => assert!(subscribed.is_some(), "{fault:?}: {:?} before CONNECT", asked.kind),
        }
    }
    assert!(record.pongs.iter().all(|pong| *pong < Duration::from_secs(5)), "{fault:?}");
}

const HERE: Option<Position> = Some(Position::NONE);

#[test]
fn what_happens_to_entries_on_their_way_is_not_seen() {
    let damages = [
        Damage::Checksum,
        Damage::Cut,
        Damage::Twice,
        Damage::Swapped,
        Damage::Lost,
        Damage::Misaddressed,
        Damage::Babble(Babble::Http),
        Damage::Babble(Babble::Length(u32::MAX)),
        Damage::Babble(Babble::Overlong),
        Damage::Babble(Babble::Noise),
        Damage::Babble(Babble::UnknownCommand),
        Damage::Babble(Babble::Unasked),
        Damage::Unload,
        Damage::Closed,
        Damage::HalfOpen,
    ];
    let mut cases: Vec<(Fault, u32)> = damages.map(|damage| (Fault::Entry(HERE, damage), 1)).to_vec();
    cases.extend([Damage::Closed, Damage::Unload].map(|damage| (Fault::Entry(None, damage), 4)));
    cases.push((Fault::Entry(HERE, Damage::Checksum), 2));
    each(cases, unseen);
}

#[test]
fn what_happens_to_questions_and_answers_is_not_seen() {
    let refused = |kind, error| Fault::Answer(kind, Reply::Error(error));
    let mut cases = vec![
        (refused(Type::Subscribe, ServerError::MetadataError), 2),
        (refused(Type::Subscribe, ServerError::ServiceNotReady), 2),
        (refused(Type::Subscribe, ServerError::ConsumerBusy), 3),
        (refused(Type::Subscribe, ServerError::TooManyRequests), 2),
        (refused(Type::Lookup, ServerError::ServiceNotReady), 3),
        (refused(Type::PartitionedMetadata, ServerError::ServiceNotReady), 2),
        (refused(Type::GetLastMessageId, ServerError::MetadataError), 2),
        (Fault::Redirected(None), 3),
        (Fault::Redirected(None), 50),
        (Fault::Swallowed(Type::Flow), 1),
        (Fault::Swallowed(Type::Ack), ALWAYS),
        (Fault::Answer(Type::Ack, Reply::Nothing), ALWAYS),
        (Fault::Silence, 1),
    ];
    for kind in [Type::Connect, Type::Lookup, Type::PartitionedMetadata, Type::Subscribe, Type::GetLastMessageId] {
        for reply in [Reply::Nothing, Reply::Late(Duration::from_secs(2)), Reply::Cut, Reply::Closed] {
            cases.push((Fault::Answer(kind, reply), 1));
        }
    }
    for kind in [Type::Subscribe, Type::GetLastMessageId] {
        cases.extend([Babble::Noise, Babble::Overlong].map(|it| (Fault::Answer(kind, Reply::Babble(it)), 1)));
    }
    each(cases, unseen);
}

#[test]
fn a_cursor_anywhere_makes_no_difference_to_a_run_that_goes_on() {
    for success_before_close in [false, true] {
        go_on_from_any_cursor(&Reading::with(Settings { success_before_close, ..Settings::default() }));
    }
}

fn go_on_from_any_cursor(reading: &Reading) {
    let (half, next) = {
        let (_source, mut reader) = reading.open(None).unwrap();
        let mut seen = Seen::default();
        while seen.numbers.len() < 90 {
            match reader.next(0).unwrap() {
                Next::Entry(entry) => {
                    seen.numbers.extend(numbers(&entry));
                    seen.next = Some(entry.next);
                }
                _ => thread::sleep(Duration::from_millis(2)),
            }
        }
        (seen.numbers, seen.next)
    };
    let rest: Vec<u32> = all().into_iter().filter(|number| !half.contains(number)).collect();
    let first = Position::new(reading.positions[0].ledger, -1);
    for cursor in [first, reading.positions[10], reading.positions[29], reading.positions[45], reading.positions[59]] {
        reading.double.plan(None, Fault::Cursor(cursor), 1);
        let seen = reading.read(next, rest.len()).unwrap();
        assert_eq!((seen.numbers, seen.gaps), (rest.clone(), 0), "{cursor:?}");
    }
}

#[test]
fn a_broker_that_is_away_or_busy_is_waited_for() {
    let reading = Reading::new();
    reading.double.hold(TOPIC, SUB);
    thread::scope(|scope| {
        let read = scope.spawn(|| reading.read(None, all().len()).unwrap());
        assert!(reading.double.wait_for(PATIENCE, |record| record.count(Type::Subscribe) >= 2));
        reading.double.refuse_connections();
        reading.double.disconnect();
        thread::sleep(Duration::from_millis(500));
        reading.double.let_go(TOPIC, SUB);
        reading.double.accept_connections();
        assert_eq!(read.join().unwrap().numbers, all());
    });
}

#[test]
fn what_must_not_be_passed_over_ends_the_run_and_is_named() {
    let says = |prepare: &dyn Fn(&Reading), words: &str| {
        let reading = Reading::new();
        prepare(&reading);
        let error = reading.read(None, usize::MAX).expect_err(words).to_string();
        assert!(error.to_lowercase().contains(words), "{words}: {error}");
    };
    let append = |reading: &Reading, shape: Shape| {
        reading.double.append(TOPIC, &shape.entry(&messages(0)));
    };
    says(&|it| append(it, Shape { chunks: Some(3), ..Shape::single() }), "chunk");
    says(&|it| append(it, Shape { encrypted: true, ..Shape::default() }), "encrypt");
    let damaged = |it: &Reading| Fault::Entry(Some(it.positions[AT]), Damage::Checksum);
    says(&|it| it.double.plan(None, damaged(it), ALWAYS), "checksum");
    says(&|it| it.double.lose(TOPIC, it.positions[AT]), "gap");
    let refused = |kind, error| Fault::Answer(kind, Reply::Error(error));
    let stranger = refused(Type::Connect, ServerError::AuthenticationError);
    says(&|it| it.double.plan(None, stranger.clone(), ALWAYS), "as the test asked");
    let forbidden = refused(Type::Subscribe, ServerError::AuthorizationError);
    says(&|it| it.double.plan(None, forbidden.clone(), ALWAYS), "as the test asked");
    says(&|it| it.double.plan(None, Fault::Answer(Type::Connect, Reply::Babble(Babble::Http)), ALWAYS), "pulsar");
}

#[test]
fn an_agreed_gap_is_recorded_and_the_rest_is_whole() {
    let reading = Reading { accept_gap: true, ..Reading::new() };
    reading.double.lose(TOPIC, reading.positions[AT]);
    let seen = reading.read(None, all().len() - MESSAGES as usize).unwrap();
    let lost = AT as u32 * MESSAGES..(AT as u32 + 1) * MESSAGES;
    let left: Vec<u32> = all().into_iter().filter(|number| !lost.contains(number)).collect();
    assert_eq!((seen.numbers, seen.gaps), (left, 1));
    assert!(reading.read(seen.next, 0).unwrap().numbers.is_empty());
}

#[test]
fn a_ping_is_answered_while_nobody_takes_what_came() {
    let reading = Reading { memory: 1 << 20, ..Reading::new() };
    for _ in 0..200 {
        reading.double.append(TOPIC, &Shape::single().entry(&[Message::of(vec![7; 20_000])]));
    }
    let (source, mut reader) = reading.open(None).unwrap();
    let begun = |record: &pulsar_double::Record| record.dispatched > u64::from(ENTRIES);
    assert!(reading.double.wait_for(PATIENCE, begun), "the entries of the case and some large ones come");
    // The first large ones may be more than was reserved: then the connection is begun again, and a PING on the old one is lost.
    let end = Instant::now() + PATIENCE;
    loop {
        thread::sleep(Duration::from_millis(500));
        let before = source.status();
        reading.double.ping();
        if reading.double.wait_for(Duration::from_secs(5), |record| !record.pongs.is_empty()) {
            break;
        }
        assert!(!before[0].connected || before[0].reconnects != source.status()[0].reconnects, "{before:?}");
        assert!(Instant::now() < end, "no connection lasts: {:?}", source.status());
    }
    assert!(matches!(reader.next(0), Ok(Next::Entry(_))));
}
