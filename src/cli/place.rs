//! Places as they are written on the command line: `files:GLOB`, `files:DIR`, `dir:DIR`, `pulsar://...`, `-`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::connect::pulsar::Address;

/// `files:GLOB` or `pulsar://...` of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlace {
    /// Files.
    Files(String),
    /// A topic.
    Pulsar(Address),
}

/// `files:DIR` of a sink.
#[derive(Clone, Debug)]
pub struct SinkPlace(pub PathBuf);

/// `dir:DIR` of the state.
#[derive(Clone, Debug)]
pub struct StatePlace(pub PathBuf);

/// `files:DIR` or `-` of generated events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPlace {
    /// Standard output.
    Stream,
    /// A folder.
    Folder(PathBuf),
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
        after(text, "files", "DIR").map(|dir| SinkPlace(dir.into()))
    }
}

impl FromStr for StatePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        after(text, "dir", "DIR").map(|dir| StatePlace(dir.into()))
    }
}

impl FromStr for TargetPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(TargetPlace::Stream);
        }
        let folder = after(text, "files", "DIR, or - for standard output");
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
    fn a_target_is_a_folder_or_standard_output() {
        assert_eq!("files:a/b".parse(), Ok(TargetPlace::Folder("a/b".into())));
        assert_eq!("-".parse(), Ok(TargetPlace::Stream));
        for text in ["", "a/b", "files:", "s3:bucket"] {
            let error = text.parse::<TargetPlace>().expect_err("it is no place");
            assert!(error.contains("files:DIR"), "{error}");
        }
    }
}
