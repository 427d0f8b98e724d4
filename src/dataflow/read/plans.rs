//! Read plans of the writers' schemas that a slot has met.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::ReadPlan;
use crate::plan::Plan;

/// The plans, few and looked up once per entry.
pub(super) struct Plans {
    plan: Arc<Plan>,
    compiled: Vec<(Option<Arc<str>>, ReadPlan)>,
}

impl Plans {
    pub fn new(plan: Arc<Plan>) -> Self {
        Plans { plan, compiled: Vec::new() }
    }

    /// The plan for a writer's schema; `None` is the dataflow's own.
    pub fn get(&mut self, schema: Option<&Arc<str>>, partition: &str) -> Result<&ReadPlan> {
        let same = |known: &Option<Arc<str>>| match (known, schema) {
            (Some(known), Some(schema)) => Arc::ptr_eq(known, schema) || known == schema,
            (None, None) => true,
            _ => false,
        };
        let at = match self.compiled.iter().position(|(known, _)| same(known)) {
            Some(at) => at,
            None => {
                let json = schema.map_or(self.plan.schema.json(), |schema| schema);
                let compiled = ReadPlan::compile(json, &self.plan.schema, &self.plan.selection).map_err(|error| {
                    Error::configuration(format!("the schema that {partition} was written with: {}", error.0))
                })?;
                self.compiled.push((schema.cloned(), compiled));
                self.compiled.len() - 1
            }
        };
        Ok(&self.compiled[at].1)
    }
}
