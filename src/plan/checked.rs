//! From what was written to what can run.

use std::path::Path;

use super::{Plan, Problem};

/// Reads and checks a dataflow's folder; the problems are all there are, in the order of the file.
pub fn load(_dir: &Path) -> Result<Plan, Vec<Problem>> {
    todo!()
}
