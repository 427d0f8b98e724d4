//! Bounds of what is told over HTTP, and of what is asked.

/// The port of process 0, where none is given; process `p` takes the `p`th after it.
pub const HTTP_PORT: u16 = 8_081;

/// Connections at once; more wait to be taken.
pub const HTTP_CONNECTIONS_MAX: usize = 32;

/// Bytes of a request's head: the least that hyper can be told.
pub const HTTP_HEAD_BYTES_MAX: usize = 8_192;

/// Headers of a request.
pub const HTTP_HEADERS_MAX: usize = 64;

/// Milliseconds until the head of a request is there.
pub const HTTP_HEAD_MS: u64 = 3_000;

/// Milliseconds for a connection in all: one request is answered on each.
pub const HTTP_CONNECTION_MS: u64 = 10_000;

/// Milliseconds between two looks at what must go on.
pub const HTTP_LOOK_MS: u64 = 1_000;

/// Milliseconds for which a worker's loop may not go round before it counts as stuck.
pub const LOOP_SILENT_MS: u64 = 10_000;

/// Milliseconds for which nothing may be committed without a cause that is known.
pub const COMMIT_SILENT_MS: i64 = 300_000;

/// The same where all is read, and what is not stored may be that of another process, whose sink or store may be away.
pub const COMMIT_SILENT_ELSEWHERE_MS: i64 = 1_800_000;

/// Milliseconds between two reports of a slot, rises of its epoch aside.
pub const SLOT_REPORT_MS: i64 = 100;

/// Commits whose ledger is remembered, and lines of them all.
pub const LEDGER_COMMITS_REMEMBERED: usize = 64;
/// See [`LEDGER_COMMITS_REMEMBERED`].
pub const LEDGER_LINES_REMEMBERED: usize = 4_096;

/// Bytes of an answer that `minuet why` takes.
pub const HTTP_ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Milliseconds that `minuet why` waits for an answer.
pub const HTTP_ASK_MS: u64 = 5_000;
