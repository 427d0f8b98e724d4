//! The files of a dataflow's folder, read with bounds.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use toml::Table;

use super::problem::Problems;
use crate::limits::{DATAFLOW_FILE_BYTES_MAX, PIPELINE_NAME_MAX};

/// The file that makes a folder a dataflow.
pub(super) const FILE: &str = "dataflow.toml";

/// The dataflow's name: that of its folder, also where the path does not end in it (`.`).
pub(super) fn name(dir: &Path, problems: &mut Problems) -> Option<String> {
    let real = match dir.canonicalize() {
        Ok(real) if real.is_dir() => real,
        Ok(_) => {
            problems.add("", "a file", format!("a folder with a {FILE}"));
            return None;
        }
        Err(error) => {
            problems.add("", format!("no folder that can be opened ({error})"), format!("a folder with a {FILE}"));
            return None;
        }
    };
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > PIPELINE_NAME_MAX || !name.bytes().all(letters) {
        let allowed =
            format!("a folder's name of a-z, 0-9 and -, at most {PIPELINE_NAME_MAX} letters: the pipeline has it too");
        problems.add("", format!("the folder's name {name:?}"), allowed);
        return None;
    }
    Some(name)
}

/// The text of a file.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<String> {
    let mut bytes = Vec::new();
    let most = DATAFLOW_FILE_BYTES_MAX as u64;
    // Looked at before it is opened: opening a pipe waits for somebody to write.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        problems.add("", "something that is no plain file", "a file of text");
        return None;
    }
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        problems.add("", format!("no file that can be read ({error})"), "a file of text");
        return None;
    }
    if bytes.len() > DATAFLOW_FILE_BYTES_MAX {
        problems.add("", format!("more than {most} bytes"), format!("at most {most} bytes"));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            problems.add("", format!("a byte at offset {at} that is not UTF-8"), "text in UTF-8");
            None
        }
    }
}

/// Parses TOML; the parser stops at its first error.
pub(super) fn table(text: &str, problems: &mut Problems) -> Option<Table> {
    match text.parse::<Table>() {
        Ok(table) => Some(table),
        Err(error) => {
            let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            let words = error.message().lines().collect::<Vec<_>>().join("; ");
            problems.add("", format!("{words}{place}"), "a file in TOML");
            None
        }
    }
}

/// The line and column of a byte, counted from 1 as editors do.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    format!(" at line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::problem::Problems;
    use super::{place, table};

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(place("", 0), " at line 1, column 1");
        assert_eq!(place("a\nbü=", 5), " at line 2, column 3");
        assert_eq!(place("a\n", 99), " at line 2, column 1");
    }

    #[test]
    fn a_syntax_error_is_one_problem_with_its_place() {
        let mut problems = Problems::of("dataflow.toml");
        assert!(table("version = 1\n[event\n", &mut problems).is_none());
        let found = problems.into_list();
        assert_eq!(found.len(), 1);
        assert!(found[0].found.contains("line 2, column"), "{}", found[0]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            table(&text, &mut Problems::of("x"));
        }
    }
}
