//! An answer that is read line by line as it comes, however long it is, on a thread of any kind.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::failed::Failed;
use super::server::{Server, in_time, parsed};
use crate::error::{Error, Result};
use crate::limits::{CLICKHOUSE_ANSWER_BYTES_MAX, CLICKHOUSE_PIECE_MS, CLICKHOUSE_PIECES_WAITING};

/// A line: its columns.
type Line = Vec<Value>;

/// Some lines, or none: then it was the last.
type Piece = std::result::Result<Vec<Line>, Failed>;

/// The lines that answer a query. Dropping it ends the query. It blocks, and so is never used on a thread of a runtime.
pub(super) struct Answers {
    doing: String,
    pieces: Receiver<Piece>,
    lines: VecDeque<Line>,
    over: bool,
}

impl Answers {
    /// Asks once: what has come cannot be asked for again in the middle.
    pub(super) fn of(server: &Arc<Server>, handle: &Handle, doing: &str, sql: String) -> Self {
        let (give, pieces) = channel(CLICKHOUSE_PIECES_WAITING);
        let doing = format!("{doing} at {}", server.name());
        let server = Arc::clone(server);
        handle.spawn(async move {
            let last = match read(&server, &sql, &give).await {
                Ok(()) => Ok(Vec::new()),
                Err(failed) => Err(failed),
            };
            // Where nobody listens any more there is nobody to tell.
            let _ = give.send(last).await;
        });
        Answers { doing, pieces, lines: VecDeque::new(), over: false }
    }
}

impl Iterator for Answers {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Result<Line>> {
        if let Some(line) = self.lines.pop_front() {
            return Some(Ok(line));
        }
        if self.over {
            return None;
        }
        match self.pieces.blocking_recv() {
            Some(Ok(lines)) => {
                self.over = lines.is_empty();
                self.lines = lines.into();
                self.lines.pop_front().map(Ok)
            }
            Some(Err(failed)) => {
                self.over = true;
                Some(Err(failed.into_error(&self.doing)))
            }
            None => {
                self.over = true;
                Some(Err(Error::bug(format!("{}: its task ended without an answer", self.doing))))
            }
        }
    }
}

/// Passes lines on as they come.
async fn read(server: &Server, sql: &str, give: &Sender<Piece>) -> std::result::Result<(), Failed> {
    let mut cursor = server.lines(sql).map_err(|error| Failed::of(&error))?;
    // What has come, and is not a whole line yet.
    let mut rest: Vec<u8> = Vec::new();
    while let Some(piece) = in_time(CLICKHOUSE_PIECE_MS, cursor.next()).await? {
        let Some(end) = piece.iter().rposition(|byte| *byte == b'\n') else {
            rest.extend_from_slice(&piece);
            if rest.len() > CLICKHOUSE_ANSWER_BYTES_MAX {
                return Err(Failed::odd(format!("a line has more than {CLICKHOUSE_ANSWER_BYTES_MAX} bytes")));
            }
            continue;
        };
        rest.extend_from_slice(&piece[..end]);
        let lines: Vec<Line> = each(&rest)?;
        rest.clear();
        rest.extend_from_slice(&piece[end + 1..]);
        if !lines.is_empty() && give.send(Ok(lines)).await.is_err() {
            return Ok(());
        }
    }
    let last = each(&rest)?;
    if !last.is_empty() {
        let _ = give.send(Ok(last)).await;
    }
    Ok(())
}

fn each(text: &[u8]) -> std::result::Result<Vec<Line>, Failed> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parsed).collect()
}
