//! An issuer of OAuth2 tokens on loopback: a discovery document, keys, and an endpoint that knows one client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

/// The one client's secret.
const SECRET: &str = "shared-with-the-issuer";

/// For whom the tokens are.
pub(super) const AUDIENCE: &str = "urn:broker";

/// What an issuer does with who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers.
    Good,
    /// It ends each connection without an answer.
    Gone,
    /// It answers 503.
    Busy,
    /// It keeps each connection and says nothing.
    Silent,
    /// It answers 503 to who wants a token.
    NoToken,
}

/// A running issuer; it ends with the process.
pub(super) struct Issuer {
    port: u16,
    given: Arc<AtomicUsize>,
    mood: Arc<Mutex<Mood>>,
}

impl Issuer {
    /// One that gives this token to whom it knows.
    pub(super) fn start(token: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().unwrap().port();
        let given = Arc::new(AtomicUsize::new(0));
        let mood = Arc::new(Mutex::new(Mood::Good));
        let (count, now) = (Arc::clone(&given), Arc::clone(&mood));
        thread::spawn(move || {
            let mut kept = Vec::new();
            for socket in listener.incoming() {
                let socket = socket.expect("a listener accepts");
                let mood = *now.lock().unwrap();
                match mood {
                    Mood::Gone => {}
                    Mood::Silent => kept.push(socket),
                    // One that connects and goes away is not the issuer's problem.
                    mood => drop(serve(&socket, mood, port, &token, &count)),
                }
            }
        });
        Issuer { port, given, mood }
    }

    /// From now on it does this.
    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What `--pulsar-oauth2-issuer` is told.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/issuer", self.port)
    }

    /// Tokens given.
    pub(super) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    /// A file of credentials: good ones, or those of somebody unknown.
    pub(super) fn credentials(&self, place: &Path, good: bool) -> PathBuf {
        let file = place.join(if good { "known.json" } else { "unknown.json" });
        let secret = if good { SECRET } else { "guessed" };
        std::fs::write(&file, json!({ "client_id": "minuet", "client_secret": secret }).to_string()).unwrap();
        file
    }
}

fn serve(mut socket: &TcpStream, mood: Mood, port: u16, token: &str, given: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("a form is text");
    let base = format!("http://127.0.0.1:{port}/issuer");
    let wanted = ["grant_type=client_credentials", "client_id=minuet", SECRET, "audience=urn%3Abroker"];
    let busy = ("503 Service Unavailable", json!({ "error": "temporarily_unavailable" }));
    let (status, answer) = match first.split(' ').nth(1) {
        _ if mood == Mood::Busy => busy,
        Some("/issuer/token") if mood == Mood::NoToken => busy,
        Some("/issuer/.well-known/openid-configuration") => (
            "200 OK",
            json!({
                "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/keys"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        ),
        Some("/issuer/keys") => ("200 OK", json!({ "keys": [] })),
        Some("/issuer/token") if wanted.iter().all(|part| body.contains(part)) => {
            given.fetch_add(1, Ordering::SeqCst);
            ("200 OK", json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 }))
        }
        Some("/issuer/token") => ("401 Unauthorized", json!({ "error": "invalid_client" })),
        _ => ("404 Not Found", json!({})),
    };
    let answer = answer.to_string();
    let length = answer.len();
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )
}
