//! Every bound of the program, in one place. Related bounds are checked against each other when it is compiled.
//!
//! A number here is a promise: nothing in minuet grows past it without an error that names it.

use std::num::NonZeroUsize;

mod clickhouse;
mod http;
mod s3;

pub use clickhouse::*;
pub use http::*;
pub use s3::*;

/// Milliseconds in a minute, the length of every window.
pub const MINUTE_MS: i64 = 60_000;

/// Event times are from 1970 up to, not including, this many seconds: ClickHouse's `DateTime` ends there (2106-02-07).
pub const TIME_END_S: i64 = 1 << 32;

/// Fields of an event that one dataflow may use (measures and labels together): one bit each in a row's presence mask.
pub const FIELDS_MAX: usize = 64;

/// Bytes of a source (the key) as stored; a longer one makes the event malformed.
pub const SOURCE_BYTES_MAX: usize = 1024;

/// Bytes of a text label; a longer one makes the event malformed.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one entry (a batch, a block of a file) after decompression; also the longest payload.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// Events of one entry of a capture file.
pub const CAPTURE_ENTRY_EVENTS: usize = 1_000;

/// Nested records, arrays, maps and unions that a schema may go down.
pub const SCHEMA_DEPTH_MAX: usize = 32;

/// Steps of a compiled read plan.
pub const PLAN_STEPS_MAX: usize = 10_000;

/// Entries that a partition's queue holds ahead of the reader.
pub const QUEUED_ENTRIES_MAX: usize = 4;

/// Entries that a slot reads before it lets the other operators run: where they are small, a turn of the whole graph is not to be paid
/// for a few of them.
pub const ENTRIES_PER_TURN: usize = 512;

/// Events that a slot reads before it lets the other operators run, and those of the entry that reaches it.
pub const EVENTS_PER_TURN: u64 = 16 * 1024;

/// Words (8 bytes) of one batch on an exchange channel: 256 KiB.
pub const BATCH_WORDS: usize = 32 * 1024;

/// Buffers of batches that a worker keeps to use again, and the words that one may have room for: 8 MiB in all.
pub const SPENT_BUFFERS_MAX: usize = 8;
/// See [`SPENT_BUFFERS_MAX`].
pub const SPENT_BUFFER_WORDS_MAX: usize = 4 * BATCH_WORDS;

/// Words that one slot may have sent to all slots and not yet seen folded: 32 MiB.
pub const WORDS_IN_FLIGHT_MAX: usize = 4 << 20;

/// Minutes that a partition may run ahead of the slowest active one before it is paused.
pub const MINUTES_AHEAD_MAX: u64 = 16;

/// Minutes between two commit epochs that the pace may choose (far behind, commits are spread so that they stay about a second
/// apart); minutes that the frontier has passed already are stepped over at once.
pub const COMMIT_STEP_MAX: u64 = 1_440;

/// Rows of one commit that far-behind commits aim at, at most: a step of several minutes is chosen only where they are few.
pub const ROWS_PER_COMMIT_MAX: u64 = 200_000;

/// Minutes that a slot's epoch may run past the last named commit epoch before the slot stops reading.
pub const MINUTES_UNCOMMITTED_MAX: u64 = 2;

/// Bytes that the open windows of one slot may take. A run that needs more ends with an error instead of filling the machine.
pub const OPEN_BYTES_MAX: usize = 4 << 30;

/// Rejects kept with their payload, per partition and minute; all are counted.
pub const REJECTS_KEPT_PER_MINUTE: u64 = 100;

/// Bytes of a reject's payload that are kept.
pub const REJECT_PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// Events of one partition and day, by its watermark, that may be rejected because their entry or its schema cannot be read; one more
/// ends the run.
pub const UNREADABLE_EVENTS_MAX: u64 = 10_000;

/// Minutes without an event after which a source's id is given to another.
pub const SOURCE_SILENT_MINUTES: u64 = 60;

/// Slots (worker threads of all processes).
pub const SLOTS_MAX: usize = 1_024;

/// Key groups of a pipeline unless dataflow.toml says otherwise; also the largest number of slots that can share its state.
pub const KEY_GROUPS_DEFAULT: u32 = 256;
/// Most key groups.
pub const KEY_GROUPS_MAX: u32 = 1 << 15;

/// Lanes of a pipeline unless dataflow.toml says otherwise.
pub const LANES_DEFAULT: u32 = 4;
/// Most lanes.
pub const LANES_MAX: u32 = 256;

/// Rows of one insert unless dataflow.toml says otherwise.
pub const ROWS_PER_INSERT_DEFAULT: u32 = 100_000;
/// Most rows of one insert.
pub const ROWS_PER_INSERT_MAX: u32 = 1_000_000;

/// Partitions of one source: 16 bits of an event's order.
pub const PARTITIONS_MAX: usize = 1 << 16;

/// Manifests kept unless `--keep` says otherwise.
pub const MANIFESTS_KEPT_DEFAULT: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// Bytes of a manifest, and of one snapshot part, that are read back.
pub const OBJECT_BYTES_MAX: usize = 1 << 30;

const _: () =
    assert!(TIME_END_S * 1_000 / MINUTE_MS < u32::MAX as i64, "a minute number must fit below the last epoch");
const _: () =
    assert!(CAPTURE_ENTRY_EVENTS * 4 < ENTRY_BYTES_MAX, "an entry of a capture file must fit its length words");
const _: () = assert!(BATCH_WORDS * 8 > 2 * (SOURCE_BYTES_MAX + TEXT_BYTES_MAX), "a batch must hold a long record");
const _: () = assert!(BATCH_WORDS * 4 <= WORDS_IN_FLIGHT_MAX, "credits must allow several batches");
const _: () = assert!(LANES_DEFAULT <= LANES_MAX && KEY_GROUPS_DEFAULT <= KEY_GROUPS_MAX);
const _: () = assert!(SLOTS_MAX <= KEY_GROUPS_MAX as usize, "every slot must be able to own a key group");
const _: () = assert!(MINUTES_UNCOMMITTED_MAX < MINUTES_AHEAD_MAX);

// Generation of events.

/// Sources of generated events; their names have seven digits.
pub const GENERATED_SOURCES_MAX: u64 = 10_000_000;

/// Items of a generated array or map, at most.
pub const GENERATED_ITEMS_MAX: u64 = 3;

/// Words that a generated text field is drawn from.
pub const GENERATED_WORDS: usize = 16;

/// Bytes of a generated `bytes` value, at most.
pub const GENERATED_BYTES_MAX: u64 = 16;

/// Minutes that a generated late event lies before the oldest minute that is not late, at most.
pub const GENERATED_LATE_MINUTES_MAX: i64 = 5;

/// Threads that write generated files.
pub const GENERATED_THREADS_MAX: usize = 64;
// Plan: what a dataflow's folder may say.

/// Letters of a pipeline's name, which is the name of its dataflow's folder.
pub const PIPELINE_NAME_MAX: usize = 64;

/// Bytes of dataflow.toml, and of a schema, that are read.
pub const DATAFLOW_FILE_BYTES_MAX: usize = 1 << 20;

/// Letters of a column's name: ClickHouse makes file names of it.
pub const COLUMN_NAME_MAX: usize = 128;

/// Columns after `window_start`, the source and `count`: every statistic of every field.
pub const COLUMNS_MAX: usize = FIELDS_MAX * 8;

/// Digits of a decimal, and so its largest scale: 128 bits hold 38.
pub const DECIMAL_SCALE_MAX: u32 = 38;

/// Most `out_of_order`: all minutes within it are open at the same time.
pub const OUT_OF_ORDER_MAX_MS: i64 = 24 * 60 * MINUTE_MS;

/// How far an event's time may lie past its publish time unless dataflow.toml says otherwise.
pub const MAX_AHEAD_DEFAULT_MS: i64 = 10 * MINUTE_MS;
/// Most `max_ahead`.
pub const MAX_AHEAD_MAX_MS: i64 = 366 * 24 * 60 * MINUTE_MS;

/// How long a partition is quiet before it counts as idle unless dataflow.toml says otherwise.
pub const IDLE_AFTER_DEFAULT_MS: i64 = 30_000;
/// Most `idle_after`.
pub const IDLE_AFTER_MAX_MS: i64 = 24 * 60 * MINUTE_MS;

// event
/// Items without bytes (nulls, empty records) that one block of an array may claim; the walk over them costs nothing, the claim is still bounded.
pub const EMPTY_ITEMS_MAX: u64 = 1 << 20;

/// Types that are visited while a schema is compiled or listed: named types used many times over cannot make it run for ever.
pub const SCHEMA_TYPES_MAX: usize = 100_000;

const _: () = assert!(ENTRY_BYTES_MAX <= u32::MAX as usize, "offsets in a payload are 32 bits");
const _: () = assert!(FIELDS_MAX * 2 <= u8::MAX as usize, "a step holds the index of a row's word in a byte");
// Snapshots.

/// Partials of one block of a snapshot part.
pub const PART_BLOCK_PARTIALS: usize = 1_000;

/// Times that a claim is tried again when another run puts its manifest first.
pub const CLAIM_RACES_MAX: usize = 100;

// The edges: files, stores and the threads behind them.

/// Bytes up to which the whole of a source file goes into its identity; of a longer one, its two ends do.
pub const IDENTITY_WHOLE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of each end of a longer file that go into its identity.
pub const IDENTITY_END_BYTES: u64 = 4 << 20;

/// Bytes of an Avro file's header (its schema and other metadata).
pub const CONTAINER_HEADER_BYTES_MAX: usize = 4 << 20;

/// Bytes of a block of an Avro file as stored: what does not compress grows a little.
pub const CONTAINER_BLOCK_BYTES_MAX: usize = ENTRY_BYTES_MAX + (ENTRY_BYTES_MAX >> 2);

/// Events of a block of an Avro file: one that takes no byte at all has no source, but must not make the count unbounded.
pub const CONTAINER_BLOCK_EVENTS_MAX: u64 = ENTRY_BYTES_MAX as u64;

/// Bytes that unpacking an xz block may take beside its output: enough for `xz -9`.
pub const XZ_MEMORY_BYTES_MAX: u64 = 80 << 20;

/// Bytes that are read from, and written to, a file at a time.
pub const FILE_BUFFER_BYTES: usize = 256 << 10;

/// Milliseconds to wait for the lock of a sink's folder: a run that is stopped while it holds it must not hang the others.
pub const SINK_LOCK_MS_MAX: u64 = 10_000;

/// Jobs of one outlet that have not been answered; the graph bounds its jobs by slots, lanes and partitions.
pub const OUTLET_JOBS_MAX: usize = 1 << 17;

/// Bytes of an object's name in a store.
pub const OBJECT_NAME_BYTES_MAX: usize = 512;

/// Seconds after which a temporary file is taken for one of a dead run.
pub const TEMPORARY_DEAD_S: u64 = 3_600;

/// Problems that one error message names; the rest are counted.
pub const PROBLEMS_NAMED_MAX: usize = 10;

const _: () = assert!(2 * IDENTITY_END_BYTES <= IDENTITY_WHOLE_BYTES_MAX, "the ends must not overlap");
const _: () = assert!(ENTRY_BYTES_MAX <= u32::MAX as usize, "an entry's spans are 32 bits");
const _: () = assert!(PARTITIONS_MAX < OUTLET_JOBS_MAX, "an outlet must take the rejects of every partition");

// Cluster: several processes.

/// Port of the first process where no hostfile says otherwise; the others follow. Timely's own default.
pub const FIRST_PORT: u16 = 2_101;

/// Bytes of a hostfile.
pub const HOSTFILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a cluster's secret, at least and at most.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=4_096;

/// Milliseconds that a handshake may take, from the connection to the verdict; each address that a name has is
/// dialled for as long at most.
pub const HANDSHAKE_MS_MAX: u64 = 5_000;

/// Handshakes under way at one door; one more ends the oldest of them. A peer needs a few milliseconds, so only those that are
/// silent get old.
pub const HANDSHAKES_MAX: usize = 64;

/// Bytes of the reason that a refused client is given.
pub const REASON_BYTES_MAX: usize = 1_024;

/// Milliseconds between two tries to reach a peer: the first, and the longest.
pub const DIAL_AGAIN_MS: (u64, u64) = (50, 2_000);

/// Tries for the second connection to a peer that has taken the first: it is linked with this process already.
pub const SECOND_TRIES_MAX: usize = 5;

/// Milliseconds for which the own address may be taken by a process that is still ending.
pub const LISTEN_MS_MAX: u64 = 10_000;

/// Milliseconds between two words about a peer that is not there yet.
pub const STILL_WAITING_MS: u64 = 5_000;

/// Turned-away clients that the log names in a span of [`STILL_WAITING_MS`]; the others are counted.
pub const TURNED_AWAY_NAMED_MAX: u32 = 10;

/// Milliseconds between two signs of life to a peer.
pub const BEAT_MS: u64 = 500;

/// Milliseconds of silence after which a peer counts as lost: stopped, hung, or behind a broken network.
pub const PEER_SILENT_MS_MAX: u64 = 5_000;

/// Bytes of one message between processes beside the data: the largest holds a manifest and the names of all partitions.
pub const CLUSTER_MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Bytes of one message of timely on a data connection: several times the longest batch.
pub const DATA_MESSAGE_BYTES_MAX: u64 = 256 << 20;

/// Milliseconds that a process which has ended gives its threads to tell the others.
pub const FAREWELL_MS_MAX: u64 = 2_000;

/// Milliseconds that a process which has done its part waits until its last words have been taken.
pub const LAST_WORDS_MS_MAX: u64 = 60_000;

/// How long a run that was stopped may look for its newest commit, for its summary: with [`FAREWELL_MS_MAX`] it is less than a
/// supervisor on this machine waits.
pub const LAST_LOOK_MS: u64 = 1_000;

const _: () = assert!(PEER_SILENT_MS_MAX >= 4 * BEAT_MS, "several beats may be late before a peer counts as lost");
const _: () =
    assert!(ENTRY_BYTES_MAX as u64 * 4 < DATA_MESSAGE_BYTES_MAX, "a batch of one entry's records must be sent");

/// Milliseconds between two looks for new partitions.
pub const PARTITIONS_LOOK_MS: u64 = 20_000;

/// Milliseconds that a run which is to begin again with new partitions waits for a commit. A topic that gives no reason for one, as
/// nothing closes a minute, must not be without its new partitions for that; what was read since the newest commit is read again.
pub const OUTGROWN_MS_MAX: u64 = 20_000;

/// Bytes of one line of a launched process's output that are passed on in one piece.
pub const OUTPUT_LINE_BYTES_MAX: u64 = 1 << 20;

// Folding before the exchange.

/// Bytes that a slot's partials may take before the exchange; past it they are sent although the epoch goes on. They are sent at once,
/// so this much, and each partial's source with it, may be in flight beyond [`WORDS_IN_FLIGHT_MAX`].
pub const COMBINE_BYTES_MAX: usize = 256 << 20;

/// Events that a partial must stand for on average, or they are sent one by one. Measured with two processes on one machine
/// (`benches/whole -n 2 -w 1`): at 72 events in each, folding first takes 31 % off what an event costs, at 37 it takes 19 %, at 16 nothing.
pub const COMBINE_GAIN_MIN: u64 = 16;

/// Epochs with events that a slot sends one by one before it tries folding again.
pub const COMBINE_REST_EPOCHS: u32 = 16;

const _: () = assert!(COMBINE_BYTES_MAX >= 16 * BATCH_WORDS * 8, "folding must be worth the trouble");

// Pulsar: wire.

/// The longest message of a broker that does not name one: its own default.
pub const PULSAR_MESSAGE_BYTES: usize = 5 << 20;

/// Bytes that a frame may be longer than the longest message: its command and metadata. Brokers allow the same.
pub const PULSAR_FRAME_EXTRA_BYTES: usize = 10 << 10;

/// The longest message that is believed, whatever a broker names.
pub const PULSAR_FRAME_BYTES_MAX: usize = 64 << 20;

/// The longest frame that is believed before a broker has answered CONNECT.
pub const PULSAR_GREETING_BYTES_MAX: usize = 64 << 10;

/// Bytes that a connection's buffer begins with: what one read can bring.
pub const PULSAR_INBOX_BYTES: usize = 256 << 10;

/// Bytes that a connection's buffer keeps when it is empty; a larger one had a large frame.
pub const PULSAR_INBOX_KEPT_BYTES: usize = 1 << 20;

/// The same for what is to be sent.
pub const PULSAR_OUTBOX_KEPT_BYTES: usize = 1 << 20;

/// Frames that are kept while an answer is waited for: more than a dispatch of 100 entries brings.
pub const PULSAR_KEPT_FRAMES_MAX: usize = 1_024;

/// Milliseconds for one address of a broker to take a connection.
pub const PULSAR_ADDRESS_MS: u64 = 3_000;

/// Milliseconds until a connection must be let in: addresses, TLS, CONNECT.
pub const PULSAR_CONNECT_MS: u64 = 10_000;

/// Milliseconds until a request must be answered. A broker takes 5 s to find out that an earlier consumer is gone.
pub const PULSAR_REQUEST_MS: u64 = 15_000;

/// Milliseconds of silence after which a broker is asked for a sign of life, and for which that is waited.
pub const PULSAR_KEEP_ALIVE_MS: u64 = 10_000;

/// Milliseconds for which a broker may take nothing of what is sent.
pub const PULSAR_WRITE_MS: u64 = 10_000;

/// Milliseconds until credentials must be had: a PING may come meanwhile, and brokers wait 5 s for its answer.
pub const PULSAR_CREDENTIALS_MS: u64 = 4_000;

/// Bytes of a token.
pub const PULSAR_TOKEN_BYTES_MAX: usize = 64 << 10;

/// Times that a look-up may be sent on to another broker; the Java client has the same.
pub const PULSAR_REDIRECTS_MAX: u32 = 20;

/// Partitions that a probe asks for their end.
pub const PULSAR_PROBED_PARTITIONS_MAX: usize = 16;

/// Bytes of a producer's entries that are sent and not acknowledged.
pub const PULSAR_WINDOW_BYTES_MAX: usize = 32 << 20;

/// Bytes to send that are gathered before the socket is given them, where nothing is waited for.
pub const PULSAR_OUTBOX_BYTES: usize = 64 << 10;

/// Milliseconds after which a producer that cannot connect gives up.
pub const PULSAR_PRODUCER_LOST_MS_MAX: u64 = 120_000;

/// Milliseconds for which a paced generator gathers messages before it ships what is there.
pub const GENERATED_SHIP_MS: u64 = 100;

/// Milliseconds that a paced generator sleeps at least.
pub const GENERATED_TICK_MS: u64 = 5;

/// Bytes that a process holds of what brokers have sent unless `--memory` says otherwise.
pub const PULSAR_MEMORY_DEFAULT: usize = 256 << 20;

/// Milliseconds between two lines of the log about a partition.
pub const TOPIC_REPORT_MS: u64 = 10_000;

/// Milliseconds for which a few entries wait for more before the slot is woken for them: it steps its whole graph each time.
pub const PULSAR_LINGER_MS: u64 = 5;

/// Entries, and bytes of them, for which the slot is woken at once.
pub const PULSAR_WORTH_WAKING: (usize, usize) = (128, 64 << 10);

/// The least that `--memory` may be: a broker sends up to 5 MB at once, which take more when they are opened.
pub const PULSAR_MEMORY_MIN: usize = 16 << 20;

/// Threads that share the connections of a process.
pub const PULSAR_THREADS: usize = 2;

/// Milliseconds that a request to Pulsar's administration may take: making many partitions takes a while.
pub const PULSAR_ADMIN_MS: u64 = 30_000;

const _: () = assert!(PULSAR_CREDENTIALS_MS < 5_000, "a PING must be answered within 5 s");
const _: () = assert!(PULSAR_INBOX_KEPT_BYTES >= 2 * PULSAR_INBOX_BYTES, "a usual buffer is kept");

// Pulsar: reading.

/// Ledgers whose last entries are remembered, so that an entry before another ledger's first can be acknowledged.
pub const LEDGER_ENDS_KEPT: usize = 64;

/// Entries that a broker reads at once, whatever the permits (`dispatcherMaxReadBatchSize`).
pub const PULSAR_DISPATCH_ENTRIES: i64 = 100;

/// Permits that are out at most: enough for a second of small messages on a slow network.
pub const PULSAR_PERMITS_MAX: i64 = 20_000;

/// Bytes that one partition may have on the way, and again as many that came and wait.
pub const PULSAR_ON_THE_WAY_BYTES_MAX: usize = 8 << 20;

/// Opened entries that are handed over ahead of the slot where they are small, and up to how many bytes they are.
pub const PULSAR_SMALL_ENTRIES_MAX: usize = 256;

/// See [`PULSAR_SMALL_ENTRIES_MAX`].
pub const PULSAR_SMALL_BYTES_MAX: usize = 256 << 10;

/// Bytes of the room of read entries that a slot keeps for its next ones.
pub const PULSAR_SPARE_BYTES_MAX: usize = 4 << 20;

/// Read entries, and bytes of their room, that go back at a time.
pub const PULSAR_SPARE_AT_ONCE: (usize, usize) = (32, 64 << 10);

/// Bytes that a partition reserves beyond what it needs while it looks at what has come, so that it reserves seldom.
pub const PULSAR_CUSHION_BYTES: usize = 64 << 10;

/// Milliseconds between two tries to connect: the first, and the longest.
pub const PULSAR_AGAIN_MS: (u64, u64) = (100, 10_000);

/// Milliseconds for which a failure that lasts (no permission, no topic) may go on in mid-run before the run ends.
pub const PULSAR_LASTING_MS: u64 = 60_000;

/// Milliseconds for which the source is looked up at the start before the run ends.
pub const PULSAR_OPEN_MS: u64 = 120_000;

/// Milliseconds without a message after which the broker is asked for its last one: at first, and at most.
pub const PULSAR_QUIET_MS: (u64, u64) = (200, 5_000);

/// Milliseconds without a message although the broker has some and may send them: then the connection is begun again; and the most
/// that they grow to while that does not help.
pub const PULSAR_STALLED_MS: (u64, u64) = (15_000, 60_000);

/// Milliseconds between two looks for what the budget or a schema was waited for, if its word was missed.
pub const PULSAR_LOOK_MS: u64 = 50;

/// Milliseconds between two acknowledgements: a broker stores the cursor once a second.
pub const PULSAR_ACKNOWLEDGE_MS: u64 = 1_000;

/// Milliseconds until a broker has closed a consumer whose cursor was moved.
pub const PULSAR_SEEK_MS: u64 = 5_000;

/// Times that an entry's checksum may be wrong at one position.
pub const PULSAR_CHECKSUMS_MAX: u32 = 3;

/// Milliseconds for which a broker must say that it does not have a schema version before its events are rejects: one that has just taken
/// the topic over may not know yet.
pub const PULSAR_SCHEMA_ABSENT_MS: u64 = 60_000;

/// Versions of a schema in one topic.
pub const PULSAR_SCHEMA_VERSIONS_MAX: usize = 1_000;

const _: () = assert!(PULSAR_ACKNOWLEDGE_MS >= 1_000, "what is acknowledged more often is not stored");

// Ledger.

/// Things that do not add up which a check names; beyond them it counts.
pub const LEDGER_FINDINGS_MAX: usize = 100;

/// Bytes of one line of rows, rejects or ledger in a sink's folder.
pub const SINK_LINE_BYTES_MAX: u64 = 16 << 20;
