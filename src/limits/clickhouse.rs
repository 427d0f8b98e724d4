//! Bounds of ClickHouse as a sink.

/// Servers that share the lanes of a sink.
pub const CLICKHOUSE_SHARDS_MAX: usize = 256;

/// Blocks that a table remembers by their token, per partition of the table: those of a day at four lanes and a commit a minute.
pub const CLICKHOUSE_DEDUPLICATION_WINDOW: u64 = 10_000;

/// The least of these that a run starts with: far more than two commits write, and only they can be written again.
pub const CLICKHOUSE_DEDUPLICATION_WINDOW_MIN: u64 = 1_000;

/// Seconds for which a replicated table remembers them: an outage may last for a week.
pub const CLICKHOUSE_DEDUPLICATION_SECONDS: u64 = 7 * 24 * 3_600;

/// Threads that share the connections to ClickHouse; they encode and compress what is sent, too.
pub const CLICKHOUSE_THREADS: usize = 2;

/// Inserts of one slot that are on their way at a time.
pub const CLICKHOUSE_INSERTS_IN_FLIGHT: usize = 2;

/// Bytes of a block that are compressed and sent at a time.
pub const CLICKHOUSE_CHUNK_BYTES: usize = 256 << 10;

/// Milliseconds until a server has taken a connection.
pub const CLICKHOUSE_CONNECT_MS: u64 = 5_000;

/// Milliseconds after which a silent connection is asked whether it still is one.
pub const CLICKHOUSE_ALIVE_MS: u64 = 60_000;

/// Milliseconds for which a connection is kept for the next request; servers keep theirs for 3 s and longer.
pub const CLICKHOUSE_IDLE_MS: u64 = 2_000;

/// Milliseconds for a server that fails to say that it answers again.
pub const CLICKHOUSE_ANSWERS_MS: u64 = 5_000;

/// Milliseconds until an insert is acknowledged.
pub const CLICKHOUSE_INSERT_MS: u64 = 180_000;

/// Milliseconds until a question is answered.
pub const CLICKHOUSE_ASK_MS: u64 = 60_000;

/// Milliseconds until a statement has been carried out: removing rows waits for its mutation.
pub const CLICKHOUSE_MUTATION_MS: u64 = 300_000;

/// Bytes of an answer.
pub const CLICKHOUSE_ANSWER_BYTES_MAX: usize = 64 << 20;

/// Milliseconds between two tries: the first, and the longest.
pub const CLICKHOUSE_AGAIN_MS: (u64, u64) = (100, 10_000);

/// Milliseconds between two lines of the log about a server that fails: the first, and the longest.
pub const CLICKHOUSE_SAID_MS: (u64, u64) = (2_000, 60_000);

/// Milliseconds for which an error that is not known to pass is tried again before it ends the run.
pub const CLICKHOUSE_LASTING_MS: u64 = 60_000;

/// Milliseconds for which the sink is looked at and made ready at the start before the run ends.
pub const CLICKHOUSE_OPEN_MS: u64 = 120_000;

/// Tokens under which a block is tried that is acknowledged and not there.
pub const CLICKHOUSE_TOKENS_MAX: u32 = 20;

/// Bytes of a password of ClickHouse.
pub const CLICKHOUSE_PASSWORD_BYTES_MAX: usize = 4 << 10;

/// Milliseconds for one step of `minuet check --connect`.
pub const CLICKHOUSE_PROBE_MS: u64 = 15_000;

/// The oldest ClickHouse that understands what is said: year and month.
pub const CLICKHOUSE_VERSION_MIN: (u32, u32) = (23, 8);

/// Milliseconds until the next piece of an answer that is read as it comes: before the first one the server may have to sort.
pub const CLICKHOUSE_PIECE_MS: u64 = 600_000;

/// Pieces of such an answer that wait to be taken.
pub const CLICKHOUSE_PIECES_WAITING: usize = 4;

/// Seconds before a table's lines are too old from which on they no longer count as surely there: a check reads for so long at most.
pub const CLICKHOUSE_KEPT_MARGIN_S: u64 = 3_600;

/// Bytes of a server's memory that a check of the ledger groups and sorts in; beyond, it goes to the server's disk.
pub const CLICKHOUSE_SORTED_BYTES: u64 = 512 << 20;

const _: () =
    assert!(CLICKHOUSE_DEDUPLICATION_WINDOW >= CLICKHOUSE_DEDUPLICATION_WINDOW_MIN, "tables that are made are taken");
