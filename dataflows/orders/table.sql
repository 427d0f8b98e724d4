-- The rows of dataflows/orders: one per merchant and minute. A file of rows goes in with INSERT INTO orders FORMAT JSONEachRow.
-- A column is null where its minute had no value for it, or a sum that does not fit.
CREATE TABLE IF NOT EXISTS orders
(
    window_start   DateTime('UTC'),
    merchant_id    String,
    count          UInt64,
    revenue_sum    Nullable(Decimal(38, 2)),
    revenue_min    Nullable(Decimal(38, 2)),
    revenue_max    Nullable(Decimal(38, 2)),
    revenue_avg    Nullable(Float64),
    discount_count UInt64,
    discount_avg   Nullable(Float64),
    quantity_sum   Nullable(Int64),
    points_sum     Nullable(Int64),
    gift_share     Nullable(Float64),
    gift_last      Nullable(Bool),
    status         LowCardinality(Nullable(String))
)
ENGINE = MergeTree
ORDER BY (merchant_id, window_start);
