//! What is wrong with a dataflow, for a person to mend.

use std::fmt;

/// One problem of a dataflow's folder.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The key in it, dotted, with array indexes (`measures[2].as`); empty where the file as a whole is meant.
    pub key: String,
    /// What was found.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
    /// The nearest thing that is allowed.
    pub did_you_mean: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}; allowed: {}", self.found, self.allowed)?;
        match &self.did_you_mean {
            Some(near) => write!(f, "; did you mean {near:?}?"),
            None => Ok(()),
        }
    }
}

/// The problems of one file, as they are found.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    found: Vec<Problem>,
}

impl Problems {
    /// None yet, in this file.
    pub(super) fn of(file: impl Into<String>) -> Self {
        Problems { file: file.into(), found: Vec::new() }
    }

    /// Adds a problem with nothing near it.
    pub(super) fn add(&mut self, key: impl Into<String>, found: impl Into<String>, allowed: impl Into<String>) {
        self.add_near(key, found, allowed, None);
    }

    /// Adds a problem with what was probably meant.
    pub(super) fn add_near(
        &mut self,
        key: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
        did_you_mean: Option<String>,
    ) {
        let (key, found, allowed) = (key.into(), found.into(), allowed.into());
        self.found.push(Problem { file: self.file.clone(), key, found, allowed, did_you_mean });
    }

    /// All of them, in the order they were found.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.found
    }
}

/// The nearest of `known` to `word`, where one is near enough to have been meant: a third of its letters may differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let near = |known: &'a str| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known);
    let (distance, known) = known.into_iter().map(near).min_by_key(|(distance, _)| *distance)?;
    (distance <= known.chars().count().div_ceil(3)).then(|| known.to_owned())
}
