//! What `minuet check --connect` finds, step by step, of whatever system.

use std::time::Instant;

use serde::Serialize;

/// What came of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it must be.
    Good,
    /// It works, and may not for long; or it could not be seen.
    Doubtful,
    /// A run would end here.
    Bad,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was tried.
    pub name: &'static str,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What came of it.
    pub standing: Standing,
    /// The same in words.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// The words of a step: what was found, and what to do about it.
pub(super) type Found = (Standing, String, Option<String>);

/// As it must be.
pub(super) fn good(found: impl Into<String>) -> Found {
    (Standing::Good, found.into(), None)
}

/// It works for now, or could not be seen.
pub(super) fn doubtful(found: impl Into<String>, advice: impl Into<String>) -> Found {
    (Standing::Doubtful, found.into(), Some(advice.into()))
}

/// A run would end here.
pub(super) fn bad(found: impl Into<String>, advice: impl Into<String>) -> Found {
    (Standing::Bad, found.into(), Some(advice.into()))
}

/// A step that has just come to this.
pub(super) fn step(name: &'static str, began: Instant, (standing, found, advice): Found) -> Step {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Step { name, millis, standing, found, advice }
}
