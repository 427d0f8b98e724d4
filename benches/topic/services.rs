//! ClickHouse and S3 of the bench's own.

use std::process::Command;

use super::served::{Served, ask, free_port, script};

/// Both, running.
pub struct Services {
    /// Held for as long as they are to run.
    _served: [Served; 2],
    clickhouse: u16,
    s3: u16,
}

impl Services {
    /// Starts them.
    pub fn start() -> Self {
        let (clickhouse, s3) = (free_port(), free_port());
        let start = |service: &str, port: u16| {
            let place = std::env::temp_dir().join(format!("minuet-bench-{service}-{}", std::process::id()));
            let mut command = script(service, &place);
            command.env(format!("MINUET_{}_PORT", service.to_uppercase()), port.to_string());
            Served::start(command)
        };
        Services { _served: [start("clickhouse", clickhouse), start("s3", s3)], clickhouse, s3 }
    }

    /// Has a run write its rows to tables of this name, and its state to a prefix.
    pub fn at_the_edges(&self, command: &mut Command, name: &str) {
        command.args([
            "--sink",
            &format!("clickhouse://127.0.0.1:{}/bench.{name}", self.clickhouse),
            "--create-tables",
        ]);
        command.args(["--clickhouse-user", "minuet"]).env("CLICKHOUSE_PASSWORD", "minuet-demo");
        command.args(["--state", &format!("s3://minuet/{name}"), "--s3-path-style", "--s3-region", "us-east-1"]);
        command.args(["--s3-endpoint", &format!("http://127.0.0.1:{}", self.s3)]);
        command.env("AWS_ACCESS_KEY_ID", "minuet").env("AWS_SECRET_ACCESS_KEY", "minuet-demo-secret");
    }

    /// A number that a statement answers; none where it fails, as one on tables that are not made yet.
    pub fn number(&self, sql: &str) -> Option<f64> {
        let who = "X-ClickHouse-User: minuet\r\nX-ClickHouse-Key: minuet-demo";
        let length = sql.len();
        let answer = ask(
            self.clickhouse,
            &format!("POST / HTTP/1.0\r\nHost: 127.0.0.1\r\n{who}\r\nContent-Length: {length}\r\n\r\n{sql}"),
        );
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200").then(|| body.trim().parse().ok()).flatten()
    }
}
