//! The broker's administration, by plain HTTP over a blocking socket: no client of the program under test takes part.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::broker::Broker;

/// How long the broker may take for an answer: an unload on a busy machine needs seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(300);

/// What was answered: the status and the body.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("that is not JSON ({e}): {}", self.body))
    }
}

impl Broker {
    /// Asks for what must succeed. A broker that has just come back says that it fails inside until its store is there, too.
    pub(super) fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: no answer ({e})"));
            if answer.is_good() {
                return answer;
            }
            assert!(answer.status >= 500 && Instant::now() < end, "{method} {path}: {answer:?}");
            thread::sleep(AGAIN);
        }
    }

    /// Makes what may be there already.
    pub(super) fn ensure(&self, path: &str, body: &Value) {
        let answer = self.ask("PUT", path, Some(body)).expect("the broker's administration answers");
        assert!(answer.status < 300 || answer.status == 409, "PUT {path}: {answer:?}");
    }

    /// The last entry (ledger, entry) of a partition, by its full name; the entry is -1 before the first of a ledger. None where the
    /// broker is away, or has not loaded the partition.
    pub(super) fn last_confirmed(&self, log: &str) -> Option<(i64, i64)> {
        Some(position(&self.stored(log)?["lastConfirmedEntry"]))
    }

    /// The entries of a partition after one; none where the broker is away, or has not loaded the partition.
    pub(super) fn entries_after(&self, log: &str, (ledger, entry): (i64, i64)) -> Option<Vec<(u64, u64)>> {
        let stored = self.stored(log)?;
        let last = position(&stored["lastConfirmedEntry"]);
        let (mut after, mut known) = (Vec::new(), entry < 0);
        for one in stored["ledgers"].as_array().expect("a topic has ledgers") {
            let id = one["ledgerId"].as_i64().expect("ledgers are numbered");
            known |= id == ledger;
            // The one that is written to does not count its entries yet.
            let count = if id == last.0 { last.1 + 1 } else { one["entries"].as_i64().expect("entries are counted") };
            let first = if id == ledger { entry + 1 } else { 0 };
            if id >= ledger {
                after.extend((first..count).map(|entry| (id as u64, entry as u64)));
            }
        }
        // What readers have passed goes with its ledger, unless it is retained: then nobody can say what came after.
        assert!(known, "{log}: ledger {ledger} is gone: {stored}");
        Some(after)
    }

    fn stored(&self, log: &str) -> Option<Value> {
        let answer = self.ask("GET", &internal_of(log), None).ok();
        answer.filter(Answer::is_good).map(|answer| answer.json())
    }

    /// What a partition's broker knows of its ledgers and cursors.
    pub(super) fn internal(&self, log: &str) -> Value {
        self.admin("GET", &internal_of(log), None).json()
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let token = self.token().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        // HTTP/1.0: the answer is never in chunks and ends with the connection.
        let request = format!(
            "{method} /admin/v2/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{token}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(("127.0.0.1", self.web_port()))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(request.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        // A broker that is killed closes the connection before it has answered.
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        Ok(Answer { status, body: body.to_owned() })
    }
}

/// Where it is told what is stored of a partition.
fn internal_of(log: &str) -> String {
    format!("{}/internalStats", log.replace("://", "/"))
}

/// A position (ledger, entry) as it is written.
pub(super) fn position(text: &Value) -> (i64, i64) {
    let (ledger, entry) = text.as_str().and_then(|text| text.split_once(':')).expect("that is a position");
    (ledger.parse().unwrap(), entry.parse().unwrap())
}
