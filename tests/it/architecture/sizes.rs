//! How large things may get. The numbers may be lowered.

use super::lexer::{Token, closed};
use super::{demand_none, rust_files};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const FOLDERS: [&str; 3] = ["src", "tests", "benches"];

#[test]
fn files_are_short() {
    let mut problems = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| rust_files(folder)) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES {
            problems.push(format!("{}: {lines} lines", file.path));
        }
    }
    demand_none(&problems, &format!("files of more than {FILE_LINES} lines"));
}

/// Name, first line and length of every function with a body.
fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        let named = tokens[at].is_word("fn") && tokens[at + 1].kind == super::lexer::Kind::Word;
        if !named {
            continue;
        }
        let mut here = at + 2;
        while here < tokens.len() && !tokens[here].is_mark('{') && !tokens[here].is_mark(';') {
            let opens = tokens[here].is_mark('(') || tokens[here].is_mark('[');
            here = if opens { closed(tokens, here) } else { here + 1 };
        }
        if here < tokens.len() && tokens[here].is_mark('{') {
            let last = &tokens[closed(tokens, here) - 1];
            found.push((tokens[at + 1].text.clone(), tokens[at].line, last.line - tokens[at].line + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut problems = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| rust_files(folder)) {
        for (name, line, lines) in functions(&file.tokens) {
            if lines > FUNCTION_LINES {
                problems.push(format!("{}:{line}: {name} has {lines} lines", file.path));
            }
        }
    }
    demand_none(&problems, &format!("functions of more than {FUNCTION_LINES} lines"));
}

#[test]
fn functions_are_measured() {
    let found = functions(&super::tokens("fn a(x: [u8; 2]) -> u8 {\n if x {\n }\n}\nfn b();\nfn c() {}"));
    assert_eq!(found, [("a".to_owned(), 1, 4), ("c".to_owned(), 6, 1)]);
}
