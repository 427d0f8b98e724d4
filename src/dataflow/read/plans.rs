//! Read plans of the writers' schemas that a slot has met.

use std::sync::Arc;

use super::super::edges::Writer;
use crate::error::{Error, Result};
use crate::event::ReadPlan;
use crate::plan::Plan;

/// The plans, few and looked up once per entry.
pub(super) struct Plans {
    plan: Arc<Plan>,
    compiled: Vec<(Writer, ReadPlan)>,
}

impl Plans {
    pub fn new(plan: Arc<Plan>) -> Self {
        Plans { plan, compiled: Vec::new() }
    }

    /// The plan for what a writer wrote; `None` where its events cannot be read.
    pub fn get(&mut self, writer: &Writer, partition: &str) -> Result<Option<&ReadPlan>> {
        let json = match writer {
            Writer::Own => self.plan.schema.json(),
            Writer::Schema(json) => json,
            Writer::Unreadable(_) => return Ok(None),
        };
        let same = |known: &Writer| match (known, writer) {
            (Writer::Schema(known), Writer::Schema(json)) => Arc::ptr_eq(known, json) || known == json,
            (known, writer) => known == writer,
        };
        let at = match self.compiled.iter().position(|(known, _)| same(known)) {
            Some(at) => at,
            None => {
                let compiled = ReadPlan::compile(json, &self.plan.schema, &self.plan.selection).map_err(|error| {
                    Error::configuration(format!("the schema that {partition} was written with: {}", error.0))
                })?;
                self.compiled.push((writer.clone(), compiled));
                self.compiled.len() - 1
            }
        };
        Ok(Some(&self.compiled[at].1))
    }
}
