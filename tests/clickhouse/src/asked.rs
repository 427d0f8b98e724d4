//! What a request asks for: its query, and the many ways to say how, where and as whom.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;

use crate::exception::Exception;

/// Parameters that are the interface's and no settings of the engine.
const INTERFACE: [&str; 11] = [
    "query",
    "database",
    "default_format",
    "user",
    "password",
    "compress",
    "decompress",
    "query_id",
    "wait_end_of_query",
    "buffer_size",
    "client_protocol_version",
];

/// What a server does at these and the front does not.
const NOT_SPOKEN: [&str; 6] = ["session_id", "session_check", "session_timeout", "close_session", "role", "quota_key"];

/// Names and values, as they came.
pub(crate) type Pairs = Vec<(String, String)>;

/// A request without its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) query: String,
    pub(crate) query_id: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) format: Option<String>,
    /// Settings for this query alone.
    pub(crate) settings: Pairs,
    /// Values for the query's `{name:Type}`s.
    pub(crate) values: Pairs,
    /// The answer is wanted in compressed blocks.
    pub(crate) compress: bool,
    /// The body comes in compressed blocks.
    pub(crate) decompress: bool,
    /// Nothing may be written.
    pub(crate) reading: bool,
}

/// The pairs of a URL.
pub(crate) fn pairs_of_url(query: Option<&str>) -> Pairs {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The pairs of a form with a boundary, which is how clients send long parameters; none where the body is no form.
pub(crate) fn pairs_of_form(headers: &HeaderMap, body: &[u8]) -> Result<Pairs, Exception> {
    let broken = |what: &str| Exception::new(36, format!("the form in the body {what}"), "BAD_ARGUMENTS");
    let kind = header(headers, "content-type").unwrap_or_default();
    let (_, boundary) = kind.split_once("boundary=").ok_or_else(|| broken("names no boundary"))?;
    let text = std::str::from_utf8(body).map_err(|_| broken("is no text"))?;
    let mut pairs = Pairs::new();
    for part in text.split(&format!("--{}", boundary.trim_matches('"'))).skip(1) {
        if part.starts_with("--") {
            return Ok(pairs);
        }
        let (head, value) = part.split_once("\r\n\r\n").ok_or_else(|| broken("has a part without a head"))?;
        let name = head.split_once("name=\"").and_then(|(_, after)| after.split_once('"'));
        let (name, _) = name.ok_or_else(|| broken("has a part without a name"))?;
        pairs.push((name.to_owned(), value.strip_suffix("\r\n").unwrap_or(value).to_owned()));
    }
    Err(broken("has no end"))
}

/// A header as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a user and a password come with the request: in ClickHouse's headers, as Basic, or in the URL.
pub(crate) fn knows(headers: &HeaderMap, pairs: &Pairs, user: &str, password: &str) -> Result<(), Exception> {
    let basic = header(headers, "authorization").and_then(|value| value.strip_prefix("Basic "));
    let basic = basic.and_then(|coded| String::from_utf8(STANDARD.decode(coded).ok()?).ok());
    let basic = basic.as_deref().and_then(|plain| plain.split_once(':'));
    let url = |name| last(pairs, name).unwrap_or_default();
    let (given, secret) = match (header(headers, "x-clickhouse-user"), basic) {
        (Some(given), _) => (given, header(headers, "x-clickhouse-key").unwrap_or_default()),
        (None, Some(basic)) => basic,
        (None, None) => (last(pairs, "user").unwrap_or("default"), url("password")),
    };
    if (given, secret) == (user, password) {
        return Ok(());
    }
    let text = format!("{given}: Authentication failed: password is incorrect, or there is no user with such name");
    Err(Exception::new(516, text, "AUTHENTICATION_FAILED"))
}

/// Of several values the last is meant.
fn last<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .rev()
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

impl Asked {
    /// Reads the pairs of URL and form, and the headers.
    pub(crate) fn of(pairs: &Pairs, headers: &HeaderMap, get: bool) -> Result<Self, Exception> {
        refuse(pairs, headers)?;
        let given =
            |name: &str, in_headers: &str| header(headers, in_headers).or_else(|| last(pairs, name)).map(str::to_owned);
        let on = |name: &str| last(pairs, name).is_some_and(|value| value != "0");
        let mut asked = Asked {
            query: last(pairs, "query").unwrap_or_default().to_owned(),
            query_id: last(pairs, "query_id").map(str::to_owned),
            database: given("database", "x-clickhouse-database"),
            format: given("default_format", "x-clickhouse-format"),
            compress: on("compress"),
            decompress: on("decompress"),
            reading: get || on("readonly"),
            ..Asked::default()
        };
        for (name, value) in pairs {
            if let Some(name) = name.strip_prefix("param_") {
                asked.values.push((name.to_owned(), value.clone()));
            } else if !INTERFACE.contains(&name.as_str()) && name != "readonly" {
                // The engine could not leave `readonly` again: the front sees to it, before the query.
                asked.settings.push((name.clone(), value.clone()));
            }
        }
        Ok(asked)
    }
}

fn refuse(pairs: &Pairs, headers: &HeaderMap) -> Result<(), Exception> {
    if let Some((name, _)) = pairs.iter().find(|(name, _)| NOT_SPOKEN.contains(&name.as_str())) {
        return Err(Exception::refused(name.clone()));
    }
    if last(pairs, "async_insert").is_some_and(|value| !["0", "false"].contains(&value)) {
        return Err(Exception::refused("async_insert=1: it has no queue of small inserts".to_owned()));
    }
    match header(headers, "content-encoding") {
        None | Some("identity") => Ok(()),
        Some(coding) => {
            Err(Exception::refused(format!("Content-Encoding: {coding}; decompress=1 with LZ4 blocks is spoken")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn asked(url: &str) -> Result<Asked, Exception> {
        Asked::of(&pairs_of_url(Some(url)), &HeaderMap::new(), false)
    }

    #[test]
    fn parameters_go_where_they_belong() {
        let found = asked(
            "query=SELECT+%7Ba%3AUInt8%7D&param_a=4%262&database=d&max_threads=2&compress=1&decompress=0&query_id=&readonly=1",
        );
        let expected = Asked {
            query: "SELECT {a:UInt8}".to_owned(),
            database: Some("d".to_owned()),
            settings: vec![("max_threads".to_owned(), "2".to_owned())],
            values: vec![("a".to_owned(), "4&2".to_owned())],
            compress: true,
            reading: true,
            ..Asked::default()
        };
        assert_eq!(found.unwrap(), expected);
        let heads = headers(&[("x-clickhouse-database", "h"), ("x-clickhouse-format", "CSV")]);
        let found = Asked::of(&pairs_of_url(Some("database=d")), &heads, false).unwrap();
        assert_eq!((found.database.as_deref(), found.format.as_deref()), (Some("h"), Some("CSV")));
    }

    #[test]
    fn what_is_not_spoken_is_refused() {
        for url in ["session_id=a", "async_insert=1", "async_insert=true", "role=r", "quota_key=q"] {
            assert_eq!(asked(url).unwrap_err().code(), 48, "{url}");
        }
        for coding in ["gzip", "zstd"] {
            let found = Asked::of(&Pairs::new(), &headers(&[("content-encoding", coding)]), false);
            assert_eq!(found.unwrap_err().code(), 48, "{coding}");
        }
        asked("async_insert=0&wait_for_async_insert=1").unwrap();
    }

    #[test]
    fn a_form_is_taken_apart() {
        let heads = headers(&[("content-type", "multipart/form-data; boundary=xyz")]);
        let part = |name: &str, value: &str| {
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = format!("{}{}--xyz--\r\n", part("param_a", "1\r\n2"), part("query", "SELECT 1"));
        let expected =
            [("param_a", "1\r\n2"), ("query", "SELECT 1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs_of_form(&heads, body.as_bytes()).unwrap(), expected);
        assert_eq!(pairs_of_form(&heads, &body.as_bytes()[..body.len() - 10]).unwrap_err().code(), 36);
        assert_eq!(pairs_of_form(&HeaderMap::new(), body.as_bytes()).unwrap_err().code(), 36);
    }

    #[test]
    fn there_are_three_ways_to_say_who_one_is() {
        let known = |heads: &[(&'static str, &str)], url: &str| {
            knows(&headers(heads), &pairs_of_url(Some(url)), "me", "s:1").is_ok()
        };
        assert!(known(&[("x-clickhouse-user", "me"), ("x-clickhouse-key", "s:1")], ""));
        assert!(known(&[("authorization", "Basic bWU6czox")], ""));
        assert!(known(&[], "user=me&password=s%3A1"));
        assert!(!known(&[], "user=me&password=s"));
        assert!(!known(&[], "password=s%3A1"));
        assert!(!known(&[("x-clickhouse-user", "me")], "user=me&password=s%3A1"));
        let error = knows(&HeaderMap::new(), &Pairs::new(), "me", "s").unwrap_err();
        assert_eq!((error.code(), error.status()), (516, 403));
    }
}
