//! The dialling side: tries until the peer is there, and says what it waits for.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::hall::Hall;
use super::handshake::{self, Broken, Kind, Verdict};
use super::socket::{Timed, harden, look_up, pause};
use crate::dataflow::Fate;
use crate::error::{Error, Result};
use crate::limits::{DIAL_AGAIN_MS, HANDSHAKE_MS_MAX, SECOND_TRIES_MAX, STILL_WAITING_MS};

/// Processes that are started together miss each other for a moment; nobody needs to hear of it.
const MOMENT: Duration = Duration::from_secs(1);

/// Why a try did not lead to a connection.
enum Missed {
    /// It may the next time.
    Again(String),
    /// It never will.
    Never(Error),
}

/// Dials one peer, on a thread, until both connections to it stand, the run is over, or it says that they can never be.
pub(super) fn reach(hall: &Arc<Hall>, to: usize, run: u64, fate: &Fate) -> Result<()> {
    let (hall, fate) = (Arc::clone(hall), fate.clone());
    let trying = move || {
        let (since, mut said) = (Instant::now(), None);
        let mut millis = DIAL_AGAIN_MS.0;
        while !fate.is_over() {
            match meet(&hall, to, run) {
                Ok(()) => return,
                Err(Missed::Never(error)) => return fate.fail(error),
                Err(Missed::Again(why)) => say(&hall, to, &why, since, &mut said),
            }
            pause(millis);
            millis = (millis * 2).min(DIAL_AGAIN_MS.1);
        }
    };
    let started = thread::Builder::new().name(format!("dial-{to}")).spawn(trying);
    started.map(drop).map_err(|cause| Error::outside("starting a thread that dials", cause))
}

/// Says what is waited for: after a moment, where the reason is a new one, and from time to time.
fn say(hall: &Hall, to: usize, why: &str, since: Instant, said: &mut Option<(String, Instant)>) {
    let waited = since.elapsed();
    let still = Duration::from_millis(STILL_WAITING_MS);
    let new = said.as_ref().is_none_or(|(last, at)| last != why || at.elapsed() >= still);
    if new && waited >= MOMENT {
        tracing::warn!(
            "waiting for process {to} at {}, {} s so far: {why}",
            hall.hosts().address(to),
            waited.as_secs()
        );
        *said = Some((why.to_owned(), Instant::now()));
    }
}

/// One try: both connections, to one start of the peer.
fn meet(hall: &Hall, to: usize, run: u64) -> std::result::Result<(), Missed> {
    let (theirs, control) = connect(hall, to, run, Kind::Control)?;
    // The peer is linked with this process from its control connection on, so a stranger's flood must not cost it the second.
    let mut second = connect(hall, to, run, Kind::Data);
    for _ in 1..SECOND_TRIES_MAX {
        if !matches!(second, Err(Missed::Again(_))) {
            break;
        }
        pause(DIAL_AGAIN_MS.0);
        second = connect(hall, to, run, Kind::Data);
    }
    let (same, data) = second?;
    if same != theirs {
        return Err(Missed::Again("it was started again between two connections".into()));
    }
    hall.put(to, theirs, Kind::Control, control);
    hall.put(to, theirs, Kind::Data, data);
    Ok(())
}

fn connect(hall: &Hall, to: usize, run: u64, kind: Kind) -> std::result::Result<(u64, TcpStream), Missed> {
    let again = |cause: std::io::Error| Missed::Again(cause.to_string());
    let (hosts, limit) = (hall.hosts(), Duration::from_millis(HANDSHAKE_MS_MAX));
    let found = look_up(hosts.address(to), hosts.secret().is_none()).map_err(again)?;
    let mut stream = Err(std::io::ErrorKind::NotFound.into());
    for address in found {
        stream = TcpStream::connect_timeout(&address, limit);
        if stream.is_ok() {
            break;
        }
    }
    let stream = stream.map_err(again)?;
    let shaken = handshake::dial(&mut Timed::handshake(&stream), &hall.hello(kind, to, run), hosts.secret());
    let refused = |why: String| {
        let address = hosts.address(to);
        Missed::Never(Error::configuration(format!(
            "process {to} at {address} does not take process {}: {why}",
            hosts.process
        )))
    };
    match shaken {
        Ok((theirs, Verdict::Welcome)) => {
            let unwatched =
                |cause| Missed::Never(Error::outside(format!("watching the connection to process {to}"), cause));
            harden(&stream).map_err(unwatched)?;
            Ok((theirs, stream))
        }
        Ok((_, Verdict::Wait(why))) => Err(Missed::Again(format!("it says wait: {why}"))),
        Ok((_, Verdict::Refused(why))) => Err(refused(why)),
        Err(Broken::Secret) => Err(refused("it knows another secret; --cluster-secret-file must be the same".into())),
        Err(broken) => Err(Missed::Again(broken.to_string())),
    }
}
