//! Whether a server keeps the one promise that everything rests on: a put under a condition stores nothing where the name is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::S3Store;
use crate::connect::{GivenUp, Patient, random_number};
use crate::error::{Error, Result};
use crate::limits::S3_OPEN_MS;
use crate::snapshot::Store;

impl S3Store {
    /// Puts an object twice under the condition that its name is free, and removes it. A server that takes both is refused. One that
    /// is away may be so for [`S3_OPEN_MS`].
    pub fn probe(&self, given_up: &GivenUp) -> Result<()> {
        let (end, given_up) = (Instant::now() + Duration::from_millis(S3_OPEN_MS), Arc::clone(given_up));
        Patient::new(self.clone(), Arc::new(move || given_up() || Instant::now() >= end)).keeps_conditions()
    }
}

impl Patient<S3Store> {
    fn keeps_conditions(&self) -> Result<()> {
        let name = format!("probe-{:016x}{:016x}", random_number(), random_number());
        // The first may find its own bytes there, when its answer was lost and it was tried again.
        self.put_if_absent(&name, b"first")?;
        let second = self.put_if_absent(&name, b"second")?;
        let left = self.get(&name)?;
        self.delete(&name)?;
        if second || left.as_deref() != Some(b"first") {
            return Err(Error::configuration(format!(
                "trying {}: the server stored an object under a name that was taken, although it was told not to (If-None-Match: *): \
                 two runs could both believe that they own the pipeline, so it cannot hold a state; use a server that keeps \
                 conditional writes, as Amazon S3 does",
                self.place()
            )));
        }
        Ok(())
    }
}
