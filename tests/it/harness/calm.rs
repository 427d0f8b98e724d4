//! What a pipeline comes to when nothing disturbs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Pipeline, dataflow, demand_rows};

/// A pipeline's input and what it comes to when nothing disturbs it.
pub(crate) struct Undisturbed {
    pub(crate) dataflow: PathBuf,
    pub(crate) source: String,
    pub(crate) rows: Vec<String>,
    pub(crate) summary: BTreeMap<String, u64>,
    pub(crate) took: Duration,
}

impl Undisturbed {
    /// Generates an input below `place` and runs it in one process.
    pub(crate) fn generate(name: &str, place: &Path, settings: &[(&str, &str)]) -> Self {
        let input = place.join(format!("{name}-in"));
        super::generate(&dataflow(name), &input, settings);
        let source = input.join("*").display().to_string();
        let pipeline = Pipeline::new(&dataflow(name), source.clone(), &place.join(format!("{name}-calm")));
        let ended = pipeline.run(1).demand(0);
        let (summary, took) = (ended.summary(), ended.took);
        let rows = pipeline.rows();
        assert!(rows.len() > 1_000, "an input of {} rows shows little", rows.len());
        Undisturbed { dataflow: dataflow(name), source, rows, summary, took }
    }

    /// Demands of an ended pipeline that it has come to the same.
    pub(crate) fn demand(&self, pipeline: &Pipeline, summary: &BTreeMap<String, u64>, how: &str) {
        demand_rows(&pipeline.rows(), &self.rows, how);
        assert_eq!(*summary, self.summary, "{how}");
        pipeline.demand_ledger(how);
    }

    /// The same pipeline in a place of its own.
    pub(crate) fn at(&self, place: &Path) -> Pipeline {
        Pipeline::new(&self.dataflow, self.source.clone(), place)
    }
}
