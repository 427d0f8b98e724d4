//! Heads and bodies of HTTP/1.1: read as far as it takes to know where they end, passed on as they are.

use std::io::{self, BufRead, Read, Write};

/// The longest head.
const HEAD: u64 = 256 * 1024;

/// A request's or an answer's first line and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    text: String,
    last: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// Reads one; none where the connection ends before its first byte.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Head>> {
        let (mut bytes, mut from) = (Vec::new(), from.take(HEAD));
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes)? == 0 {
                let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "a head is cut off or too long");
                return if bytes.is_empty() { Ok(None) } else { Err(cut) };
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(Head { bytes, text, last: false }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One of the three parts of the first line.
    fn word(&self, index: usize) -> &str {
        self.text.lines().next().and_then(|line| line.split(' ').nth(index)).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    pub(crate) fn path(&self) -> &str {
        self.word(1).split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.word(1).split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        named.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|found| found.split(',').any(|part| part.trim().eq_ignore_ascii_case(value)))
    }

    /// Whether a client waits to be told that its body is wanted.
    pub(crate) fn waits(&self) -> bool {
        self.says("expect", "100-continue")
    }

    /// The same, of an answer that came before the request's body, which may now come or not.
    pub(crate) fn before_body(self) -> Self {
        Head { last: true, ..self }
    }

    /// Whether nothing follows the message on its connection.
    pub(crate) fn closes(&self) -> bool {
        let old = self.text.lines().next().is_some_and(|line| line.contains("HTTP/1.0"));
        self.last || self.says("connection", "close") || (old && !self.says("connection", "keep-alive"))
    }

    fn framed(&self) -> Option<Body> {
        if self.says("transfer-encoding", "chunked") {
            return Some(Body::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Body::Length)
    }

    /// The body of a request.
    pub(crate) fn body(&self) -> Body {
        self.framed().unwrap_or(Body::Length(0))
    }

    /// The body of the answer to a request of a method.
    pub(crate) fn body_of_answer(&self, method: &str) -> Body {
        let none = method == "HEAD" || matches!(self.status(), 100..200 | 204 | 304);
        if none { Body::Length(0) } else { self.framed().unwrap_or(Body::UntilClosed) }
    }
}

/// Why a body was not passed on to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Whoever sends it broke off.
    From,
    /// Whoever is to get it broke off.
    To,
    /// As many bytes as were allowed have gone.
    Cut,
}

/// A body on its way.
pub(crate) struct Passage<'a, R, W> {
    pub(crate) from: &'a mut R,
    pub(crate) to: &'a mut W,
    /// How many of its bytes may still go, of a body that must not go whole.
    pub(crate) allowed: Option<u64>,
}

impl<R: BufRead, W: Write> Passage<'_, R, W> {
    pub(crate) fn pass(&mut self, body: Body) -> Result<(), Broken> {
        match body {
            Body::Length(length) => self.bytes(length)?,
            Body::UntilClosed => while self.piece(u64::MAX)? > 0 {},
            Body::Chunked => self.chunks()?,
        }
        self.to.flush().map_err(|_| Broken::To)
    }

    fn chunks(&mut self) -> Result<(), Broken> {
        loop {
            let line = self.line()?;
            let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b'\n')).next().unwrap_or_default();
            let length =
                std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
            let length = length.ok_or(Broken::From)?;
            if length == 0 && self.allowed.is_some() {
                return Err(self.cut());
            }
            self.to.write_all(&line).map_err(|_| Broken::To)?;
            if length == 0 {
                break;
            }
            self.bytes(length)?;
            self.pass_line()?;
        }
        // Trailers, and the empty line behind them.
        while self.pass_line()? != b"\r\n" {}
        Ok(())
    }

    fn line(&mut self) -> Result<Vec<u8>, Broken> {
        let mut line = Vec::new();
        self.from.take(HEAD).read_until(b'\n', &mut line).map_err(|_| Broken::From)?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(Broken::From) }
    }

    fn pass_line(&mut self) -> Result<Vec<u8>, Broken> {
        let line = self.line()?;
        self.to.write_all(&line).map_err(|_| Broken::To)?;
        Ok(line)
    }

    fn cut(&mut self) -> Broken {
        self.to.flush().map_or(Broken::To, |()| Broken::Cut)
    }

    fn bytes(&mut self, length: u64) -> Result<(), Broken> {
        let mut left = length;
        while left > 0 {
            match self.piece(left)? {
                0 => return Err(Broken::From),
                passed => left -= passed,
            }
        }
        Ok(())
    }

    /// Passes on what is there, up to a length; nothing at the end.
    fn piece(&mut self, length: u64) -> Result<u64, Broken> {
        let most = self.allowed.map_or(length, |allowed| length.min(allowed));
        if most == 0 {
            return Err(self.cut());
        }
        let there = self.from.fill_buf().map_err(|_| Broken::From)?;
        let passed = there.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        self.to.write_all(&there[..passed]).map_err(|_| Broken::To)?;
        self.from.consume(passed);
        self.allowed = self.allowed.map(|allowed| allowed - passed as u64);
        Ok(passed as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::read(&mut text.as_bytes()).unwrap().unwrap()
    }

    fn passed(body: Body, text: &str, allowed: Option<u64>) -> (Result<(), Broken>, String) {
        let mut to = Vec::new();
        let result = Passage { from: &mut text.as_bytes(), to: &mut to, allowed }.pass(body);
        (result, String::from_utf8(to).unwrap())
    }

    #[test]
    fn a_head_tells_where_its_body_ends() {
        let put = head("PUT /b/k%2F1?x=1&y HTTP/1.1\r\nContent-length: 12\r\nEXPECT: 100-continue\r\n\r\nrest");
        assert_eq!((put.method(), put.path(), put.query()), ("PUT", "/b/k%2F1", "x=1&y"));
        assert_eq!((put.body(), put.waits(), put.closes()), (Body::Length(12), true, false));
        assert_eq!(head("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n").body(), Body::Chunked);
        assert_eq!(head("GET / HTTP/1.0\r\n\r\n").body(), Body::Length(0));
        assert!(head("GET / HTTP/1.0\r\n\r\n").closes());
        let answer = head("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        assert_eq!((answer.status(), answer.closes()), (200, true));
        assert_eq!((answer.body_of_answer("GET"), answer.body_of_answer("HEAD")), (Body::UntilClosed, Body::Length(0)));
        assert_eq!(
            head("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").body_of_answer("GET"),
            Body::Length(0)
        );
        assert_eq!(Head::read(&mut "".as_bytes()).unwrap(), None);
        Head::read(&mut "GET / HT".as_bytes()).unwrap_err();
    }

    #[test]
    fn bodies_are_passed_as_they_are_and_no_further() {
        let chunked = "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nsum: 1\r\n\r\n";
        let (result, text) = passed(Body::Chunked, &format!("{chunked}NEXT"), None);
        assert!(result.is_ok() && text == chunked, "{text}");
        let (result, text) = passed(Body::Length(4), "abcdNEXT", None);
        assert!(result.is_ok() && text == "abcd", "{text}");
        let (result, text) = passed(Body::UntilClosed, "all of it", None);
        assert!(result.is_ok() && text == "all of it", "{text}");
    }

    #[test]
    fn it_is_told_who_broke_off() {
        assert!(matches!(passed(Body::Length(5), "abcd", None).0, Err(Broken::From)));
        assert!(matches!(passed(Body::Chunked, "3\r\nab", None).0, Err(Broken::From)));
        assert!(matches!(passed(Body::Chunked, "zz\r\nab", None).0, Err(Broken::From)));
        let (result, text) = passed(Body::Chunked, "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", Some(4));
        assert!(matches!(result, Err(Broken::Cut)) && text == "3\r\nabc\r\n3\r\nd", "{text}");
    }
}
