//! What a server's refusal means: whether to try again, whether it may have happened, what to do.

use std::borrow::Cow;
use std::error::Error as _;

use clickhouse::error::Error as ClientError;

use super::server::ROOTS;
use crate::connect::tls;
use crate::error::{Error, Fault};

/// Characters of a server's words that are passed on.
const WORDS: usize = 500;

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// It passes by itself: overload, a restart, the network.
    Passes,
    /// It is of a kind that is not known to pass: a while is waited.
    Doubtful,
    /// It stays until somebody acts.
    None,
}

/// Whether it was ClickHouse that said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Its own words.
    Yes,
    /// The network's, or those of something else.
    No,
}

/// A try that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub hope: Hope,
    /// Whether it may have happened all the same.
    pub ambiguous: bool,
    code: Option<u32>,
    words: String,
    /// What to do about it, where that is known.
    advice: Option<Cow<'static, str>>,
}

/// Codes that pass by themselves.
const PASSES: [u32; 22] =
    [159, 160, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 286, 305, 319, 394, 425, 439, 999];

/// Those of them that surely nothing came of.
const SURELY_NOT: [u32; 6] = [202, 203, 242, 252, 305, 439];

/// Codes that refuse a password: older servers tell a wrong one from a missing one.
const OF_PASSWORD: [u32; 3] = [193, 194, 516];

/// Codes that stay, and what to do about them.
const STAYS: [(&[u32], &str); 8] = [
    (&[60], "make the tables: minuet run --create-tables, or the statements of minuet ddl"),
    (&[81], "make the database, or let minuet run --create-tables make it"),
    (
        &[16, 47, 8, 10],
        "the table is not what the plan writes: minuet run says at its start which columns differ, and the ALTER that mends it",
    ),
    (&[62, 43, 48, 50], "this ClickHouse does not understand what minuet says: minuet needs version 23.8 or newer"),
    (&[115], "this ClickHouse does not know a setting that minuet needs: minuet needs version 23.8 or newer"),
    (&[192, 193, 194, 516], "give the right CLICKHOUSE_USER and CLICKHOUSE_PASSWORD, or --clickhouse-password-file"),
    (
        &[497],
        "grant this user SELECT, INSERT and ALTER DELETE on the tables of the sink, and SELECT on system.tables and system.columns",
    ),
    (&[164, 452], "the user's profile is read-only or forbids a setting: give one that may write"),
];

impl Failed {
    /// What a server, or the way to it, said.
    pub(super) fn of(error: &ClientError) -> Self {
        let words = chain(error);
        if let Some(advice) = distrusted(error) {
            let advice = Some(advice.into());
            return Failed { hope: Hope::None, ambiguous: false, code: None, words, advice };
        }
        match error {
            ClientError::BadResponse(text) => Failed::answered(text),
            ClientError::Network(_) | ClientError::TimedOut => {
                Failed { hope: Hope::Passes, ambiguous: true, code: None, words, advice: None }
            }
            ClientError::SchemaMismatch(_) | ClientError::Unsupported(_) | ClientError::InvalidParams(_) => {
                Failed { hope: Hope::None, ambiguous: false, code: None, words, advice: None }
            }
            _ => Failed { hope: Hope::Doubtful, ambiguous: true, code: None, words, advice: None },
        }
    }

    /// Nothing came in time.
    pub(super) fn late(millis: u64) -> Self {
        let words = format!("no answer in {millis} ms");
        Failed { hope: Hope::Passes, ambiguous: true, code: None, words, advice: None }
    }

    /// An answer that is not what was asked for.
    pub(super) fn odd(words: String) -> Self {
        Failed { hope: Hope::Doubtful, ambiguous: false, code: None, words, advice: None }
    }

    /// The same, of something that changes nothing.
    pub(super) fn of_question(self) -> Self {
        Failed { ambiguous: false, ..self }
    }

    /// An answer that is an error.
    fn answered(text: &str) -> Self {
        let code = code(text);
        let words = text.trim().chars().take(WORDS).collect();
        let hope = match code {
            // Not ClickHouse said that, but something before it, or it was on its way out.
            None => Hope::Passes,
            Some(code) if PASSES.contains(&code) => Hope::Passes,
            Some(code) if advice(code).is_some() => Hope::None,
            Some(_) => Hope::Doubtful,
        };
        let surely_not = hope == Hope::None || code.is_some_and(|code| SURELY_NOT.contains(&code));
        Failed { hope, ambiguous: !surely_not, code, words, advice: code.and_then(advice).map(Cow::Borrowed) }
    }

    /// Whether it is the password that is refused.
    pub(super) fn is_of_password(&self) -> bool {
        self.code.is_some_and(|code| OF_PASSWORD.contains(&code))
    }

    /// The number of the server's error.
    pub(super) fn code(&self) -> Option<u32> {
        self.code
    }

    /// What to do about it, where that is known.
    pub(super) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// Whether it was ClickHouse that said it.
    pub(super) fn reached(&self) -> Reached {
        if self.code.is_some() { Reached::Yes } else { Reached::No }
    }

    /// As the error that ends what was tried.
    pub(super) fn into_error(self, tried: impl std::fmt::Display) -> Error {
        let advice = self.advice().map_or(String::new(), |advice| format!("; {advice}"));
        let fault = if self.hope == Hope::None { Fault::Configuration } else { Fault::Outside };
        let error = Error::new(fault, format!("{tried}: {}{advice}", self.words));
        if self.ambiguous { error.ambiguous() } else { error }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

/// What to do where TLS does not let us go on: no try helps then.
fn distrusted(error: &ClientError) -> Option<String> {
    match tls::said(error)? {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            Some("this port is one without TLS, for clickhouse://".to_owned())
        }
        said => tls::advice(said, "the server", ROOTS),
    }
}

fn advice(code: u32) -> Option<&'static str> {
    STAYS.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, advice)| *advice)
}

/// The number in `Code: 60. DB::Exception: ...`.
fn code(text: &str) -> Option<u32> {
    let rest = text.split_once("Code: ")?.1;
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

/// An error's words with those of its causes: the client's own name what failed, not why.
fn chain(error: &ClientError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = inner.source();
    }
    words.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Failed {
        Failed::of(&ClientError::BadResponse(text.to_owned()))
    }

    #[test]
    fn codes_say_whether_to_go_on() {
        for code in [159, 209, 210, 202, 241, 242, 252, 319, 439, 999] {
            assert_eq!(said(&format!("Code: {code}. DB::Exception: x")).hope, Hope::Passes, "{code}");
        }
        for code in [60, 16, 47, 62, 81, 115, 192, 193, 516, 497, 164] {
            let failed = said(&format!("Code: {code}. DB::Exception: x. (X)"));
            assert_eq!((failed.hope, failed.ambiguous), (Hope::None, false), "{code}");
            let error = failed.into_error("inserting");
            assert!(error.fault == Fault::Configuration && error.to_string().contains("; "), "{error}");
        }
        assert_eq!(said("Code: 33. DB::Exception: Cannot read all data").hope, Hope::Doubtful);
        assert_eq!(said("503 Service Unavailable").hope, Hope::Passes);
    }

    #[test]
    fn only_what_surely_did_not_happen_is_not_ambiguous() {
        assert!(!said("Code: 252. DB::Exception: Too many parts").ambiguous);
        assert!(said("Code: 319. DB::Exception: Unknown status").ambiguous);
        assert!(said("502 Bad Gateway").ambiguous);
        assert!(Failed::of(&ClientError::TimedOut).ambiguous);
        assert!(!Failed::of(&ClientError::SchemaMismatch("x".into())).ambiguous);
    }
}
