//! Rust source as tokens: just enough of the language to see paths, calls, blocks and texts without being fooled by comments.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, a keyword or a number.
    Word,
    /// One character of punctuation.
    Mark,
    /// What stands between the quotes of a text.
    Text,
    /// A character, or a lifetime.
    Other,
}

/// A token and the line it begins on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark && self.text.starts_with(mark)
    }
}

/// The tokens of a file; comments are left out.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let (kind, end) = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => (None, line_end(&chars, at)),
            '/' if chars.get(at + 1) == Some(&'*') => (None, comment_end(&chars, at)),
            '"' => (Some(Kind::Text), text_end(&chars, at + 1)),
            'r' | 'b' | 'c' if raw_text(&chars, at).is_some() => (Some(Kind::Text), raw_text(&chars, at).unwrap()),
            'b' | 'c' if chars.get(at + 1) == Some(&'"') => (Some(Kind::Text), text_end(&chars, at + 2)),
            '\'' => (Some(Kind::Other), character_end(&chars, at)),
            c if c.is_alphanumeric() || c == '_' => {
                let rest = chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                (Some(Kind::Word), at + rest)
            }
            c if c.is_whitespace() => (None, at + 1),
            _ => (Some(Kind::Mark), at + 1),
        };
        let text: String = chars[at..end.min(chars.len())].iter().collect();
        let lines = text.matches('\n').count();
        if let Some(kind) = kind {
            let text = if kind == Kind::Text { between_quotes(&text) } else { text };
            found.push(Token { kind, text, line });
        }
        line += lines;
        at = end;
    }
    found
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn text_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw text that begins here ends.
fn raw_text(chars: &[char], at: usize) -> Option<usize> {
    let mut here = at + usize::from(chars[at] != 'r');
    if chars.get(here) != Some(&'r') {
        return None;
    }
    here += 1;
    let hashes = chars[here.min(chars.len())..].iter().take_while(|c| **c == '#').count();
    here += hashes;
    if chars.get(here) != Some(&'"') {
        return None;
    }
    here += 1;
    while here < chars.len() {
        let closed =
            chars[here] == '"' && chars[here + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        here += 1;
        if closed {
            return Some(here + hashes);
        }
    }
    Some(here)
}

/// Past a character (`'a'`, `'\n'`) or a lifetime (`'a`).
fn character_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        return chars[at + 3..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| at + 4 + n);
    }
    if chars.get(at + 2) == Some(&'\'') {
        return at + 3;
    }
    at + 1 + chars[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count()
}

fn between_quotes(text: &str) -> String {
    let (from, to) = (text.find('"').unwrap_or(0), text.rfind('"').unwrap_or(text.len()));
    text.get(from + 1..to).unwrap_or_default().to_owned()
}

/// The index after the bracket that closes the one at `at`.
pub(crate) fn closed(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        if ['{', '(', '['].iter().any(|mark| token.is_mark(*mark)) {
            depth += 1;
        } else if ['}', ')', ']'].iter().any(|mark| token.is_mark(*mark)) {
            depth -= 1;
            if depth == 0 {
                return index + 1;
            }
        }
    }
    tokens.len()
}

/// The tokens without what stands under `#[cfg(test)]` or `#[test]`.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let opens = tokens[at].is_mark('#') && tokens.get(at + 1).is_some_and(|token| token.is_mark('['));
        if !opens {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let end = closed(tokens, at + 1);
        let of = &tokens[at + 2..end - 1];
        let tests =
            of.first().is_some_and(|first| first.is_word("cfg") && of.iter().any(|token| token.is_word("test")))
                && !of.iter().any(|token| token.is_word("not"))
                || of.len() == 1 && of[0].is_word("test");
        if tests {
            at = item_end(tokens, end);
        } else {
            kept.extend_from_slice(&tokens[at..end]);
            at = end;
        }
    }
    kept
}

/// The index after the item that begins here: past its block, or its semicolon.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        if tokens[at].is_mark('{') {
            return closed(tokens, at);
        }
        if tokens[at].is_mark(';') {
            return at + 1;
        }
        at = if tokens[at].is_mark('(') || tokens[at].is_mark('[') { closed(tokens, at) } else { at + 1 };
    }
    at
}

#[test]
fn comments_and_texts_do_not_fool_it() {
    let source = r##"
        // crate::cli
        /* crate::cli /* nested */ still */
        let a = "crate::cli // no comment"; let b = r#"a "quoted" {"#; let c = '"'; let d: &'static str = "x";
        let e = '\''; let f = b"bytes\"";
    "##;
    let found = tokens(source);
    assert!(!found.iter().any(|token| token.is_word("cli")));
    let texts: Vec<&str> = found.iter().filter(|t| t.kind == Kind::Text).map(|t| t.text.as_str()).collect();
    assert_eq!(texts, ["crate::cli // no comment", "a \"quoted\" {", "x", "bytes\\\""]);
    assert_eq!(found.last().unwrap().line, 5);
}

#[test]
fn tests_are_left_out_and_the_rest_is_not() {
    let source =
        "#[cfg(test)] mod tests; fn a() {} #[derive(Debug)] struct B; #[cfg(test)] mod more { fn c() {} } fn d() {}
        #[test] fn e() { x() } #[cfg(not(test))] fn f() {}";
    let found = without_tests(&tokens(source));
    let names: Vec<&str> =
        found.iter().filter(|t| t.text.len() == 1 && t.kind == Kind::Word).map(|t| t.text.as_str()).collect();
    assert_eq!(names, ["a", "B", "d", "f"]);
}
