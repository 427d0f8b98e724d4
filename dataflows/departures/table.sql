-- the rows: one per source and minute
CREATE TABLE IF NOT EXISTS `departures`
(
    `window_start`    DateTime('UTC'),
    `carrier`         String,
    `count`           UInt64,
    `dep_delay_count` UInt64,
    `dep_delay_sum`   Nullable(Float64),
    `dep_delay_min`   Nullable(Float64),
    `dep_delay_max`   Nullable(Float64),
    `arr_delay_count` UInt64,
    `arr_delay_sum`   Nullable(Float64),
    `arr_delay_min`   Nullable(Float64),
    `arr_delay_max`   Nullable(Float64),
    `air_time_count`  UInt64,
    `air_time_sum`    Nullable(Int64),
    `air_time_min`    Nullable(Int64),
    `air_time_max`    Nullable(Int64),
    `distance_count`  UInt64,
    `distance_sum`    Nullable(Int64),
    `distance_min`    Nullable(Int64),
    `distance_max`    Nullable(Int64),
    `_commit`         UInt64,
    `_lane`           UInt32,
    `_block`          UInt64,
    `_revision`       UInt64
)
ENGINE = ReplacingMergeTree(_revision)
PARTITION BY toDate(window_start)
ORDER BY (`carrier`, `window_start`)
SETTINGS non_replicated_deduplication_window = 10000;

-- events kept aside, by partition, position of the entry, and index in it
CREATE TABLE IF NOT EXISTS `departures_rejects`
(
    `partition`  LowCardinality(String),
    `position`   Tuple(UInt64, UInt64),
    `index`      UInt32,
    `reason`     LowCardinality(String),
    `detail`     String,
    `payload`    String,
    `written_at` DateTime('UTC') DEFAULT now(),
    `_commit`    UInt64,
    `_block`     UInt64,
    `_revision`  UInt64
)
ENGINE = ReplacingMergeTree(_revision)
ORDER BY (`partition`, `position`, `index`)
SETTINGS non_replicated_deduplication_window = 10000;

-- what became of the events of each partition between two commits; positions are empty before the first entry
CREATE TABLE IF NOT EXISTS `departures_ledger`
(
    `partition`      LowCardinality(String),
    `position_from`  Array(UInt64),
    `position_to`    Array(UInt64),
    `read`           UInt64,
    `folded`         UInt64,
    `malformed`      UInt64,
    `late`           UInt64,
    `too_far_ahead`  UInt64,
    `nulls`          UInt64,
    `non_finite`     UInt64,
    `idle_decisions` UInt64,
    `gaps`           UInt64,
    `written_at`     DateTime('UTC') DEFAULT now(),
    `_commit`        UInt64,
    `_block`         UInt64,
    `_revision`      UInt64
)
ENGINE = ReplacingMergeTree(_revision)
ORDER BY (`_commit`, `partition`)
SETTINGS non_replicated_deduplication_window = 10000;

-- what the rows of each minute and lane come to
CREATE TABLE IF NOT EXISTS `departures_ledger_minutes`
(
    `window_start` DateTime('UTC'),
    `events`       UInt64,
    `rows`         UInt64,
    `counted`      UInt64,
    `hash`         UInt64,
    `_commit`      UInt64,
    `_lane`        UInt32,
    `_block`       UInt64,
    `_revision`    UInt64
)
ENGINE = ReplacingMergeTree(_revision)
PARTITION BY toDate(window_start)
ORDER BY (`window_start`, `_lane`)
SETTINGS non_replicated_deduplication_window = 10000;

-- runs that were made ready to write here; went_back: one that began before rows that were there, and removed them
CREATE TABLE IF NOT EXISTS `departures_runs`
(
    `pipeline`   String,
    `life`       String,
    `attempt`    UInt64,
    `owner`      String,
    `went_back`  Bool,
    `shard`      UInt64,
    `shards`     UInt64,
    `written_at` DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(attempt)
ORDER BY (`pipeline`, `life`, `attempt`)
SETTINGS non_replicated_deduplication_window = 10000;

-- the rows as readers want them: the newest revision of each; a day that is merged into one part costs nothing more
CREATE VIEW IF NOT EXISTS `departures_newest` AS
SELECT
    `window_start`,
    `carrier`,
    `count`,
    `dep_delay_count`,
    `dep_delay_sum`,
    `dep_delay_min`,
    `dep_delay_max`,
    `arr_delay_count`,
    `arr_delay_sum`,
    `arr_delay_min`,
    `arr_delay_max`,
    `air_time_count`,
    `air_time_sum`,
    `air_time_min`,
    `air_time_max`,
    `distance_count`,
    `distance_sum`,
    `distance_min`,
    `distance_max`
FROM `departures` FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
