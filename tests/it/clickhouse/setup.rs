//! A database of a server for one test, and what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ended, Pipeline, Undisturbed, demand_rows, run, scratch};
use crate::servers::ClickHouse;

/// The tables of one test.
pub(crate) struct Base<'a> {
    server: &'a ClickHouse,
    /// The database.
    pub(crate) name: String,
    place: TempDir,
}

impl<'a> Base<'a> {
    /// A database that is not there yet.
    pub(crate) fn new(server: &'a ClickHouse, name: &str) -> Self {
        let place = scratch();
        fs::write(place.path().join("password"), format!("{}\n", server.password())).unwrap();
        Base { server, name: name.to_owned(), place }
    }

    /// A folder for the state, and whatever else.
    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    /// The sink, seen at an address: the server's or a proxy's.
    pub(crate) fn sink(&self, at: SocketAddr) -> String {
        format!("clickhouse://{at}/{}.rows", self.name)
    }

    /// The pipeline with its rows in here.
    pub(crate) fn pipeline(&self, calm: &Undisturbed, at: SocketAddr) -> Pipeline {
        self.pipeline_of(&calm.dataflow, &calm.source, at)
    }

    /// The pipeline of a dataflow's folder over a source, with its rows in here.
    pub(crate) fn pipeline_of(&self, dataflow: &Path, source: &str, at: SocketAddr) -> Pipeline {
        let mut pipeline = Pipeline::new(dataflow, source, self.place());
        pipeline.sink = Some(self.sink(at));
        pipeline.flags = ["--create-tables".to_owned()].into_iter().chain(self.who()).collect();
        pipeline
    }

    /// The flags that say who we are.
    pub(crate) fn who(&self) -> [String; 4] {
        let file = self.place().join("password").display().to_string();
        ["--clickhouse-user", self.server.user(), "--clickhouse-password-file", &file].map(str::to_owned)
    }

    /// `minuet ledger` on the tables.
    pub(crate) fn ledger(&self, more: &[&str]) -> Ended {
        self.ledger_of(&self.sink(self.server.address()), more)
    }

    /// The same on any sink of the same user.
    pub(crate) fn ledger_of(&self, sink: &str, more: &[&str]) -> Ended {
        run(["ledger", "--sink", sink]
            .into_iter()
            .map(str::to_owned)
            .chain(self.who())
            .chain(more.iter().map(|one| (*one).to_owned())))
    }

    /// What a statement answers; `{}` in it is the database.
    pub(crate) fn query(&self, sql: &str) -> String {
        self.server.query(&sql.replace("{}", &self.name))
    }

    /// A number that a statement answers.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let text = self.query(sql);
        text.parse().unwrap_or_else(|e| panic!("{sql}: {text:?} is no number: {e}"))
    }

    /// The rows as readers see them, each as a line of JSON.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.rows_of("SELECT * FROM {}.rows_newest")
    }

    /// The rows of a selection, each as a line of JSON, sorted.
    pub(crate) fn rows_of(&self, selection: &str) -> Vec<String> {
        let text =
            self.query(&format!("{selection} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"));
        let mut rows: Vec<String> = text.lines().map(plain).collect();
        rows.sort();
        rows
    }

    /// Demands these rows, each there once, whether one asks for the newest or for all; and ledger lines that add up to them.
    pub(crate) fn demand(&self, calm: &Undisturbed, how: &str) {
        self.demand_of(&calm.rows, &calm.summary, how);
    }

    /// The same of these rows and this summary.
    pub(crate) fn demand_of(&self, rows: &[String], summary: &BTreeMap<String, u64>, how: &str) {
        let expected = plain_rows(rows);
        demand_rows(&self.rows(), &expected, how);
        let (all, newest) = (self.number("SELECT count() FROM {}.rows"), expected.len() as u64);
        assert_eq!(all, newest, "{how}: rows are there twice, which only readers of the newest do not see");
        for (name, column) in [("read", "read"), ("folded", "folded"), ("late", "late"), ("malformed", "malformed")] {
            let found = self.number(&format!("SELECT sum({column}) FROM {{}}.rows_ledger"));
            assert_eq!(found, summary[name], "{how}: {name} in the ledger");
        }
        let rejects = self.number("SELECT count() FROM {}.rows_rejects");
        let newest = self.number("SELECT count() FROM {}.rows_rejects FINAL");
        assert_eq!(rejects, newest, "{how}: rejects are there twice");
        self.ledger(&[]).demand(0);
        let minutes = self.query("SELECT sum(rows), sum(counted), sum(events) FROM {}.rows_ledger_minutes");
        let counted = summary["counted"];
        assert_eq!(minutes, format!("{}\t{counted}\t{}", expected.len(), summary["folded"]), "{how}: minutes");
    }
}

/// Rows of files as they are compared with those of tables.
pub(crate) fn plain_rows(rows: &[String]) -> Vec<String> {
    let mut same: Vec<String> = rows.iter().map(|line| plain(line)).collect();
    same.sort();
    same
}

/// A row whose whole numbers are written in one way: `5` and `5.0` are the same.
fn plain(line: &str) -> String {
    let row: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let same = row.into_iter().map(|(name, value)| match value.as_f64() {
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 9e15 => (name, Value::from(whole as i64)),
        _ => (name, value),
    });
    serde_json::to_string(&same.collect::<serde_json::Map<_, _>>()).unwrap()
}
