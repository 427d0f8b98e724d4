//! What is answered to which path.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::super::health::{Pulse, Verdict, alive, ready};
use super::super::status::Board;
use super::metrics::metrics;

/// The body of an answer: always all there.
pub(super) type Body = Full<Bytes>;

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str = "/livez\n/readyz\n/metrics\n/api/v1/status\n/api/v1/ledger\n";

/// Answers about one process.
pub(super) struct Answers {
    board: Arc<Board>,
    pulse: Mutex<Pulse>,
}

impl Answers {
    pub(super) fn new(board: Arc<Board>) -> Self {
        Answers { board, pulse: Mutex::default() }
    }

    /// Looks whether the worker loops turn.
    pub(super) fn look(&self) {
        if let Some(progress) = self.board.progress() {
            let turns = progress.told().turns();
            self.pulse.lock().unwrap_or_else(PoisonError::into_inner).look(&turns, Instant::now());
        }
    }

    /// The answer to one request.
    pub(super) fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        if method != Method::GET {
            let mut refused = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "allowed is GET\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        match path {
            "/livez" => self.alive(),
            "/readyz" => verdict(ready(&self.board.status())),
            "/metrics" => respond(StatusCode::OK, METRICS, metrics(&self.board.status())),
            "/api/v1/status" => json(&self.board.status()),
            "/api/v1/ledger" => {
                let ledger = self.board.ledger();
                json(&ledger.iter().map(|commit| &**commit).collect::<Vec<_>>())
            }
            _ => respond(StatusCode::NOT_FOUND, TEXT, format!("there is nothing here; there is\n{PATHS}")),
        }
    }

    fn alive(&self) -> Response<Body> {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        verdict(alive(&self.board, &mut pulse, Instant::now()))
    }
}

fn verdict(verdict: Verdict) -> Response<Body> {
    match verdict {
        Ok(why) => respond(StatusCode::OK, TEXT, why + "\n"),
        Err(why) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, why + "\n"),
    }
}

fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => respond(StatusCode::OK, JSON, text + "\n"),
        Err(why) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("it cannot be written as JSON: {why}\n")),
    }
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
