//! A real S3 server, for one test or for all, and a plain client of it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;

use super::leash::Leash;
use super::{place, script};
use crate::harness::free_port;

/// A running server.
pub(crate) struct S3 {
    port: u16,
    leash: Leash,
}

impl S3 {
    /// The one that all tests of this program may use, each under a prefix of its own, but not stop.
    pub(crate) fn shared() -> &'static S3 {
        static SHARED: OnceLock<S3> = OnceLock::new();
        SHARED.get_or_init(S3::start)
    }

    /// Another one, for the test that starts it.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut command = script("s3", &place("s3", port));
        let leash = Leash::start(command.env("MINUET_S3_PORT", port.to_string()));
        S3 { port, leash }
    }

    /// SIGKILL, in the midst of what it does.
    pub(crate) fn kill(&self) {
        self.leash.kill();
    }

    /// Starts a killed one again, with its objects and port.
    pub(crate) fn start_again(&self) {
        self.leash.start_again();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The same as a client takes it; path style.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The access key.
    pub(crate) fn key(&self) -> &'static str {
        "minuet"
    }

    /// Its secret.
    pub(crate) fn secret(&self) -> &'static str {
        "minuet-demo-secret"
    }

    /// The region that requests are signed for.
    pub(crate) fn region(&self) -> &'static str {
        "us-east-1"
    }

    /// The bucket that is there.
    pub(crate) fn bucket(&self) -> &'static str {
        "minuet"
    }

    /// Status and body of a signed request for an object of the bucket; 0 where there is no answer.
    pub(crate) fn request(&self, method: &str, object: &str, arguments: &[&str]) -> (u16, String) {
        self.request_at(self.address(), method, object, arguments)
    }

    /// The same through a proxy, by curl: no client of the program under test takes part.
    pub(crate) fn request_at(&self, at: SocketAddr, method: &str, object: &str, arguments: &[&str]) -> (u16, String) {
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "60", "--write-out", "\n%{http_code}", "--request", method])
            .args(["--aws-sigv4", &format!("aws:amz:{}:s3", self.region())])
            .args(["--user", &format!("{}:{}", self.key(), self.secret())])
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(arguments)
            .arg(format!("http://{at}/{}/{object}", self.bucket()))
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
        (status.parse().expect("a status is a number"), body.to_owned())
    }
}
