//! As much of SQL as it takes to tell an `INSERT` whose rows follow from everything else, and what reads from what writes.

/// An `INSERT … FORMAT X`, cut where its rows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insert<'a> {
    /// The statement without `FORMAT X`.
    pub(crate) statement: &'a str,
    /// X.
    pub(crate) format: &'a str,
    /// What follows.
    pub(crate) rows: &'a [u8],
}

/// Words of a statement outside of quotes, comments and parentheses.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a [u8]) -> Self {
        Words { text, at: 0, depth: 0 }
    }

    /// Goes behind the next `end`, or to the end of the text.
    fn skip_to(&mut self, end: &[u8]) {
        let found = self.text[self.at..].windows(end.len()).position(|window| window == end);
        self.at = found.map_or(self.text.len(), |found| self.at + found + end.len());
    }

    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == quote {
                return;
            }
        }
        self.at = self.text.len();
    }
}

fn within_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Iterator for Words<'_> {
    /// Where it begins and ends.
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\'' | b'"' | b'`' => self.skip_quoted(byte),
                b'-' if self.text[self.at..].starts_with(b"--") => self.skip_to(b"\n"),
                b'/' if self.text[self.at..].starts_with(b"/*") => self.skip_to(b"*/"),
                b'(' | b')' => {
                    self.depth = if byte == b'(' { self.depth + 1 } else { self.depth.saturating_sub(1) };
                    self.at += 1;
                }
                _ if within_word(byte) => {
                    let start = self.at;
                    let length = self.text[start..].iter().position(|&byte| !within_word(byte));
                    self.at = length.map_or(self.text.len(), |length| start + length);
                    if self.depth == 0 {
                        return Some((start, self.at));
                    }
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

/// The `INSERT` in a text, where it is one whose rows follow in a format that it names.
pub(crate) fn insert(text: &[u8]) -> Option<Insert<'_>> {
    let is = |(start, end): (usize, usize), word: &str| text[start..end].eq_ignore_ascii_case(word.as_bytes());
    let mut words = Words::new(text);
    words.next().filter(|&first| is(first, "insert"))?;
    let format = words.find(|&word| ["format", "select", "values", "with"].iter().any(|end| is(word, end)))?;
    if !is(format, "format") {
        return None;
    }
    let (start, end) = words.next()?;
    let rest = &text[end..];
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    let rows = match rest.get(blanks) {
        Some(b'\n') => &rest[blanks + 1..],
        _ => rest,
    };
    let part = |start: usize, end: usize| std::str::from_utf8(&text[start..end]).ok();
    Some(Insert { statement: part(0, format.0)?.trim(), format: part(start, end)?, rows })
}

/// Whether a statement only reads, so that a GET may carry it.
pub(crate) fn reads(text: &[u8]) -> bool {
    // All of it may be in parentheses, which hide its words.
    let bare = &text[text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b'(').count()..];
    let readers = ["select", "with", "show", "describe", "desc", "exists", "explain", "from", "check"];
    let first = Words::new(bare).next();
    first.is_none_or(|(start, end)| {
        readers.iter().any(|reader| bare[start..end].eq_ignore_ascii_case(reader.as_bytes()))
    })
}

/// Whether a statement asks for the server's queue of small inserts by its own SETTINGS.
pub(crate) fn queues(text: &[u8]) -> bool {
    let words: Vec<_> = Words::new(text).map(|(start, end)| &text[start..end]).collect();
    words.windows(2).any(|pair| {
        pair[0].eq_ignore_ascii_case(b"async_insert") && (pair[1] == b"1" || pair[1].eq_ignore_ascii_case(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Option<(&str, &str, &str)> {
        insert(text.as_bytes()).map(|cut| (cut.statement, cut.format, std::str::from_utf8(cut.rows).unwrap()))
    }

    #[test]
    fn an_insert_is_cut_where_its_rows_begin() {
        assert_eq!(cut("INSERT INTO t FORMAT TSV"), Some(("INSERT INTO t", "TSV", "")));
        assert_eq!(
            cut(" insert into `d`.`format`(a, b) format RowBinary"),
            Some(("insert into `d`.`format`(a, b)", "RowBinary", ""))
        );
        assert_eq!(cut("INSERT INTO t FORMAT CSV\r\n\n1,2"), Some(("INSERT INTO t", "CSV", "\n1,2")));
        assert_eq!(
            cut("INSERT INTO t SETTINGS a = 'FORMAT X' FORMAT JSONEachRow {}"),
            Some(("INSERT INTO t SETTINGS a = 'FORMAT X'", "JSONEachRow", " {}"))
        );
        assert_eq!(cut("/* FORMAT A */ INSERT INTO t -- FORMAT B\n(select) FORMAT C\nd").map(|cut| cut.1), Some("C"));
        let binary = [b"INSERT INTO t FORMAT RowBinary\n".as_slice(), &[0xff, b'\'', 0]].concat();
        assert_eq!(insert(&binary).map(|cut| cut.rows), Some([0xff, b'\'', 0].as_slice()));
    }

    #[test]
    fn what_carries_its_rows_itself_is_not_cut() {
        for whole in [
            "SELECT 1 FORMAT TSV",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t SELECT 1 FORMAT TSV",
            "INSERT INTO t",
            "",
            "INSERT INTO t FORMAT",
        ] {
            assert_eq!(cut(whole), None, "{whole}");
        }
    }

    #[test]
    fn reading_is_told_from_writing() {
        for reading in ["SELECT 1", " -- hm\nwith 1 as a select a", "((SELECT 1))", "EXISTS t", "describe t", ""] {
            assert!(reads(reading.as_bytes()), "{reading}");
        }
        for writing in ["INSERT INTO t SELECT 1", "drop table t", "/* SELECT */ ALTER TABLE t", "SYSTEM FLUSH LOGS"] {
            assert!(!reads(writing.as_bytes()), "{writing}");
        }
    }

    #[test]
    fn the_queue_of_inserts_is_seen_in_the_settings() {
        assert!(queues(b"INSERT INTO t SETTINGS async_insert=1, x=2"));
        assert!(queues(b"INSERT INTO t SETTINGS async_insert = true"));
        assert!(!queues(b"INSERT INTO t SETTINGS async_insert = 0, wait_for_async_insert = 1"));
        assert!(!queues(b"INSERT INTO t SETTINGS a = 'async_insert=1'"));
    }
}
