//! Where the connections to peers come together, made by whoever dialled, until all are there.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handshake::{Hello, Identity, Kind, Verdict};
use super::hosts::Hosts;

/// A start of a peer, and the connections to it.
pub(super) struct Met {
    /// The start's random number.
    pub run: u64,
    /// Taken out when its link begins.
    control: Option<TcpStream>,
    /// Whether there was ever one.
    controlled: bool,
    /// For timely.
    pub data: Option<TcpStream>,
}

impl Met {
    /// Whether a connection of this kind was made.
    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Control => self.controlled,
            Kind::Data => self.data.is_some(),
        }
    }
}

#[derive(Default)]
struct State {
    met: BTreeMap<usize, Met>,
    /// Why no connection is taken any more.
    closed: Option<String>,
}

/// The hall of one process.
pub(super) struct Hall {
    hosts: Hosts,
    identity: Identity,
    state: Mutex<State>,
    changed: Condvar,
}

impl Hall {
    pub fn new(hosts: Hosts, identity: Identity) -> Self {
        Hall { hosts, identity, state: Mutex::default(), changed: Condvar::new() }
    }

    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// What this process says of itself when it dials.
    pub fn hello(&self, kind: Kind, to: usize, run: u64) -> Hello {
        let (processes, workers) = (self.hosts.processes() as u64, self.hosts.workers as u64);
        let (from, to) = (self.hosts.process as u64, to as u64);
        Hello { kind, from, to, processes, workers, run, identity: self.identity }
    }

    /// Turns everybody away from now on, for this reason.
    pub fn close(&self, reason: String) {
        self.state().closed = Some(reason);
    }

    /// What becomes of a client that has proved itself.
    pub fn judge(&self, hello: &Hello) -> Verdict {
        if let Some(reason) = self.mismatch(hello) {
            return Verdict::Refused(reason);
        }
        let state = self.state();
        if let Some(reason) = &state.closed {
            return Verdict::Wait(reason.clone());
        }
        let from = hello.from as usize;
        match state.met.get(&from) {
            Some(met) if met.run != hello.run || met.has(hello.kind) => Verdict::Wait(format!(
                "an earlier start of process {from} is still known here; both begin again when it is missed"
            )),
            _ => Verdict::Welcome,
        }
    }

    /// Why a client can never be a peer.
    fn mismatch(&self, hello: &Hello) -> Option<String> {
        let (me, ours) = (self.hosts.process, self.hello(hello.kind, 0, 0));
        let Hello { from, to, processes, workers, .. } = *hello;
        if hello.identity.build != ours.identity.build {
            return Some(format!(
                "it is another build of minuet than process {me}: all processes must run the same file"
            ));
        }
        if hello.identity.plan != ours.identity.plan {
            return Some(format!(
                "its dataflow is another than that of process {me}: their plans' fingerprints differ"
            ));
        }
        if (processes, workers) != (ours.processes, ours.workers) {
            return Some(format!(
                "it has --processes {processes} --workers {workers}, process {me} has --processes {} --workers {}",
                ours.processes, ours.workers
            ));
        }
        if to != me as u64 {
            return Some(format!("it looked for process {to} here, but this is process {me}: their hostfiles differ"));
        }
        (from <= to || from >= processes).then(|| {
            format!(
                "it says that it is process {from}, which does not dial process {me}: each needs a --process of its own"
            )
        })
    }

    /// Takes in a connection; false where another has its place.
    pub fn put(&self, from: usize, run: u64, kind: Kind, stream: TcpStream) -> bool {
        let mut state = self.state();
        let met = state.met.entry(from).or_insert(Met { run, control: None, controlled: false, data: None });
        if met.run != run || met.has(kind) {
            return false;
        }
        match kind {
            Kind::Control => (met.control, met.controlled) = (Some(stream), true),
            Kind::Data => met.data = Some(stream),
        }
        self.changed.notify_all();
        true
    }

    /// Waits for something to change, no longer than `time`; gives the control connections that are new, and whom to wait for still.
    pub fn wait(&self, time: Duration) -> (Vec<(usize, TcpStream)>, Vec<usize>) {
        let state = self.state();
        let mut state = if self.is_news(&state) {
            state
        } else {
            self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
        };
        let new = state.met.iter_mut().filter_map(|(peer, met)| Some((*peer, met.control.take()?))).collect();
        (new, self.missing(&state))
    }

    /// The runs of all peers and the data connections to them.
    pub fn take_all(&self) -> Vec<(usize, Met)> {
        std::mem::take(&mut self.state().met).into_iter().collect()
    }

    fn is_news(&self, state: &State) -> bool {
        state.met.values().any(|met| met.control.is_some()) || self.missing(state).is_empty()
    }

    /// The peers to which a connection is still to be made.
    fn missing(&self, state: &State) -> Vec<usize> {
        let here = |peer: &usize| state.met.get(peer).is_some_and(|met| met.controlled && met.data.is_some());
        (0..self.hosts.processes()).filter(|peer| *peer != self.hosts.process && !here(peer)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn hall(process: usize) -> Hall {
        Hall::new(Hosts::read(2, 3, process, None, None).expect("a shape"), Identity::of("build", "plan"))
    }

    fn stream() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection")
    }

    fn refused(hello: &Hello) -> String {
        match hall(1).judge(hello) {
            Verdict::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_can_never_be_a_peer_is_told_why() {
        let good = hall(2).hello(Kind::Control, 1, 7);
        assert_eq!(hall(1).judge(&good), Verdict::Welcome);
        assert!(refused(&Hello { identity: Identity::of("other", "plan"), ..good }).contains("another build"));
        assert!(refused(&Hello { identity: Identity::of("build", "other"), ..good }).contains("dataflow is another"));
        assert!(refused(&Hello { workers: 5, ..good }).contains("--processes 3 --workers 5"));
        assert!(refused(&Hello { processes: 4, ..good }).contains("--processes 4"));
        assert!(refused(&Hello { to: 0, ..good }).contains("hostfiles differ"));
        assert!(refused(&Hello { from: 1, ..good }).contains("--process of its own"));
        assert!(refused(&Hello { from: 3, ..good }).contains("--process of its own"));
    }

    #[test]
    fn one_start_of_each_peer_is_taken_and_the_next_one_waits() {
        let hall = hall(0);
        let hello = |kind, run| Hello { from: 1, to: 0, ..self::hall(1).hello(kind, 0, run) };
        assert!(hall.put(1, 7, Kind::Control, stream()));
        assert_eq!(hall.judge(&hello(Kind::Data, 7)), Verdict::Welcome);
        assert!(matches!(hall.judge(&hello(Kind::Control, 8)), Verdict::Wait(_)));
        assert!(!hall.put(1, 8, Kind::Data, stream()));
        assert_eq!(hall.wait(Duration::ZERO).1, [1, 2]);
        assert!(hall.put(1, 7, Kind::Data, stream()));
        assert!(!hall.put(1, 7, Kind::Data, stream()));
        let (new, missing) = hall.wait(Duration::ZERO);
        assert_eq!((new.len(), missing), (0, vec![2]));
        hall.close("generation 3 is running".into());
        assert_eq!(hall.judge(&hello(Kind::Control, 9)), Verdict::Wait("generation 3 is running".into()));
    }
}
