//! The documents say what is so.

use std::fs;

use super::harness::project;

fn read(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|e| panic!("cannot read {name}: {e}"))
}

#[test]
fn the_checks_of_the_readme_are_those_of_ci() {
    let command = "scripts/test.sh";
    assert!(read("README.md").contains(command), "README.md does not say {command}");
    let run = read(".ci/run");
    let acts: Vec<&str> = run.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(acts.last(), Some(&"exec scripts/test.sh"));
    assert!(acts[..acts.len() - 1].iter().all(|line| line.starts_with("set ") || line.starts_with("cd ")), "{acts:?}");
}

#[test]
fn the_readme_shows_the_demo_and_the_exit_codes() {
    let text = read("README.md");
    assert!(text.contains("cargo run --release -- demo"));
    for code in ["65", "69", "70", "75", "76", "78", "143", "130"] {
        assert!(text.contains(code), "exit code {code} is not in README.md");
    }
}
