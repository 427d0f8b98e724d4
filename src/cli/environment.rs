//! What the environment says where a flag does not: `PULSAR_URL` and `PULSAR_TOPIC` for `--source`, `CLICKHOUSE_URL` for `--sink`. They
//! are made into the text of the flag, which is then read as if it had been given.

use std::env::{VarError, var};

use super::place::{SinkPlace, SourcePlace};
use crate::error::{Error, Result};

const PULSAR_URL: &str = "PULSAR_URL";
const PULSAR_TOPIC: &str = "PULSAR_TOPIC";
const CLICKHOUSE_URL: &str = "CLICKHOUSE_URL";

/// Tenant and namespace of a topic that is named without them, as Pulsar has it.
const USUAL_NAMESPACE: &str = "public/default";

/// The database of a server that is named without one, as ClickHouse has it.
const USUAL_DATABASE: &str = "default";

/// The source: the flag's, or the environment's.
pub(super) fn source(flag: Option<&SourcePlace>) -> Result<SourcePlace> {
    if let Some(place) = flag {
        return Ok(place.clone());
    }
    let (url, topic) = (value(PULSAR_URL)?, value(PULSAR_TOPIC)?);
    let text = source_text(url.as_deref(), topic.as_deref()).map_err(Error::configuration)?;
    let found = format!("{PULSAR_URL} and {PULSAR_TOPIC} of the environment");
    text.parse().map_err(|why| Error::configuration(format!("{found} make --source {text}: {why}")))
}

/// The same; none where nothing at all is said of it.
pub(super) fn source_if_any(flag: Option<&SourcePlace>) -> Result<Option<SourcePlace>> {
    let silent = flag.is_none() && value(PULSAR_URL)?.is_none() && value(PULSAR_TOPIC)?.is_none();
    if silent { Ok(None) } else { source(flag).map(Some) }
}

/// The sink: the flag's, or the environment's, with this table where it names none.
pub(super) fn sink(flag: Option<&SinkPlace>, table: &str) -> Result<SinkPlace> {
    if let Some(place) = flag {
        return Ok(place.clone());
    }
    let url = value(CLICKHOUSE_URL)?;
    let text = sink_text(url.as_deref(), table).map_err(Error::configuration)?;
    text.parse()
        .map_err(|why| Error::configuration(format!("{CLICKHOUSE_URL} of the environment makes --sink {text}: {why}")))
}

/// The same; none where nothing is said of it.
pub(super) fn sink_if_any(flag: Option<&SinkPlace>, table: &str) -> Result<Option<SinkPlace>> {
    let silent = flag.is_none() && value(CLICKHOUSE_URL)?.is_none();
    if silent { Ok(None) } else { sink(flag, table).map(Some) }
}

/// Refuses what may be a password in a URL before any of it is shown: it must not come into a log.
fn without_secrets<'a>(name: &str, url: &'a str, instead: &str) -> std::result::Result<&'a str, String> {
    if url.contains(['@', '?', '#']) {
        return Err(format!(
            "{name} has more in it than where the server is: user and password are given as {instead}"
        ));
    }
    Ok(url)
}

/// A variable; one that is empty counts as none.
fn value(name: &str) -> Result<Option<String>> {
    match var(name) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::configuration(format!("{name} is not UTF-8"))),
    }
}

fn source_text(url: Option<&str>, topic: Option<&str>) -> std::result::Result<String, String> {
    let (url, topic) = match (url, topic) {
        (Some(url), Some(topic)) => (url, topic),
        (None, None) => {
            return Err(format!("--source is missing: give it, or {PULSAR_URL} and {PULSAR_TOPIC} in the environment"));
        }
        (Some(_), None) => {
            return Err(format!("{PULSAR_URL} is in the environment, {PULSAR_TOPIC} is not: give both, or --source"));
        }
        (None, Some(_)) => {
            return Err(format!("{PULSAR_TOPIC} is in the environment, {PULSAR_URL} is not: give both, or --source"));
        }
    };
    let url = without_secrets(PULSAR_URL, url, "PULSAR_TOKEN")?;
    if !["pulsar://", "pulsar+ssl://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("{PULSAR_URL} is {url:?}; allowed is pulsar://HOST:6650 or pulsar+ssl://HOST:6651"));
    }
    if topic.starts_with("non-persistent://") {
        return Err(format!(
            "{PULSAR_TOPIC} is {topic}: allowed is a persistent topic, for what is read must be there to be read again"
        ));
    }
    let name = topic.strip_prefix("persistent://").unwrap_or(topic);
    let name = if name.contains('/') { name.to_owned() } else { format!("{USUAL_NAMESPACE}/{name}") };
    Ok(format!("{}/{name}", url.trim_end_matches('/')))
}

fn sink_text(url: Option<&str>, table: &str) -> std::result::Result<String, String> {
    const ALLOWED: &str =
        "allowed is http://HOST:8123 or https://HOST:8443, with /DATABASE or /DATABASE.TABLE behind it";
    let Some(url) = url else {
        return Err(format!("--sink is missing: give it, or {CLICKHOUSE_URL} in the environment"));
    };
    let url = without_secrets(CLICKHOUSE_URL, url, "CLICKHOUSE_USER and CLICKHOUSE_PASSWORD")?;
    let (scheme, rest) = match url.split_once("://") {
        Some(("http" | "clickhouse", rest)) => ("clickhouse", rest),
        Some(("https" | "clickhouses", rest)) => ("clickhouses", rest),
        _ => return Err(format!("{CLICKHOUSE_URL} is {url:?}; {ALLOWED}")),
    };
    let (host, name) = rest.split_once('/').unwrap_or((rest, ""));
    let name = match name.trim_end_matches('/') {
        "" => format!("{USUAL_DATABASE}.{table}"),
        name if name.contains('.') => name.to_owned(),
        database => format!("{database}.{table}"),
    };
    Ok(format!("{scheme}://{host}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_made_of_its_two_variables() {
        for (url, topic, text) in [
            ("pulsar://b:6650", "persistent://t/n/x", "pulsar://b:6650/t/n/x"),
            ("pulsar+ssl://b:6651/", "t/n/x", "pulsar+ssl://b:6651/t/n/x"),
            ("pulsar://a,b", "x", "pulsar://a,b/public/default/x"),
            ("pulsar://b", "persistent://x", "pulsar://b/public/default/x"),
        ] {
            assert_eq!(source_text(Some(url), Some(topic)).as_deref(), Ok(text));
            assert!(matches!(text.parse(), Ok(SourcePlace::Pulsar(_))), "{text}");
        }
        for (url, topic, why) in [
            (None, None, "--source is missing"),
            (Some("pulsar://b"), None, "PULSAR_TOPIC is not"),
            (None, Some("x"), "PULSAR_URL is not"),
            (Some("pulsar://b"), Some("non-persistent://t/n/x"), "persistent topic"),
        ] {
            let error = source_text(url, topic).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn tables_are_made_of_a_url() {
        for (url, text) in [
            ("http://c:8123", "clickhouse://c:8123/default.rows"),
            ("http://c:8123/", "clickhouse://c:8123/default.rows"),
            ("https://c/db", "clickhouses://c/db.rows"),
            ("http://c:8123/db/", "clickhouse://c:8123/db.rows"),
            ("http://c:8123/db.other", "clickhouse://c:8123/db.other"),
            ("clickhouse://c/db", "clickhouse://c/db.rows"),
        ] {
            assert_eq!(sink_text(Some(url), "rows").as_deref(), Ok(text));
            assert!(matches!(text.parse(), Ok(SinkPlace::ClickHouse(_))), "{text}");
        }
        assert!(sink_text(Some("tcp://c:9000"), "rows").unwrap_err().contains("allowed is http://"));
        assert!(sink_text(None, "rows").unwrap_err().contains("CLICKHOUSE_URL"));
    }
    #[test]
    fn a_secret_is_refused_and_not_shown() {
        for url in
            ["http://me:secret@c:8123", "http://c:8123?password=secret", "jdbc:clickhouse://c/db?password=secret"]
        {
            let error = sink_text(Some(url), "rows").unwrap_err();
            assert!(error.contains("CLICKHOUSE_PASSWORD") && !error.contains("secret"), "{error}");
        }
        for url in ["pulsar://me:secret@b", "pulsar://b?token=secret", "files:x?secret"] {
            let error = source_text(Some(url), Some("x")).unwrap_err();
            assert!(error.contains("PULSAR_TOKEN") && !error.contains("secret"), "{error}");
        }
        assert!(source_text(Some("files:x"), Some("t")).unwrap_err().contains("allowed is pulsar://"));
    }
}
