//! A running job, seen over HTTP: `/livez`, `/readyz`, `/metrics`, `/api/v1/status`, `/api/v1/ledger`. It only tells, and never holds up
//! what it tells of.
//!
//! One thread with a runtime of its own. What a client can cost is bounded: connections, the head of a request, and time; each
//! connection is answered once.

mod answers;
mod ask;
mod exposition;
mod metrics;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};

use self::answers::{Answers, Body};
use super::status::Board;
use crate::error::{Error, Result};
use crate::limits::{
    HTTP_CONNECTION_MS, HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_MS, HTTP_HEADERS_MAX, HTTP_LOOK_MS,
};

pub use ask::ask;

/// How long one that could not take a connection waits before the next: it lacks something that others may give back.
const BREATH: Duration = Duration::from_millis(100);

/// A server; it ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at an address, `HOST:PORT`. The error is that of the system, so that it can be told whether the port is taken.
    pub fn listen(address: &str) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Answers whoever asks there.
    pub fn start(listener: TcpListener, board: Arc<Board>) -> Result<Self> {
        let failed = |cause: io::Error| Error::outside("starting to answer over HTTP", cause);
        let address = listener.local_addr().map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, Arc::new(Answers::new(board))) => {}
                }
            });
            // Whoever is being answered is let go of.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(serve).map_err(failed)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to fail at; where it did all the same, nobody is answered any more, which was wanted.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "nothing is told over HTTP"),
    };
    let watched = Arc::clone(&answers);
    tokio::spawn(async move {
        // Looked at even when nobody asks: who asks for the first time must be told since when a loop has not turned.
        let mut ticks = tokio::time::interval(Duration::from_millis(HTTP_LOOK_MS));
        loop {
            ticks.tick().await;
            watched.look();
        }
    });
    let room = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let _place = place;
            // A client that is too slow is let go of; it has done no harm, so there is nothing to say.
            let _ = tokio::time::timeout(Duration::from_millis(HTTP_CONNECTION_MS), converse(stream, answers)).await;
        });
    }
}

async fn converse(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer: Response<Body> = answers.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HTTP_HEAD_MS))
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away or does not speak HTTP hurts nobody but itself.
    let _ = conversation.await;
}

#[cfg(test)]
mod tests;
