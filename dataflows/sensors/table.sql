-- the rows: one per source and minute
CREATE TABLE IF NOT EXISTS `sensors`
(
    `window_start`          DateTime('UTC'),
    `event_source_id`       String,
    `count`                 UInt64,
    `temperature_avg`       Nullable(Float64),
    `temperature_min`       Nullable(Float64),
    `temperature_max`       Nullable(Float64),
    `humidity_avg`          Nullable(Float64),
    `humidity_min`          Nullable(Float64),
    `humidity_max`          Nullable(Float64),
    `pressure_avg`          Nullable(Float64),
    `pressure_min`          Nullable(Float64),
    `pressure_max`          Nullable(Float64),
    `co2_level_avg`         Nullable(Float64),
    `co2_level_min`         Nullable(Float64),
    `co2_level_max`         Nullable(Float64),
    `noise_level_avg`       Nullable(Float64),
    `noise_level_min`       Nullable(Float64),
    `noise_level_max`       Nullable(Float64),
    `light_level_avg`       Nullable(Float64),
    `light_level_min`       Nullable(Float64),
    `light_level_max`       Nullable(Float64),
    `battery_level_avg`     Nullable(Float64),
    `battery_level_min`     Nullable(Float64),
    `battery_level_max`     Nullable(Float64),
    `signal_strength_avg`   Nullable(Float64),
    `signal_strength_min`   Nullable(Float64),
    `signal_strength_max`   Nullable(Float64),
    `memory_usage_avg`      Nullable(Float64),
    `memory_usage_min`      Nullable(Float64),
    `memory_usage_max`      Nullable(Float64),
    `cpu_usage_avg`         Nullable(Float64),
    `cpu_usage_min`         Nullable(Float64),
    `cpu_usage_max`         Nullable(Float64),
    `motion_detected_share` Nullable(Float64),
    `error_count_sum`       Nullable(Int64),
    `packets_sent_sum`      Nullable(Int64),
    `packets_received_sum`  Nullable(Int64),
    `bytes_sent_sum`        Nullable(Int64),
    `bytes_received_sum`    Nullable(Int64),
    `status`                LowCardinality(Nullable(String)),
    `event_type`            LowCardinality(Nullable(String)),
    `customer_id`           LowCardinality(Nullable(String)),
    `site_id`               LowCardinality(Nullable(String)),
    `_commit`               UInt64,
    `_lane`                 UInt32,
    `_block`                UInt64,
    `_revision`             UInt64
)
ENGINE = ReplacingMergeTree(_revision)
PARTITION BY toDate(window_start)
ORDER BY (`event_source_id`, `window_start`)
SETTINGS non_replicated_deduplication_window = 10000;

-- events kept aside, by partition, position of the entry, and index in it
CREATE TABLE IF NOT EXISTS `sensors_rejects`
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
CREATE TABLE IF NOT EXISTS `sensors_ledger`
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
CREATE TABLE IF NOT EXISTS `sensors_ledger_minutes`
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
CREATE TABLE IF NOT EXISTS `sensors_runs`
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
CREATE VIEW IF NOT EXISTS `sensors_newest` AS
SELECT
    `window_start`,
    `event_source_id`,
    `count`,
    `temperature_avg`,
    `temperature_min`,
    `temperature_max`,
    `humidity_avg`,
    `humidity_min`,
    `humidity_max`,
    `pressure_avg`,
    `pressure_min`,
    `pressure_max`,
    `co2_level_avg`,
    `co2_level_min`,
    `co2_level_max`,
    `noise_level_avg`,
    `noise_level_min`,
    `noise_level_max`,
    `light_level_avg`,
    `light_level_min`,
    `light_level_max`,
    `battery_level_avg`,
    `battery_level_min`,
    `battery_level_max`,
    `signal_strength_avg`,
    `signal_strength_min`,
    `signal_strength_max`,
    `memory_usage_avg`,
    `memory_usage_min`,
    `memory_usage_max`,
    `cpu_usage_avg`,
    `cpu_usage_min`,
    `cpu_usage_max`,
    `motion_detected_share`,
    `error_count_sum`,
    `packets_sent_sum`,
    `packets_received_sum`,
    `bytes_sent_sum`,
    `bytes_received_sum`,
    `status`,
    `event_type`,
    `customer_id`,
    `site_id`
FROM `sensors` FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
