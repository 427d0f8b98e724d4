//! A broker of the bench's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::served::{self, Served, ask, free_port};

/// A running broker.
pub struct Broker {
    /// Held for as long as it is to run.
    _served: Served,
    plain: u16,
    web: u16,
    state: PathBuf,
}

impl Broker {
    /// Starts one; the jars are fetched first where they are missing.
    pub fn start() -> Self {
        let (plain, web) = (free_port(), free_port());
        let state = std::env::temp_dir().join(format!("minuet-bench-pulsar-{}", std::process::id()));
        let served = Served::start(script(plain, web, &state));
        Broker { _served: served, plain, web, state }
    }

    /// A topic as `--source` and `--to` take it.
    pub fn address(&self, topic: &str) -> String {
        format!("pulsar://127.0.0.1:{}/{topic}", self.plain)
    }

    /// Its administration.
    pub fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }

    /// Pulsar's own load tool against it.
    pub fn perf(&self) -> Command {
        let mut command = script(self.plain, self.web, &self.state);
        command.arg("perf");
        command
    }

    /// Has it delete nothing, whatever is read.
    pub fn keep_everything(&self) {
        let body = r#"{"retentionTimeInMinutes":-1,"retentionSizeInMB":-1}"#;
        let head = "POST /admin/v2/namespaces/public/default/retention HTTP/1.0\r\nHost: 127.0.0.1";
        let type_and_length = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        let answer = ask(self.web, &format!("{head}\r\n{type_and_length}\r\n\r\n{body}"));
        assert!(answer.contains(" 204"), "it keeps nothing: {answer}");
    }
}

fn script(plain: u16, web: u16, state: &Path) -> Command {
    let mut command = served::script("pulsar", state);
    command.env("MINUET_PULSAR_PORT", plain.to_string()).env("MINUET_PULSAR_WEB", web.to_string());
    command
}
