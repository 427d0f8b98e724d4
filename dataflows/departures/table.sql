-- The rows of dataflows/departures: one per carrier and minute. A file of rows goes in with INSERT INTO departures FORMAT JSONEachRow.
-- A column is null where its minute had no value for it, or a sum that does not fit.
CREATE TABLE IF NOT EXISTS departures
(
    window_start    DateTime('UTC'),
    carrier         String,
    count           UInt64,
    dep_delay_count UInt64,
    dep_delay_sum   Nullable(Float64),
    dep_delay_min   Nullable(Float64),
    dep_delay_max   Nullable(Float64),
    arr_delay_count UInt64,
    arr_delay_sum   Nullable(Float64),
    arr_delay_min   Nullable(Float64),
    arr_delay_max   Nullable(Float64),
    air_time_count  UInt64,
    air_time_sum    Nullable(Int64),
    air_time_min    Nullable(Int64),
    air_time_max    Nullable(Int64),
    distance_count  UInt64,
    distance_sum    Nullable(Int64),
    distance_min    Nullable(Int64),
    distance_max    Nullable(Int64)
)
ENGINE = MergeTree
ORDER BY (carrier, window_start);
