//! How long tables keep their lines (`TTL`): what is older may be gone at any merge, of one table earlier than of another.

use std::sync::Arc;

use super::server::{Server, number, text};
use super::tables::{Table, Tables};
use crate::error::Result;
use crate::ledger::Horizon;
use crate::limits::CLICKHOUSE_KEPT_MARGIN_S;

/// Seconds of the intervals as a server writes them; of those that are not always as long, the fewest.
const INTERVALS: [(&str, u64); 8] = [
    ("toIntervalSecond(", 1),
    ("toIntervalMinute(", 60),
    ("toIntervalHour(", 3_600),
    ("toIntervalDay(", 86_400),
    ("toIntervalWeek(", 7 * 86_400),
    ("toIntervalMonth(", 28 * 86_400),
    ("toIntervalQuarter(", 90 * 86_400),
    ("toIntervalYear(", 365 * 86_400),
];

/// Seconds after the time in `column` for which the description of an engine says that lines are kept; none where it says for ever,
/// or something that minuet does not write.
pub(super) fn seconds(engine: &str, column: &str) -> Option<u64> {
    let rules = engine.split_once(" TTL ")?.1;
    let rules = rules.split_once(" SETTINGS ").map_or(rules, |(rules, _)| rules);
    rules.split(", ").filter_map(|rule| seconds_of(rule, column)).min()
}

/// One rule; those that only move lines elsewhere end otherwise.
fn seconds_of(rule: &str, column: &str) -> Option<u64> {
    let rule = rule.strip_suffix(" DELETE").unwrap_or(rule);
    let interval = rule.strip_prefix(column).or_else(|| rule.strip_prefix(&format!("`{column}`")))?;
    let interval = interval.strip_prefix(" + ")?.strip_suffix(')')?;
    let (unit, many) = INTERVALS.iter().find_map(|(name, unit)| Some((unit, interval.strip_prefix(name)?)))?;
    unit.checked_mul(many.parse().ok()?)
}

/// Where what is surely there begins, in all of these servers.
pub(super) async fn horizon(servers: &[Arc<Server>], tables: &Tables) -> Result<Horizon> {
    let mut horizon = Horizon::default();
    for server in servers {
        let since = oldest(server, tables, &[&tables.rows, &tables.minutes]).await?;
        horizon.minutes = horizon.minutes.max(since.map(|since| since.div_ceil(60)));
    }
    let first = &servers[0];
    if let Some(since) = oldest(first, tables, &[&tables.ledger, &tables.rejects]).await? {
        // All lines of a commit are written at one time, and those that are there and not too old are all of theirs.
        let (runs, ledger) = (tables.full(&tables.runs.name), tables.full(&tables.ledger.name));
        let since = format!("toDateTime({since}, 'UTC')");
        let sql = format!(
            "SELECT (SELECT min(written_at) FROM {runs}) >= {since}, (SELECT max(_commit) FROM {ledger} WHERE written_at < {since})"
        );
        let lines = first.ask("looking for the oldest commit that is whole", &sql).await?;
        let line = lines.first().map_or(&[][..], Vec::as_slice);
        let younger = number(line, 0)? == 1;
        horizon.commits = (!younger).then(|| number(line, 1)).transpose()?.map(|old| old + 1);
    }
    Ok(horizon)
}

/// Seconds since 1970 from which on lines of these tables are surely there; none where all are.
pub(super) async fn oldest(server: &Server, tables: &Tables, of: &[&Table]) -> Result<Option<u64>> {
    let named: Vec<String> = of.iter().map(|table| format!("'{}'", table.name)).collect();
    let sql = format!(
        "SELECT name, engine_full, toUnixTimestamp(now()) FROM system.tables WHERE database = '{}' AND name IN ({})",
        tables.database.as_deref().unwrap_or_default(),
        named.join(", ")
    );
    let mut since = None;
    for line in server.ask("looking how long lines are kept", &sql).await? {
        let (name, engine, now) = (text(&line, 0)?, text(&line, 1)?, number(&line, 2)?);
        let column = of.iter().find(|table| table.name == name).and_then(|table| table.kept_by());
        let seconds = column.and_then(|column| seconds(engine, column));
        // They may go while they are being read.
        since = since.max(seconds.map(|seconds| (now + CLICKHOUSE_KEPT_MARGIN_S).saturating_sub(seconds)));
    }
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_minuet_writes_is_understood_and_what_deletes_nothing_is_left_alone() {
        let engine = |ttl: &str| {
            format!(
                "ReplacingMergeTree(_revision) PARTITION BY toDate(window_start) ORDER BY (a, b){ttl} SETTINGS index_granularity = 8192"
            )
        };
        for (ttl, expected) in [
            ("", None),
            (" TTL window_start + toIntervalDay(30)", Some(2_592_000)),
            (" TTL `window_start` + toIntervalMonth(1) DELETE", Some(28 * 86_400)),
            (" TTL window_start + toIntervalDay(9), window_start + toIntervalHour(5)", Some(18_000)),
            (" TTL window_start + toIntervalDay(3) TO VOLUME 'cold', window_start + toIntervalDay(9)", Some(777_600)),
            (" TTL written_at + toIntervalDay(3)", None),
            (" TTL window_start + toIntervalDay(3) WHERE a = 1", None),
            (" TTL window_start + toIntervalYear(18446744073709551615)", None),
        ] {
            assert_eq!(seconds(&engine(ttl), "window_start"), expected, "{ttl}");
        }
        assert_eq!(seconds("ReplacingMergeTree ORDER BY a TTL a + toIntervalWeek(1)", "a"), Some(604_800));
    }
}
