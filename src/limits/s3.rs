//! Bounds of S3 and of a store that is away.

use super::OBJECT_NAME_BYTES_MAX;

/// Threads that share the connections to S3. Who waits for an answer waits on a thread of its own.
pub const S3_THREADS: usize = 2;

/// Milliseconds until S3 has taken a connection.
pub const S3_CONNECT_MS: u64 = 3_000;

/// Milliseconds for one try of a request, and for a request with all its tries; the bytes that are moved are given
/// [`S3_BYTES_PER_MS`] beside.
pub const S3_TRY_MS: u64 = 15_000;
/// See [`S3_TRY_MS`].
pub const S3_REQUEST_MS: u64 = 40_000;

/// Bytes that S3 must move in a millisecond: 1 MB/s.
pub const S3_BYTES_PER_MS: u64 = 1_000;

/// Tries of one request.
pub const S3_TRIES: u32 = 4;

/// Milliseconds between two tries of one request: the first, and the longest.
pub const S3_TRY_AGAIN_MS: (u64, u64) = (100, 5_000);

/// Milliseconds for which S3 may be away when a run begins.
pub const S3_OPEN_MS: u64 = 30_000;

/// Names that one list may bring: a million parts are far more than any number of kept commits has.
pub const S3_LISTED_MAX: usize = 1_000_000;

/// Bytes of the prefix of a state: a key of S3 has 1,024 in all.
pub const S3_PREFIX_BYTES_MAX: usize = 400;

/// Milliseconds between two tries while a store is away: the first, and the longest.
pub const STORE_AGAIN_MS: (u64, u64) = (100, 10_000);

/// Milliseconds for which a store that has worked may refuse us before the run ends: rolling a credential over takes less.
pub const STORE_LASTING_MS: u64 = 60_000;

/// Milliseconds between two words about a store that is away: the first, and the longest.
pub const STORE_AWAY_SAID_MS: (u64, u64) = (1_000, 300_000);

/// Milliseconds after which one that waits for a store looks whether it still is to.
pub const STORE_LOOK_MS: u64 = 50;

const _: () = assert!(S3_PREFIX_BYTES_MAX + 1 + OBJECT_NAME_BYTES_MAX <= 1_024, "a key of S3 has 1,024 bytes at most");
const _: () = assert!(S3_TRY_MS < S3_REQUEST_MS, "a request must be tried more than once");
