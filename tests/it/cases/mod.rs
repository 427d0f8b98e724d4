//! cases
use super::harness::project;
use std::path::PathBuf;
pub(crate) fn dataflows() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(project().join("dataflows"))
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("dataflow.toml").is_file())
        .collect();
    found.sort();
    found
}
