//! The listening side: who knocks is heard on a thread of its own, for a few seconds, and taken in or turned away.
//!
//! The door stays open as long as the process lives: a peer that was started again alone must be told that the others are still
//! running without it.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::hall::Hall;
use super::handshake::{Hello, Verdict, listen};
use super::socket::{Timed, harden};
use crate::error::{Error, Result};
use crate::limits::{HANDSHAKES_MAX, STILL_WAITING_MS, TURNED_AWAY_NAMED_MAX};

/// How long to wait when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(50);

/// An open door; it closes when this is dropped.
pub(super) struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    hall: Arc<Hall>,
    run: u64,
    closed: AtomicBool,
    under_way: Mutex<VecDeque<(u64, TcpStream)>>,
    turned_away: Mutex<TurnedAway>,
}

/// Keeps a flood of clients from flooding the log.
struct TurnedAway {
    since: Instant,
    named: u32,
    more: u64,
}

impl Door {
    /// Opens the door of the process whose start is `run`.
    pub fn open(listener: TcpListener, hall: Arc<Hall>, run: u64) -> Result<Self> {
        let failed = |cause| Error::outside("listening for peers", cause);
        let address = listener.local_addr().map_err(failed)?;
        let turned_away = TurnedAway { since: Instant::now(), named: 0, more: 0 };
        let shared = Arc::new(Shared {
            hall,
            run,
            closed: AtomicBool::new(false),
            under_way: Mutex::default(),
            turned_away: Mutex::new(turned_away),
        });
        let inside = Arc::clone(&shared);
        thread::Builder::new().name("door".into()).spawn(move || inside.stand(&listener)).map_err(failed)?;
        Ok(Door { address, shared })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Wakes the thread that stands there; where that fails it ends with the next client, or with the process.
        let _ = TcpStream::connect_timeout(&self.address, NO_ROOM);
    }
}

impl Shared {
    fn stand(self: &Arc<Self>, listener: &TcpListener) {
        for number in 0_u64.. {
            let accepted = listener.accept();
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(self);
            let heard = accepted.and_then(|(stream, client)| {
                self.under_way().push_back((number, stream.try_clone()?));
                self.make_room();
                thread::Builder::new().name("handshake".into()).spawn(move || shared.hear(number, stream, client))
            });
            if let Err(error) = heard {
                tracing::warn!(%error, "a client could not be heard");
                self.forget(number);
                thread::sleep(NO_ROOM);
            }
        }
    }

    /// Ends the oldest handshake where there are too many.
    fn make_room(&self) {
        let mut under_way = self.under_way();
        if under_way.len() > HANDSHAKES_MAX
            && let Some((_, oldest)) = under_way.pop_front()
        {
            // Its thread finds the connection closed, and says so.
            let _ = oldest.shutdown(Shutdown::Both);
        }
    }

    fn hear(&self, number: u64, stream: TcpStream, client: SocketAddr) {
        if self.hall.hosts().secret().is_none() && !client.ip().is_loopback() {
            self.turn_away(client, "without a secret only this machine may connect");
        } else {
            let judge = |hello: &Hello| {
                // From here on it is no stranger that a flood of others may push out.
                self.forget(number);
                self.hall.judge(hello)
            };
            match listen(&mut Timed::handshake(&stream), self.run, self.hall.hosts().secret(), judge) {
                Ok((hello, Verdict::Welcome)) => self.welcome(&hello, stream, client),
                Ok((hello, Verdict::Wait(why))) => {
                    self.turn_away(client, &format!("process {} was told to wait: {why}", hello.from));
                }
                Ok((hello, Verdict::Refused(why))) => {
                    self.turn_away(client, &format!("process {} was refused: {why}", hello.from));
                }
                Err(broken) => self.turn_away(client, &broken.to_string()),
            }
        }
        self.forget(number);
    }

    fn welcome(&self, hello: &Hello, stream: TcpStream, client: SocketAddr) {
        if let Err(error) = harden(&stream) {
            self.turn_away(client, &format!("its connection cannot be watched: {error}"));
        } else if !self.hall.put(hello.from as usize, hello.run, hello.kind, stream) {
            self.turn_away(client, &format!("another connection of process {} was quicker", hello.from));
        }
    }

    fn turn_away(&self, client: SocketAddr, why: &str) {
        let mut turned = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if turned.since.elapsed() >= Duration::from_millis(STILL_WAITING_MS) {
            if turned.more > 0 {
                tracing::warn!(clients = turned.more, "more clients were turned away");
            }
            *turned = TurnedAway { since: Instant::now(), named: 0, more: 0 };
        }
        if turned.named < TURNED_AWAY_NAMED_MAX {
            turned.named += 1;
            tracing::warn!(%client, "a client was turned away: {why}");
        } else {
            turned.more += 1;
        }
    }

    fn forget(&self, number: u64) {
        self.under_way().retain(|(known, _)| *known != number);
    }

    fn under_way(&self) -> MutexGuard<'_, VecDeque<(u64, TcpStream)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
