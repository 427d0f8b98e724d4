//! Every path that a document names is there.

use std::fs;

use super::demand_none;
use crate::harness::project;

const DOCUMENTS: [&str; 3] = ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"];

/// What stands at the top of the project and may be named with something below it.
const TOPS: [&str; 7] = ["src", "tests", "dataflows", "scripts", "benches", "deploy", ".ci"];

/// The paths a document names: words that begin with a folder of the project. What has a place-holder in it is a pattern, not a path.
fn named(text: &str) -> Vec<&str> {
    let breaks = |c: char| c.is_whitespace() || "`()[]\",;'|│├└─".contains(c);
    let mut found = Vec::new();
    for word in text.split(breaks) {
        let word = word.trim_start_matches("./").trim_end_matches(['.', ':', '/']);
        let top = word.split('/').next().unwrap_or_default();
        let pattern = word.contains(['<', '>', '*', '{', '$', '…', '=']) || word.contains("...");
        if word.contains('/') && TOPS.contains(&top) && !pattern {
            found.push(word);
        }
    }
    found
}

#[test]
fn paths_in_documents_exist() {
    let mut problems = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(project().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        for path in named(&text) {
            let path = path.split('#').next().unwrap_or(path);
            if !project().join(path).exists() {
                problems.push(format!("{document}: {path}"));
            }
        }
    }
    demand_none(&problems, "paths that documents name and that are not there");
}

#[test]
fn the_code_map_names_every_module() {
    let text = fs::read_to_string(project().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let mut problems = Vec::new();
    for entry in fs::read_dir(project().join("src")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !text.contains(&format!("src/{name}")) && !text.contains(&name) {
            problems.push(format!("src/{name}"));
        }
    }
    demand_none(&problems, "modules that ARCHITECTURE.md does not name");
}

#[test]
fn paths_are_found_in_prose_and_maps() {
    let text = "See `src/time/mod.rs`, (dataflows/orders) and src/dataflow/.\n├── tests/it\n  dataflows/<name>/x, https://a.b/src/c";
    assert_eq!(named(text), ["src/time/mod.rs", "dataflows/orders", "src/dataflow", "tests/it"]);
}
