//! A network that fails in the ways networks do, between two processes that are both well: everything passes through a relay of the test.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::super::harness::{Hosts, POLL, Pipeline, Running, Shape, scratch};
use super::{PEER, demand_end, long, short};

const SHAPE: Shape = Shape { workers: 2, processes: 2 };

/// How long both may take to notice: silence is borne for five seconds, and the rest is a slow machine's share.
const NOTICED_WITHIN: Duration = Duration::from_secs(12);

/// Bytes that pass in one piece at most.
const PIECE: usize = 64 << 10;

/// What the relay does with what comes.
#[derive(Default)]
struct Weather {
    /// Nothing of what the dialling side says passes.
    there: AtomicBool,
    /// Nothing of what the listening side says passes.
    back: AtomicBool,
    /// Everything passes in small pieces of odd lengths, and late.
    drips: AtomicBool,
    over: AtomicBool,
    /// Both ends of each connection, in the order in which they were made.
    connections: Mutex<Vec<[TcpStream; 2]>>,
}

/// A relay to one address.
struct Relay {
    port: u16,
    weather: Arc<Weather>,
}

impl Relay {
    fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, weather) = (listener.local_addr().unwrap().port(), Arc::new(Weather::default()));
        let inside = Arc::clone(&weather);
        thread::spawn(move || {
            for client in listener.incoming() {
                if inside.over.load(Ordering::Acquire) {
                    return;
                }
                // While nobody listens there, the client is hung up on.
                if let (Ok(client), Ok(server)) = (client, TcpStream::connect(&address)) {
                    relay(&inside, &client, &server);
                }
            }
        });
        Relay { port, weather }
    }

    /// Cuts the newest connection, and leaves the others as they are.
    fn cut_one(&self) {
        let connections = self.weather.connections.lock().unwrap();
        for end in connections.last().expect("a connection was made") {
            end.shutdown(Shutdown::Both).unwrap();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.weather.over.store(true, Ordering::Release);
        // Wakes the thread that waits for clients.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn relay(weather: &Arc<Weather>, client: &TcpStream, server: &TcpStream) {
    let both = |stream: &TcpStream| stream.try_clone().unwrap();
    for stream in [client, server] {
        stream.set_nodelay(true).unwrap();
    }
    weather.connections.lock().unwrap().push([both(client), both(server)]);
    let (there, back) = ((both(client), both(server)), (both(server), both(client)));
    let (one, other) = (Arc::clone(weather), Arc::clone(weather));
    thread::spawn(move || pass(there, &one, &one.there));
    thread::spawn(move || pass(back, &other, &other.back));
}

/// Passes on what comes in one direction, as the weather allows.
fn pass((mut from, mut to): (TcpStream, TcpStream), weather: &Weather, held: &AtomicBool) {
    let mut room = vec![0; PIECE];
    let mut pieces = 0;
    loop {
        let drips = weather.drips.load(Ordering::Acquire);
        let length = if drips { 1 + pieces * 7_919 % 4_001 } else { PIECE };
        let Ok(count @ 1..) = from.read(&mut room[..length]) else { break };
        while held.load(Ordering::Acquire) && !weather.over.load(Ordering::Acquire) {
            thread::sleep(POLL);
        }
        pieces += 1;
        if drips && pieces % 50 == 0 {
            thread::sleep(POLL);
        }
        if to.write_all(&room[..count]).is_err() {
            break;
        }
    }
    // The other end may be gone already, which is as good.
    let _ = to.shutdown(Shutdown::Write);
}

/// Two processes of which the second reaches the first through a relay only.
struct Apart {
    relay: Relay,
    direct: Hosts,
    through: Hosts,
}

impl Apart {
    fn new() -> Self {
        let direct = Hosts::fresh(2);
        let relay = Relay::to(direct.address(0));
        let through = Hosts::on(vec![relay.port, direct.port(1)]);
        Apart { relay, direct, through }
    }

    fn start(&self, pipeline: &Pipeline) -> [Running; 2] {
        [self.direct.start(pipeline, SHAPE, 0), self.through.start(pipeline, SHAPE, 1)]
    }
}

/// Lets two processes begin, spoils the weather, and demands that both end with the exit code for a lost peer, whatever it is.
fn demand_noticed(spoil: impl FnOnce(&Relay)) {
    let place = scratch();
    let (calm, pipeline) = long(place.path());
    let apart = Apart::new();
    let mut processes = apart.start(&pipeline);
    processes[0].until("open windows in its state", || pipeline.has_state() || pipeline.is_finished());
    assert!(!pipeline.is_finished(), "the run was over before it could be disturbed; give it more events");
    spoil(&apart.relay);
    for (number, process) in processes.iter_mut().enumerate() {
        assert!(process.ends_within(NOTICED_WITHIN), "process {number} has noticed nothing");
    }
    for (process, peer) in processes.into_iter().zip(["process 1", "process 0"]) {
        process.end().demand(PEER).demand_words(&[peer, "went away"]);
    }
    drop(apart);
    demand_end(&calm, &pipeline, Shape::new(1, 3));
}

#[test]
fn a_network_that_passes_nothing_is_noticed() {
    demand_noticed(|relay| {
        relay.weather.there.store(true, Ordering::Release);
        relay.weather.back.store(true, Ordering::Release);
    });
}

#[test]
fn a_network_that_passes_nothing_one_way_is_noticed_by_both() {
    demand_noticed(|relay| relay.weather.there.store(true, Ordering::Release));
    demand_noticed(|relay| relay.weather.back.store(true, Ordering::Release));
}

#[test]
fn a_single_connection_that_breaks_ends_the_run() {
    demand_noticed(Relay::cut_one);
}

#[test]
fn a_network_that_drips_changes_no_row() {
    let place = scratch();
    let (calm, pipeline) = short(place.path());
    let apart = Apart::new();
    apart.relay.weather.drips.store(true, Ordering::Release);
    let [first, second] = apart.start(&pipeline).map(|process| process.end().demand(0));
    assert!(second.read().1 > 0, "{}", second.stdout);
    calm.demand(&pipeline, &first.summary(), "through a network that drips");
}
