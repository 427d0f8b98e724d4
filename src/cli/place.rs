//! Places as they are written on the command line: `files:GLOB`, `files:DIR`, `dir:DIR`, `s3://...`, `pulsar://...`,
//! `clickhouse://...`, `-`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::connect::clickhouse::Address as ClickHouseAddress;
use crate::connect::pulsar::Address;
use crate::connect::s3;

/// `files:GLOB` or `pulsar://...` of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlace {
    /// Files.
    Files(String),
    /// A topic.
    Pulsar(Address),
}

/// `files:DIR` or `clickhouse://...` of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkPlace {
    /// A folder.
    Files(PathBuf),
    /// Tables.
    ClickHouse(ClickHouseAddress),
}

/// `dir:DIR` or `s3://BUCKET/PREFIX` of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of a bucket.
    S3(s3::Address),
}

/// `files:DIR`, `pulsar://…` or `-` of generated events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPlace {
    /// Standard output.
    Stream,
    /// A folder.
    Folder(PathBuf),
    /// A topic.
    Topic(Address),
}

fn after<'a>(text: &'a str, scheme: &str, what: &str) -> Result<&'a str, String> {
    match text.split_once(':') {
        Some((found, rest)) if found == scheme && !rest.is_empty() => Ok(rest),
        _ => Err(format!("allowed is {scheme}:{what}")),
    }
}

impl FromStr for SourcePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("pulsar") {
            return text.parse().map(SourcePlace::Pulsar);
        }
        let files = after(text, "files", "GLOB, pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC or pulsar+ssl://...");
        files.map(|glob| SourcePlace::Files(glob.to_owned()))
    }
}

impl FromStr for SinkPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("clickhouse") {
            return text.parse().map(SinkPlace::ClickHouse);
        }
        let files = after(text, "files", "DIR, clickhouse://HOST:8123/DATABASE.TABLE or clickhouses://...");
        files.map(|dir| SinkPlace::Files(dir.into()))
    }
}

impl FromStr for StatePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("s3:") {
            return text.parse().map(StatePlace::S3);
        }
        after(text, "dir", "DIR, or s3://BUCKET/PREFIX").map(|dir| StatePlace::Folder(dir.into()))
    }
}

impl FromStr for TargetPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(TargetPlace::Stream);
        }
        if text.starts_with("pulsar") && text.contains("://") {
            return text.parse().map(TargetPlace::Topic);
        }
        let folder = after(text, "files", "DIR, pulsar://… for a topic, or - for standard output");
        folder.map(|dir| TargetPlace::Folder(dir.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_files_or_a_topic() {
        assert_eq!("files:a/*".parse(), Ok(SourcePlace::Files("a/*".into())));
        let address = "pulsar://127.0.0.1/public/default/t".parse().expect("it is one");
        assert_eq!("pulsar://127.0.0.1/public/default/t".parse(), Ok(SourcePlace::Pulsar(address)));
        for text in ["", "kafka:x", "pulsar:x", "pulsar://host/topic"] {
            let error = text.parse::<SourcePlace>().expect_err("it is no place");
            assert!(error.contains("pulsar://HOST"), "{text}: {error}");
        }
    }

    #[test]
    fn a_state_is_a_folder_or_in_a_bucket() {
        assert_eq!("dir:a/b".parse(), Ok(StatePlace::Folder("a/b".into())));
        assert_eq!("s3://abc/x".parse(), Ok(StatePlace::S3("s3://abc/x".parse().unwrap())));
        for text in ["", "dir:", "a/b", "s3:abc", "s3://abc", "files:x"] {
            let error = text.parse::<StatePlace>().expect_err("it is no place");
            assert!(error.contains("s3://BUCKET/PREFIX"), "{text}: {error}");
        }
    }

    #[test]
    fn a_sink_is_a_folder_or_tables() {
        assert_eq!("files:a".parse(), Ok(SinkPlace::Files("a".into())));
        let address = "clickhouse://a/d.t".parse().expect("it is one");
        assert_eq!("clickhouse://a/d.t".parse(), Ok(SinkPlace::ClickHouse(address)));
        for text in ["", "a/b", "files:", "clickhouse:x", "clickhouse://a/t"] {
            let error = text.parse::<SinkPlace>().expect_err("it is no place");
            assert!(error.contains("clickhouse://HOST"), "{text}: {error}");
        }
    }

    #[test]
    fn a_target_is_a_folder_a_topic_or_standard_output() {
        let topic = "pulsar+ssl://a/t/n/x";
        assert_eq!(topic.parse(), Ok(TargetPlace::Topic(topic.parse().unwrap())));
        assert!("pulsar://a".parse::<TargetPlace>().unwrap_err().contains("allowed is pulsar://HOST"));
        assert_eq!("files:a/b".parse(), Ok(TargetPlace::Folder("a/b".into())));
        assert_eq!("-".parse(), Ok(TargetPlace::Stream));
        for text in ["", "a/b", "files:", "s3:bucket"] {
            let error = text.parse::<TargetPlace>().expect_err("it is no place");
            assert!(error.contains("files:DIR"), "{error}");
        }
    }
}
