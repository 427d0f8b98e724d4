//! The rules of the house, checked: who may know whom, how large things may get, how they speak.

mod lexer;
mod paths;
mod sizes;
mod walls;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::project;
use lexer::{Token, tokens, without_tests};

/// A Rust file of the project.
pub(super) struct SourceFile {
    /// Its path from the project's root.
    pub(super) path: String,
    pub(super) text: String,
    /// All its tokens.
    pub(super) tokens: Vec<Token>,
    /// Those outside of tests; none where the whole file is tests.
    pub(super) shipped: Vec<Token>,
}

impl SourceFile {
    /// The module directly below src/ that it belongs to (`aggregate`, `cli`).
    pub(super) fn layer(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    fn is_tests(path: &str) -> bool {
        path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
    }
}

/// All Rust files below a folder of the project, in order.
pub(super) fn rust_files(folder: &str) -> Vec<SourceFile> {
    let mut found = Vec::new();
    walk(&project().join(folder), &mut |path| {
        if path.extension().is_none_or(|end| end != "rs") {
            return;
        }
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        let path = path.strip_prefix(project()).unwrap().to_string_lossy().into_owned();
        let tokens = tokens(&text);
        let shipped = if SourceFile::is_tests(&path) { Vec::new() } else { without_tests(&tokens) };
        found.push(SourceFile { path, text, tokens, shipped });
    });
    found
}

/// Calls `seen` with every file below a folder, in order of name.
pub(super) fn walk(folder: &Path, seen: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, seen) } else { seen(&path) }
    }
}

/// Fails with all problems at once.
pub(super) fn demand_none(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}
