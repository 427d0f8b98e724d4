-- The rows of dataflows/sensors-compact: one per sensor and minute. A file of rows goes in with INSERT INTO sensors_compact FORMAT JSONEachRow.
-- A column is null where its minute had no value for it, or a sum that does not fit.
CREATE TABLE IF NOT EXISTS sensors_compact
(
    window_start       DateTime('UTC'),
    sensor_id          String,
    count              UInt64,
    temperature_avg    Nullable(Float64),
    temperature_min    Nullable(Float64),
    temperature_max    Nullable(Float64),
    humidity_avg       Nullable(Float64),
    humidity_min       Nullable(Float64),
    humidity_max       Nullable(Float64),
    pressure_avg       Nullable(Float64),
    pressure_min       Nullable(Float64),
    pressure_max       Nullable(Float64),
    battery_level_min  Nullable(Float64),
    battery_level_last Nullable(Float64),
    online_share       Nullable(Float64),
    status_last        Nullable(Int64),
    sensor_type        LowCardinality(Nullable(String))
)
ENGINE = MergeTree
ORDER BY (sensor_id, window_start);
