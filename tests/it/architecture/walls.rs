//! Who may know whom: the directions of DESIGN's layers, and what the pure layers must not touch.

use super::lexer::{Kind, Token};
use super::{SourceFile, demand_none, rust_files};

/// Each layer and the modules of this crate that it may name, itself aside. Lowest first.
const LAYERS: [(&str, &[&str]); 15] = [
    ("limits", &[]),
    ("error", &[]),
    ("mutation", &[]),
    ("time", &["mutation", "limits", "error"]),
    ("event", &["time", "limits", "error"]),
    ("aggregate", &["time", "limits", "error"]),
    ("plan", &["event", "aggregate", "time", "limits", "error"]),
    ("snapshot", &["aggregate", "time", "mutation", "limits", "error"]),
    ("dataflow", &["plan", "snapshot", "aggregate", "event", "time", "mutation", "limits", "error"]),
    ("ledger", &["aggregate", "snapshot", "time", "limits", "error"]),
    (
        "connect",
        &["ledger", "dataflow", "plan", "snapshot", "aggregate", "event", "time", "mutation", "limits", "error"],
    ),
    ("observe", &["dataflow", "plan", "snapshot", "aggregate", "event", "time", "limits", "error"]),
    (
        "cluster",
        &["observe", "connect", "dataflow", "plan", "snapshot", "aggregate", "event", "time", "limits", "error"],
    ),
    (
        "cli",
        &[
            "cluster",
            "observe",
            "connect",
            "ledger",
            "dataflow",
            "plan",
            "snapshot",
            "aggregate",
            "event",
            "time",
            "limits",
            "error",
        ],
    ),
    ("lib", &[]),
];

/// The layers that are functions of what they are given.
const PURE: [&str; 7] = ["limits", "time", "event", "aggregate", "snapshot", "dataflow", "ledger"];

/// What a pure layer must not name: a runtime, a client, the network, a file, a clock, a process; and maps whose order is chance.
const IMPURE: [&[&str]; 20] = [
    &["tokio"],
    &["reqwest"],
    &["rustls"],
    &["hyper"],
    &["pulsar"],
    &["aws_sdk_s3"],
    &["libc"],
    &["signal_hook"],
    &["clap"],
    &["std", "net"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["std", "collections", "HashMap"],
    &["std", "collections", "HashSet"],
];

/// The crates that only some places may name.
const AT_HOME: [(&str, &[&str]); 21] = [
    ("abomonation", &["src/dataflow/"]),
    ("signal_hook", &["src/cluster/"]),
    ("hmac", &["src/cluster/"]),
    ("getrandom", &["src/cluster/"]),
    ("rustix", &["src/cli/", "src/observe/"]),
    ("tokio", &["src/connect/", "src/observe/http/"]),
    ("tokio_rustls", &["src/connect/pulsar/"]),
    ("rustls", &["src/connect/pulsar/", "src/connect/clickhouse/"]),
    ("reqwest", &["src/connect/pulsar/"]),
    ("pulsar", &["src/connect/pulsar/"]),
    ("clickhouse", &["src/connect/clickhouse/"]),
    ("prost", &["src/connect/pulsar/"]),
    ("lz4_flex", &["src/connect/pulsar/"]),
    ("aws_config", &["src/connect/s3/"]),
    ("aws_credential_types", &["src/connect/s3/"]),
    ("aws_sdk_s3", &["src/connect/s3/"]),
    ("aws_smithy_http_client", &["src/connect/s3/"]),
    ("hyper", &["src/observe/http/"]),
    ("hyper_util", &["src/observe/http/", "src/connect/clickhouse/"]),
    ("hyper_rustls", &["src/connect/clickhouse/"]),
    ("http_body_util", &["src/observe/http/"]),
];

/// The files that may say `allow(unsafe_code)`: the wire form of plain data, and a hint to the processor.
const UNSAFE_ALLOWED_IN: [&str; 2] = ["src/dataflow/wire.rs", "src/aggregate/prefetch.rs"];

/// All paths that a file names, groups (`a::{b, c::d}`) spelled out, with their lines.
fn named(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inside = at >= 2 && tokens[at - 1].is_mark(':') && tokens[at - 2].is_mark(':');
        // A module that is declared is none of the crates, whatever its name.
        let declared = at >= 1 && tokens[at - 1].is_word("mod");
        if tokens[at].kind == Kind::Word && !inside && !declared {
            path(tokens, at, &mut Vec::new(), &mut found);
        }
        at += 1;
    }
    found
}

/// Follows the path that begins at `at`; returns the index after it.
fn path(tokens: &[Token], mut at: usize, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let depth = before.len();
    let line = tokens[at].line;
    loop {
        before.push(tokens[at].text.clone());
        at += 1;
        let more = tokens.get(at).is_some_and(|t| t.is_mark(':')) && tokens.get(at + 1).is_some_and(|t| t.is_mark(':'));
        let next = tokens.get(at + 2);
        if more && next.is_some_and(|token| token.kind == Kind::Word) {
            at += 2;
            continue;
        }
        if more && next.is_some_and(|token| token.is_mark('{')) {
            at = group(tokens, at + 3, before, found);
        } else {
            found.push((before.clone(), line));
        }
        before.truncate(depth);
        return at;
    }
}

fn group(tokens: &[Token], mut at: usize, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, usize)>) -> usize {
    while at < tokens.len() && !tokens[at].is_mark('}') {
        at = if tokens[at].kind == Kind::Word { path(tokens, at, before, found) } else { at + 1 };
    }
    at + 1
}

/// The module of this crate that a path leads into from a file: through `crate`, or up through `super`s.
fn leads_into<'a>(path: &'a [String], file: &SourceFile) -> Option<&'a str> {
    if path[0] == "crate" {
        return path.get(1).map(String::as_str);
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    // src/layer/mod.rs and src/layer.rs are one step below the root, src/layer/x.rs two.
    let below = file.path.split('/').count() - 1 - usize::from(file.path.ends_with("/mod.rs"));
    (ups >= below && ups > 0).then(|| path.get(ups).map(String::as_str)).flatten()
}

#[test]
fn layers_name_only_lower_ones() {
    let mut problems = Vec::new();
    for file in rust_files("src") {
        let layer = file.layer().to_owned();
        if layer == "main" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            problems.push(format!("{}: {layer} is no layer of tests/it/architecture/walls.rs", file.path));
            continue;
        };
        for (path, line) in named(&file.shipped) {
            let Some(into) = leads_into(&path, &file) else { continue };
            let module = LAYERS.iter().any(|(name, _)| *name == into);
            if module && into != layer && !allowed.contains(&into) {
                problems.push(format!("{}:{line}: {layer} must not know {}", file.path, path.join("::")));
            }
            if layer == "connect" && into == "dataflow" && path.get(2).is_none_or(|part| part != "edges") {
                problems.push(format!("{}:{line}: connect knows of the dataflow only its edges", file.path));
            }
        }
    }
    demand_none(&problems, "dependencies that the layers do not allow");
}

#[test]
fn pure_layers_touch_nothing_outside() {
    let mut problems = Vec::new();
    for file in rust_files("src").iter().filter(|file| PURE.contains(&file.layer())) {
        for (path, line) in named(&file.shipped) {
            for impure in IMPURE {
                if path.len() >= impure.len() && path.iter().zip(impure).all(|(a, b)| a == b) {
                    problems.push(format!("{}:{line}: {}", file.path, path.join("::")));
                }
            }
        }
    }
    demand_none(&problems, "a clock, a file, a network, a process or a map of chance order in a pure layer");
}

#[test]
fn some_crates_are_named_in_one_place() {
    let mut problems = Vec::new();
    for file in rust_files("src") {
        for (path, line) in named(&file.shipped) {
            for (name, home) in AT_HOME {
                // A module may be called like a crate: a crate is named to go on into it.
                if path.len() > 1 && path[0] == name && !home.iter().any(|home| file.path.starts_with(home)) {
                    problems.push(format!("{}:{line}: {name} is at home in {}", file.path, home.join(" and ")));
                }
            }
        }
        let unsafe_line = file.shipped.iter().find(|token| token.is_word("unsafe") || token.is_word("unsafe_code"));
        if let Some(token) = unsafe_line.filter(|_| !UNSAFE_ALLOWED_IN.contains(&file.path.as_str())) {
            problems.push(format!(
                "{}:{}: unsafe code is allowed in {} only",
                file.path,
                token.line,
                UNSAFE_ALLOWED_IN.join(" and ")
            ));
        }
    }
    demand_none(&problems, "crates and code that have one place");
}

#[test]
fn the_engine_knows_no_domain() {
    let words = ["temperature", "humidity", "sensor_", "carrier", "customer", "departure", "discount"];
    let mut problems = Vec::new();
    for file in rust_files("src") {
        for token in &file.shipped {
            let lower = token.text.to_lowercase();
            let called = words.iter().find(|word| lower.contains(**word));
            // Help and the demo may name a shipped dataflow's folder, and the format of a label is shown by an example.
            if let Some(word) = called.filter(|_| !file.path.starts_with("src/cli")) {
                problems.push(format!("{}:{}: {word:?}", file.path, token.line));
            }
        }
    }
    demand_none(&problems, "words of a dataflow in the engine");
}

#[test]
fn paths_are_spelled_out() {
    let found = named(&super::tokens("use crate::{a, b::{c, d::E}}; let x = std::time::Instant::now();"));
    let all: Vec<String> = found.iter().map(|(path, _)| path.join("::")).collect();
    for path in ["crate::a", "crate::b::c", "crate::b::d::E", "std::time::Instant::now"] {
        assert!(all.contains(&path.to_owned()), "{path} is not in {all:?}");
    }
}
