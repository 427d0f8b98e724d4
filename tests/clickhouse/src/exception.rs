//! What goes wrong, as ClickHouse tells it: a number, a text, a name; and the status of the answer.

use std::fmt::{self, Display, Formatter};

/// The number of an error that has none.
const UNKNOWN: u32 = 1002;

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    code: u32,
    text: String,
}

impl Exception {
    /// One of the front's own, in the engine's form.
    pub(crate) fn new(code: u32, text: String, name: &str) -> Self {
        Exception { code, text: format!("Code: {code}. DB::Exception: {text}. ({name})") }
    }

    /// Something that a server would do and the front does not.
    pub(crate) fn refused(what: String) -> Self {
        Exception::new(48, format!("this front of the engine does not speak {what}"), "NOT_IMPLEMENTED")
    }

    /// One of the engine's.
    pub(crate) fn of_engine(text: &str) -> Self {
        let number = text.split_once("Code: ").and_then(|(_, after)| after.split_once('.'));
        let code = number.and_then(|(number, _)| number.parse().ok()).unwrap_or(UNKNOWN);
        Exception { code, text: text.trim().to_owned() }
    }

    pub(crate) fn code(&self) -> u32 {
        self.code
    }

    /// The status that a server answers with, by its `exceptionCodeToHTTPStatus`.
    pub(crate) fn status(&self) -> u16 {
        match self.code {
            // Texts, numbers and dates that cannot be read; statements that cannot be understood; types that do not fit.
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 167 | 168 | 223 | 321 | 376 | 427
            | 441 => 400,
            194 => 401,
            192 | 193 | 497 | 512 | 516 => 403,
            // What is named and not there: functions, columns, types, engines, tables, formats, databases, settings, roles.
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 336 | 511 => 404,
            159 => 408,
            381 => 411,
            307 => 413,
            48 => 501,
            76 | 209 | 439 => 503,
            _ => 500,
        }
    }
}

impl Display for Exception {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_number_decides_the_status() {
        let status = |text: &str| (Exception::of_engine(text).code(), Exception::of_engine(text).status());
        assert_eq!(status("Code: 60. DB::Exception: Table default.nope does not exist. (UNKNOWN_TABLE)"), (60, 404));
        assert_eq!(status("Code: 62. DB::Exception: Syntax error: Code: 1. (SYNTAX_ERROR)"), (62, 400));
        assert_eq!(status("Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)"), (252, 500));
        assert_eq!(status("Code: 209. DB::NetException: Timeout. (SOCKET_TIMEOUT)"), (209, 503));
        assert_eq!(status("it burns"), (UNKNOWN, 500));
    }

    #[test]
    fn own_errors_look_like_the_engine_s() {
        let refused = Exception::refused("sessions".to_owned());
        assert_eq!(refused.status(), 501);
        assert_eq!(Exception::of_engine(&refused.to_string()), refused);
    }
}
