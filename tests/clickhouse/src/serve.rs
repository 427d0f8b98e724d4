//! One request after another: who asks, what for, and the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::asked::{self, Asked, header, pairs_of_form, pairs_of_url};
use crate::blocks::{Unpacker, compress};
use crate::engine::{Engine, Job, Piece, Work};
use crate::exception::Exception;
use crate::library::Output;
use crate::statement;

/// Pieces of rows that wait for the engine; the client waits behind them.
const WAITING: usize = 8;

type Answer = Response<Full<Bytes>>;

/// Why a request gets no answer of its own.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It gets this one.
    Told(Exception),
    /// Its client has gone.
    Gone(hyper::Error),
}

impl From<Exception> for Trouble {
    fn from(exception: Exception) -> Self {
        Trouble::Told(exception)
    }
}

impl From<hyper::Error> for Trouble {
    fn from(error: hyper::Error) -> Self {
        Trouble::Gone(error)
    }
}

/// The front: its engine, and the one user it knows.
pub(crate) struct Front {
    pub(crate) engine: Arc<Engine>,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) asked: AtomicU64,
}

impl Front {
    /// Answers a request, unless its client has gone: then the connection ends.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if path == "/ping"
            || path == "/replicas_status"
            || (path == "/" && head.uri.query().is_none() && head.method == Method::GET)
        {
            return Ok(plain(StatusCode::OK, "Ok.\n"));
        }
        if path != "/" && path != "/query" {
            return Ok(plain(StatusCode::NOT_FOUND, format!("There is no handle {path}\n")));
        }
        match self.query(&head, body).await {
            Ok(answer) => Ok(answer),
            Err(Trouble::Gone(error)) => Err(error),
            Err(Trouble::Told(exception)) => Ok(self.told(&exception)),
        }
    }

    fn told(&self, exception: &Exception) -> Answer {
        let mut text = exception.to_string();
        if !text.contains("(version ") {
            text = format!("{text} (version {})", self.engine.version());
        }
        let status = StatusCode::from_u16(exception.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = plain(status, format!("{text}\n"));
        answer.headers_mut().insert("X-ClickHouse-Exception-Code", HeaderValue::from(exception.code()));
        answer
    }

    async fn query(&self, head: &Parts, body: Incoming) -> Result<Answer, Trouble> {
        let mut pairs = pairs_of_url(head.uri.query());
        asked::knows(&head.headers, &pairs, &self.user, &self.password)?;
        let form = header(&head.headers, "content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"));
        let mut body = Some(body);
        if form && let Some(body) = body.take() {
            pairs.extend(pairs_of_form(&head.headers, &body.collect().await?.to_bytes())?);
        }
        let asked = Asked::of(&pairs, &head.headers, head.method == Method::GET)?;
        let started = Instant::now();
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let format = asked.format.clone().unwrap_or_else(|| "TabSeparated".to_owned());
        let output = self.run(&asked, &format, body).await?;
        let query_id = asked.query_id.clone().unwrap_or_else(|| format!("front-{}-{number}", std::process::id()));
        let headers = [
            ("x-clickhouse-query-id", query_id),
            ("x-clickhouse-format", format),
            ("x-clickhouse-summary", summary(&output, started)),
            ("x-clickhouse-timezone", "UTC".to_owned()),
            ("x-clickhouse-server-display-name", env!("CARGO_PKG_NAME").to_owned()),
        ];
        let bytes = if asked.compress { compress(&output.bytes) } else { output.bytes };
        let mut answer = plain(StatusCode::OK, bytes);
        for (name, value) in headers {
            // A query's name or format that no header can hold is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        Ok(answer)
    }

    async fn run(&self, asked: &Asked, format: &str, body: Option<Incoming>) -> Result<Output, Trouble> {
        // With the statement in the URL, all of the body is rows; otherwise the statement is in there too.
        let streams = statement::insert(asked.query.as_bytes()).is_some();
        let (sql, body) =
            if streams { (asked.query.clone().into_bytes(), body) } else { (whole(asked, body).await?, None) };
        allow(asked, &sql)?;
        let (database, settings) = (asked.database.clone(), asked.settings.clone());
        let job = |work| Job { work, format: format.to_owned(), database, settings };
        let engine = Arc::clone(&self.engine);
        let Some(insert) = statement::insert(&sql) else {
            return Ok(engine.run(job(Work::Whole { sql, values: asked.values.clone() })).await?);
        };
        let (feed, rows) = mpsc::channel(WAITING);
        let (statement, rows_in) = (insert.statement.to_owned(), insert.format.to_owned());
        let running = tokio::spawn(engine.run(job(Work::Insert { statement, format: rows_in, rows })));
        let fed = pour(feed, Bytes::copy_from_slice(insert.rows), body, asked.decompress).await;
        let output = running.await.unwrap_or_else(|e| Err(Exception::of_engine(&e.to_string())));
        fed.and_then(|()| output.map_err(Trouble::Told))
    }
}

/// Refuses what a request may not do, or the front cannot.
fn allow(asked: &Asked, sql: &[u8]) -> Result<(), Exception> {
    if asked.reading && !statement::reads(sql) {
        let text = "Cannot execute query in readonly mode; GET implies it, use POST for what modifies".to_owned();
        return Err(Exception::new(164, text, "READONLY"));
    }
    if statement::queues(sql) {
        return Err(Exception::refused("async_insert=1: it has no queue of small inserts".to_owned()));
    }
    Ok(())
}

/// The text of a query that begins in the URL and goes on in the body.
async fn whole(asked: &Asked, body: Option<Incoming>) -> Result<Vec<u8>, Trouble> {
    let mut rest = match body {
        Some(body) => body.collect().await?.to_bytes().to_vec(),
        None => Vec::new(),
    };
    if asked.decompress {
        let mut unpacker = Unpacker::default();
        rest = unpacker.push(&rest)?;
        unpacker.end()?;
    }
    let mut sql = asked.query.clone().into_bytes();
    if !sql.is_empty() && !rest.is_empty() {
        sql.push(b'\n');
    }
    sql.extend_from_slice(&rest);
    if sql.iter().all(u8::is_ascii_whitespace) {
        return Err(
            Exception::new(62, "Syntax error: failed at position 1: Empty query".to_owned(), "SYNTAX_ERROR").into()
        );
    }
    Ok(sql)
}

/// Pours an insert's rows into the engine as they come. Where the engine wants no more, the client is heard to its end all the same:
/// it reads no answer before.
async fn pour(feed: mpsc::Sender<Piece>, first: Bytes, body: Option<Incoming>, packed: bool) -> Result<(), Trouble> {
    let mut unpacker = packed.then(Unpacker::default);
    let mut wanted = first.is_empty() || feed.send(Piece::Rows(first)).await.is_ok();
    let mut body = body;
    while let Some(body) = &mut body {
        let Some(frame) = body.frame().await else { break };
        let Ok(bytes) = frame?.into_data() else { continue };
        let rows = match &mut unpacker {
            Some(unpacker) if wanted => Bytes::from(unpacker.push(&bytes)?),
            _ => bytes,
        };
        wanted = wanted && (rows.is_empty() || feed.send(Piece::Rows(rows)).await.is_ok());
    }
    if wanted {
        unpacker.map_or(Ok(()), |unpacker| unpacker.end())?;
        // Where it has failed by now, it tells so itself.
        let _ = feed.send(Piece::Last).await;
    }
    Ok(())
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

fn summary(output: &Output, started: Instant) -> String {
    let [read, read_bytes, written, written_bytes] = output.counts;
    format!(
        "{{\"read_rows\":\"{read}\",\"read_bytes\":\"{read_bytes}\",\"written_rows\":\"{written}\",\"written_bytes\":\"{written_bytes}\",\
         \"total_rows_to_read\":\"0\",\"result_rows\":\"0\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        output.bytes.len(),
        started.elapsed().as_nanos(),
    )
}
