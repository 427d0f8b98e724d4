//! One server: what is asked of it, with patience, behind one breaker.

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use clickhouse::query::BytesCursor;
use clickhouse::{Client, Compression};
use serde_json::Value;
use tokio::time::timeout;

use super::address::Address;
use super::block::Block;
use super::breaker::{Breaker, Pass};
use super::failed::{Failed, Hope};
use super::tables::quoted;
use super::transport;
use crate::connect::Secret;
use crate::error::{Error, Result};
use crate::limits::{
    CLICKHOUSE_ANSWER_BYTES_MAX, CLICKHOUSE_ANSWERS_MS, CLICKHOUSE_ASK_MS, CLICKHOUSE_CONNECT_MS, CLICKHOUSE_INSERT_MS,
    CLICKHOUSE_LASTING_MS, CLICKHOUSE_MUTATION_MS,
};

/// Reads a password again from where it was.
pub type Reread = Arc<dyn Fn() -> Result<Secret> + Send + Sync>;

/// Who we are for ClickHouse.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password; empty where there is none.
    pub password: Secret,
    /// Where another may be by now, once this one is refused.
    pub reread: Option<Reread>,
    /// A PEM file of the roots to believe within TLS; the system's unless given.
    pub roots: Option<PathBuf>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Settings of each insert. Newer servers would queue small inserts (`async_insert`), older ones would double what materialized
/// views make of a replayed block; and a block may lie in as many days as it does.
const OF_INSERTS: [(&str, &str); 4] = [
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("max_partitions_per_insert_block", "0"),
];

/// How roots are given.
pub(super) const ROOTS: &str = "--clickhouse-tls-roots";

/// A server.
pub(super) struct Server {
    name: String,
    breaker: Breaker,
    login: RwLock<Login>,
    reread: Option<Reread>,
    /// Whether it has ever let us in.
    worked: AtomicBool,
}

/// What requests are made with.
struct Login {
    client: Client,
    password: Secret,
}

/// An insert, the same at each try.
pub(super) struct Insert<'a> {
    /// The table's full name.
    pub table: &'a str,
    /// The names of the columns that are given.
    pub columns: &'a [String],
    /// See [`super::block::header`].
    pub header: &'a [u8],
    /// The lines.
    pub block: &'a Block,
    /// What comes after each.
    pub bookkeeping: &'a [u8],
    /// Names the block for the server: it takes it once.
    pub token: &'a str,
}

impl Server {
    /// The servers of an address; no connection is made yet.
    pub(super) fn all(address: &Address, user: &User) -> Result<Vec<Self>> {
        let within = Duration::from_millis(CLICKHOUSE_CONNECT_MS);
        let client = transport::client(address.tls, user.roots.as_deref(), within)?
            .with_user(&user.name)
            .with_password(user.password.reveal())
            .with_compression(Compression::Lz4)
            .with_product_info("minuet", env!("CARGO_PKG_VERSION"));
        let server = |shard| {
            let name = address.url(shard);
            let login = Login { client: client.clone().with_url(&name), password: user.password.clone() };
            Server {
                breaker: Breaker::new(&name),
                name,
                login: RwLock::new(login),
                reread: user.reread.clone(),
                worked: AtomicBool::new(false),
            }
        };
        Ok((0..address.shards.len()).map(server).collect())
    }

    /// Its URL.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Tries that followed one that failed.
    pub(super) fn retries(&self) -> u64 {
        self.breaker.retries()
    }

    /// Why it fails, while it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.breaker.trouble()
    }

    /// The lines that answer a query, each an array of its columns.
    pub(super) async fn ask(&self, doing: &str, sql: &str) -> Result<Vec<Vec<Value>>> {
        self.patiently(doing, || self.ask_once(sql)).await.map(|(lines, _)| lines)
    }

    /// Runs a statement that does the same when it is run twice.
    pub(super) async fn act(&self, doing: &str, sql: &str) -> Result<()> {
        self.patiently(doing, || self.act_once(sql)).await.map(|((), _)| ())
    }

    /// Inserts a block; whether one of the tries left it open whether it happened.
    pub(super) async fn insert(&self, doing: &str, insert: &Insert<'_>) -> Result<bool> {
        self.patiently(doing, || self.insert_once(insert)).await.map(|((), ambiguous)| ambiguous)
    }

    /// Tries until it works or there is no hope; says too whether a try that failed may have happened.
    async fn patiently<T, F>(&self, doing: &str, once: impl Fn() -> F) -> Result<(T, bool)>
    where
        F: Future<Output = std::result::Result<T, Failed>> + Send,
    {
        let mut ambiguous = false;
        let mut doubt = Doubt::default();
        loop {
            let pass = self.breaker.enter().await;
            let tried = match self.answers(&pass).await {
                Ok(()) => once().await,
                Err(failed) => Err(failed),
            };
            let failed = match tried {
                Ok(done) => {
                    self.worked.store(true, Ordering::Relaxed);
                    pass.worked();
                    return Ok((done, ambiguous));
                }
                Err(failed) => failed,
            };
            ambiguous |= failed.ambiguous;
            if doubt.lasts(self.hope(&failed).await, Instant::now()) {
                pass.refused();
                return Err(failed.into_error(format_args!("{doing} at {}", self.name)));
            }
            pass.failed(doing, &failed).await;
        }
    }

    fn client(&self) -> Client {
        self.login.read().unwrap_or_else(PoisonError::into_inner).client.clone()
    }

    /// Whether to try again. A password that is refused may have been followed by another: then that one is taken. Where it has not
    /// yet, and the server had let us in before, a while is waited for it.
    async fn hope(&self, failed: &Failed) -> Hope {
        let Some(reread) = self.reread.clone().filter(|_| failed.is_of_password()) else { return failed.hope };
        let read = tokio::task::spawn_blocking(move || reread()).await;
        if let Ok(Ok(password)) = read {
            let mut login = self.login.write().unwrap_or_else(PoisonError::into_inner);
            if password.reveal() != login.password.reveal() {
                tracing::info!(server = self.name, "the password is refused; the file has another by now");
                *login = Login { client: login.client.clone().with_password(password.reveal()), password };
                return Hope::Passes;
            }
        }
        if self.worked.load(Ordering::Relaxed) { Hope::Doubtful } else { failed.hope }
    }

    /// Asks a server that fails for something small first: an insert that is not answered would hold up all others for minutes.
    async fn answers(&self, pass: &Pass<'_>) -> std::result::Result<(), Failed> {
        if !pass.is_alone() {
            return Ok(());
        }
        let answered = in_time(CLICKHOUSE_ANSWERS_MS, self.client().query_raw("SELECT 1").execute()).await;
        answered.map_err(Failed::of_question)
    }

    /// The same without patience: one try.
    pub(super) async fn ask_once(&self, sql: &str) -> std::result::Result<Vec<Vec<Value>>, Failed> {
        let read = async {
            let mut cursor = self.lines(sql)?;
            let mut all = Vec::new();
            while let Some(piece) = cursor.next().await? {
                all.extend_from_slice(&piece);
                if all.len() > CLICKHOUSE_ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok(all)
        };
        let all = in_time(CLICKHOUSE_ASK_MS, read).await?;
        if all.len() > CLICKHOUSE_ANSWER_BYTES_MAX {
            return Err(Failed::odd(format!("its answer has more than {CLICKHOUSE_ANSWER_BYTES_MAX} bytes")));
        }
        let lines = all.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(parsed).collect()
    }

    /// The answer as it comes: lines of JSON, cut anywhere.
    pub(super) fn lines(&self, sql: &str) -> clickhouse::error::Result<BytesCursor> {
        let query = self.client().query_raw(sql).with_setting("output_format_json_quote_64bit_integers", "0");
        query.fetch_bytes("JSONCompactEachRow")
    }

    /// The same as [`Server::act`], one try.
    pub(super) async fn act_once(&self, sql: &str) -> std::result::Result<(), Failed> {
        in_time(CLICKHOUSE_MUTATION_MS, self.client().query_raw(sql).execute()).await
    }

    /// The same as [`Server::insert`], one try.
    pub(super) async fn insert_once(&self, insert: &Insert<'_>) -> std::result::Result<(), Failed> {
        let columns: Vec<String> = insert.columns.iter().map(|name| quoted(name)).collect();
        let sql = format!("INSERT INTO {} ({}) FORMAT RowBinaryWithNamesAndTypes", insert.table, columns.join(", "));
        let mut sending = self.client().insert_formatted_with(sql);
        for (name, value) in OF_INSERTS {
            sending = sending.with_setting(name, value);
        }
        sending = sending.with_setting("insert_deduplication_token", insert.token);
        in_time(CLICKHOUSE_INSERT_MS, async {
            for piece in insert.block.pieces(insert.header, insert.bookkeeping) {
                sending.send(piece).await?;
            }
            sending.end().await
        })
        .await
    }
}

/// Since when every try has failed in a way that is not known to pass. One that does, in between, says that the server was in trouble
/// of another kind: then the wait begins anew.
#[derive(Debug, Default)]
struct Doubt(Option<Instant>);

impl Doubt {
    /// Whether trying again is in vain after this failure.
    fn lasts(&mut self, hope: Hope, now: Instant) -> bool {
        match hope {
            Hope::None => true,
            Hope::Passes => {
                self.0 = None;
                false
            }
            Hope::Doubtful => {
                let since = *self.0.get_or_insert(now);
                now.saturating_duration_since(since) > Duration::from_millis(CLICKHOUSE_LASTING_MS)
            }
        }
    }
}

/// One line of an answer.
pub(super) fn parsed(line: &[u8]) -> std::result::Result<Vec<Value>, Failed> {
    serde_json::from_slice(line).map_err(|cause| {
        let start: String = String::from_utf8_lossy(line).chars().take(200).collect();
        Failed::odd(format!("its answer: {cause}, in {start:?}"))
    })
}

/// What comes of it within so many milliseconds.
pub(super) async fn in_time<T>(
    millis: u64,
    work: impl Future<Output = clickhouse::error::Result<T>>,
) -> std::result::Result<T, Failed> {
    match timeout(Duration::from_millis(millis), work).await {
        Ok(done) => done.map_err(|error| Failed::of(&error)),
        Err(_) => Err(Failed::late(millis)),
    }
}

/// A number of an answer.
pub(super) fn number(line: &[Value], at: usize) -> Result<u64> {
    line.get(at).and_then(Value::as_u64).ok_or_else(|| unexpected(line))
}

/// A text of an answer.
pub(super) fn text(line: &[Value], at: usize) -> Result<&str> {
    line.get(at).and_then(Value::as_str).ok_or_else(|| unexpected(line))
}

pub(super) fn unexpected(line: &[Value]) -> Error {
    Error::data(format!("an answer of ClickHouse is {}, which is not what was asked for", Value::from(line.to_vec())))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// The server that listens there.
    fn at(address: impl std::fmt::Display) -> Server {
        with_password("", None, address)
    }

    fn with_password(password: &str, reread: Option<Reread>, address: impl std::fmt::Display) -> Server {
        let user = User { name: "u".to_owned(), password: Secret::new(password), reread, roots: None };
        let address = format!("clickhouse://{address}/d.t").parse().unwrap();
        Server::all(&address, &user).expect("no certificates are needed").remove(0)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_server_that_fails_is_asked_something_small_before_an_insert() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = at(listener.local_addr().unwrap());
        // Closes the first three connections, then answers.
        let served = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for number in 0..4 {
                let (mut socket, _) = listener.accept().unwrap();
                let (mut heard, mut some) = (Vec::new(), [0; 1_024]);
                // The statement may come in a packet of its own.
                while !String::from_utf8_lossy(&heard).contains("SELECT 1") {
                    match socket.read(&mut some).unwrap() {
                        0 => break,
                        length => heard.extend_from_slice(&some[..length]),
                    }
                }
                asked.push(String::from_utf8_lossy(&heard).contains("SELECT 1"));
                if number == 3 {
                    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n").unwrap();
                }
            }
            asked
        });
        let tries = AtomicUsize::new(0);
        let once = || async {
            match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Failed::late(1)),
                _ => Ok(()),
            }
        };
        let ((), ambiguous) = runtime().block_on(server.patiently("inserting", once)).unwrap();
        assert!(ambiguous, "the first try may have happened");
        assert_eq!(tries.load(Ordering::Relaxed), 2, "no insert was tried while small questions failed");
        assert_eq!(served.join().unwrap(), [true; 4]);
        assert_eq!((server.retries(), server.trouble()), (4, None));
    }

    /// Lets in who has this password, for ever.
    fn lets_in(password: &'static str) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (mut socket, mut heard, mut some) = (socket.unwrap(), Vec::new(), [0; 1_024]);
                while !String::from_utf8_lossy(&heard).contains("SELECT") {
                    match socket.read(&mut some).unwrap() {
                        0 => break,
                        length => heard.extend_from_slice(&some[..length]),
                    }
                }
                let heard = String::from_utf8_lossy(&heard).to_lowercase();
                let (status, said) = match heard.contains(&format!("x-clickhouse-key: {password}\r\n")) {
                    true => ("200 OK", "1\n"),
                    false => ("403 Forbidden", "Code: 516. DB::Exception: u: Authentication failed"),
                };
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}", said.len());
                socket.write_all(head.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_password_that_is_refused_is_read_again() {
        let address = lets_in("second");
        let ask = |reread: Option<Reread>| {
            let server = with_password("first", reread, address);
            runtime().block_on(server.act("asking", "SELECT 1"))
        };
        ask(Some(Arc::new(|| Ok(Secret::new("second"))))).expect("the file has another by now");
        for reread in [None, Some(Arc::new(|| Ok(Secret::new("first"))) as Reread)] {
            let error = ask(reread).expect_err("there is no other").to_string();
            assert!(error.contains("Code: 516") && error.contains("CLICKHOUSE_PASSWORD"), "{error}");
        }
        // One that has worked may be rolled over at the server first.
        let server = with_password("first", Some(Arc::new(|| Err(Error::bug("")))), address);
        let refused = runtime().block_on(server.act_once("SELECT 1")).unwrap_err();
        assert_eq!(runtime().block_on(server.hope(&refused)), Hope::None);
        server.worked.store(true, Ordering::Relaxed);
        assert_eq!(runtime().block_on(server.hope(&refused)), Hope::Doubtful);
    }

    #[test]
    fn a_connection_that_nobody_takes_is_given_up_soon() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        // Its queue is full: the next one hears nothing.
        let _waiting = std::net::TcpStream::connect(address).unwrap();
        let server = at(address);
        let since = Instant::now();
        let failed = runtime().block_on(server.act_once("SELECT 1")).expect_err("nobody takes it");
        let took = since.elapsed();
        assert!(took < Duration::from_millis(3 * CLICKHOUSE_CONNECT_MS), "{took:?}: {failed}");
        assert_eq!(failed.hope, Hope::Passes);
    }

    #[test]
    fn doubt_lasts_only_without_another_kind_of_failure_in_between() {
        let (start, mut doubt) = (Instant::now(), Doubt::default());
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert!(!doubt.lasts(Hope::Doubtful, at(0)));
        assert!(!doubt.lasts(Hope::Doubtful, at(CLICKHOUSE_LASTING_MS)));
        assert!(!doubt.lasts(Hope::Passes, at(CLICKHOUSE_LASTING_MS + 1)));
        assert!(!doubt.lasts(Hope::Doubtful, at(CLICKHOUSE_LASTING_MS * 9)), "an outage lay between");
        assert!(!doubt.lasts(Hope::Doubtful, at(CLICKHOUSE_LASTING_MS * 10)));
        assert!(doubt.lasts(Hope::Doubtful, at(CLICKHOUSE_LASTING_MS * 10 + 1)));
        assert!(Doubt::default().lasts(Hope::None, start));
    }
}
