//! The proxy's port and threads, and what a test may do to it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::exchange::Exchange;
use crate::faults::{Book, Fault, Requests, Seen};
use crate::tls::Identity;

/// What the test and all threads have in common.
pub(crate) struct Shared {
    server: SocketAddr,
    identity: Option<Identity>,
    book: Mutex<Book>,
    /// The sockets of each client's connection, to be shut from outside.
    open: Mutex<BTreeMap<u64, Vec<TcpStream>>>,
    given: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked has nothing half done in here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Takes note of a socket of a connection that is held.
    pub(crate) fn register(&self, number: u64, socket: &TcpStream) -> io::Result<()> {
        let socket = socket.try_clone()?;
        match lock(&self.open).get_mut(&number) {
            Some(sockets) => sockets.push(socket),
            None => return Err(io::Error::other("the connection was closed from outside")),
        }
        Ok(())
    }

    /// Whether a connection is still wanted.
    pub(crate) fn holds(&self, number: u64) -> bool {
        lock(&self.open).contains_key(&number)
    }

    pub(crate) fn forget(&self, number: u64) {
        lock(&self.open).remove(&number);
    }

    fn shut_all(&self) {
        for socket in std::mem::take(&mut *lock(&self.open)).into_values().flatten() {
            // One that has ended by itself is no more to be shut.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A proxy before one server. It ends when it is dropped, and all connections with it.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    thread: JoinHandle<()>,
    end: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts one on a loopback port of its own. The server may come and go.
    ///
    /// # Panics
    /// Where no port is to be had.
    pub fn before(server: SocketAddr) -> Self {
        Proxy::start(server, None)
    }

    /// The same, with the end of TLS before the server: clients are shown this certificate (PEM files: it with its chain, its key).
    ///
    /// # Panics
    /// Where no port is to be had, or the files are no such.
    pub fn within_tls(server: SocketAddr, certificate: &Path, key: &Path) -> Self {
        Proxy::start(server, Some(Identity::read(certificate, key)))
    }

    fn start(server: SocketAddr, identity: Option<Identity>) -> Self {
        let shared =
            Shared { server, identity, book: Mutex::default(), open: Mutex::default(), given: AtomicU64::new(0) };
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port is to be had");
        let address = listener.local_addr().expect("a bound listener has an address");
        let proxy = Proxy { shared: Arc::new(shared), address, listening: Mutex::new(None) };
        proxy.listen(listener);
        proxy
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to the next so many requests of these ([`crate::ALWAYS`]: to each). Where several faults fit, the first one planned
    /// happens.
    pub fn fault(&self, requests: Requests, fault: Fault, times: u32) {
        self.shared.book().plan(requests, fault, times);
    }

    /// Plans nothing any more. What is under way goes on.
    pub fn heal(&self) {
        self.shared.book().heal();
    }

    /// How many requests the planned faults still wait for.
    pub fn waiting(&self) -> u64 {
        self.shared.book().waiting()
    }

    /// All requests that came, in order, and how they ended.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.book().seen().to_vec()
    }

    /// How many of these came.
    pub fn count(&self, requests: &Requests) -> usize {
        self.shared.book().count(requests)
    }

    /// Shuts the port and all connections: clients are refused, as by a server that is down, until [`Proxy::back`].
    pub fn away(&self) {
        if let Some(Listening { thread, end }) = lock(&self.listening).take() {
            end.store(true, Ordering::Release);
            // The thread waits in `accept`. Where this is not heard, it has ended.
            let _ = TcpStream::connect(self.address);
            let _ = thread.join();
        }
        self.shared.shut_all();
    }

    /// Opens the port again.
    ///
    /// # Panics
    /// Where another program has taken it.
    pub fn back(&self) {
        if lock(&self.listening).is_none() {
            self.listen(TcpListener::bind(self.address).expect("the port is free still"));
        }
    }

    fn listen(&self, listener: TcpListener) {
        let end = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&self.shared), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                // A client that has gone again is none.
                if let Ok(socket) = socket {
                    serve(&shared, socket);
                }
            }
        });
        *lock(&self.listening) = Some(Listening { thread, end });
    }
}

fn serve(shared: &Arc<Shared>, socket: TcpStream) {
    let number = shared.given.fetch_add(1, Ordering::Relaxed);
    lock(&shared.open).insert(number, Vec::new());
    let plain = match &shared.identity {
        None => Ok(socket),
        Some(identity) => identity.decrypted(socket),
    };
    match plain.and_then(|socket| Exchange::new(Arc::clone(shared), socket, number)) {
        Ok(exchange) => drop(std::thread::spawn(move || exchange.run())),
        Err(_) => shared.forget(number),
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.away();
    }
}
