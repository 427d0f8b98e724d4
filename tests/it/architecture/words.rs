//! How the code speaks: no stand-ins left, every module introduces itself, messages in one voice.

use super::lexer::{Kind, Token, closed};
use super::{SourceFile, demand_none, rust_files, walk};
use crate::harness::project;

/// Module names that say nothing.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "manager", "misc", "shared"];

/// Macros that mark what is not done, or was left behind.
const STAND_INS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Words of comments that say the same. Spelled in halves, for this file is read too.
const NOTES: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

/// Where a message begins: the last name of the path before a bracket.
const SPEAKERS: [&str; 9] =
    ["configuration", "data", "outside", "bug", "while_doing", "error", "warn", "info", "debug"];

#[test]
fn nothing_is_left_undone() {
    let mut problems = Vec::new();
    for file in ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder)) {
        for pair in file.tokens.windows(2) {
            if STAND_INS.iter().any(|name| pair[0].is_word(name)) && pair[1].is_mark('!') {
                problems.push(format!("{}:{}: {}!", file.path, pair[0].line, pair[0].text));
            }
        }
        for (index, line) in file.text.lines().enumerate() {
            if NOTES.iter().any(|note| line.contains(note)) {
                problems.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    demand_none(&problems, "stand-ins and notes to oneself");
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    let mut problems = Vec::new();
    for file in rust_files("src") {
        for three in file.shipped.windows(3) {
            if three[0].is_mark('.') && three[1].is_word("unwrap") && three[2].is_mark('(') {
                problems.push(format!("{}:{}", file.path, three[1].line));
            }
            let panics = three[0].is_word("panic") && three[1].is_mark('!');
            if panics {
                problems.push(format!("{}:{}: panic!", file.path, three[0].line));
            }
        }
    }
    demand_none(&problems, "unwrap() or panic! where an error value belongs");
}

#[test]
fn every_module_introduces_itself() {
    let mut problems = Vec::new();
    for file in ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder)) {
        let first = file.text.lines().next().unwrap_or_default();
        let tests = file.path.starts_with("src/") && file.shipped.is_empty() && !file.tokens.is_empty();
        if !first.starts_with("//! ") && !tests {
            problems.push(file.path.clone());
        }
    }
    demand_none(&problems, "modules that do not begin with a //! line");
}

#[test]
fn module_names_say_something() {
    let mut problems = Vec::new();
    for folder in ["src", "tests", "benches"] {
        walk(&project().join(folder), &mut |path| {
            let below = path.strip_prefix(project()).unwrap();
            let empty = below.iter().any(|part| {
                let part = part.to_string_lossy();
                EMPTY_NAMES.contains(&part.trim_end_matches(".rs"))
            });
            if empty {
                problems.push(below.display().to_string());
            }
        });
    }
    demand_none(&problems, "names that say nothing");
}

/// The message of each call of a speaker.
fn messages(file: &SourceFile) -> Vec<&Token> {
    let tokens = &file.shipped;
    let mut found = Vec::new();
    for at in 1..tokens.len() {
        if tokens[at].kind != Kind::Word || !SPEAKERS.contains(&tokens[at].text.as_str()) {
            continue;
        }
        let is_macro = tokens.get(at + 1).is_some_and(|token| token.is_mark('!'));
        let opens = at + 1 + usize::from(is_macro);
        let speaks = is_macro || tokens[at - 1].is_mark(':') || tokens[at - 1].is_mark('.');
        if speaks && tokens.get(opens).is_some_and(|token| token.is_mark('(')) {
            let call = &tokens[opens..closed(tokens, opens)];
            found.extend(if is_macro { logged(call) } else { first_text(call) });
        }
    }
    found
}

/// The message of a log line: its first text that is not a field's value.
fn logged(call: &[Token]) -> Option<&Token> {
    let at = (1..call.len()).find(|at| call[*at].kind == Kind::Text && !call[at - 1].is_mark('='));
    at.map(|at| &call[at])
}

/// The text that a call begins with, directly or as the first argument of `format!`.
fn first_text(call: &[Token]) -> Option<&Token> {
    let at = if call[1].is_word("format") { 4 } else { 1 };
    call.get(at).filter(|token| token.kind == Kind::Text)
}

#[test]
fn messages_have_one_voice() {
    let mut problems = Vec::new();
    for file in rust_files("src") {
        for message in messages(&file) {
            let mut letters = message.text.chars();
            let (first, second) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
            // Names in capitals, such as SIGTERM or HTTP, stay as they are.
            let capital = first.is_ascii_uppercase() && second.is_ascii_lowercase();
            if capital || message.text.ends_with(['.', '!']) {
                problems.push(format!("{}:{}: {:?}", file.path, message.line, message.text));
            }
        }
    }
    demand_none(&problems, "messages begin with a small letter and end without a full stop");
}
