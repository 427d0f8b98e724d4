//! Which requests, what becomes of them, how often. A fault waits until a request comes that it is meant for.

use std::time::Duration;

use crate::ALWAYS;
use crate::message::Head;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server gets it and answers in full; the client's connection is reset in place of the answer.
    Lost,
    /// The connection is reset, and nothing was passed on.
    Refused,
    /// It is passed on this much later.
    Delayed(Duration),
    /// It is answered by 503 and not passed on: at once, or after its body.
    Unavailable {
        /// The body is read before.
        after_body: bool,
    },
    /// So many bytes of its body are passed on, but never all of them; then the server's connection ends and the client's is reset.
    Cut {
        /// How many, chunk lengths not counted.
        after: u64,
    },
    /// The server gets it; so many bytes of the answer's body come to the client, but never all of them, and then both connections
    /// end.
    AnswerCut {
        /// How many, chunk lengths not counted.
        after: u64,
    },
    /// The same, and then nothing more comes: the connection stays open until the client gives up.
    AnswerStalled {
        /// How many, chunk lengths not counted.
        after: u64,
    },
    /// It is neither passed on nor answered; the connection stays open until the client gives up.
    HalfOpen,
}

/// Requests that are meant: those of a method, with something in their path and something in their query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
}

impl Requests {
    /// Each.
    pub fn all() -> Self {
        Requests::default()
    }

    /// Those of a method.
    pub fn of(method: &str) -> Self {
        Requests { method: Some(method.to_owned()), ..Requests::default() }
    }

    /// Of these, those whose path has this in it.
    #[must_use]
    pub fn path(self, part: &str) -> Self {
        Requests { path: Some(part.to_owned()), ..self }
    }

    /// Of these, those whose query, as it stands in the request line, has this in it.
    #[must_use]
    pub fn query(self, part: &str) -> Self {
        Requests { query: Some(part.to_owned()), ..self }
    }

    fn mean(&self, method: &str, path: &str, query: &str) -> bool {
        self.method.as_deref().is_none_or(|meant| meant == method)
            && self.path.as_deref().is_none_or(|part| path.contains(part))
            && self.query.as_deref().is_none_or(|part| query.contains(part))
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client got the server's answer, of this status.
    Answered(u16),
    /// This was done to it.
    Fault(Fault),
    /// The server, or the client, broke off.
    Broken,
}

/// A request that came, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path, as it stands in the request line.
    pub path: String,
    /// Its query, likewise.
    pub query: String,
    /// How it ended; none while it is under way.
    pub outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Planned {
    requests: Requests,
    fault: Fault,
    left: u32,
}

/// All faults that are planned, and all requests that came.
#[derive(Debug, Default)]
pub(crate) struct Book {
    planned: Vec<Planned>,
    seen: Vec<Seen>,
}

impl Book {
    pub(crate) fn plan(&mut self, requests: Requests, fault: Fault, times: u32) {
        if times > 0 {
            self.planned.push(Planned { requests, fault, left: times });
        }
    }

    pub(crate) fn heal(&mut self) {
        self.planned.clear();
    }

    /// How many requests the plans still wait for.
    pub(crate) fn waiting(&self) -> u64 {
        self.planned.iter().map(|planned| u64::from(planned.left)).sum()
    }

    /// A request has come: its number, and the first fault that is planned for it.
    pub(crate) fn enter(&mut self, head: &Head) -> (usize, Option<Fault>) {
        let (method, path, query) = (head.method().to_owned(), head.path().to_owned(), head.query().to_owned());
        let meant = |planned: &Planned| planned.requests.mean(&method, &path, &query);
        let fault = self.planned.iter().position(meant).map(|at| {
            let planned = &mut self.planned[at];
            let fault = planned.fault;
            if planned.left != ALWAYS {
                planned.left -= 1;
            }
            if planned.left == 0 {
                self.planned.remove(at);
            }
            fault
        });
        self.seen.push(Seen { method, path, query, outcome: None });
        (self.seen.len() - 1, fault)
    }

    pub(crate) fn end(&mut self, number: usize, outcome: Outcome) {
        self.seen[number].outcome = Some(outcome);
    }

    pub(crate) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    pub(crate) fn count(&self, requests: &Requests) -> usize {
        self.seen.iter().filter(|seen| requests.mean(&seen.method, &seen.path, &seen.query)).count()
    }
}
