//! ClickHouse's HTTP interface over its engine as a library: as much of it as its clients use, for tests and demos on loopback.
//!
//! What it does not speak it refuses, so that nobody takes it for a server that it is not: the queue of small inserts
//! (`async_insert=1`), sessions, roles, gzip and zstd. It stands for one server with one user and tables on its own disk.
//!
//! ```text
//! serve.rs     a request and its answer
//! asked.rs     parameters, headers, forms, who asks
//! statement.rs as much of SQL as is needed to stream an insert
//! blocks.rs    compressed blocks
//! exception.rs errors, their numbers, their statuses
//! engine.rs    sessions of the engine, jobs
//! library.rs   the engine's C interface
//! ```

mod asked;
mod blocks;
mod engine;
mod exception;
mod library;
mod serve;
mod statement;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::Engine;
use crate::serve::Front;

/// How long the end waits for queries that still run.
const PATIENCE: Duration = Duration::from_secs(5);

/// ClickHouse's HTTP interface over its engine as a library.
#[derive(Parser)]
struct Flags {
    /// The engine: libchdb.so.
    #[arg(long, env = "CLICKHOUSE_FRONT_LIBRARY")]
    library: PathBuf,
    /// The folder of the data.
    #[arg(long, env = "CLICKHOUSE_FRONT_PATH")]
    path: PathBuf,
    /// Where to listen.
    #[arg(long, env = "CLICKHOUSE_FRONT_LISTEN", default_value = "127.0.0.1:8123")]
    listen: SocketAddr,
    /// The only user.
    #[arg(long, env = "CLICKHOUSE_FRONT_USER", default_value = "default")]
    user: String,
    /// A file with the user's password; without it, CLICKHOUSE_FRONT_PASSWORD, or none.
    #[arg(long, env = "CLICKHOUSE_FRONT_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// How many queries run at a time.
    #[arg(long, default_value_t = 8)]
    sessions: usize,
}

impl Flags {
    fn password(&self) -> Result<String, String> {
        let Some(file) = &self.password_file else {
            return Ok(std::env::var("CLICKHOUSE_FRONT_PASSWORD").unwrap_or_default());
        };
        let text = std::fs::read_to_string(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clickhouse-front: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), String> {
    let password = flags.password()?;
    let engine = Arc::new(Engine::open(&flags.library, &flags.path, flags.sessions)?);
    let front = Front { engine, user: flags.user.clone(), password, asked: AtomicU64::new(1) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| format!("no threads can be started: {e}"))?;
    let ended = runtime.block_on(serve(flags, Arc::new(front)));
    runtime.shutdown_timeout(PATIENCE);
    ended.map_err(|e| format!("{} cannot be listened on: {e}", flags.listen))
}

async fn serve(flags: &Flags, front: Arc<Front>) -> io::Result<()> {
    let listener = TcpListener::bind(flags.listen).await?;
    let (version, address) = (front.engine.version(), listener.local_addr()?);
    eprintln!("clickhouse-front: ClickHouse {version} on http://{address}, data in {}", flags.path.display());
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(converse(Arc::clone(&front), stream))),
                Err(error) => eprintln!("clickhouse-front: a connection was not to be had: {error}"),
            },
            _ = term.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

async fn converse(front: Arc<Front>, stream: TcpStream) {
    // Only speed depends on it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| front.answer(request));
    // An error is the end of this connection, which its client sees.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
