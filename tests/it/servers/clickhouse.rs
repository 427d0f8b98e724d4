//! The real engine of ClickHouse behind its front, for one test or for all, and a plain client of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use super::leash::Leash;
use super::{place, script};
use crate::harness::free_port;

/// How long a statement may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct ClickHouse {
    port: u16,
    leash: Leash,
}

impl ClickHouse {
    /// The one that all tests of this program may use, each in a database of its own, but not stop.
    pub(crate) fn shared() -> &'static ClickHouse {
        static SHARED: OnceLock<ClickHouse> = OnceLock::new();
        SHARED.get_or_init(ClickHouse::start)
    }

    /// Another one, for the test that starts it; a second on a quiet machine, 200 MB.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut command = script("clickhouse", &place("clickhouse", port));
        let leash = Leash::start(command.env("MINUET_CLICKHOUSE_PORT", port.to_string()));
        ClickHouse { port, leash }
    }

    /// SIGKILL, in the midst of what it does.
    pub(crate) fn kill(&self) {
        self.leash.kill();
    }

    /// Starts a killed one again, with its data and port.
    pub(crate) fn start_again(&self) {
        self.leash.start_again();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The same as a client takes it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Its only user.
    pub(crate) fn user(&self) -> &'static str {
        "minuet"
    }

    /// The user's password.
    pub(crate) fn password(&self) -> &'static str {
        "minuet-demo"
    }

    /// What a statement that must succeed answers, as tab-separated text without the last line's end.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.ask(self.address(), "", sql.as_bytes()).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The answer to a request with these parameters of the URL and this body, asked for at an address: its own or a proxy's. The
    /// error is the server's text, or why there is no answer.
    pub(crate) fn ask(&self, at: SocketAddr, parameters: &str, body: &[u8]) -> Result<String, String> {
        let whole = self.exchange(at, parameters, body).map_err(|e| format!("no answer: {e}"))?;
        let (head, body) = whole.split_once("\r\n\r\n").ok_or("no answer: the connection was closed")?;
        let body = body.trim_end_matches('\n').to_owned();
        if head.split(' ').nth(1) == Some("200") {
            Ok(body)
        } else {
            Err(format!("{}: {body}", head.lines().next().unwrap_or_default()))
        }
    }

    fn exchange(&self, at: SocketAddr, parameters: &str, body: &[u8]) -> std::io::Result<String> {
        let (user, password) = (self.user(), self.password());
        // HTTP/1.0: the answer is never in chunks and ends with the connection.
        let head = format!(
            "POST /?{parameters} HTTP/1.0\r\nHost: {at}\r\nX-ClickHouse-User: {user}\r\nX-ClickHouse-Key: {password}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = TcpStream::connect(at)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
