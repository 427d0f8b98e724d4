//! What the ledger's tables say of the rows: asked in SQL, so that nothing of the program takes part. An older run that lives on may
//! leave lines of a lower revision, so all is asked with `FINAL`; that there are none is another question.

use super::stage::Stage;

/// Lines of the ledger that do not add up.
const UNEVEN: &str = "SELECT count() FROM {}.rows_ledger FINAL WHERE read != folded + malformed + late + too_far_ahead";

/// Lines that do not begin where the one before them of their partition ended.
const BROKEN: &str = "SELECT count() FROM (SELECT position_from, row_number() OVER lines AS number, \
    lagInFrame(position_to) OVER lines AS before FROM {}.rows_ledger FINAL WINDOW lines AS (PARTITION BY partition ORDER BY _commit \
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) \
    WHERE position_from != if(number = 1, [], before)";

/// Minutes and lanes whose rows are not what the ledger says of them.
const WRONG_MINUTES: &str = "SELECT count() FROM (SELECT window_start, _lane, sum(count) AS counted, count() AS rows \
    FROM {}.rows FINAL GROUP BY window_start, _lane) AS r FULL OUTER JOIN (SELECT * FROM {}.rows_ledger_minutes FINAL) AS l \
    ON r.window_start = l.window_start AND r._lane = l._lane \
    WHERE r.counted != l.counted OR r.rows != l.rows OR l.events != l.counted";

/// The columns of the rows table that are the plan's.
const COLUMNS: &str = "* EXCEPT (_commit, _lane, _block, _revision)";

/// The tables that have a line of everything once.
pub(super) const TABLES: [&str; 4] = ["rows", "rows_ledger", "rows_ledger_minutes", "rows_rejects"];

impl Stage<'_> {
    /// Demands that each line adds up, that the positions of each partition are a chain, and that each minute has the rows and the
    /// events that its lines say.
    pub(super) fn demand_balance(&self, how: &str) {
        assert!(self.base.number("SELECT count() FROM {}.rows_ledger") > 0, "{how}: there is no ledger");
        let chained = self.base.number("SELECT count() FROM {}.rows_ledger WHERE notEmpty(position_from)");
        assert!(chained > 0, "{how}: a ledger of one commit shows no chain");
        for (name, sql) in [("uneven lines", UNEVEN), ("breaks in the chain", BROKEN), ("wrong minutes", WRONG_MINUTES)]
        {
            assert_eq!(self.base.number(sql), 0, "{how}: {name}");
        }
    }

    /// Demands that nothing is there twice, which those who ask with `FINAL` would not see.
    pub(super) fn demand_once(&self, tables: &[&str], how: &str) {
        for table in tables {
            let [all, newest] =
                ["", " FINAL"].map(|how| self.base.number(&format!("SELECT count() FROM {{}}.{table}{how}")));
            assert_eq!(all, newest, "{how}: lines of {table} are there twice");
        }
    }

    /// The rows as `SELECT ... FINAL` gives them.
    pub(super) fn rows_final(&self) -> Vec<String> {
        self.base.rows_of(&format!("SELECT {COLUMNS} FROM {{}}.rows FINAL"))
    }
}
